//! Looking for words: what is typed becomes questions to the history, one at a time and the newest one only; what is
//! found is shown where it stands.

use crate::event::Found;
use crate::history::Query;
use crate::tui::composer::Composer;
use crate::tui::focus::{Back, Focus, Search};
use crate::tui::form::edit_line;
use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Model};
use crate::tui::window::{Scroll, Wanted};

/// Messages that are found; whoever has more looks for more.
const HITS_MAX: usize = 1_000;

impl Model {
    pub(super) fn find_words(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if let Focus::Search(search) = &mut self.focus {
            // The key that has begun it widens it, as Tab does.
            search.everywhere = !search.everywhere || search.back.open.is_none();
        } else {
            let (open, window) = (self.open.clone(), self.shown());
            let back = Back { scroll: window.scroll, new_from: window.new_from, open };
            self.completion = None;
            self.focus = Focus::Search(Box::new(Search {
                query: Composer::with(text),
                // Nothing that was said stands in the server's own conversation.
                everywhere: self.open.is_none(),
                hits: Vec::new(),
                at: 0,
                asked: None,
                next: None,
                stale: false,
                back,
            }));
        }
        self.query_changed(effects);
    }

    /// Takes a key while words are looked for; false for one that means the same everywhere.
    pub(super) fn search_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        let Focus::Search(search) = &mut self.focus else { return false };
        match key {
            Key { code: Code::Esc, .. } => self.leave_search(effects),
            Key { code: Code::Enter, ctrl: false, alt: false, shift: false } => self.keep_found(effects),
            Key { code: Code::Tab, .. } => {
                search.everywhere = !search.everywhere || search.back.open.is_none();
                self.query_changed(effects);
            }
            Key { code: Code::Up, alt: false, shift: false, .. } => self.step_found(true, effects),
            Key { code: Code::Down, alt: false, shift: false, .. } => self.step_found(false, effects),
            key => {
                let before = search.query.text().to_owned();
                if !edit_line(&mut search.query, key) {
                    return false;
                }
                if search.query.text() != before {
                    self.query_changed(effects);
                }
            }
        }
        true
    }

    /// Other words, or another place to look for them.
    pub(super) fn query_changed(&mut self, effects: &mut Vec<Effect>) {
        let Focus::Search(search) = &mut self.focus else { return };
        search.hits.clear();
        (search.at, search.next) = (0, None);
        if search.query.text().trim().is_empty() {
            search.stale = false;
            return self.eye_back(effects);
        }
        search.stale = true;
        self.ask_history(i64::MAX, effects);
    }

    /// Asks, unless an answer is still to come: then what is asked next is what is typed by then.
    fn ask_history(&mut self, before: i64, effects: &mut Vec<Effect>) {
        let tag = self.tags + 1;
        let Focus::Search(search) = &mut self.focus else { return };
        if search.asked.is_some() {
            return;
        }
        let key = if search.everywhere { None } else { search.back.open.clone() };
        let text = search.query.text().to_owned();
        (search.asked, search.stale) = (Some(tag), false);
        self.tags = tag;
        effects.push(Effect::Search(Query { tag, key, text, before }));
    }

    /// A piece of the history was looked through.
    pub(super) fn found(&mut self, found: Found, effects: &mut Vec<Effect>) {
        let Focus::Search(search) = &mut self.focus else { return };
        if search.asked != Some(found.tag) {
            return;
        }
        search.asked = None;
        if search.query.text().trim().is_empty() {
            return;
        }
        if search.stale {
            return self.ask_history(i64::MAX, effects);
        }
        let first = search.hits.is_empty();
        let room = HITS_MAX.saturating_sub(search.hits.len());
        search.hits.extend(found.hits.into_iter().take(room));
        search.next = found.next;
        let goes_on = found.next.filter(|_| search.hits.len() < HITS_MAX);
        if first && !search.hits.is_empty() {
            self.show_found(effects);
        }
        if let Some(before) = goes_on {
            self.ask_history(before, effects);
        }
    }

    /// The next hit, further back or nearer.
    fn step_found(&mut self, back: bool, effects: &mut Vec<Effect>) {
        let Focus::Search(search) = &mut self.focus else { return };
        let last = search.hits.len().saturating_sub(1);
        search.at = if back { (search.at + 1).min(last) } else { search.at.saturating_sub(1) };
        self.show_found(effects);
    }

    fn show_found(&mut self, effects: &mut Vec<Effect>) {
        let Some(search) = self.focus.search() else { return };
        let Some(hit) = search.hits.get(search.at).cloned() else { return };
        if self.open.as_ref() != Some(&hit.peer.key) {
            let focus = std::mem::take(&mut self.focus);
            self.open_at(hit.peer, effects);
            self.focus = focus;
        }
        self.go_to(Wanted { n: hit.n, line: None }, effects);
    }

    /// Shows a message of the open conversation.
    fn go_to(&mut self, wanted: Wanted, effects: &mut Vec<Effect>) {
        if self.window.at(wanted.n).is_some() {
            self.show_wanted(wanted);
            return self.load_more(effects);
        }
        self.load_from(wanted.n - 1, effects);
        self.window.wanted = Some(wanted);
    }

    /// Brings a message that is in memory into view.
    pub(super) fn show_wanted(&mut self, wanted: Wanted) {
        let scroll = match wanted.line {
            Some(line) => Some(Scroll::At { n: wanted.n, line }),
            None => self.with_pane(|pane, rows| pane.in_middle(wanted.n, rows)).flatten(),
        };
        if let Some(scroll) = scroll {
            self.window.scroll = scroll;
        }
    }

    /// The eye stays where the hit is, and the box has the keys; in a vi the hit is picked.
    pub(super) fn keep_found(&mut self, effects: &mut Vec<Effect>) {
        let hit = self.focus.search().and_then(|search| search.hits.get(search.at)).map(|hit| hit.n);
        self.focus_box();
        if self.prefs.bindings.is_modal() {
            self.begin_normal(effects);
            if let Some(n) = hit {
                self.pick(n, effects);
            }
        }
    }

    fn leave_search(&mut self, effects: &mut Vec<Effect>) {
        self.eye_back(effects);
        self.focus_box();
        if self.prefs.bindings.is_modal() {
            self.begin_normal(effects);
        }
    }

    /// The eye goes back to where it was before anything was looked for.
    fn eye_back(&mut self, effects: &mut Vec<Effect>) {
        let Some(Search { back, .. }) = self.focus.search() else { return };
        let Back { open, scroll, new_from } = Back { open: back.open.clone(), ..*back };
        if self.open != open {
            let focus = std::mem::take(&mut self.focus);
            self.open(open, effects);
            self.focus = focus;
        }
        if self.open.is_none() {
            self.notes.scroll = scroll;
            return;
        }
        match scroll {
            _ if self.window.scroll == scroll && self.window.wanted.is_none() => {}
            Scroll::Follow => self.show_end(effects),
            Scroll::At { n, line } => self.go_to(Wanted { n, line: Some(line) }, effects),
        }
        self.window.new_from = new_from;
    }
}
