//! Crowds that are up to something, with amounts that a quick run or the release drill decides: readers who never read,
//! senders of one byte now and then, connections that say nothing, and passwords by the hundred.
//!
//! Each looks at what is promised whatever the crowd does: memory stays bounded, others are served, whoever takes a
//! place and does nothing loses it, and nothing kept is lost. Times are compared by [`Figures`], which the drill judges.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bellhop_protocol::{OpCode, frame};

use crate::bounded::{Bounded, Pair, connect_from, login_from, median, source};
use crate::peer::Peer;
use crate::proc::{comes_down_to, files, processor_time, sockets};
use crate::tls::client_config;
use crate::wait::{wait_for, waited};

/// Arguments with which a pair may talk as fast as it can.
const TALKATIVE: [&str; 4] = ["--limit", "sends=off", "--limit", "mailbox-sender=off"];
/// How many talks a measurement has.
const TALKS: usize = 200;

/// Bytes that wait for one who does not read, and for all of them, by the usual limits.
const OUTBOX: usize = 256 * 1024;
const OUTBOXES: usize = 64 * 1024 * 1024;

/// What was measured while a crowd was at work.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The slowest in a hundred talks of an honest pair, without the crowd and with it.
    pub p99: Option<(Duration, Duration)>,
    /// The most memory that the server had, in MiB.
    pub rss_mib: u64,
    /// What else is worth a word.
    pub remark: String,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((normal, loaded)) = self.p99 {
            write!(f, "p99 {normal:.1?} → {loaded:.1?}, ")?;
        }
        write!(f, "RSS ≤ {} MiB", self.rss_mib)?;
        if self.remark.is_empty() { Ok(()) } else { write!(f, ", {}", self.remark) }
    }
}

fn server(more: &[&str]) -> Bounded {
    Bounded::start(&TALKATIVE.iter().chain(more).copied().collect::<Vec<_>>())
}

/// Clients who are owed `owed` bytes each, log in, ask for them, and never read.
#[expect(clippy::disallowed_methods, reason = "how long it takes is real time")]
pub fn never_read(clients: u32, owed: usize, tls: bool) -> Figures {
    const TEXT: usize = 16_000;
    let server = server(&[]);
    let addr = server.addr();
    let messages = owed.div_ceil(TEXT);
    let text = "x".repeat(TEXT);
    let mut sender = login_from(source(0x00_E0_00_00), addr, "sender");
    for client in 0..clients {
        drop(login_from(source(client), addr, &format!("r{client}")));
        for _ in 0..messages {
            sender.send(OpCode::Send, &format!("r{client}|{text}"));
        }
        for _ in 0..messages {
            assert!(sender.answer(OpCode::Send.answer()).text().starts_with("ok|"));
        }
    }
    let mut pair = Pair::meet(addr);
    let normal = median((0..3).map(|_| pair.p99(TALKS)).collect());
    wait_for("everybody to be gone", || (sockets(server.server.id()) < 12).then_some(()));
    let idle = sockets(server.server.id());
    let silent: Vec<Peer> = (0..clients)
        .map(|client| {
            let stream = connect_from(source(client), addr, Some(4_096)).unwrap();
            let mut peer = Peer::over(stream);
            if tls {
                peer = peer.secure(client_config(server.server.fingerprint())).unwrap();
            }
            peer.enter(&format!("r{client}"));
            peer.send(OpCode::Deliver, "");
            peer
        })
        .collect();
    let start = Instant::now();
    let loaded = median((0..3).map(|_| pair.p99(TALKS)).collect());
    // No progress for twenty seconds, and the clocks ring once a second; after thirty the system would end them. Those
    // for whom there is no room among all outboxes have their turn when others are gone.
    let at_once = OUTBOXES / owed.min(OUTBOX);
    let turns = u32::try_from((clients as usize).div_ceil(at_once)).unwrap();
    let patience = Duration::from_secs(27) * turns;
    let gone = waited(patience.saturating_sub(start.elapsed()), || {
        pair.talk();
        (sockets(server.server.id()) <= idle).then_some(())
    });
    assert!(gone.is_some(), "{} sockets are left", sockets(server.server.id()) - idle);
    drop(silent);
    for client in 0..clients {
        let mut peer = Peer::over(connect_from(source(client), addr, None).unwrap());
        let answer = peer.ask(OpCode::Login, &format!("r{client}"));
        assert!(answer.ends_with(&format!("|{messages}")), "r{client}: {answer}");
    }
    let remark = format!("{clients} clients, {} KiB each, gone in {turns} turns", owed >> 10);
    Figures { p99: Some((normal, loaded)), rss_mib: server.memory_was_bounded(), remark }
}

