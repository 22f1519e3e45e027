//! Logging in: by password, token, new account; refused for now, refused for good.

use bellhop_protocol::session::{Resumed, SessionToken, Welcome};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, OpCode, Reply};
use uuid::Uuid;

use super::pair::{Pair, config};
use crate::config::Server;
use crate::event::{Doubt, Untrusted};
use crate::fingerprint::Fingerprint;
use crate::history::{Kept, Seat};
use crate::link::Input;
use crate::link::chain::Chain;
use crate::link::dial::{Identity, Origin};
use crate::link::{Command, LinkConfig};
use crate::secret::Secret;

fn with_password() -> LinkConfig {
    LinkConfig { password: Some(Secret::new("open sesame".into())), ..config() }
}

fn with_token() -> LinkConfig {
    let token = Some(Kept { token: SessionToken([3; 32]), origin: Origin::Plain });
    let seat = Seat { token, ..config().seat };
    LinkConfig { seat, ..config() }
}

#[test]
fn hello_login_deliver() {
    let mut pair = Pair::new(config());
    assert_eq!(pair.told(), ["connecting"]);
    pair.connected();
    assert_eq!(pair.sent(), ["HELLO 1"]);
    pair.welcome();
    assert_eq!(pair.sent(), ["LOGIN alice false"]);
    pair.answer(OpCode::Login, TextAnswer::LoggedIn(Uuid::nil(), 2));
    assert_eq!(pair.sent(), ["DELIVER"]);
    pair.answer(OpCode::Deliver, TextAnswer::Delivered(2));
    assert_eq!(pair.told(), ["round trip", "online", "waiting 2"]);
}

#[test]
fn a_program_that_only_sends_opens_no_stream() {
    let mut pair = Pair::new(LinkConfig { stream: false, ..config() });
    pair.log_in();
    assert_eq!(pair.sent(), ["HELLO 1", "LOGIN alice false"]);
}

#[test]
fn a_password_becomes_a_token_where_that_is_wanted() {
    let mut pair = Pair::new(LinkConfig { remember: true, stream: false, ..with_password() });
    pair.log_in();
    assert_eq!(pair.sent(), ["HELLO 1", "LOGIN alice true", "TOKEN"]);
    pair.events.clear();
    pair.say(Reply::Token(SessionToken([5; 32])));
    assert_eq!(pair.told(), ["token kept"]);
    assert_eq!(pair.token(), Some(SessionToken([5; 32])));
    pair.close();
    pair.pass(1.0);
    pair.connected();
    pair.welcome();
    assert_eq!(pair.sent(), ["HELLO 1", "RESUME 5"]);
}

#[test]
fn a_token_is_replaced_on_disk_before_anything_else_is_written() {
    let mut pair = Pair::new(with_token());
    pair.connected();
    pair.welcome();
    assert_eq!(pair.sent(), ["HELLO 1", "RESUME 3"]);
    pair.say(Reply::Resumed(Resumed { account: Uuid::nil(), waiting: 1, token: SessionToken([4; 32]) }));
    assert_eq!(pair.token(), Some(SessionToken([4; 32])));
    assert_eq!(pair.sent(), ["DELIVER"]);
    pair.close();
    pair.pass(1.0);
    pair.connected();
    pair.welcome();
    assert_eq!(pair.sent(), ["HELLO 1", "RESUME 4"]);
}

#[test]
fn a_bad_token_falls_back_to_the_password() {
    let mut pair = Pair::new(LinkConfig { password: with_password().password, ..with_token() });
    pair.connected();
    pair.welcome();
    pair.refuse(OpCode::Resume, Code::BAD_TOKEN);
    assert_eq!(pair.sent(), ["HELLO 1", "RESUME 3", "LOGIN alice true"]);
    assert_eq!(pair.token(), None);
}

#[test]
fn a_bad_token_without_a_password_stops() {
    let mut pair = Pair::new(with_token());
    pair.connected();
    pair.welcome();
    pair.events.clear();
    pair.refuse(OpCode::Resume, Code::BAD_TOKEN);
    assert_eq!(pair.told(), ["stopped NeedPassword"]);
    assert!(!pair.socket && pair.state.deadline().is_none());
}

#[test]
fn what_a_refused_login_means() {
    let check = |code: Code, expected: &str| {
        let mut pair = Pair::new(config());
        pair.connected();
        pair.welcome();
        pair.events.clear();
        pair.refuse(OpCode::Login, code);
        assert_eq!(pair.told(), [expected], "{code}");
        assert!(!pair.socket);
        assert_eq!(pair.state.deadline().is_some(), expected.starts_with("offline"), "{code}");
    };
    check(Code::BAD_PASSWORD, "stopped Refused(bad-password)");
    check(Code::NO_SUCH_USER, "stopped Refused(no-such-user)");
    check(Code::PASSWORD_NEEDED, "stopped Refused(password-needed)");
    check(Code::TLS_NEEDED, "stopped Refused(tls-needed)");
    check(Code::TOO_MANY_SESSIONS, "offline Refused(Some(too-many-sessions))");
    check(Code::BUSY, "offline Refused(Some(busy))");
    check(Code(977), "offline Refused(None)");
}

