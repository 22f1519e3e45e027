//! The only place with sockets: carries bytes, changes and events between the rules and the world, decides nothing.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::dial::{DialError, Dialed, Stream, dial};
use super::state::State;
use super::{Command, Draft, Failed, Input, Output};
use crate::clock;
use crate::config::Config;
use crate::event::{Around, Event, Guard};
use crate::history::{Chosen, History, HistoryError, Query, Seat};
use crate::log;
use crate::peer::Peer;

/// Bytes taken from the socket at once; what one read holds is one write to disk and one acknowledgement.
const READ_MAX: usize = 64 * 1_024;
/// Events that wait for the user of the library; with more, nothing is read from the socket.
const BACKLOG_MAX: usize = 256;
/// The same for orders. What one read of the socket brings fits in between: a user who confirms message by message
/// is never stopped by the messages.
const BACKLOG_MAX_ORDERS: usize = 4_096;
/// Bytes that wait for a server to read; with more, nothing of what it writes is read.
const OUT_MAX: usize = 1_024 * 1_024;
/// Orders taken before the history is written, so that a burst is one write.
const ORDERS_MAX: usize = 64;
/// How long the last bytes may take when the user of the library has gone.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// What the user of the library wants: of the link, or of the history alone.
#[derive(Debug)]
pub(crate) enum Order {
    /// Of the link.
    Link(Command),
    /// The conversations.
    Chats,
    /// Messages of a conversation.
    Page { key: String, around: Around, limit: usize },
    /// A person read everything up to here.
    MarkRead { key: String, n: i64 },
    /// Everything from here on is unread again.
    MarkUnread { key: String, n: i64 },
    /// What a person has chosen for a conversation.
    Choose { peer: Peer, chosen: Chosen },
    /// What a piece of the history holds.
    Search(Query),
    /// The states that a message has come to.
    Steps(i64),
    /// What was typed and not sent.
    Draft { peer: Peer, text: String },
    /// This account is the one to act as from now on.
    Remember,
}

type Dialing = Pin<Box<dyn Future<Output = Result<Dialed, DialError>> + Send>>;

#[derive(Default)]
enum Socket {
    #[default]
    Closed,
    Dialing(Dialing),
    Open(ReadHalf<Box<dyn Stream>>, WriteHalf<Box<dyn Stream>>),
}

/// A link at work.
pub(crate) struct Driver {
    state: State,
    history: History,
    seat: Seat,
    config: Config,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    backlog: VecDeque<Event>,
    socket: Socket,
    out: BytesMut,
    /// The system took less than there was at the last write, so what it takes next the server has made room for.
    clogged: bool,
    /// The stream keeps what it encrypts, and may hold some of it still.
    encrypted: bool,
    held: bool,
}

/// What one turn of the loop brought.
enum Turn {
    Orders(usize),
    Dialed(Result<Dialed, DialError>),
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Flushed(io::Result<()>),
    Told,
    Deadline,
}

impl Driver {
    pub(crate) fn new(
        state: State,
        history: History,
        seat: Seat,
        config: Config,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<Event>,
    ) -> Driver {
        let backlog = VecDeque::from([Event::Unsettled(seat.unsettled.clone())]);
        let (socket, out) = (Socket::Closed, BytesMut::new());
        let (clogged, encrypted, held) = (false, false, false);
        Driver {
            state,
            history,
            seat,
            config,
            orders,
            events,
            backlog,
            socket,
            out,
            clogged,
            encrypted,
            held,
        }
    }

    fn say(&mut self, event: Event) {
        log::event(&event);
        self.backlog.push_back(event);
    }

