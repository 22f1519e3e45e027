//! Memory that many share: how much all may hold, and how much one of them may still take.
//!
//! Whoever is greedy must not leave the others without any. So one may hold a sixteenth of what is left, and not more:
//! the fuller it is the less each may take, a greedy one is held to what it has, and somebody who needs little still
//! finds it (the dynamic threshold of Choudhury and Hahne, 1998, for shared buffers of switches).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The part of what is left that one may hold.
pub const PART: usize = 16;

/// So many bytes for all.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    held: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Budget {
        Budget { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), held: AtomicUsize::new(0) }
    }

    /// How many bytes one may hold now.
    pub fn share(&self) -> usize {
        self.bytes.saturating_sub(self.held()) / PART
    }

    /// True if and only if one may hold `len` bytes now, or half of the most that one ever may where that is less.
    pub fn has_share(&self, len: usize) -> bool {
        self.share() >= len.min(self.bytes / PART / 2)
    }

    /// True where more than half of it is held: what is held without need is given back now.
    pub fn is_pressed(&self) -> bool {
        self.held() > self.bytes / 2
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Notes that somebody who held `before` bytes holds `after` now.
    pub fn settle(&self, before: usize, after: usize) {
        if after > before {
            self.held.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            self.held.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Holds so many bytes for something that is underway.
    pub fn hold(self: &Arc<Budget>, bytes: usize) -> Held {
        self.settle(0, bytes);
        Held { all: self.clone(), bytes }
    }

    /// Holds so many bytes where they are left, or where nobody else holds any.
    pub fn try_hold(self: &Arc<Budget>, bytes: usize) -> Option<Held> {
        let fits = |held: usize| held == 0 || held.saturating_add(bytes) <= self.bytes;
        let more = |held: usize| fits(held).then_some(held.saturating_add(bytes));
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Held { all: self.clone(), bytes })
    }
}

/// Bytes that are held until this goes.
#[derive(Debug)]
pub struct Held {
    all: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Holds so many bytes from now on.
    pub fn settle(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.all.settle(self.bytes, bytes);
            self.bytes = bytes;
        }
    }

    /// What the bytes are of.
    pub fn all(&self) -> &Budget {
        &self.all
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.settle(self.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_held_the_less_one_may_take() {
        let budget = Budget::new(64 * 1024);
        assert_eq!((budget.share(), budget.is_pressed()), (4_096, false));
        budget.settle(0, 32 * 1024);
        assert_eq!((budget.share(), budget.is_pressed()), (2_048, false));
        budget.settle(0, 32 * 1024 - 16);
        assert_eq!((budget.share(), budget.is_pressed()), (1, true));
        budget.settle(16, 40);
        assert_eq!((budget.share(), budget.held()), (0, 64 * 1024 + 8));
        budget.settle(64 * 1024 + 8, 0);
        assert_eq!((budget.share(), budget.held()), (4_096, 0));
    }

    #[test]
    fn what_is_held_is_given_back() {
        let budget = Arc::new(Budget::new(1_000));
        let (first, second) = (budget.try_hold(600), budget.try_hold(400));
        assert!(first.is_some() && second.is_some() && budget.try_hold(1).is_none());
        drop(first);
        assert_eq!(budget.held(), 400);
        assert!(budget.try_hold(601).is_none());
        drop(second);
        let mut large = budget.try_hold(5_000).expect("nobody else has any");
        assert!(budget.try_hold(1).is_none(), "and it is alone");
        large.settle(300);
        let more = budget.hold(900);
        assert_eq!((budget.held(), budget.share()), (1_200, 0));
        drop((large, more));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn greedy_ones_do_not_take_more_than_there_is() {
        let budget = Budget::new(64 * 1024 * 1024);
        let mut held = [0; 50];
        for _ in 0..100_000 {
            for held in held.iter_mut().filter(|held| **held < budget.share()) {
                budget.settle(*held, *held + 512);
                *held += 512;
            }
        }
        assert!(budget.held() <= 64 * 1024 * 1024);
        // Where many want more, they get alike, and as much as one of them is left.
        assert!(held.iter().all(|held| held.abs_diff(budget.share()) <= 4096), "{held:?}");
    }
}
