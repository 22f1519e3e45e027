//! The session extension over real sockets.

use bellhop_protocol::OpCode::{Create, Delete, Deliver, Login, Logout, Send};
use bellhop_protocol::item::{Read, ReceiptState};
use bellhop_protocol::post::Posted;
use bellhop_protocol::{Code, MessageId, OpCode, Reply, Request};
use bellhop_tests::peer::Peer;
use bellhop_tests::server::Local;
use bellhop_tests::wait::wait_for;

/// What a POST was answered: counter, outcome or code, id.
fn posted(peer: &mut Peer) -> (u64, Result<Posted, Code>, Option<MessageId>) {
    match peer.answer(OpCode::Post.answer()).reply() {
        Reply::Posted(answer) => {
            let outcome = answer.result.map(|ok| ok.posted).map_err(|failure| failure.code);
            (answer.counter, outcome, answer.result.ok().map(|ok| ok.id))
        }
        other => panic!("{other:?}"),
    }
}

/// The next item: `7 alice: hi`, or `8 bob delivered`.
fn item(peer: &mut Peer) -> String {
    let got = peer.push();
    match got.reply() {
        Reply::Message(message) => format!("{} {}: {}", message.seq, message.from, message.text),
        Reply::Receipt(receipt) => {
            format!("{} {} {}", receipt.seq, receipt.peer, format!("{:?}", receipt.state).to_lowercase())
        }
        other => panic!("{other:?}"),
    }
}

fn seq(item: &str) -> u64 {
    item.split(' ').next().unwrap().parse().unwrap()
}

/// Waits until everything that an ACK does is done: an answer to a later request comes after it.
fn settle(peer: &mut Peer) {
    peer.request(&Request::Ping(*b"settle!!"));
    peer.answer(OpCode::Ping.answer());
}

#[test]
fn a_post_is_handed_over_acknowledged_and_gone() {
    let server = Local::start(&[]);
    let (mut alice, mut bob) = (server.hello("alice", 1), server.hello("bob", 2));
    alice.post(1, "bob", "before his stream is open", false);
    assert_eq!(posted(&mut alice).1, Ok(Posted::Stored));
    assert_eq!(bob.ask(Deliver, ""), "ok|1");
    assert_eq!(item(&mut bob), "1 alice: before his stream is open");
    alice.post(2, "bob", "live", false);
    let (counter, outcome, id) = posted(&mut alice);
    assert_eq!((counter, outcome, id.unwrap().0.get_version_num()), (2, Ok(Posted::HandedOver), 8));
    assert_eq!(item(&mut bob), "2 alice: live");
    bob.ack(1, 2);
    assert_eq!(bob.ask(Deliver, ""), "ok|0", "asked again it tells the number");
    drop(bob);
    let mut bob = server.hello("bob", 2);
    assert_eq!(bob.ask(Deliver, ""), "ok|0");
}

#[test]
fn what_is_not_acknowledged_comes_again() {
    let server = Local::start(&[]);
    let (mut alice, mut bob) = (server.hello("alice", 1), server.hello("bob", 2));
    bob.ask(Deliver, "");
    for counter in 1..=5 {
        alice.post(counter, "bob", &counter.to_string(), false);
        assert_eq!(posted(&mut alice).1, Ok(Posted::HandedOver));
    }
    (0..5).for_each(|_| drop(item(&mut bob)));
    bob.ack(2, 3);
    bob.ack(1_000, 2_000);
    settle(&mut bob);
    drop(bob);
    let mut bob = server.hello("bob", 2);
    assert_eq!(bob.ask(Deliver, ""), "ok|3");
    assert_eq!([item(&mut bob), item(&mut bob), item(&mut bob)], ["1 alice: 1", "4 alice: 4", "5 alice: 5"]);
}

