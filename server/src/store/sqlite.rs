//! The store in an SQLite file, in WAL mode.
//!
//! At `power` a commit is fsynced before it returns. At the other levels it is handed to the operating system, but for
//! batches that must outlive a power loss at any level.

use std::path::{Path, PathBuf};

use bellhop_protocol::DeviceId;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, named_params, params};

use super::rows::{
    account_row, append_row, log_row, number, ranges_from_bytes, ranges_to_bytes, text, unsigned, whole_row,
};
use super::{
    AccountId, AccountRow, Batch, Boot, DeviceRow, Kind, LogRow, Reader, RowId, Store, StoreError, TokenRow,
    Waiting, Write, schema,
};
use crate::folder::private_file;
use crate::window::CounterWindow;

/// Before this version SQLite could corrupt a database when the WAL was reset (fixed in 3.51.3).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a writer waits for somebody else's lock on the file.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// When a commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// When it is on the disk.
    Always,
    /// When the operating system has it, but for durable batches.
    WhenDurable,
}

/// The store.
#[derive(Debug)]
pub struct SqliteStore {
    db: Connection,
    path: PathBuf,
    sync: Sync,
}

/// The secrets and the name that a new file gets.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The server's name for itself.
    pub node: String,
    /// The secret behind the ids of POSTs.
    pub id_key: [u8; 16],
}

