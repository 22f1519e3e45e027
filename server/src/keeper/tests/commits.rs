//! Batches that are committed, rolled back or lost: nobody is told what is not true.

use std::sync::atomic::Ordering::Relaxed;

use bellhop_protocol::{Code, DeviceId, Username};
use tokio::sync::oneshot;

use super::bench::{Bench, Party, SECOND};
use crate::clock::Clock;
use crate::hub::RECEIPTS_MAX;
use crate::keeper::accounts::AccountJob;
use crate::keeper::queue::Job;
use crate::mailbox::SEQ_BLOCK;
use crate::store::faulty::{Fault, Plan};
use crate::store::log::SEGMENT;
use crate::store::memory::MemoryStore;
use crate::store::{Batch, PasswordHash, Store, StoreError, Write};

#[test]
fn nobody_is_answered_where_a_commit_failed() {
    for fault in [Fault::Lost, Fault::Kept] {
        let mut bench = Bench::new();
        let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
        bench.send(&mut alice, "bob", "hi", false);
        bench.fail(0, fault);
        assert!(matches!(bench.turn(), Err(StoreError::Fault(_))));
        assert_eq!((alice.read(), bob.read()), (vec![], vec![]), "{fault:?}");
        // After a restart the sender asks again, and the message is there once, whether or not it had been kept.
        let mut bench = bench.restart();
        let mut alice = bench.party("alice", Some(1));
        let answer = bench.sent(&mut alice, "bob", "hi", false);
        assert_eq!(answer, if fault == Fault::Kept { "ok seenbefore" } else { "ok stored" });
        assert_eq!(bench.log().len(), 1, "{fault:?}");
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.fail(0, Fault::Full);
    assert_eq!(bench.sent(&mut alice, "bob", "one", true), "storage");
    assert!(bob.read().is_empty() && bench.log().is_empty());
    // The counter is not used up, nor a place among the receipts.
    alice.counter = 0;
    assert_eq!(bench.sent(&mut alice, "bob", "two", true), "ok handedover");
    assert_eq!(bob.read(), ["2 alice: two"], "a gap in the numbers is normal");
    bench.ack(&bob, 2);
    bench.turn().unwrap();
    assert!(alice.read()[0].starts_with("1 bob delivered"));
    let (hub, id) = (&bench.core.hub, alice.login.account.id);
    let left = (0..RECEIPTS_MAX).filter(|_| hub.reserve_receipt(id)).count() as u64;
    assert_eq!(left, RECEIPTS_MAX - 1, "all but the place of the receipt that alice has yet to acknowledge");
}

#[test]
fn a_locked_database_refuses_and_loses_nothing() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.fail(0, Fault::Busy);
    assert_eq!(bench.sent(&mut alice, "bob", "one", true), "busy");
    assert!(bob.read().is_empty() && bench.log().is_empty());
    assert_eq!(bench.core.counters.rolled_back.get(), 1);
    alice.counter = 0;
    assert_eq!(bench.sent(&mut alice, "bob", "one", true), "ok handedover");
    assert_eq!(bob.read(), ["2 alice: one"]);
    let (reply, mut replied) = oneshot::channel();
    let name = Username::parse("carol").unwrap();
    let job = AccountJob::Create { name, password: None, device: None, though_held: false, reply };
    bench.core.queue.control(Job::Account(Box::new(job)));
    bench.fail(0, Fault::Busy);
    bench.turn().unwrap();
    assert_eq!(replied.try_recv().unwrap().unwrap_err().code, Code::BUSY);
    let (account, session) = (bob.login.account.clone(), Some(bob.login.session));
    bench.fail(0, Fault::Busy);
    let refused = bench.ask(|reply| AccountJob::Delete { account, session, hold: false, reply }).unwrap_err();
    assert_eq!(refused.code, Code::BUSY);
    bench.delete(&bob);
}

