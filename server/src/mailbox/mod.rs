//! One account's mailbox: what is kept, who has it, and who is here to take it.
//!
//! Plain data behind a short lock, driven by values: no socket, no clock, no store. A message is *staged* when its
//! batch is built (it gets its seq and counts against the bounds), and *published* once it is committed: only then does
//! any session see it. What has to be done outside, rows to free, receipts to file, tasks to wake, is collected in
//! [`Effects`] and done after the lock is released.
//!
//! * [`items`]: the queue and its counts. [`tail`]: the newest items in memory, as [`content`].
//! * [`acked`], [`device`], `devices`: what each device has. [`acknowledge`]: what that lets go, and who learns of it.
//! * [`stream`]: the sessions, their cursors and windows. `taken`: what is inferred of sessions that cannot
//!   acknowledge.

pub mod acked;
pub mod acknowledge;
pub mod content;
pub mod device;
mod devices;
pub mod items;
pub mod stream;
pub mod tail;
mod taken;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::task::Waker;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::{Code, DeviceId};

use self::acknowledge::Owed;
use self::content::Content;
use self::device::{Device, NAMELESS, NAMELESS_SLOT, Slot, is_settled};
use self::items::{Item, Items, Load, Marks};
use self::stream::{Attached, Outlet};
use self::tail::Tail;
use crate::budget::Budget;
use crate::store::RowId;

/// How many seq numbers are reserved durably at a time.
pub const SEQ_BLOCK: u64 = 1024;
/// How many are at the most, for a mailbox that uses them up fast.
const SEQ_BLOCK_MAX: u32 = 64 * 1024;
/// Bytes of the newest items that a mailbox with live sessions keeps in memory beside the store, at the most.
const TAIL_BYTES: usize = 64 * 1024;

/// Room for so many of each of the [`Effects`] stays between turns.
const EFFECTS_KEPT: usize = 512;

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

/// What a mailbox leaves when its account is deleted.
#[derive(Debug)]
pub struct Ended<O> {
    /// Receipts of messages that a device has.
    pub owed: Vec<Owed>,
    /// Everything that was kept: its row, and the receipt that its sender is owed where nobody has the message, and
    /// nobody will.
    pub kept: Vec<(RowId, Option<Owed>)>,
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
    /// How many messages went because everybody who was to have them took them.
    pub taken: u64,
    /// How many messages are kept that were not counted yet.
    pub kept: u64,
    /// Answers that are appended together.
    pub answers: Vec<u8>,
    seqs: Vec<u64>,
}

impl Effects {
    /// Wakes the tasks. Whoever had messages kept uses [`Core::finish`](crate::core::Core::finish).
    pub fn wake(&mut self) {
        self.wakes.drain(..).for_each(Waker::wake);
    }

    /// Gives back what a long turn needed. The rest is for the next turn, which then allocates nothing.
    pub fn shrink(&mut self) {
        self.wakes.shrink_to(EFFECTS_KEPT);
        self.freed.shrink_to(EFFECTS_KEPT);
        self.seqs.shrink_to(EFFECTS_KEPT);
        self.answers.shrink_to(EFFECTS_KEPT * size_of::<u64>());
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
    /// How many numbers are reserved ahead.
    ahead: u32,
    /// True from when numbers ran short until more are reserved.
    short: bool,
    /// How many of the reserved numbers the writing thread needs for what it has staged.
    aside: u64,
    /// True while the mailbox is on the list of those to be saved.
    pub(crate) listed: bool,
    /// True while the writing thread has been asked to file what is owed.
    pub settling: bool,
    /// How often a counter window went out of memory: one that was read before that is out of date.
    pub windows_dropped: u64,
    /// How often passwords and tokens were revoked: what was checked before that has to be checked again.
    pub revocations: u64,
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
            ahead: SEQ_BLOCK as u32,
            short: false,
            aside: 0,
            listed: false,
            settling: false,
            windows_dropped: 0,
            revocations: 0,
        }
    }

    /// The same mailbox, which shares the memory for its newest items with others where the store has them too.
    pub fn with_tails(mut self, all: &Arc<Budget>) -> Mailbox<O> {
        if !self.in_memory {
            self.tail = Tail::sharing(all);
        }
        self
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

    /// Notes that the mailbox is on the list of those to be saved; false where it was already.
    pub fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.listed, true)
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
    pub fn delete(&mut self, spared: Option<SessionId>) -> Ended<O> {
        self.life = Life::Deleted;
        let refused = |item: &Item| item.marks().has(Marks::WANTED) && !item.marks().has(Marks::HAD);
        let kept = self.items.iter().map(|item| (item.row, refused(item).then(|| self.owed_for(item))));
        let kept = kept.collect();
        self.items = Items::default();
        self.tail.clear();
        let gone =
            std::mem::take(&mut self.sessions).into_iter().filter(|session| Some(session.id) != spared);
        let outlets = gone.map(|session| session.outlet).collect();
        Ended { owed: std::mem::take(&mut self.owed), kept, outlets }
    }

    /// Lets all sessions but one go, because what opened them is good no longer, and returns their outlets. Whoever
    /// looked the account up before has to look again.
    pub fn revoke(&mut self, spared: Option<SessionId>, now_ms: u64) -> Vec<O>
    where
        O: Clone,
    {
        self.revocations += 1;
        let others = self.sessions.iter().filter(|session| Some(session.id) != spared);
        let others: Vec<(SessionId, O)> =
            others.map(|session| (session.id, session.outlet.clone())).collect();
        others.iter().for_each(|(id, _)| self.detach(*id, now_ms));
        others.into_iter().map(|(_, outlet)| outlet).collect()
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

    /// True where a number may be used now: any by the writing thread, for what is `due`, and by others those that it does
    /// not need.
    pub fn has_number(&self, due: bool) -> bool {
        self.block_needed(if due { 0 } else { self.aside }).is_none()
    }

    /// Sets a further number aside for what the writing thread has staged; returns how many there are now.
    pub fn set_aside(&mut self) -> u64 {
        self.aside += 1;
        self.aside
    }

    /// Nothing is staged any more.
    pub fn end_aside(&mut self) {
        self.aside = 0;
    }

    /// True where half of a block is used, once until more are reserved: then the next one is asked for, so that no
    /// message waits for it. Blocks double for a mailbox that uses them up, which then asks less often.
    pub fn runs_short(&mut self) -> bool {
        let left = self.reserved.saturating_sub(self.next_seq);
        if self.short || left >= u64::from(self.ahead / 2) {
            return false;
        }
        self.short = true;
        self.ahead = (self.ahead * 2).min(SEQ_BLOCK_MAX);
        true
    }

    /// The new end of the reserved numbers, a block further on and with room for `more` items after the next one.
    pub fn next_block(&self, more: u64) -> u64 {
        self.reserved.max(self.next_seq + more) + u64::from(self.ahead)
    }

    /// Where the reserved numbers end.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Notes that numbers up to `reserved` may be used.
    pub fn reserve(&mut self, reserved: u64) {
        self.reserved = reserved;
        self.short = false;
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
        if item.is_receipt() && is_settled(&self.devices, &item) {
            // Its device was forgotten since it was staged.
            self.remove(seq, effects);
        }
        handed_over
    }

    /// True if and only if a text session is here and the nameless device does not receive yet: the batch that brings
    /// the first message to it has to say durably that it does.
    pub fn starts_nameless(&self) -> bool {
        self.sessions.iter().any(Attached::is_text)
            && !self.devices.iter().any(|device| device.id == NAMELESS && device.receiving)
    }
}

/// A session's number, never given twice while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);
