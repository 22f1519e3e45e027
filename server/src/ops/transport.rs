//! The door itself: a socket in the data folder that only the folder's owner reaches.
//!
//! On Unix it is a socket with the name `control`, closed to others by its folder, by its own mode and by who the
//! system says is at the other end. On Windows, where no such socket can be had, it is a loopback port, and the file
//! `control` holds the port and a word that must be said first.

use std::io;
use std::path::{Path, PathBuf};

/// The name of the socket, or of the file, in the data folder.
const NAME: &str = "control";

pub use self::system::{Entrance, Stream, connect};

/// Takes away what a server left that ended without its last word; the caller has the folder's lock.
fn clear(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the name away when the door is shut.
#[derive(Debug)]
struct Named(PathBuf);

impl Drop for Named {
    fn drop(&mut self) {
        // Where it cannot be, the next start does.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
mod system {
    use std::fs::{File, Permissions};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use tokio::net::UnixListener;

    use super::{NAME, Named, clear};

    /// A connection through the door, at the server's end.
    pub type Stream = tokio::net::UnixStream;

    /// The longest name that every Unix takes for a socket, in bytes.
    const NAME_MAX: usize = 103;

    /// The door, open.
    #[derive(Debug)]
    pub struct Entrance {
        listener: UnixListener,
        owner: u32,
        _named: Named,
    }

    impl Entrance {
        /// Opens the door of a folder whose lock the caller has.
        ///
        /// # Errors
        ///
        /// Where no socket can be had there.
        pub fn open(folder: &Path) -> io::Result<Entrance> {
            let path = folder.join(NAME);
            clear(&path)?;
            let listener = at(folder, |path| std::os::unix::net::UnixListener::bind(path))?;
            let named = Named(path);
            std::fs::set_permissions(&named.0, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            // Whoever made the socket owns it: this process.
            let owner = std::fs::metadata(&named.0)?.uid();
            Ok(Entrance { listener: UnixListener::from_std(listener)?, owner, _named: named })
        }

        /// Waits for somebody.
        ///
        /// # Errors
        ///
        /// As the operating system says.
        pub async fn accept(&self) -> io::Result<Stream> {
            Ok(self.listener.accept().await?.0)
        }

        /// True if and only if the other side may ask: it is the server's own user, or the system's.
        ///
        /// # Errors
        ///
        /// Where the system does not tell who it is.
        pub async fn admits(&self, stream: &mut Stream) -> io::Result<bool> {
            let user = stream.peer_cred()?.uid();
            Ok(user == self.owner || user == 0)
        }
    }

    /// Knocks.
    ///
    /// # Errors
    ///
    /// As the operating system says: `NotFound` and `ConnectionRefused` where no server is there.
    pub fn connect(folder: &Path) -> io::Result<std::os::unix::net::UnixStream> {
        at(folder, |path| std::os::unix::net::UnixStream::connect(path))
    }

    /// Uses the socket's path; one that is too long for a socket by way of the open folder, where the system has that.
    fn at<T>(folder: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let path = folder.join(NAME);
        if path.as_os_str().len() <= NAME_MAX {
            return act(&path);
        }
        if !cfg!(target_os = "linux") {
            let text = format!("the path of {} is too long for a socket", folder.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let open = File::open(folder)?;
        act(&PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(NAME))
    }
}

#[cfg(windows)]
mod system {
    use std::io::{self, Write};
    use std::net::Ipv4Addr;
    use std::path::Path;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::{NAME, Named, clear};
    use crate::clock::random;
    use crate::folder::private_file;

    /// A connection through the door, at the server's end.
    pub type Stream = tokio::net::TcpStream;

    /// The word, in bytes.
    const WORD: usize = 64;

    /// The door, open.
    #[derive(Debug)]
    pub struct Entrance {
        listener: TcpListener,
        word: String,
        _named: Named,
    }

    impl Entrance {
        /// Opens the door of a folder whose lock the caller has.
        ///
        /// # Errors
        ///
        /// Where no port can be had, or the file not be written.
        pub fn open(folder: &Path) -> io::Result<Entrance> {
            let path = folder.join(NAME);
            clear(&path)?;
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let word: String = random::<{ WORD / 2 }>().iter().map(|byte| format!("{byte:02x}")).collect();
            let named = Named(path);
            let mut file = private_file(&named.0)?;
            writeln!(file, "{} {word}", listener.local_addr()?.port())?;
            Ok(Entrance { listener: TcpListener::from_std(listener)?, word, _named: named })
        }

        /// Waits for somebody.
        ///
        /// # Errors
        ///
        /// As the operating system says.
        pub async fn accept(&self) -> io::Result<Stream> {
            Ok(self.listener.accept().await?.0)
        }

        /// True if and only if the other side may ask: it says the word.
        ///
        /// # Errors
        ///
        /// Where the other side goes before it has.
        pub async fn admits(&self, stream: &mut Stream) -> io::Result<bool> {
            let mut said = [0; WORD];
            stream.read_exact(&mut said).await?;
            let differ = said.iter().zip(self.word.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
            Ok(differ == 0)
        }
    }

    /// Knocks, and says the word.
    ///
    /// # Errors
    ///
    /// As the operating system says: `NotFound` and `ConnectionRefused` where no server is there.
    pub fn connect(folder: &Path) -> io::Result<std::net::TcpStream> {
        let said = std::fs::read_to_string(folder.join(NAME))?;
        let (port, word) = said.trim().split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        let port: u16 = port.parse().map_err(io::Error::other)?;
        let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.write_all(word.as_bytes())?;
        Ok(stream)
    }
}
