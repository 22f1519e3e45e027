//! The list of conversations: its order, and what keys do while it has them.

use crate::history::Chosen;
use crate::tui::composer::Composer;
use crate::tui::focus::{Focus, InList};
use crate::tui::form::edit_line;
use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Entry, Model, Overlay, SERVER};
use crate::tui::palette::score;

/// Rows that PgUp and PgDn move.
const PAGE_ROWS: usize = 10;

impl Model {
    /// The rows of the list: the server's, which is `None`, then the conversations, as far as they match the filter.
    pub(crate) fn rows(&self) -> Vec<Option<&Entry>> {
        let filter = self.focus.list().and_then(|list| list.filter.as_ref()).map_or("", Composer::text);
        let matches = |name: &str| filter.is_empty() || score(name, filter).is_some();
        let server = matches(SERVER).then_some(None);
        let chats = self.chats.iter().filter(|entry| matches(&entry.peer.name)).map(Some);
        server.into_iter().chain(chats).collect()
    }

    /// The key of the row that is chosen: of the open conversation, where nobody is in the list.
    pub(crate) fn chosen_row(&self) -> Option<&str> {
        self.focus.list().map_or(self.open.as_deref(), |list| list.chosen.as_deref())
    }

    /// Nothing moves under somebody's hands, nor while what waited at the server is coming.
    fn is_order_frozen(&self) -> bool {
        let choosing = matches!(self.overlay, Some(Overlay::Jump { .. }));
        choosing || self.focus.list().is_some() || self.getting.is_some()
    }

    /// Puts the list in order, if it is not and may be.
    pub(super) fn order_chats(&mut self) {
        if self.unordered && !self.is_order_frozen() {
            self.unordered = false;
            self.chats.sort_by_key(Entry::rank);
            self.changed = true;
        }
    }

    pub(super) fn focus_list(&mut self) {
        self.completion = None;
        self.focus = Focus::List(InList { chosen: self.open.clone(), ..InList::default() });
    }

    /// The box has the keys again.
    pub(super) fn focus_box(&mut self) {
        self.focus = Focus::Box;
    }

