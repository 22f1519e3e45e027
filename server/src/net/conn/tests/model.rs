//! What people do in any order, again and again, against a plain model of what must come of it: the same account twice,
//! the same name twice, to oneself, to nobody, to somebody who was deleted and may be there again.

use std::collections::{BTreeMap, BTreeSet};

use super::bench::Side;
use super::*;

const SEEDS: u64 = 6;
const STEPS: u32 = 1_000;
/// Nobody ever makes the last one.
const NAMES: [&str; 5] = ["alice", "Bob", "carol", "Dave", "nobody"];
const CONNECTIONS: usize = 7;
/// So much is asked before a login at the most: beyond its bound a connection is closed, which is tested elsewhere.
const UNKNOWN_MAX: usize = 20;

/// What is believed of an account.
#[derive(Default)]
struct Account {
    uuid: String,
    /// What nobody has taken, by number: who sent it, and the text.
    waiting: BTreeMap<u32, String>,
}

/// What is believed of a connection.
#[derive(Default)]
struct Session {
    name: Option<&'static str>,
    /// What was written on it since it logged in.
    written: BTreeSet<u32>,
    /// What came and was not looked at yet.
    came: Vec<(u8, String)>,
    closed: bool,
    /// What it asked for.
    requests: usize,
}

struct World<'a> {
    bench: &'a Bench,
    accounts: BTreeMap<&'static str, Account>,
    sides: Vec<Side<'a>>,
    sessions: Vec<Session>,
    random: u64,
    number: u32,
}

