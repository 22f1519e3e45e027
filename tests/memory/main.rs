//! What a crowd can make the server hold, counted byte by byte, against the sum that `Limits::memory` promises. Not RSS:
//! an allocator keeps what it was given back, and a page that is touched once stays.
//!
//! The server runs in this process, and what its threads allocate is counted; the crowd is on the test's own thread, which
//! is not. So these tests are a program of their own, and come one after the other.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod counting;

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellhop_protocol::OpCode::{Deliver, List};
use bellhop_protocol::presence::{PRESENCE, Watch};
use bellhop_protocol::{Code, OpCode, Reply, frame};
use bellhop_server::core::{FETCHED, TAILS};
use bellhop_server::limits::Part;
use bellhop_server::store::{AccountId, AccountRow, Batch, Store, Write};
use bellhop_tests::peer::Peer;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::wait::wait_for;

/// How many connections make the crowd: with both ends in one process, few enough for the files that it may open.
const CROWD: usize = 400;
/// Arguments with which one address may be a crowd, and the system keeps little of what is not read.
const FREE: [&str; 14] = [
    "--limit",
    "connections-addr=off",
    "--limit",
    "unauth=off",
    "--limit",
    "kernel-buffers=4096",
    "--limit",
    "outbox-all=4194304",
    "--limit",
    "sends=off",
    "--limit",
    "watch-rate=off",
    "--limit",
    "frame=262144",
];

/// What each connection has for itself of what is on its way in and out, however much others have.
const OWN: u64 = CROWD as u64 * 4 * 2_048;

/// A server, and what it held before it was asked for more.
struct Scene {
    server: Local,
    base: Cell<isize>,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    fn new(mut batch: Batch, prepare: impl FnOnce(&Local)) -> Scene {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(|broken| broken.into_inner());
        counting::leave_out_this_thread();
        // Whoever makes an account waits for the disk.
        (0..CROWD)
            .for_each(|number| batch.push(Write::AddAccount(account(number + 1, format!("u{number}")))));
        let fill = move |mut store: Box<dyn Store>| {
            store.commit(&batch).unwrap();
            store
        };
        let server = Local::start_with(&Arc::new(Home::new()), &FREE, fill).unwrap();
        prepare(&server);
        settle();
        Scene { server, base: counting::begin().into(), _turn: turn }
    }

    /// The most that was held at once beyond what there was before, against what these parts and so many bytes more allow.
    fn check(&self, parts: &[Part], more: u64, least: u64) {
        settle();
        let held = u64::try_from(counting::most() - self.base.get()).unwrap_or(0);
        let bounds = self.server.core().limits.memory(CROWD as u64, 2);
        let allowed: u64 =
            bounds.iter().filter(|(part, _)| parts.contains(part)).map(|(_, bytes)| bytes).sum();
        assert!(held <= allowed + more, "{held} bytes, where {parts:?} and {more} allow {allowed}");
        assert!(held >= least, "{held} bytes are no crowd's");
    }

    /// People who are logged in. What that takes is theirs: it does not count against what they ask for then.
    fn crowd(&self, name: impl Fn(usize) -> String) -> Vec<Peer> {
        let peers = (0..CROWD).map(|number| {
            let mut peer = self.server.connect();
            peer.ask_features((number % 200 + 1) as u8, PRESENCE);
            peer.enter(&name(number));
            peer
        });
        let peers = peers.collect();
        settle();
        self.check(&[Part::Connections], 0, 0);
        self.base.set(counting::begin());
        peers
    }
}

/// Waits until the server's threads have done what was asked of them. That nothing is allocated any more shows in time
/// alone.
fn settle() {
    let mut before = counting::count();
    wait_for("the server to come to rest", || {
        std::thread::sleep(Duration::from_millis(150));
        let now = counting::count();
        (std::mem::replace(&mut before, now) + 20 > now).then_some(())
    });
}

fn account(number: usize, name: String) -> AccountRow {
    AccountRow {
        id: AccountId(number as i64),
        uuid: uuid::Uuid::from_u128(number as u128),
        folded: name.clone(),
        name,
        password: None,
        reserved: 1024,
        created_ms: 0,
    }
}

/// Much of a long frame from everybody, and never the rest.
#[test]
fn frames_that_are_not_complete_have_their_bound() {
    let scene = Scene::new(Batch::default(), |_| {});
    let mut crowd = scene.crowd(|number| format!("u{number}"));
    let mut half = Vec::new();
    frame::put(&mut half, OpCode::Send.byte(), &vec![b'x'; 262_000]);
    half.truncate(200_000);
    for peer in &mut crowd {
        peer.try_write(&half);
    }
    scene.check(&[Part::Inboxes], OWN, 10_000_000);
}

