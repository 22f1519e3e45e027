//! Properties of frames and of what they hold, over generated values.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;

use bellhop_protocol::codec::{CodecError, FrameCodec};
use bellhop_protocol::frame::{self, HEADER, LIMIT_AFTER_LOGIN};
use bellhop_protocol::item::{Ack, Message, Read, Receipt, ReceiptState};
use bellhop_protocol::op::{ANSWER, NOTICE, Sender};
use bellhop_protocol::post::{Post, PostAnswer, PostFailure, PostOk, Posted};
use bellhop_protocol::presence::{Presence, PresenceState, Watch, Watching};
use bellhop_protocol::session::{DeviceId, Hello, NewPassword, Resumed, SessionToken, Welcome};
use bellhop_protocol::text::{Outcome, Secret, TextAnswer};
use bellhop_protocol::{
    Address, Code, Frame, MessageId, NUMBER_LIMIT, Name, OpCode, Reply, Request, VERSION,
};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tokio_util::codec::{Decoder, Encoder};
use uuid::Uuid;

fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,40}"
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9._-]{1,32}", "[äöüßéΣ王小明а-я]{1,10}"]
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![name(), (name(), "[a-z0-9.-]{1,20}").prop_map(|(user, realm)| format!("{user}@{realm}"))]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..NUMBER_LIMIT, 0..10u64, Just(NUMBER_LIMIT - 1)]
}

fn id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(|bytes| MessageId(Uuid::from_bytes(bytes)))
}

/// The frames of all requests.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let frame = |request: Request<'_>| request.to_bytes();
    prop_oneof![
        (name(), prop::option::of("[^\\x00]{1,30}")).prop_map(move |(name, password)| {
            let (name, password) = (Name::parse(&name).unwrap(), password.as_deref().map(Secret));
            frame(Request::Create { name, password })
        }),
        prop::option::of(name()).prop_map(move |name| {
            frame(Request::Logout { name: name.as_deref().map(|name| Name::parse(name).unwrap()) })
        }),
        prop::option::of("[^\\x00]{1,30}").prop_map(move |password| {
            frame(Request::Delete { password: password.as_deref().map(Secret) })
        }),
        Just(frame(Request::Deliver)),
        Just(frame(Request::Token)),
        any::<[u8; 8]>().prop_map(move |bytes| frame(Request::Pong(bytes))),
        (address(), text()).prop_map(move |(to, text)| {
            frame(Request::Send { to: Address::parse(&to).unwrap(), text: &text })
        }),
        (name(), "[^|\\x00]{1,30}").prop_map(move |(name, password)| {
            frame(Request::Login { name: Name::parse(&name).unwrap(), password: Some(Secret(&password)) })
        }),
        ("[a-z*?]{1,9}", name()).prop_map(move |(glob, after)| {
            frame(Request::List { glob: Some(&glob), after: Some(&after) })
        }),
        (any::<[u8; 16]>(), any::<u32>(), text()).prop_map(move |(device, features, agent)| {
            let (version, device) = (VERSION, DeviceId(device));
            frame(Request::Hello(Hello { version, device, features, agent: &agent }))
        }),
        (number(), any::<bool>(), address(), text()).prop_map(move |(counter, receipts, to, text)| {
            let to = Address::parse(&to).unwrap();
            frame(Request::Post(Post { counter: counter.max(1), receipts, to, text: &text }))
        }),
        prop::collection::vec((number(), number()), 1..20).prop_map(|pairs| {
            let ranges: Vec<_> = pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            let mut out = Vec::new();
            Ack::put(&ranges, &mut out);
            out
        }),
        prop::collection::vec((id(), address()), 1..20).prop_map(|entries| {
            let entries: Vec<_> = entries.iter().map(|(id, from)| (*id, from.as_str())).collect();
            let mut out = Vec::new();
            Read::put(&entries, &mut out);
            out
        }),
        prop::collection::vec(address(), 0..20).prop_map(|names| {
            let mut out = Vec::new();
            Watch::put(names.iter().map(String::as_str), &mut out);
            out
        }),
        address().prop_map(move |to| frame(Request::Typing(Address::parse(&to).unwrap()))),
        any::<[u8; 8]>().prop_map(move |bytes| frame(Request::Ping(bytes))),
        any::<[u8; 32]>().prop_map(move |token| frame(Request::Resume(SessionToken(token)))),
        ("[^\\x00]{0,30}", "[^\\x00]{0,30}").prop_map(move |(old, new)| {
            let old = (!old.is_empty()).then_some(Secret(&old));
            frame(Request::Password(NewPassword { old, new: Secret(&new) }))
        }),
    ]
}

