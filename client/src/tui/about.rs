//! What the command line tells about the screen's keys, from the table that the dispatcher uses.

use crossterm::event::KeyEvent;

use super::bindings::Bindings;
use super::key::Key;
use super::keymap::{TABLE, TYPED};

/// The name of the key of an event; `None` for one that nothing could be bound to.
pub(crate) fn key_name(event: KeyEvent) -> Option<String> {
    Key::from_event(event).map(|key| key.to_string())
}

/// What the key of an event does in a conversation, by name.
pub(crate) fn action_name(event: KeyEvent, bindings: &Bindings) -> Option<&'static str> {
    let action = bindings.action(Key::from_event(event)?)?;
    TABLE.iter().find(|row| row.action == action).map(|row| row.name)
}

/// Every key with what it does, a line each.
pub(crate) fn keys_text() -> String {
    let mut text = "bellhop keys prints what a key sends on this terminal.\n\n".to_owned();
    for row in TABLE {
        let keys: Vec<String> = row.keys.iter().map(Key::to_string).collect();
        text.push_str(&format!("  {:<32} {}\n", keys.join(" "), row.help));
    }
    text.push_str("\nIn the box:\n\n");
    for (form, help) in TYPED {
        text.push_str(&format!("  {form:<32} {help}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::{KeyCode, KeyModifiers};

    #[test]
    fn keys_have_names_and_actions() {
        let press = |code, modifiers| KeyEvent::new(code, modifiers);
        let jump = press(KeyCode::Char('k'), KeyModifiers::CONTROL);
        assert_eq!(
            (key_name(jump).as_deref(), action_name(jump, &Bindings::default())),
            (Some("Ctrl+K"), Some("jump"))
        );
        let letter = press(KeyCode::Char('k'), KeyModifiers::NONE);
        assert_eq!(
            (key_name(letter).as_deref(), action_name(letter, &Bindings::default())),
            (Some("K"), None)
        );
        assert!(keys_text().contains("Ctrl+K F2") && keys_text().contains("5|bob|hi"));
    }
}
