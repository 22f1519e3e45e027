//! Where passwords come from: a file, or a person who types unseen. Never an argument, never the environment.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use zeroize::Zeroizing;

use super::exit::{Exit, Failure};
use super::output::End;
use crate::secret::Secret;

/// PROTOCOL.md, CREATE: no password has more bytes.
const PASSWORD_MAX: usize = 256;
/// A password file is not longer than this.
const FILE_MAX: usize = 4_096;

/// The first line of a file. An empty one is no password.
pub(crate) fn from_file(path: &Path) -> Result<Option<Secret>, Failure> {
    let unusable = |error: io::Error| {
        Failure::usage(format!("cannot read the password file {}: {error}", path.display()))
    };
    // Reserved at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX + 1));
    let file = File::open(path).map_err(unusable)?;
    if is_open_to_others(&file).map_err(unusable)? {
        let sentence = format!("others can read the password file {}: chmod 600 it first", path.display());
        return Err(Failure::usage(sentence));
    }
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unusable)?;
    if bytes.len() > FILE_MAX {
        return Err(Failure::usage(format!("{} is too long to be a password file", path.display())));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| unusable(io::Error::other(error)))?;
    let line = text.lines().next().unwrap_or_default();
    if line.len() > PASSWORD_MAX {
        return Err(too_long());
    }
    Ok((!line.is_empty()).then(|| Secret::new(line.to_owned())))
}

/// The first line that a command prints. It has the terminal, and may ask for something itself; what is piped to us is
/// not for it.
pub(crate) fn from_command(command: &str) -> Result<Option<Secret>, Failure> {
    let failed = |why: String| Failure::new(Exit::NotLoggedIn, "password-cmd", format!("password_cmd {why}"));
    let (shell, switch) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let stdin = if io::stdin().is_terminal() { Stdio::inherit() } else { Stdio::null() };
    let mut child = Command::new(shell)
        .args([switch, command])
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    // Reserved at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX + 1));
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes),
        None => Ok(0),
    };
    // Who writes more than is read is told by a closed pipe.
    let status = child.wait().map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    read.map_err(|error| failed(format!("cannot be read: {error}")))?;
    if bytes.len() > FILE_MAX {
        return Err(failed("prints too much to be a password".into()));
    }
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("prints what is not UTF-8".into()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.len() > PASSWORD_MAX {
        return Err(too_long());
    }
    if line.is_empty() {
        return Err(failed("prints nothing".into()));
    }
    Ok(Some(Secret::new(line.to_owned())))
}

/// The same from a descriptor that whoever started this program opened for it.
pub(crate) fn from_descriptor(number: u16) -> Result<Option<Secret>, Failure> {
    if !cfg!(unix) {
        return Err(Failure::usage("this system has no such descriptors: give --password-file"));
    }
    from_file(&std::path::PathBuf::from(format!("/dev/fd/{number}")))
}

/// True for a file that more than its owner may read or write. A pipe is its two ends' alone, whatever it says.
#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let found = file.metadata()?;
    Ok(found.is_file() && found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}

fn too_long() -> Failure {
    Failure::usage(format!("a password has at most {PASSWORD_MAX} bytes"))
}

/// True if and only if somebody is there to type.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal, without echo. An empty answer is no password.
pub(crate) async fn ask(question: &str) -> Result<Option<Secret>, End> {
    // Before the question: who sees it may type at once.
    enable_raw_mode().map_err(Failure::local)?;
    let unseen = Unseen;
    let _ = write!(io::stderr(), "{question}");
    let typed = tokio::task::spawn_blocking(read_unseen).await;
    drop(unseen);
    let mut typed = typed.map_err(Failure::local)??;
    Ok((!typed.is_empty()).then(|| Secret::new(std::mem::take(&mut *typed))))
}

/// What is typed is not shown while this lives.
struct Unseen;

impl Drop for Unseen {
    fn drop(&mut self) {
        // Where the terminal has gone there is nothing to give back.
        let _ = disable_raw_mode();
        let _ = writeln!(io::stderr());
    }
}

fn read_unseen() -> Result<Zeroizing<String>, End> {
    // Reserved at once: a text that grows leaves copies behind.
    let mut typed = Zeroizing::new(String::with_capacity(PASSWORD_MAX));
    loop {
        let Event::Key(key) = event::read().map_err(Failure::local)? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control =
            key.modifiers.contains(KeyModifiers::CONTROL) && !key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter => return Ok(typed),
            KeyCode::Char('c') if control => return Err(End::Signal(Exit::Interrupted)),
            KeyCode::Char('d') if control => return Ok(typed),
            KeyCode::Char('u') if control => typed.clear(),
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char(c) if !control && typed.len() + c.len_utf8() > PASSWORD_MAX => {
                return Err(too_long().into());
            }
            KeyCode::Char(c) if !control => typed.push(c),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_private(path: &Path, text: &str) {
        std::fs::write(path, text).expect("written");
        #[cfg(unix)]
        allow(path, 0o600);
    }

    #[cfg(unix)]
    fn allow(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    }

    /// Everybody on the machine could read the password, and nothing was said.
    #[cfg(unix)]
    #[test]
    fn a_password_file_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        write_private(&path, "open sesame");
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o666, false)] {
            allow(&path, mode);
            match from_file(&path) {
                Ok(found) => assert!(good && found.is_some(), "{mode:o}"),
                Err(failure) => assert!(!good && failure.sentence.contains("chmod 600"), "{mode:o}"),
            }
        }
    }

    #[test]
    fn a_password_file_is_its_first_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        let check = |text: &str, expected: Option<&str>| {
            write_private(&path, text);
            let found = from_file(&path).expect("read");
            assert_eq!(found.as_ref().map(Secret::reveal), expected, "{text:?}");
        };
        check("open sesame\n", Some("open sesame"));
        check("open sesame\r\nmore", Some("open sesame"));
        check(" spaces stay ", Some(" spaces stay "));
        check("", None);
        check("\n", None);
        for length in [257, 5_000] {
            write_private(&path, &"x".repeat(length));
            assert_eq!(from_file(&path).expect_err("too long").exit, Exit::Usage);
        }
        #[cfg(unix)]
        assert!(from_file(Path::new("/dev/zero")).expect_err("no end").sentence.contains("too long"));
        assert_eq!(from_file(&folder.path().join("none")).expect_err("not there").exit, Exit::Usage);
    }
}
