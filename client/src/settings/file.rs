//! A config file as values with their lines. It reads text and no file, and never fails as a whole but for what is no
//! TOML: what is wrong is listed with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml_edit::{Document, Item, TableLike};

use super::table::{self, ACCOUNTS_MAX, TABLE};
use super::value::{Kind, Value, is_name};
use crate::text::sentence;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    /// By full name: `ui.mouse`, `account.work.server`.
    pub(crate) entries: BTreeMap<String, Entry>,
    /// The accounts, and the lines where they begin.
    pub(crate) accounts: BTreeMap<String, usize>,
    pub(crate) bindings: Vec<Binding>,
    /// What is ignored.
    pub(crate) warnings: Vec<Remark>,
    /// What has to be mended first.
    pub(crate) problems: Vec<Remark>,
}

/// A value and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) line: usize,
}

/// A line of `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The name of an action.
    pub(crate) action: String,
    /// Keys as they are written; none unbinds it.
    pub(crate) keys: Vec<String>,
    /// Where the action is named, and where its keys are.
    pub(crate) named: Place,
    pub(crate) at: Place,
}

/// A place in a file, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// What is to be said about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) place: Place,
    pub(crate) sentence: String,
}

impl Remark {
    /// What is said may hold what somebody wrote, who may have written anything.
    pub(crate) fn new(place: Place, said: &str) -> Remark {
        Remark { place, sentence: sentence(said) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The text of a file; a byte order mark is not part of it.
///
/// # Errors
///
/// Where it stops being UTF-8.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Remark> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        Remark { place: place(&before, before.len()), sentence: "this is not UTF-8".into() }
    })
}

/// The place of a byte of a text.
pub(crate) fn place(text: &str, at: usize) -> Place {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line..].chars().count() + 1 }
}

/// Why a text is no TOML.
pub(crate) fn syntax(text: &str, error: &toml_edit::TomlError) -> Remark {
    let said: Vec<&str> = error.message().lines().map(str::trim).collect();
    let at = error.span().map_or(0, |span| span.start);
    Remark::new(place(text, at), &said.join(", "))
}

/// Reads a file's text.
pub(crate) fn parse(text: &str) -> Layer {
    let mut reader = Reader { text, layer: Layer::default() };
    match Document::parse(text) {
        Ok(document) => reader.root(document.as_table()),
        Err(error) => reader.layer.problems.push(syntax(text, &error)),
    }
    reader.layer
}

struct Reader<'a> {
    text: &'a str,
    layer: Layer,
}

/// Everything of a table with the span of its key.
pub(crate) fn rows(table: &dyn TableLike) -> Vec<(&str, Range<usize>, &Item)> {
    let span = |name: &str| table.get_key_value(name).and_then(|(key, _)| key.span()).unwrap_or_default();
    table.iter().map(|(name, item)| (name, span(name), item)).collect()
}

