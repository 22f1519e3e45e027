//! Words: names, text for terminals, lines that are typed, settings.

use std::path::Path;

use bellhop::probe;
use bellhop::raw::{self, RawError};
use bellhop::text::{Kind, clean as cleaned};
use bellhop_protocol::name::{NAME_MAX, NameError, fold};
use bellhop_protocol::{Address, Name};
use bellhop_server::config::{Args, Config};
use bellhop_server::limits::Limits;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

/// Combining marks on one base.
const MARKS_MAX: usize = 8;
/// Characters of one cluster.
const CLUSTER_MAX: usize = 32;

pub(super) fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let folded = fold(text).into_owned();
    assert_eq!(fold(&folded), folded, "folding twice changes nothing");
    match Name::parse(text) {
        Ok(name) => {
            assert!((1..=NAME_MAX).contains(&text.len()));
            assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace() || "|@#*?/\\,".contains(c)));
            assert_eq!((name.as_str(), name.key().as_str()), (text, folded.as_str()));
            assert!(!cleaned(text, Kind::Line).contains('⟨') || text.contains('⟨'), "nothing in it reorders");
        }
        Err(NameError::Empty) => assert!(text.is_empty()),
        Err(NameError::TooLong) => assert!(text.len() > NAME_MAX),
        Err(NameError::Forbidden) => {}
    }
    if let Ok(address) = Address::parse(text) {
        assert_eq!((address.to_string().as_str(), address.len()), (text, text.len()));
    }
}

pub(super) fn clean(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // A byte more, and it is for the other.
    let kind = [Kind::Line, Kind::Body][input.len() % 2];
    let once = cleaned(&text, kind);
    assert_eq!(cleaned(&once, kind), once, "cleaning twice changes nothing");
    assert!(is_harmless(&once, kind == Kind::Body), "{once:?}");
    assert!(once.len() <= 6 * text.len());
}

/// True if and only if nothing in the text drives a terminal, reorders, hides, or grows beyond its cell.
pub fn is_harmless(text: &str, lines: bool) -> bool {
    let bidi = |c| matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let hidden = |c| {
        matches!(
            c,
            '\u{200B}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}'
        )
    };
    let stays = |c| lines && matches!(c, '\n' | '\t');
    let marks = |cluster: &str| {
        let mark = |c: &char| c.width() == Some(0) && !matches!(c, '\u{200D}' | '\u{FE0F}');
        cluster.chars().filter(mark).count()
    };
    !text.chars().any(|c| c.is_control() && !stays(c) || bidi(c) || hidden(c))
        && text.graphemes(true).all(|c| marks(c) <= MARKS_MAX && c.chars().count() <= CLUSTER_MAX)
}

pub(super) fn typed(input: &[u8]) {
    let Ok(line) = std::str::from_utf8(input) else { return };
    probe::box_text(line);
    let Some(parsed) = raw::parse(line) else { return };
    let (digits, rest) = line.split_once('|').unwrap();
    let op = match parsed {
        Ok(op) => op,
        Err(RawError::OutOfRange) => return assert!(digits.parse::<u8>().is_err()),
        Err(_) => return,
    };
    assert_eq!((op.number, op.text), (digits.parse().unwrap(), rest));
    let fields = op.fields();
    let texts: Vec<&str> = fields.iter().map(|(_, text)| *text).collect();
    assert_eq!(texts.join("|"), rest, "the fields are the line");
    let masked = op.masked("*");
    for (at, (field, text)) in fields.iter().enumerate() {
        let is_secret = field.is_some_and(|field| field.secret);
        assert!(!is_secret || at + 1 == fields.len(), "a secret is the last field");
        let shown = if is_secret { "*".repeat(text.chars().count()) } else { (*text).to_owned() };
        assert!(at + 1 < fields.len() || masked.ends_with(&shown), "{masked}");
        assert!(op.has_secret() || !is_secret || text.is_empty());
    }
}

pub(super) fn limits(input: &[u8]) {
    let Ok(setting) = std::str::from_utf8(input) else { return };
    let mut limits = Limits::default();
    if limits.apply(setting).is_err() {
        return assert_eq!(limits, Limits::default(), "what is refused changes nothing");
    }
    let (name, value) = setting.split_once('=').unwrap();
    let changed = limits.clone();
    limits.apply(setting).unwrap();
    assert_eq!(limits, changed, "twice is once");
    if name != "all" {
        let found = limits.list().into_iter().find(|(of, ..)| *of == name).unwrap().1;
        assert_eq!(if value == "off" { u64::MAX } else { value.parse().unwrap() }, found);
    }
}

pub(super) fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let args = Args { data: Some("data".into()), ..Args::default() };
    match Config::of(args, Path::new("bellhop.toml"), text.to_owned()) {
        Ok(config) => {
            assert!(config.limits.check().is_ok());
            assert!(!config.listen.is_empty());
            assert_eq!(config.data, Path::new("data"), "an argument wins");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
