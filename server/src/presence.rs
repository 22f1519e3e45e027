//! Who is told who is online and who is typing (PROTOCOL.md, "Presence").
//!
//! Presence is a state and no message: nothing here is kept, queued or owed. A session that watches has a [`Watcher`]
//! with a list of names; whoever comes or goes marks the lists that name them, and nobody else's, and the watcher's own
//! connection tells its client what is due when it gets to it. So a reader who is slow is told the latest state alone,
//! and somebody who comes and goes all the time costs a watcher one push a second at the most.
//!
//! What is true of a name is never carried here by hand: it is read from the mailbox, under the lock of the registry, so
//! that whoever comes while somebody begins to watch is seen by one of the two.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

mod list;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::presence::{HIDDEN, PRESENCE};
use bellhop_protocol::{Address, Code};

use self::list::{List, Standing};
use crate::budget;
use crate::limits::Limits;
use crate::mailbox::stream::Outlet;
use crate::mailbox::{Effects, SessionId};
use crate::outbox::{OWN, Outbox};
use crate::sync::Mutex;

/// So many names each session may watch, however many others do.
pub const OWN_NAMES: usize = 4;
/// What a name that is watched costs, with everything that belongs to it and a name of the longest kind.
pub const COST: u64 = 512;
/// Where a reader has not taken what was written before, it is looked again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// No clock is due.
const NEVER: u64 = u64::MAX;

/// All who watch, and all who are watched.
#[derive(Debug)]
pub struct Presence {
    on: bool,
    grace: Duration,
    /// How many names a session may watch.
    most: usize,
    /// How many all sessions may watch, beside what each has for itself.
    most_all: usize,
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    names: HashMap<Arc<str>, Watched>,
    sessions: HashMap<SessionId, Arc<Watcher>>,
    watches: usize,
}

/// A name that somebody watches.
#[derive(Debug)]
struct Watched {
    standing: Standing,
    /// False where somebody panicked before all lists had it.
    settled: bool,
    /// Who watches, by session.
    by: Vec<Arc<Watcher>>,
}

/// A session that watches.
#[derive(Debug)]
pub struct Watcher {
    session: SessionId,
    outbox: Arc<Outbox>,
    /// When its client is to be told something, in ns on the clock that never jumps.
    due_ns: AtomicU64,
    list: Mutex<List>,
}

/// What is watched now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Sessions that watch.
    pub sessions: u64,
    /// Names on all lists.
    pub names: u64,
    /// Names on the longest list.
    pub most: u64,
}

impl Presence {
    /// Nobody watches yet; `on` where the operator has not switched it off.
    pub fn new(on: bool, limits: &Limits) -> Presence {
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Presence {
            on,
            grace: Duration::from_secs(limits.presence_grace),
            most: size(limits.watch),
            most_all: size(limits.watch_all),
            registry: Mutex::default(),
        }
    }

    /// Which of the features that a client asked for it gets.
    pub fn features(&self, asked: u32) -> u32 {
        if self.on { asked & (PRESENCE | HIDDEN) } else { 0 }
    }

