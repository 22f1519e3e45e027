//! Opening a store: looked at before anything is changed, then brought up to date.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use super::mark::{self, Mark, MarkFile};
use super::sqlite::{SqliteStore, Sync, fault};
use super::{StoreError, integrity, schema, sum};
use crate::folder::private_file;

/// Before this version SQLite could corrupt a database when the WAL was reset (fixed in 3.51.3).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a writer waits for somebody else's lock on the file.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// The secrets and the name that a new file gets.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The server's name for itself.
    pub node: String,
    /// The secret behind the ids of POSTs.
    pub id_key: [u8; 16],
}

/// What to do where acknowledged messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Refuse to open the store.
    Refuse,
    /// Go on with what is there: the operator has seen it.
    Accept,
}

impl SqliteStore {
    /// Opens the file, making or upgrading it as needed, after checking that it is whole. Where it is refused, it and
    /// its write-ahead log are as they were.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] for a file that is not a sound database of this program, or that has lost something.
    pub fn open(path: &Path, sync: Sync, seed: Seed, loss: Loss) -> Result<SqliteStore, StoreError> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            return Err(StoreError::Fault(format!("SQLite {} is too old", rusqlite::version())));
        }
        let last = if loss == Loss::Refuse { mark::read(path)? } else { None };
        integrity::files(path, last.as_ref())?;
        // SQLite gives the files that it puts beside this one the same permissions.
        private_file(path).map_err(|error| StoreError::Fault(format!("cannot open: {error}")))?;
        let mut db = connect(path, OpenFlags::default())?;
        sum::register(&db)?;
        db.execute_batch("PRAGMA synchronous = FULL").map_err(fault)?;
        let mut older = loss == Loss::Accept;
        if schema::version(&db)? == 0 {
            integrity::new(path, last.as_ref())?;
        } else {
            integrity::sound(&db)?;
            older = older || integrity::complete(&db, last.as_ref())?;
        }
        schema::migrate(&mut db, |db| fill(db, &seed))?;
        // 16 MiB of WAL before a checkpoint, and a WAL that grew beyond that is cut again.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 4096;
             PRAGMA journal_size_limit = 33554432; PRAGMA cache_size = -16384;",
        )
        .map_err(fault)?;
        // The mark is on the disk from here on, and must not speak of anything that is not.
        sync_log(path)?;
        let mark = Mark {
            database: integrity::database(&db)?,
            boot: mark::boot(),
            synced: sync == Sync::Always,
            reached: integrity::reached(&db)?,
        };
        let store =
            SqliteStore { mark: MarkFile::begin(path, mark)?, db, path: path.to_owned(), sync, older };
        store.set_synchronous(sync == Sync::Always)?;
        Ok(store)
    }
}

/// Puts what the write-ahead log holds on the disk: a server that was killed may have left it with the operating system.
fn sync_log(database: &Path) -> Result<(), StoreError> {
    match File::options().write(true).open(integrity::beside(database, "-wal")) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        opened => opened
            .and_then(|log| log.sync_all())
            .map_err(|error| StoreError::Fault(format!("cannot sync the write-ahead log: {error}"))),
    }
}

/// A connection that leaves the write-ahead log alone when it is closed: a file that is refused stays as it was found,
/// and after a failed fsync nothing is written any more.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, flags).map_err(fault)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
    db.set_prepared_statement_cache_capacity(32);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(fault)?;
    Ok(db)
}

fn fill(db: &Connection, seed: &Seed) -> rusqlite::Result<()> {
    let mut insert = db.prepare("INSERT INTO meta (name, value, sum) VALUES (?1, ?2, row_sum(?1, ?2))")?;
    insert.execute(params!["node", seed.node.as_bytes()])?;
    insert.execute(params!["id-key", seed.id_key.as_slice()])?;
    Ok(())
}
