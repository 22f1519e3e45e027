//! What a person has chosen: from flags, variables and files, by one table of keys.
//!
//! ```text
//! flag > variable > account block > config file > /etc > what was remembered > default
//! ```
//!
//! `table` lists every key with its kind, its default and a line of help; `value` says what a kind takes; `file` reads
//! a file, `edit` changes one value of it, `resolve` decides which of several values counts. All of these are pure.
//! `places` is the one file that touches the disk.

pub(crate) mod choice;
pub(crate) mod edit;
pub(crate) mod file;
pub(crate) mod places;
pub(crate) mod resolve;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod value;
mod words;

use std::path::PathBuf;

use bellhop_protocol::Username;

use crate::config::Server;
use resolve::Bound;

pub(crate) use words::{Deliver, Emoji, GlyphSet, MarkRead, Preview, Profile, Tls, Tristate, Via};

/// Everything that can be chosen, as values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The account of the file that is in use.
    pub(crate) account: Option<String>,
    pub(crate) server: Server,
    pub(crate) user: Option<Username>,
    pub(crate) tls: Tls,
    /// The file that has the password, or a command that prints it.
    pub(crate) password: (Option<PathBuf>, Option<String>),
    pub(crate) deliver: Deliver,
    pub(crate) ui: Ui,
    pub(crate) notify: Notify,
    /// What `[keys]` says, to be read by whoever knows the actions.
    pub(crate) bindings: Vec<Bound>,
}

/// How the screen looks and behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ui {
    /// The name of a theme.
    pub(crate) theme: String,
    pub(crate) glyphs: GlyphSet,
    pub(crate) emoji: Emoji,
    /// Columns of a character whose width depends on the font: 1 or 2.
    pub(crate) ambiguous: u16,
    /// Clicks and the wheel are the program's.
    pub(crate) mouse: bool,
    pub(crate) kitty_keys: Tristate,
    /// Columns of the list, from 60 columns on.
    pub(crate) list_width: u16,
    /// How a time is written, as strftime.
    pub(crate) time: String,
    /// How a day is written, as strftime.
    pub(crate) date: String,
    /// `5|bob|hello` at the start of the box is an op.
    pub(crate) raw_ops: bool,
    /// A paste of so many lines asks first.
    pub(crate) paste_ask_lines: usize,
    pub(crate) mark_read: MarkRead,
    /// Others see that this account is online.
    pub(crate) online: bool,
    /// Others are told while something is written to them.
    pub(crate) typing: bool,
    /// Which keys do what, before `[keys]`.
    pub(crate) keys: Profile,
}

/// How a person is told of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notify {
    pub(crate) via: Via,
    pub(crate) preview: Preview,
    /// Names of people whose messages are not told of.
    pub(crate) mute: Vec<String>,
}

impl Default for Ui {
    fn default() -> Ui {
        Ui {
            theme: "terminal".into(),
            glyphs: GlyphSet::Auto,
            emoji: Emoji::Auto,
            ambiguous: 1,
            mouse: false,
            kitty_keys: Tristate::Auto,
            list_width: 20,
            time: "%H:%M".into(),
            date: "%a %-d %b %Y".into(),
            raw_ops: true,
            paste_ask_lines: 4,
            mark_read: MarkRead::Seen,
            online: true,
            typing: true,
            keys: Profile::Default,
        }
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify { via: Via::Auto, preview: Preview::Name, mute: Vec::new() }
    }
}
