//! The servers that this home knows, and by what: `known_servers`, a line a server, for people to read and edit.
//!
//! ```text
//! chat.example:2050 SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0  # since 2026-11-21
//! im.example.org:2050 ca  # since 2026-11-21
//! ```
//!
//! `ca` stands for an authority that vouched for the name. A line that cannot be read is an error and not a server
//! that is unknown: whoever can spoil a line must not thereby make everybody say yes again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock;
use crate::config::Server;
use crate::home::{Home, HomeError, Lock};
pub use crate::link::trust::Known;
use crate::whole;

/// The word for an authority.
const AUTHORITY: &str = "ca";
/// A file beyond this was not written by this program, or by a person.
const FILE_MAX: u64 = 4 * 1_024 * 1_024;

/// Why the known servers cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KnownError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("cannot use {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}, line {line}: {reason}; mend it or remove it", path.display())]
    Line { path: PathBuf, line: usize, reason: String },
    #[error("{} is being written by another program", .0.display())]
    Busy(PathBuf),
    #[error("what is known of {0} has changed meanwhile: try again")]
    Raced(Server),
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// A server that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its address.
    pub server: Server,
    /// By what it is known.
    pub known: Known,
    /// The day it was kept, as it stands in the file.
    pub since: Option<String>,
}

/// The file.
pub(crate) struct KnownServers<'a> {
    home: &'a Home,
}

impl KnownServers<'_> {
    pub(crate) fn of(home: &Home) -> KnownServers<'_> {
        KnownServers { home }
    }

    /// What is known of `server`.
    pub(crate) fn find(&self, server: &Server) -> Result<Option<Entry>, KnownError> {
        Ok(self.all()?.into_iter().find(|entry| entry.server == *server))
    }

    /// Every server, in the order of the file.
    pub(crate) fn all(&self) -> Result<Vec<Entry>, KnownError> {
        let path = self.home.known_servers()?;
        entries(&read(&path)?).map_err(|WrongLine { line, reason }| KnownError::Line { path, line, reason })
    }

    /// Keeps `known` of `server`, whatever was known of it.
    pub(crate) fn keep(&self, server: &Server, known: Known) -> Result<(), KnownError> {
        self.change(server, Some(known), |_| true)
    }

    /// The same where `before` is what is known of it still: a decision on something older is none.
    pub(crate) fn replace(
        &self,
        server: &Server,
        before: Option<Known>,
        known: Known,
    ) -> Result<(), KnownError> {
        self.change(server, Some(known), |found| found == before || found == Some(known))
    }

    /// Forgets `server`. False where it was not known.
    pub(crate) fn forget(&self, server: &Server) -> Result<bool, KnownError> {
        let was_known = self.find(server)?.is_some();
        self.change(server, None, |_| true)?;
        Ok(was_known)
    }

    /// Replaces the line of `server`, and leaves every other as it is.
    fn change(
        &self,
        server: &Server,
        to: Option<Known>,
        agrees: impl FnOnce(Option<Known>) -> bool,
    ) -> Result<(), KnownError> {
        let path = self.home.known_servers()?;
        let lock = Lock::wait_for(&self.home.lock_path("known_servers")?)?;
        let Some(_lock) = lock else { return Err(KnownError::Busy(path)) };
        let found = self.find(server)?.map(|entry| entry.known);
        if !agrees(found) {
            return Err(KnownError::Raced(server.clone()));
        }
        if found == to {
            return Ok(());
        }
        let today = Timestamp::from_millisecond(clock::wall_ms()).unwrap_or_default();
        let day = today.to_zoned(TimeZone::UTC).date().to_string();
        let text = replaced(&read(&path)?, server, to, &day);
        whole::replace(&path, &text).map_err(|error| KnownError::Io { path, error })
    }
}

