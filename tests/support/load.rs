//! People at work while something disturbs the server: senders who repeat what was not answered, a recipient who
//! acknowledges what was shown, and the history that the checker judges.
//!
//! A party that loses its connection connects again, wherever the server is by then; that is how it takes every fault.
//! What is waited for has an end: a server that hangs fails the test as one that loses does.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bellhop_protocol::{MessageId, OpCode, Reply};

use crate::checker::{History, Verdict};
use crate::peer::Peer;
use crate::wait::{PATIENCE, wait_for, waited};

/// Who sends; the first ones of them, as many as a test wants.
pub const SENDERS: [&str; 8] = ["alice", "carol", "dora", "erin", "frank", "grace", "heidi", "ivan"];
/// Who receives.
pub const RECIPIENT: &str = "bob";
/// Within this time after the last fault, everything that was kept has arrived.
pub const LIVENESS: Duration = Duration::from_secs(30);
/// The text of the last message.
const LAST: &str = "the end";
/// Arguments with which one address may work as many people do, and no mailbox gets full: what was refused, and whose
/// sender never learned it, is kept by a repeat after what was sent later.
pub const FREE: [&str; 8] = [
    "--limit",
    "sends=off",
    "--limit",
    "mailbox=off",
    "--limit",
    "mailbox-sender=off",
    "--limit",
    "accept-rate=off",
];

/// How the parties work.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// When the recipient is there.
    pub recipient: Recipient,
    /// How many people send at once.
    pub senders: usize,
    /// How many POSTs a sender has unanswered at most.
    pub unanswered: usize,
    /// Bytes by which every text is longer than it has to be.
    pub padding: usize,
}

impl Work {
    /// Short texts, many under way.
    pub fn of(recipient: Recipient) -> Work {
        Work { recipient, senders: 2, unanswered: 32, padding: 0 }
    }
}

/// What the parties share.
struct Shared {
    addr: Mutex<SocketAddr>,
    history: Mutex<History>,
    stop: AtomicBool,
    /// Nothing is done any more, done or not.
    give_up: AtomicBool,
    kept: AtomicU64,
    shown: AtomicU64,
    work: Work,
}

/// When the recipient is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// From the beginning.
    Early,
    /// After everything was sent, or when the test says so.
    Late,
}

/// Parties at work.
pub struct Load {
    shared: Arc<Shared>,
    senders: Vec<JoinHandle<()>>,
    receiver: Option<JoinHandle<()>>,
}

impl Load {
    /// Lets the senders begin, and the recipient where they are early.
    pub fn start(addr: SocketAddr, work: Work) -> Load {
        hush_parties();
        let shared = Arc::new(Shared {
            addr: Mutex::new(addr),
            history: Mutex::default(),
            stop: AtomicBool::new(false),
            give_up: AtomicBool::new(false),
            kept: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            work,
        });
        drop(Peer::hello(addr, RECIPIENT, 9));
        let mut load = Load { shared, senders: Vec::new(), receiver: None };
        for (name, device) in SENDERS.into_iter().zip(1..).take(work.senders) {
            load.senders.push(load.party(name, move |shared| send(shared, name, device)));
        }
        if work.recipient == Recipient::Early {
            load.receive();
        }
        load
    }

