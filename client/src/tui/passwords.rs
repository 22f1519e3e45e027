//! Another password for the account: the old one and the new one twice, none of them to be seen.

use bellhop_protocol::OpCode;

use super::composer::Composer;
use super::form::edit_line;
use super::key::{Code, Key};
use super::model::{Effect, Model, Overlay};
use crate::secret::Secret;

/// What is typed.
#[derive(Clone, Default)]
pub(crate) struct Passwords {
    /// The old one, the new one, the new one again.
    pub(crate) fields: [Composer; 3],
    /// Which of them is typed in.
    pub(crate) at: usize,
}

impl Passwords {
    pub(crate) fn field(&mut self) -> &mut Composer {
        &mut self.fields[self.at]
    }
}

impl Model {
    pub(super) fn passwords_key(
        &mut self,
        mut passwords: Box<Passwords>,
        key: Key,
        effects: &mut Vec<Effect>,
    ) {
        let last = passwords.fields.len() - 1;
        match key {
            Key { code: Code::Enter, .. } if passwords.at < last => passwords.at += 1,
            Key { code: Code::Enter, .. } => match self.change_password(&passwords, effects) {
                Ok(()) => return,
                Err((at, reason)) => {
                    passwords.at = at;
                    self.hint(reason);
                }
            },
            Key { code: Code::Up, .. } | Key { code: Code::Tab, shift: true, .. } => {
                passwords.at = passwords.at.checked_sub(1).unwrap_or(last);
            }
            Key { code: Code::Down | Code::Tab, .. } => passwords.at = (passwords.at + 1) % (last + 1),
            key => {
                edit_line(passwords.field(), key);
            }
        }
        self.overlay = Some(Overlay::Passwd(passwords));
    }

    /// Asks the server; else says in which field something is wrong.
    fn change_password(
        &mut self,
        passwords: &Passwords,
        effects: &mut Vec<Effect>,
    ) -> Result<(), (usize, &'static str)> {
        let [old, new, again] = passwords.fields.each_ref().map(Composer::text);
        if new.is_empty() {
            return Err((1, "the new password is empty"));
        }
        if new != again {
            return Err((2, "the two passwords differ"));
        }
        let (old, new) = (Secret::new(old.to_owned()), Secret::new(new.to_owned()));
        let (tag, op) = (self.tag(), OpCode::Password.byte());
        self.asked.insert(tag, format!("{op}|{}", self.prefs.glyphs.mask));
        effects.push(Effect::Password { tag, old, new });
        Ok(())
    }
}
