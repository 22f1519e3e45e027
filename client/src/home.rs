//! Where this client keeps its files, private to the user: in the platform's folder, or in `BELLHOP_HOME`.
//!
//! ```text
//! history.sqlite     what was seen and sent, devices, tokens
//! known_servers      which servers are known, and by what
//! locks/…            who has which role at the moment: beside the history, so that they are as many
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

use crate::clock;

/// The folder of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    data: PathBuf,
}

/// Why there is no home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `BELLHOP_HOME` nor the platform names one.
    #[error("no home folder is known: set BELLHOP_HOME")]
    Unknown,
    /// A folder or file cannot be made or opened.
    #[error("cannot use {}: {error}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Somebody has the role while this lives.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// How long another program may take to write a file.
const WAIT_MAX: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Lock {
    /// Takes the lock that is this file; `None` where somebody has it.
    fn take(path: &Path) -> Result<Option<Lock>, HomeError> {
        let file = private_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(path, error)),
        }
    }

    /// The same for as long as it takes to write a file: waits for whoever has it. `None` where that takes too long.
    pub(crate) fn wait_for(path: &Path) -> Result<Option<Lock>, HomeError> {
        let until = clock::now() + WAIT_MAX;
        loop {
            match Lock::take(path)? {
                None if clock::now() < until => std::thread::sleep(LOOK_EVERY),
                taken => return Ok(taken),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started at this moment has a copy of the descriptor
        // until its program runs, and the lock with it.
        let _ = self.0.unlock();
    }
}

impl Home {
    /// Everything in one folder.
    pub fn at(folder: impl Into<PathBuf>) -> Home {
        Home { data: folder.into() }
    }

    /// The folder of `BELLHOP_HOME`, else the platform's.
    ///
    /// # Errors
    ///
    /// [`HomeError::Unknown`] where neither is set.
    pub fn of_user() -> Result<Home, HomeError> {
        if let Some(folder) = std::env::var_os("BELLHOP_HOME").filter(|folder| !folder.is_empty()) {
            return Ok(Home::at(folder));
        }
        let platform = choose_native_strategy().map_err(|_| HomeError::Unknown)?;
        // A folder that roams with its user would bring the devices to another machine, and not the locks. On Windows
        // the one for caches is the one that stays.
        let folder = if cfg!(windows) { platform.cache_dir() } else { platform.data_dir() };
        Ok(Home::at(folder.join("bellhop")))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.data
    }

    /// The history's file, in a folder that is there.
    pub(crate) fn history(&self) -> Result<PathBuf, HomeError> {
        private_folder(&self.data)?;
        let path = self.data.join("history.sqlite");
        // Made before SQLite sees it, so that it and the files beside it are private from the start.
        private_file(&path)?;
        for name in ["history.sqlite", "history.sqlite-wal", "history.sqlite-shm"] {
            let path = self.data.join(name);
            tighten(&path).map_err(|error| failed(&path, error))?;
        }
        Ok(path)
    }

    /// The file of the known servers, in a folder that is there; it need not be there itself.
    pub(crate) fn known_servers(&self) -> Result<PathBuf, HomeError> {
        private_folder(&self.data)?;
        let path = self.data.join("known_servers");
        tighten(&path).map_err(|error| failed(&path, error))?;
        Ok(path)
    }

    /// Since when somebody has the role called `name`, in ms since 1970; `None` where nobody has it.
    pub(crate) fn taken_ms(&self, name: &str) -> Result<Option<i64>, HomeError> {
        let path = self.data.join("locks").join(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| failed(&path, error))?,
        };
        match file.try_lock_shared() {
            // Shared, so that all who ask get the same answer, and given back at once.
            Ok(()) => {
                drop(Lock(file));
                return Ok(None);
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed(&path, error)),
        }
        let modified = file.metadata().and_then(|found| found.modified());
        let modified = modified.map_err(|error| failed(&path, error))?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Some(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Takes the role called `name`; `None` where somebody has it.
    pub(crate) fn lock(&self, name: &str) -> Result<Option<Lock>, HomeError> {
        let lock = Lock::take(&self.lock_path(name)?)?;
        if let Some(Lock(file)) = &lock {
            // For `taken_ms`. Where the file system keeps no such times, the file's age stands in.
            let _ = file.set_modified(UNIX_EPOCH + Duration::from_millis(clock::wall_ms().unsigned_abs()));
        }
        Ok(lock)
    }

    /// The file of a lock, in a folder that is there.
    pub(crate) fn lock_path(&self, name: &str) -> Result<PathBuf, HomeError> {
        let folder = self.data.join("locks");
        private_folder(&folder)?;
        Ok(folder.join(name))
    }
}

/// Makes the folder private where it is not there yet. One that is there, such as `/tmp`, belongs to others as well.
pub(crate) fn private_folder(path: &Path) -> Result<(), HomeError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| failed(path, error))
}