#[test]
fn a_repeat_is_seen_before_and_stores_nothing() {
    let server = Local::start(&[]);
    let (mut alice, mut bob) = (server.hello("alice", 1), server.hello("bob", 2));
    bob.ask(Deliver, "");
    alice.post(7, "bob", "once", false);
    let (_, _, first) = posted(&mut alice);
    alice.post(7, "bob", "another text", false);
    assert_eq!(posted(&mut alice), (7, Ok(Posted::SeenBefore), first));
    drop(alice);
    let mut alice = server.hello("alice", 1);
    alice.post(7, "nobody", "to somebody else", false);
    assert_eq!(posted(&mut alice), (7, Ok(Posted::SeenBefore), first));
    let server = server.restart(&[]);
    let mut alice = server.hello("alice", 1);
    alice.post(7, "bob", "after a restart", false);
    assert_eq!(posted(&mut alice), (7, Ok(Posted::SeenBefore), first));
    // Another device, and another account, have counters of their own.
    let mut other = server.hello("alice", 9);
    other.post(7, "bob", "other device", false);
    let (_, outcome, id) = posted(&mut other);
    assert!(outcome == Ok(Posted::Stored) && id != first);
    let mut bob = server.hello("bob", 2);
    assert_eq!(bob.ask(Deliver, ""), "ok|2");
    assert_eq!(
        [item(&mut bob), item(&mut bob)].map(|item| item.split_once(' ').unwrap().1.to_owned()),
        ["alice: once", "alice: other device"]
    );
}

#[test]
fn what_was_kept_stays_kept_under_a_lower_limit() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    server.login("bob");
    let text = "x".repeat(2_000);
    alice.post(7, "bob", &text, false);
    let (_, kept, id) = posted(&mut alice);
    assert!(kept.is_ok());
    let server = server.restart(&["--limit", "text=1024"]);
    let mut alice = server.hello("alice", 1);
    alice.post(7, "bob", &text, false);
    assert_eq!(
        posted(&mut alice),
        (7, Ok(Posted::SeenBefore), id),
        "a client that hears of a refusal sends it anew"
    );
    alice.post(8, "bob", &text, false);
    assert_eq!(posted(&mut alice).1, Err(Code::TOO_LONG));
}

#[test]
fn counters_may_come_in_any_order_within_the_window() {
    let server = Local::start(&["--limit", "sends=off"]);
    let mut alice = server.hello("alice", 1);
    drop(server.login("bob"));
    for (counter, expected) in [
        (2_000, Ok(Posted::Stored)),
        (977, Ok(Posted::Stored)),
        (977, Ok(Posted::SeenBefore)),
        (976, Err(Code::STALE_COUNTER)),
        (1, Err(Code::STALE_COUNTER)),
        (2_001, Ok(Posted::Stored)),
        (977, Err(Code::STALE_COUNTER)),
        ((1 << 63) - 1, Ok(Posted::Stored)),
    ] {
        alice.post(counter, "bob", "x", false);
        assert_eq!(posted(&mut alice).1, expected, "{counter}");
    }
}

#[test]
fn refusals_do_not_move_the_window() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    alice.post(5_000, "nobody", "x", false);
    assert_eq!(posted(&mut alice).1, Err(Code::NO_SUCH_USER));
    alice.post(1, "alice", "x", false);
    assert_eq!(posted(&mut alice).1, Ok(Posted::Stored));
    alice.post(2, "alice", &"x".repeat(16_385), false);
    assert_eq!(posted(&mut alice).1, Err(Code::TOO_LONG));
    alice.post(2, "alice@elsewhere", "x", false);
    assert_eq!(posted(&mut alice).1, Err(Code::NO_SUCH_USER));
}

#[test]
fn a_sender_learns_that_its_message_was_delivered() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    drop(server.login("bob"));
    alice.post(1, "bob", "one", true);
    let id = posted(&mut alice).2.unwrap();
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    item(&mut bob);
    alice.is_quiet();
    bob.ack(1, 1);
    let got = alice.push();
    let Reply::Receipt(receipt) = got.reply() else { panic!("{got:?}") };
    assert_eq!((receipt.id, receipt.state, receipt.peer), (id, ReceiptState::Delivered, "bob"));
    // It comes again until it is acknowledged, and then no more.
    drop(alice);
    let mut alice = server.hello("alice", 1);
    assert_eq!(alice.ask(Deliver, ""), "ok|1");
    assert_eq!(item(&mut alice), format!("{} bob delivered", receipt.seq));
    alice.ack(receipt.seq, receipt.seq);
    settle(&mut alice);
    drop(alice);
    assert_eq!(server.hello("alice", 1).ask(Deliver, ""), "ok|0");
}

#[test]
fn a_text_session_takes_and_the_sender_learns_it() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    let mut bob = server.login("bob");
    alice.post(1, "bob", "hi", true);
    assert_eq!(posted(&mut alice).1, Ok(Posted::HandedOver));
    assert_eq!(bob.next().text(), "alice|hi");
    alice.is_quiet();
    assert_eq!(bob.ask(Logout, ""), "ok");
    assert!(item(&mut alice).ends_with("bob delivered"));
}

