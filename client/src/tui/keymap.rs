//! Which key does what: one table for the dispatcher and for the help.

use super::key::{Code, Key};

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $action:ident: $name:literal, [$($key:expr),*], $help:literal;)+) => {
        /// What a key can do anywhere in a conversation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Action {
            $($(#[doc = $doc])+ $action,)+
        }

        /// Every action with its name, its keys and its line of help, in the order of the help.
        pub(crate) const TABLE: &[Row] = &[
            $(Row { action: Action::$action, name: $name, keys: &[$($key),*], help: $help },)+
        ];
    };
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) action: Action,
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
    pub(crate) help: &'static str,
}

actions! {
    /// Sends what is in the box.
    Send: "send", [Key::plain(Code::Enter)], "send";
    /// Begins a new line.
    NewLine: "new-line",
        [Key::ctrl(Code::Char('j')), Key::shift(Code::Enter), Key::alt(Code::Enter)], "new line";
    /// Opens the list of conversations to jump to.
    Jump: "jump", [Key::ctrl(Code::Char('k')), Key::plain(Code::F(2))], "jump to a conversation, run a command";
    /// Opens the next conversation.
    Next: "next", [Key::ctrl(Code::Char('n')), Key::alt(Code::Down)], "next conversation";
    /// Opens the previous conversation.
    Previous: "previous", [Key::ctrl(Code::Char('p')), Key::alt(Code::Up)], "previous conversation";
    /// Opens the next conversation with something unread.
    NextUnread: "next-unread", [Key::ctrl(Code::Char('g')), Key::alt(Code::Char('a'))], "next unread conversation";
    /// Goes to the first unread message.
    FirstUnread: "first-unread", [Key::alt(Code::Char('u'))], "first unread message here";
    /// Scrolls up a page.
    PageUp: "page-up", [Key::plain(Code::PageUp)], "scroll up";
    /// Scrolls down a page.
    PageDown: "page-down", [Key::plain(Code::PageDown)], "scroll down";
    /// Scrolls up a line.
    LineUp: "line-up", [Key::shift(Code::Up)], "scroll up a line";
    /// Scrolls down a line.
    LineDown: "line-down", [Key::shift(Code::Down)], "scroll down a line";
    /// Goes to the newest message.
    Newest: "newest", [Key::ctrl(Code::End)], "newest message";
    /// Goes to the oldest message that is at hand.
    Oldest: "oldest", [Key::ctrl(Code::Home)], "oldest message at hand";
    /// Looks for words in what was said.
    Find: "find", [Key::ctrl(Code::Char('f'))], "find words in this conversation, or in all";
    /// Gives the keys to another part of the screen.
    Focus: "focus", [Key::plain(Code::F(6))], "keys to: messages, list, status, box";
    /// Shows or hides the list.
    List: "list", [Key::plain(Code::F(3))], "show or hide the list";
    /// Shows or hides the details.
    Details: "details", [Key::plain(Code::F(4))], "show or hide the details (120 columns)";
    /// Copies the last message that is on the screen.
    Copy: "copy", [Key::ctrl(Code::Char('y'))], "copy the last message";
    /// Leaves the screen for lines that can be selected.
    Plain: "plain", [Key::plain(Code::F(5))], "plain view: select with the mouse";
    /// Switches the mouse on or off.
    Mouse: "mouse", [Key::plain(Code::F(7))], "mouse on or off";
    /// Writes in the person's own editor.
    Editor: "editor", [Key::ctrl(Code::Char('o'))], "write in $VISUAL or $EDITOR";
    /// Undoes the last edit.
    Undo: "undo", [Key::ctrl(Code::Char('_'))], "undo the last edit";
    /// Does it again.
    Redo: "redo", [Key::alt(Code::Char('_'))], "do it again";
    /// Draws everything again.
    Redraw: "redraw", [Key::ctrl(Code::Char('l'))], "draw the screen again";
    /// Shows the help.
    Help: "help", [Key::plain(Code::F(1))], "this help";
    /// Clears the box; twice, quits.
    Cancel: "cancel", [Key::ctrl(Code::Char('c'))], "clear the box; twice: asks to quit";
    /// Stops the program for a while.
    Suspend: "suspend", [Key::ctrl(Code::Char('z'))], "suspend (unix)";
    /// Quits.
    Quit: "quit", [Key::ctrl(Code::Char('q'))], "quit";
}

