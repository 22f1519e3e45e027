//! What the program is to do, as data: `update` says it, `run` and what it holds do it.

use crate::event::Untrusted;
use crate::history::{Chosen, Query};
use crate::peer::Peer;
use crate::settings::value::Value;

/// What the program is to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Connect as somebody, in place of whoever is connected.
    Connect(Login),
    /// End the connection.
    Disconnect,
    Send {
        tag: u64,
        to: Peer,
        text: String,
    },
    Retry(i64),
    Withdraw(i64),
    Ask {
        tag: u64,
        op: u8,
        data: crate::Secret,
    },
    Password {
        tag: u64,
        old: crate::Secret,
        new: crate::Secret,
    },
    Page {
        key: String,
        around: crate::event::Around,
    },
    MarkRead {
        key: String,
        n: i64,
    },
    MarkUnread {
        key: String,
        n: i64,
    },
    Choose {
        peer: Peer,
        chosen: Chosen,
    },
    Search(Query),
    /// Fetch so many of the messages that wait.
    Take(u64),
    /// Ask for the states that a message has come to.
    Steps(i64),
    Draft {
        peer: Peer,
        text: String,
    },
    /// Show a link, which begins with http:// or https://, in a browser.
    OpenLink(String),
    /// Be told who of these is online, from now on.
    Watch(Vec<String>),
    /// Tell somebody that we are writing to them.
    Typing(String),
    Reconnect,
    /// Put this where other programs paste from.
    Copy(String),
    /// Write this in the person's own editor, for this conversation.
    Edit {
        open: Option<String>,
        text: String,
    },
    /// Show these lines on the usual screen, until a key.
    Plain(Vec<String>),
    /// Have the mouse reported, or leave it to the terminal.
    Mouse(bool),
    /// Tell whoever looks elsewhere.
    Notify(super::notify::Notice),
    /// Count for a while, and say what went on.
    Digest,
    /// Keep the key that this server has shown, and connect.
    Trust(Box<Untrusted>),
    /// Change a value of the config, or tell it.
    Set {
        name: String,
        value: Option<Value>,
    },
    /// Read the config again.
    Reload,
    /// Connect as another account of the config.
    Account(String),
    /// Draw every cell.
    Redraw,
    Suspend,
}

/// What a login needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) server: crate::Server,
    pub(crate) user: bellhop_protocol::Username,
    pub(crate) password: Option<crate::Secret>,
    pub(crate) create: bool,
    pub(crate) remember: bool,
}
