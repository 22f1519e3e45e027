//! What was written to a text session and is not taken yet (PROTOCOL.md, "Taken").

use std::collections::VecDeque;

/// More messages than this count as taken, the oldest first.
const COUNT_MAX: usize = 10_000;
/// More bytes of text than this count as taken, the oldest first.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
struct Written {
    seq: u64,
    size: u32,
    /// How many bytes had been appended to the session's outbox with this message.
    end: u64,
}

/// The messages, in the order in which they were appended to the session's outbox.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    queue: VecDeque<Written>,
    bytes: u64,
}

impl Untaken {
    pub(super) fn push(&mut self, seq: u64, size: u32, end: u64) {
        self.queue.push_back(Written { seq, size, end });
        self.bytes += u64::from(size);
    }

    /// The oldest message, if its last byte is among the first `written` ones.
    pub(super) fn pop_written(&mut self, written: u64) -> Option<u64> {
        self.queue.front().filter(|oldest| oldest.end <= written)?;
        self.pop()
    }

    /// The oldest message, if there are more than may stay and its last byte is among the first `written` ones.
    pub(super) fn pop_excess(&mut self, written: u64) -> Option<u64> {
        if self.queue.len() <= COUNT_MAX && self.bytes <= BYTES_MAX {
            return None;
        }
        self.pop_written(written)
    }

    fn pop(&mut self) -> Option<u64> {
        let oldest = self.queue.pop_front()?;
        self.bytes -= u64::from(oldest.size);
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(oldest.seq)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn seqs(&self) -> impl Iterator<Item = u64> {
        self.queue.iter().map(|written| written.seq)
    }
}
