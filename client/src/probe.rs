//! What has to hold whatever a person writes into a file or the box, as functions that panic where it does not. Fuzzing
//! runs them; nothing else does.

use std::path::PathBuf;

use crate::settings::Profile;
use crate::settings::edit::set;
use crate::settings::file::{self, Layer, Remark};
use crate::settings::resolve::Bound;
use crate::tui::bindings::Bindings;
use crate::tui::key::Key;
use crate::tui::{theme, typed};

/// Everything that is wrong has its place, and is told on one line.
fn told(text: &str, remarks: &[Remark]) {
    let lines = text.matches('\n').count() + 1;
    for remark in remarks {
        assert!((1..=lines).contains(&remark.place.line) && remark.place.column > 0, "{remark:?}");
        assert!(!remark.sentence.contains(char::is_control), "{remark:?}");
    }
}

/// The text of a config file.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = file::text(bytes) else { return };
    let layer = file::parse(text);
    told(text, &layer.problems);
    told(text, &layer.warnings);
    for profile in [Profile::Default, Profile::Emacs, Profile::Vim] {
        let bound = |binding| Bound { binding, path: PathBuf::from("config.toml") };
        let bound: Vec<Bound> = layer.bindings.iter().cloned().map(bound).collect();
        let (_, findings) = Bindings::new(profile, &bound);
        let sentences: Vec<&String> = findings.problems.iter().chain(&findings.warnings).collect();
        assert!(!sentences.iter().any(|sentence| sentence.contains(char::is_control)), "{sentences:?}");
    }
    if layer.problems.is_empty() {
        changed(text, &layer);
    }
}

/// One value changes, and every other stays; what was taken out is gone.
fn changed(text: &str, layer: &Layer) {
    let values = |layer: &Layer| -> Vec<_> {
        let values = layer.entries.iter();
        values.map(|(name, entry)| (name.clone(), entry.value.clone())).collect()
    };
    let before = values(layer);
    let Some((name, value)) = before.get(text.len() % before.len().max(1)) else { return };
    let after = set(text, name, Some(value)).map(|text| file::parse(&text));
    assert_eq!(after.as_ref().map(values), Ok(before.clone()), "{name} as it was");
    let left: Vec<_> = before.iter().filter(|(known, _)| known != name).cloned().collect();
    let after = set(text, name, None).map(|text| file::parse(&text));
    assert_eq!(after.as_ref().map(values), Ok(left), "without {name}");
    let other = if value.text() == "a" { "b" } else { "a" };
    let other = crate::settings::value::Value::Text(other.to_owned());
    let after = set(text, "user", Some(&other)).map(|text| file::parse(&text));
    let after = after.map(|layer| layer.entries.get("user").map(|entry| entry.value.clone()));
    assert_eq!(after, Ok(Some(other)), "another user");
}

/// A key as it is written in `[keys]`.
pub fn key(text: &str) {
    if let Some(key) = Key::parse(text) {
        assert_eq!(Key::parse(&key.to_string()), Some(key), "{text:?} is shown as {key}");
    }
}

/// The text of a theme's file.
pub fn theme(bytes: &[u8]) {
    let Ok(text) = file::text(bytes) else { return };
    let read = theme::parse(text);
    told(text, &read.problems);
    told(text, &read.warnings);
}

/// What stands in the box.
pub fn box_text(text: &str) {
    for pasted in [false, true] {
        let meant = typed::parse(text, pasted);
        let written = typed::written(text, pasted);
        assert_eq!(typed::parse(&written, false), meant, "{text:?} is written as {written:?}");
        if let Some(start) = typed::secret_start(text, pasted) {
            assert!(text.get(start..).is_some_and(|secret| !secret.is_empty()), "{text:?}: {start}");
        }
    }
}
