//! Is this the server it should be? The whole decision, as values: what is kept, what was given, what is presented.
//!
//! ```text
//! a fingerprint was given   it is the key, or the chain leads to it ── accept ── else refuse
//! else a key is kept        it is the key, or the chain leads to it ── accept ── else refuse: it has changed
//! else an authority alone    it vouches ──────────────────────────────── accept ── else refuse
//! else an authority is kept it vouches again ────────────────────────── accept ── else refuse: it has changed
//! else nothing is known     an authority vouches ── accept ── else a person is asked; without one, refuse
//! ```
//!
//! A key wins over any authority: whoever compared a fingerprint does not have to trust a hundred companies. Where an
//! authority vouched, the key is not kept, as such servers change their keys with their certificates.

use std::fmt;

use super::chain::Chain;
use crate::config::{Proof, Server};
use crate::fingerprint::Fingerprint;

/// What is kept of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its key.
    Key(Fingerprint),
    /// An authority vouched for its name.
    Authority,
}

/// What comes of a server's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is who it should be.
    Accept {
        by: Known,
        /// What is kept of it must be replaced with `by`.
        keep: bool,
        /// Its key was another one before, which vouches for this one.
        moved_from: Option<Fingerprint>,
    },
    /// It is not, or nobody knows; nothing may be sent.
    Refuse(Doubt),
}

/// Why a server is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It was never met, and no authority vouches for it: a person may compare its fingerprint and say yes.
    Unknown,
    /// It had another key.
    Changed {
        /// The key that is kept.
        kept: Fingerprint,
    },
    /// An authority vouched for it before, and none does now.
    NoAuthority,
    /// Only an authority counts for it, and none vouches.
    NotVouched,
    /// Another key was given for it.
    NotGiven {
        /// The key that was given.
        given: Fingerprint,
    },
}

/// Decides. `vouched` asks the authorities of this machine, and is not called where nothing depends on them.
pub(crate) fn decide(
    given: Option<Fingerprint>,
    known: Option<Known>,
    proof: Proof,
    chain: &Chain,
    vouched: impl FnOnce() -> bool,
) -> Decision {
    match (given, known, proof) {
        (Some(given), ..) => by_key(given, known, chain, Doubt::NotGiven { given }),
        // What was kept by another rule stays what it is: the file is of people, this is of one program.
        (None, _, Proof::Authority) => match vouched() {
            true => Decision::Accept { by: Known::Authority, keep: known.is_none(), moved_from: None },
            false => Decision::Refuse(Doubt::NotVouched),
        },
        (None, Some(Known::Key(kept)), _) => by_key(kept, known, chain, Doubt::Changed { kept }),
        (None, Some(Known::Authority) | None, Proof::Key) => Decision::Refuse(Doubt::Unknown),
        (None, Some(Known::Authority) | None, Proof::Any) => match (vouched(), known) {
            (true, _) => accept(Known::Authority, known, None),
            (false, None) => Decision::Refuse(Doubt::Unknown),
            (false, Some(_)) => Decision::Refuse(Doubt::NoAuthority),
        },
    }
}

fn by_key(wanted: Fingerprint, known: Option<Known>, chain: &Chain, doubt: Doubt) -> Decision {
    if wanted == chain.key {
        accept(Known::Key(wanted), known, None)
    } else if chain.before.contains(&wanted) {
        accept(Known::Key(chain.key), known, Some(wanted))
    } else {
        Decision::Refuse(doubt)
    }
}

fn accept(by: Known, known: Option<Known>, moved_from: Option<Fingerprint>) -> Decision {
    Decision::Accept { by, keep: known != Some(by), moved_from }
}

/// A server that was not trusted: nothing was sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    /// The server that was meant.
    pub server: Server,
    /// The key that was presented.
    pub shown: Fingerprint,
    /// Why it is not trusted.
    pub doubt: Doubt,
}

impl Untrusted {
    /// What was known of the server when it was not trusted.
    pub(crate) fn before(&self) -> Option<Known> {
        match self.doubt {
            Doubt::Changed { kept } => Some(Known::Key(kept)),
            Doubt::NoAuthority => Some(Known::Authority),
            Doubt::Unknown | Doubt::NotVouched | Doubt::NotGiven { .. } => None,
        }
    }

