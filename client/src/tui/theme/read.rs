//! A theme's file: roles as tables, on the base of a theme that is built in.
//!
//! ```toml
//! base = "dark"
//! accent = { fg = "#ffaf00", bold = true }
//! nick.0 = { fg = 80 }
//! ```

use ratatui::style::{Color, Modifier, Style};
use toml_edit::{Document, Item, TableLike, Value};

use super::{BUILT_IN, ROLES, Theme};
use crate::settings::file::{Remark, place, rows, syntax};
use crate::settings::table::nearest;

/// A theme, and what was wrong with its file.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) theme: Theme,
    /// What is ignored.
    pub(crate) warnings: Vec<Remark>,
    /// What has to be mended first.
    pub(crate) problems: Vec<Remark>,
}

const NAMED: &[(&str, Color)] = &[
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

const ATTRIBUTES: &[(&str, Modifier)] = &[
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underline", Modifier::UNDERLINED),
    ("reverse", Modifier::REVERSED),
];

/// Reads a theme's text. It never fails as a whole: what is wrong is listed, and the base stands in for it.
pub(crate) fn parse(text: &str) -> Read {
    let plain = Theme { styles: [Style::new(); ROLES.len()] };
    let mut reader = Reader { text, read: Read { theme: plain, warnings: Vec::new(), problems: Vec::new() } };
    match Document::parse(text) {
        Ok(document) => reader.root(document.as_table()),
        Err(error) => reader.read.problems.push(syntax(text, &error)),
    }
    reader.read
}

struct Reader<'a> {
    text: &'a str,
    read: Read,
}

impl Reader<'_> {
    fn root(&mut self, root: &dyn TableLike) {
        if let Some(base) = root.get("base") {
            self.base(base);
        }
        for (name, at, item) in rows(root) {
            match (name, item.as_table_like()) {
                ("base", _) => {}
                ("nick", Some(nicks)) => {
                    for (number, at, item) in rows(nicks) {
                        self.role(&format!("nick.{number}"), at.start, item);
                    }
                }
                _ => self.role(name, at.start, item),
            }
        }
    }

    fn base(&mut self, item: &Item) {
        let name = item.as_str().unwrap_or_default();
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) if *text != self.text => self.read.theme = parse(text).theme,
            _ => {
                let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                let at = item.span().unwrap_or_default().start;
                self.problem(at, format!("base is none of {}", names.join(", ")));
            }
        }
    }

    fn role(&mut self, name: &str, at: usize, item: &Item) {
        let Some((role, _)) = ROLES.iter().find(|(_, known)| *known == name) else {
            let hint = nearest(name, ROLES.iter().map(|(_, name)| *name));
            let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return self.warn(at, format!("there is no role {name:?}{hint}"));
        };
        let Some(table) = item.as_table_like() else {
            return self.problem(at, format!("{name} must be a table, as {{ fg = \"red\", bold = true }}"));
        };
        let mut style = Style::new();
        for (part, at, item) in rows(table) {
            let from = item.span().map_or(at.start, |span| span.start);
            let value = item.as_value();
            if matches!(part, "fg" | "bg") {
                match value.and_then(colour) {
                    Some(colour) if part == "fg" => style = style.fg(colour),
                    Some(colour) => style = style.bg(colour),
                    None => self.problem(from, format!("{name}.{part} is no colour: {}", colours())),
                }
                continue;
            }
            let Some((_, attribute)) = ATTRIBUTES.iter().find(|(known, _)| *known == part) else {
                let names = ["fg", "bg"].into_iter().chain(ATTRIBUTES.iter().map(|(name, _)| *name));
                let hint =
                    nearest(part, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.warn(at.start, format!("there is no {name}.{part}{hint}"));
                continue;
            };
            match value.and_then(Value::as_bool) {
                Some(true) => style = style.add_modifier(*attribute),
                Some(false) => {}
                None => self.problem(from, format!("{name}.{part} is true or false")),
            }
        }
        self.read.theme.styles[*role as usize] = style;
    }

    fn problem(&mut self, at: usize, sentence: String) {
        let remark = self.remark(at, &sentence);
        self.read.problems.push(remark);
    }

    fn warn(&mut self, at: usize, sentence: String) {
        let remark = self.remark(at, &sentence);
        self.read.warnings.push(remark);
    }

    fn remark(&self, at: usize, sentence: &str) -> Remark {
        Remark::new(place(self.text, at), sentence)
    }
}

fn colours() -> String {
    let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
    format!("a number from 0 to 255, \"#rrggbb\", or one of {}", names.join(", "))
}

fn colour(value: &Value) -> Option<Color> {
    if let Some(number) = value.as_integer() {
        return u8::try_from(number).ok().map(Color::Indexed);
    }
    let text = value.as_str()?;
    let Some(digits) = text.strip_prefix('#') else {
        return NAMED.iter().find(|(name, _)| *name == text).map(|(_, colour)| *colour);
    };
    // Bytes, not letters: a letter of several would be cut in the middle.
    let digit = |at: usize| digits.as_bytes().get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let both = |high: usize, low: usize| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
    match digits.len() {
        3 => Some(Color::Rgb(both(0, 0)?, both(1, 1)?, both(2, 2)?)),
        6 => Some(Color::Rgb(both(0, 1)?, both(2, 3)?, both(4, 5)?)),
        _ => None,
    }
}
