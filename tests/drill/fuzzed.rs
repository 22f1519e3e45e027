//! Fuzzing: a target a step, ten million executions or `RUNS`.

use std::path::Path;
use std::process::Command;

use crate::steps::Shown;

/// Fuzzes a target: `tests/fuzz/run` does, and this reads what it says.
pub(crate) fn fuzzed(target: &str, seed: u64) -> Shown {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/run");
    let output = Command::new(script).arg(target).env("SEED", seed.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let prefix = format!("{target}: ");
    let line = said.lines().find_map(|line| line.strip_prefix(&prefix));
    let Some((amount, rest)) = line.and_then(|line| line.split_once(", ")) else {
        let error = String::from_utf8_lossy(&output.stderr);
        let last = error.lines().last().unwrap_or("it says nothing");
        return Shown { amount: "cut short".into(), failures: 1, remark: last.to_owned() };
    };
    let findings = rest.split(' ').next().and_then(|word| word.parse().ok());
    // What is found is told below the line.
    let found = said.lines().skip_while(|line| !line.starts_with(&prefix)).skip(1);
    Shown {
        amount: amount.to_owned(),
        failures: findings.unwrap_or(1).max(u64::from(!output.status.success())),
        remark: std::iter::once(rest).chain(found).collect::<Vec<_>>().join("; "),
    }
}