impl SqliteStore {
    /// Opens the file, making or upgrading it as needed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] for a file that is not a sound database of this program.
    pub fn open(path: &Path, sync: Sync, seed: Seed) -> Result<SqliteStore, StoreError> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            return Err(StoreError::Fault(format!("SQLite {} is too old", rusqlite::version())));
        }
        // SQLite gives the files that it puts beside this one the same permissions.
        private_file(path).map_err(|error| StoreError::Fault(format!("cannot open: {error}")))?;
        let mut db = Connection::open(path).map_err(fault)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        db.set_prepared_statement_cache_capacity(32);
        db.execute_batch("PRAGMA synchronous = FULL").map_err(fault)?;
        schema::migrate(&mut db, |db| {
            let mut insert = db.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)")?;
            insert.execute(params!["node", seed.node.as_bytes()])?;
            insert.execute(params!["id-key", seed.id_key.as_slice()])?;
            Ok(())
        })?;
        // 16 MiB of WAL before a checkpoint, and a WAL that grew beyond that is cut again.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 4096;
             PRAGMA journal_size_limit = 33554432; PRAGMA cache_size = -16384;",
        )
        .map_err(fault)?;
        let store = SqliteStore { db, path: path.to_owned(), sync };
        store.set_synchronous(sync == Sync::Always)?;
        Ok(store)
    }

    /// Where the file is a backup that was put back: sees to it that no number is given again that was given since it
    /// was made, at `now_ms` by the wall clock. Returns when it was made.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn leave_backup(&mut self, now_ms: u64) -> Result<Option<u64>, StoreError> {
        self.set_synchronous(true)?;
        let made_ms = super::backup::leave(&mut self.db, now_ms)?;
        self.set_synchronous(self.sync == Sync::Always)?;
        Ok(made_ms)
    }

    fn set_synchronous(&self, full: bool) -> Result<(), StoreError> {
        // On Apple's systems an fsync leaves the drive's cache alone, unless it is asked to be a full one.
        let pragma = match full {
            true => "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON",
            false => "PRAGMA synchronous = NORMAL; PRAGMA fullfsync = OFF; PRAGMA checkpoint_fullfsync = OFF",
        };
        self.db.execute_batch(pragma).map_err(fault)
    }

    /// What `PRAGMA synchronous` reads now (1 is NORMAL, 2 is FULL), and whether an fsync is a full one.
    #[cfg(test)]
    pub(super) fn synchronous(&self) -> (i64, bool) {
        let level = self.db.query_row("PRAGMA synchronous", [], |row| row.get(0)).expect("a pragma");
        (level, self.db.query_row("PRAGMA fullfsync", [], |row| row.get(0)).expect("a pragma"))
    }

    /// How long a commit waits for somebody else's lock, where a test has no five seconds.
    #[cfg(test)]
    pub(super) fn wait_for_locks(&self, time: std::time::Duration) {
        self.db.busy_timeout(time).expect("a time-out");
    }

    fn meta(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT value FROM meta WHERE name = ?1").map_err(fault)?;
        let value = query.query_row([name], |row| row.get(0)).optional().map_err(fault)?;
        value.ok_or_else(|| StoreError::Corrupt(format!("the database does not tell its {name}")))
    }

    fn apply(&self, batch: &Batch) -> rusqlite::Result<()> {
        let mut writes = batch.writes.as_slice();
        while let Some((write, rest)) = writes.split_first() {
            if let Write::Append(_) = write {
                let run = writes.iter().take_while(|write| matches!(write, Write::Append(_))).count();
                let (appends, rest) = writes.split_at(run);
                self.append(batch, appends)?;
                writes = rest;
                continue;
            }
            self.apply_one(write)?;
            writes = rest;
        }
        Ok(())
    }

    /// Commits the batch in a transaction of its own.
    fn transact(&self, batch: &Batch) -> Result<(), StoreError> {
        // The lock of the one writer is had here, or nothing has begun. What follows needs no further lock: in WAL mode
        // readers do not stand in the way of a COMMIT, and a checkpoint that finds some leaves its work for later.
        if let Err(error) = self.db.execute_batch("BEGIN IMMEDIATE") {
            return Err(match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy) if self.db.is_autocommit() => StoreError::Busy,
                _ => self.failed(error),
            });
        }
        let done = self.apply(batch).and_then(|()| self.db.execute_batch("COMMIT"));
        done.map_err(|error| self.failed(error))
    }

    /// What a transaction that failed means, which is rolled back.
    fn failed(&self, error: rusqlite::Error) -> StoreError {
        // SQLite may have rolled back by itself; without a transaction this does nothing worse than fail.
        let rolled_back = self.db.is_autocommit() || self.db.execute_batch("ROLLBACK").is_ok();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) if rolled_back => StoreError::Full,
            _ => fault(error),
        }
    }

    fn append(&self, batch: &Batch, appends: &[Write]) -> rusqlite::Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO log (id, account, seq, time_ms, kind, sender, origin, number, name, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for write in appends {
            if let Write::Append(row) = write {
                append_row(&mut insert, batch, row)?;
            }
        }
        Ok(())
    }

    fn apply_one(&self, write: &Write) -> rusqlite::Result<()> {
        match write {
            Write::Append(_) => Ok(()),
            Write::DropRows(first, last) => self.execute(
                "DELETE FROM log WHERE id BETWEEN ?1 AND ?2",
                params![number(first.0), number(last.0)],
            ),
            Write::AddAccount(account) => self.add_account(account),
            Write::DeleteAccount(id) => {
                self.execute("DELETE FROM token WHERE account = ?1", params![id.0])?;
                self.execute("INSERT INTO grave SELECT id, name FROM account WHERE id = ?1", params![id.0])?;
                self.execute("DELETE FROM account WHERE id = ?1", params![id.0])
            }
            Write::ForgetGrave(account) => {
                self.execute("DELETE FROM device WHERE account = ?1", params![account.0])?;
                self.execute("DELETE FROM grave WHERE account = ?1", params![account.0])
            }
            Write::Reserve(id, reserved) => self
                .execute("UPDATE account SET reserved = ?2 WHERE id = ?1", params![id.0, number(*reserved)]),
            Write::SaveDevice(device) => self.save_device(device),
            Write::SaveWindow(account, device, window, seen_ms) => self.execute(
                "INSERT INTO device (account, id, floor, ranges, receiving, seen_ms, counters)
                 VALUES (?1, ?2, 0, x'', 0, ?4, ?3)
                 ON CONFLICT (account, id) DO UPDATE SET counters = ?3",
                params![account.0, device.0.as_slice(), window.to_bytes().as_slice(), number(*seen_ms)],
            ),
            Write::ForgetDevice(account, device) => {
                let key = params![account.0, device.0.as_slice()];
                self.execute("DELETE FROM token WHERE account = ?1 AND device = ?2", key)?;
                self.execute("DELETE FROM device WHERE account = ?1 AND id = ?2", key)
            }
            Write::SaveToken(token) => self.save_token(token),
            Write::DropTokens { account, device, except } => {
                self.drop_tokens(*account, device.as_ref(), except.as_ref())
            }
        }
    }

    fn execute(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute(params).map(|_| ())
    }

    fn add_account(&self, account: &AccountRow) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO account (id, uuid, name, folded, password, reserved, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                account.id.0,
                account.uuid.as_bytes().as_slice(),
                account.name,
                account.folded,
                account.password,
                number(account.reserved),
                number(account.created_ms)
            ],
        )
    }

    fn save_device(&self, device: &DeviceRow) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO device (account, id, floor, ranges, receiving, seen_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (account, id) DO UPDATE
             SET floor = ?3, ranges = ?4, receiving = ?5, seen_ms = ?6",
            params![
                device.account.0,
                device.device.0.as_slice(),
                number(device.floor),
                ranges_to_bytes(&device.ranges),
                device.receiving,
                number(device.seen_ms)
            ],
        )
    }

    fn save_token(&self, token: &TokenRow) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO token (hash, account, device, expires_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (hash) DO UPDATE SET expires_ms = ?4",
            params![
                token.hash.as_slice(),
                token.account.0,
                token.device.0.as_slice(),
                token.expires_ms.map(number)
            ],
        )
    }

    fn drop_tokens(
        &self,
        account: AccountId,
        device: Option<&DeviceId>,
        except: Option<&[u8; 32]>,
    ) -> rusqlite::Result<()> {
        let mut drop = self.db.prepare_cached(
            "DELETE FROM token WHERE account = :account
             AND (:device IS NULL OR device = :device) AND (:except IS NULL OR hash <> :except)",
        )?;
        let count = drop.execute(named_params! {
            ":account": account.0,
            ":device": device.map(|device| device.0.as_slice()),
            ":except": except.map(|hash| hash.as_slice()),
        });
        count.map(|_| ())
    }
}