#[test]
fn a_disk_that_is_nearly_full_takes_nothing_new_and_serves_the_rest() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    let free = bench.reserve(1_000);
    free.store(1_000, Relaxed);
    assert_eq!(bench.sent(&mut alice, "bob", "one", true), "ok handedover");
    let seq = bob.seq();
    free.store(999, Relaxed);
    bench.clock.pass(SECOND);
    assert_eq!(bench.sent(&mut alice, "bob", "two", true), "storage");
    assert_eq!(bench.sent(&mut alice, "nobody", "two", true), "no-such-user");
    let name = Username::parse("carol").unwrap();
    let made = bench.ask(|reply| AccountJob::Create {
        name,
        password: None,
        device: None,
        though_held: false,
        reply,
    });
    assert_eq!(made.unwrap_err().code, Code::STORAGE);
    assert_eq!(bench.core.counters.refused_disk.get(), 2);
    // What was kept before is said so, taken, told of and deleted.
    alice.counter = 0;
    assert_eq!(bench.sent(&mut alice, "bob", "one", true), "ok seenbefore");
    bench.ack(&bob, seq);
    bench.seconds(1);
    assert!(alice.read()[0].contains("bob delivered"));
    let again = bench.party("bob", Some(3));
    bench.delete(&again);
    free.store(1_000, Relaxed);
    bench.clock.pass(SECOND);
    assert!(bench.find("carol", None).unwrap().is_err());
    bench.party("bob", Some(2));
    alice.counter = 9;
    assert_eq!(bench.sent(&mut alice, "bob", "three", true), "ok handedover");
}

#[test]
fn a_receipt_that_found_no_room_is_filed_later() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.sent(&mut alice, "bob", "one", true);
    let seq = bob.seq();
    bench.fail(0, Fault::Full);
    bench.ack(&bob, seq);
    bench.turn().unwrap();
    assert!(alice.read().is_empty());
    bench.seconds(2);
    assert_eq!(alice.read().len(), 1);
}

#[test]
fn whichever_commit_fails_every_message_has_one_place_and_one_end() {
    // Sweeps a script with a failure at commit 1, 2, 3, … until it runs clean.
    for fault in [Fault::Full, Fault::Busy, Fault::Lost, Fault::Kept] {
        let mut number = 0;
        loop {
            number += 1;
            let mut bench = Bench::new();
            bench.plan.lock().fail = Some((number, fault));
            let mut script = Script::default();
            while script.run(&mut bench).is_err() {
                // The same store, without another failure.
                bench = Bench::on(bench.store.clone(), bench.clock.clone(), false);
            }
            let expected: Vec<String> = (1..=5).map(|number| format!("alice: m{number}")).collect();
            assert_eq!(script.shown, expected, "{fault:?} at commit {number}");
            assert_eq!(script.ends.len(), 5, "{fault:?} at commit {number}: {:?}", script.ends);
            let Plan { commits, fail, .. } = std::mem::take(&mut *bench.plan.lock());
            let met = fail.is_none_or(|(number, _)| number <= commits);
            bench.seconds(3);
            assert_eq!(
                bench.core.log.lock().awaited(),
                0,
                "{fault:?} at commit {number}: nothing waits in the end"
            );
            if !met {
                break;
            }
        }
        assert!(number > 10, "{fault:?}: the script commits {number} times");
    }
}

/// Alice posts five messages that want receipts, Bob takes them, both acknowledge; what failed is tried again.
#[derive(Default)]
struct Script {
    told: u64,
    /// What Bob showed, each once, as a client shows it.
    shown: Vec<String>,
    /// The receipts that Alice had, each once: the id, and how the message ended.
    ends: std::collections::BTreeSet<String>,
}

