//! A copy of the database in one file, made while a server may be writing it; and what a start from such a copy needs.
//!
//! The copy is of one moment: SQLite's online backup, a piece at a time, on a connection that holds a read of that
//! moment. Writers go on; only the write-ahead log is not emptied meanwhile. The file gets its name when everything
//! is in it, was checked and is on the disk, and never takes the place of another one.
//!
//! **Putting a copy back.** Since it was made, mailboxes have given seq numbers that clients acknowledged, and accounts
//! were made whose numbers are in the ids of their messages. None of these may be given again, or clients would take
//! new messages for ones that they have. How many there were nobody knows, so the numbers go on from the time: the copy
//! carries a mark, and the first start that finds it raises them to values that rise with the clock by more than any
//! server gives away. The same copy may be put back as often as one likes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::StoreError;
use super::check::{Counts, check};
use super::inspect::Inspector;
use super::rows::{number, unsigned};
use super::sqlite::fault;
use super::sum;

/// The mark in `meta`: when the copy was made, in ms since 1970.
const MARK: &str = "backup";
/// Pages that are copied at a time: 1 MiB.
const PAGES: i32 = 256;
/// How long the disk is left to others in between.
const PAUSE: Duration = Duration::from_millis(2);
/// Seq numbers that a mailbox is held to give in a ms at most, as a power of two: 2 million a second. With it the
/// numbers stay below 2⁵³, which JSON can tell exactly, until 2109.
const SEQS_A_MS: u32 = 11;
/// Where the clock cannot be believed, numbers rise by so many at least.
const RISE: u64 = 1 << 32;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something has the name already.
    #[error("{} is there already: give another name, or move it away", .0.display())]
    Exists(PathBuf),
    /// The file could not be made.
    #[error("cannot write {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The database could not be read, or not be written there.
    #[error("cannot copy the database: {0}")]
    Store(StoreError),
    /// The copy is damaged, as what it was made from.
    #[error("the database is damaged, and was not copied: {0}")]
    Damaged(String),
    /// Somebody asked for the end.
    #[error("the server ended, and the backup with it: start again")]
    Ended,
}

/// What was made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Bytes of the file.
    pub bytes: u64,
    /// What is in it.
    pub counts: Counts,
}

/// Copies the database at `from` into the new file `to`, at `now_ms` by the wall clock, as long as `go_on` says so.
///
/// # Errors
///
/// [`BackupError`]; then there is no file.
pub fn backup(from: &Path, to: &Path, now_ms: u64, go_on: &dyn Fn() -> bool) -> Result<Made, BackupError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let failed = |cause| BackupError::Io { path: to.to_owned(), cause };
    let part = Part::new(to).map_err(failed)?;
    copy(from, &part.0, go_on)?;
    mark(&part.0, now_ms).map_err(BackupError::Store)?;
    let mut damage = Vec::new();
    let counts = check(&part.0, |_| {}, &mut |finding| damage.push(finding)).map_err(BackupError::Store)?;
    if !damage.is_empty() {
        return Err(BackupError::Damaged(damage.swap_remove(0)));
    }
    // Open for writing: some systems sync no other.
    let file = File::options().read(true).write(true).open(&part.0).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    part.name(to)?;
    Ok(Made { bytes, counts })
}

fn copy(from: &Path, to: &Path, go_on: &dyn Fn() -> bool) -> Result<(), BackupError> {
    let failed = |error| BackupError::Store(fault(error));
    let source = Inspector::open(from).map_err(BackupError::Store)?;
    // Without this, whatever is written meanwhile would begin the copy anew.
    source.hold().map_err(BackupError::Store)?;
    let mut target = Connection::open(to).map_err(failed)?;
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(failed)?;
    let backup = Backup::new(&source.db, &mut target).map_err(failed)?;
    loop {
        if !go_on() {
            return Err(BackupError::Ended);
        }
        match backup.step(PAGES).map_err(failed)? {
            StepResult::Done => return Ok(()),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// Makes the copy one file, and marks it.
fn mark(path: &Path, now_ms: u64) -> Result<(), StoreError> {
    let db = Connection::open(path).map_err(fault)?;
    db.execute_batch("PRAGMA journal_mode = DELETE").map_err(fault)?;
    let made = number(now_ms).to_be_bytes();
    sum::register(&db)?;
    let sql = "INSERT OR REPLACE INTO meta (name, value, sum) VALUES (?1, ?2, row_sum(?1, ?2))";
    db.execute(sql, params![MARK, made.as_slice()]).map_err(fault)?;
    db.close().map_err(|(_, error)| fault(error))
}

/// A file that is not named yet, and goes where it never is.
struct Part(PathBuf);

impl Part {
    fn new(to: &Path) -> io::Result<Part> {
        let Some(name) = to.file_name() else { return Err(io::ErrorKind::IsADirectory.into()) };
        let [a, b, c, d] = crate::clock::random::<4>();
        let mut part = std::ffi::OsString::from(".");
        part.push(name);
        part.push(format!(".{a:02x}{b:02x}{c:02x}{d:02x}"));
        let path = to.with_file_name(part);
        let mut options = File::options();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path)?;
        Ok(Part(path))
    }

    /// Names the file, unless something has the name.
    fn name(self, to: &Path) -> Result<(), BackupError> {
        let failed = |cause| BackupError::Io { path: to.to_owned(), cause };
        match fs::hard_link(&self.0, to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(to.to_owned()));
            }
            // A file system without links.
            Err(_) if fs::symlink_metadata(to).is_err() => fs::rename(&self.0, to).map_err(failed)?,
            Err(_) => return Err(BackupError::Exists(to.to_owned())),
        }
        #[cfg(unix)]
        if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// True if and only if the file is a copy that was put back, and not left yet.
pub(super) fn is_one(db: &Connection) -> Result<bool, StoreError> {
    db.query_row("SELECT count(*) FROM meta WHERE name = ?1", [MARK], |row| row.get::<_, i64>(0))
        .map(|count| count > 0)
        .map_err(fault)
}

/// Where the file is a copy that was put back: raises all numbers, takes the mark away, and tells when it was made.
/// Where it may be `older` for another reason, numbers are raised as well.
pub(super) fn leave(db: &mut Connection, now_ms: u64, older: bool) -> Result<Option<u64>, StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    let query = "SELECT value FROM meta WHERE name = ?1";
    let mark: Option<Vec<u8>> =
        transaction.query_row(query, [MARK], |row| row.get(0)).optional().map_err(fault)?;
    if mark.is_none() && !older {
        return Ok(None);
    }
    let made_ms = mark.map(|mark| mark.try_into().map_or(0, |bytes| unsigned(i64::from_be_bytes(bytes))));
    transaction
        .execute(
            "UPDATE account SET reserved = max(reserved + ?1, ?2), sum = row_sum(
                 id, uuid, name, folded, password, max(reserved + ?1, ?2), created_ms)",
            params![number(RISE), number(now_ms << SEQS_A_MS)],
        )
        .map_err(fault)?;
    transaction
        .execute("UPDATE sqlite_sequence SET seq = max(seq + 1, ?1) WHERE name = 'account'", [number(now_ms)])
        .map_err(fault)?;
    transaction.execute("DELETE FROM meta WHERE name = ?1", [MARK]).map_err(fault)?;
    transaction.commit().map_err(fault)?;
    Ok(made_ms)
}

#[cfg(test)]
mod tests;
