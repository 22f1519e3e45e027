//! The only reader of clocks and of randomness: everything else gets time and random bytes as values.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bellhop_protocol::MessageId;

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the server started, on a clock that never jumps: for everything that waits.
    pub up: Duration,
    /// Milliseconds since 1970, as the machine believes: for everything that is shown or kept.
    pub wall_ms: u64,
}

/// The machine's clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    #[cfg(test)]
    moved: std::sync::Arc<parking_lot::Mutex<Moved>>,
}

/// Where a test has moved the clocks.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
struct Moved {
    up: Duration,
    wall_ms: u64,
}

impl Clock {
    /// Starts the clock that never jumps.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
    pub fn start() -> Clock {
        Clock {
            started: Instant::now(),
            #[cfg(test)]
            moved: std::sync::Arc::new(parking_lot::Mutex::new(Moved {
                up: Duration::ZERO,
                wall_ms: wall_ms(),
            })),
        }
    }

    /// This moment.
    #[cfg(not(test))]
    pub fn now(&self) -> Now {
        Now { up: self.started.elapsed(), wall_ms: wall_ms() }
    }

    /// This moment: in tests time stands still but for what a test lets pass.
    #[cfg(test)]
    pub fn now(&self) -> Now {
        let Moved { up, wall_ms } = *self.moved.lock();
        Now { up, wall_ms }
    }

    /// Lets time pass, on both clocks.
    #[cfg(test)]
    pub(crate) fn pass(&self, time: Duration) {
        let mut moved = self.moved.lock();
        moved.up += time;
        moved.wall_ms += time.as_millis() as u64;
    }

    /// Sets the wall clock, so many ms from where it is.
    #[cfg(test)]
    pub(crate) fn jump(&self, by_ms: i64) {
        let mut moved = self.moved.lock();
        moved.wall_ms = moved.wall_ms.saturating_add_signed(by_ms);
    }

    /// The instant at which the clock that never jumps shows `up`.
    #[cfg(not(test))]
    pub fn instant(&self, up: Duration) -> Instant {
        self.started + up
    }

    /// The instant at which the clock that never jumps would show `up`, went it on from here: a timer that rings then
    /// finds that no time has passed, and is as long as before.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "timers of tests run in real time")]
    pub fn instant(&self, up: Duration) -> Instant {
        let left = up.saturating_sub(self.moved.lock().up);
        // What is over is over for timers that were not looked at since, too.
        if left.is_zero() { self.started } else { Instant::now() + left }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Random bytes of the operating system.
///
/// # Panics
///
/// Where the operating system has none: no key could be made and no id be trusted.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// How many random bytes are fetched at once for ids, which need no secrecy.
const POOL: usize = 1024;

thread_local! {
    /// Random bytes, and how many of them were used.
    static IDS: RefCell<([u8; POOL], usize)> = const { RefCell::new(([0; POOL], POOL)) };
}

/// An id of version 4. Ids are drawn from a pool: a system call for each would cost more than the message.
pub fn random_id() -> MessageId {
    let bytes = IDS.with_borrow_mut(|(pool, used)| {
        if *used + 16 > POOL {
            *pool = random();
            *used = 0;
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&pool[*used..*used + 16]);
        *used += 16;
        bytes
    });
    MessageId(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
