//! The release drill: every fault, with full amounts, and one report.
//!
//! ```sh
//! cargo run --release -p bellhop-tests --bin drill            # everything; some hours
//! cargo run --release -p bellhop-tests --bin drill -- F5 F6   # some steps, by row or by name
//! cargo run --release -p bellhop-tests --bin drill -- --without fuzz
//! cargo run --release -p bellhop-tests --bin drill -- --list
//! ```
//!
//! A step is a line of [`steps::STEPS`]: its row, its name, and how it is run, a function or some tests of the workspace
//! with amounts in their environment. What a step shows stands in `tests/reports/drill.json`, a line a step with the
//! commit that it was run on, and `drill.md` beside it is the same for people; steps that are not run again keep their
//! line. Steps named `fuzz` execute each target ten million times, or `RUNS`. It ends with 1 where a step failed. It needs Linux, and for
//! some steps root or user namespaces; which packages are lacking is told before the first step.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the step")]
#![expect(clippy::print_stdout, reason = "whoever runs the drill watches it")]

#[cfg(target_os = "linux")]
mod fuzzed;
#[cfg(target_os = "linux")]
mod jumps;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod steps;
#[cfg(target_os = "linux")]
mod vanish;

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("the drill needs Linux");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    linux::run()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::time::Instant;

    use bellhop_tests::machine;
    use clap::Parser;

    use crate::report::{Line, Report};
    use crate::steps::{STEPS, Shown, Step};
    use crate::{steps, vanish};

    #[derive(Parser)]
    struct Args {
        /// Rows (F5) or parts of names; all steps where there are none
        steps: Vec<String>,
        /// Leaves out those of these rows, or with these parts in their names
        #[arg(long, value_name = "STEP")]
        without: Vec<String>,
        /// Decides every random choice
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Runs the part of a step that has a network of its own
        #[arg(long, hide = true)]
        vanish: bool,
        /// Takes lines over from another report, such as that of a checkout of its own for a long step; runs none
        #[arg(long, value_name = "JSON")]
        take: Option<PathBuf>,
        /// Lists the steps and runs none
        #[arg(long)]
        list: bool,
    }

    pub(super) fn run() -> ExitCode {
        let args = Args::parse();
        if args.vanish {
            vanish::inside();
            return ExitCode::SUCCESS;
        }
        if let Some(path) = &args.take {
            let mut report = Report::read(&machine::describe());
            report.take(&fs::read_to_string(path).unwrap());
            report.write();
            return ExitCode::SUCCESS;
        }
        let is_among = |step: &Step, words: &[String]| {
            words.iter().any(|word| {
                step.row.split(' ').any(|row| row.eq_ignore_ascii_case(word))
                    || step.name.contains(&word.to_lowercase())
            })
        };
        let wanted = |step: &&Step| {
            (args.steps.is_empty() || is_among(step, &args.steps)) && !is_among(step, &args.without)
        };
        let chosen: Vec<&Step> = STEPS.iter().filter(wanted).collect();
        if args.list || chosen.is_empty() {
            STEPS.iter().for_each(|step| println!("{}  {}", step.row, step.name));
            return if args.list { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
        let lacking = steps::lacking(chosen.iter().copied());
        if !lacking.is_empty() {
            println!("these steps need more than this machine has: apt-get install {}", lacking.join(" "));
            return ExitCode::from(2);
        }
        let machine = machine::describe();
        let mut failed = 0;
        for step in chosen {
            println!("== {}  {} (seed {})", step.row, step.name, args.seed);
            let (shown, seconds) = timed(|| steps::perform(step, args.seed));
            failed += usize::from(shown.failures > 0);
            println!("   {}, {} failures, {seconds} s: {}", shown.amount, shown.failures, shown.remark);
            // Read anew: another drill may have run other steps meanwhile.
            let mut report = Report::read(&machine);
            report.put(line(step, shown, seconds, args.seed));
            report.write();
        }
        println!("{} steps failed; the report is {}", failed, Report::path().display());
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    #[expect(clippy::disallowed_methods, reason = "a report tells how long a step took")]
    fn timed(work: impl FnOnce() -> Shown) -> (Shown, u64) {
        let start = Instant::now();
        (work(), start.elapsed().as_secs())
    }

    fn line(step: &Step, shown: Shown, seconds: u64, seed: u64) -> Line {
        let word = step.name.replace(' ', "\\ ");
        Line {
            row: step.row.to_owned(),
            name: step.name.to_owned(),
            amount: shown.amount,
            failures: shown.failures,
            remark: shown.remark,
            seconds,
            commit: machine::commit(),
            date: machine::date(),
            seed,
            repeat: format!("cargo run --release -p bellhop-tests --bin drill -- --seed {seed} {word}"),
        }
    }
}
