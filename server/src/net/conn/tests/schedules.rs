//! Schedules of threads, chosen at random: a sender, a recipient who acknowledges and whose connection breaks at any
//! moment, and another device of theirs; a recipient whose device comes a second time, or who is deleted, while messages
//! come. Each lock is a place where others go on. Whatever the order, what was kept is shown, once a device, in order;
//! and nobody sleeps while there is something to give.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use bellhop_protocol::item::Ack;
use bellhop_protocol::presence::PresenceState;
use bellhop_protocol::{Code, Reply};
use parking_lot::Mutex;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::RandomScheduler;
use shuttle::{Runner, thread};

use super::bench::{Bench, Kernel, Script, Side};
use super::*;
use crate::sync::tried::trying;

/// How many messages are sent in a schedule.
const MESSAGES: u64 = 5;
/// Who is not woken while the others take so many steps, is not going to be.
const STEPS: usize = 3_000;

/// How many schedules are tried: a few in a quick run, and as many as `BELLHOP_SCHEDULES` says.
fn schedules() -> usize {
    std::env::var("BELLHOP_SCHEDULES").map_or(200, |schedules| schedules.parse().unwrap())
}

/// Notes that somebody was woken.
#[derive(Default)]
pub(super) struct Flag(pub(super) AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A connection that a thread of a schedule drives, and what its other side does.
pub(super) struct Party {
    pub(super) conn: Conn<Script>,
    kernel: Arc<Mutex<Kernel>>,
    pub(super) woken: Arc<Flag>,
    /// The texts of what came, by seq.
    shown: BTreeMap<u64, String>,
    /// How each POST was answered.
    posted: Vec<Option<Code>>,
    /// The answers to the seven operations.
    pub(super) answers: Vec<String>,
    /// The state that each answer to WATCH and each PRESENCE told, of the first name.
    pub(super) told: Vec<PresenceState>,
    /// Why the connection was closed.
    notice: Option<String>,
}

impl Party {
    pub(super) fn new(side: Side<'_>) -> Party {
        let Side { conn, kernel, .. } = side;
        let (woken, shown, posted, answers, told, notice) = Default::default();
        Party { conn, kernel, woken, shown, posted, answers, told, notice }
    }

    /// Has the connection go on, if it was woken, and reads what it wrote; returns whether it was.
    pub(super) fn goes_on(&mut self, acknowledges: bool) -> bool {
        if !self.woken.0.swap(false, Ordering::SeqCst) {
            return false;
        }
        let waker = Waker::from(self.woken.clone());
        let over = Pin::new(&mut self.conn).poll(&mut Context::from_waker(&waker)).is_ready();
        let output = std::mem::take(&mut self.kernel.lock().output);
        let mut rest = &output[..];
        while let Some(frame) = frame::parse(rest, frame::LIMIT_MAX).unwrap() {
            rest = &rest[frame.wire_len()..];
            assert_eq!(self.notice, None, "nothing comes after the reason of the end");
            match Reply::decode(frame.op, frame.data).unwrap() {
                Reply::Message(message) => {
                    let before = self.shown.insert(message.seq, message.text.to_owned());
                    assert_eq!(before, None, "shown twice on a connection");
                    assert_eq!(self.shown.keys().next_back(), Some(&message.seq), "out of order");
                    if acknowledges {
                        self.says(|out| Ack::put(&[(message.seq, message.seq)], out));
                    }
                }
                Reply::Posted(answer) => {
                    self.posted.push(answer.result.err().map(|failure| failure.code));
                }
                Reply::Watching(states) => self.told.extend(states.states().take(1)),
                Reply::Presence(presence) => self.told.push(presence.state),
                Reply::Text(..) => self.answers.push(String::from_utf8(frame.data.to_vec()).unwrap()),
                Reply::Notice(_) => self.notice = Some(String::from_utf8(frame.data.to_vec()).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        assert!(!over || self.notice.is_some(), "it is over without a reason");
        true
    }

    pub(super) fn says(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        let mut kernel = self.kernel.lock();
        kernel.says(&bytes);
        kernel.noticed = true;
        self.woken.0.store(true, Ordering::SeqCst);
    }

    /// Goes on until `done` holds.
    fn until(&mut self, acknowledges: bool, others: &AtomicUsize, done: impl Fn(&Party) -> bool) {
        let mut idle = 0;
        self.woken.0.store(true, Ordering::SeqCst);
        while !done(self) {
            match self.goes_on(acknowledges) {
                true => idle = 0,
                // While others have something to do, they may still wake it.
                false if others.load(Ordering::SeqCst) == 0 => idle += 1,
                false => {}
            }
            assert!(idle < STEPS, "nobody wakes it, and it was shown {:?}", self.shown);
            thread::yield_now();
        }
    }
}

/// One schedule: what becomes of so many messages.
fn schedule(bench: &Bench, number: usize) {
    let (from, to) = (format!("a{number}"), format!("b{number}"));
    let enter = |name: &str, device: u8, opens: bool| {
        let mut side = bench.connect();
        side.arrives(&hello(device));
        side.notices();
        side.next();
        side.enter(name);
        if opens {
            side.ask(Deliver, "");
        }
        side
    };
    let mut alice = Party::new(enter(&from, 1, false));
    let (mut first, mut second) = (Party::new(enter(&to, 2, true)), Party::new(enter(&to, 3, true)));
    let sending = Arc::new(AtomicUsize::new(1));
    let (one, two, three) = (sending.clone(), sending.clone(), sending);
    let sender = thread::spawn(move || {
        for counter in 1..=MESSAGES {
            alice.says(|out| out.extend(post(counter, &to, &counter.to_string())));
            if thread_rng().gen_bool(0.5) {
                alice.until(false, &AtomicUsize::new(0), |alice| alice.posted.len() as u64 == counter);
            }
        }
        alice.until(false, &AtomicUsize::new(0), |alice| alice.posted.len() as u64 == MESSAGES);
        assert!(alice.posted.iter().all(Option::is_none), "{:?}", alice.posted);
        one.store(0, Ordering::SeqCst);
        (alice, to)
    });
    let breaks_after = thread_rng().gen_range(0..=MESSAGES) as usize;
    let breaking = thread::spawn(move || {
        first.until(true, &two, |first| first.shown.len() >= breaks_after);
        first.shown
    });
    let staying = thread::spawn(move || {
        second.until(true, &three, |second| second.shown.len() as u64 == MESSAGES);
        second
    });
    let (alice, to) = sender.join().unwrap();
    let before = breaking.join().unwrap();
    let second = staying.join().unwrap();
    let sent: Vec<String> = (1..=MESSAGES).map(|number| number.to_string()).collect();
    assert!(second.shown.values().eq(&sent), "{:?}", second.shown);
    // The first device comes back, and gets what it did not acknowledge.
    let mut again = Party::new(enter(&to, 2, true));
    let missing = |again: &Party| {
        let shown: BTreeMap<_, _> = before.iter().chain(&again.shown).collect();
        shown.into_values().eq(&sent)
    };
    again.until(true, &AtomicUsize::new(0), missing);
    drop((alice, second));
}

/// What happens to a recipient while messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its device comes a second time.
    Replaced,
    /// Another device of it deletes the account.
    Deleted,
}

impl End {
    fn code(self) -> &'static str {
        match self {
            End::Replaced => "error|replaced|",
            End::Deleted => "error|account-deleted|",
        }
    }
}

/// Goes on until `done` holds. What is asked here is decided by the writing thread, which is in no schedule.
#[expect(clippy::disallowed_methods, reason = "the writing thread takes real time")]
pub(super) fn wait(party: &mut Party, done: impl Fn(&Party) -> bool) {
    let since = std::time::Instant::now();
    while !done(party) {
        if !party.goes_on(true) {
            assert!(since.elapsed() < PATIENCE, "nobody wakes it, and it was shown {:?}", party.shown);
            std::thread::yield_now();
        }
        thread::yield_now();
    }
}

/// One schedule: what becomes of so many messages, and of who gets them.
fn schedule_of_an_end(bench: &Bench, number: usize) {
    let end = if number.is_multiple_of(2) { End::Replaced } else { End::Deleted };
    let (from, to) = (format!("from{end:?}{number}"), format!("to{end:?}{number}"));
    let greets = |device: u8| {
        let mut side = bench.connect();
        side.arrives(&hello(device));
        side.notices();
        side.next();
        side
    };
    let enters = |name: &str, device: u8| {
        let mut side = greets(device);
        side.enter(name);
        side
    };
    let mut alice = Party::new(enters(&from, 1));
    let mut first = enters(&to, 2);
    first.ask(Deliver, "");
    let mut first = Party::new(first);
    let mut second = Party::new(if end == End::Replaced { greets(2) } else { enters(&to, 3) });
    let shown = Arc::new(Mutex::new(BTreeMap::new()));
    let (shown_first, shown_second, recipient) = (shown.clone(), shown.clone(), to.clone());
    let sender = thread::spawn(move || {
        for counter in 1..=MESSAGES {
            alice.says(|out| out.extend(post(counter, &recipient, &counter.to_string())));
            if thread_rng().gen_bool(0.5) {
                wait(&mut alice, |alice| alice.posted.len() as u64 == counter);
            }
        }
        wait(&mut alice, |alice| alice.posted.len() as u64 == MESSAGES);
        alice
    });
    let ended = thread::spawn(move || {
        first.woken.0.store(true, Ordering::SeqCst);
        wait(&mut first, |first| {
            shown_first.lock().extend(first.shown.clone());
            first.notice.is_some()
        });
        first
    });
    let name = to.clone();
    let ending = thread::spawn(move || {
        (0..thread_rng().gen_range(0..60)).for_each(|_| thread::yield_now());
        let (op, data) = if end == End::Replaced { (Login, &*name) } else { (OpCode::Delete, "") };
        second.says(|out| out.extend(bytes(op, data)));
        wait(&mut second, |second| second.answers.len() == 1);
        assert!(second.answers[0].starts_with("ok"), "{:?}", second.answers);
        if end == End::Replaced {
            second.says(|out| out.extend(bytes(Deliver, "")));
            wait(&mut second, |second| {
                let mut shown = shown_second.lock();
                shown.extend(second.shown.clone());
                shown.len() as u64 == MESSAGES
            });
        }
        second
    });
    let alice = sender.join().unwrap();
    let first = ended.join().unwrap();
    let second = ending.join().unwrap();
    let notice = first.notice.unwrap();
    assert!(notice.starts_with(end.code()), "{notice}");
    let kept = alice.posted.iter().take_while(|refused| refused.is_none()).count();
    let refused = &alice.posted[kept..];
    assert!(refused.iter().all(|code| *code == Some(Code::NO_SUCH_USER)), "{:?}", alice.posted);
    let texts: Vec<String> = shown.lock().values().cloned().collect();
    let sent: Vec<String> = (1..=kept).map(|number| number.to_string()).collect();
    match end {
        End::Replaced => assert_eq!((&texts, kept as u64), (&sent, MESSAGES)),
        End::Deleted => {
            assert!(sent.starts_with(&texts), "{texts:?} of {sent:?}");
            drop((first.conn, second));
            let mut heir = enters(&to, 2);
            assert_eq!(heir.ask(Deliver, ""), "ok|0", "who has the name next inherits nothing");
        }
    }
}

/// One schedule: who sends no more is owed an answer, which the writing thread pays at any moment.
fn schedule_of_a_farewell(bench: &Bench, number: usize) {
    let mut side = bench.connect();
    side.enter(&format!("c{number}"));
    let mut party = Party::new(side);
    party.conn.end = crate::net::conn::End::HalfClosed;
    let outbox = party.conn.caller.outbox.clone();
    outbox.owe(Due::SEND);
    let pays = thread::spawn(move || {
        let mut effects = Effects::default();
        outbox.answer_due(Due::SEND, &mut effects, |out| out.extend(b"paid"));
        effects.wake();
    });
    party.woken.0.store(true, Ordering::SeqCst);
    let waker = Waker::from(party.woken.clone());
    for _ in 0..STEPS {
        if party.woken.0.swap(false, Ordering::SeqCst) {
            assert!(Pin::new(&mut party.conn).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        if party.kernel.lock().closed {
            break;
        }
        thread::yield_now();
    }
    pays.join().unwrap();
    let kernel = party.kernel.lock();
    assert!(kernel.closed && kernel.output == b"paid", "closed with {:?}", kernel.output);
}

/// Tries schedules of a story.
pub(super) fn try_schedules(story: fn(&Bench, usize)) {
    let bench = Arc::new(Bench::in_memory(&[
        "accept-rate=off",
        "connections-addr=off",
        "unauth=off",
        "unauth-addr=off",
        "presence-grace=1",
    ]));
    let runtime = bench.clone();
    let _in = runtime.runtime.enter();
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    // Whoever waits for the writing thread takes as many steps as that needs time.
    config.max_steps = shuttle::MaxSteps::None;
    let number = AtomicUsize::new(0);
    let runner = Runner::new(RandomScheduler::new_from_seed(20_261_121, schedules()), config);
    trying(true);
    let shared = bench.clone();
    runner.run(move || story(&shared, number.fetch_add(1, Ordering::SeqCst)));
    trying(false);
}

#[test]
fn whatever_the_schedule_each_device_is_shown_everything_in_order() {
    try_schedules(schedule);
}

/// F26.
#[test]
fn whoever_is_replaced_or_deleted_while_messages_come_is_told_and_nothing_is_lost() {
    try_schedules(schedule_of_an_end);
}

/// F14.
#[test]
fn whatever_the_schedule_who_sends_no_more_gets_what_is_due() {
    try_schedules(schedule_of_a_farewell);
}
