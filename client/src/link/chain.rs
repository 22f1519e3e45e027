//! The certificates that a server presents, read: its key, and the keys before it that vouch for it.
//!
//! Signatures alone count here, as PROTOCOL.md, section 11, says: names, dates and extensions are not judged, as a key
//! that is compared by people needs none. Whether an authority vouches for the certificate is another question.

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::fingerprint::Fingerprint;

/// PROTOCOL.md, section 11: at most eight certificates are looked at.
const CERTIFICATES_MAX: usize = 8;
/// DER, X.690: the tags of what a certificate is made of.
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The key that the handshake is signed with.
    pub(crate) key: Fingerprint,
    /// Keys that it had before, the latest first: each signed the certificate of the one after it.
    pub(crate) before: Vec<Fingerprint>,
}

/// Reads the certificates in the order in which they were presented. `None` where the first one is none; what cannot
/// be read behind it, or did not sign, ends the chain.
pub(crate) fn read(first: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Option<Chain> {
    let key = fingerprint(first)?;
    let mut before = Vec::new();
    let mut signed = first;
    for signer in rest.iter().take(CERTIFICATES_MAX - 1) {
        let Some(key) = fingerprint(signer).filter(|_| has_signed(signer, signed)) else { break };
        before.push(key);
        signed = signer;
    }
    Some(Chain { key, before })
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Option<Fingerprint> {
    let parsed = EndEntityCert::try_from(certificate).ok()?;
    Some(Fingerprint::of_key(&parsed.subject_public_key_info()))
}

/// True if and only if the key of `signer` signed the certificate `signed`.
fn has_signed(signer: &CertificateDer<'_>, signed: &CertificateDer<'_>) -> bool {
    let (Ok(signer), Some(Signed { content, algorithm, signature })) =
        (EndEntityCert::try_from(signer), Signed::read(signed))
    else {
        return false;
    };
    let known = ring::default_provider().signature_verification_algorithms.all;
    let mut fitting = known.iter().filter(|known| known.signature_alg_id().as_ref() == algorithm);
    fitting.any(|known| signer.verify_signature(*known, content, signature).is_ok())
}

/// RFC 5280, section 4.1: what is signed, how, and the signature.
struct Signed<'a> {
    content: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(certificate: &'a [u8]) -> Option<Signed<'a>> {
        let (whole, rest) = Element::read(certificate)?;
        let (content, fields) = Element::read(whole.of(SEQUENCE)?)?;
        let (algorithm, fields) = Element::read(fields)?;
        let (signature, end) = Element::read(fields)?;
        // The first byte of a bit string says how many bits of the last one do not count.
        let signature = signature.of(BIT_STRING)?.strip_prefix(&[0])?;
        content.of(SEQUENCE)?;
        let nothing_left = rest.is_empty() && end.is_empty();
        nothing_left.then_some(Signed {
            content: content.encoded,
            algorithm: algorithm.of(SEQUENCE)?,
            signature,
        })
    }
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    value: &'a [u8],
    /// The same with its tag and length.
    encoded: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element of `bytes`, and what follows it.
    fn read(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
        // Certificates come in a handshake, so no length has more than three bytes.
        let more = match first {
            0..=0x7f => 0,
            0x81..=0x83 => usize::from(first & 0x7f),
            _ => return None,
        };
        let (digits, rest) = rest.split_at_checked(more)?;
        let length = match more {
            0 => usize::from(first),
            _ => digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        let (value, after) = rest.split_at_checked(length)?;
        let encoded = &bytes[..bytes.len() - after.len()];
        Some((Element { tag, value, encoded }, after))
    }

    fn of(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.value)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, Issuer, KeyPair};

    use super::*;

    /// Keys that a server had, the latest first, and the chain that it presents.
    pub(crate) struct Rotated {
        pub(crate) keys: Vec<Fingerprint>,
        pub(crate) chain: Vec<CertificateDer<'static>>,
    }

    fn params() -> CertificateParams {
        CertificateParams::new(["bellhop".to_owned()]).expect("a name")
    }

    fn key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }

    /// As a server that rotated its key `times` times; every certificate is signed by the key before it.
    pub(crate) fn rotated(times: usize) -> Rotated {
        let mut pair = key();
        let mut chain = vec![params().self_signed(&pair).expect("signed").der().clone()];
        for _ in 0..times {
            let next = key();
            let issuer = Issuer::new(params(), pair);
            chain.insert(0, params().signed_by(&next, &issuer).expect("signed").der().clone());
            pair = next;
        }
        let keys = chain.iter().map(|certificate| fingerprint(certificate).expect("a key")).collect();
        Rotated { keys, chain }
    }

    fn before(chain: &[CertificateDer<'_>]) -> Vec<Fingerprint> {
        read(&chain[0], &chain[1..]).expect("a certificate").before
    }

    #[test]
    fn a_fingerprint_is_that_of_the_public_key() {
        let pair = key();
        let certificate = params().self_signed(&pair).expect("signed").der().clone();
        let expected = Fingerprint::of_key(&rcgen::PublicKeyData::subject_public_key_info(&pair));
        assert_eq!(read(&certificate, &[]), Some(Chain { key: expected, before: Vec::new() }));
    }

    #[test]
    fn each_key_vouches_for_the_next() {
        for times in 0..8 {
            let Rotated { keys, chain } = rotated(times);
            assert_eq!(before(&chain), keys[1..], "{times}");
        }
        let Rotated { keys, chain } = rotated(9);
        assert_eq!(before(&chain), keys[1..8], "eight certificates are looked at");
    }

    #[test]
    fn whoever_did_not_sign_vouches_for_nobody() {
        let Rotated { keys, chain } = rotated(3);
        let stranger = rotated(0);
        let with = |at: usize, other: &CertificateDer<'static>| {
            let mut chain = chain.clone();
            chain[at] = other.clone();
            chain
        };
        // A new key of somebody else, with the certificates of the server behind it.
        assert_eq!(before(&with(0, &stranger.chain[0])), []);
        assert_eq!(before(&with(1, &stranger.chain[0])), []);
        assert_eq!(before(&with(2, &stranger.chain[0])), keys[1..2]);
        let skipped = [chain[0].clone(), chain[2].clone()];
        assert_eq!(before(&skipped), [], "a key between is left out");
        let turned: Vec<_> = chain.iter().rev().cloned().collect();
        assert_eq!(before(&turned), [], "the old key is not vouched for by the new one");
    }

    #[test]
    fn one_changed_bit_is_another_signature() {
        let Rotated { chain, .. } = rotated(1);
        let mut seen = 0;
        for at in 0..chain[0].len() {
            let mut bytes = chain[0].to_vec();
            bytes[at] ^= 1;
            if let Some(found) = read(&bytes.into(), &chain[1..]) {
                assert_eq!(found.before, [], "byte {at}");
                seen += 1;
            }
        }
        assert!(seen > 64, "certificates that can be read at all: {seen}");
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 0usize..600, at in 0usize..600) {
            let Rotated { chain, .. } = rotated(1);
            let garbage = CertificateDer::from(bytes.clone());
            prop_assert_eq!(read(&garbage, &chain), None);
            let short = CertificateDer::from(chain[0][..cut.min(chain[0].len() - 1)].to_vec());
            prop_assert!(read(&short, &chain[1..]).is_none_or(|found| found.before.is_empty()));
            let mut mixed = chain[0].to_vec();
            for (offset, byte) in bytes.iter().enumerate().take(9) {
                let length = mixed.len();
                mixed[(at + offset) % length] = *byte;
            }
            let changed = mixed[..] != chain[0][..];
            if let Some(found) = read(&mixed.into(), &chain[1..]) {
                prop_assert!(found.before.is_empty() || !changed);
            }
        }
    }
}
