//! Another password: what was kept of the old one goes, and is asked for anew.

use bellhop_protocol::code::{Failure, Reason};
use bellhop_protocol::session::SessionToken;
use bellhop_protocol::{Code, OpCode, Reply};

use super::pair::{Pair, config};
use crate::history::{Kept, Seat};
use crate::link::dial::Origin;
use crate::link::{Command, Input, LinkConfig};
use crate::secret::Secret;

fn change(tag: u64) -> Command {
    Command::Password { tag, old: Secret::new("open sesame".into()), new: Secret::new("close sesame".into()) }
}

fn with_token() -> Pair {
    let token = Some(Kept { token: SessionToken([3; 32]), origin: Origin::Plain });
    Pair::online(LinkConfig { seat: Seat { token, ..config().seat }, ..config() })
}

#[test]
fn a_kept_login_is_made_anew() {
    let mut pair = with_token();
    pair.command(change(7));
    assert_eq!(pair.sent(), ["PASSWORD open sesame close sesame"]);
    pair.say(Reply::PasswordChanged);
    assert_eq!(pair.sent(), ["TOKEN"]);
    assert_eq!(
        (pair.told(), pair.token()),
        (vec!["answer 7 Ok([\"ok\"])".to_owned()], None),
        "the old one is void"
    );
    pair.say(Reply::Token(SessionToken([5; 32])));
    assert_eq!((pair.told(), pair.token()), (vec!["token kept".to_owned()], Some(SessionToken([5; 32]))));
}

/// Where the new token is lost with the connection, the new password logs in.
#[test]
fn the_new_password_counts_at_once() {
    let mut pair = with_token();
    pair.command(change(7));
    pair.say(Reply::PasswordChanged);
    pair.handle(Input::Failed("cut".into()));
    pair.pass(2.0);
    pair.connected();
    pair.welcome();
    assert_eq!(pair.last_sent(), "LOGIN alice true");
    let mut never_kept = Pair::online(config());
    never_kept.command(change(7));
    never_kept.sent();
    never_kept.say(Reply::PasswordChanged);
    assert_eq!(never_kept.sent(), [""; 0], "nobody wanted a token");
}

#[test]
fn a_refusal_changes_nothing() {
    let mut pair = with_token();
    pair.command(change(7));
    pair.command(change(8));
    assert_eq!(pair.told(), ["answer 8 Err(\"it is being changed already\")"]);
    let failure = Failure { reason: Reason::Number(Code::BAD_PASSWORD), sentence: "wrong password" };
    pair.say(Reply::Refused(OpCode::Password, failure));
    assert_eq!(pair.told(), ["answer 7 Ok([\"error\", \"bad-password\", \"wrong password\"])"]);
    assert!(pair.token().is_some() && pair.socket);
}

#[test]
fn nobody_waits_for_an_answer_that_cannot_come() {
    let mut pair = with_token();
    pair.command(change(7));
    pair.handle(Input::Failed("cut".into()));
    assert!(pair.told().iter().any(|told| told.starts_with("answer 7 Err")));
    pair.command(change(8));
    assert_eq!(pair.told(), ["answer 8 Err(\"not connected\")"]);
    let mut asked_nothing = Pair::online(config());
    asked_nothing.say(Reply::PasswordChanged);
    assert_eq!(asked_nothing.told(), ["offline Protocol"]);
    let mut silent = with_token();
    silent.command(change(7));
    silent.pass(20.0);
    assert!(silent.told().contains(&"offline TimedOut".to_owned()), "silence is noticed");
}
