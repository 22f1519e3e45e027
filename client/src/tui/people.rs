//! Who is online and who is typing, as far as the server has told. Nothing is guessed: who was not told of is unknown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::effect::Effect;
use super::model::{Link, Model};
use super::typed::{self, Typed};
use crate::peer::Peer;

/// Conversations that are watched, those at the top of the list: what a server allows.
const WATCH_MAX: usize = 256;
/// PROTOCOL.md, TYPING: for so long it holds, and after so long it is said again.
const TYPING_HOLDS: Duration = Duration::from_secs(6);
const TYPING_AGAIN: Duration = Duration::from_secs(3);

/// What is known of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Unknown,
    Online,
    Offline {
        /// When they were last seen to be online, in ms since 1970.
        seen_ms: Option<i64>,
    },
}

/// What is known of people, by the key of their conversation.
#[derive(Debug, Default)]
pub(crate) struct People {
    known: BTreeMap<String, Presence>,
    /// Until when they are typing.
    typing: BTreeMap<String, Instant>,
    /// Who is watched, in order.
    watched: Vec<String>,
    /// Whom we told last that we are typing, and when.
    told: Option<(String, Instant)>,
    /// The box was changed.
    edited: bool,
}

impl People {
    pub(crate) fn of(&self, key: &str) -> Presence {
        self.known.get(key).copied().unwrap_or(Presence::Unknown)
    }

    pub(crate) fn is_typing(&self, key: &str) -> bool {
        self.typing.contains_key(key)
    }

    /// When somebody stops to be shown as typing.
    pub(crate) fn deadline(&self, key: &str) -> Option<Instant> {
        self.typing.get(key).copied()
    }

    /// Without a connection nothing is known of anybody.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.typing.clear();
        self.told = None;
    }

    /// Nobody is watched by the connection that there is now.
    pub(super) fn watch_anew(&mut self) {
        self.watched.clear();
    }

    /// The server has told of these, and of nobody else.
    pub(super) fn tell(&mut self, known: Vec<(String, bool)>) {
        let before = std::mem::take(&mut self.known);
        for (name, online) in known {
            let key = Peer::new(&name).key;
            let presence = match (online, before.get(&key)) {
                (true, _) => Presence::Online,
                (false, Some(offline @ Presence::Offline { .. })) => *offline,
                (false, _) => Presence::Offline { seen_ms: None },
            };
            self.known.insert(key, presence);
        }
    }

    /// Somebody came or went.
    pub(super) fn change(&mut self, name: &str, online: bool, wall_ms: i64) {
        let key = Peer::new(name).key;
        let was_online = self.of(&key) == Presence::Online;
        let presence = match online {
            true => Presence::Online,
            false => Presence::Offline { seen_ms: was_online.then_some(wall_ms) },
        };
        if !online {
            self.typing.remove(&key);
        }
        self.known.insert(key, presence);
    }

    pub(super) fn types(&mut self, name: &str, now: Instant) {
        self.typing.insert(Peer::new(name).key, now + TYPING_HOLDS);
    }

    /// A message came or went: what was being written is written.
    pub(super) fn wrote(&mut self, key: &str, mine: bool) {
        if mine {
            self.told = None;
        } else {
            self.typing.remove(key);
        }
    }

    pub(super) fn edited(&mut self) {
        self.edited = true;
    }
}

impl Model {
    /// What is known of the open conversation's other side.
    pub(crate) fn presence(&self) -> Presence {
        self.entry().map_or(Presence::Unknown, |entry| self.people.of(&entry.peer.key))
    }

    /// What follows for people from whatever happened: who is watched, who types no longer, and who is told that we do.
    pub(super) fn plan_people(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now.at;
        let typing = self.people.typing.len();
        self.people.typing.retain(|_, until| now < *until);
        self.changed |= self.people.typing.len() != typing;
        self.plan_watch(effects);
        self.plan_typing(effects);
    }

    fn plan_watch(&mut self, effects: &mut Vec<Effect>) {
        let (open, key) = (self.entry().into_iter(), self.open.as_deref());
        let others = self.chats.iter().filter(|entry| key != Some(entry.peer.key.as_str()));
        let first = open.chain(others).filter(|entry| entry.peer.address.is_some());
        let mut wanted: Vec<&Peer> = first.take(WATCH_MAX).map(|entry| &entry.peer).collect();
        wanted.sort_by_key(|peer| &peer.key);
        if wanted.iter().map(|peer| &peer.key).eq(&self.people.watched) {
            return;
        }
        let names = wanted.iter().filter_map(|peer| peer.address.clone()).collect();
        self.people.watched = wanted.into_iter().map(|peer| peer.key.clone()).collect();
        effects.push(Effect::Watch(names));
    }

    /// Whoever is here, and is being written to, is told; not at each letter.
    fn plan_typing(&mut self, effects: &mut Vec<Effect>) {
        let edited = std::mem::take(&mut self.people.edited);
        if !edited
            || !self.prefs.ui.typing
            || self.link != Link::Online
            || self.presence() != Presence::Online
        {
            return;
        }
        let message = matches!(
            typed::parse_as(self.composer.text(), self.composer.is_pasted(), self.prefs.ui.raw_ops),
            // A number alone may become an op.
            Typed::Message(text) if !text.trim().is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit())
        );
        let Some(peer) = self.entry().map(|entry| entry.peer.clone()).filter(|_| message) else { return };
        let now = self.now.at;
        let lately = |(key, at): &(String, Instant)| *key == peer.key && now < *at + TYPING_AGAIN;
        if self.people.told.as_ref().is_some_and(lately) {
            return;
        }
        self.people.told = Some((peer.key, now));
        effects.extend(peer.address.map(Effect::Typing));
    }

    /// Who of the conversations is online, in words.
    pub(super) fn who(&self) -> String {
        let named = |wanted: fn(Presence) -> bool| {
            let entries = self.chats.iter().filter(|entry| wanted(self.people.of(&entry.peer.key)));
            entries.map(|entry| entry.peer.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let online = named(|presence| presence == Presence::Online);
        let offline = named(|presence| matches!(presence, Presence::Offline { .. }));
        match (online.is_empty(), offline.is_empty()) {
            (true, true) => "nobody knows who is online: the server does not tell".into(),
            (true, false) => "none of them is online".into(),
            (false, true) => format!("online: {online}"),
            (false, false) => format!("online: {online}; offline: {offline}"),
        }
    }
}
