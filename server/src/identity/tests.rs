//! Keys are made, replaced, read and refused, in folders of their own.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use webpki::EndEntityCert;

use super::*;
use crate::identity::pair::certificates;

const NOW: Now = Now { up: Duration::ZERO, wall_ms: 1_790_000_000_000 };

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn own(data: &Path) -> Identity {
    Identity::load(Files::choose(None, data).unwrap(), NOW).unwrap()
}

fn after(time: Duration) -> Now {
    Now { up: time, ..NOW }
}

fn fingerprints(path: &Path) -> Vec<String> {
    let of =
        |cert| Fingerprint::of(&EndEntityCert::try_from(cert).unwrap().subject_public_key_info()).to_string();
    certificates(path).unwrap().iter().map(of).collect()
}

/// `openssl pkey -pubin -outform DER | sha256sum | xxd -r -p | base64` without `=`.
#[test]
fn a_fingerprint_is_the_hash_of_the_key() {
    let check = |bytes: [u8; 32], text: &str| assert_eq!(Fingerprint(bytes).to_string(), text);
    check([0; 32], "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    check([0xFF; 32], "SHA256://////////////////////////////////////////8");
    let mut bytes = [0; 32];
    (0..32).for_each(|index| bytes[index] = index as u8 * 8 + 3);
    check(bytes, "SHA256:AwsTGyMrMztDS1NbY2tze4OLk5ujq7O7w8vT2+Pr8/s");
    assert_eq!(Fingerprint::of(b"abc").to_string(), "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
}

#[test]
fn the_first_start_makes_a_key_and_the_next_one_has_it() {
    let data = folder();
    let first = own(data.path()).fingerprint();
    assert_eq!(own(data.path()).fingerprint(), first);
    assert_eq!(own::current(data.path()).unwrap(), first);
    let tls = data.path().join("tls");
    assert_eq!(fingerprints(&tls.join("cert.pem")), [first.to_string()]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| fs::metadata(tls.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode("."), mode("key.pem"), mode("cert.pem")], [0o700, 0o600, 0o600]);
    }
    // A certificate says nothing that the key does not.
    fs::remove_file(tls.join("cert.pem")).unwrap();
    assert_eq!(own(data.path()).fingerprint(), first);
    fs::remove_file(tls.join("key.pem")).unwrap();
    let error = Files::choose(None, data.path()).unwrap_err();
    assert!(matches!(error, IdentityError::KeyGone { .. }), "{error}");
    assert!(matches!(own::current(data.path()), Err(IdentityError::None { .. })));
    assert!(matches!(own::rotate(data.path()), Err(IdentityError::None { .. })));
}

/// Each certificate is signed by the key of the next one, and the last by itself.
fn assert_chain(path: &Path) {
    let chain = certificates(path).unwrap();
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    let time = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_millis(NOW.wall_ms));
    for pair in chain.windows(2) {
        let anchors = [webpki::anchor_from_trusted_cert(&pair[1]).unwrap()];
        let cert = EndEntityCert::try_from(&pair[0]).unwrap();
        let usage = webpki::KeyUsage::server_auth();
        cert.verify_for_usage(algorithms, &anchors, &[], time, usage, None, None).unwrap();
    }
}

