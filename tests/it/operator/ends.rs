//! `why`: how messages end; `drain`: how a server does.

use super::*;

#[test]
fn why_tells_where_a_message_is_and_what_happens_next() {
    let server = Local::start(&[]);
    let data = server.home().data();
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    drop(bob);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    alice.post(1, "bob", "a secret text", true);
    let id = match alice.answer(OpCode::Post.answer()).reply() {
        Reply::Posted(answer) => answer.result.unwrap().id.0.to_string(),
        other => panic!("{other:?}"),
    };
    let why = op(&data, &["why", &id]).done();
    for part in
        ["from alice to bob: 13 bytes", "kept since", "waits for device 0202", "last seen", "expires on"]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(why.contains("alice is to learn how it ends") && !why.contains("secret"), "{why}");
    let user = op(&data, &["why", "bob"]).done();
    for part in ["not here", "1 item waits for it", "1 message waits", "the oldest waits since", "expires on"]
    {
        assert!(user.contains(part), "{part}: {user}");
    }

    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    let got = bob.push();
    let underway = op(&data, &["why", &id]).done();
    assert!(underway.contains("which is here; 1 item underway"), "{underway}");
    bob.ack(seq(&got), seq(&got));
    alice.push();
    let taken = op(&data, &["why", &id]).done();
    assert!(taken.contains("taken by 1 device of bob: 0202"), "{taken}");
    assert!(taken.contains("waits for nobody") && taken.contains("a receipt, delivered"), "{taken}");
    assert!(op(&data, &["why", "bob"]).done().contains("0 messages wait"), "nothing waits any more");
    assert!(op(&data, &["why", "00000000-0000-4000-8000-000000000000"]).done().contains("nobody knows it"));
    op(&data, &["why", "nobody"]).refused(1, "nobody has the name");
    op(&data, &["why", "x\u{1b}[2J"]).refused(1, "no id of a message");
}

/// Of a message that left nothing behind it is known all the same whether it was ever kept, and from whom.
#[test]
fn why_knows_messages_in_memory_and_those_that_are_gone() {
    let server = Local::start(&["--durability", "none"]);
    let data = server.home().data();
    let mut bob = server.hello("bob", 2);
    let mut alice = server.hello("alice", 1);
    alice.post(1, "bob", "hi", false);
    let id = match alice.answer(OpCode::Post.answer()).reply() {
        Reply::Posted(answer) => answer.result.unwrap().id.0.to_string(),
        other => panic!("{other:?}"),
    };
    let why = op(&data, &["why", &id]).done();
    assert!(why.contains("from alice to bob: 2 bytes") && why.contains("waits for bob to log in"), "{why}");
    bob.ask(Deliver, "");
    let got = bob.push();
    bob.ack(seq(&got), seq(&got));
    bob.is_quiet();
    let why = op(&data, &["why", &id]).done();
    assert!(why.contains("it is kept no longer: alice sent it"), "{why}");
}

// ---- drain

#[test]
fn a_drain_lets_what_is_due_finish_and_ends_the_server() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let addr = server.addr();
    let mut quiet = Peer::hello(addr, "alice", 1);
    let mut busy = Peer::hello(addr, "bob", 2);
    busy.ask(Deliver, "");
    quiet.post(1, "bob", "hi", false);
    quiet.answer(OpCode::Post.answer());
    let got = busy.push();
    let mut draining =
        command(&home.data(), &["drain", "--grace", "60"]).stdout(Stdio::piped()).spawn().unwrap();
    // Nothing is due on this one, while the other has yet to acknowledge what it was brought.
    quiet.ends_with("shutting-down");
    assert!(std::net::TcpStream::connect(addr).is_err(), "nobody new is let in");
    assert_eq!(json(&home.data(), &["status", "--json"])["draining"], true);
    assert_eq!(busy.ask(List, "nobody-has-such-a-name"), "ok", "it is still served");
    busy.ack(seq(&got), seq(&got));
    busy.ends_with("shutting-down");
    assert!(server.wait().success());
    assert!(draining.wait().unwrap().success());
    op(&home.data(), &["status"]).refused(1, "no server runs");
    // The acknowledgement was saved.
    let server = Process::start(&home.data(), &[]);
    let mut busy = Peer::hello(server.addr(), "bob", 2);
    busy.ask(Deliver, "");
    busy.is_quiet();
}

#[test]
fn who_does_not_finish_in_time_is_told_to_go() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let mut alice = Peer::login(server.addr(), "alice");
    let mut bob = Peer::hello(server.addr(), "bob", 2);
    bob.ask(Deliver, "");
    alice.ask(Send, "bob|hi");
    bob.push();
    let said = op(&home.data(), &["drain", "--grace", "1"]).done();
    assert!(said.contains("takes no more connections; 2 are here") && said.contains("has ended"), "{said}");
    bob.ends_with("shutting-down");
    assert!(server.wait().success());
}

// ---- wrong words, and the door
