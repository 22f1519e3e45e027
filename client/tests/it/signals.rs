//! INT, TERM and HUP end every command at once, whatever it waits for, and leave the terminal as it was.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::desk::{Desk, Ran, desk, json};
use crate::support::{PATIENCE, until};

fn kill(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

#[test]
fn signals_have_their_codes_and_lose_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let desk = desk();
        desk.server.deliver("bob", "alice", "one");
        let (mut child, lines) = desk.spawn("bob", &["listen"]);
        lines.recv_timeout(PATIENCE).expect("a line");
        kill(&child, signal);
        assert_eq!(child.wait().expect("it ends").code(), Some(code));
        assert_eq!(desk.server.unacknowledged("bob"), 0, "what was printed is acknowledged");
    }
}

/// Nothing was said, though the message may have arrived.
#[test]
fn a_send_that_is_interrupted_says_what_is_not_known() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let desk = desk();
        desk.server.world().silent_posts = 1;
        let mut command = desk.command(&["--json", "--quiet", "send", "bob", "one"]);
        command.env("BELLHOP_USER", "alice").stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("it runs");
        until("it was sent", || desk.server.texts("bob").len() == 1);
        kill(&child, signal);
        let ended = Ran::new(child.wait_with_output().expect("it ends"));
        ended.fails(code, "run the same command again");
        assert_eq!(json(&ended.stderr)["exit"].as_i64(), Some(code.into()));
        assert!(desk.as_alice(&["send", "bob", "one"]).stdout.starts_with("sent "));
        assert_eq!(desk.server.texts("bob"), ["one"]);
    }
}

/// It was waited for on the only thread, and the signals had been taken from the system.
#[test]
fn a_command_that_prints_no_password_yet_holds_no_signal_up() {
    for arguments in [&["send", "bob", "hi"][..], &["tui", "--plain"], &["login"]] {
        let desk = desk();
        let (server, fifo) = (desk.server.address, desk.home.path().join("fifo"));
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("it is there");
        assert!(made.success());
        let command = format!("touch {0}; cat {1}", desk.home.path().join("began").display(), fifo.display());
        let config = format!("server = '{server}'\nuser = 'alice'\npassword_cmd = '{command}'\n");
        let path = desk.home.path().join("config.toml");
        std::fs::write(&path, config).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("ours");
        let mut command = desk.command(arguments);
        command.env_remove("BELLHOP_SERVER").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        until("the command runs", || desk.home.path().join("began").exists());
        kill(&child, Signal::TERM);
        until("it has ended", || child.try_wait().expect("ours").is_some());
        assert_eq!(child.wait().expect("ours").code(), Some(143), "{arguments:?}");
        // The command may go as well.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("ours"));
    }
}

/// A reader that pauses kept the only thread in its write, and the signals had been taken from the system.
///
/// What lies in the pipe when it ends was read by nobody, and comes again.
#[test]
fn a_reader_that_pauses_holds_no_signal_up() {
    for (command, signal, code) in [("listen", Signal::TERM, 143), ("deliver", Signal::INT, 130)] {
        let desk = desk();
        for number in 0..9 {
            desk.server.deliver("bob", "alice", &number.to_string());
        }
        let mut command = desk.command(&["--json", command]);
        command.env("BELLHOP_USER", "bob").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        let mut stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        for read in 1..=3 {
            line.clear();
            // One byte at a time: what follows stays in the pipe.
            while !line.ends_with('\n') {
                let mut byte = [0];
                stdout.read_exact(&mut byte).expect("a line");
                line.push(char::from(byte[0]));
            }
            assert_eq!(json(&line)["text"].as_str(), Some((read - 1).to_string().as_str()));
            until("what was read is acknowledged", || desk.server.unacknowledged("bob") == 9 - read);
        }
        kill(&child, signal);
        let mut ended = None;
        until("it ends", || {
            ended = child.try_wait().expect("a state");
            ended.is_some()
        });
        assert_eq!(ended.expect("it ended").code(), Some(code));
        assert_eq!(desk.server.unacknowledged("bob"), 6, "nobody has read more");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("UTF-8");
        assert!(rest.lines().count() <= 1, "written before the line in front of it was read: {rest}");
    }
}

/// A command on a terminal.
pub(crate) struct Asked {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    pub(crate) keys: Box<dyn Write + Send>,
    shown: mpsc::Receiver<Vec<u8>>,
    pub(crate) text: String,
    /// What a terminal shows of it.
    screen: vt100::Parser,
}

impl Asked {
    pub(crate) fn new(desk: &Desk, arguments: &[&str]) -> Asked {
        let pair = native_pty_system().openpty(PtySize::default()).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_bellhop"));
        command.args(arguments);
        command.env_clear();
        command.env("BELLHOP_HOME", desk.home.path());
        command.env("BELLHOP_SERVER", desk.server.address.to_string());
        let child = pair.slave.spawn_command(command).expect("it runs");
        let mut output = pair.master.try_clone_reader().expect("readable");
        let (told, shown) = mpsc::sync_channel(100);
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if told.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().expect("writable");
        let screen = vt100::Parser::default();
        Asked { child, master: pair.master, keys, shown, text: String::new(), screen }
    }

