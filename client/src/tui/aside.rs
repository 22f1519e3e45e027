//! What the loop does beside the screen: an editor or plain lines that have the terminal for a while, and the clipboard.
//!
//! Whatever may take its time runs on a thread, and says by a message that it is done.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;

use super::copy::{self, System, Way};
use super::editor::{self, Editor, Left, Wrote};
use super::input::Input;
use super::terminal::{self, Screen};
use super::update::Msg;
use crate::text::{Kind, clean};

/// Threads whose message may wait; more of them wait to say it.
const DONE_MAX: usize = 8;

/// How long an editor may take to end with the program.
const EDITOR_END_MAX: Duration = Duration::from_millis(500);

/// Who has the terminal.
#[derive(Debug, Default)]
enum Holder {
    #[default]
    Screen,
    /// Lines on the usual screen, until a key.
    Lines,
    /// An editor, with this id, on this file; which stays where that is said before its end.
    Editor { id: u32, file: PathBuf, keeps: Arc<AtomicBool> },
}

/// A thread has ended.
pub(super) enum Done {
    Copied(Result<Way, String>, String),
    Edited(Option<String>, Left),
}

/// What goes on beside the screen.
pub(super) struct Aside {
    holder: Holder,
    told: Sender<Done>,
    done: Receiver<Done>,
}

impl Aside {
    pub(super) fn new() -> Aside {
        let (told, done) = mpsc::channel(DONE_MAX);
        Aside { holder: Holder::Screen, told, done }
    }

    /// True where frames can be seen.
    pub(super) fn shows_screen(&self) -> bool {
        matches!(self.holder, Holder::Screen)
    }

    /// True while an editor has the terminal.
    pub(super) fn is_lent(&self) -> bool {
        matches!(self.holder, Holder::Editor { .. })
    }

    /// The next thread that has ended.
    pub(super) async fn done(&mut self) -> Done {
        match self.done.recv().await {
            Some(done) => done,
            // There is always a sender: its own.
            None => std::future::pending().await,
        }
    }

    /// Puts text where other programs paste from.
    pub(super) fn copy(&mut self, text: &str) -> Option<Msg> {
        let text = clean(text, Kind::Body).into_owned();
        let ways = copy::ways(System::here(), |name| std::env::var(name).ok());
        if !ways.iter().any(|way| matches!(way, Way::Program(..))) {
            return Some(copied(copy::through_programs(&ways, &text), &text));
        }
        let told = self.told.clone();
        std::thread::spawn(move || {
            let way = copy::through_programs(&ways, &text);
            told.blocking_send(Done::Copied(way, text))
        });
        None
    }

    /// Gives the terminal to an editor. Nobody else may read its keys meanwhile.
    pub(super) fn edit(&mut self, open: Option<String>, text: &str) -> Option<Msg> {
        if !matches!(self.holder, Holder::Screen) {
            return None;
        }
        let command = editor::command(|name| std::env::var(name).ok());
        terminal::lend();
        let editor = match Editor::start(&command, text) {
            Ok(editor) => editor,
            Err(error) => return Some(Msg::Edited(open, Err(format!("{command}: {error}")))),
        };
        let (id, file, keeps) = (editor.child.id(), editor.file(), editor.keeps.clone());
        self.holder = Holder::Editor { id, file, keeps };
        let told = self.told.clone();
        std::thread::spawn(move || told.blocking_send(Done::Edited(open, editor.wait(&command))));
        None
    }

    /// Gives the terminal to lines of text.
    pub(super) fn show(&mut self, screen: &mut Screen, lines: &[String]) -> io::Result<()> {
        self.holder = Holder::Lines;
        screen.show_lines(lines)?;
        screen.show_lines(&["-- any key goes back --".to_owned()])
    }

    /// True where the input was the key that ends plain lines.
    pub(super) fn goes_back(&mut self, input: &Input, screen: &mut Screen) -> bool {
        if !matches!(self.holder, Holder::Lines) || !matches!(input, Input::Key(_) | Input::Paste(_)) {
            return false;
        }
        self.holder = Holder::Screen;
        // A terminal that cannot be drawn on fails at the next frame, which ends the program.
        let _ = screen.hide_lines();
        true
    }

    /// The screen has the terminal again, whoever had it.
    pub(super) fn take_back(&mut self, screen: &mut Screen) {
        self.holder = Holder::Screen;
        terminal::take_back();
        // A terminal that cannot be taken fails at the next frame, which ends the program.
        let _ = screen.take_again();
    }

    /// The program ends: an editor has nobody left to write for. What it has written so far goes where the rest of it
    /// would have gone, and its file goes with it; but for what does not fit, and for an editor that does not end.
    pub(super) async fn end(&mut self) -> Option<Msg> {
        let Holder::Editor { id, file, keeps } = std::mem::take(&mut self.holder) else { return None };
        let written = editor::read(&file);
        keeps.store(written.is_err(), Ordering::Release);
        #[cfg(unix)]
        if let Some(id) = rustix::process::Pid::from_raw(id.cast_signed()) {
            // Where it has just ended, nobody else has its id before it was waited for.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        #[cfg(not(unix))]
        let _ = id;
        let ended = async {
            loop {
                if let Done::Edited(open, left) = self.done().await {
                    return (open, left);
                }
            }
        };
        let (open, left) = timeout(EDITOR_END_MAX, ended).await.ok()?;
        // One that had just ended by itself has said what it made of it.
        let left = if matches!(left, Ok(Wrote::Text(_))) { left } else { written };
        Some(Msg::Edited(open, left))
    }
}

/// What is said of a copy. The terminal gets its own.
pub(super) fn copied(way: Result<Way, String>, text: &str) -> Msg {
    Msg::Copied(way.and_then(|way| {
        if way == Way::Terminal {
            terminal::write_through(&copy::sequence(text)).map_err(|error| error.to_string())?;
        }
        Ok((way.name(), text.len()))
    }))
}
