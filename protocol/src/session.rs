//! Who speaks: HELLO, TOKEN, RESUME and PASSWORD with their answers, and the ids of the session extension (PROTOCOL.md,
//! "The session extension"). Messages are in [`post`](crate::post) and [`item`](crate::item).

use std::fmt;

use bytes::BufMut;
use uuid::Uuid;

use crate::VERSION;
use crate::code::{Code, Failure, Reason, Refusal};
use crate::fields::{Fields, put_str8, put_str16};
use crate::frame::put_header;
use crate::op::OpCode;
use crate::text::{self, Secret};

/// The 128 random bits that a client keeps as its device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub [u8; 16]);

/// A message's id: of version 8 for a POST, of version 4 for a SEND.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

/// 256 random bits that stand for a password; its `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionToken(pub [u8; 32]);

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({})", Uuid::from_bytes(self.0).simple())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// HELLO: opens the extension; the first frame of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The version the client speaks.
    pub version: u16,
    /// The client's device.
    pub device: DeviceId,
    /// What the client wants beyond the version: bits of [`presence`](crate::presence).
    pub features: u32,
    /// What the client is, for logs.
    pub agent: &'a str,
}

impl<'a> Hello<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<Hello<'a>, Refusal> {
        let mut fields = Fields(data);
        let version = fields.u16()?;
        // What follows has the shape of this version, which another one need not have.
        if version != VERSION {
            return Err(Refusal::new(Code::VERSION, format!("this server speaks version {VERSION}")));
        }
        // Bytes after the last field are room to grow.
        Ok(Hello {
            version,
            device: DeviceId(*fields.array()?),
            features: fields.u32()?,
            agent: fields.str8()?,
        })
    }

    pub(crate) fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Hello.byte(), 2 + 16 + 4 + 1 + self.agent.len());
        out.put_u16(self.version);
        out.put_slice(&self.device.0);
        out.put_u32(self.features);
        put_str8(out, self.agent);
    }
}

/// PASSWORD: gives the account that is logged in another password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPassword<'a> {
    /// The password until now; `None` for an account without one.
    pub old: Option<Secret<'a>>,
    /// The password from now on.
    pub new: Secret<'a>,
}

impl<'a> NewPassword<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<NewPassword<'a>, Refusal> {
        let mut fields = Fields(data);
        let old = text::some(fields.str16()?).map(Secret);
        Ok(NewPassword { old, new: Secret(fields.rest()?) })
    }

    pub(crate) fn put(&self, out: &mut impl BufMut) {
        let old = self.old.map_or("", |secret| secret.0);
        put_header(out, OpCode::Password.byte(), 2 + old.len() + self.new.0.len());
        put_str16(out, old);
        out.put_slice(self.new.0.as_bytes());
    }
}

/// HELLO's answer on success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// The version the server speaks.
    pub version: u16,
    /// Which of what the client wants it has here.
    pub features: u32,
    /// The limit on a frame's data after login, in bytes.
    pub max_data: u32,
    /// How many unacknowledged items the server sends at most.
    pub window: u16,
    /// After how much silence the server sends a PING, in seconds.
    pub heartbeat_s: u16,
    /// What the server is.
    pub agent: &'a str,
    /// Which server it is.
    pub node: &'a str,
}

impl<'a> Welcome<'a> {
    fn decode(mut fields: Fields<'a>) -> Result<Welcome<'a>, Refusal> {
        Ok(Welcome {
            version: fields.u16()?,
            features: fields.u32()?,
            max_data: fields.u32()?,
            window: fields.u16()?,
            heartbeat_s: fields.u16()?,
            agent: fields.str8()?,
            node: fields.str8()?,
        })
    }

    /// Appends the frame.
    pub fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Hello.answer(), 18 + self.agent.len() + self.node.len());
        out.put_u16(Code::OK.0);
        out.put_u16(self.version);
        out.put_u32(self.features);
        out.put_u32(self.max_data);
        out.put_u16(self.window);
        out.put_u16(self.heartbeat_s);
        put_str8(out, self.agent);
        put_str8(out, self.node);
    }
}

/// RESUME's answer on success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The account's uuid.
    pub account: Uuid,
    /// How many messages wait.
    pub waiting: u32,
    /// The token for the next time.
    pub token: SessionToken,
}

impl Resumed {
    fn decode(mut fields: Fields<'_>) -> Result<Resumed, Refusal> {
        let resumed = Resumed {
            account: Uuid::from_bytes(*fields.array()?),
            waiting: fields.u32()?,
            token: SessionToken(*fields.array()?),
        };
        fields.end()?;
        Ok(resumed)
    }

    /// Appends the frame.
    pub fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Resume.answer(), 2 + 16 + 4 + 32);
        out.put_u16(Code::OK.0);
        out.put_slice(self.account.as_bytes());
        out.put_u32(self.waiting);
        out.put_slice(&self.token.0);
    }
}

/// Appends TOKEN's answer on success.
pub fn put_token(token: &SessionToken, out: &mut impl BufMut) {
    put_header(out, OpCode::Token.answer(), 2 + 32);
    out.put_u16(Code::OK.0);
    out.put_slice(&token.0);
}

/// Appends PASSWORD's answer on success.
pub fn put_password_changed(out: &mut impl BufMut) {
    put_header(out, OpCode::Password.answer(), 2);
    out.put_u16(Code::OK.0);
}

/// Appends the refusal of HELLO, PING, TOKEN, RESUME, WATCH or PASSWORD: status, sentence.
pub fn put_status(out: &mut impl BufMut, op: u8, code: Code, sentence: &str) {
    put_header(out, op, 2 + sentence.len());
    out.put_u16(code.0);
    out.put_slice(sentence.as_bytes());
}

/// What a binary answer that begins with a status holds after it.
pub(crate) enum Status<'a> {
    Ok(Fields<'a>),
    Failed(Failure<'a>),
}

pub(crate) fn status(data: &[u8]) -> Result<Status<'_>, Refusal> {
    let mut fields = Fields(data);
    let code = Code(fields.u16()?);
    if code == Code::OK {
        return Ok(Status::Ok(fields));
    }
    Ok(Status::Failed(Failure { reason: Reason::Number(code), sentence: fields.rest()? }))
}

pub(crate) fn welcome(fields: Fields<'_>) -> Result<Welcome<'_>, Refusal> {
    Welcome::decode(fields)
}

pub(crate) fn token(mut fields: Fields<'_>) -> Result<SessionToken, Refusal> {
    let token = SessionToken(*fields.array()?);
    fields.end()?;
    Ok(token)
}

pub(crate) fn resumed(fields: Fields<'_>) -> Result<Resumed, Refusal> {
    Resumed::decode(fields)
}
