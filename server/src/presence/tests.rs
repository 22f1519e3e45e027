//! The rules of presence, in virtual time, with outboxes that nobody empties but the test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use bellhop_protocol::frame::{self, LIMIT_AFTER_LOGIN};
use bellhop_protocol::presence::{Presence as Told, PresenceState};
use bellhop_protocol::{Code, Reply};

use super::*;

const GRACE: u64 = 10_000;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// People who come and go, and sessions that watch them.
struct Bench {
    presence: Presence,
    here: RefCell<BTreeSet<String>>,
    outboxes: BTreeMap<u64, Arc<Outbox>>,
    watchers: BTreeMap<u64, Arc<Watcher>>,
    /// How often it was asked whether somebody is here.
    asked: RefCell<usize>,
}

impl Bench {
    fn new(settings: &[&str]) -> Bench {
        let mut limits = Limits::default();
        settings.iter().for_each(|setting| limits.apply(setting).unwrap());
        Bench {
            presence: Presence::new(true, &limits),
            here: RefCell::default(),
            outboxes: BTreeMap::new(),
            watchers: BTreeMap::new(),
            asked: RefCell::default(),
        }
    }

    fn watch(&mut self, session: u64, names: &[&str], now: u64) -> Result<Vec<u8>, Code> {
        let outbox = self.outboxes.entry(session).or_insert_with(|| Arc::new(Outbox::alone(1 << 18))).clone();
        let names = names.iter().map(|name| Address::parse(name).unwrap());
        let is_online = |folded: &str| {
            *self.asked.borrow_mut() += 1;
            self.here.borrow().contains(folded)
        };
        let watched = self.presence.watch(SessionId(session), &outbox, names, at(now), is_online);
        let (watcher, states) = watched.map_err(|refusal| refusal.code)?;
        match watcher {
            Some(watcher) => self.watchers.insert(session, watcher),
            None => self.watchers.remove(&session),
        };
        Ok(states)
    }

    fn comes(&self, name: &str, now: u64) {
        self.here.borrow_mut().insert(name.to_owned());
        self.presence.touch(name, at(now), || self.here.borrow().contains(name));
    }

    fn goes(&self, name: &str, now: u64) {
        self.here.borrow_mut().remove(name);
        self.presence.touch(name, at(now), || self.here.borrow().contains(name));
    }

    /// Lets the session's connection push what is due, and its client read it.
    fn hear(&self, session: u64, now: u64) -> Vec<String> {
        if let Some(watcher) = self.watchers.get(&session) {
            watcher.push(at(now), &mut Effects::default());
        }
        self.read(session)
    }

    fn read(&self, session: u64) -> Vec<String> {
        let (mut bytes, mut heard) = (Vec::new(), Vec::new());
        self.outboxes[&session].take(&mut bytes, Waker::noop());
        self.outboxes[&session].wrote(bytes.len());
        let mut rest = &bytes[..];
        while let Some(found) = frame::parse(rest, LIMIT_AFTER_LOGIN).unwrap() {
            heard.push(match Reply::decode(found.op, found.data).unwrap() {
                Reply::Presence(Told { state: PresenceState::Online, peer }) => format!("+{peer}"),
                Reply::Presence(Told { state: PresenceState::Offline, peer }) => format!("-{peer}"),
                Reply::Typing(peer) => format!("~{peer}"),
                other => panic!("{other:?}"),
            });
            rest = &rest[found.wire_len()..];
        }
        heard
    }

