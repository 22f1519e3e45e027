//! When a person who looks elsewhere is told of something; `tui/notify` says how.

use crate::event::Message;
use crate::tui::model::{Effect, Model};
use crate::tui::notify::{APART, Notice, summary};

impl Model {
    /// A message has come. What waited at the server is told of once, when all of it is here.
    pub(super) fn notice_message(&mut self, message: &Message, newest: bool, effects: &mut Vec<Effect>) {
        if message.mine || !newest {
            return;
        }
        if self.getting.is_some() {
            *self.waited.entry(message.peer.key.clone()).or_default() += 1;
        } else if !self.is_looked_at(&message.peer.key) && !self.is_muted(&message.peer.key) {
            let (from, text) = (message.peer.name.clone(), message.text.clone());
            self.notice(Notice::Message { from, text }, effects);
        }
    }

    /// All that waited has come, or no more of it will for now.
    pub(super) fn notice_waited(&mut self, effects: &mut Vec<Effect>) {
        let mut waited = std::mem::take(&mut self.waited);
        waited.retain(|key, _| !self.is_looked_at(key));
        if waited.is_empty() {
            return;
        }
        let words = |waited: &std::collections::BTreeMap<String, u64>| (waited.values().sum(), waited.len());
        let (messages, chats) = words(&waited);
        self.say(summary(messages, chats));
        waited.retain(|key, _| !self.is_muted(key));
        if !waited.is_empty() {
            let (messages, chats) = words(&waited);
            self.notice(Notice::Summary { messages, chats }, effects);
        }
    }

    /// A message of ours was not sent.
    pub(super) fn notice_failure(&mut self, n: i64, effects: &mut Vec<Effect>) {
        let here = self.window.items.iter().find(|message| message.n == n && message.mine);
        let to = here.map_or_else(|| "somebody".to_owned(), |message| message.peer.name.clone());
        if self.focused != Some(true) {
            self.notice(Notice::NotSent { to }, effects);
        }
    }

    fn notice(&mut self, notice: Notice, effects: &mut Vec<Effect>) {
        if self.notified.is_none_or(|at| self.now.at >= at + APART) {
            self.notified = Some(self.now.at);
            effects.push(Effect::Notify(notice));
        }
    }

    /// True where whoever sits there need not be told of a message in this conversation: it is open in a window that
    /// has the focus. Where nobody knows about the focus, it is told.
    fn is_looked_at(&self, key: &str) -> bool {
        self.focused == Some(true) && self.open.as_deref() == Some(key)
    }

    fn is_muted(&self, key: &str) -> bool {
        let muted = self.entry_of(key).is_some_and(|entry| entry.chosen.muted);
        muted || self.prefs.notify.mute.iter().any(|name| crate::peer::Peer::new(name).key == key)
    }
}
