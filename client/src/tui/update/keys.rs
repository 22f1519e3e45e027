//! What keys do in a conversation.

use super::TWICE;
use crate::tui::bare;
use crate::tui::bindings::KILL_LINE;
use crate::tui::composer::Composer;
use crate::tui::focus::Focus;
use crate::tui::form::{FIELD_FULL, paste_line};
use crate::tui::key::{Code, Key};
use crate::tui::keymap::Action;
use crate::tui::model::{Effect, Model, Overlay, Recall, SENT_MAX};
use crate::tui::window::Scroll;

impl Model {
    pub(super) fn chat_key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let open = self.open.clone();
        if !self.focused_key(key, effects) {
            match self.prefs.bindings.action(key) {
                Some(action) => self.act(action, effects),
                None if self.focus.is_box() => self.edit(self.prefs.bindings.edit(key), effects),
                None => {}
            }
        }
        // A key at the end of a conversation says that somebody is there and has seen it; one that leads away does not.
        let stays = self.open == open && self.overlay.is_none() && self.form.is_none() && self.quit.is_none();
        if stays && self.read_due.is_some() && self.window.scroll == Scroll::Follow {
            self.read(effects);
        }
    }

    /// Takes a key where the box does not have them, or shows what a word may become; false for one that means the
    /// same everywhere.
    fn focused_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        match self.focus {
            Focus::Box => self.completion_key(key) || self.leave_box(key, effects),
            Focus::List(_) => self.list_key(key, effects),
            Focus::Pick(_) => self.normal_key(key, effects) || self.pick_key(key, effects),
            Focus::Search(_) => self.search_key(key, effects),
            Focus::Status => self.status_key(key, effects),
        }
    }

    /// A paste while the box does not have the keys: words to look for, or a message after all.
    pub(super) fn paste_elsewhere(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if let Some(search) = self.focus.search_mut() {
            if !paste_line(&mut search.query, text) {
                self.hint(FIELD_FULL);
            }
            return self.query_changed(effects);
        }
        self.focus_box();
        self.paste(text, effects);
    }

    /// Does what a key or a row of the help is for.
    pub(super) fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        if action != Action::Cancel {
            self.cancelled = None;
        }
        let was_normal = self.is_normal() && action.only_moves();
        if !action.keeps_focus() && !self.focus.is_box() {
            self.focus_box();
        }
        match action {
            Action::Send => self.submit(effects),
            Action::NewLine => {
                self.composer.type_char('\n');
                self.edited();
            }
            Action::Jump => self.open_jump(),
            Action::Next => self.step(true, effects),
            Action::Previous => self.step(false, effects),
            Action::NextUnread => self.next_unread(effects),
            Action::FirstUnread => self.show_divider(effects),
            Action::PageUp => self.scroll(true, self.page_lines(), effects),
            Action::PageDown => self.scroll(false, self.page_lines(), effects),
            Action::LineUp => self.scroll(true, 1, effects),
            Action::LineDown => self.scroll(false, 1, effects),
            Action::Newest => self.show_end(effects),
            Action::Oldest => self.scroll(true, usize::MAX / 2, effects),
            Action::Find => self.find_words("", effects),
            Action::Focus => self.next_focus(effects),
            Action::List => self.toggle_list(),
            Action::Details => self.prefs.panes.details = !self.prefs.panes.details,
            Action::Copy => self.copy_last(effects),
            Action::Plain => effects.push(Effect::Plain(bare::lines(self))),
            Action::Mouse => self.toggle_mouse(effects),
            Action::Editor => self.ask_editor(effects),
            Action::Undo => {
                self.composer.undo();
                self.edited();
            }
            Action::Redo => {
                self.composer.redo();
                self.edited();
            }
            Action::Redraw => effects.push(Effect::Redraw),
            Action::Help => self.open_help(),
            Action::Cancel => self.cancel(effects),
            Action::Suspend => effects.push(Effect::Suspend),
            Action::Quit => self.ask_quit(effects),
        }
        self.stay_normal(was_normal, effects);
    }

    /// Copies the last message that is on the screen.
    pub(super) fn copy_last(&mut self, effects: &mut Vec<Effect>) {
        let bottom = self.with_pane(|pane, _| pane.bottom().item).unwrap_or(0);
        match self.shown().items.get(bottom) {
            Some(message) => effects.push(Effect::Copy(message.text.clone())),
            None => self.hint("nothing to copy here"),
        }
    }

    pub(super) fn toggle_list(&mut self) {
        let narrow = self.areas().is_none_or(|areas| areas.narrow);
        match (narrow, self.focus.list().is_some()) {
            (true, true) => self.focus_box(),
            (true, false) => self.focus_list(),
            (false, in_list) => {
                if in_list {
                    self.focus_box();
                }
                self.prefs.panes.list = !self.prefs.panes.list;
            }
        }
    }

    fn cancel(&mut self, effects: &mut Vec<Effect>) {
        if !self.composer.is_empty() {
            self.composer.clear();
            self.edited();
            self.cancelled = Some(self.now.at);
        } else if self.cancelled.is_some_and(|at| self.now.at < at + TWICE) {
            self.keep_draft(effects);
            self.overlay = Some(Overlay::Quit);
        } else {
            self.cancelled = Some(self.now.at);
            self.hint("Ctrl+C again asks to quit");
        }
    }

    pub(super) fn ask_quit(&mut self, effects: &mut Vec<Effect>) {
        self.keep_draft(effects);
        if self.unsent.is_empty() {
            self.quit = Some(0);
        } else {
            self.overlay = Some(Overlay::Quit);
        }
    }

    fn edit(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let columns = self.areas().map_or(2, |areas| areas.box_columns());
        let composer = &mut self.composer;
        let before = composer.text().len();
        match key {
            Key { code: Code::Up, ctrl: false, alt: false, .. } => {
                // An empty box has nothing to go back to but what was called back.
                if composer.is_empty() && self.recall.is_none() && !self.shown().items.is_empty() {
                    self.pick_last(effects);
                } else if !self.composer.up(columns) {
                    self.recall(true);
                }
                return;
            }
            Key { code: Code::Down, ctrl: false, alt: false, .. } => {
                if !composer.down(columns) {
                    self.recall(false);
                }
                return;
            }
            KILL_LINE => composer.delete_to_line_end(),
            Key { code: Code::Up, ctrl: true, .. } => return self.recall(true),
            Key { code: Code::Down, ctrl: true, .. } => return self.recall(false),
            Key { code: Code::Left, ctrl: true, .. } => composer.word_left(),
            Key { code: Code::Right, ctrl: true, .. } => composer.word_right(),
            Key { code: Code::Char('d'), alt: true, .. } => composer.delete_word_after(),
            Key { code: Code::Backspace, alt, ctrl, .. } if alt || ctrl => composer.delete_word_before(),
            Key { code: Code::Tab, .. } => return self.complete(),
            key => {
                if !crate::tui::form::edit_line(composer, key) {
                    return;
                }
            }
        }
        if self.composer.text().len() != before {
            self.edited();
        } else {
            self.completion = None;
        }
    }

    /// Calls back what was sent, and at the end of it what was being written.
    fn recall(&mut self, back: bool) {
        let at = match (&self.recall, back) {
            (None, true) => self.sent.len().checked_sub(1),
            (None, false) => return,
            (Some(recall), true) => Some(recall.at.saturating_sub(1)),
            (Some(recall), false) => Some(recall.at + 1),
        };
        let Some(at) = at else { return };
        self.completion = None;
        match self.sent.get(at) {
            Some(text) => {
                let shown = std::mem::replace(&mut self.composer, Composer::with(text));
                let writing = self.recall.take().map_or(shown, |recall| recall.writing);
                self.recall = Some(Recall { at, writing });
            }
            None => self.composer = self.recall.take().map(|recall| recall.writing).unwrap_or_default(),
        }
    }

    /// The box goes on from what was called back; what was being written can be called back in its turn.
    pub(super) fn leave_recall(&mut self) {
        if let Some(recall) = self.recall.take() {
            self.remember_typed(&recall.writing);
        }
    }

    /// Keeps what was typed, to be called back. A secret is not kept.
    pub(super) fn remember_typed(&mut self, typed: &Composer) {
        if typed.is_empty() || typed.secret_start().is_some() {
            return;
        }
        if self.sent.len() >= SENT_MAX {
            self.sent.remove(0);
        }
        self.sent.push(typed.written());
    }
}
