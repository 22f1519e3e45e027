//! The bench: Bellhop beside a bare relay and whichever peers are installed, doing the same work by turns, and one
//! report.
//!
//! ```sh
//! cargo run --release -p bellhop-tests --bin bench              # everything; about an hour
//! cargo run --release -p bellhop-tests --bin bench -- --short   # everything, in about five minutes
//! cargo run --release -p bellhop-tests --bin bench -- live --window 64 --only bellhop --only nats
//! cargo run --release -p bellhop-tests --bin bench -- --list
//! ```

#![allow(dead_code, reason = "works that use the rest come next")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the bench")]
#![expect(clippy::print_stdout, reason = "whoever runs the bench watches it")]

#[cfg(target_os = "linux")]
mod amounts;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod field;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod hist;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod net;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod proto;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod stamp;
#[cfg(target_os = "linux")]
mod works;

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("the bench needs Linux");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    linux::run()
}

#[cfg(target_os = "linux")]
use linux::said;

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;
    use std::process::ExitCode;

    use clap::Parser;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use crate::amounts::Amounts;
    use crate::field::Field;
    use crate::figures::{Figures, short};
    use crate::relay;
    use crate::works::{Bench, WORKS, Work};

    #[derive(Parser)]
    struct Args {
        /// Names of works; all of them where there are none
        works: Vec<String>,
        /// Amounts for a look of some minutes
        #[arg(long)]
        short: bool,
        /// Another amount of something; --list shows them
        #[arg(long, value_name = "NAME=VALUE")]
        amount: Vec<String>,
        /// Parts of the names of those who take part; everybody where there are none
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Windows of the live works
        #[arg(long, value_name = "W")]
        window: Vec<u64>,
        /// The server program that is measured; the one of this checkout, built first, where none is given
        #[arg(long, value_name = "PATH")]
        server: Option<PathBuf>,
        /// Another server program, measured beside this one's by its durability
        #[arg(long, value_name = "PATH")]
        other: Option<PathBuf>,
        /// Lists works and amounts, and runs none
        #[arg(long)]
        list: bool,
        /// Is the bare relay
        #[arg(long, hide = true)]
        relay: bool,
        /// Has it answer
        #[arg(long, hide = true)]
        relay_answers: bool,
    }

    pub(super) fn run() -> ExitCode {
        let args = Args::parse();
        let _ = raise_files();
        if args.relay {
            relay::run(args.relay_answers);
        }
        let mut amounts = Amounts::new(args.short);
        for setting in &args.amount {
            if let Err(wrong) = amounts.set(setting) {
                println!("{wrong}");
                return ExitCode::from(2);
            }
        }
        let chosen: Vec<&Work> = WORKS
            .iter()
            .filter(|work| args.works.is_empty() || args.works.iter().any(|name| name == work.name))
            .collect();
        if args.list || chosen.is_empty() {
            WORKS.iter().for_each(|work| println!("{}  {}", work.name, work.about));
            amounts.list().for_each(|amount| println!("--amount {amount}"));
            return if args.list { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
        let mut field = Field::default();
        (field.server, field.other) = (args.server, args.other);
        let mut bench =
            Bench { field, amounts, figures: Figures::default(), only: args.only, windows: args.window };
        for work in chosen {
            println!("== {}: {}", work.name, work.about);
            bench.perform(work);
        }
        for row in &bench.figures.0 {
            let measures = row.measures.iter().map(|(name, _)| name.as_str());
            let words = ["cpu_us", "per_s", "p50_us", "p99_us", "load_us", "others"]
                .into_iter()
                .filter(|name| measures.clone().any(|other| other == *name));
            let text: Vec<String> =
                words.map(|name| format!("{name} {}", row.spread(name).unwrap())).collect();
            println!(
                "{} | {} | {} | {} {}",
                row.work,
                row.case,
                row.subject,
                text.join(" | "),
                row.failure.as_deref().unwrap_or("")
            );
        }
        if bench.figures.failures().count() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// As many files as this user may have: each connection is one.
    fn raise_files() -> rustix::io::Result<()> {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    }

    /// Says what came of a run.
    pub(crate) fn said(
        work: &str,
        case: &str,
        round: u64,
        subject: &str,
        done: &Result<Vec<(&'static str, f64)>, String>,
    ) {
        let text = match done {
            Ok(measures) => {
                let words: Vec<String> =
                    measures.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
                words.join("  ")
            }
            Err(why) => format!("FAILED: {why}"),
        };
        println!("   {work}, {case}, {round}: {subject:28} {text}");
    }
}
