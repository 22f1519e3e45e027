//! The bench: Bellhop beside a bare relay and whichever peers are installed, doing the same work by turns, and one
//! report.
//!
//! ```sh
//! cargo run --release -p bellhop-tests --bin bench              # everything; about an hour
//! cargo run --release -p bellhop-tests --bin bench -- --short   # everything, in about five minutes
//! cargo run --release -p bellhop-tests --bin bench -- live --window 64 --only bellhop --only nats
//! cargo run --release -p bellhop-tests --bin bench -- --list
//! ```
//!
//! A run of everything is kept in `tests/reports/bench.json`, with the two before it, and `bench.md` beside it is its
//! page: what was measured, and each goal as held, missed or not run. Any other run prints its page, or keeps both
//! files in the folder of `--out`. It ends with 1 where Bellhop failed, which a missed goal is not. It needs Linux and
//! util-linux; strace and valgrind for some works; and measures beside whichever of nats-server, redis-server,
//! mosquitto, ngircd and inspircd are installed.

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
mod goals;
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
mod report;
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

    use bellhop_tests::machine;
    use clap::Parser;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use crate::amounts::Amounts;
    use crate::field::Field;
    use crate::figures::{Figures, Row, short};
    use crate::peers::PEERS;
    use crate::report::Head;
    use crate::works::{Bench, WORKS, Work};
    use crate::{clock, goals, relay, report};

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
        /// Keeps what is counted, so that later counts are held against it
        #[arg(long)]
        keep: bool,
        /// Keeps the report in this folder; a run of everything keeps it in tests/reports
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
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
        let mut bench = Bench {
            field,
            amounts,
            figures: Figures::default(),
            only: args.only,
            windows: args.window,
            keeps: args.keep,
        };
        let start = clock::now();
        for work in &chosen {
            println!("== {}: {}", work.name, work.about);
            bench.perform(work);
        }
        let everything = bench.only.is_empty() && bench.windows.is_empty() && chosen.len() == WORKS.len();
        let head = head(&bench, (clock::seconds(start, clock::now()) / 60.0).round() as u64);
        let goals = goals::judge(&bench.figures, &bench.amounts);
        let folder = args.out.or_else(|| (everything && !args.short).then(report::folder));
        match &folder {
            Some(folder) => report::write(folder, &head, &bench.figures, &goals).unwrap(),
            None => println!("{}", report::page(&head, &bench.figures, &goals, &[])),
        }
        let ours = |row: &&Row| !PEERS.iter().any(|peer| peer.name() == row.subject);
        let failed: Vec<&Row> = bench.figures.failures().filter(ours).collect();
        for Row { work, case, subject, failure, .. } in &failed {
            println!("FAILED: {work}, {case}, {subject}: {}", failure.as_deref().unwrap_or_default());
        }
        if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn head(bench: &Bench, minutes: u64) -> Head {
        let mut versions: Vec<String> =
            PEERS.iter().filter(|peer| peer.path().is_some()).map(|peer| peer.version()).collect();
        versions.dedup();
        let args: Vec<String> = std::env::args().skip(1).collect();
        let dashes = if args.is_empty() { "" } else { " -- " };
        Head {
            date: machine::date(),
            commit: machine::commit(),
            machine: machine::describe(),
            versions,
            command: format!("cargo run --release -p bellhop-tests --bin bench{dashes}{}", args.join(" ")),
            amounts: bench.amounts.settings(),
            minutes,
        }
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