impl Store for SqliteStore {
    fn boot(&mut self) -> Result<Boot, StoreError> {
        let id_key = self.meta("id-key")?;
        let sequence = "SELECT seq FROM sqlite_sequence WHERE name = 'account'";
        let account: Option<i64> =
            self.db.query_row(sequence, [], |row| row.get(0)).optional().map_err(fault)?;
        let row: Option<i64> =
            self.db.query_row("SELECT max(id) FROM log", [], |row| row.get(0)).map_err(fault)?;
        Ok(Boot {
            node: String::from_utf8_lossy(&self.meta("node")?).into_owned(),
            id_key: id_key
                .try_into()
                .map_err(|_| StoreError::Corrupt("the id key has another length".into()))?,
            next_account: AccountId(account.unwrap_or(0) + 1),
            next_row: RowId(unsigned(row.unwrap_or(0)) + 1),
        })
    }

    fn scan(&mut self, after: RowId, most: usize) -> Result<Vec<Waiting>, StoreError> {
        scan(&self.db, after, most)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let raised = self.sync == Sync::WhenDurable && batch.durable;
        if raised {
            self.set_synchronous(true)?;
        }
        let done = self.transact(batch);
        if raised && matches!(done, Ok(()) | Err(StoreError::Full | StoreError::Busy)) {
            self.set_synchronous(false)?;
        }
        done
    }

    fn account(&mut self, folded: &str) -> Result<Option<AccountRow>, StoreError> {
        let sql =
            "SELECT id, uuid, name, folded, password, reserved, created_ms FROM account WHERE folded = ?1";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        query.query_row([folded], account_row).optional().map_err(fault)
    }

    fn account_by_id(&mut self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        let sql = "SELECT id, uuid, name, folded, password, reserved, created_ms FROM account WHERE id = ?1";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        query.query_row([id.0], account_row).optional().map_err(fault)
    }

