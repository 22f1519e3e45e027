//! Who this server is to its clients: a key, the certificates for it, and their fingerprint.
//!
//! The files are the operator's (`--tls-cert`, `--tls-key`) or the server's own ([`own`]); either way they are looked at
//! again when a connection comes, not more often than every few seconds, so that a server without connections does
//! nothing. Sessions that are there keep the keys they began with. A new pair that is no good changes nothing and is
//! told once. What is good is decided in [`pair`].

pub mod own;
pub mod pair;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::version::TLS13;
use sha2::{Digest, Sha256};

use self::pair::Pair;
use crate::clock::Now;

/// The protocol that a client may offer by ALPN (PROTOCOL.md, section 11).
const ALPN: &[u8] = b"bellhop/1";
/// How often the files are looked at while connections come.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a server's key is known by: the SHA-256 of its `SubjectPublicKeyInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a key, given as `SubjectPublicKeyInfo` in DER.
    pub fn of(public_key: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(public_key).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::with_capacity(50);
        text.push_str("SHA256:");
        for bytes in self.0.chunks(3) {
            let group =
                bytes.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - bytes.len()));
            // Of base64's four digits those that hold bits: padding is left out.
            for digit in 0..=bytes.len() {
                let index = group >> (18 - 6 * digit) & 0x3F;
                text.push(char::from(DIGITS[index as usize]));
            }
        }
        f.pad(&text)
    }
}

/// Why there is no identity to show.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others may read the key.
    #[error(
        "other users may read the key {} (mode {mode:04o}): close it with chmod 600, and make a new key if somebody might have read it",
        path.display()
    )]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The key is another one's.
    #[error("the key {} does not belong to the certificate {}: give the two that were made together", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate is not good at this time.
    #[error("the certificate {} {}: renew it, or set the clock right", path.display(), if *expired { "has expired" } else { "is not good yet" })]
    Date {
        /// The file.
        path: PathBuf,
        /// True where its time is over, false where it has not come.
        expired: bool,
    },
    /// The server's own folder is open to others.
    #[error("other users may enter {} (mode {mode:04o}), which holds the server's key: close it with chmod 700", path.display())]
    LooseFolder {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The certificates are there and the key is not.
    #[error(
        "the server's key {} is gone: put it back from a copy, or remove {} for a new identity, which every client has to be told",
        key.display(), cert.display()
    )]
    KeyGone {
        /// Where the key should be.
        key: PathBuf,
        /// The certificates.
        cert: PathBuf,
    },
    /// There is no key to replace.
    #[error("there is no identity in {}: the server makes one at its first start", path.display())]
    None {
        /// The folder.
        path: PathBuf,
    },
    /// Somebody else is at it.
    #[error("another process is changing the identity in {}: try again in a moment", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A new identity could not be written.
    #[error("cannot write to {}: {cause}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A new identity could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
}

/// Where the pair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificates, in PEM, the server's own first.
    pub cert: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// True where the server made them: clients know their key, and their dates say nothing.
    pub own: bool,
}

impl Files {
    /// What was given, or else the server's own in its data folder.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], where its own cannot be had or made.
    pub fn choose(given: Option<&(PathBuf, PathBuf)>, data: &Path) -> Result<Files, IdentityError> {
        match given {
            Some((cert, key)) => Ok(Files { cert: cert.clone(), key: key.clone(), own: false }),
            None => own::open(data),
        }
    }

    /// What tells whether the files are still the ones that were read.
    fn stamp(&self) -> [Option<Stamp>; 2] {
        [&self.cert, &self.key].map(|path| Stamp::of(path))
    }
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    changed: Option<SystemTime>,
    len: u64,
    file: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let about = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(&about);
        #[cfg(not(unix))]
        let file = 0;
        Some(Stamp { changed: about.modified().ok(), len: about.len(), file })
    }
}

/// The identity in force.
pub struct Identity {
    files: Files,
    current: ArcSwap<Current>,
    seen: Mutex<Seen>,
}

struct Current {
    config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
}

/// When the files were looked at, and what they were like.
struct Seen {
    at: Duration,
    stamp: [Option<Stamp>; 2],
}

impl Identity {
    /// Reads the pair.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], which names the file.
    pub fn load(files: Files, now: Now) -> Result<Identity, IdentityError> {
        // Before they are read: what changes meanwhile is seen at the next look.
        let stamp = files.stamp();
        let current = Current::read(&files, now)?;
        Ok(Identity {
            files,
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(Seen { at: now.up, stamp }),
        })
    }

    /// The fingerprint in force.
    pub fn fingerprint(&self) -> Fingerprint {
        self.current.load().fingerprint
    }

    /// What a connection that comes now is shown.
    pub fn config(&self, now: Now) -> Arc<ServerConfig> {
        self.look(now);
        self.current.load().config.clone()
    }

    /// Looks at the files, if that was not done just now.
    fn look(&self, now: Now) {
        let mut seen = self.seen.lock();
        if now.up < seen.at + LOOK_EVERY {
            return;
        }
        seen.at = now.up;
        let stamp = self.files.stamp();
        if stamp != seen.stamp {
            seen.stamp = stamp;
            self.read_again(now);
        }
    }

    /// Reads the files, whether they look changed or not, as the operator asks for it.
    pub fn reload(&self, now: Now) {
        let mut seen = self.seen.lock();
        *seen = Seen { at: now.up, stamp: self.files.stamp() };
        self.read_again(now);
    }

    fn read_again(&self, now: Now) {
        match Current::read(&self.files, now) {
            Ok(current) => {
                tracing::info!(fingerprint = %current.fingerprint, "the certificate was read again");
                self.current.store(Arc::new(current));
            }
            Err(error) => tracing::warn!(%error, "the new certificate is no good; the one before stays"),
        }
    }
}

impl Current {
    fn read(files: &Files, now: Now) -> Result<Current, IdentityError> {
        let Pair { key, fingerprint } = pair::read(files, now.wall_ms)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| IdentityError::Make(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(key));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A connection lives long: resuming one would save little, and tickets are secrets to keep.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Current { config: Arc::new(config), fingerprint })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
