//! What a server may say: one enum, from bytes and to bytes.
//!
//! A client decodes every frame it gets with [`Reply::decode`]. A server writes most frames straight from their own
//! types, without building a `Reply` first; [`Reply::put`] is for tests and tools.

use bytes::BufMut;

use crate::code::{Code, Failure, Refusal};
use crate::fields::exactly;
use crate::frame::{self, RawFrame};
use crate::item::{Message, Receipt};
use crate::op::{ANSWER, NOTICE, OpCode};
use crate::post::PostAnswer;
use crate::presence::{self, Presence, Watching};
use crate::session::{self, Resumed, SessionToken, Status, Welcome};
use crate::text::{self, TextAnswer};

/// A frame from a server. What it holds lies in the buffer it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The answer to one of the seven operations.
    Text(OpCode, TextAnswer<'a>),
    /// A message pushed to a text session.
    Delivery {
        /// The sender.
        from: &'a str,
        /// The message.
        text: &'a str,
    },
    /// HELLO was accepted.
    Welcome(Welcome<'a>),
    /// The answer to a POST.
    Posted(PostAnswer<'a>),
    /// A message under its seq.
    Message(Message<'a>),
    /// How a message ended.
    Receipt(Receipt<'a>),
    /// Are you there?
    Ping([u8; 8]),
    /// The answer to a client's PING.
    Pong([u8; 8]),
    /// The token asked for.
    Token(SessionToken),
    /// RESUME was accepted.
    Resumed(Resumed),
    /// Who of those that are watched is online.
    Watching(Watching<'a>),
    /// Somebody who is watched came or went.
    Presence(Presence<'a>),
    /// This one is writing a message, to whom this is said.
    Typing(&'a str),
    /// The account has another password.
    PasswordChanged,
    /// HELLO, PING, TOKEN, RESUME, WATCH or PASSWORD was refused.
    Refused(OpCode, Failure<'a>),
    /// An error that answers nothing in particular or announces a close.
    Notice(Failure<'a>),
    /// An op of a later version, or the answer to an op that this version does not know.
    Unknown(RawFrame<'a>),
}

impl<'a> Reply<'a> {
    /// Reads the frame `op`, `data` as a server's.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] that says what is wrong with the data.
    pub fn decode(op: u8, data: &'a [u8]) -> Result<Reply<'a>, Refusal> {
        if op == NOTICE {
            return decode_notice(text::text(data)?);
        }
        if op & ANSWER != 0 {
            return match OpCode::from_byte(op & !ANSWER) {
                Some(asked) => decode_answer(asked, data),
                None => Ok(Reply::Unknown(RawFrame { op, data })),
            };
        }
        match OpCode::from_byte(op) {
            Some(OpCode::Deliver) => decode_delivery(text::text(data)?),
            Some(OpCode::Message) => Message::decode(data).map(Reply::Message),
            Some(OpCode::Receipt) => Receipt::decode(data).map(Reply::Receipt),
            Some(OpCode::Ping) => exactly(data).map(Reply::Ping),
            Some(OpCode::Presence) => Presence::decode(data).map(Reply::Presence),
            Some(OpCode::Typing) => presence::typist(data).map(Reply::Typing),
            _ => Ok(Reply::Unknown(RawFrame { op, data })),
        }
    }

    /// Appends the reply's frame.
    pub fn put(&self, out: &mut impl BufMut) {
        match self {
            Reply::Text(op, answer) => answer.put(*op, out),
            Reply::Delivery { from, text } => text::put_delivery(out, from, text),
            Reply::Welcome(welcome) => welcome.put(out),
            Reply::Posted(answer) => answer.put(out),
            Reply::Message(message) => message.put(out),
            Reply::Receipt(receipt) => receipt.put(out),
            Reply::Ping(bytes) => frame::put(out, OpCode::Ping.byte(), bytes),
            Reply::Pong(bytes) => frame::put(out, OpCode::Ping.answer(), bytes),
            Reply::Token(token) => session::put_token(token, out),
            Reply::Resumed(resumed) => resumed.put(out),
            Reply::Watching(watching) => watching.put(out),
            Reply::Presence(presence) => presence.put(out),
            Reply::Typing(peer) => presence::put_typing(peer, out),
            Reply::PasswordChanged => session::put_password_changed(out),
            Reply::Refused(op, failure) => {
                let code = failure.reason.code().unwrap_or(Code::MALFORMED);
                session::put_status(out, op.answer(), code, failure.sentence);
            }
            Reply::Notice(failure) => text::put_failure(out, NOTICE, failure),
            Reply::Unknown(frame) => frame::put(out, frame.op, frame.data),
        }
    }

    /// The reply's frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }
}

fn decode_notice(data: &str) -> Result<Reply<'_>, Refusal> {
    let rest = data
        .strip_prefix("error|")
        .ok_or_else(|| Refusal::new(Code::MALFORMED, "a notice that is no error"))?;
    text::failure(rest).map(Reply::Notice)
}

fn decode_delivery(data: &str) -> Result<Reply<'_>, Refusal> {
    let (from, text) =
        data.split_once('|').ok_or_else(|| Refusal::new(Code::MALFORMED, "a delivery without a bar"))?;
    Ok(Reply::Delivery { from, text })
}

fn decode_answer(asked: OpCode, data: &[u8]) -> Result<Reply<'_>, Refusal> {
    let fields = match asked {
        OpCode::List
        | OpCode::Create
        | OpCode::Login
        | OpCode::Logout
        | OpCode::Delete
        | OpCode::Send
        | OpCode::Deliver => return Ok(Reply::Text(asked, TextAnswer::decode(asked, data)?)),
        OpCode::Post => return PostAnswer::decode(data).map(Reply::Posted),
        // Eight bytes are the answer; a refusal is a status and a sentence, which is never six bytes long.
        OpCode::Ping if data.len() == 8 => return exactly(data).map(Reply::Pong),
        OpCode::Hello | OpCode::Ping | OpCode::Token | OpCode::Resume | OpCode::Watch | OpCode::Password => {
            match session::status(data)? {
                Status::Failed(failure) => return Ok(Reply::Refused(asked, failure)),
                Status::Ok(fields) => fields,
            }
        }
        OpCode::Message
        | OpCode::Ack
        | OpCode::Receipt
        | OpCode::Read
        | OpCode::Presence
        | OpCode::Typing => return Ok(Reply::Unknown(RawFrame { op: asked.answer(), data })),
    };
    match asked {
        OpCode::Hello => session::welcome(fields).map(Reply::Welcome),
        OpCode::Token => session::token(fields).map(Reply::Token),
        OpCode::Resume => session::resumed(fields).map(Reply::Resumed),
        OpCode::Watch => Ok(Reply::Watching(Watching::of(fields))),
        OpCode::Password => fields.end().map(|()| Reply::PasswordChanged),
        _ => Err(Refusal::new(Code::MALFORMED, "an answer of another shape than its op has")),
    }
}
