//! What a client may say: one enum, from bytes and to bytes.

use bytes::BufMut;

use crate::code::{Code, Refusal};
use crate::fields::exactly;
use crate::frame;
use crate::item::{Ack, Read};
use crate::name::{Address, Name};
use crate::op::{ANSWER, Family, NOTICE, OpCode, PEER_FIRST};
use crate::post::{Post, PostAnswer, PostFailure};
use crate::presence::{self, Watch};
use crate::session::{self, Hello, NewPassword, SessionToken};
use crate::text::{self, Secret};

/// A frame from a client. What it holds lies in the buffer it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Who has an account here?
    List {
        /// `*` and `?` over folded names; everybody where there is none.
        glob: Option<&'a str>,
        /// Only names after this one, for paging.
        after: Option<&'a str>,
    },
    /// Make an account and log in as it.
    Create {
        /// The new account's name.
        name: Name<'a>,
        /// Its password; `None` for an account without one.
        password: Option<Secret<'a>>,
    },
    /// Log in.
    Login {
        /// The account's name.
        name: Name<'a>,
        /// Its password.
        password: Option<Secret<'a>>,
    },
    /// Log out.
    Logout {
        /// The name that is logged in, where the client gave one.
        name: Option<Name<'a>>,
    },
    /// Delete the account that is logged in.
    Delete {
        /// Its password.
        password: Option<Secret<'a>>,
    },
    /// Send a message.
    Send {
        /// The recipient.
        to: Address<'a>,
        /// The message.
        text: &'a str,
    },
    /// Bring what waits; with the extension, open the stream.
    Deliver,
    /// Open the extension.
    Hello(Hello<'a>),
    /// Send a message under a counter.
    Post(Post<'a>),
    /// Acknowledge items.
    Ack(Ack<'a>),
    /// Are you there?
    Ping([u8; 8]),
    /// The answer to a server's PING.
    Pong([u8; 8]),
    /// Give me a token.
    Token,
    /// Log in with a token.
    Resume(SessionToken),
    /// Messages were read.
    Read(Read<'a>),
    /// Tell me who of these is online.
    Watch(Watch<'a>),
    /// A message for somebody is being written.
    Typing(Address<'a>),
    /// Give the account another password.
    Password(NewPassword<'a>),
}

impl<'a> Request<'a> {
    /// Reads the frame `op`, `data` as a client's.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; [`put_refusal`] writes it in the form in which this op is refused.
    pub fn decode(op: u8, data: &'a [u8]) -> Result<Request<'a>, Refusal> {
        if op == OpCode::Ping.answer() {
            return exactly(data).map(Request::Pong);
        }
        if op >= PEER_FIRST {
            return Err(not_allowed());
        }
        match OpCode::from_byte(op) {
            None => Err(Refusal::new(Code::UNKNOWN_OP, "this server knows no such op")),
            Some(op) => Request::decode_known(op, data),
        }
    }

    fn decode_known(op: OpCode, data: &'a [u8]) -> Result<Request<'a>, Refusal> {
        match op {
            OpCode::List => decode_list(text::text(data)?),
            OpCode::Create => {
                let (name, password) = text::credentials(text::text(data)?)?;
                Ok(Request::Create { name, password })
            }
            OpCode::Login => {
                let (name, password) = text::credentials(text::text(data)?)?;
                Ok(Request::Login { name, password })
            }
            OpCode::Logout => {
                let name = text::some(text::text(data)?).map(text::name).transpose()?;
                Ok(Request::Logout { name })
            }
            OpCode::Delete => Ok(Request::Delete { password: text::some(text::text(data)?).map(Secret) }),
            OpCode::Send => decode_send(text::text(data)?),
            OpCode::Deliver => empty(data, Request::Deliver),
            OpCode::Hello => Hello::decode(data).map(Request::Hello),
            OpCode::Post => Post::decode(data).map(Request::Post),
            OpCode::Ack => Ack::decode(data).map(Request::Ack),
            OpCode::Ping => exactly(data).map(Request::Ping),
            OpCode::Token => empty(data, Request::Token),
            OpCode::Resume => exactly(data).map(|token| Request::Resume(SessionToken(token))),
            OpCode::Read => Read::decode(data).map(Request::Read),
            OpCode::Watch => Watch::decode(data).map(Request::Watch),
            OpCode::Typing => presence::typing_to(data).map(Request::Typing),
            OpCode::Password => NewPassword::decode(data).map(Request::Password),
            OpCode::Message | OpCode::Receipt | OpCode::Presence => Err(not_allowed()),
        }
    }

    /// The request's op-code on the wire.
    pub fn op(&self) -> u8 {
        match self {
            Request::List { .. } => OpCode::List.byte(),
            Request::Create { .. } => OpCode::Create.byte(),
            Request::Login { .. } => OpCode::Login.byte(),
            Request::Logout { .. } => OpCode::Logout.byte(),
            Request::Delete { .. } => OpCode::Delete.byte(),
            Request::Send { .. } => OpCode::Send.byte(),
            Request::Deliver => OpCode::Deliver.byte(),
            Request::Hello(_) => OpCode::Hello.byte(),
            Request::Post(_) => OpCode::Post.byte(),
            Request::Ack(_) => OpCode::Ack.byte(),
            Request::Ping(_) => OpCode::Ping.byte(),
            Request::Pong(_) => OpCode::Ping.answer(),
            Request::Token => OpCode::Token.byte(),
            Request::Resume(_) => OpCode::Resume.byte(),
            Request::Read(_) => OpCode::Read.byte(),
            Request::Watch(_) => OpCode::Watch.byte(),
            Request::Typing(_) => OpCode::Typing.byte(),
            Request::Password(_) => OpCode::Password.byte(),
        }
    }

    /// Appends the request's frame.
    pub fn put(&self, out: &mut impl BufMut) {
        let op = self.op();
        match self {
            Request::List { glob, after: None } => text::put_fields(out, op, &[glob.unwrap_or("")]),
            Request::List { glob, after: Some(after) } => {
                text::put_fields(out, op, &[glob.unwrap_or(""), after]);
            }
            Request::Create { name, password: None } | Request::Login { name, password: None } => {
                text::put_fields(out, op, &[name.as_str()]);
            }
            Request::Create { name, password: Some(password) }
            | Request::Login { name, password: Some(password) } => {
                text::put_fields(out, op, &[name.as_str(), password.0]);
            }
            Request::Logout { name } => text::put_fields(out, op, &[name.map_or("", Name::as_str)]),
            Request::Delete { password } => {
                text::put_fields(out, op, &[password.map_or("", |secret| secret.0)])
            }
            Request::Send { to, text } => text::put_fields(out, op, &[&to.to_string(), text]),
            Request::Deliver | Request::Token => frame::put(out, op, &[]),
            Request::Hello(hello) => hello.put(out),
            Request::Post(post) => post.put(out),
            Request::Ack(ack) => ack.put_self(out),
            Request::Ping(bytes) | Request::Pong(bytes) => frame::put(out, op, bytes),
            Request::Resume(token) => frame::put(out, op, &token.0),
            Request::Read(read) => read.put_self(out),
            Request::Watch(watch) => watch.put_self(out),
            Request::Typing(to) => presence::put_typing(&to.to_string(), out),
            Request::Password(change) => change.put(out),
        }
    }

    /// The request's frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }
}

fn not_allowed() -> Refusal {
    Refusal::new(Code::NOT_ALLOWED, "a client may not send this op")
}

fn empty<'a>(data: &[u8], request: Request<'a>) -> Result<Request<'a>, Refusal> {
    match data {
        [] => Ok(request),
        _ => Err(Refusal::new(Code::MALFORMED, "this op holds no data")),
    }
}

fn decode_list(data: &str) -> Result<Request<'_>, Refusal> {
    match data.split_once('|') {
        None => Ok(Request::List { glob: text::some(data), after: None }),
        Some((_, after)) if after.contains('|') => {
            Err(Refusal::new(Code::MALFORMED, "LIST holds a pattern and a name to begin after, no more"))
        }
        Some((glob, after)) => Ok(Request::List { glob: text::some(glob), after: text::some(after) }),
    }
}

fn decode_send(data: &str) -> Result<Request<'_>, Refusal> {
    let (to, text) = data
        .split_once('|')
        .ok_or_else(|| Refusal::new(Code::MALFORMED, "SEND holds a name, a bar and a text"))?;
    Ok(Request::Send { to: text::address(to)?, text })
}

/// Appends the refusal of a frame, in the form in which an answer to `op` is read: a word where answers are text, a
/// number where they are binary, and `0xFF` where the op has no answer.
pub fn put_refusal(out: &mut impl BufMut, op: u8, data: &[u8], refusal: &Refusal) {
    let Refusal { code, sentence } = refusal;
    match OpCode::from_byte(op) {
        Some(OpCode::Post) => {
            let failure = PostFailure { code: *code, retry_after_ms: 0, sentence };
            PostAnswer { counter: Post::counter_of(data), result: Err(failure) }.put(out);
        }
        Some(known) if !known.is_answered() => text::put_error(out, NOTICE, *code, sentence),
        Some(known) if known.family() == Family::Session => {
            session::put_status(out, op | ANSWER, *code, sentence)
        }
        Some(_) => text::put_error(out, op | ANSWER, *code, sentence),
        None if op < PEER_FIRST => text::put_error(out, op | ANSWER, *code, sentence),
        None => text::put_error(out, NOTICE, *code, sentence),
    }
}
