//! Messages to those who are there.

use super::{Bench, Measures};
use crate::clock::{self, Moment};
use crate::field::{Running, Subject, Variant};
use crate::figures::{CPU, OTHERS, OWN, P50, P99, RATE};
use crate::load::Load;
use crate::peers::Peer;
use crate::proto::Role;

/// Bellhop with a durability.
pub(crate) const fn bellhop(durability: &'static str) -> Subject {
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

    /// Many who send to one, or one who sends to many.
    pub(crate) fn star(many: u64, into_one: bool, window: u64, size: usize) -> Shape {
        let many = usize::try_from(many).unwrap();
        let flows = (1..=many).map(|other| if into_one { (other, 0) } else { (0, other) }).collect();
        Shape { parties: u32::try_from(many + 1).unwrap(), flows, window, size }
    }

    /// Who is there, and why.
    pub(crate) fn roles(&self) -> Vec<(u32, Role)> {
        let mut roles: Vec<(u32, Role)> = (0..self.parties).map(|party| (party, Role::Sender)).collect();
        self.flows.iter().for_each(|(_, to)| roles[*to].1 = Role::Receiver);
        roles
    }
}

/// Runs a shape: some time to get warm, some that counts, and then whatever is underway arrives.
pub(crate) fn run(running: &Running, shape: &Shape, warm: f64, time: f64) -> Result<Measures, String> {
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

/// Whether a window was chosen.
fn is_chosen(bench: &Bench, window: u64) -> bool {
    bench.windows.is_empty() || bench.windows.contains(&window)
}

/// Has somebody work in a shape for as long as live works do.
pub(crate) fn work(bench: &mut Bench, subject: Subject, shape: &Shape) -> Result<Measures, String> {
    // A line of IRC holds 512 bytes with who sent it.
    let is_irc = matches!(subject, Subject::Peer(Peer::Ngircd | Peer::Inspircd));
    let shape = Shape { size: if is_irc { shape.size.min(400) } else { shape.size }, ..shape.clone() };
    let (warm, time) = (bench.amounts.seconds("warm-ms"), bench.amounts.seconds("time-ms"));
    run(&bench.field.running(subject)?, &shape, warm, time)
}

pub(super) fn pairs(bench: &mut Bench) {
    for (window, size) in CASES {
        if is_chosen(bench, window) {
            let shape = Shape::pairs(bench.amounts.of("pairs"), window, size);
            bench.by_turns("live", &case(window, size), EVERYBODY, |bench, subject| {
                work(bench, subject, &shape)
            });
        }
    }
}

/// One pair, one message at a time: what one message takes where nothing else is going on.
pub(super) fn alone(bench: &mut Bench) {
    let shape = Shape::pairs(1, 1, 64);
    bench.by_turns("alone", &case(1, 64), EVERYBODY, |bench, subject| work(bench, subject, &shape));
}

pub(super) fn stars(bench: &mut Bench) {
    for into_one in [true, false] {
        let name = if into_one { "many-to-one" } else { "one-to-many" };
        let window = 64;
        if is_chosen(bench, window) {
            let shape = Shape::star(bench.amounts.of("pairs"), into_one, window, 64);
            bench.by_turns(name, &case(window, 64), EVERYBODY, |bench, subject| work(bench, subject, &shape));
        }
    }
}
