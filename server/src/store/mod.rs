//! What is kept across a restart: accounts, devices, tokens and the log of messages.
//!
//! A [`Store`] is used by one thread, which hands it everything that is to become true together as one [`Batch`]. A
//! [`Reader`] sees what was committed, from other threads. Neither knows a session. [`sqlite`] is the store that runs;
//! [`memory`] forgets with the process and serves tests; one suite tests both.
//!
//! Messages lie in a *log*, in the order in which they were committed. A mailbox finds its rows through the row numbers
//! that it keeps in memory, so that a message costs one append and no index.

pub mod backup;
pub mod check;
mod credentials;
#[cfg(test)]
pub(crate) mod faulty;
pub mod inspect;
mod integrity;
pub mod log;
mod mark;
pub mod memory;
mod opening;
pub mod readers;
mod rows;
mod schema;
pub mod sqlite;
mod sum;

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;

use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::{DeviceId, MessageId};
use uuid::Uuid;

use crate::window::CounterWindow;

/// An account's number in the store. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

impl AccountId {
    /// The number cut to 32 bits, for counting senders.
    pub fn short(self) -> u32 {
        self.0 as u32
    }
}

/// A row of the log. Rises in the order of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub u64);

impl RowId {
    /// In no log: the item lives in memory alone.
    pub const NONE: RowId = RowId(0);
}

/// The hash of a password, as a PHC string; its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// Its uuid on the wire.
    pub uuid: Uuid,
    /// Its name, as it was created.
    pub name: String,
    /// What its name is compared by.
    pub folded: String,
    /// The hash of its password.
    pub password: Option<PasswordHash>,
    /// Seq numbers up to here may have been used.
    pub reserved: u64,
    /// When it was made, in ms since 1970.
    pub created_ms: u64,
}

impl std::fmt::Debug for AccountRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountRow").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A device, without its counter window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// Everything up to here is acknowledged.
    pub floor: u64,
    /// What is acknowledged above the floor.
    pub ranges: Vec<(u64, u64)>,
    /// True if and only if items wait for it.
    pub receiving: bool,
    /// When it was last here, in ms since 1970.
    pub seen_ms: u64,
}

/// Who sent a message, as far as receipts need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// The account.
    pub account: AccountId,
    /// The device, of a POST.
    pub device: Option<DeviceId>,
}

/// What a message's id is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A POST: its device and counter.
    Post(DeviceId, u64),
    /// A SEND: its id, drawn at random.
    Send(MessageId),
}

/// What a row of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message.
    Message {
        /// Who sent it.
        sender: AccountId,
        /// What its id is made of.
        origin: Origin,
        /// True where the sender wants to learn how it ends.
        wanted: bool,
    },
    /// A receipt.
    Receipt {
        /// The device that it is for; `None` for all with the extension.
        device: Option<DeviceId>,
        /// The message that it is about.
        id: MessageId,
        /// How that ended.
        state: ReceiptState,
    },
}

/// A row of the log: an item of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRow<T> {
    /// The row.
    pub row: RowId,
    /// Whose mailbox it lies in.
    pub account: AccountId,
    /// Its number there.
    pub seq: u64,
    /// When it was kept, in ms since 1970.
    pub time_ms: u64,
    /// What it is.
    pub kind: Kind,
    /// The sender's name; for a receipt, who took, read or lost the message.
    pub name: T,
    /// The text; empty for a receipt.
    pub text: T,
}

/// A row of the log without its words: what a start needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The row, its name and text left out.
    pub row: LogRow<()>,
    /// Bytes of the text.
    pub size: usize,
}

/// A piece of [`Batch::words`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// Appends `words` to `all` and tells where they lie.
    pub fn push(all: &mut String, words: &str) -> Span {
        let start = all.len() as u32;
        all.push_str(words);
        Span { start, len: words.len() as u32 }
    }

    /// The words; nothing for a span of another text.
    pub fn of(self, all: &str) -> &str {
        let start = self.start as usize;
        all.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// A token, by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The account it logs in.
    pub account: AccountId,
    /// The device it is bound to.
    pub device: DeviceId,
    /// When it ends, in ms since 1970; `None` while it is the newest.
    pub expires_ms: Option<u64>,
}

/// What is kept of the wall clock, so that a start can judge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockNote {
    /// What it showed, in ms since 1970.
    pub wall_ms: u64,
    /// How long the server had yet to run before it was believed, in ms; 0 where it was.
    pub doubt_ms: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Adds an account, whose folded name nobody has; it is held no longer.
    AddAccount(AccountRow),
    /// Deletes an account and its tokens, and makes it a grave: its rows and devices stay until they are purged.
    DeleteAccount(AccountId),
    /// Gives an account another password, or none.
    SetPassword(AccountId, Option<PasswordHash>),
    /// Holds the folded name of an account that was deleted until this time, in ms since 1970.
    HoldName(String, u64),
    /// Forgets the names that were held until this time or an earlier one, in ms since 1970.
    ReleaseNames(u64),
    /// Seq numbers of the account up to this one may be used from now on.
    Reserve(AccountId, u64),
    /// Saves a device's state, but not its window.
    SaveDevice(DeviceRow),
    /// Saves a device's window. A device that was not saved before is known from then on, seen at this time in ms
    /// since 1970.
    SaveWindow(AccountId, DeviceId, Box<CounterWindow>, u64),
    /// Forgets a device.
    ForgetDevice(AccountId, DeviceId),
    /// Forgets the grave and all devices of an account that was deleted.
    ForgetGrave(AccountId),
    /// Appends to the log; its row is above all others.
    Append(LogRow<Span>),
    /// Drops rows of the log, both ends included.
    DropRows(RowId, RowId),
    /// Adds a token, or gives it an end.
    SaveToken(TokenRow),
    /// Drops the tokens of an account's device but for one.
    DropTokens {
        /// The account.
        account: AccountId,
        /// The device; `None` for all.
        device: Option<DeviceId>,
        /// The hash of the token to keep.
        except: Option<[u8; 32]>,
    },
    /// Notes the wall clock, in place of the note before.
    NoteClock(ClockNote),
}

