//! What a device acknowledged: a floor, everything up to which it has, and ranges above it.
//!
//! Plain arithmetic over numbers; which numbers hold something for the device is the mailbox's knowledge, and comes as
//! an argument.

/// How many ranges above the floor are remembered; beyond that further ones count as not acknowledged. What is in one
/// stays in: others were told that the device has it.
pub const RANGES_MAX: usize = 64;

/// A set of seq numbers: all up to `floor`, and disjoint rising ranges above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    floor: u64,
    ranges: Vec<(u64, u64)>,
}

impl Acked {
    /// Everything up to `floor`, and `ranges`, which rise and do not touch.
    pub fn new(floor: u64, ranges: Vec<(u64, u64)>) -> Acked {
        Acked { floor, ranges }
    }

    /// The number up to which everything is acknowledged.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// What is acknowledged above the floor.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// True if and only if `seq` is acknowledged.
    pub fn contains(&self, seq: u64) -> bool {
        if seq <= self.floor {
            return true;
        }
        let after = self.ranges.partition_point(|(first, _)| *first <= seq);
        after > 0 && self.ranges[after - 1].1 >= seq
    }

    /// The parts of `first..=last` that are not acknowledged, rising.
    pub fn gaps(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut next = first.max(self.floor + 1);
        let skip = self.ranges.partition_point(|(_, end)| *end < next);
        let mut ranges = self.ranges[skip..].iter();
        std::iter::from_fn(move || {
            while next <= last {
                let begin = next;
                match ranges.next() {
                    Some((start, end)) if *start <= last => {
                        next = end + 1;
                        if begin < *start {
                            return Some((begin, start - 1));
                        }
                    }
                    _ => {
                        next = last + 1;
                        return Some((begin, last));
                    }
                }
            }
            None
        })
    }

    /// Adds `first..=last`. `holds(a, b)` tells whether any number strictly between `a` and `b` holds something for
    /// the device; ranges with nothing between them become one, and the floor rises over what holds nothing.
    pub fn insert(&mut self, first: u64, last: u64, holds: impl Fn(u64, u64) -> bool) {
        let first = first.max(self.floor + 1);
        if first > last {
            return;
        }
        let mut start = self.ranges.partition_point(|(_, end)| *end < first);
        let mut end = self.ranges.partition_point(|(begin, _)| *begin <= last);
        let (mut low, mut high) = (first, last);
        if start < end {
            low = low.min(self.ranges[start].0);
            high = high.max(self.ranges[end - 1].1);
        }
        if start > 0 && !holds(self.ranges[start - 1].1, low) {
            start -= 1;
            low = self.ranges[start].0;
        }
        if end < self.ranges.len() && !holds(high, self.ranges[end].0) {
            high = self.ranges[end].1;
            end += 1;
        }
        if start == end && self.ranges.len() == RANGES_MAX && holds(self.floor, low) {
            return;
        }
        self.ranges.splice(start..end, [(low, high)]);
        self.settle(holds);
    }

    /// Lets the floor rise over ranges with nothing before them.
    pub fn settle(&mut self, holds: impl Fn(u64, u64) -> bool) {
        let passed = self.ranges.iter().take_while(|(first, last)| {
            let reached = !holds(self.floor, *first);
            if reached {
                self.floor = *last;
            }
            reached
        });
        let passed = passed.count();
        self.ranges.drain(..passed);
    }

