//! Our messages on their way to the server: which may go now, in which order, and what an answer means.
//!
//! ```text
//! waiting ──numbered──► in flight ──written──► on the wire ──answer──► gone
//!  (disk)   (disk)          ▲                       │
//!                           └──── connection lost ──┘   written again first, under the same counter
//! ```
//!
//! A message gets its counter when it is about to be written, and not before; so "has a counter" on disk means "may
//! have been on the wire". What waits is on disk alone, and is numbered there: a message that was taken back meanwhile
//! is not found, and one that was tried again stands where it always stood.

use std::collections::VecDeque;

use bellhop_protocol::COUNTER_WINDOW;

use crate::history::Seat;

/// Bytes of text in flight; more waits for answers, so that a long outbox does not fill the memory.
const FLIGHT_BYTES_MAX: usize = 256 * 1_024;

/// A message that has its counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    /// Its place in the history.
    pub(crate) n: i64,
    /// Its counter.
    pub(crate) counter: u64,
    /// Whether receipts are wanted.
    pub(crate) receipts: bool,
    /// The recipient's address.
    pub(crate) to: String,
    /// The text as it is sent.
    pub(crate) text: String,
}

/// How much may get counters now: up to so many messages, until they hold so many bytes of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) messages: u64,
    pub(crate) bytes: usize,
}

/// How often a message was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// Not on this connection, and perhaps on an earlier one.
    Maybe,
    /// Never.
    Never,
    /// On this connection for the first time.
    First,
    /// On this connection, and perhaps on an earlier one.
    Again,
}

impl Wire {
    fn awaits(self) -> bool {
        matches!(self, Wire::First | Wire::Again)
    }
}

/// A message whose answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The message, which is in flight no more.
    pub(crate) n: i64,
    /// True if and only if it was written once, on this connection. A message that may have been on an earlier one is
    /// *seen before* with good reason.
    pub(crate) first: bool,
}

/// All messages on their way.
#[derive(Debug)]
pub(crate) struct Outbox {
    flight: VecDeque<(Posting, Wire)>,
    waiting: u64,
    next_counter: u64,
}

impl Outbox {
    /// The outbox as it was left on disk.
    pub(crate) fn new(seat: &mut Seat) -> Outbox {
        let flight = std::mem::take(&mut seat.outbox);
        let flight = flight.into_iter().map(|posting| (posting, Wire::Maybe)).collect();
        Outbox { flight, waiting: seat.waiting, next_counter: seat.next_counter }
    }

    /// How many messages are on their way.
    pub(crate) fn len(&self) -> u64 {
        self.flight.len() as u64 + self.waiting
    }

    /// How many wait for a counter.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The lowest counter whose answer is outstanding on this connection.
    pub(crate) fn awaited(&self) -> Option<u64> {
        self.flight.iter().find(|(_, wire)| wire.awaits()).map(|(posting, _)| posting.counter)
    }

    /// True if and only if some message may have been on the wire and is not settled.
    pub(crate) fn in_flight(&self) -> bool {
        !self.flight.is_empty()
    }

    /// How much may get counters now, if any; `alone`, that no message may be on its way beside another.
    pub(crate) fn room(&self, alone: bool) -> Option<Room> {
        if alone {
            return (!self.in_flight()).then_some(Room { messages: 1, bytes: FLIGHT_BYTES_MAX });
        }
        // PROTOCOL.md, POST: no counter lies more than 1,023 above the lowest unanswered one.
        let lowest = self.flight.front().map_or(self.next_counter, |(posting, _)| posting.counter);
        let messages = COUNTER_WINDOW.saturating_sub(self.next_counter.saturating_sub(lowest));
        let flying: usize = self.flight.iter().map(|(posting, _)| posting.text.len()).sum();
        let bytes = FLIGHT_BYTES_MAX.saturating_sub(flying);
        (messages > 0 && bytes > 0).then_some(Room { messages, bytes })
    }

    /// One more message waits, on disk.
    pub(crate) fn queued(&mut self) {
        self.waiting += 1;
    }

    /// So many messages wait, on disk.
    pub(crate) fn waits(&mut self, waiting: u64) {
        self.waiting = waiting;
    }

    /// These messages have counters, on disk; so many wait still.
    pub(crate) fn numbered(&mut self, postings: Vec<Posting>, waiting: u64) {
        self.waiting = waiting;
        for posting in postings {
            self.next_counter = posting.counter + 1;
            self.flight.push_back((posting, Wire::Never));
        }
    }

    /// The messages to write now, in order; they count as written. `alone`, that no answer may be outstanding beside
    /// another.
    pub(crate) fn write(&mut self, alone: bool) -> Vec<Posting> {
        let mut written = Vec::new();
        let some = match alone {
            true if self.awaited().is_some() => 0,
            true => 1,
            false => self.flight.len(),
        };
        for (posting, wire) in self.flight.iter_mut().take(some) {
            *wire = match wire {
                Wire::Never => Wire::First,
                Wire::Maybe => Wire::Again,
                Wire::First | Wire::Again => continue,
            };
            written.push(posting.clone());
        }
        written
    }

    /// True if and only if the message with this counter is on the wire, and may have been there on an earlier connection.
    pub(crate) fn repeats(&self, counter: u64) -> bool {
        self.flight.iter().any(|(posting, wire)| posting.counter == counter && *wire == Wire::Again)
    }

    /// The server's answer for a counter came; `None` where nobody asked.
    pub(crate) fn answered(&mut self, counter: u64) -> Option<Answered> {
        let asked = |(posting, wire): &(Posting, Wire)| posting.counter == counter && wire.awaits();
        let at = self.flight.iter().position(asked)?;
        let (posting, wire) = self.flight.remove(at)?;
        Some(Answered { n: posting.n, first: wire == Wire::First })
    }

    /// The server wants to be asked again later. A message that was written once is in flight no more; one that may
    /// have been on an earlier connection stays, to be repeated.
    pub(crate) fn postponed(&mut self, counter: u64) -> Option<Answered> {
        let asked = |(posting, wire): &&mut (Posting, Wire)| posting.counter == counter && wire.awaits();
        let (posting, wire) = self.flight.iter_mut().find(asked)?;
        if *wire == Wire::First {
            return self.answered(counter);
        }
        *wire = Wire::Maybe;
        Some(Answered { n: posting.n, first: false })
    }

    /// The connection is gone. Returns the messages whose fate is unknown.
    pub(crate) fn lost(&mut self) -> Vec<i64> {
        let mut unsure = Vec::new();
        for (posting, wire) in self.flight.iter_mut().filter(|(_, wire)| wire.awaits()) {
            *wire = Wire::Maybe;
            unsure.push(posting.n);
        }
        unsure
    }

    /// What is in flight is settled without an answer.
    pub(crate) fn settle(&mut self) {
        self.flight.clear();
    }

    /// A new device, whose counters begin here. Nothing is in flight.
    pub(crate) fn new_device(&mut self, next_counter: u64) {
        self.next_counter = next_counter;
    }
}
