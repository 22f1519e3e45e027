//! Ends and starts: in order, on what was left, and killed at any moment.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bellhop_protocol::OpCode::{Deliver, Login, Logout, Send};
use bellhop_protocol::{MessageId, OpCode, Reply};
use bellhop_server::server::ServerError;
use bellhop_tests::checker::{History, Verdict};
use bellhop_tests::kills;
use bellhop_tests::mutant::{Breach, Mutant};
use bellhop_tests::peer::Peer;
use bellhop_tests::process::Process;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::wait::wait_for;

#[test]
fn an_orderly_end_says_farewell_and_loses_nothing() {
    let server = Local::start(&["--limit", "sends=off", "--limit", "mailbox-sender=off"]);
    server.login("bob").ask(Logout, "");
    let mut alice = server.login("alice");
    let mut idle = server.login("carol");
    for number in 0..3_000 {
        alice.send(Send, &format!("bob|{number}"));
    }
    let reader = alice.split();
    // The end comes while they are being answered.
    let told = std::thread::spawn(move || told(reader));
    wait_for("the first to be kept", || (server.core().log.lock().awaited() > 0).then_some(()));
    let server = server.restart(&["--limit", "mailbox-sender=off"]);
    idle.ends_with("shutting-down");
    let told = told.join().unwrap();
    let (texts, _) = server.login("bob").deliver();
    assert!(texts.len() >= told, "{told} were told as kept, {} are there", texts.len());
    assert!(texts.iter().enumerate().all(|(number, text)| *text == format!("alice|{number}")));
}

/// How many messages the sender was told are kept, until the connection ends with a farewell.
fn told(mut reader: Peer) -> usize {
    let mut told = 0;
    while let Some(got) = reader.read() {
        match got.op {
            0x85 => told += usize::from(got.text().starts_with("ok|")),
            0xFF => assert!(got.text().starts_with("error|shutting-down|")),
            other => panic!("{other:#04x}"),
        }
    }
    told
}

#[test]
fn what_waits_outlives_the_server() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    server.login("bob").ask(Logout, "");
    alice.ask(Send, "bob|one");
    let server = server.restart(&[]);
    assert!(server.connect().ask(Login, "bob").ends_with("|1"));
    let mut alice = server.login("alice");
    alice.ask(Send, "bob|two");
    assert_eq!(server.login("bob").deliver().0, ["alice|one", "alice|two"]);
}

#[test]
fn what_was_taken_stays_taken() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    server.login("bob").ask(Logout, "");
    alice.ask(Send, "bob|one");
    let mut bob = server.login("bob");
    assert_eq!(bob.deliver().1, "ok|1");
    assert_eq!(bob.ask(Logout, ""), "ok");
    let server = server.restart(&[]);
    assert_eq!(server.login("bob").deliver().1, "ok|0");
}

#[test]
fn in_memory_nothing_outlives_the_server_but_accounts() {
    let server = Local::start(&["--durability", "none"]);
    let mut alice = server.login("alice");
    server.login("bob").ask(Logout, "");
    alice.ask(Send, "bob|gone");
    let server = server.restart(&["--durability", "none"]);
    assert!(server.connect().ask(Login, "bob").ends_with("|0"));
    // Numbers go on all the same: none is used twice.
    let mut bob = server.hello("bob", 1);
    bob.ask(Deliver, "");
    server.login("alice").ask(Send, "bob|new");
    let got = bob.push();
    let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
    assert!(message.seq > 1, "{}", message.seq);
}

#[test]
fn a_change_of_durability_loses_nothing_that_waits() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    server.login("bob").ask(Logout, "");
    alice.post(1, "bob", "at power", true);
    alice.answer(OpCode::Post.answer());
    let server = server.restart(&["--durability", "none"]);
    let mut alice = server.hello("alice", 1);
    alice.ask(Deliver, "");
    let mut bob = server.login("bob");
    assert_eq!(bob.deliver().0, ["alice|at power"]);
    assert_eq!(bob.ask(Logout, ""), "ok");
    let got = alice.push();
    assert!(matches!(got.reply(), Reply::Receipt(receipt) if receipt.peer == "bob"), "{got:?}");
    let server = server.restart(&["--durability", "crash"]);
    assert_eq!(server.login("bob").deliver().1, "ok|0");
}

