//! What others are owed: pairs that talk beside it, the memory that it takes, and the start of a server that was killed
//! with it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bellhop_tests::proc::rss;

use super::growth::steps;
use super::live::{Shape, bellhop, work};
use super::{Bench, Measures};
use crate::figures::{BYTES, RSS, TIME, WAL};
use crate::load::{Load, log_in};
use crate::proto::Role;

const SENDERS: u32 = 50;
/// Messages that wait in each mailbox.
const EACH: u64 = 1_000;
/// Within this time what was acknowledged is saved.
const SAVED: Duration = Duration::from_secs(2);
/// Where the numbers of those who are away begin: pairs that talk are others.
const FIRST: u32 = 100_000;

/// Has this many messages wait, where `waiting` do already.
fn fill(bench: &mut Bench, waiting: u64, wanted: u64) -> Result<Measures, String> {
    let running = bench.field.running(bellhop("power"))?;
    let mailbox = |number: u64| FIRST + SENDERS + u32::try_from(number / EACH).unwrap();
    let mailboxes = mailbox(waiting)..=mailbox(wanted - 1);
    let absent: Vec<(u32, Role)> = mailboxes.clone().map(|party| (party, Role::Absent)).collect();
    drop(log_in(&running, &absent)?);
    let who: Vec<(u32, Role)> = (0..SENDERS).map(|party| (FIRST + party, Role::Sender)).collect();
    let mut load = Load::meet(&running, &who, 64, 64)?;
    let share = (wanted - waiting).div_ceil(absent.len() as u64);
    let mut left = wanted - waiting;
    for (number, party) in mailboxes.enumerate() {
        let count = share.min(left);
        load.flow_to(number % SENDERS as usize, party, count);
        left -= count;
    }
    (load.run, load.unanswered) = (1, 256);
    load.send_all()?;
    Ok(Vec::new())
}

fn mib(path: &Path) -> f64 {
    fs::metadata(path).map_or(0.0, |file| file.len() as f64 / f64::from(1 << 20))
}

/// The largest write-ahead log in a folder.
fn wal(folder: &Path) -> f64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    files
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with("-wal")))
        .map(|path| mib(&path))
        .fold(0.0, f64::max)
}

/// Kills the server and starts it again: how long that took, and its memory then.
fn restart(bench: &mut Bench) -> Result<(f64, u64), String> {
    // What was acknowledged a moment before a kill may come again.
    thread::sleep(SAVED);
    let seconds = bench.field.restart(bellhop("power"), true)?;
    Ok((seconds, rss(bench.field.running(bellhop("power"))?.ids[0])))
}

/// What a start after a kill costs, with so much waiting.
fn start(bench: &mut Bench, waiting: u64, empty: u64) -> Result<Measures, String> {
    let subject = bellhop("power");
    let folder = bench.field.data(subject).ok_or("it does not run")?;
    let wal = wal(&folder);
    let (seconds, memory) = restart(bench)?;
    let mut measures = vec![(TIME, seconds), (WAL, wal), (RSS, memory as f64 / f64::from(1 << 20))];
    if waiting > 0 {
        measures.push((BYTES, memory.saturating_sub(empty) as f64 / waiting as f64));
    }
    Ok(measures)
}

/// What the case of a start is called.
pub(crate) fn start_case(waiting: u64) -> String {
    format!("{waiting} waiting, a start after a kill")
}

/// What the case of pairs beside a backlog is called.
pub(crate) fn pairs_case(waiting: u64) -> String {
    format!("{waiting} waiting, pairs W=64")
}

/// How many messages wait, step by step; among the steps is that of the promise about starts.
pub(crate) fn backlogs(most: u64) -> Vec<u64> {
    let mut backlogs = vec![0];
    backlogs.extend(steps(10_000, most));
    if most > 500_000 {
        backlogs.push(500_000);
    }
    backlogs.sort_unstable();
    backlogs.dedup();
    backlogs
}

pub(super) fn backlog(bench: &mut Bench) {
    let subject = bellhop("power");
    let shape = Shape::pairs(bench.amounts.of("pairs"), 64, 64);
    let (mut waiting, mut empty) = (0, 0);
    for wanted in backlogs(bench.amounts.of("backlog")) {
        if wanted > waiting {
            if let Err(why) = fill(bench, waiting, wanted) {
                bench.figures.fail("backlog", &pairs_case(wanted), &subject.to_string(), why);
                return;
            }
            waiting = wanted;
        }
        bench.by_turns("backlog", &pairs_case(waiting), &[subject], |bench, subject| {
            work(bench, subject, &shape)
        });
        if bench.figures.failures().any(|row| row.work == "backlog") {
            // The server that had them is gone.
            return;
        }
        if waiting == 0 {
            empty = restart(bench).map_or(0, |(_, memory)| memory);
        }
        bench.by_turns("backlog", &start_case(waiting), &[subject], |bench, _| start(bench, waiting, empty));
    }
}