#[test]
fn another_version_stops() {
    let mut pair = Pair::new(config());
    pair.connected();
    pair.events.clear();
    pair.refuse(OpCode::Hello, Code::VERSION);
    assert_eq!(pair.told(), ["stopped Version"]);
    let mut pair = Pair::new(config());
    pair.connected();
    pair.events.clear();
    let (features, max_data, window, heartbeat_s) = (0, 65_536, 1_024, 30);
    pair.say(Reply::Welcome(Welcome {
        version: 2,
        features,
        max_data,
        window,
        heartbeat_s,
        agent: "",
        node: "",
    }));
    assert_eq!(pair.told(), ["stopped Version"]);
}

#[test]
fn a_new_account_is_made_once() {
    let mut pair = Pair::new(LinkConfig { create: true, ..config() });
    pair.connected();
    pair.welcome();
    assert_eq!(pair.sent(), ["HELLO 1", "CREATE alice false"]);
    pair.answer(OpCode::Create, TextAnswer::Created(Uuid::nil()));
    assert_eq!(pair.told(), ["connecting", "round trip", "created"]);
    pair.close();
    pair.pass(1.0);
    pair.sent();
    pair.log_in();
    assert_eq!(pair.sent()[..2], ["HELLO 1", "LOGIN alice false"]);
}

#[test]
fn a_lost_answer_to_create_is_found_out_by_the_password() {
    let mut pair = Pair::new(LinkConfig { create: true, ..with_password() });
    pair.connected();
    pair.welcome();
    pair.close();
    pair.pass(1.0);
    pair.connected();
    pair.welcome();
    pair.sent();
    pair.refuse(OpCode::Create, Code::NAME_TAKEN);
    assert_eq!(pair.sent(), ["LOGIN alice true"]);
}

#[test]
fn a_taken_name_stops() {
    let mut pair = Pair::new(LinkConfig { create: true, ..with_password() });
    pair.connected();
    pair.welcome();
    pair.events.clear();
    pair.refuse(OpCode::Create, Code::NAME_TAKEN);
    assert_eq!(pair.told(), ["stopped Refused(name-taken)"]);
}

#[test]
fn replaced_and_deleted_do_not_come_back() {
    for (code, expected) in [
        (Code::REPLACED, "stopped Replaced"),
        (Code::ACCOUNT_DELETED, "stopped AccountDeleted"),
        (Code::BAD_TOKEN, "stopped NeedPassword"),
    ] {
        let mut pair = Pair::online(config());
        pair.notice(code);
        pair.close();
        assert_eq!(pair.told(), [expected]);
        pair.pass(3_600.0);
        assert!(!pair.socket, "{code} came back");
    }
}

#[test]
fn a_server_that_says_why_it_closes_is_quoted() {
    for (code, expected) in [
        (Code::SHUTTING_DOWN, "offline Refused(Some(shutting-down))"),
        (Code::BUSY, "offline Refused(Some(busy))"),
        (Code::TIMED_OUT, "offline Refused(Some(timed-out))"),
    ] {
        let mut pair = Pair::online(config());
        pair.notice(code);
        pair.close();
        assert_eq!(pair.told(), [expected]);
        pair.pass(1.0);
        assert!(pair.socket);
    }
}

#[test]
fn asked_logout_and_delete_end_it() {
    for (line, op, answer, expected) in [
        ("3|", OpCode::Logout, TextAnswer::LoggedOut, "stopped LoggedOut"),
        ("4|", OpCode::Delete, TextAnswer::Deleted, "stopped AccountDeleted"),
    ] {
        let mut pair = Pair::online(with_token());
        pair.ask(7, line);
        pair.answer(op, answer);
        assert_eq!(pair.told(), ["answer 7 Ok([\"ok\"])", expected]);
        assert_eq!(pair.token(), None);
    }
}

#[test]
fn a_stopped_link_tries_again_when_told() {
    let mut pair = Pair::new(config());
    pair.connected();
    pair.welcome();
    pair.refuse(OpCode::Login, Code::BAD_PASSWORD);
    pair.command(Command::Reconnect);
    assert!(pair.socket);
}

#[test]
fn a_disk_that_fails_ends_the_connection_and_acknowledges_nothing() {
    let mut pair = Pair::online(config());
    pair.broken = true;
    pair.message(1, 1, "hi");
    assert_eq!(pair.told(), ["stopped Disk"]);
    assert_eq!(pair.sent(), [""; 0]);
    assert!(!pair.socket);
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.told();
    pair.broken = true;
    pair.message(1, 1, "hi");
    assert_eq!(pair.told(), ["stopped Disk"], "once, whatever else could not be written down");
}

