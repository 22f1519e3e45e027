//! Many runs against a server that keeps its promises over a network that does not: what is sent arrives once and in
//! order, what comes is shown once, over cut connections and restarts. `SIM_SEED` replays one run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bellhop_protocol::item::Message;
use bellhop_protocol::post::{PostAnswer, PostOk, Posted};
use bellhop_protocol::session::Welcome;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{MessageId, OpCode, Reply, Request, Username, frame};
use tempfile::TempDir;
use uuid::Uuid;

use super::pair::{begin, config};
use crate::event::Event;
use crate::history::{History, Seat};
use crate::link::dial::Identity;
use crate::link::state::State;
use crate::link::{Command, Draft, Input, LinkConfig, Output};
use crate::peer::Peer;

const STEPS: u32 = 120;

/// xorshift64: the same numbers for the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// What a server remembers: the truth.
#[derive(Default)]
struct Server {
    kept: Vec<String>,
    counters: BTreeMap<([u8; 16], u64), MessageId>,
    mailbox: Vec<(u64, MessageId, String)>,
    acked: BTreeSet<u64>,
    device: [u8; 16],
    cursor: u64,
    streaming: bool,
}

struct World {
    now: Instant,
    dice: Dice,
    history: History,
    seat: Seat,
    state: State,
    server: Server,
    /// Bytes on their way, to the server and to the client; `None` without a connection.
    wires: Option<(Vec<u8>, Vec<u8>)>,
    sent: u32,
    shown: Vec<String>,
    _folder: TempDir,
}

fn link(seat: &Seat, seed: u64) -> LinkConfig {
    LinkConfig { seat: seat.clone(), seed, ..config() }
}

impl World {
    fn new(seed: u64) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let mut history = History::open(&folder.path().join("history.sqlite")).expect("a history");
        let alice = Username::parse("alice").expect("a name");
        let account = history.account("here:1", &alice).expect("an account");
        let seat = history.seat(account.id, "tui").expect("a seat");
        let now = begin();
        let state = State::new(now, link(&seat, seed));
        let dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let (server, wires, shown) = (Server::default(), None, Vec::new());
        World { now, dice, history, seat, state, server, wires, sent: 0, shown, _folder: folder }
    }

    fn drain(&mut self) {
        while let Some(output) = self.state.poll() {
            match output {
                Output::Connect | Output::Disconnect => self.wires = None,
                Output::Write(bytes) => {
                    if let Some((up, _)) = &mut self.wires {
                        up.extend(bytes.0);
                    }
                }
                Output::Event(Event::Message(message)) => self.shown.push(message.text),
                Output::Event(_) => {}
                Output::Load(_) => panic!("the disk is well"),
                Output::Store(changes) => {
                    let outcomes = self.history.apply(&self.seat, &changes).expect("the disk is well");
                    let stored = changes.into_iter().zip(outcomes).collect();
                    self.state.handle(self.now, Input::Stored(stored));
                }
            }
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.state.handle(self.now, input);
        self.drain();
    }

    fn step(&mut self, faults: bool) {
        match self.dice.roll(if faults { 100 } else { 60 }) {
            0..20 => self.carry_up(),
            20..40 => self.carry_down(),
            40..60 => self.pass(),
            60..75 => self.send(),
            75..90 => self.deliver(),
            90..97 => self.cut(),
            _ => self.restart(),
        }
    }

    fn send(&mut self) {
        self.sent += 1;
        let (text, to) = (format!("message {}", self.sent), Peer::new("bob"));
        self.handle(Input::Command(Command::Send(Draft {
            tag: 0,
            to,
            text,
            receipts: true,
            time_ms: 0,
            key: None,
        })));
    }

    /// Somebody writes to us.
    fn deliver(&mut self) {
        let number = self.server.mailbox.len() as u64 + 1;
        let id = MessageId(Uuid::from_u128(number.into()));
        self.server.mailbox.push((number * 2, id, format!("for you {number}")));
    }

    fn cut(&mut self) {
        if self.wires.take().is_some() {
            self.handle(Input::Failed("cut".into()));
        }
    }

    fn restart(&mut self) {
        self.wires = None;
        self.seat = self.history.seat(self.seat.account, "tui").expect("a seat");
        self.state = State::new(self.now, link(&self.seat, 5));
        self.drain();
    }

    fn pass(&mut self) {
        self.now += Duration::from_millis(100 + self.dice.roll(3_000));
        let due = self.state.deadline().is_some_and(|deadline| deadline <= self.now);
        if due {
            self.handle(Input::Deadline);
        }
        if self.wires.is_none() && self.dice.roll(3) > 0 {
            self.server.streaming = false;
            self.wires = Some(Default::default());
            self.handle(Input::Connected(Identity::Plain));
        }
    }

    /// The server reads some of what is on its way, and answers.
    fn carry_up(&mut self) {
        let Some((up, _)) = &mut self.wires else { return };
        let some = self.dice.roll(up.len() as u64 + 1) as usize;
        let mut at = 0;
        let mut frames = Vec::new();
        while let Some(frame) = frame::parse(&up[at..some], 65_536).expect("frames") {
            frames.push((frame.op, frame.data.to_vec()));
            at += frame.wire_len();
        }
        up.drain(..at);
        for (op, data) in frames {
            let answers = self.server.answer(Request::decode(op, &data).expect("a good request"));
            if let Some((_, down)) = &mut self.wires {
                down.extend(answers);
            }
        }
    }

    fn carry_down(&mut self) {
        let pushed = self.server.push();
        let Some((_, down)) = &mut self.wires else { return };
        down.extend(pushed);
        let some = self.dice.roll(down.len() as u64 + 1) as usize;
        let bytes: Vec<u8> = down.drain(..some).collect();
        self.handle(Input::Received(&bytes));
    }

    /// Nothing is on its way any more, in either direction.
    fn is_quiet(&self) -> bool {
        self.server.kept.len() as u32 >= self.sent
            && self.server.acked.len() == self.server.mailbox.len()
            && self
                .history
                .roles(self.seat.account)
                .expect("read")
                .iter()
                .all(|(_, _, standing)| !standing.unsettled)
    }
}

