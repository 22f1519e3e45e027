//! Schedules of threads, chosen at random: a sender, a recipient who acknowledges and whose connection breaks at any
//! moment, and another device of theirs. Each lock is a place where others go on. Whatever the order, what was kept is
//! shown, once a device, in order; and nobody sleeps while there is something to give.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use bellhop_protocol::Reply;
use bellhop_protocol::item::Ack;
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
struct Flag(AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A connection that a thread of a schedule drives, and what its other side does.
struct Party {
    conn: Conn<Script>,
    kernel: Arc<Mutex<Kernel>>,
    woken: Arc<Flag>,
    /// The texts of what came, by seq.
    shown: BTreeMap<u64, String>,
    answers: u64,
}

impl Party {
    fn new(side: Side<'_>) -> Party {
        let Side { conn, kernel, .. } = side;
        Party { conn, kernel, woken: Arc::default(), shown: BTreeMap::new(), answers: 0 }
    }

    /// Has the connection go on, if it was woken, and reads what it wrote; returns whether it was.
    fn goes_on(&mut self, acknowledges: bool) -> bool {
        if !self.woken.0.swap(false, Ordering::SeqCst) {
            return false;
        }
        let waker = Waker::from(self.woken.clone());
        assert!(Pin::new(&mut self.conn).poll(&mut Context::from_waker(&waker)).is_pending());
        let output = std::mem::take(&mut self.kernel.lock().output);
        let mut rest = &output[..];
        while let Some(frame) = frame::parse(rest, frame::LIMIT_MAX).unwrap() {
            rest = &rest[frame.wire_len()..];
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
                    assert!(answer.result.is_ok(), "{answer:?}");
                    self.answers += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        true
    }

    fn says(&self, write: impl FnOnce(&mut Vec<u8>)) {
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
                alice.until(false, &AtomicUsize::new(0), |alice| alice.answers == counter);
            }
        }
        alice.until(false, &AtomicUsize::new(0), |alice| alice.answers == MESSAGES);
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

#[test]
fn whatever_the_schedule_each_device_is_shown_everything_in_order() {
    let bench = Arc::new(Bench::in_memory(&[
        "accept-rate=off",
        "connections-addr=off",
        "unauth=off",
        "unauth-addr=off",
    ]));
    let runtime = bench.clone();
    let _in = runtime.runtime.enter();
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    let number = AtomicUsize::new(0);
    let runner = Runner::new(RandomScheduler::new_from_seed(20_261_121, schedules()), config);
    trying(true);
    let shared = bench.clone();
    runner.run(move || schedule(&shared, number.fetch_add(1, Ordering::SeqCst)));
    trying(false);
}
