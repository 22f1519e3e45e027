//! Moving between conversations, and reading them.

use super::{DRAFT_AFTER, READ_AFTER};
use crate::event::Around;
use crate::peer::Peer;
use crate::settings::MarkRead;
use crate::tui::composer::Composer;
use crate::tui::focus::Focus;
use crate::tui::model::{Effect, Entry, Model};
use crate::tui::window::{Jump, Loading, Scroll, Window};

impl Model {
    /// Opens the conversation with this key; `None` for the server's.
    pub(super) fn open(&mut self, key: Option<String>, effects: &mut Vec<Effect>) {
        if self.open == key {
            return;
        }
        self.enter(key, effects);
        match &self.open {
            None => self.window = Window::empty(),
            Some(key) => {
                self.window = Window::opening();
                effects.push(Effect::Page { key: key.clone(), around: Around::Newest });
            }
        }
    }

    /// Opens a conversation without a place on it: whoever calls goes to one.
    pub(super) fn open_at(&mut self, peer: Peer, effects: &mut Vec<Effect>) {
        let key = peer.key.clone();
        self.list_peer(peer);
        self.enter(Some(key), effects);
        self.window = Window::empty();
    }

    /// What is being written is another message from here on.
    fn enter(&mut self, key: Option<String>, effects: &mut Vec<Effect>) {
        self.keep_draft(effects);
        self.read_due = None;
        self.held_unread = false;
        self.leave_recall();
        self.focus_box();
        self.completion = None;
        self.notes.scroll = Scroll::Follow;
        self.open = key;
        let draft = self.entry().map_or(&self.notes_draft, |entry| &entry.draft);
        self.composer = Composer::with(draft);
    }

    /// Opens the conversation with somebody, who need not be in the list yet.
    pub(super) fn open_peer(&mut self, peer: Peer, effects: &mut Vec<Effect>) {
        let key = peer.key.clone();
        self.list_peer(peer);
        self.open(Some(key), effects);
    }

    fn list_peer(&mut self, peer: Peer) {
        if self.entry_of(&peer.key).is_none() {
            self.chats.insert(0, Entry::new(peer));
            self.unordered = true;
        }
    }

    /// The next or previous row of the list.
    pub(super) fn step(&mut self, forwards: bool, effects: &mut Vec<Effect>) {
        let count = self.chats.len() + 1;
        let at = match &self.open {
            None => 0,
            Some(key) => self.chats.iter().position(|entry| entry.peer.key == *key).map_or(0, |at| at + 1),
        };
        let next = if forwards { at + 1 } else { at + count - 1 } % count;
        let key = next.checked_sub(1).map(|at| self.chats[at].peer.key.clone());
        self.open(key, effects);
    }

    pub(super) fn next_unread(&mut self, effects: &mut Vec<Effect>) {
        let at =
            self.open.as_ref().and_then(|key| self.chats.iter().position(|entry| entry.peer.key == *key));
        let start = at.map_or(0, |at| at + 1);
        let order = (start..self.chats.len()).chain(0..start.min(self.chats.len()));
        let found = order.map(|at| &self.chats[at]).find(|entry| entry.unread > 0);
        match found.map(|entry| entry.peer.key.clone()) {
            Some(key) if self.open.as_ref() != Some(&key) => self.open(Some(key), effects),
            Some(_) => self.show_divider(effects),
            None => self.hint("nothing is unread"),
        }
    }

    /// What was unread when the conversation was opened begins at a divider; more than fits is read from there.
    pub(super) fn place_divider(&mut self, effects: &mut Vec<Effect>) {
        let Some(entry) = self.entry().filter(|entry| entry.unread > 0) else { return };
        let (read_to, unread) = (entry.read_to, entry.unread);
        let here = self.window.items.iter().filter(|message| !message.mine && message.n > read_to).count();
        let begins_earlier = self.window.items.front().is_some_and(|first| first.n > read_to + 1);
        if self.window.older && begins_earlier && (here as u64) < unread {
            return self.load_from(read_to, effects);
        }
        self.window.new_from = self.first_unread();
        self.go_to_divider();
    }

