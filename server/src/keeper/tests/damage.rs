//! Rows of the log that are damaged, for what is done on the side.

use super::bench::{Bench, DAY};
use crate::store::RowId;

/// A message to somebody who is away, whose row is damaged then, and another one.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let mut alice = bench.party("alice", Some(1));
    bench.away("bob");
    assert_eq!(bench.sent(&mut alice, "bob", "damaged", true), "ok stored");
    assert_eq!(bench.sent(&mut alice, "bob", "beside it", true), "ok stored");
    bench.seconds(3);
    let row = bench.log()[0].row;
    bench.plan.lock().damaged = Some(row);
    bench
}

/// Neither is dropped unread, and the thread does not try the same for ever.
#[test]
fn what_lies_beside_a_damaged_row_neither_goes_nor_moves() {
    for moves in [false, true] {
        let mut bench = bench();
        match moves {
            true => bench.age_log(),
            false => bench.clock.pass(31 * DAY),
        }
        bench.seconds(5);
        assert!(bench.wake_ups() <= 2);
        let left: Vec<(RowId, String)> = bench.log().into_iter().map(|row| (row.row, row.text)).collect();
        let expected = [(RowId(1), "damaged".to_owned()), (RowId(2), "beside it".to_owned())];
        assert_eq!(left, expected, "moves: {moves}");
        assert_eq!(bench.core.counters.damaged.get(), 1, "it is said once");
        assert_eq!(bench.core.log.lock().awaited(), 2);
    }
}
