//! The seven operations: UTF-8 without U+0000, fields separated by bars, the last field to the end.
//!
//! Here are the fields of requests and the answers on success. Which frame is which op is [`request`](crate::request)
//! and [`reply`](crate::reply).

use std::fmt;

use bytes::BufMut;
use uuid::Uuid;

use crate::code::{Code, Failure, Reason, Refusal};
use crate::frame::put_header;
use crate::name::{Address, Name};
use crate::op::{ANSWER, OpCode};
use crate::session::MessageId;

/// Text that must not be shown or logged: its `Debug` says only that it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub &'a str);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whether a message was written towards a live session when it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was.
    Delivered,
    /// It waits.
    Queued,
}

impl Outcome {
    /// The outcome's word.
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Queued => "queued",
        }
    }
}

/// Checks that data is text: UTF-8 without U+0000.
pub(crate) fn text(data: &[u8]) -> Result<&str, Refusal> {
    let text =
        std::str::from_utf8(data).map_err(|_| Refusal::new(Code::NOT_UTF8, "the data is not valid UTF-8"))?;
    if data.contains(&0) {
        return Err(Refusal::new(Code::BAD_TEXT, "text may not hold the character U+0000"));
    }
    Ok(text)
}

pub(crate) fn name(field: &str) -> Result<Name<'_>, Refusal> {
    Name::parse(field).map_err(|error| Refusal::new(Code::BAD_NAME, error.to_string()))
}

pub(crate) fn address(field: &str) -> Result<Address<'_>, Refusal> {
    Address::parse(field).map_err(|error| Refusal::new(Code::BAD_NAME, error.to_string()))
}

/// `username` or `username|password`; an empty password is none.
pub(crate) fn credentials(data: &str) -> Result<(Name<'_>, Option<Secret<'_>>), Refusal> {
    let (user, password) = data.split_once('|').unwrap_or((data, ""));
    Ok((name(user)?, some(password).map(Secret)))
}

/// `None` for an empty field.
pub(crate) fn some(field: &str) -> Option<&str> {
    (!field.is_empty()).then_some(field)
}

/// Appends a text frame: `fields`, with bars between them.
pub(crate) fn put_fields(out: &mut impl BufMut, op: u8, fields: &[&str]) {
    let bars = fields.len().saturating_sub(1);
    put_header(out, op, fields.iter().map(|field| field.len()).sum::<usize>() + bars);
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.put_u8(b'|');
        }
        out.put_slice(field.as_bytes());
    }
}

/// Appends `error|word|sentence` under the op-code `op`.
pub fn put_error(out: &mut impl BufMut, op: u8, code: Code, sentence: &str) {
    put_fields(out, op, &["error", &code.to_string(), sentence]);
}

/// Appends the push of a message to a text session: `from|text` under DELIVER.
pub fn put_delivery(out: &mut impl BufMut, from: &str, text: &str) {
    put_fields(out, OpCode::Deliver.byte(), &[from, text]);
}

/// Appends SEND's answer on success.
pub fn put_sent(out: &mut impl BufMut, outcome: Outcome, id: MessageId) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = id.0.hyphenated().encode_lower(&mut buffer);
    put_fields(out, OpCode::Send.answer(), &["ok", outcome.word(), id]);
}

/// An answer to one of the seven operations, success or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextAnswer<'a> {
    /// LIST: names by folded name.
    Listed {
        /// The names.
        names: Names<'a>,
        /// True where one frame did not hold them all: ask again after the last one.
        more: bool,
    },
    /// CREATE: the account's uuid.
    Created(Uuid),
    /// LOGIN: the account's uuid and how many messages wait.
    LoggedIn(Uuid, u64),
    /// LOGOUT.
    LoggedOut,
    /// DELETE.
    Deleted,
    /// SEND: what became of the message at first, and its id.
    Sent(Outcome, MessageId),
    /// DELIVER: how many messages were (or, with the extension, will be) delivered.
    Delivered(u64),
    /// The server refused.
    Failed(Failure<'a>),
}

/// Names separated by bars, as LIST's answer holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a>(&'a str);

