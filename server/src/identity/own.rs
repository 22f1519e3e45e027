//! The server's own key and certificates, in the folder `tls` of its data folder: made at the first start, and replaced
//! by the operator so that clients that know the old key come to know the new one.
//!
//! Both are written under other names first and renamed when they are durable, the key before the certificates. Whatever
//! moment a crash picks, the next start finds the old pair, the new pair, or a new key whose certificates still have the
//! other name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, PublicKeyData};
use zeroize::Zeroizing;

use super::pair::certificates;
use super::{Files, Fingerprint, IdentityError};
use crate::folder::{FolderError, FolderLock, private_file};

/// The most certificates that are shown: whoever kept one of these keys finds the way to the newest.
const CHAIN_MAX: usize = 8;
const END: &str = "-----END CERTIFICATE-----";

/// The places of an identity.
struct Place {
    folder: PathBuf,
    key: PathBuf,
    cert: PathBuf,
    next_key: PathBuf,
    next_cert: PathBuf,
}

impl Place {
    fn new(data: &Path) -> Place {
        let folder = data.join("tls");
        let [key, cert, next_key, next_cert] =
            ["key.pem", "cert.pem", "next-key.pem", "next-cert.pem"].map(|name| folder.join(name));
        Place { folder, key, cert, next_key, next_cert }
    }

    fn lock(&self) -> Result<FolderLock, IdentityError> {
        let path = self.folder.clone();
        FolderLock::take(&path).map_err(|error| match error {
            FolderError::InUse => IdentityError::InUse { path },
            FolderError::Loose(mode) => IdentityError::LooseFolder { path, mode },
            FolderError::Io(cause) => IdentityError::Write { path, cause },
        })
    }