#[test]
fn a_receipt_is_for_the_device_that_posted() {
    let server = Local::start(&[]);
    let (mut laptop, mut phone) = (server.hello("alice", 1), server.hello("alice", 2));
    laptop.ask(Deliver, "");
    phone.ask(Deliver, "");
    let mut bob = server.hello("bob", 3);
    bob.ask(Deliver, "");
    phone.post(1, "bob", "from the phone", true);
    posted(&mut phone).1.unwrap();
    item(&mut bob);
    bob.ack(1, 1);
    assert!(item(&mut phone).ends_with("bob delivered"));
    laptop.is_quiet();
    assert_eq!(laptop.ask(Deliver, ""), "ok|0");
}

#[test]
fn a_receipt_survives_a_restart_on_either_side() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    drop(server.login("bob"));
    alice.post(1, "bob", "one", true);
    posted(&mut alice).1.unwrap();
    let server = server.restart(&[]);
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    let seq = seq(&item(&mut bob));
    bob.ack(seq, seq);
    settle(&mut bob);
    let server = server.restart(&[]);
    let mut alice = server.hello("alice", 1);
    assert_eq!(alice.ask(Deliver, ""), "ok|1");
    assert!(item(&mut alice).ends_with("bob delivered"));
}

#[test]
fn a_sender_learns_that_the_account_went() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    let mut bob = server.hello("bob", 2);
    for (counter, wanted) in [(1, true), (2, false), (3, true)] {
        alice.post(counter, "bob", "x", wanted);
        posted(&mut alice).1.unwrap();
    }
    bob.ask(Deliver, "");
    bob.ack(1, 1);
    assert!(item(&mut alice).ends_with("bob delivered"));
    assert_eq!(bob.ask(Delete, ""), "ok");
    assert!(item(&mut alice).ends_with("bob refused"));
    alice.is_quiet();
}

#[test]
fn who_has_read_what() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    alice.post(1, "bob", "hi", false);
    let id = posted(&mut alice).2.unwrap();
    item(&mut bob);
    let mut read = Vec::new();
    Read::put(&[(id, "alice"), (id, "nobody"), (id, "far@away")], &mut read);
    bob.write(&read);
    let got = alice.push();
    let Reply::Receipt(receipt) = got.reply() else { panic!("{got:?}") };
    assert_eq!((receipt.id, receipt.state, receipt.peer), (id, ReceiptState::Read, "bob"));
    alice.is_quiet();
}

#[test]
fn several_devices_each_get_everything() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    let (mut laptop, mut phone) = (server.hello("bob", 2), server.hello("bob", 3));
    laptop.ask(Deliver, "");
    phone.ask(Deliver, "");
    let mut text = server.login("bob");
    alice.post(1, "bob", "hi", false);
    assert_eq!(item(&mut laptop), "1 alice: hi");
    assert_eq!(item(&mut phone), "1 alice: hi");
    assert_eq!(text.next().text(), "alice|hi");
    laptop.ack(1, 1);
    settle(&mut laptop);
    drop(phone);
    assert_eq!(server.hello("bob", 3).ask(Deliver, ""), "ok|1", "the phone has not acknowledged it");
    assert_eq!(text.ask(Deliver, ""), "ok|0");
}

#[test]
fn a_newer_session_of_a_device_replaces_the_older() {
    let server = Local::start(&[]);
    let mut old = server.hello("alice", 1);
    old.ask(Deliver, "");
    let mut new = server.hello("alice", 1);
    old.ends_with("replaced");
    assert_eq!(new.ask(Deliver, ""), "ok|0");
    let mut bob = server.login("bob");
    assert!(bob.ask(Send, "alice|hi").starts_with("ok|delivered|"));
    assert_eq!(item(&mut new), "1 bob: hi");
}

