//! The person's own editor, on a file that nobody else can read. It has the terminal; its end is waited for on a thread.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::composer::BOX_MAX;
use crate::clock;

/// The file that is written, in a folder of its own.
const FILE: &str = "message.txt";

/// What came of it, or why nothing could.
pub(crate) type Left = Result<Wrote, String>;

/// What somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    Text(String),
    /// The editor said that nothing is meant.
    Nothing(String),
}

/// An editor that runs.
#[derive(Debug)]
pub(crate) struct Editor {
    pub(crate) child: Child,
    folder: PathBuf,
    /// The file stays, however the editor ends.
    pub(crate) keeps: Arc<AtomicBool>,
}

/// The command of whoever sits here.
pub(crate) fn command(variable: impl Fn(&str) -> Option<String>) -> String {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let usual = if cfg!(windows) { "notepad" } else { "vi" };
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| usual.into())
}

impl Editor {
    /// Starts `command` on a file with this text.
    pub(crate) fn start(command: &str, text: &str) -> io::Result<Editor> {
        let folder = folder()?;
        let file = folder.join(FILE);
        let started = write_private(&file, text).and_then(|()| program(command, &file).spawn());
        match started {
            Ok(child) => Ok(Editor { child, folder, keeps: Arc::default() }),
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// Waits for its end. What does not fit the box stays in its file.
    pub(crate) fn wait(mut self, command: &str) -> Left {
        let status = self.child.wait().map_err(|error| format!("{command}: {error}"))?;
        let left = match status.success() {
            false => Ok(Wrote::Nothing(format!("nothing is changed: {command}: {status}"))),
            true => self.read(),
        };
        if left.is_ok() && !self.keeps.load(Ordering::Acquire) {
            // What an editor leaves beside the file goes with it.
            let _ = fs::remove_dir_all(&self.folder);
        }
        left
    }

    /// The file that it writes.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn read(&self) -> Left {
        read(&self.file())
    }
}

/// What somebody has written so far.
pub(crate) fn read(file: &Path) -> Left {
    let place = file.display();
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(BOX_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("what was written cannot be read: {place}: {error}"))?;
    if bytes.len() > BOX_MAX {
        return Err(format!("more than the box holds, {} kB: it is in {place}", BOX_MAX / 1_024));
    }
    String::from_utf8(bytes).map(Wrote::Text).map_err(|_| format!("not UTF-8: it is in {place}"))
}

/// A folder of its own: editors put copies beside their file.
fn folder() -> io::Result<PathBuf> {
    let name = u64::from_be_bytes(clock::random());
    let folder = std::env::temp_dir().join(format!("bellhop-{name:016x}"));
    let mut builder = DirBuilder::new();
    builder.recursive(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    // Fails where somebody else has made it.
    builder.create(&folder)?;
    Ok(folder)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') { file.write_all(b"\n") } else { Ok(()) }
}

/// The command with its own arguments, as a shell reads them, and the file behind.
#[cfg(unix)]
fn program(command: &str, file: &Path) -> Command {
    let mut program = Command::new("/bin/sh");
    program.arg("-c").arg(format!("exec {command} \"$1\"")).arg("sh").arg(file);
    program
}

#[cfg(not(unix))]
fn program(command: &str, file: &Path) -> Command {
    let mut words = words(command).into_iter();
    let mut program = Command::new(words.next().unwrap_or_default());
    program.args(words).arg(file);
    program
}

/// A command and its arguments: parted by blanks, but within double quotes.
#[cfg(any(test, not(unix)))]
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_editor() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            let find = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(command(find), expected);
        };
        check(&[("VISUAL", "emacs -nw"), ("EDITOR", "ed")], "emacs -nw");
        check(&[("VISUAL", " "), ("EDITOR", "ed")], "ed");
        check(&[], if cfg!(windows) { "notepad" } else { "vi" });
    }

    #[test]
    fn a_command_is_words() {
        let program = "\"C:\\Program Files\\Vim\\gvim.exe\"  -f";
        assert_eq!(words(program), ["C:\\Program Files\\Vim\\gvim.exe", "-f"]);
        assert_eq!(words("notepad"), ["notepad"]);
    }

    #[cfg(unix)]
    fn edit(command: &str, text: &str) -> (Left, PathBuf) {
        let editor = Editor::start(command, text).expect("it runs");
        let folder = editor.folder.clone();
        (editor.wait(command), folder)
    }

    #[cfg(unix)]
    #[test]
    fn what_an_editor_makes_of_a_text_comes_back() {
        let (left, folder) = edit("sed -i s/a/b/", "a word");
        assert_eq!(left, Ok(Wrote::Text("b word\n".into())));
        assert!(!folder.exists(), "{}", folder.display());
        let (left, folder) = edit("sh -c 'exit 3' ", "a word");
        assert!(matches!(left, Ok(Wrote::Nothing(_))), "{left:?}");
        assert!(!folder.exists());
        let (left, _) = edit("bellhop-has-no-such-editor", "a word");
        assert!(matches!(left, Ok(Wrote::Nothing(_))), "{left:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_does_not_fit_the_box_is_not_lost() {
        for (command, word) in
            [("sh -c 'head -c 70000 /dev/zero >\"$0\"'", "kB"), ("sh -c 'printf \"\\377\" >\"$0\"'", "UTF-8")]
        {
            let (left, folder) = edit(command, "");
            let reason = left.expect_err("it does not fit");
            assert!(reason.contains(word) && reason.contains(&folder.display().to_string()), "{reason}");
            assert!(fs::metadata(folder.join("message.txt")).expect("it stays").len() > 0);
            fs::remove_dir_all(&folder).expect("it goes");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_what_is_written() {
        use std::os::unix::fs::PermissionsExt;
        let editor = Editor::start("true", "private").expect("it runs");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&editor.folder), mode(&editor.folder.join("message.txt"))), (0o700, 0o600));
        editor.wait("true").expect("it ends");
    }
}
