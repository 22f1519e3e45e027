//! What the writing thread does on the side, a bounded piece at a time: saving devices and counters, dropping and
//! moving rows of the log, letting messages expire, purging what deleted accounts leave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bellhop_protocol::DeviceId;
use bellhop_protocol::item::ReceiptState;
use parking_lot::Mutex;

use super::{Keeper, Outcome, Undo};
use crate::clock::Now;
use crate::core::Core;
use crate::hub::Account;
use crate::mailbox::acknowledge::Owed;
use crate::mailbox::device::WindowCell;
use crate::mailbox::items::Marks;
use crate::mailbox::{Life, Mailbox};
use crate::outbox::Outbox;
use crate::store::log::{LogMap, Run};
use crate::store::{AccountId, Batch, DeviceRow, LogRow, RowId, StoreError, Write};

/// What a device acknowledged is durable at the latest this much later.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// How many dead segments are dropped in one commit.
const DROP_SEGMENTS: usize = 16;
/// How many rows of a deleted account are purged in one commit.
const PURGE_ROWS: usize = 256;
/// How often messages in memory are looked through for expired ones.
const REVIEW_EVERY: Duration = Duration::from_secs(3600);
/// A wall clock that jumps by more than this is not believed for as much running time.
const JUMP_MS: u64 = 24 * 3600 * 1000;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// A counter window that waits to be saved.
#[derive(Clone, Debug)]
pub(super) struct UnsavedWindow {
    account: Arc<Account>,
    device: DeviceId,
    cell: Arc<Mutex<WindowCell>>,
}

/// What a deleted account leaves to be purged.
#[derive(Clone, Debug)]
pub(super) struct Grave {
    account: AccountId,
    name: Box<str>,
    refused: Vec<Owed>,
    rows: Vec<RowId>,
}

impl Grave {
    pub(super) fn new(account: AccountId, name: &str, refused: Vec<Owed>, rows: Vec<RowId>) -> Grave {
        Grave { account, name: name.into(), refused, rows }
    }

    /// The part that fits one commit, and the rest. A row that a receipt is read from goes with its receipt.
    fn split(mut self) -> (Grave, Option<Grave>) {
        let rest_refused = self.refused.split_off(self.refused.len().min(PURGE_ROWS));
        let with_receipt: Vec<RowId> = self.refused.iter().map(|owed| owed.row).collect();
        let later: Vec<RowId> = rest_refused.iter().map(|owed| owed.row).collect();
        let (now, rest_rows) = self.rows.iter().copied().enumerate().partition::<Vec<_>, _>(|(at, row)| {
            with_receipt.contains(row) || (*at < PURGE_ROWS && !later.contains(row))
        });
        let rows = |of: Vec<(usize, RowId)>| of.into_iter().map(|(_, row)| row).collect::<Vec<_>>();
        self.rows = rows(now);
        let rest_rows = rows(rest_rows);
        let over = rest_refused.is_empty() && rest_rows.is_empty();
        let rest =
            Grave { account: self.account, name: self.name.clone(), refused: rest_refused, rows: rest_rows };
        (self, (!over).then_some(rest))
    }
}

/// A row, and the account whose mailbox awaits it.
type Awaited = (Arc<Account>, LogRow<String>);

/// What is to be done on the side.
pub(super) struct Upkeep {
    /// Mailboxes with something to save.
    accounts: Vec<Arc<Account>>,
    pub(super) windows: Vec<UnsavedWindow>,
    pub(super) graves: VecDeque<Grave>,
    /// When what is on the lists is saved, on the clock that never jumps.
    due: Option<Duration>,
    /// When the next piece of everything else is done, if there is any.
    next_piece: Duration,
    /// When messages in memory are looked through next.
    review: Duration,
    /// The wall clock minus the clock that never jumps, in ms, as it is believed.
    offset_ms: Option<u64>,
    /// Nothing expires before this, on the clock that never jumps.
    expiry_held: Duration,
}

impl Upkeep {
    pub(super) fn new(graves: VecDeque<Grave>) -> Upkeep {
        Upkeep {
            accounts: Vec::new(),
            windows: Vec::new(),
            graves,
            due: None,
            next_piece: Duration::ZERO,
            review: REVIEW_EVERY,
            offset_ms: None,
            expiry_held: Duration::ZERO,
        }
    }

    /// Notes a mailbox with something to save.
    pub(super) fn unsaved(&mut self, account: Arc<Account>, now: Now) {
        self.accounts.push(account);
        self.due.get_or_insert(now.up + SAVE_AFTER);
    }

    /// Notes a counter window to save. The caller has set its `listed`, so that it is here once.
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

