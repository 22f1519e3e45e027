//! A person's desk: a server, a home, and the binary run there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use tempfile::TempDir;

use crate::server::Server;

pub(crate) struct Desk {
    pub(crate) server: Server,
    pub(crate) home: TempDir,
}

pub(crate) fn desk() -> Desk {
    let server = Server::start();
    server.account("alice", None);
    server.account("bob", None);
    Desk { server, home: tempfile::tempdir().expect("a folder") }
}

impl Desk {
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        command.env_clear();
        // Windows programs do not start without these.
        for name in ["PATH", "SYSTEMROOT", "TEMP"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("BELLHOP_HOME", self.home.path()).env("BELLHOP_SERVER", self.server.address.to_string());
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn as_alice(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).env("BELLHOP_USER", "alice").output().expect("it runs"))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().expect("it runs"))
    }

    pub(crate) fn piped(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        self.feed(self.command(arguments).env("BELLHOP_USER", "alice"), stdin)
    }

    pub(crate) fn feed(&self, command: &mut Command, stdin: &[u8]) -> Ran {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        // It may end before it has read everything.
        let _ = child.stdin.take().expect("piped").write_all(stdin);
        Ran::new(child.wait_with_output().expect("it ends"))
    }

    pub(crate) fn password(&self, password: &str) -> String {
        let path = self.home.path().join("password");
        std::fs::write(&path, format!("{password}\n")).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
        }
        path.to_string_lossy().into_owned()
    }

    /// The history of the programs that run here.
    pub(crate) fn history(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.home.path().join("history.sqlite")).expect("a history")
    }

    /// A program that goes on, and its lines as they come.
    pub(crate) fn spawn(&self, user: &str, arguments: &[&str]) -> (Child, mpsc::Receiver<String>) {
        let mut command = self.command(arguments);
        command.env("BELLHOP_USER", user).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (lines, read) = mpsc::sync_channel(1_000);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        (child, read)
    }
}

/// How a program ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Ended well with this on stdout.
    #[track_caller]
    pub(crate) fn prints(&self, stdout: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(0), stdout), "{}", self.stderr);
    }

    /// Failed with this code, a reason that holds `reason`, and nothing on stdout.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, reason: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        assert!(self.stderr.contains(reason), "{:?} does not say {reason:?}", self.stderr);
        assert!(!self.stderr.contains('\x1b'), "escape codes in {:?}", self.stderr);
    }
}

pub(crate) fn json(line: &str) -> serde_json::Value {
    let value: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    assert!(line.starts_with("{\"v\":1,"), "{line}");
    value
}
