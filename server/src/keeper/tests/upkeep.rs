//! What is done on the side: rows that go and move, messages that expire, accounts that are purged.

use std::collections::BTreeSet;

use super::bench::{Bench, DAY, HOUR, Party, SECOND};
use crate::clock::Clock;
use crate::mailbox::Effects;
use crate::store::faulty::Fault;
use crate::store::log::SEGMENT;
use crate::store::memory::MemoryStore;

#[test]
fn a_message_that_nobody_takes_expires_and_its_sender_learns_it_once() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    assert_eq!(bench.sent(&mut alice, "bob", "wanted", true), "ok stored");
    assert_eq!(bench.sent(&mut alice, "bob", "not wanted", false), "ok stored");
    bench.clock.pass(30 * DAY - 60 * SECOND);
    bench.seconds(1);
    assert_eq!(alice.read(), [""; 0]);
    bench.seconds(62);
    let seen = alice.read();
    assert!(seen.len() == 1 && seen[0].starts_with("1 bob expired"), "{seen:?}");
    assert_eq!(bench.log().len(), 1, "only the receipt is left");
    let mut bench = bench.restart();
    bench.seconds(3);
    let bob = bench.party("bob", Some(2));
    assert!(bob.read().is_empty());
    assert_eq!(bench.log().len(), 1, "it is not told again");
}

#[test]
fn a_message_in_memory_expires_too() {
    let mut bench = Bench::on(MemoryStore::default(), Clock::start(), true);
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "wanted", true);
    bench.clock.pass(31 * DAY);
    bench.seconds(3);
    let seen = alice.read();
    assert!(seen.len() == 1 && seen[0].contains("bob expired"), "{seen:?}");
}

#[test]
fn a_wall_clock_that_jumps_lets_nothing_expire_for_a_day() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "hi", true);
    bench.clock.jump(10 * 365 * DAY.as_millis() as i64);
    bench.seconds(3);
    assert!(alice.read().is_empty(), "ten years at once are not believed");
    bench.clock.jump(-10 * 365 * DAY.as_millis() as i64);
    bench.clock.pass(2 * DAY);
    bench.seconds(3);
    assert!(alice.read().is_empty(), "and the clock was set right in time");
    bench.clock.jump(31 * DAY.as_millis() as i64);
    bench.seconds(1);
    bench.clock.pass(DAY);
    bench.seconds(3);
    assert_eq!(alice.read().len(), 1, "a day later it is believed");
}

/// Whatever the wall clock does, nothing is lost or comes out of order, and nobody waits for it to be right again.
#[test]
fn order_and_rates_do_not_hang_on_the_wall_clock() {
    let hour = 3_600_000;
    for by_ms in [-hour, hour, 10 * 365 * DAY.as_millis() as i64, i64::MIN / 2] {
        let mut bench = Bench::new();
        let mut alice = bench.party("alice", Some(1));
        bench.away("bob");
        bench.sent(&mut alice, "bob", "before", false);
        bench.clock.jump(by_ms);
        bench.sent(&mut alice, "bob", "after", false);
        bench.seconds(3);
        bench.sent(&mut alice, "bob", "at last", false);
        let bob = bench.party("bob", Some(2));
        bench.reopen(&bob).unwrap();
        bench.feed(&bob);
        let seen = bob.read();
        let order: Vec<Option<usize>> = ["before", "after", "at last"]
            .map(|text| seen.iter().position(|line| line.contains(text)))
            .into();
        assert_eq!(order, [Some(0), Some(1), Some(2)], "{by_ms}: {seen:?}");
    }
}

#[test]
fn what_a_deleted_account_leaves_is_purged_in_pieces_and_told_once() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    let bob = bench.party("bob", Some(2));
    for number in 0..700 {
        bench.send(&mut alice, "bob", &number.to_string(), number % 2 == 0);
    }
    bench.turn().unwrap();
    alice.read();
    bench.delete(&bob);
    let before = bench.log().len();
    bench.seconds(1);
    let after = bench.log().len();
    assert!(after < before && after > 200, "a bounded piece: {before} rows, then {after}");
    let mut told = alice.read();
    // A crash in the middle of it.
    let mut bench = bench.restart();
    let alice = bench.party("alice", Some(1));
    bench.reopen(&alice).unwrap();
    told.clear();
    for _ in 0..10 {
        bench.seconds(1);
        bench.feed(&alice);
        for item in alice.read() {
            bench.ack(&alice, item.split(' ').next().unwrap().parse().unwrap());
            told.push(item.split_once(' ').unwrap().1.to_owned());
        }
    }
    assert!(told.iter().all(|end| end.starts_with("bob refused")), "{told:?}");
    assert_eq!(told.len(), 350);
    assert_eq!(told.iter().collect::<std::collections::BTreeSet<_>>().len(), 350, "each once");
    assert_eq!(bench.core.log.lock().awaited(), 0);
    bench.seconds(3);
    assert_eq!(bench.keeper.residents.store.graves().unwrap(), []);
    assert_eq!(bench.keeper.residents.store.devices(bob.login.account.id).unwrap(), []);
}

