//! Reads and writes the binary fields of the session extension.
//!
//! All integers are big-endian. `str8` is a length of one byte and that much UTF-8, `str16` the same with a length of
//! two; `rest` runs to the end of the frame. A length is checked before anything is read, and nothing is ever reserved for it.

use byteorder::{BigEndian, ByteOrder};
use bytes::BufMut;
use uuid::Uuid;

use crate::NUMBER_LIMIT;
use crate::code::{Code, Refusal};
use crate::session::MessageId;
use crate::text;

/// Reads fields from the front of a frame's data.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Refusal> {
        let (field, rest) = self.0.split_first_chunk().ok_or_else(too_short)?;
        self.0 = rest;
        Ok(field)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Refusal> {
        let [byte] = self.array::<1>()?;
        Ok(*byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Refusal> {
        Ok(BigEndian::read_u16(self.array::<2>()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Refusal> {
        Ok(BigEndian::read_u32(self.array::<4>()?))
    }

    /// A seq, a counter or a time: below 2^63, so that it fits a signed column anywhere.
    pub(crate) fn number(&mut self) -> Result<u64, Refusal> {
        let number = BigEndian::read_u64(self.array::<8>()?);
        if number < NUMBER_LIMIT { Ok(number) } else { Err(malformed("a number of 2^63 or more")) }
    }

    pub(crate) fn id(&mut self) -> Result<MessageId, Refusal> {
        Ok(MessageId(Uuid::from_bytes(*self.array()?)))
    }

    pub(crate) fn str8(&mut self) -> Result<&'a str, Refusal> {
        let len = usize::from(self.u8()?);
        let (field, rest) = self.0.split_at_checked(len).ok_or_else(too_short)?;
        self.0 = rest;
        text::text(field)
    }

    pub(crate) fn str16(&mut self) -> Result<&'a str, Refusal> {
        let len = usize::from(self.u16()?);
        let (field, rest) = self.0.split_at_checked(len).ok_or_else(too_short)?;
        self.0 = rest;
        text::text(field)
    }

    pub(crate) fn rest(&mut self) -> Result<&'a str, Refusal> {
        text::text(std::mem::take(&mut self.0))
    }

    pub(crate) fn end(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("bytes after the last field")) }
    }
}

pub(crate) fn malformed(sentence: &'static str) -> Refusal {
    Refusal::new(Code::MALFORMED, sentence)
}

fn too_short() -> Refusal {
    malformed("the data ends within a field")
}

/// Reads exactly one array and nothing after it.
pub(crate) fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], Refusal> {
    let mut fields = Fields(data);
    let array = *fields.array()?;
    fields.end()?;
    Ok(array)
}

pub(crate) fn put_str8(out: &mut impl BufMut, text: &str) {
    let len = u8::try_from(text.len()).expect("a str8 holds at most 255 bytes");
    out.put_u8(len);
    out.put_slice(text.as_bytes());
}

pub(crate) fn put_str16(out: &mut impl BufMut, text: &str) {
    let len = u16::try_from(text.len()).expect("a str16 holds at most 65535 bytes");
    out.put_u16(len);
    out.put_slice(text.as_bytes());
}
