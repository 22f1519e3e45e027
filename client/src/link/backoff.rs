//! How long to wait before the next try: doubling from half a second to half a minute, a fifth off or on.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// The waits of one run of failures.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    /// Waits whose jitter comes from `seed`.
    pub(crate) fn new(seed: u64) -> Backoff {
        Backoff { failures: 0, random: seed | 1 }
    }

    /// The wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // xorshift64: good enough to keep a thousand clients from coming back in one moment.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let per_mille = 800 + (self.random >> 11) % 401;
        doubled * u32::try_from(per_mille).expect("at most 1,200") / 1_000
    }

    /// The run is over.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        for seed in [0, 1, 7, u64::MAX] {
            let mut backoff = Backoff::new(seed);
            for seconds in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] {
                let wait = backoff.next().as_secs_f64();
                assert!((seconds * 0.799..=seconds * 1.201).contains(&wait), "{wait} instead of {seconds}");
            }
            backoff.reset();
            assert!(backoff.next() < Duration::from_secs(1));
        }
    }

    #[test]
    fn two_clients_do_not_wait_alike() {
        assert_ne!(Backoff::new(3).next(), Backoff::new(90_001).next());
    }
}
