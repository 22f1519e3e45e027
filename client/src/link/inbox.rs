//! What came and was not acknowledged yet, by seq.

use std::collections::BTreeSet;

/// Items that the server sent on this connection and that are not safe yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pending: BTreeSet<u64>,
}

impl Inbox {
    /// An item came.
    pub(crate) fn came(&mut self, seq: u64) {
        self.pending.insert(seq);
    }

    /// These items are safe. Returns the ranges to acknowledge: as few as name no item that is not safe. Items of an
    /// earlier connection are left out: the server sends them again.
    pub(crate) fn safe(&mut self, mut seqs: Vec<u64>) -> Vec<(u64, u64)> {
        seqs.retain(|seq| self.pending.remove(seq));
        seqs.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for seq in seqs {
            match ranges.last_mut() {
                Some((_, last)) if self.pending.range(*last..seq).next().is_none() => *last = seq,
                _ => ranges.push((seq, seq)),
            }
        }
        ranges
    }

    /// The connection is gone.
    pub(crate) fn lost(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_gaps_but_no_item_that_is_not_safe() {
        let check = |came: &[u64], safe: &[u64], expected: &[(u64, u64)]| {
            let mut inbox = Inbox::default();
            came.iter().for_each(|seq| inbox.came(*seq));
            assert_eq!(inbox.safe(safe.to_vec()), expected, "{came:?} {safe:?}");
        };
        check(&[1, 2, 3], &[1, 2, 3], &[(1, 3)]);
        check(&[1, 5, 9], &[1, 5, 9], &[(1, 9)]);
        check(&[1, 5, 9], &[1, 9], &[(1, 1), (9, 9)]);
        check(&[9, 3, 3], &[3, 9], &[(3, 9)]);
        check(&[4], &[4, 7], &[(4, 4)]);
        check(&[], &[1], &[]);
    }

    #[test]
    fn what_an_earlier_connection_brought_is_not_acknowledged_on_this_one() {
        let mut inbox = Inbox::default();
        inbox.came(3);
        inbox.lost();
        assert_eq!(inbox.safe(vec![3]), []);
        inbox.came(3);
        assert_eq!(inbox.safe(vec![3]), [(3, 3)]);
    }
}
