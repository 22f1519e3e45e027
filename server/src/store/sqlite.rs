//! The store in an SQLite file, in WAL mode.
//!
//! At `power` a commit is fsynced before it returns. At the other levels it is handed to the operating system, but for
//! batches that must outlive a power loss at any level.

use std::path::PathBuf;

use bellhop_protocol::DeviceId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};

use super::mark::{MarkFile, Reached};
use super::opening::connect;
pub use super::opening::{Loss, Seed};
use super::rows::{
    account_row, append_row, clock_from_bytes, clock_to_bytes, device_row, number, ranges_to_bytes, text,
    token_row, unsigned, waiting, whole_row,
};
use super::{
    AccountId, AccountRow, Batch, Boot, DeviceRow, LogRow, Reader, RowId, Store, StoreError, TokenRow,
    Waiting, Write, credentials, integrity, sum,
};
use crate::window::CounterWindow;

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
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) sync: Sync,
    pub(super) mark: MarkFile,
    /// True where the file may be older than what clients have seen.
    pub(super) older: bool,
}

impl SqliteStore {
    /// Where the file is a backup that was put back, or another one that may be older than what clients have seen: sees
    /// to it that no number is given again, at `now_ms` by the wall clock. Returns when the backup was made.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn leave_backup(&mut self, now_ms: u64) -> Result<Option<u64>, StoreError> {
        self.set_synchronous(true)?;
        let made_ms = super::backup::leave(&mut self.db, now_ms, std::mem::take(&mut self.older))?;
        self.set_synchronous(self.sync == Sync::Always)?;
        Ok(made_ms)
    }

    pub(super) fn set_synchronous(&self, full: bool) -> Result<(), StoreError> {
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
        self.meta_if_any(name)?
            .ok_or_else(|| StoreError::Corrupt(format!("the database does not tell its {name}")))
    }

    fn meta_if_any(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT name, value, sum FROM meta WHERE name = ?1", &[&name], |row| {
            sum::check(row, 2, "meta")?;
            row.get(1).map_err(fault)
        })
    }

    fn set_meta(&self, name: &str, value: &[u8]) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO meta (name, value, sum) VALUES (?1, ?2, row_sum(?1, ?2))
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum",
            params![name, value],
        )
    }

    /// The row that a statement finds, where there is one.
    fn one<T>(
        &self,
        sql: &str,
        params: &[&dyn rusqlite::ToSql],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut rows = query.query(params).map_err(fault)?;
        rows.next().map_err(fault)?.map(read).transpose()
    }

    /// How far the database will have come with a batch. Commits that append nothing, or that have to last, are counted
    /// in it, so that every commit raises something. Where rows go, the newest may be among them: what it was is kept.
    fn reach(&self, batch: &Batch) -> Result<Reached, rusqlite::Error> {
        let mut reached = self.mark.reached();
        let (mut appends, mut drops) = (false, false);
        for write in &batch.writes {
            match write {
                Write::Append(row) => {
                    (reached.row, appends) = (reached.row.max(row.row.0), true);
                }
                Write::DropRows(..) => drops = true,
                Write::AddAccount(account) => reached.account = reached.account.max(unsigned(account.id.0)),
                _ => {}
            }
        }
        if batch.durable || !appends {
            reached.changes += 1;
            self.set_meta("changes", &reached.changes.to_be_bytes())?;
        }
        if drops {
            self.set_meta("row", &reached.row.to_be_bytes())?;
        }
        Ok(reached)
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
    fn transact(&mut self, batch: &Batch) -> Result<(), StoreError> {
        // The lock of the one writer is had here, or nothing has begun. What follows needs no further lock: in WAL mode
        // readers do not stand in the way of a COMMIT, and a checkpoint that finds some leaves its work for later.
        if let Err(error) = self.db.execute_batch("BEGIN IMMEDIATE") {
            return Err(match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy) if self.db.is_autocommit() => StoreError::Busy,
                _ => self.failed(error),
            });
        }
        let done = self.apply(batch).and_then(|()| self.reach(batch));
        let done = done.and_then(|reached| self.db.execute_batch("COMMIT").map(|()| reached));
        let reached = done.map_err(|error| self.failed(error))?;
        self.mark.reach(reached);
        Ok(())
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
            "INSERT INTO log (id, account, seq, time_ms, kind, sender, origin, number, name, body, sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
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
                self.execute(
                    "INSERT INTO grave SELECT id, name, row_sum(id, name) FROM account WHERE id = ?1",
                    params![id.0],
                )?;
                self.execute("DELETE FROM account WHERE id = ?1", params![id.0])
            }
            Write::SetPassword(..)
            | Write::HoldName(..)
            | Write::ReleaseNames(_)
            | Write::SaveToken(_)
            | Write::DropTokens { .. } => credentials::apply(&self.db, write),
            Write::NoteClock(note) => self.set_meta("clock", &clock_to_bytes(note)),
            Write::ForgetGrave(account) => {
                self.execute("DELETE FROM device WHERE account = ?1", params![account.0])?;
                self.execute("DELETE FROM grave WHERE account = ?1", params![account.0])
            }
            Write::Reserve(id, reserved) => self.execute(
                "UPDATE account SET reserved = ?2, sum = row_sum(id, uuid, name, folded, password, ?2, created_ms)
                 WHERE id = ?1",
                params![id.0, number(*reserved)],
            ),
            Write::SaveDevice(device) => self.save_device(device),
            Write::SaveWindow(account, device, window, seen_ms) => self.execute(
                "INSERT INTO device (account, id, floor, ranges, receiving, seen_ms, counters, sum)
                 VALUES (?1, ?2, 0, x'', 0, ?4, ?3, row_sum(?1, ?2, 0, x'', 0, ?4, ?3))
                 ON CONFLICT (account, id) DO UPDATE
                 SET counters = ?3, sum = row_sum(?1, ?2, floor, ranges, receiving, seen_ms, ?3)",
                params![account.0, device.0.as_slice(), window.to_bytes().as_slice(), number(*seen_ms)],
            ),
            Write::ForgetDevice(account, device) => {
                let key = params![account.0, device.0.as_slice()];
                self.execute("DELETE FROM token WHERE account = ?1 AND device = ?2", key)?;
                self.execute("DELETE FROM device WHERE account = ?1 AND id = ?2", key)
            }
        }
    }

    fn execute(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute(params).map(|_| ())
    }

    fn add_account(&self, account: &AccountRow) -> rusqlite::Result<()> {
        self.execute("DELETE FROM held WHERE folded = ?1", params![account.folded])?;
        self.execute(
            "INSERT INTO account (id, uuid, name, folded, password, reserved, created_ms, sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7))",
            params![
                account.id.0,
                account.uuid.as_bytes().as_slice(),
                account.name,
                account.folded,
                account.password.as_ref().map(|hash| &hash.0),
                number(account.reserved),
                number(account.created_ms)
            ],
        )
    }

    fn save_device(&self, device: &DeviceRow) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO device (account, id, floor, ranges, receiving, seen_ms, sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, row_sum(?1, ?2, ?3, ?4, ?5, ?6, NULL))
             ON CONFLICT (account, id) DO UPDATE
             SET floor = ?3, ranges = ?4, receiving = ?5, seen_ms = ?6,
                 sum = row_sum(?1, ?2, ?3, ?4, ?5, ?6, counters)",
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
}

