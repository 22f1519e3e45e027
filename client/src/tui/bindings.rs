//! Which key does what for this person: the table of keys, changed by a profile and by `[keys]`.

use super::key::{Code, Key};
use super::keymap::{Action, TABLE};
use crate::settings::Profile;
use crate::settings::file::Place;
use crate::settings::resolve::Bound;
use crate::settings::table::nearest;

/// The keys of every action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bindings {
    /// In the order of the table.
    rows: Vec<(Action, Vec<Key>)>,
    profile: Profile,
}

/// What was wrong with `[keys]`: what is ignored, and what has to be mended first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) warnings: Vec<String>,
    pub(crate) problems: Vec<String>,
}

/// Keys that edit in the profile of emacs, and those that do the same elsewhere.
const EMACS: &[(Key, Key)] = &[
    (Key::ctrl(Code::Char('p')), Key::plain(Code::Up)),
    (Key::ctrl(Code::Char('n')), Key::plain(Code::Down)),
    (Key::ctrl(Code::Char('k')), KILL_LINE),
];

/// Deletes to the end of the line; no terminal sends it.
pub(crate) const KILL_LINE: Key = Key { code: Code::Delete, ctrl: true, alt: true, shift: true };

impl Default for Bindings {
    fn default() -> Bindings {
        Bindings::of(Profile::Default)
    }
}

impl Bindings {
    /// The keys of a profile.
    pub(crate) fn of(profile: Profile) -> Bindings {
        let edits = |key: &Key| profile == Profile::Emacs && EMACS.iter().any(|(from, _)| from == key);
        let keys = |keys: &[Key]| keys.iter().copied().filter(|key| !edits(key)).collect();
        Bindings { rows: TABLE.iter().map(|row| (row.action, keys(row.keys))).collect(), profile }
    }