impl Reader<'_> {
    fn place(&self, at: usize) -> Place {
        place(self.text, at)
    }

    fn root(&mut self, root: &dyn TableLike) {
        for (name, at, item) in rows(root) {
            match (name, item.as_table_like()) {
                ("ui" | "notify", Some(table)) => {
                    for (inner, at, item) in rows(table) {
                        self.entry(&format!("{name}.{inner}"), inner, at, item);
                    }
                }
                ("account", Some(accounts)) => self.accounts(accounts),
                ("keys", Some(table)) => self.keys(table),
                ("ui" | "notify" | "account" | "keys", None) => {
                    self.problem(at.start, format!("{name} must be a table: [{name}]"));
                }
                _ => self.entry(name, name, at, item),
            }
        }
    }

    fn accounts(&mut self, accounts: &dyn TableLike) {
        for (account, at, item) in rows(accounts) {
            let line = self.place(at.start).line;
            let Some(table) = item.as_table_like() else {
                self.problem(at.start, format!("account.{account} must be a table: [account.{account}]"));
                continue;
            };
            if !is_name(account) {
                let allowed = Kind::Name.allowed();
                self.problem(at.start, format!("{account:?} names an account: {allowed}"));
                continue;
            }
            if self.layer.accounts.len() >= ACCOUNTS_MAX {
                return self.problem(at.start, format!("more than {ACCOUNTS_MAX} accounts"));
            }
            self.layer.accounts.insert(account.to_owned(), line);
            for (name, at, item) in rows(table) {
                self.entry(&format!("account.{account}.{name}"), name, at, item);
            }
        }
    }

    fn entry(&mut self, full: &str, last: &str, at: Range<usize>, item: &Item) {
        let known = table::find_full(full).filter(|_| !last.contains('.'));
        let Some((key, _)) = known else { return self.unknown(full, at.start) };
        let span = item.span().unwrap_or(at);
        match item.as_value().and_then(|value| key.kind.read(value)) {
            Some(value) => {
                let line = self.place(span.start).line;
                self.layer.entries.insert(full.to_owned(), Entry { value, line });
            }
            None => self.problem(span.start, wrong(full, self.text.get(span).unwrap_or_default(), key.kind)),
        }
    }

    fn keys(&mut self, table: &dyn TableLike) {
        for (action, at, item) in rows(table) {
            let span = item.span().unwrap_or(at.clone());
            let (named, place) = (self.place(at.start), self.place(span.start));
            match item.as_value().and_then(|value| Kind::Keys.read(value)) {
                Some(value) => {
                    let (action, keys) = (action.to_owned(), value.list().to_vec());
                    self.layer.bindings.push(Binding { action, keys, named, at: place });
                }
                None => {
                    let written = self.text.get(span.clone()).unwrap_or_default();
                    self.problem(span.start, wrong(&format!("keys.{action}"), written, Kind::Keys));
                }
            }
        }
    }

    fn unknown(&mut self, full: &str, at: usize) {
        let account = full.strip_prefix("account.").and_then(|rest| rest.split('.').next());
        let names = TABLE.iter().map(|key| match account {
            Some(account) if key.of_account => format!("account.{account}.{}", key.name),
            _ => key.name.to_owned(),
        });
        let names: Vec<String> =
            names.chain(["account", "keys", "ui", "notify"].map(str::to_owned)).collect();
        let hint = match table::nearest(full, names.iter().map(String::as_str)) {
            Some(near) => format!("; did you mean {near}?"),
            None => "; bellhop help config lists them".into(),
        };
        let sentence = format!("there is no key {}{hint}", excerpt(full));
        let place = self.place(at);
        self.layer.warnings.push(Remark::new(place, &sentence));
    }

    fn problem(&mut self, at: usize, sentence: String) {
        let place = self.place(at);
        self.layer.problems.push(Remark::new(place, &sentence));
    }
}

/// A value that is not allowed.
fn wrong(name: &str, written: &str, kind: Kind) -> String {
    format!("{name} is {}: {}{}", excerpt(written), kind.allowed(), table::hint(name, written))
}

