//! Bytes from the server, cut into frames.
//!
//! The buffer holds what has come and is not a whole frame yet: nothing is reserved for a length that was only
//! announced.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

use std::fmt;

use bellhop_protocol::frame::{self, HEADER, LIMIT_AFTER_LOGIN, LIMIT_MAX, TooLong};

/// A buffer that grew beyond this for one long frame is given back after it.
const KEPT: usize = 256 * 1_024;

/// The limit on a server's frames where HELLO's answer names `announced`: never lower than the usual one.
pub(crate) fn data_limit(announced: u32) -> u32 {
    announced.clamp(LIMIT_AFTER_LOGIN, LIMIT_MAX)
}

/// What has come and was not looked at.
#[derive(Default)]
pub(crate) struct Inbound {
    buffer: Vec<u8>,
    start: usize,
}

/// The bytes may hold a token, so `Debug` shows how many they are.
impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbound({} bytes)", self.buffer.len() - self.start)
    }
}

impl Inbound {
    /// Appends what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame: its op-code and its data, of which there may be at most `limit` bytes.
    pub(crate) fn next(&mut self, limit: u32) -> Result<Option<(u8, &[u8])>, TooLong> {
        match frame::parse(self.buffer.get(self.start..).unwrap_or_default(), limit)? {
            None => {
                self.buffer.drain(..self.start);
                self.start = 0;
                if self.buffer.capacity() > KEPT && self.buffer.len() < KEPT {
                    self.buffer.shrink_to(KEPT);
                }
                Ok(None)
            }
            Some(found) => {
                let (op, len) = (found.op, found.data.len());
                let data = self.start + HEADER;
                self.start = data + len;
                Ok(Some((op, self.buffer.get(data..self.start).unwrap_or_default())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(inbound: &mut Inbound) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some((op, data)) = inbound.next(LIMIT_AFTER_LOGIN).expect("within the limit") {
            found.push((op, data.to_vec()));
        }
        found
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(
            sent in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            cuts in prop::collection::vec(1usize..30, 0..40),
        ) {
            let mut bytes = Vec::new();
            for (op, data) in &sent {
                frame::put(&mut bytes, *op, data);
            }
            let (mut inbound, mut found, mut rest) = (Inbound::default(), Vec::new(), &bytes[..]);
            for cut in cuts {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                inbound.push(piece);
                found.extend(frames(&mut inbound));
                rest = left;
            }
            inbound.push(rest);
            found.extend(frames(&mut inbound));
            prop_assert_eq!(found, sent);
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let mut inbound = Inbound::default();
        inbound.push(&[77; 40]);
        assert_eq!(format!("{inbound:?}"), "Inbound(40 bytes)");
    }

    #[test]
    fn a_length_costs_nothing_until_its_bytes_come() {
        let mut inbound = Inbound::default();
        inbound.push(b"\0\xff\xff\xff\x09");
        assert_eq!(inbound.next(LIMIT_MAX), Ok(None));
        assert!(inbound.buffer.capacity() < 1_024);
        inbound.push(&[0; 10]);
        assert_eq!(inbound.next(LIMIT_MAX), Ok(None));
        assert!(inbound.buffer.capacity() < 1_024);
    }

    #[test]
    fn limits() {
        assert_eq!([9, 65_536, 70_000, u32::MAX].map(data_limit), [65_536, 65_536, 70_000, LIMIT_MAX]);
        let refuses = |bytes: &[u8], announced| {
            let mut inbound = Inbound::default();
            inbound.push(bytes);
            inbound.next(data_limit(announced)).is_err()
        };
        assert!(!refuses(&[0, 1, 0, 0, 9], 9), "a limit below the usual one does not count");
        assert!(refuses(&[0, 1, 0, 1, 9], 65_536));
        assert!(!refuses(&[0, 1, 0, 1, 9], 70_000));
        assert!(refuses(b"HTTP/1.1 400", u32::MAX));
    }
}
