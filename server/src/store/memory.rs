//! A store that forgets with the process: the contract of [`Store`] in its plainest form, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellhop_protocol::DeviceId;
use parking_lot::Mutex;

use super::{
    AccountId, AccountRow, Batch, Boot, ClockNote, DeviceRow, LogRow, Reader, RowId, Store, StoreError,
    TokenRow, Waiting, Write,
};
use crate::window::CounterWindow;

#[derive(Clone, Debug, Default)]
struct Tables {
    accounts: BTreeMap<AccountId, AccountRow>,
    last_account: i64,
    graves: BTreeMap<AccountId, String>,
    held: BTreeMap<String, u64>,
    devices: BTreeMap<(AccountId, DeviceId), DeviceRow>,
    windows: BTreeMap<(AccountId, DeviceId), CounterWindow>,
    tokens: BTreeMap<[u8; 32], TokenRow>,
    log: BTreeMap<RowId, LogRow<String>>,
    clock: Option<ClockNote>,
}

/// The store. Clones share what they hold, so that a test can stop one server and start another on it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
}

impl MemoryStore {
    /// The rows of the log, for tests.
    pub fn log(&self) -> Vec<LogRow<String>> {
        self.tables.lock().log.values().cloned().collect()
    }
}

impl Tables {
    fn apply(&mut self, batch: &Batch, write: &Write) {
        match write {
            Write::AddAccount(account) => {
                self.last_account = self.last_account.max(account.id.0);
                self.held.remove(&account.folded);
                self.accounts.insert(account.id, account.clone());
            }
            Write::DeleteAccount(id) => {
                if let Some(account) = self.accounts.remove(id) {
                    self.graves.insert(*id, account.name);
                }
                self.tokens.retain(|_, token| token.account != *id);
            }
            Write::SetPassword(id, hash) => {
                if let Some(account) = self.accounts.get_mut(id) {
                    account.password.clone_from(hash);
                }
            }
            Write::HoldName(folded, until_ms) => drop(self.held.insert(folded.clone(), *until_ms)),
            Write::ReleaseNames(until_ms) => self.held.retain(|_, until| *until > *until_ms),
            Write::Reserve(id, reserved) => {
                if let Some(account) = self.accounts.get_mut(id) {
                    account.reserved = *reserved;
                }
            }
            Write::SaveDevice(device) => {
                self.devices.insert((device.account, device.device), device.clone());
            }
            Write::SaveWindow(account, device, window, seen_ms) => {
                let (account, device, seen_ms) = (*account, *device, *seen_ms);
                let new = DeviceRow { account, device, floor: 0, ranges: vec![], receiving: false, seen_ms };
                self.devices.entry((account, device)).or_insert(new);
                self.windows.insert((account, device), (**window).clone());
            }
            Write::ForgetDevice(account, device) => {
                self.devices.remove(&(*account, *device));
                self.windows.remove(&(*account, *device));
                self.tokens.retain(|_, token| (token.account, token.device) != (*account, *device));
            }
            Write::ForgetGrave(account) => {
                self.graves.remove(account);
                self.devices.retain(|(of, _), _| of != account);
                self.windows.retain(|(of, _), _| of != account);
            }
            Write::Append(row) => {
                let LogRow { row, account, seq, time_ms, kind, name, text } = *row;
                let (name, text) = (name.of(&batch.words).to_owned(), text.of(&batch.words).to_owned());
                self.log.insert(row, LogRow { row, account, seq, time_ms, kind, name, text });
            }
            Write::DropRows(first, last) => self.log.retain(|row, _| row < first || row > last),
            Write::SaveToken(token) => drop(self.tokens.insert(token.hash, *token)),
            Write::DropTokens { account, device, except } => self.tokens.retain(|hash, token| {
                token.account != *account
                    || device.is_some_and(|device| token.device != device)
                    || *except == Some(*hash)
            }),
            Write::NoteClock(note) => self.clock = Some(*note),
        }
    }
}

fn borrow(row: &LogRow<String>) -> LogRow<&str> {
    let LogRow { row: id, account, seq, time_ms, kind, .. } = *row;
    LogRow { row: id, account, seq, time_ms, kind, name: &row.name, text: &row.text }
}

impl Store for MemoryStore {
    fn boot(&mut self) -> Result<Boot, StoreError> {
        let tables = self.tables.lock();
        Ok(Boot {
            node: "memory".into(),
            id_key: [7; 16],
            next_account: AccountId(tables.last_account + 1),
            next_row: RowId(tables.log.keys().next_back().map_or(0, |row| row.0) + 1),
            clock: tables.clock,
        })
    }

    fn scan(&mut self, after: RowId, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let tables = self.tables.lock();
        let rows = tables.log.range(RowId(after.0 + 1)..).take(most).map(|(_, row)| {
            let LogRow { row: id, account, seq, time_ms, kind, .. } = *row;
            let row_without_words = LogRow { row: id, account, seq, time_ms, kind, name: (), text: () };
            Waiting { row: row_without_words, size: row.text.len() }
        });
        Ok(rows.collect())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut tables = self.tables.lock();
        batch.writes.iter().for_each(|write| tables.apply(batch, write));
        Ok(())
    }

    fn account(&mut self, folded: &str) -> Result<Option<AccountRow>, StoreError> {
        Ok(self.tables.lock().accounts.values().find(|account| account.folded == folded).cloned())
    }

    fn account_by_id(&mut self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        Ok(self.tables.lock().accounts.get(&id).cloned())
    }

    fn held(&mut self, folded: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.lock().held.get(folded).copied())
    }

    fn graves(&mut self) -> Result<Vec<(AccountId, String)>, StoreError> {
        Ok(self.tables.lock().graves.iter().map(|(id, name)| (*id, name.clone())).collect())
    }

    fn devices(&mut self, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
        let tables = self.tables.lock();
        Ok(tables.devices.values().filter(|device| device.account == account).cloned().collect())
    }

    fn window(&mut self, account: AccountId, device: DeviceId) -> Result<Option<CounterWindow>, StoreError> {
        Ok(self.tables.lock().windows.get(&(account, device)).cloned())
    }

    fn token(&mut self, hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        Ok(self.tables.lock().tokens.get(hash).copied())
    }

    fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError> {
        let tables = self.tables.lock();
        rows.iter().filter_map(|row| tables.log.get(row)).for_each(|row| visit(borrow(row)));
        Ok(())
    }

    fn range(
        &mut self,
        first: RowId,
        last: RowId,
        visit: &mut dyn FnMut(LogRow<&str>),
    ) -> Result<(), StoreError> {
        let tables = self.tables.lock();
        tables.log.range(first..=last).for_each(|(_, row)| visit(borrow(row)));
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}

impl Reader for MemoryStore {
    fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError> {
        Store::rows(self, rows, visit)
    }

    fn names(
        &mut self,
        after: &str,
        least: &str,
        visit: &mut dyn FnMut(&str, &str) -> bool,
    ) -> Result<(), StoreError> {
        let tables = self.tables.lock();
        let mut names: Vec<_> = tables
            .accounts
            .values()
            .map(|account| (account.folded.as_str(), account.name.as_str()))
            .collect();
        names.sort_unstable();
        let asked = names.into_iter().filter(|(folded, _)| *folded > after && *folded >= least);
        asked.take_while(|(folded, name)| visit(folded, name)).for_each(drop);
        Ok(())
    }
}
