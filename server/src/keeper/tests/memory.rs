//! Messages that live in memory (`--durability none`): the same rules, as long as the server runs.

use super::bench::{Bench, DAY, Party, SECOND};
use crate::clock::Clock;
use crate::hub::Account;
use crate::keeper::Outcome;
use crate::keeper::queue::Job;
use crate::mailbox::SEQ_BLOCK;
use crate::outbox::Due;
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

/// How many numbers are left before the thread has to reserve further ones.
fn left(account: &Account) -> u64 {
    let mailbox = account.mailbox.lock();
    (0..).take_while(|more| mailbox.block_needed(*more).is_none()).count() as u64
}

fn owed(party: &Party) -> bool {
    party.login.outbox.due() != Due::default()
}

/// Every thousandth message waited for a commit, and all behind it.
#[test]
fn no_message_waits_for_numbers_where_the_thread_keeps_up() {
    let mut bench = bench();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.sent(&mut alice, "bob", "the first", false);
    let mut blocks = 0;
    for number in 0..20 * SEQ_BLOCK {
        bench.send(&mut alice, "bob", "x", false);
        assert!(!owed(&alice), "message {number} waits");
        // So much comes before the thread has its turn.
        if number % (SEQ_BLOCK / 3) == 0 {
            blocks += usize::from(bench.core.queue.len().0 > 0);
            bench.turn().unwrap();
        }
        alice.read();
        bob.read();
    }
    assert!((2..=6).contains(&blocks), "who uses many is given more of them: {blocks} times");
}

/// It would be asked again with each message.
#[test]
fn numbers_that_could_not_be_reserved_ahead_are_reserved_when_they_are_needed() {
    let mut bench = bench();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.sent(&mut alice, "bob", "the first", false);
    bench.fail(0, Fault::Full);
    let account = bob.login.account.clone();
    while left(&account) > 0 {
        bench.send(&mut alice, "bob", "x", false);
        assert!(!owed(&alice));
        assert!(bench.core.queue.len().0 <= 1, "it is asked for once");
        bench.turn().unwrap();
        alice.read();
        bob.read();
    }
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok stored");
    assert!(left(&account) > 0);
}

/// The numbers of a mailbox that is in memory again are counted from those that the store has.
#[test]
fn nothing_is_reserved_for_a_mailbox_that_went_out_of_memory() {
    let mut bench = bench();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", None));
    bench.sent(&mut alice, "bob", "one", false);
    let gone = bob.login.account.clone();
    let seq = gone.mailbox.lock().items().iter().map(|item| item.seq).next_back().unwrap();
    gone.mailbox.lock().take_excess(bob.login.session, u64::MAX, &bench.core.bounds, &mut Default::default());
    bench.core.with_mailbox(&gone, &mut Default::default(), |mailbox, effects| {
        mailbox.take_written(bob.login.session, u64::MAX, &bench.core.bounds, effects);
        assert!(mailbox.items().find(seq).is_none());
    });
    bench.leave(bob);
    bench.seconds(4);
    assert!(bench.core.hub.by_name("bob").is_none(), "it is out of memory");
    let reserved = |bench: &mut Bench| bench.keeper.residents.store.account("bob").unwrap().unwrap().reserved;
    let before = reserved(&mut bench);
    bench.core.queue.control(Job::Reserve(gone));
    bench.turn().unwrap();
    assert_eq!(reserved(&mut bench), before);
}

/// Many who send at once used up what was reserved, and who had waited for it was refused.
#[test]
fn who_waits_for_numbers_gets_them_before_whoever_comes_later() {
    let mut bench = bench();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    let mut carol = bench.party("carol", Some(3));
    bench.sent(&mut alice, "bob", "the first", false);
    let account = bob.login.account.clone();
    while left(&account) > 0 {
        bench.send(&mut carol, "bob", "x", false);
    }
    carol.read();
    bench.send(&mut alice, "bob", "waits", false);
    assert!(owed(&alice));
    bench.turn_with(
        |_| (),
        |bench| {
            // What the commit reserves is there, and others are quicker than this batch's messages.
            let reserved = bench.keeper.outcomes.iter().find_map(|outcome| match outcome {
                Outcome::Reserved(to, reserved) if to.id == account.id => Some(*reserved),
                _ => None,
            });
            account.mailbox.lock().reserve(reserved.unwrap());
            while !owed(&carol) {
                bench.send(&mut carol, "bob", "x", false);
                carol.read();
            }
        },
    );
    assert_eq!(alice.read(), ["ok stored"], "it has its number");
    bench.turn().unwrap();
    assert!(!owed(&carol) && left(&account) > 0);
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
        bench.sent(&mut alice, "alice", "x", false);
        while left(&account) > 100 {
            // The thread has no turn to reserve further ones.
            bench.send(&mut alice, "alice", "x", false);
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
