//! How far the database had come, kept beside it in `bellhop.mark`.
//!
//! SQLite cannot tell a write-ahead log that was deleted or cut from one that never held more: it takes what it finds
//! and says nothing, and messages that were acknowledged would be gone without a word. So after each commit that came
//! through, 64 bytes of this file are overwritten: the newest row of the log, the newest account, and a count of the
//! commits that appended no row. A database that knows less than its mark has lost something, and the start says so.
//!
//! The mark is written after the commit and not fsynced: a system call of a microsecond a commit, shared by all its
//! messages. It may be older than the database and is then content. It cannot be newer, since a start syncs the log
//! before the mark, but where a power loss took commits that nobody had waited for (any durability but `power`); whether
//! the machine has started since is kept too, so that this one case is told from the others. (A system that does not
//! tell its starts, such as macOS and Windows, has every loss taken for this one at those levels.) Where the newest row
//! of the log is dropped, the database keeps its number, so that it does not seem to know less.
//!
//! What this cannot tell: the loss of commits after the mark reached the disk, where a power loss took the mark's last
//! seconds *and* somebody cut the log. And who replaces the whole folder by an older one replaces the mark with it.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher13;

use super::StoreError;
use crate::folder::private_file;

/// The file's name, in the data folder.
const NAME: &str = "bellhop.mark";
const MAGIC: &[u8; 8] = b"BELLMRK1";
const LEN: usize = 64;

/// How far a database has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// The newest row of the log.
    pub(super) row: u64,
    /// The newest account.
    pub(super) account: u64,
    /// How many commits appended no row, or had to last.
    pub(super) changes: u64,
}

impl Reached {
    fn is_behind(self, other: Reached) -> bool {
        self.row < other.row || self.account < other.account || self.changes < other.changes
    }
}

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which database it speaks of.
    pub(super) database: u64,
    /// Which run of the machine it was written in; 0 where the system does not tell.
    pub(super) boot: u64,
    /// True if and only if every commit was fsynced before it was told.
    pub(super) synced: bool,
    /// How far the database had come.
    pub(super) reached: Reached,
}

/// What a mark says of the database beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Everything is there.
    Whole,
    /// Something is gone that a power loss may take, by the durability that was chosen.
    PowerLoss,
    /// Something is gone that was promised to stay.
    Lost,
    /// The mark is another database's.
    Another,
}

impl Mark {
    /// Judges a database that has come so far, in this run of the machine.
    pub(super) fn judge(&self, database: u64, boot: u64, reached: Reached) -> Judgement {
        let same_run = self.boot == boot && boot != 0;
        match reached.is_behind(self.reached) {
            _ if self.database != database => Judgement::Another,
            false => Judgement::Whole,
            // An account is on the disk before anybody is told of it, at every durability.
            true if self.synced || same_run || reached.account < self.reached.account => Judgement::Lost,
            true => Judgement::PowerLoss,
        }
    }

    fn to_bytes(self) -> [u8; LEN] {
        let numbers = [
            self.database,
            self.boot,
            u64::from(self.synced),
            self.reached.row,
            self.reached.account,
            self.reached.changes,
        ];
        let mut bytes = [0; LEN];
        let (head, rest) = bytes.split_at_mut(MAGIC.len());
        head.copy_from_slice(MAGIC);
        for (place, number) in rest.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let sum = sum(&bytes[..LEN - 8]).to_be_bytes();
        bytes[LEN - 8..].copy_from_slice(&sum);
        bytes
    }

    fn from_bytes(bytes: &[u8; LEN]) -> Option<Mark> {
        let number = |place: usize| {
            let bytes = bytes.get(place * 8..place * 8 + 8)?;
            Some(u64::from_be_bytes(bytes.try_into().ok()?))
        };
        if !bytes.starts_with(MAGIC) || number(7)? != sum(&bytes[..LEN - 8]) {
            return None;
        }
        let reached = Reached { row: number(4)?, account: number(5)?, changes: number(6)? };
        Some(Mark { database: number(1)?, boot: number(2)?, synced: number(3)? == 1, reached })
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The number that stands for some bytes that name a thing.
pub(super) fn name_of(bytes: &[u8]) -> u64 {
    sum(bytes)
}

/// The file's path, beside the database.
pub(super) fn path(database: &Path) -> PathBuf {
    database.with_file_name(NAME)
}

/// Reads the mark beside a database; `None` where there is none.
///
/// # Errors
///
/// Where there is one that cannot be read or is damaged.
pub(super) fn read(database: &Path) -> Result<Option<Mark>, StoreError> {
    let path = path(database);
    let mut bytes = Vec::new();
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened
            .and_then(|file| file.take(LEN as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| StoreError::Fault(format!("cannot read {}: {error}", path.display())))?,
    };
    let mark = <&[u8; LEN]>::try_from(bytes.as_slice()).ok().and_then(Mark::from_bytes);
    mark.map(Some).ok_or_else(|| {
        StoreError::Corrupt(format!(
            "{} is damaged, so that nobody can tell whether the database is whole; restore a backup, or start once with --accept-loss to go on with what is there",
            path.display()
        ))
    })
}

/// The file, open for the commits to come.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: File,
    mark: Mark,
    /// True once writing failed, so that it is said once.
    failing: bool,
}

impl MarkFile {
    /// Makes the file, or overwrites what is there, durably.
    pub(super) fn begin(database: &Path, mark: Mark) -> Result<MarkFile, StoreError> {
        let path = path(database);
        let begun = || -> io::Result<File> {
            if !path.try_exists()? {
                // Under another name first: a start that is cut off must not leave a half one.
                let unfinished = path.with_extension("mark-new");
                let mut file = private_file(&unfinished)?;
                file.set_len(0)?;
                file.write_all(&mark.to_bytes())?;
                file.sync_all()?;
                drop(file);
                fs::rename(&unfinished, &path)?;
                sync_folder(&path)?;
            }
            private_file(&path)
        };
        let file = begun().map_err(|error| fault(&path, &error))?;
        let mut begun = MarkFile { file, mark, failing: false };
        begun.put().and_then(|()| begun.file.sync_data()).map_err(|error| fault(&path, &error))?;
        Ok(begun)
    }

