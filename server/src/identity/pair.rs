//! A certificate and its key, read from their files and judged: whatever is wrong is found before a client meets it.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use webpki::{EndEntityCert, KeyUsage};
use zeroize::Zeroizing;

use super::{Files, Fingerprint, IdentityError};

/// No file of certificates or keys is longer than this.
const FILE_MAX: u64 = 256 * 1024;

/// A key and the certificates for it.
pub struct Pair {
    /// What handshakes are signed with.
    pub key: SingleCertAndKey,
    /// What the key is known by.
    pub fingerprint: Fingerprint,
}

/// Reads the pair and judges it.
///
/// # Errors
///
/// [`IdentityError`], which names the file and what is wrong with it.
pub fn read(files: &Files, wall_ms: u64) -> Result<Pair, IdentityError> {
    let chain = certificates(&files.cert)?;
    refuse_loose(&files.key)?;
    let text = Zeroizing::new(text(&files.key)?);
    let key =
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| content(&files.key, "no key in PEM", &error))?;
    let provider = rustls::crypto::ring::default_provider();
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| content(&files.key, "no key that this server can use", &error))?;
    let leaf = chain.first().ok_or_else(|| content(&files.cert, "no certificate", &"the file is empty"))?;
    let leaf = EndEntityCert::try_from(leaf)
        .map_err(|error| content(&files.cert, "no certificate that this server can use", &error))?;
    if !files.own {
        check_date(&leaf, &files.cert, wall_ms)?;
    }
    let fingerprint = Fingerprint::of(&leaf.subject_public_key_info());
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(Pair { key: certified.into(), fingerprint }),
        Err(_) => Err(IdentityError::Mismatch { cert: files.cert.clone(), key: files.key.clone() }),
    }
}

/// The certificates of a file, in their order.
///
/// # Errors
///
/// [`IdentityError`], where the file cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let text = text(path)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, pem::Error>>();
    match chain {
        Ok(chain) if chain.is_empty() => Err(content(path, "no certificate in PEM", &"nothing found")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(content(path, "no certificate in PEM", &error)),
    }
}

fn text(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let unreadable = |cause| IdentityError::Unreadable { path: path.to_owned(), cause };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    // A pipe or a device could be read for ever.
    if !about.is_file() || about.len() > FILE_MAX {
        return Err(unreadable(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is no file of certificates or keys",
        )));
    }
    std::fs::read(path).map_err(unreadable)
}

/// The file's name stands before the sentence.
fn content(path: &Path, what: &str, error: &dyn std::fmt::Display) -> IdentityError {
    IdentityError::Content { path: path.to_owned(), what: format!("{what} ({error})") }
}

/// Tells whether the certificate is good at this time. Without any anchor the search for its issuer fails in any case,
/// and what does not depend on the issuer is checked before it.
fn check_date(leaf: &EndEntityCert<'_>, path: &Path, wall_ms: u64) -> Result<(), IdentityError> {
    let now = UnixTime::since_unix_epoch(Duration::from_millis(wall_ms));
    let checked = leaf.verify_for_usage(&[], &[], &[], now, KeyUsage::server_auth(), None, None);
    let date = |expired| Err(IdentityError::Date { path: path.to_owned(), expired });
    match checked.err() {
        Some(webpki::Error::CertExpired { .. }) => date(true),
        Some(webpki::Error::CertNotValidYet { .. }) => date(false),
        _ => Ok(()),
    }
}

/// A key that belongs to the system's administrator may be readable by a group: that is how systems share one.
#[cfg(unix)]
fn refuse_loose(path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::metadata(path)
        .map_err(|cause| IdentityError::Unreadable { path: path.to_owned(), cause })?;
    let mode = about.mode() & 0o7777;
    let private = if about.uid() == 0 { 0o037 } else { 0o077 };
    match mode & private {
        0 => Ok(()),
        _ => Err(IdentityError::Loose { path: path.to_owned(), mode }),
    }
}

#[cfg(not(unix))]
fn refuse_loose(_: &Path) -> Result<(), IdentityError> {
    Ok(())
}