impl Script {
    fn run(&mut self, bench: &mut Bench) -> Result<(), StoreError> {
        let (mut alice, bob) = (bench.try_party("alice", Some(1))?, bench.try_party("bob", Some(2))?);
        // What came on opening the stream was read away: it comes again.
        bench.reopen(&alice)?;
        bench.reopen(&bob)?;
        for round in 0.. {
            assert!(round < 100, "told {}, shown {:?}, ends {:?}", self.told, self.shown, self.ends);
            if self.told == 5 && self.ends.len() == 5 {
                return Ok(());
            }
            if self.told < 5 {
                alice.counter = self.told;
                bench.send(&mut alice, "bob", &format!("m{}", self.told + 1), true);
                bench.turn()?;
            }
            self.take_alices(bench, &alice);
            bench.feed(&bob);
            for item in bob.read() {
                let (seq, text) = item.split_once(' ').unwrap();
                if !self.shown.iter().any(|shown| shown == text) {
                    self.shown.push(text.to_owned());
                }
                bench.ack(&bob, seq.parse().unwrap());
            }
            bench.clock.pass(SECOND);
            bench.turn()?;
        }
        Ok(())
    }

    fn take_alices(&mut self, bench: &mut Bench, alice: &Party) {
        bench.feed(alice);
        for item in alice.read() {
            if item.starts_with("ok ") {
                self.told += 1;
            } else if let Some((seq, end)) = item.split_once(' ') {
                self.ends.insert(end.to_owned());
                bench.ack(alice, seq.parse().unwrap());
            }
        }
    }
}

#[test]
fn counters_outlive_the_rows_that_told_of_them() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    for _ in 0..SEGMENT + 5 {
        bench.send(&mut alice, "bob", "x", false);
    }
    bench.turn().unwrap();
    bench.feed(&bob);
    while let Some(last) = bob.read().last() {
        let seq: u64 = last.split(' ').next().unwrap().parse().unwrap();
        (1..=seq).for_each(|seq| bench.ack(&bob, seq));
        bench.feed(&bob);
    }
    bench.seconds(3);
    assert!(bench.log().len() < 10, "{} rows", bench.log().len());
    let mut bench = bench.restart();
    let mut alice = bench.party("alice", Some(1));
    alice.counter = 500;
    assert_eq!(bench.sent(&mut alice, "bob", "again", false), "ok seenbefore");
    alice.counter = 3;
    assert_eq!(bench.sent(&mut alice, "bob", "again", false), "stale-counter");
}

#[test]
fn an_account_with_nothing_goes_out_of_memory_and_comes_back_as_it_was() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.sent(&mut alice, "bob", "one", false);
    let seq = bob.seq();
    bench.ack(&bob, seq);
    bench.leave(alice);
    bench.leave(bob);
    bench.seconds(3);
    assert!(bench.core.hub.accounts().is_empty(), "{:?}", bench.core.hub.accounts());
    let mut alice = bench.party("alice", Some(1));
    assert_eq!(bench.sent(&mut alice, "bob", "again", false), "ok seenbefore");
    assert_eq!(bench.sent(&mut alice, "bob", "two", false), "ok stored");
    let bob = bench.party("bob", Some(2));
    bench.reopen(&bob).unwrap();
    let items = bob.read();
    assert!(items.len() == 1 && items[0].ends_with(" alice: two"), "{items:?}");
    assert!(
        items[0].split(' ').next().unwrap().parse::<u64>().unwrap() > SEQ_BLOCK,
        "no number is used twice"
    );
}

#[test]
fn numbers_are_reserved_durably_before_they_are_used() {
    for in_memory in [false, true] {
        let mut bench = Bench::on(MemoryStore::default(), Clock::start(), in_memory);
        let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
        for _ in 0..3 * SEQ_BLOCK {
            bench.sent(&mut alice, "bob", "x", false);
            let last = bench
                .core
                .hub
                .by_name("bob")
                .unwrap()
                .mailbox
                .lock()
                .items()
                .iter()
                .last()
                .map(|item| item.seq);
            let reserved = bench.keeper.residents.store.account("bob").unwrap().unwrap().reserved;
            assert!(last.unwrap_or(0) <= reserved, "in memory {in_memory}: {last:?} of {reserved}");
        }
        drop(bob);
        let bench = bench.restart();
        let mut bench = bench;
        let mut alice = bench.party("alice", Some(9));
        bench.sent(&mut alice, "bob", "after", false);
        let mailbox = bench.core.hub.by_name("bob").unwrap();
        let last = mailbox.mailbox.lock().items().iter().last().map(|item| item.seq).unwrap();
        assert!(last > 3 * SEQ_BLOCK, "in memory {in_memory}: {last}");
    }
}

