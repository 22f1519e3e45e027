//! Every key of the config: its kind, its default and what it is for. Loader, `config show`, `config set`, the help and
//! the manual come from this one table.

use super::value::{Kind, Value};
use super::words::{Deliver, Emoji, GlyphSet, MarkRead, Preview, Profile, Tristate, Via};

/// A key of the config.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// As it is written in the file, tables before it with dots.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The default as it is typed; nothing where there is none.
    pub(crate) default: Option<&'static str>,
    pub(crate) help: &'static str,
    /// The variable that says the same.
    pub(crate) variable: Option<&'static str>,
    /// It may stand in the block of an account as well.
    pub(crate) of_account: bool,
}

/// A key of an account, or of all of them.
const fn account(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    variable: Option<&'static str>,
    help: &'static str,
) -> Key {
    Key { name, kind, default, help, variable, of_account: true }
}

/// A key of this program.
const fn general(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default: Some(default), help, variable: None, of_account: false }
}

/// Every key, in the order in which they are shown.
pub(crate) const TABLE: &[Key] = &[
    Key {
        name: "default_account",
        kind: Kind::Name,
        default: None,
        help: "the account to be, where none is named",
        variable: Some("BELLHOP_ACCOUNT"),
        of_account: false,
    },
    account("server", Kind::Server, Some("127.0.0.1:2050"), Some("BELLHOP_SERVER"), "the server"),
    account("user", Kind::User, None, Some("BELLHOP_USER"), "who you are"),
    account("tls", Kind::Tls, Some("auto"), Some("BELLHOP_TLS"), "how the server proves who it is"),
    account("password_cmd", Kind::Text, None, None, "a command that prints the password"),
    account(
        "password_file",
        Kind::Text,
        None,
        Some("BELLHOP_PASSWORD_FILE"),
        "a file whose first line is the password",
    ),
    account(
        "deliver",
        Kind::OneOf(Deliver::WORDS),
        Some("auto"),
        None,
        "the screen fetches what waits by itself (auto), or asks first",
    ),
    general(
        "ui.theme",
        Kind::Name,
        "terminal",
        "colours: terminal, dark, light, high-contrast, mono, or a file of yours",
    ),
    Key {
        variable: Some("BELLHOP_GLYPHS"),
        ..general("ui.glyphs", Kind::OneOf(GlyphSet::WORDS), "auto", "the characters of the screen")
    },
    general("ui.emoji", Kind::OneOf(Emoji::WORDS), "auto", "emoji as they are, as :names: or as text"),
    general("ui.ambiguous", Kind::Number(1, 2), "1", "columns of characters whose width depends on the font"),
    general("ui.mouse", Kind::Bool, "false", "clicks and the wheel are the program's"),
    general("ui.kitty_keys", Kind::OneOf(Tristate::WORDS), "auto", "ask the terminal for unambiguous keys"),
    general("ui.list_width", Kind::Number(16, 30), "20", "columns of the list"),
    general("ui.time", Kind::Pattern, "%H:%M", "how a time is written"),
    general("ui.date", Kind::Pattern, "%a %-d %b %Y", "how a day is written"),
    general("ui.raw_ops", Kind::Bool, "true", "5|bob|hello in the box is an op, not a message"),
    general("ui.paste_ask_lines", Kind::Number(2, 1_000), "4", "a paste of so many lines asks first"),
    general("ui.mark_read", Kind::OneOf(MarkRead::WORDS), "seen", "when messages count as read"),
    general("ui.online", Kind::Bool, "true", "others see that you are online, from the next connection on"),
    general("ui.typing", Kind::Bool, "true", "others are told while you write to them"),
    general("ui.keys", Kind::OneOf(Profile::WORDS), "default", "which keys do what, before [keys]"),
    general("notify.via", Kind::OneOf(Via::WORDS), "auto", "how you are told of messages"),
    general("notify.preview", Kind::OneOf(Preview::WORDS), "name", "what you are told of a message"),
    general("notify.mute", Kind::Names, "", "people you are not told of"),
];

/// Names of accounts in one file at most.
pub(crate) const ACCOUNTS_MAX: usize = 100;

impl Key {
    /// The default's value.
    pub(crate) fn default_value(&self) -> Option<Value> {
        self.default.map(|text| self.kind.typed(text).expect("a default is a value of its kind"))
    }
}

/// What to do for a value that is known and not built in; nothing for any other.
pub(crate) fn hint(name: &str, written: &str) -> &'static str {
    match (name, written.trim_matches(['"', '\''])) {
        ("notify.via", "desktop") => {
            "; notices of the desktop are not built in: osc9 has the terminal show them, auto finds out whether it can"
        }
        _ => "",
    }
}

/// The key with this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    TABLE.iter().find(|key| key.name == name)
}

/// The key and the account of a full name such as `account.work.server`; `keys.quit` and the like are not of the table.
pub(crate) fn find_full(name: &str) -> Option<(&'static Key, Option<&str>)> {
    let Some(rest) = name.strip_prefix("account.") else { return find(name).map(|key| (key, None)) };
    let (account, name) = rest.rsplit_once('.')?;
    let key = find(name).filter(|key| key.of_account && super::value::is_name(account))?;
    Some((key, Some(account)))
}

/// The name that is most like `wrong`, where one is.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong: Vec<char> = wrong.chars().take(80).flat_map(char::to_lowercase).collect();
    let distances = names.into_iter().map(|name| (distance(&wrong, name), name));
    let near = |(distance, name): &(usize, &str)| *distance <= (name.len() / 3).max(1);
    distances.filter(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Letters that have to be put in, taken out, changed or exchanged with the next one.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let change = rows[i][j] + usize::from(a != b);
            let mut best = change.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from[i - 1] == *b && *a == to[j - 1] {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_consistent() {
        let mut seen = HashSet::new();
        for key in TABLE {
            assert!(seen.insert(key.name), "{} is listed twice", key.name);
            assert!(!key.help.is_empty() && key.help.len() <= 80, "{}", key.name);
            assert_eq!(key.default.is_some(), key.default_value().is_some());
            assert!(!key.of_account || !key.name.contains('.'), "{}", key.name);
        }
    }

    #[test]
    fn the_nearest_name() {
        let names = || TABLE.iter().map(|key| key.name);
        let check =
            |wrong: &str, expected: Option<&str>| assert_eq!(nearest(wrong, names()), expected, "{wrong}");
        check("ui.mose", Some("ui.mouse"));
        check("ui.muose", Some("ui.mouse"));
        check("UI.Mouse", Some("ui.mouse"));
        check("ui.list-width", Some("ui.list_width"));
        check("sever", Some("server"));
        check("notify.via2", Some("notify.via"));
        check("completely.different", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }

    #[test]
    fn full_names() {
        assert!(
            find_full("account.work.server")
                .is_some_and(|(key, of)| key.name == "server" && of == Some("work"))
        );
        assert!(find_full("server").is_some_and(|(_, of)| of.is_none()));
        for none in
            ["account.work.ui.mouse", "account.work", "account..server", "account.a.b.server", "mouse", ""]
        {
            assert!(find_full(none).is_none(), "{none}");
        }
    }
}
