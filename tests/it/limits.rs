//! Bounds, at each limit and one below it, and what meets a server that cannot keep anything now.
//!
//! Rules that wait or count by a clock are tested in virtual time where they live (`net/conn/tests/limits`, `session`,
//! `rate`, `outbox`, `admission`, `disk`, `log`); here is what needs sockets, files and processes.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bellhop_protocol::OpCode::{self, Delete, List, Login, Logout, Send};
use bellhop_protocol::Reply;
use bellhop_server::server::ServerError;
use bellhop_tests::mutant::{Breach, Mutant};
use bellhop_tests::peer::Peer;
use bellhop_tests::process::{Process, binary};
use bellhop_tests::server::{Home, Local};
use bellhop_tests::wait::wait_for;

/// The word that tells what became of a request.
fn word(answer: &str) -> &str {
    let mut words = answer.split('|');
    let first = words.next().unwrap_or_default();
    if first == "error" { words.next().unwrap_or_default() } else { first }
}

/// R9: at the limit, and one below it.
#[test]
fn so_many_connections_are_not_logged_in() {
    let server = Local::start(&["--limit", "unauth=3"]);
    let mut waiting: Vec<Peer> = (0..3).map(|_| server.connect()).collect();
    // Each was accepted: it is answered.
    waiting.iter_mut().for_each(|peer| assert_eq!(word(&peer.ask(List, "nobody")), "ok"));
    server.connect().ends_with("busy");
    assert_eq!(server.core().counters.refused_unauth.get(), 1);
    // Who logs in is one of them no longer.
    assert_eq!(word(&waiting[0].ask(OpCode::Create, "alice")), "ok");
    assert_eq!(word(&server.connect().ask(List, "nobody")), "ok");
}

/// R10: a connection too many waits to be accepted, and is served as soon as another one goes.
#[test]
fn so_many_connections_in_all() {
    let server = Local::start(&["--limit", "connections=2"]);
    let (mut alice, bob) = (server.login("alice"), server.login("bob"));
    let mut third = server.connect();
    third.send(List, "alice");
    (0..20).for_each(|_| assert_eq!(alice.ask(List, "alice"), "ok|alice"));
    assert_eq!(server.core().counters.accepted.get(), 2);
    drop(bob);
    assert_eq!(third.answer(List.answer()).text(), "ok|alice");
}

/// R17: messages of one sender, messages in all, and bytes; at each limit, and one below.
#[test]
fn a_mailbox_has_so_many_messages_and_bytes() {
    let check = |limits: &[&str], texts: &[(&str, usize)], last: &str| {
        let args: Vec<&str> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
        let server = Local::start(&args);
        server.login("bob").ask(Logout, "");
        let mut peers = ["alice", "carol"].map(|name| (name, server.login(name)));
        let mut send = |(from, bytes): (&str, usize)| {
            let (_, peer) = peers.iter_mut().find(|(name, _)| *name == from).unwrap();
            word(&peer.ask(Send, &format!("bob|{}", "x".repeat(bytes)))).to_owned()
        };
        let (end, before) = texts.split_last().unwrap();
        before.iter().for_each(|text| assert_eq!(send(*text), "ok", "{limits:?} {text:?}"));
        assert_eq!(send(*end), last, "{limits:?}");
    };
    check(&["mailbox=3"], &[("alice", 1), ("carol", 1), ("alice", 1)], "ok");
    check(&["mailbox=3"], &[("alice", 1), ("carol", 1), ("alice", 1), ("carol", 1)], "mailbox-full");
    check(&["mailbox-sender=2"], &[("alice", 1), ("alice", 1), ("carol", 1)], "ok");
    check(&["mailbox-sender=2"], &[("alice", 1), ("alice", 1), ("alice", 1)], "mailbox-full");
    check(&["mailbox-bytes=2048"], &[("alice", 1_024), ("carol", 1_024)], "ok");
    check(&["mailbox-bytes=2048"], &[("alice", 1_024), ("carol", 1_025)], "mailbox-full");
}

/// R17: what only waits for a further device has room of its own; the oldest goes when that is used up, and is counted.
#[test]
fn what_a_further_device_has_not_goes_when_there_is_no_room() {
    const TEXT: usize = 16 * 1024;
    const FIT: u64 = (16 << 20) / TEXT as u64;
    let server = Local::start(&["--durability", "crash", "--limit", "sends=off"]);
    let open = |device: u8| {
        let mut peer = server.hello("bob", device);
        let answer = peer.ask(OpCode::Deliver, "");
        (peer, answer)
    };
    let ((mut first, _), (second, _)) = (open(1), open(2));
    drop(second);
    let mut alice = server.login("alice");
    for number in 1..=FIT + 3 {
        assert_eq!(word(&alice.ask(Send, &format!("bob|{number:0>TEXT$}"))), "ok");
        let got = first.push();
        let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
        first.ack(message.seq, message.seq);
        assert_eq!(message.text.trim_start_matches('0'), number.to_string());
    }
    wait_for("the oldest to go", || (server.core().counters.dropped.get() == 3).then_some(()));
    let (mut second, answer) = open(2);
    assert_eq!(answer, format!("ok|{FIT}"));
    let got = second.push();
    let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
    assert_eq!(message.text.trim_start_matches('0'), "4", "the oldest that is left");
}

