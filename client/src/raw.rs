//! Ops in the form of the protocol's notebook, `5|bob|hello`: typed, and answered.

use std::fmt;

use bellhop_protocol::op::{ANSWER, Field, OpCode, PEER_FIRST};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, Reply};

use crate::text::{Kind, clean};

/// An op as a person typed it. Its `Debug` hides the text, which may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RawOp<'a> {
    /// Its number.
    pub number: u8,
    /// What is known of it; `None` for an op of another version.
    pub op: Option<OpCode>,
    /// Everything behind the first bar.
    pub text: &'a str,
}

/// Why something that looks like an op is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// No byte holds the number.
    #[error("op is 0-255")]
    OutOfRange,
    /// This version knows no such op.
    #[error("unknown op")]
    Unknown,
    /// The op belongs to the session extension.
    #[error("{} is the client's own", .0.name())]
    Binary(OpCode),
}

/// Reads digits, a bar and text; `None` where the line does not begin like that.
pub fn parse(line: &str) -> Option<Result<RawOp<'_>, RawError>> {
    let (digits, text) = line.split_once('|')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let Ok(number) = digits.parse::<u8>() else { return Some(Err(RawError::OutOfRange)) };
    Some(match OpCode::from_byte(number) {
        Some(op) if number > OpCode::Deliver.byte() => Err(RawError::Binary(op)),
        op => Ok(RawOp { number, op, text }),
    })
}

/// As [`parse`], and refuses ops that this version does not know.
pub fn parse_known(line: &str) -> Option<Result<RawOp<'_>, RawError>> {
    match parse(line)? {
        Ok(RawOp { op: None, .. }) => Some(Err(RawError::Unknown)),
        parsed => Some(parsed),
    }
}

impl<'a> RawOp<'a> {
    /// The op's fields in order, as the server will cut them: the last one runs to the end.
    pub fn fields(&self) -> Vec<(Option<Field>, &'a str)> {
        let known = self.op.map_or(&[][..], OpCode::fields);
        if self.text.is_empty() {
            return Vec::new();
        }
        let cut = self.text.splitn(known.len().max(1), '|');
        cut.enumerate().map(|(at, text)| (known.get(at).copied(), text)).collect()
    }

    /// The typed line with every secret field masked.
    pub fn masked(&self, mask: &str) -> String {
        let fields = self.fields();
        let shown: Vec<String> =
            fields.iter().map(|(field, text)| masked_field(*field, text, mask)).collect();
        format!("{}|{}", self.number, shown.join("|"))
    }

    /// True if and only if some field that holds text must not be shown.
    pub fn has_secret(&self) -> bool {
        self.fields().iter().any(|(field, text)| is_secret(*field) && !text.is_empty())
    }

    /// Whether a person is asked first.
    pub fn is_destructive(&self) -> bool {
        self.op.is_some_and(OpCode::destructive)
    }
}

impl fmt::Debug for RawOp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawOp").field("number", &self.number).field("op", &self.op).finish_non_exhaustive()
    }
}

/// A field for the screen.
pub fn masked_field(field: Option<Field>, text: &str, mask: &str) -> String {
    if is_secret(field) { mask.repeat(text.chars().count()) } else { text.to_owned() }
}

fn is_secret(field: Option<Field>) -> bool {
    field.is_some_and(|field| field.secret)
}

/// The fields of a frame from the server with the op-code `byte`, made harmless: of an answer, or of a pushed message.
pub fn fields(byte: u8, data: &[u8]) -> Vec<String> {
    let data = String::from_utf8_lossy(data);
    let parts = match (byte & ANSWER != 0, data.starts_with("error|")) {
        (false, _) => 2,
        (true, true) => 3,
        (true, false) => usize::MAX,
    };
    data.splitn(parts, '|').map(|field| clean(field, Kind::Line).into_owned()).collect()
}

/// What an answer means for whoever asked, apart from its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Done,
    /// LIST: there is more behind this name. It stands here as the server wrote it, for the next request alone.
    More(String),
    /// Refused; `None` where this version does not know the reason's word.
    Refused(Option<Code>),
}

impl Verdict {
    /// Of a frame from the server with the op-code `byte`.
    pub fn of(byte: u8, data: &[u8]) -> Verdict {
        match Reply::decode(byte, data) {
            Ok(Reply::Text(_, answer)) => Verdict::of_text(answer),
            Ok(Reply::Refused(_, refused) | Reply::Notice(refused)) => {
                Verdict::Refused(refused.reason.code())
            }
            // The answers of other versions say "error" in the same form; what else they say only they know.
            Ok(Reply::Unknown(_)) if byte & ANSWER != 0 => {
                TextAnswer::decode(OpCode::Logout, data).map_or(Verdict::Done, Verdict::of_text)
            }
            _ => Verdict::Done,
        }
    }

