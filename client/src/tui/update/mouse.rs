//! The mouse, where somebody has switched it on: the wheel scrolls, a click opens.

use ratatui::layout::{Position, Rect};

use crate::tui::input::{Mouse, MouseKind};
use crate::tui::model::{Effect, Model};
use crate::tui::view::first_row_of_list;

/// Lines that a notch of the wheel scrolls.
const NOTCH: usize = 3;

impl Model {
    /// Switches the mouse on or off.
    pub(super) fn toggle_mouse(&mut self, effects: &mut Vec<Effect>) {
        let on = !self.prefs.ui.mouse;
        self.prefs.ui.mouse = on;
        effects.push(Effect::Mouse(on));
        self.hint(if on {
            "mouse on: the wheel scrolls, a click opens; Shift selects in most terminals"
        } else {
            "mouse off: the terminal's own selection works"
        });
    }

    pub(super) fn mouse(&mut self, mouse: Mouse, effects: &mut Vec<Effect>) {
        // What stands over the rest is answered with keys.
        if self.overlay.is_some() || self.form.is_some() {
            return;
        }
        let Some(areas) = self.areas() else { return };
        let at = Position::new(mouse.column, mouse.row);
        let on = |area: Rect| area.contains(at);
        match mouse.kind {
            MouseKind::WheelUp | MouseKind::WheelDown => {
                let up = mouse.kind == MouseKind::WheelUp;
                if areas.list.is_some_and(on) {
                    self.step_without_wrap(!up, effects);
                } else {
                    self.scroll(up, NOTCH, effects);
                }
            }
            MouseKind::Click => {
                if let Some(area) = areas.list.filter(|area| on(*area)) {
                    let row = first_row_of_list(self, area) + usize::from(mouse.row - area.y);
                    self.open_row(row, effects);
                }
            }
        }
    }

    /// Opens a row of the list; below its end nothing.
    fn open_row(&mut self, row: usize, effects: &mut Vec<Effect>) {
        let key = match row.checked_sub(1) {
            None => None,
            Some(at) => match self.chats.get(at) {
                Some(entry) => Some(entry.peer.key.clone()),
                None => return,
            },
        };
        self.prefs.panes.list_first = false;
        self.open(key, effects);
    }

    /// The next or previous conversation; at the ends of the list none.
    fn step_without_wrap(&mut self, forwards: bool, effects: &mut Vec<Effect>) {
        let at = match &self.open {
            None => 0,
            Some(key) => self.chats.iter().position(|entry| entry.peer.key == *key).map_or(0, |at| at + 1),
        };
        if forwards && at < self.chats.len() || !forwards && at > 0 {
            self.step(forwards, effects);
        }
    }
}
