//! A link, a clock, a history that is gone afterwards, and a server that says what a test wants.

use std::path::Path;
use std::time::{Duration, Instant};

use bellhop_protocol::code::{Failure, Reason};
use bellhop_protocol::item::{Message, Receipt, ReceiptState};
use bellhop_protocol::post::{PostAnswer, PostFailure, PostOk, Posted};
use bellhop_protocol::session::{Resumed, SessionToken, Welcome};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, DeviceId, MessageId, OpCode, Reply, Request, Username, frame};
use uuid::Uuid;

use crate::event::Event;
use crate::history::{History, Seat};
use crate::link::dial::Identity;
use crate::link::state::State;
use crate::link::{Change, Command, Draft, Failed, Input, LinkConfig, Output};
use crate::peer::Peer;
use crate::secret::Secret;

pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) state: State,
    pub(super) history: History,
    pub(super) seat: Seat,
    /// Who logs in at the server.
    pub(super) account: Uuid,
    /// The disk fails.
    pub(super) broken: bool,
    /// The disk says that it fails, and has everything.
    pub(super) lies: bool,
    /// So many writes find it busy.
    pub(super) busy: u32,
    /// What was written down, a transaction a line.
    pub(super) log: Vec<String>,
    pub(super) events: Vec<Event>,
    /// Whom the next connection leads to.
    pub(super) identity: Identity,
    /// True while the client has or wants a socket.
    pub(super) socket: bool,
    sent: Vec<u8>,
    /// Devices in the order of their first HELLO.
    devices: Vec<DeviceId>,
}

pub(super) fn config() -> LinkConfig {
    LinkConfig {
        user: Username::parse("alice").expect("a name"),
        seat: seat(),
        password: None,
        create: false,
        remember: false,
        stream: true,
        confirm: false,
        bytes: false,
        receipts: false,
        asks: false,
        patient: true,
        hidden: false,
        agent: "test".into(),
        seed: 7,
    }
}

/// Stands for the one that a [`Pair`] takes.
fn seat() -> Seat {
    Seat {
        account: 0,
        row: 0,
        role: String::new(),
        device: DeviceId([0; 16]),
        copied: false,
        uuid: None,
        next_counter: 1,
        token: None,
        outbox: Vec::new(),
        waiting: 0,
        unsettled: Vec::new(),
    }
}

pub(super) fn id(number: u8) -> MessageId {
    MessageId(Uuid::from_bytes([number; 16]))
}

#[expect(clippy::disallowed_methods, reason = "the clock of a test begins somewhere")]
pub(super) fn begin() -> Instant {
    Instant::now()
}

impl Pair {
    pub(super) fn new(config: LinkConfig) -> Pair {
        let mut history = History::open(Path::new(":memory:")).expect("a history");
        let account = history.account("here:1", &config.user).expect("an account");
        let mut seat = history.seat(account.id, "tui").expect("a seat");
        seat.token = config.seat.token;
        history.apply(&seat, &[Change::Token(seat.token)]).expect("kept");
        let now = begin();
        let state = State::new(now, LinkConfig { seat: seat.clone(), ..config });
        let (events, sent, log, devices) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut pair = Pair {
            now,
            state,
            history,
            seat,
            account: Uuid::nil(),
            broken: false,
            lies: false,
            busy: 0,
            log,
            events,
            identity: Identity::Plain,
            socket: false,
            sent,
            devices,
        };
        pair.drain();
        pair
    }

    /// The program ends and begins again.
    pub(super) fn restart(&mut self, config: LinkConfig) {
        self.seat = self.history.seat(self.seat.account, "tui").expect("a seat");
        self.state = State::new(self.now, LinkConfig { seat: self.seat.clone(), ..config });
        self.drain();
        self.sent.clear();
        self.events.clear();
    }

    /// The token on disk.
    pub(super) fn token(&mut self) -> Option<SessionToken> {
        self.history.seat(self.seat.account, "tui").expect("a seat").token.map(|kept| kept.token)
    }

