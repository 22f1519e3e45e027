//! How long two honest people's talks take while others are up to something, against how long they take without them.
//!
//! One measurement after the other says little: what is normal varies with the machine from one second to the next. So
//! stretches without the others and with them follow each other, each with them is compared with the two beside it, and
//! stretches without them are compared with each other in the same way: that is the spread which no server can help.

use std::fmt;
use std::time::{Duration, Instant};

use crate::bounded::Pair;
use crate::proc::{all_time, own_thread_time, processor_time};

/// Talks that a stretch has at least: the slowest in a hundred is then one of ten that were as slow.
const TALKS_MIN: usize = 1_000;

/// Talks one after the other, under conditions that stay the same.
#[derive(Clone, Debug, Default)]
struct Stretch {
    /// Whether the others were there.
    loaded: bool,
    /// How long each talk took, in order of that.
    took: Vec<Duration>,
    used: Used,
}

/// Processor time in hundredths of a second: of the server, of the talks themselves, of the rest of this program, which
/// is those who are up to something, and of every other program; and how much there was of it.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    server: u64,
    talks: u64,
    crowd: u64,
    others: u64,
    all: u64,
}

impl Used {
    fn now(server: u32) -> Used {
        let (busy, all) = all_time();
        let (server, own, talks) =
            (processor_time(server), processor_time(std::process::id()), own_thread_time());
        let others = busy.saturating_sub(server + own);
        Used { server, talks, crowd: own.saturating_sub(talks), others, all }
    }

    fn combine(self, other: Used, with: fn(u64, u64) -> u64) -> Used {
        Used {
            server: with(self.server, other.server),
            talks: with(self.talks, other.talks),
            crowd: with(self.crowd, other.crowd),
            others: with(self.others, other.others),
            all: with(self.all, other.all),
        }
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |time: u64| time * 100 / self.all.max(1);
        let (server, talks, crowd) = (share(self.server), share(self.talks), share(self.crowd));
        write!(f, "server {server} %, talks {talks} %, crowd {crowd} %, others {} %", share(self.others))
    }
}

/// Stretches without the others and with them, by turns.
#[derive(Clone, Debug, Default)]
pub struct Talks {
    stretches: Vec<Stretch>,
}

impl Talks {
    /// Talks without the others, for so long and a thousand times at least.
    pub fn normal(&mut self, pair: &mut Pair, server: u32, time: Duration) {
        self.stretch(false, pair, server, lasting(time));
    }

    /// Talks with the others, for so long and a thousand times at least.
    pub fn loaded(&mut self, pair: &mut Pair, server: u32, time: Duration) {
        self.stretch(true, pair, server, lasting(time));
    }

    /// Talks with the others for as long as they are there; who looks is told how many talks there were.
    pub fn loaded_while(&mut self, pair: &mut Pair, server: u32, there: impl FnMut(usize) -> bool) {
        self.stretch(true, pair, server, there);
    }

    fn stretch(&mut self, loaded: bool, pair: &mut Pair, server: u32, mut go_on: impl FnMut(usize) -> bool) {
        let (before, mut took) = (Used::now(server), Vec::new());
        while go_on(took.len()) {
            took.push(pair.talk());
        }
        took.sort_unstable();
        let used = Used::now(server).combine(before, u64::saturating_sub);
        self.stretches.push(Stretch { loaded, took, used });
    }

    /// The slowest in a hundred of all talks, without the others and with them.
    pub fn p99(&self) -> (Duration, Duration) {
        let of = |loaded| {
            let stretches = self.stretches.iter().filter(|stretch| stretch.loaded == loaded);
            let mut took: Vec<Duration> =
                stretches.flat_map(|stretch| stretch.took.iter().copied()).collect();
            took.sort_unstable();
            p99(&took)
        };
        (of(false), of(true))
    }

    /// How many times as long the slowest in a hundred takes with the others as beside it without them: the middle one
    /// of all stretches with them.
    pub fn times(&self) -> f64 {
        let ratios = self.stretches.iter().enumerate().filter(|(_, stretch)| stretch.loaded);
        middle(ratios.map(|(at, stretch)| ratio(p99(&stretch.took), self.normal_beside(at))).collect())
    }