#[test]
fn rows_that_a_deleted_account_had_taken_are_nobodys() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    let bob = bench.party("bob", Some(2));
    bench.send(&mut alice, "bob", "taken", false);
    bench.send(&mut alice, "alice", "waits", false);
    bench.turn().unwrap();
    bench.ack(&bob, bob.seq());
    bench.delete(&bob);
    bench.seconds(3);
    assert_eq!(bench.keeper.residents.store.graves().unwrap(), [], "nothing of it waits to be purged");
    assert_eq!(bench.log().len(), 2, "rows go with their segment");
    let mut bench = bench.restart();
    assert_eq!(bench.core.log.lock().awaited(), 1);
    let bob = bench.party("bob", Some(2));
    bench.reopen(&bob).unwrap();
    assert_eq!(bob.read(), [""; 0]);
}

#[test]
fn rows_that_nobody_awaits_are_dropped_and_the_last_few_of_an_old_segment_move() {
    let mut bench = Bench::new();
    let (mut alice, mut carol) = (bench.party("alice", Some(1)), bench.party("carol", Some(3)));
    let bob = bench.party("bob", Some(2));
    bench.away("dave");
    bench.sent(&mut carol, "dave", "stays", true);
    let mut seq = 0;
    for _ in 0..67 {
        for number in 0..SEGMENT {
            bench.send(&mut alice, "bob", &number.to_string(), false);
            if number % 512 == 511 {
                bench.turn().unwrap();
            }
        }
        alice.read();
        bench.feed(&bob);
        for item in bob.read() {
            seq = item.split(' ').next().unwrap().parse().unwrap();
        }
        let bounds = bench.core.bounds;
        bench.core.with_mailbox(&bob.login.account, &mut Effects::default(), |mailbox, effects| {
            mailbox.ack(bob.login.session, std::iter::once((1, seq)), &bounds, effects);
        });
    }
    bench.seconds(20);
    let rows = bench.log();
    assert!(rows.len() < 2 * SEGMENT as usize, "{} rows are left", rows.len());
    let kept = rows.iter().find(|row| row.text == "stays").unwrap();
    assert!(kept.row.0 > 60 * SEGMENT, "it was appended anew: {:?}", kept.row);
    let mut bench = bench.restart();
    let dave = bench.party("dave", Some(4));
    bench.reopen(&dave).unwrap();
    assert_eq!(dave.read(), ["1 carol: stays"]);
}

/// The thread woke a thousand times a second where more had expired than goes in one piece, or the disk was full.
#[test]
fn what_expires_in_pieces_wakes_nobody_in_between() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    for number in 0..3 * SEGMENT {
        bench.send(&mut alice, "bob", "x", false);
        if number % 512 == 511 {
            bench.turn().unwrap();
        }
    }
    bench.seconds(30);
    bench.clock.pass(31 * DAY);
    bench.turn().unwrap();
    assert!(bench.wake_ups() <= 2);
    bench.fail(0, Fault::Full);
    assert!(bench.wake_ups() <= 2);
}

/// The receipts that somebody is given in so many seconds, each acknowledged: whose, and which.
pub(super) fn ends(bench: &mut Bench, party: &Party, seconds: u32) -> Vec<String> {
    let mut ends = Vec::new();
    for _ in 0..seconds {
        bench.seconds(1);
        bench.feed(party);
        for line in party.read() {
            if let Some((seq, end)) = line.split_once(' ').filter(|(seq, _)| seq.parse::<u64>().is_ok()) {
                bench.ack(party, seq.parse().unwrap());
                ends.push(end.to_owned());
            }
        }
    }
    ends
}

/// The piece was purged twice then, and rows that others awaited were dropped with it.
#[test]
fn a_purge_that_finds_no_room_is_done_once() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.away("carol");
    for number in 0..700 {
        bench.send(&mut alice, "bob", &number.to_string(), number % 2 == 0);
    }
    (0..20).for_each(|number| bench.send(&mut alice, "carol", &number.to_string(), false));
    bench.turn().unwrap();
    alice.read();
    bench.delete(&bob);
    for _ in 0..3 {
        bench.fail(0, Fault::Full);
        bench.seconds(1);
    }
    let told = ends(&mut bench, &alice, 10);
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 350);
    assert_eq!(told.len(), 350, "each once");
    bench.seconds(3);
    assert_eq!(bench.core.log.lock().awaited(), 20);
}

#[test]
fn many_small_graves_are_purged_together() {
    let mut bench = Bench::new();
    for number in 0..40 {
        let party = bench.party(&format!("u{number}"), Some(1));
        bench.delete(&party);
    }
    bench.seconds(3);
    assert_eq!(bench.keeper.residents.store.graves().unwrap(), []);
}

