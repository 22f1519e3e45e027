//! What stands over the rest: help and questions. It takes every key while it is there.

use bellhop_protocol::op::OpCode;

use crate::secret::Secret;
use crate::tui::composer::Composer;
use crate::tui::form::{FIELD_FULL, edit_line, paste_line};
use crate::tui::help::{self, Runs};
use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Model, Overlay};

/// The usual limit on a message; a server may have another and says so when it refuses.
pub(crate) const MESSAGE_MAX: usize = 16_384;

impl Model {
    pub(super) fn open_help(&mut self) {
        self.overlay = Some(Overlay::Help { filter: Composer::default(), chosen: 0 });
    }

    /// Something else takes the place of what stands over the rest. A paste that waits for an answer can be called back.
    pub(super) fn put_overlay_aside(&mut self) {
        if let Some(Overlay::Paste { text }) = self.overlay.take() {
            let mut paste = Composer::default();
            paste.paste(&text);
            self.remember_typed(&paste);
        }
    }

    pub(super) fn overlay_key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        if key == Key::ctrl(Code::Char('l')) {
            return effects.push(Effect::Redraw);
        }
        let (cancels, quits) = (key == Key::ctrl(Code::Char('c')), key == Key::ctrl(Code::Char('q')));
        let Some(overlay) = self.overlay.take() else { return };
        match overlay {
            // The keys that have led to the question are an answer to it.
            Overlay::Quit if cancels || quits => self.quit = Some(0),
            Overlay::Trust { untrusted, typed } => self.trust_key(untrusted, typed, key, effects),
            _ if cancels || key.code == Code::Esc => {}
            Overlay::Help { .. } | Overlay::Jump { .. } if quits => self.key(key, effects),
            Overlay::Help { filter, chosen } => self.help_key(filter, chosen, key, effects),
            Overlay::Jump { query, found, chosen } => self.jump_key(query, found, chosen, key, effects),
            Overlay::Paste { text } => self.paste_key(text, key, effects),
            Overlay::Passwd(passwords) => self.passwords_key(passwords, key, effects),
            Overlay::Delete { name, password, on_password, by_hand } => {
                self.delete_key(name, password, on_password, by_hand, key, effects);
            }
            Overlay::Waiting => self.waiting_key(key, effects),
            Overlay::Menu { n, chosen } => self.menu_key(n, chosen, key, effects),
            Overlay::Link { links, chosen } => self.link_key(links, chosen, key, effects),
            Overlay::About { message, steps } => match key.typed() {
                Some('y') => effects.push(Effect::Copy(message.text)),
                _ if matches!(key.code, Code::Enter) => {}
                _ => self.overlay = Some(Overlay::About { message, steps }),
            },
            Overlay::Quit => match key.typed() {
                Some('y' | 'Y') => self.quit = Some(0),
                Some('n' | 'N') => {}
                _ => self.overlay = Some(Overlay::Quit),
            },
        }
    }

    /// A paste while something stands over the rest: more of a paste that asks, or text for its field.
    pub(super) fn overlay_paste(&mut self, pasted: &str) {
        let field = match &mut self.overlay {
            Some(Overlay::Paste { text }) => return text.push_str(pasted),
            Some(Overlay::Jump { query, .. }) => query,
            Some(Overlay::Help { filter, chosen }) => {
                *chosen = 0;
                filter
            }
            Some(Overlay::Delete { name, password, on_password, .. }) => {
                if *on_password {
                    password
                } else {
                    name
                }
            }
            Some(Overlay::Trust { typed, .. }) => typed,
            Some(Overlay::Passwd(passwords)) => passwords.field(),
            Some(
                Overlay::Quit
                | Overlay::Waiting
                | Overlay::Menu { .. }
                | Overlay::Link { .. }
                | Overlay::About { .. },
            )
            | None => return,
        };
        if !paste_line(field, pasted) {
            self.hint(FIELD_FULL);
        }
        self.find_again();
    }

    fn help_key(&mut self, mut filter: Composer, mut chosen: usize, key: Key, effects: &mut Vec<Effect>) {
        let rows = help::rows_of(self, filter.text());
        match key.code {
            Code::F(1) => return,
            Code::Enter => {
                let does = rows.get(chosen).map(|row| row.does).filter(|_| self.form.is_none());
                return match does {
                    Some(Runs::Action(action)) => self.act(action, effects),
                    Some(Runs::Command(command)) => self.run_command(command, effects),
                    Some(Runs::Nothing) | None => {}
                };
            }
            Code::Up => chosen = chosen.saturating_sub(1),
            Code::Down => chosen = (chosen + 1).min(rows.len().saturating_sub(1)),
            Code::PageUp => chosen = chosen.saturating_sub(10),
            Code::PageDown => chosen = (chosen + 10).min(rows.len().saturating_sub(1)),
            _ => {
                if edit_line(&mut filter, key) {
                    chosen = 0;
                }
            }
        }
        self.overlay = Some(Overlay::Help { filter, chosen });
    }

    fn paste_key(&mut self, text: String, key: Key, effects: &mut Vec<Effect>) {
        let fits = self.composer.text().len() + text.len() <= crate::tui::composer::BOX_MAX;
        let sends = text.len() <= MESSAGE_MAX && self.entry().is_some() && self.composer.is_empty();
        match key.typed() {
            Some('i') if fits => {
                self.composer.paste(&text);
                self.edited();
            }
            Some('s') if sends => {
                self.composer.paste(&text);
                self.submit(effects);
            }
            _ => self.overlay = Some(Overlay::Paste { text }),
        }
    }

    fn delete_key(
        &mut self,
        mut name: Composer,
        mut password: Composer,
        mut on_password: bool,
        by_hand: Option<Secret>,
        key: Key,
        effects: &mut Vec<Effect>,
    ) {
        match key.code {
            Code::Tab | Code::Up | Code::Down if by_hand.is_none() => on_password = !on_password,
            Code::Enter => {
                let me = self.identity.as_ref().map_or("", |identity| identity.user.as_str());
                if name.text().trim() == me && !me.is_empty() {
                    let typed = password.take();
                    let data = by_hand.unwrap_or_else(|| Secret::new(typed));
                    let mask = self.prefs.glyphs.mask.repeat(data.reveal().chars().count());
                    let op = OpCode::Delete.byte();
                    return self.ask_now(op, data, format!("{op}|{mask}"), effects);
                }
                self.hint("that is not the name of this account");
                on_password = false;
            }
            _ => {
                edit_line(if on_password { &mut password } else { &mut name }, key);
            }
        }
        self.overlay = Some(Overlay::Delete { name, password, on_password, by_hand });
    }
}
