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
    /// Others may enter it: its permissions.
    #[error("others may enter it (mode {0:04o})")]
    Loose(u32),
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
        refuse_loose(path)?;
        let file = private_file(&path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock(file)),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// A folder that was there before is not changed: whoever opened it to others had a reason, or made a mistake.
#[cfg(unix)]
fn refuse_loose(path: &Path) -> Result<(), FolderError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(FolderError::Loose(mode)) }
}

#[cfg(not(unix))]
fn refuse_loose(_: &Path) -> Result<(), FolderError> {
    Ok(())
}

/// Opens a file, making it where it is not there; nobody but its owner may read it, whatever the process's umask is.
///
/// # Errors
///
/// As the operating system says.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    tighten(&file)?;
    Ok(file)
}

/// A file that was made with looser rights, such as one that was copied back, becomes private.
#[cfg(unix)]
fn tighten(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match file.metadata()?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(fs::Permissions::from_mode(0o600)),
    }
}

#[cfg(not(unix))]
fn tighten(_: &File) -> io::Result<()> {
    Ok(())
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

    #[cfg(unix)]
    #[test]
    fn a_folder_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/er");
        drop(FolderLock::take(&path).unwrap());
        assert_eq!((mode(&path), mode(&path.join("lock"))), (0o700, 0o600));
        for loose in [0o755, 0o750, 0o701] {
            fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
            assert!(matches!(FolderLock::take(&path), Err(FolderError::Loose(mode)) if mode == loose));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        FolderLock::take(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_becomes_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        for _ in 0..2 {
            private_file(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::write(&path, "kept").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        private_file(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

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
        let path = parent.path().join("data");
        let held = FolderLock::take(&path).unwrap();
        let _copy = held.0.try_clone().unwrap();
        drop(held);
        FolderLock::take(&path).unwrap();
    }
}
