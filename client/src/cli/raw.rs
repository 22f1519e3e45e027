//! `bellhop raw`: the protocol by hand.

use std::io::{BufRead, Read};

use bellhop_protocol::frame::LIMIT_MAX;
use bellhop_protocol::op::OpCode;

use super::args::Common;
use super::exit::{Exit, Failure};
use super::output::{End, Line, Output};
use super::session::{Session, deadline};
use super::setup::Setup;
use super::wire::{Answer, Wire};
use crate::config::{Receive, Role};
use crate::raw::{self, RawOp};
use crate::secret::Secret;

/// A line is not longer than a frame, its number and the line's end.
const LINE_MAX: u64 = LIMIT_MAX as u64 + 8;

/// How the ops are spoken.
enum Speaker {
    /// A session without the extension; logged in by us where it is known who acts, else by the ops themselves.
    Text(Wire),
    /// A session of the extension: the only one that a token opens.
    Token { session: Session, tag: u64 },
}

pub(crate) async fn run(
    setup: &Setup,
    common: &Common,
    output: &Output,
    ops: Vec<String>,
) -> Result<(), End> {
    let mut lines = Lines::new(ops)?;
    let by_themselves = lines.log_in().await?;
    let mut speaker = Speaker::open(setup, common, by_themselves).await?;
    let done = speak(&mut speaker, common, output, lines).await;
    if let Speaker::Token { session, .. } = speaker {
        session.close().await;
    }
    done
}

