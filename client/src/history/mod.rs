//! What this client has seen and sent, in an SQLite file of its own that several programs may use at once.
//!
//! [`History`] is one connection to that file. In `accounts` is who logs in, and the devices with their counters, tokens
//! and outboxes; in `changes` what a link writes down; in `pages` what a screen reads, in `search` what it looks for. Nothing in here knows a socket.

mod accounts;
mod changes;
pub(crate) mod keyed;
pub(crate) mod left;
mod pages;
mod schema;
mod search;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::clock;

pub(crate) use accounts::{Account, Kept, LAST_SERVER, LAST_USER, Seat, Standing};
pub use pages::Chosen;
pub use search::Query;

/// How long one program waits for another's transaction.
const BUSY_MAX: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// A later version of this client wrote the file.
    #[error("the history was written by a later version (schema {found}, this one knows {known})")]
    Newer { found: i64, known: i64 },
    /// The file, or the disk under it, fails.
    #[error("the history cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl HistoryError {
    /// True where another program has the file, and will let go of it.
    pub(crate) fn is_passing(&self) -> bool {
        let HistoryError::Sqlite(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }
}

/// One connection to the history.
#[derive(Debug)]
pub(crate) struct History {
    db: Connection,
}

impl History {
    /// Opens the file, and brings it to this version's schema.
    pub(crate) fn open(path: &Path) -> Result<History, HistoryError> {
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY_MAX)?;
        switch_to_wal(&db)?;
        db.pragma_update(None, "synchronous", "FULL")?;
        // Without these macOS leaves what was synced in the drive's own memory; elsewhere they change nothing.
        db.pragma_update(None, "fullfsync", "ON")?;
        db.pragma_update(None, "checkpoint_fullfsync", "ON")?;
        db.pragma_update(None, "foreign_keys", "ON")?;
        schema::migrate(&mut db)?;
        Ok(History { db })
    }

    /// A transaction that may write: it takes the file from the start, so that it cannot fail half-way for another's.
    fn write(&mut self) -> rusqlite::Result<rusqlite::Transaction<'_>> {
        self.db.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

/// SQLite does not wait for this, as two that switched could wait for each other: a new file that another program has
/// just made and is about to switch would be an error.
fn switch_to_wal(db: &Connection) -> Result<(), HistoryError> {
    let until = clock::now() + BUSY_MAX;
    loop {
        match db.pragma_update(None, "journal_mode", "WAL").map_err(HistoryError::from) {
            Err(error) if error.is_passing() && clock::now() < until => std::thread::sleep(LOOK_EVERY),
            switched => return switched,
        }
    }
}