    /// Ends what a crash interrupted.
    fn settle(&self) -> Result<(), IdentityError> {
        if self.next_cert.exists() && self.key.exists() {
            let of_cert = certificates(&self.next_cert).ok().and_then(|chain| fingerprint(chain.first()?));
            let of_key = read_key(&self.key)?;
            if of_cert == Some(fingerprint_of(&of_key)) {
                return self.rename(&self.next_cert, &self.cert);
            }
        }
        // A key that was never in force is nobody's.
        for path in [&self.next_key, &self.next_cert] {
            match destroy(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(write_error(path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts a new pair into force; the old key is destroyed.
    fn install(&self, key: &KeyPair, chain: &str) -> Result<(), IdentityError> {
        let key = Zeroizing::new(key.serialize_pem());
        self.write(&self.next_key, key.as_bytes())?;
        self.write(&self.next_cert, chain.as_bytes())?;
        // Elsewhere an open file would not let itself be replaced.
        let old = File::options().write(true).open(&self.key).ok().filter(|_| cfg!(unix));
        self.rename(&self.next_key, &self.key)?;
        self.rename(&self.next_cert, &self.cert)?;
        if let Some(old) = old {
            // The new one is in force whether or not this succeeds.
            let _ = overwrite(&old);
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
        let written = private_file(path).and_then(|mut file| {
            file.set_len(0)?;
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(write_error(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), IdentityError> {
        let renamed = fs::rename(from, to).and_then(|()| sync_folder(&self.folder));
        renamed.map_err(write_error(to))
    }
}

/// The server's own pair, which is made where there is none.
///
/// # Errors
///
/// [`IdentityError`].
pub fn open(data: &Path) -> Result<Files, IdentityError> {
    let place = Place::new(data);
    let _lock = place.lock()?;
    place.settle()?;
    match (place.key.exists(), place.cert.exists()) {
        (true, true) => {}
        (false, true) => return Err(IdentityError::KeyGone { key: place.key, cert: place.cert }),
        (true, false) => {
            // A certificate says nothing that the key does not: it is made again.
            let chain = self_signed(&read_key(&place.key)?)?;
            place.write(&place.next_cert, chain.as_bytes())?;
            place.rename(&place.next_cert, &place.cert)?;
        }
        (false, false) => {
            let key = KeyPair::generate().map_err(make_error)?;
            let chain = self_signed(&key)?;
            place.install(&key, &chain)?;
        }
    }
    Ok(Files { cert: place.cert, key: place.key, own: true })
}

/// Makes a new key, whose certificate the old key signs before it is destroyed. Returns the old and the new fingerprint.
///
/// # Errors
///
/// [`IdentityError`]; the old key is then still in force.
pub fn rotate(data: &Path) -> Result<(Fingerprint, Fingerprint), IdentityError> {
    let place = Place::new(data);
    if !place.key.exists() {
        return Err(IdentityError::None { path: place.folder });
    }
    let _lock = place.lock()?;
    place.settle()?;
    let old = read_key(&place.key)?;
    let chain = fs::read_to_string(&place.cert)
        .map_err(|cause| IdentityError::Unreadable { path: place.cert.clone(), cause })?;
    if certificates(&place.cert)?.first().and_then(fingerprint) != Some(fingerprint_of(&old)) {
        return Err(IdentityError::Mismatch { cert: place.cert, key: place.key });
    }
    let new = KeyPair::generate().map_err(make_error)?;
    let signed = params(&new).signed_by(&new, &Issuer::new(params(&old), &old)).map_err(make_error)?;
    let older = chain.split_inclusive(END).filter(|block| block.contains(END)).take(CHAIN_MAX - 1);
    let older: String = older.map(|block| format!("{}\n", block.trim())).collect();
    place.install(&new, &format!("{}\n{older}", signed.pem().trim()))?;
    Ok((fingerprint_of(&old), fingerprint_of(&new)))
}

/// The fingerprint of the server's own key.
///
/// # Errors
///
/// [`IdentityError`], where there is none.
pub fn current(data: &Path) -> Result<Fingerprint, IdentityError> {
    let place = Place::new(data);
    match place.key.exists() {
        true => Ok(fingerprint_of(&read_key(&place.key)?)),
        false => Err(IdentityError::None { path: place.folder }),
    }
}

fn self_signed(key: &KeyPair) -> Result<String, IdentityError> {
    Ok(params(key).self_signed(key).map_err(make_error)?.pem())
}

/// What a certificate for this key says: nothing but which key it is. It is good for as long as certificates can be,
/// since clients know the key and not the date.
fn params(key: &KeyPair) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, fingerprint_of(key).to_string());
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params
}

fn read_key(path: &Path) -> Result<KeyPair, IdentityError> {
    let text = fs::read_to_string(path)
        .map_err(|cause| IdentityError::Unreadable { path: path.to_owned(), cause })?;
    KeyPair::from_pem(&Zeroizing::new(text)).map_err(|error| IdentityError::Content {
        path: path.to_owned(),
        what: format!("no key that this server made ({error})"),
    })
}

fn fingerprint_of(key: &KeyPair) -> Fingerprint {
    Fingerprint::of(&key.subject_public_key_info())
}

fn fingerprint(cert: &rustls::pki_types::CertificateDer<'_>) -> Option<Fingerprint> {
    let cert = webpki::EndEntityCert::try_from(cert).ok()?;
    Some(Fingerprint::of(&cert.subject_public_key_info()))
}

/// Removes a file that may hold a key, and what it held as far as a file system lets one.
fn destroy(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    overwrite(&file)?;
    fs::remove_file(path)
}

fn overwrite(mut file: &File) -> io::Result<()> {
    let len = file.metadata()?.len();
    io::copy(&mut io::Read::take(io::repeat(0), len), &mut file)?;
    file.sync_all()
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> IdentityError {
    move |cause| IdentityError::Write { path: path.to_owned(), cause }
}

fn make_error(error: rcgen::Error) -> IdentityError {
    IdentityError::Make(error.to_string())
}