impl Server {
    fn answer(&mut self, request: Request<'_>) -> Vec<u8> {
        let reply = match request {
            Request::Hello(hello) => {
                self.device = hello.device.0;
                Reply::Welcome(Welcome {
                    version: 1,
                    features: 0,
                    max_data: 65_536,
                    window: 1_024,
                    heartbeat_s: 30,
                    agent: "sim",
                    node: "n",
                })
            }
            Request::Login { .. } => Reply::Text(OpCode::Login, TextAnswer::LoggedIn(Uuid::nil(), 0)),
            Request::Deliver => {
                self.streaming = true;
                self.cursor = 0;
                let waiting = (self.mailbox.len() - self.acked.len()) as u64;
                Reply::Text(OpCode::Deliver, TextAnswer::Delivered(waiting))
            }
            Request::Post(post) => {
                let key = (self.device, post.counter);
                let (posted, id) = match self.counters.get(&key) {
                    Some(id) => (Posted::SeenBefore, *id),
                    None => {
                        let id = MessageId(Uuid::from_u128(1_000_000 + self.kept.len() as u128));
                        self.kept.push(post.text.to_owned());
                        self.counters.insert(key, id);
                        (Posted::Stored, id)
                    }
                };
                Reply::Posted(PostAnswer {
                    counter: post.counter,
                    result: Ok(PostOk { posted, id, time_ms: 0 }),
                })
            }
            Request::Ack(ack) => {
                for (first, last) in ack.ranges() {
                    let covered = self.mailbox.iter().map(|item| item.0).filter(|seq| *seq <= self.cursor);
                    self.acked.extend(covered.filter(|seq| (first..=last).contains(seq)));
                }
                return Vec::new();
            }
            Request::Ping(bytes) => Reply::Pong(bytes),
            other => panic!("not in this story: {other:?}"),
        };
        reply.to_bytes()
    }

    fn push(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.streaming {
            for (seq, id, text) in self.mailbox.iter().filter(|item| item.0 > self.cursor) {
                if !self.acked.contains(seq) {
                    Reply::Message(Message { seq: *seq, id: *id, time_ms: 0, from: "bob", text })
                        .put(&mut bytes);
                }
            }
            self.cursor = self.mailbox.last().map_or(0, |item| item.0);
        }
        bytes
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    world.drain();
    for _ in 0..STEPS {
        world.step(true);
    }
    let mut steps = 0;
    while !world.is_quiet() {
        world.step(false);
        steps += 1;
        assert!(steps < 20_000, "seed {seed}: it does not come to rest");
    }
    let wanted: Vec<String> = (1..=world.sent).map(|number| format!("message {number}")).collect();
    assert_eq!(world.server.kept, wanted, "seed {seed}: what arrived");
    let wanted: Vec<String> = world.server.mailbox.iter().map(|item| item.2.clone()).collect();
    assert_eq!(world.shown, wanted, "seed {seed}: what was shown");
}

#[test]
fn everything_arrives_once_and_in_order() {
    match std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => run(seed),
        None => (1..=40).for_each(run),
    }
}
