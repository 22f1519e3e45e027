//! A pair that talks while somebody else is up to something, against the same pair without them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bellhop_tests::bounded::Pair;
use bellhop_tests::floods::{self, Look};
use bellhop_tests::talks::Talks;

use super::live::{Shape, bellhop, run};
use super::{Bench, Measures};
use crate::field::Running;
use crate::figures::{P99, TIMES};
use crate::load::{Load, log_in};
use crate::proto::Role;

/// Where the numbers of those who are up to something begin.
const FIRST: u32 = 500_000;
/// How many messages wait in the huge mailbox.
const HUGE: u64 = 200_000;

fn measures(talks: &Talks) -> Measures {
    let (_, loaded) = talks.p99();
    vec![(TIMES, talks.times()), (P99, loaded.as_secs_f64() * 1e6)]
}

/// A pair that talks without somebody and while they are at work, by turns.
fn beside(
    running: &Running,
    stretches: u32,
    time: Duration,
    work: impl Fn(u32) -> Result<(), String> + Sync,
) -> Result<Measures, String> {
    let (mut pair, mut talks, id) = (Pair::meet(running.place.addr), Talks::default(), running.ids[0]);
    for stretch in 0..stretches {
        talks.normal(&mut pair, id, time);
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let done = work(stretch);
                is_done.store(true, Ordering::Relaxed);
                done
            });
            talks.loaded_while(&mut pair, id, |talks| talks < 100 || !is_done.load(Ordering::Relaxed));
            worker.join().map_err(|_| "the work ended badly".to_owned())?
        })?;
    }
    talks.normal(&mut pair, id, time);
    Ok(measures(&talks))
}

/// One pair that sends as much as it can.
fn flood(bench: &mut Bench, time: f64) -> Result<Measures, String> {
    let running = bench.field.running(bellhop("power"))?;
    let shape = Shape::pairs(1, 1_024, 64);
    beside(&running, 4, Duration::from_secs_f64(time), |_| run(&running, &shape, 0.1, time).map(drop))
}

/// One who comes and takes very much.
fn huge(bench: &mut Bench, time: f64) -> Result<Measures, String> {
    let running = bench.field.running(bellhop("power"))?;
    let stretches = 2;
    let mut loads = Vec::new();
    for stretch in 0..stretches {
        let (sender, owner) = (FIRST + 2 * stretch, FIRST + 2 * stretch + 1);
        drop(log_in(&running, &[(owner, Role::Absent)])?);
        let mut load = Load::meet(&running, &[(sender, Role::Sender)], 1_024, 64)?;
        load.flow_to(0, owner, HUGE);
        load.send_all()?;
        loads.push(std::sync::Mutex::new(load));
    }
    beside(&running, stretches, Duration::from_secs_f64(time), |stretch| {
        let mut load = loads[stretch as usize].lock().unwrap();
        let owner = load.join(&[(FIRST + 2 * stretch + 1, Role::Fetcher)])?;
        load.fetch(owner);
        load.drain()
    })
}

pub(super) fn others(bench: &mut Bench) {
    let time = bench.amounts.of("others-s") as f64;
    let subject = bellhop("power");
    bench.once("others", "one pair that sends all it can", subject, |bench| flood(bench, time));
    bench.once("others", "one who takes 200,000 messages", subject, |bench| huge(bench, time));
    if bench.field.server.is_some() {
        // These start the server of this checkout themselves.
        return;
    }
    bench.once("others", "a hundred who do not read", subject, |_| {
        let look = Look { rounds: 4, time: Duration::from_secs_f64(time) };
        let figures = floods::never_read(100, 512 * 1024, false, look);
        Ok(measures(&figures.talks.unwrap_or_default()))
    });
}
