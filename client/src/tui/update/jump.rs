//! The palette: conversations to jump to, then commands with their keys, then whoever was named.

use bellhop_protocol::Address;

use super::chats::draft_of;
use super::complete::begun;
use crate::peer::Peer;
use crate::tui::composer::Composer;
use crate::tui::form::edit_line;
use crate::tui::key::{Code, Key};
use crate::tui::keymap::Action;
use crate::tui::model::{Effect, Found, Model, Overlay, SERVER};
use crate::tui::palette::score;
use crate::tui::typed::{COMMANDS, Command, Does};

/// Conversations in the palette; more letters find the others.
const CHATS_FOUND_MAX: usize = 12;

impl Model {
    pub(super) fn open_jump(&mut self) {
        let found = self.find("");
        self.completion = None;
        self.overlay = Some(Overlay::Jump { query: Composer::default(), found, chosen: 0 });
    }

    pub(super) fn jump_key(
        &mut self,
        mut query: Composer,
        mut found: Vec<Found>,
        mut chosen: usize,
        key: Key,
        effects: &mut Vec<Effect>,
    ) {
        match key {
            Key { code: Code::Enter, .. } => {
                if let Some(found) = found.into_iter().nth(chosen) {
                    self.jump(found, effects);
                }
                return;
            }
            Key { code: Code::Up, .. } | Key { code: Code::Char('p'), ctrl: true, .. } => {
                chosen = chosen.saturating_sub(1);
            }
            Key { code: Code::Down, .. } | Key { code: Code::Char('n'), ctrl: true, .. } => {
                chosen = (chosen + 1).min(found.len().saturating_sub(1));
            }
            key => {
                if edit_line(&mut query, key) {
                    found = self.find(query.text());
                    chosen = 0;
                }
            }
        }
        self.overlay = Some(Overlay::Jump { query, found, chosen });
    }

    fn jump(&mut self, found: Found, effects: &mut Vec<Effect>) {
        self.focus_box();
        match found {
            Found::Server => self.open(None, effects),
            Found::Chat { key, .. } => self.open(Some(key), effects),
            Found::Stranger(peer) => self.open_peer(peer, effects),
            Found::Command(command) => self.run_command(command, effects),
        }
    }

    /// Does a command that was chosen, not typed: what it has to be told is asked for in the box.
    pub(super) fn run_command(&mut self, command: &'static Command, effects: &mut Vec<Effect>) {
        match command.action {
            Some(action) => self.act(action, effects),
            None if command.arguments.is_empty() => self.command_alone(command, effects),
            // What is being written stays; behind it a command would be text.
            None if !self.composer.is_empty() => {
                self.hint(format!("the box is not empty: /{} {}", command.name, command.arguments));
            }
            None => {
                self.composer = begun(command);
                self.edited();
            }
        }
    }

    /// Does a command beside what is being written.
    fn command_alone(&mut self, command: &'static Command, effects: &mut Vec<Effect>) {
        let writing = std::mem::take(&mut self.composer);
        let open = self.open.clone();
        self.command(command, "", effects);
        if self.composer.is_empty() && self.open == open && self.form.is_none() {
            self.composer = writing;
            self.edited();
        } else if !writing.is_empty() {
            // It stays where it was, and can be called back here.
            self.keep_draft_of(open.as_deref(), draft_of(&writing), effects);
            self.remember_typed(&writing);
        }
    }

    pub(super) fn find_again(&mut self) {
        let Some(Overlay::Jump { query, .. }) = &self.overlay else { return };
        let query = query.clone();
        let found = self.find(query.text());
        self.overlay = Some(Overlay::Jump { query, found, chosen: 0 });
    }

    /// Conversations whose name matches, the best first; then commands; then whoever the query names.
    fn find(&self, query: &str) -> Vec<Found> {
        // Whoever types a slash wants a command.
        let (query, only_commands) = query.strip_prefix('/').map_or((query, false), |rest| (rest, true));
        let mut found = if only_commands { Vec::new() } else { self.found_chats(query) };
        let mut commands: Vec<(i64, &'static Command)> = COMMANDS
            .iter()
            .filter_map(|command| score(command.name, query).map(|score| (score, command)))
            .collect();
        if !query.is_empty() {
            commands.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        }
        found.extend(commands.into_iter().map(|(_, command)| Found::Command(command)));
        if !only_commands && Address::parse(query).is_ok() {
            let peer = Peer::new(query);
            if self.entry_of(&peer.key).is_none() {
                // Before a command that merely has the same letters.
                let meant = |found: &Found| match found {
                    Found::Command(command) => command.name.starts_with(query),
                    Found::Chat { .. } | Found::Server | Found::Stranger(_) => true,
                };
                let place = found.iter().rposition(meant).map_or(0, |at| at + 1);
                found.insert(place, Found::Stranger(peer));
            }
        }
        found
    }

    fn found_chats(&self, query: &str) -> Vec<Found> {
        let mut found: Vec<((bool, i64), Found)> = Vec::new();
        for (at, entry) in (0..).zip(&self.chats) {
            if let Some(score) = score(&entry.peer.name, query) {
                let (name, key) = (entry.peer.name.clone(), entry.peer.key.clone());
                // Without a word to go by, in the order of the list.
                let rank = if query.is_empty() { (entry.unread > 0, -at) } else { (false, score) };
                found.push((rank, Found::Chat { name, key, unread: entry.unread }));
            }
        }
        found.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        let mut found: Vec<Found> = found.into_iter().map(|(_, found)| found).take(CHATS_FOUND_MAX).collect();
        if score(SERVER, query).is_some() {
            found.push(Found::Server);
        }
        found
    }
}

/// The key that does the same as a command, or a word about it.
pub(crate) fn beside(model: &Model, command: &Command) -> String {
    if command.does == Does::DeleteAccount {
        return "asks first".into();
    }
    if command.does == Does::Reconnect {
        let keys = model.prefs.bindings.keys(Action::Focus);
        return keys.first().map(|key| format!("{key} to the status, Enter")).unwrap_or_default();
    }
    let keys = command.action.map(|action| model.prefs.bindings.keys(action)).unwrap_or_default();
    keys.first().map(ToString::to_string).unwrap_or_default()
}
