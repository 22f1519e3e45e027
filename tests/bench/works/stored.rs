//! Messages for those who are away: stored, each answered when it is as safe as its server makes it, and then fetched.

use super::live::{bellhop, case};
use super::{Bench, Measures};
use crate::clock::{self, Moment};
use crate::field::{Running, Subject, Variant};
use crate::figures::{CPU, FETCH_CPU, FETCH_RATE, OTHERS, OWN, P50, P99, RATE};
use crate::load::{Load, log_in};
use crate::peers::Peer;
use crate::proto::Role;

/// Everybody who keeps what comes for those who are away.
const EVERYBODY: &[Subject] = &[
    bellhop("power"),
    Subject::Bellhop(Variant { other: true, ..Variant::of("power") }),
    Subject::Bellhop(Variant { receipts: true, ..Variant::of("power") }),
    bellhop("crash"),
    Subject::Peer(Peer::RedisAlways),
    Subject::Peer(Peer::RedisEverySecond),
    Subject::Peer(Peer::JetStream),
    Subject::Peer(Peer::MosquittoKeeps),
];

/// How many come to fetch among many mailboxes.
const FETCHERS: u32 = 50;

/// Senders, recipients, and what each of those gets.
#[derive(Clone, Copy, Debug)]
struct Amount {
    senders: u32,
    recipients: u32,
    /// How many of the recipients come to fetch.
    fetchers: u32,
    messages: u64,
    window: u64,
    /// Time for what is done later, in s.
    upkeep: f64,
}

fn run(running: &Running, amount: Amount) -> Result<Measures, String> {
    running.proto.begin();
    let Amount { senders, recipients, fetchers, messages, window, upkeep } = amount;
    let party = |recipient: u32| senders + recipient;
    let absent: Vec<(u32, Role)> = (0..recipients).map(|number| (party(number), Role::Absent)).collect();
    drop(log_in(running, &absent)?);
    let present: Vec<(u32, Role)> = (0..senders).map(|number| (number, Role::Sender)).collect();
    let mut load = Load::meet(running, &present, window, 64)?;
    for recipient in 0..recipients {
        load.flow_to((recipient % senders) as usize, party(recipient), messages);
    }
    // A person's messages lie among those to others.
    load.run = 1;
    load.unanswered = window;
    load.awaits_receipts = false;
    load.is_timed = true;
    let (moment, start) = (Moment::now(&running.ids), clock::now());
    load.send_all()?;
    let (seconds, stored) = (clock::seconds(start, clock::now()), load.sent as f64);
    load.is_timed = false;
    load.tend(upkeep)?;
    let cost = moment.cost();
    let mut measures = vec![
        (CPU, cost.server / stored),
        (RATE, stored / seconds),
        (P50, load.to_answer.quantile(0.5)),
        (P99, load.to_answer.quantile(0.99)),
        (OWN, cost.own / stored),
        (OTHERS, cost.others),
    ];
    let who: Vec<(u32, Role)> = (0..fetchers).map(|number| (party(number), Role::Fetcher)).collect();
    let (moment, start) = (Moment::now(&running.ids), clock::now());
    let first = load.join(&who)?;
    load.awaits_receipts = running.receipts && fetchers == recipients;
    let mut wanted = 0;
    if fetchers == recipients {
        wanted = (0..who.len()).map(|number| load.fetch(first + number)).sum();
        load.drain()?;
    } else {
        // One after the other: each alone among the messages of the others.
        for number in 0..who.len() {
            wanted += load.fetch(first + number);
            load.drain()?;
        }
    }
    let seconds = clock::seconds(start, clock::now());
    load.tend(upkeep)?;
    measures.push((FETCH_CPU, moment.cost().server / wanted as f64));
    measures.push((FETCH_RATE, wanted as f64 / seconds));
    Ok(measures)
}

pub(super) fn stored(bench: &mut Bench) {
    for window in [1, 64] {
        if !bench.windows.is_empty() && !bench.windows.contains(&window) {
            continue;
        }
        let pairs = u32::try_from(bench.amounts.of("pairs")).unwrap();
        let messages = bench.amounts.of("stored") / if window == 1 { 20 } else { 1 };
        let upkeep = bench.amounts.of("upkeep-s") as f64;
        let amount = Amount { senders: pairs, recipients: pairs, fetchers: pairs, messages, window, upkeep };
        bench.by_turns("stored", &case(window, 64), EVERYBODY, |bench, subject| {
            let running = bench.field.running(subject)?;
            run(&running, amount)
        });
    }
}

pub(super) fn mailboxes(bench: &mut Bench) {
    let recipients = u32::try_from(bench.amounts.of("mailboxes")).unwrap();
    let messages = bench.amounts.of("stored") / 4;
    let senders = u32::try_from(bench.amounts.of("pairs")).unwrap();
    let (fetchers, upkeep) = (FETCHERS.min(recipients / 2), bench.amounts.of("upkeep-s") as f64);
    let amount = Amount { senders, recipients, fetchers, messages, window: 64, upkeep };
    let case = format!("{fetchers} of {recipients} mailboxes, {messages} messages each");
    bench.by_turns(
        "mailboxes",
        &case,
        &[bellhop("power"), Subject::Peer(Peer::RedisAlways)],
        |bench, subject| {
            let done = run(&bench.field.running(subject)?, amount);
            // What nobody fetched is not the next round's.
            bench.field.end(subject);
            done
        },
    );
}
