//! A client on a pseudo terminal: what a person types goes in, and what they would see can be read.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::process::binary;
use crate::wait::{PATIENCE, wait_for, waited};

/// A terminal in which `bellhop` runs.
pub struct Terminal {
    child: Program,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Every byte that the program wrote.
    written: Arc<Mutex<Vec<u8>>>,
    /// It takes nothing any more of what the program writes.
    full: Arc<AtomicBool>,
    /// Reads what the program writes.
    reader: JoinHandle<()>,
    master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// Runs `bellhop` with these arguments in a terminal of 80 columns and 24 rows; its files are in `home`.
    pub fn start(arguments: &[&str], home: &Path, server: &str) -> Terminal {
        Terminal::start_sized(arguments, home, server, (80, 24))
    }

    /// The same in a terminal of this many columns and rows.
    pub fn start_sized(arguments: &[&str], home: &Path, server: &str, size: (u16, u16)) -> Terminal {
        Terminal::start_with(arguments, home, server, size, &[])
    }

    /// The same with further variables.
    pub fn start_with(
        arguments: &[&str],
        home: &Path,
        server: &str,
        size: (u16, u16),
        variables: &[(&str, &str)],
    ) -> Terminal {
        let mut command = CommandBuilder::new(binary("bellhop"));
        command.args(arguments);
        Terminal::run(command, home, server, size, variables)
    }

    /// Runs `bellhop-server` with these arguments in a terminal.
    pub fn start_operator(arguments: &[&str], home: &Path) -> Terminal {
        let mut command = CommandBuilder::new(binary("bellhop-server"));
        command.args(arguments);
        Terminal::run(command, home, "", (80, 24), &[])
    }