async fn speak(speaker: &mut Speaker, common: &Common, output: &Output, mut lines: Lines) -> Result<(), End> {
    let mut first_refusal = None;
    while let Some(line) = lines.next().await? {
        let op = parse(&line).map_err(|failure| lines.blame(failure))?;
        let answer = speaker.ask(common, output, &op).await?;
        output.result(&Line::Raw { op: raw::answered_op(answer.byte), fields: &answer.fields }).await?;
        first_refusal = first_refusal.or_else(|| answer.refusal());
    }
    match first_refusal {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

fn parse(line: &str) -> Result<RawOp<'_>, Failure> {
    match raw::parse(line) {
        Some(Ok(op)) if op.text.len() > LIMIT_MAX as usize => Err(too_long()),
        Some(Ok(op)) => Ok(op),
        Some(Err(error)) => Err(Failure::usage(error.to_string())),
        None => Err(Failure::usage("an op is a number, a bar and text, as in 5|bob|hi")),
    }
}

fn too_long() -> Failure {
    Failure::usage(format!("an op holds at most {LIMIT_MAX} bytes"))
}

impl Speaker {
    /// Logs in before anything is sent, unless the ops do: a stranger may say less, and not for long.
    async fn open(setup: &Setup, common: &Common, by_themselves: bool) -> Result<Speaker, End> {
        let token = match setup.account()? {
            Some(account) if setup.password.is_none() && !by_themselves => {
                let roles = setup.history()?.roles(account.id).map_err(Failure::local)?;
                roles.iter().any(|(_, token, _)| *token)
            }
            _ => false,
        };
        if !token {
            let mut wire = Wire::open(setup, common.timeout).await?;
            if let Some(user) = setup.user.as_ref().filter(|_| !by_themselves) {
                let refused = |failure: Failure| match failure.exit {
                    Exit::Unreachable | Exit::Protocol => failure,
                    _ => Failure { exit: Exit::NotLoggedIn, ..failure }.of_login(user),
                };
                wire.log_in(user, setup.password.as_ref()).await.map_err(refused)?;
            }
            return Ok(Speaker::Text(wire));
        }
        let mut session = Session::open(setup.config(&setup.user()?, Role::Send, Receive::Nothing));
        match session.online(deadline(common.timeout)).await {
            Ok(_) => Ok(Speaker::Token { session, tag: 0 }),
            Err(failure) => {
                session.close().await;
                Err(failure.into())
            }
        }
    }

    async fn ask(&mut self, common: &Common, output: &Output, op: &RawOp<'_>) -> Result<Answer, End> {
        match self {
            Speaker::Token { .. } if op.op == Some(OpCode::Deliver) => Err(Failure::usage(
                "with a kept login, bellhop deliver brings messages; 6 needs 2|name|password first",
            )
            .into()),
            Speaker::Token { session, tag } => {
                *tag += 1;
                let data = Secret::new(op.text.to_owned());
                Ok(session.ask(*tag, op.number, data, deadline(common.timeout)).await?)
            }
            Speaker::Text(wire) => {
                let pushed = async |answer: &Answer| {
                    output.result(&Line::Raw { op: answer.byte, fields: &answer.fields }).await
                };
                wire.ask(op.number, op.text.as_bytes(), pushed).await
            }
        }
    }
}

fn logs_in(line: &str) -> bool {
    matches!(raw::parse(line), Some(Ok(RawOp { op: Some(OpCode::Login | OpCode::Create), .. })))
}

/// The ops: arguments, or stdin line by line as it comes. Empty ones are passed over.
enum Lines {
    Given(std::vec::IntoIter<String>),
    Stdin {
        /// What was read to see whether it logs in.
        first: Option<String>,
        /// How many lines were read.
        count: u64,
    },
}

impl Lines {
    /// An argument is seen by everybody on this machine, so none holds a password.
    fn new(ops: Vec<String>) -> Result<Lines, Failure> {
        let has_secret = |op: &String| matches!(raw::parse(op), Some(Ok(op)) if op.has_secret());
        if ops.iter().any(has_secret) {
            return Err(Failure::usage(
                "an argument shows its password to everybody: give it on standard input",
            ));
        }
        Ok(if ops.is_empty() {
            Lines::Stdin { first: None, count: 0 }
        } else {
            Lines::Given(ops.into_iter())
        })
    }

    /// Whether the ops log in by themselves: any that was given, or the first line.
    async fn log_in(&mut self) -> Result<bool, Failure> {
        match self {
            Lines::Given(ops) => Ok(ops.as_slice().iter().any(|op| logs_in(op))),
            Lines::Stdin { first, count } => {
                *first = line(count).await?;
                Ok(first.as_deref().is_some_and(logs_in))
            }
        }
    }

    async fn next(&mut self) -> Result<Option<String>, Failure> {
        match self {
            Lines::Given(ops) => Ok(ops.find(|op| !op.is_empty())),
            Lines::Stdin { first, count } => match first.take() {
                Some(first) => Ok(Some(first)),
                None => line(count).await,
            },
        }
    }

    /// What is wrong with the op that was given last, and where it stands.
    fn blame(&self, failure: Failure) -> Failure {
        match self {
            Lines::Given(_) => failure,
            Lines::Stdin { count, .. } => in_line(*count, failure),
        }
    }
}

fn in_line(number: u64, failure: Failure) -> Failure {
    Failure { sentence: format!("line {number}: {}", failure.sentence), ..failure }
}

/// The next line of stdin that is not empty; `count` lines were read before it.
async fn line(count: &mut u64) -> Result<Option<String>, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut stdin = std::io::stdin().lock();
        for passed in 1.. {
            let mut line = Vec::new();
            if stdin.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            let whole = line.ends_with(b"\n") || (line.len() as u64) < LINE_MAX;
            let end = line.iter().rposition(|byte| !b"\n\r".contains(byte));
            line.truncate(end.map_or(0, |end| end + 1));
            if !line.is_empty() {
                return Ok(Some((line, whole, passed)));
            }
        }
        Ok(None)
    });
    let read = read.await.map_err(Failure::local)?.map_err(|error: std::io::Error| Failure::local(error))?;
    let Some((line, whole, passed)) = read else { return Ok(None) };
    *count += passed;
    if !whole {
        return Err(in_line(*count, too_long()));
    }
    let line = String::from_utf8(line);
    line.map(Some).map_err(|_| in_line(*count, Failure::usage("it is not UTF-8")))
}