    /// A pair whose client is online and has been sent nothing.
    pub(super) fn online(config: LinkConfig) -> Pair {
        let mut pair = Pair::new(config);
        pair.log_in();
        pair.sent();
        pair.events.clear();
        pair
    }

    pub(super) fn log_in(&mut self) {
        self.connected();
        self.welcome();
        self.log_in_after_welcome();
    }

    pub(super) fn log_in_after_welcome(&mut self) {
        if self.last_sent().starts_with("RESUME") {
            self.say(Reply::Resumed(Resumed {
                account: self.account,
                waiting: 0,
                token: SessionToken([9; 32]),
            }));
        } else {
            self.answer(OpCode::Login, TextAnswer::LoggedIn(self.account, 0));
        }
        if self.last_sent() == "DELIVER" || self.sent.windows(5).any(|bytes| bytes == b"\0\0\0\0\x06") {
            self.answer(OpCode::Deliver, TextAnswer::Delivered(0));
        }
    }

    pub(super) fn connected(&mut self) {
        assert!(self.socket, "the client wants no connection");
        self.handle(Input::Connected(self.identity.clone()));
    }

    pub(super) fn welcome(&mut self) {
        self.welcome_with(65_536, 30);
    }

    pub(super) fn welcome_with(&mut self, max_data: u32, heartbeat_s: u16) {
        self.say_welcome(0, max_data, heartbeat_s);
    }

    pub(super) fn welcome_with_features(&mut self, features: u32) {
        self.say_welcome(features, 65_536, 30);
    }

    fn say_welcome(&mut self, features: u32, max_data: u32, heartbeat_s: u16) {
        self.say(Reply::Welcome(Welcome {
            version: 1,
            features,
            max_data,
            window: 1_024,
            heartbeat_s,
            agent: "bellhop/1",
            node: "n-01",
        }));
    }

    pub(super) fn say(&mut self, reply: Reply<'_>) {
        self.bytes(&reply.to_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.handle(Input::Received(bytes));
    }

    pub(super) fn answer(&mut self, op: OpCode, answer: TextAnswer<'_>) {
        self.say(Reply::Text(op, answer));
    }

    pub(super) fn refuse(&mut self, op: OpCode, code: Code) {
        let word = code.to_string();
        let failure = Failure { reason: Reason::Word(&word), sentence: "because" };
        match op {
            OpCode::Hello | OpCode::Resume | OpCode::Token => {
                let failure = Failure { reason: Reason::Number(code), sentence: "because" };
                self.say(Reply::Refused(op, failure));
            }
            _ => self.answer(op, TextAnswer::Failed(failure)),
        }
    }

    pub(super) fn notice(&mut self, code: Code) {
        let word = code.to_string();
        self.say(Reply::Notice(Failure { reason: Reason::Word(&word), sentence: "because" }));
    }

    pub(super) fn posted(&mut self, counter: u64, posted: Posted) {
        self.bytes(&self::posted(counter, posted));
    }

    pub(super) fn refused(&mut self, counter: u64, code: Code) {
        self.refused_for(counter, code, 0);
    }

    pub(super) fn refused_for(&mut self, counter: u64, code: Code, retry_after_ms: u32) {
        let failure = PostFailure { code, retry_after_ms, sentence: "no room" };
        self.say(Reply::Posted(PostAnswer { counter, result: Err(failure) }));
    }

    pub(super) fn message(&mut self, seq: u64, number: u8, text: &str) {
        self.bytes(&message(seq, number, text));
    }

    pub(super) fn receipt(&mut self, seq: u64, number: u8, state: ReceiptState) {
        self.say(Reply::Receipt(Receipt { seq, id: id(number), state, time_ms: 5, peer: "bob" }));
    }

    pub(super) fn command(&mut self, command: Command) {
        self.handle(Input::Command(command));
    }

    /// Commands that come at once, so that one write to disk is for all of them.
    pub(super) fn commands(&mut self, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            self.state.handle(self.now, Input::Command(command));
        }
        self.drain();
    }

