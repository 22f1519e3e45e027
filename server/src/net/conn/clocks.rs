//! The clocks of a connection: one timer, armed for whatever is due first.

use std::task::Context;
use std::time::Duration;

use bellhop_protocol::{OpCode, frame};

use super::{Conn, End, Socket};
use crate::clock::random;
use crate::mailbox::Effects;
use crate::service::Hold;
use crate::service::delivery;
use crate::session::Alarm;

/// A connection that takes nothing for so long is given up.
const STALLED_AFTER: Duration = Duration::from_secs(20);

impl<S: Socket> Conn<S> {
    /// When something is to be done although nothing comes.
    fn deadline(&self) -> Option<Duration> {
        let alive = matches!(self.end, End::No | End::HalfClosed);
        let coarse = [
            self.session.deadline().filter(|_| alive),
            self.stalled_since.map(|since| since + STALLED_AFTER),
            self.taken.deadline().filter(|_| alive),
            self.shrink_at.filter(|_| alive),
            self.caller.watcher.as_ref().and_then(|watcher| watcher.deadline()).filter(|_| alive),
        ];
        // Up to the next second, so that the clocks of all connections run out in one wake-up a second.
        let coarse = coarse.into_iter().flatten().min().map(|at| Duration::from_secs(at.as_secs() + 1));
        let rate = match self.held {
            Some(Hold::Rate(until)) if alive => Some(until),
            _ => None,
        };
        let linger = match self.end {
            End::Lingering(until) => Some(until),
            _ => None,
        };
        let again = self.feed_again.filter(|_| alive);
        let enter = self.enter_by.filter(|_| alive && self.is_entering());
        [coarse, rate, linger, again, enter].into_iter().flatten().min()
    }

    /// Arms the timer for what is due next, or does what is due; returns whether something was.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        let mut armed_anew = false;
        loop {
            let Some(deadline) = self.deadline() else { return false };
            if deadline <= now {
                return self.ring(now, effects);
            }
            // A timer that rings too early is armed again then: moving it for each message would cost more.
            if deadline < self.sleep_until {
                self.sleep_until = deadline;
                self.sleep.as_mut().reset(self.caller.core.clock.instant(deadline).into());
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return false;
            }
            let rang_at = std::mem::replace(&mut self.sleep_until, Duration::MAX);
            let now_at_least = self.caller.core.clock.now().up;
            if deadline <= now_at_least {
                return self.ring(now_at_least, effects);
            }
            if rang_at >= deadline || armed_anew {
                // The timer has rung in time, and the clock stands still: only a test's does.
                return false;
            }
            armed_anew = true;
        }
    }

    fn ring(&mut self, now: Duration, effects: &mut Effects) -> bool {
        if matches!(self.end, End::Lingering(until) if until <= now)
            || self.stalled_since.is_some_and(|since| since + STALLED_AFTER <= now)
        {
            self.end = End::Over;
            return true;
        }
        if !matches!(self.end, End::No | End::HalfClosed) {
            return false;
        }
        if self.is_entering() && self.enter_by.is_some_and(|at| at <= now) {
            self.caller.core.counters.tls_late.one();
            self.end = End::Over;
            return true;
        }
        if self.feed_again.is_some_and(|at| at <= now) {
            self.feed_again = None;
            self.feeding = true;
        }
        if let (Some(written), Some(login)) = (self.taken.taken(now), &self.caller.login) {
            delivery::take_written(&self.caller.core, login, written, effects);
        }
        if self.shrink_at.is_some_and(|at| at <= now) {
            self.shrink_at = None;
            self.shrink();
        }
        match self.session.alarm(now) {
            None => {}
            Some(Alarm::Ping) => {
                let ping = random::<8>();
                self.caller.outbox.answer(effects, |out| frame::put(out, OpCode::Ping.byte(), &ping));
            }
            Some(Alarm::Close(refusal)) => self.close(&refusal, effects),
            Some(Alarm::Drop) => self.end = End::Over,
        }
        true
    }

    fn shrink(&mut self) {
        self.inbox.shrink();
        self.share.settle(&mut self.inbox, self.stream.memory());
        self.caller.outbox.shrink(&mut self.writing);
        self.caller.recipient.forget();
    }
}
