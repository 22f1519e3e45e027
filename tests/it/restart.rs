//! Ends and starts: in order, on what was left, and killed at any moment.

use std::sync::Arc;

use bellhop_protocol::OpCode::{Deliver, Login, Logout, Send};
use bellhop_protocol::{OpCode, Reply};
use bellhop_server::server::ServerError;
use bellhop_tests::checker::Verdict;
use bellhop_tests::kills;
use bellhop_tests::load::{FREE, Load, Recipient, Work};
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

#[test]
fn killed_at_random_moments_nothing_kept_is_lost_doubled_or_reordered() {
    let home = Home::new();
    let mut server = Process::start(&home.data(), &FREE);
    let mut load = Load::start(server.addr(), Work::of(Recipient::Early));
    let kills = kills();
    let mut restart = |load: &Load| {
        server.end();
        server = Process::start(&home.data(), &FREE);
        load.moves_to(server.addr());
    };
    for kill in 0..kills {
        // After some progress, and then at a moment that differs each time.
        load.progress(u64::from(kill * 7 % 50));
        std::thread::sleep(std::time::Duration::from_micros(u64::from(kill * 7919 % 3_000)));
        restart(&load);
    }
    load.settle();
    restart(&load);
    let (verdict, kept) = load.finish();
    assert_eq!(verdict, Verdict::default(), "{kept} messages, {kills} kills");
    assert!(kept > kills as usize, "{kept} messages");
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
    let mut server = start(&home);
    let mut load = Load::start(server.addr(), Work::of(recipient));
    let mut restart = |load: &Load| {
        server.end().unwrap();
        server = start(&home);
        load.moves_to(server.addr());
    };
    for _ in 0..3 {
        load.progress(100);
        restart(&load);
    }
    load.settle();
    restart(&load);
    load.finish().0
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
