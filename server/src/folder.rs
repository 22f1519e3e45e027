//! The data folder: private to its owner, and one server's at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another server has it.
    #[error("another server uses it")]
    InUse,
    /// It cannot be made, or not be locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Nobody else has the folder while this lives.
#[derive(Debug)]
pub struct FolderLock(File);

impl FolderLock {
    /// Makes the folder where it is not there, and locks it.
    ///
    /// # Errors
    ///
    /// [`FolderError`].
    pub fn take(path: &Path) -> Result<FolderLock, FolderError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        let file = File::options().create(true).truncate(false).write(true).open(path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock(file)),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started at this moment has a copy of the descriptor
        // until its program runs, and the lock with it.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/er");
        let held = FolderLock::take(&path).unwrap();
        assert!(matches!(FolderLock::take(&path), Err(FolderError::InUse)));
        drop(held);
        FolderLock::take(&path).unwrap();
    }

    /// A server that ended while another thread started a process kept its folder for some microseconds.
    #[test]
    fn a_copy_of_the_descriptor_holds_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let held = FolderLock::take(parent.path()).unwrap();
        let _copy = held.0.try_clone().unwrap();
        drop(held);
        FolderLock::take(parent.path()).unwrap();
    }
}
