//! Crowds that are up to something, with amounts that a quick run or the release drill decides: readers who never read,
//! senders of one byte now and then, connections that say nothing, and passwords by the hundred.
//!
//! Each looks at what is promised whatever the crowd does: memory stays bounded, others are served, whoever takes a
//! place and does nothing loses it, and nothing kept is lost. Times are compared by [`Talks`], which the drill judges.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use bellhop_protocol::{OpCode, frame};

use crate::bounded::{Bounded, Pair, connect_from, login_from, source};
use crate::peer::Peer;
use crate::proc::{comes_down_to, files, processor_time, sockets};
use crate::talks::Talks;
use crate::tls::client_config;
use crate::wait::wait_for;

/// Arguments with which a pair may talk as fast as it can.
const TALKATIVE: [&str; 4] = ["--limit", "sends=off", "--limit", "mailbox-sender=off"];

/// Bytes that wait for one who does not read, and for all of them, by the usual limits.
const OUTBOX: usize = 256 * 1024;
const OUTBOXES: usize = 64 * 1024 * 1024;

/// What was measured while a crowd was at work.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The talks of an honest pair, without the crowd and with it.
    pub talks: Option<Talks>,
    /// The most memory that the server had, in MiB.
    pub rss_mib: u64,
    /// What else is worth a word.
    pub remark: String,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(talks) = &self.talks {
            write!(f, "{talks}, ")?;
        }
        write!(f, "RSS ≤ {} MiB", self.rss_mib)?;
        if self.remark.is_empty() { Ok(()) } else { write!(f, ", {}", self.remark) }
    }
}

fn server(more: &[&str]) -> Bounded {
    Bounded::start(&TALKATIVE.iter().chain(more).copied().collect::<Vec<_>>())
}

/// How often the talks of an honest pair are looked at with a crowd and without, and for how long each time.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// How often.
    pub rounds: u32,
    /// For how long.
    pub time: Duration,
}

/// A quick look, by which times are not judged.
pub const QUICK: Look = Look { rounds: 1, time: Duration::ZERO };

/// The bytes of a message to somebody who does not read.
const TEXT: usize = 16_000;

/// Clients who are owed `owed` bytes each, log in, ask for them, and never read.
pub fn never_read(clients: u32, owed: usize, tls: bool, look: Look) -> Figures {
    let server = server(&[]);
    let (addr, id) = (server.addr(), server.server.id());
    let messages = owed.div_ceil(TEXT);
    owe(addr, clients, messages);
    let mut pair = Pair::meet(addr);
    wait_for("everybody to be gone", || (sockets(id) < 12).then_some(()));
    let (idle, mut talks) = (sockets(id), Talks::default());
    let fingerprint = tls.then(|| server.server.fingerprint());
    for _ in 0..look.rounds {
        talks.normal(&mut pair, id, look.time);
        let silent: Vec<Peer> = (0..clients).map(|client| deaf(addr, client, fingerprint)).collect();
        talks.loaded(&mut pair, id, look.time);
        drop(silent);
        comes_down_to(id, idle);
    }
    talks.normal(&mut pair, id, look.time);
    let silent: Vec<Peer> = (0..clients).map(|client| deaf(addr, client, fingerprint)).collect();
    let turns = turns(clients, owed);
    talks.loaded_while(&mut pair, id, still_there(id, idle, turns));
    drop(silent);
    talks.normal(&mut pair, id, look.time);
    for client in 0..clients {
        let mut peer = Peer::over(connect_from(source(client), addr, None).unwrap());
        let answer = peer.ask(OpCode::Login, &format!("r{client}"));
        assert!(answer.ends_with(&format!("|{messages}")), "r{client}: {answer}");
    }
    let remark = format!("{clients} clients, {} KiB each, gone in {turns} turns", owed >> 10);
    Figures { talks: Some(talks), rss_mib: server.memory_was_bounded(), remark }
}

/// Makes the accounts, and leaves so many messages with each.
fn owe(addr: SocketAddr, clients: u32, messages: usize) {
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
}

