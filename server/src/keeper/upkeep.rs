//! What the writing thread does on the side, a bounded piece at a time: saving devices and counters, dropping and
//! moving rows of the log. It also says when the rest is due: [`expiry`](super::expiry), [`graves`](super::graves).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bellhop_protocol::DeviceId;
use bellhop_protocol::item::ReceiptState;
use parking_lot::Mutex;

use super::expiry::Expiry;
use super::graves::Grave;
use super::queue::FileJob;
use super::{Keeper, Outcome, Undo};
use crate::clock::Now;
use crate::core::Core;
use crate::hub::Account;
use crate::mailbox::device::WindowCell;
use crate::mailbox::{Life, Mailbox};
use crate::outbox::Outbox;
use crate::store::log::{LogMap, Run};
use crate::store::{AccountId, Batch, ClockNote, DeviceRow, LogRow, RowId, StoreError, Write};

/// What a device acknowledged is durable at the latest this much later.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// How many dead segments are dropped in one commit.
const DROP_SEGMENTS: usize = 16;
/// How many rows are appended anew in one commit.
const MOVE_ROWS: u32 = 1024;
/// How often devices that are connected are noted as seen.
const TOUCH_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A counter window that waits to be saved.
#[derive(Clone, Debug)]
pub(super) struct UnsavedWindow {
    account: Arc<Account>,
    device: DeviceId,
    cell: Arc<Mutex<WindowCell>>,
}

/// A row, and the account whose mailbox awaits it.
type Awaited = (Arc<Account>, LogRow<String>);

/// What is to be done on the side.
pub(super) struct Upkeep {
    /// Mailboxes with something to save.
    accounts: Vec<Arc<Account>>,
    windows: Vec<UnsavedWindow>,
    /// Receipts that live in memory and found no number.
    receipts: Vec<FileJob>,
    pub(super) graves: VecDeque<Grave>,
    pub(super) expiry: Expiry,
    /// When what is on the lists is saved, on the clock that never jumps.
    due: Option<Duration>,
    /// When the next piece of everything else is done, if there is any.
    next_piece: Duration,
    /// When devices that are connected are noted as seen next.
    next_touch: Duration,
}

impl Upkeep {
    /// At a start at `now` with these graves, where this was noted of the wall clock last.
    pub(super) fn new(graves: VecDeque<Grave>, noted: Option<ClockNote>, now: Now) -> Upkeep {
        Upkeep {
            accounts: Vec::new(),
            windows: Vec::new(),
            receipts: Vec::new(),
            graves,
            expiry: Expiry::new(noted, now),
            due: None,
            next_piece: Duration::ZERO,
            next_touch: now.up + TOUCH_EVERY,
        }
    }

    /// Notes a mailbox with something to save.
    pub(super) fn unsaved(&mut self, account: Arc<Account>, now: Now) {
        self.accounts.push(account);
        self.due.get_or_insert(now.up + SAVE_AFTER);
    }

    /// Notes a counter window to save. The caller has set its `unsaved`, so that it is here once.
    pub(super) fn window(
        &mut self,
        account: &Arc<Account>,
        device: DeviceId,
        cell: Arc<Mutex<WindowCell>>,
        now: Now,
    ) {
        self.windows.push(UnsavedWindow { account: account.clone(), device, cell });
        self.due.get_or_insert(now.up + SAVE_AFTER);
    }

    /// Notes a counter window whose save was rolled back.
    pub(super) fn save_again(&mut self, window: UnsavedWindow, now: Now) {
        if !std::mem::replace(&mut window.cell.lock().unsaved, true) {
            self.windows.push(window);
            self.due.get_or_insert(now.up + SAVE_AFTER);
        }
    }

    /// Notes a receipt that lives in memory, to be filed with the next saves.
    pub(super) fn file_later(&mut self, receipt: FileJob, now: Now) {
        self.receipts.push(receipt);
        self.due.get_or_insert(now.up + SAVE_AFTER);
    }

    /// When there is something to do next, on the clock that never jumps.
    pub(super) fn deadline(&self, log: &LogMap, core: &Core, now: Now) -> Option<Duration> {
        let more =
            !self.graves.is_empty() || log.droppable(1).is_some() || log.sparse(MOVE_ROWS).next().is_some();
        let piece = more.then_some(self.next_piece);
        let expiry = self.expiry.deadline(log, core, now).map(|at| at.max(self.next_piece));
        let note = Some(self.expiry.next_note());
        [self.due, piece, expiry, note, Some(self.next_touch)].into_iter().flatten().min()
    }
}