/// What the box takes, for the help.
pub(crate) const TYPED: &[(&str, &str)] = &[
    ("Up", "the box is empty: pick a message"),
    ("Ctrl+Up Ctrl+Down, Up", "call back what was sent"),
    ("Tab", "complete a command or a name"),
    ("Home End", "start, end of the line"),
    ("Ctrl+Left Ctrl+Right", "word left, word right"),
    ("Ctrl+W Alt+D", "delete the word before, behind"),
    ("Ctrl+U", "delete to the start of the line"),
    ("5|bob|hi", "an op by hand: number, bar, text"),
    ("\\5|bob|hi", "the same characters as a message"),
    ("//shrug", "a message that begins with a slash"),
];

/// What is else in the profile of vim, for the help.
pub(crate) const MODAL: &[(&str, &str)] = &[
    ("Esc", "in the box: keys are for messages"),
    ("i a", "in the messages: write"),
    ("I A", "in the messages: write at the start, the end of the line"),
    (":", "in the messages: jump, or run a command"),
    ("/", "in the messages: find words"),
    ("Ctrl+D Ctrl+U", "in the messages: half a page down, up"),
];

/// What keys do in the list, for the help.
pub(crate) const LISTED: &[(&str, &str)] = &[
    ("Enter", "in the list: open the conversation"),
    ("/", "in the list: filter by name"),
    ("u", "in the list: unread, or read"),
    ("m", "in the list: mute, or no longer"),
    ("p", "in the list: pin to the top, or no longer"),
    ("Enter", "on the status row: connect now"),
];

impl Action {
    /// It leads elsewhere without writing: in the profile of vim keys are for messages there as well.
    pub(crate) fn only_moves(self) -> bool {
        use Action::{Copy, FirstUnread, Next, NextUnread, Previous};
        matches!(self, Copy | FirstUnread | Next | NextUnread | Previous)
    }

    /// It is done where the keys are: it leads nowhere else, and writes nothing.
    pub(crate) fn keeps_focus(self) -> bool {
        use Action::{
            Details, Find, Focus, Help, Jump, LineDown, LineUp, List, Mouse, Newest, Oldest, PageDown,
            PageUp, Plain, Quit, Redraw, Suspend,
        };
        matches!(
            self,
            Details
                | Find
                | Focus
                | Help
                | Jump
                | LineDown
                | LineUp
                | List
                | Newest
                | Oldest
                | PageDown
                | PageUp
                | Quit
                | Redraw
                | Suspend
                | Mouse
                | Plain
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_does_two_things_and_every_action_is_in_the_help() {
        let mut seen = HashSet::new();
        for row in TABLE {
            assert!(!row.keys.is_empty() && !row.help.is_empty(), "{}", row.name);
            assert!(row.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", row.name);
            for key in row.keys {
                assert!(seen.insert(*key), "{key} is bound twice");
                assert_eq!(crate::tui::bindings::Bindings::default().action(*key), Some(row.action));
            }
        }
    }

    #[test]
    fn keys_that_terminals_cannot_tell_apart_are_not_bound() {
        for row in TABLE {
            for key in row.keys {
                let fused =
                    key.ctrl && matches!(key.code, Code::Char('i' | 'm' | '[' | 'h' | 's' | '/' | '7'));
                assert!(!(fused || key.ctrl && key.alt), "{key}");
            }
        }
    }
}
