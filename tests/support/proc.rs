//! What Linux tells of a process: its memory, its processor time, its sockets.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use crate::wait::wait_for;

/// The promise for the whole process, under every test.
pub const RSS_MAX: u64 = 350 * 1024 * 1024;

fn status(id: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of /proc/ID/status");
    let kib: u64 = line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap();
    kib * 1024
}

/// The most memory that it ever had, in bytes.
pub fn rss_peak(id: u32) -> u64 {
    status(id, "VmHWM")
}

/// The memory that it has, in bytes.
pub fn rss(id: u32) -> u64 {
    status(id, "VmRSS")
}

/// The processor time that it has used, in hundredths of a second.
pub fn processor_time(id: u32) -> u64 {
    used(&format!("/proc/{id}/stat"))
}

/// The same of the thread that asks.
pub fn own_thread_time() -> u64 {
    used("/proc/thread-self/stat")
}

fn used(path: &str) -> u64 {
    let stat = fs::read_to_string(path).unwrap();
    // The name, which may hold anything, stands in brackets; user and system time are the 12th and 13th after it.
    let rest = stat.rsplit_once(") ").unwrap().1;
    rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// The processor time that all programs have used together, and how much of it there was, in hundredths of a second.
pub fn all_time() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().next().unwrap();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).map(|ticks| ticks.parse().unwrap()).collect();
    // User, nice, system, idle, waiting for disks, interrupts twice, taken by other machines.
    let all = ticks.iter().take(8).sum::<u64>();
    (all - ticks[3] - ticks[4], all)
}

/// How many threads it has.
pub fn threads(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count)
}

/// How many files it has open, sockets among them.
pub fn files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// How many sockets it holds.
pub fn sockets(id: u32) -> usize {
    let Ok(files) = fs::read_dir(format!("/proc/{id}/fd")) else { return 0 };
    let is_socket = |path: std::path::PathBuf| path.to_str().is_some_and(|path| path.starts_with("socket:"));
    files.flatten().filter(|file| fs::read_link(file.path()).is_ok_and(is_socket)).count()
}

/// Waits until it holds no more than so many sockets.
pub fn comes_down_to(id: u32, most: usize) {
    wait_for("connections to be given up", || (sockets(id) <= most).then_some(()));
}

/// How often each thread of a process has gone to sleep and woken up.
fn wake_ups(id: u32) -> BTreeMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let of = |task: std::io::Result<fs::DirEntry>| {
        let task = task.unwrap();
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .unwrap_or("0")
            .trim();
        (task.file_name().into_string().unwrap(), line.parse().unwrap())
    };
    tasks.map(of).collect()
}

/// How often a process wakes up in so many seconds.
pub fn wake_ups_in(id: u32, seconds: u64) -> u64 {
    let before = wake_ups(id);
    thread::sleep(Duration::from_secs(seconds));
    let after = wake_ups(id);
    // Threads of the runtime's pool that are not needed end by themselves.
    after.iter().map(|(thread, count)| count - before.get(thread).copied().unwrap_or(0)).sum()
}