    pub(super) fn reached(&self) -> Reached {
        self.mark.reached
    }

    /// Notes a commit that came through. A mark that cannot be written stays behind, which harms nobody.
    pub(super) fn reach(&mut self, reached: Reached) {
        self.mark.reached = reached;
        match self.put() {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "cannot write {NAME}: the next start may not see whether anything is missing");
                }
            }
        }
    }

    /// Puts it on the disk, at a clean end.
    pub(super) fn sync(&mut self) {
        if let Err(error) = self.file.sync_data() {
            tracing::warn!(%error, "cannot sync {NAME}");
        }
    }

    fn put(&mut self) -> io::Result<()> {
        overwrite(&mut self.file, &self.mark.to_bytes())
    }
}

/// Writes over the beginning of a file: one system call where the system has one for it.
#[cfg(unix)]
fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    io::Seek::rewind(file)?;
    file.write_all(bytes)
}

fn fault(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Fault(format!("cannot write {}: {error}", path.display()))
}

/// A file's name is durable when its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Which run of the machine this is; 0 where the system does not tell.
pub(super) fn boot() -> u64 {
    match fs::read("/proc/sys/kernel/random/boot_id") {
        Ok(id) if !id.is_empty() => name_of(&id),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark =
        Mark { database: 7, boot: 3, synced: true, reached: Reached { row: 10, account: 2, changes: 5 } };

    #[test]
    fn a_mark_is_read_as_it_was_written_or_not_at_all() {
        let bytes = MARK.to_bytes();
        assert_eq!(Mark::from_bytes(&bytes), Some(MARK));
        for place in 0..LEN {
            let mut damaged = bytes;
            damaged[place] ^= 0x10;
            assert_eq!(Mark::from_bytes(&damaged), None, "byte {place}");
        }
    }

    #[test]
    fn what_a_mark_says_of_a_database() {
        use Judgement::{Another, Lost, PowerLoss, Whole};
        let unsynced = Mark { synced: false, ..MARK };
        let at = |row, account, changes| Reached { row, account, changes };
        type Case = (&'static str, Mark, (u64, u64), Reached, Judgement);
        let cases: [Case; 12] = [
            ("as it was", MARK, (7, 3), at(10, 2, 5), Whole),
            ("a commit more than the mark saw", MARK, (7, 3), at(11, 2, 5), Whole),
            ("after a power loss", MARK, (7, 4), at(10, 2, 5), Whole),
            ("a message is gone", MARK, (7, 3), at(9, 2, 5), Lost),
            ("an account is gone", MARK, (7, 3), at(10, 1, 5), Lost),
            ("a change is gone", MARK, (7, 3), at(12, 2, 4), Lost),
            ("fsynced, and gone in a power loss", MARK, (7, 4), at(9, 2, 5), Lost),
            ("not fsynced, and the machine ran on", unsynced, (7, 3), at(9, 2, 5), Lost),
            ("not fsynced, and a power loss", unsynced, (7, 4), at(9, 2, 4), PowerLoss),
            ("an account, not fsynced, and a power loss", unsynced, (7, 4), at(9, 1, 4), Lost),
            (
                "not fsynced, on a system that tells no run",
                Mark { boot: 0, ..unsynced },
                (7, 0),
                at(9, 2, 5),
                PowerLoss,
            ),
            ("another database", MARK, (8, 3), at(1, 1, 1), Another),
        ];
        for (what, mark, (database, boot), reached, judgement) in cases {
            assert_eq!(mark.judge(database, boot, reached), judgement, "{what}");
        }
    }
}
