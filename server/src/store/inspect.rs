//! Reading a database for its operator, on a connection of its own: short reads, so that they hold nothing up, of a file
//! that a server may be writing at the same time.

use std::path::Path;

use bellhop_protocol::DeviceId;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::rows::{account_row, unsigned};
use super::sqlite::{devices, fault, read_rows, scan};
use super::{AccountId, AccountRow, DeviceRow, LogRow, RowId, StoreError, Waiting, schema};
use crate::window::CounterWindow;

/// How long a read waits for a lock on the file.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// A connection that only reads.
#[derive(Debug)]
pub struct Inspector {
    pub(super) db: Connection,
}

/// An account, and what the file tells of its devices.
#[derive(Clone, Debug)]
pub struct AccountLine {
    /// The account.
    pub row: AccountRow,
    /// How many devices it has.
    pub devices: u64,
    /// When one of them was last here, in ms since 1970.
    pub seen_ms: Option<u64>,
}

impl Inspector {
    /// Opens the file, which must be a database of this program.
    ///
    /// # Errors
    ///
    /// Where it is not, or cannot be read.
    pub fn open(path: &Path) -> Result<Inspector, StoreError> {
        let inspector = Inspector::open_any(path)?;
        schema::recognise(&inspector.db)?;
        Ok(inspector)
    }

    /// Opens the file, whatever it is.
    pub(super) fn open_any(path: &Path) -> Result<Inspector, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(fault)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        Ok(Inspector { db })
    }

    /// Everything that is read from now on is of this moment, until the inspector goes.
    pub(super) fn hold(&self) -> Result<(), StoreError> {
        self.db.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").map_err(fault)
    }

    /// A handle that ends a read which takes its time, from another thread.
    pub fn interrupt_handle(&self) -> rusqlite::InterruptHandle {
        self.db.get_interrupt_handle()
    }

    /// The accounts with a folded name above `after`, in the order of these names, `most` of them at the most.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn accounts(&self, after: &str, most: usize) -> Result<Vec<AccountLine>, StoreError> {
        let sql = "SELECT id, uuid, name, folded, password, reserved, created_ms, sum,
                          (SELECT count(*) FROM device WHERE account = account.id),
                          (SELECT max(seen_ms) FROM device WHERE account = account.id)
                   FROM account WHERE folded > ?1 ORDER BY folded LIMIT ?2";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut rows = query.query(params![after, most as i64]).map_err(fault)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            found.push(account_line(row)?);
        }
        Ok(found)
    }

    /// The account with this folded name.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn account(&self, folded: &str) -> Result<Option<AccountLine>, StoreError> {
        let sql = "SELECT id, uuid, name, folded, password, reserved, created_ms, sum,
                          (SELECT count(*) FROM device WHERE account = account.id),
                          (SELECT max(seen_ms) FROM device WHERE account = account.id)
                   FROM account WHERE folded = ?1";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut rows = query.query([folded]).map_err(fault)?;
        rows.next().map_err(fault)?.map(account_line).transpose()
    }

    /// The devices of an account.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn devices(&self, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
        devices(&self.db, account)
    }

    /// The name of an account, or of a deleted one that is not purged yet.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn name_of(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        let sql =
            "SELECT name FROM account WHERE id = ?1 UNION ALL SELECT name FROM grave WHERE account = ?1";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        query.query_row([account.0], |row| row.get(0)).optional().map_err(fault)
    }

    /// The rows of the log above `after`, in order and without their words, `most` of them at the most.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn scan(&self, after: RowId, most: usize) -> Result<Vec<Waiting>, StoreError> {
        scan(&self.db, after, most)
    }

    /// Shows the rows that are still there, in the order asked, to `visit`.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn rows(&self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError> {
        read_rows(&self.db, rows, visit)
    }

    /// The counters that every device posted with, as far as they are saved: account, device and window.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn windows(
        &self,
        visit: &mut dyn FnMut(AccountId, DeviceId, &CounterWindow),
    ) -> Result<(), StoreError> {
        let sql = "SELECT account, id, counters FROM device WHERE counters IS NOT NULL";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut rows = query.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let bytes = row.get_ref(2).map_err(fault)?.as_blob().map_err(super::sqlite::corrupt)?;
            if let Some(window) = CounterWindow::from_bytes(bytes) {
                visit(AccountId(row.get(0).map_err(fault)?), DeviceId(row.get(1).map_err(fault)?), &window);
            }
        }
        Ok(())
    }
}

fn account_line(row: &Row<'_>) -> Result<AccountLine, StoreError> {
    Ok(AccountLine {
        row: account_row(row)?,
        devices: unsigned(row.get(8).map_err(fault)?),
        seen_ms: row.get::<_, Option<i64>>(9).map_err(fault)?.map(unsigned),
    })
}
