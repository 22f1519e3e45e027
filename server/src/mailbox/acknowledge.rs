//! What devices have: items that everybody has go, and senders are owed receipts.

use bellhop_protocol::{DeviceId, MessageId};

use super::content::Body;
use super::device::{ALL_SLOTS, Device, NAMELESS_SLOT, Slot, is_settled};
use super::items::{Item, Load, Marks};
use super::stream::Outlet;
use super::{Bounds, Effects, Mailbox};
use crate::store::{Author, RowId};

/// A receipt that has to be filed with the sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The message's row; what it does not tell is read from there.
    pub row: RowId,
    /// The message's author and id, where they are known.
    pub origin: Option<(Author, MessageId)>,
}

impl<O: Outlet> Mailbox<O> {
    /// The device `slot` has `first..=last`. Returns what that was in messages and receipts, and their bytes.
    pub(super) fn acknowledge(
        &mut self,
        slot: Slot,
        first: u64,
        last: u64,
        bounds: &Bounds,
        effects: &mut Effects,
    ) -> Load {
        let Some(at) = self.devices.iter().position(|device| device.slot == slot) else {
            return Load::default();
        };
        let last = last.min(self.tip - 1);
        let mut newly = std::mem::take(&mut effects.seqs);
        let mut load = Load::default();
        let device = &self.devices[at];
        let mut known = true;
        for (a, b) in device.acked.gaps(first, last) {
            known = false;
            let found = self.items.from(a).take_while(|item| item.seq <= b);
            for item in found.filter(|item| device.is_addressed_by(item)) {
                newly.push(item.seq);
                load.count += 1;
                load.bytes += u64::from(item.size());
            }
        }
        if known {
            effects.seqs = newly;
            return load;
        }
        // Also where nothing in there is for this device: the same range is not looked through twice.
        self.devices[at].acknowledge(first, last, &self.items);
        // What the bound on ranges left out counts as not acknowledged, and waits on.
        newly.retain(|seq| self.devices[at].acked.contains(*seq));
        for seq in newly.drain(..) {
            self.note_had(seq, effects);
        }
        effects.seqs = newly;
        self.devices[at].settle(&self.items);
        self.shed(bounds, effects);
        load
    }

    /// A device has the item: its sender is owed a receipt the first time, and it goes when everybody has it.
    fn note_had(&mut self, seq: u64, effects: &mut Effects) {
        let Some(item) = self.items.find(seq).copied() else { return };
        let marks = item.marks();
        if marks.has(Marks::WANTED) && !marks.has(Marks::HAD) {
            self.owed.push(self.owed_for(&item));
        }
        if is_settled(&self.devices, &item) {
            self.remove(seq, effects);
            effects.taken += u64::from(!item.is_receipt());
        } else if !item.is_receipt() {
            self.items.mark(seq, Marks::HAD);
        }
    }

    pub(super) fn owed_for(&self, item: &Item) -> Owed {
        let origin = self.tail.find(item.seq).and_then(|content| match content.body {
            Body::Message(author, _) => Some((author, content.id)),
            Body::Receipt(_) => None,
        });
        Owed { row: item.row, origin }
    }

    /// Lets the oldest messages go that a device has, beyond the second budget.
    fn shed(&mut self, bounds: &Bounds, effects: &mut Effects) {
        loop {
            let had = self.items.had();
            if had.count <= bounds.had.count && had.bytes <= bounds.had.bytes {
                return;
            }
            let Some(oldest) = self.items.oldest_had() else { return };
            self.remove(oldest.seq, effects);
            effects.dropped += 1;
        }
    }

    /// Takes an item out: it expired, or nothing waits for it.
    pub fn remove(&mut self, seq: u64, effects: &mut Effects) -> Option<Item> {
        let item = self.items.remove(seq)?;
        self.tail.remove(seq);
        if item.is_receipt() {
            effects.receipts_ended += 1;
        }
        if item.row != RowId::NONE {
            effects.freed.push(item.row);
        }
        Some(item)
    }

    /// Begins to let an item expire: it counts as had. Returns the receipt that its sender is owed, if one is.
    pub fn begin_expiry(&mut self, seq: u64) -> Option<Owed> {
        let item = self.items.find(seq).copied()?;
        self.items.mark(seq, Marks::HAD);
        (item.marks().has(Marks::WANTED) && !item.marks().has(Marks::HAD)).then(|| self.owed_for(&item))
    }

    /// Takes that back. A device that took the item meanwhile did so without a receipt: now it is owed.
    pub fn undo_expiry(&mut self, seq: u64, owed: Option<Owed>) {
        let taken = self.devices.iter().any(|device| device.acked.contains(seq));
        if taken || self.items.find(seq).is_none() {
            self.owed.extend(owed);
        } else {
            self.items.unmark(seq, Marks::HAD);
        }
    }

    /// The item `seq`, and what is owed for it, lie in the row `new` of the log and no longer in `old`.
    pub fn relocate(&mut self, seq: u64, old: RowId, new: RowId) {
        self.items.relocate(seq, old, new);
        self.owed.iter_mut().filter(|owed| owed.row == old).for_each(|owed| owed.row = new);
    }

    /// True if and only if receipts have to be filed.
    pub fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// True if and only if the store has an older state of a device, or receipts have to be filed.
    pub fn is_unsaved(&self) -> bool {
        self.owes() || !self.lost.is_empty() || self.devices.iter().any(|device| device.unsaved)
    }

    /// The devices that the store has to forget.
    pub fn take_lost(&mut self) -> Vec<DeviceId> {
        std::mem::take(&mut self.lost)
    }

    /// Puts devices back that the store still has to forget.
    pub fn give_back_lost(&mut self, lost: Vec<DeviceId>) {
        self.lost.extend(lost);
    }

    /// The receipts that have to be filed in the same commit as the devices' state.
    pub fn take_owed(&mut self) -> Vec<Owed> {
        self.settling = false;
        std::mem::take(&mut self.owed)
    }

    /// True if and only if every receipt that is owed can be filed without reading a row.
    pub fn knows_owed(&self) -> bool {
        self.owed.iter().all(|owed| owed.origin.is_some())
    }

    /// Puts receipts back that could not be filed.
    pub fn give_back_owed(&mut self, owed: Vec<Owed>) {
        self.owed.splice(..0, owed);
    }

    /// Whom a receipt in this mailbox is for: the slot of `device`, or all with the extension. `None` where there is
    /// nobody.
    pub fn party_of(&self, device: Option<DeviceId>) -> Option<Slot> {
        match device {
            None => {
                let receives = |device: &Device| device.receiving && device.slot != NAMELESS_SLOT;
                self.devices.iter().any(receives).then_some(ALL_SLOTS)
            }
            Some(id) => self.devices.iter().find(|device| device.id == id).map(|device| device.slot),
        }
    }
}
