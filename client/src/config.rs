//! What a connection is made with.

use std::net::IpAddr;

use bellhop_protocol::{PORT, Username};

use crate::fingerprint::Fingerprint;
use crate::home::Home;
use crate::secret::Secret;

/// Everything [`crate::connect`] needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the files are.
    pub home: Home,
    /// The server; see [`Server::parse`].
    pub server: Server,
    /// How the server proves who it is.
    pub trust: Trust,
    /// Who logs in.
    pub user: Username,
    /// The account's password; `None` where it has none, or where a token was kept, which is used then.
    pub password: Option<Secret>,
    /// Make the account first.
    pub create: bool,
    /// Keep a token, so that the next login needs no password.
    pub remember: bool,
    /// Which device this program is.
    pub role: Role,
    /// What is done with messages.
    pub receive: Receive,
    /// A message of ours that the server refuses for now waits, and is sent later; else that is told at once.
    pub patient: bool,
    /// Nobody is to see that this account is online, or that it is writing. Where a server has no presence nobody does.
    pub hidden: bool,
}

/// Whoever sits down before a screen or before lines, and where: as far as that was said.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) home: Home,
    pub(crate) server: Server,
    pub(crate) trust: Trust,
    /// Whoever was named, or was here last.
    pub(crate) user: Option<Username>,
    pub(crate) password: Option<Secret>,
}

/// How a server proves who it is. On another machine always by TLS, and by what is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The server has this key, or an older one that vouches for it; whatever is known of it.
    pub fingerprint: Option<Fingerprint>,
    /// TLS to a server on this machine as well.
    pub tls: bool,
    /// Whose word counts for a server of which no key was given.
    pub proof: Proof,
}

/// Whose word counts for a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// A key that is known, else an authority, else a person who compares the key.
    #[default]
    Any,
    /// A key that is known, or a person who compares it; authorities are not asked.
    Key,
    /// An authority's alone; nobody is asked.
    Authority,
}

impl Trust {
    /// True where frames to `server` must be encrypted. Others are where its identity is known.
    pub fn wants_tls(&self, server: &Server) -> bool {
        !server.is_local() || self.tls || self.fingerprint.is_some()
    }
}

/// Which device a program is: one device has one live session, so programs that run side by side need several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A screen: `tui`, or `tui-1`, … beside others.
    Tui,
    /// The one program that hands messages to others: `listen`.
    Listen,
    /// A short command: `send-0`, `send-1`, …; it receives nothing, so it holds nothing back.
    Send,
    /// This one, whatever it is for.
    Named(String),
}

/// What is done with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// The stream is not opened.
    Nothing,
    /// Receipts alone. A message that no other program of this home has is left to them, unacknowledged.
    Receipts,
    /// A message is acknowledged when it is in the history.
    Kept,
    /// The same; what waited before, and what comes behind it, stays at the server until [`crate::Client::take`].
    Asked,
    /// A message is acknowledged after [`crate::Client::confirm`].
    Confirmed,
    /// The same, and what is handed out is the text as it was sent, whatever it does to a terminal.
    Bytes,
}

/// Programs of one kind that may run beside each other for one account.
const SIDE_BY_SIDE: usize = 16;

impl Role {
    /// The role of the device with this name.
    pub(crate) fn of(name: &str) -> Role {
        let known = [Role::Tui, Role::Listen, Role::Send];
        let plays = |role: &Role| role.names().iter().any(|known| known == name);
        known.into_iter().find(plays).unwrap_or_else(|| Role::Named(name.to_owned()))
    }

    /// The names of the devices that may play this role, the first choice first.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Role::Tui => {
                let more = (1..SIDE_BY_SIDE).map(|number| format!("tui-{number}"));
                std::iter::once("tui".to_owned()).chain(more).collect()
            }
            Role::Listen => vec!["listen".into()],
            Role::Send => (0..SIDE_BY_SIDE).map(|number| format!("send-{number}")).collect(),
            Role::Named(name) => vec![name.clone()],
        }
    }
}

/// A server's address: host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
}

/// Why something is not a server's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST or HOST:PORT")]
pub struct ServerError(String);

impl Server {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; without a port it is 2050.
    ///
    /// # Errors
    ///
    /// [`ServerError`] where it is none of these.
    pub fn parse(text: &str) -> Result<Server, ServerError> {
        let wrong = || ServerError(text.to_owned());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) })
            }
            None if text.matches(':').count() > 1 => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| wrong()))?;
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '[' | ']' | '|' | '#');
        if host.is_empty() || port == 0 || host.contains(odd) {
            return Err(wrong());
        }
        Ok(Server { host: host.to_ascii_lowercase(), port })
    }

    /// The host, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// True if and only if the server is on this machine, so that nobody else can listen in.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_role() {
        for role in [Role::Tui, Role::Listen, Role::Send] {
            assert!(role.names().iter().all(|name| Role::of(name) == role));
        }
        assert_eq!(Role::of("send-"), Role::Named("send-".into()));
    }

    #[test]
    fn servers() {
        let check = |text: &str, expected: Option<(&str, bool)>| {
            let server = Server::parse(text).ok();
            let found = server.as_ref().map(|server| (server.to_string(), server.is_local()));
            assert_eq!(found, expected.map(|(shown, local)| (shown.to_owned(), local)), "{text}");
        };
        check("127.0.0.1:2050", Some(("127.0.0.1:2050", true)));
        check("Chat.Example", Some(("chat.example:2050", false)));
        check("chat.example:99", Some(("chat.example:99", false)));
        check("localhost", Some(("localhost:2050", true)));
        check("::1", Some(("[::1]:2050", true)));
        check("[::1]:77", Some(("[::1]:77", true)));
        check("[fe80::1]", Some(("[fe80::1]:2050", false)));
        for wrong in [
            "",
            ":2050",
            "host:",
            "host:0",
            "host:70000",
            "host:x",
            "a b",
            "[::1",
            "[::1]x",
            "u@h",
            "h/x",
            "h#x",
        ] {
            check(wrong, None);
        }
    }
}
