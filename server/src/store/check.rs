//! Whether a database is whole: SQLite's own check, and what this program relies on beyond it.
//!
//! Everything is read as of one moment, so that a server may go on writing. What is found is said in words, one line
//! each, and nothing is changed.

use std::path::Path;

use bellhop_protocol::Name;
use rusqlite::Connection;

use super::inspect::Inspector;
use super::rows::{ranges_from_bytes, unsigned, whole_row};
use super::sqlite::{corrupt, fault};
use super::{StoreError, integrity, schema};
use crate::window::CounterWindow;

/// After so many findings of one kind the rest is counted.
const OF_A_KIND: usize = 10;

/// What a database holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Devices.
    pub devices: u64,
    /// Messages in the log, those among them that everybody has and that are about to go.
    pub messages: u64,
    /// Receipts in the log, likewise.
    pub receipts: u64,
    /// Tokens.
    pub tokens: u64,
}

/// What must not be there, each as a question whose answers are the findings.
const RULES: &[&str] = &[
    "SELECT 'the database does not tell its ' || wanted.name
     FROM (SELECT 'node' AS name UNION ALL SELECT 'id-key') AS wanted
     WHERE wanted.name NOT IN (SELECT name FROM meta)",
    "SELECT 'the id key has ' || length(value) || ' bytes in place of 16'
     FROM meta WHERE name = 'id-key' AND length(value) <> 16",
    "SELECT 'account ' || id || ' has a number that may be given again'
     FROM account WHERE id < 1
     OR id > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'account'), 0)",
    "SELECT 'account ' || id || ' has no uuid' FROM account WHERE length(uuid) <> 16",
    "SELECT count(*) || ' accounts have one uuid' FROM account GROUP BY uuid HAVING count(*) > 1",
    "SELECT 'account ' || id || ' has reserved the seq numbers up to ' || reserved FROM account WHERE reserved < 0",
    "SELECT 'account ' || account || ' is both there and deleted'
     FROM grave WHERE account IN (SELECT id FROM account)",
    "SELECT 'row ' || id || ' of the log is for account ' || account || ', which was never made'
     FROM log WHERE account < 1
     OR account > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'account'), 0)",
    "SELECT 'row ' || log.id || ' of the log has seq ' || seq || ', beyond the ' || reserved || ' that its account has reserved'
     FROM log JOIN account ON account.id = log.account WHERE seq > reserved OR seq < 1",
    "SELECT count(*) || ' rows of the log have seq ' || seq || ' of account ' || account
     FROM log GROUP BY account, seq HAVING count(*) > 1",
    "SELECT 'row ' || id || ' of the log is of kind ' || kind FROM log WHERE kind NOT IN (0, 1, 2)",
    "SELECT 'row ' || id || ' of the log does not tell its origin' FROM log WHERE length(origin) <> 16",
    "SELECT 'row ' || id || ' of the log is from account ' || sender || ', which was never made'
     FROM log WHERE kind < 2
     AND (sender < 1 OR sender > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'account'), 0))",
    "SELECT 'a device of account ' || account || ' belongs to nobody'
     FROM device WHERE account NOT IN (SELECT id FROM account) AND account NOT IN (SELECT account FROM grave)",
    "SELECT 'a device of account ' || account || ' has an id of ' || length(device.id) || ' bytes'
     FROM device WHERE length(device.id) <> 16",
    "SELECT 'a device of account ' || account || ' has acknowledged seq ' || floor || ', beyond the ' || reserved || ' that were reserved'
     FROM device JOIN account ON account.id = device.account WHERE floor > reserved OR floor < 0",
    "SELECT 'a token of account ' || account || ' belongs to nobody'
     FROM token WHERE account NOT IN (SELECT id FROM account)",
    "SELECT 'a token of account ' || account || ' has no hash or no device'
     FROM token WHERE length(hash) <> 32 OR length(device) <> 16",
];

/// Checks the database at `path`; what is wrong is told to `found`. `begun` gets the means to end it early.
///
/// # Errors
///
/// Where it cannot be read, or not to the end.
pub fn check(
    path: &Path,
    begun: impl FnOnce(rusqlite::InterruptHandle),
    found: &mut dyn FnMut(String),
) -> Result<Counts, StoreError> {
    let inspector = Inspector::open_any(path)?;
    begun(inspector.interrupt_handle());
    schema::recognise(&inspector.db)?;
    inspector.hold()?;
    let db = &inspector.db;
    let mut damaged = false;
    sentences(db, "PRAGMA integrity_check(100)", &mut |sentence| {
        if sentence != "ok" {
            damaged = true;
            found(format!("SQLite: {sentence}"));
        }
    })?;
    if damaged {
        // Whatever else is read from a damaged file says nothing.
        return Ok(Counts::default());
    }
    for rule in RULES {
        few(found, |found| sentences(db, rule, found))?;
    }
    few(found, |found| integrity::damaged(db, found))?;
    few(found, |found| accounts(db, found))?;
    few(found, |found| devices(db, found))?;
    few(found, |found| log(db, found))?;
    counts(db)
}