/// What those say who send one byte now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A byte, and nothing more.
    FirstByte,
    /// A handshake of TLS.
    Tls,
    /// A login.
    Login,
    /// A message, after a login.
    Frame,
}

/// All of them.
pub const PHASES: [Phase; 4] = [Phase::FirstByte, Phase::Tls, Phase::Login, Phase::Frame];

/// How many, from how many addresses, how fast, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// Connections at a time.
    pub connections: u32,
    /// Addresses that they come from.
    pub addresses: u32,
    /// From one byte to the next.
    pub pause: Duration,
    /// How long it goes on.
    pub time: Duration,
}

/// Connections that send a byte now and then and come again when they are closed, while honest people log in.
/// Returns how many of a hundred of these got in, each with three tries.
pub fn slow_senders(phase: Phase, slow: Slow, honest: u32, args: &[&str]) -> (u32, Figures) {
    let server = server(args);
    let addr = server.addr();
    let mut pair = Pair::meet(addr);
    let idle = sockets(server.server.id());
    let normal = median((0..3).map(|_| pair.p99(TALKS)).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let crowd = thread::spawn({
        let stop = stop.clone();
        move || Crowd::new(phase, slow, addr).work(&stop)
    });
    let (mut entered, mut loaded) = (0, Vec::new());
    for number in 0..honest {
        let name = format!("honest{number}");
        // Whoever is turned away tries again a little later, twice.
        let enters = || try_login(source(0x00_D0_00_00 + number), addr, &name);
        entered += u32::from((0..3).any(|_| enters() || pause_for(Duration::from_millis(500))));
        thread::sleep((slow.time / honest).min(Duration::from_secs(1)));
        loaded.push(pair.p99(TALKS / 10));
    }
    stop.store(true, Ordering::Relaxed);
    let crowd = crowd.join().unwrap();
    assert!(crowd.closed > 0, "{phase:?}: nobody was closed: {crowd:?}");
    assert!(crowd.longest <= slow.time, "{phase:?}: one held its place all the time");
    comes_down_to(server.server.id(), idle);
    let remark = format!(
        "{entered} of {honest} got in, {} connections closed, the longest after {:.1?}",
        crowd.closed, crowd.longest
    );
    let p99 = Some((normal, median(loaded)));
    (entered * 100 / honest, Figures { p99, rss_mib: server.memory_was_bounded(), remark })
}

fn pause_for(time: Duration) -> bool {
    thread::sleep(time);
    false
}

/// Logs in, where the server lets it.
fn try_login(from: std::net::IpAddr, addr: SocketAddr, name: &str) -> bool {
    let Ok(stream) = connect_from(from, addr, None) else { return false };
    let mut peer = Peer::over(stream);
    let mut bytes = Vec::new();
    frame::put(&mut bytes, OpCode::Create.byte(), name.as_bytes());
    if !peer.try_write(&bytes) {
        return false;
    }
    peer.read().is_some_and(|got| {
        got.op == OpCode::Create.answer()
            && (got.text().starts_with("ok|") || got.text().starts_with("error|name-taken|"))
    })
}

/// What a crowd of slow senders met.
#[derive(Debug, Default)]
struct Met {
    closed: u32,
    longest: Duration,
}

/// One of the slow senders.
struct Slowly {
    stream: TcpStream,
    since: Instant,
    bytes: Vec<u8>,
    at: usize,
}

struct Crowd {
    phase: Phase,
    slow: Slow,
    addr: SocketAddr,
    members: Vec<Option<Slowly>>,
    met: Met,
}

#[expect(clippy::disallowed_methods, reason = "who sends slowly does so in real time")]
impl Crowd {
    fn new(phase: Phase, slow: Slow, addr: SocketAddr) -> Crowd {
        let members = (0..slow.connections).map(|_| None).collect();
        Crowd { phase, slow, addr, members, met: Met::default() }
    }

    fn work(mut self, stop: &AtomicBool) -> Met {
        while !stop.load(Ordering::Relaxed) {
            let round = Instant::now();
            for number in 0..self.members.len() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                self.turn(number);
            }
            while round.elapsed() < self.slow.pause && !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        self.met
    }

    fn turn(&mut self, number: usize) {
        let Some(member) = &mut self.members[number] else {
            let from = source(number as u32 % self.slow.addresses);
            self.members[number] = enter(self.phase, number, from, self.addr);
            return;
        };
        let mut chunk = [0; 1_024];
        let closed = loop {
            match member.stream.read(&mut chunk) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        let byte = member.bytes[member.at % member.bytes.len()];
        member.at += 1;
        if closed || member.stream.write_all(&[byte]).is_err() {
            self.met.closed += 1;
            self.met.longest = member.since.elapsed().max(self.met.longest);
            self.members[number] = None;
        }
    }
}

/// Comes in and begins to speak slowly; nothing where there is no room.
#[expect(clippy::disallowed_methods, reason = "who sends slowly does so in real time")]
fn enter(phase: Phase, number: usize, from: std::net::IpAddr, addr: SocketAddr) -> Option<Slowly> {
    let stream = connect_from(from, addr, None).ok()?;
    let mut bytes = Vec::new();
    match phase {
        Phase::FirstByte => bytes.push(0),
        // The beginning of a handshake record of 512 bytes.
        Phase::Tls => bytes.extend([[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3].as_slice(), &[7; 501]].concat()),
        Phase::Login => frame::put(&mut bytes, OpCode::Login.byte(), &[b'a'; 32]),
        Phase::Frame => {
            let mut peer = Peer::over(stream.try_clone().ok()?);
            let mut login = Vec::new();
            frame::put(&mut login, OpCode::Create.byte(), format!("slow{number}").as_bytes());
            peer.try_write(&login);
            let answer = peer.read()?;
            if answer.text().starts_with("error|name-taken|") {
                let mut login = Vec::new();
                frame::put(&mut login, OpCode::Login.byte(), format!("slow{number}").as_bytes());
                peer.try_write(&login);
                peer.read()?;
            }
            frame::put(&mut bytes, OpCode::Send.byte(), &[b'b'; 1_000]);
        }
    }
    stream.set_nonblocking(true).ok()?;
    Some(Slowly { stream, since: Instant::now(), bytes, at: 0 })
}

/// Connections at a rate, which say nothing, from many addresses.
#[expect(clippy::disallowed_methods, reason = "a rate is kept in real time")]
pub fn connect_flood(each_second: u32, time: Duration) -> Figures {
    let server = server(&[]);
    let mut pair = Pair::meet(server.addr());
    let idle = sockets(server.server.id());
    let normal = median((0..3).map(|_| pair.p99(TALKS)).collect());
    let (addr, stop) = (server.addr(), Arc::new(AtomicBool::new(false)));
    let flood = thread::spawn({
        let stop = stop.clone();
        move || {
            let (start, mut made) = (Instant::now(), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let due = (start.elapsed().as_secs_f64() * f64::from(each_second)) as usize;
                while made.len() < due && !stop.load(Ordering::Relaxed) {
                    made.push(connect_from(source(made.len() as u32 % 1_000), addr, None).ok());
                }
                thread::sleep(Duration::from_millis(5));
            }
            made.len()
        }
    });
    let (start, mut loaded) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        loaded.push(pair.p99(TALKS / 4));
        thread::sleep(Duration::from_millis(100));
    }
    stop.store(true, Ordering::Relaxed);
    let made = flood.join().unwrap();
    comes_down_to(server.server.id(), idle);
    assert!(try_login(source(0x00_D0_00_00), addr, "late"), "whoever comes after the flood gets in");
    let p99 = Some((normal, median(loaded)));
    Figures { p99, rss_mib: server.memory_was_bounded(), remark: format!("{made} connections") }
}

/// More connections than the process may have files.
pub fn few_files(connections: u32, time: Duration) -> Figures {
    let args = [&TALKATIVE[..], &["--limit", "unauth=off", "--limit", "login-time=off"]].concat();
    let server = Bounded::start_under(&["--as=2147483648", "--nofile=128"], &args);
    let (id, addr) = (server.server.id(), server.addr());
    let mut pair = Pair::meet(addr);
    let idle = sockets(id);
    // Fewer than it counted on when it started, so that it runs out of them for certain.
    let lower = Command::new("prlimit").args(["--pid", &id.to_string(), "--nofile=100"]).status();
    assert!(lower.unwrap().success());
    // Those beyond the server's places wait with the operating system, which lets them connect.
    let crowd: Vec<_> =
        (0..connections).map(|number| connect_from(source(number), addr, None).ok()).collect();
    wait_for("the server to be full", || (files(id) >= 100).then_some(()));
    let before = processor_time(id);
    thread::sleep(time);
    let used = processor_time(id) - before;
    // A hundredth of a second a tick.
    assert!(u128::from(used) * 10 <= time.as_millis() / 10 + 50, "{used} ticks in {time:?}");
    for _ in 0..50 {
        pair.talk();
    }
    drop(crowd);
    comes_down_to(id, idle);
    assert!(try_login(source(0x00_D0_00_00), addr, "late"), "there is room again");
    let remark = format!("{used} ticks in {time:?}");
    Figures { p99: None, rss_mib: server.memory_was_bounded(), remark }
}

/// So many logins with a password at once, good and bad by turns.
pub fn passwords(logins: u32) -> Figures {
    let server = server(&["--limit", "login-fail=off"]);
    let addr = server.addr();
    let mut maker = Peer::over(connect_from(source(0), addr, None).unwrap());
    assert!(maker.ask(OpCode::Create, "locked|open sesame").starts_with("ok|"));
    let mut pair = Pair::meet(addr);
    let normal = median((0..3).map(|_| pair.p99(TALKS)).collect());
    let crowd: Vec<_> = (0..logins)
        .map(|number| {
            thread::spawn(move || {
                let mut peer = Peer::over(connect_from(source(number), addr, None).unwrap());
                let password = if number % 2 == 0 { "open sesame" } else { "open barley" };
                peer.ask(OpCode::Login, &format!("locked|{password}"))
            })
        })
        .collect();
    let mut loaded = Vec::new();
    while !crowd.iter().all(thread::JoinHandle::is_finished) {
        loaded.push(pair.p99(20));
    }
    let (mut in_time, mut busy) = (0, 0);
    for (number, login) in crowd.into_iter().enumerate() {
        let answer = login.join().unwrap();
        let word = answer.split('|').take(2).collect::<Vec<_>>();
        match word[..] {
            ["ok", _] | ["error", "too-many-sessions"] if number % 2 == 0 => in_time += 1,
            ["error", "bad-password" | "no-such-user"] if number % 2 == 1 => in_time += 1,
            ["error", "busy" | "rate-limited"] => busy += 1,
            _ => panic!("login {number}: {answer}"),
        }
    }
    assert!(in_time > 0, "nobody was looked at");
    let remark = format!("{in_time} logins looked at, {busy} told to come again");
    let p99 = (!loaded.is_empty()).then(|| (normal, median(loaded)));
    Figures { p99, rss_mib: server.memory_was_bounded(), remark }
}
