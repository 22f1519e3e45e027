//! The connection to a server.
//!
//! [`state`] decides everything and touches nothing: time, bytes and what the history says come in as [`Input`], what
//! is to be done goes out as [`Output`]. [`driver`] does it and decides nothing.
//!
//! ```text
//!   commands ──► driver ──Input──► State ──Output──► driver ──► socket, history, events
//! ```

mod backoff;
pub(crate) mod chain;
pub(crate) mod dial;
pub(crate) mod driver;
pub(crate) mod inbound;
mod inbox;
pub(crate) mod outbox;
mod pulse;
pub(crate) mod state;
pub(crate) mod tls;
pub(crate) mod trust;

use std::fmt;
use std::time::Instant;

use bellhop_protocol::post::Posted;
use bellhop_protocol::{DeviceId, MessageId, Username};
use uuid::Uuid;

use crate::delivery::Delivery;
use crate::event::{Event, StateChange};
use crate::history::{Kept, Seat};
use crate::peer::Peer;
use crate::secret::Secret;
use dial::Identity;
use outbox::{Posting, Room};
use trust::Untrusted;

/// What a link is for; fixed while it lives.
#[derive(Clone, Debug)]
pub(crate) struct LinkConfig {
    /// Who logs in.
    pub(crate) user: Username,
    /// The device that this program is, as it was left.
    pub(crate) seat: Seat,
    /// The account's password, where it has one and it is known.
    pub(crate) password: Option<Secret>,
    /// Make the account first.
    pub(crate) create: bool,
    /// Ask for a token after a login with a password.
    pub(crate) remember: bool,
    /// Open the stream: receive messages.
    pub(crate) stream: bool,
    /// A message is safe when the user of the library says so, not when it is in the history.
    pub(crate) confirm: bool,
    /// Messages are handed out as they were sent.
    pub(crate) bytes: bool,
    /// Receipts are all that is wanted: a message is acknowledged where another program of this home has it already,
    /// and is neither written down nor told.
    pub(crate) receipts: bool,
    /// Messages that waited come when somebody takes them. Not for those that are confirmed by hand.
    pub(crate) asks: bool,
    /// A message that is refused for now waits here, and is sent later; else it has failed, or where it may have been on
    /// an earlier connection stays in flight.
    pub(crate) patient: bool,
    /// Nobody is to see that this account is online.
    pub(crate) hidden: bool,
    /// What this program calls itself.
    pub(crate) agent: String,
    /// Where the jitter comes from.
    pub(crate) seed: u64,
}

/// What happened.
pub(crate) enum Input<'a> {
    /// The socket is open, and leads to whom it should.
    Connected(Identity),
    /// The server is not who it should be, or nobody knows.
    Untrusted(Untrusted),
    /// The socket could not be opened, or has closed; a reason for a person.
    Failed(String),
    /// The server took bytes that it had left waiting.
    Progress,
    /// Bytes came.
    Received(&'a [u8]),
    /// A deadline passed.
    Deadline,
    /// The user of the library wants something.
    Command(Command),
    /// The changes of an [`Output::Store`] are on disk, with what came of each.
    Stored(Vec<(Change, Outcome)>),
    /// They are not.
    StoreFailed(Failed),
    /// The device as it is on disk, after [`Output::Load`]; else a reason for a person.
    Loaded(Result<Box<Seat>, String>),
}

/// Changes that were not made.
pub(crate) struct Failed {
    pub(crate) changes: Vec<Change>,
    /// Why, for a person.
    pub(crate) reason: String,
    /// True where another try may do better.
    pub(crate) passing: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Output {
    /// Open a socket.
    Connect,
    /// Drop the socket, or the attempt to open one.
    Disconnect,
    /// Write bytes.
    Write(Bytes),
    /// Write changes to disk, all or none, and answer with [`Input::Stored`].
    Store(Vec<Change>),
    /// Forget these messages, which were handed back and may be on disk all the same; then read the device from disk,
    /// and answer with [`Input::Loaded`].
    Load(Vec<Draft>),
    /// Tell the user of the library.
    Event(Event),
}

/// Bytes for the wire; they may hold a password, so `Debug` shows the op-codes alone.
#[derive(PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &self.0[..];
        let mut list = f.debug_list();
        while let Ok(Some(frame)) = bellhop_protocol::frame::parse(rest, u32::MAX) {
            list.entry(&format_args!("{:#04x}", frame.op));
            rest = &rest[frame.wire_len()..];
        }
        list.finish()
    }
}

