//! Support for tests of the whole: servers to test against, a peer that says exactly what a test wants, and a checker
//! of histories.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test that uses this")]

#[cfg(target_os = "linux")]
pub mod bounded;
pub mod checker;
#[cfg(target_os = "linux")]
pub mod costs;
#[cfg(target_os = "linux")]
pub mod disks;
#[cfg(target_os = "linux")]
pub mod faults;
pub mod flooding;
#[cfg(target_os = "linux")]
pub mod floods;
pub mod fuzz;
pub mod hostile;
pub mod line;
pub mod load;
#[cfg(target_os = "linux")]
pub mod machine;
pub mod mutant;
pub mod peer;
#[cfg(target_os = "linux")]
pub mod powerloss;
#[cfg(target_os = "linux")]
pub mod proc;
pub mod process;
pub mod proxy;
pub mod random;
pub mod server;
#[cfg(target_os = "linux")]
pub mod talks;
#[cfg(unix)]
pub mod terminal;
pub mod tls;
#[cfg(target_os = "linux")]
pub mod tmux;
pub mod tools;
pub mod wait;

/// How often tests kill a server: a few times in a quick run, and as often as `BELLHOP_KILLS` says.
pub fn kills() -> u32 {
    std::env::var("BELLHOP_KILLS").map_or(10, |kills| kills.parse().unwrap())
}
