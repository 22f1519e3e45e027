//! Tells when the machine comes back from sleep, or when somebody sets its clock. Costs nothing until then: a timer that
//! never rings, which the system cancels when the wall clock leaps. What is made of that is decided elsewhere.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use timer::Leaps;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod timer {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use rustix::io::{Errno, read};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    /// A moment that never comes: half of what the system can count.
    const NEVER_S: i64 = i64::MAX / 2_000_000_000;

    /// Leaps of the wall clock.
    pub(crate) struct Leaps(OwnedFd);

    impl Leaps {
        /// `None` where the system has no such timer: whoever wakes for something else finds out then.
        pub(crate) fn new() -> Option<Leaps> {
            Leaps::until(NEVER_S)
        }

        /// The same, which rings when the wall clock has come to this second.
        fn until(second: i64) -> Option<Leaps> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Realtime, flags).ok()?;
            let once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let at = Timespec { tv_sec: second, tv_nsec: 0 };
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            timerfd_settime(&timer, flags, &Itimerspec { it_interval: once, it_value: at }).ok()?;
            Some(Leaps(timer))
        }

        /// What becomes readable with a leap.
        pub(crate) fn fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        /// True if and only if there was a leap since it was asked last.
        pub(crate) fn leapt(&self) -> bool {
            matches!(read(&self.0, &mut [0; 8]), Ok(_) | Err(Errno::CANCELED))
        }
    }

    #[cfg(test)]
    mod tests {
        use rustix::event::{PollFd, PollFlags, poll};

        use super::*;
        use crate::clock;

        fn readable(leaps: &Leaps, seconds: i64) -> bool {
            let mut watched = [PollFd::from_borrowed_fd(leaps.fd(), PollFlags::IN)];
            poll(&mut watched, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })) == Ok(1)
        }

        #[test]
        fn a_leap_is_told_once_and_otherwise_nothing_is() {
            let never = Leaps::new().expect("this system has such timers");
            assert!(!readable(&never, 0) && !never.leapt());
            let rings = Leaps::until(clock::wall_ms() / 1_000 + 1).expect("a timer");
            assert!(readable(&rings, 60) && rings.leapt());
            assert!(!readable(&rings, 0) && !rings.leapt());
        }
    }
}

/// Other systems tell nobody.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub(crate) enum Leaps {}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
impl Leaps {
    pub(crate) fn new() -> Option<Leaps> {
        None
    }

    pub(crate) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match *self {}
    }

    pub(crate) fn leapt(&self) -> bool {
        match *self {}
    }
}
