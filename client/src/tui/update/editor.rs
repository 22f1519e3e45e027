//! What is in the box, written in the person's own editor.

use crate::text::{Kind, clean};
use crate::tui::composer::Composer;
use crate::tui::editor::{Left, Wrote};
use crate::tui::model::{Effect, Model};

impl Model {
    pub(super) fn ask_editor(&mut self, effects: &mut Vec<Effect>) {
        if self.composer.secret_start().is_some() {
            return self.hint("a password is not written to a file");
        }
        let text = self.composer.text().to_owned();
        effects.push(Effect::Edit { open: self.open.clone(), text });
    }

    /// The editor has ended.
    pub(super) fn edited_outside(&mut self, open: Option<String>, left: Left) {
        let text = match left {
            Ok(Wrote::Nothing(why)) => return self.hint(why),
            Err(reason) => return self.complain(reason),
            Ok(Wrote::Text(text)) => text.replace("\r\n", "\n").replace('\r', "\n"),
        };
        // Editors end a file with a line feed that nobody meant.
        let text = clean(text.strip_suffix('\n').unwrap_or(&text), Kind::Body);
        if self.open != open {
            // In another conversation it would go to somebody else with the next Enter.
            self.remember_typed(&Composer::with(&text));
            return self.hint("another conversation is open: Up calls back what was written");
        }
        self.leave_recall();
        self.composer.replace(&text);
        self.edited();
    }
}