/// The end of a message was not written, and yet it counted as looked through; with nothing else in the log the next
/// deadline overflowed.
#[test]
fn what_expires_on_a_full_disk_expires_later() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "wanted", true);
    bench.clock.pass(30 * DAY);
    bench.fail(0, Fault::Full);
    bench.seconds(1);
    assert!(alice.read().is_empty());
    let told = ends(&mut bench, &alice, 3);
    assert!(told.len() == 1 && told[0].starts_with("bob expired"), "{told:?}");
    bench.seconds(2);
    assert_eq!(bench.core.log.lock().awaited(), 0);
}

/// PROTOCOL.md 6: whoever was away for long still learns what became of what they sent.
#[test]
fn receipts_do_not_expire() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.sent(&mut alice, "bob", "wanted", true);
    bench.leave(alice);
    let seq = bob.seq();
    bench.ack(&bob, seq);
    bench.seconds(2);
    bench.clock.pass(40 * DAY);
    bench.seconds(5);
    let mut bench = bench.restart();
    bench.seconds(2);
    let alice = bench.party("alice", Some(1));
    bench.reopen(&alice).unwrap();
    let told = alice.read();
    assert!(told.len() == 1 && told[0].contains("bob delivered"), "{told:?}");
}

/// A row that was appended anew in the batch in which it expired came back after a restart, and ended again.
#[test]
fn a_row_of_an_old_segment_expires_once() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "wanted", true);
    bench.age_log();
    bench.clock.pass(30 * DAY);
    let told = ends(&mut bench, &alice, 5);
    assert!(told.len() == 1 && told[0].starts_with("bob expired"), "{told:?}");
    let mut bench = bench.restart();
    assert_eq!(bench.core.log.lock().awaited(), 0);
    let alice = bench.party("alice", Some(1));
    bench.reopen(&alice).unwrap();
    bench.clock.pass(2 * DAY);
    assert_eq!(ends(&mut bench, &alice, 5), [""; 0]);
}

/// A server that was off for long, or whose clock is wrong when it starts, let everything expire at once.
#[test]
fn after_a_start_a_clock_that_is_far_off_is_not_believed_for_a_day() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "hi", true);
    bench.clock.jump(10 * 365 * DAY.as_millis() as i64);
    let mut bench = bench.restart();
    let alice = bench.party("alice", Some(1));
    assert_eq!(ends(&mut bench, &alice, 3), [""; 0]);
    bench.clock.pass(DAY);
    assert_eq!(ends(&mut bench, &alice, 3).len(), 1, "a day later it is believed");
}

/// Whether the text is in the log after three seconds.
fn waits(bench: &mut Bench, text: &str) -> bool {
    bench.seconds(3);
    bench.log().iter().any(|row| row.text == text)
}

/// What was kept by the wrong clock spoke for it after a restart.
#[test]
fn a_clock_that_jumped_is_not_believed_for_what_it_said_before_a_restart() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "in time", true);
    bench.seconds(3);
    bench.clock.jump(10 * 365 * DAY.as_millis() as i64);
    bench.sent(&mut alice, "bob", "by the wrong clock", true);
    bench.seconds(3);
    let mut bench = bench.restart();
    assert!(waits(&mut bench, "in time"));
    bench.clock.pass(DAY / 2);
    assert!(waits(&mut bench, "in time"));
    let mut bench = bench.restart();
    bench.clock.pass(DAY / 2 - 60 * SECOND);
    assert!(waits(&mut bench, "in time"), "it ran for 23 hours and 59 minutes");
    bench.clock.pass(60 * SECOND);
    assert!(!waits(&mut bench, "in time"), "the time before the restart counts");
    assert!(waits(&mut bench, "by the wrong clock"));
}

/// Only time in which it runs: a night without the server is no sign that the clock is right.
#[test]
fn a_clock_that_jumped_is_doubted_on_while_the_server_is_off() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "in time", true);
    bench.clock.jump(10 * 365 * DAY.as_millis() as i64);
    bench.sent(&mut alice, "bob", "by the wrong clock", true);
    for hours in [20, 23, 25] {
        assert!(waits(&mut bench, "in time"), "before {hours} hours off");
        bench.clock.jump(hours * 3_600_000);
        bench = bench.restart();
    }
    bench.clock.pass(DAY - 10 * SECOND);
    assert!(waits(&mut bench, "in time"));
    bench.clock.pass(10 * SECOND);
    assert!(!waits(&mut bench, "in time"));
}

/// A server to which nobody writes has a clock that is believed all the same.
#[test]
fn a_quiet_server_believes_its_clock_after_a_restart() {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    bench.sent(&mut alice, "bob", "hi", true);
    for _ in 0..29 {
        bench.clock.pass(DAY);
        bench.seconds(1);
    }
    bench.clock.pass(20 * HOUR);
    let mut bench = bench.restart();
    assert!(waits(&mut bench, "hi"));
    bench.clock.pass(4 * HOUR);
    assert!(!waits(&mut bench, "hi"), "without a day's wait");
}
