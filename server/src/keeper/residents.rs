//! Which accounts are in memory: the only place that brings them in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::Core;
use crate::hub::Account;
use crate::mailbox::Mailbox;
use crate::mailbox::device::Device;
use crate::outbox::Outbox;
use crate::rate::Bucket;
use crate::store::{AccountId, AccountRow, DeviceRow, Store, StoreError};
use crate::sync;

/// The store, and the accounts that it and the hub know.
pub(super) struct Residents {
    core: Arc<Core>,
    pub(super) store: Box<dyn Store>,
    next_account: AccountId,
    /// Accounts that are made by the batch that is being staged.
    fresh: HashMap<Box<str>, Arc<Account>>,
    /// Who was asked for by name last in this batch: mostly who is asked for next, found without the hub.
    recent: Option<Arc<Account>>,
}

impl Residents {
    pub(super) fn new(core: Arc<Core>, store: Box<dyn Store>, next_account: AccountId) -> Residents {
        Residents { core, store, next_account, fresh: HashMap::new(), recent: None }
    }

    /// The account with this folded name, brought into memory where it is not.
    pub(super) fn by_name(&mut self, folded: &str) -> Result<Option<Arc<Account>>, StoreError> {
        if let Some(recent) = self.recent.as_ref().filter(|recent| *recent.folded == *folded) {
            return Ok(Some(recent.clone()));
        }
        let here = self.core.hub.by_name(folded).or_else(|| self.fresh.get(folded).cloned());
        let found = match here {
            Some(account) => Some(account),
            None => self.store.account(folded)?.map(|row| self.bring_in(&row)).transpose()?,
        };
        self.recent.clone_from(&found);
        Ok(found)
    }

    /// The batch is staged: from here on accounts may leave.
    pub(super) fn forget_recent(&mut self) {
        self.recent = None;
    }

    /// The account with this number, brought into memory where it is not.
    pub(super) fn by_id(&mut self, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        let fresh = || self.fresh.values().find(|account| account.id == id).cloned();
        if let Some(account) = self.core.hub.by_id(id).or_else(fresh) {
            return Ok(Some(account));
        }
        match self.store.account_by_id(id)? {
            None => Ok(None),
            Some(row) => self.bring_in(&row).map(Some),
        }
    }

    /// The account with this number, if it is in memory.
    pub(super) fn in_memory(&self, id: AccountId) -> Option<Arc<Account>> {
        self.core.hub.by_id(id)
    }

    /// The number of the next new account.
    pub(super) fn next_account(&mut self) -> AccountId {
        let next = self.next_account;
        self.next_account = AccountId(next.0 + 1);
        next
    }

    /// An account that the batch makes: known to the batch at once, to everybody when it is committed.
    pub(super) fn make(&mut self, row: &AccountRow) -> Arc<Account> {
        let mailbox = Mailbox::new(0, row.reserved, self.core.in_memory);
        let account = Arc::new(assemble(&self.core, row, mailbox));
        self.fresh.insert(account.folded.clone(), account.clone());
        account
    }

    /// True if and only if the batch makes an account with this folded name.
    pub(super) fn is_fresh(&self, folded: &str) -> bool {
        self.fresh.contains_key(folded)
    }

    pub(super) fn admit_fresh(&mut self) {
        self.core.counters.made.many(self.fresh.len() as u64);
        for (_, account) in self.fresh.drain() {
            self.core.hub.insert(account);
        }
    }

    pub(super) fn forget_fresh(&mut self) {
        self.fresh.clear();
    }

    fn bring_in(&mut self, row: &AccountRow) -> Result<Arc<Account>, StoreError> {
        let devices = self.store.devices(row.id)?;
        let mailbox = mailbox(row.reserved, &devices, self.core.in_memory);
        let account = Arc::new(assemble(&self.core, row, mailbox));
        self.core.hub.insert(account.clone());
        // It goes again by way of the list of what is to be saved, unless something keeps it.
        account.mailbox.lock().list();
        self.core.queue.unsaved(account.clone());
        Ok(account)
    }
}

/// A mailbox of which nothing is known but its devices and which numbers were used.
pub(super) fn mailbox<O: crate::mailbox::stream::Outlet>(
    reserved: u64,
    devices: &[DeviceRow],
    in_memory: bool,
) -> Mailbox<O> {
    let mut mailbox = Mailbox::new(reserved, reserved, in_memory);
    for row in devices {
        let mut device = Device::new(row.device, 0, row.seen_ms);
        device.receiving = row.receiving;
        device.acked = crate::mailbox::acked::Acked::new(row.floor, row.ranges.clone());
        device.unsaved = false;
        mailbox.restore_device(device);
    }
    mailbox
}

pub(super) fn assemble(core: &Core, row: &AccountRow, mailbox: Mailbox<Arc<Outbox>>) -> Account {
    Account {
        id: row.id,
        uuid: row.uuid,
        name: row.name.as_str().into(),
        folded: row.folded.as_str().into(),
        mailbox: sync::Mutex::new(mailbox.with_tails(&core.memory.tails)),
        sends: Bucket::default(),
        unknown: Bucket::default(),
    }
}
