//! The door itself: a socket in the data folder that only the folder's owner reaches.
//!
//! On Unix it is a socket with the name `control`, closed to others by its folder, by its own mode and by who the
//! system says is at the other end. On Windows, where no such socket can be had, it is a loopback port, and the file
//! `control` holds the port and two words: one that must be said first, and the answer to it, without which nothing is
//! asked. After a crash the port may be anybody's.

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
    use std::io::{self, Read, Write};
    use std::net::Ipv4Addr;
    use std::path::Path;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{NAME, Named, clear};
    use crate::clock::random;
    use crate::folder::private_file;

    /// A connection through the door, at the server's end.
    pub type Stream = tokio::net::TcpStream;

    /// The name of the file while it is written.
    const BEGUN: &str = "control.new";
    /// A word, in bytes.
    const WORD: usize = 64;
    /// How long the server's word may take.
    const WORD_MAX: Duration = Duration::from_secs(5);

    /// The door, open.
    #[derive(Debug)]
    pub struct Entrance {
        listener: TcpListener,
        words: Words,
        _named: Named,
    }

    /// What is said by whoever asks, and by the server.
    struct Words {
        asking: String,
        answering: String,
    }

    impl std::fmt::Debug for Words {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Words")
        }
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
            let words = Words { asking: word(), answering: word() };
            // It is there whole or not at all: whoever knocks at this moment finds no half of a word.
            let begun = Named(folder.join(BEGUN));
            clear(&begun.0)?;
            let port = listener.local_addr()?.port();
            writeln!(private_file(&begun.0)?, "{port} {} {}", words.asking, words.answering)?;
            std::fs::rename(&begun.0, &path)?;
            Ok(Entrance { listener: TcpListener::from_std(listener)?, words, _named: Named(path) })
        }

        /// Waits for somebody.
        ///
        /// # Errors
        ///
        /// As the operating system says.
        pub async fn accept(&self) -> io::Result<Stream> {
            Ok(self.listener.accept().await?.0)
        }

        /// True if and only if the other side may ask: it says the word, and is told the other one.
        ///
        /// # Errors
        ///
        /// Where the other side goes before it has.
        pub async fn admits(&self, stream: &mut Stream) -> io::Result<bool> {
            let mut said = [0; WORD];
            stream.read_exact(&mut said).await?;
            let is_known = is_same(&said, &self.words.asking);
            if is_known {
                stream.write_all(self.words.answering.as_bytes()).await?;
            }
            Ok(is_known)
        }
    }

    fn word() -> String {
        random::<{ WORD / 2 }>().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Takes as long for a word that is almost right as for any other.
    fn is_same(said: &[u8; WORD], word: &str) -> bool {
        word.len() == WORD && said.iter().zip(word.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }

    /// Knocks, says the word, and hears the other.
    ///
    /// # Errors
    ///
    /// As the operating system says: `NotFound` and `ConnectionRefused` where no server is there, the latter also
    /// where somebody else is.
    pub fn connect(folder: &Path) -> io::Result<std::net::TcpStream> {
        let text = std::fs::read_to_string(folder.join(NAME))?;
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [port, asking, answering] = parts[..] else { return Err(io::ErrorKind::InvalidData.into()) };
        let port: u16 = port.parse().map_err(io::Error::other)?;
        let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(WORD_MAX))?;
        let mut said = [0; WORD];
        let heard = stream.write_all(asking.as_bytes()).and_then(|()| stream.read_exact(&mut said));
        if heard.is_err() || !is_same(&said, answering) {
            // Whether there is a server after all is told by the folder's lock.
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        stream.set_read_timeout(None)?;
        Ok(stream)
    }
}

#[cfg(all(test, windows))]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn who_has_the_words_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let entrance = Entrance::open(folder.path()).unwrap();
        let there = folder.path().to_owned();
        let knocking = tokio::task::spawn_blocking(move || connect(&there));
        let mut stream = entrance.accept().await.unwrap();
        assert!(entrance.admits(&mut stream).await.unwrap());
        assert!(knocking.await.unwrap().is_ok());

        let text = std::fs::read_to_string(folder.path().join(NAME)).unwrap();
        let port: u16 = text.split(' ').next().unwrap().parse().unwrap();
        let mut stranger = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stranger.write_all(&[b'0'; 64]).unwrap();
        let mut stream = entrance.accept().await.unwrap();
        assert!(!entrance.admits(&mut stream).await.unwrap());
        drop((stream, entrance));
        let mut heard = Vec::new();
        let _ = stranger.read_to_end(&mut heard);
        assert_eq!(heard, b"", "a stranger is not told the other word");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_stranger_at_the_port_is_no_server() {
        let folder = tempfile::tempdir().unwrap();
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stranger.local_addr().unwrap().port();
        std::fs::write(folder.path().join(NAME), format!("{port} {} {}\n", "a".repeat(64), "b".repeat(64)))
            .unwrap();
        for said in ["c".repeat(64), "b".repeat(63), "a".repeat(64), String::new()] {
            std::thread::scope(|threads| {
                let heard = threads.spawn(|| {
                    let (mut stream, _) = stranger.accept().unwrap();
                    let mut word = [0; 64];
                    stream.read_exact(&mut word).unwrap();
                    stream.write_all(said.as_bytes()).unwrap();
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    let mut rest = Vec::new();
                    let _ = stream.read_to_end(&mut rest);
                    rest
                });
                assert_eq!(
                    connect(folder.path()).unwrap_err().kind(),
                    ErrorKind::ConnectionRefused,
                    "{said}"
                );
                assert_eq!(heard.join().unwrap(), b"", "it hears no request");
            });
        }
    }
}