/// R20: at the limit, and one below it.
#[test]
fn so_many_sessions_an_account() {
    let server = Local::start(&["--limit", "sessions=2"]);
    let _two = [server.login("alice"), server.login("alice")];
    assert_eq!(word(&server.connect().ask(Login, "alice")), "too-many-sessions");
    server.login("bob");
}

/// F9: another program holds the database for longer than it is waited for.
#[test]
fn a_database_that_another_program_locks() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let (mut alice, mut bob) = (Peer::login(server.addr(), "alice"), Peer::login(server.addr(), "bob"));
    assert_eq!(word(&alice.ask(Send, "bob|one")), "ok");
    assert_eq!(bob.next().text(), "alice|one");
    let other = rusqlite::Connection::open(home.data().join("bellhop.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(word(&alice.ask(Send, "bob|two")), "busy");
    // What needs no writing is answered meanwhile.
    assert_eq!(bob.ask(List, "bob"), "ok|bob");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(word(&alice.ask(Send, "bob|three")), "ok");
    assert_eq!(bob.push().text(), "alice|three", "what was refused did not come");
    assert_eq!(bob.ask(Delete, ""), "ok");
}

/// F25: the writing thread panics, and the server ends instead of accepting what it can never answer.
#[test]
fn a_panic_in_the_writing_thread_ends_the_server() {
    let home = Arc::new(Home::new());
    let server = Local::start_with(&home, &[], |store| Box::new(Mutant::new(store, Breach::Panics))).unwrap();
    let mut alice = server.login("alice");
    alice.send(Send, "alice|never kept");
    assert_eq!(alice.read(), None, "nobody is answered");
    assert!(matches!(server.ended(), Err(ServerError::Panicked)));
    let server = Local::start_in(&home, &[]);
    assert_eq!(word(&server.login("alice").ask(Send, "alice|kept")), "ok");
}

/// A server whose standard error goes to us and is not read, with a log that tells everything.
fn talkative(home: &Home, args: &[&str]) -> (Child, SocketAddr) {
    let mut server = Command::new(binary("bellhop-server"))
        .args(["0", "--listen", "127.0.0.1", "--log", "debug", "--data"])
        .arg(home.data())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(server.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let addr = line.strip_prefix("listening on ").unwrap().parse().unwrap();
    (server, addr)
}

/// S10: the addresses of those who connect are told, or are not.
#[test]
fn the_log_leaves_addresses_out() {
    for (switch, told) in [("on", "peer=127.0.0.1:"), ("off", "peer=- ")] {
        let home = Home::new();
        let limits = ["--limit", "connections-addr=1", "--log-addresses", switch];
        let (mut server, addr) = talkative(&home, &limits);
        let _one = Peer::login(addr, "alice");
        Peer::connect(addr).ends_with("busy");
        let log = BufReader::new(server.stderr.take().unwrap()).lines();
        let line = log.map(Result::unwrap).find(|line| line.contains("a connection too many")).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        assert!(line.contains(told), "{line}");
        assert_eq!(line.contains("127.0.0.1"), switch == "on", "{line}");
    }
}

/// A full pipe that nobody reads stopped whoever told something.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let home = Home::new();
    let limits = ["accept-rate=off", "connections-addr=2", "log-rate=off"];
    let args: Vec<&str> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
    let (mut server, addr) = talkative(&home, &args);
    let (mut alice, mut bob) = (Peer::login(addr, "alice"), Peer::login(addr, "bob"));
    // A line each, of more than a hundred bytes: more than the pipe and what waits for it hold.
    for _ in 0..3_000 {
        drop(std::net::TcpStream::connect(addr).unwrap());
    }
    for number in 0..10 {
        assert_eq!(word(&alice.ask(Send, &format!("bob|{number}"))), "ok");
        assert_eq!(bob.push().text(), format!("alice|{number}"));
    }
    // And it ends: nobody waits for the log for ever.
    #[cfg(unix)]
    {
        let id = server.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = bellhop_tests::wait::wait_for("the server to end", || server.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
    #[cfg(not(unix))]
    server.kill().unwrap();
    server.wait().unwrap();
}
