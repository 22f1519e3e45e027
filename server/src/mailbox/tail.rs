//! The newest items of a mailbox in memory, so that a session a little behind reads no disk.
//!
//! Where messages are durable this is a cache with a bound, and an item that is not here is in the store. Where they
//! are not (`--durability none`) it is where they live, and holds every item of the mailbox.

use std::collections::VecDeque;

use bellhop_protocol::MessageId;
use bellhop_protocol::item::ReceiptState;

use super::content::{Body, Content};
use crate::store::Author;

#[derive(Debug)]
struct Entry {
    seq: u64,
    /// Where its bytes begin, counted from the first byte ever added.
    start: u64,
    name_len: u32,
    text_len: u32,
    id: MessageId,
    time_ms: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Message(Author),
    Receipt(ReceiptState),
    Removed,
}

impl Entry {
    fn is_removed(&self) -> bool {
        matches!(self.kind, Kind::Removed)
    }

    fn len(&self) -> usize {
        self.name_len as usize + self.text_len as usize
    }
}

/// A run of items and their bytes.
#[derive(Debug, Default)]
pub struct Tail {
    entries: VecDeque<Entry>,
    bytes: Vec<u8>,
    /// The first byte of `bytes`, counted from the first byte ever added.
    base: u64,
    /// Bytes of removed entries that are not the oldest.
    dead: usize,
}

/// Below this many dead bytes nothing is moved.
const COMPACT_FROM: usize = 4096;

impl Tail {
    /// Adds an item, whose seq is above all others.
    pub fn push(&mut self, seq: u64, content: &Content<'_>) {
        let (kind, text) = match content.body {
            Body::Message(author, text) => (Kind::Message(author), text),
            Body::Receipt(state) => (Kind::Receipt(state), ""),
        };
        let start = self.base + self.bytes.len() as u64;
        self.bytes.extend_from_slice(content.name.as_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        let (name_len, text_len) = (content.name.len() as u32, text.len() as u32);
        let (id, time_ms) = (content.id, content.time_ms);
        self.entries.push_back(Entry { seq, start, name_len, text_len, id, time_ms, kind });
    }

    /// The item `seq`, where it is here.
    pub fn find(&self, seq: u64) -> Option<Content<'_>> {
        let at = self.position(seq)?;
        let entry = &self.entries[at];
        let start = (entry.start - self.base) as usize;
        let (name, rest) = self.bytes.get(start..)?.split_at_checked(entry.name_len as usize)?;
        let name = std::str::from_utf8(name).ok()?;
        let body = match entry.kind {
            Kind::Message(author) => {
                Body::Message(author, std::str::from_utf8(rest.get(..entry.text_len as usize)?).ok()?)
            }
            Kind::Receipt(state) => Body::Receipt(state),
            Kind::Removed => return None,
        };
        Some(Content { id: entry.id, time_ms: entry.time_ms, name, body })
    }

    /// Forgets the item `seq`.
    pub fn remove(&mut self, seq: u64) {
        let Some(at) = self.position(seq) else { return };
        let entry = &mut self.entries[at];
        if !entry.is_removed() {
            entry.kind = Kind::Removed;
            self.dead += entry.len();
        }
        self.reclaim();
    }

    /// Forgets the oldest items until at most `bytes` of text are held.
    pub fn limit(&mut self, bytes: usize) {
        let end = self.base + self.bytes.len() as u64;
        while let Some(entry) = self.entries.front_mut().filter(|entry| end - entry.start > bytes as u64) {
            if !entry.is_removed() {
                entry.kind = Kind::Removed;
                self.dead += entry.len();
            }
            self.reclaim_front();
        }
        self.reclaim();
    }

    /// Forgets everything and gives the memory back.
    pub fn clear(&mut self) {
        *self = Tail::default();
    }

    /// Gives back the memory of an empty tail.
    pub fn shrink(&mut self) {
        if self.entries.is_empty() {
            self.clear();
        }
    }