    /// When there is something to do next, on the clock that never jumps.
    pub(super) fn deadline(&self, log: &LogMap, core: &Core, now: Now) -> Option<Duration> {
        let more = !self.graves.is_empty() || log.droppable(1).is_some() || log.sparse().is_some();
        let piece = more.then_some(self.next_piece);
        let expiry = self.next_expiry(log, core, now);
        let review = (core.in_memory && core.limits.expiry != u64::MAX).then_some(self.review);
        [self.due, piece, expiry, review].into_iter().flatten().min()
    }

    fn next_expiry(&self, log: &LogMap, core: &Core, now: Now) -> Option<Duration> {
        let lifetime_ms = lifetime_ms(core)?;
        let wait_ms = (log.oldest_ms()? + lifetime_ms).saturating_sub(now.wall_ms);
        // Not longer than an hour: the wall clock may be set meanwhile.
        let wait = Duration::from_millis(wait_ms + 1).min(REVIEW_EVERY);
        Some((now.up + wait).max(self.expiry_held))
    }

    /// Notices when the wall clock jumps; what expires is held back then.
    fn watch_clock(&mut self, now: Now) {
        let offset_ms = now.wall_ms.saturating_sub(now.up.as_millis() as u64);
        let believed = *self.offset_ms.get_or_insert(offset_ms);
        if believed.abs_diff(offset_ms) > JUMP_MS {
            tracing::warn!("the wall clock jumped: nothing expires for 24 hours");
            self.expiry_held = now.up + Duration::from_millis(JUMP_MS);
            self.offset_ms = Some(offset_ms);
        }
    }
}

fn lifetime_ms(core: &Core) -> Option<u64> {
    (core.limits.expiry != u64::MAX).then(|| core.limits.expiry * DAY_MS)
}

