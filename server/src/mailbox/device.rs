//! The devices of an account: what each acknowledged, which of them receive, and when an item has been had by all.

use std::sync::Arc;

use bellhop_protocol::DeviceId;
use parking_lot::Mutex;

use super::acked::Acked;
use super::items::{Item, Items, Marks};
use crate::window::CounterWindow;

/// What all sessions without the extension are together.
pub const NAMELESS: DeviceId = DeviceId([0; 16]);
/// What stands for devices that were forgotten, so that what they had stays known. It never receives.
pub const FORGOTTEN: DeviceId = DeviceId([0xFF; 16]);

/// At most this many devices of an account receive.
pub const RECEIVING_MAX: usize = 16;
/// The counter windows of this many devices of an account are kept.
pub const DEVICES_MAX: usize = 64;
/// A device not seen for this long receives no longer.
pub const UNSEEN_MS_MAX: u64 = 30 * 24 * 3600 * 1000;

/// A device's number within its mailbox while the mailbox is in memory.
pub type Slot = u32;
/// The slot of [`NAMELESS`].
pub const NAMELESS_SLOT: Slot = 0;
/// What receipts for all devices carry in place of a slot.
pub const ALL_SLOTS: Slot = Slot::MAX;

/// A counter window, with a note whether it has to be saved.
#[derive(Debug, Default)]
pub struct WindowCell {
    /// The window.
    pub window: CounterWindow,
    /// True while the store has an older state of it.
    pub unsaved: bool,
}

/// One device.
#[derive(Debug)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its number in this mailbox.
    pub slot: Slot,
    /// True from its first DELIVER on: items wait for it.
    pub receiving: bool,
    /// When a session of it was last here, in ms since 1970.
    pub seen_ms: u64,
    /// What it acknowledged.
    pub acked: Acked,
    /// Its counters, while they are in memory.
    pub window: Option<Arc<Mutex<WindowCell>>>,
    /// True while the store has an older state of it.
    pub unsaved: bool,
}

impl Device {
    /// A device of which nothing is known yet.
    pub fn new(id: DeviceId, slot: Slot, now_ms: u64) -> Device {
        Device {
            id,
            slot,
            receiving: false,
            seen_ms: now_ms,
            acked: Acked::default(),
            window: None,
            unsaved: true,
        }
    }

    /// True if and only if the item is for this device: every message is, receipts go to one device or to all with
    /// the extension.
    pub fn is_addressed_by(&self, item: &Item) -> bool {
        if !item.marks().has(Marks::RECEIPT) {
            return true;
        }
        item.party == self.slot || (item.party == ALL_SLOTS && self.slot != NAMELESS_SLOT)
    }

    /// True if and only if the item waits for this device.
    pub fn awaits(&self, item: &Item) -> bool {
        self.receiving && self.is_addressed_by(item) && !self.acked.contains(item.seq)
    }

    /// Acknowledges `first..=last`.
    pub fn acknowledge(&mut self, first: u64, last: u64, items: &Items) {
        let mut acked = std::mem::take(&mut self.acked);
        acked.insert(first, last, |a, b| self.holds(items, a, b));
        self.acked = acked;
        self.unsaved = true;
    }

    /// Lets the floor rise over numbers that hold nothing for this device any more.
    pub fn settle(&mut self, items: &Items) {
        let mut acked = std::mem::take(&mut self.acked);
        acked.settle(|a, b| self.holds(items, a, b));
        self.acked = acked;
    }

    /// True if and only if a number strictly between `a` and `b` holds something for this device.
    fn holds(&self, items: &Items, a: u64, b: u64) -> bool {
        items.from(a + 1).take_while(|item| item.seq < b).any(|item| self.is_addressed_by(item))
    }
}

/// True if and only if nothing waits any longer because of this item: every receiving device that it is for has it,
/// and a message has been had by some device, receiving or not.
pub fn is_settled(devices: &[Device], item: &Item) -> bool {
    let mut receivers = devices.iter().filter(|device| device.is_addressed_by(item));
    match item.is_receipt() {
        // A receipt waits for the device that posted, whether or not that one has opened its stream yet.
        true if item.party == ALL_SLOTS => !receivers.any(|device| device.awaits(item)),
        true => receivers.all(|device| device.acked.contains(item.seq)),
        false => {
            let had = |device: &Device| device.acked.contains(item.seq);
            devices.iter().any(had) && !receivers.any(|device| device.awaits(item))
        }
    }
}