    fn deadline(&self, session: u64) -> Option<u64> {
        self.watchers[&session].deadline().map(|due| due.as_millis() as u64)
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn the_answer_tells_what_is_and_pushes_tell_what_changes() {
    let mut bench = Bench::new(&[]);
    bench.comes("bob", 0);
    assert_eq!(bench.watch(1, &["carol", "bob", "nobody", "bob@elsewhere"], 1_000), Ok(vec![0, 1, 0, 0]));
    assert_eq!((bench.hear(1, 1_000), bench.deadline(1)), (vec![], None), "the answer has told it");
    bench.comes("carol", 2_000);
    bench.comes("dave", 2_000);
    assert_eq!(bench.hear(1, 2_000), ["+carol"], "and nobody else");
    bench.goes("bob", 20_000);
    assert_eq!(bench.deadline(1), Some(20_000 + GRACE));
    assert_eq!(bench.hear(1, 20_000 + GRACE - 1), NOTHING);
    assert_eq!(bench.hear(1, 20_000 + GRACE), ["-bob"]);
    assert_eq!((bench.hear(1, 90_000), bench.deadline(1)), (vec![], None));
}

/// A connection's turn may have begun before another one's that was quicker.
#[test]
fn an_older_clock_sees_nobody_who_was_never_here() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.watch(1, &["bob"], 1_000), Ok(vec![0]));
    assert_eq!(bench.watch(2, &["bob"], 999), Ok(vec![0]));
}

#[test]
fn who_comes_back_in_time_was_never_gone() {
    let mut bench = Bench::new(&[]);
    bench.comes("bob", 0);
    bench.watch(1, &["bob"], 0).unwrap();
    for round in 1..50 {
        bench.goes("bob", round * 20_000);
        assert_eq!(bench.watch(2, &["bob"], round * 20_000 + 5_000), Ok(vec![1]), "to new ones neither");
        assert_eq!(bench.hear(1, round * 20_000 + GRACE - 1), NOTHING);
        bench.comes("bob", round * 20_000 + GRACE - 1);
        assert_eq!(
            (bench.hear(1, round * 20_000 + 15_000), bench.hear(2, round * 20_000 + 15_000)),
            (vec![], vec![])
        );
    }
    bench.goes("bob", 2_000_000);
    assert_eq!(bench.watch(3, &["bob"], 2_000_000 + GRACE - 1), Ok(vec![1]));
    assert_eq!(bench.hear(3, 2_000_000 + GRACE), ["-bob"], "and then told like the others");
}

/// The shortest grace, and somebody who comes and goes every 100 ms for a minute.
#[test]
fn who_flaps_costs_a_watcher_a_push_a_second() {
    let mut bench = Bench::new(&["presence-grace=1"]);
    bench.watch(1, &["bob"], 0).unwrap();
    let mut heard = Vec::new();
    for step in 0..600 {
        let now = step * 100;
        // Two seconds here or not, and within them there and back all the time.
        match (step / 20 + step) % 2 {
            0 => bench.comes("bob", now),
            _ => bench.goes("bob", now),
        }
        bench.presence.typing("bob", &[SessionId(1)], at(now));
        heard.extend(bench.hear(1, now).into_iter().map(|what| (now, what)));
    }
    let times: Vec<u64> = heard.iter().map(|(now, _)| *now).collect::<BTreeSet<_>>().into_iter().collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "{heard:?}");
    assert!(times.len() >= 30, "{heard:?}");
}

#[test]
fn a_slow_reader_is_told_the_latest_state_alone() {
    let mut bench = Bench::new(&["presence-grace=1"]);
    bench.watch(1, &["bob", "carol"], 0).unwrap();
    let outbox = bench.outboxes[&1].clone();
    outbox.answer(&mut Effects::default(), |out| out.extend_from_slice(&[0; OWN]));
    for round in 0..20 {
        bench.comes("bob", round * 5_000);
        bench.presence.typing("bob", &[SessionId(1)], at(round * 5_000));
        assert!(!bench.watchers[&1].push(at(round * 5_000 + 10), &mut Effects::default()));
        assert_eq!(bench.deadline(1), Some(round * 5_000 + 1_010), "looked at again, and not at once");
        bench.goes("bob", round * 5_000 + 2_000);
        bench.watchers[&1].push(at(round * 5_000 + 4_000), &mut Effects::default());
    }
    bench.comes("carol", 100_000);
    let mut bytes = Vec::new();
    outbox.take(&mut bytes, Waker::noop());
    assert_eq!(bytes.len(), OWN, "nothing was put behind it");
    outbox.wrote(bytes.len());
    assert_eq!(bench.hear(1, 110_000), ["+carol"], "who is as before is no news, and nobody types for ever");
}

