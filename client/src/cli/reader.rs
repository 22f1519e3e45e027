//! Waits until whoever reads our output has taken it.
//!
//! A pipe holds many lines that nobody has read. Whoever is told that a message was printed while it lies there loses it
//! when the reader goes away, as `head` does after its first line. So a line that matters is written when the one before
//! was read, and counts as printed when it was read itself.

use std::io;

/// Waits until the pipe on stdout is empty; an error says that its reader has gone. What is no pipe is taken at once.
#[cfg(unix)]
pub(super) fn has_taken() -> io::Result<()> {
    use std::os::fd::AsFd;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::ioctl_fionread;

    /// How long between two looks, at first and at most.
    const LOOK_NS: (i64, i64) = (20_000, 10_000_000);

    let stdout = io::stdout();
    if !is_pipe(stdout.as_fd())? {
        return Ok(());
    }
    let mut wait_ns = LOOK_NS.0;
    // Where a system does not say how much lies in a pipe, what was written was taken.
    while ioctl_fionread(&stdout).is_ok_and(|bytes| bytes > 0) {
        let mut ends = [PollFd::new(&stdout, PollFlags::empty())];
        let wait = Timespec { tv_sec: 0, tv_nsec: wait_ns };
        // A signal is for those who wait for signals.
        let _ = poll(&mut ends, Some(&wait));
        let gone = ends.iter().any(|end| end.revents().intersects(PollFlags::ERR | PollFlags::HUP));
        // It may have read all before it went.
        if gone && ioctl_fionread(&stdout).is_ok_and(|bytes| bytes > 0) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        wait_ns = (wait_ns * 2).min(LOOK_NS.1);
    }
    Ok(())
}

#[cfg(unix)]
fn is_pipe(stdout: std::os::fd::BorrowedFd<'_>) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    let file = std::fs::File::from(stdout.try_clone_to_owned()?);
    Ok(file.metadata()?.file_type().is_fifo())
}

/// What was written was taken: this system does not say how much lies in a pipe.
#[cfg(not(unix))]
pub(super) fn has_taken() -> io::Result<()> {
    Ok(())
}
