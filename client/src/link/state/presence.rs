//! Who is online: the names that the screen shows are watched on each connection, and what is told of them is passed on.
//!
//! Where the server has no presence, or has not answered, nothing is known of anybody: nothing is ever guessed.

use bellhop_protocol::code::Failure;
use bellhop_protocol::presence::{HIDDEN, PRESENCE, Presence, PresenceState, Watch, Watching};
use bellhop_protocol::{Address, Code, Request};

use super::{State, sign_in};
use crate::event::Event;

/// Names that are watched at most, the first ones: what a server allows unless told otherwise.
pub(super) const WATCH_MAX: usize = 256;

/// What is watched, and what is wanted.
#[derive(Debug)]
pub(super) struct Watched {
    /// The names that the user of the library wants to know of.
    wanted: Vec<String>,
    /// What the server was asked last on this connection, and whether it has answered.
    asked: Vec<String>,
    answered: bool,
    /// How many names this server takes, as far as is known.
    most: usize,
}

impl Default for Watched {
    fn default() -> Watched {
        Watched { wanted: Vec::new(), asked: Vec::new(), answered: true, most: WATCH_MAX }
    }
}

/// What HELLO asks for.
pub(super) fn features(hidden: bool) -> u32 {
    if hidden { PRESENCE | HIDDEN } else { PRESENCE }
}

impl State {
    /// From now on these are watched. Names that are none stay unknown.
    pub(super) fn watch(&mut self, mut names: Vec<String>) {
        names.retain(|name| Address::parse(name).is_ok());
        names.truncate(WATCH_MAX);
        self.watched.wanted = names;
        self.write_watch();
    }

    /// Asks for what is wanted, where that is another list than the one that was asked for. One WATCH is on its way at a
    /// time: a list that changes all the time costs a question a round trip.
    fn write_watch(&mut self) {
        let Watched { wanted, asked, answered, most } = &self.watched;
        let names = wanted.get(..*most).unwrap_or(wanted);
        if !self.has_presence || !self.is_online() || !answered || names == &asked[..] {
            return;
        }
        let names = names.to_vec();
        Watch::put(names.iter().map(String::as_str), self.wire());
        (self.watched.asked, self.watched.answered) = (names, false);
    }

    /// A new connection has told nothing yet.
    pub(super) fn watch_anew(&mut self) {
        (self.watched.asked, self.watched.answered) = (Vec::new(), true);
        self.write_watch();
    }

    pub(super) fn watching(&mut self, states: Watching<'_>) {
        if self.watched.answered {
            return;
        }
        self.watched.answered = true;
        let known = self.watched.asked.iter().cloned().zip(states.states());
        let known = known.filter_map(|(name, state)| Some((name, is_online(state)?)));
        let known = known.collect();
        self.event(Event::Watching(known));
        self.write_watch();
    }

    /// The server does not tell. Of a list that is too long for it half is tried; else nothing is known until the list
    /// or the connection is another one.
    pub(super) fn refused_watch(&mut self, failure: &Failure<'_>) {
        self.watched.answered = true;
        let asked = self.watched.asked.len();
        if failure.reason.code() == Some(Code::TOO_LONG) && asked > 1 {
            self.watched.most = asked / 2;
        } else {
            self.event(Event::Watching(Vec::new()));
            self.event(Event::Notice(sign_in::sentence(failure)));
        }
        self.write_watch();
    }

    /// Only of names that were asked for: a server that tells of others fills no memory.
    pub(super) fn presence(&mut self, presence: Presence<'_>) {
        if let Some(online) = is_online(presence.state)
            && self.is_asked(presence.peer)
        {
            self.event(Event::Presence { name: presence.peer.to_owned(), online });
        }
    }

    pub(super) fn typing(&mut self, name: &str) {
        if self.is_asked(name) {
            self.event(Event::Typing(name.to_owned()));
        }
    }

    fn is_asked(&self, name: &str) -> bool {
        self.is_online() && self.watched.asked.iter().any(|asked| asked == name)
    }

    /// Tells somebody that a message for them is being written; without a connection it is not worth a wait.
    pub(super) fn tell_typing(&mut self, to: &str) {
        if let Ok(to) = Address::parse(to)
            && self.has_presence
            && self.is_online()
        {
            self.put(&Request::Typing(to));
        }
    }
}

/// A state of a later version says nothing to this one.
fn is_online(state: PresenceState) -> Option<bool> {
    match state {
        PresenceState::Online => Some(true),
        PresenceState::Offline => Some(false),
        PresenceState::Other(_) => None,
    }
}
