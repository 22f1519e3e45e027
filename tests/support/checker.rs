//! Judges a history: what senders were told against what a recipient showed.
//!
//! A message is known by its sender and its number, which rises with each message that the sender sends. The rules:
//!
//! * *lost*: told as kept, and never shown;
//! * *doubled*: shown twice;
//! * *reordered*: shown after a later one of the same sender;
//! * *invented*: shown, and never sent.
//!
//! A message of which the sender was told nothing may have been shown or not.

use std::collections::{BTreeMap, BTreeSet};

/// A message: who sent it, and its number with that sender.
pub type Sent = (String, u64);

/// What happened, in the order in which it happened to each party.
#[derive(Clone, Debug, Default)]
pub struct History {
    sent: BTreeSet<Sent>,
    kept: BTreeSet<Sent>,
    refused: BTreeSet<Sent>,
    shown: Vec<Sent>,
}

/// What is wrong with a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Told as kept, and never shown.
    pub lost: Vec<Sent>,
    /// Shown twice.
    pub doubled: Vec<Sent>,
    /// Shown after a later one of the same sender.
    pub reordered: Vec<Sent>,
    /// Shown, and never sent or surely refused.
    pub invented: Vec<Sent>,
}

impl History {
    /// The sender begins to send.
    pub fn sends(&mut self, sender: &str, number: u64) {
        self.sent.insert((sender.to_owned(), number));
    }

    /// The sender is told that the message is kept.
    pub fn is_told_kept(&mut self, sender: &str, number: u64) {
        self.kept.insert((sender.to_owned(), number));
    }

    /// The sender is told that the message is not kept.
    pub fn is_told_refused(&mut self, sender: &str, number: u64) {
        self.refused.insert((sender.to_owned(), number));
    }

    /// The recipient shows the message.
    pub fn shows(&mut self, sender: &str, number: u64) {
        self.shown.push((sender.to_owned(), number));
    }

    /// How many messages were told as kept.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Judges.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for shown in &self.shown {
            if !seen.insert(shown) {
                verdict.doubled.push(shown.clone());
                continue;
            }
            if !self.sent.contains(shown) || self.refused.contains(shown) {
                verdict.invented.push(shown.clone());
            }
            let last = last.entry(&shown.0).or_insert(0);
            if shown.1 < *last {
                verdict.reordered.push(shown.clone());
            }
            *last = shown.1.max(*last);
        }
        verdict.lost = self.kept.iter().filter(|kept| !seen.contains(kept)).cloned().collect();
        verdict
    }
}