/// The start of what somebody wrote, on one line.
fn excerpt(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    crate::text::wrap::ellipsis(line, 40, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "\
default_account = \"work\"
[account.work]
server = \"chat.example:2050\"
user = \"alice\"
tls = \"pin\"                    # pin | ca | off
password_cmd = \"pass show bellhop\"

[ui]
theme = \"terminal\"
glyphs = \"auto\"                # auto | unicode | wgl4 | ascii
emoji = \"as-is\"
mouse = false
list_width = 20
time = \"%H:%M\"
date = \"%a %d %b %Y\"
raw_ops = true                 # 5|bob|hello typed at column 0
paste_ask_lines = 4
mark_read = \"seen\"             # seen | sent | never
keys = \"default\"               # default | emacs | vim

[keys]
next-unread = [\"ctrl+g\", \"alt+a\"]
quit = \"ctrl+q\"

[notify]
via = \"auto\"                   # auto | bell | osc9 | none
preview = \"name\"
mute = [\"build-bot\"]
";

    #[test]
    fn a_whole_file() {
        let layer = parse(WHOLE);
        assert_eq!((layer.problems.as_slice(), layer.warnings.as_slice()), ([].as_slice(), [].as_slice()));
        assert_eq!(layer.entries.len(), 19);
        assert_eq!(layer.accounts.get("work"), Some(&2));
        let server = &layer.entries["account.work.server"];
        assert_eq!((server.value.text(), server.line), ("chat.example:2050", 3));
        assert_eq!(layer.entries["notify.mute"].value.list(), ["build-bot"]);
        let keys: Vec<_> =
            layer.bindings.iter().map(|binding| (binding.action.as_str(), binding.at)).collect();
        assert_eq!(keys[0], ("next-unread", Place { line: 22, column: 15 }));
        assert_eq!(layer.bindings[1].keys, ["ctrl+q"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |text: &str, problems: &[&str], warnings: &[&str]| {
            let layer = parse(text);
            let told = |remarks: &[Remark]| -> Vec<String> {
                remarks.iter().map(|remark| format!("{}: {}", remark.place, remark.sentence)).collect()
            };
            assert_eq!(
                (told(&layer.problems), told(&layer.warnings)),
                (
                    problems.iter().map(|text| (*text).to_owned()).collect(),
                    warnings.iter().map(|text| (*text).to_owned()).collect(),
                ),
                "{text:?}"
            );
        };
        check(
            "\n[ui]\nglyphs = \"fancy\"",
            &["3:10: ui.glyphs is \"fancy\": one of auto, unicode, wgl4, ascii"],
            &[],
        );
        check(
            "notify.via = 'desktop'",
            &[
                "1:14: notify.via is 'desktop': one of auto, bell, osc9, none; notices of the desktop are not built in: \
                 osc9 has the terminal show them, auto finds out whether it can",
            ],
            &[],
        );
        check("ui.mouse = \"yes\"", &["1:12: ui.mouse is \"yes\": true or false"], &[]);
        check("[ui]\n list_width = 99", &["2:15: ui.list_width is 99: a whole number from 16 to 30"], &[]);
        check("[ui]\nmose = true", &[], &["2:1: there is no key ui.mose; did you mean ui.mouse?"]);
        check("colour = 1", &[], &["1:1: there is no key colour; bellhop help config lists them"]);
        check(
            "[account.work]\nsever = \"x\"",
            &[],
            &["2:1: there is no key account.work.sever; did you mean account.work.server?"],
        );
        check("\"a\\u001b[2J\" = 1", &[], &["1:1: there is no key a�[2J; bellhop help config lists them"]);
        check(
            "[account.\"a b\"]",
            &["1:10: \"a b\" names an account: a name of letters, digits, - and _"],
            &[],
        );
        check("ui = 3", &["1:1: ui must be a table: [ui]"], &[]);
        check("[[keys]]\n", &["1:3: keys must be a table: [keys]"], &[]);
        check("\"ui.mouse\" = true", &[], &["1:1: there is no key ui.mouse; did you mean ui.mouse?"]);
        check("[notify]\nmute = [1]", &["2:8: notify.mute is [1]: a list of names"], &[]);
        let ünicode = "[ui]\ntheme = \"\u{e9}\u{1f680}\"  # é\nmouse = 1";
        check(
            ünicode,
            &[
                "2:9: ui.theme is \"é🚀\": a name of letters, digits, - and _",
                "3:9: ui.mouse is 1: true or false",
            ],
            &[],
        );
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_place() {
        let layer = parse("[ui]\nmouse = = true\n");
        assert_eq!(layer.problems.len(), 1);
        assert_eq!(layer.problems[0].place.line, 2);
        assert!(!layer.problems[0].sentence.contains('\n'), "{}", layer.problems[0].sentence);
        assert_eq!(text(b"a\nb\xff").expect_err("no UTF-8").place, Place { line: 2, column: 2 });
        assert_eq!(text(b"\xef\xbb\xbfa = 1"), Ok("a = 1"));
    }

    /// A colour of several bytes a letter was cut in the middle of one.
    #[test]
    fn no_file_makes_the_reader_panic() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap_or(0)
        };
        let pieces: &[&[u8]] = &[
            b"\"",
            b"'",
            b"=",
            b"[",
            b"]",
            b"[[",
            b"{",
            b"}",
            b".",
            b"\n",
            b"\r\n",
            b"#",
            b"\"\"\"",
            b"\xff",
            b"\xf0\x9f",
            "🚀é".as_bytes(),
            b"[account]",
            b"account = 1",
            b"keys = []",
            b"-",
            b"1979-05-27",
            b"\0",
            b"\x1b[2J",
            b"inf",
        ];
        for _ in 0..3_000 {
            let mut bytes = WHOLE.as_bytes().to_vec();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.splice(at..at, pieces[next(pieces.len())].iter().copied())),
                    _ => drop(bytes.drain(at..(at + 1 + next(12)).min(bytes.len()))),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            let Ok(text) = text(&bytes) else { continue };
            let layer = parse(text);
            let lines = text.matches('\n').count() + 1;
            for remark in layer.problems.iter().chain(&layer.warnings) {
                assert!((1..=lines).contains(&remark.place.line) && remark.place.column > 0, "{remark:?}");
                assert!(!remark.sentence.contains(char::is_control), "{remark:?}");
            }
        }
        for deep in
            ["[".repeat(100_000), "a.".repeat(100_000) + "b = 1", "x = ".to_owned() + &"{a=".repeat(50_000)]
        {
            parse(&deep);
        }
    }
}
