//! The help: every key and every command, from the tables that the dispatchers use.

use super::key::Key;
use super::keymap::{self, Action};
use super::typed::COMMANDS;

/// A line of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) keys: String,
    pub(crate) text: String,
    /// What Enter does on it.
    pub(crate) action: Option<Action>,
}

/// The lines that hold every word of `filter`.
pub(crate) fn rows(filter: &str) -> Vec<Row> {
    let filter = filter.to_lowercase();
    let matches = |row: &Row, name: &str| {
        let line = format!("{} {} {name}", row.keys, row.text).to_lowercase();
        filter.split_whitespace().all(|word| line.contains(word))
    };
    let keys = keymap::TABLE.iter().map(|row| {
        let keys: Vec<String> = row.keys.iter().map(Key::to_string).collect();
        (Row { keys: keys.join(" "), text: row.help.to_owned(), action: Some(row.action) }, row.name)
    });
    let typed = keymap::TYPED
        .iter()
        .map(|(form, help)| (Row { keys: (*form).to_owned(), text: (*help).to_owned(), action: None }, ""));
    let commands = COMMANDS.iter().map(|command| {
        let form = format!("/{} {}", command.name, command.arguments);
        (Row { keys: form.trim_end().to_owned(), text: command.help.to_owned(), action: None }, command.name)
    });
    let all = keys.chain(typed).chain(commands);
    all.filter(|(row, name)| matches(row, name)).map(|(row, _)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_has_everything_and_narrows() {
        let all = rows("").len();
        assert_eq!(all, keymap::TABLE.len() + keymap::TYPED.len() + COMMANDS.len());
        let unread = rows("unread");
        assert_eq!(unread[0].action, Some(Action::NextUnread));
        assert!(unread.len() < 6, "{unread:?}");
        assert_eq!(rows("Ctrl+K")[0].action, Some(Action::Jump));
        assert_eq!(rows("no such thing"), []);
    }
}
