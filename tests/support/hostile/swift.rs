//! An answer to whatever is said comes within a second, however long the machine is busy with something else.
//!
//! A machine that is busy is slow at this moment, a server that hangs is slow at this input. So what took too long is said
//! again, and is too slow where it takes too long each time. Passwords alone may wait: for their turn at the hash. What never ends at all ends the program, in words.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Case, costs_a_hash};

/// The longest that an answer may take.
pub const SWIFT: Duration = Duration::from_secs(1);
/// How long a password may wait for its turn, after which it is told to come again.
const TURN: Duration = Duration::from_secs(3);
/// How often the same is said before it is called slow.
const TRIES: u32 = 4;
/// After so long nothing comes any more.
const NEVER: Duration = Duration::from_secs(60);

/// Watches several peers say their cases.
pub struct Watch {
    start: Instant,
    /// When each of them began its case, in milliseconds from the start and one; nothing while it has none.
    since: Vec<AtomicU64>,
    /// The longest that any took in its best try, in microseconds.
    longest: AtomicU64,
}

#[expect(clippy::disallowed_methods, reason = "how long an answer takes is real time")]
impl Watch {
    /// Watches so many peers.
    pub fn over(peers: usize) -> Watch {
        let since = (0..peers).map(|_| AtomicU64::new(0)).collect();
        Watch { start: Instant::now(), since, longest: AtomicU64::new(0) }
    }

    /// What is answered when a peer says its case, in the first try that is swift.
    ///
    /// # Panics
    ///
    /// Where each try takes longer than [`SWIFT`].
    pub fn answers<T>(&self, peer: usize, case: &Case, mut say: impl FnMut() -> T) -> T {
        let most = if costs_a_hash(&case.bytes) { SWIFT + TURN } else { SWIFT };
        let mut fastest = Duration::MAX;
        for _ in 0..TRIES {
            self.since[peer].store(self.millis() + 1, Ordering::Relaxed);
            let begun = Instant::now();
            let answer = say();
            let took = begun.elapsed();
            self.since[peer].store(0, Ordering::Relaxed);
            fastest = fastest.min(took);
            if took < most {
                let micros = u64::try_from(took.as_micros()).unwrap();
                self.longest.fetch_max(micros, Ordering::Relaxed);
                return answer;
            }
        }
        panic!("{TRIES} times an answer took {fastest:?} and more: {case:02x?}");
    }

    /// The longest that an answer took which was swift enough.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }

    /// Ends the program where a peer is in the same case for a minute: a thread that goes round and round cannot be ended
    /// otherwise.
    #[expect(clippy::print_stderr, reason = "the last words of a test that cannot fail in another way")]
    pub fn look(&self) {
        let now = self.millis();
        let stuck = |since: &AtomicU64| match since.load(Ordering::Relaxed) {
            0 => false,
            since => u128::from(now.saturating_sub(since)) > NEVER.as_millis(),
        };
        if let Some(peer) = self.since.iter().position(stuck) {
            eprintln!("peer {peer} has had no answer for {NEVER:?}: the server goes round and round");
            std::process::exit(101);
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::hostile::{State, said};
    use bellhop_protocol::OpCode;

    #[test]
    fn a_hang_is_told_from_a_machine_that_is_busy() {
        let watch = Watch::over(1);
        let mut pauses = [1_100, 0].into_iter();
        let case =
            |data: &[u8]| Case { class: "a case", state: State::Text, bytes: said(OpCode::Create, data) };
        watch
            .answers(0, &case(b"slow"), || std::thread::sleep(Duration::from_millis(pauses.next().unwrap())));
        assert!(watch.longest() < SWIFT);
        let hang = || watch.answers(0, &case(b"slow"), || std::thread::sleep(SWIFT));
        let caught = catch_unwind(AssertUnwindSafe(hang)).unwrap_err();
        let words = caught.downcast_ref::<String>().unwrap();
        assert!(words.contains("a case"), "{words}");
        // A password has waited for its turn.
        watch.answers(0, &case(b"slow|open sesame"), || std::thread::sleep(SWIFT));
    }
}
