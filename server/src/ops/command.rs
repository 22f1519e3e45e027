//! A command of the operator becomes an exit code: 0 done, 1 not done, 2 for words that make no sense.

use std::process::ExitCode;

use anyhow::bail;

use super::identity;
use crate::config::command::Command;

/// Does what was asked.
pub fn run(command: Command) -> ExitCode {
    match dispatch(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Fingerprint { place } => identity::fingerprint(place),
        Command::RotateKey { place } => identity::rotate(place),
        Command::Status { .. }
        | Command::User(_)
        | Command::Backup { .. }
        | Command::Check { .. }
        | Command::Why { .. }
        | Command::Drain { .. } => bail!("no server answers"),
    }
}

#[expect(clippy::print_stderr, reason = "what a command could not do is said where a person reads it")]
fn complain(error: &dyn std::fmt::Display) {
    eprintln!("bellhop-server: {error}");
}
