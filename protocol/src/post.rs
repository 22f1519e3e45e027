//! POST and its answer: a message under the device's own counter (PROTOCOL.md, "POST").

use byteorder::{BigEndian, ByteOrder};
use bytes::BufMut;

use crate::code::{Code, Refusal};
use crate::fields::{Fields, malformed, put_str8};
use crate::frame::put_header;
use crate::name::Address;
use crate::op::OpCode;
use crate::session::MessageId;
use crate::text;

/// POST: a message under the device's own counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Post<'a> {
    /// The device's counter, 1 to 2^63 - 1, rising.
    pub counter: u64,
    /// True where the sender wants to learn how the message ends.
    pub receipts: bool,
    /// The recipient.
    pub to: Address<'a>,
    /// The message.
    pub text: &'a str,
}

const RECEIPTS: u8 = 1;

impl<'a> Post<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<Post<'a>, Refusal> {
        let mut fields = Fields(data);
        let counter = fields.number()?;
        let flags = fields.u8()?;
        let to = fields.str8()?;
        let text = fields.rest()?;
        if counter == 0 {
            return Err(malformed("counters begin at 1"));
        }
        if flags & !RECEIPTS != 0 {
            return Err(malformed("a flag without a meaning"));
        }
        Ok(Post { counter, receipts: flags == RECEIPTS, to: text::address(to)?, text })
    }

    pub(crate) fn put(&self, out: &mut impl BufMut) {
        put_header(out, OpCode::Post.byte(), 8 + 1 + 1 + self.to.len() + self.text.len());
        out.put_u64(self.counter);
        out.put_u8(if self.receipts { RECEIPTS } else { 0 });
        put_str8(out, &self.to.to_string());
        out.put_slice(self.text.as_bytes());
    }

    /// The counter of a POST whose data may be malformed: what an answer to it carries; 0 where there is none.
    pub fn counter_of(data: &[u8]) -> u64 {
        data.first_chunk::<8>().map_or(0, |counter| BigEndian::read_u64(counter))
    }
}

/// What became of a POST at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It is kept and waits.
    Stored,
    /// It is kept and was written towards a live session.
    HandedOver,
    /// The counter was accepted before; nothing was stored.
    SeenBefore,
}

/// POST's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostAnswer<'a> {
    /// The counter of the POST.
    pub counter: u64,
    /// What became of it.
    pub result: Result<PostOk, PostFailure<'a>>,
}

/// An accepted POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostOk {
    /// What became of it at first.
    pub posted: Posted,
    /// The message's id.
    pub id: MessageId,
    /// When it was kept, in ms since 1970 by the server's clock; 0 for [`Posted::SeenBefore`].
    pub time_ms: u64,
}

/// A refused POST: it is certain that nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostFailure<'a> {
    /// Why.
    pub code: Code,
    /// When it may be worth another try, in ms; 0 where nothing is known.
    pub retry_after_ms: u32,
    /// Why, for a person.
    pub sentence: &'a str,
}

impl<'a> PostAnswer<'a> {
    pub(crate) fn decode(data: &'a [u8]) -> Result<PostAnswer<'a>, Refusal> {
        let mut fields = Fields(data);
        let code = Code(fields.u16()?);
        // Not checked for its range: a refusal repeats whatever the POST held.
        let counter = BigEndian::read_u64(fields.array::<8>()?);
        if code != Code::OK {
            let failure = PostFailure { code, retry_after_ms: fields.u32()?, sentence: fields.rest()? };
            return Ok(PostAnswer { counter, result: Err(failure) });
        }
        let posted = match fields.u8()? {
            0 => Posted::Stored,
            1 => Posted::HandedOver,
            2 => Posted::SeenBefore,
            _ => return Err(malformed("an outcome without a meaning")),
        };
        let ok = PostOk { posted, id: fields.id()?, time_ms: fields.number()? };
        fields.end()?;
        Ok(PostAnswer { counter, result: Ok(ok) })
    }

    /// Appends the frame.
    pub fn put(&self, out: &mut impl BufMut) {
        let op = OpCode::Post.answer();
        match &self.result {
            Ok(ok) => {
                put_header(out, op, 2 + 8 + 1 + 16 + 8);
                out.put_u16(Code::OK.0);
                out.put_u64(self.counter);
                out.put_u8(match ok.posted {
                    Posted::Stored => 0,
                    Posted::HandedOver => 1,
                    Posted::SeenBefore => 2,
                });
                out.put_slice(ok.id.0.as_bytes());
                out.put_u64(ok.time_ms);
            }
            Err(failure) => {
                put_header(out, op, 2 + 8 + 4 + failure.sentence.len());
                out.put_u16(failure.code.0);
                out.put_u64(self.counter);
                out.put_u32(failure.retry_after_ms);
                out.put_slice(failure.sentence.as_bytes());
            }
        }
    }
}