    fn party(&self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> JoinHandle<()> {
        let shared = self.shared.clone();
        thread::Builder::new().name(format!("party-{name}")).spawn(move || work(&shared)).unwrap()
    }

    /// Lets the recipient begin, if it has not.
    pub fn receive(&mut self) {
        if self.receiver.is_none() {
            self.receiver = Some(self.party(RECIPIENT, receive));
        }
    }

    /// The server is there now.
    pub fn moves_to(&self, addr: SocketAddr) {
        *self.shared.addr.lock().unwrap() = addr;
    }

    /// How many messages the senders were told are kept.
    pub fn kept(&self) -> u64 {
        self.shared.kept.load(Ordering::Relaxed)
    }

    /// How many messages the recipient has shown.
    pub fn shown(&self) -> u64 {
        self.shared.shown.load(Ordering::Relaxed)
    }

    /// Waits until so many more messages are kept.
    pub fn progress(&self, more: u64) {
        let before = self.kept();
        wait_for("some messages to be kept", || (self.kept() > before + more).then_some(()));
    }

    /// Has the senders begin nothing more, and waits until everything that they began is answered.
    pub fn settle(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for sender in std::mem::take(&mut self.senders) {
            self.join(sender, "every sender to be answered");
        }
    }

    /// Waits until the recipient has everything; the verdict, and how many messages were kept.
    pub fn finish(mut self) -> (Verdict, usize) {
        self.settle();
        self.receive();
        let last = self.party("zoe", |shared| {
            persevere(shared, |addr| {
                let mut last = Peer::hello(addr, "zoe", 7);
                last.post(1, RECIPIENT, LAST, false);
                let got = last.answer(OpCode::Post.answer());
                matches!(got.reply(), Reply::Posted(answer) if answer.result.is_ok())
            });
        });
        self.join(last, "the last message to be kept");
        let receiver = self.receiver.take().unwrap();
        self.join(receiver, "the recipient to have everything");
        let history = self.shared.history.lock().unwrap();
        (history.verdict(), history.kept())
    }

    fn join(&self, party: JoinHandle<()>, what: &str) {
        if waited(LIVENESS, || party.is_finished().then_some(())).is_none() {
            self.shared.give_up.store(true, Ordering::Relaxed);
            panic!(
                "waited in vain for {what}: {} kept, {} shown after {LIVENESS:?}",
                self.kept(),
                self.shown()
            );
        }
        party.join().unwrap();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.give_up.store(true, Ordering::Relaxed);
    }
}

/// Runs a party until it is done; a connection that breaks is a reason to connect again.
fn persevere(shared: &Shared, mut party: impl FnMut(SocketAddr) -> bool) {
    while !shared.give_up.load(Ordering::Relaxed) {
        let addr = *shared.addr.lock().unwrap();
        let attempt = catch_unwind(AssertUnwindSafe(|| party(addr)));
        if attempt.is_ok_and(|done| done) {
            return;
        }
        // The server may be gone for a moment: a program that asks without a pause takes the processor from it.
        thread::sleep(Duration::from_millis(5));
    }
}

/// Posts numbered messages, and after each break repeats what was not answered, in order, before anything new. A
/// message that is refused is surely not kept, and not tried again.
fn send(shared: &Shared, name: &'static str, device: u8) {
    let mut unanswered: BTreeSet<u64> = BTreeSet::new();
    let mut next = 1;
    let text = |number: u64| format!("{name} {number} {}", ".".repeat(shared.work.padding));
    persevere(shared, |addr| {
        let mut peer = Peer::hello(addr, name, device);
        for counter in &unanswered {
            peer.post(*counter, RECIPIENT, &text(*counter), false);
        }
        loop {
            while unanswered.len() < shared.work.unanswered && !shared.stop.load(Ordering::Relaxed) {
                let counter = next;
                // Counted before it is written: a connection may break there, and a counter is used once.
                next += 1;
                shared.history.lock().unwrap().sends(name, counter);
                unanswered.insert(counter);
                peer.post(counter, RECIPIENT, &text(counter), false);
            }
            if unanswered.is_empty() {
                return true;
            }
            let got = peer.answer(OpCode::Post.answer());
            let Reply::Posted(answer) = got.reply() else { panic!("{got:?}") };
            if !unanswered.remove(&answer.counter) {
                continue;
            }
            match answer.result {
                Ok(_) => {
                    shared.history.lock().unwrap().is_told_kept(name, answer.counter);
                    shared.kept.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    shared.history.lock().unwrap().is_told_refused(name, answer.counter);
                    // Somebody who is refused does not hurry.
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
    });
}

/// Takes messages, shows each id once, and acknowledges it after that. A message that comes again has the seq that it
/// had: with another one it was kept twice, and that counts as shown twice.
fn receive(shared: &Shared) {
    let mut shown: HashMap<MessageId, u64> = HashMap::new();
    let mut last = false;
    persevere(shared, |addr| {
        let mut peer = Peer::hello(addr, RECIPIENT, 9);
        peer.ask(OpCode::Deliver, "");
        loop {
            let got = peer.push();
            let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
            if message.text == LAST {
                last = true;
            } else if shown.insert(message.id, message.seq) != Some(message.seq) {
                let (sender, number) = parse(message.text);
                shared.history.lock().unwrap().shows(sender, number);
                shared.shown.fetch_add(1, Ordering::Relaxed);
            }
            peer.ack(message.seq, message.seq);
            if last {
                return true;
            }
        }
    });
}

/// The sender and the number in a message's text.
pub fn parse(text: &str) -> (&str, u64) {
    let mut words = text.split(' ');
    let (sender, number) = (words.next().unwrap(), words.next().expect("a number"));
    (sender, number.parse().unwrap())
}

/// Panics of the parties' threads are how they notice a broken connection.
fn hush_parties() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let party = thread::current().name().is_some_and(|name| name.starts_with("party-"));
            if !party {
                usual(info);
            }
        }));
    });
}

/// How long a party waits for an answer is less than the time in which everything has to arrive.
const _: () = assert!(PATIENCE.as_secs() < LIVENESS.as_secs());