    /// The keys of a profile with what `[keys]` says: an action that is named there has those keys and no others.
    pub(crate) fn new(profile: Profile, bound: &[Bound]) -> (Bindings, Findings) {
        let (mut bindings, mut findings) = (Bindings::of(profile), Findings::default());
        let mut said: Vec<(Key, &'static str, String)> = Vec::new();
        let mut named = Vec::new();
        for Bound { binding, path } in bound {
            let at = |place: Place| format!("{}:{place}", path.display());
            let Some(row) = TABLE.iter().position(|row| row.name == binding.action) else {
                let hint = nearest(&binding.action, TABLE.iter().map(|row| row.name));
                let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                findings.warnings.push(format!(
                    "{}: there is no action {:?}{hint}",
                    at(binding.named),
                    binding.action
                ));
                continue;
            };
            named.push(row);
            bindings.rows[row].1.clear();
            for text in &binding.keys {
                let key = match bindable(text) {
                    Ok(key) => key,
                    Err(why) => {
                        findings.problems.push(format!("{}: {why}", at(binding.at)));
                        continue;
                    }
                };
                if let Some((_, other, place)) = said.iter().find(|(known, ..)| *known == key) {
                    let sentence =
                        format!("{}: {key} is bound to {other} already, at {place}", at(binding.at));
                    findings.problems.push(sentence);
                    continue;
                }
                said.push((key, TABLE[row].name, at(binding.at)));
                bindings.rows[row].1.push(key);
            }
        }
        bindings.refuse_defaults(&named, &said, &mut findings);
        (bindings, findings)
    }

    /// A key that somebody named and that the profile has for another action would do two things.
    fn refuse_defaults(
        &self,
        named: &[usize],
        said: &[(Key, &'static str, String)],
        findings: &mut Findings,
    ) {
        for (at, (_, keys)) in self.rows.iter().enumerate().filter(|(at, _)| !named.contains(at)) {
            for (key, action, place) in said.iter().filter(|(key, ..)| keys.contains(key)) {
                let name = TABLE[at].name;
                findings.problems.push(format!(
                    "{place}: {key} cannot be {action}: it is {name} by default; give {name} another key, or [] for none"
                ));
            }
        }
    }

    /// What a key does.
    pub(crate) fn action(&self, key: Key) -> Option<Action> {
        self.rows.iter().find(|(_, keys)| keys.contains(&key)).map(|(action, _)| *action)
    }

    /// The keys of an action, the first choice first.
    pub(crate) fn keys(&self, action: Action) -> &[Key] {
        self.rows.iter().find(|(known, _)| *known == action).map_or(&[], |(_, keys)| keys)
    }

    /// The key that a key stands for in the box.
    pub(crate) fn edit(&self, key: Key) -> Key {
        let found = EMACS.iter().find(|(from, _)| self.profile == Profile::Emacs && *from == key);
        found.map_or(key, |(_, to)| *to)
    }

    /// The box is left with Esc, and the messages are then what keys are for.
    pub(crate) fn is_modal(&self) -> bool {
        self.profile == Profile::Vim
    }
}

/// A key that something can be bound to.
fn bindable(text: &str) -> Result<Key, String> {
    let key = Key::parse(text).ok_or_else(|| {
        format!("{text:?} is no key: as in ctrl+g, alt+down, shift+f5, pgup, with ctrl, alt and shift before a name")
    })?;
    // What a terminal sends for them is another key.
    const SAME: [(&str, &str); 4] = [
        ("ctrl+i", "Tab"),
        ("ctrl+m", "Enter"),
        ("ctrl+[", "Esc"),
        ("ctrl+h", "Backspace on some terminals"),
    ];
    if let Some((_, same)) = SAME.iter().find(|(fused, _)| text.eq_ignore_ascii_case(fused)) {
        return Err(format!("{text} is {same}; take another key"));
    }
    if key == Key::ctrl(Code::Char('s')) {
        return Err(format!("{key} stops many terminals; take another key"));
    }
    let edits = matches!(
        key.code,
        Code::Backspace
            | Code::Delete
            | Code::Left
            | Code::Right
            | Code::Home
            | Code::End
            | Code::Tab
            | Code::Up
            | Code::Down
    );
    match key {
        Key { ctrl: false, alt: false, shift: false, code: Code::Esc } => {
            Err("Esc closes and leaves; take another key".into())
        }
        Key { ctrl: false, alt: false, shift: false, .. } if edits => {
            Err(format!("{key} edits text; hold ctrl or alt"))
        }
        Key { code: Code::F(10 | 11), ctrl: false, alt: false, shift: false } => {
            Err(format!("{key} is taken by many terminals; take another key"))
        }
        key if key.typed().is_some() => Err(format!("{text} types text; hold ctrl or alt")),
        key => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::settings::file;

    fn read(text: &str, profile: Profile) -> (Bindings, Findings) {
        let layer = file::parse(text);
        assert_eq!(layer.problems, []);
        let bound = |binding| Bound { binding, path: PathBuf::from("/c") };
        Bindings::new(profile, &layer.bindings.into_iter().map(bound).collect::<Vec<_>>())
    }

    #[test]
    fn keys_of_ones_own() {
        let (bindings, findings) =
            read("[keys]\nquit = 'ctrl+x'\nnext-unread = ['alt+n', 'f9']\nhelp = []\n", Profile::Default);
        assert_eq!(findings, Findings::default());
        let check = |text: &str, action: Option<Action>| {
            assert_eq!(bindings.action(Key::parse(text).expect("a key")), action, "{text}");
        };
        check("ctrl+x", Some(Action::Quit));
        check("ctrl+q", None);
        check("F9", Some(Action::NextUnread));
        check("Alt+N", Some(Action::NextUnread));
        check("ctrl+g", None);
        check("f1", None);
        check("ctrl+j", Some(Action::NewLine));
        assert_eq!(bindings.keys(Action::NextUnread).len(), 2);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let check = |text: &str, expected: &str| {
            let (_, findings) = read(&format!("[keys]\n{text}"), Profile::Default);
            let found =
                findings.problems.iter().chain(&findings.warnings).next().cloned().unwrap_or_default();
            assert!(found.starts_with(expected), "{text}: {found}");
        };
        check("quit = 'f9'\nhelp = 'F9'", "/c:3:8: F9 is bound to quit already, at /c:2:8");
        check(
            "quit = 'ctrl+n'",
            "/c:2:8: Ctrl+N cannot be quit: it is next by default; give next another key",
        );
        check("quti = 'f9'", "/c:2:1: there is no action \"quti\"; did you mean quit?");
        check("quit = 'ctrl+i'", "/c:2:8: ctrl+i is Tab; take another key");
        check("quit = 'ctrl+m'", "/c:2:8: ctrl+m is Enter;");
        check("quit = 'ctrl+['", "/c:2:8: ctrl+[ is Esc;");
        check("quit = 'ctrl+h'", "/c:2:8: ctrl+h is Backspace on some terminals;");
        check("quit = 'ctrl+s'", "/c:2:8: Ctrl+S stops many terminals");
        check("quit = 'ctrl+alt+q'", "/c:2:8: ctrl+alt+q types text");
        check("quit = 'q'", "/c:2:8: q types text; hold ctrl or alt");
        check("quit = 'left'", "/c:2:8: Left edits text");
        check("quit = 'esc'", "/c:2:8: Esc closes");
        check("quit = 'f11'", "/c:2:8: F11 is taken by many terminals");
        check("quit = 'hyper+q'", "/c:2:8: \"hyper+q\" is no key");
        // These are the same key on most terminals.
        check("undo = []\nquit = 'ctrl+/'\nhelp = 'ctrl+7'", "/c:4:8: Ctrl+_ is bound to quit already");
    }

    #[test]
    fn a_key_that_is_given_away_may_be_taken() {
        let (bindings, findings) = read("[keys]\nnext = 'alt+down'\nquit = 'ctrl+n'\n", Profile::Default);
        assert_eq!(findings, Findings::default());
        assert_eq!(bindings.action(Key::ctrl(Code::Char('n'))), Some(Action::Quit));
    }

    #[test]
    fn in_the_profile_of_emacs_keys_edit() {
        let (bindings, findings) = read("", Profile::Emacs);
        assert_eq!(findings, Findings::default());
        for (c, to) in [('p', Key::plain(Code::Up)), ('n', Key::plain(Code::Down)), ('k', KILL_LINE)] {
            let key = Key::ctrl(Code::Char(c));
            assert_eq!((bindings.action(key), bindings.edit(key)), (None, to));
            assert!(Bindings::default().action(key).is_some() && Bindings::default().edit(key) == key);
        }
        assert_eq!(bindings.action(Key::plain(Code::F(2))), Some(Action::Jump));
        assert_eq!(bindings.action(Key::alt(Code::Down)), Some(Action::Next));
        assert_eq!(bindings.action(KILL_LINE), None);
    }

    #[test]
    fn every_action_has_a_key_in_every_profile() {
        for profile in [Profile::Default, Profile::Emacs, Profile::Vim] {
            let bindings = Bindings::of(profile);
            assert!(TABLE.iter().all(|row| !bindings.keys(row.action).is_empty()), "{profile:?}");
            for row in TABLE {
                for key in row.keys {
                    assert_eq!(Key::parse(&key.to_string()), Some(*key), "{key} can be written in the file");
                }
            }
        }
    }
}
