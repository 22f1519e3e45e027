//! The only reader of clocks in the bench: the time of day's hand, and what processes have used of the processors.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Nanoseconds since the first call.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap()
}

/// The same in seconds, between two of them.
pub(crate) fn seconds(from: u64, to: u64) -> f64 {
    Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}

/// A number of seconds in nanoseconds.
pub(crate) fn nanos(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap()
}

/// What a process has used: exact to the nanosecond for each of its threads, and in hundredths of a second for all
/// that it ever had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    threads: BTreeMap<u32, u64>,
    ticks: u64,
}

impl Used {
    /// What it has used until now.
    pub(crate) fn by(id: u32) -> Used {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
            let thread = task.file_name().to_string_lossy().parse().unwrap_or(0);
            let line = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let time = line.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0);
            threads.insert(thread, time);
        }
        let ticks = if threads.is_empty() { 0 } else { bellhop_tests::proc::processor_time(id) };
        Used { threads, ticks }
    }

    /// Nanoseconds from then to this. Threads that have ended since take their nanoseconds with them; their hundredths
    /// of a second stay.
    pub(crate) fn since(&self, then: &Used) -> u64 {
        let of = |(thread, time): (&u32, &u64)| time - then.threads.get(thread).unwrap_or(&0).min(time);
        let exact: u64 = self.threads.iter().map(of).sum();
        let ended = then.threads.keys().any(|thread| !self.threads.contains_key(thread));
        let rough = self.ticks.saturating_sub(then.ticks) * 10_000_000;
        if ended { exact.max(rough) } else { exact }
    }
}

/// What was used at a moment: by some processes, by this one, and by all of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    time: u64,
    servers: Vec<(u32, Used)>,
    own: Used,
    all: u64,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// How long it was, in s.
    pub(crate) seconds: f64,
    /// What the servers used, in µs.
    pub(crate) server: f64,
    /// What this process used, in µs.
    pub(crate) own: f64,
    /// How many processors were busy with something else.
    pub(crate) others: f64,
}

impl Moment {
    /// Now.
    pub(crate) fn now(servers: &[u32]) -> Moment {
        Moment {
            time: now(),
            servers: servers.iter().map(|id| (*id, Used::by(*id))).collect(),
            own: Used::by(std::process::id()),
            all: bellhop_tests::proc::all_time().0,
        }
    }

    /// What was used from this moment on.
    pub(crate) fn cost(&self) -> Cost {
        let end = Moment::now(&self.servers.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        let seconds = seconds(self.time, end.time).max(1e-9);
        let both = end.servers.iter().zip(&self.servers);
        let server = both.map(|((_, after), (_, before))| after.since(before)).sum::<u64>() as f64 / 1e3;
        let own = end.own.since(&self.own) as f64 / 1e3;
        let all = end.all.saturating_sub(self.all) as f64 * 1e4;
        Cost { seconds, server, own, others: ((all - server - own) / 1e6 / seconds).max(0.0) }
    }
}

/// Waits until less than a quarter of a processor is busy, for so long at most.
pub(crate) fn settle(patience: f64) {
    let end = now() + nanos(patience);
    while now() < end {
        let before = bellhop_tests::proc::all_time();
        std::thread::sleep(Duration::from_millis(250));
        if bellhop_tests::proc::all_time().0 - before.0 < 6 {
            return;
        }
    }
}
