//! The rules of a connection, without socket, file, clock or random numbers.
//!
//! [`State::handle`] takes what happened and when; then [`State::poll`] is called until it gives nothing more, and
//! [`State::deadline`] says when to call again with [`Input::Deadline`].
//!
//! ```text
//!              Connected          WELCOME            logged in
//!  Connecting ──────────► Greeting ──────► SigningIn ─────────► Online
//!      ▲  │ │                 │                │                  │
//!      │  └─┴──── failed, lost, closed, silent, not the protocol ─┤
//!      │                      ▼                                   │
//!      └──── deadline ──── Waiting          Stopped ◄── refused for good, replaced, account gone
//! ```
//!
//! Files: this one has the phases; `sign_in` is HELLO to Online, `frames` what a server may say, `commands` what a user
//! may want, `presence` who is online, `doorstep` what waits until a person takes it, `stored` what follows when something
//! is on disk, `outputs` how things are said.

mod commands;
mod doorstep;
mod frames;
mod outputs;
mod presence;
mod sign_in;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bellhop_protocol::MessageId;
use bellhop_protocol::frame::LIMIT_AFTER_LOGIN;
use bellhop_protocol::op::OpCode;
use uuid::Uuid;

use super::backoff::Backoff;
use super::dial::Identity;
use super::inbound::{Inbound, data_limit};
use super::inbox::Inbox;
use super::outbox::{Outbox, Room};
use super::pulse::{Call, Pulse};
use super::{Change, Command, Deadline, Draft, Input, LinkConfig, Output, Received};
use crate::event::{Event, Stop, StopKind, Trouble, TroubleKind};
use crate::secret::Secret;

/// A socket must be open within this time.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// HELLO must be answered within this time.
const GREETING_MAX: Duration = Duration::from_secs(9);
/// A login must be answered within this time: checking a password takes a busy server a while.
const SIGN_IN_MAX: Duration = Duration::from_secs(20);
/// A connection that lived this long counts as a success, after which the waits begin again at their shortest.
const GOOD_AFTER: Duration = Duration::from_secs(5);
/// Bytes of text that may be with the user of the library, unconfirmed.
const HELD_MAX: usize = 16 * 1_024 * 1_024;
/// How often a disk that is busy is asked again, and after how long; the asking itself waits as well.
const STORE_TRIES: u32 = 3;
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// How long a message is held that the server refuses for now, whatever the server says.
const HOLD_S: std::ops::RangeInclusive<u64> = 1..=60;
/// How long a server may refuse messages for now; then it is a refusal.
const HOLDING_MAX: Duration = Duration::from_secs(600);
/// New device ids in a row; a server that takes them all for old ones is given up.
const RENEWALS_MAX: u32 = 3;
/// PINGs without an answer; a server that talks and never answers one gets no more.
const PINGS_MAX: usize = 64;
/// The same, where somebody waits for the answer: the connection is given up.
const SYNCS_MAX: usize = 512;
/// Questions without an answer; more are refused.
const ASKED_MAX: usize = 256;
/// "Was read" that waits for a connection; older ones are dropped, as READ is best effort.
const READS_MAX: usize = 1_024;

/// Where the connection stands.
#[derive(Debug)]
enum Phase {
    /// Nothing is open; try again then.
    Waiting { until: Instant },
    /// A socket is being opened.
    Connecting { by: Instant },
    /// HELLO is on the wire.
    Greeting { since: Instant },
    /// CREATE, LOGIN or RESUME is on the wire.
    SigningIn { by: Instant, with: With },
    /// Logged in.
    Online { since: Instant },
    /// Given up.
    Stopped,
}

/// How a login is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Create,
    Login,
    Token,
}

/// A text request whose answer is outstanding; answers come in this order.
#[derive(Debug)]
enum Asked {
    SignIn,
    Stream,
    User { tag: u64, op: u8 },
}

/// A PING whose answer is outstanding.
#[derive(Debug)]
struct Ping {
    bytes: [u8; 8],
    at: Instant,
    sync: Option<u64>,
}

