//! `bellhop send --lines`: each line of stdin is a message, over one connection, in order.
//!
//! Lines go out as they come, and no more than some of them wait for their answers. What the server refuses for now is
//! sent later, before anything behind it. With an id, each line has a key of its own: a run that is repeated goes on
//! where the one before ended.

use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver};
use tokio::time::Instant;

use super::earlier::{self, Known};
use super::outcome::{is_over, judged, state};
use super::text::{self, TEXT_MAX};
use crate::cli::args::Common;
use crate::cli::exit::Failure;
use crate::cli::interruptible;
use crate::cli::output::{End, Line, Output, at};
use crate::cli::session::{Session, deadline};
use crate::cli::setup::Setup;
use crate::config::{Config, Receive, Role};
use crate::delivery::Delivery;
use crate::event::{Event, StateChange};
use crate::history::History;
use crate::home::Lock;
use crate::peer::Peer;

/// Lines that wait for their answers; no more are read until some have come.
const FLIGHT_MAX: usize = 256;
/// Lines that were read and not looked at.
const READ_AHEAD: usize = 64;
/// A server that says "later" is given this much longer: it may ask for a minute.
const LATER: Duration = Duration::from_secs(60);
/// Between an id and the number of a line: no id that is typed holds it.
const PART: char = '\u{1f}';

/// A line of stdin, and its number.
type Read1 = Result<(u64, String), Failure>;

pub(super) async fn run(
    setup: &Setup,
    common: &Common,
    output: &Output,
    to: &str,
    id: Option<&str>,
) -> Result<(), End> {
    let user = setup.user()?;
    let until = deadline(common.timeout);
    let batch = match id {
        Some(id) => Some(interruptible(async { Ok(Batch::claim(setup, id, until).await?) }).await?),
        None => None,
    };
    let history = setup.history()?;
    let role = match &batch {
        Some(batch) => history.keyed_sender(batch.account, &batch.prefix).map_err(Failure::local)?,
        None => None,
    };
    let role = role.map_or(Role::Send, Role::Named);
    let config = Config { patient: true, ..setup.config(&user, role, Receive::Nothing) };
    text::invite(output, "messages, a line each,").await;
    let session = Session::open(config);
    let mut sending = Sending {
        session,
        history,
        batch,
        to,
        wait: common.timeout,
        until,
        pending: VecDeque::new(),
        arrived: 0,
        failed: None,
    };
    match interruptible(sending.all(output)).await {
        Ok(()) => {
            sending.session.close().await;
            Ok(())
        }
        Err(end) => sending.given_up(output, end).await,
    }
}

/// Lines that have keys.
struct Batch {
    account: i64,
    prefix: String,
    _lock: Lock,
}

impl Batch {
    async fn claim(setup: &Setup, id: &str, until: Instant) -> Result<Batch, Failure> {
        let (account, lock) = earlier::claim(setup, id, until).await?;
        Ok(Batch { account, prefix: format!("{id}{PART}"), _lock: lock })
    }
}

/// A line on its way.
struct Pending {
    line: u64,
    /// Its place in the history, once it is written down.
    n: Option<i64>,
    over: Option<StateChange>,
}

struct Sending<'a> {
    session: Session,
    history: History,
    batch: Option<Batch>,
    to: &'a str,
    wait: Duration,
    /// When somebody must have heard something, while lines wait for answers.
    until: Instant,
    pending: VecDeque<Pending>,
    /// How many lines the server has.
    arrived: u64,
    /// Why no more is read.
    failed: Option<Failure>,
}

