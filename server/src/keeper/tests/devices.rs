//! Devices that come, go, come late and stay for long: each is given what waits for it, and nothing else.

use super::bench::{Bench, DAY};
use crate::mailbox::device::RECEIVING_MAX;

/// Sends so many messages from alice to bob, which bob's devices that are here take.
fn talk(bench: &mut Bench, devices: &[&super::bench::Party], count: u32) {
    let mut alice = bench.party("alice", None);
    for number in 0..count {
        bench.sent(&mut alice, "bob", &format!("m{number}"), false);
    }
    for device in devices {
        bench.feed(device);
        for line in device.read() {
            bench.ack(device, line.split(' ').next().unwrap().parse().unwrap());
        }
    }
    bench.leave(alice);
    bench.seconds(2);
}

/// The rows of what everybody had stay in the log for a while: after a restart it was given to a device that had come
/// later.
#[test]
fn what_went_before_a_device_came_does_not_come_back_with_a_restart() {
    for late in [Some(3), None] {
        let mut bench = Bench::new();
        let bob = bench.party("bob", Some(2));
        talk(&mut bench, &[&bob], 5);
        let second = bench.party("bob", late);
        bench.reopen(&second).unwrap();
        assert_eq!(second.read(), [""; 0]);
        bench.seconds(2);
        let mut bench = bench.restart();
        assert_eq!(bench.core.log.lock().awaited(), 0, "{late:?}");
        let second = bench.party("bob", late);
        bench.reopen(&second).unwrap();
        assert_eq!(second.read(), [""; 0], "{late:?}");
    }
}

#[test]
fn what_a_device_had_does_not_come_back_when_nobody_receives() {
    let mut bench = Bench::new();
    let bob = bench.party("bob", Some(2));
    talk(&mut bench, &[&bob], 5);
    bench.leave(bob);
    bench.seconds(2);
    bench.clock.pass(31 * DAY);
    // A login without a DELIVER has the devices reviewed.
    let visit = bench.party("bob", None);
    bench.leave(visit);
    bench.seconds(2);
    let bench = bench.restart();
    assert_eq!(bench.core.log.lock().awaited(), 0);
}

/// One DELIVER of a text session, once, had everything wait for another one for ever.
#[test]
fn text_sessions_that_were_not_seen_for_long_receive_no_longer() {
    let mut bench = Bench::new();
    let text = bench.party("bob", None);
    bench.reopen(&text).unwrap();
    bench.leave(text);
    bench.seconds(2);
    bench.clock.pass(31 * DAY);
    let bob = bench.party("bob", Some(2));
    talk(&mut bench, &[&bob], 5);
    assert_eq!(bench.core.log.lock().awaited(), 0);
}

/// What was noted at its login was all that a restart knew of it.
#[test]
fn a_device_that_is_connected_for_long_is_seen() {
    let mut bench = Bench::new();
    let bob = bench.party("bob", Some(2));
    for _ in 0..35 {
        bench.clock.pass(DAY);
        bench.seconds(2);
    }
    drop(bob);
    let mut bench = bench.restart();
    let second = bench.party("bob", Some(3));
    talk(&mut bench, &[&second], 3);
    let bob = bench.party("bob", Some(2));
    bench.reopen(&bob).unwrap();
    assert_eq!(bob.read().len(), 3);
}

/// A device that is forgotten on a batch that found no room was there again after a restart.
#[test]
fn a_device_is_forgotten_for_good() {
    let mut bench = Bench::new();
    for device in 1..=64 {
        let party = bench.party("bob", Some(device));
        bench.leave(party);
        bench.clock.pass(crate::keeper::tests::bench::SECOND);
    }
    bench.seconds(2);
    bench.fail(0, crate::store::faulty::Fault::Full);
    let party = bench.party("bob", Some(65));
    bench.seconds(3);
    let id = party.login.account.id;
    let devices = bench.keeper.residents.store.devices(id).unwrap();
    let first = bellhop_protocol::DeviceId([1; 16]);
    assert!(!devices.iter().any(|device| device.device == first), "{} devices", devices.len());
    assert!(devices.iter().filter(|device| device.receiving).count() <= RECEIVING_MAX);
}

/// What a device acknowledged above many gaps was pushed out by what it acknowledged below: it had ended, and ended again
/// after a restart.
#[test]
fn what_was_had_above_many_gaps_ends_once() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    (0..200).for_each(|number| bench.send(&mut alice, "bob", &number.to_string(), true));
    bench.turn().unwrap();
    alice.read();
    let seq = |line: &String| line.split(' ').next().unwrap().parse::<u64>().unwrap();
    let given: Vec<u64> = bob.read().iter().map(seq).collect();
    given.iter().rev().step_by(2).for_each(|seq| bench.ack(&bob, *seq));
    let first = super::upkeep::ends(&mut bench, &alice, 3).len();
    let mut bench = bench.restart();
    let (alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    bench.reopen(&bob).unwrap();
    bob.read().iter().map(seq).for_each(|seq| bench.ack(&bob, seq));
    assert_eq!(first + super::upkeep::ends(&mut bench, &alice, 3).len(), 200);
}

/// The account stayed in memory for ever where the older session ended last.
#[test]
fn a_session_that_was_replaced_holds_nothing_when_it_ends() {
    let mut bench = Bench::new();
    let older = bench.party("bob", Some(2));
    let newer = bench.party("bob", Some(2));
    bench.leave(newer);
    bench.seconds(3);
    bench.leave(older);
    bench.seconds(3);
    assert!(bench.core.hub.by_name("bob").is_none());
}

/// With a clock 30 days ahead the first device to come back stopped all others.
#[test]
fn nobody_is_long_unseen_by_a_clock_that_is_not_believed() {
    let mut bench = Bench::new();
    let (mut alice, bob) = (bench.party("alice", Some(1)), bench.party("bob", Some(2)));
    let other = bench.party("bob", Some(3));
    bench.leave(other);
    bench.sent(&mut alice, "bob", "hi", true);
    bench.ack(&bob, 1);
    bench.leave(bob);
    bench.seconds(3);
    let mut bench = bench.restart();
    bench.clock.jump(40 * DAY.as_millis() as i64);
    let bob = bench.party("bob", Some(2));
    bench.leave(bob);
    bench.clock.jump(-40 * DAY.as_millis() as i64);
    let other = bench.party("bob", Some(3));
    bench.reopen(&other).unwrap();
    assert_eq!(other.read().len(), 1);
}
