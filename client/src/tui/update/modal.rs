//! The profile of vim: the box inserts, and Esc in it leaves the keys to the messages until somebody writes again.
//! What keys do with a picked message is the same in every profile (`pick`); this adds what a vi has.

use super::pick::Deed;
use crate::tui::focus::Focus;
use crate::tui::key::{Code, Key};
use crate::tui::keymap::Action;
use crate::tui::model::{Effect, Model};

/// The place of no message: there is none in this conversation, or it is still to come.
const NOBODY: i64 = i64::MIN;

impl Model {
    /// The keys are for messages, in a profile where Esc does that.
    pub(crate) fn is_normal(&self) -> bool {
        self.prefs.bindings.is_modal() && matches!(self.focus, Focus::Pick(_))
    }

    /// Esc in the box; false for any other key, and in every other profile.
    pub(super) fn leave_box(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        let leaves = self.prefs.bindings.is_modal() && key == Key::plain(Code::Esc);
        if leaves {
            self.begin_normal(effects);
        }
        leaves
    }

    pub(super) fn begin_normal(&mut self, effects: &mut Vec<Effect>) {
        self.completion = None;
        self.focus = Focus::Pick(NOBODY);
        self.pick_last(effects);
    }

    /// Nothing is left to be picked from: the box has the keys again, where Esc alone does not take them from it.
    pub(super) fn end_pick(&mut self) {
        if !self.prefs.bindings.is_modal() {
            self.focus_box();
        }
    }

    /// What is picked may be gone, or has come only now.
    pub(super) fn pick_again(&mut self, effects: &mut Vec<Effect>) {
        let Focus::Pick(n) = self.focus else { return };
        let waits = self.open.is_some() && self.window.wanted.is_some();
        if self.is_normal() && !waits && self.shown().at(n).is_none() && !self.shown().items.is_empty() {
            self.pick_last(effects);
        }
    }

    /// Takes a key of a vi while a message is picked; false for one that is the same in every profile.
    pub(super) fn normal_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        let Focus::Pick(n) = self.focus else { return false };
        if !self.prefs.bindings.is_modal() {
            return false;
        }
        match (key.typed(), key) {
            (Some('i' | 'a'), _) => self.focus_box(),
            (Some('I'), _) => {
                self.focus_box();
                self.composer.home();
            }
            (Some('A'), _) => {
                self.focus_box();
                self.composer.end();
            }
            (Some(':'), _) => self.open_jump(),
            (Some('/'), _) => self.act(Action::Find, effects),
            (Some('?'), _) => self.open_help(),
            (_, Key { code: Code::Esc, .. }) => {}
            (_, Key { code: Code::Char('d' | 'u'), ctrl: true, alt: false, .. }) => {
                self.scroll(key.code == Code::Char('u'), self.page_lines() / 2, effects);
                self.pick_last(effects);
            }
            (Some('K'), _) => self.do_with_picked(Deed::About, effects),
            // Without a message nothing else is done with one, and nothing is sent.
            (typed, Key { code, .. }) if self.shown().at(n).is_none() => {
                return typed.is_some() || code == Code::Enter;
            }
            _ => return false,
        }
        true
    }

    /// Another conversation is open: whoever did not write does not write in that one either.
    pub(super) fn stay_normal(&mut self, was_normal: bool, effects: &mut Vec<Effect>) {
        if was_normal && self.focus.is_box() && self.overlay.is_none() {
            self.begin_normal(effects);
        }
    }
}