#[test]
fn a_new_key_is_signed_by_the_one_before() {
    let data = folder();
    let identity = own(data.path());
    let tls = data.path().join("tls");
    let (key, mut known) = (tls.join("key.pem"), vec![identity.fingerprint().to_string()]);
    #[cfg(unix)]
    let old_file = fs::File::open(&key).unwrap();
    for round in 1..=10 {
        let before = fs::read(&key).unwrap();
        let (old, new) = own::rotate(data.path()).unwrap();
        assert_eq!(old.to_string(), known[0]);
        assert_ne!(fs::read(&key).unwrap(), before);
        known.insert(0, new.to_string());
        known.truncate(8);
        assert_eq!(fingerprints(&tls.join("cert.pem")), known, "{round}");
        assert_chain(&tls.join("cert.pem"));
    }
    // A server that runs has it with the next connection.
    identity.config(after(LOOK_EVERY));
    assert_eq!(identity.fingerprint().to_string(), known[0]);
    #[cfg(unix)]
    {
        let mut left = Vec::new();
        std::io::Read::read_to_end(&mut &old_file, &mut left).unwrap();
        assert!(!left.is_empty() && left.iter().all(|byte| *byte == 0), "the old key can be read");
    }
    let names: Vec<_> = fs::read_dir(&tls).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

/// Whatever moment a crash picks, the next start has the old pair or the new one.
#[test]
fn a_rotation_that_a_crash_cut_off_is_ended_or_undone() {
    let [old, new] = [folder(), folder()];
    let old_key = own(old.path()).fingerprint();
    fs::create_dir(new.path().join("tls")).unwrap();
    #[cfg(unix)]
    fs::set_permissions(new.path().join("tls"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for name in ["key.pem", "cert.pem"] {
        fs::copy(old.path().join("tls").join(name), new.path().join("tls").join(name)).unwrap();
    }
    let (_, new_key) = own::rotate(new.path()).unwrap();
    let read =
        |folder: &tempfile::TempDir, name: &str| fs::read(folder.path().join("tls").join(name)).unwrap();
    let [key, cert] = ["key.pem", "cert.pem"].map(|name| [read(&old, name), read(&new, name)]);
    let half = cert[1].len() / 2;
    let check = |files: &[(&str, &[u8])], expected: Fingerprint| {
        let data = folder();
        own(data.path());
        for (name, bytes) in files {
            fs::write(data.path().join("tls").join(name), bytes).unwrap();
        }
        assert_eq!(
            own(data.path()).fingerprint(),
            expected,
            "{:?}",
            files.iter().map(|file| file.0).collect::<Vec<_>>()
        );
        assert_eq!(fs::read_dir(data.path().join("tls")).unwrap().count(), 3);
    };
    let pair: [(&str, &[u8]); 2] = [("key.pem", &key[0]), ("cert.pem", &cert[0])];
    check(&[pair[0], pair[1], ("next-key.pem", b"")], old_key);
    check(&[pair[0], pair[1], ("next-key.pem", &key[1])], old_key);
    check(&[pair[0], pair[1], ("next-key.pem", &key[1]), ("next-cert.pem", &cert[1][..half])], old_key);
    check(&[pair[0], pair[1], ("next-key.pem", &key[1]), ("next-cert.pem", &cert[1])], old_key);
    check(&[("key.pem", &key[1]), pair[1], ("next-cert.pem", &cert[1])], new_key);
    check(&[("key.pem", &key[1]), ("cert.pem", &cert[1])], new_key);
}

/// A certificate and its key as an operator gives them, good for these years.
fn given(folder: &Path, name: &str, years: (i32, i32)) -> Files {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["bellhop.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let files = Files {
        cert: folder.join(format!("{name}.crt")),
        key: folder.join(format!("{name}.key")),
        own: false,
    };
    fs::write(&files.cert, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    close(&files.key, 0o600);
    files
}

#[cfg(unix)]
fn close(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn close(_: &Path, _: u32) {}

#[test]
fn a_pair_that_is_no_good_is_refused_by_name() {
    let data = folder();
    let make = |name: &str| given(data.path(), name, (2020, 2080));
    let check = |files: Files, parts: &[&str]| {
        let error = Identity::load(files, NOW).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{error}");
    };
    Identity::load(make("good"), NOW).unwrap();
    let missing = |name: &str| data.path().join(name);
    check(Files { cert: missing("no.crt"), ..make("a") }, &["cannot read", "no.crt"]);
    check(Files { key: missing("no.key"), ..make("b") }, &["cannot read", "no.key"]);
    check(Files { cert: data.path().to_owned(), ..make("c") }, &["cannot read", "no file of certificates"]);
    check(Files { cert: make("d").cert, ..make("e") }, &["does not belong", "d.crt", "e.key"]);
    check(given(data.path(), "old", (2020, 2021)), &["old.crt", "has expired"]);
    check(given(data.path(), "early", (2070, 2080)), &["early.crt", "is not good yet"]);
    for (text, what) in [
        ("", "no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate that"),
    ] {
        let files = make("f");
        fs::write(&files.cert, text).unwrap();
        check(files, &["f.crt: ", what]);
        let files = make("g");
        fs::write(&files.key, text.replace("CERTIFICATE", "PRIVATE KEY")).unwrap();
        check(files, &["g.key: ", "no key "]);
    }
    let files = make("long");
    fs::write(&files.cert, vec![b'x'; 1 << 20]).unwrap();
    check(files, &["cannot read", "long.crt"]);
    #[cfg(unix)]
    for (mode, root_may) in [(0o644, false), (0o640, true), (0o604, false), (0o660, false), (0o400, true)] {
        let files = make("h");
        close(&files.key, mode);
        let is_root = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&files.key).unwrap()) == 0;
        if mode == 0o400 || root_may && is_root {
            Identity::load(files, NOW).unwrap();
        } else {
            check(files, &["other users may read", "h.key"]);
        }
    }
}

#[test]
fn a_pair_is_taken_up_when_it_changes_and_a_bad_one_is_not() {
    let data = folder();
    let files = given(data.path(), "pair", (2020, 2080));
    let identity = Identity::load(files.clone(), NOW).unwrap();
    let first = identity.fingerprint();
    let renewed = given(data.path(), "new", (2020, 2080));
    let renamed = |from: &Path, to: &Path| fs::rename(from, to).unwrap();
    // Half a renewal is no pair.
    renamed(&renewed.cert, &files.cert);
    let shown = |time: Duration| {
        identity.config(after(time));
        identity.fingerprint()
    };
    assert_eq!(shown(LOOK_EVERY), first);
    renamed(&renewed.key, &files.key);
    assert_eq!(shown(LOOK_EVERY * 3 / 2), first, "the files were looked at a moment ago");
    let second = shown(LOOK_EVERY * 2);
    assert_ne!(second, first);
    let expired = given(data.path(), "expired", (2020, 2021));
    renamed(&expired.cert, &files.cert);
    renamed(&expired.key, &files.key);
    assert_eq!(shown(LOOK_EVERY * 3), second);
    // The operator asks: nothing is waited for.
    let third = given(data.path(), "pair", (2020, 2080));
    assert_eq!(third, files);
    identity.reload(after(LOOK_EVERY * 3));
    assert!(![first, second].contains(&identity.fingerprint()));
}