impl Sending<'_> {
    async fn all(&mut self, output: &Output) -> Result<(), End> {
        self.session.online(self.until).await?;
        let mut lines = read();
        let mut more = true;
        loop {
            self.print(output).await?;
            if let Some(failure) = self.failed.take_if(|_| self.pending.is_empty()) {
                return Err(failure.into());
            }
            if !more && self.pending.is_empty() {
                return Ok(());
            }
            let reads = more && self.failed.is_none() && self.pending.len() < FLIGHT_MAX;
            let until = (!self.pending.is_empty()).then_some(self.until);
            tokio::select! {
                event = self.session.next(until) => self.event(event?)?,
                line = lines.recv(), if reads => match line {
                    Some(line) => self.line(line),
                    None => more = false,
                },
            }
        }
    }

    fn line(&mut self, line: Read1) {
        if self.pending.is_empty() {
            self.until = deadline(self.wait);
        }
        let sent = line
            .and_then(|(number, text)| self.send(number, text).map_err(|failure| in_line(number, failure)));
        if let Err(failure) = sent {
            self.failed = Some(failure);
        }
    }

    fn send(&mut self, line: u64, text: String) -> Result<(), Failure> {
        let to = Peer::new(self.to);
        let key = self.batch.as_ref().map(|batch| (batch.account, format!("{}{line}", batch.prefix)));
        let known = match &key {
            Some((account, key)) => earlier::under(&mut self.history, *account, key, &to, &text)?,
            None => None,
        };
        let pending = match known {
            Some(Known::Settled { change, .. }) => Pending { line, n: Some(change.n), over: Some(change) },
            Some(Known::Underway { n, .. }) => Pending { line, n: Some(n), over: None },
            None => {
                self.session.client.send_as(key.map(|(_, key)| key), line, to, text, false)?;
                Pending { line, n: None, over: None }
            }
        };
        self.pending.push_back(pending);
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Outgoing { tag, message } => {
                if let Some(pending) = self.pending.iter_mut().find(|pending| pending.line == tag) {
                    pending.n = Some(message.n);
                }
            }
            Event::NotKept { tag, reason, .. } => {
                self.pending.retain(|pending| pending.line != tag);
                self.failed.get_or_insert(in_line(tag, Failure::local(reason)));
            }
            Event::State(change) => {
                let later = change.state == Delivery::Outbox && change.reason.is_some();
                self.until = deadline(self.wait + if later { LATER } else { Duration::ZERO });
                let mine = self.pending.iter_mut().find(|pending| pending.n == Some(change.n));
                if let Some(pending) = mine.filter(|_| is_over(&change)) {
                    pending.over = Some(change);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Prints the lines that are over, in order, and then notes that this was said.
    async fn print(&mut self, output: &Output) -> Result<(), End> {
        let mut told = Vec::new();
        let mut ended = Ok(());
        while let Some(Pending { line, over: Some(change), .. }) = self.pending.front() {
            match judged(change.clone()) {
                Ok(change) => {
                    ended = self.result(output, *line, &change).await;
                    if ended.is_err() {
                        break;
                    }
                    self.arrived += 1;
                }
                Err(failure) => {
                    self.failed.get_or_insert(in_line(*line, failure));
                }
            }
            told.push(change.n);
            self.pending.pop_front();
        }
        if !told.is_empty() {
            self.history.tell_all(&told).map_err(Failure::local)?;
        }
        ended
    }

    async fn result(&self, output: &Output, line: u64, change: &StateChange) -> Result<(), End> {
        let id = change.id.map(|id| id.to_string());
        let at = (change.time_ms > 0).then(|| at(change.time_ms));
        output.result(&Line::Send { id, to: self.to, state: state(change), at, line: Some(line) }).await
    }

    /// What is certain when it did not work: which lines have arrived, and of which nobody knows.
    async fn given_up(self, output: &Output, end: End) -> Result<(), End> {
        let Sending { session, mut history, batch, pending, arrived, failed, .. } = self;
        for n in pending.iter().filter_map(|pending| pending.n) {
            // Takes effect only where the message was never on the wire.
            let _ = session.client.withdraw(n);
        }
        session.close().await;
        let mut unknown = Vec::new();
        for Pending { line, n, .. } in pending {
            let open = match n {
                Some(n) => super::is_left(&mut history, Some(n))?,
                None => true,
            };
            if open {
                unknown.push(line);
            }
        }
        let told = told(arrived, &unknown, batch.is_some());
        match end {
            End::Failed(failure) => {
                let failure = failed.unwrap_or(failure);
                Err(Failure { sentence: format!("{}; {told}", failure.sentence), ..failure }.into())
            }
            End::Signal(exit) => {
                output.error(&Failure::new(exit, "interrupted", told));
                Err(End::Signal(exit))
            }
            gone @ End::Gone(_) => Err(gone),
        }
    }
}

fn told(arrived: u64, unknown: &[u64], has_id: bool) -> String {
    let mut told = format!("{arrived} lines have arrived");
    if let (Some(first), Some(last)) = (unknown.first(), unknown.last()) {
        told.push_str(&format!(", and perhaps some of the lines {first} to {last}"));
    }
    told.push_str(if has_id {
        ": run the same command again, and no line is sent twice"
    } else {
        "; with --id a run can be repeated without sending a line twice"
    });
    told
}

fn in_line(number: u64, failure: Failure) -> Failure {
    Failure { sentence: format!("line {number}: {}", failure.sentence), ..failure }
}

/// Reads stdin line by line, on a thread that may wait for it.
fn read() -> Receiver<Read1> {
    let (lines, read) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut stdin = std::io::stdin().lock();
        for number in 1.. {
            let mut bytes = Vec::new();
            let limit = TEXT_MAX as u64 + 1;
            let line = match stdin.by_ref().take(limit).read_until(b'\n', &mut bytes) {
                Ok(0) => return,
                Ok(_) => of(number, bytes),
                Err(error) => Some(Err(Failure::local(format!("cannot read stdin: {error}")))),
            };
            let Some(line) = line else { continue };
            let failed = line.is_err();
            if lines.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    read
}

/// The line of these bytes; `None` for an empty one.
fn of(number: u64, mut bytes: Vec<u8>) -> Option<Read1> {
    let end = bytes.len() - usize::from(bytes.ends_with(b"\n"));
    if end == bytes.len() && bytes.len() > TEXT_MAX {
        return Some(Err(in_line(number, text::too_long())));
    }
    bytes.truncate(end);
    if bytes.is_empty() {
        return None;
    }
    let text = String::from_utf8(bytes).map_err(|_| in_line(number, Failure::usage("it is not UTF-8")));
    Some(text.map(|text| (number, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_line_feed_and_nothing_else() {
        let line = |bytes: &[u8]| of(7, bytes.to_vec()).map(|line| line.map_err(|failure| failure.sentence));
        assert_eq!(line(b"hi\n"), Some(Ok((7, "hi".into()))));
        assert_eq!(line(b" hi \r\n"), Some(Ok((7, " hi \r".into()))));
        assert_eq!(line(b"hi"), Some(Ok((7, "hi".into()))));
        assert_eq!(line(b"\n"), None);
        assert_eq!(line(b"\xff\n"), Some(Err("line 7: it is not UTF-8".into())));
        let long = vec![b'a'; TEXT_MAX + 1];
        assert!(line(&long).is_some_and(|line| line.is_err_and(|said| said.contains("line 7: longer"))));
    }

    #[test]
    fn what_is_known_of_lines_is_said() {
        assert_eq!(
            told(3, &[], true),
            "3 lines have arrived: run the same command again, and no line is sent twice"
        );
        assert_eq!(
            told(3, &[4, 9], false),
            "3 lines have arrived, and perhaps some of the lines 4 to 9; with --id a run can be repeated without \
             sending a line twice"
        );
    }
}
