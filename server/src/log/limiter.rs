//! How many lines a cause has: so many a second, and then a count, which its next line tells. No timer runs for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The lines of one second.
const WINDOW: Duration = Duration::from_secs(1);

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It gets a line.
    Tell {
        /// So many events of the cause got none since its last line.
        untold: u64,
    },
    /// It is counted.
    Count,
}

#[derive(Debug, Default)]
struct Cause {
    since: Option<Duration>,
    told: u64,
    untold: u64,
    message: String,
}

/// The causes there were. There are never more of them than places in the program that tell something.
#[derive(Debug)]
pub(super) struct Limiter<K> {
    causes: HashMap<K, Cause>,
}

impl<K> Default for Limiter<K> {
    fn default() -> Limiter<K> {
        Limiter { causes: HashMap::new() }
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// Notes an event of `cause` at `now`; `u64::MAX` a second is no limit.
    pub(super) fn note(&mut self, cause: &K, now: Duration, per_second: u64) -> Verdict {
        let cause = self.causes.entry(cause.clone()).or_default();
        if cause.since.is_none_or(|since| since + WINDOW <= now) {
            (cause.since, cause.told) = (Some(now), 0);
        }
        if cause.told >= per_second {
            cause.untold += 1;
            return Verdict::Count;
        }
        cause.told += 1;
        Verdict::Tell { untold: std::mem::take(&mut cause.untold) }
    }

    /// Notes what the last line of `cause` said.
    pub(super) fn told(&mut self, cause: &K, message: &str) {
        if let Some(cause) = self.causes.get_mut(cause).filter(|cause| cause.message != message) {
            cause.message = message.to_owned();
        }
    }

    /// What was only counted since the last line of its cause: what that said, and how many.
    pub(super) fn left(&mut self) -> Vec<(String, u64)> {
        let causes = self.causes.values_mut().filter(|cause| cause.untold > 0);
        causes.map(|cause| (cause.message.clone(), std::mem::take(&mut cause.untold))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_lines_and_a_count() {
        let (mut limiter, ms) = (Limiter::default(), Duration::from_millis);
        let at = |limiter: &mut Limiter<u8>, time| {
            (0..1_000).filter(|_| limiter.note(&1, ms(time), 100) != Verdict::Count).count()
        };
        assert_eq!([at(&mut limiter, 5_000), at(&mut limiter, 5_999)], [100, 0]);
        assert_eq!(limiter.note(&2, ms(5_999), 100), Verdict::Tell { untold: 0 }, "another cause");
        assert_eq!(limiter.note(&1, ms(6_000), 100), Verdict::Tell { untold: 1_900 });
        assert_eq!(limiter.note(&1, ms(6_000), 100), Verdict::Tell { untold: 0 });
        assert_eq!(at(&mut limiter, 6_001), 98);
        limiter.told(&1, "again");
        assert_eq!(limiter.left(), [("again".to_owned(), 902)]);
        assert_eq!(limiter.left(), []);
        assert!((0..10_000).all(|_| limiter.note(&3, ms(7_000), u64::MAX) != Verdict::Count));
    }
}
