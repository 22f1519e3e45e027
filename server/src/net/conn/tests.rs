//! Connections over scripted streams, a turn at a time: what the operating system holds and what the runtime has
//! noticed of it are apart, as they are on a machine. Time is moved; only the writing thread is waited for.

mod bench;
mod doors;
mod ended;
mod leave;
mod limits;
mod model;
mod panics;
mod passwords;
mod runs;
mod schedules;
mod wall;
mod watchers;

use std::collections::BTreeMap;

use bellhop_protocol::op::NOTICE;
use bellhop_protocol::post::Post;
use bellhop_protocol::presence::Watch;
use bellhop_protocol::session::Hello;
use bellhop_protocol::{Address, DeviceId, OpCode, Request, frame};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::bench::Bench;
use super::write::{FETCH_AGAIN, FETCHES_EMPTY_MAX, LINGER};
use super::*;
use crate::store::memory::MemoryStore;
use crate::store::{Batch, Store, StoreError, Write};

use OpCode::{Deliver, List, Login, Logout, Send};

/// How long the writing thread may take to answer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

const SECOND: Duration = Duration::from_secs(1);

fn bytes(op: OpCode, data: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::put(&mut bytes, op.byte(), data.as_bytes());
    bytes
}

fn hello(device: u8) -> Vec<u8> {
    hello_with(device, 0)
}

fn hello_with(device: u8, features: u32) -> Vec<u8> {
    let device = DeviceId([device; 16]);
    Request::Hello(Hello { version: 1, device, features, agent: "test" }).to_bytes()
}

fn watch(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Watch::put(names.iter().copied(), &mut bytes);
    bytes
}

fn post(counter: u64, to: &str, text: &str) -> Vec<u8> {
    let to = Address::parse(to).unwrap();
    Request::Post(Post { counter, receipts: false, to, text }).to_bytes()
}

/// How many messages wait for an account that has no session.
fn waiting(bench: &Bench, name: &str) -> String {
    bench.connect().ask(Login, name).rsplit_once('|').unwrap().1.to_owned()
}

/// What came before a message was written counted as an answer to it: the message was lost where the connection broke.
#[test]
fn a_request_from_before_a_message_does_not_take_it() {
    for bench in Bench::both(&[]) {
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        bob.arrives(&bytes(List, "bob"));
        alice.says(Send, "bob|hi");
        assert_eq!(bob.next(), (Deliver.byte(), "alice|hi".into()));
        bob.notices();
        assert_eq!(bob.next(), (List.answer(), "ok|bob".into()));
        drop(bob);
        assert_eq!(waiting(&bench, "bob"), "1");
    }
}

#[test]
fn a_request_from_after_a_message_takes_it() {
    for bench in Bench::both(&[]) {
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        alice.says(Send, "bob|hi");
        assert_eq!(bob.next(), (Deliver.byte(), "alice|hi".into()));
        assert_eq!(bob.ask(List, "bob"), "ok|bob");
        drop(bob);
        assert_eq!(waiting(&bench, "bob"), "0");
    }
}

/// Of what is read together nobody knows which part came first.
#[test]
fn requests_from_before_and_after_a_message_leave_it_to_the_next_one() {
    for (further, left, bench) in [(false, "1"), (true, "0")]
        .into_iter()
        .flat_map(|(further, left)| Bench::both(&[]).map(|bench| (further, left, bench)))
    {
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        bob.arrives(&bytes(List, "bob"));
        alice.says(Send, "bob|hi");
        assert_eq!(bob.next().1, "alice|hi");
        bob.says(List, "alice");
        assert_eq!([bob.next().1, bob.next().1], ["ok|bob", "ok|alice"]);
        if further {
            assert_eq!(bob.ask(List, "bob"), "ok|bob");
        }
        drop(bob);
        assert_eq!(waiting(&bench, "bob"), left);
    }
}