/// Eight sessions of each account want half a MiB that is in the store, and read nothing of it.
#[test]
fn what_waits_for_slow_readers_has_its_bound() {
    let scene = Scene::new(Batch::default(), |server| {
        let mut sender = server.hello("sender", 9);
        let text = "x".repeat(16_384);
        (0..CROWD / 8).for_each(|number| drop(server.hello(&format!("u{number}"), 1)));
        for counter in 0..(CROWD / 8 * 32) as u64 {
            sender.post(counter + 1, &format!("u{}", counter % (CROWD as u64 / 8)), &text, false);
            sender.answer(OpCode::Post.answer());
        }
    });
    let mut crowd = scene.crowd(|number| format!("u{}", number / 8));
    for peer in &mut crowd {
        peer.send(Deliver, "");
    }
    scene.check(&[Part::Outboxes], OWN + FETCHED, 3_000_000);
}

/// Everybody asks for the names, again and again, and reads none.
#[test]
fn lists_that_nobody_reads_have_their_bound() {
    let mut batch = Batch::default();
    for number in CROWD + 1..CROWD + 2_000 {
        batch.push(Write::AddAccount(account(number, format!("{number:032}"))));
    }
    let scene = Scene::new(batch, |_| {});
    let mut crowd = scene.crowd(|number| format!("u{number}"));
    for peer in &mut crowd {
        (0..5).for_each(|_| peer.send(List, ""));
    }
    // The system takes a part of it off the server, at a pace of its own.
    scene.check(&[Part::Outboxes], OWN, 1_000_000);
}

/// Everybody watches as many others as may be watched, by names of the longest kind, and no two the same.
#[test]
fn names_that_are_watched_cost_what_is_said() {
    let scene = Scene::new(Batch::default(), |_| {});
    let mut crowd = scene.crowd(|number| format!("u{number}"));
    let mut watched = 0;
    for (number, peer) in crowd.iter_mut().enumerate() {
        // As a client does: where it is too long, half of it.
        let mut length = 256;
        loop {
            // Folded, they are longer by half.
            let names = (0..length).map(|name| format!("{number:03}{}{name:03}", "ŉ".repeat(13)));
            let names: Vec<String> = names.collect();
            let mut request = Vec::new();
            Watch::put(names.iter().map(String::as_str), &mut request);
            peer.write(&request);
            match peer.answer(OpCode::Watch.answer()).reply() {
                Reply::Watching(_) => break,
                Reply::Refused(_, failure) => assert_eq!(failure.reason.code(), Some(Code::TOO_LONG)),
                other => panic!("{other:?}"),
            }
            length /= 2;
        }
        watched += length;
    }
    assert!(watched > 45_000, "{watched}");
    scene.check(&[Part::Watches], 0, 10_000_000);
}

/// Everybody is here and takes nothing, and a MiB comes for each ten of them.
#[test]
fn the_newest_messages_of_mailboxes_have_their_bound() {
    const EACH: usize = 100;
    let scene = Scene::new(Batch::default(), |_| {});
    let mut crowd = scene.crowd(|number| format!("u{number}"));
    crowd.iter_mut().for_each(|peer| assert_eq!(peer.ask(Deliver, ""), "ok|0"));
    let mut sender = scene.server.hello("sender", 250);
    let (text, mut counter) = ("x".repeat(1_000), 0);
    for _ in 0..EACH {
        // Few wait at once, so that what the writing thread holds is little.
        for some in 0..CROWD / 50 {
            for number in 0..50 {
                counter += 1;
                sender.post(counter, &format!("u{}", some * 50 + number), &text, false);
            }
            (0..50).for_each(|_| drop(sender.answer(OpCode::Post.answer())));
        }
    }
    // What is kept: an item, and its place in vectors that double.
    let kept = (CROWD * EACH * 2 * 32) as u64;
    scene.check(&[Part::Outboxes], OWN + TAILS + kept + 1_048_576, TAILS / 2);
}

/// A connection with TLS keeps its session, and no buffers: whatever the other side says of keys.
#[test]
fn a_connection_with_tls_costs_what_is_said() {
    let scene = Scene::new(Batch::default(), |_| {});
    let mut crowd: Vec<Peer> =
        (0..CROWD).map(|_| Peer::connect_tls(scene.server.addr(), scene.server.fingerprint())).collect();
    for peer in &mut crowd {
        (0..20).for_each(|_| peer.refresh_keys());
    }
    scene.check(&[Part::Connections], 0, CROWD as u64 * 2_000);
}
