//! Who is here: the accounts that are in memory, with their mailboxes and live sessions.
//!
//! An account is in memory while it has sessions, messages that wait, or something that is not saved yet. Only the
//! writing thread brings accounts in and lets them go; everybody looks them up. Locks are taken in the order: counter
//! window, mailbox, outbox; no second map call is made while a guard of the map lives, so everything is cloned out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellhop_protocol::DeviceId;
use dashmap::DashMap;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::mailbox::device::WindowCell;
use crate::mailbox::{Mailbox, SessionId};
use crate::outbox::Outbox;
use crate::rate::Bucket;
use crate::store::AccountId;
use crate::sync;

/// An account in memory.
#[derive(Debug)]
pub struct Account {
    /// Its number in the store.
    pub id: AccountId,
    /// Its uuid on the wire.
    pub uuid: Uuid,
    /// Its name, as it was created.
    pub name: Box<str>,
    /// What its name is compared by.
    pub folded: Box<str>,
    /// Its mailbox and live sessions.
    pub mailbox: sync::Mutex<Mailbox<Arc<Outbox>>>,
    /// What it may still send.
    pub sends: Bucket,
    /// How often it may still be told that nobody has a name.
    pub unknown: Bucket,
}

/// A login: what a connection and its jobs know of who they are for.
#[derive(Debug)]
pub struct Login {
    /// The account.
    pub account: Arc<Account>,
    /// The session.
    pub session: SessionId,
    /// Where its frames go.
    pub outbox: Arc<Outbox>,
    /// Its device and the device's counters, of a session with the extension.
    pub device: Option<(DeviceId, Arc<Mutex<WindowCell>>)>,
}

/// The accounts in memory, by number and by folded name.
#[derive(Debug, Default)]
pub struct Hub {
    by_id: DashMap<AccountId, Arc<Account>>,
    by_name: DashMap<Box<str>, Arc<Account>>,
    receipts: DashMap<AccountId, u64>,
    last_session: AtomicU64,
}

/// How many receipts of an account may be outstanding: wanted and not filed, or filed and not acknowledged.
pub const RECEIPTS_MAX: u64 = 10_000;

impl Hub {
    /// The account with this number, if it is in memory.
    pub fn by_id(&self, id: AccountId) -> Option<Arc<Account>> {
        self.by_id.get(&id).map(|account| account.clone())
    }

    /// The account with this folded name, if it is in memory.
    pub fn by_name(&self, folded: &str) -> Option<Arc<Account>> {
        self.by_name.get(folded).map(|account| account.clone())
    }

    /// Brings an account in.
    pub fn insert(&self, account: Arc<Account>) {
        self.by_name.insert(account.folded.clone(), account.clone());
        self.by_id.insert(account.id, account);
    }

    /// Lets an account go.
    pub fn remove(&self, account: &Account) {
        self.by_name.remove_if(&account.folded, |_, found| found.id == account.id);
        self.by_id.remove(&account.id);
    }

    /// Every account in memory.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.by_id.iter().map(|entry| entry.value().clone()).collect()
    }

    /// A number for a new session.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Reserves a place among an account's outstanding receipts; false where there is none.
    pub fn reserve_receipt(&self, account: AccountId) -> bool {
        let mut outstanding = self.receipts.entry(account).or_insert(0);
        let room = *outstanding < RECEIPTS_MAX;
        *outstanding += u64::from(room);
        room
    }

    /// Counts a receipt that is outstanding since before the start.
    pub fn restore_receipt(&self, account: AccountId) {
        *self.receipts.entry(account).or_insert(0) += 1;
    }

    /// Forgets the receipts of a deleted account.
    pub fn forget_receipts(&self, account: AccountId) {
        self.receipts.remove(&account);
    }

    /// Gives places back.
    pub fn release_receipts(&self, account: AccountId, count: u64) {
        if count == 0 {
            return;
        }
        self.receipts.remove_if_mut(&account, |_, outstanding| {
            *outstanding = outstanding.saturating_sub(count);
            *outstanding == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_have_a_bound_an_account() {
        let hub = Hub::default();
        let (alice, bob) = (AccountId(1), AccountId(2));
        assert_eq!((0..RECEIPTS_MAX + 5).filter(|_| hub.reserve_receipt(alice)).count() as u64, RECEIPTS_MAX);
        assert!(hub.reserve_receipt(bob));
        hub.release_receipts(alice, 2);
        assert_eq!((0..5).filter(|_| hub.reserve_receipt(alice)).count(), 2);
        hub.release_receipts(alice, RECEIPTS_MAX);
        assert!(hub.receipts.get(&alice).is_none(), "an account without any takes no memory");
    }
}