/// What a server calls itself.
#[derive(Clone, Debug, Default)]
struct Names {
    agent: String,
    node: String,
}

/// The rules and what they have to remember.
#[derive(Debug)]
pub(crate) struct State {
    config: LinkConfig,
    phase: Phase,
    backoff: Backoff,
    pulse: Pulse,
    inbound: Inbound,
    data_limit: u32,
    /// The data of a frame that the server takes, as HELLO's answer said last.
    send_limit: usize,
    /// Items that the server announced and that did not come yet.
    items_left: u64,
    outbox: Outbox,
    inbox: Inbox,
    /// What somebody has to ask for.
    doorstep: doorstep::Doorstep,
    /// Messages given to the user of the library, who has not confirmed them.
    unconfirmed: HashMap<MessageId, Received>,
    /// Bytes of text in these.
    held: usize,
    reads: VecDeque<(MessageId, String)>,
    /// Whether the server tells who is online, as it said last.
    has_presence: bool,
    watched: presence::Watched,
    asked: VecDeque<Asked>,
    pings: VecDeque<Ping>,
    pings_sent: u64,
    round_trip_at: Option<Instant>,
    server: Names,
    /// Whom the connection leads to.
    identity: Identity,
    /// How often an account was asked for: after an answer was lost, it may be there.
    creates_sent: u32,
    /// Somebody has a copy of the device id: as soon as no message has a counter, make a new one.
    copied: bool,
    /// A new device id is on its way to the disk: nothing more goes out under the old one.
    renewing: bool,
    /// New device ids in a row that did no good.
    renewals: u32,
    /// The server has no time for messages before then.
    hold_until: Option<Instant>,
    /// Since when on this connection it has had none, where no message was settled since.
    refused_since: Option<Instant>,
    /// From a refusal that passes until a message is taken: of several on the wire the first may be refused once more
    /// and a later one taken.
    one_by_one: bool,
    /// An account was made, and its maker was not told yet.
    created: bool,
    /// Why the server is about to close, as it said.
    parting: Option<Trouble>,
    /// The password that the server was asked to take, and the tag of whoever asked.
    new_password: Option<(u64, Secret)>,
    /// What the user of the library wants and what was not done yet.
    commands: VecDeque<Command>,
    changes: Vec<Change>,
    storing: bool,
    /// The disk is to be tried again then; and how often it has failed.
    store_again: Option<Instant>,
    store_failures: u32,
    /// The disk does not have what memory has.
    stale: bool,
    /// Messages that a failed write handed back; a disk may have what it said it has not.
    handed_back: Vec<Draft>,
    outputs: VecDeque<Output>,
}

impl State {
    /// A link that begins to connect at the first [`State::poll`].
    pub(crate) fn new(now: Instant, mut config: LinkConfig) -> State {
        let (outbox, copied) = (Outbox::new(&mut config.seat), config.seat.copied);
        let mut state = State {
            backoff: Backoff::new(config.seed),
            config,
            phase: Phase::Stopped,
            pulse: Pulse::new(now, 0),
            inbound: Inbound::default(),
            data_limit: data_limit(0),
            send_limit: LIMIT_AFTER_LOGIN as usize,
            items_left: 0,
            outbox,
            inbox: Inbox::default(),
            doorstep: doorstep::Doorstep::default(),
            unconfirmed: HashMap::new(),
            held: 0,
            reads: VecDeque::new(),
            has_presence: false,
            watched: presence::Watched::default(),
            asked: VecDeque::new(),
            pings: VecDeque::new(),
            pings_sent: 0,
            round_trip_at: None,
            server: Names::default(),
            identity: Identity::Plain,
            creates_sent: 0,
            copied,
            renewing: false,
            renewals: 0,
            hold_until: None,
            refused_since: None,
            one_by_one: false,
            created: false,
            parting: None,
            new_password: None,
            commands: VecDeque::new(),
            changes: Vec::new(),
            storing: false,
            store_again: None,
            store_failures: 0,
            stale: false,
            handed_back: Vec::new(),
            outputs: VecDeque::new(),
        };
        state.connect(now);
        state
    }