    /// Messages were loaded to find the divider among them.
    pub(super) fn find_divider(&mut self, effects: &mut Vec<Effect>) {
        self.window.new_from = self.window.new_from.or_else(|| self.first_unread());
        match self.window.new_from {
            Some(_) => self.go_to_divider(),
            None if self.window.newer => self.load_from(self.window.last(), effects),
            None => {
                self.window = self.window.instead(Loading::Newest);
                self.request(Around::Newest, effects);
            }
        }
    }

    /// Loads the messages after `n` in place of those in memory.
    pub(super) fn load_from(&mut self, n: i64, effects: &mut Vec<Effect>) {
        self.window = self.window.instead(Loading::From(n));
        self.request(Around::After(n), effects);
    }

    /// The first unread message of those in memory.
    pub(super) fn first_unread(&self) -> Option<i64> {
        let entry = self.entry().filter(|entry| entry.unread > 0)?;
        let mut items = self.window.items.iter();
        items.find(|message| !message.mine && message.n > entry.read_to).map(|message| message.n)
    }

    /// Does what was wanted before there was anything to move in.
    pub(super) fn jump_now(&mut self, effects: &mut Vec<Effect>) {
        for jump in self.window.take_jumps() {
            match jump {
                Jump::End => self.show_end(effects),
                Jump::Divider => self.show_divider(effects),
                Jump::Lines { up, lines } => self.scroll(up, lines, effects),
            }
        }
    }

    fn jumps_later(&mut self, jump: Jump) -> bool {
        self.open.is_some() && self.window.waits(jump)
    }

    pub(super) fn show_divider(&mut self, effects: &mut Vec<Effect>) {
        if self.jumps_later(Jump::Divider) {
            return;
        }
        match self.shown().new_from {
            None => self.hint("nothing is unread here"),
            Some(_) if self.at_divider().is_some() => {
                self.go_to_divider();
                self.load_more(effects);
            }
            Some(n) => self.load_from(n - 1, effects),
        }
    }

    pub(super) fn go_to_divider(&mut self) {
        if let Some(scroll) = self.at_divider() {
            self.shown_mut().scroll = scroll;
        }
    }

    /// Where the eye is with the divider at the top; `None` where there is none.
    pub(super) fn at_divider(&self) -> Option<Scroll> {
        self.with_pane(|pane, rows| pane.at_divider(rows)).flatten()
    }

    pub(super) fn scroll(&mut self, up: bool, lines: usize, effects: &mut Vec<Effect>) {
        if self.jumps_later(Jump::Lines { up, lines }) {
            return;
        }
        let scrolled = self.with_pane(|pane, rows| match up {
            true => pane.scrolled_up(lines, rows),
            false => pane.scrolled_down(lines),
        });
        if let Some(scroll) = scrolled {
            self.shown_mut().scroll = scroll;
        }
        self.load_more(effects);
    }

    /// A page of the pane, but for two lines to find one's way.
    pub(super) fn page_lines(&self) -> usize {
        self.areas().map_or(1, |areas| usize::from(areas.pane.height).saturating_sub(2).max(1))
    }

    pub(super) fn show_end(&mut self, effects: &mut Vec<Effect>) {
        if self.jumps_later(Jump::End) {
            return;
        }
        if self.open.is_some() && self.window.newer {
            self.window = self.window.instead(Loading::Newest);
            self.request(Around::Newest, effects);
        }
        self.shown_mut().scroll = Scroll::Follow;
    }

    /// Asks for more messages where the eye comes near the end of those in memory.
    pub(super) fn load_more(&mut self, effects: &mut Vec<Effect>) {
        if self.open.is_none() || self.window.loading != Loading::Nothing || self.window.items.is_empty() {
            return;
        }
        let near_start = self.with_pane(|pane, rows| pane.is_near_start(rows)).unwrap_or(false);
        let below = self.with_pane(|pane, _| pane.below()).unwrap_or(0);
        if self.window.older && near_start {
            let first = self.window.items.front().map_or(0, |message| message.n);
            self.window.loading = Loading::Older;
            self.request(Around::Before(first), effects);
        } else if self.window.newer && below <= self.page_lines() {
            self.window.loading = Loading::Newer;
            self.request(Around::After(self.window.last()), effects);
        }
    }

