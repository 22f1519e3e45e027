//! Messages to those who are there.

use super::Bench;
use crate::clock::{self, Moment};
use crate::field::{Running, Subject, Variant};
use crate::figures::{CPU, OTHERS, OWN, P50, P99, RATE};
use crate::load::Load;
use crate::peers::Peer;
use crate::proto::Role;

/// Bellhop with a durability.
const fn bellhop(durability: &'static str) -> Subject {
    Subject::Bellhop(Variant::of(durability))
}

/// Everybody who moves messages between people who are there.
const EVERYBODY: &[Subject] = &[
    Subject::Relay(false),
    Subject::Relay(true),
    bellhop("none"),
    Subject::Bellhop(Variant { other: true, ..Variant::of("none") }),
    Subject::Bellhop(Variant { receipts: true, ..Variant::of("none") }),
    Subject::Bellhop(Variant { tls: true, ..Variant::of("none") }),
    Subject::Bellhop(Variant { text: true, ..Variant::of("none") }),
    bellhop("power"),
    Subject::Bellhop(Variant { other: true, ..Variant::of("power") }),
    Subject::Bellhop(Variant { receipts: true, ..Variant::of("power") }),
    Subject::Peer(Peer::Nats),
    Subject::Peer(Peer::Redis),
    Subject::Peer(Peer::MosquittoOnce),
    Subject::Peer(Peer::Mosquitto),
    Subject::Peer(Peer::Ngircd),
    Subject::Peer(Peer::Inspircd),
];

/// Who sends to whom.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// How many are there.
    pub(crate) parties: u32,
    /// The flows, by who sends and who receives.
    pub(crate) flows: Vec<(usize, usize)>,
    /// Messages underway in each flow.
    pub(crate) window: u64,
    /// Bytes of a text.
    pub(crate) size: usize,
}

impl Shape {
    /// Pairs.
    pub(crate) fn pairs(pairs: u64, window: u64, size: usize) -> Shape {
        let pairs = usize::try_from(pairs).unwrap();
        let flows = (0..pairs).map(|pair| (2 * pair, 2 * pair + 1)).collect();
        Shape { parties: u32::try_from(2 * pairs).unwrap(), flows, window, size }
    }

    fn roles(&self) -> Vec<(u32, Role)> {
        let receives = |party: u32| self.flows.iter().any(|(_, to)| *to == party as usize);
        (0..self.parties)
            .map(|party| (party, if receives(party) { Role::Receiver } else { Role::Sender }))
            .collect()
    }
}

/// Runs a shape: some time to get warm, some that counts, and then whatever is underway arrives.
pub(crate) fn run(
    running: &Running,
    shape: &Shape,
    warm: f64,
    time: f64,
) -> Result<Vec<(&'static str, f64)>, String> {
    running.proto.begin();
    let mut load = Load::meet(running, &shape.roles(), shape.window, shape.size)?;
    shape.flows.iter().for_each(|(from, to)| load.flow(*from, *to, u64::MAX));
    load.is_sending = true;
    load.wake();
    load.tend(warm)?;
    let (moment, before, start) = (Moment::now(&running.ids), load.received, clock::now());
    load.is_timed = true;
    load.tend(time)?;
    load.is_timed = false;
    let delivered = (load.received - before) as f64;
    let (cost, seconds) = (moment.cost(), clock::seconds(start, clock::now()));
    load.drain()?;
    if delivered < 1.0 {
        return Err("nothing arrived".to_owned());
    }
    Ok(vec![
        (CPU, cost.server / delivered),
        (RATE, delivered / seconds),
        (P50, load.one_way.quantile(0.5)),
        (P99, load.one_way.quantile(0.99)),
        (OWN, cost.own / delivered),
        (OTHERS, cost.others),
    ])
}

/// The windows and sizes that pairs talk with.
const CASES: [(u64, usize); 6] = [(1, 64), (64, 64), (1_024, 64), (1, 512), (64, 512), (1_024, 512)];

/// What a case is called.
pub(crate) fn case(window: u64, size: usize) -> String {
    format!("W={window}, {size} bytes")
}

pub(super) fn pairs(bench: &mut Bench) {
    for (window, size) in CASES {
        if !bench.windows.is_empty() && !bench.windows.contains(&window) {
            continue;
        }
        bench.by_turns("live", &case(window, size), EVERYBODY, |bench, subject| {
            // A line of IRC holds 512 bytes with who sent it.
            let is_irc = matches!(subject, Subject::Peer(Peer::Ngircd | Peer::Inspircd));
            let size = if is_irc { size.min(400) } else { size };
            let shape = Shape::pairs(bench.amounts.of("pairs"), window, size);
            let (warm, time) = (bench.amounts.seconds("warm-ms"), bench.amounts.seconds("time-ms"));
            run(&bench.field.running(subject)?, &shape, warm, time)
        });
    }
}