    /// The same of one stretch without them against the next: the middle one and the largest, whichever is slower.
    pub fn spread(&self) -> (f64, f64) {
        let normal = self.stretches.iter().filter(|stretch| !stretch.loaded);
        let normal: Vec<Duration> = normal.map(|stretch| p99(&stretch.took)).collect();
        let ratios: Vec<f64> = normal
            .iter()
            .zip(normal.iter().skip(1))
            .map(|(one, other)| ratio(*one.max(other), *one.min(other)))
            .collect();
        (middle(ratios.clone()), ratios.iter().copied().fold(1.0, f64::max))
    }

    /// The mean of the stretches without the others beside this one.
    fn normal_beside(&self, at: usize) -> Duration {
        let is_normal = |stretch: &&Stretch| !stretch.loaded;
        let before = self.stretches[..at].iter().rev().find(is_normal);
        let after = self.stretches[at..].iter().find(is_normal);
        let beside: Vec<Duration> =
            before.into_iter().chain(after).map(|stretch| p99(&stretch.took)).collect();
        beside.iter().sum::<Duration>() / u32::try_from(beside.len().max(1)).unwrap()
    }
}

impl fmt::Display for Talks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (normal, loaded) = self.p99();
        let (middle, most) = self.spread();
        let of = |loaded| self.stretches.iter().filter(move |stretch| stretch.loaded == loaded);
        let talks = |loaded| of(loaded).map(|stretch| stretch.took.len()).sum::<usize>();
        let used = of(true).fold(Used::default(), |all, stretch| all.combine(stretch.used, |a, b| a + b));
        write!(
            f,
            "p99 {normal:.1?} → {loaded:.1?} of {} and {} talks, {:.2} × beside it in the middle of {} \
             (normal against normal {middle:.2} ×, at most {most:.2} ×), processors: {used}",
            talks(false),
            talks(true),
            self.times(),
            of(true).count(),
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn lasting(time: Duration) -> impl FnMut(usize) -> bool {
    let start = Instant::now();
    move |talks| talks < TALKS_MIN || start.elapsed() < time
}

/// The slowest in a hundred of these, which are in order.
fn p99(took: &[Duration]) -> Duration {
    took.get(took.len() * 99 / 100).copied().unwrap_or_default()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-9)
}

fn middle(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_unstable_by(f64::total_cmp);
    match ratios.len() {
        0 => 1.0,
        count => (ratios[(count - 1) / 2] + ratios[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stretches of a thousand talks each, of which the slowest twenty took so many milliseconds.
    fn talks(stretches: &[(bool, u64)]) -> Talks {
        let stretch = |(loaded, slow): &(bool, u64)| {
            let took = (0..1_000).map(|number| Duration::from_millis(if number < 980 { 1 } else { *slow }));
            Stretch { loaded: *loaded, took: took.collect(), used: Used::default() }
        };
        Talks { stretches: stretches.iter().map(stretch).collect() }
    }

    #[test]
    fn what_is_slow_for_everybody_is_nobodys_doing() {
        let quiet = [(false, 2), (true, 3), (false, 2)];
        assert!((talks(&quiet).times() - 1.5).abs() < 1e-9);
        // The machine became ten times as slow, for both alike.
        let drifting = [(false, 2), (true, 3), (false, 2), (false, 20), (true, 30), (false, 20)];
        assert!((talks(&drifting).times() - 1.5).abs() < 1e-9);
        assert_eq!(talks(&drifting).spread(), (1.0, 10.0));
        assert_eq!(talks(&drifting).p99(), (Duration::from_millis(20), Duration::from_millis(30)));
    }

    #[test]
    fn what_is_slow_with_the_others_alone_shows() {
        let slow = [(false, 2), (true, 5), (false, 2), (true, 6), (false, 2), (true, 2), (false, 2)];
        assert!((talks(&slow).times() - 2.5).abs() < 1e-9);
        assert_eq!(talks(&slow).spread(), (1.0, 1.0));
    }
}
