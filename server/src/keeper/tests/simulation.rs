//! The writing thread through seeded runs of what people, time, full disks and crashes do, against a model of what must
//! come of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::bench::{Bench, Party};
use crate::keeper::accounts::AccountJob;
use crate::store::faulty::Fault;

const SEEDS: u64 = 16;
const STEPS: u32 = 250;
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Devices of a person; the first one is there from the beginning, posts and gets the receipts.
const DEVICES: u8 = 3;

/// What is believed of a device.
struct Device {
    party: Party,
    /// The numbers of the messages that it must be given, rising.
    waiting: VecDeque<u32>,
    /// The seq of those that it was given since the last restart.
    given: VecDeque<u64>,
}

/// What is believed of an account.
#[derive(Default)]
struct Person {
    /// By number.
    devices: BTreeMap<u8, Device>,
    /// The receipts that it was given, by seq: whose, and which.
    receipts: BTreeMap<u64, String>,
    /// The answers to what it sent that were not looked at yet.
    answers: VecDeque<String>,
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
    /// By number.
    wanted: BTreeMap<u32, Wanted>,
    random: u64,
    number: u32,
}

impl World {
    fn new(seed: u64) -> World {
        let (people, wanted) = Default::default();
        World { bench: Some(Bench::new()), people, wanted, random: seed * 2 + 1, number: 0 }
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
        match self.random(24) {
            0..8 => self.send(),
            8..14 => self.take(),
            14 => self.delete(),
            15..17 => self.bench().seconds(1),
            17 => self.bench().seconds(20),
            18..20 => {
                let (name, device) = (self.name(), 1 + self.random(DEVICES.into()) as u8);
                self.join(name, device);
            }
            20..22 => {
                // One of the next commits finds no room.
                let after = self.random(3);
                self.bench().fail(after, Fault::Full);
            }
            _ => self.restart(),
        }
        self.look();
    }

    /// A device comes: it is given everything that is still kept, and from then on what comes.
    fn join(&mut self, name: &'static str, number: u8) {
        if self.people.get(name).is_some_and(|person| person.devices.contains_key(&number)) {
            return;
        }
        let bench = self.bench.as_mut().unwrap();
        let party = bench.party(name, Some(number));
        bench.reopen(&party).unwrap();
        let person = self.people.entry(name).or_default();
        let kept: BTreeSet<u32> =
            person.devices.values().flat_map(|device| &device.waiting).copied().collect();
        let device = Device { party, waiting: kept.into_iter().collect(), given: VecDeque::new() };
        person.devices.insert(number, device);
        self.look();
        let device = &self.people[name].devices[&number];
        assert_eq!(device.given.len(), device.waiting.len(), "{name} {number} is given all that is kept");
    }

    fn send(&mut self) {
        let (from, to, wanted) = (self.name(), self.name(), self.random(2) == 0);
        self.join(from, 1);
        self.number += 1;
        let number = self.number;
        let sender = self.people.get_mut(from).unwrap();
        let bench = self.bench.as_mut().unwrap();
        bench.send(&mut sender.devices.get_mut(&1).unwrap().party, to, &number.to_string(), wanted);
        bench.turn().unwrap();
        // Expected before it is known that it is kept; taken back where it is not.
        if let Some(recipient) = self.people.get_mut(to) {
            recipient.devices.values_mut().for_each(|device| device.waiting.push_back(number));
        }
        self.look();
        let answer = self.people.get_mut(from).unwrap().answers.pop_front();
        let kept = match answer.as_deref() {
            Some("ok stored" | "ok handedover") => true,
            Some("no-such-user") if !self.people.contains_key(to) => false,
            Some("storage") => false,
            other => panic!("{from} was told {other:?}"),
        };
        if !kept && let Some(recipient) = self.people.get_mut(to) {
            for device in recipient.devices.values_mut() {
                device.waiting.pop_back();
            }
        }
        if kept && wanted {
            self.wanted.insert(number, Wanted { from, to, end: None });
        }
    }

