//! A store whose commits fail as a test wants.

use std::sync::Arc;

use bellhop_protocol::DeviceId;
use parking_lot::Mutex;

use super::{
    AccountId, AccountRow, Batch, Boot, DeviceRow, LogRow, Reader, RowId, Store, StoreError, TokenRow,
    Waiting,
};
use crate::window::CounterWindow;

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk is full; nothing is kept.
    Full,
    /// Another program holds the lock; nothing is kept.
    Busy,
    /// It fails, and nothing is kept.
    Lost,
    /// It fails, and everything is kept.
    Kept,
}

/// Which commits fail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    /// Commits so far.
    pub(crate) commits: u64,
    /// The number of the commit that fails, counted from 1, and how.
    pub(crate) fail: Option<(u64, Fault)>,
    /// A row of the log that is damaged, for whoever writes.
    pub(crate) damaged: Option<RowId>,
}

/// A store that fails by plan.
pub(crate) struct FaultyStore<S> {
    pub(crate) store: S,
    pub(crate) plan: Arc<Mutex<Plan>>,
}

impl<S: Store> Store for FaultyStore<S> {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut plan = self.plan.lock();
        plan.commits += 1;
        match plan.fail.filter(|(number, _)| *number == plan.commits) {
            None => self.store.commit(batch),
            Some((_, Fault::Full)) => Err(StoreError::Full),
            Some((_, Fault::Busy)) => Err(StoreError::Busy),
            Some((_, Fault::Lost)) => Err(StoreError::Fault("injected".into())),
            Some((_, Fault::Kept)) => {
                self.store.commit(batch)?;
                Err(StoreError::Fault("injected".into()))
            }
        }
    }

    fn boot(&mut self) -> Result<Boot, StoreError> {
        self.store.boot()
    }

    fn scan(&mut self, after: RowId, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.store.scan(after, most)
    }

    fn account(&mut self, folded: &str) -> Result<Option<AccountRow>, StoreError> {
        self.store.account(folded)
    }

    fn account_by_id(&mut self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        self.store.account_by_id(id)
    }

    fn held(&mut self, folded: &str) -> Result<Option<u64>, StoreError> {
        self.store.held(folded)
    }

    fn graves(&mut self) -> Result<Vec<(AccountId, String)>, StoreError> {
        self.store.graves()
    }

    fn devices(&mut self, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
        self.store.devices(account)
    }

    fn window(&mut self, account: AccountId, device: DeviceId) -> Result<Option<CounterWindow>, StoreError> {
        self.store.window(account, device)
    }

    fn token(&mut self, hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        self.store.token(hash)
    }

    fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError> {
        self.store.rows(rows, visit)
    }

    fn range(
        &mut self,
        first: RowId,
        last: RowId,
        visit: &mut dyn FnMut(LogRow<&str>),
    ) -> Result<(), StoreError> {
        match self.plan.lock().damaged {
            Some(row) if (first..=last).contains(&row) => Err(StoreError::Damaged("injected".into())),
            _ => self.store.range(first, last, visit),
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.store.close()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.store.reader()
    }
}