    /// Takes what happened.
    pub(crate) fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Connected(identity) => self.greet(now, identity),
            Input::Untrusted(untrusted) => self.untrusted(untrusted),
            Input::Failed(reason) => self.failed(now, reason),
            Input::Progress => self.pulse.took(now),
            Input::Received(bytes) => self.received(now, bytes),
            Input::Deadline => self.deadline_passed(now),
            Input::Command(command) => self.commands.push_back(command),
            Input::Stored(outcomes) => self.stored(now, outcomes),
            Input::StoreFailed(failed) => self.store_failed(now, failed),
            Input::Loaded(loaded) => self.loaded(loaded),
        }
        self.go_on(now);
        let awaited = self.outbox.awaited().filter(|_| self.is_online());
        let asks = !self.asked.is_empty() || self.new_password.is_some() || !self.pings.is_empty();
        let owes = awaited.is_some() || asks;
        self.pulse.owes(now, owes && self.is_online());
        self.pulse.awaits(now, awaited);
    }

    /// The next thing to do, if any.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.storing || self.store_again.is_some() {
            return None;
        }
        if let Some(room) = self.may_number() {
            self.changes.push(Change::Number(room));
        }
        if self.changes.is_empty() {
            return None;
        }
        self.storing = true;
        Some(Output::Store(std::mem::take(&mut self.changes)))
    }

    /// What follows from any input: a copied id is left, what has a counter is written, commands are done.
    fn go_on(&mut self, now: Instant) {
        self.renew_device();
        self.write_postings(now);
        while let Some(command) = self.next_command() {
            self.command(now, command);
        }
        self.tell_waiting();
    }

    /// The next command. One that is written to the server at once stands behind what goes over the disk first.
    fn next_command(&mut self) -> Option<Command> {
        let at_once = matches!(
            self.commands.front(),
            Some(Command::Ask { .. } | Command::Password { .. } | Command::Sync(_))
        );
        let disk_first = self.storing || !self.changes.is_empty() || self.may_number().is_some();
        if at_once && disk_first { None } else { self.commands.pop_front() }
    }

    /// How much may get counters now. It rides in the write to disk that is due anyway, where there is one: then a
    /// message that can go at once costs a single one.
    fn may_number(&self) -> Option<Room> {
        let queues = |change: &Change| matches!(change, Change::Outgoing(_) | Change::Retry(_));
        let waits = self.outbox.waiting() > 0 || self.changes.iter().any(queues);
        let may = self.is_online() && !self.copied && !self.renewing && self.hold_until.is_none();
        if waits && may { self.outbox.room(self.one_by_one) } else { None }
    }

    /// When to call again with [`Input::Deadline`].
    pub(crate) fn deadline(&self) -> Deadline {
        let phase = match &self.phase {
            Phase::Waiting { until } => Some(*until),
            Phase::Connecting { by } | Phase::SigningIn { by, .. } => Some(*by),
            Phase::Greeting { since } => Some(*since + GREETING_MAX),
            Phase::Online { .. } => Some(self.pulse.deadline()),
            Phase::Stopped => None,
        };
        [phase, self.store_again, self.hold_until].into_iter().flatten().min()
    }

    /// False while so much is with the user of the library, or waits for the disk, that more would only fill the
    /// memory.
    pub(crate) fn may_read(&self) -> bool {
        self.held + self.doorstep.bytes() < HELD_MAX && self.store_again.is_none()
    }

    /// False while the disk is busy: what is ordered would only wait in memory.
    pub(crate) fn may_order(&self) -> bool {
        self.store_again.is_none()
    }

    fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online { .. })
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Greeting { .. } | Phase::SigningIn { .. } | Phase::Online { .. })
    }

    fn connect(&mut self, now: Instant) {
        self.phase = Phase::Connecting { by: now + CONNECT_MAX };
        self.outputs.push_back(Output::Event(Event::Connecting));
        self.outputs.push_back(match self.stale {
            true => Output::Load(self.handed_back.clone()),
            false => Output::Connect,
        });
    }

    fn deadline_passed(&mut self, now: Instant) {
        self.store_again = self.store_again.filter(|at| now < *at);
        self.hold_until = self.hold_until.filter(|until| now < *until);
        match &self.phase {
            Phase::Waiting { until } if now >= *until => self.connect(now),
            Phase::Connecting { by } if now >= *by => {
                self.lose(now, TroubleKind::Unreachable, "no connection within 10 s".into());
            }
            Phase::Greeting { since } if now >= *since + GREETING_MAX => self.silent(now),
            Phase::SigningIn { by, .. } if now >= *by => self.silent(now),
            Phase::Online { .. } => match self.pulse.look(now) {
                Call::Wait => {}
                Call::Probe => self.ping(now, None),
                Call::Lost => self.silent(now),
            },
            _ => {}
        }
    }

    fn silent(&mut self, now: Instant) {
        self.lose(now, TroubleKind::TimedOut, "the server does not answer".into());
    }

    fn failed(&mut self, now: Instant, reason: String) {
        if !self.is_connected() && !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        let kind = if self.is_connected() { TroubleKind::Closed } else { TroubleKind::Unreachable };
        match self.parting.take() {
            Some(said) => self.lose(now, said.kind, said.sentence),
            None => self.lose(now, kind, reason),
        }
    }

    /// The connection is over; the next one comes after a wait.
    fn lose(&mut self, now: Instant, kind: TroubleKind, sentence: String) {
        let good = matches!(self.phase, Phase::Online { since } if now >= since + GOOD_AFTER);
        self.forget_connection();
        if good {
            self.backoff.reset();
        }
        let until = match kind {
            TroubleKind::Asked => now,
            _ => now + self.backoff.next(),
        };
        self.phase = Phase::Waiting { until };
        self.outputs.push_back(Output::Event(Event::Offline(Trouble { kind, sentence }, until)));
    }

    /// Makes a new device id once it was seen that somebody has a copy of this one, and every message that may have
    /// been on the wire is settled under it.
    fn renew_device(&mut self) {
        if self.copied && !self.renewing && !self.outbox.in_flight() {
            self.renewing = true;
            self.changes.push(Change::NewDevice);
        }
    }

    /// The account is gone, and its name is free or belongs to another one. What was in flight must not be repeated
    /// there, where its counters are new.
    fn leave_account(&mut self, successor: Option<Uuid>) {
        self.renewing = true;
        self.outbox.settle();
        self.changes.push(Change::NewAccount(successor));
    }

    /// The connection is over for good.
    fn stop(&mut self, kind: StopKind, sentence: String) {
        self.forget_connection();
        self.phase = Phase::Stopped;
        self.outputs.push_back(Output::Event(Event::Stopped(Stop { kind, sentence })));
    }

    fn forget_connection(&mut self) {
        if self.is_connected() || matches!(self.phase, Phase::Connecting { .. }) {
            self.outputs.push_back(Output::Disconnect);
        }
        let unsure = self.outbox.lost();
        if !unsure.is_empty() {
            self.changes.push(Change::Unsure(unsure));
        }
        for asked in std::mem::take(&mut self.asked) {
            if let Asked::User { tag, op } = asked {
                self.answer(tag, op, Err("no answer: the connection ended".into()));
            }
        }
        if let Some((tag, _)) = self.new_password.take() {
            let reason = "no answer: the connection ended, and one of the two passwords counts";
            self.answer(tag, OpCode::Password.byte(), Err(reason.into()));
        }
        self.inbox.lost();
        self.doorstep.announced(0);
        (self.hold_until, self.refused_since, self.one_by_one) = (None, None, false);
        self.pings.clear();
        self.inbound = Inbound::default();
        self.data_limit = data_limit(0);
        self.items_left = 0;
        self.parting = None;
    }
}

/// True for the seven operations: those whose requests and answers are text.
fn is_text(op: u8) -> bool {
    op <= OpCode::Deliver.byte()
}