/// Adds what the store has to know of a mailbox's devices to the batch.
pub(super) fn device_rows(account: AccountId, mailbox: &mut Mailbox<Arc<Outbox>>, batch: &mut Batch) {
    for device in mailbox.take_lost() {
        batch.push(Write::ForgetDevice(account, device));
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
}

impl Keeper {
    /// Stages what is due.
    pub(super) fn stage_upkeep(&mut self) -> Result<(), StoreError> {
        self.upkeep.watch_clock(self.now);
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
            self.stage_sparse()?;
            self.stage_expired()?;
        }
        Ok(())
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
        Ok(())
    }

    /// Saves a mailbox's devices, and files what it owes in the same commit.
    pub(super) fn stage_save(&mut self, account: &Arc<Account>) -> Result<(), StoreError> {
        let mut mailbox = account.mailbox.lock();
        mailbox.listed = false;
        if mailbox.life() == Life::Deleted {
            return Ok(());
        }
        device_rows(account.id, &mut mailbox, &mut self.batch);
        let owed = mailbox.take_owed();
        drop(mailbox);
        self.undo.push(Undo::Devices(account.clone()));
        if !owed.is_empty() {
            self.undo.push(Undo::Owed(account.clone(), owed.clone()));
            self.stage_owed(account, owed, ReceiptState::Delivered)?;
        }
        self.outcomes.push(Outcome::Saved(account.clone()));
        Ok(())
    }

    fn stage_window(&mut self, window: UnsavedWindow) {
        let mut cell = window.cell.lock();
        cell.listed = false;
        let saved = Box::new(cell.window.clone());
        drop(cell);
        if window.account.mailbox.lock().life() != Life::Deleted {
            self.batch.push(Write::SaveWindow(window.account.id, window.device, saved, self.now.wall_ms));
            self.outcomes.push(Outcome::Saved(window.account.clone()));
        }
        self.undo.push(Undo::Window(window));
    }

    /// A saved mailbox may go out of memory.
    pub(super) fn release_saved(&mut self, account: &Arc<Account>) {
        let mut mailbox = account.mailbox.lock();
        mailbox.drop_windows();
        mailbox.shrink();
        if mailbox.retire() {
            drop(mailbox);
            self.core.hub.remove(account);
        }
    }

    /// Purges a piece of what a deleted account left; senders of what nobody had are told.
    fn stage_purge(&mut self) -> Result<(), StoreError> {
        let Some(grave) = self.upkeep.graves.pop_front() else { return Ok(()) };
        self.undo.push(Undo::Purge(grave.clone()));
        let (piece, rest) = grave.split();
        for owed in piece.refused {
            let origin = match owed.origin {
                Some(origin) => Some(origin),
                None => self.origin_of(owed.row)?,
            };
            if let Some((author, id)) = origin {
                let state = ReceiptState::Refused;
                self.stage_file(super::queue::FileJob { author, id, state, peer: piece.name.clone() }, 1)?;
            }
        }
        for row in &piece.rows {
            self.batch.push(Write::DropRows(*row, *row));
        }
        self.outcomes.push(Outcome::Purged(piece.rows));
        match rest {
            Some(rest) => self.upkeep.graves.push_front(rest),
            None => self.batch.push(Write::ForgetGrave(piece.account)),
        }
        Ok(())
    }

    /// Appends the last awaited rows of an old segment anew, so that the segment can go.
    fn stage_sparse(&mut self) -> Result<(), StoreError> {
        // A deleted account's rows are still to be read where they lie.
        let run = self.core.log.lock().sparse().filter(|_| self.upkeep.graves.is_empty());
        let Some(run) = run else { return Ok(()) };
        for (account, row) in self.awaited(run)? {
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
        if awaited {
            mailbox.relocate(seq, new);
        }
        let mut log = self.core.log.lock();
        log.append(new, time_ms, awaited);
        if awaited {
            log.free(std::iter::once(old));
        }
    }

    /// The rows of a run that a mailbox still awaits there.
    fn awaited(&mut self, run: Run) -> Result<Vec<Awaited>, StoreError> {
        let mut rows = Vec::new();
        self.residents.store.range(run.0, run.1, &mut |row| {
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
        })?;
        let residents = &self.residents;
        let awaited = rows.into_iter().filter_map(|row| {
            let account = residents.in_memory(row.account)?;
            let here = account.mailbox.lock().items().find(row.seq).is_some_and(|item| item.row == row.row);
            here.then_some((account, row))
        });
        Ok(awaited.collect())
    }

    /// Lets a segment's expired messages go, and tells their senders.
    fn stage_expired(&mut self) -> Result<(), StoreError> {
        let Some(lifetime_ms) = lifetime_ms(&self.core).filter(|_| self.now.up >= self.upkeep.expiry_held)
        else {
            return Ok(());
        };
        let cutoff_ms = self.now.wall_ms.saturating_sub(lifetime_ms);
        if self.core.in_memory && self.now.up >= self.upkeep.review {
            self.upkeep.review = self.now.up + REVIEW_EVERY;
            self.expire_in_memory(cutoff_ms)?;
        }
        let run = self.core.log.lock().expired(cutoff_ms);
        let Some(run) = run else { return Ok(()) };
        let mut oldest_ms = u64::MAX;
        for (account, row) in self.awaited(run)? {
            match row.time_ms < cutoff_ms {
                true => self.expire(&account, row.seq)?,
                false => oldest_ms = oldest_ms.min(row.time_ms),
            }
        }
        self.core.log.lock().reviewed(run, oldest_ms);
        Ok(())
    }

    /// Stages the end of a message. It goes out of memory when that is committed; until then it counts as had, so that
    /// nobody who takes it meanwhile makes a second end of it.
    fn expire(&mut self, account: &Arc<Account>, seq: u64) -> Result<(), StoreError> {
        let mut mailbox = account.mailbox.lock();
        let Some(item) = mailbox.items().find(seq).copied() else { return Ok(()) };
        let owed = mailbox.begin_expiry(seq);
        drop(mailbox);
        if !item.marks().has(Marks::HAD) {
            self.undo.push(Undo::Expiry(account.clone(), seq));
        }
        if let Some(owed) = owed {
            self.stage_owed(account, vec![owed], ReceiptState::Expired)?;
        }
        // With its receipt: a restart between the two would let it expire, and tell so, again.
        if item.row != RowId::NONE {
            self.batch.push(Write::DropRows(item.row, item.row));
        }
        self.outcomes.push(Outcome::Expired(account.clone(), seq));
        Ok(())
    }

    pub(super) fn release_expired(&mut self, account: &Arc<Account>, seq: u64) {
        self.core.with_mailbox(account, &mut self.effects, |mailbox, effects| {
            mailbox.remove(seq, effects);
        });
        let mut mailbox = account.mailbox.lock();
        if !std::mem::replace(&mut mailbox.listed, true) {
            drop(mailbox);
            self.upkeep.unsaved(account.clone(), self.now);
        }
    }

    fn expire_in_memory(&mut self, cutoff_ms: u64) -> Result<(), StoreError> {
        for account in self.core.hub.accounts() {
            let expired: Vec<u64> = {
                let mailbox = account.mailbox.lock();
                let old =
                    |seq: u64| mailbox.tail().find(seq).is_some_and(|content| content.time_ms < cutoff_ms);
                mailbox.items().iter().map(|item| item.seq).take_while(|seq| old(*seq)).collect()
            };
            for seq in expired {
                self.expire(&account, seq)?;
            }
        }
        Ok(())
    }

    /// The queue is closed and empty: saves everything, also what deleted accounts left, and closes the store.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.now = self.core.clock.now();
        self.stage_saves()?;
        self.commit()?;
        self.residents.store.close()
    }
}