#[test]
fn one_folder_has_one_server() {
    let home = Arc::new(Home::new());
    let _first = Local::start_in(&home, &[]);
    match Local::try_start(&home, &[]) {
        Err(error @ ServerError::InUse { .. }) => assert!(error.to_string().contains("another server")),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a second server started"),
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let home = Arc::new(Home::new());
    std::fs::create_dir_all(home.data()).unwrap();
    std::fs::write(home.data().join("bellhop.db"), "not a database ".repeat(1_000)).unwrap();
    let error = Local::try_start(&home, &[]).err().unwrap();
    assert!(matches!(error, ServerError::Store { .. }), "{error}");
    assert!(error.to_string().contains("bellhop.db"), "{error}");
}

#[cfg(unix)]
#[test]
fn signals_end_the_process_in_order() {
    for signal in ["-INT", "-TERM"] {
        let home = Home::new();
        let server = Process::start(&home.data(), &[]);
        let mut idle = Peer::login(server.addr(), "alice");
        let mut hello = Peer::hello(server.addr(), "bob", 1);
        hello.ask(Deliver, "");
        assert_eq!(server.signal(signal).code(), Some(0), "{signal}");
        idle.ends_with("shutting-down");
        hello.ends_with("shutting-down");
    }
}

// ---- killed under load

const SENDERS: [&str; 2] = ["alice", "carol"];
/// How many POSTs a sender has unanswered at most.
const UNANSWERED: usize = 32;

/// What the parties of a test share.
struct Shared {
    addr: Mutex<SocketAddr>,
    history: Mutex<History>,
    stop: AtomicBool,
    kept: AtomicU64,
}

impl Shared {
    fn new(addr: SocketAddr) -> Arc<Shared> {
        Arc::new(Shared {
            addr: Mutex::new(addr),
            history: Mutex::default(),
            stop: AtomicBool::new(false),
            kept: AtomicU64::new(0),
        })
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs a party until it is done; a connection that breaks is a reason to connect again.
fn persevere(shared: &Shared, mut party: impl FnMut(SocketAddr) -> bool) {
    loop {
        let addr = *shared.addr.lock().unwrap();
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| party(addr)));
        if attempt.is_ok_and(|done| done) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Posts numbered messages, and after each break repeats what was not answered, in order, before anything new.
fn send(shared: &Shared, name: &'static str, device: u8) {
    let mut unanswered: BTreeMap<u64, ()> = BTreeMap::new();
    let mut next = 1;
    persevere(shared, |addr| {
        let mut peer = Peer::hello(addr, name, device);
        for counter in unanswered.keys() {
            peer.post(*counter, "bob", &format!("{name} {counter}"), false);
        }
        loop {
            while unanswered.len() < UNANSWERED && !shared.stops() {
                shared.history.lock().unwrap().sends(name, next);
                unanswered.insert(next, ());
                peer.post(next, "bob", &format!("{name} {next}"), false);
                next += 1;
            }
            if unanswered.is_empty() {
                return true;
            }
            let got = peer.answer(OpCode::Post.answer());
            let Reply::Posted(answer) = got.reply() else { panic!("{got:?}") };
            if answer.result.is_ok() && unanswered.remove(&answer.counter).is_some() {
                shared.history.lock().unwrap().is_told_kept(name, answer.counter);
                shared.kept.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
}

/// Takes messages, shows each id once, and acknowledges it after that.
fn receive(shared: &Shared) {
    let mut shown: HashSet<MessageId> = HashSet::new();
    let mut last = None;
    persevere(shared, |addr| {
        let mut peer = Peer::hello(addr, "bob", 9);
        peer.ask(Deliver, "");
        loop {
            let got = peer.push();
            let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
            if message.text == "the end" {
                last = Some(message.seq);
            } else if shown.insert(message.id) {
                let (sender, number) = message.text.split_once(' ').unwrap();
                shared.history.lock().unwrap().shows(sender, number.parse().unwrap());
            }
            peer.ack(message.seq, message.seq);
            if last.is_some() {
                return true;
            }
        }
    });
}

/// When the recipient is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recipient {
    /// From the beginning.
    Early,
    /// After everything was sent.
    Late,
}

/// The parties at work; `disturb` breaks the server meanwhile, and is called once more when everything is sent. Returns
/// the verdict and how many messages were kept.
fn under(
    addr: SocketAddr,
    recipient: Recipient,
    mut disturb: impl FnMut(&Arc<Shared>, bool),
) -> (Verdict, usize) {
    hush_parties();
    let shared = Shared::new(addr);
    drop(Peer::hello(addr, "bob", 9));
    let party = |name: &str, work: Box<dyn FnOnce(&Shared) + core::marker::Send>| {
        let shared = shared.clone();
        std::thread::Builder::new().name(format!("party-{name}")).spawn(move || work(&shared)).unwrap()
    };
    let mut receiver = (recipient == Recipient::Early).then(|| party("bob", Box::new(receive)));
    let senders: Vec<_> = SENDERS
        .into_iter()
        .zip(1..)
        .map(|(name, device)| party(name, Box::new(move |shared| send(shared, name, device))))
        .collect();
    disturb(&shared, false);
    shared.stop.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    disturb(&shared, true);
    let receiver = receiver.take().unwrap_or_else(|| party("bob", Box::new(receive)));
    let addr = *shared.addr.lock().unwrap();
    let mut last = Peer::hello(addr, "zoe", 7);
    last.post(1, "bob", "the end", false);
    last.answer(OpCode::Post.answer());
    receiver.join().unwrap();
    let history = shared.history.lock().unwrap();
    (history.verdict(), history.kept())
}

/// Panics of the parties' threads are how they notice a broken connection.
fn hush_parties() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let party = std::thread::current().name().is_some_and(|name| name.starts_with("party-"));
            if !party {
                usual(info);
            }
        }));
    });
}

