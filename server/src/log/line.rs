//! One event as one line: time, level, where it was told, the message and the fields.
//!
//! Everything is escaped that a terminal, or a program that reads lines, would take for more than text: line ends and
//! other controls, and the characters that reorder, hide or join text. A long value is cut.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// So many bytes of a value are shown.
const VALUE_MAX: usize = 1024;
/// The field that holds a peer's address.
const ADDRESS: &str = "peer";

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// True where peers' addresses are told.
    pub(super) addresses: bool,
    /// True where levels have colours.
    pub(super) colours: bool,
}

/// An event that becomes a line.
#[derive(Debug)]
pub(super) struct Line {
    style: Style,
    message: String,
    fields: String,
}

/// A line that is no event.
pub(super) fn plain(sentence: &str) -> String {
    format!("bellhop-server: {}\n", escaped(format_args!("{sentence}"), usize::MAX))
}

impl Line {
    pub(super) fn new(style: Style) -> Line {
        Line { style, message: String::new(), fields: String::new() }
    }

    /// The message, escaped.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The line.
    pub(super) fn finish(&self, metadata: &Metadata<'_>, wall_ms: u64) -> String {
        format!("{}{}{}\n", self.head(metadata, wall_ms), self.message, self.fields)
    }

    /// The line that tells how many like this one got none.
    pub(super) fn count(&self, metadata: &Metadata<'_>, wall_ms: u64, untold: u64) -> String {
        format!("{}{}: … and {untold} more like this\n", self.head(metadata, wall_ms), self.message)
    }

    fn head(&self, metadata: &Metadata<'_>, wall_ms: u64) -> String {
        let level = metadata.level();
        let (colour, plain) = match (self.style.colours, *level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[34m", "\x1b[0m"),
        };
        format!("{} {colour}{level:>5}{plain} {}: ", utc(wall_ms), metadata.target())
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" {
            self.message = escaped(value, VALUE_MAX);
            return;
        }
        let value = match field.name() == ADDRESS && !self.style.addresses {
            true => "-".to_owned(),
            false => escaped(value, VALUE_MAX),
        };
        // Quoted where it could be taken for more than one value.
        let quoted = value.is_empty() || value.contains([' ', '=', '"']);
        let _ = match quoted {
            true => write!(self.fields, " {}=\"{}\"", field.name(), value.replace('"', "\\\"")),
            false => write!(self.fields, " {}={value}", field.name()),
        };
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Takes text, and keeps it escaped, up to a bound.
struct Escaper {
    text: String,
    most: usize,
    cut: bool,
}

impl fmt::Write for Escaper {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.cut || self.text.len() >= self.most {
                self.cut = true;
                return Ok(());
            }
            match character {
                '\\' => self.text.push_str("\\\\"),
                character if is_harmless(character) => self.text.push(character),
                character => self.text.extend(character.escape_default()),
            }
        }
        Ok(())
    }
}

fn escaped(value: fmt::Arguments<'_>, most: usize) -> String {
    let mut escaper = Escaper { text: String::new(), most, cut: false };
    // A value that cannot be written is shown as far as it could.
    let _ = escaper.write_fmt(value);
    if escaper.cut {
        escaper.text.push('…');
    }
    escaper.text
}

fn is_harmless(character: char) -> bool {
    let invisible = matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    !character.is_control() && !invisible
}

/// The time, to the millisecond, as RFC 3339 writes it.
fn utc(wall_ms: u64) -> String {
    let (days, ms) = (wall_ms / 86_400_000, wall_ms % 86_400_000);
    // Years begin in March here, so that a leap day is a year's last (Hinnant, "chrono-compatible low-level date
    // algorithms").
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_text_is_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(escaped(format_args!("{text}"), 64), expected);
        check("plain text, ünïcödé and 漢字 👍", "plain text, ünïcödé and 漢字 👍");
        check("a\nb\rc\td\0", "a\\nb\\rc\\td\\u{0}");
        check("\u{1b}[31m\u{7f}\u{9b}2J\u{85}", "\\u{1b}[31m\\u{7f}\\u{9b}2J\\u{85}");
        check("\u{202e}\u{2066}\u{200b}\u{2028}\u{e0041}", "\\u{202e}\\u{2066}\\u{200b}\\u{2028}\\u{e0041}");
        check("C:\\n", "C:\\\\n");
        check(&"x".repeat(64), &"x".repeat(64));
        check(&"x".repeat(65), &format!("{}…", "x".repeat(64)));
        check(&"x".repeat(65_536), &format!("{}…", "x".repeat(64)));
    }

    #[test]
    fn no_character_that_controls_gets_through() {
        for character in char::MIN..=char::MAX {
            if character.is_control() {
                let text = escaped(format_args!("{character}"), 64);
                assert!(text.starts_with('\\') && text.is_ascii(), "{character:?}");
            }
        }
    }

    #[test]
    fn times() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(utc(1_772_323_200_000), "2026-03-01T00:00:00.000Z");
        assert_eq!(utc(4_107_542_400_001), "2100-03-01T00:00:00.001Z");
    }
}
