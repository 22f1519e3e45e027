//! The terminal, borrowed: whatever was set is recorded, and given back on every way out.
//!
//! [`restore`] may be called any number of times, from a drop, from a panic, from a signal's arm; the first call acts.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
    KeyboardEnhancementFlags, PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
};
use crossterm::queue;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;

use super::model::Model;
use super::pen::Pen;
use super::view;

/// The terminal is ours.
static OURS: AtomicBool = AtomicBool::new(false);
/// Unambiguous keys were asked for.
static KITTY: AtomicBool = AtomicBool::new(false);
/// The screen is one of its own.
static ALTERNATE: AtomicBool = AtomicBool::new(false);
/// The mouse is reported.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// Another program has the terminal, and will give it back.
static LENT: AtomicBool = AtomicBool::new(false);
/// Somebody panicked, and the message is on the terminal.
static PANICKED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// A frame's bytes, so that each frame is one write.
#[derive(Clone, Default)]
struct Sheet(Rc<RefCell<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The screen, while it is ours.
pub(crate) struct Screen {
    terminal: Terminal<Pen<Sheet>>,
    sheet: Sheet,
    kitty: bool,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal. `kitty`: it is known to report keys without ambiguity.
    pub(crate) fn take(kitty: bool) -> io::Result<Screen> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                PANICKED.store(true, Ordering::SeqCst);
                restore();
                before(panic);
            }));
        });
        let sheet = Sheet::default();
        let terminal = Terminal::new(Pen::new(sheet.clone()))?;
        let mut screen = Screen { terminal, sheet, kitty, mouse: false };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        OURS.store(true, Ordering::SeqCst);
        let mut bytes = Vec::new();
        ALTERNATE.store(true, Ordering::SeqCst);
        queue!(bytes, EnterAlternateScreen, EnableFocusChange)?;
        // Consoles that cannot do these say so, and are used without them.
        let _ = queue!(bytes, EnableBracketedPaste);
        // Asked for twice it would have to be given back twice.
        if self.kitty
            && !KITTY.load(Ordering::SeqCst)
            && queue!(
                bytes,
                PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES)
            )
            .is_ok()
        {
            KITTY.store(true, Ordering::SeqCst);
        }
        mouse(self.mouse, &mut bytes);
        write(&bytes)
    }

    /// Has the mouse reported, or leaves it to the terminal.
    pub(crate) fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        let mut bytes = Vec::new();
        mouse(on && ALTERNATE.load(Ordering::SeqCst), &mut bytes);
        write_through(&bytes)
    }

    /// Shows lines on the usual screen, where the terminal's own selection and scrolling work.
    pub(crate) fn show_lines(&mut self, lines: &[String]) -> io::Result<()> {
        let mut bytes = Vec::new();
        mouse(false, &mut bytes);
        if ALTERNATE.swap(false, Ordering::SeqCst) {
            queue!(bytes, LeaveAlternateScreen)?;
        }
        queue!(bytes, Show)?;
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        write_through(&bytes)
    }

    /// Goes back to the screen of its own after [`Screen::show_lines`].
    pub(crate) fn hide_lines(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        ALTERNATE.store(true, Ordering::SeqCst);
        queue!(bytes, EnterAlternateScreen)?;
        mouse(self.mouse, &mut bytes);
        write_through(&bytes)?;
        self.redraw()
    }

    /// Takes the terminal again after [`restore`], or after somebody else had it, and draws every cell the next time.
    pub(crate) fn take_again(&mut self) -> io::Result<()> {
        // A shell that had it meanwhile has set it up for itself; nothing is done where it still seems to be raw.
        disable_raw_mode()?;
        #[cfg(windows)]
        understand_sequences();
        self.enter()?;
        self.redraw()
    }

    /// The next frame draws every cell.
    pub(crate) fn redraw(&mut self) -> io::Result<()> {
        // The terminal's own way asks where the caret is, and would wait for an answer among the keys.
        queue!(self.sheet, Clear(ClearType::All))?;
        self.terminal.swap_buffers();
        Ok(())
    }

    /// Draws a frame, in one write. Returns how many bytes it took.
    pub(crate) fn draw(&mut self, model: &Model) -> io::Result<usize> {
        self.terminal.draw(|frame| view::draw(model, frame))?;
        let mut bytes = Vec::new();
        queue!(bytes, BeginSynchronizedUpdate)?;
        bytes.append(&mut self.sheet.0.borrow_mut());
        queue!(bytes, EndSynchronizedUpdate)?;
        write_through(&bytes).map(|()| bytes.len())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// True until the terminal was given back, by whomever.
fn is_ours() -> bool {
    OURS.load(Ordering::SeqCst)
}

/// True if and only if the terminal is known to have gone.
#[cfg(unix)]
pub(crate) fn has_gone_by_now() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    // That somebody hung up is told unasked.
    let mut found = [PollFd::new(&stdin, PollFlags::empty())];
    while poll(&mut found, Some(&Timespec::default())) == Err(rustix::io::Errno::INTR) {}
    found[0].revents().contains(PollFlags::HUP)
}

/// A console goes with the programs in it.
#[cfg(not(unix))]
pub(crate) fn has_gone_by_now() -> bool {
    false
}

