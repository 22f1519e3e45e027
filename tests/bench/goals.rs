//! The goals, each judged by what was measured: held, missed, or not run.

use std::fmt;

use crate::amounts::Amounts;
use crate::field::{Subject, Variant};
use crate::figures::{
    ALLOCATIONS, BYTES, CPU, FETCH_CPU, FETCH_RATE, Figures, KIB, LOGINS, Measure, P50, P99, RATE, RSS, Row,
    TIME, TIMES, WAKES, WAL, short,
};
use crate::peers::Peer;
use crate::works::live::{bellhop, case};
use crate::works::{accounts, backlog, codec, disk, soak};

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held,
    Missed,
    NotRun,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Held => "held",
            Verdict::Missed => "**missed**",
            Verdict::NotRun => "not run",
        })
    }
}

/// A part of a goal: what is looked at, what it is, and how much it may be or has to be.
#[derive(Clone, Debug)]
struct Part {
    what: &'static str,
    value: Option<f64>,
    bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Most(f64),
    Least(f64),
}

impl Part {
    fn is_held(&self) -> Option<bool> {
        Some(match self.bound {
            Bound::Most(most) => self.value? <= most,
            Bound::Least(least) => self.value? >= least,
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.map_or_else(|| "–".to_owned(), short);
        let (sign, bound) = match self.bound {
            Bound::Most(most) => ("≤", most),
            Bound::Least(least) => ("≥", least),
        };
        let wrong = if self.is_held() == Some(false) { " (!)" } else { "" };
        write!(f, "{} {value} {sign} {}{wrong}", self.what, short(bound))
    }
}

/// A goal, and what was seen of it.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) id: &'static str,
    pub(crate) verdict: Verdict,
    /// What was seen, part by part.
    pub(crate) seen: String,
}

/// All that goals are judged by.
struct Judge<'a> {
    figures: &'a Figures,
    amounts: &'a Amounts,
}

fn most(what: &'static str, value: Option<f64>, most: f64) -> Part {
    Part { what, value, bound: Bound::Most(most) }
}

fn least(what: &'static str, value: Option<f64>, least: f64) -> Part {
    Part { what, value, bound: Bound::Least(least) }
}

const fn variant(durability: &'static str) -> Variant {
    Variant::of(durability)
}

const RECEIPTS: Subject = Subject::Bellhop(Variant { receipts: true, ..variant("power") });
const TLS_LIVE: Subject = Subject::Bellhop(Variant { tls: true, ..variant("none") });
const TLS: Subject = Subject::Bellhop(Variant { tls: true, ..variant("power") });
const TOKENS: Subject = Subject::Bellhop(Variant { tokens: true, ..variant("power") });
const TLS_TOKENS: Subject = Subject::Bellhop(Variant { tls: true, tokens: true, ..variant("power") });

impl Judge<'_> {
    fn of(&self, work: &str, case: &str, subject: Subject, measure: Measure) -> Option<f64> {
        self.figures.get(work, case, &subject.to_string(), measure).map(|spread| spread.middle)
    }

    /// The only case of a work in which somebody did it.
    fn one(&self, work: &str, subject: Subject, measure: Measure) -> Option<f64> {
        let row = self.figures.of(work).find(|row| row.subject == subject.to_string())?;
        self.of(work, &row.case, subject, measure)
    }

    fn live(&self, window: u64, subject: Subject, measure: Measure) -> Option<f64> {
        self.of("live", &case(window, 64), subject, measure)
    }

    /// The last case of a growing work against the first.
    fn growth(&self, work: &str, subject: Subject, wanted: &str) -> Option<f64> {
        let name = subject.to_string();
        let is_one =
            |row: &&Row| row.subject == name && row.case.contains(wanted) && row.spread(CPU).is_some();
        let rows: Vec<&Row> = self.figures.of(work).filter(is_one).collect();
        let cpu = |row: &Row| self.figures.get(work, &row.case, &name, CPU).map(|spread| spread.middle);
        ratio(cpu(rows.last()?), cpu(rows.first()?))
    }

    /// Not run where the amounts are less than the goal is about.
    fn goal(&self, id: &'static str, needs: &[(&str, u64)], parts: &[Part]) -> Goal {
        let seen: Vec<String> = parts.iter().map(ToString::to_string).collect();
        let small: Vec<String> = needs
            .iter()
            .filter(|(name, least)| self.amounts.of(name) < *least)
            .map(|(name, least)| format!("{name}={} of {least}", self.amounts.of(name)))
            .collect();
        let verdict = match parts.iter().map(Part::is_held).collect::<Option<Vec<bool>>>() {
            Some(held) if small.is_empty() && held.iter().all(|held| *held) => Verdict::Held,
            Some(_) if small.is_empty() => Verdict::Missed,
            // What is missed is missed, whatever else was not run.
            _ if small.is_empty() && parts.iter().any(|part| part.is_held() == Some(false)) => {
                Verdict::Missed
            }
            _ => Verdict::NotRun,
        };
        Goal { id, verdict, seen: seen.into_iter().chain(small).collect::<Vec<_>>().join("; ") }
    }
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}

