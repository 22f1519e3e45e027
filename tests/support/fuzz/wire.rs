//! Bytes to frames, and frames to requests and replies.

use bellhop::raw;
use bellhop_protocol::codec::{CodecError, FrameCodec};
use bellhop_protocol::frame::{self, Frame, HEADER, LIMIT_MAX, TooLong};
use bellhop_protocol::request::put_refusal;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, Reply, Request};
use bytes::BytesMut;
use tokio_util::codec::Decoder;

use super::words::is_harmless;

/// What is found in a stream: the frames, what is left over, and where it ends what is too long.
type Found = (Vec<Frame>, usize, Option<TooLong>);

/// The first two bytes are the limit, the third says how much arrives at once.
pub(super) fn frames(input: &[u8]) {
    let [high, low, piece, stream @ ..] = input else { return };
    let limit = u32::from(u16::from_be_bytes([*high, *low]));
    let whole = found_in_place(stream, limit);
    assert_eq!(found_in_pieces(stream, limit, usize::from(*piece) + 1), whole);
    let (frames, left, _) = whole;
    let taken: usize = frames.iter().map(|frame| HEADER + frame.data.len()).sum();
    assert_eq!(taken + left, stream.len());
    assert!(frames.iter().all(|frame| frame.data.len() <= limit as usize));
}

fn found_in_place(mut stream: &[u8], limit: u32) -> Found {
    let mut frames = Vec::new();
    loop {
        match frame::parse(stream, limit) {
            Ok(Some(frame)) => {
                frames.push(Frame { op: frame.op, data: frame.data.to_vec().into() });
                stream = &stream[frame.wire_len()..];
            }
            Ok(None) => return (frames, stream.len(), None),
            Err(too_long) => return (frames, stream.len(), Some(too_long)),
        }
    }
}

fn found_in_pieces(stream: &[u8], limit: u32, piece: usize) -> Found {
    let (mut codec, mut buffer, mut frames) = (FrameCodec::new(limit), BytesMut::new(), Vec::new());
    let mut unseen = stream.len();
    for piece in stream.chunks(piece) {
        buffer.extend_from_slice(piece);
        unseen -= piece.len();
        let room = buffer.capacity();
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(CodecError::TooLong(too_long)) => {
                    return (frames, buffer.len() + unseen, Some(too_long));
                }
                Err(CodecError::Io(error)) => panic!("{error}"),
            }
        }
        assert!(buffer.capacity() <= room, "room was made for what has not come");
    }
    (frames, buffer.len(), None)
}

/// The first byte is the op-code.
pub(super) fn requests(input: &[u8]) {
    let [op, data @ ..] = input else { return };
    match Request::decode(*op, data) {
        Ok(request) => {
            assert_eq!(request.op(), *op);
            let written = request.to_bytes();
            let frame = frame::parse(&written, LIMIT_MAX).unwrap().unwrap();
            assert_eq!(frame.wire_len(), written.len());
            assert_eq!(Request::decode(frame.op, frame.data), Ok(request));
        }
        Err(refusal) => {
            assert!(refusal.code != Code::OK && Code::ALL.contains(&refusal.code));
            let mut written = Vec::new();
            put_refusal(&mut written, *op, data, &refusal);
            let frame = frame::parse(&written, LIMIT_MAX).unwrap().unwrap();
            assert_eq!(frame.wire_len(), written.len());
            assert!(is_refusal(Reply::decode(frame.op, frame.data).unwrap(), refusal.code), "{refusal}");
        }
    }
}

fn is_refusal(reply: Reply<'_>, code: Code) -> bool {
    match reply {
        Reply::Text(_, TextAnswer::Failed(failure)) | Reply::Refused(_, failure) | Reply::Notice(failure) => {
            failure.reason.code() == Some(code)
        }
        Reply::Posted(answer) => answer.result.is_err_and(|failure| failure.code == code),
        Reply::Unknown(frame) => frame.data.starts_with(format!("error|{code}|").as_bytes()),
        _ => false,
    }
}

/// The first byte is the op-code.
pub(super) fn replies(input: &[u8]) {
    let [op, data @ ..] = input else { return };
    match Reply::decode(*op, data) {
        Ok(reply) => {
            let written = reply.to_bytes();
            let frame = frame::parse(&written, LIMIT_MAX).unwrap().unwrap();
            assert_eq!(frame.op, *op);
            assert_eq!(Reply::decode(frame.op, frame.data), Ok(reply));
        }
        Err(refusal) => assert!(Code::ALL.contains(&refusal.code)),
    }
    let shown = raw::fields(*op, data);
    assert!(shown.iter().all(|field| is_harmless(field, false)), "{shown:?}");
}
