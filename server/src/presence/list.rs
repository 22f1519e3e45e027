//! What one session watches, and what its client was told of it: plain rules, with the time as a value.

use std::sync::Arc;
use std::time::Duration;

use bellhop_protocol::frame::HEADER;
use bellhop_protocol::presence::{Presence, PresenceState, put_typing};

/// So much time lies between two pushes about one name.
const APART: Duration = Duration::from_secs(1);
/// Who was typing so long ago, and could not be told before, is typing no longer.
const STALE: Duration = Duration::from_secs(4);

/// What is true of a name, and from when on it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// True where a session of theirs receives.
    pub(super) online: bool,
    /// From when on this counts: who goes is thought to come back for a moment.
    pub(super) from: Duration,
}

/// Something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Push<'a> {
    /// Somebody came or went.
    Presence(Presence<'a>),
    /// Somebody is typing.
    Typing(&'a str),
}

impl Push<'_> {
    /// Bytes that it takes on the wire.
    pub(super) fn wire_len(&self) -> usize {
        match self {
            Push::Presence(presence) => HEADER + 1 + presence.peer.len(),
            Push::Typing(peer) => HEADER + peer.len(),
        }
    }

    /// Appends the frame.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Push::Presence(presence) => presence.put(out),
            Push::Typing(peer) => put_typing(peer, out),
        }
    }
}

/// A name that is watched.
#[derive(Debug)]
struct Entry {
    key: Arc<str>,
    /// As the client wrote it, where that is not how it is compared.
    spelled: Option<Box<str>>,
    standing: Standing,
    /// What the client was told.
    told: bool,
    /// When the client was last told something about it.
    told_at: Option<Duration>,
    /// When they were typing, where that has not been told.
    typed: Option<Duration>,
}

impl Entry {
    fn name(&self) -> &str {
        self.spelled.as_deref().unwrap_or(&self.key)
    }

    /// When something is to be told of it.
    fn deadline(&self) -> Option<Duration> {
        let state = (self.standing.online != self.told).then_some(self.standing.from);
        let first = [state, self.typed].into_iter().flatten().min()?;
        Some(self.told_at.map_or(first, |told_at| first.max(told_at + APART)))
    }
}

/// The names that a session watches, by folded name.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: Vec<Entry>,
}

impl List {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The folded names.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.iter().map(|entry| &entry.key)
    }

    /// Watches these from now on, in the order of their folded names: what was told of those that were watched before is
    /// not told again.
    pub(super) fn replace<'a>(&mut self, names: impl Iterator<Item = (Arc<str>, &'a str, Standing)>) {
        let mut old = std::mem::take(&mut self.entries).into_iter().peekable();
        self.entries = names
            .map(|(key, spelled, standing)| {
                while old.next_if(|entry| entry.key < key).is_some() {}
                let spelled = (*spelled != *key).then(|| spelled.into());
                match old.next_if(|entry| entry.key == key) {
                    Some(entry) => Entry { spelled, ..entry },
                    // What is told is what the answer says.
                    None => {
                        Entry { key, spelled, standing, told: standing.online, told_at: None, typed: None }
                    }
                }
            })
            .collect();
        self.entries.shrink_to_fit();
    }

    /// What is told of a name in an answer now: nothing is due of it then.
    pub(super) fn answer(&mut self, key: &str, now: Duration) -> bool {
        let Some(entry) = self.find(key) else { return false };
        entry.told = entry.standing.online || now < entry.standing.from;
        entry.told
    }

    /// Something else is true of a name.
    pub(super) fn stand(&mut self, key: &str, standing: Standing) {
        if let Some(entry) = self.find(key) {
            entry.standing = standing;
        }
    }

    /// Somebody is typing; returns whether there is something to tell. Too soon after other news it is dropped and not
    /// told later: their message may overtake it, and they would seem to write another.
    pub(super) fn types(&mut self, key: &str, now: Duration) -> bool {
        let entry = self.find(key).filter(|entry| entry.told_at.is_none_or(|told_at| told_at + APART <= now));
        entry.is_some_and(|entry| {
            entry.typed = Some(now);
            true
        })
    }

    fn find(&mut self, key: &str) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.key).cmp(key)).ok()?;
        self.entries.get_mut(at)
    }

    /// When something is to be told next.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.entries.iter().filter_map(Entry::deadline).min()
    }

    /// Tells what is due, until `tell` has no room; returns whether anything was told. What found no room is due still.
    pub(super) fn give(&mut self, now: Duration, mut tell: impl FnMut(Push<'_>) -> bool) -> bool {
        let mut told = false;
        for entry in &mut self.entries {
            if entry.deadline().is_none_or(|due| now < due) {
                continue;
            }
            let Standing { online, from } = entry.standing;
            if online != entry.told && from <= now {
                let state = if online { PresenceState::Online } else { PresenceState::Offline };
                if !tell(Push::Presence(Presence { state, peer: entry.name() })) {
                    return told;
                }
                (entry.told, entry.told_at, told) = (online, Some(now), true);
            }
            if let Some(typed) = entry.typed.filter(|typed| *typed <= now) {
                if now < typed + STALE {
                    if !tell(Push::Typing(entry.name())) {
                        return told;
                    }
                    (entry.told_at, told) = (Some(now), true);
                }
                entry.typed = None;
            }
        }
        told
    }
}