/// Adds what the store has to know of a mailbox's devices to the batch. Returns those that it has to forget, which
/// [`Undo::Devices`] gives back.
pub(super) fn device_rows(
    account: AccountId,
    mailbox: &mut Mailbox<Arc<Outbox>>,
    batch: &mut Batch,
) -> Vec<DeviceId> {
    let lost = mailbox.take_lost();
    for device in &lost {
        batch.push(Write::ForgetDevice(account, *device));
    }
    for device in mailbox.devices_mut().iter_mut().filter(|device| device.unsaved) {
        device.unsaved = false;
        batch.push(Write::SaveDevice(DeviceRow {
            account,
            device: device.id,
            floor: device.acked.floor(),
            ranges: device.acked.ranges().to_vec(),
            receiving: device.receiving,
            seen_ms: device.seen_ms,
        }));
    }
    lost
}

impl Keeper {
    /// Stages what is due.
    pub(super) fn stage_upkeep(&mut self) -> Result<(), StoreError> {
        self.watch_clock();
        if let Some(note) = self.upkeep.expiry.due_note(self.now) {
            self.batch.push(Write::NoteClock(note));
        }
        self.touch();
        let due = self.upkeep.due.is_some_and(|due| due <= self.now.up);
        let run = self.core.log.lock().droppable(DROP_SEGMENTS);
        let many = run.is_some_and(|(first, last)| {
            last.0 - first.0 >= crate::store::log::SEGMENT * DROP_SEGMENTS as u64 - 1
        });
        // While the disk is full a piece is tried all the same, once a second: it may be what makes room.
        let piece = self.upkeep.next_piece <= self.now.up;
        // A row that is dropped takes its counter and its receipt along, so these are saved in the same commit.
        let drops = run.filter(|_| many || piece);
        if due || drops.is_some() {
            self.stage_saves()?;
        }
        if let Some(run) = drops {
            self.batch.push(Write::DropRows(run.0, run.1));
            self.outcomes.push(Outcome::Dropped(run));
        }
        if piece {
            self.upkeep.next_piece = self.now.up + SAVE_AFTER;
            self.stage_purge()?;
            // Not both in one commit: a row that is appended anew must not expire where it was.
            if !self.stage_expired()? {
                self.stage_sparse()?;
            }
        }
        Ok(())
    }

    /// Notices when the wall clock jumps, and lets all know whether it is believed.
    pub(super) fn watch_clock(&mut self) {
        self.upkeep.expiry.watch_clock(self.now);
        self.core.clock_in_doubt.store(self.upkeep.expiry.is_held(self.now), Ordering::Relaxed);
    }

    /// Once a day, devices that are connected are noted as seen: a restart must not take them for long gone.
    fn touch(&mut self) {
        if self.now.up < self.upkeep.next_touch {
            return;
        }
        self.upkeep.next_touch = self.now.up + TOUCH_EVERY;
        for account in self.core.hub.accounts() {
            self.core.with_mailbox(&account, &mut self.effects, |mailbox, _| mailbox.touch(self.now.wall_ms));
        }
    }

    /// Saves everything that is on the list, also what has come on it a moment ago.
    fn stage_saves(&mut self) -> Result<(), StoreError> {
        self.upkeep.due = None;
        self.core.queue.take_unsaved(&mut self.upkeep.accounts);
        for account in std::mem::take(&mut self.upkeep.accounts) {
            self.stage_save(&account)?;
        }
        for window in std::mem::take(&mut self.upkeep.windows) {
            self.stage_window(window);
        }
        let receipts = std::mem::take(&mut self.upkeep.receipts);
        let jobs = receipts.len() as u64;
        receipts.into_iter().try_for_each(|receipt| self.stage_job(receipt, jobs))
    }

    /// Saves a mailbox's devices, and files what it owes in the same commit.
    pub(super) fn stage_save(&mut self, account: &Arc<Account>) -> Result<(), StoreError> {
        let mut mailbox = account.mailbox.lock();
        mailbox.listed = false;
        if mailbox.life() == Life::Deleted {
            return Ok(());
        }
        let lost = device_rows(account.id, &mut mailbox, &mut self.batch);
        let owed = mailbox.take_owed();
        let windows = if self.core.in_memory { mailbox.windows() } else { Vec::new() };
        drop(mailbox);
        self.undo.push(Undo::Devices(account.clone(), lost));
        for (device, cell) in windows {
            // Where messages live in memory, counters come on no list of their own.
            let unsaved = cell.lock().unsaved;
            if unsaved {
                self.stage_window(UnsavedWindow { account: account.clone(), device, cell });
            }
        }
        if !owed.is_empty() {
            self.undo.push(Undo::Owed(account.clone(), owed.clone()));
            self.stage_owed(account, owed, ReceiptState::Delivered)?;
        }
        self.outcomes.push(Outcome::Saved(account.clone()));
        Ok(())
    }