    /// Works until the last handle is dropped.
    pub(crate) async fn run(mut self) {
        let mut incoming = vec![0; READ_MAX].into_boxed_slice();
        let mut orders = Vec::with_capacity(ORDERS_MAX);
        loop {
            self.drain();
            let deadline = self.state.deadline();
            let may_read =
                self.backlog.len() < BACKLOG_MAX && self.out.len() < OUT_MAX && self.state.may_read();
            let may_order = self.backlog.len() < BACKLOG_MAX_ORDERS && self.state.may_order();
            let work = async {
                tokio::select! {
                    count = self.orders.recv_many(&mut orders, ORDERS_MAX), if may_order => Turn::Orders(count),
                    turn = turn(&mut self.socket, &mut incoming, &mut self.out, may_read, self.held) => turn,
                    told = tell(&self.events, &mut self.backlog), if !self.backlog.is_empty() => told,
                }
            };
            match unless_nothing(work, deadline).await.unwrap_or(Turn::Deadline) {
                Turn::Orders(0) => break,
                Turn::Orders(_) => orders.drain(..).for_each(|order| self.order(order)),
                Turn::Dialed(Ok(dialed)) => self.dialed(dialed),
                Turn::Dialed(Err(DialError::Failed(reason))) => self.failed(reason),
                Turn::Dialed(Err(DialError::Untrusted(untrusted))) => {
                    self.socket = Socket::Closed;
                    self.input(Input::Untrusted(*untrusted));
                }
                Turn::Read(Ok(0)) => self.failed("the server closed the connection".into()),
                Turn::Read(Ok(count)) => {
                    self.input(Input::Received(incoming.get(..count).unwrap_or_default()))
                }
                // TLS without its last word. Frames carry their lengths: nothing is taken for complete that is not.
                Turn::Read(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.failed("the server closed the connection".into());
                }
                Turn::Read(Err(error)) | Turn::Wrote(Err(error)) | Turn::Flushed(Err(error)) => {
                    self.failed(format!("the connection broke: {error}"));
                }
                Turn::Wrote(Ok(count)) => self.wrote(count),
                Turn::Flushed(Ok(())) => self.held = false,
                Turn::Told => {}
                Turn::Deadline => self.input(Input::Deadline),
            }
        }
        self.farewell().await;
    }

    fn dialed(&mut self, Dialed { stream, identity, secured }: Dialed) {
        let (read, write) = split(stream);
        self.socket = Socket::Open(read, write);
        (self.encrypted, self.held) = (secured.guard != Guard::Plain, false);
        self.say(Event::Secured(secured));
        self.input(Input::Connected(identity));
    }

