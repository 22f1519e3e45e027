//! What drill and bench run on, without anything that would name the machine.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many syncs are measured.
const SYNCS: usize = 500;

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The commit that is checked out, and whether anything was changed since.
pub fn commit() -> String {
    let changed = !said("git", &["status", "--porcelain", "--", "..", ":!reports"]).is_empty();
    let commit = said("git", &["rev-parse", "--short=10", "HEAD"]);
    if changed { format!("{commit} and changes") } else { commit }
}

/// Today.
pub fn date() -> String {
    said("date", &["-u", "+%Y-%m-%d"])
}

/// Processors, memory, kernel, file system, and how fast it syncs.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file_system = said("stat", &["-f", "-c", "%T", folder.path().to_str().unwrap()]);
    let (p50, p99) = syncs(&folder.path().join("file"));
    format!(
        "{cores} processors, {} GiB, Linux {kernel}, {file_system}, fsync p50 {p50:.2?}, p99 {p99:.2?}",
        memory.unwrap_or(0) >> 20
    )
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn syncs(path: &Path) -> (Duration, Duration) {
    let mut file = File::create(path).unwrap();
    let sync = |_| {
        let start = Instant::now();
        file.write_all(&[1; 4_096]).unwrap();
        file.sync_all().unwrap();
        start.elapsed()
    };
    let mut took: Vec<Duration> = (0..SYNCS).map(sync).collect();
    took.sort_unstable();
    (took[SYNCS / 2], took[SYNCS * 99 / 100])
}
