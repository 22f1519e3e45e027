//! `bellhop send`: one message, kept by the server exactly once, or an exit code that says what is known.

use std::io::{IsTerminal, Read};

use bellhop_protocol::frame::LIMIT_MAX;
use bellhop_protocol::{Address, Code};
use tokio::time::Instant;

use super::args::Common;
use super::exit::{Exit, Failure};
use super::interruptible;
use super::output::{End, Line, Output, at};
use super::session::{Session, deadline};
use super::setup::Setup;
use crate::clock;
use crate::config::{Config, Receive, Role};
use crate::delivery::Delivery;
use crate::event::{Event, StateChange};
use crate::history::History;
use crate::history::left::Left;
use crate::peer::Peer;
use crate::seat;

/// The longest text that a frame holds beside its recipient and counter.
const TEXT_MAX: usize = LIMIT_MAX as usize - 1_024;
const TAG: u64 = 1;

pub(crate) async fn run(
    setup: &Setup,
    common: &Common,
    output: &Output,
    to: &str,
    words: &[String],
) -> Result<(), End> {
    Address::parse(to).map_err(|error| Failure::usage(format!("{to:?}: {error}")))?;
    let user = setup.user()?;
    let text = interruptible(async { Ok(text(words, output).await?) }).await?;
    let to_peer = Peer::new(to);
    let earlier = earlier(setup, &to_peer, &text)?;
    if earlier.is_some() {
        output.remark("asking about the same message of an earlier run").await;
    }
    // Only the device that posted a message can ask about it.
    let role = earlier.as_ref().map_or(Role::Send, |left| Role::Named(left.role.clone()));
    let config = setup.config(&user, role, Receive::Nothing);
    let mut sending = Sending {
        session: Session::open(config.clone()),
        history: setup.history()?,
        to: to_peer,
        text: Some(text),
        message: earlier.as_ref().map(|left| left.n),
        written: earlier.is_some(),
    };
    let until = deadline(common.timeout);
    let sent = interruptible(async { Ok(sending.settle(&config, output, until).await?) }).await;
    let sent = sent.map_err(|end| sending.given_up(end));
    sending.session.close().await;
    let change = sent?;
    let state = if change.state == Delivery::Queued { "stored" } else { "sent" };
    let time_ms = if change.time_ms > 0 { change.time_ms } else { clock::wall_ms() };
    let id = change.id.map(|id| id.to_string());
    interruptible(output.result(&Line::Send { id, to, state, at: Some(at(time_ms)) })).await
}

/// The same message, where an earlier run ended without an answer to it.
///
/// Where its device is taken, a message written since then is its holder's own: an equal command that runs beside this
/// one, and a message for itself.
fn earlier(setup: &Setup, to: &Peer, text: &str) -> Result<Option<Left>, Failure> {
    let Some(account) = setup.account()? else { return Ok(None) };
    for left in setup.history()?.left(account.id, &to.key, text).map_err(Failure::local)? {
        let lock = seat::lock_name(account.id, &left.role);
        let taken_ms = setup.home.taken_ms(&lock).map_err(Failure::local)?;
        if taken_ms.is_none_or(|since| left.time_ms < since) {
            return Ok(Some(left));
        }
    }
    Ok(None)
}

/// The text of the command: its arguments, or stdin.
async fn text(words: &[String], output: &Output) -> Result<String, Failure> {
    let text = if words.is_empty() || words == ["-"] { from_stdin(output).await? } else { words.join(" ") };
    if text.len() > TEXT_MAX {
        return Err(too_long());
    }
    Ok(text)
}

fn too_long() -> Failure {
    Failure::usage(format!("a text has at most {TEXT_MAX} bytes"))
}