/// Gives the terminal back as it was found.
pub(crate) fn restore() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut bytes = Vec::new();
    if KITTY.swap(false, Ordering::SeqCst) {
        let _ = queue!(bytes, PopKeyboardEnhancementFlags);
    }
    mouse(false, &mut bytes);
    // Writing to a vector does not fail, and a terminal that is gone needs nothing.
    let _ = queue!(bytes, EndSynchronizedUpdate, DisableBracketedPaste, DisableFocusChange);
    if ALTERNATE.swap(false, Ordering::SeqCst) {
        let _ = queue!(bytes, LeaveAlternateScreen);
    }
    let _ = queue!(bytes, Show);
    let _ = write(&bytes);
    let _ = disable_raw_mode();
}

/// Gives back what needs no writing, where a write may be what holds everything up.
#[cfg(unix)]
pub(crate) fn let_go() {
    if is_ours() {
        let _ = disable_raw_mode();
    }
}

/// Has the console take sequences again: a program that ran there meanwhile may have ended that for everybody.
#[cfg(windows)]
fn understand_sequences() {
    use crossterm_winapi::{ConsoleMode, Handle};
    const VIRTUAL_TERMINAL: u32 = 4;
    // A console that does not know them has done without from the start.
    let Ok(mode) = Handle::current_out_handle().map(ConsoleMode::from) else { return };
    let _ = mode.mode().and_then(|found| mode.set_mode(found | VIRTUAL_TERMINAL));
}

/// Gives the terminal to another program until [`take_back`].
pub(crate) fn lend() {
    LENT.store(true, Ordering::SeqCst);
    restore();
}

/// Whoever had it has ended.
pub(crate) fn take_back() {
    LENT.store(false, Ordering::SeqCst);
}

/// True while another program has the terminal: what its keys make of signals is not for us.
#[cfg(unix)]
pub(crate) fn is_lent() -> bool {
    LENT.load(Ordering::SeqCst)
}

/// True where somebody panicked.
pub(crate) fn has_panicked() -> bool {
    PANICKED.load(Ordering::SeqCst)
}

/// Writes what is no frame, as long as the terminal is ours.
pub(crate) fn write_through(bytes: &[u8]) -> io::Result<()> {
    if is_ours() && !bytes.is_empty() { write(bytes) } else { Ok(()) }
}

/// Switches the reports of the mouse on or off, where they are not already. Clicks and the wheel alone: what the library
/// asks for on Unix are reports of every move, each of which would wake the program.
fn mouse(on: bool, bytes: &mut Vec<u8>) {
    if MOUSE.swap(on, Ordering::SeqCst) == on {
        return;
    }
    #[cfg(unix)]
    bytes.extend_from_slice(if on { b"\x1b[?1000h\x1b[?1006h" } else { b"\x1b[?1006l\x1b[?1000l" });
    #[cfg(not(unix))]
    // A console that has no mouse goes without.
    let _ = match on {
        true => queue!(bytes, crossterm::event::EnableMouseCapture),
        false => queue!(bytes, crossterm::event::DisableMouseCapture),
    };
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// True for terminals that are known to report keys without ambiguity. They are never asked: an answer that does not
/// come would delay the start.
pub(crate) fn speaks_kitty(variable: impl Fn(&str) -> Option<String>) -> bool {
    let named = |name: &str, known: &[&str]| {
        let value = variable(name).unwrap_or_default().to_ascii_lowercase();
        known.iter().any(|known| value.contains(known))
    };
    variable("TMUX").is_none_or(|tmux| tmux.is_empty())
        && (named("TERM", &["kitty", "ghostty", "foot", "wezterm", "alacritty"])
            || named("TERM_PROGRAM", &["kitty", "ghostty", "wezterm", "iterm"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_terminals_report_keys_without_ambiguity() {
        let check = |variables: &[(&str, &str)], expected: bool| {
            let find = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(speaks_kitty(find), expected, "{variables:?}");
        };
        check(&[("TERM", "xterm-kitty")], true);
        check(&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")], true);
        check(&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/tmux-0/default,1,0")], false);
        check(&[("TERM", "xterm-256color")], false);
        check(&[], false);
    }

    /// This test runs itself in a terminal of its own, where it panics on purpose.
    #[cfg(unix)]
    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        use std::io::Read;

        use portable_pty::{CommandBuilder, PtySize, native_pty_system};

        const ON_PURPOSE: &str = "BELLHOP_TEST_PANICS";
        if std::env::var_os(ON_PURPOSE).is_some() {
            let _screen = Screen::take(false).expect("a terminal");
            panic!("on purpose");
        }
        let pair = native_pty_system().openpty(PtySize::default()).expect("a terminal");
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "--nocapture", "--test-threads=1"]);
        command.arg("tui::terminal::tests::a_panic_gives_the_terminal_back_before_it_is_told");
        command.env(ON_PURPOSE, "1");
        let mut child = pair.slave.spawn_command(command).expect("it runs");
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader().expect("readable");
        let (mut written, mut bytes) = (Vec::new(), [0; 4_096]);
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            written.extend_from_slice(&bytes[..count]);
        }
        assert!(!child.wait().expect("it ends").success());
        let written = String::from_utf8_lossy(&written);
        let place = |what: &str| written.find(what).unwrap_or_else(|| panic!("no {what:?} in {written}"));
        assert!(place("\x1b[?1049h") < place("\x1b[?1049l"), "{written}");
        assert!(place("\x1b[?1049l") < place("on purpose"), "{written}");
        assert!(place("\x1b[?2004l") < place("on purpose"), "{written}");
        // Read while the terminal is still held: whether what is typed is shown.
        let found = format!("{:?}", pair.master.get_termios().expect("a terminal"));
        assert!(found.contains("ECHO |"), "the terminal is left raw: {found}");
    }
}
