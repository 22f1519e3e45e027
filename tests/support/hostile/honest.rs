//! Two honest people on a server that hostile ones are at: they write to each other all the while, and lose nothing.

use std::net::SocketAddr;

use bellhop_protocol::{OpCode, Reply};

use crate::checker::{History, Verdict};
use crate::peer::Peer;

/// Names that nobody hostile knows: on an open listener who knows a name may log in.
const ALICE: &str = "honest-alice";
const BOB: &str = "honest-bob";

/// The two, and what became of what they said.
pub struct Honest {
    alice: Peer,
    bob: Peer,
    said: u64,
    history: History,
}

impl Honest {
    /// Two people who are logged in.
    pub fn meet(addr: SocketAddr) -> Honest {
        let mut bob = Peer::hello(addr, BOB, 2);
        bob.ask(OpCode::Deliver, "");
        Honest { alice: Peer::hello(addr, ALICE, 1), bob, said: 0, history: History::default() }
    }

    /// How many messages were said.
    pub fn said(&self) -> u64 {
        self.said
    }

    /// One more message is sent, kept, shown and acknowledged.
    pub fn talk(&mut self) {
        self.said += 1;
        self.history.sends(ALICE, self.said);
        self.alice.post(self.said, BOB, &self.said.to_string(), false);
        let answer = self.alice.answer(OpCode::Post.answer());
        assert!(matches!(answer.reply(), Reply::Posted(answer) if answer.result.is_ok()), "{answer:?}");
        self.history.is_told_kept(ALICE, self.said);
        // Whoever else writes to bob writes something else.
        loop {
            let got = self.bob.push();
            let Reply::Message(message) = got.reply() else { continue };
            self.bob.ack(message.seq, message.seq);
            if message.from == ALICE {
                return self.history.shows(ALICE, message.text.parse().unwrap());
            }
        }
    }

    /// Fails where anything was lost, doubled or reordered.
    ///
    /// # Panics
    ///
    /// Then.
    #[track_caller]
    pub fn lost_nothing(self) {
        assert_eq!(self.history.verdict(), Verdict::default());
    }
}