#[test]
fn a_login_finds_what_the_same_batch_makes() {
    let mut bench = Bench::new();
    let (made, mut was_made) = oneshot::channel();
    let (found, mut was_found) = oneshot::channel();
    let name = Username::parse("Alice").unwrap();
    let password = Some(PasswordHash("the hash".into()));
    let create = AccountJob::Create {
        name,
        password: password.clone(),
        device: None,
        though_held: false,
        reply: made,
    };
    bench.core.queue.control(Job::Account(Box::new(create)));
    let find = AccountJob::Find { folded: "alice".into(), device: None, reply: found };
    bench.core.queue.control(Job::Account(Box::new(find)));
    bench.turn().unwrap();
    assert!(was_made.try_recv().unwrap().is_ok());
    assert_eq!(was_found.try_recv().unwrap().unwrap().password, password);
}

/// A repeat in the batch of the first try was told that it was seen before, and nothing was kept.
#[test]
fn a_repeat_of_what_is_rolled_back_was_not_seen_before() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.send(&mut alice, "bob", "one", false);
    alice.counter = 0;
    bench.send(&mut alice, "bob", "one", false);
    bench.fail(0, Fault::Full);
    bench.turn().unwrap();
    assert_eq!(alice.read(), ["storage", "storage"]);
    alice.counter = 0;
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok handedover");
    alice.counter = 0;
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok seenbefore");
    assert_eq!(bob.read().len(), 1);
}

/// The rest of the batch found no room: the account was gone, its owner was told that it was not, and who had sent to
/// it was never told anything.
#[test]
fn a_deletion_stands_whatever_becomes_of_the_rest_of_its_batch() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.sent(&mut alice, "bob", "taken", true);
    bench.sent(&mut alice, "bob", "not taken", true);
    let seq = bob.seq();
    let (reply, mut replied) = oneshot::channel();
    let (account, session) = (bob.login.account.clone(), Some(bob.login.session));
    bench.ack(&bob, seq);
    bench.core.queue.control(Job::Account(Box::new(AccountJob::Delete {
        account,
        session,
        hold: false,
        reply,
    })));
    bench.send(&mut alice, "alice", "to myself", false);
    // Before the deletion what was acknowledged is committed; after it, the rest of the batch.
    bench.fail(2, Fault::Full);
    bench.turn().unwrap();
    assert!(replied.try_recv().unwrap().is_ok());
    assert!(bench.core.hub.by_name("bob").is_none());
    let mut ends: Vec<String> = Vec::new();
    for _ in 0..3 {
        ends.extend(alice.read().iter().filter_map(|line| Some(line.split_once(" bob ")?.1[..7].to_owned())));
        bench.seconds(1);
    }
    ends.sort();
    assert_eq!(ends, ["deliver", "refused"]);
}

#[test]
fn a_login_needs_no_room_on_the_disk() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    let (reply, mut replied) = oneshot::channel();
    bench.core.queue.control(Job::Account(Box::new(AccountJob::Find {
        folded: "alice".into(),
        device: None,
        reply,
    })));
    bench.send(&mut alice, "alice", "hi", false);
    bench.fail(0, Fault::Full);
    bench.turn().unwrap();
    assert!(replied.try_recv().unwrap().is_ok());
}