    /// Takes a key while the list has them; false for one that means the same everywhere.
    pub(super) fn list_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        let Focus::List(list) = &mut self.focus else { return false };
        if list.typing {
            return self.filter_key(key, effects);
        }
        match key {
            Key { code: Code::Esc, .. } if list.filter.is_some() => list.filter = None,
            Key { code: Code::Esc, .. } => self.focus_box(),
            Key { code: Code::Enter, alt: false, shift: false, .. } => self.open_chosen(effects),
            _ => match (key.typed(), key.code) {
                (Some('/'), _) => {
                    list.filter.get_or_insert_default();
                    list.typing = true;
                }
                (Some('?'), _) => self.open_help(),
                (Some('u'), _) => self.toggle_unread(effects),
                (Some('m'), _) => self.choose(effects, |chosen| chosen.muted = !chosen.muted),
                (Some('p'), _) => self.choose(effects, |chosen| chosen.pinned = !chosen.pinned),
                _ => return self.move_in_list(key),
            },
        }
        true
    }

    fn filter_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        let Focus::List(list) = &mut self.focus else { return false };
        match key.code {
            Code::Esc => (list.typing, list.filter) = (false, None),
            Code::Enter => return self.enter_filter(effects),
            Code::Up | Code::Down if !key.shift && !key.alt => return self.move_in_list(key),
            _ => {
                let Some(filter) = &mut list.filter else { return false };
                if !edit_line(filter, key) {
                    return false;
                }
            }
        }
        self.keep_chosen_in_list();
        true
    }

    /// What is chosen is opened: whoever has typed enough of a name wants to be there.
    fn enter_filter(&mut self, effects: &mut Vec<Effect>) -> bool {
        if !self.rows().is_empty() {
            self.open_chosen(effects);
        }
        true
    }

    fn open_chosen(&mut self, effects: &mut Vec<Effect>) {
        let chosen = self.chosen_row().map(str::to_owned);
        self.focus_box();
        self.open(chosen, effects);
    }

    /// The first match is chosen where the one that was does not match.
    fn keep_chosen_in_list(&mut self) {
        let chosen = self.chosen_row();
        let key_of = |row: &Option<&Entry>| row.map(|entry| entry.peer.key.clone());
        let rows = self.rows();
        if rows.iter().any(|row| row.map(|entry| entry.peer.key.as_str()) == chosen) {
            return;
        }
        let first = rows.iter().find(|row| row.is_some()).or(rows.first()).and_then(key_of);
        if let Focus::List(list) = &mut self.focus {
            list.chosen = first;
        }
    }

    fn move_in_list(&mut self, key: Key) -> bool {
        if key.ctrl || key.alt || key.shift {
            return false;
        }
        let rows = self.rows();
        let chosen = self.chosen_row();
        let at = rows.iter().position(|row| row.map(|entry| entry.peer.key.as_str()) == chosen);
        let (at, last) = (at.unwrap_or(0), rows.len().saturating_sub(1));
        let to = match (key.code, key.typed()) {
            (Code::Up, _) | (_, Some('k')) => at.saturating_sub(1),
            (Code::Down, _) | (_, Some('j')) => at + 1,
            (Code::PageUp, _) => at.saturating_sub(PAGE_ROWS),
            (Code::PageDown, _) => at + PAGE_ROWS,
            (Code::Home, _) | (_, Some('g')) => 0,
            (Code::End, _) | (_, Some('G')) => last,
            // A letter that means nothing here is not typed into a box that nobody looks at.
            (_, Some(_)) => return true,
            _ => return false,
        };
        let to = rows.get(to.min(last)).and_then(|row| row.map(|entry| entry.peer.key.clone()));
        if let Focus::List(list) = &mut self.focus {
            list.chosen = to;
        }
        true
    }

    /// Changes what was chosen for the conversation under the hand: the one in the list, else the open one.
    pub(super) fn choose(&mut self, effects: &mut Vec<Effect>, change: impl FnOnce(&mut Chosen)) {
        let Some(key) = self.chosen_row().map(str::to_owned) else {
            return self.hint("the server's own conversation stays as it is");
        };
        let Some(entry) = self.entry_mut(&key) else { return };
        change(&mut entry.chosen);
        let (peer, chosen) = (entry.peer.clone(), entry.chosen);
        effects.push(Effect::Choose { peer, chosen });
        self.unordered = true;
    }

    /// What is read counts as unread again, from its last message on; what is unread counts as read.
    fn toggle_unread(&mut self, effects: &mut Vec<Effect>) {
        let Some(key) = self.chosen_row().map(str::to_owned) else { return };
        let Some(entry) = self.entry_mut(&key) else { return };
        if entry.unread > 0 {
            return self.read_all(&key, effects);
        }
        if entry.last == 0 {
            return self.hint("nothing was said there yet");
        }
        let n = entry.last;
        (entry.unread, entry.read_to) = (1, n - 1);
        self.held_unread |= self.open.as_deref() == Some(key.as_str());
        effects.push(Effect::MarkUnread { key, n });
    }

    /// Gives the keys to the next part of the screen.
    pub(super) fn next_focus(&mut self, effects: &mut Vec<Effect>) {
        self.completion = None;
        match std::mem::take(&mut self.focus) {
            Focus::Box if self.shown().items.is_empty() => self.focus_list(),
            Focus::Box => self.pick_last(effects),
            Focus::Search(search) => {
                self.focus = Focus::Search(search);
                self.keep_found(effects);
            }
            Focus::Pick(_) => self.focus_list(),
            Focus::List(_) => self.focus = Focus::Status,
            Focus::Status => {}
        }
    }

    /// Takes a key while the status row has them; false for one that means the same everywhere.
    pub(super) fn status_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        match key {
            Key { code: Code::Enter, ctrl: false, alt: false, shift: false } => {
                self.focus_box();
                effects.push(Effect::Reconnect);
            }
            Key { code: Code::Esc, .. } => self.focus_box(),
            key => match key.typed() {
                Some('?') => self.open_help(),
                Some(_) => {}
                None => return false,
            },
        }
        true
    }
}