/// Whoever answers before the server's task goes on has read all the same.
#[test]
fn a_request_at_once_takes_what_it_answers() {
    for (op, bench) in [Deliver.answer(), Deliver.byte()]
        .into_iter()
        .flat_map(|op| Bench::both(&[]).map(|bench| (op, bench)))
    {
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        assert_eq!(bob.ask(Logout, ""), "ok");
        if op == Deliver.answer() {
            alice.ask(Send, "bob|hi");
        }
        bob.enter("bob");
        bob.kernel.lock().reaction = Some((op, bytes(Logout, "")));
        match op == Deliver.answer() {
            true => bob.says(Deliver, ""),
            false => alice.says(Send, "bob|hi"),
        }
        while bob.next().0 != Logout.answer() {}
        assert_eq!(waiting(&bench, "bob"), "0");
    }
}

/// The reply of the reading thread was asked for again after it had failed, and that panicked.
#[test]
fn a_mailbox_that_cannot_be_read_ends_the_connection_with_a_reason() {
    let bench = Bench::new(&[]);
    let mut bob = bench.enter("bob");
    let (reply, fetching) = tokio::sync::oneshot::channel();
    reply.send(Err(StoreError::Fault("injected".into()))).unwrap();
    let held = bench.core.memory.fetched.hold(0);
    bob.conn.fetching = Some(delivery::Fetching { rows: fetching, held });
    let (op, text) = bob.next();
    assert_eq!((op, text.split('|').nth(1)), (NOTICE, Some("storage")), "{text}");
    assert!(bob.kernel.lock().closed);
    bench.core.clock.pass(2 * LINGER);
    bob.turn();
    assert!(bob.over && bob.read().is_none());
}