async fn from_stdin(output: &Output) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        output.remark("reading the message from the terminal; Ctrl+D ends it").await;
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(TEXT_MAX as u64 + 2).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.await.map_err(Failure::local)?.map_err(Failure::local)?;
    if bytes.len() > TEXT_MAX + 1 {
        // Perhaps cut within a character.
        return Err(too_long());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| Failure::usage("the text on stdin is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// A message on its way.
struct Sending {
    session: Session,
    history: History,
    to: Peer,
    /// The text, until it is handed to the connection.
    text: Option<String>,
    /// Its place in the history, from then on; from the start, where an earlier run left it.
    message: Option<i64>,
    /// Whether it may have been on the wire.
    written: bool,
}

impl Sending {
    /// As [`Sending::exchange`]; waits for the device of an earlier message as long as another program has it.
    async fn settle(
        &mut self,
        config: &Config,
        output: &Output,
        until: Instant,
    ) -> Result<StateChange, Failure> {
        loop {
            match self.exchange(output, until).await {
                Err(failure) if failure.word == "role-taken" && self.message.is_some() => {
                    self.session = Session::open(config.clone());
                }
                done => return done,
            }
        }
    }

    /// Sends, and waits until the server has said what became of it.
    async fn exchange(&mut self, output: &Output, until: Instant) -> Result<StateChange, Failure> {
        loop {
            match self.session.next(Some(until)).await? {
                Event::Unsettled(unsettled) if unsettled.iter().any(|old| Some(old.n) == self.message) => {
                    self.text = None;
                }
                Event::Online(_) => {
                    if let Some(change) = self.settled_meanwhile()? {
                        return Ok(change);
                    }
                    if let Some(text) = self.text.take() {
                        self.session.client.send(TAG, self.to.clone(), text, false)?;
                    }
                }
                Event::Outgoing { tag: TAG, message } => {
                    self.message = Some(message.n);
                    self.written = message.state != Delivery::Outbox;
                }
                Event::NotKept { reason, .. } => return Err(Failure::local(reason)),
                Event::NewDevice => {
                    output.remark("the id of this device was in use elsewhere; it has a new one").await
                }
                Event::State(change) if Some(change.n) == self.message => {
                    self.written |= change.state != Delivery::Outbox;
                    if is_over(&change) {
                        return judged(change);
                    }
                }
                Event::State(change) => settled(&self.session, output, &change).await?,
                _ => {}
            }
        }
    }

    /// What another program was told of an earlier message before we had its device. One that was refused is to be
    /// sent after all.
    fn settled_meanwhile(&mut self) -> Result<Option<StateChange>, Failure> {
        let Some(n) = self.message.filter(|_| self.text.is_some()) else { return Ok(None) };
        let change = self.history.state(n).map_err(Failure::local)?;
        match change.filter(|change| is_over(change) && change.state != Delivery::Failed) {
            Some(change) => judged(change).map(Some),
            None => {
                (self.message, self.written) = (None, false);
                Ok(None)
            }
        }
    }

    /// What is certain when it did not work: either nothing was sent, or the message is kept to be asked about.
    fn given_up(&self, end: End) -> End {
        let Some(n) = self.message else { return end };
        // Takes effect only where the message was refused or never on the wire; where the connection has ended, the
        // message is asked about the next time, which is as good.
        let _ = self.session.client.withdraw(n);
        match end {
            End::Failed(failure) if self.written && failure.exit == Exit::Unreachable => {
                let sentence = format!(
                    "{}; it is not known whether the message arrived: run the same command again",
                    failure.sentence
                );
                End::Failed(Failure { sentence, ..failure })
            }
            end => end,
        }
    }
}

/// A message of an earlier run that was settled on the way.
async fn settled(session: &Session, output: &Output, change: &StateChange) -> Result<(), Failure> {
    let Some(old) = session.unsettled.iter().find(|old| old.n == change.n) else { return Ok(()) };
    let to = Peer::new(&old.to).name;
    match change.state {
        Delivery::Outbox | Delivery::Sending | Delivery::Unknown => {}
        Delivery::Failed => {
            let reason = change.reason.as_deref().unwrap_or("no reason given");
            output.remark(&format!("an earlier message to {to} was refused: {reason}")).await;
            session.client.withdraw(change.n)?;
        }
        _ => output.remark(&format!("an earlier message to {to} has arrived at the server")).await,
    }
    Ok(())
}

/// True if and only if nothing more will be known of the message by asking the server.
fn is_over(change: &StateChange) -> bool {
    match change.state {
        Delivery::Outbox | Delivery::Sending => false,
        Delivery::Unknown => change.reason.is_some(),
        _ => true,
    }
}

/// What became of a message of which [`is_over`] holds.
fn judged(change: StateChange) -> Result<StateChange, Failure> {
    match change.state {
        Delivery::Failed => Err(refused(&change)),
        Delivery::Unknown => {
            let reason = change.reason.as_deref().unwrap_or_default();
            let sentence =
                format!("nobody can know whether the message was kept ({reason}); it is not sent again");
            Err(Failure::new(Exit::Other, "unknown", sentence))
        }
        _ => Ok(change),
    }
}

fn refused(change: &StateChange) -> Failure {
    let code = change.code.unwrap_or(Code::MALFORMED);
    let reason = change.reason.clone().unwrap_or_else(|| code.to_string());
    Failure::new(Exit::of(code), &code.to_string(), reason)
}
