//! How much of the log is still awaited, by segments of rows, and what may be dropped, moved or has expired.
//!
//! Deleting single rows from among others costs ten times as much as deleting a run, so rows go by segments: when
//! nothing of a segment is awaited any longer it is dropped whole, and when almost nothing is, the rest is appended
//! anew first. Plain counts; the store is asked by whoever drives this.

use std::collections::VecDeque;

use super::RowId;

/// Rows of a segment.
pub const SEGMENT: u64 = 1024;
/// With this many awaited rows or fewer, an old segment is emptied by appending them anew.
const SPARSE: u32 = (SEGMENT / 8) as u32;
/// A segment is old when this many follow it: some tens of MiB of log.
const OLD: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Segment {
    awaited: u32,
    /// No awaited row that may expire is older, in ms since 1970.
    oldest_ms: u64,
    /// True once its rows are dropped.
    dropped: bool,
    /// True where a row is damaged: what is awaited of it stays where it is.
    damaged: bool,
}

/// The segments of the log that hold rows.
#[derive(Debug, Default)]
pub struct LogMap {
    segments: VecDeque<Segment>,
    /// The number of the first segment.
    first: u64,
}

/// A run of rows, both ends included.
pub type Run = (RowId, RowId);

impl LogMap {
    /// Notes a row that is new in the log, awaited or not. Rows of one batch may come in any order.
    pub fn append(&mut self, row: RowId, time_ms: u64, awaited: bool) {
        let number = row.0 / SEGMENT;
        if self.segments.is_empty() {
            self.first = number;
        }
        while self.first + self.segments.len() as u64 <= number {
            self.segments.push_back(Segment {
                awaited: 0,
                oldest_ms: u64::MAX,
                dropped: false,
                damaged: false,
            });
        }
        if let (Some(segment), true) = (self.at(row), awaited) {
            segment.awaited += 1;
            segment.oldest_ms = segment.oldest_ms.min(time_ms);
        }
    }

    /// Notes that rows are awaited no longer.
    pub fn free(&mut self, rows: impl Iterator<Item = RowId>) {
        for row in rows {
            let at = (row.0 / SEGMENT).checked_sub(self.first).map(|at| at as usize);
            if let Some(segment) = at.and_then(|at| self.segments.get_mut(at)) {
                debug_assert!(segment.awaited > 0, "row {} was awaited", row.0);
                segment.awaited = segment.awaited.saturating_sub(1);
            }
        }
    }