#[test]
fn the_window_holds_back_what_is_not_acknowledged() {
    let server = Local::start(&["--limit", "sends=off", "--limit", "mailbox-sender=off"]);
    let mut alice = server.hello("alice", 1);
    drop(server.login("bob"));
    for counter in 1..=3_000 {
        alice.post(counter, "bob", "x", false);
    }
    (0..3_000).for_each(|_| assert!(posted(&mut alice).1.is_ok()));
    let mut bob = server.hello("bob", 2);
    assert_eq!(bob.ask(Deliver, ""), "ok|3000");
    let mut got = 0;
    while got < 1_024 {
        got += 1;
        assert_eq!(seq(&item(&mut bob)), got);
    }
    bob.is_quiet();
    bob.ack(1, 1);
    assert_eq!(seq(&item(&mut bob)), 1_025);
    bob.ack(1, 1_024);
    (1_026..=2_048).for_each(|number| assert_eq!(seq(&item(&mut bob)), number));
    bob.ack(1, 2_048);
    (2_049..=3_000).for_each(|number| assert_eq!(seq(&item(&mut bob)), number));
    bob.ack(1, 3_000);
    assert_eq!(bob.ask(Deliver, ""), "ok|0");
}

#[test]
fn logging_out_closes_the_stream_and_keeps_the_device() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    assert_eq!(bob.ask(Logout, ""), "ok");
    assert!(alice.ask(Send, "bob|one").starts_with("ok|queued|"));
    bob.post(1, "alice", "x", false);
    assert_eq!(posted(&mut bob).1, Err(Code::NOT_LOGGED_IN));
    assert!(bob.ask(Login, "bob").ends_with("|1"));
    assert!(alice.ask(Send, "bob|two").starts_with("ok|queued|"), "its stream is not open");
    assert_eq!(bob.ask(Deliver, ""), "ok|2");
    assert_eq!([item(&mut bob), item(&mut bob)], ["1 alice: one", "2 alice: two"]);
    // Another account on the same connection and device has nothing of it.
    assert_eq!(bob.ask(Logout, ""), "ok");
    assert!(bob.ask(Create, "carol").starts_with("ok|"));
    assert_eq!(bob.ask(Deliver, ""), "ok|0");
}

#[test]
fn hello_is_answered_with_what_the_server_is() {
    let server = Local::start(&["--limit", "frame=100000"]);
    let mut peer = server.connect();
    let mut hello = vec![0, 0, 0, 31, 0x07, 0, 9];
    hello.extend([5; 16]);
    hello.extend([0, 0, 0, 0, 8]);
    hello.extend(b"test 1.0");
    peer.write(&hello);
    let got = peer.next();
    let Reply::Refused(OpCode::Hello, failure) = got.reply() else { panic!("{got:?}") };
    assert_eq!(
        (failure.reason.code(), failure.sentence),
        (Some(Code::VERSION), "this server speaks version 1")
    );
    assert!(peer.ask(Create, "alice").starts_with("ok|"), "the seven operations still work");

    let mut peer = server.connect();
    hello[6] = 1;
    peer.write(&hello);
    let got = peer.next();
    let Reply::Welcome(welcome) = got.reply() else { panic!("{got:?}") };
    assert_eq!(
        (welcome.version, welcome.max_data, welcome.window, welcome.heartbeat_s),
        (1, 100_000, 1_024, 30)
    );
    assert!(welcome.node.starts_with("node-") && welcome.agent.starts_with("bellhop-server/"));

    for device in [0, 0xFF] {
        let mut peer = server.connect();
        hello[7..23].fill(device);
        peer.write(&hello);
        assert!(matches!(peer.next().reply(), Reply::Refused(OpCode::Hello, _)), "no random bits");
    }
}

#[test]
fn a_message_to_a_half_open_session_waits() {
    let server = Local::start(&["--limit", "heartbeat=1"]);
    let mut alice = server.login("alice");
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    assert!(alice.ask(Send, "bob|hi").starts_with("ok|delivered|"));
    // Bob reads nothing and answers no PING: after three heartbeats he is gone, and the message waits.
    wait_for("the session to be given up", || {
        (server.core().hub.by_name("bob")?.mailbox.lock().sessions() == 0).then_some(())
    });
    assert!(alice.ask(Send, "bob|again").starts_with("ok|queued|"));
    let mut bob = server.hello("bob", 2);
    assert_eq!(bob.ask(Deliver, ""), "ok|2");
}

#[test]
fn an_answered_ping_keeps_the_session() {
    let server = Local::start(&["--limit", "heartbeat=1"]);
    let mut bob = server.hello("bob", 2);
    for _ in 0..4 {
        let got = bob.next();
        let Reply::Ping(bytes) = got.reply() else { panic!("{got:?}") };
        bob.request(&Request::Pong(bytes));
    }
    bob.is_quiet();
}