/// Every server of a text, in its order.
///
/// # Errors
///
/// The first line that cannot be read, or tells of a server that an earlier one tells of.
pub fn entries(text: &str) -> Result<Vec<Entry>, WrongLine> {
    let mut entries: Vec<Entry> = Vec::new();
    for (line, said) in (1..).zip(text.lines()) {
        let wrong = |reason| WrongLine { line, reason };
        let Some(entry) = parse(said).map_err(wrong)? else { continue };
        if entries.iter().any(|known| known.server == entry.server) {
            return Err(wrong(format!("{} is there twice", entry.server)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The text with another line for `server`, or none; every other line stays as it is.
pub fn replaced(text: &str, server: &Server, to: Option<Known>, day: &str) -> String {
    let is_other = |line: &&str| !matches!(parse(line), Ok(Some(entry)) if entry.server == *server);
    let mut lines: Vec<String> = text.lines().filter(is_other).map(str::to_owned).collect();
    lines.extend(to.map(|known| written(server, known, day)));
    lines.push(String::new());
    lines.join("\n")
}

fn written(server: &Server, known: Known, day: &str) -> String {
    let known = match known {
        Known::Key(key) => key.to_string(),
        Known::Authority => AUTHORITY.to_owned(),
    };
    format!("{server} {known}  # since {day}")
}

/// Reads a line; `None` for one that says nothing.
fn parse(line: &str) -> Result<Option<Entry>, String> {
    let (said, remark) = line.split_once('#').unwrap_or((line, ""));
    let words: Vec<&str> = said.split_whitespace().collect();
    let (server, known) = match words[..] {
        [] => return Ok(None),
        [server, known] => (server, known),
        _ => return Err("a line is HOST:PORT and SHA256:… or ca".into()),
    };
    let server = Server::parse(server).map_err(|error| error.to_string())?;
    let known = match known {
        AUTHORITY => Known::Authority,
        key => {
            Known::Key(key.parse().map_err(|error: crate::fingerprint::FingerprintError| error.to_string())?)
        }
    };
    let since = remark.trim().strip_prefix("since ").map(|since| since.trim().to_owned());
    Ok(Some(Entry { server, known, since }))
}

/// The text of the file; nothing where it is not there.
fn read(path: &Path) -> Result<String, KnownError> {
    let failed = |error| KnownError::Io { path: path.to_owned(), error };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(error)),
        Ok(found) if found.len() > FILE_MAX => {
            return Err(failed(io::Error::other("too long for a list of servers")));
        }
        Ok(_) => {}
    }
    fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Fingerprint;

    fn desk() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path().join("home"));
        (folder, home)
    }

    fn server(text: &str) -> Server {
        Server::parse(text).expect("an address")
    }

    fn key(byte: u8) -> Known {
        Known::Key(Fingerprint::of_key(&[byte]))
    }

    fn known(servers: &KnownServers<'_>, name: &str) -> Option<Known> {
        servers.find(&server(name)).expect("read").map(|entry| entry.known)
    }

    #[test]
    fn what_is_kept_is_found_and_the_rest_stays_as_it_was() {
        let (_folder, home) = desk();
        let servers = KnownServers::of(&home);
        assert_eq!(known(&servers, "a.example"), None);
        servers.keep(&server("a.example"), key(1)).expect("kept");
        let path = home.known_servers().expect("a path");
        let mine = format!("# mine\n\n  b.example:99   ca\n{}", fs::read_to_string(&path).expect("text"));
        fs::write(&path, mine).expect("written");
        servers.keep(&server("[::1]"), Known::Authority).expect("kept");
        servers.keep(&server("A.example:2050"), key(2)).expect("kept");
        assert_eq!([known(&servers, "a.example"), known(&servers, "a.example:7")], [Some(key(2)), None]);
        assert_eq!([known(&servers, "b.example:99"), known(&servers, "::1")], [Some(Known::Authority); 2]);
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("# mine\n\n  b.example:99   ca\n"), "{text}");
        assert_eq!((text.lines().count(), text.ends_with('\n')), (5, true), "{text}");
        let since = servers.find(&server("a.example")).expect("read").and_then(|entry| entry.since);
        assert!(since.is_some_and(|day| day.len() == 10), "{text}");
        assert!(servers.forget(&server("a.example")).expect("forgotten"));
        assert!(!servers.forget(&server("a.example")).expect("nothing to forget"));
        assert_eq!(servers.all().expect("read").len(), 2);
    }

    /// Two windows that ask at once must not overrule each other without a word.
    #[test]
    fn a_decision_on_something_older_is_none() {
        let (_folder, home) = desk();
        let servers = KnownServers::of(&home);
        let at = server("a.example");
        servers.replace(&at, None, key(1)).expect("kept");
        servers.replace(&at, None, key(1)).expect("the same");
        assert!(matches!(servers.replace(&at, None, key(2)), Err(KnownError::Raced(_))));
        servers.replace(&at, Some(key(1)), key(2)).expect("moved");
        assert_eq!(known(&servers, "a.example"), Some(key(2)));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_nothing_is_written() {
        let (_folder, home) = desk();
        let servers = KnownServers::of(&home);
        let path = home.known_servers().expect("a path");
        for wrong in [
            "a.example",
            "a.example SHA256:short",
            "a.example yes",
            "a.example ca ca",
            "a b:x ca",
            "x.example ca\nX.example:2050 ca",
        ] {
            let text = format!("# first\n{wrong}\n");
            fs::write(&path, &text).expect("written");
            let error = servers.find(&server("b.example")).expect_err(wrong).to_string();
            assert!(error.contains("known_servers, line ") && !error.contains("line 1"), "{error}");
            assert!(servers.keep(&server("b.example"), key(1)).is_err(), "{wrong}");
            assert_eq!(fs::read_to_string(&path).expect("text"), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, home) = desk();
        let path = home.known_servers().expect("a path");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        KnownServers::of(&home).keep(&server("a.example"), key(1)).expect("kept");
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        // One that was copied back becomes private again.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("ours");
        KnownServers::of(&home).find(&server("a.example")).expect("read");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let (_folder, home) = desk();
        std::thread::scope(|scope| {
            for number in 0..8u8 {
                let home = &home;
                let keep = move || {
                    KnownServers::of(home).keep(&server(&format!("s{number}")), key(number)).expect("kept");
                };
                scope.spawn(keep);
            }
        });
        assert_eq!(KnownServers::of(&home).all().expect("read").len(), 8);
    }
}
