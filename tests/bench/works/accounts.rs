//! Messages to accounts drawn at random, by how many accounts there are, and what an account costs in memory.

use std::thread;

use bellhop_tests::bounded::source;
use bellhop_tests::proc::rss;

use super::growth::steps;
use super::live::bellhop;
use super::{Bench, Measures};
use crate::clock::{self, Moment};
use crate::field::Running;
use crate::figures::{BYTES, CPU, OTHERS, OWN, RATE, RSS};
use crate::load::Load;
use crate::net::Link;
use crate::proto::{Role, bellhop};

const SENDERS: u32 = 50;
/// Connections that make accounts.
const MAKERS: u32 = 64;
/// Where the numbers of accounts begin; those of senders are below.
const FIRST: u32 = 1_000;

/// Makes accounts, several at a time: they share commits.
fn make(running: &Running, numbers: std::ops::Range<u32>) -> Result<(), String> {
    let share = numbers.len().div_ceil(MAKERS as usize).max(1);
    let numbers: Vec<u32> = numbers.collect();
    thread::scope(|scope| {
        let maker = |numbers: &[u32]| {
            let mut link = Link::connect(&running.place, source(numbers[0]))?;
            numbers.iter().try_for_each(|number| bellhop::make(&mut link, *number))
        };
        let makers: Vec<_> =
            numbers.chunks(share).map(|numbers| scope.spawn(move || maker(numbers))).collect();
        let made: std::io::Result<()> = makers.into_iter().try_for_each(|maker| maker.join().unwrap());
        made.map_err(|error| format!("accounts: {error}"))
    })
}

fn run(bench: &mut Bench, accounts: u32) -> Result<Measures, String> {
    let running = bench.field.running(bellhop("power"))?;
    running.proto.begin();
    let who: Vec<(u32, Role)> = (0..SENDERS).map(|party| (party, Role::Sender)).collect();
    let mut load = Load::meet(&running, &who, 64, 64)?;
    let draws = bench.amounts.of("draws");
    // A number of a full period of a prime, so that each is drawn as often as any other, in no order.
    for draw in 0..draws {
        let number = (draw.wrapping_mul(2_654_435_761) % u64::from(accounts)) as u32;
        load.flow_to((draw % u64::from(SENDERS)) as usize, FIRST + number, 1);
    }
    (load.run, load.unanswered) = (1, 64);
    let before = rss(running.ids[0]);
    let (moment, start) = (Moment::now(&running.ids), clock::now());
    load.send_all()?;
    let seconds = clock::seconds(start, clock::now());
    load.tend(bench.amounts.of("upkeep-s") as f64)?;
    let (cost, sent) = (moment.cost(), load.sent as f64);
    let met = f64::from(accounts).min(sent);
    Ok(vec![
        (CPU, cost.server / sent),
        (RATE, sent / seconds),
        (OWN, cost.own / sent),
        (OTHERS, cost.others),
        (BYTES, rss(running.ids[0]).saturating_sub(before) as f64 / met),
        (RSS, rss(running.ids[0]) as f64 / f64::from(1 << 20)),
    ])
}

/// What an account costs that has nothing and is nowhere: what the server has more in memory after a start.
fn idle(bench: &mut Bench, accounts: u32, empty: u64) -> Result<Measures, String> {
    let subject = bellhop("power");
    bench.field.restart(subject, false)?;
    let id = bench.field.running(subject)?.ids[0];
    let more = rss(id).saturating_sub(empty) as f64;
    Ok(vec![(BYTES, more / f64::from(accounts)), (RSS, rss(id) as f64 / f64::from(1 << 20))])
}

/// What the case of accounts that have nothing is called.
pub(crate) fn idle_case(accounts: u64) -> String {
    format!("{accounts} accounts with nothing, after a start")
}

/// What the case of accounts that are drawn is called.
pub(crate) fn drawn_case(accounts: u64) -> String {
    format!("{accounts} accounts")
}

pub(super) fn accounts(bench: &mut Bench) {
    let subject = bellhop("power");
    for accounts in steps(100, bench.amounts.of("accounts")) {
        let number = u32::try_from(accounts).unwrap();
        bench.once("accounts", &idle_case(accounts), subject, |bench| {
            let running = bench.field.running(subject)?;
            let empty = rss(running.ids[0]);
            make(&running, FIRST..FIRST + number)?;
            idle(bench, number, empty)
        });
        // Each round meets accounts that nobody has used since the start, as the first one does.
        bench.by_turns("accounts", &drawn_case(accounts), &[subject], |bench, subject| {
            bench.field.restart(subject, false)?;
            run(bench, number)
        });
        bench.field.end(subject);
    }
}