/// The frames of all replies that hold something.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let state = any::<u8>().prop_map(ReceiptState::from_byte);
    let posted = prop::sample::select(vec![Posted::Stored, Posted::HandedOver, Posted::SeenBefore]);
    prop_oneof![
        (number(), id(), number(), name(), text()).prop_map(|(seq, id, time_ms, from, text)| {
            Reply::Message(Message { seq, id, time_ms, from: &from, text: &text }).to_bytes()
        }),
        (number(), id(), state, number(), name()).prop_map(|(seq, id, state, time_ms, peer)| {
            Reply::Receipt(Receipt { seq, id, state, time_ms, peer: &peer }).to_bytes()
        }),
        (any::<u64>(), posted, id(), number()).prop_map(|(counter, posted, id, time_ms)| {
            Reply::Posted(PostAnswer { counter, result: Ok(PostOk { posted, id, time_ms }) }).to_bytes()
        }),
        (any::<u64>(), 1..99u16, any::<u32>(), text()).prop_map(
            |(counter, code, retry_after_ms, sentence)| {
                let failure = PostFailure { code: Code(code), retry_after_ms, sentence: &sentence };
                Reply::Posted(PostAnswer { counter, result: Err(failure) }).to_bytes()
            }
        ),
        (any::<u32>(), any::<u16>(), text(), name()).prop_map(|(max_data, window, agent, node)| {
            let welcome = Welcome {
                version: 1,
                features: 0,
                max_data,
                window,
                heartbeat_s: 30,
                agent: &agent,
                node: &node,
            };
            Reply::Welcome(welcome).to_bytes()
        }),
        (any::<[u8; 16]>(), any::<u32>(), any::<[u8; 32]>()).prop_map(|(account, waiting, token)| {
            let account = Uuid::from_bytes(account);
            Reply::Resumed(Resumed { account, waiting, token: SessionToken(token) }).to_bytes()
        }),
        (name(), text()).prop_map(|(from, text)| Reply::Delivery { from: &from, text: &text }.to_bytes()),
        (any::<u8>(), address()).prop_map(|(state, peer)| {
            let state = PresenceState::from_byte(state);
            Reply::Presence(Presence { state, peer: &peer }).to_bytes()
        }),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|states| Reply::Watching(Watching::new(&states)).to_bytes()),
        address().prop_map(|peer| Reply::Typing(&peer).to_bytes()),
        id().prop_map(|id| Reply::Text(OpCode::Send, TextAnswer::Sent(Outcome::Queued, id)).to_bytes()),
    ]
}

/// Feeds `bytes` to a codec in pieces that end at `cuts`; returns the frames and how many bytes were left.
fn decode_in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<(Vec<Frame>, usize), CodecError> {
    let mut codec = FrameCodec::new(LIMIT_AFTER_LOGIN);
    let (mut buffer, mut frames, mut at) = (BytesMut::new(), Vec::new(), 0);
    for end in cuts.iter().copied().chain([bytes.len()]) {
        buffer.extend_from_slice(&bytes[at.min(end)..end]);
        at = at.max(end);
        while let Some(frame) = codec.decode(&mut buffer)? {
            frames.push(frame);
        }
    }
    Ok((frames, buffer.len()))
}

/// A request that no generator makes would go untested without a word.
#[test]
fn every_request_is_generated() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let ops: BTreeSet<u8> =
        (0..500).map(|_| request().new_tree(&mut runner).unwrap().current()[HEADER - 1]).collect();
    let asked = OpCode::ALL.iter().filter(|op| op.sender() != Sender::Server).map(|op| op.byte());
    assert_eq!(ops, asked.chain([OpCode::Ping.answer()]).collect());
}

