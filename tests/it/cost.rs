//! What is counted rather than timed: fsyncs, wake-ups, address space. Linux tells these, through strace, /proc and
//! prlimit.

use std::fs;
use std::process::Command;
use std::thread;

use bellhop_protocol::OpCode;
use bellhop_protocol::OpCode::{Deliver, Send};
use bellhop_tests::peer::Peer;
use bellhop_tests::proc::{threads, wake_ups_in};
use bellhop_tests::process::{Process, binary, run};
use bellhop_tests::server::Home;
use bellhop_tests::terminal::Terminal;
use bellhop_tests::tools::has;
use bellhop_tests::wait::wait_for;

const FREE: [&str; 10] = [
    "--limit",
    "connections-addr=off",
    "--limit",
    "accept-rate=off",
    "--limit",
    "unauth=off",
    "--limit",
    "unauth-addr=off",
    "--limit",
    "sends=off",
];

/// A server under strace, which writes the system calls named to a file.
fn traced(home: &Home, calls: &str, args: &[&str]) -> Process {
    let mut strace = Command::new("strace");
    strace.args(["--follow-forks", "--seccomp-bpf", "-qq", "--output"]).arg(home.path().join("trace"));
    strace.arg(format!("--trace={calls}")).arg(binary("bellhop-server"));
    let args: Vec<&str> = FREE.iter().chain(args).copied().collect();
    Process::start_as(&mut strace, &home.data(), &args)
}

/// The lines of the trace, once the server has ended.
fn trace(home: &Home, server: Process) -> Vec<String> {
    // strace ends with the server.
    server.terminate();
    let trace = fs::read_to_string(home.path().join("trace")).unwrap();
    trace.lines().map(str::to_owned).collect()
}

fn has_strace() -> bool {
    has("strace", &["-qq", "--seccomp-bpf", "--follow-forks", "--output=/dev/null", "true"])
}

fn is_sync(line: &str) -> bool {
    line.contains("fsync(") || line.contains("fdatasync(")
}

#[test]
fn at_power_nothing_is_answered_before_an_fsync() {
    if !has_strace() {
        return;
    }
    for (durability, each) in [("power", true), ("crash", false), ("none", false)] {
        let home = Home::new();
        let server = traced(&home, "fsync,fdatasync,sendto,write,writev", &["--durability", durability]);
        let mut alice = Peer::hello(server.addr(), "alice", 1);
        drop(Peer::login(server.addr(), "bob"));
        let mut online = Peer::hello(server.addr(), "carol", 2);
        online.ask(Deliver, "");
        for counter in 1..=30 {
            alice.post(counter, if counter % 2 == 0 { "bob" } else { "carol" }, "hi", false);
            alice.answer(OpCode::Post.answer());
        }
        let lines = trace(&home, server);
        // The answer to DELIVER begins 00 00 00 04 86, that to a POST 00 00 00 23 88, the message that is pushed
        // 00 00 00 28 09. Each message is sent after the answer to the one before, so between two answers there must be
        // an fsync; a push may be late, but the fsyncs of all messages up to its own come before it.
        let [mut answers, mut pushes, mut syncs, mut unsynced] = [0; 4];
        let mut synced = true;
        for line in &lines {
            if is_sync(line) {
                (syncs, synced) = (syncs + 1, true);
            } else if line.contains(r#""\0\0\0\4\206"#) {
                syncs = 0;
            } else if line.contains(r#""\0\0\0#\210"#) {
                answers += 1;
                unsynced += u32::from(!std::mem::take(&mut synced));
            } else if line.contains(r#""\0\0\0(\t"#) {
                pushes += 1;
                unsynced += u32::from(syncs < 2 * pushes - 1);
            }
        }
        // Two pushes may share a write, where the task that writes was not scheduled between them.
        assert!(answers == 30 && (1..=15).contains(&pushes), "{durability}: {answers}, {pushes}: {lines:#?}");
        assert_eq!(unsynced == 0, each, "{durability}: {unsynced} without an fsync before them");
    }
}

#[test]
fn many_senders_share_a_commit() {
    if !has_strace() {
        return;
    }
    let home = Home::new();
    let server = traced(&home, "fsync,fdatasync", &[]);
    drop(Peer::login(server.addr(), "bob"));
    let addr = server.addr();
    let mut senders: Vec<Peer> = (0..200).map(|number| Peer::login(addr, &format!("s{number}"))).collect();
    let before =
        fs::read_to_string(home.path().join("trace")).unwrap().lines().filter(|line| is_sync(line)).count();
    let id = server.id().to_string();
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    // Held while they all send, so that they are concurrent on a machine of any speed.
    signal("-STOP");
    senders.iter_mut().for_each(|sender| (0..10).for_each(|_| sender.send(Send, "bob|hi")));
    signal("-CONT");
    for sender in &mut senders {
        (0..10).for_each(|_| assert!(sender.next().text().starts_with("ok|")));
    }
    let after = trace(&home, server).iter().filter(|line| is_sync(line)).count();
    let syncs = after - before;
    assert!(syncs < 2_000 / 4, "2,000 messages of 200 senders took {syncs} fsyncs");
}

/// Waits until a process has done what connections leave to be saved and given back: until two seconds bring no more
/// than `most` wake-ups.
fn settles(id: u32, most: u64) {
    wait_for("the process to settle", || (wake_ups_in(id, 2) <= most).then_some(()));
}

/// How long to look at somebody idle, in s: the gate has more time than a person at work.
fn idle_s() -> u64 {
    if std::env::var_os("CI").is_some() { 30 } else { 10 }
}

