//! What a text begins with: when it was sent, of which flow it is, and its number there. Six bits a byte, so that every
//! protocol takes it as a text without spaces.

/// Bytes that a text has at least.
pub(crate) const LEN: usize = TIME + FLOW + NUMBER;
/// 48 bits of nanoseconds.
const TIME: usize = 8;
/// 24 bits.
const FLOW: usize = 4;
/// 36 bits.
const NUMBER: usize = 6;

/// What it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When it was sent.
    pub(crate) time: u64,
    /// Of which flow it is.
    pub(crate) flow: u32,
    /// The number that it has in the flow, from 0.
    pub(crate) number: u64,
}

/// A text of so many bytes, without a stamp as yet.
pub(crate) fn text(size: usize) -> Vec<u8> {
    assert!(size >= LEN, "a text begins with a stamp of {LEN} bytes");
    (0..size).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect()
}

fn put(value: u64, into: &mut [u8]) {
    let last = into.len() - 1;
    for (at, byte) in into.iter_mut().enumerate() {
        *byte = b'0' + ((value >> (6 * (last - at))) & 63) as u8;
    }
}

fn get(from: &[u8]) -> u64 {
    from.iter().fold(0, |value, byte| value << 6 | u64::from(byte.wrapping_sub(b'0') & 63))
}

impl Stamp {
    /// Begins a text with it.
    pub(crate) fn put(self, text: &mut [u8]) {
        put(self.time, &mut text[..TIME]);
        put(self.flow.into(), &mut text[TIME..TIME + FLOW]);
        Stamp::put_number(self.number, text);
    }

    /// Gives a text that has one another number.
    pub(crate) fn put_number(number: u64, text: &mut [u8]) {
        put(number, &mut text[TIME + FLOW..LEN]);
    }

    /// What a text begins with; `None` for a text that is too short.
    pub(crate) fn read(text: &[u8]) -> Option<Stamp> {
        let text = text.get(..LEN)?;
        let flow = u32::try_from(get(&text[TIME..TIME + FLOW])).ok()?;
        Some(Stamp { time: get(&text[..TIME]), flow, number: get(&text[TIME + FLOW..]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let mut text = text(64);
        for stamp in [
            Stamp::default(),
            Stamp { time: (1 << 48) - 1, flow: (1 << 24) - 1, number: (1 << 36) - 1 },
            Stamp { time: 123_456_789_012, flow: 77, number: 1_000_000 },
        ] {
            stamp.put(&mut text);
            assert_eq!(Stamp::read(&text), Some(stamp));
            assert!(text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'|' && *byte != b' '));
        }
        assert_eq!(Stamp::read(&text[..LEN - 1]), None);
    }
}
