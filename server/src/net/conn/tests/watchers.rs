//! Schedules in which somebody comes and goes while another one begins to watch them, or watches others beside them:
//! whatever the order, the watcher learns the truth, and nobody has to wake it for that.

use std::sync::atomic::Ordering;

use bellhop_protocol::presence::{PRESENCE, PresenceState};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::bench::Bench;
use super::schedules::{Party, try_schedules, wait};
use super::*;

/// How long who goes is thought to come back, by the settings of the schedules.
const GRACE: Duration = SECOND;

fn told(party: &Party) -> Option<PresenceState> {
    party.told.last().copied()
}

/// Has others go on for a while.
fn dawdle() {
    (0..thread_rng().gen_range(0..40)).for_each(|_| thread::yield_now());
}

fn schedule_of_a_watch(bench: &Bench, number: usize) {
    let (seen, sees) = (format!("seen{number}"), format!("sees{number}"));
    let enter = |name: &str, device: u8, features: u32| {
        let mut side = bench.connect();
        side.arrives(&hello_with(device, features));
        side.notices();
        side.next();
        side.enter(name);
        Party::new(side)
    };
    let (mut bob, mut carol) = (enter(&seen, 1, 0), enter(&sees, 1, PRESENCE));
    let core = bench.core.clone();
    let name = seen.clone();
    let comes = thread::spawn(move || {
        dawdle();
        // Whoever is in a turn has an older clock.
        core.clock.pass(Duration::from_millis(1));
        bob.says(|out| out.extend(bytes(Deliver, "")));
        wait(&mut bob, |bob| bob.answers.len() == 1);
        bob
    });
    let watches = thread::spawn(move || {
        dawdle();
        carol.says(|out| out.extend(watch(&[&name])));
        wait(&mut carol, |carol| told(carol) == Some(PresenceState::Online));
        carol
    });
    let (bob, mut carol) = (comes.join().unwrap(), watches.join().unwrap());
    // What is told now is not held back because of what was told a moment ago.
    bench.core.clock.pass(2 * SECOND);
    // Another device of theirs may come meanwhile.
    let mut other = number.is_multiple_of(2).then(|| enter(&seen, 2, 0));
    let goes = thread::spawn(move || {
        dawdle();
        drop(bob);
    });
    let comes = thread::spawn(move || {
        dawdle();
        if let Some(other) = &mut other {
            other.says(|out| out.extend(bytes(Deliver, "")));
            wait(other, |other| other.answers.len() == 1);
        }
        other
    });
    let watches = thread::spawn(move || {
        dawdle();
        let before = carol.told.len();
        carol.says(|out| out.extend(watch(&[&seen, "somebody-else"])));
        wait(&mut carol, |carol| carol.told.len() > before);
        carol
    });
    goes.join().unwrap();
    let other = comes.join().unwrap();
    let mut carol = watches.join().unwrap();
    while carol.goes_on(false) {}
    assert_eq!(told(&carol), Some(PresenceState::Online), "they may come back");
    let now = bench.core.clock.now().up;
    let rings = carol.conn.sleep_until <= now + GRACE + SECOND;
    assert!(rings || other.is_some(), "its clock rings when the time for that is over");
    bench.core.clock.pass(GRACE + SECOND);
    carol.woken.0.store(true, Ordering::SeqCst);
    while carol.goes_on(false) {}
    let truth = if other.is_some() { PresenceState::Online } else { PresenceState::Offline };
    assert_eq!(told(&carol), Some(truth));
    drop((carol, other));
    assert_eq!(bench.core.presence.in_use(), Default::default(), "nothing is left of a watcher");
}

#[test]
fn whatever_the_schedule_who_watches_learns_who_is_here() {
    try_schedules(schedule_of_a_watch);
}
