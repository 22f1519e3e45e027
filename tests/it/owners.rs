//! Who somebody is: an account, never its name and never the connection.

use std::sync::atomic::{AtomicBool, Ordering};

use bellhop_protocol::session::SessionToken;
use bellhop_protocol::{OpCode, Reply, Request};
use bellhop_tests::peer::Peer;
use bellhop_tests::server::Local;

use OpCode::{Create, Delete, Deliver, List, Login, Logout, Send};

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

#[test]
fn a_name_that_is_made_again_inherits_nothing() {
    for again in ["alice", "ALICE", "Alice"] {
        let server = Local::start(&[]);
        let mut alice = server.hello("Alice", 1);
        let uuid = alice.ask(Logout, "");
        assert_eq!(uuid, "ok");
        let before = alice.ask(Login, "alice");
        let (token, mut there) = (token(&mut alice), server.login("alice"));
        let mut bob = server.login("bob");
        assert!(bob.ask(Send, "alice|for the old alice").starts_with("ok|delivered|"));
        assert_eq!(alice.ask(Delete, ""), "ok");
        there.ends_with("account-deleted");

        let mut mallory = Peer::greet(server.addr(), 1);
        let made = mallory.ask(Create, again);
        assert!(made.starts_with("ok|") && !before.starts_with(&made), "{again}: {made} after {before}");
        assert_eq!(mallory.ask(Deliver, ""), "ok|0", "{again}");
        assert!(!resumes(&server, 1, token), "{again}: the old token");
        assert!(bob.ask(Send, "aLiCe|for the new alice").starts_with("ok|delivered|"));
        let push = mallory.push();
        assert!(matches!(push.reply(), Reply::Message(message) if message.text == "for the new alice"));
        assert_eq!(bob.ask(List, ""), format!("ok|{again}|bob"));
        // After a restart as well.
        drop((mallory, alice));
        let server = server.restart(&[]);
        let mut mallory = server.login("alice");
        assert_eq!(mallory.deliver().1, "ok|1", "{again}: only what came to the new one");
        assert!(!resumes(&server, 1, token), "{again}: the old token, after a restart");
    }
}

#[test]
fn a_deleted_name_is_held_off_an_open_listener() {
    let closed = ["--auth", "password", "--register", "open", "--limit", "login-fail=off"];
    let server = Local::start(&closed);
    let mut alice = server.connect();
    assert!(alice.ask(Create, "Alice|open sesame").starts_with("ok|"));
    assert_eq!(alice.ask(Delete, "open sesame"), "ok");
    let taken = |server: &Local, name: &str| {
        server.connect().ask(Create, &format!("{name}|open sesame")).starts_with("error|name-taken|")
    };
    for name in ["Alice", "alice", "ALICE"] {
        assert!(taken(&server, name), "{name}");
    }
    assert!(server.connect().ask(Login, "alice|open sesame").starts_with("error|bad-password|"));
    let server = server.restart(&closed);
    assert!(taken(&server, "alice"), "after a restart");
    assert!(!taken(&server, "alice2"), "another name");
    // On an open listener it is free at once.
    let server = server.restart(&[]);
    let mut alice = server.connect();
    assert!(alice.ask(Create, "alice").starts_with("ok|"));
    assert_eq!(alice.ask(Delete, ""), "ok");
    assert!(alice.ask(Create, "alice").starts_with("ok|"), "and what is deleted there is not held");
    assert_eq!(alice.ask(Delete, ""), "ok");
    let server = server.restart(&closed);
    assert!(!taken(&server, "alice"));
}

/// Set when it goes: whatever fails meanwhile, who waits for it ends.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// While messages for alice come without end, one connection is alice, bob, alice, bob …
#[test]
fn nothing_for_one_reaches_another_on_the_same_connection() {
    let server =
        Local::start(&["--limit", "sends=off", "--limit", "mailbox=off", "--limit", "mailbox-sender=off"]);
    drop((server.login("alice"), server.login("bob")));
    let (mut sender, stop) = (server.login("carol"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _stops = Stops(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let answer = sender.ask(Send, "alice|for alice");
                assert!(answer.starts_with("ok|"), "{answer}");
            }
        });
        for device in [None, Some(1)] {
            let mut peer = match device {
                None => server.connect(),
                Some(device) => Peer::greet(server.addr(), device),
            };
            for round in 0..30 {
                let name = ["alice", "bob"][round % 2];
                assert!(peer.ask(Login, name).starts_with("ok|"));
                assert!(peer.ask(Deliver, "").starts_with("ok|"));
                if name == "alice" {
                    assert_eq!(peer.push().op, if device.is_none() { 0x06 } else { 0x09 });
                }
                let before = peer.pushed.len();
                assert!(name == "alice" || before == 0, "bob got {:?}", peer.pushed);
                // What was on its way to alice comes before the answer, and nothing after it.
                assert_eq!(peer.ask(Logout, ""), "ok");
                peer.pushed.clear();
                assert!(peer.ask(List, "b*").starts_with("ok|bob"));
                assert!(peer.pushed.is_empty(), "after the logout: {:?}", peer.pushed);
            }
        }
    });
}
