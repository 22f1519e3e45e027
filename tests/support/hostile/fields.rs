//! Each field of each op, with what it should not hold.

use bellhop_protocol::item::Ack;
use bellhop_protocol::{Address, OpCode, Request, post::Post};

use super::words::{metacharacters, names, not_utf8};
use super::{framed, said};

/// A field that holds text: the op, whether it is a name, and the op's data around it.
struct Field {
    op: OpCode,
    name: bool,
    data: fn(&[u8]) -> Vec<u8>,
}

const HELLO: &[u8] = b"\0\x01\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\0\0\0";
const COUNTER: &[u8] = b"\0\0\0\0\0\0\0\x01\0";

/// A text with its length before it, in a byte.
fn str8(text: &[u8]) -> Vec<u8> {
    let text = &text[..text.len().min(255)];
    [&[text.len() as u8], text].concat()
}

const FIELDS: &[Field] = &[
    Field { op: OpCode::List, name: true, data: |text| text.to_vec() },
    Field { op: OpCode::List, name: true, data: |text| [b"*|", text].concat() },
    Field { op: OpCode::Create, name: true, data: |text| text.to_vec() },
    Field { op: OpCode::Create, name: false, data: |text| [b"mallory9|", text].concat() },
    Field { op: OpCode::Login, name: true, data: |text| text.to_vec() },
    Field { op: OpCode::Login, name: false, data: |text| [b"mallory|", text].concat() },
    Field { op: OpCode::Logout, name: true, data: |text| text.to_vec() },
    Field { op: OpCode::Delete, name: false, data: |text| text.to_vec() },
    Field { op: OpCode::Send, name: true, data: |text| [text, b"|hi"].concat() },
    Field { op: OpCode::Send, name: false, data: |text| [b"mallory|", text].concat() },
    Field { op: OpCode::Hello, name: false, data: |text| [HELLO, &str8(text)].concat() },
    Field { op: OpCode::Post, name: true, data: |text| [COUNTER, &str8(text), b"hi"].concat() },
    Field { op: OpCode::Post, name: false, data: |text| [COUNTER, &str8(b"mallory"), text].concat() },
    Field { op: OpCode::Password, name: false, data: |text| [b"\0\0", text].concat() },
    Field {
        op: OpCode::Password,
        name: false,
        data: |text| [&(text.len() as u16).to_be_bytes()[..], text].concat(),
    },
    Field { op: OpCode::Watch, name: true, data: |text| str8(text) },
    Field { op: OpCode::Watch, name: true, data: |text| [b"\x03bob", &str8(text)[..]].concat() },
    Field { op: OpCode::Typing, name: true, data: |text| text.to_vec() },
    Field { op: OpCode::Read, name: true, data: |text| [&[7; 16][..], &str8(text)].concat() },
];

/// A frame for each field and each word that it should not hold, and for numbers at their edges.
pub(super) fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let mut frames = Vec::new();
    for field in FIELDS {
        let mut each = |class, words: &[Vec<u8>]| {
            frames.extend(words.iter().map(|word| (class, said(field.op, &(field.data)(word)))));
        };
        each("B4 not UTF-8", &not_utf8());
        if field.name {
            each("B5 names", &names().into_iter().map(|(name, _)| name.into_bytes()).collect::<Vec<_>>());
        }
        // Passwords of a legal length cost a hash each, and are no other path than any other password.
        let costly = [OpCode::Create, OpCode::Password].contains(&field.op) && !field.name;
        each("B9 metacharacters", &if costly { vec![b"'; --".to_vec()] } else { metacharacters() });
    }
    frames.extend(counters().into_iter().chain(acks()));
    frames
}

/// Counters at their edges, repeated, and repeated with another text.
fn counters() -> Vec<(&'static str, Vec<u8>)> {
    let edges = [
        0,
        1,
        2,
        1_023,
        1_024,
        1_025,
        (1 << 32) - 1,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    let to = Address::parse("mallory").unwrap();
    let post = |counter, text| Request::Post(Post { counter, receipts: true, to, text }).to_bytes();
    let twice = |counter| [post(counter, "one"), post(counter, "another")].concat();
    edges
        .iter()
        .flat_map(|counter| [("B16 counters", post(*counter, "one")), ("B16 counters", twice(*counter))])
        .collect()
}

/// Acknowledgements of what never was, of nothing, backwards, and a great many at once.
fn acks() -> Vec<(&'static str, Vec<u8>)> {
    let edges = [0, 1, 2, 1_000, (1 << 63) - 2, (1 << 63) - 1, 1 << 63, u64::MAX];
    let pairs = edges.iter().flat_map(|first| edges.map(|last| (*first, last)));
    let mut frames: Vec<(&str, Vec<u8>)> = pairs
        .map(|(first, last)| {
            ("B17 acks", framed(OpCode::Ack.byte(), &[first.to_be_bytes(), last.to_be_bytes()].concat()))
        })
        .collect();
    let mut many = Vec::new();
    Ack::put(&(1..4_000).map(|seq| (2 * seq, 2 * seq)).collect::<Vec<_>>(), &mut many);
    frames.push(("B17 acks", many));
    frames
}
