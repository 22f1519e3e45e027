//! The steps: a row, a name, and how it is run.

use crate::{fuzzed::fuzzed, jumps, vanish};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use bellhop_tests::bounded::has_prlimit;
use bellhop_tests::costs;
use bellhop_tests::disks::{full_disk, has_small_disks, slow_disk};
use bellhop_tests::faults::{has_strace, sweep};
use bellhop_tests::floods::{self, Figures, Look, PHASES, Slow};
use bellhop_tests::powerloss::Recording;
use bellhop_tests::process::binary;
use bellhop_tests::tools::has;

/// A step of the drill.
pub(crate) struct Step {
    /// What it is the proof of.
    pub(crate) row: &'static str,
    /// Its name, which is also how it is chosen.
    pub(crate) name: &'static str,
    how: How,
}

enum How {
    /// A function that is given the seed and panics where a promise is broken.
    Run(fn(u64) -> Shown),
    /// Tests of a package whose names contain a word, with amounts in their environment.
    Tests { package: &'static str, filter: &'static str, amounts: &'static [(&'static str, &'static str)] },
}

/// What a step showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// How much of it.
    pub(crate) amount: String,
    /// In how much of that something was wrong.
    pub(crate) failures: u64,
    /// What else is worth a word; of a failure, what was wrong.
    pub(crate) remark: String,
}

const IT: &str = "bellhop-tests";

const fn run(row: &'static str, name: &'static str, how: fn(u64) -> Shown) -> Step {
    Step { row, name, how: How::Run(how) }
}

const fn tests(
    row: &'static str,
    name: &'static str,
    package: &'static str,
    filter: &'static str,
    amounts: &'static [(&'static str, &'static str)],
) -> Step {
    Step { row, name, how: How::Tests { package, filter, amounts } }
}

/// All steps, in the order in which they run.
pub(crate) const STEPS: &[Step] = &[
    tests("F1", "kills", IT, "killed_at_random_moments", &[("BELLHOP_KILLS", "200")]),
    run("F2", "power loss", power_loss),
    tests("F3", "ends under load", IT, "terminated_under_load", &[("BELLHOP_ENDS", "50")]),
    tests("F4", "starts killed at every call", IT, "is_killed_anywhere", &[("BELLHOP_START_STEP", "1")]),
    run("F5", "fsync fails", |_| swept("fsync", "EIO")),
    run("F6", "pwrite64 fails", |_| swept("pwrite64", "EIO")),
    run("F6", "pread64 fails", |_| swept("pread64", "EIO")),
    run("F6", "ftruncate fails", |_| swept("ftruncate", "EIO")),
    run("F6", "openat fails", |_| swept("openat", "EIO")),
    run("F6 F7", "pwrite64 finds no room", |_| swept("pwrite64", "ENOSPC")),
    run("F7", "full disk", |_| fill_disk(&["--limit", "disk-free=off"])),
    run("F7", "disk below its reserve", |_| fill_disk(&[])),
    run("F8", "slow disk", |_| slow_syncs()),
    tests("F10", "damaged databases", "bellhop-server", "store::damage", &[("BELLHOP_FLIPS", "1000")]),
    tests("F20", "too few threads", IT, "without_threads", &[]),
    tests("F21", "a server that is stopped", IT, "was_stopped", &[("BELLHOP_STOPPED_S", "120")]),
    tests("F11 F12 F13 F14 F22", "networks", IT, "links::", &[]),
    run("F13", "network taken away", |_| vanish::run()),
    run("F23", "clocks that jump", |_| jumps::run()),
    run("F15", "readers who never read", |_| judged(floods::never_read(1_000, 512 * 1024, false, LOOK))),
    run("F15", "readers who never read over TLS", |_| {
        judged(floods::never_read(1_000, 512 * 1024, true, LOOK))
    }),
    run("F16", "slow senders from 4 addresses", |_| slow_senders(4, 99)),
    run("F16", "slow senders from 250 addresses", |_| slow_senders(250, 50)),
    run("F17", "connections that say nothing", |_| judged(floods::connect_flood(200, FLOOD))),
    run("F18", "more connections than files", |_| judged(floods::few_files(400, Duration::from_secs(20)))),
    tests("F26", "schedules", "bellhop-server", "schedules::", &[("BELLHOP_SCHEDULES", "10000")]),
    tests("B2", "every op in every state", IT, "matrix::", &[]),
    tests("B1 B3 B4 B5 B9 B13 B16 B17", "hostile cases", IT, "hostile::", &[("BELLHOP_HOSTILE", "100000")]),
    tests("B6 B7", "harmless text", IT, "harmless::", &[]),
    tests("F19", "hostile lengths in little memory", IT, "hostile_lengths", &[]),
    tests("S5", "times of unknown names", IT, "an_unknown_name_takes_as_long", &[("BELLHOP_TIMINGS", "200")]),
    run("B9", "passwords by the hundred", |_| judged(floods::passwords(100, VOLLEYS))),
    run("56", "screen costs", |_| screen_costs()),
    run("P10", "instructions", |_| instructions()),
    tests("37", "screens of every size", "bellhop", "every_size_draws", &[("BELLHOP_SIZES", "all")]),
    // The longest come last.
    run("B18", "fuzz limits", |seed| fuzzed("limits", seed)),
    run("B18", "fuzz config", |seed| fuzzed("config", seed)),
    run("B18", "fuzz known", |seed| fuzzed("known", seed)),
    run("B18", "fuzz settings", |seed| fuzzed("settings", seed)),
    run("B18", "fuzz themes", |seed| fuzzed("themes", seed)),
    run("B18", "fuzz keys", |seed| fuzzed("keys", seed)),
    run("B18", "fuzz door", |seed| fuzzed("door", seed)),
    run("B5", "fuzz typed", |seed| fuzzed("typed", seed)),
    run("B5", "fuzz names", |seed| fuzzed("names", seed)),
    run("B1 B3", "fuzz frames", |seed| fuzzed("frames", seed)),
    run("B3 B4", "fuzz requests", |seed| fuzzed("requests", seed)),
    run("B14", "fuzz replies", |seed| fuzzed("replies", seed)),
    run("B6 B7", "fuzz clean", |seed| fuzzed("clean", seed)),
    run("B2 B3", "fuzz session", |seed| fuzzed("session", seed)),
];

