//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

/// How long a state may take to come about, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `state` gives something.
///
/// # Panics
///
/// Where it does not within [`PATIENCE`]; `what` says what was waited for.
pub fn wait_for<T>(what: &str, state: impl FnMut() -> Option<T>) -> T {
    waited(PATIENCE, state).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// Waits until `state` gives something; `None` where it does not for so long.
#[expect(clippy::disallowed_methods, reason = "the patience of a test is real time")]
pub fn waited<T>(patience: Duration, mut state: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = state();
        if found.is_some() || start.elapsed() >= patience {
            return found;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How long something takes.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}
