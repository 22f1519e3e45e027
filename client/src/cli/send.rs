//! `bellhop send`: one message, kept by the server exactly once, or an exit code that says what is known.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use bellhop_protocol::frame::LIMIT_MAX;
use bellhop_protocol::{Address, Code};
use tokio::time::{Instant, sleep};

use super::args::Common;
use super::exit::{Exit, Failure};
use super::interruptible;
use super::output::{End, Line, Output, at};
use super::session::{BUSY_HISTORY, Session, deadline};
use super::setup::Setup;
use crate::config::{Config, Receive, Role};
use crate::delivery::Delivery;
use crate::event::{Event, StateChange};
use crate::history::History;
use crate::history::left::Left;
use crate::home::Lock;
use crate::peer::Peer;
use crate::seat;
use crate::tui::MESSAGE_MAX;

/// The longest text that a frame holds beside its recipient and counter.
const TEXT_MAX: usize = LIMIT_MAX as usize - 1_024;
const TAG: u64 = 1;
/// How often it is looked whether an equal command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ASKED_ELSEWHERE: &str = "another bellhop holds what is needed to ask about the message";

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
    let until = deadline(common.timeout);
    let earlier = interruptible(async { Ok(asking(setup, &Peer::new(to), &text, until).await?) }).await?;
    if earlier.is_some() {
        output.remark("asking about the same message of an earlier run").await;
    }
    // Only the device that posted a message can ask about it.
    let role = earlier.as_ref().map_or(Role::Send, |(left, _)| Role::Named(left.role.clone()));
    let config = setup.config(&user, role, Receive::Nothing);
    let mut sending = Sending {
        session: Session::open(config.clone()),
        history: setup.history()?,
        to,
        text: Some(text),
        message: earlier.as_ref().map(|(left, _)| left.n),
    };
    match interruptible(async { Ok(sending.settle(&config, output, until).await?) }).await {
        Ok(change) => {
            let done = sending.report(output, change).await;
            sending.session.close().await;
            done
        }
        Err(end) => sending.given_up(output, end).await,
    }
}

/// The same message, where an earlier run ended without an answer to it, and the right to ask about it and to tell how
/// it ended: of equal commands side by side one has it, and the others mean messages of their own.
async fn asking(
    setup: &Setup,
    to: &Peer,
    text: &str,
    until: Instant,
) -> Result<Option<(Left, Lock)>, Failure> {
    while let Some((name, left)) = earlier(setup, to, text)? {
        let lock = setup.home.lock(&format!("{name}-asks")).map_err(Failure::local)?;
        // Whoever had it until now may have told the message.
        let still = earlier(setup, to, text)?.is_some_and(|(_, now)| now == left);
        match lock {
            Some(lock) if still => return Ok(Some((left, lock))),
            None if deadline(Duration::ZERO) >= until => {
                return Err(Failure::timed_out(format!("{ASKED_ELSEWHERE}; nothing was sent")));
            }
            _ => sleep(LOOK_EVERY).await,
        }
    }
    Ok(None)
}

