//! The handle that commands a connection, and how one is made.

use std::thread;

use bellhop_protocol::MessageId;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::clock;
use crate::config::{Config, Receive};
use crate::event::{Around, Event, Stop, StopKind};
use crate::history::{Chosen, Query, Seat};
use crate::link::driver::{Driver, Order};
use crate::link::state::State;
use crate::link::{Command, Draft, LinkConfig};
use crate::peer::Peer;
use crate::seat::{self, Place};
use crate::secret::Secret;

/// Orders and events that may wait; a full queue is said, never waited for.
const QUEUE: usize = 1_024;

/// Commands a connection. Cheap to clone; the connection ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    orders: Sender<Order>,
}

/// The connection has too much to do, or has ended; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is busy or has ended")]
pub struct Busy;

/// Connects, and stays connected: on a thread of its own, until the last handle is dropped.
///
/// Nothing is waited for. Whatever happens, success and failure, comes as an [`Event`]; where the files of this
/// client cannot be used, that is [`Event::Stopped`] and the end of the channel.
pub fn connect(config: Config) -> (Client, Receiver<Event>) {
    let (orders_tx, orders_rx) = mpsc::channel(QUEUE);
    let (events_tx, events_rx) = mpsc::channel(QUEUE);
    let failed = events_tx.clone();
    let spawned =
        thread::Builder::new().name("bellhop-link".into()).spawn(move || run(&config, orders_rx, events_tx));
    if let Err(error) = spawned {
        let sentence = format!("cannot start a thread: {error}");
        // The queue is empty, so there is room; and where there is not, the closed channel says as much.
        let _ = failed.try_send(Event::Stopped(Stop { kind: StopKind::Disk, sentence }));
    }
    (Client { orders: orders_tx }, events_rx)
}

fn run(config: &Config, mut orders: Receiver<Order>, events: Sender<Event>) {
    let stop = match seat::take(config) {
        Ok(place) => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => return drive(config, place, orders, events, &runtime),
            Err(error) => Stop { kind: StopKind::Disk, sentence: format!("cannot start: {error}") },
        },
        Err(error) => error.into(),
    };
    let reason = stop.sentence.clone();
    // Nobody to tell is nothing to do.
    let _ = events.blocking_send(Event::Stopped(stop));
    // What was sent meanwhile is handed back, and nothing more is taken.
    orders.close();
    while let Some(order) = orders.blocking_recv() {
        if let Order::Link(Command::Send(Draft { tag, to, text, .. })) = order {
            let _ = events.blocking_send(Event::NotKept { tag, to, reason: reason.clone(), text });
        }
    }
}

fn drive(
    config: &Config,
    place: Place,
    orders: Receiver<Order>,
    events: Sender<Event>,
    runtime: &tokio::runtime::Runtime,
) {
    let Place { history, seat, lock } = place;
    let link = LinkConfig {
        user: config.user.clone(),
        password: config.password.clone(),
        create: config.create,
        remember: config.remember,
        stream: config.receive != Receive::Nothing,
        confirm: matches!(config.receive, Receive::Confirmed | Receive::Bytes),
        bytes: config.receive == Receive::Bytes,
        receipts: config.receive == Receive::Receipts,
        asks: config.receive == Receive::Asked,
        patient: config.patient,
        hidden: config.hidden,
        agent: concat!("bellhop/", env!("CARGO_PKG_VERSION")).into(),
        // A password that was given is proven; a token stands in where none was.
        seat: Seat { token: seat.token.filter(|_| config.password.is_none()), ..seat.clone() },
        seed: u64::from_be_bytes(clock::random()),
    };
    let state = State::new(clock::now(), link);
    // The channel ends when everything else has: whoever waits for its end may take the device again at once.
    let end = events.clone();
    let driver = Driver::new(state, history, seat, config.clone(), orders, events);
    runtime.block_on(driver.run());
    drop(lock);
    drop(end);
}

impl Client {
    /// Sends `text` to `to`, which must have an address. [`Event::Outgoing`] tells its place under `tag`; it is on
    /// disk then, and goes out when it can. A `tag` is the caller's own.
    ///
    /// # Errors
    ///
    /// [`Busy`]; the text is not kept.
    pub fn send(&self, tag: u64, to: Peer, text: String, receipts: bool) -> Result<(), Busy> {
        self.send_as(None, tag, to, text, receipts)
    }

    /// As [`Client::send`], under what a script calls the message: it is written down with it, in one piece. Whoever
    /// calls has made sure that nothing has this key yet.
    pub(crate) fn send_as(
        &self,
        key: Option<String>,
        tag: u64,
        to: Peer,
        text: String,
        receipts: bool,
    ) -> Result<(), Busy> {
        let time_ms = clock::wall_ms();
        self.link(Command::Send(Draft { tag, to, text, receipts, time_ms, key }))
    }

