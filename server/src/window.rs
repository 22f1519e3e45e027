//! Which of a device's counters were accepted: the highest, and the outcomes of the last 1,024 (PROTOCOL.md, POST).
//!
//! The anti-replay window of RFC 4303, section 3.4.3, turned around: a counter seen before is not dropped but answered
//! again. What the window forgets it answers as stale, so a repeat is never stored twice.

use bellhop_protocol::COUNTER_WINDOW;

const WORDS: usize = COUNTER_WINDOW as usize / 64;
const BYTES: usize = 8 + WORDS * 8;

/// What is known of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Never accepted.
    New,
    /// Accepted before.
    Before,
    /// Older than the window.
    Stale,
}

/// What an acceptance changed.
#[derive(Debug)]
pub enum Accepted {
    /// A counter up to the highest one, which was new.
    Within(u64),
    /// The one after the highest, in whose place stood the outcome of the oldest.
    Next {
        /// True where the oldest was accepted.
        forgot: bool,
    },
    /// One further on: this is how the window was.
    Beyond(Box<CounterWindow>),
}

/// The highest accepted counter and a bit for each of the last 1,024 up to it, in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterWindow {
    highest: u64,
    bits: [u64; WORDS],
}

impl Default for CounterWindow {
    fn default() -> CounterWindow {
        CounterWindow { highest: 0, bits: [0; WORDS] }
    }
}

impl CounterWindow {
    /// What is known of `counter`, which is at least 1.
    pub fn check(&self, counter: u64) -> Seen {
        if counter > self.highest {
            Seen::New
        } else if self.highest - counter >= COUNTER_WINDOW {
            Seen::Stale
        } else if self.bit(counter) {
            Seen::Before
        } else {
            Seen::New
        }
    }

    /// Notes that `counter` was accepted, and returns what that can be taken back with.
    pub fn accept(&mut self, counter: u64) -> Accepted {
        let next = counter == self.highest.saturating_add(1);
        let accepted = match counter > self.highest {
            false => Accepted::Within(counter),
            true if next => Accepted::Next { forgot: self.bit(counter) },
            true => Accepted::Beyond(Box::new(self.clone())),
        };
        if counter > self.highest {
            // The ring's places between the old and the new highest belong to counters that were never accepted.
            let fresh = (counter - self.highest).min(COUNTER_WINDOW);
            for passed in counter - fresh + 1..=counter {
                self.set(passed, false);
            }
            self.highest = counter;
        }
        if self.highest - counter < COUNTER_WINDOW {
            self.set(counter, true);
        }
        accepted
    }

    /// Takes an acceptance back, the newest first: the commit that it was part of was rolled back, and the window is as
    /// it was before.
    pub fn revoke(&mut self, accepted: Accepted) {
        match accepted {
            Accepted::Within(counter) => self.set(counter, false),
            Accepted::Next { forgot } => {
                self.set(self.highest, forgot);
                self.highest -= 1;
            }
            Accepted::Beyond(before) => *self = *before,
        }
    }

    /// The counters that are known to be accepted, the newest first.
    pub fn accepted(&self) -> impl Iterator<Item = u64> + '_ {
        let oldest = self.highest.saturating_sub(COUNTER_WINDOW - 1).max(1);
        (oldest..=self.highest).rev().filter(|counter| self.bit(*counter))
    }

    /// The window as it is stored.
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let words = std::iter::once(self.highest).chain(self.bits);
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// A window as it was stored; `None` for bytes of another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<CounterWindow> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let mut words =
            bytes.chunks_exact(8).map(|word| u64::from_be_bytes(word.try_into().unwrap_or_default()));
        let highest = words.next()?;
        let mut bits = [0; WORDS];
        bits.iter_mut().zip(words).for_each(|(bit, word)| *bit = word);
        Some(CounterWindow { highest, bits })
    }

    fn place(counter: u64) -> (usize, u64) {
        let at = counter % COUNTER_WINDOW;
        ((at / 64) as usize, 1 << (at % 64))
    }

    fn bit(&self, counter: u64) -> bool {
        let (word, mask) = CounterWindow::place(counter);
        self.bits[word] & mask != 0
    }

    fn set(&mut self, counter: u64, on: bool) {
        let (word, mask) = CounterWindow::place(counter);
        match on {
            true => self.bits[word] |= mask,
            false => self.bits[word] &= !mask,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edges_of_the_window() {
        let mut window = CounterWindow::default();
        assert_eq!(window.check(1), Seen::New);
        window.accept(1);
        assert_eq!(window.check(1), Seen::Before);
        window.accept(1024);
        assert_eq!(
            [1, 2, 1024, 1025].map(|counter| window.check(counter)),
            [Seen::Before, Seen::New, Seen::Before, Seen::New]
        );
        window.accept(1025);
        assert_eq!([1, 2, 1024].map(|counter| window.check(counter)), [Seen::Stale, Seen::New, Seen::Before]);
        window.accept(u64::MAX >> 1);
        assert_eq!(window.check(1025), Seen::Stale);
        assert_eq!(window.check((u64::MAX >> 1) - 1), Seen::New);
    }

    /// A counter far ahead whose batch was rolled back left all older ones stale.
    #[test]
    fn what_is_revoked_is_new_again_and_nothing_else_is_stale() {
        let mut window = CounterWindow::default();
        window.accept(7);
        let jump = window.accept(9_000);
        window.revoke(jump);
        assert_eq!([7, 8, 9_000].map(|counter| window.check(counter)), [Seen::Before, Seen::New, Seen::New]);
        // The oldest falls out of a full window, and is in it again.
        (8..=7 + 1023).for_each(|counter| drop(window.accept(counter)));
        let next = window.accept(7 + 1024);
        assert_eq!(window.check(7), Seen::Stale);
        window.revoke(next);
        assert_eq!(window.check(7), Seen::Before);
    }

    proptest! {
        /// The ring answers as a set of everything ever accepted would, cut at the window.
        #[test]
        fn as_a_set(counters in prop::collection::vec(prop_oneof![1..50u64, 1..3_000u64, 1..100_000u64], 1..200)) {
            let (mut window, mut set) = (CounterWindow::default(), BTreeSet::new());
            for counter in counters {
                let highest = set.last().copied().unwrap_or(0);
                let expected = if set.contains(&counter) && highest - counter < COUNTER_WINDOW {
                    Seen::Before
                } else if counter + COUNTER_WINDOW <= highest {
                    Seen::Stale
                } else {
                    Seen::New
                };
                prop_assert_eq!(window.check(counter), expected);
                if expected == Seen::New {
                    let before = window.clone();
                    let accepted = window.accept(counter);
                    window.revoke(accepted);
                    prop_assert_eq!(&window, &before);
                    window.accept(counter);
                    set.insert(counter);
                }
                let stored = CounterWindow::from_bytes(&window.to_bytes());
                prop_assert_eq!(stored.as_ref(), Some(&window));
            }
        }
    }
}
