//! What lies in files and comes through the operator's door: whoever can write there may write anything.

use bellhop::Server;
use bellhop::known::{Entry, Known, entries, replaced};
use bellhop::probe;
use bellhop_server::ops::wire::Request;

/// A fingerprint, and a day on which it was kept.
const KEY: &str = "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0";
const DAY: &str = "2026-11-21";

pub(super) fn door(input: &[u8]) {
    let mut request = match Request::decode(input) {
        Ok(request) => request,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let written = serde_json::to_vec(&request).unwrap();
    let again = Request::decode(&written).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), written, "the other end reads what was meant");
    let password = match &mut request {
        Request::UserAdd { password, .. } => password.as_mut(),
        Request::UserPasswd { password, .. } => Some(password),
        _ => None,
    };
    let Some(password) = password else { return };
    let password = password.take();
    assert!(format!("{again:?}").contains("Secret(..)"), "{again:?}");
    assert!(String::from_utf8_lossy(&written).ends_with(&format!("{}}}}}", serde_json::json!(*password))));
}

/// The first line is what a person types for a server, the rest is the file.
pub(super) fn known(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (typed, file) = text.split_once('\n').unwrap_or(("", text));
    let before = match entries(file) {
        Ok(before) => before,
        Err(wrong) => {
            assert!((1..=file.lines().count()).contains(&wrong.line), "{wrong:?}");
            return assert!(!wrong.reason.contains(char::is_control), "{wrong:?}");
        }
    };
    let Ok(server) = Server::parse(typed) else { return };
    for to in [None, Some(Known::Authority), Some(Known::Key(KEY.parse().unwrap()))] {
        let others = before.iter().filter(|entry| entry.server != server).cloned();
        let entry = |known| Entry { server: server.clone(), known, since: Some(DAY.to_owned()) };
        let expected: Vec<Entry> = others.chain(to.map(entry)).collect();
        assert_eq!(entries(&replaced(file, &server, to, DAY)), Ok(expected));
    }
}

pub(super) fn settings(input: &[u8]) {
    probe::settings(input);
}

pub(super) fn themes(input: &[u8]) {
    probe::theme(input);
}

pub(super) fn keys(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        probe::key(text);
    }
}