    fn position(&self, seq: u64) -> Option<usize> {
        // What is acknowledged is mostly the oldest, what is looked at mostly the oldest or the newest.
        if self.entries.front()?.seq == seq {
            return Some(0);
        }
        if self.entries.back()?.seq == seq {
            return Some(self.entries.len() - 1);
        }
        self.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()
    }

    fn reclaim_front(&mut self) {
        while let Some(entry) = self.entries.front().filter(|entry| entry.is_removed()) {
            self.dead -= entry.len();
            self.entries.pop_front();
        }
    }

    /// Drops dead bytes once they are the greater part, so that each byte moves at most once on average.
    fn reclaim(&mut self) {
        self.reclaim_front();
        let start = self.entries.front().map_or(self.base + self.bytes.len() as u64, |entry| entry.start);
        let passed = (start - self.base) as usize;
        if passed == self.bytes.len() {
            self.bytes.clear();
            self.base = start;
        } else if passed + self.dead > self.bytes.len() / 2 && passed + self.dead > COMPACT_FROM {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.entries.retain(|entry| !entry.is_removed());
        let mut kept = 0;
        for entry in &mut self.entries {
            let from = (entry.start - self.base) as usize;
            self.bytes.copy_within(from..from + entry.len(), kept);
            entry.start = self.base + kept as u64;
            kept += entry.len();
        }
        self.bytes.truncate(kept);
        self.dead = 0;
    }
}

#[cfg(test)]
mod tests {
    use bellhop_protocol::DeviceId;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::store::AccountId;

    fn content<'a>(name: &'a str, text: &'a str) -> Content<'a> {
        let author = Author { account: AccountId(1), device: Some(DeviceId([7; 16])) };
        Content { id: MessageId(Uuid::nil()), time_ms: 5, name, body: Body::Message(author, text) }
    }

    #[test]
    fn the_bound_is_on_bytes() {
        let mut tail = Tail::default();
        for seq in 1..=10 {
            tail.push(seq, &content("bob", "1234567"));
            tail.limit(35);
        }
        let here: Vec<u64> = (1..=10).filter(|seq| tail.find(*seq).is_some()).collect();
        assert_eq!(here, [8, 9, 10]);
    }

    #[test]
    fn receipts_have_no_text() {
        let mut tail = Tail::default();
        let receipt = Content {
            id: MessageId(Uuid::nil()),
            time_ms: 9,
            name: "bob",
            body: Body::Receipt(ReceiptState::Expired),
        };
        tail.push(4, &receipt);
        assert_eq!(tail.find(4), Some(receipt));
    }

    #[test]
    fn one_that_stays_does_not_keep_the_others() {
        let mut tail = Tail::default();
        tail.push(1, &content("bob", "stays"));
        for seq in 2..10_000 {
            tail.push(seq, &content("bob", &"x".repeat(100)));
            tail.remove(seq);
        }
        assert_eq!(tail.find(1), Some(content("bob", "stays")));
        assert!(tail.bytes.len() < 3 * COMPACT_FROM, "{} bytes", tail.bytes.len());
        assert!(tail.entries.len() < 100, "{} entries", tail.entries.len());
    }

    proptest! {
        #[test]
        fn what_is_not_removed_is_found(removed in prop::collection::vec(1..200u64, 0..300)) {
            let mut tail = Tail::default();
            let text = |seq: u64| format!("text {}", "x".repeat(seq as usize));
            for seq in 1..100 {
                tail.push(seq, &content("alice", &text(seq)));
            }
            for seq in &removed {
                tail.remove(*seq);
            }
            for seq in 100..200 {
                tail.push(seq, &content("alice", &text(seq)));
            }
            for seq in 1..200 {
                let here = seq >= 100 || !removed.contains(&seq);
                let text = text(seq);
                prop_assert_eq!(tail.find(seq), here.then_some(content("alice", &text)), "{}", seq);
            }
        }
    }
}