    /// The same as [`start`](Terminal::start) below a program that does not end with its terminal, and is the one that the system tells of its end.
    pub fn start_below(arguments: &[&str], home: &Path, server: &str) -> Terminal {
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", "trap '' HUP; \"$0\" \"$@\"; exit $?"]);
        command.arg(binary("bellhop"));
        command.args(arguments);
        Terminal::run(command, home, server, (80, 24), &[])
    }

    /// Runs a line of the shell, in which `"$0"` is `bellhop`.
    pub fn start_shell(line: &str, home: &Path, server: &str) -> Terminal {
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", line]);
        command.arg(binary("bellhop"));
        Terminal::run(command, home, server, (80, 24), &[("PATH", "/usr/bin:/bin")])
    }

    fn run(
        mut command: CommandBuilder,
        home: &Path,
        server: &str,
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Terminal {
        let pair = native_pty_system().openpty(pty_size(columns, rows)).unwrap();
        command.env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("BELLHOP_SERVER", server)] {
            command.env(name, value);
        }
        command.env("BELLHOP_HOME", home);
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = Program(pair.slave.spawn_command(command).unwrap());
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(count(rows), count(columns), 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let shared = (screen.clone(), full.clone(), written.clone());
        // Ends with the terminal: nothing is left to read when the program and its terminal are gone.
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shared.2.lock().unwrap().extend_from_slice(&bytes[..count]);
                shared.0.lock().unwrap().process(&bytes[..count]);
                if shared.1.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Terminal { child, keys, screen, written, full, reader, master: pair.master }
    }

    /// The screen of somebody who makes an account at this server or, with a home that knows them, comes back.
    #[track_caller]
    pub fn of(name: &str, home: &Path, server: SocketAddr, size: (u16, u16)) -> Terminal {
        let mut terminal = Terminal::start_sized(&[], home, &server.to_string(), size);
        terminal.comes_to("a login", |contents| contents.contains("Welcome") || contents.contains("online"));
        if terminal.contents().contains("Welcome") {
            terminal.types(&format!("{name}\x0e\r"));
        }
        terminal.shows("online");
        terminal
    }

    /// What is on the screen, row by row.
    pub fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// The row that holds `text`.
    #[track_caller]
    pub fn row(&self, text: &str) -> String {
        let contents = self.contents();
        let row = contents.lines().find(|line| line.contains(text));
        row.unwrap_or_else(|| panic!("no {text}: {contents}")).to_owned()
    }

    /// Column and row of the caret, from 0.
    pub fn caret(&self) -> (u16, u16) {
        let (row, column) = self.screen.lock().unwrap().screen().cursor_position();
        (column, row)
    }

    /// Waits until the caret is in this column.
    #[track_caller]
    pub fn has_caret_in(&self, column: u16) {
        let there = waited(PATIENCE, || (self.caret().0 == column).then_some(()));
        assert!(there.is_some(), "the caret is at {:?}, not in {column}:\n{}", self.caret(), self.contents());
    }

    /// What stands in each cell, and the colour behind it.
    pub fn cells(&self, mut each: impl FnMut(&str, vt100::Color)) {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let places = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        for cell in places.filter_map(|(row, column)| screen.cell(row, column)) {
            each(cell.contents(), cell.bgcolor());
        }
    }

    /// Every byte that reached the terminal.
    pub fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }

    /// How many they are.
    pub fn written_count(&self) -> usize {
        self.written.lock().unwrap().len()
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.0.process_id().unwrap()
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.comes_to(text, |contents| contents.contains(text));
    }

    /// Waits until the screen is as `check` wants it.
    #[track_caller]
    pub fn comes_to(&self, what: &str, check: impl FnMut(&str) -> bool) {
        self.comes_within(PATIENCE, what, check);
    }

    /// The same for what may take longer by its nature.
    #[track_caller]
    pub fn comes_within(&self, patience: Duration, what: &str, mut check: impl FnMut(&str) -> bool) {
        let shown = waited(patience, || check(&self.contents()).then_some(()));
        assert!(shown.is_some(), "waited in vain for {what:?} in\n{}", self.contents());
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Presses keys, and waits until something is drawn.
    #[track_caller]
    pub fn draws(&mut self, keys: &str) {
        let before = self.written_count();
        self.types(keys);
        self.comes_to("something drawn", |_| self.written_count() > before);
    }

    /// Types a line, as a person does, and presses Enter when it is there.
    #[track_caller]
    pub fn enters(&mut self, line: &str) {
        // The mark before the box tells a message from an operation typed by hand.
        let in_box = [format!("> {line}"), format!("# {line}")];
        let has = |contents: &str| in_box.iter().any(|line| contents.contains(line));
        self.types(line);
        self.comes_to(line, has);
        self.types("\r");
        self.comes_to("an empty box", |contents| !has(contents));
    }

    /// Opens the conversation with somebody.
    #[track_caller]
    pub fn opens(&mut self, name: &str) {
        self.enters(&format!("/open {name}"));
        self.is_open(name);
    }

    /// Waits until the conversation with somebody is the open one.
    #[track_caller]
    pub fn is_open(&self, name: &str) {
        self.comes_to(name, |contents| {
            contents.lines().next().is_some_and(|title| title.trim().starts_with(name))
        });
    }

    /// Changes the size of the window.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(count(rows), count(columns));
        self.master.resize(pty_size(columns, rows)).unwrap();
    }

    /// True if and only if clicks and the wheel are reported.
    pub fn reports_mouse(&self) -> bool {
        self.screen.lock().unwrap().screen().mouse_protocol_mode() != vt100::MouseProtocolMode::None
    }

    /// True if and only if the screen is one of its own, as programs that draw use.
    pub fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Waits until the terminal is as it was found: the usual screen, with a caret, and nothing reported.
    #[track_caller]
    pub fn is_restored(&self) {
        let restored = waited(PATIENCE, || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            let as_found = !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None;
            as_found.then_some(())
        });
        assert!(restored.is_some(), "the terminal is not given back");
    }

    /// Somebody else uses the terminal, as a shell does while the program is stopped.
    pub fn is_left_to_others(&self) {
        self.screen.lock().unwrap().process(b"\x1b[?1049l\x1b[2J");
    }

    /// Takes nothing any more of what the program writes, as a terminal whose window hangs.
    pub fn takes_nothing_more(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    /// Closes the terminal as a window is closed. Returns the program that ran in it.
    pub fn closes(mut self) -> Orphan {
        self.takes_nothing_more();
        wait_for("the reader", || {
            // What is drawn again wakes it up.
            self.types("\x0c");
            self.reader.is_finished().then_some(())
        });
        Orphan(self.child)
    }

    /// True if and only if the program has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the end of the program: its exit code.
    pub fn ends(&mut self) -> u32 {
        self.child.0.wait().unwrap().exit_code()
    }
}

/// A program that is ended with what it runs in.
struct Program(Box<dyn Child + Send + Sync>);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program whose terminal has gone.
pub struct Orphan(Program);

impl Orphan {
    /// Waits for the end of the program: its exit code.
    #[track_caller]
    pub fn ends(&mut self) -> u32 {
        wait_for("the end", || self.0.0.try_wait().unwrap()).exit_code()
    }
}

fn count(of: u16) -> NonZeroU16 {
    NonZeroU16::new(of).unwrap()
}

fn pty_size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}
