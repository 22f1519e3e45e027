//! Is this database what it was when it was last written? Asked at every start, before anything is changed.
//!
//! SQLite opens what it can read. It takes a write-ahead log without a database for nothing and deletes it, a log whose
//! end is missing for one that never held more, a flipped bit in a text for that text. A messenger that starts on such
//! a file shows an empty mailbox, and the loss is noticed when the last copy is overwritten. So a start refuses what is
//! not whole, and leaves the folder as it found it (but for `bellhop.db-shm`, an index that SQLite makes anew).
//!
//! * [`files`]: do the files belong together? Asked before SQLite sees them.
//! * [`sound`]: `integrity_check` for pages, trees, indexes and the list of free pages; the tables' definitions, word
//!   for word; and each row against its [`sum`](super::sum). Rows of the log are summed by the pass over the log that a
//!   start makes anyway. Measured: 0.3 s for a million messages of 100 bytes, 0.6 s for a gigabyte of long ones; as
//!   `quick_check` takes as long here, where the log has no index, every start does all of it, after a clean end too.
//! * [`complete`]: does it hold all that it has held? The [`mark`] tells.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::mark::{self, Judgement, Mark, Reached};
use super::rows::unsigned;
use super::sqlite::fault;
use super::{StoreError, schema};

/// The tables whose rows are summed here, and their columns before the sum.
const SUMMED: &[(&str, &str)] = &[
    ("meta", "name, value"),
    ("account", "id, uuid, name, folded, password, reserved, created_ms"),
    ("device", "account, id, floor, ranges, receiving, seen_ms, counters"),
    ("grave", "account, name"),
    ("held", "folded, until_ms"),
    ("token", "hash, account, device, expires_ms"),
];

/// What can be told from the files alone: SQLite would delete a write-ahead log beside an empty database.
pub(super) fn files(database: &Path, mark: Option<&Mark>) -> Result<(), StoreError> {
    if size(database) != 0 {
        return Ok(());
    }
    if size(&beside(database, "-wal")) != 0 {
        return Err(StoreError::Corrupt(
            "the database is empty or gone, but its write-ahead log is there: put the database back, or restore a backup and remove the log"
                .into(),
        ));
    }
    new(database, mark)
}

/// A database without tables is a new one only where its file is empty and none was here before: SQLite takes one that
/// was cut within its header for empty.
pub(super) fn new(database: &Path, mark: Option<&Mark>) -> Result<(), StoreError> {
    if size(database) != 0 {
        return Err(StoreError::Corrupt("the database is damaged (it was cut): restore a backup".into()));
    }
    match mark {
        Some(mark) if mark.reached != Reached::default() => Err(StoreError::Corrupt(format!(
            "the database is empty or gone, but bellhop.mark tells that it held {} accounts: restore a backup, or start once with --accept-loss to begin anew",
            mark.reached.account
        ))),
        _ => Ok(()),
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Checks pages, definitions and sums of a database that is not empty. Rows of the log are checked by who reads them.
pub(super) fn sound(db: &Connection) -> Result<(), StoreError> {
    let version = schema::version(db)?;
    let found: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fault)?;
    if found != "ok" {
        return Err(StoreError::Corrupt(format!(
            "the database is damaged ({}): restore a backup",
            one_line(&found)
        )));
    }
    if schema::tables(db)? != schema::expected(version)? {
        return Err(StoreError::Corrupt(
            "the database is damaged (its tables are not as they were made): restore a backup".into(),
        ));
    }
    if version < schema::SUMMED {
        return Ok(());
    }
    SUMMED.iter().try_for_each(|(table, columns)| sums(db, table, columns))?;
    numbers(db)
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sums(db: &Connection, table: &str, columns: &str) -> Result<(), StoreError> {
    let count = columns.split(',').count();
    let mut query = db.prepare(&["SELECT ", columns, ", sum FROM ", table].concat()).map_err(fault)?;
    let mut rows = query.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        super::sum::check(row, count, table)?;
    }
    Ok(())
}

/// Tells `found` of each table with a row that does not match its sum, but for the log.
pub(super) fn damaged(db: &Connection, found: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    for (table, columns) in SUMMED {
        match sums(db, table, columns) {
            Err(StoreError::Corrupt(damage) | StoreError::Damaged(damage)) => found(damage),
            done => done?,
        }
    }
    Ok(())
}

/// The number of the next account is above all that were ever given.
fn numbers(db: &Connection) -> Result<(), StoreError> {
    let highest = "SELECT max(
        ifnull((SELECT max(id) FROM account), 0), ifnull((SELECT max(account) FROM grave), 0))";
    let highest: i64 = db.query_row(highest, [], |row| row.get(0)).map_err(fault)?;
    match reached(db)?.account >= unsigned(highest) {
        true => Ok(()),
        false => Err(StoreError::Corrupt(
            "the database is damaged (account numbers would be given again): restore a backup".into(),
        )),
    }
}

/// How far the database has come.
pub(super) fn reached(db: &Connection) -> Result<Reached, StoreError> {
    let number = |sql: &str| -> Result<u64, StoreError> {
        let found: Option<Option<i64>> = db.query_row(sql, [], |row| row.get(0)).optional().map_err(fault)?;
        Ok(unsigned(found.flatten().unwrap_or(0)))
    };
    let noted = |name: &str| -> Result<u64, StoreError> {
        let found: Option<[u8; 8]> = db
            .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map_err(fault)?;
        Ok(found.map_or(0, u64::from_be_bytes))
    };
    Ok(Reached {
        // The newest row may have been dropped.
        row: number("SELECT max(id) FROM log")?.max(noted("row")?),
        account: number("SELECT seq FROM sqlite_sequence WHERE name = 'account'")?,
        changes: noted("changes")?,
    })
}

/// The number that tells this database from others.
pub(super) fn database(db: &Connection) -> Result<u64, StoreError> {
    let key =
        db.query_row("SELECT value FROM meta WHERE name = 'id-key'", [], |row| row.get::<_, Vec<u8>>(0));
    Ok(mark::name_of(&key.map_err(fault)?))
}

/// Checks that the database holds all that its mark tells of. Returns whether its mailboxes may have given out numbers
/// that it knows nothing of: it is an older one, put here since, or more is missing than a power loss takes, which
/// cannot be told from one.
pub(super) fn complete(db: &Connection, mark: Option<&Mark>) -> Result<bool, StoreError> {
    let reached = reached(db)?;
    if super::backup::is_one(db)? {
        return Ok(true);
    }
    let Some(mark) = mark else {
        if reached.changes > 0 {
            tracing::warn!("bellhop.mark is gone: whether the newest messages are all there cannot be told");
        }
        return Ok(reached.changes > 0);
    };
    let judgement = mark.judge(database(db)?, mark::boot(), reached);
    match judgement {
        Judgement::Whole => {}
        Judgement::Another => {
            tracing::warn!("the database is another than the last one here")
        }
        Judgement::PowerLoss => tracing::warn!(
            messages = mark.reached.row.saturating_sub(reached.row),
            "the machine stopped before the last messages were on the disk; the durability that was chosen allows that"
        ),
        Judgement::Lost => return Err(StoreError::Corrupt(lost(mark.reached, reached))),
    }
    Ok(judgement != Judgement::Whole)
}

fn lost(then: Reached, now: Reached) -> String {
    format!(
        "{} acknowledged messages and {} other changes are missing: the write-ahead log bellhop.db-wal was deleted, cut or damaged; put it back, restore a backup, or start once with --accept-loss to go on without them",
        then.row.saturating_sub(now.row),
        then.changes.saturating_sub(now.changes),
    )
}
