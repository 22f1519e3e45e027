//! What the library tells its user: one channel of events, each with all that is needed to show it.
//!
//! Every text in here that came from a server was made harmless where it entered (see [`crate::text::clean()`]).

use std::time::{Duration, Instant};

use bellhop_protocol::{Code, MessageId};

use crate::delivery::Delivery;
use crate::fingerprint::Fingerprint;
pub use crate::link::trust::{Doubt, Untrusted};
use crate::peer::Peer;
use crate::raw::Verdict;

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A connection is being opened.
    Connecting,
    /// A connection is open, and leads to the server that it should; nothing was sent before.
    Secured(Secured),
    /// The server is not trusted, and nothing was sent. [`Event::Stopped`] follows.
    Untrusted(Untrusted),
    /// Logged in.
    Online(Online),
    /// The connection ended or could not be made; the client tries again by itself.
    Offline(Trouble, Instant),
    /// The client has given up and will do nothing more unless told to.
    Stopped(Stop),
    /// A PING came back.
    RoundTrip(Duration),
    /// The stream is open; this many messages and receipts wait at the server.
    Waiting(u64),
    /// So many messages wait until somebody takes them with [`crate::Client::take`], where that was wanted; in place of
    /// [`Event::Waiting`].
    Held(u64),
    /// Everything that waited when the stream was opened has come.
    CaughtUp,
    /// Messages that an earlier run of this device left without an answer, or unsent; told once, at the start.
    Unsettled(Vec<Unsettled>),
    /// The token that stands for the password is on disk.
    TokenKept,
    /// A message for us, on disk (or, where messages are confirmed by hand, not yet).
    Message(Message),
    /// A message of ours is on disk; `tag` is what it was sent with.
    Outgoing {
        /// What [`crate::Client::send`] was given.
        tag: u64,
        /// The message.
        message: Message,
    },
    /// A message could not even be written down; the text is handed back.
    NotKept {
        /// What [`crate::Client::send`] was given.
        tag: u64,
        /// Whom it was for.
        to: Peer,
        /// Why, for a person.
        reason: String,
        /// The text.
        text: String,
    },
    /// Who of those that are watched is online, as far as is known; of nobody else anything is known any more. With a
    /// connection, what was known of it ends too.
    Watching(Vec<(String, bool)>),
    /// Somebody who is watched came or went.
    Presence {
        /// The name, as [`crate::Client::watch`] gave it.
        name: String,
        /// True where they are online now.
        online: bool,
    },
    /// Somebody who is watched is writing a message to us.
    Typing(String),
    /// More is known of a message of ours.
    State(StateChange),
    /// The answer to [`crate::Client::ask`].
    Answer(Answer),
    /// The server has read everything that was written to it before [`crate::Client::sync`].
    Synced(u64),
    /// The server says something that answers nothing in particular.
    Notice(String),
    /// Another program uses a copy of this device's id; this one has made itself a new one.
    NewDevice,
    /// The conversations, the one with the latest message first.
    Chats(Vec<Chat>),
    /// Messages of a conversation, oldest first.
    Page(Page),
    /// What [`crate::Client::search`] has found.
    Found(Found),
    /// The answer to [`crate::Client::steps`].
    Steps(Steps),
    /// Something local went wrong.
    Problem(String),
}

/// How a connection is guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// Against whom, and by what.
    pub guard: Guard,
    /// The server has a new key since the last time; the one that was known is this one, and vouches for it.
    pub moved_from: Option<Fingerprint>,
}

/// What guards a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing but that it does not leave this machine.
    Plain,
    /// TLS, and a key that is known.
    Key {
        /// The key.
        key: Fingerprint,
        /// The day since when it is known; `None` where that is today, or not written down.
        since: Option<String>,
    },
    /// TLS, and an authority that vouches for the name.
    Authority {
        /// The key of this time.
        key: Fingerprint,
        /// The day since when one does.
        since: Option<String>,
    },
}

impl Secured {
    /// What there is to tell: a line where the key is another one than the last time.
    pub fn news(&self) -> Option<String> {
        let (Some(before), Guard::Key { key, .. }) = (&self.moved_from, &self.guard) else { return None };
        Some(format!("the server has a new key, {key}; the one known before vouches for it: {before}"))
    }
}

