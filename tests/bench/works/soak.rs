//! A long run: what a server has must not grow with what it has done.

use bellhop_tests::proc::{files, rss};

use super::live::{Shape, bellhop};
use super::{Bench, Measures};
use crate::clock;
use crate::figures::{RATE, TIMES};
use crate::load::Load;

/// How many times is looked.
const LOOKS: usize = 30;
/// Messages a second: a busy day, and room to do the rest.
const PER_SECOND: f64 = 5_000.0;

/// How many files, beyond those that it had in the middle.
pub(crate) const FILES: &str = "files_more";
/// The same of threads.
pub(crate) const THREADS: &str = "threads_more";

fn threads(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count)
}

/// What it has in the last third of the time against the second third.
fn run(bench: &mut Bench, time: f64) -> Result<Measures, String> {
    let running = bench.field.running(bellhop("power"))?;
    let (id, shape) = (running.ids[0], Shape::pairs(bench.amounts.of("pairs"), 64, 64));
    let (mut memory, mut open, mut tasks, mut sent) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..LOOKS {
        // They come and go, too.
        let mut load = Load::meet(&running, &shape.roles(), shape.window, shape.size)?;
        shape.flows.iter().for_each(|(from, to)| load.flow(*from, *to, u64::MAX));
        (load.run, load.is_sending) = (1, true);
        let start = clock::now();
        while clock::seconds(start, clock::now()) < time / LOOKS as f64 {
            load.pace((clock::seconds(start, clock::now()) * PER_SECOND) as u64);
            load.turn(500)?;
        }
        load.drain()?;
        sent += load.sent;
        memory.push(rss(id) as f64);
        open.push(files(id) as f64);
        tasks.push(threads(id) as f64);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let thirds = |values: &[f64]| (mean(&values[LOOKS / 3..LOOKS * 2 / 3]), mean(&values[LOOKS * 2 / 3..]));
    let more = |values: &[f64]| thirds(values).1 - thirds(values).0;
    let (middle, last) = thirds(&memory);
    Ok(vec![
        (RATE, sent as f64 / time),
        (TIMES, last / middle),
        (FILES, more(&open)),
        (THREADS, more(&tasks)),
    ])
}

pub(super) fn soak(bench: &mut Bench) {
    let time = bench.amounts.of("soak-s");
    bench.once("soak", &format!("{time} s"), bellhop("power"), |bench| run(bench, time as f64));
}
