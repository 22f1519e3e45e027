//! The refused frames of `rejects.txt`, and the form in which each op is refused.

#[expect(dead_code, reason = "shared with the golden test")]
mod vectors;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::frame::{self, LIMIT_AFTER_LOGIN};
use bellhop_protocol::op::{ANSWER, NOTICE};
use bellhop_protocol::request::put_refusal;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, OpCode, Reply, Request};

struct Reject {
    code: Code,
    op: u8,
    data: Vec<u8>,
    line: &'static str,
}

fn rejects() -> Vec<Reject> {
    let lines = include_str!("rejects.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(parse).collect()
}

fn parse(line: &'static str) -> Reject {
    let (word, rest) = line.split_once(' ').expect("a code");
    let (op, rest) = rest.trim_start().split_once(' ').expect("an op-code");
    let data = match rest.trim_start().strip_prefix('"') {
        Some(quoted) => unescape(quoted.split_once('"').expect("a closing quote").0),
        None => vectors::hex(rest.split_whitespace().next().expect("hex digits")),
    };
    Reject { code: Code::from_word(word).expect("a known code"), op: vectors::hex(op)[0], data, line }
}

fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\x00", "\0").into_bytes()
}

#[test]
fn each_reject_is_refused_with_its_code() {
    for reject in rejects() {
        let refusal = Request::decode(reject.op, &reject.data).expect_err(reject.line);
        assert_eq!(refusal.code, reject.code, "{}", reject.line);
    }
}

#[test]
fn each_op_is_refused_in_its_form() {
    let refusal = Refusal::new(Code::BUSY, "try again later");
    for op in 0..=255 {
        let mut bytes = Vec::new();
        put_refusal(&mut bytes, op, b"\0\0\0\0\0\0\0\x09rest", &refusal);
        let frame = frame::parse(&bytes, LIMIT_AFTER_LOGIN).unwrap().expect("one frame");
        assert_eq!(frame.wire_len(), bytes.len(), "{op:#04x}");
        let form = match Reply::decode(frame.op, frame.data).unwrap() {
            Reply::Text(asked, TextAnswer::Failed(failure)) => {
                assert_eq!((asked.answer(), failure.reason.code()), (frame.op, Some(Code::BUSY)));
                "word"
            }
            Reply::Posted(answer) => {
                assert_eq!((answer.counter, answer.result.unwrap_err().code), (9, Code::BUSY));
                "counter and number"
            }
            Reply::Refused(asked, failure) => {
                assert_eq!((asked.answer(), failure.reason.code()), (frame.op, Some(Code::BUSY)));
                "number"
            }
            Reply::Notice(failure) => {
                assert_eq!((frame.op, failure.reason.code()), (NOTICE, Some(Code::BUSY)));
                "notice"
            }
            Reply::Unknown(frame) => {
                assert_eq!((frame.op, frame.data), (op | ANSWER, &b"error|busy|try again later"[..]));
                "word"
            }
            other => panic!("{op:#04x} is refused as {other:?}"),
        };
        let expected = match OpCode::from_byte(op) {
            Some(OpCode::Post) => "counter and number",
            Some(
                OpCode::Hello
                | OpCode::Ping
                | OpCode::Token
                | OpCode::Resume
                | OpCode::Watch
                | OpCode::Password,
            ) => "number",
            Some(
                OpCode::Ack
                | OpCode::Read
                | OpCode::Message
                | OpCode::Receipt
                | OpCode::Presence
                | OpCode::Typing,
            ) => "notice",
            None if op >= 0x40 => "notice",
            _ => "word",
        };
        assert_eq!(form, expected, "{op:#04x}");
    }
}
