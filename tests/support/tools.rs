//! Programs that a test needs and a machine may not have.

use std::process::{Command, Stdio};

/// True if and only if `program` is there and works. Where it is not, the test is skipped and says so, but in the gate
/// (`CI` is set), which installs everything, a skip is a failure.
///
/// # Panics
///
/// In the gate, where the program is not there.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn has(program: &str, args: &[&str]) -> bool {
    let works = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        assert!(std::env::var_os("CI").is_none(), "the gate has no working {program}");
        eprintln!("SKIPPED: this machine has no working {program}");
    }
    works
}
