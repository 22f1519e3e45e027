//! The devices of a mailbox: which of them receive, which are forgotten, and how much waits for each.

use std::sync::Arc;

use bellhop_protocol::DeviceId;
use parking_lot::Mutex;

use super::device::{
    DEVICES_MAX, Device, FORGOTTEN, NAMELESS, NAMELESS_SLOT, RECEIVING_MAX, Slot, UNSEEN_MS_MAX, WindowCell,
    is_settled,
};
use super::items::Item;
use super::stream::Outlet;
use super::{Effects, Mailbox};

impl<O: Outlet> Mailbox<O> {
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

    /// Lets the device receive from now on, and stops the longest unseen one where that is one too many.
    pub fn receive(&mut self, slot: Slot, now_ms: u64, effects: &mut Effects) {
        if let Some(device) = self.begin_receiving(slot) {
            device.seen_ms = now_ms;
        }
        self.stop_receiving(|receiving, _| receiving > RECEIVING_MAX, effects);
    }

    /// Lets the nameless device receive.
    pub fn receive_nameless(&mut self) {
        self.begin_receiving(NAMELESS_SLOT);
    }

    /// Lets a device receive that does not yet, from the oldest item still kept: its floor passes what went before, so
    /// that nothing of that comes back where the rows outlive the items.
    fn begin_receiving(&mut self, slot: Slot) -> Option<&mut Device> {
        let device = self.devices.iter_mut().find(|device| device.slot == slot && !device.receiving)?;
        let oldest = self.items.iter().find(|item| device.is_addressed_by(item));
        device.acked.raise(oldest.map_or(self.next_seq, |item| item.seq) - 1);
        device.receiving = true;
        device.unsaved = true;
        Some(device)
    }

    /// Devices with a session are seen.
    pub fn touch(&mut self, now_ms: u64) {
        for device in &mut self.devices {
            if self.sessions.iter().any(|session| session.slot == device.slot) {
                device.seen_ms = now_ms;
                device.unsaved = true;
            }
        }
    }

    /// Stops devices that were not seen for too long. The caller believes the clock.
    pub fn stop_unseen(&mut self, now_ms: u64, effects: &mut Effects) {
        let old = now_ms.saturating_sub(UNSEEN_MS_MAX);
        self.stop_receiving(|_, device| device.seen_ms < old, effects);
    }

    /// Stops the longest unseen device while `is_over` says so of the number that receive, and of it.
    fn stop_receiving(&mut self, is_over: impl Fn(usize, &Device) -> bool, effects: &mut Effects) {
        let mut stopped = false;
        loop {
            let receiving = self.devices.iter().filter(|device| device.receiving).count();
            let unseen = self.longest_unseen(|device| device.receiving);
            let Some(at) = unseen.filter(|at| is_over(receiving, &self.devices[*at])) else { break };
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
        let away = self.devices.iter().enumerate().filter(|(_, device)| !here(device) && wanted(device));
        away.min_by_key(|(_, device)| device.seen_ms).map(|(at, _)| at)
    }

    /// Forgets the longest unseen devices beyond `most`, but not what they had.
    fn forget_beyond(&mut self, most: usize, effects: &mut Effects) {
        let named = |device: &&Device| device.id != FORGOTTEN && device.id != NAMELESS;
        while self.devices.iter().filter(named).count() > most {
            let newest = self.devices.len() - 1;
            let unseen = self.longest_unseen(|device| named(&device));
            let Some(at) = unseen.filter(|at| *at != newest) else { return };
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
            .take_while(|item| item.seq < self.tip)
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

    /// The counter windows in memory.
    pub fn windows(&self) -> Vec<(DeviceId, Arc<Mutex<WindowCell>>)> {
        let windows = self.devices.iter().filter_map(|device| Some((device.id, device.window.clone()?)));
        windows.collect()
    }

    /// Lets go of counter windows that are saved and that no login holds any more.
    pub fn drop_windows(&mut self) {
        for device in &mut self.devices {
            let unused = |cell: &mut Arc<Mutex<WindowCell>>| {
                Arc::get_mut(cell).is_some_and(|cell| !cell.get_mut().unsaved)
            };
            if device.window.as_mut().is_some_and(unused) {
                device.window = None;
                self.windows_dropped += 1;
            }
        }
    }
}