/// The packages of Debian that a step needs and this machine does not have, told before the first step: a drill of hours
/// is not to end with a step that could not be run.
pub(crate) fn lacking<'a>(chosen: impl Iterator<Item = &'a Step>) -> Vec<&'static str> {
    let [mut clocks, mut networks, mut tests] = [false; 3];
    for step in chosen {
        clocks |= step.row == "F23";
        networks |= step.name == "network taken away";
        tests |= matches!(step.how, How::Tests { package: IT, .. });
    }
    let mut needs = vec![("strace", has_strace()), ("util-linux", has_prlimit())];
    if clocks {
        needs.push(("faketime", jumps::has_faketime()));
    }
    if networks {
        needs.push(("iproute2", has("ip", &["-V"])));
    }
    if tests {
        needs.extend([("tmux", has("tmux", &["-V"])), ("python3", has("python3", &["--version"]))]);
    }
    needs.into_iter().filter(|(_, is_here)| !is_here).map(|(package, _)| package).collect()
}

/// Runs a step; a panic is a failure that says what was wrong.
pub(crate) fn perform(step: &Step, seed: u64) -> Shown {
    match &step.how {
        How::Run(work) => catch_unwind(AssertUnwindSafe(|| work(seed))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Shown { amount: "cut short".into(), failures: 1, remark: text.unwrap_or_default() }
        }),
        How::Tests { package, filter, amounts } => run_tests(package, filter, amounts),
    }
}

/// Runs tests with the cargo and the profile of the drill.
fn run_tests(package: &str, filter: &str, amounts: &[(&str, &str)]) -> Shown {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "--package", package]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // A drill in which something was skipped shows less than it says.
    cargo.args(["--", filter]).env("CI", "true").envs(amounts.iter().copied());
    let output = cargo.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let count = |word: &str| -> u64 {
        let results = said.lines().filter(|line| line.starts_with("test result:"));
        let counts =
            results.filter_map(|line| line.split(word).next()?.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum::<u64>()
    };
    let (passed, mut failures) = (count(" passed"), count(" failed"));
    if !output.status.success() {
        failures = failures.max(1);
    }
    if passed + failures == 0 {
        failures = 1;
    }
    let remark = match failures {
        0 => String::new(),
        _ => said.lines().filter(|line| line.contains("panicked") || line.ends_with("FAILED")).collect(),
    };
    let amounts: String = amounts.iter().map(|(name, value)| format!(", {name}={value}")).collect();
    Shown { amount: format!("{passed} tests{amounts}"), failures, remark }
}

