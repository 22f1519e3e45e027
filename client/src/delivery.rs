//! How far a message of ours has come: a line of states that is only ever walked forward.

/// What is known of a message of ours, in the order in which states replace each other.
///
/// The server's word beats a guess, and a receipt beats the server's first word. `Failed` stands before `Sent`: a
/// message that the server has kept cannot fail any more, and a late "kept" lifts a failure. `Returned` stands between
/// what the server knew at first and what a recipient's client said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// Waiting here for a connection.
    Outbox,
    /// Written to the server, not yet answered.
    Sending,
    /// The connection ended before the answer; it may have arrived.
    Unknown,
    /// Refused: certain that it was not kept.
    Failed,
    /// The server has it.
    Sent,
    /// The server keeps it for somebody who is not there.
    Queued,
    /// It was kept, then expired or was refused.
    Returned,
    /// A client of the recipient has it.
    Delivered,
    /// The recipient has read it.
    Read,
}

impl Delivery {
    /// Every state, in order.
    pub const ALL: &[Delivery] = &[
        Delivery::Outbox,
        Delivery::Sending,
        Delivery::Unknown,
        Delivery::Failed,
        Delivery::Sent,
        Delivery::Queued,
        Delivery::Returned,
        Delivery::Delivered,
        Delivery::Read,
    ];

    /// The state after news of `new`: the later of the two.
    #[must_use]
    pub fn advance(self, new: Delivery) -> Delivery {
        self.max(new)
    }

    /// The state's number in the history; a number is never given again.
    pub(crate) fn number(self) -> i64 {
        match self {
            Delivery::Outbox => 0,
            Delivery::Sending => 1,
            Delivery::Unknown => 2,
            Delivery::Failed => 3,
            Delivery::Sent => 4,
            Delivery::Queued => 5,
            Delivery::Returned => 6,
            Delivery::Delivered => 7,
            Delivery::Read => 8,
        }
    }

    /// The state of a number; a number that nobody wrote reads as "unknown".
    pub(crate) fn from_number(number: i64) -> Delivery {
        Delivery::ALL.iter().copied().find(|state| state.number() == number).unwrap_or(Delivery::Unknown)
    }

    /// The state in words, for a person.
    pub fn words(self) -> &'static str {
        match self {
            Delivery::Outbox => "waiting here (offline)",
            Delivery::Sending => "sending",
            Delivery::Unknown => "it may have arrived",
            Delivery::Failed => "not sent",
            Delivery::Sent => "server has it",
            Delivery::Queued => "kept for them",
            Delivery::Returned => "came back",
            Delivery::Delivered => "they have it",
            Delivery::Read => "they read it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Delivery::{self, *};

    #[test]
    fn every_pair_moves_forward_or_stays() {
        for old in Delivery::ALL {
            for new in Delivery::ALL {
                let next = old.advance(*new);
                assert!(next == *old || next == *new, "{old:?} + {new:?}");
                assert!(next >= *old, "{old:?} + {new:?} goes back to {next:?}");
                assert_eq!(next, new.advance(*old), "the order of two news must not matter");
                for third in Delivery::ALL {
                    assert_eq!(next.advance(*third), old.advance(new.advance(*third)));
                }
            }
        }
    }

    #[test]
    fn what_the_rules_say() {
        let check = |old: Delivery, new: Delivery, expected: Delivery| {
            assert_eq!(old.advance(new), expected, "{old:?} + {new:?}");
        };
        for kept in [Sent, Queued, Returned, Delivered, Read] {
            check(kept, Failed, kept);
            check(Failed, kept, kept);
        }
        check(Unknown, Failed, Failed);
        check(Sent, Returned, Returned);
        check(Queued, Returned, Returned);
        check(Delivered, Returned, Delivered);
        check(Returned, Delivered, Delivered);
        check(Delivered, Read, Read);
        check(Read, Delivered, Read);
        check(Unknown, Sending, Unknown);
    }

    #[test]
    fn numbers_come_back() {
        for state in Delivery::ALL {
            assert_eq!(Delivery::from_number(state.number()), *state);
        }
        assert_eq!(Delivery::from_number(99), Unknown);
    }
}
