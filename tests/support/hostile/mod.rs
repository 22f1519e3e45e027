//! What hostile peers say, as values: a case is a state of the connection and the bytes that follow. The same seed gives
//! the same cases; every class of the table of inputs is among them in full, and mixtures of them fill up.

mod fields;
pub mod honest;
mod mixed;
#[cfg(target_os = "linux")]
pub mod sockets;
pub mod swift;
pub mod words;

use bellhop_protocol::frame::{self, LIMIT_MAX};
use bellhop_protocol::op::{ANSWER, NOTICE};
use bellhop_protocol::presence::PRESENCE;
use bellhop_protocol::session::Hello;
use bellhop_protocol::{Code, DeviceId, OpCode, Reply, Request};

pub use mixed::mixed;

use crate::line::frames;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was said.
    Connected,
    /// HELLO was answered.
    Greeted,
    /// Logged in without HELLO.
    Text,
    /// Logged in after HELLO.
    Hello,
    /// The stream of messages is open.
    Stream,
    /// Logged in once, and out again.
    LoggedOut,
}

/// What somebody says, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The class it is of.
    pub class: &'static str,
    /// How far the connection has come.
    pub state: State,
    /// What is said then.
    pub bytes: Vec<u8>,
}

impl State {
    /// All of them.
    pub const ALL: [State; 6] =
        [State::Connected, State::Greeted, State::Text, State::Hello, State::Stream, State::LoggedOut];

    /// What leads there on an open listener, whether or not the account is there.
    pub fn prelude(self, name: &str) -> Vec<u8> {
        // One of the two is refused.
        self.after(&[said(OpCode::Login, name.as_bytes()), said(OpCode::Create, name.as_bytes())].concat())
    }

    /// What leads there, where this logs in.
    pub fn after(self, login: &[u8]) -> Vec<u8> {
        let hello = || {
            let device = DeviceId([0xA5; 16]);
            Request::Hello(Hello { version: 1, device, features: PRESENCE, agent: "hostile" }).to_bytes()
        };
        match self {
            State::Connected => Vec::new(),
            State::Greeted => hello(),
            State::Text => login.to_vec(),
            State::Hello => [&hello(), login].concat(),
            State::Stream => [&hello(), login, &said(OpCode::Deliver, b"")].concat(),
            State::LoggedOut => [login, &said(OpCode::Logout, b"")].concat(),
        }
    }
}

/// A frame.
pub fn said(op: OpCode, data: &[u8]) -> Vec<u8> {
    framed(op.byte(), data)
}

/// A frame with any op-code.
pub fn framed(op: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::put(&mut bytes, op, data);
    bytes
}

/// The frames of a client in `golden.txt`.
pub fn golden() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let mut client = false;
    let lines = include_str!("../../../protocol/tests/golden.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(field) if client => {
                let digits = field.split("  ").next().unwrap_or_default();
                let bytes = digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap());
                frames.last_mut().unwrap().extend(bytes);
            }
            None if !line.is_empty() => {
                client = line.ends_with(" client");
                frames.extend(client.then(Vec::new));
            }
            _ => {}
        }
    }
    frames
}

/// Every case of the classes, in every state.
pub fn classes() -> Vec<Case> {
    let frames = fields::frames().into_iter().chain(lengths()).chain(cuts()).chain(not_allowed());
    let frames: Vec<(&str, Vec<u8>)> = frames.collect();
    let in_states = |(class, bytes): &(&'static str, Vec<u8>)| {
        let (class, bytes) = (*class, bytes.clone());
        // A password is dear to check, and is checked in one state like in another.
        let states = if costs_a_hash(&bytes) { &[State::Hello][..] } else { &State::ALL };
        states.iter().map(move |state| Case { class, state: *state, bytes: bytes.clone() })
    };
    frames.iter().flat_map(in_states).collect()
}

/// Lengths that are too much, or that nothing follows.
fn lengths() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let edges = [1_024, 65_536].map(|max| [max - 1, max, max + 1]).concat();
    let edges = edges.into_iter().chain([0, 1, (1 << 31) - 1, 1 << 31, u32::MAX]);
    let follows = [&b""[..], b"x", b"\0\0\0\x03\0\xff\xff\xff\xff\xff\xff"];
    let ops = [0x00, 0x05, 0x07, 0x08, 0x0A, 0x0B, 0x0F, 0x10, 0x11, 0x13, 0x40, 0x8B, 0xFF];
    edges.flat_map(move |len: u32| {
        ops.into_iter().flat_map(move |op| {
            follows.map(|rest| ("B1 lengths", [&len.to_be_bytes()[..], &[op], rest].concat()))
        })
    })
}