/// Each figure by the letter: on a busy machine, run it again when it is quiet.
fn screen_costs() -> Shown {
    let figures = costs::measure();
    let remarks: Vec<String> = figures.iter().map(ToString::to_string).collect();
    Shown {
        amount: format!("{} figures", figures.len()),
        failures: figures.iter().filter(|figure| figure.is_missed()).count() as u64,
        remark: remarks.join(", "),
    }
}

/// Instructions of a message, against those that are kept: a failure where there are more than 5 % more.
fn instructions() -> Shown {
    let mut bench = Command::new(binary("bench"));
    // Skipped for want of valgrind, it would show nothing.
    let output = bench.args(["instructions", "--amount", "quiet-s=0"]).env("CI", "true").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines = said.lines().filter(|line| line.starts_with("   instructions") || line.starts_with("FAILED"));
    let remark: Vec<&str> = lines.map(str::trim).collect();
    Shown {
        amount: format!("{} counts", remark.len()),
        failures: u64::from(!output.status.success()),
        remark: remark.join("; "),
    }
}

/// A thousand states of ten runs, one of them long enough for what is written back in between.
fn power_loss(seed: u64) -> Shown {
    let (mut findings, mut kept, mut states) = (Vec::new(), 0, 0);
    for run in 0..10 {
        let (messages, padding) =
            if run == 0 { (1_600, 14_000) } else { (100 + run * 40, run as usize * 300) };
        let recording = Recording::make(&[], messages, padding);
        kept += recording.kept();
        findings.extend(recording.play(100, seed * 100 + run));
        states += 100;
    }
    Shown {
        amount: format!("{states} states"),
        failures: findings.len() as u64,
        remark: format!("{kept} messages kept in 10 runs {}", findings.join("; ")),
    }
}

fn swept(call: &'static str, error: &'static str) -> Shown {
    let sweep = sweep(call, error, 1..=200);
    let remark = format!("{} calls failed, {} servers ended because of it", sweep.reached, sweep.ended);
    Shown { amount: format!("{} servers", sweep.runs), failures: 0, remark }
}

fn fill_disk(args: &[&str]) -> Shown {
    assert!(has_small_disks(), "no small disk can be made here");
    let refused = full_disk(20, args);
    Shown { amount: "20 times full".into(), failures: 0, remark: format!("{refused} messages refused") }
}

fn slow_syncs() -> Shown {
    slow_disk(Duration::from_millis(10), 100, false);
    slow_disk(Duration::from_millis(100), 30, false);
    slow_disk(Duration::from_secs(2), 5, true);
    Shown { amount: "10 ms, 100 ms, 2 s once".into(), ..Shown::default() }
}

/// How often and how long an honest pair is looked at: long enough for one in a hundred to be told from chance.
const LOOK: Look = Look { rounds: 4, time: Duration::from_secs(5) };
/// The same of a flood of a minute.
const FLOOD: Look = Look { rounds: 6, time: Duration::from_secs(10) };
/// The same of logins, which are answered in less than a second.
const VOLLEYS: Look = Look { rounds: 12, time: Duration::from_secs(1) };

/// Others may take twice their normal time.
fn judged(figures: Figures) -> Shown {
    let slower = is_slower(&figures);
    Shown { amount: "once".into(), failures: u64::from(slower), remark: figures.to_string() }
}

fn is_slower(figures: &Figures) -> bool {
    figures.talks.as_ref().is_some_and(|talks| talks.times() > 2.0)
}

fn slow_senders(addresses: u32, least: u32) -> Shown {
    let slow =
        Slow { connections: 1_000, addresses, pause: Duration::from_secs(5), time: Duration::from_secs(60) };
    let (mut failures, mut remarks) = (0, Vec::new());
    for phase in PHASES {
        let (entered, figures) = floods::slow_senders(phase, slow, 50, &[]);
        failures += u64::from(entered < least || is_slower(&figures));
        remarks.push(format!("{phase:?}: {figures}"));
    }
    Shown { amount: "4 phases, a minute each".into(), failures, remark: remarks.join("; ") }
}