    /// Reads what everybody was given, which must be what they wait for, in order.
    fn look(&mut self) {
        for (name, person) in &mut self.people {
            let Person { devices, receipts, answers } = person;
            for (number, device) in devices {
                for line in device.party.read() {
                    let parted = line.split_once(' ').and_then(|(seq, rest)| Some((seq.parse().ok()?, rest)));
                    let Some((seq, rest)) = parted else {
                        answers.push_back(line);
                        continue;
                    };
                    if let Some((_, text)) = rest.split_once(": ") {
                        let expected = device.waiting.get(device.given.len()).map(u32::to_string);
                        assert_eq!(Some(text), expected.as_deref(), "{name} {number} was given {line}");
                        device.given.push_back(seq);
                    } else {
                        assert_eq!(*number, 1, "receipts are for the device that posted: {line}");
                        let (receipt, _) = rest.rsplit_once(' ').unwrap();
                        let before = receipts.insert(seq, receipt.to_owned());
                        assert!(before.is_none_or(|before| before == receipt), "{name} was given {line}");
                    }
                }
            }
        }
    }

    /// A device acknowledges the first few of what it was given.
    fn take(&mut self) {
        let (name, count) = (self.name(), self.random(4));
        let number = 1 + self.random(DEVICES.into()) as u8;
        let bench = self.bench.as_mut().unwrap();
        let device = self.people.get_mut(name).and_then(|person| person.devices.get_mut(&number));
        let Some(device) = device else { return };
        for _ in 0..count.min(device.given.len() as u64) {
            let (seq, message) = (device.given.pop_front().unwrap(), device.waiting.pop_front().unwrap());
            bench.ack(&device.party, seq);
            if let Some(wanted) = self.wanted.get_mut(&message) {
                wanted.end = Some("delivered");
            }
        }
        bench.turn().unwrap();
    }

    fn delete(&mut self) {
        let name = self.name();
        let Some(person) = self.people.remove(name) else { return };
        let login = &person.devices.values().next().unwrap().party.login;
        let (account, session) = (login.account.clone(), Some(login.session));
        let bench = self.bench.as_mut().unwrap();
        while let Err(refusal) =
            bench.ask(|reply| AccountJob::Delete { account: account.clone(), session, hold: false, reply })
        {
            assert_eq!(refusal.code.to_string(), "storage");
        }
        for device in person.devices.values() {
            for message in &device.waiting {
                // Whatever a device had ended before.
                if let Some(wanted) = self.wanted.get_mut(message).filter(|wanted| wanted.end.is_none()) {
                    wanted.end = Some("refused");
                }
            }
        }
        // Nobody is left to be told.
        self.wanted.retain(|_, wanted| wanted.from != name);
    }

    /// A crash, after what was taken is saved; without that, some may be given again. Whoever comes back is given all
    /// that waits.
    fn restart(&mut self) {
        self.bench().seconds(4);
        self.look();
        let mut bench = self.bench.take().unwrap().restart();
        for (name, person) in &mut self.people {
            for (number, device) in &mut person.devices {
                let counter = device.party.counter;
                device.party = bench.party(name, Some(*number));
                device.party.counter = counter;
                device.given.clear();
                bench.reopen(&device.party).unwrap();
            }
        }
        self.bench = Some(bench);
        self.look();
        for (name, person) in &self.people {
            for (number, device) in &person.devices {
                assert_eq!(
                    device.given.len(),
                    device.waiting.len(),
                    "{name} {number} is given all that waits"
                );
            }
        }
    }

    /// Everybody was told how each message that they wanted to know of ended, and nothing else; and nothing is kept
    /// but what waits for somebody.
    fn check(&mut self) {
        for (name, person) in &self.people {
            let mine = self.wanted.values().filter(|wanted| wanted.from == *name);
            let mut expected: Vec<String> =
                mine.filter_map(|wanted| Some(format!("{} {}", wanted.to, wanted.end?))).collect();
            let mut told: Vec<String> = person.receipts.values().cloned().collect();
            expected.sort();
            told.sort();
            assert_eq!(told, expected, "{name}");
        }
        let messages = self.people.values().map(|person| {
            let waiting = person.devices.values().flat_map(|device| &device.waiting);
            waiting.collect::<BTreeSet<_>>().len() + person.receipts.len()
        });
        assert_eq!(self.bench.as_ref().unwrap().core.log.lock().awaited(), messages.sum::<usize>() as u64);
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
        world.check();
    }
}
