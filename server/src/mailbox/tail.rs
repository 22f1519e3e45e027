//! The newest items of a mailbox in memory, so that a session a little behind reads no disk.
//!
//! Where messages are durable this is a cache with a bound, and an item that is not here is in the store. Where they
//! are not (`--durability none`) it is where they live, and holds every item of the mailbox.

use std::collections::VecDeque;
use std::sync::Arc;

use bellhop_protocol::MessageId;
use bellhop_protocol::item::ReceiptState;

use super::content::{Body, Content};
use crate::budget::{Budget, Held};
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
    /// Names and texts. Known to be text, so that nothing is checked again when it is read.
    bytes: String,
    /// The first byte of `bytes`, counted from the first byte ever added.
    base: u64,
    /// Bytes of removed entries that are not the oldest.
    dead: usize,
    /// What is had of the memory of all tails, where there is a bound on that.
    share: Option<Held>,
}

/// Bytes that an item takes beside its words.
const ENTRY: usize = size_of::<Entry>();
/// Below this many dead bytes nothing is moved.
const COMPACT_FROM: usize = 4096;

impl Tail {
    /// An empty tail that has its memory from `all`.
    pub fn sharing(all: &Arc<Budget>) -> Tail {
        Tail { share: Some(all.hold(0)), ..Tail::default() }
    }

    /// Adds an item, whose seq is above all others.
    pub fn push(&mut self, seq: u64, content: &Content<'_>) {
        let (kind, text) = match content.body {
            Body::Message(author, text) => (Kind::Message(author), text),
            Body::Receipt(state) => (Kind::Receipt(state), ""),
        };
        let start = self.base + self.bytes.len() as u64;
        self.bytes.push_str(content.name);
        self.bytes.push_str(text);
        let (name_len, text_len) = (content.name.len() as u32, text.len() as u32);
        let (id, time_ms) = (content.id, content.time_ms);
        self.entries.push_back(Entry { seq, start, name_len, text_len, id, time_ms, kind });
        self.settle();
    }

    /// The item `seq`, where it is here.
    pub fn find(&self, seq: u64) -> Option<Content<'_>> {
        let at = self.position(seq)?;
        let entry = &self.entries[at];
        let start = (entry.start - self.base) as usize;
        let (name, rest) = self.bytes.get(start..)?.split_at_checked(entry.name_len as usize)?;
        let body = match entry.kind {
            Kind::Message(author) => Body::Message(author, rest.get(..entry.text_len as usize)?),
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

    /// Forgets the oldest items until at most `bytes` are held, or what one may have of the memory of all tails where that
    /// is less.
    pub fn limit(&mut self, bytes: usize) {
        let bytes = self.share.as_ref().map_or(bytes, |share| bytes.min(share.all().share()));
        let end = self.base + self.bytes.len() as u64;
        loop {
            let entries = self.entries.len() * ENTRY;
            let over = |entry: &Entry| (end - entry.start) as usize + entries > bytes;
            let Some(entry) = self.entries.front_mut().filter(|entry| over(entry)) else { break };
            if !entry.is_removed() {
                entry.kind = Kind::Removed;
                self.dead += entry.len();
            }
            self.reclaim_front();
        }
        self.reclaim();
        self.give_back();
    }

    /// Where the memory of all tails is short, nothing is held without need.
    fn give_back(&mut self) {
        if !self.share.as_ref().is_some_and(|share| share.all().is_pressed()) {
            return;
        }
        if self.bytes.capacity() > 2 * self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
        if self.entries.capacity() > 2 * self.entries.len() {
            self.entries.shrink_to_fit();
        }
        self.settle();
    }

    /// Tells what is held.
    fn settle(&mut self) {
        if let Some(share) = &mut self.share {
            share.settle(self.bytes.capacity() + self.entries.capacity() * ENTRY);
        }
    }

    /// Forgets everything and gives the memory back.
    pub fn clear(&mut self) {
        let share = self.share.take();
        *self = Tail { share, ..Tail::default() };
        self.settle();
    }

    /// Gives back the memory of an empty tail.
    pub fn shrink(&mut self) {
        if self.entries.is_empty() {
            self.clear();
        }
    }

    fn position(&self, seq: u64) -> Option<usize> {
        // Mostly no number is missing, and the place is known.
        let guess = usize::try_from(seq.checked_sub(self.entries.front()?.seq)?).ok()?;
        if self.entries.get(guess).is_some_and(|entry| entry.seq == seq) {
            return Some(guess);
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
        let mut bytes = std::mem::take(&mut self.bytes).into_bytes();
        let mut kept = 0;
        for entry in &mut self.entries {
            let from = (entry.start - self.base) as usize;
            bytes.copy_within(from..from + entry.len(), kept);
            entry.start = self.base + kept as u64;
            kept += entry.len();
        }
        bytes.truncate(kept);
        self.bytes = String::from_utf8(bytes).expect("whole texts were moved");
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
            tail.limit(35 + 3 * ENTRY);
        }
        let here: Vec<u64> = (1..=10).filter(|seq| tail.find(*seq).is_some()).collect();
        assert_eq!(here, [8, 9, 10]);
    }

    /// Messages without a text, of somebody with a short name, were held by the ten thousand.
    #[test]
    fn the_bound_is_on_what_items_take_beside_their_words_too() {
        let mut tail = Tail::default();
        for seq in 1..=10_000 {
            tail.push(seq, &content("b", ""));
            tail.limit(64 * 1024);
        }
        let held = tail.bytes.capacity() + tail.entries.capacity() * ENTRY;
        assert!(held <= 4 * 64 * 1024 && tail.find(10_000).is_some(), "{held}");
    }

    /// A thousand mailboxes of 64 KiB each, and what a vector grows by, were a quarter of a gigabyte.
    #[test]
    fn all_tails_share_their_memory() {
        let all = Arc::new(Budget::new(1024 * 1024));
        let mut tails: Vec<Tail> = (0..200).map(|_| Tail::sharing(&all)).collect();
        let (text, mut most) = ("x".repeat(1_000), 0);
        for seq in 1..200 {
            for tail in &mut tails {
                tail.push(seq, &content("bob", &text));
                tail.limit(64 * 1024);
                let held: usize = tail.bytes.capacity() + tail.entries.capacity() * ENTRY;
                assert!(held <= 4 * 64 * 1024, "{held}");
            }
            most = most.max(all.held());
        }
        let held = |tail: &Tail| tail.bytes.capacity() + tail.entries.capacity() * ENTRY;
        assert_eq!(tails.iter().map(held).sum::<usize>(), all.held());
        assert!((512 * 1024..=1024 * 1024).contains(&most), "{most}");
        let newest = tails.iter().filter(|tail| tail.find(199).is_some()).count();
        assert!(newest >= 100, "each has something: {newest}");
        tails.truncate(100);
        tails.iter_mut().for_each(Tail::clear);
        assert_eq!(all.held(), 0);
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