/// Whoever logged out and in again had a whole burst.
#[test]
fn an_account_that_goes_out_of_memory_does_not_get_a_new_burst() {
    let mut bench = Bench::new();
    let alice = bench.party("alice", Some(1));
    let (sends, rate) = (|party: &Party, at| party.login.account.sends.take(1, at, 10).is_ok(), 100);
    let now = bench.clock.now().up;
    assert_eq!((0..1_000).filter(|_| sends(&alice, now)).count(), rate);
    bench.leave(alice);
    bench.seconds(3);
    let alice = bench.party("alice", Some(1));
    let now = bench.clock.now().up;
    assert_eq!((0..1_000).filter(|_| sends(&alice, now)).count(), 30);
    bench.leave(alice);
    bench.seconds(15);
    assert!(bench.core.hub.accounts().is_empty());
}

/// A counter far ahead that met a full disk left all older ones stale.
#[test]
fn a_refusal_moves_no_window() {
    let mut bench = Bench::new();
    let (mut alice, _bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok handedover");
    alice.counter = 5_000;
    bench.fail(0, Fault::Full);
    assert_eq!(bench.sent(&mut alice, "bob", "two", false), "storage");
    for (before, answer) in [(0, "ok seenbefore"), (1, "ok handedover"), (5_000, "ok handedover")] {
        alice.counter = before;
        assert_eq!(bench.sent(&mut alice, "bob", "three", false), answer, "after {before}");
    }
}

/// The repeat of a message that was kept in memory was refused where numbers were wanted and there was no room for them:
/// a client takes that for certain, and sends it again as another message.
#[test]
fn a_repeat_that_waits_for_numbers_is_seen_before_all_the_same() {
    let mut bench = Bench::on(MemoryStore::default(), Clock::start(), true);
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    let account = bob.login.account.clone();
    let sent = bench.sent(&mut alice, "bob", "one", false);
    assert_eq!(sent, "ok handedover");
    // The next one needs a block of numbers.
    while account.mailbox.lock().block_needed(0).is_none() {
        bench.send(&mut alice, "bob", "more", false);
        alice.read();
    }
    bench.fail(0, Fault::Full);
    bench.send(&mut alice, "bob", "new", false);
    let new = alice.counter;
    alice.counter = new - 2;
    bench.send(&mut alice, "bob", "more", false);
    bench.turn().unwrap();
    let answers = alice.read();
    assert_eq!(answers, ["storage", "ok seenbefore"]);
}

/// A server that was killed did not start where the disk had no room at all, and nobody got what was kept.
#[test]
fn a_start_needs_no_room_on_the_disk() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    for text in ["one", "two"] {
        assert_eq!(bench.sent(&mut alice, "bob", text, false), "ok handedover");
    }
    drop(bob);
    let mut bench = bench.restart_without_room();
    assert_eq!(bench.plan.lock().commits, 1, "the counters of what is in the log were to be saved");
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.feed(&bob);
    alice.counter = 1;
    assert_eq!(bench.sent(&mut alice, "bob", "two", false), "ok seenbefore");
    alice.counter = 0;
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok seenbefore");
    // They are saved when there is room, and the rows that told of them may go.
    bench.leave(alice);
    bench.ack(&bob, 1);
    bench.ack(&bob, 2);
    bench.age_log();
    bench.seconds(5);
    let mut bench = bench.restart();
    assert!(bench.log().is_empty());
    let mut alice = bench.party("alice", Some(1));
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok seenbefore");
}

/// Whoever had sent something stayed in memory for as long as the server ran.
#[test]
fn who_is_brought_in_by_a_start_without_room_goes_again() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok stored");
    // Her device is saved a second later, which the server did not live to.
    let mut batch = Batch::default();
    batch.push(Write::ForgetDevice(alice.login.account.id, DeviceId([1; 16])));
    bench.store.commit(&batch).unwrap();
    let mut bench = bench.restart_without_room();
    assert!(bench.core.hub.by_name("alice").is_some(), "her counters are nowhere else");
    bench.seconds(20);
    assert!(bench.core.hub.by_name("alice").is_none());
    let mut alice = bench.party("alice", Some(1));
    assert_eq!(bench.sent(&mut alice, "bob", "one", false), "ok seenbefore");
}
