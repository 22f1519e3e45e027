//! What waits, at the start: one pass over the log brings the mailboxes back that have something in them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bellhop_protocol::DeviceId;
use parking_lot::Mutex;

use super::graves::Grave;
use super::residents::{assemble, mailbox};
use crate::core::Core;
use crate::hub::Account;
use crate::mailbox::device::WindowCell;
use crate::mailbox::items::{Item, Marks};
use crate::mailbox::{Effects, Mailbox};
use crate::outbox::Outbox;
use crate::store::{
    AccountId, Batch, Boot, ClockNote, Kind, LogRow, Origin, RowId, Store, StoreError, Waiting, Write,
};
use crate::window::{CounterWindow, Seen};

/// How many rows are read at a time.
const CHUNK: usize = 8192;

/// What the keeper goes on from.
pub struct Loaded {
    pub(super) next_row: RowId,
    pub(super) next_account: AccountId,
    pub(super) graves: VecDeque<Grave>,
    /// What was noted of the wall clock last. A store that never held a message is as good as one with a note of now.
    pub(super) clock: Option<ClockNote>,
    /// The counters that there was no room to save, and whose they are.
    pub(super) windows: Vec<(Arc<Account>, DeviceId, Arc<Mutex<WindowCell>>)>,
    /// How many items wait.
    pub waiting: u64,
}

/// A counter window that is not saved, and whose it is.
type Unsaved = (AccountId, DeviceId, Arc<Mutex<WindowCell>>);

/// Where the rows of an account go.
enum Place {
    Live(Account),
    /// The account was deleted, and not everything of it purged.
    Deleted(Box<str>, Mailbox<Arc<Outbox>>),
    /// The account was deleted, and what waited for it is purged: these rows had been taken before, and go with their
    /// segment.
    Gone,
}

impl Place {
    fn mailbox(&mut self) -> Option<&mut Mailbox<Arc<Outbox>>> {
        match self {
            Place::Live(account) => Some(account.mailbox.get_mut()),
            Place::Deleted(_, mailbox) => Some(mailbox),
            Place::Gone => None,
        }
    }
}

struct Loader<'a> {
    core: &'a Core,
    store: &'a mut dyn Store,
    graves: HashMap<AccountId, String>,
    places: HashMap<AccountId, Place>,
    /// The counters of devices that posted what is in the log; `None` where the sender's account is gone.
    windows: HashMap<(AccountId, DeviceId), Option<CounterWindow>>,
    waiting: u64,
    /// No account with this number or a later one was ever made.
    next_account: AccountId,
}

/// Brings everything that waits into the hub and the log's map, and saves the counters that the log tells of.
///
/// # Errors
///
/// Where the store cannot be read, or what it holds does not fit together.
pub fn load(core: &Core, store: &mut dyn Store, boot: &Boot) -> Result<Loaded, StoreError> {
    let graves = store.graves()?.into_iter().collect();
    let (places, windows) = (HashMap::new(), HashMap::new());
    let mut loader =
        Loader { core, store, graves, places, windows, waiting: 0, next_account: boot.next_account };
    let mut after = RowId::NONE;
    loop {
        let rows = loader.store.scan(after, CHUNK)?;
        let Some(last) = rows.last() else { break };
        after = last.row.row;
        for waiting in &rows {
            loader.row(waiting)?;
        }
    }
    let unsaved = loader.save_windows()?;
    let waiting = loader.waiting;
    let graves = loader.settle()?;
    let here = |(account, device, cell)| core.hub.by_id(account).map(|account| (account, device, cell));
    let windows = unsaved.into_iter().filter_map(here).collect();
    let is_new = boot.next_row == RowId(RowId::NONE.0 + 1);
    let now = || ClockNote { wall_ms: core.clock.now().wall_ms, doubt_ms: 0 };
    let clock = boot.clock.or(is_new.then(now));
    Ok(Loaded { next_row: boot.next_row, next_account: boot.next_account, graves, clock, windows, waiting })
}