/// Every frame cut at each byte, longer by one, and with each byte of it one more or less.
fn cuts() -> Vec<(&'static str, Vec<u8>)> {
    let mut cases = Vec::new();
    for frame in golden() {
        cases.extend((0..=frame.len()).map(|end| ("B3 cut", frame[..end].to_vec())));
        cases.push(("B3 longer", framed(frame[4], &[&frame[5..], b"x"].concat())));
        for at in 0..frame.len() {
            for by in [1, u8::MAX] {
                let mut frame = frame.clone();
                frame[at] = frame[at].wrapping_add(by);
                cases.push(("B3 a byte more or less", frame));
            }
        }
    }
    cases
}

/// Ops that only servers send, to clients or to each other, with data that would do for one.
fn not_allowed() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let ops = (0x40..=0xFF).chain([OpCode::Message, OpCode::Receipt, OpCode::Presence].map(OpCode::byte));
    ops.flat_map(|op| {
        [&b""[..], b"ok", b"error|busy|go away", &[7; 41]].map(|data| ("B13 not allowed", framed(op, data)))
    })
}

/// What a stream of bytes holds: whole frames, and those of them that are answered in any case.
fn asked(mut bytes: &[u8]) -> (usize, usize) {
    let silent = [OpCode::Ack.byte(), OpCode::Read.byte(), OpCode::Typing.byte(), OpCode::Ping.answer()];
    let (mut whole, mut owed) = (0, 0);
    while let Ok(Some(frame)) = frame::parse(bytes, LIMIT_MAX) {
        whole += 1;
        owed += usize::from(!silent.contains(&frame.op));
        bytes = &bytes[frame.wire_len()..];
    }
    (whole, owed)
}

/// Judges what a server wrote to whoever said `input` and then no more: whole frames that a client can read, an answer to
/// each request and no other, unless it says that it closes.
///
/// # Panics
///
/// Where it is not so.
pub fn judge(input: &[u8], output: &[u8]) {
    let items = [OpCode::Deliver, OpCode::Message, OpCode::Receipt];
    let others = [OpCode::Ping, OpCode::Presence, OpCode::Typing];
    let pushes: Vec<u8> = items.iter().chain(&others).map(|op| op.byte()).collect();
    let (mut answers, mut closes) = (0, false);
    for got in frames(output) {
        let reply = Reply::decode(got.op, &got.data);
        let reply = reply.unwrap_or_else(|refusal| panic!("{refusal}: {got:?} to {input:02x?}"));
        if let Reply::Unknown(frame) = reply {
            assert!(frame.op & ANSWER != 0 && frame.data.starts_with(b"error|"), "{got:?} to {input:02x?}");
        }
        answers += usize::from(!pushes.contains(&got.op));
        let too_long = Code::TOO_LONG.0.to_be_bytes();
        closes |= got.op == NOTICE && !got.data.starts_with(b"error|not-allowed|")
            || got.data.starts_with(b"error|too-long|")
            || got.data.starts_with(&too_long);
    }
    let (whole, owed) = asked(input);
    assert!(answers <= whole + 1, "{answers} answers to {whole} requests: {input:02x?}, {output:02x?}");
    assert!(closes || answers >= owed, "{answers} answers, {owed} are owed: {input:02x?}, {output:02x?}");
}

/// True if and only if a frame among these brings a password that may have to be hashed.
pub fn costs_a_hash(mut said: &[u8]) -> bool {
    while let Ok(Some(frame)) = frame::parse(said, LIMIT_MAX) {
        said = &said[frame.wire_len()..];
        if frame.op == OpCode::Password.byte() && frame.data.len() > 2 {
            return true;
        }
        let credentials = [OpCode::Create, OpCode::Login].map(OpCode::byte).contains(&frame.op);
        if credentials && frame.data.split(|byte| *byte == b'|').nth(1).is_some_and(|part| !part.is_empty()) {
            return true;
        }
    }
    false
}