    /// Replaces what a session watches, and returns the state of each name in the order of the names. `is_online` tells
    /// what is true of a folded name; it may lock mailboxes.
    ///
    /// # Errors
    ///
    /// `too-long` where the session may not watch so many; what was watched before still is.
    pub fn watch<'a>(
        &self,
        session: SessionId,
        outbox: &Arc<Outbox>,
        names: impl Iterator<Item = Address<'a>>,
        now: Duration,
        is_online: impl Fn(&str) -> bool,
    ) -> Result<(Option<Arc<Watcher>>, Vec<u8>), Refusal> {
        let mut asked: Vec<(Option<Box<str>>, &str)> = Vec::new();
        for address in names {
            if asked.len() >= self.most {
                return Err(Refusal::new(
                    Code::TOO_LONG,
                    format!("a session watches at most {} names", self.most),
                ));
            }
            // Who is elsewhere is told from there, once there is an elsewhere.
            let key = address.realm.is_none().then(|| address.user.key().as_str().into());
            asked.push((key, address.user.as_str()));
        }
        let mut registry = self.registry.lock();
        let mut wanted: Vec<(&str, &str)> =
            asked.iter().filter_map(|(key, spelled)| Some((key.as_deref()?, *spelled))).collect();
        // Stable: of two that fold together the first one stays.
        wanted.sort_by_key(|(key, _)| *key);
        wanted.dedup_by_key(|(key, _)| *key);
        let watcher = registry.replace(session, outbox, &wanted, self, is_online)?;
        let mut states = vec![0; asked.len()];
        if let Some(watcher) = &watcher {
            let mut list = watcher.list.lock();
            for ((key, _), state) in asked.iter().zip(&mut states) {
                *state = u8::from(key.as_deref().is_some_and(|key| list.answer(key, now)));
            }
            watcher.arm(list.deadline());
        }
        Ok((watcher, states))
    }

    /// Something happened after which the account with this folded name may be online or not.
    pub fn touch(&self, folded: &str, now: Duration, is_online: impl FnOnce() -> bool) {
        let mut registry = self.registry.lock();
        let Some(watched) = registry.names.get_mut(folded) else { return };
        let online = is_online();
        if online == watched.standing.online && watched.settled {
            return;
        }
        if online != watched.standing.online {
            watched.standing = Standing { online, from: if online { now } else { now + self.grace } };
        }
        watched.settled = false;
        let told = watched.by.clone();
        for watcher in &told {
            let mut list = watcher.list.lock();
            list.stand(folded, watched.standing);
            watcher.arm(list.deadline());
        }
        watched.settled = true;
        drop(registry);
        // Whoever has to wait for the end of the grace arms its clock then.
        told.iter().for_each(|watcher| watcher.outbox.rouse());
    }

    /// The account with the folded name `from` writes to an account, which has these sessions.
    pub fn typing(&self, from: &str, sessions: &[SessionId], now: Duration) {
        let registry = self.registry.lock();
        let told: Vec<Arc<Watcher>> =
            sessions.iter().filter_map(|session| registry.sessions.get(session).cloned()).collect();
        drop(registry);
        for watcher in told {
            let mut list = watcher.list.lock();
            if list.types(from, now) {
                watcher.arm(list.deadline());
                drop(list);
                watcher.outbox.rouse();
            }
        }
    }

    /// The session is over, or nobody is logged in on it any more.
    pub fn leave(&self, session: SessionId) {
        self.registry.lock().forget(session);
    }

    /// How much is watched.
    pub fn in_use(&self) -> InUse {
        let registry = self.registry.lock();
        let most = registry.sessions.values().map(|watcher| watcher.list.lock().len()).max();
        let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        InUse {
            sessions: wide(registry.sessions.len()),
            names: wide(registry.watches),
            most: wide(most.unwrap_or(0)),
        }
    }
}

impl Registry {
    fn replace(
        &mut self,
        session: SessionId,
        outbox: &Arc<Outbox>,
        wanted: &[(&str, &str)],
        bounds: &Presence,
        is_online: impl Fn(&str) -> bool,
    ) -> Result<Option<Arc<Watcher>>, Refusal> {
        let before = self.sessions.get(&session).map_or(0, |watcher| watcher.list.lock().len());
        // As of memory that many share: whoever comes late finds room for a list of a usual length.
        let left = bounds.most_all.saturating_sub(self.watches - before);
        let most = (left / budget::PART).max(OWN_NAMES);
        if wanted.len() > most && wanted.len() > before {
            let sentence = format!("a session watches at most {most} names while so many are watched here");
            return Err(Refusal::new(Code::TOO_LONG, sentence));
        }
        if wanted.is_empty() {
            self.forget(session);
            return Ok(None);
        }
        // Before anything is changed: it may lock mailboxes, and a panic there leaves everything as it was.
        let found = wanted.iter().map(|(key, _)| (!self.names.contains_key(*key)).then(|| is_online(key)));
        let found: Vec<Option<bool>> = found.collect();
        let watcher = self.sessions.entry(session).or_insert_with(|| {
            let due_ns = AtomicU64::new(NEVER);
            Arc::new(Watcher { session, outbox: outbox.clone(), due_ns, list: Mutex::default() })
        });
        let watcher = watcher.clone();
        let mut list = watcher.list.lock();
        let old: Vec<Arc<str>> = list.keys().cloned().collect();
        for key in old.iter().filter(|key| wanted.binary_search_by_key(&&***key, |(key, _)| key).is_err()) {
            self.unwatch(key, session);
        }
        let entries = wanted.iter().zip(found).map(|((key, spelled), online)| {
            // What was so before anybody asked is so at once, also for who asks with an older clock.
            let standing = Standing { online: online.unwrap_or(false), from: Duration::ZERO };
            let (key, standing) = self.add(key, &watcher, standing);
            (key, *spelled, standing)
        });
        let entries: Vec<_> = entries.collect();
        self.watches = self.watches - old.len() + entries.len();
        list.replace(entries.into_iter());
        drop(list);
        Ok(Some(watcher))
    }

