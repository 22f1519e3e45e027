//! Who is online and who is typing: WATCH with its answer, PRESENCE and TYPING (PROTOCOL.md, "Presence").

use std::fmt;

use bytes::BufMut;

use crate::code::{Code, Refusal};
use crate::fields::{Fields, malformed, put_str8};
use crate::frame::put_header;
use crate::name::Address;
use crate::op::OpCode;
use crate::text;

/// The bit of HELLO's features for WATCH, PRESENCE and TYPING.
pub const PRESENCE: u32 = 1;
/// The bit of HELLO's features of a session that does not make its account appear online.
pub const HIDDEN: u32 = 2;

/// Whether somebody is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceState {
    /// No session of theirs receives messages, or nobody has the name.
    Offline,
    /// A session of theirs receives messages.
    Online,
    /// A state of a later version.
    Other(u8),
}

impl PresenceState {
    /// The state of a number on the wire.
    pub fn from_byte(byte: u8) -> PresenceState {
        match byte {
            0 => PresenceState::Offline,
            1 => PresenceState::Online,
            other => PresenceState::Other(other),
        }
    }

    /// The number on the wire.
    pub fn byte(self) -> u8 {
        match self {
            PresenceState::Offline => 0,
            PresenceState::Online => 1,
            PresenceState::Other(byte) => byte,
        }
    }
}

/// WATCH: the names that the session wants to know about from now on, in place of those before; none to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Watch<'a>(&'a [u8]);

impl<'a> Watch<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<Watch<'a>, Refusal> {
        let mut fields = Fields(data);
        while !fields.0.is_empty() {
            text::address(fields.str8()?)?;
        }
        Ok(Watch(data))
    }

    /// The names, each as it was written.
    pub fn names(self) -> impl Iterator<Item = Address<'a>> {
        let mut fields = Fields(self.0);
        // `decode` walked the same bytes, so the first refusal here is the end of the data.
        std::iter::from_fn(move || text::address(fields.str8().ok()?).ok())
    }

    /// Appends the frame of a WATCH of these names.
    pub fn put<'n>(names: impl Iterator<Item = &'n str> + Clone, out: &mut impl BufMut) {
        put_header(out, OpCode::Watch.byte(), names.clone().map(|name| 1 + name.len()).sum());
        names.for_each(|name| put_str8(out, name));
    }

    pub(crate) fn put_self(&self, out: &mut impl BufMut) {
        crate::frame::put(out, OpCode::Watch.byte(), self.0);
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// WATCH's answer on success: a state for each name, in the order in which they were given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Watching<'a>(&'a [u8]);

impl<'a> Watching<'a> {
    pub(crate) fn of(fields: Fields<'a>) -> Watching<'a> {
        Watching(fields.0)
    }

    /// The answer with these states, one byte each.
    pub fn new(states: &'a [u8]) -> Watching<'a> {
        Watching(states)
    }

    /// The states.
    pub fn states(self) -> impl Iterator<Item = PresenceState> + 'a {
        self.0.iter().map(|byte| PresenceState::from_byte(*byte))
    }

    /// Appends the frame.
    pub fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Watch.answer(), 2 + self.0.len());
        out.put_u16(Code::OK.0);
        out.put_slice(self.0);
    }
}

impl fmt::Debug for Watching<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

/// PRESENCE: somebody who is watched came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence<'a> {
    /// What is true of them now.
    pub state: PresenceState,
    /// Who, as WATCH named them.
    pub peer: &'a str,
}

impl<'a> Presence<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<Presence<'a>, Refusal> {
        let mut fields = Fields(data);
        let presence = Presence { state: PresenceState::from_byte(fields.u8()?), peer: fields.rest()? };
        named(presence.peer).map(|()| presence)
    }

    /// Appends the frame.
    pub fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Presence.byte(), 1 + self.peer.len());
        out.put_u8(self.state.byte());
        out.put_slice(self.peer.as_bytes());
    }
}

/// What a server says in TYPING: who is typing, as WATCH named them.
pub(crate) fn typist(data: &[u8]) -> Result<&str, Refusal> {
    let peer = Fields(data).rest()?;
    named(peer).map(|()| peer)
}

/// Appends TYPING with a name: the recipient's from a client, the typist's from a server.
pub fn put_typing(peer: &str, out: &mut impl BufMut) {
    crate::frame::put(out, OpCode::Typing.byte(), peer.as_bytes());
}

/// Reads TYPING as a client's: for whom it is.
pub(crate) fn typing_to(data: &[u8]) -> Result<Address<'_>, Refusal> {
    text::address(Fields(data).rest()?)
}

fn named(peer: &str) -> Result<(), Refusal> {
    if peer.is_empty() { Err(malformed("nobody is named")) } else { Ok(()) }
}