    /// Lets the floor rise to `floor`, dropping what it passes.
    pub fn raise(&mut self, floor: u64) {
        if floor > self.floor {
            self.floor = floor;
            self.ranges.retain(|(_, last)| *last > floor);
            if let Some((first, last)) = self.ranges.first().copied()
                && first <= floor + 1
            {
                self.floor = last;
                self.ranges.remove(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn acked(inserts: &[(u64, u64)], items: &[u64]) -> Acked {
        let mut acked = Acked::default();
        for (first, last) in inserts {
            acked.insert(*first, *last, |a, b| items.iter().any(|seq| a < *seq && *seq < b));
        }
        acked
    }

    #[test]
    fn the_floor_passes_numbers_that_hold_nothing() {
        let check = |inserts: &[(u64, u64)], items: &[u64], floor: u64, ranges: &[(u64, u64)]| {
            assert_eq!(acked(inserts, items), Acked::new(floor, ranges.to_vec()), "{inserts:?} of {items:?}");
        };
        check(&[(1, 3)], &[1, 2, 3, 4], 3, &[]);
        check(&[(2, 3)], &[1, 2, 3, 4], 0, &[(2, 3)]);
        check(&[(2, 3), (1, 1)], &[1, 2, 3, 4], 3, &[]);
        check(&[(5, 7)], &[5, 7, 9], 7, &[]);
        check(&[(5, 5), (9, 9)], &[3, 5, 9], 0, &[(5, 9)]);
        check(&[(9, 9), (5, 5), (3, 3)], &[3, 5, 9], 9, &[]);
        check(&[(5, 5), (9, 9)], &[3, 5, 7, 9], 0, &[(5, 5), (9, 9)]);
        check(&[(1, 5), (1, 3)], &[1, 2, 3, 4, 5, 6], 5, &[]);
    }

    #[test]
    fn gaps() {
        let acked = Acked::new(3, vec![(6, 7), (10, 12)]);
        let check = |first, last, expected: &[(u64, u64)]| {
            assert_eq!(acked.gaps(first, last).collect::<Vec<_>>(), expected, "{first}..={last}");
        };
        check(1, 20, &[(4, 5), (8, 9), (13, 20)]);
        check(1, 3, &[]);
        check(6, 7, &[]);
        check(7, 8, &[(8, 8)]);
        check(5, 9, &[(5, 5), (8, 9)]);
        check(11, 13, &[(13, 13)]);
        check(30, 31, &[(30, 31)]);
    }

    #[test]
    fn beyond_the_bound_further_ranges_are_left_out() {
        let items: Vec<u64> = (1..400).collect();
        let inserts: Vec<_> = (1..100).map(|i| (i * 3, i * 3)).collect();
        let up = acked(&inserts, &items);
        assert_eq!(up.ranges().len(), RANGES_MAX);
        assert!(up.contains(3) && up.contains(64 * 3) && !up.contains(65 * 3));
        let inserts: Vec<_> = inserts.into_iter().rev().collect();
        let mut down = acked(&inserts, &items);
        assert!(down.contains(99 * 3) && down.contains(36 * 3) && !down.contains(35 * 3));
        // What closes a gap, or meets the floor, is taken all the same.
        let holds = |a: u64, b: u64| items.iter().any(|seq| a < *seq && *seq < b);
        down.insert(99 * 3 - 2, 99 * 3 - 1, holds);
        down.insert(1, 2, holds);
        assert_eq!((down.floor(), down.ranges().len()), (2, RANGES_MAX - 1));
    }

    proptest! {
        #[test]
        fn as_a_set(
            items in prop::collection::btree_set(1..80u64, 0..60),
            inserts in prop::collection::vec((1..80u64, 0..10u64), 0..30),
        ) {
            let holds = |a: u64, b: u64| items.range(a + 1..).next().is_some_and(|seq| *seq < b);
            let (mut acked, mut set) = (Acked::default(), BTreeSet::new());
            for (first, more) in inserts {
                let open: Vec<u64> = acked.gaps(first, first + more).flat_map(|(a, b)| a..=b).collect();
                let expected: Vec<u64> = (first..=first + more).filter(|seq| !acked.contains(*seq)).collect();
                prop_assert_eq!(open, expected);
                acked.insert(first, first + more, holds);
                set.extend(first..=first + more);
                for seq in &items {
                    prop_assert_eq!(acked.contains(*seq), set.contains(seq), "{} in {:?}", seq, &acked);
                }
                prop_assert!(acked.ranges().iter().all(|(first, last)| first <= last && *first > acked.floor()));
                prop_assert!(acked.ranges().windows(2).all(|two| holds(two[0].1, two[1].0)));
                prop_assert!(acked.ranges().first().is_none_or(|range| holds(acked.floor(), range.0)));
            }
        }
    }
}