proptest! {
    #[test]
    fn requests_come_back(bytes in request()) {
        let frame = frame::parse(&bytes, LIMIT_AFTER_LOGIN).unwrap().unwrap();
        let request = Request::decode(frame.op, frame.data).unwrap();
        prop_assert_eq!(request.op(), frame.op);
        prop_assert_eq!(request.to_bytes(), bytes);
    }

    #[test]
    fn replies_come_back(bytes in reply()) {
        let frame = frame::parse(&bytes, LIMIT_AFTER_LOGIN).unwrap().unwrap();
        prop_assert_eq!(Reply::decode(frame.op, frame.data).unwrap().to_bytes(), bytes);
    }

    #[test]
    fn any_split_gives_the_same_frames(
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)), 1..12),
        mut cuts in prop::collection::vec(0usize..700, 0..40),
    ) {
        let frames: Vec<_> = frames.into_iter().map(|(op, data)| Frame { op, data: Bytes::from(data) }).collect();
        let mut bytes = BytesMut::new();
        for frame in &frames {
            FrameCodec::new(LIMIT_AFTER_LOGIN).encode(frame.clone(), &mut bytes).unwrap();
        }
        cuts.retain(|cut| *cut <= bytes.len());
        cuts.sort_unstable();
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        for cuts in [&cuts, &every_byte, &vec![]] {
            let (found, left) = decode_in_pieces(&bytes, cuts).unwrap();
            prop_assert_eq!(&found, &frames);
            prop_assert_eq!(left, 0);
        }
    }

    #[test]
    fn every_prefix_is_incomplete(bytes in prop_oneof![request(), reply()]) {
        for end in 0..bytes.len() {
            prop_assert_eq!(frame::parse(&bytes[..end], LIMIT_AFTER_LOGIN), Ok(None));
        }
    }

    #[test]
    fn a_mutation_is_an_error_or_a_valid_frame(
        mut bytes in prop_oneof![request(), reply()],
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let Ok(Some(frame)) = frame::parse(&bytes, LIMIT_AFTER_LOGIN) else { return Ok(()) };
        if let Ok(request) = Request::decode(frame.op, frame.data) {
            // Only HELLO may hold more than its fields, and an empty field may stand for none.
            let written = request.to_bytes();
            let again = frame::parse(&written, LIMIT_AFTER_LOGIN).unwrap().unwrap();
            prop_assert_eq!(Request::decode(again.op, again.data), Ok(request));
        }
        if let Ok(reply) = Reply::decode(frame.op, frame.data) {
            let written = reply.to_bytes();
            let again = frame::parse(&written, LIMIT_AFTER_LOGIN).unwrap().unwrap();
            prop_assert_eq!(Reply::decode(again.op, again.data), Ok(reply));
        }
    }

    #[test]
    fn no_data_makes_a_decoder_fail_otherwise(op in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..200)) {
        // An answer is a value or a refusal that names its code; anything else is a panic, which fails here.
        if let Err(refusal) = Request::decode(op, &data) {
            prop_assert!(Code::ALL.contains(&refusal.code));
        }
        if let Err(refusal) = Reply::decode(op, &data) {
            prop_assert!(Code::ALL.contains(&refusal.code));
        }
    }

    #[test]
    fn a_decoder_reserves_nothing_for_a_length(len in 0..=LIMIT_AFTER_LOGIN, op in any::<u8>(), sent in 0..100usize) {
        let mut codec = FrameCodec::new(LIMIT_AFTER_LOGIN);
        let mut buffer = BytesMut::new();
        frame::put_header(&mut buffer, op, len as usize);
        buffer.extend_from_slice(&vec![0; sent.min((len as usize).saturating_sub(1))]);
        let before = buffer.capacity();
        if codec.decode(&mut buffer).unwrap().is_none() {
            prop_assert_eq!(buffer.capacity(), before);
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_from_its_header(len in LIMIT_AFTER_LOGIN + 1.., op in any::<u8>()) {
        let mut buffer = BytesMut::from(&[len.to_be_bytes().as_slice(), &[op]].concat()[..]);
        let refused = FrameCodec::new(LIMIT_AFTER_LOGIN).decode(&mut buffer);
        prop_assert!(matches!(refused, Err(CodecError::TooLong(too_long)) if too_long.len == len));
        prop_assert_eq!(buffer.len(), HEADER);
    }
}

#[test]
fn answers_to_unknown_ops_survive() {
    for op in (0x10..0x40).map(|op| op | ANSWER).filter(|op| *op != NOTICE) {
        let bytes = Reply::decode(op, b"anything").unwrap().to_bytes();
        assert_eq!(bytes, [&[0, 0, 0, 8, op], &b"anything"[..]].concat());
    }
}
