//! One account's mailbox: what is kept, who has it, and who is here to take it.
//!
//! Plain data behind a short lock, driven by values: no socket, no clock, no store. A message is *staged* when its
//! batch is built (it gets its seq and counts against the bounds), and *published* once it is committed: only then does
//! any session see it. What has to be done outside, rows to free, receipts to file, tasks to wake, is collected in
//! [`Effects`] and done after the lock is released.
//!
//! * [`items`]: the queue and its counts. [`tail`]: the newest items in memory. [`acked`], [`device`]: who has what.
//! * [`stream`]: the sessions, their cursors and windows. [`taken`]: what is inferred of sessions that cannot
//!   acknowledge.

pub mod acked;
pub mod device;
pub mod items;
pub mod stream;
pub mod tail;
mod taken;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::task::Waker;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::{Code, DeviceId, MessageId};
use parking_lot::Mutex;

use self::device::{ALL_SLOTS, DEVICES_MAX, Device, FORGOTTEN, NAMELESS, NAMELESS_SLOT, RECEIVING_MAX, Slot};
use self::device::{UNSEEN_MS_MAX, WindowCell, is_settled};
use self::items::{Item, Items, Load, Marks};
use self::stream::{Attached, Outlet};
use self::tail::{Body, Content, Tail};
use crate::store::{Author, RowId};

/// How many seq numbers are reserved durably at a time.
pub const SEQ_BLOCK: u64 = 1024;
/// Bytes of the newest items that a mailbox with live sessions keeps in memory beside the store.
const TAIL_BYTES: usize = 64 * 1024;

/// What a mailbox may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Messages that no device has.
    pub waiting: Load,
    /// Of them, from one sender.
    pub of_sender: u64,
    /// Messages that a device has and that only wait for further ones.
    pub had: Load,
}

/// Whether a mailbox may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It may.
    Live,
    /// It went out of memory, having nothing in it: look the account up again.
    Retired,
    /// Its account was deleted.
    Deleted,
}

/// A receipt that has to be filed with the sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The message's row; what it does not tell is read from there.
    pub row: RowId,
    /// The message's author and id, where they are known.
    pub origin: Option<(Author, MessageId)>,
}

/// What a mailbox leaves when its account is deleted.
#[derive(Debug)]
pub struct Ended<O> {
    /// Receipts of messages that a device has.
    pub owed: Vec<Owed>,
    /// Receipts of messages that nobody has, and nobody will have.
    pub refused: Vec<Owed>,
    /// The rows of everything that was kept.
    pub rows: Vec<RowId>,
    /// The sessions that have to be told and closed.
    pub outlets: Vec<O>,
}

/// What has to be done after the lock is released.
#[derive(Debug, Default)]
pub struct Effects {
    /// Tasks to wake: their outboxes have something new.
    pub wakes: Vec<Waker>,
    /// Rows that nothing waits for any longer.
    pub freed: Vec<RowId>,
    /// How many receipts of this account came to their end.
    pub receipts_ended: u64,
    /// How many messages went although a device had not acknowledged them, for want of room.
    pub dropped: u64,
    seqs: Vec<u64>,
}

impl Effects {
    /// Wakes the tasks.
    pub fn wake(&mut self) {
        self.wakes.drain(..).for_each(Waker::wake);
    }
}

/// One account's mailbox.
#[derive(Debug)]
pub struct Mailbox<O> {
    life: Life,
    items: Items,
    tail: Tail,
    /// Every published item is below it.
    tip: u64,
    /// The seq of the next item.
    next_seq: u64,
    /// Numbers up to here may be used: a higher reservation is durable.
    reserved: u64,
    devices: Vec<Device>,
    sessions: Vec<Attached<O>>,
    /// Receipts that have to be filed with the next save of the devices.
    owed: Vec<Owed>,
    /// Devices that the store does not know to be forgotten yet.
    lost: Vec<DeviceId>,
    /// True where messages live in memory alone.
    in_memory: bool,
    /// True while the mailbox is on the list of those to be saved.
    pub listed: bool,
    /// True while the writing thread has been asked to file what is owed.
    pub settling: bool,
    /// How often a counter window went out of memory: one that was read before that is out of date.
    pub windows_dropped: u64,
}

impl<O: Outlet> Mailbox<O> {
    /// A mailbox without items, of which no number up to `used` may be used again, and numbers up to `reserved` may
    /// be used without another reservation.
    pub fn new(used: u64, reserved: u64, in_memory: bool) -> Mailbox<O> {
        Mailbox {
            life: Life::Live,
            items: Items::default(),
            tail: Tail::default(),
            tip: used + 1,
            next_seq: used + 1,
            reserved,
            devices: Vec::new(),
            sessions: Vec::new(),
            owed: Vec::new(),
            lost: Vec::new(),
            in_memory,
            listed: false,
            settling: false,
            windows_dropped: 0,
        }
    }

