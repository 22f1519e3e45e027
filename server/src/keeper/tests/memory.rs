//! Messages that live in memory (`--durability none`): the same rules, as long as the server runs.

use super::bench::{Bench, DAY, SECOND};
use crate::clock::Clock;
use crate::mailbox::SEQ_BLOCK;
use crate::store::faulty::Fault;
use crate::store::memory::MemoryStore;

fn bench() -> Bench {
    Bench::on(MemoryStore::default(), Clock::start(), true)
}

/// The counters went out of memory with their session and were saved nowhere: a repeat was kept twice.
#[test]
fn a_repeat_is_recognised_after_its_session_has_left() {
    let mut bench = bench();
    let bob = bench.party("bob", None);
    let mut alice = bench.party("alice", Some(1));
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok handedover");
    bench.leave(alice);
    bench.seconds(3);
    assert!(bench.core.hub.by_name("alice").is_none(), "it is out of memory");
    let mut alice = bench.party("alice", Some(1));
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok seenbefore");
    assert_eq!(bob.read(), ["alice: one"]);
}

#[test]
fn a_counter_whose_save_finds_no_room_is_saved_later() {
    let mut bench = bench();
    let bob = bench.party("bob", None);
    let mut alice = bench.party("alice", Some(1));
    bench.sent(&mut alice, "bob", "one", false);
    bench.leave(alice);
    bench.fail(0, Fault::Full);
    bench.seconds(4);
    let mut alice = bench.party("alice", Some(1));
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok seenbefore");
    assert_eq!(bob.read(), ["alice: one"]);
}

/// Receipts that found no number were dropped, and their places never given back.
#[test]
fn every_receipt_finds_a_number() {
    for fault in [None, Some(Fault::Full)] {
        let mut bench = bench();
        let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
        for number in 0..300 {
            bench.sent(&mut alice, "bob", &number.to_string(), true);
        }
        // Alice's own mailbox uses up its numbers but for a few.
        let account = alice.login.account.clone();
        let left = |account: &crate::hub::Account| {
            let mailbox = account.mailbox.lock();
            (0..).take_while(|more| mailbox.block_needed(*more).is_none()).count() as u64
        };
        while left(&account) % SEQ_BLOCK > 100 || left(&account) == 0 {
            bench.sent(&mut alice, "alice", "x", false);
        }
        alice.read();
        bench.delete(&bob);
        if let Some(fault) = fault {
            bench.fail(0, fault);
        }
        let mut told = 0;
        for _ in 0..10 {
            bench.seconds(1);
            bench.feed(&alice);
            let lines = alice.read();
            told += lines.iter().filter(|line| line.contains(" bob refused ")).count();
            for line in lines {
                bench.ack(&alice, line.split(' ').next().unwrap().parse().unwrap());
            }
        }
        assert_eq!(told, 300, "{fault:?}");
    }
}

/// With a wall clock that had jumped the thread spun until it was believed again.
#[test]
fn nothing_wakes_up_while_the_clock_is_not_believed() {
    let mut bench = bench();
    bench.away("bob");
    bench.seconds(30);
    bench.clock.jump(2 * DAY.as_millis() as i64);
    bench.seconds(1);
    bench.clock.pass(2 * 3600 * SECOND);
    bench.turn().unwrap();
    assert_eq!(bench.wake_ups(), 0);
}
