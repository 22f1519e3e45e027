//! The help: every key, every command and every op, from the tables that the dispatchers use, and what the ticks mean.

use bellhop_protocol::op::{Family, Field, OpCode};

use super::bindings::Bindings;
use super::glyphs::Glyphs;
use super::key::Key;
use super::keymap::{self, Action};
use super::model::Model;
use super::typed::{COMMANDS, Command};
use super::update::DEEDS;
use crate::delivery::Delivery;

/// The ticks, in the order in which a message goes through them.
pub(crate) const LEGEND: &[Delivery] = &[
    Delivery::Outbox,
    Delivery::Sending,
    Delivery::Sent,
    Delivery::Queued,
    Delivery::Delivered,
    Delivery::Read,
    Delivery::Unknown,
    Delivery::Failed,
    Delivery::Returned,
];

/// The keys of the login, which is no conversation.
const FORM: &[(&str, &str)] = &[
    ("Enter", "log in, or create the account"),
    ("Ctrl+N", "create an account, or log in after all"),
    ("Tab, Down", "next field"),
    ("Shift+Tab, Up", "previous field"),
    ("Ctrl+T", "show or hide the password"),
    ("Space", "remember the login, on its line"),
    ("Esc", "give up waiting, or go back"),
    ("Ctrl+L", "draw the screen again"),
    ("Ctrl+Z", "stop; fg comes back"),
    ("Ctrl+Q", "quit"),
];

/// What Enter does on a line of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    Nothing,
    Action(Action),
    Command(&'static Command),
}

/// A line of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) keys: String,
    pub(crate) text: String,
    /// What Enter does on it.
    pub(crate) does: Runs,
    /// It explains the tick that stands in place of keys.
    pub(crate) tick: Option<Delivery>,
}

/// The lines about a screen that hold every word of `filter`.
pub(crate) fn rows_of(model: &Model, filter: &str) -> Vec<Row> {
    if model.form.is_none() {
        return rows(filter, model.prefs.glyphs, &model.prefs.bindings);
    }
    let all = FORM.iter().map(|(keys, text)| plain(*keys, *text));
    all.filter(|row| matches(filter, row, "")).collect()
}

fn matches(filter: &str, row: &Row, name: &str) -> bool {
    let line = format!("{} {} {name}", row.keys, row.text).to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| line.contains(word))
}

/// The lines about conversations that hold every word of `filter`.
fn rows(filter: &str, glyphs: &Glyphs, bindings: &Bindings) -> Vec<Row> {
    let keys = keymap::TABLE.iter().map(|row| {
        let keys: Vec<String> = bindings.keys(row.action).iter().map(Key::to_string).collect();
        (Row { does: Runs::Action(row.action), ..plain(keys.join(" "), row.help) }, row.name)
    });
    let modal = bindings.is_modal();
    let deeds =
        DEEDS.iter().map(|doable| (plain(doable.picked_key(modal), doable.words), "a picked message"));
    let vim = keymap::MODAL.iter().filter(|_| modal).map(|(form, help)| (plain(*form, *help), "vim normal"));
    let listed = keymap::LISTED.iter().map(|(form, help)| (plain(*form, *help), "in the list"));
    let typed = keymap::TYPED.iter().map(|(form, help)| (plain(*form, *help), ""));
    let ticks = LEGEND.iter().map(|state| {
        let row = plain(glyphs.tick(*state), meaning(*state));
        (Row { tick: Some(*state), ..row }, "tick")
    });
    let commands = COMMANDS.iter().map(|command| {
        let form = format!("/{} {}", command.name, command.arguments);
        (Row { does: Runs::Command(command), ..plain(form.trim_end(), command.help) }, command.name)
    });
    let ops = OpCode::ALL.iter().filter(|op| op.family() == Family::Text).map(|op| {
        let fields: Vec<&str> = op.fields().iter().map(|Field { name, .. }| *name).collect();
        (plain(format!("{}|{}", op.byte(), fields.join("|")), format!("{} by hand", op.name())), "op")
    });
    let all = keys.chain(vim).chain(typed).chain(listed).chain(deeds).chain(ticks).chain(commands).chain(ops);
    all.filter(|(row, name)| matches(filter, row, name)).map(|(row, _)| row).collect()
}

fn plain(keys: impl Into<String>, text: impl Into<String>) -> Row {
    Row { keys: keys.into(), text: text.into(), does: Runs::Nothing, tick: None }
}

/// What a tick means, and what can be done about it.
pub(crate) fn meaning(state: Delivery) -> String {
    let hint = if state == Delivery::Failed { " (/retry)" } else { "" };
    format!("{}{hint}", state.words())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs::UNICODE;

    #[test]
    fn the_help_has_everything_and_narrows() {
        let rows = |filter: &str| super::rows(filter, &UNICODE, &Bindings::default());
        let all = rows("").len();
        let ops = 7;
        assert_eq!(
            all,
            keymap::TABLE.len()
                + keymap::TYPED.len()
                + keymap::LISTED.len()
                + DEEDS.len()
                + ops
                + LEGEND.len()
                + COMMANDS.len()
        );
        let unread = rows("unread");
        assert_eq!(unread[0].does, Runs::Action(Action::NextUnread));
        assert!(unread.len() < 6, "{unread:?}");
        assert_eq!(rows("Ctrl+K")[0].does, Runs::Action(Action::Jump));
        assert_eq!(rows("no such thing"), []);
    }
}
