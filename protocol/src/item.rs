//! What a mailbox holds under a seq, MESSAGE and RECEIPT, and what a client says about it, ACK and READ.

use std::fmt;

use bytes::BufMut;

use crate::NUMBER_LIMIT;
use crate::code::Refusal;
use crate::fields::{Fields, malformed, put_str8};
use crate::frame::put_header;
use crate::name::{Address, NAME_MAX};
use crate::op::OpCode;
use crate::session::MessageId;
use crate::text;

/// MESSAGE: a message under its seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its number in the mailbox: what is acknowledged.
    pub seq: u64,
    /// Its id: what a client knows a message again by.
    pub id: MessageId,
    /// When the server kept it, in ms since 1970.
    pub time_ms: u64,
    /// The sender's name, as it was when the message was sent.
    pub from: &'a str,
    /// The message.
    pub text: &'a str,
}

impl<'a> Message<'a> {
    /// Bytes of data that are neither the sender's name nor the text.
    const FIELDS: usize = 8 + 16 + 8 + 1;
    /// Bytes of data that a message takes beyond its text, with the longest name.
    pub const OVERHEAD_MAX: usize = Message::FIELDS + NAME_MAX;

    pub(crate) fn decode(data: &'a [u8]) -> Result<Message<'a>, Refusal> {
        let mut fields = Fields(data);
        Ok(Message {
            seq: fields.number()?,
            id: fields.id()?,
            time_ms: fields.number()?,
            from: fields.str8()?,
            text: fields.rest()?,
        })
    }

    /// Bytes the frame takes on the wire.
    pub fn wire_len(&self) -> usize {
        crate::frame::HEADER + Message::FIELDS + self.from.len() + self.text.len()
    }

    /// Appends the frame.
    pub fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Message.byte(), Message::FIELDS + self.from.len() + self.text.len());
        out.put_u64(self.seq);
        out.put_slice(self.id.0.as_bytes());
        out.put_u64(self.time_ms);
        put_str8(out, self.from);
        out.put_slice(self.text.as_bytes());
    }
}

/// ACK: ranges of seq numbers, both ends in the range.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ack<'a>(&'a [u8]);

impl<'a> Ack<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<Ack<'a>, Refusal> {
        if data.is_empty() || !data.len().is_multiple_of(16) {
            return Err(malformed("one or more ranges of two numbers"));
        }
        let ack = Ack(data);
        for (first, last) in ack.ranges() {
            if first > last || last >= NUMBER_LIMIT {
                return Err(malformed("a range that ends before it begins, or at 2^63 or later"));
            }
        }
        Ok(ack)
    }

    /// The ranges, first and last number.
    pub fn ranges(self) -> impl Iterator<Item = (u64, u64)> + 'a {
        let (numbers, _) = self.0.as_chunks::<8>();
        let (pairs, _) = numbers.as_chunks::<2>();
        pairs.iter().map(|[first, last]| (u64::from_be_bytes(*first), u64::from_be_bytes(*last)))
    }

    /// Appends the frame of an ACK of these ranges.
    pub fn put(ranges: &[(u64, u64)], out: &mut impl BufMut) {
        put_header(out, OpCode::Ack.byte(), 16 * ranges.len());
        for (first, last) in ranges {
            out.put_u64(*first);
            out.put_u64(*last);
        }
    }

    pub(crate) fn put_self(&self, out: &mut impl BufMut) {
        crate::frame::put(out, OpCode::Ack.byte(), self.0);
    }
}

impl fmt::Debug for Ack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ranges()).finish()
    }
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    /// The first device acknowledged it, or a text session took it.
    Delivered,
    /// Somebody read it.
    Read,
    /// Nobody took it in time.
    Expired,
    /// The recipient's account went before anybody took it.
    Refused,
    /// A state of a later version.
    Other(u8),
}

impl ReceiptState {
    /// The state of a number on the wire.
    pub fn from_byte(byte: u8) -> ReceiptState {
        match byte {
            1 => ReceiptState::Delivered,
            2 => ReceiptState::Read,
            3 => ReceiptState::Expired,
            4 => ReceiptState::Refused,
            other => ReceiptState::Other(other),
        }
    }

    /// The number on the wire.
    pub fn byte(self) -> u8 {
        match self {
            ReceiptState::Delivered => 1,
            ReceiptState::Read => 2,
            ReceiptState::Expired => 3,
            ReceiptState::Refused => 4,
            ReceiptState::Other(byte) => byte,
        }
    }
}

/// RECEIPT: how a message of this device ended; acknowledged by its seq like a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// Its number in the mailbox.
    pub seq: u64,
    /// The id of the message it is about.
    pub id: MessageId,
    /// How the message ended.
    pub state: ReceiptState,
    /// When, in ms since 1970 by the server's clock.
    pub time_ms: u64,
    /// Who took, read or lost it.
    pub peer: &'a str,
}

impl<'a> Receipt<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<Receipt<'a>, Refusal> {
        let mut fields = Fields(data);
        Ok(Receipt {
            seq: fields.number()?,
            id: fields.id()?,
            state: ReceiptState::from_byte(fields.u8()?),
            time_ms: fields.number()?,
            peer: fields.rest()?,
        })
    }

    /// Bytes the frame takes on the wire.
    pub fn wire_len(&self) -> usize {
        crate::frame::HEADER + 33 + self.peer.len()
    }

    /// Appends the frame.
    pub fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Receipt.byte(), 8 + 16 + 1 + 8 + self.peer.len());
        out.put_u64(self.seq);
        out.put_slice(self.id.0.as_bytes());
        out.put_u8(self.state.byte());
        out.put_u64(self.time_ms);
        out.put_slice(self.peer.as_bytes());
    }
}

/// READ: messages that a person read, each with its sender.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Read<'a>(&'a [u8]);

impl<'a> Read<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<Read<'a>, Refusal> {
        if data.is_empty() {
            return Err(malformed("one or more messages"));
        }
        let mut fields = Fields(data);
        while !fields.0.is_empty() {
            fields.id()?;
            text::address(fields.str8()?)?;
        }
        Ok(Read(data))
    }

    /// The messages, each with its sender.
    pub fn entries(self) -> impl Iterator<Item = (MessageId, Address<'a>)> {
        let mut fields = Fields(self.0);
        // `decode` walked the same bytes, so the first refusal here is the end of the data.
        std::iter::from_fn(move || {
            let id = fields.id().ok()?;
            Some((id, text::address(fields.str8().ok()?).ok()?))
        })
    }

    /// Appends the frame of a READ of these messages.
    pub fn put(entries: &[(MessageId, &str)], out: &mut impl BufMut) {
        let len = entries.iter().map(|(_, from)| 17 + from.len()).sum();
        put_header(out, OpCode::Read.byte(), len);
        for (id, from) in entries {
            out.put_slice(id.0.as_bytes());
            put_str8(out, from);
        }
    }

    pub(crate) fn put_self(&self, out: &mut impl BufMut) {
        crate::frame::put(out, OpCode::Read.byte(), self.0);
    }
}

impl fmt::Debug for Read<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}
