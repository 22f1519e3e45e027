//! Frames as a tokio-util `Decoder` and `Encoder`: [`crate::frame`] over a buffer that grows by itself.

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::frame::{self, Frame, HEADER, TooLong};

/// Cuts frames from a byte stream and writes them to one.
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    limit: u32,
}

/// Why a stream of frames ended in error.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The peer announced a frame over the limit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The transport failed, or ended within a frame.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl FrameCodec {
    /// A codec that takes frames of up to `limit` bytes of data.
    pub fn new(limit: u32) -> FrameCodec {
        FrameCodec { limit }
    }

    /// Sets the limit of the frames that are decoded from now on.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = CodecError;

    // Nothing is reserved here: a length that a peer announced costs nothing until its bytes have come.
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        let Some(found) = frame::parse(bytes, self.limit)? else {
            return Ok(None);
        };
        let (op, len) = (found.op, found.data.len());
        bytes.advance(HEADER);
        Ok(Some(Frame { op, data: bytes.split_to(len).freeze() }))
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), CodecError> {
        out.reserve(HEADER + frame.data.len());
        frame::put(out, frame.op, &frame.data);
        Ok(())
    }
}
