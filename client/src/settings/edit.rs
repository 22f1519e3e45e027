//! Changes one value of a config file and leaves everything else as it is, comments above all.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value as Toml};

use super::file::{self, Remark};
use super::value::Value;

/// The text with `value` for the key of this full name; `None` takes the key out.
///
/// # Errors
///
/// Where the text is no TOML, or where a table would have to stand in the place of something else.
pub(crate) fn set(text: &str, name: &str, value: Option<&Value>) -> Result<String, Remark> {
    let mut document: DocumentMut = text.parse().map_err(|error| file::syntax(text, &error))?;
    let mut path: Vec<&str> = name.split('.').collect();
    let last = path.pop().unwrap_or_default();
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for part in path {
        if table.get(part).is_none() {
            if value.is_none() {
                return Ok(text.to_owned());
            }
            let mut fresh = Table::new();
            // `[account]` alone says nothing; `[account.work]` does.
            fresh.set_implicit(part == "account");
            table.insert(part, Item::Table(fresh));
        }
        let inner = table.get_mut(part).and_then(Item::as_table_like_mut);
        table = inner.ok_or_else(|| Remark {
            place: file::Place { line: 1, column: 1 },
            sentence: format!("{part} must be a table: [{part}]"),
        })?;
    }
    match value {
        Some(value) => put(table, last, value.toml()),
        None => drop(table.remove(last)),
    }
    Ok(with_line_ends_of(text, document.to_string()))
}

/// A value in place of another takes over the spaces before it and the comment behind it.
fn put(table: &mut dyn TableLike, key: &str, mut value: Toml) {
    match table.get_mut(key) {
        Some(Item::Value(before)) => {
            *value.decor_mut() = before.decor().clone();
            *before = value;
        }
        _ => drop(table.insert(key, Item::Value(value))),
    }
}

/// Lines that are new end as the others do.
fn with_line_ends_of(before: &str, text: String) -> String {
    if before.contains("\r\n") { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::table;

    #[track_caller]
    fn check(before: &str, name: &str, typed: Option<&str>, expected: &str) {
        let kind = table::find_full(name).map_or(super::super::value::Kind::Keys, |(key, _)| key.kind);
        let value = typed.map(|typed| kind.typed(typed).expect("a value"));
        assert_eq!(set(before, name, value.as_ref()).expect("it can be set"), expected);
    }

    #[test]
    fn one_value_changes_and_the_rest_stays() {
        let before = "# mine\n[ui]\n  mouse = false   # never\n# last\n";
        check(before, "ui.mouse", Some("true"), "# mine\n[ui]\n  mouse = true   # never\n# last\n");
        check(
            before,
            "ui.time",
            Some("%H.%M"),
            "# mine\n[ui]\n  mouse = false   # never\ntime = \"%H.%M\"\n# last\n",
        );
        check("", "ui.mouse", Some("on"), "[ui]\nmouse = true\n");
        check("", "account.work.server", Some("chat.example"), "[account.work]\nserver = \"chat.example\"\n");
        check("ui.mouse = false # a\n", "ui.mouse", Some("on"), "ui.mouse = true # a\n");
        check("ui = { mouse = false }\n", "ui.mouse", Some("on"), "ui = { mouse = true }\n");
        check(
            "[ui]\r\nmouse = false\r\n",
            "ui.theme",
            Some("dark"),
            "[ui]\r\nmouse = false\r\ntheme = \"dark\"\r\n",
        );
        check(
            "[keys]\nquit = \"ctrl+q\" # out\n",
            "keys.quit",
            Some("ctrl+x"),
            "[keys]\nquit = [\"ctrl+x\"] # out\n",
        );
        check("# a\nserver = \"a\" # b\nuser = \"c\"\n", "server", None, "user = \"c\"\n");
        check("[ui]\n", "notify.mute", None, "[ui]\n");
        check("[ui]\nmouse = true\n", "server", Some("h"), "server = \"h\"\n[ui]\nmouse = true\n");
    }

    #[test]
    fn what_cannot_be_read_is_not_written() {
        assert!(set("[ui\n", "ui.mouse", Some(&Value::Bool(true))).is_err());
        assert!(set("ui = 1\n", "ui.mouse", Some(&Value::Bool(true))).is_err());
    }
}
