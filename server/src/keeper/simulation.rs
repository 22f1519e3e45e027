//! The writing thread through seeded runs of what people, time and crashes do, against a model of what must come of it.

use std::collections::{BTreeMap, VecDeque};

use super::bench::{Bench, Party};

const SEEDS: u64 = 12;
const STEPS: u32 = 200;
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// What is believed of an account.
struct Person {
    party: Party,
    /// The texts of messages that it must be given, oldest first.
    waiting: VecDeque<String>,
    /// The seq of those that it was given since the last restart.
    given: VecDeque<u64>,
    /// The receipts that it was given, by seq: whose, and which.
    receipts: BTreeMap<u64, String>,
}

/// What is believed of a message that wants a receipt.
struct Wanted {
    from: &'static str,
    to: &'static str,
    /// How it ended, in the word of the receipt.
    end: Option<&'static str>,
}

struct World {
    bench: Option<Bench>,
    people: BTreeMap<&'static str, Person>,
    /// By text.
    wanted: BTreeMap<String, Wanted>,
    random: u64,
    number: u32,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            bench: Some(Bench::new()),
            people: BTreeMap::new(),
            wanted: BTreeMap::new(),
            random: seed * 2 + 1,
            number: 0,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.random(NAMES.len() as u64) as usize]
    }

    fn step(&mut self) {
        match self.random(20) {
            0..8 => self.send(),
            8..14 => self.take(),
            14 => self.delete(),
            15..17 => self.bench().seconds(1),
            17 => self.bench().seconds(20),
            _ => self.restart(),
        }
    }

    fn join(&mut self, name: &'static str) {
        if self.people.contains_key(name) {
            return;
        }
        let party = self.bench().party(name, Some(1));
        let (waiting, given, receipts) = Default::default();
        self.people.insert(name, Person { party, waiting, given, receipts });
    }

    fn send(&mut self) {
        let (from, to, wanted) = (self.name(), self.name(), self.random(2) == 0);
        self.join(from);
        self.number += 1;
        let text = format!("text-{}", self.number);
        let person = self.people.get_mut(from).unwrap();
        let bench = self.bench.as_mut().unwrap();
        bench.send(&mut person.party, to, &text, wanted);
        bench.turn().unwrap();
        if let Some(recipient) = self.people.get_mut(to) {
            recipient.waiting.push_back(text.clone());
            if wanted {
                self.wanted.insert(text, Wanted { from, to, end: None });
            }
        }
        self.look();
    }

    /// Reads what everybody was given, which must be what they wait for, in order.
    fn look(&mut self) {
        for (name, person) in &mut self.people {
            for line in person.party.read() {
                // The others are answers.
                let Some((seq, rest)) = line.split_once(' ') else { continue };
                let Ok(seq) = seq.parse() else { continue };
                if let Some((_, text)) = rest.split_once(": ") {
                    assert_eq!(text, person.waiting[person.given.len()], "{name} was given {line}");
                    person.given.push_back(seq);
                } else {
                    let (receipt, _) = rest.rsplit_once(' ').unwrap();
                    let before = person.receipts.insert(seq, receipt.to_owned());
                    assert!(before.is_none_or(|before| before == receipt), "{name} was given {line}");
                }
            }
        }
    }

    /// Somebody acknowledges the first few of what they were given.
    fn take(&mut self) {
        let name = self.name();
        let count = self.random(4);
        let Some(person) = self.people.get_mut(name) else { return };
        for _ in 0..count.min(person.given.len() as u64) {
            let (seq, text) = (person.given.pop_front().unwrap(), person.waiting.pop_front().unwrap());
            self.bench.as_mut().unwrap().ack(&person.party, seq);
            if let Some(wanted) = self.wanted.get_mut(&text) {
                wanted.end = Some("delivered");
            }
        }
        self.bench().turn().unwrap();
        self.look();
    }

    fn delete(&mut self) {
        let name = self.name();
        let Some(person) = self.people.remove(name) else { return };
        self.bench().delete(&person.party);
        self.bench().turn().unwrap();
        for text in &person.waiting {
            if let Some(wanted) = self.wanted.get_mut(text) {
                wanted.end = Some("refused");
            }
        }
        // Nobody is left to be told.
        self.wanted.retain(|_, wanted| wanted.from != name);
        self.look();
    }

    /// A crash, after what was taken is saved; without that, some may be given again. Whoever comes back is given all
    /// that waits.
    fn restart(&mut self) {
        self.bench().seconds(2);
        self.look();
        let mut bench = self.bench.take().unwrap().restart();
        for (name, person) in &mut self.people {
            let counter = person.party.counter;
            person.party = bench.party(name, Some(1));
            person.party.counter = counter;
            person.given.clear();
            bench.reopen(&person.party).unwrap();
        }
        self.bench = Some(bench);
        self.look();
        for (name, person) in &self.people {
            assert_eq!(person.given.len(), person.waiting.len(), "{name} is given all that waits");
        }
    }

    /// Everybody was told how each message that they wanted to know of ended, and nothing else.
    fn check_receipts(&self) {
        for (name, person) in &self.people {
            let mine = self.wanted.values().filter(|wanted| wanted.from == *name);
            let mut expected: Vec<String> =
                mine.filter_map(|wanted| Some(format!("{} {}", wanted.to, wanted.end?))).collect();
            let mut told: Vec<String> = person.receipts.values().cloned().collect();
            expected.sort();
            told.sort();
            assert_eq!(told, expected, "{name}");
        }
    }

    fn bench(&mut self) -> &mut Bench {
        self.bench.as_mut().unwrap()
    }
}

#[test]
fn everybody_is_given_what_waits_and_told_how_it_ended_whatever_happens() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.restart();
        world.bench().seconds(10);
        world.look();
        world.check_receipts();
    }
}
