//! A server's key in a form that people compare and files keep: PROTOCOL.md, section 11.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// What stands in front of the hash.
const PREFIX: &str = "SHA256:";
/// The alphabet of base64, RFC 4648, section 4.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The SHA-256 of a server's public key; shown as `SHA256:` and 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// Why something is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fingerprint: SHA256: and 43 characters, as the server prints it at its start")]
pub struct FingerprintError(String);

impl Fingerprint {
    /// Of a `SubjectPublicKeyInfo` in DER.
    pub(crate) fn of_key(spki: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(spki).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for three in self.0.chunks(3) {
            let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
            for at in 0..=three.len() {
                let six = bits >> (18 - 6 * at) & 63;
                write!(f, "{}", char::from(ALPHABET[six as usize]))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        let wrong = || FingerprintError(text.to_owned());
        let hash = text.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let (mut bytes, mut bits, mut held) = (Vec::with_capacity(33), 0u32, 0);
        for character in hash.bytes() {
            let six = ALPHABET.iter().position(|known| *known == character).ok_or_else(wrong)?;
            (bits, held) = (bits << 6 | six as u32, held + 6);
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held & 255) as u8);
            }
            if bytes.len() > 32 {
                return Err(wrong());
            }
        }
        let found = Fingerprint(bytes.try_into().map_err(|_| wrong())?);
        // One key has one spelling: bits that stand for nothing are not free.
        if found.to_string() == text { Ok(found) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_spelled_in_one_way() {
        // `printf abc | openssl dgst -sha256 -binary | base64`
        let shown = "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0";
        let key = Fingerprint::of_key(b"abc");
        assert_eq!((key.to_string().as_str(), shown.len()), (shown, 50));
        assert_eq!(shown.parse(), Ok(key));
        let wrong = |text: String| assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        wrong(format!("{shown}="));
        wrong(format!("{shown}A"));
        wrong(shown[..49].into());
        wrong(shown.replace("SHA256", "sha256"));
        wrong(shown.replace('+', "-"));
        // The last character holds four bits; another two would be a second spelling.
        wrong(format!("{}1", &shown[..49]));
        wrong("SHA256:".into());
        wrong(format!("SHA256:{}", "A".repeat(10_000)));
    }

    #[test]
    fn every_key_comes_back() {
        for byte in 0..=255 {
            let key = Fingerprint::of_key(&[byte]);
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
}
