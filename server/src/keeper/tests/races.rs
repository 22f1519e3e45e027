//! What happens while a batch is built: others go on meanwhile, and acknowledge what is being moved or expires.

use super::bench::{Bench, DAY, Party, SECOND};
use super::upkeep::ends;
use crate::hub::RECEIPTS_MAX;
use crate::store::faulty::Fault;

/// When, within the turn, a device acknowledges.
#[derive(Clone, Copy, Debug)]
enum When {
    AfterTheJobs,
    BeforeTheCommit,
}

/// A message from alice that lies for a while in the mailbox of bob, who has come back to it; `another` device of his
/// waits for it as well.
fn old_message(another: bool) -> (Bench, Party, Party, u64) {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    for device in 2..=2 + u8::from(another) {
        let bob = bench.party("bob", Some(device));
        bench.leave(bob);
    }
    assert_eq!(bench.sent(&mut alice, "bob", "wanted", true), "ok stored");
    bench.seconds(3);
    let bob = bench.party("bob", Some(2));
    bench.reopen(&bob).unwrap();
    let seq = bob.seq();
    bench.seconds(3);
    (bench, alice, bob, seq)
}

/// A turn in which bob acknowledges, after which alice must have been told once how her message ended. Returns how.
fn told_once(mut bench: Bench, alice: &Party, bob: &Party, seq: u64, when: When, case: &str) -> String {
    match when {
        When::AfterTheJobs => bench.turn_with(|bench| bench.ack(bob, seq), |_| ()),
        When::BeforeTheCommit => bench.turn_with(|_| (), |bench| bench.ack(bob, seq)),
    }
    let told = ends(&mut bench, alice, 5);
    assert_eq!(told.len(), 1, "{case}: {told:?}");
    let hub = &bench.core.hub;
    let places = (0..RECEIPTS_MAX).filter(|_| hub.reserve_receipt(alice.login.account.id)).count() as u64;
    assert_eq!(places, RECEIPTS_MAX, "{case}");
    told[0].split(' ').nth(1).unwrap().to_owned()
}

/// The receipt was to be read from the row that the very batch dropped, and its sender never learnt anything.
#[test]
fn what_is_taken_while_its_row_moves_ends() {
    for when in [When::AfterTheJobs, When::BeforeTheCommit] {
        for another in [false, true] {
            let (mut bench, alice, bob, seq) = old_message(another);
            bench.age_log();
            bench.clock.pass(2 * SECOND);
            let case = format!("{when:?}, another {another}");
            assert_eq!(told_once(bench, &alice, &bob, seq, when, &case), "delivered", "{case}");
        }
    }
}

#[test]
fn what_is_taken_while_it_expires_ends_once() {
    for when in [When::AfterTheJobs, When::BeforeTheCommit] {
        for another in [false, true] {
            for full in [false, true] {
                let (mut bench, alice, bob, seq) = old_message(another);
                for _ in 0..29 {
                    bench.clock.pass(DAY);
                    bench.turn().unwrap();
                }
                bench.clock.pass(2 * DAY);
                if full {
                    bench.fail(0, Fault::Full);
                }
                let case = format!("{when:?}, another {another}, full {full}");
                let end = told_once(bench, &alice, &bob, seq, when, &case);
                let expired = matches!(when, When::BeforeTheCommit) && !full;
                assert_eq!(end, if expired { "expired" } else { "delivered" }, "{case}");
            }
        }
    }
}
