//! What waits at the server for whoever wants to be asked before it comes.

use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Model, Overlay};

/// Messages that one step fetches.
pub(crate) const STEP: u64 = 50;

impl Model {
    /// So many wait. The question comes once a connection, and never in the way of somebody who is at something else:
    /// the Enter that sends a message must not answer it.
    pub(super) fn held(&mut self, count: u64, effects: &mut Vec<Effect>) {
        if self.getting.take().is_some() {
            self.notice_waited(effects);
        }
        let first = self.held == 0 && count > 0;
        self.held = count;
        if count == 0 {
            self.overlay.take_if(|overlay| matches!(overlay, Overlay::Waiting));
        }
        let idle = self.overlay.is_none() && self.form.is_none() && self.focus.is_box();
        if first && idle && self.composer.is_empty() {
            self.overlay = Some(Overlay::Waiting);
        }
    }

    pub(super) fn waiting_key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        match (key.code, key.typed()) {
            (Code::Enter, _) => self.fetch(u64::MAX, effects),
            (_, Some('n' | 'N')) if self.held > STEP => self.fetch(STEP, effects),
            _ => self.overlay = Some(Overlay::Waiting),
        }
    }

    /// `/deliver [N]`, where messages wait for it.
    pub(super) fn fetch_typed(&mut self, typed: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        let count = match typed {
            "" => u64::MAX,
            typed => {
                let count = typed.parse().ok().filter(|count| *count > 0);
                count.ok_or_else(|| format!("/deliver N fetches the next N of {}", self.held))?
            }
        };
        self.fetch(count, effects);
        Ok(())
    }

    fn fetch(&mut self, count: u64, effects: &mut Vec<Effect>) {
        self.getting = Some((0, count.min(self.held)));
        effects.push(Effect::Take(count));
    }
}