/// The next message took the counter of one that nobody had answered, and both were kept: the old one under the new
/// account.
#[test]
fn what_was_written_under_an_account_that_is_gone_is_not_repeated_under_its_successor() {
    let mut pair = Pair::online(config());
    pair.send("pay 100");
    pair.close();
    pair.send("unrelated");
    pair.restart(config());
    pair.pass(1.0);
    pair.account = Uuid::from_u128(2);
    pair.log_in();
    assert!(pair.states().contains(&"1:Unknown".to_owned()));
    assert_eq!(pair.sent(), ["HELLO 1", "LOGIN alice false"]);
    pair.pass(1.0);
    pair.log_in();
    assert_eq!(pair.sent(), ["HELLO 2", "LOGIN alice false", "DELIVER", "POST 1 bob unrelated"]);
    pair.restart(config());
    pair.log_in();
    assert_eq!(pair.sent()[0], "HELLO 2", "once");
}

#[test]
fn a_device_does_not_outlive_its_account() {
    let deleted = |pair: &mut Pair| {
        pair.ask(7, "4|");
        pair.answer(OpCode::Delete, TextAnswer::Deleted);
    };
    let told = |pair: &mut Pair| pair.notice(Code::ACCOUNT_DELETED);
    for gone in [&deleted as &dyn Fn(&mut Pair), &told] {
        let mut pair = Pair::online(with_token());
        pair.send("one");
        pair.sent();
        gone(&mut pair);
        assert!(pair.states().contains(&"1:Unknown".to_owned()));
        assert_eq!(pair.token(), None);
        pair.account = Uuid::from_u128(2);
        pair.command(Command::Reconnect);
        pair.sent();
        pair.log_in();
        assert_eq!(pair.sent(), ["HELLO 2", "LOGIN alice false", "DELIVER"]);
    }
}

fn key(byte: u8) -> Fingerprint {
    Fingerprint::of_key(&[byte])
}

/// A server that has key 3, and had key 2 before.
fn by_key() -> Identity {
    Identity::Key(Chain { key: key(3), before: vec![key(2)] })
}

/// A token went to whoever answered under the server's name.
#[test]
fn a_token_goes_only_to_the_server_that_gave_it() {
    let check = |origin: Origin, identity: Identity, expected: &str| {
        let token = Some(Kept { token: SessionToken([3; 32]), origin });
        let mut pair = Pair::new(LinkConfig { seat: Seat { token, ..config().seat }, ..config() });
        pair.told();
        pair.identity = identity.clone();
        pair.connected();
        if expected != "RESUME" {
            assert_eq!(
                (pair.told(), pair.sent()),
                (vec![format!("stopped {expected}")], Vec::new()),
                "{origin:?}"
            );
            assert!(!pair.socket);
            assert_eq!(pair.token(), Some(SessionToken([3; 32])), "it stays, for when the server is back");
            return;
        }
        pair.welcome();
        assert!(pair.last_sent().starts_with("RESUME"), "{origin:?} {identity:?}");
        pair.say(Reply::Resumed(Resumed { account: Uuid::nil(), waiting: 0, token: SessionToken([4; 32]) }));
        let kept = pair.history.seat(pair.seat.account, "tui").expect("a seat").token;
        assert_eq!(kept, Some(Kept { token: SessionToken([4; 32]), origin: identity.origin() }));
    };
    check(Origin::Plain, Identity::Plain, "RESUME");
    check(Origin::Authority, Identity::Authority, "RESUME");
    check(Origin::Key(key(3)), by_key(), "RESUME");
    // The key before vouches for the new one: the token moves with it.
    check(Origin::Key(key(2)), by_key(), "RESUME");
    for origin in [Origin::Plain, Origin::Authority, Origin::Key(key(9))] {
        check(origin, by_key(), "AnotherKey");
    }
    for identity in [Identity::Plain, Identity::Authority] {
        check(Origin::Key(key(3)), identity, "AnotherKey");
    }
    check(Origin::Authority, Identity::Plain, "AnotherKey");
}

#[test]
fn a_server_that_is_not_trusted_is_told_nothing_and_not_tried_again() {
    let mut pair = Pair::new(with_password());
    pair.told();
    let server = Server::parse("chat.example").expect("an address");
    pair.handle(Input::Untrusted(Untrusted {
        server,
        shown: key(1),
        doubt: Doubt::Changed { kept: key(2) },
    }));
    assert_eq!(pair.told(), ["untrusted", "stopped Untrusted"]);
    pair.pass(3_600.0);
    assert_eq!((pair.told(), pair.sent(), pair.socket), (Vec::new(), Vec::new(), false));
    pair.command(Command::Reconnect);
    assert!(pair.socket, "somebody may have said that it is the right one");
}
