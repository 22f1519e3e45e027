//! The items of one mailbox in the order of their seq: 24 bytes each, and the counts that bounds are checked against.
//!
//! Knows no device and no session. An item that goes leaves a gap that is closed when it reaches the front, or when
//! gaps are the greater part.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::store::RowId;

/// What is known of an item beside its numbers, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// Some device has it.
    pub const HAD: Marks = Marks(1);
    /// Its sender wants to learn how it ends.
    pub const WANTED: Marks = Marks(2);
    /// It is a receipt.
    pub const RECEIPT: Marks = Marks(4);
    /// It was written to a text session and is not taken yet.
    pub const WRITTEN: Marks = Marks(8);
    /// It is gone: a gap.
    const GONE: Marks = Marks(16);

    /// Both sets of marks.
    pub const fn with(self, more: Marks) -> Marks {
        Marks(self.0 | more.0)
    }

    const fn without(self, fewer: Marks) -> Marks {
        Marks(self.0 & !fewer.0)
    }

    /// True if and only if one of `marks` is set.
    pub const fn has(self, marks: Marks) -> bool {
        self.0 & marks.0 != 0
    }
}

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number in the mailbox.
    pub seq: u64,
    /// Its row in the log; 0 where messages are kept in memory alone.
    pub row: RowId,
    /// Bytes of its text, and its marks in the upper eight bits.
    size_marks: u32,
    /// The sender's account, cut to 32 bits; for a receipt the slot of the device it is for.
    pub party: u32,
}

const SIZE_BITS: u32 = 24;

impl Item {
    /// An item of `size` bytes.
    pub fn new(seq: u64, row: RowId, size: usize, marks: Marks, party: u32) -> Item {
        let size = (size as u32).min((1 << SIZE_BITS) - 1);
        Item { seq, row, size_marks: size | u32::from(marks.0) << SIZE_BITS, party }
    }

    /// Bytes of its text.
    pub fn size(&self) -> u32 {
        self.size_marks & ((1 << SIZE_BITS) - 1)
    }

    /// Its marks.
    pub fn marks(&self) -> Marks {
        Marks((self.size_marks >> SIZE_BITS) as u8)
    }

    /// True if and only if the item is a receipt.
    pub fn is_receipt(&self) -> bool {
        self.marks().has(Marks::RECEIPT)
    }

    fn is_gone(&self) -> bool {
        self.marks().has(Marks::GONE)
    }

    fn set(&mut self, marks: Marks) {
        self.size_marks = self.size() | u32::from(marks.0) << SIZE_BITS;
    }
}

/// A number of messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Messages.
    pub count: u64,
    /// Bytes of their texts.
    pub bytes: u64,
}

impl Load {
    fn add(&mut self, item: &Item) {
        self.count += 1;
        self.bytes += u64::from(item.size());
    }

    fn remove(&mut self, item: &Item) {
        self.count -= 1;
        self.bytes -= u64::from(item.size());
    }
}

/// The queue. Positions are for one call only: adding or removing may move everything.
#[derive(Debug, Default)]
pub struct Items {
    queue: VecDeque<Item>,
    gone: usize,
    /// Messages that no device has.
    fresh: Load,
    /// Those of `fresh` that are written to a text session and not taken.
    written: Load,
    /// Messages that a device has and further devices wait for.
    had: Load,
    /// Nothing below this seq is a message that a device has.
    had_from: u64,
    /// `fresh` by sender, kept only while there are many.
    #[expect(clippy::box_collection, reason = "a million mailboxes have none: 8 bytes in place of 48")]
    by_sender: Option<Box<HashMap<u32, u32, BuildHasherDefault<Spread>>>>,
}

/// Spreads account numbers over a map. Nobody chooses their number, so none can be chosen to fall together, and this
/// costs a tenth of the map's own.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// From how many fresh messages on they are counted by sender. Counting costs a look-up a message; below this a scan
/// when the bound is checked costs less.
const BY_SENDER_FROM: u64 = 512;

impl Items {
    /// Messages that no device has, without those that are written to a text session and not taken.
    pub fn waiting(&self) -> Load {
        Load { count: self.fresh.count - self.written.count, bytes: self.fresh.bytes - self.written.bytes }
    }

    /// All messages.
    pub fn messages(&self) -> Load {
        Load { count: self.fresh.count + self.had.count, bytes: self.fresh.bytes + self.had.bytes }
    }

    /// Messages that a device has and further devices wait for.
    pub fn had(&self) -> Load {
        self.had
    }

