//! What waits, at the start: one pass over the log brings the mailboxes back that have something in them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bellhop_protocol::DeviceId;

use super::graves::Grave;
use super::residents::{assemble, mailbox};
use crate::core::Core;
use crate::hub::Account;
use crate::mailbox::Mailbox;
use crate::mailbox::items::{Item, Marks};
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
    /// How many items wait.
    pub waiting: u64,
}

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
    loader.save_windows()?;
    let waiting = loader.waiting;
    let graves = loader.settle()?;
    let is_new = boot.next_row == RowId(RowId::NONE.0 + 1);
    let now = || ClockNote { wall_ms: core.clock.now().wall_ms, doubt_ms: 0 };
    let clock = boot.clock.or(is_new.then(now));
    Ok(Loaded { next_row: boot.next_row, next_account: boot.next_account, graves, clock, waiting })
}

impl Loader<'_> {
    fn row(&mut self, waiting: &Waiting) -> Result<(), StoreError> {
        let Waiting { row, size } = *waiting;
        let place = match self.places.entry(row.account) {
            std::collections::hash_map::Entry::Occupied(place) => place.into_mut(),
            std::collections::hash_map::Entry::Vacant(empty) => {
                empty.insert(open(self.core, self.store, &self.graves, self.next_account, row.account)?)
            }
        };
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

    /// The counters are saved at once, so that afterwards the store alone tells of them.
    fn save_windows(&mut self) -> Result<(), StoreError> {
        let seen_ms = self.core.clock.now().wall_ms;
        let mut batch = Batch::default();
        for ((account, device), window) in self.windows.drain() {
            if let Some(window) = window {
                batch.push(Write::SaveWindow(account, device, Box::new(window), seen_ms));
            }
        }
        if batch.is_empty() { Ok(()) } else { self.store.commit(&batch) }
    }

    /// Lets the accounts in that have something waiting, and returns what is to be purged.
    fn settle(mut self) -> Result<VecDeque<Grave>, StoreError> {
        let mut graves = VecDeque::new();
        for (id, place) in self.places.drain() {
            match place {
                Place::Live(mut account) => {
                    if !account.mailbox.get_mut().items().is_empty() {
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
        return Ok(Place::Live(assemble(&row, mailbox)));
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