/// Passes a few findings on, and says how many more there are.
fn few(
    found: &mut dyn FnMut(String),
    look: impl FnOnce(&mut dyn FnMut(String)) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut count = 0;
    look(&mut |sentence| {
        count += 1;
        if count <= OF_A_KIND {
            found(sentence);
        }
    })?;
    if count > OF_A_KIND {
        found(format!("and {} more like this", count - OF_A_KIND));
    }
    Ok(())
}

fn sentences(db: &Connection, sql: &str, found: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let mut query = db.prepare(sql).map_err(fault)?;
    let mut rows = query.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        found(row.get(0).map_err(fault)?);
    }
    Ok(())
}

/// Names that are none, or that are compared by something else than what they fold to.
fn accounts(db: &Connection, found: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let mut query = db.prepare("SELECT id, name, folded FROM account").map_err(fault)?;
    let mut rows = query.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (id, name, folded): (i64, String, String) =
            (row.get(0).map_err(fault)?, row.get(1).map_err(fault)?, row.get(2).map_err(fault)?);
        match Name::parse(&name) {
            Err(error) => found(format!("account {id} has the name {name:?}: {error}")),
            Ok(parsed) if parsed.key().as_str() != folded => {
                found(format!("account {id}, {name:?}, is looked up as {folded:?}, which nobody types"));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// What devices acknowledged, and their counters.
fn devices(db: &Connection, found: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let sql = "SELECT device.account, floor, ranges, counters, coalesce(reserved, 9223372036854775807)
               FROM device LEFT JOIN account ON account.id = device.account";
    let mut query = db.prepare(sql).map_err(fault)?;
    let mut rows = query.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let account: i64 = row.get(0).map_err(fault)?;
        let (floor, reserved) = (unsigned(row.get(1).map_err(fault)?), unsigned(row.get(4).map_err(fault)?));
        let ranges = row.get_ref(2).map_err(fault)?.as_blob().map_err(corrupt)?;
        if !are_ranges(ranges, floor, reserved) {
            found(format!("a device of account {account} has acknowledged ranges that are none"));
        }
        let counters = row.get_ref(3).map_err(fault)?.as_blob_or_null().map_err(corrupt)?;
        if counters.is_some_and(|bytes| CounterWindow::from_bytes(bytes).is_none()) {
            found(format!("a device of account {account} has counters that are none"));
        }
    }
    Ok(())
}

/// True for ranges above the floor, not beyond what is reserved, that rise and do not touch.
fn are_ranges(bytes: &[u8], floor: u64, reserved: u64) -> bool {
    let mut free = floor;
    bytes.len().is_multiple_of(16)
        && ranges_from_bytes(bytes).into_iter().all(|(first, last)| {
            let apart = first > free && first <= last && last <= reserved;
            free = last.saturating_add(1);
            apart
        })
}

/// Rows of the log that cannot be brought to anybody: every one is read as it would be for that.
fn log(db: &Connection, found: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let sql = "SELECT id, account, seq, time_ms, kind, sender, origin, number, name, body, sum
               FROM log WHERE kind IN (0, 1, 2) AND length(origin) = 16";
    let mut query = db.prepare(sql).map_err(fault)?;
    let mut rows = query.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        if let Err(error) = whole_row(row) {
            let id: i64 = row.get(0).map_err(fault)?;
            found(format!("row {id} of the log cannot be read: {error}"));
        }
    }
    Ok(())
}

fn counts(db: &Connection) -> Result<Counts, StoreError> {
    let count = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(unsigned).map_err(fault);
    Ok(Counts {
        accounts: count("SELECT count(*) FROM account")?,
        devices: count("SELECT count(*) FROM device")?,
        messages: count("SELECT count(*) FROM log WHERE kind < 2")?,
        receipts: count("SELECT count(*) FROM log WHERE kind = 2")?,
        tokens: count("SELECT count(*) FROM token")?,
    })
}

#[cfg(test)]
mod tests;
