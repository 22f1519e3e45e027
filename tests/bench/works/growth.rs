//! What a message costs as there is more of something else: connections, bytes in a text.

use super::Bench;
use super::live::{Shape, bellhop, work};
use crate::field::Subject;

/// Messages underway for each pair.
const WINDOW: u64 = 64;

/// Steps from `first` to `last`, ten times as much each, and `last` itself.
pub(crate) fn steps(first: u64, last: u64) -> Vec<u64> {
    let mut steps: Vec<u64> = std::iter::successors(Some(first), |step| step.checked_mul(10))
        .take_while(|step| *step < last)
        .collect();
    steps.push(last);
    steps
}

pub(super) fn connections(bench: &mut Bench) {
    for connections in steps(10, bench.amounts.of("connections")) {
        let shape = Shape::pairs(connections / 2, WINDOW, 64);
        let case = format!("{connections} connections");
        let subjects = [Subject::Relay(true), bellhop("none"), bellhop("power")];
        bench.by_turns("connections", &case, &subjects, |bench, subject| work(bench, subject, &shape));
    }
}

pub(super) fn sizes(bench: &mut Bench) {
    for size in [64, 512, 4_096, 16_000] {
        let shape = Shape::pairs(bench.amounts.of("pairs"), WINDOW, size);
        let case = format!("{size} bytes");
        let subjects = [Subject::Relay(true), bellhop("none"), bellhop("power")];
        bench.by_turns("sizes", &case, &subjects, |bench, subject| work(bench, subject, &shape));
    }
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn steps_end_with_the_last() {
        assert_eq!(steps(10, 5_000), [10, 100, 1_000, 5_000]);
        assert_eq!(steps(100, 1_000), [100, 1_000]);
        assert_eq!(steps(10, 7), [7]);
    }
}
