//! What passes through the door: one JSON line there, some JSON lines back, the last of them [`Answer::Done`] or
//! [`Answer::Error`].
//!
//! Both ends are of one program; where they are of two versions of it, a line that one does not know is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest request, in bytes.
pub const LINE_MAX: usize = 64 * 1024;

/// A password on its way; overwritten when it goes, and never shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: Zeroizing<String>) -> Secret {
        Secret(text.as_str().to_owned())
    }

    /// The text, in memory that is overwritten.
    pub fn take(&mut self) -> Zeroizing<String> {
        Zeroizing::new(std::mem::take(&mut self.0))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What the server does, has and allows.
    Status,
    /// Make an account.
    UserAdd {
        /// Its name.
        name: String,
        /// Its password.
        password: Option<Secret>,
    },
    /// Give an account another password.
    UserPasswd {
        /// Its name.
        name: String,
        /// The new password.
        password: Secret,
    },
    /// Delete an account.
    UserDel {
        /// Its name.
        name: String,
    },
    /// The accounts.
    UserList {
        /// What their names look like.
        glob: Option<String>,
    },
    /// Where a message is, or what waits for a user.
    Why {
        /// An id or a name.
        what: String,
    },
    /// End when everything has come to rest.
    Drain {
        /// After so many seconds at the latest.
        grace: u64,
    },
    /// Nothing: whoever asks reads the database by itself, and stops when this is answered.
    Hold,
}

/// A line is no request of this version. What it says instead is not told: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this server does not know the request: it may be of another version than the program that asks")]
pub struct NoRequest;

impl Request {
    /// Reads a line, with or without its end.
    ///
    /// # Errors
    ///
    /// Where it is no request.
    pub fn decode(line: &[u8]) -> Result<Request, NoRequest> {
        serde_json::from_slice(line).map_err(|_| NoRequest)
    }
}

/// A line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The status.
    Status(Box<Status>),
    /// An account of a list.
    User(UserLine),
    /// Where something is.
    Why(Box<Why>),
    /// Something to tell the operator.
    Note(String),
    /// It is done.
    Done,
    /// It is not done, for this reason.
    Error(String),
}

/// What the server does, has and allows.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The server's name for itself.
    pub node: String,
    /// Its process.
    pub process: u32,
    /// Seconds since its start.
    pub uptime: u64,
    /// What "ok" means.
    pub durability: String,
    /// The data folder.
    pub data: String,
    /// True while it takes no more connections.
    pub draining: bool,
    /// Where it listens, and what it allows there.
    pub listeners: Vec<Listening>,
    /// Connections, in all.
    pub connections: u64,
    /// Connections that are not logged in.
    pub unauthenticated: u64,
    /// Sessions that are logged in.
    pub sessions: u64,
    /// Sessions that watch who is online.
    #[serde(default)]
    pub watchers: u64,
    /// Accounts in memory.
    pub accounts: u64,
    /// What waits in mailboxes.
    pub waiting: Waiting,
    /// The store.
    pub store: StoreSize,
    /// How long the queues are.
    pub queues: BTreeMap<String, u64>,
    /// What was counted since the start.
    pub counters: Vec<(String, u64)>,
    /// The bounds.
    pub limits: Vec<Limit>,
}

/// A listener.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listening {
    /// Its address.
    pub address: String,
    /// What it allows, in words.
    pub allows: String,
}

/// What waits in mailboxes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Waiting {
    /// Messages that no device has, or that further devices wait for.
    pub messages: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// Messages that no device has.
    pub unread: u64,
    /// Receipts.
    pub receipts: u64,
}

/// The store.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StoreSize {
    /// Bytes of the database.
    pub database: u64,
    /// Bytes of its write-ahead log.
    pub wal: u64,
    /// Bytes that are free on its disk, where that is known.
    pub disk_free: Option<u64>,
    /// Rows of the log that somebody awaits.
    pub rows: u64,
}

/// A bound.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// Its value; none where it is off.
    pub value: Option<u64>,
    /// What it counts.
    pub unit: String,
    /// How much of it is in use where it is used most; none where it is no level.
    pub in_use: Option<u64>,
}