/// The same message, where an earlier run ended without an answer to it, and the lock of its device.
///
/// Where its device is taken, a message written since then is its holder's own: an equal command that runs beside this
/// one, and a message for itself.
fn earlier(setup: &Setup, to: &Peer, text: &str) -> Result<Option<(String, Left)>, Failure> {
    let Some(account) = setup.account()? else { return Ok(None) };
    for left in setup.history()?.left(account.id, &to.key, text).map_err(Failure::local)? {
        let lock = seat::lock_name(account.id, &left.role);
        let taken_ms = setup.home.taken_ms(&lock).map_err(Failure::local)?;
        if taken_ms.is_none_or(|since| left.written_ms < since) {
            return Ok(Some((lock, left)));
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
    Failure::usage(format!("longer than any server takes; usually a message has at most {MESSAGE_MAX} bytes"))
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
    if text.is_empty() {
        // What was to write it has failed, more often than not.
        return Err(Failure::usage("nothing came on stdin; the text '' sends an empty message"));
    }
    Ok(text)
}

/// A message on its way.
struct Sending<'a> {
    session: Session,
    history: History,
    to: &'a str,
    /// The text, until it is handed to the connection.
    text: Option<String>,
    /// Its place in the history, from then on; from the start, where an earlier run left it.
    message: Option<i64>,
}

impl Sending<'_> {
    /// As [`Sending::exchange`]; waits for the device of an earlier message as long as another program has it, and is
    /// not known here to have arrived.
    async fn settle(
        &mut self,
        config: &Config,
        output: &Output,
        until: Instant,
    ) -> Result<StateChange, Failure> {
        loop {
            if let Some(change) = self.has_arrived()? {
                return Ok(change);
            }
            match self.exchange(output, until).await {
                Err(failure) if failure.exit == Exit::RoleTaken && self.message.is_some() => {
                    self.session = Session::open(config.clone());
                }
                Err(failure) if self.message.is_some() && failure.sentence == BUSY_HISTORY => {
                    return Err(Failure { sentence: ASKED_ELSEWHERE.into(), ..failure });
                }
                done => return done,
            }
        }
    }

    /// What is known of an earlier message that the server has: whoever holds its device now changes nothing of that.
    fn has_arrived(&self) -> Result<Option<StateChange>, Failure> {
        let Some(n) = self.message else { return Ok(None) };
        let change = self.history.untold(n).map_err(Failure::local)?;
        Ok(change.filter(|change| change.state >= Delivery::Sent))
    }

    /// Sends, and waits until [`is_over`] holds of the message.
    async fn exchange(&mut self, output: &Output, until: Instant) -> Result<StateChange, Failure> {
        loop {
            match self.session.next(Some(until)).await? {
                Event::Unsettled(_) => {
                    if let Some(change) = self.settled_meanwhile()? {
                        return Ok(change);
                    }
                }
                Event::Online(_) => {
                    if let Some(text) = self.text.take() {
                        self.session.client.send(TAG, Peer::new(self.to), text, false)?;
                    }
                }
                Event::Outgoing { tag: TAG, message } => self.message = Some(message.n),
                Event::NotKept { reason, text, .. } => {
                    self.text = Some(text);
                    return Err(Failure::local(reason));
                }
                Event::NewDevice => {
                    output.remark("the id of this device was in use elsewhere; it has a new one").await
                }
                Event::State(change) if Some(change.n) == self.message && is_over(&change) => {
                    return Ok(change);
                }
                Event::State(change) => settled(&self.session, output, &change).await?,
                _ => {}
            }
        }
    }

    /// What became of an earlier message before we had its device. One that was refused, or that its own command was
    /// told of, is to be sent after all.
    fn settled_meanwhile(&mut self) -> Result<Option<StateChange>, Failure> {
        let Some(n) = self.message else { return Ok(None) };
        if self.session.unsettled.iter().any(|old| old.n == n) {
            self.text = None;
            return Ok(None);
        }
        let change = self.history.untold(n).map_err(Failure::local)?;
        let change = change.filter(|change| is_over(change) && change.state != Delivery::Failed);
        if change.is_none() {
            self.message = None;
        }
        Ok(change)
    }

    /// Says what became of the message, and then notes that it was said: whoever is killed in between says it again,
    /// and so does the next run where it could not be printed.
    /// The device, or the right to ask, is ours until then, so that no equal command takes the message for its own.
    async fn report(&mut self, output: &Output, change: StateChange) -> Result<(), End> {
        let n = change.n;
        let done = match judged(change) {
            Ok(change) => match self.print(output, &change).await {
                Err(End::Failed(failure)) => return Err(unprinted(&change, failure).into()),
                Err(End::Signal(exit)) => return Err(End::Signal(exit)),
                done => done,
            },
            Err(failure) => Err(failure.into()),
        };
        self.history.tell(n).map_err(Failure::local)?;
        done
    }

    async fn print(&self, output: &Output, change: &StateChange) -> Result<(), End> {
        let known = self.history.untold(change.n).map_err(Failure::local)?;
        let time_ms = known.map_or(change.time_ms, |known| known.time_ms);
        let id = change.id.map(|id| id.to_string());
        let line =
            Line::Send { id, to: self.to, state: state(change), at: (time_ms > 0).then(|| at(time_ms)) };
        interruptible(output.result(&line)).await
    }

    /// What is certain when it did not work: either nothing was sent, or the message is kept to be asked about.
    async fn given_up(mut self, output: &Output, end: End) -> Result<(), End> {
        if let Some(n) = self.message {
            // Takes effect only where the message was never on the wire.
            let _ = self.session.client.withdraw(n);
        }
        let ordered = self.message.is_none() && self.text.is_none();
        // An answer may be on its way through the connection's thread; when that has ended, none comes any more.
        self.session.close().await;
        let unknown = "it is not known whether the message arrived: run the same command again";
        match end {
            End::Signal(exit) if ordered || is_left(&mut self.history, self.message)? => {
                output.error(&Failure::new(exit, "interrupted", unknown));
                Err(End::Signal(exit))
            }
            End::Failed(failure) if is_left(&mut self.history, self.message)? => {
                let sentence = format!("{}; {unknown}", failure.sentence);
                Err(Failure { exit: Exit::Unreachable, sentence, ..failure }.into())
            }
            // Not written down yet, and perhaps it is at any moment.
            End::Failed(failure) if ordered && failure.exit == Exit::Unreachable => {
                Err(Failure { sentence: format!("{BUSY_HISTORY}; {unknown}"), ..failure }.into())
            }
            end => Err(end),
        }
    }
}