    pub(super) fn send(&mut self, text: &str) {
        self.command(draft(text));
    }

    pub(super) fn ask(&mut self, tag: u64, line: &str) {
        let (op, data) = line.split_once('|').expect("an op");
        let data = Secret::new(data.to_owned());
        self.command(Command::Ask { tag, op: op.parse().expect("a number"), data });
    }

    pub(super) fn close(&mut self) {
        self.handle(Input::Failed("closed".into()));
    }

    /// Moves the clock, stopping at each deadline on the way.
    pub(super) fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        let mut steps = 0;
        while let Some(deadline) = self.state.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.handle(Input::Deadline);
            steps += 1;
            assert!(steps < 10_000, "the clock stands still");
        }
        self.now = until;
    }

    /// Moves the clock to the next deadline.
    pub(super) fn wait(&mut self) {
        self.now = self.state.deadline().expect("it waits");
        self.handle(Input::Deadline);
    }

    pub(super) fn handle(&mut self, input: Input<'_>) {
        self.state.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.state.poll() {
            match output {
                Output::Connect => self.socket = true,
                Output::Disconnect => self.socket = false,
                Output::Write(bytes) => self.sent.extend(bytes.0),
                Output::Event(event) => self.events.push(event),
                Output::Store(changes) if self.broken || self.busy > 0 => {
                    let (reason, passing) = ("disk full".into(), !self.broken);
                    self.busy = self.busy.saturating_sub(1);
                    let failed = Failed { changes, reason, passing };
                    self.state.handle(self.now, Input::StoreFailed(failed));
                }
                Output::Store(changes) if self.lies => {
                    self.history.apply(&self.seat, &changes).expect("the disk is well");
                    let failed = Failed { changes, reason: "input/output error".into(), passing: false };
                    self.state.handle(self.now, Input::StoreFailed(failed));
                }
                Output::Load(handed_back) => {
                    self.history.disown(&self.seat, &handed_back).expect("the disk is well");
                    self.seat = self.history.seat(self.seat.account, &self.seat.role).expect("a seat");
                    self.state.handle(self.now, Input::Loaded(Ok(Box::new(self.seat.clone()))));
                }
                Output::Store(changes) => {
                    self.log.push(changes.iter().map(what).collect::<Vec<_>>().join(", "));
                    let outcomes = self.history.apply(&self.seat, &changes).expect("the disk is well");
                    let stored = changes.into_iter().zip(outcomes).collect();
                    self.state.handle(self.now, Input::Stored(stored));
                }
            }
        }
    }

    /// What the client has written since the last call, an op a line.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let lines = self.peek();
        self.sent.clear();
        lines
    }

    /// The same as bytes.
    pub(super) fn raw(&self) -> &[u8] {
        &self.sent
    }

    pub(super) fn last_sent(&mut self) -> String {
        self.peek().last().cloned().unwrap_or_default()
    }

    fn peek(&mut self) -> Vec<String> {
        let (mut rest, mut lines) = (&self.sent[..], Vec::new());
        while let Some(frame) = frame::parse(rest, 1 << 20).expect("frames") {
            lines.push(describe(&mut self.devices, frame.op, frame.data));
            rest = &rest[frame.wire_len()..];
        }
        assert!(rest.is_empty(), "half a frame");
        lines
    }

    /// The delivery states that were told since the last call, as `n:state`.
    pub(super) fn states(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events);
        let states = events.iter().filter_map(|event| match event {
            Event::State(change) => Some(format!("{}:{:?}", change.n, change.state)),
            _ => None,
        });
        states.collect()
    }

    /// The kinds of the events since the last call.
    pub(super) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events).iter().map(kind).collect()
    }
}

pub(super) fn draft(text: &str) -> Command {
    Command::Send(Draft {
        tag: 0,
        to: Peer::new("bob"),
        text: text.into(),
        receipts: true,
        time_ms: 1,
        key: None,
    })
}