/// What the user of the library wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Send a message.
    Send(Draft),
    /// Try a failed message again, under a new counter.
    Retry(i64),
    /// Forget a message that was never on the wire.
    Withdraw(i64),
    /// Tell senders that these were read.
    Read(Vec<(MessageId, String)>),
    /// So many of the messages that wait are wanted, the oldest first.
    Take(u64),
    /// Tell who of these is online, from now on.
    Watch(Vec<String>),
    /// Tell this one that a message is being written.
    Typing(String),
    /// This message is safe.
    Confirm(MessageId),
    /// Ask one of the seven operations, or an op that this client does not know.
    Ask {
        /// Comes back with the answer.
        tag: u64,
        /// The op.
        op: u8,
        /// Its data; may hold a password.
        data: Secret,
    },
    /// Give the account another password.
    Password {
        /// Comes back with the answer.
        tag: u64,
        /// The password until now; empty where there is none.
        old: Secret,
        /// The password from now on.
        new: Secret,
    },
    /// Say when the server has handled everything up to here.
    Sync(u64),
    /// Try to connect now.
    Reconnect,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Comes back with the message's place in the history.
    pub(crate) tag: u64,
    /// Whom it is for; has an address.
    pub(crate) to: Peer,
    /// The text as it is sent.
    pub(crate) text: String,
    /// Whether receipts are wanted.
    pub(crate) receipts: bool,
    /// When it was written, in ms since 1970.
    pub(crate) time_ms: i64,
    /// What a script calls it, so that it is sent once.
    pub(crate) key: Option<String>,
}

/// A message as it came, made harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Its number in the mailbox.
    pub(crate) seq: u64,
    /// Its id.
    pub(crate) id: MessageId,
    /// When the server kept it.
    pub(crate) time_ms: i64,
    /// Who sent it.
    pub(crate) from: Peer,
    /// The text.
    pub(crate) text: String,
    /// The text as it was sent, where that is what is handed out.
    pub(crate) sent: Option<String>,
}

/// One change of what is on disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// A message came: write it down, unless this device has shown it.
    Incoming(Received),
    /// Has this device shown it? Changes nothing.
    Lookup(Received),
    /// A message came to whom receipts are all that is wanted: does another device of this home have it? Changes nothing.
    Passing {
        /// The number in the mailbox.
        seq: u64,
        /// The message.
        id: MessageId,
    },
    /// A receipt came: for the message with this id to this peer.
    Receipt {
        /// The number in the mailbox.
        seq: u64,
        /// The message.
        id: MessageId,
        /// Who took, read or lost it.
        peer: Peer,
        /// How it ended; `None` for an end that this version does not know.
        state: Option<Delivery>,
        /// Why it came back, for a person.
        reason: Option<&'static str>,
    },
    /// A message of ours, which waits from now on.
    Outgoing(Draft),
    /// What waits gets counters, the oldest first, as far as there is room.
    Number(Room),
    /// The server has the message.
    Posted {
        /// The message.
        n: i64,
        /// Its id.
        id: MessageId,
        /// When it was kept; 0 where that is not said.
        time_ms: i64,
        /// What the server said of it.
        posted: Posted,
    },
    /// The server refused the message.
    Refused {
        /// The message.
        n: i64,
        /// Why.
        code: bellhop_protocol::Code,
        /// Why, for a person.
        reason: String,
    },
    /// Nobody will know whether the server has the message: it is not repeated by itself.
    Unclear {
        /// The message.
        n: i64,
        /// The code of a refusal.
        code: Option<bellhop_protocol::Code>,
        /// Why, for a person.
        reason: String,
    },
    /// The connection ended before the answers.
    Unsure(Vec<i64>),
    /// A failed message goes back to the outbox.
    Retry(i64),
    /// A message that was never on the wire is forgotten.
    Withdraw(i64),
    /// The message was not kept under its counter, and waits again.
    PutBack {
        /// The message.
        n: i64,
        /// Why, for a person.
        reason: Option<String>,
    },
    /// Everything before it is on disk. Changes nothing.
    Synced(u64),
    /// Somebody has a copy of the device id, which is to be left when nothing is in flight.
    Copied,
    /// Make a new device id; counters begin again, and the token is void.
    NewDevice,
    /// Keep this token, or none.
    Token(Option<Kept>),
    /// A login worked.
    Account {
        /// The account's uuid.
        uuid: Uuid,
        /// Whether it needed no password; `None` where a token stood for it.
        open: Option<bool>,
    },
    /// The account of before is gone, and another one may have its name. What was on the wire is settled as unknown;
    /// counters and token go with the device id.
    NewAccount(Option<Uuid>),
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// The message's place in the history; `None` where it was shown before.
    Kept(Option<i64>),
    /// Whether this device, or where that was the question one of this home, has shown it.
    Shown(bool),
    /// More is known of these messages.
    States(Vec<StateChange>),
    /// The message waits.
    Queued(i64),
    /// So many messages wait still.
    Waiting(u64),
    /// These messages have counters, and may be written; so many wait still.
    Numbered(Vec<Posting>, u64),
    /// The new device id, and what was settled with the old one.
    Device(DeviceId, Vec<StateChange>),
}

/// When to call again at the latest.
pub(crate) type Deadline = Option<Instant>;
