//! The mouse, where somebody has switched it on: the wheel scrolls, a click opens.

use ratatui::layout::{Position, Rect};

use crate::tui::input::{Mouse, MouseKind};
use crate::tui::model::{Effect, Model};
use crate::tui::view::row_of_list;

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
                    self.open_row(area, usize::from(mouse.row - area.y), effects);
                } else if on(areas.pane) {
                    self.pick_row(usize::from(mouse.row - areas.pane.y), effects);
                }
            }
        }
    }

    /// Opens a row of the list; below its end nothing.
    fn open_row(&mut self, area: Rect, row: usize, effects: &mut Vec<Effect>) {
        let Some(found) = row_of_list(self, area, row) else { return };
        let key = found.map(|entry| entry.peer.key.clone());
        self.focus_box();
        self.open(key, effects);
    }

    /// Picks the message on a row of the pane.
    fn pick_row(&mut self, row: usize, effects: &mut Vec<Effect>) {
        let found = self.with_pane(|pane, rows| {
            let seen = pane.seen(rows);
            let line = row.checked_sub(rows - seen.len())?;
            seen.get(line).map(|(n, _)| *n)
        });
        if let Some(n) = found.flatten() {
            self.pick(n, effects);
        }
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