pub(super) fn posted(counter: u64, posted: Posted) -> Vec<u8> {
    let ok = PostOk { posted, id: id(counter as u8), time_ms: 1_000 };
    Reply::Posted(PostAnswer { counter, result: Ok(ok) }).to_bytes()
}

pub(super) fn message(seq: u64, number: u8, text: &str) -> Vec<u8> {
    Reply::Message(Message { seq, id: id(number), time_ms: 5, from: "bob", text }).to_bytes()
}

/// The name of a change.
fn what(change: &Change) -> String {
    let shown = format!("{change:?}");
    shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

fn describe(devices: &mut Vec<DeviceId>, op: u8, data: &[u8]) -> String {
    match Request::decode(op, data) {
        Ok(Request::Hello(hello)) => {
            if !devices.contains(&hello.device) {
                devices.push(hello.device);
            }
            let at = devices.iter().position(|device| *device == hello.device);
            format!("HELLO {}", at.map_or(0, |at| at + 1))
        }
        Ok(Request::Create { name, password }) => format!("CREATE {name} {}", password.is_some()),
        Ok(Request::Login { name, password }) => format!("LOGIN {name} {}", password.is_some()),
        Ok(Request::Resume(token)) => format!("RESUME {}", token.0[0]),
        Ok(Request::Password(change)) => {
            format!("PASSWORD {} {}", change.old.map_or("", |secret| secret.0), change.new.0)
        }
        Ok(Request::Post(post)) => format!("POST {} {} {}", post.counter, post.to, post.text),
        Ok(Request::Ack(ack)) => {
            let ranges: Vec<String> = ack.ranges().map(|(first, last)| format!("{first}-{last}")).collect();
            format!("ACK {}", ranges.join(" "))
        }
        Ok(Request::Read(read)) => format!("READ {}", read.entries().count()),
        Ok(Request::Watch(watch)) => {
            format!("WATCH {}", watch.names().map(|name| name.to_string()).collect::<Vec<_>>().join(" "))
        }
        Ok(Request::Typing(to)) => format!("TYPING {to}"),
        Ok(Request::Ping(_)) => "PING".into(),
        Ok(Request::Pong(bytes)) => format!("PONG {}", bytes[0]),
        _ => match OpCode::from_byte(op) {
            Some(op) if data.is_empty() => op.name().into(),
            _ => format!("{op}|{}", String::from_utf8_lossy(data)),
        },
    }
}

fn kind(event: &Event) -> String {
    match event {
        Event::Connecting => "connecting".into(),
        Event::Secured(_) => "secured".into(),
        Event::Untrusted(_) => "untrusted".into(),
        Event::Online(online) if online.created => "created".into(),
        Event::Online(_) => "online".into(),
        Event::Offline(trouble, _) => format!("offline {:?}", trouble.kind),
        Event::Stopped(stop) => format!("stopped {:?}", stop.kind),
        Event::RoundTrip(_) => "round trip".into(),
        Event::Waiting(count) => format!("waiting {count}"),
        Event::Held(count) => format!("held {count}"),
        Event::CaughtUp => "caught up".into(),
        Event::TokenKept => "token kept".into(),
        Event::Message(message) => format!("message {}", message.text),
        Event::Outgoing { message, .. } => format!("outgoing {}", message.text),
        Event::NotKept { text, .. } => format!("not kept {text}"),
        Event::State(change) => format!("{}:{:?}", change.n, change.state),
        Event::Answer(answer) => format!("answer {} {:?}", answer.tag, answer.fields),
        Event::Watching(known) => format!("watching {known:?}"),
        Event::Presence { name, online: true } => format!("{name} online"),
        Event::Presence { name, online: false } => format!("{name} offline"),
        Event::Typing(name) => format!("{name} typing"),
        Event::Synced(tag) => format!("synced {tag}"),
        Event::Notice(text) => format!("notice {text}"),
        Event::NewDevice => "new device".into(),
        Event::Unsettled(_)
        | Event::Chats(_)
        | Event::Page(_)
        | Event::Found(_)
        | Event::Steps(_)
        | Event::Problem(_) => "local".into(),
    }
}