/// A file that was made with looser rights, such as one that was copied back, becomes private.
#[cfg(unix)]
fn tighten(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn tighten(_: &Path) -> io::Result<()> {
    Ok(())
}

fn private_file(path: &Path) -> Result<File, HomeError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> HomeError {
    HomeError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_one_holder() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path().join("deep/er"));
        let before = clock::wall_ms();
        let held = home.lock("1-tui").expect("a lock");
        assert!(held.is_some());
        assert!(home.lock("1-tui").expect("a lock").is_none());
        assert!(home.lock("1-listen").expect("a lock").is_some());
        assert!(
            home.taken_ms("1-tui")
                .expect("a time")
                .is_some_and(|ms| (before..=clock::wall_ms()).contains(&ms))
        );
        drop(held);
        assert_eq!(home.taken_ms("1-tui").expect("no time"), None);
        assert!(home.lock("1-tui").expect("a lock").is_some());
    }

    /// To ask took the role, and made its file young.
    #[test]
    fn to_ask_who_has_a_role_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        assert_eq!(home.taken_ms("1-tui").expect("nobody"), None);
        assert!(!folder.path().join("locks").exists());
        let held = home.lock("1-tui").expect("a lock").expect("free");
        let long_ago = UNIX_EPOCH + Duration::from_secs(1_000);
        held.0.set_modified(long_ago).expect("ours");
        assert_eq!(home.taken_ms("1-tui").expect("a time"), Some(1_000_000));
        drop(held);
        assert_eq!(home.taken_ms("1-tui").expect("nobody"), None);
        let file = fs::metadata(folder.path().join("locks/1-tui")).expect("it is there");
        assert_eq!(file.modified().expect("a time"), long_ago);
    }

    /// A role looked taken while another thread started a process.
    #[test]
    fn a_copy_of_the_descriptor_holds_no_role() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let held = home.lock("1-tui").expect("a lock").expect("free");
        let _copy = held.0.try_clone().expect("a copy");
        drop(held);
        assert!(home.lock("1-tui").expect("a lock").is_some());
    }

    /// `BELLHOP_HOME=/tmp` took /tmp from everybody else.
    #[cfg(unix)]
    #[test]
    fn nobody_else_can_look_and_folders_of_others_stay_theirs() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
        let set =
            |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
        let home = Home::at(folder.path().join("home"));
        let file = home.history().expect("a file");
        assert_eq!((mode(&home.data), mode(&file)), (0o700, 0o600));
        set(folder.path(), 0o1777);
        let home = Home::at(folder.path());
        let file = home.history().expect("a file");
        let beside = folder.path().join("history.sqlite-wal");
        fs::write(&beside, "").expect("written");
        home.lock("1-tui").expect("a lock");
        let locks = folder.path().join("locks");
        assert_eq!((mode(folder.path()), mode(&file), mode(&locks)), (0o1777, 0o600, 0o700));
        assert_eq!(mode(&locks.join("1-tui")), 0o600);
        set(&file, 0o644);
        set(&beside, 0o644);
        home.history().expect("a file");
        assert_eq!((mode(&file), mode(&beside)), (0o600, 0o600), "a file that was made by others before");
    }
}
