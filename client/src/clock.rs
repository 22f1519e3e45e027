//! The only reader of the clock and of random numbers; everybody else takes them as arguments.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, for deadlines.
#[expect(clippy::disallowed_methods, reason = "the one place that reads this clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, for people: ms since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that reads this clock")]
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Random bytes, good enough for secrets.
///
/// # Panics
///
/// When the system has none: nothing that needs them could be done safely.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}
