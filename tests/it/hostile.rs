//! A hundred thousand things that a hostile peer may say, in each state: each is answered or ends the connection, and an
//! honest pair on the same server loses nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellhop_protocol::{OpCode, Reply};
use bellhop_server::store::memory::MemoryStore;
use bellhop_tests::checker::{History, Verdict};
use bellhop_tests::hostile::{Case, classes, judge, mixed};
use bellhop_tests::line::{Line, OPEN};
use bellhop_tests::peer::Peer;
use bellhop_tests::server::{Home, Local};

/// The seed of the mixtures; another one is tried with `BELLHOP_SEED`.
fn seed() -> u64 {
    std::env::var("BELLHOP_SEED").map_or(20_261_121, |seed| seed.parse().unwrap())
}

/// How many cases there are in all.
const CASES: usize = 100_000;
/// Connections at a time.
const PEERS: usize = 8;

/// Names that nobody hostile knows: on an open listener who knows a name may log in.
const ALICE: &str = "honest-alice";
const BOB: &str = "honest-bob";

/// Two who write to each other all the while, and what became of it.
struct Pair {
    alice: Peer,
    bob: Peer,
    said: u64,
    history: History,
}

impl Pair {
    fn new(addr: SocketAddr) -> Pair {
        let mut bob = Peer::hello(addr, BOB, 2);
        bob.ask(OpCode::Deliver, "");
        Pair { alice: Peer::hello(addr, ALICE, 1), bob, said: 0, history: History::default() }
    }

    /// One more message is sent, kept, shown and acknowledged.
    fn talk(&mut self) {
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
}

#[test]
fn a_hundred_thousand_hostile_cases_cost_an_honest_pair_nothing() {
    // A full mailbox is one more answer; a long one would be read again in every state that reads.
    let args = ["--limit", "all=off", "--limit", "mailbox=100"];
    let server = Local::start_with(&Home::new().into(), &args, |_| Box::new(MemoryStore::default())).unwrap();
    let classes = classes();
    assert!(classes.len() < CASES, "{} cases of the classes leave room for mixtures", classes.len());
    let mixtures = mixed(seed(), CASES - classes.len(), &classes);
    let cases: Vec<Case> = classes.iter().cloned().chain(mixtures).collect();
    let (core, next) = (server.core(), AtomicUsize::new(0));
    let mut pair = Pair::new(server.addr());
    std::thread::scope(|scope| {
        let hostile = |peer: usize| {
            let (line, cases, next) = (Line::new(core), &cases, &next);
            move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = [case.state.prelude(&format!("mallory{peer}")), case.bytes.clone()].concat();
                    judge(
                        &said,
                        &line.says(OPEN, &said, if case.bytes.len() % 7 == 0 { 1 } else { usize::MAX }),
                    );
                }
            }
        };
        let peers: Vec<_> = (0..PEERS).map(|peer| scope.spawn(hostile(peer))).collect();
        while !peers.iter().all(|peer| peer.is_finished()) {
            match next.load(Ordering::Relaxed) as u64 / 500 > pair.said {
                true => pair.talk(),
                false => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    pair.talk();
    assert!(next.into_inner() >= CASES && pair.said > 10, "{} messages", pair.said);
    assert_eq!(pair.history.verdict(), Verdict::default(), "seed {}", seed());
}
