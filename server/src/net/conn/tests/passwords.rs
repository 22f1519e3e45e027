//! What gets in by a password or a token, from connections on listeners that allow different things.

use bellhop_protocol::session::{NewPassword, SessionToken};
use bellhop_protocol::text::Secret;

use super::bench::{OPEN, Side};
use super::*;
use crate::auth::{Cost, Hasher, Password};
use crate::keeper::accounts::AccountJob;
use crate::keeper::queue::Job;
use crate::service::Policy;

use OpCode::{Create, Delete, Resume, Token};

/// A listener on which every account needs a password.
const CLOSED: Policy = Policy { open: false, password: true, register: true, holds_names: true };

/// A connection to such a listener.
fn on(bench: &Bench, policy: Policy) -> Side<'_> {
    let mut side = bench.connect();
    side.conn.caller.policy = policy;
    side
}

/// A device's connection.
fn greeted(bench: &Bench, policy: Policy) -> Side<'_> {
    let mut side = on(bench, policy);
    assert_eq!(asks(&mut side, OpCode::Hello, &hello(1))[..2], [0, 0]);
    side
}

fn asks(side: &mut Side<'_>, op: OpCode, request: &[u8]) -> Vec<u8> {
    side.arrives(request);
    side.notices();
    loop {
        side.turn();
        match side.read_bytes() {
            Some((answer, data)) if answer == op.answer() => return data,
            Some(_) => {}
            None => std::thread::park_timeout(PATIENCE),
        }
    }
}

fn token(side: &mut Side<'_>) -> SessionToken {
    SessionToken(asks(side, Token, &Request::Token.to_bytes())[2..].try_into().unwrap())
}

/// The next token, or the sentence of the refusal.
fn resume(side: &mut Side<'_>, token: SessionToken) -> Result<SessionToken, String> {
    let answer = asks(side, Resume, &Request::Resume(token).to_bytes());
    match answer.split_at(2) {
        ([0, 0], rest) => Ok(SessionToken(rest[20..].try_into().unwrap())),
        (_, sentence) => Err(String::from_utf8(sentence.to_vec()).unwrap()),
    }
}

/// A token from the listener next door let an account in that has no password.
#[test]
fn a_token_lets_nobody_in_without_a_password_where_one_is_needed() {
    let bench = Bench::new(&[]);
    let mut alice = greeted(&bench, OPEN);
    alice.enter("alice");
    let first = token(&mut alice);
    let second = resume(&mut greeted(&bench, OPEN), first).unwrap();
    let refused = resume(&mut greeted(&bench, CLOSED), first);
    assert_eq!(refused, Err("a password is needed here".to_owned()));
    // Nothing became of it: where no password is needed, the token's successor is good as before.
    let mut alice = greeted(&bench, OPEN);
    resume(&mut alice, second).unwrap();
    let change = NewPassword { old: None, new: Secret("open sesame") };
    assert_eq!(asks(&mut alice, OpCode::Password, &Request::Password(change).to_bytes())[..2], [0, 0]);
    let third = token(&mut alice);
    assert!(resume(&mut greeted(&bench, CLOSED), third).is_ok(), "an account with a password");
}

/// What an account deleted on the machine itself was called could be had at once from everywhere else.
#[test]
fn a_name_is_held_by_what_the_whole_server_allows() {
    for (holds_names, expected) in [(true, "error|name-taken|"), (false, "ok|")] {
        let bench = Bench::new(&[]);
        let mut alice = on(&bench, Policy { holds_names, ..OPEN });
        alice.enter("alice");
        assert_eq!(alice.ask(Delete, ""), "ok");
        let made = on(&bench, CLOSED).ask(Create, "alice|open sesame");
        assert!(made.starts_with(expected), "{holds_names}: {made}");
        assert!(on(&bench, OPEN).ask(Create, "alice").starts_with(if holds_names {
            "ok|"
        } else {
            "error|"
        }));
    }
}

/// Both had proved the old hash and made a new one, and the later one was told to try again.
#[test]
fn two_logins_that_make_a_hash_anew_get_in_both() {
    let bench = Bench::new(&[]);
    let mut alice = bench.enter("alice");
    let account = alice.conn.caller.login.as_ref().unwrap().account.id;
    let cheap = Hasher::of_cost(1, Cost { memory_kib: 8, passes: 1 });
    let old = bench.runtime.block_on(cheap.hash(Password::new(Secret("open sesame")))).unwrap();
    assert!(bench.core.hasher.is_outdated(&old));
    let (reply, replied) = tokio::sync::oneshot::channel();
    let set = AccountJob::SetPassword { account, hash: Some(old), keep: None, reply };
    bench.core.queue.control(Job::Account(Box::new(set)));
    replied.blocking_recv().unwrap().unwrap();
    alice.rest();

    let (mut one, mut two) = (bench.connect(), bench.connect());
    one.says(Login, "alice|open sesame");
    assert!(two.ask(Login, "alice|open sesame").starts_with("ok|"));
    let (_, later) = one.next();
    assert!(later.starts_with("ok|"), "{later}");
}
