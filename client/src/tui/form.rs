//! The login: server, name, password; nothing is lost when it fails.

use bellhop_protocol::Username;

use super::composer::Composer;
use super::key::{Code, Key};
use super::model::Login;
use crate::config::Server;
use crate::secret::Secret;
use crate::text::without_tabs;

/// Bytes that are pasted into a field of one line: more than any name or password has.
const FIELD_MAX: usize = 1_024;
/// What is said of more.
pub(crate) const FIELD_FULL: &str = "too long for a field of one line";

/// A field of the login, or its check box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Server,
    Name,
    Password,
    /// The password once more, for a new account.
    Again,
    Remember,
}

/// The login.
#[derive(Clone, Default)]
pub(crate) struct Form {
    pub(crate) server: Composer,
    pub(crate) name: Composer,
    pub(crate) password: Composer,
    pub(crate) again: Composer,
    pub(crate) remember: bool,
    /// Which field is typed in.
    pub(crate) slot: Option<Slot>,
    /// A new account, so the password is asked twice.
    pub(crate) creating: bool,
    /// Characters of the password are shown.
    pub(crate) reveal: bool,
    /// What is being done.
    pub(crate) busy: Option<&'static str>,
    /// Why it failed, in one line.
    pub(crate) error: Option<String>,
}

/// What a key in the form leads to.
pub(crate) enum Submit {
    /// Nothing yet.
    No,
    /// A login.
    Login(Login),
    /// The attempt that is under way is given up.
    GiveUp,
}

impl Form {
    pub(crate) fn new(server: &str, name: &str) -> Form {
        let slot = if name.is_empty() { Slot::Name } else { Slot::Password };
        Form {
            server: Composer::with(server),
            name: Composer::with(name),
            slot: Some(slot),
            ..Form::default()
        }
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot.unwrap_or(Slot::Name)
    }

    /// The fields in the order of Tab.
    pub(crate) fn slots(&self) -> &'static [Slot] {
        if self.creating {
            &[Slot::Server, Slot::Name, Slot::Password, Slot::Again, Slot::Remember]
        } else {
            &[Slot::Server, Slot::Name, Slot::Password, Slot::Remember]
        }
    }

    pub(crate) fn field(&self, slot: Slot) -> Option<&Composer> {
        match slot {
            Slot::Server => Some(&self.server),
            Slot::Name => Some(&self.name),
            Slot::Password => Some(&self.password),
            Slot::Again => Some(&self.again),
            Slot::Remember => None,
        }
    }

    fn current(&mut self) -> Option<&mut Composer> {
        match self.slot() {
            Slot::Server => Some(&mut self.server),
            Slot::Name => Some(&mut self.name),
            Slot::Password => Some(&mut self.password),
            Slot::Again => Some(&mut self.again),
            Slot::Remember => None,
        }
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self, key: Key) -> Submit {
        if self.busy.is_some() {
            return if key.code == Code::Esc { Submit::GiveUp } else { Submit::No };
        }
        match key {
            Key { code: Code::Enter, .. } => return self.submit(),
            Key { code: Code::Esc, .. } if self.creating => self.log_in_instead(),
            Key { code: Code::Char('n'), ctrl: true, .. } if self.creating => self.log_in_instead(),
            Key { code: Code::Char('n'), ctrl: true, .. } => self.create(),
            Key { code: Code::Char('t'), ctrl: true, .. } => self.reveal = !self.reveal,
            Key { code: Code::Tab, shift, .. } => self.step(!shift),
            Key { code: Code::Down, .. } => self.step(true),
            Key { code: Code::Up, .. } => self.step(false),
            Key { code: Code::Char(' '), .. } if self.slot() == Slot::Remember => {
                self.remember = !self.remember
            }
            key => {
                if let Some(field) = self.current() {
                    edit_line(field, key);
                }
            }
        }
        self.error = None;
        Submit::No
    }

    /// Text was pasted: its first line goes into the field.
    pub(crate) fn paste(&mut self, text: &str) {
        if self.busy.is_none()
            && let Some(field) = self.current()
        {
            let fits = paste_line(field, text);
            self.error = (!fits).then(|| FIELD_FULL.into());
        }
    }

    fn step(&mut self, forwards: bool) {
        let slots = self.slots();
        let at = slots.iter().position(|slot| *slot == self.slot()).unwrap_or(0);
        let next = if forwards { at + 1 } else { at + slots.len() - 1 };
        self.slot = Some(slots[next % slots.len()]);
    }

    /// Asks for what a new account needs. Enter makes it: a name may be mistyped.
    fn create(&mut self) {
        self.creating = true;
        self.slot = Some(match (self.name.is_empty(), self.password.is_empty()) {
            (true, _) => Slot::Name,
            (false, true) => Slot::Password,
            (false, false) => Slot::Again,
        });
    }

    /// What is to be known before Enter.
    pub(crate) fn warning(&self) -> Option<String> {
        let bare = self.creating && self.busy.is_none() && self.error.is_none() && self.password.is_empty();
        let name = Some(self.name.text().trim()).filter(|name| bare && !name.is_empty())?;
        Some(format!("no password: whoever uses this machine can log in as {name}"))
    }

    fn log_in_instead(&mut self) {
        self.creating = false;
        self.again.take();
        if self.slot() == Slot::Again {
            self.slot = Some(Slot::Password);
        }
    }

    fn submit(&mut self) -> Submit {
        match self.login() {
            Ok(login) => {
                self.busy = Some(if self.creating { "Making the account" } else { "Logging in" });
                self.error = None;
                Submit::Login(login)
            }
            Err((slot, error)) => {
                self.slot = Some(slot);
                self.error = Some(error);
                Submit::No
            }
        }
    }

    fn login(&self) -> Result<Login, (Slot, String)> {
        let server =
            Server::parse(self.server.text().trim()).map_err(|error| (Slot::Server, error.to_string()))?;
        let user =
            Username::parse(self.name.text().trim()).map_err(|error| (Slot::Name, error.to_string()))?;
        if self.creating && self.password.text() != self.again.text() {
            return Err((Slot::Again, "the two passwords differ".into()));
        }
        let password = self.password.text();
        let password = (!password.is_empty()).then(|| Secret::new(password.to_owned()));
        Ok(Login { server, user, password, create: self.creating, remember: self.remember })
    }

    /// The attempt failed: the text stays.
    pub(crate) fn failed(&mut self, slot: Slot, error: String) {
        self.busy = None;
        self.error = Some(error);
        self.slot = Some(slot);
    }
}

