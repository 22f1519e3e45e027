//! `bellhop send`: one message, kept by the server exactly once, or an exit code that says what is known.
//!
//! `text` is where it comes from, `earlier` what an earlier run of the same command left, `outcome` what became of it in
//! words, `lines` many messages over one connection.

mod earlier;
mod lines;
mod outcome;
mod text;

use bellhop_protocol::{Address, Username};
use tokio::time::Instant;

use super::args::Common;
use super::commands::{SendArguments, Wait};
use super::exit::{Exit, Failure};
use super::interruptible;
use super::output::{End, Line, Output, at};
use super::session::{BUSY_HISTORY, Session, deadline};
use super::setup::Setup;
use crate::config::{Config, Receive, Role};
use crate::delivery::Delivery;
use crate::event::{Event, StateChange};
use crate::history::History;
use crate::peer::Peer;
use earlier::{ASKED_ELSEWHERE, Earlier, Known};
use outcome::{is_over, judged, not_delivered, state, unprinted};

const TAG: u64 = 1;

pub(crate) async fn run(
    setup: &Setup,
    common: &Common,
    output: &Output,
    arguments: &SendArguments,
) -> Result<(), End> {
    let SendArguments { to, text, lines, id, wait } = arguments;
    Address::parse(to).map_err(|error| Failure::usage(format!("{to:?}: {error}")))?;
    let user = setup.user()?;
    if *lines {
        return lines::run(setup, common, output, to, id.as_deref()).await;
    }
    let text = interruptible(async { Ok(text::read(text, output).await?) }).await?;
    let until = deadline(common.timeout);
    let meant = Peer::new(to);
    let earlier = interruptible(async {
        Ok(match id {
            Some(id) => earlier::by_id(setup, id, &meant, &text, until).await?,
            None => earlier::by_words(setup, &meant, &text, until).await?,
        })
    });
    let Earlier { known, .. } = &earlier.await?;
    let wanted = Wanted { to, text, id: id.clone(), wait: *wait };
    match known {
        Some(Known::Settled { change, awaits }) => {
            known_already(setup, output, &user, wanted, change.clone(), awaits.clone(), until).await
        }
        Some(Known::Underway { role, n }) => {
            output.remark("asking about the same message of an earlier run").await;
            // Only the device that posted a message can ask about it.
            send(setup, output, &user, wanted, Some((role, *n)), until).await
        }
        None => send(setup, output, &user, wanted, None, until).await,
    }
}

/// The message that is meant.
struct Wanted<'a> {
    to: &'a str,
    text: String,
    id: Option<String>,
    wait: Wait,
}

impl Wait {
    /// A receipt comes to a device that receives, and with it what waits for the account. That is for somebody else.
    fn receive(self) -> Receive {
        match self {
            Wait::Sent => Receive::Nothing,
            Wait::Delivered => Receive::Receipts,
        }
    }
}

async fn send(
    setup: &Setup,
    output: &Output,
    user: &Username,
    wanted: Wanted<'_>,
    earlier: Option<(&String, i64)>,
    until: Instant,
) -> Result<(), End> {
    let Wanted { to, text, id, wait } = wanted;
    let role = earlier.map_or(Role::Send, |(role, _)| Role::Named(role.clone()));
    let config = setup.config(user, role, wait.receive());
    let mut sending = Sending {
        session: Session::open(config.clone()),
        history: setup.history()?,
        to,
        text: Some(text),
        id,
        wait,
        message: earlier.map(|(_, n)| n),
    };
    match interruptible(async { Ok(sending.settle(&config, output, until).await?) }).await {
        Ok(change) => {
            let done = sending.arrived(output, change, until).await;
            sending.session.close().await;
            done
        }
        Err(end) => sending.given_up(output, end).await,
    }
}

/// The server has had the message since an earlier run.
async fn known_already(
    setup: &Setup,
    output: &Output,
    user: &Username,
    wanted: Wanted<'_>,
    change: StateChange,
    awaits: Option<String>,
    until: Instant,
) -> Result<(), End> {
    let Wanted { to, text, id, wait } = wanted;
    let history = setup.history()?;
    if wait == Wait::Sent || change.state >= Delivery::Returned {
        return print(&history, output, to, &judged(change)?).await;
    }
    let Some(role) = awaits else {
        print(&history, output, to, &change).await?;
        return Err(not_delivered(&change, "no receipt was asked for when it was sent").into());
    };
    let session = Session::open(setup.config(user, Role::Named(role), wait.receive()));
    let message = Some(change.n);
    let mut sending = Sending { session, history, to, text: Some(text), id, wait, message };
    let done = sending.arrived(output, change, until).await;
    sending.session.close().await;
    done
}

/// A message on its way.
struct Sending<'a> {
    session: Session,
    history: History,
    to: &'a str,
    /// The text, until it is handed to the connection.
    text: Option<String>,
    /// What the script calls it.
    id: Option<String>,
    wait: Wait,
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
                        let receipts = self.wait == Wait::Delivered;
                        self.session.client.send_as(
                            self.id.clone(),
                            TAG,
                            Peer::new(self.to),
                            text,
                            receipts,
                        )?;
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

    /// The server has answered: waits for what else was asked for, and reports.
    async fn arrived(&mut self, output: &Output, change: StateChange, until: Instant) -> Result<(), End> {
        if self.wait == Wait::Sent || !(Delivery::Sent..Delivery::Returned).contains(&change.state) {
            return self.report(output, change).await;
        }
        let mut last = change;
        match interruptible(async { Ok(self.taken(&mut last, until).await) }).await {
            Ok(Ok(())) => self.report(output, last).await,
            Ok(Err(failure)) => {
                let failure = not_delivered(&last, &failure.sentence);
                self.report(output, last).await?;
                Err(failure.into())
            }
            Err(end) => {
                // The same command asks again; until then this is what is known.
                self.print(output, &last).await?;
                Err(end)
            }
        }
    }

    /// Waits until somebody has the message, or nobody will.
    async fn taken(&mut self, last: &mut StateChange, until: Instant) -> Result<(), Failure> {
        while last.state < Delivery::Returned {
            let event =
                self.session.next(Some(until)).await.map_err(|failure| match failure.word.as_str() {
                    "timed-out" => Failure { sentence: "nobody took it in time".into(), ..failure },
                    _ => failure,
                })?;
            if let Event::State(change) = event
                && change.n == last.n
            {
                let time_ms = change.time_ms.max(last.time_ms);
                *last = StateChange { id: change.id.or(last.id), time_ms, ..change };
            }
        }
        Ok(())
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
        print(&self.history, output, self.to, change).await
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

async fn print(history: &History, output: &Output, to: &str, change: &StateChange) -> Result<(), End> {
    let known = history.untold(change.n).map_err(Failure::local)?;
    let time_ms = known.map_or(change.time_ms, |known| known.time_ms);
    let id = change.id.map(|id| id.to_string());
    let at = (time_ms > 0).then(|| at(time_ms));
    interruptible(output.result(&Line::Send { id, to, state: state(change), at, line: None })).await
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
