//! A session without the extension, for commands that ask and are done: one op, one answer.

use std::io::ErrorKind;
use std::time::Duration;

use bellhop_protocol::frame::LIMIT_MAX;
use bellhop_protocol::op::{ANSWER, NOTICE, OpCode, PEER_FIRST};
use bellhop_protocol::{Code, Reply, Request, Username, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::exit::{Exit, Failure};
use super::session::deadline;
use super::setup::Setup;
use crate::link::dial::{DialError, Dialed, Stream, dial};
use crate::link::inbound::Inbound;
use crate::raw::{self, Verdict};
use crate::secret::Secret;
use crate::text::{Kind, clean};

/// A plain connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    inbound: Inbound,
    wait: Duration,
}

/// An answer, or a message that came in between; its fields made harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The op-code of the frame, or of what was asked.
    pub(crate) byte: u8,
    /// `ok`, `more` or `error`, and what follows.
    pub(crate) fields: Vec<String>,
    pub(crate) verdict: Verdict,
}

impl Wire {
    pub(crate) async fn open(setup: &Setup, wait: Duration) -> Result<Wire, Failure> {
        let Dialed { stream, .. } = reach(setup, wait).await??;
        Ok(Wire { stream, inbound: Inbound::default(), wait })
    }

    /// Asks, and waits for the answer. `pushed` sees messages that come in between.
    pub(crate) async fn ask<E: From<Failure>>(
        &mut self,
        op: u8,
        data: &[u8],
        mut pushed: impl AsyncFnMut(&Answer) -> Result<(), E>,
    ) -> Result<Answer, E> {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, op, data);
        let until = deadline(self.wait);
        let written = timeout_at(until, self.stream.write_all(&bytes)).await.map_err(|_| late())?;
        written.map_err(|error| broken(&error.to_string()))?;
        let flushed = timeout_at(until, self.stream.flush()).await.map_err(|_| late())?;
        flushed.map_err(|error| broken(&error.to_string()))?;
        loop {
            let answer = self.next(until).await?;
            let answers_it = answer.byte == op | ANSWER || (answer.byte == NOTICE && op >= PEER_FIRST);
            match answer.byte {
                byte if byte == OpCode::Deliver.byte() => pushed(&answer).await?,
                _ if answers_it => return Ok(answer),
                NOTICE => {
                    let refusal = answer.refusal();
                    return Err(refusal.unwrap_or_else(|| protocol("a notice that is no error")).into());
                }
                byte if byte & ANSWER == 0 => {}
                _ => return Err(protocol("an answer to what was not asked").into()),
            }
        }
    }

    /// Logs in, or says why not.
    pub(crate) async fn log_in(&mut self, user: &Username, password: Option<&Secret>) -> Result<(), Failure> {
        let password = password.map(|secret| bellhop_protocol::text::Secret(secret.reveal()));
        let request = Request::Login { name: user.as_name(), password }.to_bytes();
        let answer = self.ask(OpCode::Login.byte(), &request[frame::HEADER..], nothing).await?;
        answer.accepted().map(|_| ())
    }

    async fn next(&mut self, until: Instant) -> Result<Answer, Failure> {
        let mut chunk = [0; 8_192];
        loop {
            // PROTOCOL.md, section 1: a server may write more than the usual limit, and without HELLO does not say so.
            let frame = self.inbound.next(LIMIT_MAX).map_err(|_| protocol("this is no Bellhop server"))?;
            if let Some((byte, data)) = frame {
                return Answer::read(byte, data);
            }
            let read = timeout_at(until, self.stream.read(&mut chunk)).await.map_err(|_| late())?;
            // TLS without its last word is an end like any other: frames carry their lengths.
            let ended = matches!(&read, Err(error) if error.kind() == ErrorKind::UnexpectedEof);
            match if ended { 0 } else { read.map_err(|error| broken(&error.to_string()))? } {
                0 => return Err(broken("the server closed the connection")),
                count => self.inbound.push(&chunk[..count]),
            }
        }
    }
}

/// Connects; the inner error says that the server is not who it should be, or could not be reached.
pub(super) async fn reach(setup: &Setup, wait: Duration) -> Result<Result<Dialed, DialError>, Failure> {
    let Setup { server, home, trust, .. } = setup;
    let dialed = timeout_at(deadline(wait), dial(server, home, trust)).await;
    dialed.map_err(|_| unreachable(format!("cannot reach {server}: timed out")))
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Failure {
        match error {
            DialError::Failed(sentence) => unreachable(sentence),
            DialError::Untrusted(untrusted) => Failure::new(Exit::Tls, "untrusted", untrusted.to_string()),
        }
    }
}

fn unreachable(sentence: String) -> Failure {
    Failure::new(Exit::Unreachable, "unreachable", sentence)
}

impl Answer {
    fn read(byte: u8, data: &[u8]) -> Result<Answer, Failure> {
        let reply = Reply::decode(byte, data).map_err(|refusal| protocol(&refusal.sentence))?;
        let fields = match reply {
            Reply::Refused(_, refused) => {
                let sentence = clean(refused.sentence, Kind::Line).into_owned();
                vec!["error".into(), refused.reason.to_string(), sentence]
            }
            _ => raw::fields(byte, data),
        };
        Ok(Answer { byte, fields, verdict: Verdict::of(byte, data) })
    }

    /// True if and only if this is why the server refused.
    pub(crate) fn is_refused_as(&self, code: Code) -> bool {
        self.verdict == Verdict::Refused(Some(code))
    }

    /// The refusal, where it is one. A reason of a later version is told by its sentence alone.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        let Verdict::Refused(code) = &self.verdict else { return None };
        let field = |at: usize| self.fields.get(at).cloned().unwrap_or_default();
        let exit = code.map_or(Exit::Refused, Exit::of);
        Some(Failure { exit, word: field(1), sentence: field(2) })
    }

    /// The answer, where the server did not refuse.
    pub(crate) fn accepted(self) -> Result<Answer, Failure> {
        self.refusal().map_or(Ok(self), Err)
    }
}

/// For an op that brings no messages.
pub(super) async fn nothing(_: &Answer) -> Result<(), Failure> {
    Ok(())
}

fn late() -> Failure {
    Failure::timed_out("the server did not answer in time")
}

fn broken(sentence: &str) -> Failure {
    Failure::new(Exit::Unreachable, "closed", sentence)
}

fn protocol(what: &str) -> Failure {
    Failure::new(Exit::Protocol, "protocol", format!("the server broke the protocol: {what}"))
}
