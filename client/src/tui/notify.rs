//! Tells a person who looks elsewhere that something has come: what is worth it, in which words, by which bytes.

use std::time::Duration;

use crate::settings::{Preview, Via};
use crate::text::{Kind, clean};

/// Characters of a notice at most.
const WORDS_MAX: usize = 120;
/// Notices are at least this far apart: whoever is called ten times in a second is called once.
pub(super) const APART: Duration = Duration::from_secs(2);

/// What a notice says, as it leaves the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Message {
        from: String,
        text: String,
    },
    /// So many messages that waited, from so many people.
    Summary {
        messages: u64,
        chats: usize,
    },
    NotSent {
        to: String,
    },
}

/// How a terminal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Bell,
    Osc9,
    Nothing,
}

/// The way in this environment. Within tmux a sequence does not get through, and a bell does.
pub(crate) fn way(via: Via, variable: impl Fn(&str) -> Option<String>) -> Way {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    match via {
        Via::None => return Way::Nothing,
        Via::Bell => return Way::Bell,
        Via::Osc9 => return Way::Osc9,
        Via::Auto => {}
    }
    if value("TMUX").is_some() {
        return Way::Bell;
    }
    let named = |name: &str, known: &[&str]| {
        let found = value(name).unwrap_or_default().to_ascii_lowercase();
        known.iter().any(|known| found.contains(known))
    };
    let known = named("TERM_PROGRAM", &["iterm", "wezterm", "ghostty"])
        || named("TERM", &["kitty", "ghostty", "foot"])
        || value("WT_SESSION").is_some();
    if known { Way::Osc9 } else { Way::Bell }
}

/// What reaches the terminal.
pub(crate) fn bytes(way: Way, preview: Preview, notice: &Notice) -> Vec<u8> {
    match way {
        Way::Nothing => Vec::new(),
        Way::Bell => vec![0x07],
        Way::Osc9 => {
            // Some terminals take digits and a semicolon at the beginning for a progress bar.
            let words = format!("Bellhop: {}", words(preview, notice));
            let words: String = clean(&words, Kind::Line).chars().take(WORDS_MAX).collect();
            format!("\x1b]9;{words}\x07").into_bytes()
        }
    }
}

fn words(preview: Preview, notice: &Notice) -> String {
    match (notice, preview) {
        (Notice::Message { .. }, Preview::None) => "a new message".into(),
        (Notice::Message { from, .. }, Preview::Name) => format!("a new message from {from}"),
        (Notice::Message { from, text }, Preview::Full) => format!("{from}: {text}"),
        (Notice::Summary { messages, chats }, _) => summary(*messages, *chats),
        (Notice::NotSent { .. }, Preview::None) => "a message was not sent".into(),
        (Notice::NotSent { to }, _) => format!("a message to {to} was not sent"),
    }
}

/// `37 new in 4 conversations`
pub(crate) fn summary(messages: u64, chats: usize) -> String {
    let plural = if chats == 1 { "" } else { "s" };
    format!("{messages} new in {chats} conversation{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Notice {
        Notice::Message { from: "bob".into(), text: text.into() }
    }

    #[test]
    fn which_way_in_which_terminal() {
        let check = |via: Via, variables: &[(&str, &str)], expected: Way| {
            let find = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(way(via, find), expected, "{via:?} {variables:?}");
        };
        check(Via::Auto, &[("TERM", "xterm-256color")], Way::Bell);
        check(Via::Auto, &[("TERM", "xterm-kitty")], Way::Osc9);
        check(Via::Auto, &[("TERM_PROGRAM", "iTerm.app")], Way::Osc9);
        check(Via::Auto, &[("WT_SESSION", "1")], Way::Osc9);
        check(Via::Auto, &[("WT_SESSION", "1"), ("TMUX", "/tmp/x,1,0")], Way::Bell);
        check(Via::Auto, &[("TERM_PROGRAM", "WezTerm"), ("TMUX", "/tmp/x,1,0")], Way::Bell);
        check(Via::Osc9, &[("TMUX", "/tmp/x,1,0")], Way::Osc9);
        check(Via::Bell, &[("WT_SESSION", "1")], Way::Bell);
        check(Via::None, &[("WT_SESSION", "1")], Way::Nothing);
    }

    #[test]
    fn what_a_terminal_is_told() {
        let check = |preview: Preview, notice: &Notice, expected: &str| {
            let bytes = String::from_utf8(bytes(Way::Osc9, preview, notice)).expect("UTF-8");
            assert_eq!(bytes, format!("\x1b]9;Bellhop: {expected}\x07"));
        };
        check(Preview::Full, &message("lunch?"), "bob: lunch?");
        check(Preview::Name, &message("lunch?"), "a new message from bob");
        check(Preview::None, &message("lunch?"), "a new message");
        check(Preview::None, &Notice::NotSent { to: "bob".into() }, "a message was not sent");
        check(Preview::Name, &Notice::NotSent { to: "bob".into() }, "a message to bob was not sent");
        check(Preview::None, &Notice::Summary { messages: 37, chats: 4 }, "37 new in 4 conversations");
        check(Preview::None, &Notice::Summary { messages: 2, chats: 1 }, "2 new in 1 conversation");
        assert_eq!(bytes(Way::Bell, Preview::Full, &message("x")), [0x07]);
        assert_eq!(bytes(Way::Nothing, Preview::Full, &message("x")), [0; 0]);
    }

    #[test]
    fn a_message_cannot_end_the_sequence_that_tells_of_it() {
        for text in ["a\x07b", "a\x1b\\b", "a\u{9c}b", "a\nb", "a\u{202e}b", &"x".repeat(10_000)] {
            let told = bytes(Way::Osc9, Preview::Full, &message(text));
            let told = String::from_utf8(told).expect("UTF-8");
            let inside =
                told.strip_prefix("\x1b]9;").and_then(|rest| rest.strip_suffix('\x07')).expect("one");
            assert!(!inside.contains(|c: char| c.is_control() || c == '\u{202e}'), "{told:?}");
            assert!(inside.chars().count() <= WORDS_MAX, "{told:?}");
        }
    }
}
