//! People who come and say nothing: how fast they are logged in, and what they cost while they are there.

use super::growth::steps;
use super::live::bellhop;
use super::{Bench, Measures};
use crate::clock::{self, Moment};
use crate::field::{Running, Subject, Variant};
use crate::figures::{CPU, IDLE, KIB, LOGINS, RSS, WAKES};
use crate::load::{Load, log_in};
use crate::peers::Peer;
use crate::proto::Role;
use bellhop_tests::proc::{rss, wake_ups_in};

/// Bellhop over TLS.
pub(crate) const TLS: Subject = Subject::Bellhop(Variant { tls: true, ..Variant::of("power") });
/// Bellhop, entered with tokens.
const TOKENS: Subject = Subject::Bellhop(Variant { tokens: true, ..Variant::of("power") });
/// Bellhop over TLS, entered with tokens.
pub(crate) const TLS_TOKENS: Subject =
    Subject::Bellhop(Variant { tls: true, tokens: true, ..Variant::of("power") });

const EVERYBODY: &[Subject] = &[
    Subject::Relay(true),
    bellhop("power"),
    TLS,
    TOKENS,
    TLS_TOKENS,
    Subject::Peer(Peer::Nats),
    Subject::Peer(Peer::Redis),
    Subject::Peer(Peer::Mosquitto),
    Subject::Peer(Peer::Ngircd),
    Subject::Peer(Peer::Inspircd),
];

/// Has everybody there be once, so that their accounts are, and starts the server anew: what a login costs is measured
/// then, and from a memory that nobody has used.
fn prepare(bench: &mut Bench, subject: Subject, who: &[(u32, Role)]) -> Result<Running, String> {
    bench.field.end(subject);
    let running = bench.field.running(subject)?;
    if !matches!(subject, Subject::Bellhop(_)) {
        return Ok(running);
    }
    drop(log_in(&running, who)?);
    bench.field.restart(subject, false)?;
    let again = bench.field.running(subject)?;
    // The protocol knows the tokens.
    Ok(Running { place: again.place, ids: again.ids, ..running })
}

fn run(bench: &mut Bench, subject: Subject, sessions: u64, idle: u64) -> Result<Measures, String> {
    let who: Vec<(u32, Role)> =
        (0..u32::try_from(sessions).unwrap()).map(|party| (party, Role::Receiver)).collect();
    let running = prepare(bench, subject, &who)?;
    running.proto.begin();
    let id = running.ids[0];
    let (before, moment, start) = (rss(id), Moment::now(&running.ids), clock::now());
    let links = log_in(&running, &who)?;
    let (seconds, cost) = (clock::seconds(start, clock::now()), moment.cost());
    let mut load = Load::meet(&running, &[], 1, 64)?;
    links.into_iter().try_for_each(|(link, state)| load.add(link, state))?;
    load.tend(bench.amounts.of("upkeep-s") as f64)?;
    let moment = Moment::now(&running.ids);
    // The wake-ups are counted while the load answers what the server asks.
    let wakes = std::thread::scope(|scope| {
        let counted = scope.spawn(|| wake_ups_in(id, idle));
        let tended = load.tend(idle as f64);
        let wakes = counted.join().unwrap();
        tended.map(|()| wakes)
    })?;
    let idle_cost = moment.cost();
    Ok(vec![
        (LOGINS, sessions as f64 / seconds),
        (CPU, cost.server / sessions as f64),
        (KIB, rss(id).saturating_sub(before) as f64 / 1_024.0 / sessions as f64),
        (IDLE, idle_cost.server / 1e3 * 10.0 / idle_cost.seconds),
        (WAKES, wakes as f64 / idle.max(1) as f64),
        (RSS, rss(id) as f64 / f64::from(1 << 20)),
    ])
}

pub(super) fn sessions(bench: &mut Bench) {
    let (sessions, idle) = (bench.amounts.of("sessions"), bench.amounts.of("idle-s"));
    bench.by_turns("sessions", &format!("{sessions} sessions"), EVERYBODY, |bench, subject| {
        let done = run(bench, subject, sessions, idle);
        bench.field.end(subject);
        done
    });
}

/// What a session costs, by how many there are.
pub(super) fn growing(bench: &mut Bench) {
    let idle = bench.amounts.of("idle-s");
    for sessions in steps(100, bench.amounts.of("sessions")) {
        bench.by_turns(
            "crowds",
            &format!("{sessions} sessions"),
            &[bellhop("power"), TLS],
            |bench, subject| {
                let done = run(bench, subject, sessions, idle);
                bench.field.end(subject);
                done
            },
        );
    }
}

/// Once: it takes long.
pub(super) fn many(bench: &mut Bench) {
    let (sessions, idle) = (bench.amounts.of("many-sessions"), bench.amounts.of("many-idle-s"));
    bench.once("idle", &format!("{sessions} sessions, {idle} s"), TLS, |bench| {
        run(bench, TLS, sessions, idle)
    });
}