impl Store for SqliteStore {
    fn boot(&mut self) -> Result<Boot, StoreError> {
        let id_key = self.meta("id-key")?;
        let reached = integrity::reached(&self.db)?;
        Ok(Boot {
            node: String::from_utf8_lossy(&self.meta("node")?).into_owned(),
            id_key: id_key
                .try_into()
                .map_err(|_| StoreError::Corrupt("the id key has another length".into()))?,
            next_account: AccountId(number(reached.account) + 1),
            next_row: RowId(reached.row + 1),
            clock: self.meta_if_any("clock")?.map(|bytes| clock_from_bytes(&bytes)).transpose()?,
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
        let sql = "SELECT id, uuid, name, folded, password, reserved, created_ms, sum FROM account WHERE folded = ?1";
        self.one(sql, &[&folded], account_row)
    }

    fn account_by_id(&mut self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        let sql =
            "SELECT id, uuid, name, folded, password, reserved, created_ms, sum FROM account WHERE id = ?1";
        self.one(sql, &[&id.0], account_row)
    }

    fn held(&mut self, folded: &str) -> Result<Option<u64>, StoreError> {
        credentials::held(&self.db, folded)
    }

    fn graves(&mut self) -> Result<Vec<(AccountId, String)>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT account, name FROM grave").map_err(fault)?;
        let rows = query.query_map([], |row| Ok((AccountId(row.get(0)?), row.get(1)?)));
        rows.and_then(Iterator::collect).map_err(fault)
    }

    fn devices(&mut self, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
        devices(&self.db, account)
    }

    fn window(&mut self, account: AccountId, device: DeviceId) -> Result<Option<CounterWindow>, StoreError> {
        let sql = "SELECT account, id, floor, ranges, receiving, seen_ms, counters, sum
                   FROM device WHERE account = ?1 AND id = ?2";
        let found = self.one(sql, &[&account.0, &device.0.as_slice()], |row| {
            sum::check(row, 7, "device")?;
            row.get::<_, Option<Vec<u8>>>(6).map_err(fault)
        })?;
        match found.flatten() {
            None => Ok(None),
            Some(bytes) => CounterWindow::from_bytes(&bytes)
                .map(Some)
                .ok_or_else(|| StoreError::Damaged("a counter window has another length".into())),
        }
    }

    fn token(&mut self, hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        let sql = "SELECT hash, account, device, expires_ms, sum FROM token WHERE hash = ?1";
        self.one(sql, &[&hash.as_slice()], token_row)
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
        let sql = "SELECT id, account, seq, time_ms, kind, sender, origin, number, name, body, sum
                   FROM log WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut found = query.query(params![number(first.0), number(last.0)]).map_err(fault)?;
        while let Some(row) = found.next().map_err(fault)? {
            visit(whole_row(row)?);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let busy: i64 =
            self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(fault)?;
        if busy == 0 {
            // Everything is in its place: the empty log may go with the connection.
            self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(fault)?;
        }
        self.mark.sync();
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = connect(&self.path, flags)?;
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
        let sql = "SELECT id, uuid, name, folded, password, reserved, created_ms, sum
                   FROM account WHERE folded > ?1 AND folded >= ?2 ORDER BY folded";
        let mut query = self.db.prepare_cached(sql).map_err(fault)?;
        let mut rows = query.query([after, least]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            sum::check(row, 7, "account")?;
            let (folded, name) = (text(row, 3)?, text(row, 2)?);
            if !visit(folded, name) {
                break;
            }
        }
        Ok(())
    }
}

/// The devices of an account.
pub(super) fn devices(db: &Connection, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
    let sql = "SELECT account, id, floor, ranges, receiving, seen_ms, counters, sum
               FROM device WHERE account = ?1";
    let mut query = db.prepare_cached(sql).map_err(fault)?;
    let mut rows = query.query([account.0]).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(device_row(row)?);
    }
    Ok(found)
}

/// The rows of the log above `after`, in order, without their words.
pub(super) fn scan(db: &Connection, after: RowId, most: usize) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT id, account, seq, time_ms, kind, sender, origin, number, name, body, sum
               FROM log WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut query = db.prepare_cached(sql).map_err(fault)?;
    let mut rows = query.query(params![number(after.0), most as i64]).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(waiting(row)?);
    }
    Ok(found)
}

pub(super) fn read_rows(
    db: &Connection,
    rows: &[RowId],
    visit: &mut dyn FnMut(LogRow<&str>),
) -> Result<(), StoreError> {
    let sql = "SELECT id, account, seq, time_ms, kind, sender, origin, number, name, body, sum
               FROM log WHERE id = ?1";
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
    let code = error.sqlite_error_code();
    // SQLite's words may hold a definition of many lines.
    let words: String = integrity::one_line(&error.to_string()).chars().take(200).collect();
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(words),
        _ => StoreError::Fault(words),
    }
}

pub(super) fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}