    /// Whether the mailbox may be used.
    pub fn life(&self) -> Life {
        self.life
    }

    /// What is kept.
    pub fn items(&self) -> &Items {
        &self.items
    }

    /// The devices.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The devices, to be changed.
    pub fn devices_mut(&mut self) -> &mut [Device] {
        &mut self.devices
    }

    /// The newest items in memory.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// True if and only if nothing would be lost by forgetting this mailbox.
    pub fn is_idle(&self) -> bool {
        let settled = |device: &Device| !device.unsaved && device.window.is_none();
        self.items.is_empty()
            && self.sessions.is_empty()
            && self.owed.is_empty()
            && self.lost.is_empty()
            && !self.listed
            && self.devices.iter().all(settled)
    }

    /// Marks the mailbox as out of memory, if it is idle.
    pub fn retire(&mut self) -> bool {
        let idle = self.life == Life::Live && self.is_idle();
        if idle {
            self.life = Life::Retired;
        }
        idle
    }

    /// Ends the mailbox with its account, and lets go of all sessions; the outlets of all but `spared` are returned.
    pub fn delete(&mut self, spared: SessionId) -> Ended<O> {
        self.life = Life::Deleted;
        let mut ended = Ended {
            owed: std::mem::take(&mut self.owed),
            refused: Vec::new(),
            rows: Vec::new(),
            outlets: Vec::new(),
        };
        for item in self.items.iter() {
            let marks = item.marks();
            if marks.has(Marks::WANTED) && !marks.has(Marks::HAD) {
                ended.refused.push(self.owed_for(item));
            }
            ended.rows.extend((item.row != RowId::NONE).then_some(item.row));
        }
        self.items = Items::default();
        self.tail.clear();
        let gone = std::mem::take(&mut self.sessions).into_iter().filter(|session| session.id != spared);
        ended.outlets.extend(gone.map(|session| session.outlet));
        ended
    }

    // ---- loading

    /// Puts a stored device back.
    pub fn restore_device(&mut self, mut device: Device) -> Slot {
        device.slot = self.slot_for(device.id);
        let slot = device.slot;
        self.devices.push(device);
        slot
    }

    /// Puts a stored item back, unless every device it is for has it; returns whether it was.
    pub fn restore_item(&mut self, item: Item) -> bool {
        if is_settled(&self.devices, &item) {
            return false;
        }
        self.items.push(item);
        if !item.is_receipt() && self.devices.iter().any(|device| device.acked.contains(item.seq)) {
            self.items.mark(item.seq, Marks::HAD);
        }
        true
    }

    /// The slot of a device; of one that is not known yet, the slot it would get.
    pub fn slot_for(&self, id: DeviceId) -> Slot {
        if id == NAMELESS {
            return NAMELESS_SLOT;
        }
        let next = self.devices.iter().map(|device| device.slot + 1).max().unwrap_or(1).max(1);
        self.devices.iter().find(|device| device.id == id).map_or(next, |device| device.slot)
    }

    // ---- sending

    /// Checks the bounds for a message of `size` bytes from `sender`.
    ///
    /// # Errors
    ///
    /// The refusal that the sender gets.
    pub fn admit(&self, sender: u32, size: usize, bounds: &Bounds) -> Result<(), Refusal> {
        let waiting = self.items.waiting();
        if waiting.count >= bounds.waiting.count || waiting.bytes + size as u64 > bounds.waiting.bytes {
            return Err(Refusal::new(Code::MAILBOX_FULL, "the recipient's mailbox has no room"));
        }
        if waiting.count >= bounds.of_sender && self.items.of_sender(sender) >= bounds.of_sender {
            return Err(Refusal::new(
                Code::MAILBOX_FULL,
                "too many of your messages wait in the recipient's mailbox",
            ));
        }
        Ok(())
    }

    /// The new end of the reserved numbers, where `more` items after the next one need a reservation first.
    pub fn block_needed(&self, more: u64) -> Option<u64> {
        let last = self.next_seq + more;
        (last > self.reserved).then_some(last + SEQ_BLOCK)
    }

    /// Where the reserved numbers end.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Notes that numbers up to `reserved` may be used.
    pub fn reserve(&mut self, reserved: u64) {
        self.reserved = reserved;
    }

