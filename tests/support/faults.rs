//! System calls of a real server that fail or take long, by way of strace.
//!
//! strace counts the calls of each thread for itself. A fault at the start counts from the first call of the process, so
//! that low numbers meet the opening of the files; a fault while running counts from a moment at which the server works.
//! Whether the call was reached is read from strace's log: a fault that never happened shows nothing.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::checker::Verdict;
use crate::load::{FREE, Load, Recipient, Work};
use crate::peer::Peer;
use crate::process::{Process, binary};
use crate::server::Home;
use crate::tools::has;
use crate::wait::{wait_for, waited};

/// How long a server has to reach its first call; later ones have more time.
const REACH: Duration = Duration::from_secs(1);
const REACH_EACH: Duration = Duration::from_millis(20);
/// How long a server that was told of a failure has to say that it ends, before it is taken to go on.
const END: Duration = Duration::from_millis(300);

/// When the counting of calls begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With the process.
    Start,
    /// While it works.
    Running,
}

/// A fault: which call fails, how, and which one of them.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The system call.
    pub call: &'static str,
    /// What it returns in place of doing anything.
    pub error: &'static str,
    /// The number of the first one that fails.
    pub when: u32,
    /// True where all further ones fail too.
    pub for_ever: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = if self.for_ever { "+" } else { "" };
        write!(f, "{}:error={}:when={}{on}", self.call, self.error, self.when)
    }
}

/// What became of a server with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endured {
    /// True if and only if the fault happened.
    pub reached: bool,
    /// True if and only if the server ended because of it.
    pub ended: bool,
    /// Messages kept, before and after.
    pub kept: usize,
}

/// True if and only if strace works here.
pub fn has_strace() -> bool {
    has("strace", &["-qq", "--seccomp-bpf", "--follow-forks", "--output=/dev/null", "true"])
}

/// A server, what it complained of, and the tracer that disturbs it.
pub struct Disturbed {
    server: Result<Process, ExitStatus>,
    tracer: Option<Child>,
    complaints: PathBuf,
    trace: PathBuf,
}