/// An account of a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserLine {
    /// Its name.
    pub name: String,
    /// Its uuid.
    pub uuid: String,
    /// When it was made, in ms since 1970.
    pub created_ms: u64,
    /// Messages that wait for it.
    pub waiting: u64,
    /// Its devices.
    pub devices: u64,
    /// Its sessions.
    pub sessions: u64,
    /// When a device of it was last here, in ms since 1970.
    pub seen_ms: Option<u64>,
    /// True where it has a password.
    pub password: bool,
}

/// Where something is. Times are in ms since 1970.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A message that is kept.
    Message(Box<MessageState>),
    /// A message that was kept once, by whom it was sent, and what its receipts tell.
    Gone(Option<String>, Vec<ReceiptState>),
    /// A message of which nothing is known.
    Unknown,
    /// A user.
    User(Box<UserState>),
}

/// A message in the log.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MessageState {
    /// Its id.
    pub id: String,
    /// Who sent it.
    pub from: Option<String>,
    /// Whom it is for; none where that account was deleted.
    pub to: Option<String>,
    /// Its number in their mailbox.
    pub seq: u64,
    /// Bytes of its text.
    pub bytes: u64,
    /// Since when it is kept.
    pub kept_ms: u64,
    /// True where it still waits for somebody.
    pub waits: bool,
    /// Devices that have it.
    pub had_by: Vec<String>,
    /// Devices that it waits for.
    pub waits_for: Vec<DeviceState>,
    /// When it expires, where it does.
    pub expires_ms: Option<u64>,
    /// True where the sender wants to learn how it ends.
    pub wanted: bool,
    /// What the sender was told, or is about to be.
    pub receipts: Vec<ReceiptState>,
    /// The time by the server's clock.
    pub now_ms: u64,
}

/// A receipt in the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReceiptState {
    /// What it tells.
    pub state: String,
    /// Since when it is kept.
    pub filed_ms: u64,
    /// Whom it is for.
    pub to: Option<String>,
    /// True where it waits; false where it was taken.
    pub waits: bool,
}

/// A device.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceState {
    /// Its id, or what stands for it.
    pub device: String,
    /// When it was last here.
    pub seen_ms: u64,
    /// True while a session of it is here.
    pub here: bool,
    /// True where messages wait for it.
    pub receives: bool,
    /// Everything up to this number is acknowledged.
    pub floor: u64,
    /// How many items wait for it.
    pub behind: u64,
    /// Items that it was sent and has not acknowledged.
    pub underway: u64,
    /// When it is held for gone, unless it comes.
    pub forgotten_ms: Option<u64>,
}

/// A user.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserState {
    /// Name, uuid, and the rest of its line.
    pub line: UserLine,
    /// Its devices.
    pub devices: Vec<DeviceState>,
    /// What waits for it.
    pub waiting: Waiting,
    /// Since when the oldest message waits.
    pub oldest_ms: Option<u64>,
    /// When that expires.
    pub expires_ms: Option<u64>,
    /// How many messages its mailbox takes; none where that is off.
    pub room: Option<u64>,
    /// How many bytes of text it takes.
    pub room_bytes: Option<u64>,
    /// The time by the server's clock.
    pub now_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_that_is_known() {
        for (line, good) in [
            (r#""status""#, true),
            (r#"{"user-add":{"name":"a","password":null}}"#, true),
            (r#"{"user-add":{"name":"a","password":"p","admin":true}}"#, false),
            (r#"{"user-add":{"name":"a"}}"#, true),
            (r#"{"user-passwd":{"name":"a"}}"#, false),
            (r#"{"drain":{"grace":-1}}"#, false),
            (r#"{"status":{}}"#, false),
            (r#"{"status":null,"drain":{"grace":1}}"#, false),
            (r#""dance""#, false),
            ("", false),
        ] {
            assert_eq!(Request::decode(line.as_bytes()).is_ok(), good, "{line}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let password = Some(Secret::new(Zeroizing::new("open sesame".into())));
        let request = Request::UserAdd { name: "alice".into(), password };
        assert!(!format!("{request:?}").contains("sesame"), "{request:?}");
    }
}
