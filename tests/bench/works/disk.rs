//! The disk: what a commit of one row costs here, and a disk on which each sync takes long.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bellhop_protocol::{OpCode, Request};
use bellhop_tests::faults::has_strace;
use bellhop_tests::peer::Peer;
use bellhop_tests::server::Home;
use rusqlite::Connection;

use super::live::{Shape, bellhop, run};
use super::{Bench, Measures};
use crate::clock;
use crate::field::{Field, Running, Subject, Variant};
use crate::figures::{P50, P99, RATE};
use crate::hist::Hist;

/// Senders who share commits.
const SENDERS: u64 = 200;
/// Who asks whether the server is there, apart from all others.
const ASKER: u8 = 77;

/// What a commit of one row takes that is on the disk when it returns.
fn commits(seconds: f64) -> Result<Measures, String> {
    let said = |error: rusqlite::Error| error.to_string();
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open(folder.path().join("commits")).map_err(said)?;
    database.pragma_update(None, "journal_mode", "WAL").map_err(said)?;
    database.pragma_update(None, "synchronous", "FULL").map_err(said)?;
    database.execute_batch("CREATE TABLE row (id INTEGER PRIMARY KEY, text BLOB)").map_err(said)?;
    let mut insert = database.prepare("INSERT INTO row (text) VALUES (?1)").map_err(said)?;
    let (mut hist, end) = (Hist::default(), clock::now() + clock::nanos(seconds));
    while clock::now() < end {
        let start = clock::now();
        insert.execute([[7u8; 64]]).map_err(said)?;
        hist.add(clock::now() - start);
    }
    let rate = hist.total() as f64 / seconds;
    Ok(vec![(RATE, rate), (P50, hist.quantile(0.5)), (P99, hist.quantile(0.99))])
}

/// How long the server takes to say that it is there, while something else is done.
fn asked(
    running: &Running,
    work: impl FnOnce() -> Result<Measures, String>,
) -> Result<(Measures, Hist), String> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let (mut peer, mut hist) = (Peer::hello(running.place.addr, "asker", ASKER), Hist::default());
            while !stop.load(Ordering::Relaxed) {
                let start = clock::now();
                peer.request(&Request::Ping(*b"anybody?"));
                peer.answer(OpCode::Ping.answer());
                hist.add(clock::now() - start);
            }
            hist
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let hist = asker.join().map_err(|_| "who asked was not answered".to_owned())?;
        Ok((done?, hist))
    })
}

fn slow(bench: &mut Bench, senders: u64) -> Result<Measures, String> {
    let subject = bellhop("power");
    bench.field.end(subject);
    let home = Home::new();
    let delay = bench.amounts.of("slow-ms") * 1_000;
    let mut strace = Command::new("strace");
    strace.args(["--follow-forks", "--seccomp-bpf", "-qq", "--output=/dev/null", "--trace=fsync,fdatasync"]);
    strace.arg(format!("--inject=fsync,fdatasync:delay_exit={delay}"));
    strace.arg(bench.field.program(false)?);
    let server = Field::start_bellhop(&mut strace, Variant::of("power"), &home)?;
    bench.field.adopt(subject, server, home);
    let running = bench.field.running(subject)?;
    let (shape, time) = (Shape::pairs(senders, 1, 64), bench.amounts.of("slow-s") as f64);
    let (measures, hist) = asked(&running, || run(&running, &shape, 0.2, time))?;
    bench.field.end(subject);
    let rate = measures.into_iter().find(|(name, _)| *name == RATE).map_or(0.0, |(_, rate)| rate);
    Ok(vec![(RATE, rate), (P50, hist.quantile(0.5)), (P99, hist.quantile(0.99))])
}

/// The one who has no server.
pub(crate) const SQLITE: &str = "sqlite, synchronous FULL";

/// What the case of some senders on the slow disk is called.
pub(crate) fn slow_case(senders: u64) -> String {
    format!("slow syncs, {senders} senders; times are those of PING")
}

pub(super) fn disk(bench: &mut Bench) {
    for round in 1..=bench.amounts.of("rounds") {
        let done = commits(bench.amounts.seconds("time-ms"));
        bench.note("disk", "commits of one row", round, SQLITE, done);
    }
    if !has_strace() {
        return;
    }
    let subject: &[Subject] = &[bellhop("power")];
    for senders in [1, SENDERS] {
        bench.by_turns("disk", &slow_case(senders), subject, |bench, _| slow(bench, senders));
    }
}