#[test]
fn names_are_told_as_they_were_written() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.watch(1, &["Straße", "BOB", "bob", "STRASSE"], 0), Ok(vec![0; 4]));
    bench.comes("strasse", 1_000);
    bench.comes("bob", 1_000);
    assert_eq!(bench.hear(1, 1_000), ["+BOB", "+Straße"], "once, and the first way");
    assert_eq!(bench.presence.in_use(), InUse { sessions: 1, names: 2, most: 2 });
}

#[test]
fn another_list_takes_the_place_of_the_first() {
    let mut bench = Bench::new(&[]);
    bench.comes("bob", 0);
    bench.watch(1, &["alice", "bob", "carol"], 0).unwrap();
    bench.goes("bob", 1_000);
    assert_eq!(bench.watch(1, &["bob", "dave"], 2_000), Ok(vec![1, 0]), "bob is not gone for good");
    for name in ["alice", "carol", "dave"] {
        bench.comes(name, 3_000);
    }
    assert_eq!(bench.hear(1, 3_000), ["+dave"]);
    assert_eq!(bench.presence.in_use(), InUse { sessions: 1, names: 2, most: 2 });
    assert_eq!(bench.watch(1, &[], 4_000), Ok(vec![]));
    assert_eq!(bench.presence.in_use(), InUse::default());
    bench.comes("bob", 5_000);
    assert_eq!(bench.hear(1, 60_000), NOTHING);
}

#[test]
fn lists_have_bounds_and_what_is_refused_changes_nothing() {
    let mut bench = Bench::new(&["watch=3"]);
    assert_eq!(bench.watch(1, &["a", "b", "c"], 0), Ok(vec![0; 3]));
    assert_eq!(bench.watch(1, &["a", "b", "c", "d"], 0), Err(Code::TOO_LONG));
    assert_eq!(bench.watch(2, &["x@1", "x@2", "x@3", "x@4"], 0), Err(Code::TOO_LONG), "of any realm");
    assert_eq!(bench.watch(2, &["c", "d"], 0), Ok(vec![0; 2]));
    assert_eq!(bench.watch(2, &["a", "b", "c", "d"], 0), Err(Code::TOO_LONG));
    assert_eq!(bench.presence.in_use(), InUse { sessions: 2, names: 5, most: 3 });
    bench.comes("c", 1_000);
    assert_eq!((bench.hear(1, 1_000), bench.hear(2, 1_000)), (vec!["+c".into()], vec!["+c".into()]));
    bench.presence.leave(SessionId(1));
    bench.presence.leave(SessionId(1));
    assert_eq!(bench.presence.in_use(), InUse { sessions: 1, names: 2, most: 2 });
    assert_eq!(bench.watch(3, &["a", "b", "c"], 0), Ok(vec![0, 0, 1]));
    bench.goes("c", 1_000);
    bench.presence.leave(SessionId(2));
    bench.presence.leave(SessionId(3));
    assert_eq!(bench.presence.in_use(), InUse::default());
    assert!(bench.presence.registry.lock().names.is_empty(), "nothing is kept of anybody");
}

/// Whoever came first had everything, and the others nothing.
#[test]
fn whoever_comes_late_finds_room_for_a_list_of_a_usual_length() {
    let mut bench = Bench::new(&["watch-all=1600"]);
    let names: Vec<String> = (0..256).map(|number| format!("n{number}")).collect();
    let list = |most: usize| names.iter().take(most).map(String::as_str).collect::<Vec<_>>();
    let longest = |bench: &mut Bench, session: u64| {
        let lengths = (1..=256).rev();
        lengths.into_iter().find(|length| bench.watch(session, &list(*length), 0).is_ok()).unwrap()
    };
    // Two hundred who each take as much as they get.
    let took: Vec<usize> = (0..200).map(|session| longest(&mut bench, session)).collect();
    assert_eq!((took[0], took[1]), (100, 93), "a sixteenth of what is left");
    assert!(took.windows(2).all(|pair| pair[0] >= pair[1]) && took[199] == OWN_NAMES, "{took:?}");
    assert!(took.iter().sum::<usize>() <= 1_600 + 200 * OWN_NAMES, "{took:?}");
    assert!(bench.presence.in_use().names >= 1_500);
    // Who has a list keeps it, and may have another one of its length.
    let others: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    assert_eq!(bench.watch(0, &others, 0), Ok(vec![0; 100]));
    assert_eq!(bench.watch(1, &others, 0), Err(Code::TOO_LONG));
    (0..50).for_each(|session| bench.presence.leave(SessionId(session)));
    assert!(longest(&mut bench, 300) > 50, "and what goes is there for others");
}