impl Loader<'_> {
    fn row(&mut self, waiting: &Waiting) -> Result<(), StoreError> {
        let Waiting { row, size } = *waiting;
        let place = self.place(row.account)?;
        let deleted = matches!(place, Place::Deleted(..));
        let restored = place.mailbox().map(|mailbox| restore(mailbox, row, size));
        let kept = restored.is_some_and(|restored| restored.kept);
        self.core.log.lock().append(row.row, row.time_ms, kept);
        self.waiting += u64::from(kept && !deleted);
        match row.kind {
            Kind::Message { sender, wanted: true, .. } if restored.is_some_and(Restored::owes_a_receipt) => {
                self.core.hub.restore_receipt(sender)
            }
            Kind::Receipt { .. } if kept && !deleted => self.core.hub.restore_receipt(row.account),
            _ => {}
        }
        if let Kind::Message { sender, origin: Origin::Post(device, counter), .. } = row.kind {
            self.counter(sender, device, counter)?;
        }
        Ok(())
    }

    fn counter(&mut self, sender: AccountId, device: DeviceId, counter: u64) -> Result<(), StoreError> {
        let window = match self.windows.entry((sender, device)) {
            std::collections::hash_map::Entry::Occupied(window) => window.into_mut(),
            std::collections::hash_map::Entry::Vacant(empty) => {
                let known = self.store.account_by_id(sender)?.is_some();
                let stored = if known { self.store.window(sender, device)? } else { None };
                empty.insert(known.then(|| stored.unwrap_or_default()))
            }
        };
        if let Some(window) = window.as_mut().filter(|window| window.check(counter) == Seen::New) {
            window.accept(counter);
        }
        Ok(())
    }

    /// The counters are saved at once, so that afterwards the store alone tells of them. Where that finds no room, they
    /// stay in memory, and are saved when there is some: a full disk keeps nobody from what was kept.
    fn save_windows(&mut self) -> Result<Vec<Unsaved>, StoreError> {
        let seen_ms = self.core.clock.now().wall_ms;
        let mut batch = Batch::default();
        for ((account, device), window) in &self.windows {
            if let Some(window) = window {
                batch.push(Write::SaveWindow(*account, *device, Box::new(window.clone()), seen_ms));
            }
        }
        match if batch.is_empty() { Ok(()) } else { self.store.commit(&batch) } {
            Ok(()) => Ok(Vec::new()),
            Err(error @ (StoreError::Full | StoreError::Busy)) => {
                tracing::error!(%error, "cannot save the counters of messages now; they stay in memory until then");
                self.core.counters.rolled_back.one();
                self.keep_windows(seen_ms)
            }
            Err(error) => Err(error),
        }
    }

    fn keep_windows(&mut self, seen_ms: u64) -> Result<Vec<Unsaved>, StoreError> {
        let (core, mut unsaved) = (self.core, Vec::new());
        for ((id, device), window) in std::mem::take(&mut self.windows) {
            let Some(window) = window else { continue };
            if let Place::Live(account) = self.place(id)? {
                let cell = Arc::new(Mutex::new(WindowCell { window, unsaved: true }));
                let mut effects = Effects::default();
                account.mailbox.get_mut().device(device, seen_ms, &mut effects).window = Some(cell.clone());
                core.apply(account, &mut effects);
                unsaved.push((id, device, cell));
            }
        }
        Ok(unsaved)
    }

    fn place(&mut self, account: AccountId) -> Result<&mut Place, StoreError> {
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        Ok(match self.places.entry(account) {
            Occupied(place) => place.into_mut(),
            Vacant(empty) => {
                empty.insert(open(self.core, self.store, &self.graves, self.next_account, account)?)
            }
        })
    }

    /// Lets the accounts in that have something waiting, and returns what is to be purged.
    fn settle(mut self) -> Result<VecDeque<Grave>, StoreError> {
        let mut graves = VecDeque::new();
        for (id, place) in self.places.drain() {
            match place {
                Place::Live(mut account) => {
                    if !account.mailbox.get_mut().is_idle() {
                        self.core.hub.insert(Arc::new(account));
                    }
                }
                Place::Gone => {}
                Place::Deleted(name, mut mailbox) => {
                    let ended = mailbox.delete(None);
                    self.graves.remove(&id);
                    graves.push_back(Grave::new(id, &name, ended.kept));
                }
            }
        }
        // Nothing waits of these, but their devices are still there.
        graves.extend(self.graves.iter().map(|(id, name)| Grave::new(*id, name, Vec::new())));
        Ok(graves)
    }
}

/// What became of a row in its mailbox.
#[derive(Clone, Copy)]
struct Restored {
    kept: bool,
    had: bool,
}

impl Restored {
    fn owes_a_receipt(self) -> bool {
        self.kept && !self.had
    }
}

fn restore(mailbox: &mut Mailbox<Arc<Outbox>>, row: LogRow<()>, size: usize) -> Restored {
    let item = match row.kind {
        Kind::Message { sender, wanted, .. } => {
            let marks = if wanted { Marks::WANTED } else { Marks::default() };
            Some(Item::new(row.seq, row.row, size, marks, sender.short()))
        }
        Kind::Receipt { device, .. } => {
            mailbox.party_of(device).map(|party| Item::new(row.seq, row.row, 0, Marks::RECEIPT, party))
        }
    };
    let kept = item.is_some_and(|item| mailbox.restore_item(item));
    let had = mailbox.items().find(row.seq).is_some_and(|item| item.marks().has(Marks::HAD));
    Restored { kept, had }
}

fn open(
    core: &Core,
    store: &mut dyn Store,
    graves: &HashMap<AccountId, String>,
    next_account: AccountId,
    id: AccountId,
) -> Result<Place, StoreError> {
    let devices = store.devices(id)?;
    if let Some(row) = store.account_by_id(id)? {
        let mailbox = mailbox(row.reserved, &devices, core.in_memory);
        return Ok(Place::Live(assemble(core, &row, mailbox)));
    }
    match graves.get(&id) {
        Some(name) => {
            Ok(Place::Deleted(name.as_str().into(), mailbox(u64::MAX >> 1, &devices, core.in_memory)))
        }
        None if id < next_account => Ok(Place::Gone),
        None => Err(StoreError::Corrupt(format!(
            "the log holds messages of account {}, which was never made",
            id.0
        ))),
    }
}