    /// Puts a watcher under a name, which has this standing where nobody watched it; returns the one that it has.
    fn add(&mut self, key: &str, watcher: &Arc<Watcher>, standing: Standing) -> (Arc<str>, Standing) {
        if let Some((key, _)) = self.names.get_key_value(key) {
            let key = key.clone();
            if let Some(watched) = self.names.get_mut(&key) {
                if let Err(at) = watched.place(watcher.session) {
                    watched.by.insert(at, watcher.clone());
                }
                return (key, watched.standing);
            }
        }
        let key: Arc<str> = key.into();
        self.names.insert(key.clone(), Watched { standing, settled: true, by: vec![watcher.clone()] });
        (key, standing)
    }

    fn unwatch(&mut self, key: &str, session: SessionId) {
        let Some(watched) = self.names.get_mut(key) else { return };
        if let Ok(at) = watched.place(session) {
            watched.by.remove(at);
            // Whoever is watched by many, and then by one, keeps no room for many.
            if watched.by.len() < watched.by.capacity() / 4 {
                watched.by.shrink_to(2 * watched.by.len());
            }
        }
        if watched.by.is_empty() {
            self.names.remove(key);
        }
    }

    fn forget(&mut self, session: SessionId) {
        let Some(watcher) = self.sessions.get(&session).cloned() else { return };
        let list = std::mem::take(&mut *watcher.list.lock());
        self.sessions.remove(&session);
        watcher.arm(None);
        self.watches -= list.len();
        list.keys().for_each(|key| self.unwatch(key, session));
    }
}

impl Watched {
    fn place(&self, session: SessionId) -> Result<usize, usize> {
        self.by.binary_search_by_key(&session, |watcher| watcher.session)
    }
}

impl Watcher {
    fn arm(&self, deadline: Option<Duration>) {
        let ns = deadline.and_then(|at| u64::try_from(at.as_nanos()).ok());
        self.due_ns.store(ns.unwrap_or(NEVER), Ordering::Release);
    }

    /// When there is something to tell, if there is.
    pub fn deadline(&self) -> Option<Duration> {
        match self.due_ns.load(Ordering::Acquire) {
            NEVER => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    /// Pushes what is due, as far as the client has taken what it was told before; returns whether anything was pushed.
    pub fn push(&self, now: Duration, effects: &mut Effects) -> bool {
        if self.deadline().is_none_or(|due| now < due) {
            return false;
        }
        let mut list = self.list.lock();
        // What waits for a slow reader would be old when it is read.
        let mut room = self.outbox.unwritten() < OWN;
        let mut pushed = false;
        if room {
            pushed = list.give(now, |push| {
                let len = push.wire_len();
                room = self.outbox.push(len, effects, |out| push.put(out)).is_some();
                room
            });
        }
        let due = list.deadline();
        self.arm(if room { due } else { due.map(|due| due.max(now + AGAIN)) });
        pushed
    }
}