/// Somebody who asks for what is there and does not read it.
fn deaf(addr: SocketAddr, client: u32, fingerprint: Option<&str>) -> Peer {
    let mut peer = Peer::over(connect_from(source(client), addr, Some(4_096)).unwrap());
    if let Some(fingerprint) = fingerprint {
        peer = peer.secure(client_config(fingerprint)).unwrap();
    }
    peer.enter(&format!("r{client}"));
    peer.send(OpCode::Deliver, "");
    peer
}

/// Those for whom there is no room among all outboxes have their turn when others are gone.
fn turns(clients: u32, owed: usize) -> u32 {
    let at_once = OUTBOXES / owed.min(OUTBOX);
    u32::try_from((clients as usize).div_ceil(at_once)).unwrap()
}

/// True as long as more sockets are there than when nobody was, looked at now and then.
///
/// # Panics
///
/// Where they stay: no progress for twenty seconds, and the clocks ring once a second; after thirty the system would end
/// them.
#[expect(clippy::disallowed_methods, reason = "how long it takes is real time")]
fn still_there(id: u32, idle: usize, turns: u32) -> impl FnMut(usize) -> bool {
    let (start, patience) = (Instant::now(), Duration::from_secs(27) * turns);
    let mut looked = Instant::now();
    move |_| {
        if looked.elapsed() < Duration::from_millis(500) {
            return true;
        }
        looked = Instant::now();
        let left = sockets(id).saturating_sub(idle);
        assert!(left == 0 || start.elapsed() < patience, "{left} sockets are left");
        left > 0
    }
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
    let (id, mut talks) = (server.server.id(), Talks::default());
    talks.normal(&mut pair, id, slow.time / 10);
    let stop = Arc::new(AtomicBool::new(false));
    let crowd = thread::spawn({
        let stop = stop.clone();
        move || Crowd::new(phase, slow, addr).work(&stop)
    });
    let honest_people = thread::spawn(move || {
        let enters = |number: &u32| {
            let (from, name) = (source(0x00_D0_00_00 + number), format!("honest{number}"));
            // Whoever is turned away tries again a little later, twice.
            let entered = (0..3).any(|_| try_login(from, addr, &name) || pause_for(TRY_AGAIN));
            // They come evenly over the time that it lasts.
            thread::sleep(slow.time / honest);
            entered
        };
        u32::try_from((0..honest).filter(enters).count()).unwrap()
    });
    talks.loaded_while(&mut pair, id, |_| !honest_people.is_finished());
    let entered = honest_people.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    let crowd = crowd.join().unwrap();
    assert!(crowd.closed > 0, "{phase:?}: nobody was closed: {crowd:?}");
    assert!(crowd.longest <= slow.time, "{phase:?}: one held its place all the time");
    comes_down_to(id, idle);
    talks.normal(&mut pair, id, slow.time / 10);
    let remark = format!(
        "{entered} of {honest} got in, {} connections closed, the longest after {:.1?}",
        crowd.closed, crowd.longest
    );
    let figures = Figures { talks: Some(talks), rss_mib: server.memory_was_bounded(), remark };
    (entered * 100 / honest, figures)
}

/// After so long somebody who was turned away comes again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

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
                // The pause of the crowd, in pieces, so that it ends when it is told to.
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
pub fn connect_flood(each_second: u32, look: Look) -> Figures {
    let server = server(&[]);
    let (addr, id) = (server.addr(), server.server.id());
    let mut pair = Pair::meet(addr);
    let (idle, mut talks, mut made) = (sockets(id), Talks::default(), 0);
    for _ in 0..look.rounds {
        talks.normal(&mut pair, id, look.time);
        let stop = Arc::new(AtomicBool::new(false));
        let flood = thread::spawn({
            let stop = stop.clone();
            move || flow(addr, each_second, &stop)
        });
        talks.loaded(&mut pair, id, look.time);
        stop.store(true, Ordering::Relaxed);
        made += flood.join().unwrap();
        comes_down_to(id, idle);
    }
    talks.normal(&mut pair, id, look.time);
    assert!(try_login(source(0x00_D0_00_00), addr, "late"), "whoever comes after the flood gets in");
    Figures {
        talks: Some(talks),
        rss_mib: server.memory_was_bounded(),
        remark: format!("{made} connections"),
    }
}

