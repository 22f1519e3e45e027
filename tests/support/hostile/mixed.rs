//! Mixtures: several frames of the classes behind each other, with bytes changed, lost, doubled and moved.

use super::{Case, State, costs_a_hash, golden};
use crate::random::Random;

/// So many mixtures of `classes` and of what is right.
pub fn mixed(seed: u64, count: usize, classes: &[Case]) -> impl Iterator<Item = Case> {
    let (mut random, golden) = (Random::new(seed), golden());
    (0..count).map(move |_| {
        let mut bytes = Vec::new();
        for _ in 0..=below(&mut random, 5) {
            match below(&mut random, 2) {
                0 => bytes.extend_from_slice(&golden[below(&mut random, golden.len())]),
                _ => bytes.extend_from_slice(&classes[below(&mut random, classes.len())].bytes),
            }
        }
        for _ in 0..below(&mut random, 4) {
            change(&mut random, &mut bytes);
        }
        // Behind the first bytes of another frame nothing in it is a password; unless those end where one of its own does.
        while costs_a_hash(&bytes) {
            bytes.splice(..0, [0, 0, 0, 9, 5]);
        }
        Case { class: "mixed", state: State::ALL[below(&mut random, State::ALL.len())], bytes }
    })
}

fn change(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let (at, number) = (below(random, bytes.len()), random.next());
    match below(random, 5) {
        0 => bytes[at] = number as u8,
        1 => bytes[at] ^= 1 << (number % 8),
        2 => bytes.truncate(at),
        3 => bytes.insert(at, number as u8),
        _ => {
            let end = (at + 1 + below(random, 16)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

fn below(random: &mut Random, end: usize) -> usize {
    random.below(end as u64) as usize
}
