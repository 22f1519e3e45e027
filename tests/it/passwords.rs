//! Passwords over real sockets: changing them and what a change ends, guessing them, and what a guesser learns.

use bellhop_protocol::session::{NewPassword, SessionToken};
use bellhop_protocol::text::Secret;
use bellhop_protocol::{Code, OpCode, Reply, Request};
use bellhop_tests::peer::Peer;
use bellhop_tests::server::Local;

use OpCode::{Create, Delete, Deliver, Login, Logout, Send};

/// Asks for another password: nothing, or the code of the refusal. An empty old one is none.
fn change(peer: &mut Peer, old: &str, new: &str) -> Result<(), Code> {
    let old = (!old.is_empty()).then_some(Secret(old));
    peer.request(&Request::Password(NewPassword { old, new: Secret(new) }));
    match peer.answer(OpCode::Password.answer()).reply() {
        Reply::PasswordChanged => Ok(()),
        Reply::Refused(OpCode::Password, failure) => Err(failure.reason.code().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn token(peer: &mut Peer) -> SessionToken {
    peer.request(&Request::Token);
    match peer.answer(OpCode::Token.answer()).reply() {
        Reply::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

fn resumes(server: &Local, device: u8, token: SessionToken) -> bool {
    let mut peer = Peer::greet(server.addr(), device);
    peer.request(&Request::Resume(token));
    matches!(peer.answer(OpCode::Resume.answer()).reply(), Reply::Resumed(_))
}

/// A device of an account with a password, logged in.
fn device(server: &Local, device: u8, op: OpCode, data: &str) -> Peer {
    let mut peer = Peer::greet(server.addr(), device);
    let answer = peer.ask(op, data);
    assert!(answer.starts_with("ok|"), "{answer}");
    peer
}

#[test]
fn another_password_ends_what_the_old_one_opened() {
    let server = Local::start(&[]);
    let mut here = device(&server, 1, Create, "alice|open sesame");
    let mut there = device(&server, 2, Login, "alice|open sesame");
    let mut text = server.connect();
    assert!(text.ask(Login, "alice|open sesame").starts_with("ok|"));
    let tokens = [token(&mut here), token(&mut there)];
    assert!(resumes(&server, 2, tokens[1]), "a token is good until then");
    there.ends_with("replaced");
    let mut there = device(&server, 2, Login, "alice|open sesame");
    let tokens = [tokens[0], token(&mut there)];

    assert_eq!(change(&mut here, "open sesame", "pass sesame"), Ok(()));
    there.ends_with("bad-token");
    text.ends_with("bad-token");
    for (number, token) in (1..).zip(tokens) {
        assert!(!resumes(&server, number, token), "the token of device {number}");
    }
    // Whoever asked stays, and asks for a new token.
    assert_eq!(here.ask(Deliver, ""), "ok|0");
    assert!(here.ask(Send, "alice|to myself").starts_with("ok|delivered|"));
    let new = token(&mut here);
    drop(here);
    let server = server.restart(&[]);
    assert!(server.connect().ask(Login, "alice|open sesame").starts_with("error|bad-password|"));
    assert!(server.connect().ask(Login, "alice|pass sesame").starts_with("ok|"));
    assert!(resumes(&server, 1, new));
}

#[test]
fn another_password_asks_for_the_one_until_now() {
    let server = Local::start(&["--limit", "login-fail=off"]);
    let mut alice = device(&server, 1, Create, "alice|open sesame");
    let token = token(&mut alice);
    for (old, new, expected) in [
        ("open  sesame", "pass sesame", Code::BAD_PASSWORD),
        ("Open sesame", "pass sesame", Code::BAD_PASSWORD),
        (&"x".repeat(300), "pass sesame", Code::BAD_PASSWORD),
        ("", "pass sesame", Code::PASSWORD_NEEDED),
        ("open sesame", "1234567", Code::BAD_PASSWORD),
        ("open sesame", "", Code::BAD_PASSWORD),
        ("open sesame", &"x".repeat(257), Code::BAD_PASSWORD),
    ] {
        assert_eq!(change(&mut alice, old, new), Err(expected), "{old:?} to {new:?}");
    }
    assert!(resumes(&server, 1, token), "nothing was revoked");
    alice.ends_with("replaced");
    assert!(server.connect().ask(Login, "alice|open sesame").starts_with("ok|"));

    // Who has only the token cannot change it without knowing it.
    let mut alice = device(&server, 1, Login, "alice|open sesame");
    assert_eq!(change(&mut alice, "open sesame", &"x".repeat(256)), Ok(()));
    assert_eq!(change(&mut alice, &"x".repeat(256), "pass|sesame"), Ok(()));
    assert!(server.connect().ask(Login, "alice|pass|sesame").starts_with("ok|"));
}

#[test]
fn a_first_password_needs_none_before() {
    let server = Local::start(&[]);
    let (mut alice, mut there) = (server.hello("alice", 1), server.login("alice"));
    assert_eq!(change(&mut alice, "guessed", "open sesame"), Err(Code::BAD_PASSWORD));
    assert_eq!(change(&mut alice, "", "open sesame"), Ok(()));
    there.ends_with("bad-token");
    assert!(server.connect().ask(Login, "alice").starts_with("error|password-needed|"));
    assert!(alice.ask(Delete, "").starts_with("error|password-needed|"));
    assert_eq!(alice.ask(Delete, "open sesame"), "ok");
    assert_eq!(change(&mut alice, "open sesame", "pass sesame"), Err(Code::NOT_LOGGED_IN));
    assert!(alice.ask(Create, "alice").starts_with("ok|"));
    assert_eq!(alice.ask(Logout, ""), "ok");
}

/// Two sessions that ask at once: one of them ends the other, and what the other asked for is not done.
#[test]
fn a_session_that_was_ended_changes_nothing() {
    let server = Local::start(&[]);
    let mut one = device(&server, 1, Create, "alice|open sesame");
    let mut two = device(&server, 2, Login, "alice|open sesame");
    let ask = |peer: &mut Peer, new: &'static str| {
        let old = Some(Secret("open sesame"));
        peer.request(&Request::Password(NewPassword { old, new: Secret(new) }));
    };
    ask(&mut one, "new password one");
    ask(&mut two, "new password two");
    let changed = |peer: &mut Peer| loop {
        match peer.read() {
            None => break false,
            Some(got) if got.op == OpCode::Password.answer() => {
                break matches!(got.reply(), Reply::PasswordChanged);
            }
            Some(_) => {}
        }
    };
    let done = [changed(&mut one), changed(&mut two)];
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    for (word, done) in ["one", "two"].into_iter().zip(done) {
        let answer = server.connect().ask(Login, &format!("alice|new password {word}"));
        assert_eq!(answer.starts_with("ok|"), done, "{word}: {answer}");
    }
}