    /// How many messages of `sender` no device has.
    pub fn of_sender(&self, sender: u32) -> u64 {
        match &self.by_sender {
            Some(counts) => counts.get(&sender).copied().unwrap_or(0).into(),
            None => self.iter().filter(|item| is_fresh(item) && item.party == sender).count() as u64,
        }
    }

    /// How many messages that no device has are from the sender that has most of them here. Looks through all of them.
    pub fn most_of_a_sender(&self) -> u64 {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        self.iter()
            .filter(|item| is_fresh(item))
            .for_each(|item| *counts.entry(item.party).or_insert(0) += 1);
        counts.into_values().max().unwrap_or(0)
    }

    /// True if and only if nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.queue.len() == self.gone
    }

    /// How many items are kept.
    pub fn len(&self) -> usize {
        self.queue.len() - self.gone
    }

    /// Everything that is kept, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Item> {
        self.queue.iter().filter(|item| !item.is_gone())
    }

    /// What is kept from `seq` on, in order.
    pub fn from(&self, seq: u64) -> impl Iterator<Item = &Item> {
        self.queue.range(self.position(seq)..).filter(|item| !item.is_gone())
    }

    /// The item `seq`.
    pub fn find(&self, seq: u64) -> Option<&Item> {
        self.queue.get(self.position(seq)).filter(|item| item.seq == seq && !item.is_gone())
    }

    /// Adds an item, whose seq is above all others.
    pub fn push(&mut self, item: Item) {
        debug_assert!(self.queue.back().is_none_or(|last| last.seq < item.seq), "seq numbers rise");
        if self.queue.len() == self.queue.capacity() {
            // A quarter, not the double: a million waiting messages should not hold room for another million.
            self.queue.reserve_exact((self.queue.len() / 4).max(4));
        }
        self.queue.push_back(item);
        self.count(&item, true);
    }

    /// Sets marks of the item `seq`.
    pub fn mark(&mut self, seq: u64, marks: Marks) {
        self.change(seq, |old| old.with(marks));
    }

    /// Clears marks of the item `seq`.
    pub fn unmark(&mut self, seq: u64, marks: Marks) {
        self.change(seq, |old| old.without(marks));
    }

    /// Lets the item `seq`, where it lies in the row `old` of the log, lie in the row `new`.
    pub fn relocate(&mut self, seq: u64, old: RowId, new: RowId) {
        let at = self.position(seq);
        if let Some(item) = self.queue.get_mut(at).filter(|item| item.seq == seq && item.row == old) {
            item.row = new;
        }
    }

    /// Removes the item `seq` and returns it.
    pub fn remove(&mut self, seq: u64) -> Option<Item> {
        let at = self.position(seq);
        let item = *self.queue.get(at).filter(|item| item.seq == seq && !item.is_gone())?;
        self.count(&item, false);
        if at == 0 {
            self.queue.pop_front();
            while self.queue.front().is_some_and(Item::is_gone) {
                self.queue.pop_front();
                self.gone -= 1;
            }
        } else if at + 1 == self.queue.len() {
            self.queue.pop_back();
        } else {
            self.queue[at].set(item.marks().with(Marks::GONE));
            self.gone += 1;
            if self.gone > 64 && self.gone > self.queue.len() / 2 {
                self.queue.retain(|item| !item.is_gone());
                self.gone = 0;
            }
        }
        if self.is_empty() {
            self.queue = VecDeque::new();
            self.gone = 0;
        }
        Some(item)
    }

    /// The oldest message that a device has.
    pub fn oldest_had(&mut self) -> Option<Item> {
        if self.had.count == 0 {
            return None;
        }
        let found = self.from(self.had_from).find(|item| is_had(item)).copied();
        self.had_from = found.map_or(self.had_from, |item| item.seq);
        found
    }

    fn position(&self, seq: u64) -> usize {
        // Most look-ups are for the front or the back.
        let (Some(first), Some(last)) = (self.queue.front(), self.queue.back()) else { return 0 };
        if seq <= first.seq {
            return 0;
        }
        if seq >= last.seq {
            return self.queue.len() - usize::from(seq == last.seq);
        }
        // Mostly no number is missing, and the place is known.
        let guess = usize::try_from(seq - first.seq).unwrap_or(usize::MAX);
        match self.queue.get(guess) {
            Some(item) if item.seq == seq => guess,
            _ => self.queue.partition_point(|item| item.seq < seq),
        }
    }

    fn change(&mut self, seq: u64, change: impl FnOnce(Marks) -> Marks) {
        let at = self.position(seq);
        let Some(item) = self.queue.get(at).filter(|item| item.seq == seq && !item.is_gone()).copied() else {
            return;
        };
        self.count(&item, false);
        let mut changed = item;
        changed.set(change(item.marks()));
        self.queue[at] = changed;
        self.count(&changed, true);
        if is_had(&changed) {
            self.had_from = self.had_from.min(seq);
        }
    }

    fn count(&mut self, item: &Item, add: bool) {
        let change = if add { Load::add } else { Load::remove };
        if is_had(item) {
            change(&mut self.had, item);
        }
        if !is_fresh(item) {
            return;
        }
        change(&mut self.fresh, item);
        if item.marks().has(Marks::WRITTEN) {
            change(&mut self.written, item);
        }
        self.count_sender(item.party, add);
    }

    fn count_sender(&mut self, sender: u32, add: bool) {
        match &mut self.by_sender {
            Some(counts) => {
                let count = counts.entry(sender).or_insert(0);
                *count = if add { *count + 1 } else { *count - 1 };
                if *count == 0 {
                    counts.remove(&sender);
                }
                if self.fresh.count < BY_SENDER_FROM / 2 {
                    self.by_sender = None;
                }
            }
            None if add && self.fresh.count > BY_SENDER_FROM => {
                let mut counts = HashMap::default();
                for item in self.iter().filter(|item| is_fresh(item)) {
                    *counts.entry(item.party).or_insert(0) += 1;
                }
                self.by_sender = Some(Box::new(counts));
            }
            None => {}
        }
    }
}