    fn wrote(&mut self, count: usize) {
        self.out.advance(count);
        self.held = self.encrypted;
        if std::mem::replace(&mut self.clogged, !self.out.is_empty()) {
            self.input(Input::Progress);
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.state.handle(clock::now(), input);
    }

    fn failed(&mut self, reason: String) {
        self.socket = Socket::Closed;
        self.input(Input::Failed(reason));
    }

    /// Does all that the rules want done.
    fn drain(&mut self) {
        while let Some(output) = self.state.poll() {
            match output {
                Output::Connect => {
                    let (server, home) = (self.config.server.clone(), self.config.home.clone());
                    let trust = self.config.trust;
                    let dialing = async move { dial(&server, &home, &trust).await };
                    self.socket = Socket::Dialing(Box::pin(dialing));
                }
                Output::Disconnect => {
                    self.socket = Socket::Closed;
                    self.out.clear();
                    self.clogged = false;
                }
                Output::Write(bytes) => self.out.extend_from_slice(&bytes.0),
                Output::Event(event) => self.say(event),
                Output::Store(changes) => match self.history.apply(&self.seat, &changes) {
                    Ok(outcomes) => {
                        self.input(Input::Stored(changes.into_iter().zip(outcomes).collect()));
                    }
                    Err(error) => {
                        let (reason, passing) = (error.to_string(), error.is_passing());
                        self.input(Input::StoreFailed(Failed { changes, reason, passing }));
                    }
                },
                Output::Load(handed_back) => self.load(&handed_back),
            }
        }
    }

    fn load(&mut self, handed_back: &[Draft]) {
        let forgotten = self.history.disown(&self.seat, handed_back);
        let loaded = forgotten.and_then(|()| self.history.seat(self.seat.account, &self.seat.role));
        if let Ok(seat) = &loaded {
            self.seat = seat.clone();
        }
        self.input(Input::Loaded(loaded.map(Box::new).map_err(|error| error.to_string())));
    }

    fn order(&mut self, order: Order) {
        let account = self.seat.account;
        let told = match order {
            Order::Link(command) => return self.input(Input::Command(command)),
            Order::Chats => self.history.chats(account).map(|chats| Some(Event::Chats(chats))),
            Order::Page { key, around, limit } => {
                self.history.page(account, &key, around, limit).map(|page| Some(Event::Page(page)))
            }
            Order::MarkRead { key, n } => self.mark_read(&key, n),
            Order::MarkUnread { key, n } => self.history.mark_unread(account, &key, n).map(|()| None),
            Order::Choose { peer, chosen } => self.history.choose(account, &peer, chosen).map(|()| None),
            Order::Search(query) => {
                self.history.search(account, &query).map(|found| Some(Event::Found(found)))
            }
            Order::Steps(n) => self.history.steps(account, n).map(|steps| Some(Event::Steps(steps))),
            Order::Remember => self.history.remember(account).map(|()| None),
            Order::Draft { peer, text } => self.history.set_draft(account, &peer, &text).map(|()| None),
        };
        match told {
            Ok(event) => self.backlog.extend(event),
            Err(error) => self.say(Event::Problem(error.to_string())),
        }
    }

    fn mark_read(&mut self, key: &str, n: i64) -> Result<Option<Event>, HistoryError> {
        let read = self.history.mark_read(self.seat.account, key, n)?;
        if !read.is_empty() {
            self.input(Input::Command(Command::Read(read)));
        }
        Ok(None)
    }

    /// Nobody is left to tell; what is written already still goes out.
    async fn farewell(mut self) {
        self.drain();
        if let Socket::Open(_, write) = &mut self.socket {
            // Best effort: what does not arrive is repeated by the server or by the next program.
            let _ = timeout(FAREWELL_MAX, async {
                write.write_all(&self.out).await?;
                write.shutdown().await
            })
            .await;
        }
    }
}

/// What the socket does next. Never, where it is closed.
async fn turn(
    socket: &mut Socket,
    incoming: &mut [u8],
    out: &mut BytesMut,
    may_read: bool,
    held: bool,
) -> Turn {
    match socket {
        Socket::Closed => pending().await,
        Socket::Dialing(dialing) => Turn::Dialed(dialing.await),
        Socket::Open(read, write) => tokio::select! {
            count = read.read(incoming), if may_read => Turn::Read(count),
            turn = put(write, out), if held || !out.is_empty() => turn,
            else => pending().await,
        },
    }
}

/// Writes; where everything is written, pushes on what the stream holds.
async fn put(write: &mut WriteHalf<Box<dyn Stream>>, out: &[u8]) -> Turn {
    match out {
        [] => Turn::Flushed(write.flush().await),
        out => Turn::Wrote(write.write(out).await),
    }
}

async fn tell(events: &mpsc::Sender<Event>, backlog: &mut VecDeque<Event>) -> Turn {
    match events.reserve().await {
        Ok(permit) => {
            if let Some(event) = backlog.pop_front() {
                permit.send(event);
            }
        }
        // Nobody listens any more, which is no reason to stop working for whoever still sends.
        Err(_) => backlog.clear(),
    }
    Turn::Told
}

/// What comes of `work`; `None` where nothing has at the deadline. Work goes first: whether the server is silent is
/// judged after what it said was read, however late this program gets its turn.
async fn unless_nothing<T>(work: impl Future<Output = T>, deadline: Option<Instant>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = until(deadline) => None,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a pause of the machine, an answer that was there lost to the deadline for it every other time.
    #[test]
    fn what_is_there_goes_before_a_deadline_that_has_passed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let passed = clock::now();
        runtime.block_on(async {
            for _ in 0..100 {
                assert_eq!(unless_nothing(async { 7 }, Some(passed)).await, Some(7));
            }
            assert_eq!(unless_nothing(pending::<u8>(), Some(passed)).await, None);
        });
    }
}