const FREE: [&str; 6] =
    ["--limit", "sends=off", "--limit", "mailbox-sender=off", "--limit", "accept-rate=off"];

#[test]
fn killed_at_random_moments_nothing_kept_is_lost_doubled_or_reordered() {
    let home = Home::new();
    let mut server = Some(Process::start(&home.data(), &FREE));
    let addr = server.as_ref().unwrap().addr();
    let kills = kills();
    let (verdict, kept) = under(addr, Recipient::Early, |shared, sent| {
        for kill in 0..if sent { 1 } else { kills } {
            if !sent {
                // After some progress, and then at a moment that differs each time.
                progress(shared, u64::from(kill * 7 % 50));
                std::thread::sleep(std::time::Duration::from_micros(u64::from(kill * 7919 % 3_000)));
            }
            server.take().unwrap().kill();
            let fresh = Process::start(&home.data(), &FREE);
            *shared.addr.lock().unwrap() = fresh.addr();
            server = Some(fresh);
        }
    });
    assert_eq!(verdict, Verdict::default(), "{kept} messages, {kills} kills");
    assert!(kept > kills as usize, "{kept} messages");
}

/// Waits until so many more messages are kept.
fn progress(shared: &Shared, more: u64) {
    let before = shared.kept.load(Ordering::Relaxed);
    wait_for("some messages to be kept", || {
        (shared.kept.load(Ordering::Relaxed) > before + more).then_some(())
    });
}

/// The parties against a store that may break a promise, with orderly restarts, so that what was kept is read from it.
fn on_a_store_that(breach: Option<Breach>, recipient: Recipient) -> Verdict {
    let home = Arc::new(Home::new());
    let start = |home: &Arc<Home>| {
        let around = move |store| match breach {
            None => store,
            Some(breach) => Box::new(Mutant::new(store, breach)) as _,
        };
        Local::start_with(home, &FREE, around).unwrap_or_else(|error| panic!("{error}"))
    };
    let first = start(&home);
    let addr = first.addr();
    let mut server = Some(first);
    let (verdict, _) = under(addr, recipient, |shared, sent| {
        for _ in 0..if sent { 1 } else { 3 } {
            if !sent {
                progress(shared, 100);
            }
            server.take().unwrap().stop().unwrap();
            let fresh = start(&home);
            *shared.addr.lock().unwrap() = fresh.addr();
            server = Some(fresh);
        }
    });
    verdict
}

#[test]
fn the_checker_passes_a_sound_store() {
    assert_eq!(on_a_store_that(None, Recipient::Early), Verdict::default());
    assert_eq!(on_a_store_that(None, Recipient::Late), Verdict::default());
}

#[test]
fn the_checker_catches_a_store_that_loses() {
    assert!(!on_a_store_that(Some(Breach::Loses), Recipient::Late).lost.is_empty());
}

#[test]
fn the_checker_catches_a_store_that_doubles() {
    assert!(!on_a_store_that(Some(Breach::Doubles), Recipient::Early).doubled.is_empty());
}

#[test]
fn the_checker_catches_a_store_that_reorders() {
    assert!(!on_a_store_that(Some(Breach::Reorders), Recipient::Late).reordered.is_empty());
}
