//! The protocol of the bare relay: a length of four bytes, an op-code, the number of who is meant, a text.

use std::io;

use super::{Heard, Proto, Role, State, Target, refused};
use crate::net::Link;

/// I am this one.
pub(crate) const HELLO: u8 = 1;
/// A text for somebody.
pub(crate) const MESSAGE: u8 = 2;
/// The answer to either.
pub(crate) const OK: u8 = 3;
/// Length, op-code, number.
pub(crate) const HEADER: usize = 9;

/// A relay, which may answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relay {
    pub(crate) answers: bool,
}

/// Appends a frame without its text, which has `len` bytes.
pub(crate) fn put(op: u8, party: u32, len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
    out.push(op);
    out.extend_from_slice(&party.to_be_bytes());
}

/// The op-code, the number and the length of the frame that the bytes begin with; `None` while it is incomplete.
pub(crate) fn frame(bytes: &[u8]) -> Option<(u8, u32, usize)> {
    let header = bytes.first_chunk::<HEADER>()?;
    let [a, b, c, d, op, e, f, g, h] = *header;
    let len = HEADER + u32::from_be_bytes([a, b, c, d]) as usize;
    (bytes.len() >= len).then_some((op, u32::from_be_bytes([e, f, g, h]), len))
}

impl Proto for Relay {
    fn answers(&self) -> bool {
        self.answers
    }

    fn login(&self, link: &mut Link, state: &mut State, _: Role) -> io::Result<()> {
        let mut hello = Vec::new();
        put(HELLO, state.party, 0, &mut hello);
        link.say(&hello)?;
        link.hear(|bytes| Some(frame(bytes)?.2)).map(drop)
    }

    fn target(&self, _: u32, to: u32, size: usize) -> Target {
        let mut target = Target::default();
        put(MESSAGE, to, size, &mut target.before);
        target
    }

    fn decode(
        &self,
        _: &mut State,
        input: &[u8],
        _: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some((op, _, len)) = frame(&input[at..]) {
            match op {
                MESSAGE => heard.message(&input[at + HEADER..at + len])?,
                OK => heard.answers += 1,
                _ => return Err(refused(&input[at..at + len])),
            }
            at += len;
        }
        Ok(at)
    }
}
