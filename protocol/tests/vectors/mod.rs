//! Reads `golden.txt` and `rejects.txt`.

use std::collections::BTreeMap;

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A block of `golden.txt`.
#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) side: Side,
    pub(crate) bytes: Vec<u8>,
}

/// The blocks of `golden.txt` by name.
pub(crate) fn golden() -> BTreeMap<String, Vector> {
    let mut vectors = BTreeMap::new();
    let mut current = None;
    for line in include_str!("../golden.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(field) = line.strip_prefix("  ") {
            let vector: &mut Vector =
                current.as_mut().and_then(|name| vectors.get_mut(name)).expect("a block");
            vector.bytes.extend(hex(field.split("  ").next().unwrap_or_default()));
        } else if let Some((name, side)) = line.split_once(' ') {
            let side = match side {
                "client" => Side::Client,
                "server" => Side::Server,
                other => panic!("{name} is sent by {other}"),
            };
            let old = vectors.insert(name.to_owned(), Vector { side, bytes: Vec::new() });
            assert!(old.is_none(), "{name} stands there twice");
            current = Some(name.to_owned());
        } else {
            assert!(line.is_empty(), "{line}");
        }
    }
    vectors
}

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    let pair =
        |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("two hex digits");
    digits.chunks(2).map(pair).collect()
}
