//! A token bucket in one word: the generic cell rate algorithm of ITU-T I.371, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many seconds' worth may come at once.
const BURST_SECONDS: u64 = 10;

/// So many a second, with a burst of ten times as many.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When the next one would be due if they came evenly, in ns on the clock that never jumps.
    due_ns: AtomicU64,
}

impl Bucket {
    /// Takes `count`, or a whole burst where that is less, at `now` on the clock that never jumps; `u64::MAX` a second is
    /// no limit. Where the bucket holds one it may be asked for several, and owes the rest: whoever waited for it to hold
    /// them all would wait for ever beside others who take each one that comes.
    ///
    /// # Errors
    ///
    /// When the first can be had, where the bucket holds none; nothing was taken.
    pub fn take(&self, count: u64, now: Duration, per_second: u64) -> Result<(), Duration> {
        if per_second == u64::MAX {
            return Ok(());
        }
        let now = now.as_nanos() as u64;
        let (first, all) = (cost(1, per_second), cost(count, per_second));
        let mut due = self.due_ns.load(Ordering::Relaxed);
        loop {
            let from = due.max(now);
            if from + first > now + TOLERANCE_NS {
                return Err(Duration::from_nanos(from + first - TOLERANCE_NS));
            }
            match self.due_ns.compare_exchange_weak(due, from + all, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => due = other,
            }
        }
    }

    /// Tells whether one can be had at `now`, and takes none.
    ///
    /// # Errors
    ///
    /// When it can.
    pub fn has_one(&self, now: Duration, per_second: u64) -> Result<(), Duration> {
        if per_second == u64::MAX {
            return Ok(());
        }
        let first = self.due_ns.load(Ordering::Relaxed) + cost(1, per_second);
        match first <= now.as_nanos() as u64 + TOLERANCE_NS {
            true => Ok(()),
            false => Err(Duration::from_nanos(first - TOLERANCE_NS)),
        }
    }

    /// Takes one for something that happened already, whether or not there is one: what is owed comes first.
    pub fn charge(&self, now: Duration, per_second: u64) {
        if per_second == u64::MAX {
            return;
        }
        let now = now.as_nanos() as u64;
        let later = |due: u64| Some(due.max(now) + cost(1, per_second));
        let _ = self.due_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// True if and only if everything that was taken has come again by `now`: a new bucket would hold no more.
    pub fn is_full(&self, now: Duration) -> bool {
        self.due_ns.load(Ordering::Relaxed) <= now.as_nanos() as u64
    }

    /// Gives `count` back that were taken for something that did not happen.
    pub fn give_back(&self, count: u64, per_second: u64) {
        if per_second != u64::MAX {
            self.due_ns.fetch_sub(cost(count, per_second), Ordering::Relaxed);
        }
    }
}

const TOLERANCE_NS: u64 = BURST_SECONDS * 1_000_000_000;

fn cost(count: u64, per_second: u64) -> u64 {
    (1_000_000_000 / per_second.max(1)).saturating_mul(count).min(TOLERANCE_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let bucket = Bucket::default();
        let at = |ms| Duration::from_millis(ms);
        assert_eq!((0..2_000).filter(|_| bucket.take(1, at(5_000), 100).is_ok()).count(), 1_000);
        assert_eq!(bucket.take(1, at(5_000), 100), Err(at(5_010)));
        assert_eq!(bucket.take(1, at(5_009), 100), Err(at(5_010)));
        assert_eq!(bucket.take(1, at(5_010), 100), Ok(()));
        assert_eq!((0..2_000).filter(|_| bucket.take(1, at(7_010), 100).is_ok()).count(), 200);
        assert_eq!((0..2_000).filter(|_| bucket.take(1, at(60_000), 100).is_ok()).count(), 1_000);
    }

    #[test]
    fn more_than_a_burst_costs_a_burst() {
        let (bucket, at) = (Bucket::default(), |s| Duration::from_secs(s));
        assert_eq!(bucket.take(3_500, at(100), 100), Ok(()));
        let next = at(100) + Duration::from_millis(10);
        assert_eq!(bucket.take(3_500, at(100), 100), Err(next));
        assert_eq!(bucket.take(3_500, next, 100), Ok(()));
        assert_eq!(bucket.take(1, next, 100), Err(at(110) + Duration::from_millis(10)));
    }

    /// Who asked for several at once waited for ever while somebody else took each one that there was.
    #[test]
    fn several_at_once_wait_no_longer_than_one() {
        let (bucket, ms) = (Bucket::default(), Duration::from_millis);
        while bucket.take(1, ms(0), 100).is_ok() {}
        let mut until = ms(0);
        let taken = (0..1_000).map(|step| ms(step * 10)).find(|now| {
            if *now >= until && bucket.take(5, *now, 100).map_err(|at| until = at).is_ok() {
                return true;
            }
            // Another one takes what there is.
            let _ = bucket.take(1, *now, 100);
            false
        });
        assert_eq!(taken, Some(ms(10)));
    }

    #[test]
    fn what_happened_already_is_owed() {
        let (bucket, at) = (Bucket::default(), |s| Duration::from_secs(s));
        (0..50).for_each(|_| {
            assert_eq!(bucket.has_one(at(100), 5), Ok(()));
            bucket.charge(at(100), 5);
        });
        assert_eq!(bucket.has_one(at(100), 5), Err(at(100) + Duration::from_millis(200)));
        (0..1_000).for_each(|_| bucket.charge(at(100), 5));
        assert_eq!(bucket.has_one(at(100), 5), Err(at(300) + Duration::from_millis(200)));
        bucket.charge(at(100), u64::MAX);
        assert_eq!(bucket.has_one(at(301), 5), Ok(()));
    }

    #[test]
    fn off_is_no_limit() {
        let bucket = Bucket::default();
        assert!((0..100_000).all(|_| bucket.take(1, Duration::ZERO, u64::MAX).is_ok()));
    }
}