    fn graves(&mut self) -> Result<Vec<(AccountId, String)>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT account, name FROM grave").map_err(fault)?;
        let rows = query.query_map([], |row| Ok((AccountId(row.get(0)?), row.get(1)?)));
        rows.and_then(Iterator::collect).map_err(fault)
    }

    fn devices(&mut self, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
        let sql = "SELECT id, floor, ranges, receiving, seen_ms FROM device WHERE account = ?1";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let rows = query.query_map([account.0], |row| {
            Ok(DeviceRow {
                account,
                device: DeviceId(row.get(0)?),
                floor: unsigned(row.get(1)?),
                ranges: ranges_from_bytes(row.get_ref(2)?.as_blob()?),
                receiving: row.get(3)?,
                seen_ms: unsigned(row.get(4)?),
            })
        });
        rows.and_then(Iterator::collect).map_err(fault)
    }

    fn window(&mut self, account: AccountId, device: DeviceId) -> Result<Option<CounterWindow>, StoreError> {
        let sql = "SELECT counters FROM device WHERE account = ?1 AND id = ?2";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let found: Option<Option<Vec<u8>>> = query
            .query_row(params![account.0, device.0.as_slice()], |row| row.get(0))
            .optional()
            .map_err(fault)?;
        match found.flatten() {
            None => Ok(None),
            Some(bytes) => CounterWindow::from_bytes(&bytes)
                .map(Some)
                .ok_or_else(|| StoreError::Corrupt("a counter window has another length".into())),
        }
    }

    fn token(&mut self, hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        let sql = "SELECT account, device, expires_ms FROM token WHERE hash = ?1";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let row = query.query_row([hash.as_slice()], |row| {
            Ok(TokenRow {
                hash: *hash,
                account: AccountId(row.get(0)?),
                device: DeviceId(row.get(1)?),
                expires_ms: row.get::<_, Option<i64>>(2)?.map(unsigned),
            })
        });
        row.optional().map_err(fault)
    }

    fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError> {
        read_rows(&self.db, rows, visit)
    }

    fn range(
        &mut self,
        first: RowId,
        last: RowId,
        visit: &mut dyn FnMut(LogRow<&str>),
    ) -> Result<(), StoreError> {
        let sql = "SELECT id, account, seq, time_ms, kind, sender, origin, number, body, name
                   FROM log WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut found = query.query(params![number(first.0), number(last.0)]).map_err(fault)?;
        while let Some(row) = found.next().map_err(fault)? {
            visit(whole_row(row)?);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(fault)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags).map_err(fault)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        db.execute_batch("PRAGMA cache_size = -4096").map_err(fault)?;
        Ok(Box::new(SqliteReader { db }))
    }
}

/// A connection that only reads.
struct SqliteReader {
    db: Connection,
}

impl Reader for SqliteReader {
    fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError> {
        // One transaction, so that finding the end of the WAL is paid once.
        self.db.execute_batch("BEGIN").map_err(fault)?;
        let found = read_rows(&self.db, rows, visit);
        self.db.execute_batch("COMMIT").map_err(fault)?;
        found
    }

    fn names(
        &mut self,
        after: &str,
        least: &str,
        visit: &mut dyn FnMut(&str, &str) -> bool,
    ) -> Result<(), StoreError> {
        let sql = "SELECT folded, name FROM account WHERE folded > ?1 AND folded >= ?2 ORDER BY folded";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut rows = query.query([after, least]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let (folded, name) = (text(row, 0)?, text(row, 1)?);
            if !visit(folded, name) {
                break;
            }
        }
        Ok(())
    }
}

/// The rows of the log above `after`, in order, without their words.
pub(super) fn scan(db: &Connection, after: RowId, most: usize) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT id, account, seq, time_ms, kind, sender, origin, number,
                      CASE kind WHEN 2 THEN body END, length(body)
               FROM log WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut query = db.prepare_cached(sql).map_err(fault)?;
    let mut rows = query.query(params![number(after.0), most as i64]).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let body = row.get_ref(8).map_err(fault)?.as_blob_or_null().map_err(corrupt)?.unwrap_or_default();
        let row_without_words = log_row(row, body, (), ())?;
        let receipt = matches!(row_without_words.kind, Kind::Receipt { .. });
        let size = if receipt { 0 } else { row.get::<_, i64>(9).map_err(fault)? as usize };
        found.push(Waiting { row: row_without_words, size });
    }
    Ok(found)
}

pub(super) fn read_rows(
    db: &Connection,
    rows: &[RowId],
    visit: &mut dyn FnMut(LogRow<&str>),
) -> Result<(), StoreError> {
    let sql =
        "SELECT id, account, seq, time_ms, kind, sender, origin, number, body, name FROM log WHERE id = ?1";
    let mut query = db.prepare_cached(sql).map_err(fault)?;
    for row in rows {
        let mut found = query.query([number(row.0)]).map_err(fault)?;
        if let Some(row) = found.next().map_err(fault)? {
            visit(whole_row(row)?);
        }
    }
    Ok(())
}

pub(super) fn fault(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Fault(error.to_string()),
    }
}

pub(super) fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