    fn of_text(answer: TextAnswer<'_>) -> Verdict {
        match answer {
            TextAnswer::Failed(refused) => Verdict::Refused(refused.reason.code()),
            TextAnswer::Listed { names, more: true } => {
                names.iter().last().map_or(Verdict::Done, |name| Verdict::More(name.to_owned()))
            }
            _ => Verdict::Done,
        }
    }
}

/// The number under which an op's answer is printed: that of the op.
pub fn answered_op(byte: u8) -> u8 {
    if byte & ANSWER != 0 && byte & !ANSWER < PEER_FIRST { byte & !ANSWER } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_op() {
        let check = |line: &str, expected: Option<Result<(u8, &str), RawError>>| {
            let parsed = parse_known(line);
            assert_eq!(parsed.map(|parsed| parsed.map(|raw| (raw.number, raw.text))), expected, "{line:?}");
        };
        check("5|bob|hello", Some(Ok((5, "bob|hello"))));
        check("2|", Some(Ok((2, ""))));
        check("005|bob|x", Some(Ok((5, "bob|x"))));
        check("0|al*|bob", Some(Ok((0, "al*|bob"))));
        check("99|x", Some(Err(RawError::Unknown)));
        check("300|x", Some(Err(RawError::OutOfRange)));
        check("99999999999999999999|x", Some(Err(RawError::OutOfRange)));
        check("8|x", Some(Err(RawError::Binary(OpCode::Post))));
        for text in
            ["hello", " 5|bob", "5 | bob", "a|b", "|x", "-5|x", "+5|x", "5", "", "٥|bob", "/send", "5:bob"]
        {
            check(text, None);
        }
        assert_eq!(parse("99|x"), Some(Ok(RawOp { number: 99, op: None, text: "x" })));
    }

    #[test]
    fn secrets_are_masked() {
        let check = |line: &str, masked: &str, secret: bool| {
            let raw = parse(line).expect("an op").expect("a good one");
            assert_eq!((raw.masked("•").as_str(), raw.has_secret()), (masked, secret), "{line}");
        };
        check("2|alice|open|sesame", "2|alice|•••••••••••", true);
        check("1|alice|pass", "1|alice|••••", true);
        check("4|hunter22", "4|••••••••", true);
        check("2|alice", "2|alice", false);
        check("5|bob|hi|there", "5|bob|hi|there", false);
    }

    #[test]
    fn debug_hides_the_text() {
        for line in ["2|alice|open sesame", "99|open sesame"] {
            let shown = format!("{:?}", parse(line));
            assert!(!shown.contains("sesame"), "{shown}");
        }
    }

    #[test]
    fn fields_as_the_server_cuts_them() {
        let texts = |line: &str| {
            let raw = parse(line).expect("an op").expect("a good one");
            raw.fields().into_iter().map(|(_, text)| text.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts("5|bob|hi|there"), ["bob", "hi|there"]);
        assert_eq!(texts("6|"), [""; 0]);
        assert_eq!(texts("99|a|b"), ["a|b"]);
    }

    #[test]
    fn answers_are_made_harmless() {
        assert_eq!(fields(0x80, b"ok|alice|bob"), ["ok", "alice", "bob"]);
        assert_eq!(fields(0x85, b"error|no-such-user|a|b"), ["error", "no-such-user", "a|b"]);
        assert_eq!(fields(6, b"al\x1bice|hi|there"), ["al�ice", "hi|there"]);
        assert_eq!(fields(0xE3, b"\xff\n"), ["� "]);
        assert_eq!([answered_op(0x85), answered_op(0xFF), answered_op(6)], [5, 0xFF, 6]);
    }

    #[test]
    fn what_answers_mean() {
        let check = |byte: u8, data: &str, expected: Verdict| {
            assert_eq!(Verdict::of(byte, data.as_bytes()), expected, "{byte:#x} {data:?}");
        };
        check(0x80, "ok|alice|more", Verdict::Done);
        check(0x80, "more|alice|b\u{301}ob", Verdict::More("b\u{301}ob".into()));
        check(0x80, "more", Verdict::Done);
        check(0x85, "error|no-such-user|nobody", Verdict::Refused(Some(Code::NO_SUCH_USER)));
        check(0x85, "error|out-of-tea|brewing", Verdict::Refused(None));
        check(0xFF, "error|unknown-op|what", Verdict::Refused(Some(Code::UNKNOWN_OP)));
        check(0xA1, "error|unknown-op|what", Verdict::Refused(Some(Code::UNKNOWN_OP)));
        check(0xA1, "fine", Verdict::Done);
        check(6, "error|hi", Verdict::Done);
    }
}
