//! The tables, and how a file of an older version becomes one of this.

use rusqlite::Connection;

use super::sqlite::fault;
use super::{StoreError, sum};

/// Marks the file as Bellhop's ("BELL"), so that another program's database is not taken for one.
const APPLICATION_ID: i32 = 0x4245_4C4C;

/// Each step takes a file from the version that is its place in the list to the next one.
const STEPS: &[&str] = &["
    -- One row each: node, the server's name for itself; id-key, the secret behind the ids of POSTs.
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

    -- AUTOINCREMENT: a number is never given again, so nothing of a deleted account can be inherited.
    CREATE TABLE account (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        uuid BLOB NOT NULL,
        name TEXT NOT NULL,
        folded TEXT NOT NULL UNIQUE,
        password TEXT,
        reserved INTEGER NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT;

    -- ranges: pairs of big-endian u64; counters: the window of POST counters.
    CREATE TABLE device (
        account INTEGER NOT NULL,
        id BLOB NOT NULL,
        floor INTEGER NOT NULL,
        ranges BLOB NOT NULL,
        receiving INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL,
        counters BLOB,
        PRIMARY KEY (account, id)
    ) STRICT, WITHOUT ROWID;

    -- The log, in the order of commits. No index but the row itself: a second one costs ten times the message.
    -- kind 0: a message; 1: a message that wants a receipt; for both sender is the account, origin the device and
    -- number the counter of a POST, or origin the id and number 0 of a SEND. kind 2: a receipt; sender is 0, origin
    -- the device it is for (zeros: all), number the state, body the id of the message.
    CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        account INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        time_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        sender INTEGER NOT NULL,
        origin BLOB NOT NULL,
        number INTEGER NOT NULL,
        name TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT;

    -- Accounts that were deleted and of which something is still to be purged.
    CREATE TABLE grave (account INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;

    CREATE TABLE token (
        hash BLOB PRIMARY KEY,
        account INTEGER NOT NULL,
        device BLOB NOT NULL,
        expires_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX token_of ON token (account, device);
",
"
    -- Each row ends with a checksum of the columns before it.
    ALTER TABLE meta ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE account ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE device ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE log ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE grave ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE token ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
    UPDATE meta SET sum = row_sum(name, value);
    UPDATE account SET sum = row_sum(id, uuid, name, folded, password, reserved, created_ms);
    UPDATE device SET sum = row_sum(account, id, floor, ranges, receiving, seen_ms, counters);
    UPDATE log SET sum = row_sum(id, account, seq, time_ms, kind, sender, origin, number, name, body);
    UPDATE grave SET sum = row_sum(account, name);
    UPDATE token SET sum = row_sum(hash, account, device, expires_ms);

    -- Names of deleted accounts that nobody may take before a time.
    CREATE TABLE held (
        folded TEXT PRIMARY KEY,
        until_ms INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX held_until ON held (until_ms);
"];

/// The version from which on each row has a sum.
pub(super) const SUMMED: usize = 2;

/// Brings the file to the current version; `fill` puts the first rows into a new one. All or nothing: the steps are one
/// transaction, so that a start which is cut off leaves the old version.
pub(super) fn migrate(
    db: &mut Connection,
    fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let fault =
        |error: rusqlite::Error| StoreError::Fault(format!("cannot bring the database up to date: {error}"));
    let transaction =
        db.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).map_err(fault)?;
    let done = version(&transaction)?;
    let steps = STEPS.get(done..).unwrap_or_default();
    if steps.is_empty() {
        return Ok(());
    }
    for step in steps {
        transaction.execute_batch(step).map_err(fault)?;
    }
    if done == 0 {
        fill(&transaction).map_err(fault)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fault)?;
    transaction.pragma_update(None, "user_version", STEPS.len() as i64).map_err(fault)?;
    transaction.commit().map_err(fault)
}

/// Checks that the file is Bellhop's and of this version, for whoever only reads it.
pub(super) fn recognise(db: &Connection) -> Result<(), StoreError> {
    let read = |pragma| db.query_row(pragma, [], |row| row.get::<_, i64>(0)).map_err(super::sqlite::fault);
    if read("PRAGMA application_id")? != i64::from(APPLICATION_ID) {
        return Err(StoreError::Corrupt("the file is no database of this program".into()));
    }
    let (version, known) = (read("PRAGMA user_version")?, STEPS.len() as i64);
    if version != known {
        return Err(StoreError::Corrupt(format!(
            "the database is of version {version}, and this program reads version {known}: start the server of this version once, or use the newer program"
        )));
    }
    Ok(())
}

/// The version of a database of this program; 0 for an empty file.
pub(super) fn version(db: &Connection) -> Result<usize, StoreError> {
    let read = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fault);
    let version = read("PRAGMA user_version")?;
    let empty = version == 0 && read("SELECT count(*) FROM sqlite_schema")? == 0;
    if read("PRAGMA application_id")? != i64::from(APPLICATION_ID) && !empty {
        return Err(StoreError::Corrupt("the file is another program's database".into()));
    }
    match usize::try_from(version) {
        Ok(version) if version <= STEPS.len() && (version > 0 || empty) => Ok(version),
        _ => Err(StoreError::Corrupt(format!(
            "the database is of version {version}, this server knows versions up to {}: use the newer server",
            STEPS.len()
        ))),
    }
}

/// The definitions of all tables and indexes.
pub(super) fn tables(db: &Connection) -> Result<Vec<[String; 4]>, StoreError> {
    let sql = "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_schema ORDER BY type, name";
    let mut query = db.prepare(sql).map_err(fault)?;
    let rows =
        query.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).map_err(fault)?;
    rows.collect::<Result<_, _>>().map_err(fault)
}

/// The definitions that a database of this version has.
pub(super) fn expected(version: usize) -> Result<Vec<[String; 4]>, StoreError> {
    let db = Connection::open_in_memory().map_err(fault)?;
    sum::register(&db)?;
    for step in STEPS.get(..version).unwrap_or_default() {
        db.execute_batch(step).map_err(fault)?;
    }
    tables(&db)
}