    /// How many rows are awaited.
    pub fn awaited(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.awaited)).sum()
    }

    /// The first run of segments, at most `most`, of which nothing is awaited. The newest segment, which is still
    /// appended to, stays.
    pub fn droppable(&self, most: usize) -> Option<Run> {
        let ended = self.segments.len().saturating_sub(1);
        let dead = |segment: &&Segment| segment.awaited == 0 && !segment.dropped;
        let from = self.segments.iter().take(ended).position(|segment| dead(&segment))?;
        let count = self.segments.range(from..ended).take(most).take_while(|segment| dead(segment)).count();
        Some(self.run(from, count))
    }

    /// The oldest segments of which almost nothing is awaited, so that the rest should be appended anew: so many that
    /// this is not more than `rows` rows.
    pub fn sparse(&self, rows: u32) -> impl Iterator<Item = Run> {
        let old = self.segments.len().saturating_sub(OLD);
        let segments = self.segments.iter().enumerate().take(old);
        let sparse = segments
            .filter(|(_, segment)| {
                !segment.dropped && !segment.damaged && (1..=SPARSE).contains(&segment.awaited)
            })
            .scan(0, |sum, (at, segment)| {
                *sum += segment.awaited;
                Some((at, *sum))
            });
        sparse.take_while(move |(_, sum)| *sum <= rows).map(|(at, _)| self.run(at, 1))
    }

    /// The oldest segment with an awaited row that is older than `cutoff_ms`.
    pub fn expired(&self, cutoff_ms: u64) -> Option<Run> {
        let expired =
            |segment: &Segment| segment.awaited > 0 && !segment.damaged && segment.oldest_ms < cutoff_ms;
        self.segments.iter().position(expired).map(|at| self.run(at, 1))
    }

    /// Notes that the awaited rows of a run that was reviewed and that may expire are not older than `oldest_ms`;
    /// `u64::MAX` where there are none.
    pub fn reviewed(&mut self, run: Run, oldest_ms: u64) {
        if let Some(segment) = self.at(run.0) {
            segment.oldest_ms = oldest_ms;
        }
    }

    /// When the oldest awaited row that may expire was kept, in ms since 1970.
    pub fn oldest_ms(&self) -> Option<u64> {
        let awaited = self.segments.iter().filter(|segment| segment.awaited > 0 && !segment.damaged);
        awaited.map(|segment| segment.oldest_ms).filter(|oldest_ms| *oldest_ms != u64::MAX).min()
    }

    /// Notes that a row of a segment is damaged: it is looked at no more.
    pub fn leave(&mut self, run: Run) {
        if let Some(segment) = self.at(run.0) {
            segment.damaged = true;
        }
    }

    /// Notes that a run was dropped.
    pub fn dropped(&mut self, run: Run) {
        for number in run.0.0 / SEGMENT..=run.1.0 / SEGMENT {
            if let Some(segment) = self.at(RowId(number * SEGMENT)) {
                segment.dropped = true;
            }
        }
        while self.segments.len() > 1 && self.segments.front().is_some_and(|segment| segment.dropped) {
            self.segments.pop_front();
            self.first += 1;
        }
    }

    fn at(&mut self, row: RowId) -> Option<&mut Segment> {
        let at = (row.0 / SEGMENT).checked_sub(self.first)?;
        self.segments.get_mut(at as usize)
    }

    fn run(&self, at: usize, count: usize) -> Run {
        let first = (self.first + at as u64) * SEGMENT;
        (RowId(first), RowId(first + count as u64 * SEGMENT - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(rows: u64) -> LogMap {
        let mut log = LogMap::default();
        (1..=rows).for_each(|row| log.append(RowId(row), row * 10, true));
        log
    }

    fn free(log: &mut LogMap, rows: impl Iterator<Item = u64>) {
        log.free(rows.map(RowId));
    }

    #[test]
    fn dead_segments_go_as_runs_and_the_newest_stays() {
        let mut log = log(SEGMENT * 4 + 10);
        assert_eq!(log.droppable(8), None);
        free(&mut log, 1..SEGMENT * 2);
        assert_eq!(log.droppable(8), Some((RowId(0), RowId(2 * SEGMENT - 1))));
        assert_eq!(log.droppable(1), Some((RowId(0), RowId(SEGMENT - 1))));
        log.dropped((RowId(0), RowId(2 * SEGMENT - 1)));
        assert_eq!(log.droppable(8), None);
        free(&mut log, SEGMENT * 3..SEGMENT * 4 + 11);
        assert_eq!(log.droppable(8), Some((RowId(3 * SEGMENT), RowId(4 * SEGMENT - 1))));
        assert_eq!(log.awaited(), SEGMENT);
    }

    #[test]
    fn an_old_segment_with_few_rows_is_sparse() {
        let mut log = log(SEGMENT * (OLD as u64 + 2));
        free(&mut log, 5..SEGMENT);
        assert_eq!(log.sparse(SPARSE).collect::<Vec<_>>(), [(RowId(0), RowId(SEGMENT - 1))]);
        free(&mut log, 1..5);
        assert_eq!(log.sparse(SPARSE).count(), 0);
    }

    #[test]
    fn sparse_segments_come_as_many_as_the_rows_allow() {
        let mut log = log(SEGMENT * (OLD as u64 + 3));
        free(&mut log, 1..SEGMENT - 100);
        free(&mut log, SEGMENT..SEGMENT * 2 - 100);
        let second = (RowId(SEGMENT), RowId(2 * SEGMENT - 1));
        assert_eq!(log.sparse(199).count(), 1);
        assert_eq!(log.sparse(200).last(), Some(second));
        // What is dropped is not looked at again, whatever its count says.
        log.dropped((RowId(0), RowId(SEGMENT - 1)));
        assert_eq!(log.sparse(200).collect::<Vec<_>>(), [second]);
    }

    /// Rows that were appended anew counted for the segment after theirs, which could be dropped too early then.
    #[test]
    fn a_row_counts_for_its_own_segment() {
        let mut log = LogMap::default();
        log.append(RowId(2 * SEGMENT - 2), 10, false);
        log.append(RowId(2 * SEGMENT), 10, true);
        log.append(RowId(2 * SEGMENT - 1), 20, true);
        log.append(RowId(2 * SEGMENT + 1), 30, true);
        free(&mut log, 2 * SEGMENT..2 * SEGMENT + 2);
        assert_eq!(log.awaited(), 1);
        log.append(RowId(3 * SEGMENT), 40, true);
        assert_eq!(log.droppable(9), Some((RowId(2 * SEGMENT), RowId(3 * SEGMENT - 1))));
    }

    #[test]
    fn expiry_is_by_the_oldest_row_of_a_segment() {
        let mut log = log(SEGMENT * 2);
        assert_eq!(log.expired(10), None);
        let run = (RowId(0), RowId(SEGMENT - 1));
        assert_eq!(log.expired(11), Some(run));
        log.reviewed(run, 500);
        assert_eq!((log.expired(500), log.expired(501)), (None, Some(run)));
        assert_eq!(log.oldest_ms(), Some(500));
        // A row that was appended anew keeps its time, and its new segment with it.
        log.append(RowId(SEGMENT * 2 + 1), 20, true);
        assert_eq!(log.expired(100), Some((RowId(2 * SEGMENT), RowId(3 * SEGMENT - 1))));
    }

    #[test]
    fn rows_dropped_before_a_start_are_a_gap() {
        let mut log = LogMap::default();
        log.append(RowId(SEGMENT * 7 + 3), 10, true);
        log.append(RowId(SEGMENT * 9 + 3), 10, false);
        log.append(RowId(SEGMENT * 10), 10, false);
        assert_eq!(log.droppable(9), Some((RowId(SEGMENT * 8), RowId(SEGMENT * 10 - 1))));
    }
}