impl Write {
    /// True for what must outlive a power loss even where messages need not: a seq that was used, an account or a
    /// token must not come back otherwise.
    pub fn must_last(&self) -> bool {
        matches!(
            self,
            Write::AddAccount(_)
                | Write::DeleteAccount(_)
                | Write::SetPassword(..)
                | Write::HoldName(..)
                | Write::Reserve(..)
                | Write::SaveToken(_)
                | Write::DropTokens { .. }
        )
    }
}

/// Changes that become true together or not at all, in their order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The changes.
    pub writes: Vec<Write>,
    /// The words of appended rows, one after the other.
    pub words: String,
    /// True where the batch must outlive a power loss even if the server promises less for messages.
    pub durable: bool,
}

impl Batch {
    /// Adds a change.
    pub fn push(&mut self, write: Write) {
        self.durable |= write.must_last();
        self.writes.push(write);
    }

    /// Keeps words for the rows of this batch.
    pub fn keep(&mut self, words: &str) -> Span {
        Span::push(&mut self.words, words)
    }

    /// True if and only if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// What a store knows of itself when it was opened.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The server's name for itself.
    pub node: String,
    /// The secret behind the ids of POSTs.
    pub id_key: [u8; 16],
    /// The number of the next account.
    pub next_account: AccountId,
    /// The next row of the log.
    pub next_row: RowId,
    /// The last note of the wall clock; `None` in a new file, and in one of a version that made none.
    pub clock: Option<ClockNote>,
}

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. Nothing of the batch is true, and a later one may go through.
    #[error("the disk is full")]
    Full,
    /// Another program holds the file's lock. Nothing of the batch is true, and a later one may go through.
    #[error("another program keeps the database locked")]
    Busy,
    /// Reading or writing failed. Whether a batch became true is not known.
    #[error("{0}")]
    Fault(String),
    /// The file is not what it should be.
    #[error("{0}")]
    Corrupt(String),
    /// A row that was read is not what it should be. What does not need it goes on; no commit fails so.
    #[error("{0}")]
    Damaged(String),
}

/// The one writer.
pub trait Store: Send {
    /// What the store knows of itself.
    fn boot(&mut self) -> Result<Boot, StoreError>;

    /// The rows of the log above `after`, in order, `most` of them at the most.
    fn scan(&mut self, after: RowId, most: usize) -> Result<Vec<Waiting>, StoreError>;

    /// Makes everything in the batch true, or nothing, in the order of its writes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`] and [`StoreError::Busy`] where certainly nothing became true. After any other error the
    /// store is not used again.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// The account with this folded name.
    fn account(&mut self, folded: &str) -> Result<Option<AccountRow>, StoreError>;

    /// The account with this number.
    fn account_by_id(&mut self, id: AccountId) -> Result<Option<AccountRow>, StoreError>;

    /// Until when the folded name is held for nobody, in ms since 1970, where it is.
    fn held(&mut self, folded: &str) -> Result<Option<u64>, StoreError>;

    /// The accounts that were deleted and are not purged yet, with their names.
    fn graves(&mut self) -> Result<Vec<(AccountId, String)>, StoreError>;

    /// The devices of an account; also of one that was deleted and is not purged yet.
    fn devices(&mut self, account: AccountId) -> Result<Vec<DeviceRow>, StoreError>;

    /// A device's counter window.
    fn window(&mut self, account: AccountId, device: DeviceId) -> Result<Option<CounterWindow>, StoreError>;

    /// The token with this hash.
    fn token(&mut self, hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError>;

    /// Shows the rows that are still there, in the order asked, to `visit`.
    fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError>;

    /// Shows the rows from `first` to `last` that are still there, in order, to `visit`.
    fn range(
        &mut self,
        first: RowId,
        last: RowId,
        visit: &mut dyn FnMut(LogRow<&str>),
    ) -> Result<(), StoreError>;

    /// Writes what is behind to its final place, before a clean end.
    fn close(&mut self) -> Result<(), StoreError>;

    /// Another way to read what was committed.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// Reads what was committed. Each call is short, so that it holds nothing up.
pub trait Reader: Send {
    /// Shows the rows that are still there, in the order asked, to `visit`.
    fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError>;

    /// Shows the folded and the shown names of accounts above `after` and not below `least`, in the order of the
    /// folded ones, to `visit` until it returns false.
    fn names(
        &mut self,
        after: &str,
        least: &str,
        visit: &mut dyn FnMut(&str, &str) -> bool,
    ) -> Result<(), StoreError>;
}
