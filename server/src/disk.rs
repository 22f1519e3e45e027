//! How much of the disk stays free: new messages are refused before it is full, so that what makes room, and whoever
//! reads, still finds some.
//!
//! The disk is asked at most once a second, and only when there is something to keep. Where it does not tell, or fills
//! up faster than that, the database's own "full" is what refuses.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long an answer of the disk holds.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// What a disk tells of itself, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What this process may still use.
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// A disk that can be asked.
pub trait Disk: Send {
    /// How much room it has.
    ///
    /// # Errors
    ///
    /// Where the system does not tell.
    fn room(&self) -> io::Result<Room>;
}

/// The disk that a folder lies on.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Disk for Folder {
    fn room(&self) -> io::Result<Room> {
        let stats = fs4::statvfs(&self.0)?;
        Ok(Room { free: stats.available_space(), total: stats.total_space() })
    }
}

/// What stays free of a disk.
pub struct Reserve {
    disk: Box<dyn Disk>,
    /// So many bytes, or a twentieth of the disk where that is less; `u64::MAX` is off.
    bytes: u64,
    asked: Option<Duration>,
    low: bool,
}

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("bytes", &self.bytes).field("low", &self.low).finish_non_exhaustive()
    }
}

impl Reserve {
    /// Keeps `bytes` of `disk` free, or a twentieth of it where that is less; `u64::MAX` is off.
    pub fn new(disk: impl Disk + 'static, bytes: u64) -> Reserve {
        Reserve { disk: Box::new(disk), bytes, asked: None, low: false }
    }

    /// Keeps nothing free.
    pub fn off() -> Reserve {
        Reserve::new(Folder(PathBuf::new()), u64::MAX)
    }

    /// True if and only if something new may be kept at `now`, on the clock that never jumps.
    pub fn has_room(&mut self, now: Duration) -> bool {
        if self.bytes == u64::MAX {
            return true;
        }
        if self.asked.is_none_or(|at| at + ASKED_EVERY <= now) {
            self.asked = Some(now);
            self.ask();
        }
        !self.low
    }

    fn ask(&mut self) {
        let low = match self.disk.room() {
            Ok(Room { free, total }) => free < self.bytes.min(total / 20),
            Err(error) => {
                tracing::debug!(%error, "the disk does not tell how much room it has");
                false
            }
        };
        match (std::mem::replace(&mut self.low, low), low) {
            (false, true) => tracing::error!(
                "the disk is nearly full: new messages are refused until it has room (see the limit disk-free)"
            ),
            (true, false) => tracing::info!("the disk has room again: new messages are taken"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Tells what a test wants, and counts how often it was asked.
    #[derive(Clone)]
    struct Told(Arc<Mutex<(Option<Room>, u32)>>);

    impl Disk for Told {
        fn room(&self) -> io::Result<Room> {
            let mut told = self.0.lock();
            told.1 += 1;
            told.0.ok_or_else(|| io::ErrorKind::Unsupported.into())
        }
    }

    fn told(free: u64, total: u64) -> Told {
        Told(Arc::new(Mutex::new((Some(Room { free, total }), 0))))
    }

    #[test]
    fn so_many_bytes_stay_free_or_a_twentieth_where_that_is_less() {
        let check = |bytes: u64, free: u64, total: u64, expected: bool| {
            let room = Reserve::new(told(free, total), bytes).has_room(Duration::ZERO);
            assert_eq!(room, expected, "{bytes}: {free} of {total}");
        };
        check(256 * MIB, 256 * MIB, 100_000 * MIB, true);
        check(256 * MIB, 256 * MIB - 1, 100_000 * MIB, false);
        check(256 * MIB, 20 * MIB, 400 * MIB, true);
        check(256 * MIB, 20 * MIB - 1, 400 * MIB, false);
        check(1, 1, 400 * MIB, true);
        check(1, 0, 400 * MIB, false);
        check(256 * MIB, 0, 0, true);
        check(u64::MAX, 0, 400 * MIB, true);
    }

    #[test]
    fn the_disk_is_asked_once_a_second_and_believed_both_ways() {
        let disk = told(0, 400 * MIB);
        let mut reserve = Reserve::new(disk.clone(), MIB);
        let mut at = |ms| reserve.has_room(Duration::from_millis(ms));
        assert_eq!([at(5_000), at(5_000), at(5_999)], [false; 3]);
        assert_eq!(disk.0.lock().1, 1);
        disk.0.lock().0 = Some(Room { free: MIB, total: 400 * MIB });
        assert_eq!([at(5_999), at(6_000), at(6_001)], [false, true, true]);
        assert_eq!(disk.0.lock().1, 2);
        disk.0.lock().0 = Some(Room { free: MIB - 1, total: 400 * MIB });
        assert_eq!([at(6_999), at(7_000)], [true, false]);
        disk.0.lock().0 = None;
        assert!(at(8_000), "who does not know refuses nothing");
    }

    #[test]
    fn a_folder_lies_on_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let room = Folder(folder.path().to_owned()).room().unwrap();
        assert!(room.total > 0 && room.free <= room.total, "{room:?}");
        // Windows goes by the drive that the path names.
        #[cfg(unix)]
        assert!(Folder(folder.path().join("none")).room().is_err());
    }

    #[test]
    fn off_asks_nobody() {
        let disk = told(0, 400 * MIB);
        assert!(Reserve::new(disk.clone(), u64::MAX).has_room(Duration::ZERO));
        assert_eq!(disk.0.lock().1, 0);
    }
}