impl<'a> World<'a> {
    fn new(bench: &'a Bench, seed: u64) -> World<'a> {
        let sides = (0..CONNECTIONS).map(|_| bench.connect()).collect();
        let sessions = (0..CONNECTIONS).map(|_| Session::default()).collect();
        World { bench, accounts: BTreeMap::new(), sides, sessions, random: seed * 2 + 1, number: 0 }
    }

    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below as u64) as usize
    }

    /// Everybody comes to rest, and what came is noted.
    fn rest(&mut self) {
        for (side, session) in self.sides.iter_mut().zip(&mut self.sessions) {
            side.turns = 0;
            side.rest();
            while let Some(frame) = side.read() {
                session.came.push(frame);
            }
            session.closed |= side.over || side.kernel.lock().closed;
        }
    }

    /// Asks, and returns the answer.
    fn ask(&mut self, at: usize, op: OpCode, data: &str) -> String {
        // Whoever asks has read what came until then.
        if let Some(account) = self.sessions[at].name.and_then(|name| self.accounts.get_mut(name)) {
            account.waiting.retain(|number, _| !self.sessions[at].written.contains(number));
        }
        self.sides[at].arrives(&bytes(op, data));
        self.sides[at].notices();
        let answer = loop {
            let (answered, text) = self.sides[at].next();
            if answered == op.answer() {
                break text;
            }
            self.sessions[at].came.push((answered, text));
        };
        // What others get of it is there when it is answered.
        self.rest();
        answer
    }

    /// What came on a connection must be these messages, in this order.
    fn came(&mut self, at: usize, expected: &[String]) {
        let came: Vec<(u8, String)> = std::mem::take(&mut self.sessions[at].came);
        let expected: Vec<(u8, String)> =
            expected.iter().map(|text| (Deliver.byte(), text.clone())).collect();
        assert_eq!(came, expected, "on connection {at}");
    }

    fn nothing_else_came(&mut self) {
        (0..CONNECTIONS).for_each(|at| self.came(at, &[]));
    }

    fn create(&mut self, at: usize, name: &'static str) {
        let answer = self.ask(at, OpCode::Create, name);
        if self.sessions[at].name.is_some() {
            return refused(&answer, "already-logged-in");
        }
        if self.accounts.contains_key(name) {
            return refused(&answer, "name-taken");
        }
        let uuid = answer.strip_prefix("ok|").unwrap().to_owned();
        self.accounts.insert(name, Account { uuid, waiting: BTreeMap::new() });
        self.sessions[at].name = Some(name);
    }

    fn login(&mut self, at: usize, name: &'static str) {
        let answer = self.ask(at, Login, &name.to_uppercase());
        if self.sessions[at].name.is_some() {
            return refused(&answer, "already-logged-in");
        }
        let Some(account) = self.accounts.get(name) else { return refused(&answer, "no-such-user") };
        assert_eq!(answer, format!("ok|{}|{}", account.uuid, account.waiting.len()));
        self.sessions[at].name = Some(name);
    }

    fn logout(&mut self, at: usize, name: &str) {
        let answer = self.ask(at, Logout, name);
        match self.sessions[at].name {
            Some(own) if name.is_empty() || own == name => {
                assert_eq!(answer, "ok");
                self.sessions[at] = Session::default();
            }
            _ => refused(&answer, "not-logged-in"),
        }
    }

    fn delete(&mut self, at: usize) {
        let answer = self.ask(at, OpCode::Delete, "");
        let Some(name) = self.sessions[at].name else { return refused(&answer, "not-logged-in") };
        assert_eq!(answer, "ok");
        self.accounts.remove(name).unwrap();
        self.sessions[at] = Session::default();
        for other in 0..CONNECTIONS {
            if self.sessions[other].name == Some(name) {
                let came = std::mem::take(&mut self.sessions[other].came);
                let [(NOTICE, text)] = &came[..] else { panic!("{came:?}") };
                refused(text, "account-deleted");
                assert!(self.sessions[other].closed, "it is told, and closed");
                self.connect_again(other);
            }
        }
    }

    fn list(&mut self, at: usize) {
        let answer = self.ask(at, List, "");
        let mut names: Vec<&str> = self.accounts.keys().copied().collect();
        names.sort_by_key(|name| name.to_lowercase());
        let names: String = names.iter().map(|name| format!("|{name}")).collect();
        assert_eq!(answer, format!("ok{names}"));
    }

    fn send(&mut self, at: usize, to: &'static str) {
        self.number += 1;
        let number = self.number;
        let answer = self.ask(at, Send, &format!("{}|{number}", to.to_uppercase()));
        let Some(from) = self.sessions[at].name else { return refused(&answer, "not-logged-in") };
        let Some(account) = self.accounts.get_mut(to) else { return refused(&answer, "no-such-user") };
        let text = format!("{from}|{number}");
        account.waiting.insert(number, text.clone());
        let here: Vec<usize> =
            (0..CONNECTIONS).filter(|other| self.sessions[*other].name == Some(to)).collect();
        let became = if here.is_empty() { "queued" } else { "delivered" };
        assert!(answer.starts_with(&format!("ok|{became}|")), "{answer}");
        for other in here {
            self.came(other, std::slice::from_ref(&text));
            self.sessions[other].written.insert(number);
        }
    }

    fn deliver(&mut self, at: usize) {
        let answer = self.ask(at, Deliver, "");
        let Some(name) = self.sessions[at].name else { return refused(&answer, "not-logged-in") };
        let waiting = &self.accounts[name].waiting;
        let new = waiting.iter().filter(|(number, _)| !self.sessions[at].written.contains(number));
        let (numbers, texts): (Vec<u32>, Vec<String>) =
            new.map(|(number, text)| (*number, text.clone())).unzip();
        assert_eq!(answer, format!("ok|{}", texts.len()));
        self.came(at, &texts);
        self.sessions[at].written.extend(numbers);
    }

    /// The connection breaks, or was closed, and another one takes its place.
    fn connect_again(&mut self, at: usize) {
        self.sides[at] = self.bench.connect();
        self.sessions[at] = Session::default();
    }

    fn step(&mut self) {
        let (at, name) = (self.random(CONNECTIONS), NAMES[self.random(NAMES.len())]);
        if self.sessions[at].name.is_none() && self.sessions[at].requests == UNKNOWN_MAX {
            self.connect_again(at);
        }
        self.sessions[at].requests += 1;
        match self.random(20) {
            0..3 if name != "nobody" => self.create(at, name),
            0..6 => self.login(at, name),
            6 => self.logout(at, ""),
            7 => self.logout(at, name),
            8 => self.delete(at),
            9 => self.list(at),
            10..13 => self.deliver(at),
            13 => self.connect_again(at),
            14 => {
                // To oneself, whoever that is.
                let own = self.sessions[at].name.unwrap_or("nobody");
                self.send(at, own);
            }
            _ => self.send(at, name),
        }
        self.nothing_else_came();
    }
}

fn refused(answer: &str, code: &str) {
    assert!(answer.starts_with(&format!("error|{code}|")), "{answer} instead of {code}");
}

/// B10.
#[test]
fn whatever_people_do_comes_out_as_in_a_model() {
    let unlimited = ["sends=off", "list-rate=off", "accept-rate=off", "unknown-rate=off", "unauth-addr=off"];
    let seeds = match std::env::var("SIM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=SEEDS).collect(),
    };
    for seed in seeds {
        for in_memory in [false, true] {
            let bench = if in_memory { Bench::in_memory(&unlimited) } else { Bench::new(&unlimited) };
            let mut world = World::new(&bench, seed);
            let step = std::cell::Cell::new(0);
            let run = std::panic::AssertUnwindSafe(|| {
                for number in 0..STEPS {
                    step.set(number);
                    world.step();
                }
            });
            if let Err(panic) = std::panic::catch_unwind(run) {
                eprintln!("SIM_SEED={seed} repeats it: step {}, in memory: {in_memory}", step.get());
                std::panic::resume_unwind(panic);
            }
        }
    }
}
