//! Why something was refused: a number in binary answers, a word in text answers.
//!
//! Both are open on the wire: a [`Code`] that this version does not know keeps its number, and a word that it does not
//! know is handed on as it came. Only the code that *makes* answers is closed, by using the constants.

use std::borrow::Cow;
use std::fmt;

/// A status number of PROTOCOL.md, section "Codes".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $word:literal;)+) => {
        impl Code {
            $($(#[doc = $doc])+ pub const $name: Code = Code($number);)+

            /// Every code this version knows, in the order of their numbers.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// The word of text answers; `None` for a number this version does not know.
            pub fn word(self) -> Option<&'static str> {
                match self {
                    $(Code::$name => Some($word),)+
                    _ => None,
                }
            }

            /// The code of a word; `None` for a word this version does not know.
            pub fn from_word(word: &str) -> Option<Code> {
                match word {
                    $($word => Some(Code::$name),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Done.
    OK = 0, "ok";
    /// The data does not have the shape of its op.
    MALFORMED = 1, "malformed";
    /// No such op.
    UNKNOWN_OP = 2, "unknown-op";
    /// A frame or a text over its limit.
    TOO_LONG = 3, "too-long";
    /// Text that is not UTF-8.
    NOT_UTF8 = 4, "not-utf8";
    /// Text with a character that text may not hold (U+0000).
    BAD_TEXT = 5, "bad-text";
    /// An op of the extension before HELLO, or HELLO not as the first frame.
    HELLO_FIRST = 6, "hello-first";
    /// A version of the extension that the server does not speak.
    VERSION = 7, "version";
    /// The op needs a login.
    NOT_LOGGED_IN = 8, "not-logged-in";
    /// The op needs that nobody is logged in.
    ALREADY_LOGGED_IN = 9, "already-logged-in";
    /// Not a possible user name.
    BAD_NAME = 10, "bad-name";
    /// The name belongs to somebody.
    NAME_TAKEN = 11, "name-taken";
    /// Nobody has this name.
    NO_SUCH_USER = 12, "no-such-user";
    /// The password is wrong, or cannot be one.
    BAD_PASSWORD = 13, "bad-password";
    /// The account needs a password here.
    PASSWORD_NEEDED = 14, "password-needed";
    /// The connection needs TLS.
    TLS_NEEDED = 15, "tls-needed";
    /// Accounts are not made by whoever comes.
    REGISTRATION_CLOSED = 16, "registration-closed";
    /// The token is unknown, used up or revoked.
    BAD_TOKEN = 17, "bad-token";
    /// The counter is older than what the server remembers.
    STALE_COUNTER = 18, "stale-counter";
    /// The recipient's mailbox has no room.
    MAILBOX_FULL = 19, "mailbox-full";
    /// The sender has too many receipts outstanding.
    RECEIPTS_FULL = 20, "receipts-full";
    /// Too many in a time.
    RATE_LIMITED = 21, "rate-limited";
    /// The server is busy; the same request may work later.
    BUSY = 22, "busy";
    /// The server cannot store now, or cannot read what it keeps.
    STORAGE = 23, "storage";
    /// The account has as many sessions as it may.
    TOO_MANY_SESSIONS = 24, "too-many-sessions";
    /// A newer session of the same device took over.
    REPLACED = 25, "replaced";
    /// The account was deleted.
    ACCOUNT_DELETED = 26, "account-deleted";
    /// The server is going down.
    SHUTTING_DOWN = 27, "shutting-down";
    /// Something did not come in time.
    TIMED_OUT = 28, "timed-out";
    /// An op that a client may not send.
    NOT_ALLOWED = 29, "not-allowed";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.write_str(word),
            None => write!(f, "code-{}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A refusal on its way to the peer: the code, and one sentence for a person.
///
/// The sentence never holds anything that a peer sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {sentence}")]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// Why, for a person.
    pub sentence: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with a fixed or a made-up sentence.
    pub fn new(code: Code, sentence: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code, sentence: sentence.into() }
    }
}

/// A refusal as it came from a peer: the reason and the sentence, known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Why.
    pub reason: Reason<'a>,
    /// Why, for a person.
    pub sentence: &'a str,
}

/// Why a peer refused: a number from a binary answer, or a word from a text answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// A number, known or not.
    Number(Code),
    /// A word, known or not.
    Word(&'a str),
}

impl Reason<'_> {
    /// The code; `None` for a word that this version does not know.
    pub fn code(self) -> Option<Code> {
        match self {
            Reason::Number(code) => Some(code),
            Reason::Word(word) => Code::from_word(word),
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Number(code) => fmt::Display::fmt(code, f),
            Reason::Word(word) => f.write_str(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_place_and_its_word() {
        for (number, code) in (0u16..).zip(Code::ALL) {
            assert_eq!(code.0, number, "{code} stands at {number}");
            let word = code.word().expect("a known code has a word");
            assert_eq!(Code::from_word(word), Some(*code));
        }
    }

    #[test]
    fn unknown_codes_survive() {
        assert_eq!(Code(977).to_string(), "code-977");
        assert_eq!(Code(977).word(), None);
        assert_eq!(Code::from_word("of-tomorrow"), None);
    }
}