#[test]
fn an_idle_server_sleeps() {
    let home = Home::new();
    let server = Process::start(&home.data(), &FREE);
    let mut sessions: Vec<Peer> =
        (0..100).map(|number| Peer::login(server.addr(), &format!("u{number}"))).collect();
    sessions[0].ask(Send, "u1|hi");
    sessions[1].push();
    sessions[1].ask(OpCode::List, "u1");
    settles(server.id(), 0);
    assert_eq!(wake_ups_in(server.id(), idle_s()), 0, "a hundred text sessions and nothing to do");
}

#[test]
fn an_idle_screen_sleeps() {
    let home = Home::new();
    let args: Vec<&str> = FREE.iter().chain(&["--limit", "heartbeat=300"]).copied().collect();
    let server = Process::start(&home.data(), &args);
    let (mut bob, client) = (Peer::login(server.addr(), "bob"), Home::new());
    let mut alice = Terminal::of("alice", client.path(), server.addr(), (80, 24));
    alice.enters("/open bob");
    alice.enters("hello");
    alice.shows("✓");
    bob.ask(Send, "alice|hi");
    alice.shows("bob hi");
    alice.shows("✓✓");
    settles(alice.id(), 0);
    assert_eq!(wake_ups_in(alice.id(), idle_s()), 0, "a talk that has paused");
    assert!(threads(alice.id()) <= 4, "the loop, the connection, the keys, and one that looks after them");
}

#[test]
fn heartbeats_come_in_one_sweep_a_second() {
    let home = Home::new();
    let args: Vec<&str> = FREE.iter().chain(&["--limit", "heartbeat=3"]).copied().collect();
    let server = Process::start(&home.data(), &args);
    let sessions: Vec<Peer> =
        (0..200).map(|number| Peer::hello(server.addr(), &format!("u{number}"), 1)).collect();
    let answering: Vec<_> = sessions
        .into_iter()
        .map(|mut peer| {
            thread::spawn(move || {
                while let Some(got) = peer.read() {
                    if got.op == OpCode::Ping.byte() {
                        let mut pong = Vec::new();
                        bellhop_protocol::frame::put(&mut pong, OpCode::Ping.answer(), &got.data);
                        peer.try_write(&pong);
                    }
                }
            })
        })
        .collect();
    settles(server.id(), 40);
    let count = wake_ups_in(server.id(), 10);
    server.kill();
    answering.into_iter().for_each(|task| task.join().unwrap());
    // Some 1,200 frames in that time: PINGs go out together, and most answers come together.
    assert!(count < 100, "{count} wake-ups for 200 sessions in 10 s");
}

/// The memory of a process that is its own, in bytes.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// What a session costs that is there and says nothing, its account and mailbox included.
#[test]
fn an_idle_session_costs_little() {
    const SESSIONS: u64 = 300;
    for (tls, most) in [(false, 8 * 1_024), (true, 24 * 1_024)] {
        let home = Home::new();
        let server = Process::start(&home.data(), &FREE);
        let enter = |number: u64| {
            let mut peer = match tls {
                true => Peer::connect_tls(server.addr(), server.fingerprint()),
                false => Peer::connect(server.addr()),
            };
            peer.enter(&format!("u{number}"));
            // Long enough that buffers have been had, and nothing that is kept.
            peer.ask(Send, &format!("nobody|{}", "x".repeat(8_000)));
            peer
        };
        // What the first ones need stays for the others.
        let _first: Vec<Peer> = (0..100).map(enter).collect();
        settles(server.id(), 0);
        let before = resident(server.id());
        let _sessions: Vec<Peer> = (100..100 + SESSIONS).map(enter).collect();
        settles(server.id(), 0);
        let each = resident(server.id()).saturating_sub(before) / SESSIONS;
        assert!(each <= most, "{each} bytes a session, tls: {tls}");
    }
}

#[test]
fn hostile_lengths_reserve_nothing() {
    if !has("prlimit", &["--as=1073741824", "true"]) {
        return;
    }
    let home = Home::new();
    let mut prlimit = Command::new("prlimit");
    prlimit.arg("--as=536870912").arg(binary("bellhop-server"));
    // Arenas of glibc's are addresses and no memory: 64 MiB for each thread.
    let (status, _, complaint) =
        run(Command::new("prlimit").arg("--as=536870912").arg(binary("bellhop-server")));
    assert!(!status.success() && complaint.contains("MALLOC_ARENA_MAX"), "{complaint}");
    prlimit.env("MALLOC_ARENA_MAX", "2");
    let args: Vec<&str> = FREE.iter().chain(&["--limit", "frame=16777215"]).copied().collect();
    let server = Process::start_as(&mut prlimit, &home.data(), &args);
    let mut peers: Vec<Peer> =
        (0..50).map(|number| Peer::login(server.addr(), &format!("u{number}"))).collect();
    for peer in &mut peers {
        // The longest legal frame, of which almost nothing comes: 50 times 16 MiB would be more than there is.
        peer.write(b"\0\xff\xff\xff\x05bob|");
    }
    for _ in 0..50 {
        let mut hostile = Peer::connect(server.addr());
        hostile.write(b"\xff\xff\xff\xff\x05");
        assert_eq!(hostile.next().op, 0x85);
    }
    let mut honest = Peer::login(server.addr(), "honest");
    assert!(honest.ask(Send, "honest|hi").starts_with("ok|delivered|"));
}