/// A row that is lost before one that is there was fetched for ever.
#[test]
fn a_row_that_is_lost_ends_the_connection_with_a_reason() {
    let store = MemoryStore::default();
    let bench = Bench::on(Box::new(store.clone()), &[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    assert_eq!(bob.ask(Logout, ""), "ok");
    (0..3).for_each(|_| assert!(alice.ask(Send, "bob|hi").starts_with("ok|queued|")));
    let lost = store.log()[1].row;
    store.clone().commit(&Batch { writes: vec![Write::DropRows(lost, lost)], ..Batch::default() }).unwrap();
    bob.enter("bob");
    bob.says(Deliver, "");
    assert_eq!(bob.next().1, "alice|hi");
    // It might only have been moved: it is asked for again, and not at once.
    let mut asked = 0;
    let (op, text) = loop {
        bob.turn();
        match bob.read() {
            Some(frame) => break frame,
            None if bob.conn.fetching.is_some() => std::thread::park_timeout(PATIENCE),
            None => {
                asked += 1;
                bench.core.clock.pass(FETCH_AGAIN);
            }
        }
    };
    assert_eq!((op, text.split('|').nth(1)), (NOTICE, Some("storage")), "{text}");
    assert_eq!(asked, FETCHES_EMPTY_MAX);
}

/// Time in which the server itself does not read counts for no clock: a backlog that the rate held up was cut off.
#[test]
fn who_is_read_slowly_is_not_taken_for_silent() {
    let bench = Bench::new(&["sends=1", "heartbeat=1"]);
    let mut alice = bench.connect();
    alice.arrives(&hello(1));
    alice.notices();
    assert_eq!(alice.next().0, OpCode::Hello.answer());
    alice.enter("alice");
    let text = "x".repeat(8_000);
    (1..=40).for_each(|counter| alice.arrives(&post(counter, "nobody", &text)));
    alice.notices();
    let mut answered = 0;
    for _ in 0..60 {
        alice.rest();
        while let Some((op, data)) = alice.read_bytes() {
            answered += u32::from(op == OpCode::Post.answer());
            if op == OpCode::Ping.byte() {
                alice.arrives(&Request::Pong(data.try_into().unwrap()).to_bytes());
                alice.notices();
            }
        }
        bench.core.clock.pass(SECOND);
    }
    assert_eq!((answered, alice.over), (40, false));
}

/// The timer rang by its own clock, and the turn tried again by an older one until the runtime stopped it.
#[test]
fn what_the_timer_finds_due_is_done_in_the_same_turn() {
    let bench = Bench::new(&[]);
    let mut bob = bench.enter("bob");
    let now = bench.core.clock.now().up;
    bob.conn.inbox.push(&bytes(Send, "no bar"), 0);
    bob.conn.held = Some(Hold::Rate(now + Duration::from_nanos(1)));
    bob.kernel.lock().delay = Some((bench.core.clock.clone(), SECOND));
    // As a task, which has a budget: without one it would not end.
    bench.runtime.block_on(std::future::poll_fn(|cx| {
        let _ = Pin::new(&mut bob.conn).poll(cx);
        Poll::Ready(())
    }));
    assert_eq!(bob.read().map(|(op, _)| op), Some(Send.answer()));
}

/// One of the requests that a script is made of.
fn request(choice: usize, counter: u64) -> Vec<u8> {
    match choice {
        0 => bytes(Send, "nobody|hi"),
        1 => bytes(Send, "bob|hi"),
        2 => bytes(Send, "no bar"),
        3 => bytes(List, "bob"),
        4 => bytes(Deliver, "not empty"),
        5 => post(counter, "bob", "hi"),
        6 => post(counter, "nobody", &"long ".repeat(2_000)),
        7 => Request::Ping(counter.to_be_bytes()).to_bytes(),
        8 => bytes(OpCode::Ack, ""),
        9 => bytes(Logout, "somebody-else"),
        _ => vec![0, 0, 0, 2, 0x3F, 1, 2],
    }
}

/// What a connection is answered, by op-code and without ids and times, and whether it was closed.
fn answers(bench: &Bench, script: &[u8], cuts: &[usize]) -> (BTreeMap<u8, Vec<Vec<u8>>>, bool) {
    let (mut side, mut at, mut answers) = (bench.connect(), 0, BTreeMap::<_, Vec<_>>::new());
    // Records are cut as well, wherever that is.
    side.kernel.lock().piece = bench.tls.then_some(701 + 97 * cuts.len());
    for end in cuts.iter().copied().chain([script.len()]) {
        side.arrives(&script[at..end]);
        side.notices();
        // Some of the pieces come while the one before is worked on.
        if end % 2 == 0 {
            side.rest()
        } else {
            side.turn()
        };
        at = end;
    }
    side.rest();
    // A turn reads only so many pieces.
    while bench.tls && !side.over && !side.kernel.lock().input.is_empty() {
        side.rest();
    }
    while let Some((op, mut data)) = side.read_bytes() {
        match (op, data.starts_with(b"ok|queued|")) {
            (0x82, _) => data.truncate(3),
            (0x85, true) => data.truncate(9),
            (0x88, _) => data.truncate(10),
            _ => {}
        }
        answers.entry(op).or_default().push(data);
    }
    let closed = side.kernel.lock().closed;
    (answers, closed)
}

#[test]
fn any_split_gives_the_same_answers() {
    let unlimited = [
        "sends=off",
        "list-rate=off",
        "accept-rate=off",
        "mailbox=off",
        "mailbox-sender=off",
        "unknown-rate=off",
    ];
    let [bench, with_tls] = Bench::both(&unlimited);
    for bench in [&bench, &with_tls] {
        bench.enter("bob").ask(Logout, "");
        bench.enter("alice").ask(Logout, "");
    }
    let script = (prop::collection::vec(0..11usize, 1..40), any::<bool>());
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..30);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() });
    let run = runner.run(&(script, cuts), |((choices, too_long), cuts)| {
        let mut script = [hello(1), bytes(Login, "alice")].concat();
        (1..).zip(&choices).for_each(|(counter, choice)| script.extend(request(*choice, counter)));
        if too_long {
            script.extend([0, 1, 0, 1, Send.byte()]);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(script.len())).collect();
        cuts.sort_unstable();
        let whole = answers(&bench, &script, &[]);
        prop_assert_eq!(whole.1, too_long);
        let asked: usize = whole.0.values().map(Vec::len).sum();
        prop_assert_eq!(asked, choices.len() + 2 + usize::from(too_long));
        prop_assert_eq!(&answers(&bench, &script, &cuts), &whole);
        prop_assert_eq!(answers(&with_tls, &script, &cuts), whole);
        Ok(())
    });
    run.unwrap();
}