    /// Tries a failed message again, under a new counter.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn retry(&self, n: i64) -> Result<(), Busy> {
        self.link(Command::Retry(n))
    }

    /// Forgets a message of ours that was never on the wire, or was refused; any other stays.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn withdraw(&self, n: i64) -> Result<(), Busy> {
        self.link(Command::Withdraw(n))
    }

    /// The message is safe: writes it down and acknowledges it. Only where [`Receive::Confirmed`] was asked for.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn confirm(&self, id: MessageId) -> Result<(), Busy> {
        self.link(Command::Confirm(id))
    }

    /// Fetches `count` of the messages that wait, the oldest first. Only where [`Receive::Asked`] was asked for.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn take(&self, count: u64) -> Result<(), Busy> {
        self.link(Command::Take(count))
    }

    /// Asks one of the seven operations, or an op that this client does not know; [`Event::Answer`] has the same
    /// `tag`.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn ask(&self, tag: u64, op: u8, data: Secret) -> Result<(), Busy> {
        self.link(Command::Ask { tag, op, data })
    }

    /// Gives the account another password; `old` is the one until now, empty where there is none. [`Event::Answer`] has
    /// the same `tag`. All other logins of the account end; one that was kept for this device is made anew, which
    /// [`Event::TokenKept`] tells.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn change_password(&self, tag: u64, old: Secret, new: Secret) -> Result<(), Busy> {
        self.link(Command::Password { tag, old, new })
    }

    /// Asks for [`Event::Synced`] when the server has read everything that was written to it up to here: messages as
    /// far as its window has room for them, acknowledgements, questions. Without a connection nothing comes; where it
    /// ends first, [`Event::Offline`] does.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn sync(&self, tag: u64) -> Result<(), Busy> {
        self.link(Command::Sync(tag))
    }

    /// Asks to be told who of these is online, in place of those before: [`Event::Watching`] on this and on each later
    /// connection, and [`Event::Presence`] when that changes. At most the first 256 are watched. Where the server does
    /// not tell, nothing comes.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn watch(&self, names: Vec<String>) -> Result<(), Busy> {
        self.link(Command::Watch(names))
    }

    /// Tells somebody that a message for them is being written: it is said again after 3 s, while that is so.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn typing(&self, to: String) -> Result<(), Busy> {
        self.link(Command::Typing(to))
    }

    /// Tries to connect now; where there is a connection, makes a new one.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn reconnect(&self) -> Result<(), Busy> {
        self.link(Command::Reconnect)
    }

    /// Asks for [`Event::Chats`].
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn chats(&self) -> Result<(), Busy> {
        self.order(Order::Chats)
    }

    /// Asks for [`Event::Page`]: up to `limit` messages of the conversation with this key.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn page(&self, key: String, around: Around, limit: usize) -> Result<(), Busy> {
        self.order(Order::Page { key, around, limit })
    }

    /// A person has read the conversation up to the message at `n`; its senders are told.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn mark_read(&self, key: String, n: i64) -> Result<(), Busy> {
        self.order(Order::MarkRead { key, n })
    }

    /// Counts the conversation from the message at `n` on as unread. Whose messages were read stays told.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn mark_unread(&self, key: String, n: i64) -> Result<(), Busy> {
        self.order(Order::MarkUnread { key, n })
    }

    /// Keeps what a person has chosen for a conversation.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn choose(&self, peer: Peer, chosen: Chosen) -> Result<(), Busy> {
        self.order(Order::Choose { peer, chosen })
    }

    /// Asks for [`Event::Found`]: what a piece of the history holds. It tells where the next piece begins.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn search(&self, query: Query) -> Result<(), Busy> {
        self.order(Order::Search(query))
    }

    /// Asks for [`Event::Steps`]: the states that the message at `n` has come to.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn steps(&self, n: i64) -> Result<(), Busy> {
        self.order(Order::Steps(n))
    }

    /// Keeps what was typed and not sent.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn keep_draft(&self, peer: Peer, text: String) -> Result<(), Busy> {
        self.order(Order::Draft { peer, text })
    }

    /// From now on programs of this home act as this user at this server, unless they are told otherwise.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub fn remember(&self) -> Result<(), Busy> {
        self.order(Order::Remember)
    }

    fn link(&self, command: Command) -> Result<(), Busy> {
        self.order(Order::Link(command))
    }

    fn order(&self, order: Order) -> Result<(), Busy> {
        self.orders.try_send(order).map_err(|_| Busy)
    }
}