    fn request(&self, around: Around, effects: &mut Vec<Effect>) {
        if let Some(key) = self.open.clone() {
            effects.push(Effect::Page { key, around });
        }
    }

    /// Plans when the open conversation counts as read: its end is on the screen, no more of what waited is coming, and
    /// nobody looks elsewhere.
    pub(super) fn plan_reading(&mut self) {
        let unread = self.entry().is_some_and(|entry| entry.unread > 0);
        let seen = self.form.is_none()
            && self.overlay.is_none()
            && self.focused != Some(false)
            && self.getting.is_none()
            && self.window.loading == Loading::Nothing
            && self.window.scroll == Scroll::Follow
            && !self.held_unread
            && matches!(self.focus, Focus::Box | Focus::Pick(_) | Focus::Status)
            && self.prefs.ui.mark_read == MarkRead::Seen
            && self.areas().is_some_and(|areas| areas.pane.height > 0);
        match (unread && seen, self.read_due) {
            (true, None) => self.read_due = Some(self.now.at + READ_AFTER),
            (false, Some(_)) => self.read_due = None,
            _ => {}
        }
    }

    /// The open conversation is read to its end.
    pub(super) fn read(&mut self, effects: &mut Vec<Effect>) {
        self.read_due = None;
        let Some(key) = self.open.clone() else { return };
        self.read_all(&key, effects);
    }

    /// Counts all of a conversation as read.
    pub(super) fn read_all(&mut self, key: &str, effects: &mut Vec<Effect>) {
        let Some(entry) = self.entry_mut(key) else { return };
        if entry.unread > 0 {
            entry.unread = 0;
            entry.read_to = entry.last;
            effects.push(Effect::MarkRead { key: key.to_owned(), n: entry.last });
            self.changed = true;
        }
    }

    /// Somebody says that they have read it.
    pub(super) fn read_open(&mut self, effects: &mut Vec<Effect>) {
        self.held_unread = false;
        self.read(effects);
    }

    /// Whoever answers has read, where that is what counts.
    pub(super) fn read_by_answer(&mut self, effects: &mut Vec<Effect>) {
        if self.prefs.ui.mark_read == MarkRead::Sent {
            self.read(effects);
        }
    }

    /// The box has changed, by whatever.
    pub(super) fn edited(&mut self) {
        self.people.edited();
        self.leave_recall();
        self.complete_again();
        self.plan_draft();
    }

    /// What is in the box is to be on the disk soon.
    pub(super) fn plan_draft(&mut self) {
        if self.open.is_some() && self.draft_due.is_none() {
            self.draft_due = Some(self.now.at + DRAFT_AFTER);
        }
    }

    /// Writes the draft down where it is not on the disk.
    pub(super) fn keep_draft(&mut self, effects: &mut Vec<Effect>) {
        self.draft_due = None;
        // What was called back is kept already.
        let writing = self.recall.as_ref().map_or(&self.composer, |recall| &recall.writing);
        let (open, writing) = (self.open.clone(), draft_of(writing));
        self.keep_draft_of(open.as_deref(), writing, effects);
    }

    /// What is being written in the conversation with this key; `None` for the server's.
    pub(super) fn keep_draft_of(&mut self, key: Option<&str>, text: String, effects: &mut Vec<Effect>) {
        let Some(key) = key else {
            self.notes_draft = text;
            return;
        };
        let Some(entry) = self.entry_mut(key) else { return };
        if entry.draft != text {
            entry.draft.clone_from(&text);
            effects.push(Effect::Draft { peer: entry.peer.clone(), text });
        }
    }
}

/// The draft that a box leaves behind. What holds a password is none.
pub(super) fn draft_of(writing: &Composer) -> String {
    if writing.secret_start().is_some() { String::new() } else { writing.written() }
}
