//! What is said of a server that is not trusted, and how a person answers.
//!
//! A server that was never met, and one that has changed, may be trusted here: each by a word of its own that nobody
//! types by accident, and only where the whole fingerprint is on the screen. Elsewhere the command to give is shown.

use crate::event::{Doubt, Guard, Untrusted};
use crate::text::wrap::wrap;

use super::composer::Composer;
use super::form::{Slot, edit_line};
use super::key::{Code, Key};
use super::model::{Effect, Model, Overlay};

/// Columns of the question, where the screen has them.
pub(crate) const COLUMNS: u16 = 72;
/// The word that trusts; none where nothing that is typed can: another key was given, or an authority is wanted.
pub(crate) fn word(doubt: &Doubt) -> Option<&'static str> {
    match doubt {
        Doubt::Unknown => Some("yes"),
        Doubt::Changed { .. } | Doubt::NoAuthority => Some("replace"),
        Doubt::NotVouched | Doubt::NotGiven { .. } => None,
    }
}

/// Rows that are not for what is said: two of the frame and two around it, the field and the keys.
const OTHER_ROWS: usize = 6;

/// Columns for what is said, on a screen of this size.
pub(crate) fn columns((columns, _): (u16, u16)) -> usize {
    usize::from(columns.min(COLUMNS).saturating_sub(4))
}

pub(crate) fn title(untrusted: &Untrusted) -> &'static str {
    match untrusted.doubt {
        Doubt::Unknown => "New server key",
        Doubt::Changed { .. } | Doubt::NoAuthority => "THE SERVER HAS CHANGED",
        Doubt::NotGiven { .. } | Doubt::NotVouched => "NOT THIS SERVER",
    }
}

/// The server in a line: who it is, and how that is known.
pub(crate) fn server(model: &Model) -> String {
    let server = model.identity.as_ref().map_or("no server", |identity| identity.server.as_str());
    let on = |since: &Option<String>| since.as_ref().map(|day| format!(" since {day}")).unwrap_or_default();
    match &model.guard {
        None => format!("{server}: not connected"),
        Some(Guard::Plain) => format!("{server}: plain, on this machine"),
        Some(Guard::Key { key, since }) => format!("{server}: TLS 1.3, its key is known{}: {key}", on(since)),
        Some(Guard::Authority { key, since }) => {
            format!("{server}: TLS 1.3, an authority vouches for it{}; its key is {key}", on(since))
        }
    }
}

/// What is said, the keys first: on a small screen they are what must not be left out.
pub(crate) fn lines(untrusted: &Untrusted, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say =
        |text: &str| lines.extend(wrap(text, columns).into_iter().map(|line| text[line].to_owned()));
    for text in keys(untrusted) {
        say(&text);
    }
    say("");
    match untrusted.doubt {
        Doubt::Unknown => {
            say("This is the first contact. The server prints its fingerprint at its start: compare the \
             two. Nothing was sent; name and password go out only after you say yes.")
        }
        Doubt::Changed { .. } | Doubt::NoAuthority => {
            say(
                "Somebody may stand in between, or whoever runs the server has made a new key. Nothing was sent, \
                 no password either. Have them read you the new fingerprint, and compare. A script says",
            );
            say("");
            say(&untrusted.command());
        }
        Doubt::NotVouched => say("tls = \"ca\" takes nothing else. Nothing was sent."),
        Doubt::NotGiven { .. } => say("The key was given at the start, and decides. Nothing was sent."),
    }
    lines
}

fn keys(untrusted: &Untrusted) -> Vec<String> {
    let Untrusted { server, shown, doubt } = untrusted;
    match doubt {
        Doubt::Unknown => vec![format!("The key of {server} is"), shown.to_string()],
        Doubt::Changed { kept } => {
            vec![
                format!("The key of {server} was"),
                kept.to_string(),
                "and now it is".into(),
                shown.to_string(),
            ]
        }
        Doubt::NoAuthority => vec![
            format!("An authority vouched for {server}, and none does now. Its key is"),
            shown.to_string(),
        ],
        Doubt::NotVouched => vec![format!("No authority vouches for {server}. It shows"), shown.to_string()],
        Doubt::NotGiven { given } => {
            vec![
                format!("The key of {server} is"),
                shown.to_string(),
                "and should be".into(),
                given.to_string(),
            ]
        }
    }
}

/// True where a person may trust it: there is a word for that, and the fingerprints are on the screen as a whole.
pub(crate) fn may_be_answered(size: (u16, u16), untrusted: &Untrusted) -> bool {
    let rows = |text: &String| wrap(text, columns(size)).len();
    let needed: usize = keys(untrusted).iter().map(rows).sum();
    word(&untrusted.doubt).is_some() && columns(size) >= 16 && needed + OTHER_ROWS <= usize::from(size.1)
}

impl Model {
    /// The client has given up on a server that is not trusted. Whoever can say yes is asked; anybody else is told.
    pub(super) fn untrusted(&mut self, effects: &mut Vec<Effect>) {
        let asks = |overlay: &Overlay| match overlay {
            Overlay::Trust { untrusted, .. } => word(&untrusted.doubt).is_some(),
            _ => false,
        };
        if !self.overlay.as_ref().is_some_and(asks) {
            self.stay_away("the server is not the one that is known", effects);
        }
    }

    pub(super) fn trust_key(
        &mut self,
        untrusted: Box<Untrusted>,
        mut typed: Composer,
        key: Key,
        effects: &mut Vec<Effect>,
    ) {
        let leaves = key.code == Code::Esc || key == Key::ctrl(Code::Char('c'));
        let word = word(&untrusted.doubt);
        let asked = word.filter(|_| may_be_answered(self.size, &untrusted));
        match (key.code, asked) {
            _ if leaves && word.is_some() => {
                return self.stay_away("not trusted", effects);
            }
            _ if leaves => return,
            (Code::Enter, Some(word)) if typed.text().trim().eq_ignore_ascii_case(word) => {
                return effects.push(Effect::Trust(untrusted));
            }
            (Code::Enter, Some(word)) => self.hint(format!("type {word}, or press Esc")),
            (_, Some(_)) => {
                edit_line(&mut typed, key);
            }
            _ => {}
        }
        self.overlay = Some(Overlay::Trust { untrusted, typed });
    }

    /// Nothing goes to this server.
    fn stay_away(&mut self, why: &str, effects: &mut Vec<Effect>) {
        let sentence = format!("{why}; nothing was sent");
        match &mut self.form {
            Some(form) if form.busy.is_some() => {
                form.failed(Slot::Server, sentence);
                effects.push(Effect::Disconnect);
            }
            _ => self.complain(sentence),
        }
    }
}
