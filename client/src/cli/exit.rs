//! How a command ends: a number for scripts, a word for programs, a sentence for people.

use bellhop_protocol::{Code, Username};

use crate::event::{Stop, StopKind, Trouble, TroubleKind};
use crate::plain::Over;

/// A command's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Other,
    /// Another program has the role; for scripts an error like any other.
    RoleTaken,
    Usage,
    Unreachable,
    NotLoggedIn,
    NoSuchUser,
    Exists,
    Tls,
    Protocol,
    Refused,
    /// Accepted, and what was waited for did not happen in time.
    NotYet,
    /// SIGINT.
    Interrupted,
    /// SIGQUIT.
    Quit,
    /// SIGTERM or SIGHUP.
    Terminated,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Other | Exit::RoleTaken => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::NotLoggedIn => 4,
            Exit::NoSuchUser => 5,
            Exit::Exists => 6,
            Exit::Tls => 7,
            Exit::Protocol => 8,
            Exit::Refused => 9,
            Exit::NotYet => 10,
            Exit::Interrupted => 130,
            Exit::Quit => 131,
            Exit::Terminated => 143,
        }
    }

    /// The exit of a program that a signal ended with this code.
    pub(crate) fn of_signal(code: u8) -> Exit {
        let exits = [Exit::Interrupted, Exit::Quit];
        exits.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::Terminated)
    }

    /// The exit of the screen, which somebody has quit, a signal has ended, or a fault of its own.
    pub(crate) fn of_screen(code: u8) -> Exit {
        match code {
            0 => Exit::Done,
            1 => Exit::Other,
            signal => Exit::of_signal(signal),
        }
    }

    /// The exit of the client in lines.
    pub(crate) fn of_lines(over: Over) -> Exit {
        match over {
            Over::Done => Exit::Done,
            Over::Left => Exit::Unreachable,
            Over::Refused => Exit::Other,
            Over::Nobody => Exit::NotLoggedIn,
            Over::Stopped(kind) => Failure::from(Stop { kind, sentence: String::new() }).exit,
            Over::Signal(code) => Exit::of_signal(code),
        }
    }

    /// The exit for a refusal of anything but a login.
    pub(crate) fn of(code: Code) -> Exit {
        match code {
            Code::NOT_LOGGED_IN | Code::BAD_PASSWORD | Code::PASSWORD_NEEDED | Code::BAD_TOKEN => {
                Exit::NotLoggedIn
            }
            Code::NO_SUCH_USER => Exit::NoSuchUser,
            Code::NAME_TAKEN => Exit::Exists,
            Code::TLS_NEEDED => Exit::Tls,
            Code::MALFORMED | Code::UNKNOWN_OP | Code::HELLO_FIRST | Code::VERSION | Code::NOT_ALLOWED => {
                Exit::Protocol
            }
            _ => Exit::Refused,
        }
    }

    /// The exit for a refused login: whoever does not exist cannot log in.
    fn of_login(code: Code) -> Exit {
        match Exit::of(code) {
            Exit::NoSuchUser => Exit::NotLoggedIn,
            exit => exit,
        }
    }
}

/// The word for a login that another server key gave.
pub(crate) const ANOTHER_KEY: &str = "another-key";

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// A protocol code's word, or one of our own.
    pub(crate) word: String,
    pub(crate) sentence: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, word: &str, sentence: impl Into<String>) -> Failure {
        Failure { exit, word: word.into(), sentence: sentence.into() }
    }

    /// The same, said of whoever acts: a name in it would be taken for whom the command is for.
    pub(crate) fn of_login(self, user: &Username) -> Failure {
        if self.word != Code::NO_SUCH_USER.to_string() {
            return self;
        }
        let sentence = format!("{user} (you): {}; bellhop create {user} makes the account", self.sentence);
        Failure { exit: Exit::NotLoggedIn, sentence, ..self }
    }

    pub(crate) fn usage(sentence: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, "usage", sentence)
    }

    pub(crate) fn timed_out(sentence: impl Into<String>) -> Failure {
        Failure::new(Exit::Unreachable, "timed-out", sentence)
    }

    pub(crate) fn local(error: impl std::fmt::Display) -> Failure {
        Failure::new(Exit::Other, "local", error.to_string())
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        let (exit, word) = match stop.kind {
            StopKind::Refused(code) => (Exit::of_login(code), code.to_string()),
            StopKind::NeedPassword => (Exit::NotLoggedIn, "bad-token".into()),
            StopKind::AnotherKey => (Exit::NotLoggedIn, ANOTHER_KEY.into()),
            StopKind::Replaced => (Exit::Other, "replaced".into()),
            StopKind::AccountDeleted => (Exit::NotLoggedIn, "account-deleted".into()),
            StopKind::LoggedOut => (Exit::NotLoggedIn, "not-logged-in".into()),
            StopKind::Untrusted => (Exit::Tls, "untrusted".into()),
            StopKind::Version => (Exit::Protocol, "version".into()),
            StopKind::Disk => (Exit::Other, "local".into()),
            StopKind::RoleTaken => (Exit::RoleTaken, "role-taken".into()),
        };
        Failure { exit, word, sentence: stop.sentence }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        let (exit, word) = match trouble.kind {
            TroubleKind::Unreachable => (Exit::Unreachable, "unreachable".into()),
            TroubleKind::TimedOut => (Exit::Unreachable, "timed-out".into()),
            TroubleKind::Closed | TroubleKind::Asked => (Exit::Unreachable, "closed".into()),
            TroubleKind::Protocol => (Exit::Protocol, "protocol".into()),
            TroubleKind::Refused(Some(code)) => (Exit::of_login(code), code.to_string()),
            TroubleKind::Refused(None) => (Exit::Refused, "refused".into()),
        };
        Failure { exit, word, sentence: trouble.sentence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fault of the program looked like a signal.
    #[test]
    fn a_screen_ends_by_itself_by_a_signal_or_by_a_fault() {
        for code in [0, 1, 130, 131, 143] {
            assert_eq!(Exit::of_screen(code).code(), code);
        }
    }

    /// Whatever ended it looked like a wrong password to a script.
    #[test]
    fn lines_end_as_any_command_does() {
        for (over, expected) in [
            (Over::Done, 0),
            (Over::Refused, 1),
            (Over::Left, 3),
            (Over::Nobody, 4),
            (Over::Stopped(StopKind::NeedPassword), 4),
            (Over::Stopped(StopKind::Untrusted), 7),
            (Over::Stopped(StopKind::Version), 8),
            (Over::Stopped(StopKind::Disk), 1),
            (Over::Stopped(StopKind::RoleTaken), 1),
            (Over::Signal(143), 143),
        ] {
            assert_eq!(Exit::of_lines(over).code(), expected, "{over:?}");
        }
    }

    /// A word of a later version was called malformed.
    #[test]
    fn a_refusal_for_a_reason_nobody_knows_is_a_refusal() {
        let trouble = Trouble { kind: TroubleKind::Refused(None), sentence: "brewing".into() };
        let failure = Failure::from(trouble);
        assert_eq!((failure.exit, failure.word.as_str()), (Exit::Refused, "refused"));
    }
}
