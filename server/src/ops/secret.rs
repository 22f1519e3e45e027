//! Where passwords come from: a person who types unseen, standard input, or a file that nobody else reads. Never an
//! argument, never the environment.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use zeroize::Zeroizing;

use super::wire::Secret;
use crate::auth::{PASSWORD_MAX, PASSWORD_MIN};

/// What is read of a file or of standard input.
const READ_MAX: usize = 4_096;

/// A new password, from the file, from standard input where that is none of a terminal, or typed twice.
///
/// # Errors
///
/// Where there is none, or it is too short or too long.
pub fn new_password(file: Option<&Path>) -> anyhow::Result<Secret> {
    let password = match file {
        Some(path) => from_file(path)?,
        None if io::stdin().is_terminal() => {
            let password = ask("New password: ")?;
            check(&password)?;
            ensure!(
                password == ask("Once more: ")?,
                "these are two different passwords; nothing was changed"
            );
            password
        }
        None => first_line(&mut io::stdin()).context("cannot read the password from standard input")?,
    };
    check(&password)?;
    Ok(Secret::new(password))
}

fn check(password: &str) -> anyhow::Result<()> {
    ensure!(
        (PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()),
        "a password has {PASSWORD_MIN} to {PASSWORD_MAX} bytes"
    );
    Ok(())
}

/// The first line of a file that nobody else can read.
fn from_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let unusable = || format!("cannot read the password file {}", path.display());
    let mut file = File::open(path).with_context(unusable)?;
    if is_open_to_others(&file).with_context(unusable)? {
        bail!("others can read the password file {}: chmod 600 it first", path.display());
    }
    first_line(&mut file).with_context(unusable)
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

fn first_line(from: &mut impl Read) -> io::Result<Zeroizing<String>> {
    // Reserved at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(READ_MAX + 1));
    from.take(READ_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).map_err(io::Error::other)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Asks the person at the terminal for a word that may be seen.
///
/// # Errors
///
/// Where nobody can be asked.
pub fn ask_seen(question: &str) -> anyhow::Result<String> {
    ensure!(io::stdin().is_terminal(), "nobody is there to be asked; say --yes");
    write!(io::stderr(), "{question}").context("cannot ask")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim().to_owned())
}

fn ask(question: &str) -> anyhow::Result<Zeroizing<String>> {
    // Before the question: who sees it may type at once.
    enable_raw_mode().context("cannot ask for a password unseen")?;
    let _unseen = Unseen;
    write!(io::stderr(), "{question}").context("cannot ask")?;
    read_unseen()
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

fn read_unseen() -> anyhow::Result<Zeroizing<String>> {
    let mut typed = Zeroizing::new(String::with_capacity(PASSWORD_MAX));
    loop {
        let Event::Key(key) = event::read().context("cannot read the password")? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control =
            key.modifiers.contains(KeyModifiers::CONTROL) && !key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter => return Ok(typed),
            KeyCode::Char('c' | 'd') if control => bail!("nothing was changed"),
            KeyCode::Char('u') if control => typed.clear(),
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char(c) if !control => {
                ensure!(
                    typed.len() + c.len_utf8() <= PASSWORD_MAX,
                    "a password has at most {PASSWORD_MAX} bytes"
                );
                typed.push(c);
            }
            _ => {}
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_a_private_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (text, mode, expected) in [
            ("open sesame\nmore", 0o600, Ok("open sesame")),
            ("open sesame\r\n", 0o400, Ok("open sesame")),
            ("open sesame", 0o640, Err("chmod 600")),
            ("open sesame", 0o604, Err("chmod 600")),
            ("1234567", 0o600, Err("8 to 256 bytes")),
            ("", 0o600, Err("8 to 256 bytes")),
        ] {
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match (new_password(Some(&path)), expected) {
                (Ok(mut got), Ok(expected)) => assert_eq!(got.take().as_str(), expected),
                (Err(error), Err(part)) => assert!(format!("{error:#}").contains(part), "{error:#}"),
                (got, expected) => panic!("{text:?} {mode:o}: {got:?}, {expected:?}"),
            }
        }
        let error = new_password(Some(&folder.path().join("none"))).unwrap_err();
        assert!(format!("{error:#}").contains("none: No such file"), "{error:#}");
    }
}
