//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

/// How long a state may take to come about, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `state` gives something.
///
/// # Panics
///
/// Where it does not within [`PATIENCE`]; `what` says what was waited for.
#[expect(clippy::disallowed_methods, reason = "the patience of a test is real time")]
pub fn wait_for<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = state() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
