//! What stands over the rest: help, jumping, and questions. It takes every key while it is there.

use bellhop_protocol::Address;
use bellhop_protocol::op::OpCode;

use crate::peer::Peer;
use crate::secret::Secret;
use crate::tui::composer::Composer;
use crate::tui::form::{FIELD_FULL, edit_line, paste_line};
use crate::tui::help;
use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Found, Model, Overlay, SERVER};

/// Rows of the jump list.
const FOUND_MAX: usize = 12;
/// The usual limit on a message; a server may have another and says so when it refuses.
pub(crate) const MESSAGE_MAX: usize = 16_384;

impl Model {
    pub(super) fn open_help(&mut self) {
        self.overlay = Some(Overlay::Help { filter: Composer::default(), chosen: 0 });
    }

    pub(super) fn open_jump(&mut self) {
        let found = self.find("");
        self.overlay = Some(Overlay::Jump { query: Composer::default(), found, chosen: 0 });
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
            Some(Overlay::Quit) | None => return,
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
                if let Some(action) = rows.get(chosen).and_then(|row| row.action)
                    && self.form.is_none()
                {
                    self.act(action, effects);
                }
                return;
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

    fn jump_key(
        &mut self,
        mut query: Composer,
        mut found: Vec<Found>,
        mut chosen: usize,
        key: Key,
        effects: &mut Vec<Effect>,
    ) {
        match key {
            Key { code: Code::Enter, .. } => {
                match found.into_iter().nth(chosen) {
                    Some(Found::Server) => self.open(None, effects),
                    Some(Found::Chat { key, .. }) => self.open(Some(key), effects),
                    Some(Found::Stranger(peer)) => self.open_peer(peer, effects),
                    None => return,
                }
                self.prefs.panes.list_first = false;
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

    fn find_again(&mut self) {
        let Some(Overlay::Jump { query, .. }) = &self.overlay else { return };
        let query = query.clone();
        let found = self.find(query.text());
        self.overlay = Some(Overlay::Jump { query, found, chosen: 0 });
    }

    /// Conversations whose name matches, the best first; then whoever the query names.
    fn find(&self, query: &str) -> Vec<Found> {
        let mut found: Vec<(i64, Found)> = Vec::new();
        for (at, entry) in (0..).zip(&self.chats) {
            if let Some(score) = score(&entry.peer.name, query) {
                let unread = if query.is_empty() && entry.unread > 0 { 1_000_000 } else { 0 };
                let (name, key) = (entry.peer.name.clone(), entry.peer.key.clone());
                found.push((score + unread - at, Found::Chat { name, key, unread: entry.unread }));
            }
        }
        if let Some(score) = score(SERVER, query) {
            found.push((score - 1_000, Found::Server));
        }
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let mut found: Vec<Found> = found.into_iter().map(|(_, found)| found).take(FOUND_MAX).collect();
        if Address::parse(query).is_ok() {
            let peer = Peer::new(query);
            if self.entry_of(&peer.key).is_none() {
                found.push(Found::Stranger(peer));
            }
        }
        found
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

/// How well `name` matches: its letters in their order; starts of words and runs count more. `None` where it does not.
fn score(name: &str, query: &str) -> Option<i64> {
    let mut score = 0;
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    let mut at = 0;
    let mut run = 0;
    for wanted in query.chars().flat_map(char::to_lowercase) {
        let skipped = name[at..].iter().position(|c| *c == wanted)?;
        run = if skipped == 0 { run + 1 } else { 1 };
        let place = at + skipped;
        let starts_word = place == 0 || !name[place - 1].is_alphanumeric();
        score += 10 * run + if starts_word { 50 } else { 0 };
        at = place + 1;
    }
    Some(score - i64::try_from(name.len()).unwrap_or(0))
}
