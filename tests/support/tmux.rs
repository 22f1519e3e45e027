//! A client within tmux, which is a terminal of its own: it sends keys, pastes, and tells what state it is in.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::process::binary;
use crate::tools::has;
use crate::wait::wait_for;

/// True if and only if tmux is here.
pub fn has_tmux() -> bool {
    has("tmux", &["-V"])
}

/// A server of tmux with one window in it, gone with the value.
pub struct Tmux {
    socket: TempDir,
}

impl Tmux {
    /// Runs `bellhop` with these arguments, written as a shell takes them, and tells with which code it ended.
    pub fn start(arguments: &str, home: &Path, server: &str, (columns, rows): (u16, u16)) -> Tmux {
        let tmux = Tmux { socket: tempfile::tempdir().unwrap() };
        let line = format!(
            "BELLHOP_HOME={} BELLHOP_SERVER={server} {} {arguments}; echo \"ended with $?\"; exec sleep 600",
            home.display(),
            binary("bellhop").display(),
        );
        let size = [columns.to_string(), rows.to_string()];
        tmux.says(&["new-session", "-d", "-x", &size[0], "-y", &size[1], &line]);
        // So long tmux itself holds an Escape.
        tmux.says(&["set-option", "-sg", "escape-time", "10"]);
        tmux
    }

    fn says(&self, arguments: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-f", "/dev/null", "-S"]).arg(self.socket.path().join("socket")).args(arguments);
        tmux.env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        let output = tmux.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What is on the screen.
    pub fn contents(&self) -> String {
        self.says(&["capture-pane", "-p"])
    }

    /// Presses keys by tmux's names for them.
    pub fn key(&self, names: &[&str]) {
        self.says(&[&["send-keys"], names].concat());
    }

    /// Types text.
    pub fn types(&self, text: &str) {
        self.says(&["send-keys", "-l", "--", text]);
    }

    /// Sends bytes as they are, in hex.
    pub fn bytes(&self, bytes: &[&str]) {
        self.says(&[&["send-keys", "-H"], bytes].concat());
    }

    /// Pastes text between the marks of a paste. tmux puts a carriage return between its lines.
    pub fn pastes(&self, text: &str) {
        self.says(&["set-buffer", "-b", "p", "--", text]);
        self.says(&["paste-buffer", "-p", "-d", "-b", "p"]);
    }

    /// Changes the size of the window.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.says(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// What tmux knows of the terminal, as `#{alternate_on}`.
    pub fn state(&self, format: &str) -> String {
        self.says(&["display-message", "-p", format]).trim().to_owned()
    }

    /// The id of the program in the window.
    pub fn id(&self) -> u32 {
        let shell = self.state("#{pane_pid}");
        wait_for("the program", || {
            let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.comes_to(text, |contents| contents.contains(text));
    }

    /// Waits until the screen is as `check` wants it.
    #[track_caller]
    pub fn comes_to(&self, what: &str, mut check: impl FnMut(&str) -> bool) {
        let shown = crate::wait::waited(crate::wait::PATIENCE, || check(&self.contents()).then_some(()));
        assert!(shown.is_some(), "waited in vain for {what:?} in\n{}", self.contents());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ =
            Command::new("tmux").arg("-S").arg(self.socket.path().join("socket")).arg("kill-server").output();
    }
}