/// The state of a message that the server has, in the words of SEND.
fn state(change: &StateChange) -> &'static str {
    if change.state == Delivery::Queued { "stored" } else { "sent" }
}

/// The result of a message that arrived, where stdout did not take it.
fn unprinted(change: &StateChange, failure: Failure) -> Failure {
    let id = change.id.map(|id| format!(" {id}")).unwrap_or_default();
    let state = state(change);
    let sentence =
        format!("{}; the server has it, {state}{id}: the same command says it again", failure.sentence);
    Failure { sentence, ..failure }
}

/// True where the same command will be told how the message ends, or has ended. One that was refused after all is
/// forgotten: that is as certain as if it had never been sent.
fn is_left(history: &mut History, message: Option<i64>) -> Result<bool, Failure> {
    let Some(n) = message else { return Ok(false) };
    match history.untold(n).map_err(Failure::local)? {
        Some(change) if change.state == Delivery::Failed => {
            history.tell(n).map_err(Failure::local)?;
            Ok(false)
        }
        change => Ok(change.is_some()),
    }
}

/// A message of an earlier run that was settled on the way.
async fn settled(session: &Session, output: &Output, change: &StateChange) -> Result<(), Failure> {
    let Some(old) = session.unsettled.iter().find(|old| old.n == change.n) else { return Ok(()) };
    let to = Peer::new(&old.to).name;
    match change.state {
        _ if !is_over(change) => {}
        Delivery::Failed => {
            let reason = change.reason.as_deref().unwrap_or("no reason given");
            output.remark(&format!("an earlier message to {to} was refused: {reason}")).await;
            session.client.withdraw(change.n)?;
        }
        Delivery::Unknown => {
            let reason = change.reason.as_deref().unwrap_or_default();
            output
                .remark(&format!("nobody can know whether an earlier message to {to} arrived: {reason}"))
                .await;
        }
        Delivery::Sending => {}
        _ => output.remark(&format!("an earlier message to {to} has arrived at the server")).await,
    }
    Ok(())
}

/// True if and only if nothing more will be known of the message by waiting.
fn is_over(change: &StateChange) -> bool {
    match change.state {
        Delivery::Outbox => false,
        // In flight, and the server has just refused to take it now.
        Delivery::Sending => change.code.is_some(),
        Delivery::Unknown => change.reason.is_some(),
        _ => true,
    }
}

/// What became of a message of which [`is_over`] holds.
fn judged(change: StateChange) -> Result<StateChange, Failure> {
    match change.state {
        Delivery::Failed => Err(refused(&change)),
        Delivery::Sending => {
            let failure = refused(&change);
            let sentence = format!("{}; the message is kept: run the same command again", failure.sentence);
            Err(Failure { sentence, ..failure })
        }
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