/// Pastes the first line of `text` into a field of one line. False where it does not fit: cut, it would be a password
/// that nobody knows.
pub(crate) fn paste_line(field: &mut Composer, text: &str) -> bool {
    let line = without_tabs(text.lines().next().unwrap_or_default());
    field.text().len() + line.len() <= FIELD_MAX && field.paste(&line)
}

/// Edits a field of one line. False for a key that edits nothing.
pub(crate) fn edit_line(field: &mut Composer, key: Key) -> bool {
    match key {
        Key { code: Code::Char('a'), ctrl: true, .. } | Key { code: Code::Home, .. } => field.home(),
        Key { code: Code::Char('e'), ctrl: true, .. } | Key { code: Code::End, .. } => field.end(),
        Key { code: Code::Char('u'), ctrl: true, .. } => field.delete_to_line_start(),
        Key { code: Code::Char('w'), ctrl: true, .. } => field.delete_word_before(),
        Key { code: Code::Backspace, .. } => field.backspace(),
        Key { code: Code::Delete, .. } => field.delete(),
        Key { code: Code::Left, .. } => field.left(),
        Key { code: Code::Right, .. } => field.right(),
        key => match key.typed() {
            Some(c) => field.type_char(c),
            None => return false,
        },
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_text(form: &mut Form, text: &str) {
        for c in text.chars() {
            form.key(Key::plain(Code::Char(c)));
        }
    }

    fn submitted(form: &mut Form, key: Key) -> Option<Login> {
        match form.key(key) {
            Submit::Login(login) => Some(login),
            _ => None,
        }
    }

    const ENTER: Key = Key::plain(Code::Enter);
    const CREATE: Key = Key::ctrl(Code::Char('n'));

    #[test]
    fn a_login_is_checked_before_anything_is_sent() {
        let mut form = Form::new("127.0.0.1:2050", "");
        assert!(submitted(&mut form, ENTER).is_none());
        assert_eq!(
            (form.slot(), form.error.as_deref()),
            (Slot::Name, Some("a name has at least one character"))
        );
        type_text(&mut form, "alice");
        assert_eq!(form.error, None);
        form.key(Key::plain(Code::Tab));
        type_text(&mut form, "open sesame");
        let login = submitted(&mut form, ENTER).expect("a login");
        assert_eq!((login.user.as_str(), login.create, login.remember), ("alice", false, false));
        assert_eq!(login.password.as_ref().map(Secret::reveal), Some("open sesame"));
        assert!(form.busy.is_some() && submitted(&mut form, ENTER).is_none(), "one at a time");
        form.failed(Slot::Password, "wrong".into());
        assert_eq!(form.password.text(), "open sesame");
    }

    #[test]
    fn a_new_password_is_typed_twice() {
        let mut form = Form::new("127.0.0.1", "carol");
        type_text(&mut form, "open sesame");
        assert!(submitted(&mut form, CREATE).is_none());
        assert_eq!(form.slot(), Slot::Again);
        type_text(&mut form, "open sesam");
        assert!(submitted(&mut form, ENTER).is_none());
        assert_eq!(form.error.as_deref(), Some("the two passwords differ"));
        type_text(&mut form, "e");
        assert!(submitted(&mut form, ENTER).expect("a login").create);
        let mut form = Form::new("127.0.0.1", "dave");
        assert!(submitted(&mut form, CREATE).is_none(), "a name may be mistyped");
        assert_eq!(form.slot(), Slot::Password);
        assert!(submitted(&mut form, ENTER).expect("a login").create, "without a password");
        let mut form = Form::new("127.0.0.1", "");
        assert!(submitted(&mut form, CREATE).is_none());
        assert_eq!(form.slot(), Slot::Name);
    }

    #[test]
    fn tab_goes_round() {
        let mut form = Form::new("127.0.0.1", "");
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(form.slot());
            form.key(Key::plain(Code::Tab));
        }
        assert_eq!(seen, [Slot::Name, Slot::Password, Slot::Remember, Slot::Server, Slot::Name]);
        form.key(Key::shift(Code::Tab));
        form.key(Key::plain(Code::Up));
        form.slot = Some(Slot::Remember);
        form.key(Key::plain(Code::Char(' ')));
        assert!(form.remember);
    }

    #[test]
    fn a_pasted_line_feed_submits_nothing() {
        let mut form = Form::new("127.0.0.1", "");
        form.paste("alice\nrm -rf");
        assert_eq!((form.name.text(), form.busy), ("alice", None));
    }
}
