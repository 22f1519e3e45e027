//! Bytes that came and are not handled yet, and how much had been written to the peer when each of them came.
//!
//! The second is what "taken" is inferred from (PROTOCOL.md, "Taken"): a request tells that its sender has read what was
//! written before the request's first byte came, but nothing of what was written while it lay here.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::budget::Budget;

/// More marks than this are merged: a byte then counts as having come earlier than it did, which takes less.
const MARKS_MAX: usize = 64;

/// This much each connection may hold, however much others do.
pub(crate) const OWN: usize = 2 * 1024;

/// What a connection's inbox has of the memory of all inboxes.
#[derive(Debug)]
pub(super) struct Share {
    all: Arc<Budget>,
    held: usize,
}

impl Share {
    /// Nothing yet.
    pub(super) fn of(all: Arc<Budget>) -> Share {
        Share { all, held: 0 }
    }

    /// How much may be held now.
    pub(super) fn most(&self) -> usize {
        self.all.share().max(OWN)
    }

    /// Notes what the inbox holds, and the connection's TLS beside it; has the inbox give back what it does not need where
    /// memory is short.
    pub(super) fn settle(&mut self, inbox: &mut Inbox, beside: usize) {
        if self.held > 0 && self.all.is_pressed() {
            inbox.shrink();
        }
        let held = inbox.bytes.capacity() + beside;
        self.all.settle(self.held, held);
        self.held = held;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.settle(self.held, 0);
    }
}

/// An incomplete frame, or frames that are held back.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Up to which byte a mark goes, and the mark.
    marks: VecDeque<(usize, u64)>,
}

impl Inbox {
    /// What is here.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True if and only if nothing is here.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds bytes that came after `written` bytes had been written.
    pub(super) fn push(&mut self, bytes: &[u8], written: u64) {
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        let many = self.marks.len() >= MARKS_MAX;
        match self.marks.back_mut() {
            Some((last, mark)) if many || *mark == written => *last = end,
            _ => self.marks.push_back((end, written)),
        }
    }

    /// How much had been written when the byte at `at` came.
    pub(super) fn mark(&self, at: usize) -> u64 {
        self.marks.iter().find(|(end, _)| at < *end).map_or(0, |(_, mark)| *mark)
    }

    /// Removes the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.bytes.drain(..count);
        while self.marks.front().is_some_and(|(end, _)| *end <= count) {
            self.marks.pop_front();
        }
        self.marks.iter_mut().for_each(|(end, _)| *end -= count);
    }

    /// Gives memory back where nothing is here.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            *self = Inbox::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_knows_what_had_been_written() {
        let mut inbox = Inbox::default();
        inbox.push(b"abc", 10);
        inbox.push(b"de", 10);
        inbox.push(b"fg", 25);
        let marks = |inbox: &Inbox| (0..inbox.bytes().len()).map(|at| inbox.mark(at)).collect::<Vec<_>>();
        assert_eq!(marks(&inbox), [10, 10, 10, 10, 10, 25, 25]);
        inbox.consume(4);
        assert_eq!((inbox.bytes(), marks(&inbox)), (&b"efg"[..], vec![10, 25, 25]));
        inbox.consume(1);
        inbox.push(b"h", 30);
        assert_eq!(marks(&inbox), [25, 25, 30]);
        inbox.consume(3);
        assert!(inbox.is_empty() && inbox.marks.is_empty());
    }

    #[test]
    fn too_many_marks_take_less() {
        let mut inbox = Inbox::default();
        (0..200).for_each(|written| inbox.push(b"x", written));
        assert_eq!(inbox.marks.len(), MARKS_MAX);
        assert!((0..200).all(|at| inbox.mark(at) <= at as u64));
    }
}
