//! What waits for a person's word. Where they want to be asked, messages that waited when the stream was opened stay on
//! the doorstep, unacknowledged, until they are taken; what comes later waits behind them, so that order holds.
//!
//! Unacknowledged means that the server has them still: a connection that ends loses nothing, and one that holds more
//! than a window gets no more.

use std::collections::VecDeque;

use crate::event::Event;
use crate::link::{Change, Received};

use super::State;

/// Messages that came and may not come in.
#[derive(Debug, Default)]
pub(super) struct Doorstep {
    closed: bool,
    queue: VecDeque<Received>,
    /// Bytes of text in it.
    bytes: usize,
    /// Items that the server announced and that did not come yet.
    announced: u64,
    /// So many messages more come in as they come.
    allowed: u64,
    /// What was told last.
    told: u64,
}

impl Doorstep {
    /// The stream is open, and so many items wait.
    pub(super) fn announced(&mut self, items: u64) {
        *self = Doorstep { closed: items > 0, announced: items, ..Doorstep::default() };
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes that lie here.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// An item came. True where it is one that nobody announced, and that waits behind those.
    fn came(&mut self) -> bool {
        let was_announced = self.announced > 0;
        self.announced = self.announced.saturating_sub(1);
        self.closed && !was_announced
    }

    /// Gives the message back where it comes in at once.
    fn hold(&mut self, received: Received) -> Option<Received> {
        if !self.closed || self.allowed > 0 {
            self.allowed = self.allowed.saturating_sub(1);
            return Some(received);
        }
        self.bytes += received.text.len();
        self.queue.push_back(received);
        None
    }

    /// So many come in: those that are here, and as many of the next ones as are missing.
    fn take(&mut self, count: u64) -> Vec<Received> {
        let here = usize::try_from(count).unwrap_or(usize::MAX).min(self.queue.len());
        let taken: Vec<Received> = self.queue.drain(..here).collect();
        self.bytes -= taken.iter().map(|received| received.text.len()).sum::<usize>();
        self.allowed = self.allowed.saturating_add(count - here as u64);
        taken
    }
}

impl State {
    /// An item came while others wait.
    pub(super) fn item_came(&mut self) {
        if self.doorstep.came() {
            self.items_left += 1;
        }
    }

    /// A message comes in, or waits.
    pub(super) fn let_in(&mut self, received: Received) {
        if let Some(received) = self.doorstep.hold(received) {
            self.changes.push(Change::Incoming(received));
        }
    }

    /// Somebody wants so many of those that wait.
    pub(super) fn take_in(&mut self, count: u64) {
        if self.doorstep.is_closed() {
            self.changes.extend(self.doorstep.take(count).into_iter().map(Change::Incoming));
        }
    }

    /// Opens the door when nothing waits any more, and tells how much does. While something is on its way in, the next
    /// number is told when that is on disk; what may be receipts alone is not worth a question.
    pub(super) fn tell_waiting(&mut self) {
        let is_writing = self.storing || !self.changes.is_empty();
        let step = &mut self.doorstep;
        if !step.closed {
            return;
        }
        let left = self.items_left.max(step.queue.len() as u64);
        step.closed = left > 0;
        let unsure = step.told == 0 && step.queue.is_empty();
        let goes_on = is_writing || step.allowed > 0 && step.closed;
        if left != step.told && !goes_on && !unsure {
            step.told = left;
            self.event(Event::Held(left));
        }
    }
}
