//! The frame: a 4-byte length, a 1-byte op-code and that many bytes of data (PROTOCOL.md, "The frame").
//!
//! [`parse`] looks at bytes in place and never copies or reserves anything; an incomplete frame is a normal value. A
//! frame over the limit is refused from its header alone.

use bytes::{BufMut, Bytes};

/// Bytes before the data: the length and the op-code.
pub const HEADER: usize = 5;
/// The limit on data before login.
pub const LIMIT_BEFORE_LOGIN: u32 = 1_024;
/// The usual limit on data after login; HELLO announces the server's.
pub const LIMIT_AFTER_LOGIN: u32 = 65_536;
/// The highest limit a server may set: the first byte of a legal frame stays 0x00.
pub const LIMIT_MAX: u32 = (1 << 24) - 1;

/// A frame that owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The op-code, known or not.
    pub op: u8,
    /// The data, without the header.
    pub data: Bytes,
}

/// A frame whose data lies in somebody else's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// The op-code, known or not.
    pub op: u8,
    /// The data, without the header.
    pub data: &'a [u8],
}

impl RawFrame<'_> {
    /// Bytes the frame takes on the wire.
    pub fn wire_len(&self) -> usize {
        HEADER + self.data.len()
    }
}

/// A header that announces more data than the limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {len} bytes, the limit is {limit}")]
pub struct TooLong {
    /// The op-code of the refused frame.
    pub op: u8,
    /// The length it announced, in bytes of data.
    pub len: u32,
    /// The limit it broke, in bytes of data.
    pub limit: u32,
}

/// Returns the frame at the start of `bytes`; `None` while it is incomplete.
///
/// # Errors
///
/// [`TooLong`] as soon as the five bytes of a header announce more than `limit` bytes of data.
pub fn parse(bytes: &[u8], limit: u32) -> Result<Option<RawFrame<'_>>, TooLong> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [a, b, c, d, op] = *header;
    let len = u32::from_be_bytes([a, b, c, d]);
    if len > limit {
        return Err(TooLong { op, len, limit });
    }
    // Where a length does not fit the machine's addresses, the frame does not either, and is never complete.
    let data = usize::try_from(len).ok().and_then(|len| rest.get(..len));
    Ok(data.map(|data| RawFrame { op, data }))
}

/// Appends the header of a frame that holds `len` bytes of data.
///
/// # Panics
///
/// When `len` does not fit the limit of any server ([`LIMIT_MAX`]).
pub fn put_header(out: &mut impl BufMut, op: u8, len: usize) {
    let announced = u32::try_from(len).unwrap_or(u32::MAX);
    assert!(announced <= LIMIT_MAX, "no frame holds {len} bytes");
    out.put_u32(announced);
    out.put_u8(op);
}

/// Appends a whole frame.
///
/// # Panics
///
/// As [`put_header`].
pub fn put(out: &mut impl BufMut, op: u8, data: &[u8]) {
    put_header(out, op, data.len());
    out.put_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_five_bytes_and_its_data() {
        let bytes = b"\0\0\0\x06\x05bob|hi\0\0";
        let frame = parse(bytes, 6).expect("within the limit").expect("complete");
        assert_eq!(frame, RawFrame { op: 5, data: b"bob|hi" });
        assert_eq!(frame.wire_len(), 11);
    }

    #[test]
    fn too_long_is_said_from_the_header_alone() {
        assert_eq!(parse(b"\0\0\0\x07", 6), Ok(None));
        assert_eq!(parse(b"\0\0\0\x07\x05", 6), Err(TooLong { op: 5, len: 7, limit: 6 }));
        assert_eq!(parse(b"\xff\xff\xff\xff\x05", 6), Err(TooLong { op: 5, len: u32::MAX, limit: 6 }));
    }
}