/// A message of ours from an earlier run, still on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// Its place in the history.
    pub n: i64,
    /// The recipient's address.
    pub to: String,
    /// The text.
    pub text: String,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Online {
    /// The server's software, as it calls itself.
    pub agent: String,
    /// The server's name among its peers.
    pub node: String,
    /// How long HELLO took.
    pub round_trip: Duration,
    /// True if and only if an account was made on the way.
    pub created: bool,
    /// True where the server tells who is online and who is typing.
    pub presence: bool,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kind, for programs.
    pub kind: TroubleKind,
    /// The sentence, for a person.
    pub sentence: String,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// No connection could be made.
    Unreachable,
    /// The server did not answer in time.
    TimedOut,
    /// The connection was closed.
    Closed,
    /// What came is not the protocol.
    Protocol,
    /// The server refused, and may not refuse the next time; `None` where this version does not know the reason.
    Refused(Option<Code>),
    /// The user asked for a new connection.
    Asked,
}

/// Why the client gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The kind, for programs.
    pub kind: StopKind,
    /// The sentence, for a person.
    pub sentence: String,
}

/// The kinds of giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// The server refuses this login, and will again.
    Refused(Code),
    /// The kept token is no longer good, and there is no password.
    NeedPassword,
    /// The kept token is another server key's, and is not shown to this one; there is no password.
    AnotherKey,
    /// A newer session of the same device took over.
    Replaced,
    /// The account is gone.
    AccountDeleted,
    /// LOGOUT was asked for and done.
    LoggedOut,
    /// The server is not who it should be, or nobody knows.
    Untrusted,
    /// The server speaks another version.
    Version,
    /// The files of this client cannot be used.
    Disk,
    /// Another program has the role.
    RoleTaken,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the history, rising; 0 where it is not in there yet.
    pub n: i64,
    /// The conversation.
    pub peer: Peer,
    /// True if and only if we wrote it.
    pub mine: bool,
    /// Its id, once known.
    pub id: Option<MessageId>,
    /// The text.
    pub text: String,
    /// When the server kept it; before that, when it was written. In ms since 1970.
    pub time_ms: i64,
    /// How far it has come; [`Delivery::Delivered`] for one of theirs.
    pub state: Delivery,
    /// Why it failed or came back, for a person.
    pub reason: Option<String>,
}

/// More is known of a message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The message's place in the history.
    pub n: i64,
    /// Its id, once known.
    pub id: Option<MessageId>,
    /// How far it has come.
    pub state: Delivery,
    /// When the server kept it; 0 where nothing new is known.
    pub time_ms: i64,
    /// The code of a refusal; with [`Delivery::Sending`] of one that passes, and the message is still in flight.
    pub code: Option<Code>,
    /// Why it failed or came back, for a person.
    pub reason: Option<String>,
}

/// The answer to one of the seven operations, or to an op that this client does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What [`crate::Client::ask`] was given.
    pub tag: u64,
    /// The op that was asked.
    pub op: u8,
    /// `ok`, `more` or `error` and what follows; an explanation where the connection ended first.
    pub fields: Result<Vec<String>, String>,
    /// What they mean; [`Verdict::Done`] where there are none.
    pub verdict: Verdict,
}

/// A conversation, for the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Whom it is with.
    pub peer: Peer,
    /// How many of their messages were not read.
    pub unread: u64,
    /// The place of the last message that was read.
    pub read_to: i64,
    /// The place of the last message; 0 where there is none.
    pub last: i64,
    /// What was typed and not sent.
    pub draft: String,
    /// It stands above the others.
    pub pinned: bool,
    /// Nobody is called for it.
    pub muted: bool,
    /// The places of messages of ours that were refused.
    pub failed: Vec<i64>,
}

/// What was found of what was looked for, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What [`crate::Client::search`] was given.
    pub tag: u64,
    /// The messages.
    pub hits: Vec<Hit>,
    /// Where to go on; `None` where everything was looked at.
    pub next: Option<i64>,
}

/// A message that holds what was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its place in the history.
    pub n: i64,
    /// Whom its conversation is with.
    pub peer: Peer,
}

/// The states that a message of ours has come to, and when, in ms since 1970; the first one is the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The message's place in the history.
    pub n: i64,
    /// State and time.
    pub steps: Vec<(Delivery, i64)>,
}

/// Messages of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The conversation's key.
    pub key: String,
    /// The place that was asked around.
    pub around: Around,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// True where there are more beyond the page, on the side that was asked for.
    pub more: bool,
}

/// Which messages of a conversation are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// The newest ones.
    Newest,
    /// Those before a place.
    Before(i64),
    /// Those after a place.
    After(i64),
}
