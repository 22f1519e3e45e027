//! A server as a process of its own, which can be killed at any moment.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::wait::waited;

/// The path of one of the workspace's binaries, built with the profile of the tests.
pub fn binary(name: &'static str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        // target/PROFILE/deps/this-test, or a program of the workspace: target/PROFILE/this-program
        let this = std::env::current_exe().unwrap();
        let folder = this.parent().unwrap();
        let profile = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder }.to_owned();
        let target = profile.parent().unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // With this package among them, all is built with the features that it was built with before.
        cargo.args(["build", "--quiet", "--bins"]);
        cargo.args(["--package", "bellhop-server", "--package", "bellhop", "--package", "bellhop-tests"]);
        cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
        cargo.arg("--target-dir").arg(target);
        // What cargo tells of this test's package would have it build anew what looks at it.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.starts_with(of)))
            {
                cargo.env_remove(name);
            }
        }
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the binaries build");
        profile
    });
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A running server process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    addr: SocketAddr,
    fingerprint: String,
}

impl Process {
    /// Starts the server with these arguments, on port 0 unless they say otherwise, and waits until it is ready.
    pub fn start(data: &Path, args: &[&str]) -> Process {
        Process::start_as(&mut Command::new(binary("bellhop-server")), data, args)
    }

    /// The same where clients look for it: on the address of one that was killed.
    pub fn start_on(addr: SocketAddr, data: &Path, args: &[&str]) -> Process {
        let mut command = Command::new(binary("bellhop-server"));
        Process::spawn(&mut command, &addr.port().to_string(), data, args)
    }

    /// Starts it by way of another command, such as `strace`, which has the server's path as its last argument.
    pub fn start_as(command: &mut Command, data: &Path, args: &[&str]) -> Process {
        Process::spawn(command, "0", data, args)
    }

    /// The same; how it ended where it ended before it listened.
    pub fn try_start_as(command: &mut Command, data: &Path, args: &[&str]) -> Result<Process, ExitStatus> {
        Process::try_spawn(command, "0", data, args)
    }

    fn spawn(command: &mut Command, port: &str, data: &Path, args: &[&str]) -> Process {
        Process::try_spawn(command, port, data, args).expect("the server says where it listens")
    }

    fn try_spawn(
        command: &mut Command,
        port: &str,
        data: &Path,
        args: &[&str],
    ) -> Result<Process, ExitStatus> {
        let mut child = command
            .args([port, "--listen", "127.0.0.1", "--log", "warn", "--data"])
            .arg(data)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(line) = lines.next() else { return Err(child.wait().unwrap()) };
        let line = line.unwrap();
        let addr = line.strip_prefix("listening on ").expect("the line of PROTOCOL").parse().unwrap();
        let fingerprint = lines
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("fingerprint ").map(str::to_owned))
            .expect("the server says what it is known by");
        Ok(Process { child, addr, fingerprint })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it is known by.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its process id; under a tracer, the server's own.
    pub fn id(&self) -> u32 {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().next().map_or(id, |child| child.parse().unwrap())
    }

    /// Kills it without warning.
    pub fn kill(mut self) {
        self.end();
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The same where it is held by others than its owner.
    pub fn end(&mut self) {
        // A tracer that is killed lets go of the server and leaves it alone.
        #[cfg(unix)]
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let id = rustix::process::Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
        #[cfg(not(unix))]
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, as a service manager would.
    #[cfg(unix)]
    pub fn terminate(self) -> ExitStatus {
        self.signal("-TERM")
    }

    /// Sends it a signal and waits for its end.
    #[cfg(unix)]
    pub fn signal(mut self, signal: &str) -> ExitStatus {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The longest that a program runs whose end is waited for: the checks of clocks take two minutes.
const RUN_MAX: Duration = Duration::from_secs(300);

/// Runs a program to its end: its status, what it said, and what it complained of.
///
/// # Panics
///
/// Where it goes on and on, such as a server that should have refused to start.
pub fn run(command: &mut Command) -> (ExitStatus, String, String) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (said, complaints) = (text_of(child.stdout.take().unwrap()), text_of(child.stderr.take().unwrap()));
    let ended = waited(RUN_MAX, || child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
    }
    let (said, complaints) = (said.join().unwrap(), complaints.join().unwrap());
    (ended.unwrap_or_else(|| panic!("{command:?} does not end: {said}{complaints}")), said, complaints)
}

fn text_of(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}