impl<'a> Names<'a> {
    /// Names that stand in `joined`, separated by bars; none where it is empty.
    pub fn new(joined: &'a str) -> Names<'a> {
        Names(joined)
    }

    /// The names, one by one.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        some(self.0).into_iter().flat_map(|names| names.split('|'))
    }
}

impl<'a> TextAnswer<'a> {
    /// Reads the data of the answer to `op`, one of the seven operations.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] that says what is wrong with the data.
    pub fn decode(op: OpCode, data: &'a [u8]) -> Result<TextAnswer<'a>, Refusal> {
        let data = text(data)?;
        let (head, rest) = data.split_once('|').unwrap_or((data, ""));
        match (head, op) {
            ("error", _) => failure(rest).map(TextAnswer::Failed),
            ("ok" | "more", OpCode::List) => {
                Ok(TextAnswer::Listed { names: Names(rest), more: head == "more" })
            }
            ("ok", _) => TextAnswer::success(op, rest),
            _ => Err(malformed()),
        }
    }

    fn success(op: OpCode, rest: &str) -> Result<TextAnswer<'a>, Refusal> {
        let (first, second) = rest.split_once('|').unwrap_or((rest, ""));
        match (op, first, second) {
            (OpCode::Create, id, "") => Ok(TextAnswer::Created(account(id)?)),
            (OpCode::Login, id, waiting) => Ok(TextAnswer::LoggedIn(account(id)?, count(waiting)?)),
            (OpCode::Logout, "", "") => Ok(TextAnswer::LoggedOut),
            (OpCode::Delete, "", "") => Ok(TextAnswer::Deleted),
            (OpCode::Send, "delivered", id) => {
                Ok(TextAnswer::Sent(Outcome::Delivered, MessageId(account(id)?)))
            }
            (OpCode::Send, "queued", id) => Ok(TextAnswer::Sent(Outcome::Queued, MessageId(account(id)?))),
            (OpCode::Deliver, number, "") => Ok(TextAnswer::Delivered(count(number)?)),
            _ => Err(malformed()),
        }
    }

    /// Appends the frame of this answer to `op`.
    pub fn put(&self, op: OpCode, out: &mut impl BufMut) {
        let code = op.byte() | ANSWER;
        match self {
            TextAnswer::Listed { names: Names(""), more } => put_fields(out, code, &[head(*more)]),
            TextAnswer::Listed { names, more } => put_fields(out, code, &[head(*more), names.0]),
            TextAnswer::Created(id) => put_fields(out, code, &["ok", &id.to_string()]),
            TextAnswer::LoggedIn(id, waiting) => {
                put_fields(out, code, &["ok", &id.to_string(), &waiting.to_string()]);
            }
            TextAnswer::LoggedOut | TextAnswer::Deleted => put_fields(out, code, &["ok"]),
            TextAnswer::Sent(outcome, id) => put_sent(out, *outcome, *id),
            TextAnswer::Delivered(number) => put_fields(out, code, &["ok", &number.to_string()]),
            TextAnswer::Failed(failure) => put_failure(out, code, failure),
        }
    }
}

fn head(more: bool) -> &'static str {
    if more { "more" } else { "ok" }
}

fn malformed() -> Refusal {
    Refusal::new(Code::MALFORMED, "an answer of another shape than its op has")
}

fn account(field: &str) -> Result<Uuid, Refusal> {
    // Only the form that is sent: 36 characters, lower case, with hyphens.
    let id = Uuid::try_parse(field).map_err(|_| malformed())?;
    let mut buffer = Uuid::encode_buffer();
    if id.hyphenated().encode_lower(&mut buffer) == field { Ok(id) } else { Err(malformed()) }
}

fn count(field: &str) -> Result<u64, Refusal> {
    let number: u64 = field.parse().map_err(|_| malformed())?;
    if number.to_string() == field { Ok(number) } else { Err(malformed()) }
}

/// `word|sentence`.
pub(crate) fn failure(rest: &str) -> Result<Failure<'_>, Refusal> {
    let (word, sentence) = rest.split_once('|').ok_or_else(malformed)?;
    Ok(Failure { reason: Reason::Word(word), sentence })
}

pub(crate) fn put_failure(out: &mut impl BufMut, op: u8, failure: &Failure<'_>) {
    put_fields(out, op, &["error", &failure.reason.to_string(), failure.sentence]);
}