    /// All that it has shown until now.
    pub(crate) fn rest(&mut self) -> &str {
        for bytes in self.shown.try_iter() {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        &self.text
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    #[track_caller]
    pub(crate) fn shows(&mut self, words: &str) {
        while !self.text.contains(words) && !self.screen.screen().contents().contains(words) {
            let more = self.shown.recv_timeout(PATIENCE);
            let bytes = more.unwrap_or_else(|_| panic!("no {words:?} in {:?}", self.text));
            self.screen.process(&bytes);
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Waits until the words are on the screen no more.
    #[track_caller]
    pub(crate) fn hides(&mut self, words: &str) {
        while self.screen.screen().contents().contains(words) {
            let more = self.shown.recv_timeout(PATIENCE);
            let bytes = more.unwrap_or_else(|_| panic!("{words:?} stays in {:?}", self.text));
            self.screen.process(&bytes);
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    #[track_caller]
    pub(crate) fn ends_with(&mut self, code: u32) {
        let mut ended = None;
        until("it ends", || {
            ended = self.child.try_wait().expect("a state");
            ended.is_some()
        });
        let ended = ended.expect("it ended");
        assert_eq!((ended.exit_code(), ended.signal()), (code, None), "{}", self.text);
    }

    fn kill(&self, signal: Signal) {
        let id = self.id().cast_signed();
        kill_process(Pid::from_raw(id).expect("an id"), signal).expect("it runs");
    }
}

impl Drop for Asked {
    /// Its home is free for whoever comes next.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Half of the time the question was asked after the signals had been taken from the system, and held the only thread.
#[test]
fn a_question_can_be_left() {
    let desk = desk();
    for _ in 0..6 {
        let mut asked = Asked::new(&desk, &["delete", "bob"]);
        asked.shows("Type the name");
        asked.keys.write_all(b"\x03").expect("it reads");
        asked.ends_with(130);
    }
    let mut asked = Asked::new(&desk, &["delete", "bob"]);
    asked.shows("Type the name");
    asked.keys.write_all(b"bob\n").expect("it reads");
    asked.shows("Password");
    asked.keys.write_all(b"\r").expect("it reads");
    asked.shows("deleted bob");
    asked.ends_with(0);
}

/// The prompt for a password stayed, or left the terminal without echo.
#[test]
fn a_password_prompt_gives_the_terminal_back() {
    let desk = desk();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        for _ in 0..3 {
            let mut asked = Asked::new(&desk, &["create", "carol"]);
            asked.shows("Password");
            until("nothing is echoed", || !asked.master.get_termios().is_some_and(|found| echoes(&found)));
            asked.kill(signal);
            asked.ends_with(code);
            assert!(
                asked.master.get_termios().is_some_and(|found| echoes(&found)),
                "the terminal is left raw"
            );
        }
    }
    let mut asked = Asked::new(&desk, &["create", "carol"]);
    asked.shows("Password");
    asked.keys.write_all(b"open sesamy\x7fe\r").expect("it reads");
    asked.shows("The same again");
    asked.keys.write_all(b"nonsense\x15open sesame\r").expect("it reads");
    asked.shows("created carol");
    asked.ends_with(0);
    assert!(!asked.text.contains("sesam"), "{}", asked.text);
    assert_eq!(desk.server.world().accounts["carol"].password.as_deref(), Some("open sesame"));
}

#[test]
fn a_window_without_room_is_survived() {
    let desk = desk();
    let mut screen = Asked::new(&desk, &["tui", "--demo"]);
    screen.shows("sent from the train");
    for (rows, cols) in [(0, 0), (0, 80), (24, 0), (1, 1), (2, 1), (1, 300), (u16::MAX, 1), (0, 0)] {
        screen.master.resize(PtySize { rows, cols, ..PtySize::default() }).expect("a size");
        screen.keys.write_all(b"x").expect("it reads");
    }
    screen.master.resize(PtySize::default()).expect("a size");
    screen.keys.write_all(b"\x0c").expect("it reads");
    screen.shows("> xxxxxxxx");
    screen.kill(Signal::TERM);
    screen.ends_with(143);
    assert!(screen.master.get_termios().is_some_and(|found| echoes(&found)), "the terminal is left raw");
}

/// The message was on disk and its acknowledgement nowhere, when the program was killed: it comes again, and is known.
#[test]
fn what_was_written_down_and_not_acknowledged_is_shown_once() {
    let desk = desk();
    desk.server.world().deaf_to_acks = true;
    for round in 1..=3 {
        let mut screen = Asked::new(&desk, &["--user", "bob"]);
        screen.shows("online");
        desk.server.deliver("bob", "alice", &format!("saying {round}."));
        screen.keys.write_all(b"/open alice\r").expect("it reads");
        screen.shows(&format!("saying {round}."));
        screen.kill(Signal::KILL);
        until("it has gone", || screen.child.try_wait().expect("a state").is_some());
    }
    assert_eq!(desk.server.unacknowledged("bob"), 3, "the server has heard of none of them");
    desk.server.world().deaf_to_acks = false;
    let mut screen = Asked::new(&desk, &["--user", "bob"]);
    screen.shows("saying 3.");
    until("all are acknowledged", || desk.server.unacknowledged("bob") == 0);
    let kept: u32 =
        desk.history().query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).expect("a count");
    let contents = screen.screen.screen().contents();
    assert_eq!((kept, contents.matches("saying ").count()), (3, 3), "{contents}");
}

/// Only the library of the pseudo terminal names the type, and only its `Debug` tells without a further dependency.
fn echoes(found: &impl std::fmt::Debug) -> bool {
    format!("{found:?}").contains("ECHO |")
}