#[test]
fn typing_is_told_to_those_who_watch_and_only_while_it_is_true() {
    let mut bench = Bench::new(&[]);
    bench.watch(1, &["Bob"], 0).unwrap();
    bench.watch(2, &["carol"], 0).unwrap();
    let types = |from: &str, now| bench.presence.typing(from, &[1, 2, 9].map(SessionId), at(now));
    types("bob", 1_000);
    assert_eq!((bench.hear(1, 1_000), bench.hear(2, 1_000)), (vec!["~Bob".into()], vec![]));
    types("bob", 1_100);
    types("bob", 1_999);
    assert_eq!(
        (bench.hear(1, 2_000), bench.deadline(1)),
        (vec![], None),
        "a message may have come meanwhile"
    );
    types("bob", 2_000);
    assert_eq!((bench.hear(1, 2_000), bench.hear(1, 3_000)), (vec!["~Bob".into()], vec![]));
    types("bob", 4_000);
    assert_eq!((bench.hear(1, 9_000), bench.deadline(1)), (vec![], None), "it was not read in time");
}

/// Ten thousand log in, each with a list of a hundred friends: what is done is by watcher, and not by session.
#[test]
fn a_storm_of_logins_costs_by_those_who_watch() {
    let mut bench = Bench::new(&["watch-all=1000000"]);
    const PEOPLE: u64 = 10_000;
    let name = |number: u64| format!("p{}", number % PEOPLE);
    for person in 0..PEOPLE {
        bench.comes(&name(person), person);
        let friends: Vec<String> = (1..=5).map(|step| name(person + step * 7)).collect();
        bench.watch(person, &friends.iter().map(String::as_str).collect::<Vec<_>>(), person).unwrap();
    }
    assert!(*bench.asked.borrow() <= 5 * PEOPLE as usize, "{}", bench.asked.borrow());
    let told: usize = (0..PEOPLE).map(|person| bench.hear(person, 2 * PEOPLE).len()).sum();
    assert!(told <= 5 * PEOPLE as usize && told > PEOPLE as usize, "{told}");
    let none = (0..PEOPLE).filter(|person| bench.watchers[person].deadline().is_some()).count();
    assert_eq!(none, 0, "no clock runs while nobody comes or goes");
}

/// Whom a thousand watched, and then one, costs what one watch costs: with many such names it would be gigabytes.
#[test]
fn who_was_watched_by_many_keeps_no_room_for_them() {
    let mut bench = Bench::new(&[]);
    (0..1_000).for_each(|session| drop(bench.watch(session, &["bob"], 0)));
    let room = |bench: &Bench| bench.presence.registry.lock().names["bob"].by.capacity();
    assert!(room(&bench) >= 1_000);
    (1..1_000).for_each(|session| bench.presence.leave(SessionId(session)));
    assert!(room(&bench) <= 8, "{}", room(&bench));
    bench.comes("bob", 1);
    assert_eq!(bench.hear(0, 1), ["+bob"]);
}

#[test]
fn off_gives_no_feature() {
    let limits = Limits::default();
    let [on, off] = [true, false].map(|on| Presence::new(on, &limits));
    assert_eq!([0, 1, 2, 3, u32::MAX].map(|asked| on.features(asked)), [0, 1, 2, 3, 3]);
    assert_eq!([0, 1, 2, 3, u32::MAX].map(|asked| off.features(asked)), [0; 5]);
}