    /// Gives an item its seq. It is kept from now on and seen by nobody until it is published.
    ///
    /// # Panics
    ///
    /// Where [`block_needed`](Mailbox::block_needed) was not asked and heeded.
    pub fn stage(&mut self, row: RowId, size: usize, marks: Marks, party: u32) -> u64 {
        assert!(self.next_seq <= self.reserved, "a seq is used only from a durable block");
        let seq = self.next_seq;
        self.next_seq += 1;
        self.items.push(Item::new(seq, row, size, marks, party));
        seq
    }

    /// Takes a staged item back: its commit was rolled back. Its number stays unused.
    pub fn unstage(&mut self, seq: u64) {
        self.items.remove(seq);
    }

    /// Makes a staged item visible and hands it to every session that stands at the tip and has room. Returns whether
    /// a session got it.
    pub fn publish(&mut self, seq: u64, content: &Content<'_>, effects: &mut Effects) -> bool {
        let Some(item) = self.items.find(seq).copied() else { return false };
        let tip = std::mem::replace(&mut self.tip, seq + 1);
        if self.in_memory || !self.sessions.is_empty() {
            self.tail.push(seq, content);
        }
        let mut written = false;
        let mut handed_over = false;
        for session in &mut self.sessions {
            let device = self.devices.iter().find(|device| device.slot == session.slot);
            let addressed = device.is_some_and(|device| device.is_addressed_by(&item));
            if session.hand_over(tip, &item, addressed, content, effects) {
                handed_over = true;
                written |= session.is_text();
            }
        }
        if written {
            self.items.mark(seq, Marks::WRITTEN);
            self.receive_nameless();
        }
        if !self.in_memory {
            self.tail.limit(TAIL_BYTES);
        }
        handed_over
    }

    /// True if and only if a text session is here and the nameless device does not receive yet: the batch that brings
    /// the first message to it has to say durably that it does.
    pub fn starts_nameless(&self) -> bool {
        self.sessions.iter().any(Attached::is_text)
            && !self.devices.iter().any(|device| device.id == NAMELESS && device.receiving)
    }

    /// Lets the nameless device receive, from the oldest item still kept.
    pub fn receive_nameless(&mut self) {
        if let Some(device) =
            self.devices.iter_mut().find(|device| device.id == NAMELESS && !device.receiving)
        {
            device.receiving = true;
            device.unsaved = true;
        }
    }

    // ---- devices

    /// The device `id`, made where it is not known; devices beyond the bounds are let go.
    pub fn device(&mut self, id: DeviceId, now_ms: u64, effects: &mut Effects) -> &mut Device {
        let slot = self.slot_for(id);
        if !self.devices.iter().any(|device| device.slot == slot) {
            self.devices.push(Device::new(id, slot, now_ms));
            self.forget_beyond(DEVICES_MAX, effects);
        }
        let at = self.devices.iter().position(|device| device.slot == slot);
        // A device that was just added is the last one to be forgotten.
        &mut self.devices[at.expect("the device was found or added")]
    }

    /// Lets the device receive from now on, and stops those that are beyond the bounds.
    pub fn receive(&mut self, slot: Slot, now_ms: u64, effects: &mut Effects) {
        if let Some(device) = self.devices.iter_mut().find(|device| device.slot == slot && !device.receiving)
        {
            device.receiving = true;
            device.unsaved = true;
            device.seen_ms = now_ms;
        }
        self.review(now_ms, effects);
    }

    /// Stops devices that were not seen for too long, and the longest unseen ones beyond the bound.
    pub fn review(&mut self, now_ms: u64, effects: &mut Effects) {
        let old = now_ms.saturating_sub(UNSEEN_MS_MAX);
        let mut stopped = false;
        loop {
            let receiving = self.devices.iter().filter(|device| device.receiving).count();
            let unseen = self.longest_unseen(|device| device.receiving);
            let Some(at) = unseen.filter(|at| receiving > RECEIVING_MAX || self.devices[*at].seen_ms < old)
            else {
                break;
            };
            self.devices[at].receiving = false;
            self.devices[at].unsaved = true;
            stopped = true;
        }
        if stopped {
            self.drop_settled(effects);
        }
    }

    /// The longest unseen device of those that have no session.
    fn longest_unseen(&self, wanted: impl Fn(&Device) -> bool) -> Option<usize> {
        let here = |device: &Device| self.sessions.iter().any(|session| session.slot == device.slot);
        let away = self.devices.iter().enumerate().filter(|(_, device)| {
            !here(device) && wanted(device) && device.id != FORGOTTEN && device.id != NAMELESS
        });
        away.min_by_key(|(_, device)| device.seen_ms).map(|(at, _)| at)
    }

