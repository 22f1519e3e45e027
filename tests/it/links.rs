//! Networks that cut, slice, reset and swallow: no part of a frame acts, nothing kept is lost, and whoever vanished is
//! let go.

use std::time::Duration;

use bellhop_protocol::post::Posted;
use bellhop_protocol::{OpCode, Reply, frame};
use bellhop_tests::checker::Verdict;
use bellhop_tests::load::{FREE, Load, Recipient, Work};
use bellhop_tests::peer::{Got, Peer};
use bellhop_tests::proc::{comes_down_to, sockets};
use bellhop_tests::process::Process;
use bellhop_tests::proxy::{End, Plan, Proxy, Way};
use bellhop_tests::server::Home;
use bellhop_tests::terminal::{Signal, Terminal};
use bellhop_tests::wait::wait_for;

use OpCode::{Deliver, List, Logout, Send};

/// Arguments with which a test may make as many connections as it likes.
fn free(more: &[&'static str]) -> Vec<&'static str> {
    let limits = ["connections-addr=off", "unauth=off", "unauth-addr=off"];
    FREE.into_iter().chain(limits.iter().flat_map(|limit| ["--limit", *limit])).chain(more.to_vec()).collect()
}

/// The frames that clients send, from the page's golden bytes.
fn golden() -> Vec<(String, Vec<u8>)> {
    let blocks = include_str!("../../protocol/tests/golden.txt").split("\n\n");
    let of_client = blocks.filter_map(|block| {
        let mut lines = block.lines().filter(|line| !line.starts_with('#'));
        let name = lines.next()?.strip_suffix(" client")?;
        let digits = lines.filter_map(|line| line.trim_start().split("  ").next());
        let bytes = digits.flat_map(|digits| digits.split(' ').filter(|pair| !pair.is_empty()).map(hex));
        Some((name.to_owned(), bytes.collect()))
    });
    of_client.collect()
}

fn hex(pair: &str) -> u8 {
    u8::from_str_radix(pair, 16).expect("two digits")
}

/// What there is: who has an account, and how many messages wait for whom.
fn state(server: &Process) -> (String, Vec<String>) {
    let waiting = ["alice", "bob", "dora"].map(|name| {
        let answer = Peer::connect(server.addr()).ask(OpCode::Login, name);
        answer.rsplit('|').next().unwrap().to_owned()
    });
    (Peer::connect(server.addr()).ask(List, ""), waiting.to_vec())
}

#[test]
fn a_reset_at_any_byte_of_a_frame_has_no_effect_and_frees_the_session() {
    let home = Home::new();
    let server = Process::start(&home.data(), &free(&[]));
    for name in ["alice", "bob", "dora"] {
        drop(Peer::login(server.addr(), name));
    }
    Peer::login(server.addr(), "dora").ask(Send, "bob|hi");
    let before = state(&server);
    let frames = golden();
    assert!(frames.len() > 20, "{} frames", frames.len());
    wait_for("the sessions to end", || (sockets(server.id()) < 8).then_some(()));
    let idle = sockets(server.id());
    for (name, bytes) in frames {
        let mut peers = Vec::new();
        for end in 0..bytes.len() {
            let mut peer = match end % 3 {
                0 => Peer::connect(server.addr()),
                1 => Peer::login(server.addr(), "alice"),
                _ => Peer::hello(server.addr(), "alice", end as u8),
            };
            peer.write(&bytes[..end]);
            peers.push(peer);
            // An account has eight sessions at most.
            if peers.len() == 6 || end + 1 == bytes.len() {
                peers.drain(..).for_each(Peer::reset);
                comes_down_to(server.id(), idle);
            }
        }
        assert_eq!(state(&server), before, "{name}");
        comes_down_to(server.id(), idle);
    }
}

/// A talk of two people that asks every operation; what they read, without what differs each time.
fn talk(connect: &dyn Fn() -> Peer, alice: &str, bob: &str) -> Vec<String> {
    let mut read = Vec::new();
    let (mut here, mut there) = (connect(), connect());
    here.say_hello(1);
    here.enter(alice);
    there.enter(bob);
    let mut say = |got: &Got| {
        let text = match got.reply() {
            Reply::Posted(answer) => format!("{} {:?}", answer.counter, answer.result.map(|ok| ok.posted)),
            Reply::Message(message) => format!("{} {} {}", message.seq, message.from, message.text),
            Reply::Delivery { from, text } => format!("{from} {text}"),
            other => format!("{other:?}").split('-').next().unwrap().to_owned(),
        };
        read.push(text.replace(alice, "alice").replace(bob, "bob"));
    };
    here.send(Deliver, "");
    say(&here.next());
    // Pipelined: many frames in one segment, or as the network has it.
    let mut bytes = Vec::new();
    for number in 0..100 {
        frame::put(
            &mut bytes,
            Send.byte(),
            format!("{alice}|{number} {}", "x".repeat(number * 7)).as_bytes(),
        );
    }
    there.write(&bytes);
    for counter in 1..=20 {
        here.post(counter, bob, &format!("hi {counter}"), false);
        // A push arrives while a frame is under way.
        say(&here.answer(OpCode::Post.answer()));
    }
    for _ in 0..100 {
        let push = here.push();
        say(&push);
        let Reply::Message(message) = push.reply() else { panic!("{push:?}") };
        here.ack(message.seq, message.seq);
    }
    for _ in 0..100 {
        let got = there.answer(Send.answer());
        assert!(got.text().starts_with("ok|delivered|"), "{got:?}");
    }
    while there.pushed.len() < 20 {
        let got = there.next();
        there.pushed.push(got);
    }
    std::mem::take(&mut there.pushed).iter().for_each(&mut say);
    there.send(Logout, "");
    say(&there.next());
    read
}

#[test]
fn a_network_that_slices_changes_nothing() {
    let home = Home::new();
    let server = Process::start(&home.data(), &free(&[]));
    let expected = talk(&|| Peer::connect(server.addr()), "alice", "bob");
    assert_eq!(expected.len(), 142);
    let slow = Way { latency: Duration::from_millis(5), rate: 1_000_000, ..Way::default() };
    let slices = |most| Way { slice: most, ..Way::default() };
    let plans = [(slices(1), slices(1)), (slices(7), slices(3)), (slices(1_000), slow), (slow, slices(1))];
    for (number, (up, down)) in plans.into_iter().enumerate() {
        let proxy = Proxy::start(server.addr(), Plan { up, down, seed: number as u64 });
        let plain = || Peer::connect(proxy.addr());
        let tls = || Peer::connect_tls(proxy.addr(), server.fingerprint());
        for (layer, connect) in [("plain", &plain as &dyn Fn() -> Peer), ("tls", &tls)] {
            let (alice, bob) = (format!("alice-{layer}{number}"), format!("bob-{layer}{number}"));
            assert_eq!(talk(connect, &alice, &bob), expected, "{layer} {up:?} {down:?}");
        }
        assert_eq!(proxy.accepted(), 4);
    }
}

#[test]
fn eight_senders_and_a_reader_in_pieces_stay_in_step() {
    let home = Home::new();
    let server = Process::start(&home.data(), &free(&[]));
    let way = Way { slice: 5, ..Way::default() };
    let proxy = Proxy::start(server.addr(), Plan { up: way, down: way, seed: 3 });
    let work = Work { recipient: Recipient::Early, senders: 8, unanswered: 8, padding: 10 };
    let load = Load::start(proxy.addr(), work);
    load.progress(1_000);
    let (verdict, kept) = load.finish();
    assert_eq!(verdict, Verdict::default(), "{kept} messages");
    // The recipient twice, eight senders, and who ends it: nobody had to come again.
    assert_eq!(proxy.accepted(), 11);
}

#[test]
fn a_network_that_cuts_loses_and_doubles_nothing() {
    let home = Home::new();
    let server = Process::start(&home.data(), &free(&[]));
    for (up, down, end) in [(700, 3_000, End::Reset), (5_000, 411, End::Close), (900, 900, End::HalfClose)] {
        let cut = |at| Way { cut: Some((at, end)), slice: 90, ..Way::default() };
        let proxy = Proxy::start(server.addr(), Plan { up: cut(up), down: cut(down), seed: 4 });
        // On the network as it is there would be no end: every connection carries so much and no more.
        let work = Work { recipient: Recipient::Early, senders: 2, unanswered: 6, padding: 0 };
        let load = Load::start(proxy.addr(), work);
        wait_for("many connections to be cut", || (proxy.accepted() > 60).then_some(()));
        load.moves_to(server.addr());
        let (verdict, kept) = load.finish();
        assert_eq!(verdict, Verdict::default(), "{kept} messages, {end:?}");
        assert!(kept > 30, "{kept} messages, {end:?}");
        let mut bob = Peer::login(server.addr(), "bob");
        assert_eq!(bob.ask(OpCode::Delete, ""), "ok");
        for sender in ["alice", "carol", "zoe"] {
            assert_eq!(Peer::login(server.addr(), sender).ask(OpCode::Delete, ""), "ok");
        }
    }
}

/// What becomes of a POST.
fn posted(peer: &mut Peer, counter: u64, to: &str) -> Posted {
    peer.post(counter, to, &format!("{counter}"), false);
    let got = peer.answer(OpCode::Post.answer());
    let Reply::Posted(answer) = got.reply() else { panic!("{got:?}") };
    answer.result.unwrap().posted
}

#[test]
fn who_vanishes_without_a_word_is_let_go_and_loses_nothing() {
    for (up, down) in [(true, true), (true, false)] {
        let home = Home::new();
        let server = Process::start(&home.data(), &free(&["--limit", "heartbeat=1"]));
        let proxy = Proxy::start(server.addr(), Plan::default());
        let mut bob = Peer::hello(proxy.addr(), "bob", 1);
        bob.ask(Deliver, "");
        let addr = server.addr();
        let mut counter = 0;
        // Each time a fresh session: one that pauses would have to answer heartbeats too.
        let mut post = || {
            // In time, and not more than there is room for in a window: what is shown takes a while.
            std::thread::sleep(Duration::from_millis(20));
            counter += 1;
            posted(&mut Peer::hello(addr, "alice", 2), counter, "bob")
        };
        assert_eq!(post(), Posted::HandedOver);
        proxy.swallow(up, down);
        assert_eq!(post(), Posted::HandedOver, "nobody can know yet");
        wait_for("bob to be let go", || (post() == Posted::Stored).then_some(()));
        drop(bob);
        let mut bob = Peer::hello(server.addr(), "bob", 1);
        assert_eq!(bob.ask(Deliver, ""), format!("ok|{counter}"));
        for number in 1..=counter {
            // Heartbeats may stand between them.
            let is_message = |got: &Got| got.op == OpCode::Message.byte();
            let got = std::iter::repeat_with(|| bob.push()).find(is_message).unwrap();
            assert!(matches!(got.reply(), Reply::Message(message) if message.text == number.to_string()));
        }
    }
}

#[test]
fn who_ends_its_side_gets_what_is_due() {
    let home = Home::new();
    let server = Process::start(&home.data(), &free(&[]));
    drop(Peer::login(server.addr(), "bob"));
    for round in 0..10 {
        let mut alice = Peer::hello(server.addr(), "alice", 1);
        for number in 0..50 {
            alice.send(Send, &format!("bob|{round} {number}"));
            alice.post(round * 50 + number + 1, "bob", "hi", false);
        }
        alice.send(List, "b*");
        alice.finish();
        let mut answers: Vec<u8> = std::iter::from_fn(|| alice.read()).map(|got| got.op).collect();
        answers.sort_unstable();
        let expected =
            [vec![List.answer()], vec![Send.answer(); 50], vec![OpCode::Post.answer(); 50]].concat();
        assert_eq!(answers, expected, "round {round}");
    }
    assert!(Peer::connect(server.addr()).ask(OpCode::Login, "bob").ends_with("|1000"));
}

#[test]
fn a_client_that_is_stopped_costs_nobody_anything_and_gets_everything_later() {
    let (home, client) = (Home::new(), Home::new());
    let server = Process::start(&home.data(), &free(&[]));
    let mut alice = Peer::hello(server.addr(), "alice", 1);
    let screen = Terminal::of("bob", client.path(), server.addr(), (80, 24));
    let text = "x".repeat(1_000);
    alice.post(1, "bob", "before", false);
    alice.answer(OpCode::Post.answer());
    screen.shows("alice");
    screen.signal(Signal::STOP);
    for counter in 2..=3_000 {
        alice.post(counter, "bob", &text, false);
        if counter > 100 {
            alice.answer(OpCode::Post.answer());
        }
    }
    for _ in 0..99 {
        alice.answer(OpCode::Post.answer());
    }
    alice.post(3_001, "bob", "the last one", false);
    assert!(matches!(alice.answer(OpCode::Post.answer()).reply(), Reply::Posted(a) if a.result.is_ok()));
    let mut carol = Peer::login(server.addr(), "carol");
    assert!(carol.ask(Send, "carol|hi").starts_with("ok|delivered|"), "others are served");
    screen.signal(Signal::CONT);
    screen.shows("3001 unread");
}

/// What the system had taken for a client was gone with it: two megabytes fit into its buffers.
#[test]
fn five_thousand_messages_to_one_who_never_read_come_again() {
    let home = Home::new();
    let server = Process::start(&home.data(), &free(&[]));
    drop(Peer::login(server.addr(), "bob"));
    let text = "x".repeat(400);
    let mut bob = Peer::login(server.addr(), "bob");
    bob.send(Deliver, "");
    let mut senders = ["alice", "carol", "dora"].map(|name| Peer::login(server.addr(), name));
    let mut sent = 0;
    while sent < 5_000 {
        for sender in &mut senders {
            sender.send(Send, &format!("bob|{sent} {text}"));
            sent += 1;
        }
        for sender in &mut senders {
            assert!(sender.answer(Send.answer()).text().starts_with("ok|"));
        }
    }
    bob.reset();
    let mut bob = Peer::login(server.addr(), "bob");
    let (texts, answer) = bob.deliver();
    assert_eq!(answer, format!("ok|{sent}"));
    // Each sender's in its order; between senders none is promised.
    for (place, name) in ["alice", "carol", "dora"].into_iter().enumerate() {
        let prefix = format!("{name}|");
        let of_sender: Vec<&str> = texts.iter().filter_map(|got| got.strip_prefix(&prefix)).collect();
        let expected: Vec<String> =
            (place..sent).step_by(3).map(|number| format!("{number} {text}")).collect();
        assert_eq!(of_sender, expected, "{name}");
    }
}
