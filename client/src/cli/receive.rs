//! `bellhop listen` and `bellhop deliver`: a line a message, acknowledged when its reader has it.
//!
//! What is not wanted, or only looked at, is not acknowledged and comes again. A server hands out only so much that is
//! not acknowledged; what waits behind that is said, not waited for.

use std::time::Duration;

use bellhop_protocol::{Address, MessageId};
use tokio::time::timeout;

use super::args::Common;
use super::commands::{Ack, Reading};
use super::exit::{Exit, Failure};
use super::interruptible;
use super::output::{End, Line, Output, Writing, at};
use super::session::{Session, deadline};
use super::setup::Setup;
use crate::config::{Receive, Role};
use crate::event::{Event, Message};
use crate::peer::Peer;

const TAG: u64 = 1;
/// How long a line that was being written may take after a signal.
const LAST_LINE_MAX: Duration = Duration::from_millis(200);
/// PROTOCOL.md, DELIVER: what a server hands out without an acknowledgement.
const WINDOW: (u64, usize) = (1_024, 256 * 1_024);

/// How long to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Until all that waited has come.
    Waiting,
    /// Until somebody ends it.
    Always,
}

pub(crate) async fn run(
    setup: &Setup,
    common: &Common,
    output: &Output,
    follow: Follow,
    reading: &Reading,
) -> Result<(), End> {
    let user = setup.user()?;
    let from = reading.from.as_deref().map(key).transpose()?;
    let receive = if reading.bytes { Receive::Bytes } else { Receive::Confirmed };
    let session = Session::open(setup.config(&user, Role::Listen, receive));
    let mut receiving = Receiving {
        session,
        output,
        follow,
        from,
        max: reading.max.unwrap_or(u64::MAX),
        acknowledges: reading.ack == Ack::Yes,
        bytes: reading.bytes,
        printing: None,
        printed: 0,
        left: (0, 0),
        acknowledged: 0,
    };
    let done = interruptible(receiving.receive(common)).await;
    if let Err(End::Signal(_)) = done {
        // What the reader has seen is acknowledged; what a pausing reader has not comes again.
        let _ = timeout(LAST_LINE_MAX, receiving.printed()).await;
    }
    receiving.session.close().await;
    done.map_err(|end| match end {
        End::Failed(failure) if failure.exit == Exit::RoleTaken => {
            Failure { sentence: format!("another bellhop is already listening for {user}"), ..failure }.into()
        }
        end => end,
    })
}

/// What the conversation with this user is known by.
fn key(from: &str) -> Result<String, Failure> {
    Address::parse(from).map_err(|error| Failure::usage(format!("{from:?}: {error}")))?;
    Ok(Peer::new(from).key)
}

struct Receiving<'a> {
    session: Session,
    output: &'a Output,
    follow: Follow,
    /// Whose messages are wanted alone.
    from: Option<String>,
    max: u64,
    acknowledges: bool,
    bytes: bool,
    /// The message on its way to the reader.
    printing: Option<(Option<MessageId>, Writing)>,
    printed: u64,
    /// Messages, and bytes of them, that were handed out and not acknowledged.
    left: (u64, usize),
    acknowledged: u64,
}

impl Receiving<'_> {
    async fn receive(&mut self, common: &Common) -> Result<(), End> {
        self.session.online(deadline(common.timeout)).await?;
        let (mut quiet_until, mut caught_up, mut taken) = (deadline(common.timeout), false, 0);
        let ends = self.follow == Follow::Waiting;
        loop {
            let bounded = ends || self.is_enough();
            match self.session.next(bounded.then_some(quiet_until)).await? {
                Event::Message(message) if !self.is_enough() => {
                    self.message(&message).await?;
                    quiet_until = deadline(common.timeout);
                    if self.is_enough() {
                        self.sync()?;
                    }
                }
                // A server that hands out no more for want of acknowledgements never gets through.
                Event::Waiting(_) if ends && self.leaves() => self.sync()?,
                Event::CaughtUp if ends => {
                    caught_up = true;
                    self.sync()?;
                }
                Event::Synced(TAG) if self.is_enough() || caught_up => return Ok(()),
                Event::Synced(TAG) if ends && self.acknowledged > taken => {
                    taken = self.acknowledged;
                    self.sync()?;
                }
                Event::Synced(TAG) if ends => {
                    self.say_what_is_behind().await;
                    return Ok(());
                }
                Event::Offline(trouble, _) => {
                    self.output.remark(&format!("{}; trying again", trouble.sentence)).await;
                }
                Event::Online(_) => {
                    self.output.remark("connected again").await;
                    (quiet_until, caught_up) = (deadline(common.timeout), false);
                }
                Event::Notice(text) => self.output.remark(&format!("the server says: {text}")).await,
                _ => {}
            }
        }
    }

    /// Prints the message where it is wanted.
    async fn message(&mut self, message: &Message) -> Result<(), End> {
        let wanted = self.from.as_ref().is_none_or(|from| *from == message.peer.key);
        if wanted {
            self.printing = Some((message.id, self.start(message)));
            self.printed().await?;
            self.printed += 1;
        }
        if !(wanted && self.acknowledges) {
            self.leave(message).await;
        }
        Ok(())
    }

    /// Waits until the reader has the message, and acknowledges it.
    async fn printed(&mut self) -> Result<(), End> {
        let Some((id, writing)) = &mut self.printing else { return Ok(()) };
        writing.done().await?;
        if let Some(id) = id.filter(|_| self.acknowledges) {
            self.session.client.confirm(id).map_err(Failure::from)?;
            self.acknowledged += 1;
        }
        self.printing = None;
        Ok(())
    }

    /// The message stays with the server.
    async fn leave(&mut self, message: &Message) {
        let was_full = self.is_full();
        self.left = (self.left.0 + 1, self.left.1 + message.text.len());
        if self.follow == Follow::Always && !was_full && self.is_full() {
            self.say_what_is_behind().await;
        }
    }

    async fn say_what_is_behind(&self) {
        let count = self.left.0;
        self.output
            .remark(&format!(
                "more waits behind {count} messages that were left with the server; bellhop deliver takes them"
            ))
            .await;
    }

    fn is_full(&self) -> bool {
        self.left.0 >= WINDOW.0 || self.left.1 >= WINDOW.1
    }

    fn is_enough(&self) -> bool {
        self.printed >= self.max
    }

    /// True where some messages are not acknowledged.
    fn leaves(&self) -> bool {
        self.from.is_some() || !self.acknowledges
    }

    /// Asks until when everything has come that will come, and was acknowledged.
    fn sync(&self) -> Result<(), Failure> {
        Ok(self.session.client.sync(TAG)?)
    }

    fn start(&self, message: &Message) -> Writing {
        let id = message.id.map(|id| id.to_string()).unwrap_or_default();
        let (from, text) = (message.peer.name.as_str(), message.text.as_str());
        let line = Line::Message { id, from, text, at: at(message.time_ms) };
        self.output.start(&line, self.bytes)
    }
}