fn is_fresh(item: &Item) -> bool {
    !item.marks().has(Marks::HAD.with(Marks::RECEIPT))
}

fn is_had(item: &Item) -> bool {
    item.marks().has(Marks::HAD) && !item.is_receipt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(seq: u64, sender: u32) -> Item {
        Item::new(seq, RowId(0), 10, Marks::default(), sender)
    }

    fn seqs(items: &Items) -> Vec<u64> {
        items.iter().map(|item| item.seq).collect()
    }

    #[test]
    fn an_item_takes_24_bytes() {
        assert_eq!(size_of::<Item>(), 24);
    }

    #[test]
    fn removing_leaves_the_others() {
        let mut items = Items::default();
        (1..=6).for_each(|seq| items.push(message(seq * 2, 1)));
        assert_eq!(items.remove(5), None);
        for seq in [6, 2, 4, 12] {
            assert_eq!(items.remove(seq).map(|item| item.seq), Some(seq));
            assert_eq!(items.remove(seq), None);
        }
        assert_eq!((seqs(&items), items.len()), (vec![8, 10], 2));
        assert_eq!(items.from(9).next().map(|item| item.seq), Some(10));
    }

    #[test]
    fn what_a_device_has_counts_apart() {
        let mut items = Items::default();
        (1..=4).for_each(|seq| items.push(message(seq, 1)));
        items.push(Item::new(5, RowId(0), 7, Marks::RECEIPT, 0));
        items.mark(2, Marks::HAD);
        items.mark(3, Marks::WRITTEN);
        assert_eq!(items.waiting(), Load { count: 2, bytes: 20 });
        assert_eq!(items.had(), Load { count: 1, bytes: 10 });
        assert_eq!(items.oldest_had().map(|item| item.seq), Some(2));
        items.remove(2);
        assert_eq!(items.oldest_had(), None);
        items.mark(1, Marks::HAD);
        assert_eq!(items.oldest_had().map(|item| item.seq), Some(1));
    }

    proptest! {
        /// The counts are those of the items, whatever was done.
        #[test]
        fn counts_agree(acts in prop::collection::vec((0..4u8, 0..2_000u64, 0..5u32), 1..1_500)) {
            let mut items = Items::default();
            for (next, (act, at, sender)) in (1..).zip(acts) {
                match act {
                    0 => drop(items.remove(at)),
                    1 => items.mark(at, Marks::HAD),
                    2 => items.mark(at, Marks::WRITTEN),
                    _ => {}
                }
                items.push(message(next, sender));
            }
            let fresh = |item: &&Item| is_fresh(item) && !item.marks().has(Marks::WRITTEN);
            prop_assert_eq!(items.waiting().count, items.iter().filter(fresh).count() as u64);
            prop_assert_eq!(items.had().count, items.iter().filter(|item| is_had(item)).count() as u64);
            for sender in 0..5 {
                let expected = items.iter().filter(|item| is_fresh(item) && item.party == sender).count() as u64;
                prop_assert_eq!(items.of_sender(sender), expected);
            }
            let oldest = items.iter().find(|item| is_had(item)).copied();
            prop_assert_eq!(items.oldest_had(), oldest);
        }
    }
}