    /// The command that makes it trusted from now on.
    pub fn command(&self) -> String {
        let server = self.server.to_string();
        // A shell takes brackets for a pattern.
        let quote = if server.contains('[') { "'" } else { "" };
        format!("bellhop trust add {quote}{server}{quote} {}", self.shown)
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Untrusted { server, shown, doubt } = self;
        let command = self.command();
        match doubt {
            Doubt::Unknown => write!(
                f,
                "{server} is not known yet, and nothing was sent. Its key is {shown}: where that is the fingerprint \
                 which the server prints at its start, {command}"
            ),
            Doubt::Changed { kept } => write!(
                f,
                "THE KEY OF {server} HAS CHANGED, and nothing was sent: somebody may stand in between. Known was \
                 {kept}, now it is {shown}. Where whoever runs the server says that it is new, {command}"
            ),
            Doubt::NoAuthority => write!(
                f,
                "THE IDENTITY OF {server} HAS CHANGED, and nothing was sent: an authority vouched for it before, and \
                 none vouches for {shown}. Where whoever runs the server says that this is its key, {command}"
            ),
            Doubt::NotVouched => write!(
                f,
                "no authority that this machine trusts vouches for {server}, and nothing was sent: tls = \"ca\" takes \
                 nothing else. Its key is {shown}; tls = \"pin\" goes by that"
            ),
            Doubt::NotGiven { given } => write!(
                f,
                "{server} is not the server that was meant, and nothing was sent: given was {given}, its key is {shown}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Fingerprint {
        Fingerprint::of_key(&[byte])
    }

    /// The server has key 3, and shows that it had 2 and 1 before.
    fn chain() -> Chain {
        Chain { key: key(3), before: vec![key(2), key(1)] }
    }

    fn word(decision: &Decision) -> String {
        let name =
            |wanted: &Fingerprint| (0..=9).find(|byte| key(*byte) == *wanted).expect("a key of the test");
        match decision {
            Decision::Accept { by, keep, moved_from } => {
                let by = match by {
                    Known::Key(found) => format!("key {}", name(found)),
                    Known::Authority => "ca".into(),
                };
                let keep = if *keep { ", keep" } else { "" };
                let moved = moved_from.map(|from| format!(", was {}", name(&from))).unwrap_or_default();
                format!("{by}{keep}{moved}")
            }
            Decision::Refuse(Doubt::Unknown) => "ask".into(),
            Decision::Refuse(Doubt::Changed { kept }) => format!("changed from {}", name(kept)),
            Decision::Refuse(Doubt::NoAuthority) => "changed from ca".into(),
            Decision::Refuse(Doubt::NotVouched) => "no ca".into(),
            Decision::Refuse(Doubt::NotGiven { given }) => format!("not {}", name(given)),
        }
    }

    /// The server has key 3 and had 2 and 1; 9 is a stranger's.
    #[test]
    fn the_whole_decision() {
        const CA: Option<Known> = Some(Known::Authority);
        let kept = |byte| Some(Known::Key(key(byte)));
        let check = |given: Option<u8>, known: Option<Known>, vouched: bool, expected: &str| {
            let decision = decide(given.map(key), known, Proof::Any, &chain(), || vouched);
            assert_eq!(word(&decision), expected, "{given:?} {known:?} {vouched}");
        };
        //    given    kept     vouched  decision
        check(None, None, false, "ask");
        check(None, None, true, "ca, keep");
        check(None, CA, true, "ca");
        check(None, CA, false, "changed from ca");
        for vouched in [false, true] {
            check(None, kept(3), vouched, "key 3");
            check(None, kept(2), vouched, "key 3, keep, was 2");
            check(None, kept(1), vouched, "key 3, keep, was 1");
            check(None, kept(9), vouched, "changed from 9");
            check(Some(3), None, vouched, "key 3, keep");
            check(Some(3), CA, vouched, "key 3, keep");
            check(Some(3), kept(3), vouched, "key 3");
            check(Some(3), kept(9), vouched, "key 3, keep");
            check(Some(1), None, vouched, "key 3, keep, was 1");
            check(Some(1), kept(3), vouched, "key 3, was 1");
            for known in [None, CA, kept(3), kept(9)] {
                check(Some(9), known, vouched, "not 9");
            }
        }
    }

    #[test]
    fn by_a_key_alone_or_by_an_authority_alone() {
        let check = |proof, given: Option<u8>, known: Option<Known>, vouched: bool, expected: &str| {
            let decision = decide(given.map(key), known, proof, &chain(), || vouched);
            assert_eq!(word(&decision), expected, "{proof:?} {given:?} {known:?} {vouched}");
        };
        let kept = |byte| Some(Known::Key(key(byte)));
        for vouched in [false, true] {
            check(Proof::Key, None, None, vouched, "ask");
            check(Proof::Key, None, Some(Known::Authority), vouched, "ask");
            check(Proof::Key, None, kept(3), vouched, "key 3");
            check(Proof::Key, None, kept(9), vouched, "changed from 9");
            for proof in [Proof::Key, Proof::Authority] {
                check(proof, Some(3), None, vouched, "key 3, keep");
                check(proof, Some(9), None, vouched, "not 9");
            }
        }
        check(Proof::Authority, None, None, true, "ca, keep");
        check(Proof::Authority, None, kept(3), true, "ca");
        for known in [None, Some(Known::Authority), kept(3), kept(9)] {
            check(Proof::Authority, None, known, false, "no ca");
        }
    }

    /// To read a machine's authorities takes a while, and some ask the network.
    #[test]
    fn authorities_are_not_asked_about_a_key_that_is_known() {
        for (given, known) in [(Some(key(3)), None), (None, Some(Known::Key(key(3))))] {
            decide(given, known, Proof::Any, &chain(), || panic!("nothing depends on it"));
        }
    }

    #[test]
    fn a_refusal_names_the_keys_and_the_command() {
        let untrusted = |server: &str, doubt| Untrusted {
            server: Server::parse(server).expect("an address"),
            shown: key(3),
            doubt,
        };
        let changed = untrusted("chat.example", Doubt::Changed { kept: key(9) });
        let sentence = changed.to_string();
        for part in [key(3).to_string(), key(9).to_string(), changed.command()] {
            assert!(sentence.contains(&part), "{sentence}");
        }
        assert_eq!(changed.command(), format!("bellhop trust add chat.example:2050 {}", key(3)));
        let unknown = untrusted("[fe80::1]", Doubt::Unknown);
        assert_eq!(unknown.command(), format!("bellhop trust add '[fe80::1]:2050' {}", key(3)));
        let given = untrusted("chat.example", Doubt::NotGiven { given: key(9) }).to_string();
        assert!(given.contains(&key(9).to_string()) && !given.contains("bellhop trust"), "{given}");
    }
}