impl Disturbed {
    /// A server whose system calls are disturbed by this expression (`strace --inject`).
    pub fn start(home: &Home, moment: Moment, inject: &str, args: &[&str]) -> Disturbed {
        let (complaints, trace) = (home.path().join("complaints"), home.path().join("trace"));
        let _ = fs::remove_file(&trace);
        let call = inject.split(':').next().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["--follow-forks", "-qqq", "--output"]).arg(&trace);
        strace.arg(format!("--trace={call}")).arg(format!("--inject={inject}"));
        let stderr = || Stdio::from(File::create(&complaints).unwrap());
        let args: Vec<&str> = FREE.iter().chain(args).copied().collect();
        if moment == Moment::Start {
            strace.arg("--seccomp-bpf").arg(binary("bellhop-server")).stderr(stderr());
            let server = Process::try_start_as(&mut strace, &home.data(), &args);
            return Disturbed { server, tracer: None, complaints, trace };
        }
        let mut command = Command::new(binary("bellhop-server"));
        let server = Process::start_as(command.stderr(stderr()), &home.data(), &args);
        // An account is made in a commit that has what a start writes by itself: what is counted from here on is the
        // test's.
        drop(Peer::login(server.addr(), &format!("settled-{}", server.id())));
        strace.arg("--attach").arg(server.id().to_string());
        let tracer = strace.stderr(Stdio::null()).spawn().unwrap();
        let disturbed = Disturbed { server: Ok(server), tracer: Some(tracer), complaints, trace };
        wait_for("strace to hold every thread", || disturbed.is_traced().then_some(()));
        disturbed
    }

    fn is_traced(&self) -> bool {
        let Ok(server) = &self.server else { return true };
        let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
        tasks.flatten().all(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            !status.lines().any(|line| line.trim_end() == "TracerPid:\t0")
        })
    }

    /// The server; `None` where it ended before it listened.
    pub fn server(&self) -> Option<&Process> {
        self.server.as_ref().ok()
    }

    /// True if and only if the fault has happened.
    pub fn is_reached(&self) -> bool {
        let trace = fs::read(&self.trace).unwrap_or_default();
        [&b"(INJECTED)"[..], b"(DELAYED)"].iter().any(|mark| trace.windows(mark.len()).any(|at| at == *mark))
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        match &mut self.server {
            Ok(server) => server.ended(),
            Err(status) => Some(*status),
        }
    }

    /// Kills the server, where it lives.
    pub fn kill(&mut self) {
        if let Ok(server) = &mut self.server {
            server.end();
        }
        if let Some(mut tracer) = self.tracer.take() {
            // It ends with what it traces.
            tracer.wait().unwrap();
        }
    }

    /// What it wrote to its standard error.
    pub fn complaints(&self) -> String {
        fs::read_to_string(&self.complaints).unwrap()
    }

    /// An end that nobody asked for has a status that says so, and says why in one line.
    #[track_caller]
    fn has_ended_in_order(&self, status: ExitStatus, fault: &str) {
        let complaints = self.complaints();
        assert!(status.code().is_some_and(|code| code != 0), "{fault}: {status}: {complaints}");
        // The loader of programs complains in its own way of libraries that it cannot open.
        let reasons = complaints.lines().filter(|line| {
            line.starts_with("bellhop-server: ") || line.contains("error while loading shared libraries")
        });
        assert_eq!(reasons.count(), 1, "{fault}: {status}: {complaints}");
    }
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a server with a fault under load, and another one without it after that. Nothing that was kept is lost, nothing
/// comes twice or out of order, and everything arrives.
///
/// # Panics
///
/// Where a promise is broken; the message has the fault.
#[track_caller]
pub fn endure(fault: &Fault, moment: Moment) -> Endured {
    let (home, inject) = (Home::new(), fault.to_string());
    // Work that was done before, so that there is something to open and to read.
    let before = Process::start(&home.data(), &FREE);
    let mut load = Load::start(
        before.addr(),
        Work { recipient: Recipient::Late, senders: 2, unanswered: 4, padding: 100 },
    );
    load.progress(40);
    before.kill();

    let mut disturbed = Disturbed::start(&home, moment, &inject, &[]);
    if let Some(server) = disturbed.server() {
        load.moves_to(server.addr());
    }
    load.receive();
    waited(REACH + REACH_EACH * fault.when, || {
        (disturbed.is_reached() || disturbed.ended().is_some()).then_some(())
    });
    let reached = disturbed.is_reached();
    let ended = if reached { waited(END, || disturbed.ended()) } else { disturbed.ended() };
    if let Some(status) = ended {
        disturbed.has_ended_in_order(status, &inject);
    }
    if fault.error == "ENOSPC" && moment == Moment::Running {
        assert_eq!(ended, None, "{inject}: a full disk is no reason to end: {}", disturbed.complaints());
        if !fault.for_ever {
            load.progress(1);
        }
    }
    if (fault.call, fault.error) == ("fsync", "EIO") && fault.for_ever && reached {
        assert!(ended.is_some(), "{inject}, {moment:?}: nothing can be kept, and the server accepts on");
    }
    disturbed.kill();
    assert!(!disturbed.complaints().contains("panicked"), "{inject}: {}", disturbed.complaints());

    let after = Process::start(&home.data(), &FREE);
    load.moves_to(after.addr());
    let (verdict, kept) = load.finish();
    assert_eq!(verdict, Verdict::default(), "{inject}, {moment:?}, {kept} messages");
    Endured { reached, ended: ended.is_some(), kept }
}

/// What a sweep over many faults showed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sweep {
    /// Servers that ran with a fault.
    pub runs: u32,
    /// In how many of them it happened.
    pub reached: u32,
    /// How many servers ended because of it.
    pub ended: u32,
}

/// Servers that run at once: they wait more than they work.
const AT_ONCE: usize = 4;

/// Lets the n-th call fail for each of these numbers, from the start and while running, once or for ever by turns.
///
/// # Panics
///
/// Where a promise is broken, and where no fault ever happened.
#[track_caller]
pub fn sweep(call: &'static str, error: &'static str, numbers: impl IntoIterator<Item = u32>) -> Sweep {
    let mut sweep = Sweep::default();
    let numbers: Vec<u32> = numbers.into_iter().collect();
    for moment in [Moment::Start, Moment::Running] {
        for some in numbers.chunks(AT_ONCE) {
            let faults = some.iter().map(|when| Fault { call, error, when: *when, for_ever: when % 2 == 0 });
            let runs: Vec<_> = faults.map(|fault| thread::spawn(move || endure(&fault, moment))).collect();
            let endured: Vec<Endured> = runs
                .into_iter()
                .map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect();
            for endured in &endured {
                sweep.runs += 1;
                sweep.reached += u32::from(endured.reached);
                sweep.ended += u32::from(endured.ended);
            }
            // A server that makes fewer calls than this makes no more of them for higher numbers.
            if !endured.iter().any(|endured| endured.reached) {
                break;
            }
        }
    }
    assert!(sweep.reached > 0, "no {call} ever failed: {sweep:?}");
    sweep
}