    fn stage_window(&mut self, window: UnsavedWindow) {
        let mut cell = window.cell.lock();
        cell.unsaved = false;
        let saved = Box::new(cell.window.clone());
        drop(cell);
        if window.account.mailbox.lock().life() != Life::Deleted {
            self.batch.push(Write::SaveWindow(window.account.id, window.device, saved, self.now.wall_ms));
            self.outcomes.push(Outcome::Saved(window.account.clone()));
        }
        self.undo.push(Undo::Window(window));
    }

    /// A saved mailbox may go out of memory, but not before its account could send a whole burst again: it would come
    /// back with one.
    pub(super) fn release_saved(&mut self, account: &Arc<Account>) {
        let mut mailbox = account.mailbox.lock();
        mailbox.drop_windows();
        mailbox.shrink();
        if !mailbox.is_idle() {
            return;
        }
        if !account.sends.is_full(self.now.up) || !account.unknown.is_full(self.now.up) {
            drop(mailbox);
            self.list(account);
        } else if mailbox.retire() {
            drop(mailbox);
            self.core.hub.remove(account);
        }
    }

    /// Appends the last awaited rows of old segments anew, so that the segments can go.
    fn stage_sparse(&mut self) -> Result<(), StoreError> {
        if !self.upkeep.graves.is_empty() {
            // A deleted account's rows are still to be read where they lie.
            return Ok(());
        }
        let runs: Vec<Run> = self.core.log.lock().sparse(MOVE_ROWS).collect();
        runs.into_iter().try_for_each(|run| self.stage_moves(run))
    }

    /// Appends the awaited rows of a run anew, and drops the run.
    fn stage_moves(&mut self, run: Run) -> Result<(), StoreError> {
        let Some(awaited) = self.awaited(run)? else { return Ok(()) };
        // A row that was taken since is not among them, and its receipt is read from where it still lies.
        self.stage_saves()?;
        for (account, row) in awaited {
            let (old, new) = (row.row, self.next_row);
            self.next_row = RowId(new.0 + 1);
            let (name, text) = (self.batch.keep(&row.name), self.batch.keep(&row.text));
            let LogRow { account: id, seq, time_ms, kind, .. } = row;
            self.batch.push(Write::Append(LogRow { row: new, account: id, seq, time_ms, kind, name, text }));
            self.outcomes.push(Outcome::Moved { account, seq, old, new, time_ms });
        }
        self.batch.push(Write::DropRows(run.0, run.1));
        self.outcomes.push(Outcome::Dropped(run));
        Ok(())
    }

    pub(super) fn release_moved(
        &mut self,
        account: &Arc<Account>,
        seq: u64,
        old: RowId,
        new: RowId,
        time_ms: u64,
    ) {
        let mut mailbox = account.mailbox.lock();
        // It may have been acknowledged meanwhile, and its old row been freed.
        let awaited = mailbox.items().find(seq).is_some_and(|item| item.row == old);
        mailbox.relocate(seq, old, new);
        let mut log = self.core.log.lock();
        log.append(new, time_ms, awaited);
        if awaited {
            log.free(std::iter::once(old));
        }
    }

    /// The rows of a run that a mailbox still awaits there. `None` where one is damaged: then all stay where they are,
    /// and whoever awaits that one is told of it.
    pub(super) fn awaited(&mut self, run: Run) -> Result<Option<Vec<Awaited>>, StoreError> {
        let mut rows = Vec::new();
        let read = self.residents.store.range(run.0, run.1, &mut |row| {
            let LogRow { row, account, seq, time_ms, kind, name, text } = row;
            rows.push(LogRow {
                row,
                account,
                seq,
                time_ms,
                kind,
                name: name.to_owned(),
                text: text.to_owned(),
            });
        });
        if self.unless_damaged(read.map(Ok))?.is_err() {
            self.core.log.lock().leave(run);
            return Ok(None);
        }
        let residents = &self.residents;
        let awaited = rows.into_iter().filter_map(|row| {
            let account = residents.in_memory(row.account)?;
            let here = account.mailbox.lock().items().find(row.seq).is_some_and(|item| item.row == row.row);
            here.then_some((account, row))
        });
        Ok(Some(awaited.collect()))
    }

    /// The queue is closed and empty: saves everything and closes the store. Graves wait for the next start.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.now = self.core.clock.now();
        self.stage_saves()?;
        self.watch_clock();
        self.batch.push(Write::NoteClock(self.upkeep.expiry.note(self.now)));
        self.commit()?;
        self.residents.store.close()
    }
}