fn less(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one?.min(other?))
}

/// Judges all goals.
pub(crate) fn judge(figures: &Figures, amounts: &Amounts) -> Vec<Goal> {
    let judge = Judge { figures, amounts };
    let mut goals = judge.live_goals();
    goals.extend(judge.stored_goals());
    goals.extend(judge.other_goals());
    goals.extend(judge.load_goals());
    goals
}

impl Judge<'_> {
    fn live_goals(&self) -> Vec<Goal> {
        let (none, power) = (bellhop("none"), bellhop("power"));
        let (nats, redis) = (Subject::Peer(Peer::Nats), Subject::Peer(Peer::Redis));
        let cpu = |window, subject| self.live(window, subject, CPU);
        let alone = |subject, measure| self.of("alone", &case(1, 64), subject, measure);
        let commit =
            self.figures.get("disk", "commits of one row", disk::SQLITE, P50).map(|spread| spread.middle);
        vec![
            self.goal(
                "P1",
                &[],
                &[
                    most(
                        "W=64 against the better of NATS and Redis",
                        ratio(cpu(64, none), less(cpu(64, nats), cpu(64, redis))),
                        0.9,
                    ),
                    most("W=1,024 against NATS", ratio(cpu(1_024, none), cpu(1_024, nats)), 1.0),
                    most("W=1 against the relay", ratio(cpu(1, none), cpu(1, Subject::Relay(true))), 1.3),
                ],
            ),
            self.goal(
                "P2",
                &[],
                &[
                    most("p99 W=1 against Redis", ratio(alone(none, P99), alone(redis, P99)), 1.0),
                    most(
                        "p99 W=64 against NATS",
                        ratio(self.live(64, none, P99), self.live(64, nats, P99)),
                        1.0,
                    ),
                ],
            ),
            self.goal(
                "P3",
                &[],
                &[
                    least("delivered a second", self.live(64, power, RATE), 300e3),
                    most("µs", cpu(64, power), 4.0),
                    most("p50 W=1 against a commit", ratio(alone(power, P50), commit), 2.0),
                ],
            ),
            self.goal(
                "P3r",
                &[],
                &[
                    least("delivered a second", self.live(64, RECEIPTS, RATE), 150e3),
                    most("µs", cpu(64, RECEIPTS), 8.0),
                ],
            ),
        ]
    }

    fn stored_goals(&self) -> Vec<Goal> {
        let power = bellhop("power");
        let stored = |subject, measure| self.of("stored", &case(64, 64), subject, measure);
        let always = stored(Subject::Peer(Peer::RedisAlways), RATE);
        let mailboxes = |measure| self.one("mailboxes", power, measure);
        vec![
            self.goal(
                "P4",
                &[],
                &[
                    least("stored a second", stored(power, RATE), 450e3),
                    most("µs", stored(power, CPU), 1.6),
                    least("against Redis always", ratio(stored(power, RATE), always), 1.0),
                ],
            ),
            self.goal(
                "P4r",
                &[],
                &[
                    least("stored a second", stored(RECEIPTS, RATE), 225e3),
                    most("µs", stored(RECEIPTS, CPU), 3.2),
                ],
            ),
            self.goal(
                "P5",
                &[("mailboxes", 1_000)],
                &[
                    least("fetched a second", stored(power, FETCH_RATE), 500e3),
                    most("µs", stored(power, FETCH_CPU), 2.0),
                    least("among others, a second", mailboxes(FETCH_RATE), 500e3),
                    most("among others, µs", mailboxes(FETCH_CPU), 2.0),
                ],
            ),
        ]
    }

    fn other_goals(&self) -> Vec<Goal> {
        let (none, power) = (bellhop("none"), bellhop("power"));
        let session = |subject, measure| self.one("sessions", subject, measure);
        let (accounts, waiting) = (self.amounts.of("accounts"), self.amounts.of("backlog"));
        let started = |waiting, measure| self.of("backlog", &backlog::start_case(waiting), power, measure);
        let slower = Some(waiting as f64 / 1e6).zip(started(waiting, TIME)).zip(started(0, TIME));
        let other = |at: usize| {
            let row = self.figures.of("others").nth(at)?;
            self.of("others", &row.case, power, TIMES)
        };
        let allocations = |at_once| self.of("instructions", &codec::count_case(at_once), none, ALLOCATIONS);
        let codec = |case| self.figures.get("codec", case, codec::CODEC, RATE).map(|spread| spread.middle);
        vec![
            self.goal(
                "P6",
                &[("sessions", 5_000)],
                &[
                    most("KiB", session(power, KIB), 1.5),
                    most("KiB over TLS", session(TLS, KIB), 14.0),
                    least("logins a second", session(power, LOGINS), 12e3),
                    most("wake-ups a second", session(power, WAKES), 2.0),
                ],
            ),
            self.goal(
                "P7",
                &[("connections", 5_000), ("accounts", 1_000_000), ("backlog", 10_000_000)],
                &[
                    most("µs by connections, none", self.growth("connections", none, ""), 1.3),
                    most("µs by connections, power", self.growth("connections", power, ""), 1.3),
                    most("µs by accounts", self.growth("accounts", power, "accounts"), 1.3),
                    most("µs by what waits", self.growth("backlog", power, "pairs"), 1.3),
                    most("bytes a waiting message", started(waiting, BYTES), 24.0),
                    most(
                        "bytes an account that has some",
                        self.of("accounts", &accounts::drawn_case(accounts), power, BYTES),
                        256.0,
                    ),
                    most(
                        "bytes an account that has none",
                        self.of("accounts", &accounts::idle_case(accounts), power, BYTES),
                        1.0,
                    ),
                    most(
                        "s of a start for a million waiting",
                        slower.map(|((millions, most), least)| (most - least) / millions),
                        3.0,
                    ),
                ],
            ),
            self.goal(
                "P8",
                &[],
                &[
                    most("p99 beside a flood", other(0), 2.0),
                    most("beside a huge mailbox", other(1), 2.0),
                    most("beside slow readers", other(2), 2.0),
                ],
            ),
            self.goal(
                "P9",
                &[],
                &[
                    most(
                        "TLS against plain, W=64",
                        ratio(self.live(64, TLS_LIVE, CPU), self.live(64, none, CPU)),
                        1.5,
                    ),
                    least("logins a second with tokens", session(TOKENS, LOGINS), 5e3),
                ],
            ),
            self.goal(
                "P10",
                &[],
                &[
                    least("decoded a second", codec("decode"), 10e6),
                    least("encoded a second", codec("encode"), 10e6),
                    most("allocations a message, one at a time", allocations(1), 0.01),
                    most("64 at a time", allocations(64), 0.01),
                ],
            ),
        ]
    }

    fn load_goals(&self) -> Vec<Goal> {
        let power = bellhop("power");
        let slow = |senders, measure| self.of("disk", &disk::slow_case(senders), power, measure);
        let long = |measure| self.one("soak", power, measure);
        let killed = |measure| self.of("backlog", &backlog::start_case(500_000), power, measure);
        vec![
            self.goal(
                "L1",
                &[("many-sessions", 10_000), ("many-idle-s", 600)],
                &[most("MiB", self.one("idle", TLS, RSS), 350.0)],
            ),
            self.goal(
                "L2",
                &[("paced-s", 600), ("paced-per-s", 3_000)],
                &[
                    most("p99 to the answer, µs", self.one("paced", TLS, P99), 250e3),
                    least("a second", self.one("paced", TLS, RATE), 2_970.0),
                ],
            ),
            self.goal(
                "L4",
                &[("slow-ms", 10)],
                &[
                    least("200 senders against one", ratio(slow(200, RATE), slow(1, RATE)), 20.0),
                    most("p99 of PING, µs", slow(200, P99), 50e3),
                ],
            ),
            self.goal("L6", &[("clients", 1_000)], &[most("s", self.one("storm", TLS_TOKENS, TIME), 10.0)]),
            self.goal(
                "L7",
                &[("backlog", 500_000)],
                &[most("s", killed(TIME), 3.0), most("MiB of WAL", killed(WAL), 64.0)],
            ),
            self.goal(
                "L8",
                &[("soak-s", 3_600)],
                &[
                    most("memory against before", long(TIMES), 1.1),
                    most("files more", long(soak::FILES), 1.0),
                    most("threads more", long(soak::THREADS), 1.0),
                ],
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(goals: &[Goal], id: &str) -> Verdict {
        goals.iter().find(|goal| goal.id == id).unwrap().verdict
    }

    #[test]
    fn a_goal_is_held_missed_or_not_run() {
        let amounts = Amounts::new(false);
        let mut figures = Figures::default();
        assert!(judge(&figures, &amounts).iter().all(|goal| goal.verdict == Verdict::NotRun));
        for (subject, cpu, rate) in [(bellhop("power"), 1.5, 500e3), (RECEIPTS, 3.3, 300e3)] {
            figures.add("stored", &case(64, 64), &subject.to_string(), CPU, cpu);
            figures.add("stored", &case(64, 64), &subject.to_string(), RATE, rate);
        }
        // Nobody to compare with: what is there is held, and the goal is not run.
        assert_eq!(verdict(&judge(&figures, &amounts), "P4"), Verdict::NotRun);
        assert_eq!(verdict(&judge(&figures, &amounts), "P4r"), Verdict::Missed);
        let redis = Subject::Peer(Peer::RedisAlways).to_string();
        figures.add("stored", &case(64, 64), &redis, RATE, 450e3);
        assert_eq!(verdict(&judge(&figures, &amounts), "P4"), Verdict::Held);
        figures.add("stored", &case(64, 64), &redis, RATE, 600e3);
        assert_eq!(verdict(&judge(&figures, &amounts), "P4"), Verdict::Missed);
    }

    #[test]
    fn less_than_the_amount_is_not_run() {
        let mut figures = Figures::default();
        figures.add("storm", "200 clients", &TLS_TOKENS.to_string(), TIME, 1.0);
        assert_eq!(verdict(&judge(&figures, &Amounts::new(true)), "L6"), Verdict::NotRun);
        assert_eq!(verdict(&judge(&figures, &Amounts::new(false)), "L6"), Verdict::Held);
    }

    #[test]
    fn growth_is_the_last_case_against_the_first() {
        let mut figures = Figures::default();
        for (case, cpu) in [("10 connections", 1.0), ("100 connections", 9.0), ("5000 connections", 1.2)] {
            figures.add("connections", case, "bellhop none", CPU, cpu);
        }
        let judge = Judge { figures: &figures, amounts: &Amounts::new(true) };
        assert_eq!(judge.growth("connections", bellhop("none"), ""), Some(1.2));
    }
}