    /// Forgets the longest unseen devices beyond `most`, but not what they had.
    fn forget_beyond(&mut self, most: usize, effects: &mut Effects) {
        let named = |device: &&Device| device.id != FORGOTTEN && device.id != NAMELESS;
        while self.devices.iter().filter(named).count() > most {
            let newest = self.devices.len() - 1;
            let Some(at) = self.longest_unseen(|_| true).filter(|at| *at != newest) else { return };
            let lost = self.devices.remove(at);
            self.lost.push(lost.id);
            let slot = self.slot_for(FORGOTTEN);
            if !self.devices.iter().any(|device| device.slot == slot) {
                self.devices.insert(0, Device::new(FORGOTTEN, slot, 0));
            }
            if let Some(forgotten) = self.devices.iter_mut().find(|device| device.slot == slot) {
                forgotten.acknowledge(1, lost.acked.floor(), &self.items);
                for (first, last) in lost.acked.ranges() {
                    forgotten.acknowledge(*first, *last, &self.items);
                }
            }
            self.drop_receipts_of(lost.slot, effects);
            self.drop_settled(effects);
        }
    }

    fn drop_receipts_of(&mut self, slot: Slot, effects: &mut Effects) {
        let lost: Vec<u64> = self
            .items
            .iter()
            .filter(|item| item.is_receipt() && item.party == slot)
            .map(|item| item.seq)
            .collect();
        for seq in lost {
            self.remove(seq, effects);
        }
    }

    fn drop_settled(&mut self, effects: &mut Effects) {
        let published = self.items.iter().take_while(|item| item.seq < self.tip);
        let settled: Vec<u64> =
            published.filter(|item| is_settled(&self.devices, item)).map(|item| item.seq).collect();
        for seq in settled {
            self.remove(seq, effects);
        }
    }

    /// How many messages wait for the device `slot`; for one that never received, everything kept.
    pub fn waiting_for(&self, slot: Slot) -> u64 {
        self.unacknowledged(slot, false)
    }

    /// How many items wait for the device `slot`.
    pub fn items_for(&self, slot: Slot) -> u64 {
        self.unacknowledged(slot, true)
    }

    fn unacknowledged(&self, slot: Slot, receipts: bool) -> u64 {
        let device = self.devices.iter().find(|device| device.slot == slot);
        let awaited = |item: &&Item| match device {
            Some(device) => {
                (receipts || !item.is_receipt())
                    && device.is_addressed_by(item)
                    && !device.acked.contains(item.seq)
            }
            None => !item.is_receipt(),
        };
        let above = device.map_or(0, |device| device.acked.floor()) + 1;
        self.items.from(above).take_while(|item| item.seq < self.tip).filter(awaited).count() as u64
    }

    /// Lets go of counter windows that are saved and that no login holds any more.
    pub fn drop_windows(&mut self) {
        for device in &mut self.devices {
            let unused = |cell: &mut Arc<Mutex<WindowCell>>| {
                Arc::get_mut(cell).is_some_and(|cell| !cell.get_mut().listed)
            };
            if device.window.as_mut().is_some_and(unused) {
                device.window = None;
                self.windows_dropped += 1;
            }
        }
    }

    // ---- acknowledging and letting go

    /// The device `slot` has `first..=last`. Returns what that was in messages and receipts, and their bytes.
    fn acknowledge(
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
        for (a, b) in device.acked.gaps(first, last) {
            let found = self.items.from(a).take_while(|item| item.seq <= b);
            for item in found.filter(|item| device.is_addressed_by(item)) {
                newly.push(item.seq);
                load.count += 1;
                load.bytes += u64::from(item.size());
            }
        }
        if newly.is_empty() {
            effects.seqs = newly;
            return load;
        }
        self.devices[at].acknowledge(first, last, &self.items);
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
        } else if !item.is_receipt() {
            self.items.mark(seq, Marks::HAD);
        }
    }

    fn owed_for(&self, item: &Item) -> Owed {
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

    /// Takes that back.
    pub fn undo_expiry(&mut self, seq: u64) {
        self.items.unmark(seq, Marks::HAD);
    }

    /// Lets an item lie in another row of the log.
    pub fn relocate(&mut self, seq: u64, row: RowId) {
        self.items.relocate(seq, row);
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

    /// Whom a receipt in this mailbox is for: the slot of `device`, or all.
    pub fn party_of(&self, device: Option<DeviceId>) -> Option<Slot> {
        match device {
            None => Some(ALL_SLOTS),
            Some(id) => self.devices.iter().find(|device| device.id == id).map(|device| device.slot),
        }
    }
}

/// A session's number, never given twice while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);
