//! Stores that break a promise on purpose, to see that the checker notices.

use bellhop_protocol::{DeviceId, MessageId};
use bellhop_server::store::{
    AccountId, AccountRow, Batch, Boot, DeviceRow, Kind, LogRow, Origin, Reader, RowId, Span, Store,
    StoreError, TokenRow, Waiting, Write,
};
use bellhop_server::window::CounterWindow;
use uuid::Uuid;

/// Which promise is broken.
#[derive(Clone, Copy, Debug)]
pub enum Breach {
    /// Every tenth message is not kept.
    Loses,
    /// Messages are kept under another id than they were pushed with, and what was acknowledged is forgotten.
    Doubles,
    /// The texts of every tenth message and the next of its batch are exchanged.
    Reorders,
    /// Keeping a message panics.
    Panics,
}

/// A store that breaks it.
pub struct Mutant {
    store: Box<dyn Store>,
    breach: Breach,
    count: u64,
}

impl Mutant {
    /// A mutant around a sound store.
    pub fn new(store: Box<dyn Store>, breach: Breach) -> Mutant {
        Mutant { store, breach, count: 0 }
    }

    fn breach(&mut self, batch: &Batch) -> Batch {
        let appends = batch.writes.iter().any(|write| matches!(write, Write::Append(_)));
        assert!(!(appends && matches!(self.breach, Breach::Panics)), "on purpose");
        let mut broken = batch.clone();
        broken.writes.clear();
        let mut held: Option<(usize, LogRow<Span>)> = None;
        for write in &batch.writes {
            match (self.breach, write) {
                (Breach::Loses, Write::Append(_)) if self.tenth() => {}
                (Breach::Doubles, Write::Append(row)) => {
                    self.count += 1;
                    let id = MessageId(Uuid::from_u128(u128::from(self.count)));
                    let sender = AccountId(0);
                    let kind = Kind::Message { sender, origin: Origin::Send(id), wanted: false };
                    broken.writes.push(Write::Append(LogRow { kind, ..*row }));
                }
                (Breach::Doubles, Write::SaveDevice(device)) => {
                    broken.writes.push(Write::SaveDevice(DeviceRow {
                        floor: 0,
                        ranges: vec![],
                        ..device.clone()
                    }));
                }
                (Breach::Reorders, Write::Append(row)) => {
                    let mut row = *row;
                    if let Some((at, earlier)) = held.take() {
                        broken.writes[at] = Write::Append(LogRow { text: row.text, ..earlier });
                        row.text = earlier.text;
                    } else if self.tenth() {
                        held = Some((broken.writes.len(), row));
                    }
                    broken.writes.push(Write::Append(row));
                }
                _ => broken.writes.push(write.clone()),
            }
        }
        broken
    }

    fn tenth(&mut self) -> bool {
        self.count += 1;
        self.count.is_multiple_of(10)
    }
}

impl Store for Mutant {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let broken = self.breach(batch);
        self.store.commit(&broken)
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
        self.store.range(first, last, visit)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.store.close()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.store.reader()
    }
}
