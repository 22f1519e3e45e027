//! What a person chooses while the screen runs: checked here, kept by whoever has the file.

use crate::settings::table::{TABLE, find_full, hint, nearest};
use crate::settings::value::{Kind, is_name};
use crate::tui::keymap;
use crate::tui::model::{Effect, Model, Prefs};

impl Model {
    /// The config was read or changed. What is typed, opened and shown stays.
    pub(super) fn chosen(
        &mut self,
        prefs: Option<Box<Prefs>>,
        told: Result<String, String>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(mut prefs) = prefs {
            let list_width = prefs.panes.list_width;
            prefs.panes = self.prefs.panes;
            prefs.panes.list_width = list_width;
            if prefs.ui.mouse != self.prefs.ui.mouse {
                effects.push(Effect::Mouse(prefs.ui.mouse));
            }
            self.prefs = *prefs;
            effects.push(Effect::Redraw);
        }
        match told {
            Ok(told) => self.say(told),
            Err(problem) => self.complain(problem),
        }
    }

    /// `/set KEY VALUE`, or `/set KEY`.
    pub(super) fn set_chosen(&mut self, typed: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        let (name, text) =
            typed.split_once(' ').map_or((typed, None), |(name, text)| (name, Some(text.trim())));
        if name.is_empty() {
            return Err("/set KEY VALUE, as in /set ui.mouse true; bellhop help config lists the keys".into());
        }
        let kind = kind_of(name)?;
        let value = match text {
            Some(text) => {
                let value = kind.typed(text.trim_matches('"'));
                Some(value.ok_or_else(|| format!("{name} takes {}{}", kind.allowed(), hint(name, text)))?)
            }
            None => None,
        };
        effects.push(Effect::Set { name: name.to_owned(), value });
        Ok(())
    }

    /// `/account NAME`.
    pub(super) fn become_account(&mut self, name: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        if !is_name(name) {
            return Err("/account NAME: the name of an account in the config".into());
        }
        self.composer.take();
        self.keep_draft(effects);
        effects.push(Effect::Account(name.to_owned()));
        Ok(())
    }
}

fn kind_of(name: &str) -> Result<Kind, String> {
    if let Some((key, _)) = find_full(name) {
        return Ok(key.kind);
    }
    let actions = || keymap::TABLE.iter().map(|row| row.name);
    if name.strip_prefix("keys.").is_some_and(|action| actions().any(|known| known == action)) {
        return Ok(Kind::Keys);
    }
    let actions: Vec<String> = actions().map(|action| format!("keys.{action}")).collect();
    let names = TABLE.iter().map(|key| key.name).chain(actions.iter().map(String::as_str));
    let hint = nearest(name, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(format!("there is no key {name}{hint}"))
}
