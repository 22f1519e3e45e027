//! Files that are replaced as a whole: whoever reads meanwhile, and a machine that stops, find the old text or the new
//! one. Who writes holds the lock of the file, so that no change is written over another one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Puts `text` in place of what is in the file, for its owner alone. A link stays a link.
///
/// # Errors
///
/// Where the folder does not take it; the file is as it was then.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let fresh = beside(&path, ".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&fresh, &path));
    if done.is_err() {
        // What could not be finished is of no use to anybody.
        let _ = fs::remove_file(&fresh);
    }
    done
}

/// The path with something behind its name.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}
