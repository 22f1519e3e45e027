//! Giving and writing: the session is given what its mailbox has, and what is due goes out in bulk.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bellhop_protocol::Code;
use bellhop_protocol::code::Refusal;

use super::{Conn, End, SHRINK_AFTER, Socket};
use crate::mailbox::Effects;
use crate::outbox::{ROOM_AGAIN, Taken};
use crate::service::delivery::{self, Fed};

/// How long input is thrown away before a close, so that the last answer is not reset away.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// When the reading threads had too much to do, or did not find a row, they are asked again after this.
pub(super) const FETCH_AGAIN: Duration = Duration::from_millis(100);
/// A row that the store does not find so often in a row is lost.
pub(super) const FETCHES_EMPTY_MAX: u32 = 5;

impl<S: Socket> Conn<S> {
    pub(super) fn poll_feed(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        if self.fetching.is_none() && (!self.feeding || self.feed_again.is_some()) {
            return false;
        }
        let Some(login) = self.caller.login.clone() else { return false };
        if !matches!(self.end, End::No | End::HalfClosed) {
            return false;
        }
        let (mut fetched, mut held) = (Vec::new(), None);
        if let Some(mut fetching) = self.fetching.take() {
            match Pin::new(&mut fetching).poll(cx) {
                Poll::Pending => {
                    self.fetching = Some(fetching);
                    return false;
                }
                Poll::Ready(Ok(Ok(rows))) => (fetched, held) = (rows, Some(fetching.held)),
                Poll::Ready(Ok(Err(error))) => return self.give_up(&error, effects),
                // The reading threads have ended: so does the server.
                Poll::Ready(Err(_)) => {
                    self.end = End::Over;
                    return false;
                }
            }
            self.fetches_empty = if fetched.is_empty() { self.fetches_empty + 1 } else { 0 };
            if self.fetches_empty > FETCHES_EMPTY_MAX {
                return self.give_up(&"rows of the log are missing", effects);
            }
            if fetched.is_empty() {
                // The row is being moved, and the mailbox knows its new place in a moment.
                self.feed_again = Some(now + FETCH_AGAIN);
                return true;
            }
        }
        self.feeding = false;
        if self.starved && !self.caller.outbox.has_room() {
            // What would be read from the store now would find no room once more.
            self.feed_again = Some(now + ROOM_AGAIN);
            return true;
        }
        self.starved = false;
        let fed = delivery::feed(&self.caller.core, &login, &fetched, effects);
        drop((fetched, held));
        match fed {
            Fed::Enough => {}
            Fed::Fetching(fetching) => self.fetching = Some(fetching),
            Fed::Delivered => {
                self.delivering = false;
                self.session.done(now);
                self.feeding = true;
            }
            Fed::Later => self.feed_again = Some(now + FETCH_AGAIN),
        }
        true
    }

    /// Tells what is due of those who are watched; returns whether there was anything.
    pub(super) fn poll_presence(&mut self, now: Duration, effects: &mut Effects) -> bool {
        let alive = matches!(self.end, End::No | End::HalfClosed);
        let Some(watcher) = self.caller.watcher.as_ref().filter(|_| alive) else { return false };
        // Who came since this turn began woke nobody, and counts from after its beginning.
        let now = match watcher.deadline() {
            Some(due) if due > now => self.caller.core.clock.now().up,
            _ => now,
        };
        watcher.push(now, effects)
    }

    fn give_up(&mut self, error: &dyn std::fmt::Display, effects: &mut Effects) -> bool {
        self.caller.core.damaged(error);
        self.close(&Refusal::new(Code::STORAGE, "the mailbox cannot be read now"), effects);
        true
    }

    /// Says why, and closes when that is written.
    pub(super) fn close(&mut self, refusal: &Refusal, effects: &mut Effects) {
        self.caller.outbox.close(refusal.code, &refusal.sentence, effects);
        self.end = End::Closing;
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        let before = self.written;
        let mut on = false;
        loop {
            if self.writing_at == self.writing.len() {
                self.writing.clear();
                self.writing_at = 0;
                match self.caller.outbox.take(&mut self.writing, cx.waker()) {
                    Taken::Some { pushed } => self.pushing = pushed,
                    Taken::Parked { starved } => {
                        if starved {
                            self.starved = true;
                            self.feed_again.get_or_insert(now + ROOM_AGAIN);
                        }
                        break;
                    }
                    Taken::Close => {
                        on |= self.close_our_side(cx, now);
                        break;
                    }
                }
            }
            if !self.write_once(cx, now) {
                break;
            }
        }
        self.share.settle(&mut self.inbox, self.stream.memory());
        if self.end == End::Over {
            return false;
        }
        if self.written > before {
            self.after_writing(now, effects);
            return true;
        }
        if self.end == End::HalfClosed && self.is_answered() {
            self.caller.outbox.finish();
            on |= self.close_our_side(cx, now);
        }
        on
    }

    /// Writes once; returns whether more may be written.
    fn write_once(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        // Asked before and not after it: whoever reads a message may answer before this task goes on.
        let is_text = self.caller.login.as_ref().is_some_and(|login| login.device.is_none());
        let drained = self.pushing && is_text && self.stream.is_drained();
        match self.stream.poll_write(cx, self.writing.get(self.writing_at..).unwrap_or_default()) {
            Poll::Ready(Ok(count)) if count > 0 => {
                self.writing_at += count;
                self.written += u64::try_from(count).unwrap_or(u64::MAX);
                self.caller.outbox.wrote(count);
                self.stalled_since = None;
                if drained {
                    self.drained_at = self.written;
                }
                true
            }
            Poll::Ready(_) => {
                self.end = End::Over;
                false
            }
            Poll::Pending => {
                self.stalled_since.get_or_insert(now);
                false
            }
        }
    }

    /// There is room again, and a text session has been written something.
    fn after_writing(&mut self, now: Duration, effects: &mut Effects) {
        self.shrink_at.get_or_insert(now + SHRINK_AFTER);
        let Some(login) = &self.caller.login else { return };
        self.feeding = true;
        if login.device.is_none() {
            self.untaken = delivery::hold_to_bound(&self.caller.core, login, self.written, effects);
            match self.untaken {
                true => self.taken.wrote(now, self.written),
                false => self.taken.clear(),
            }
        }
    }

    /// True if and only if nothing is due to the other side any more.
    fn is_answered(&self) -> bool {
        self.work.is_none()
            && !self.delivering
            && self.caller.outbox.due() == Default::default()
            // After what is due: the writing thread may have paid since this task found nothing to write.
            && self.caller.outbox.unwritten() == 0
            && (self.held.is_none() || self.inbox.is_empty())
            && self.writing_at == self.writing.len()
    }

    fn close_our_side(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        if matches!(self.end, End::Lingering(_) | End::Over) {
            return false;
        }
        match self.stream.poll_shutdown(cx) {
            Poll::Pending => {
                self.stalled_since.get_or_insert(now);
                false
            }
            Poll::Ready(Err(_)) => {
                self.end = End::Over;
                true
            }
            Poll::Ready(Ok(())) => {
                self.end = End::Lingering(now + LINGER);
                true
            }
        }
    }
}
