//! A normal day, and a long one: so many messages a second over TLS, each fsynced before its answer.

use super::sessions::TLS;
use super::{Bench, Measures};
use crate::clock::{self, Moment};
use crate::field::Running;
use crate::figures::{CPU, OTHERS, OWN, P50, P99, RATE};
use crate::load::Load;
use crate::proto::Role;

const SENDERS: usize = 200;
const RECIPIENTS: usize = 1_000;
/// How often is looked whether something is due, in µs.
const STEP: i64 = 500;

fn run(running: &Running, rate: f64, time: f64) -> Result<Measures, String> {
    let role = |party: usize| if party < SENDERS { Role::Sender } else { Role::Receiver };
    let who: Vec<(u32, Role)> =
        (0..SENDERS + RECIPIENTS).map(|party| (u32::try_from(party).unwrap(), role(party))).collect();
    let mut load = Load::meet(running, &who, 64, 64)?;
    // Each recipient hears from two senders, each sender talks to ten recipients.
    for recipient in 0..RECIPIENTS {
        for sender in [recipient % SENDERS, (recipient * 7 + 3) % SENDERS] {
            load.flow(sender, SENDERS + recipient, u64::MAX);
        }
    }
    load.run = 1;
    load.is_sending = true;
    load.is_timed = true;
    let (moment, start) = (Moment::now(&running.ids), clock::now());
    loop {
        let passed = clock::seconds(start, clock::now());
        if passed >= time {
            break;
        }
        load.pace((passed * rate) as u64);
        load.turn(STEP)?;
    }
    load.is_timed = false;
    let (cost, sent) = (moment.cost(), load.sent as f64);
    load.drain()?;
    Ok(vec![
        (CPU, cost.server / sent),
        (RATE, sent / time),
        (P50, load.to_answer.quantile(0.5)),
        (P99, load.to_answer.quantile(0.99)),
        (OWN, cost.own / sent),
        (OTHERS, cost.others),
    ])
}

pub(super) fn paced(bench: &mut Bench) {
    let (rate, time) = (bench.amounts.of("paced-per-s"), bench.amounts.of("paced-s"));
    bench.once("paced", &format!("{rate} a second, {time} s"), TLS, |bench| {
        run(&bench.field.running(TLS)?, rate as f64, time as f64)
    });
}