/// Connects at a rate until it is told to stop; returns how often it did.
#[expect(clippy::disallowed_methods, reason = "a rate is kept in real time")]
fn flow(addr: SocketAddr, each_second: u32, stop: &AtomicBool) -> usize {
    let (start, mut made) = (Instant::now(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * f64::from(each_second)) as usize;
        while made.len() < due && !stop.load(Ordering::Relaxed) {
            made.push(connect_from(source(made.len() as u32 % 1_000), addr, None).ok());
        }
        // As many as are due by the clock, a few at a time.
        thread::sleep(Duration::from_millis(5));
    }
    made.len()
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
    // What it costs in so much time is the question.
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
    Figures { talks: None, rss_mib: server.memory_was_bounded(), remark }
}

/// So many logins with a password at once, good and bad by turns, again and again.
pub fn passwords(logins: u32, look: Look) -> Figures {
    let server = server(&["--limit", "login-fail=off"]);
    let (addr, id) = (server.addr(), server.server.id());
    let mut maker = Peer::over(connect_from(source(0), addr, None).unwrap());
    assert!(maker.ask(OpCode::Create, "locked|open sesame").starts_with("ok|"));
    let mut pair = Pair::meet(addr);
    let (idle, mut talks, mut volleys) = (sockets(id), Talks::default(), Volleys::default());
    for _ in 0..look.rounds {
        talks.normal(&mut pair, id, look.time);
        volleys.one(addr, logins, |asked| talks.loaded_while(&mut pair, id, |_| !asked()));
        comes_down_to(id, idle);
    }
    talks.normal(&mut pair, id, look.time);
    // The same with nobody else about, for how fast they are looked at then.
    let mut alone = Volleys::default();
    alone.one(addr, logins, |asked| wait_for("the answers", || asked().then_some(())));
    let remark = format!("{volleys}, without the talks {alone}");
    Figures { talks: Some(talks), rss_mib: server.memory_was_bounded(), remark }
}

/// What became of logins that came all at once.
#[derive(Debug, Default)]
struct Volleys {
    looked_at: u32,
    busy: u32,
    time: Duration,
}

impl Volleys {
    /// So many logins at once, and what is done `meanwhile` until all of them are answered.
    #[expect(clippy::disallowed_methods, reason = "how long it takes is real time")]
    fn one(&mut self, addr: SocketAddr, logins: u32, meanwhile: impl FnOnce(&dyn Fn() -> bool)) {
        let together = Arc::new(Barrier::new(logins as usize + 1));
        let crowd: Vec<_> = (0..logins)
            .map(|number| {
                let together = together.clone();
                thread::spawn(move || {
                    let mut peer = Peer::over(connect_from(source(number), addr, None).unwrap());
                    together.wait();
                    let password = if number % 2 == 0 { "open sesame" } else { "open barley" };
                    peer.ask(OpCode::Login, &format!("locked|{password}"))
                })
            })
            .collect();
        together.wait();
        let start = Instant::now();
        meanwhile(&|| crowd.iter().all(thread::JoinHandle::is_finished));
        self.time += start.elapsed();
        for (number, login) in crowd.into_iter().enumerate() {
            self.count(number, &login.join().unwrap());
        }
        assert!(self.looked_at > 0, "nobody was looked at");
    }

    fn count(&mut self, number: usize, answer: &str) {
        let good = number.is_multiple_of(2);
        match answer.split('|').take(2).collect::<Vec<_>>()[..] {
            ["ok", _] | ["error", "too-many-sessions"] if good => self.looked_at += 1,
            ["error", "bad-password" | "no-such-user"] if !good => self.looked_at += 1,
            ["error", "busy" | "rate-limited"] => self.busy += 1,
            _ => panic!("login {number}: {answer}"),
        }
    }
}

impl fmt::Display for Volleys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = f64::from(self.looked_at) / self.time.as_secs_f64();
        write!(f, "{} logins looked at ({rate:.0}/s), {} told to come again", self.looked_at, self.busy)
    }
}
