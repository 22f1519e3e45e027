//! What the word at the caret may become: names, commands, emoji.

use crate::text::emoji;
use crate::tui::composer::Composer;
use crate::tui::focus::{Completion, Suggestion};
use crate::tui::key::{Code, Key};
use crate::tui::model::Model;
use crate::tui::typed::COMMANDS;

/// Things that a word may become, at most: a list that nobody reads is no help.
const SUGGESTIONS_MAX: usize = 50;
/// Commands whose first word is the name of somebody.
const NAMED: [&str; 2] = ["send", "open"];

impl Model {
    /// Tab: completes what there is one way to complete, else shows the ways.
    pub(super) fn complete(&mut self) {
        if let Some(completion) = self.completion.take() {
            return self.take_suggestion(&completion);
        }
        let Some((start, items)) = self.suggestions() else { return };
        let completion = Completion { items, chosen: 0, moved: false, start };
        if completion.items.len() == 1 {
            return self.take_suggestion(&completion);
        }
        self.grow_word(&completion);
        self.completion = Some(completion);
    }

    /// Takes a key while the ways to complete a word are shown; false for one that is the box's.
    pub(super) fn completion_key(&mut self, key: Key) -> bool {
        if key.ctrl || key.alt || key.shift {
            return false;
        }
        let Some(mut completion) = self.completion.take() else { return false };
        let last = completion.items.len() - 1;
        match key.code {
            Code::Up => completion.chosen = completion.chosen.checked_sub(1).unwrap_or(last),
            Code::Down => {
                completion.chosen = if completion.chosen == last { 0 } else { completion.chosen + 1 }
            }
            Code::Tab => {
                self.take_suggestion(&completion);
                return true;
            }
            Code::Enter if completion.moved => {
                self.take_suggestion(&completion);
                return true;
            }
            Code::Esc => return true,
            // Enter sends what is in the box, as ever.
            Code::Enter => return false,
            _ => {
                self.completion = Some(completion);
                return false;
            }
        }
        completion.moved = true;
        self.completion = Some(completion);
        true
    }

    /// The box has changed: the list narrows with it, and goes with the last way.
    pub(super) fn complete_again(&mut self) {
        if self.completion.is_none() {
            return;
        }
        self.completion =
            self.suggestions().map(|(start, items)| Completion { items, chosen: 0, moved: false, start });
    }

    /// What the word before the caret may become, and where it begins; `None` where there is nothing.
    fn suggestions(&self) -> Option<(usize, Vec<Suggestion>)> {
        let before = self.composer.split().0;
        let (start, items) = match before.strip_prefix('/').filter(|_| !self.composer.is_pasted()) {
            Some(rest) => self.after_slash(rest)?,
            None => emoji_of(before)?,
        };
        let items: Vec<Suggestion> = items.into_iter().take(SUGGESTIONS_MAX).collect();
        (!items.is_empty()).then_some((start, items))
    }

    fn after_slash(&self, rest: &str) -> Option<(usize, Vec<Suggestion>)> {
        let Some((command, start)) = rest.split_once(' ') else {
            let commands = COMMANDS.iter().filter(|command| command.name.starts_with(rest));
            let items = commands.map(|command| Suggestion {
                text: format!("/{} ", command.name),
                note: command.help.to_owned(),
            });
            return Some((0, items.collect()));
        };
        if !NAMED.contains(&command) || start.contains(' ') {
            return None;
        }
        let wanted = start.to_lowercase();
        let names = self.chats.iter().filter_map(|entry| entry.peer.address.as_deref());
        let names = names.filter(|name| name.to_lowercase().starts_with(&wanted));
        let items = names.map(|name| Suggestion { text: format!("{name} "), note: String::new() });
        Some((1 + command.len() + 1, items.collect()))
    }

    /// Puts what is chosen in place of the word.
    fn take_suggestion(&mut self, completion: &Completion) {
        if let Some(item) = completion.items.get(completion.chosen) {
            self.put_word(completion.start, &item.text.clone());
        }
    }

    /// The word becomes as long as all the ways have in common.
    fn grow_word(&mut self, completion: &Completion) {
        let texts: Vec<&str> = completion.items.iter().map(|item| item.text.as_str()).collect();
        let common = common_start(&texts);
        let word = &self.composer.split().0[completion.start..];
        if common.len() > word.len() && common.starts_with(word) {
            self.put_word(completion.start, common);
        }
    }

    /// Replaces the text from `start` to the caret; an edit that can be undone, and no paste.
    fn put_word(&mut self, start: usize, text: &str) {
        let (before, behind) = self.composer.split();
        if before.len() - start + behind.len() + text.len() > crate::tui::composer::BOX_MAX {
            return;
        }
        self.composer.replace_before(start, text);
        self.edited();
    }
}

/// The emoji whose names begin like the word at the end, behind its colon.
fn emoji_of(before: &str) -> Option<(usize, Vec<Suggestion>)> {
    let start = before.rfind(':')?;
    let word = &before[start + 1..];
    let free = before[..start].chars().next_back().is_none_or(char::is_whitespace);
    if !free || word.len() < 2 || word.contains(char::is_whitespace) {
        return None;
    }
    let found = emoji::completions(word).into_iter();
    let items =
        found.map(|(name, emoji)| Suggestion { text: format!("{emoji} "), note: format!(":{name}:") });
    Some((start, items.collect()))
}

/// What all of these begin with.
fn common_start<'a>(texts: &[&'a str]) -> &'a str {
    let Some((first, rest)) = texts.split_first() else { return "" };
    let mut common = *first;
    for text in rest {
        let same = common.char_indices().zip(text.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
        common = &common[..same.unwrap_or(common.len().min(text.len()))];
    }
    common
}

/// A box that holds a command, ready for what it wants to know.
pub(super) fn begun(command: &crate::tui::typed::Command) -> Composer {
    Composer::with(&format!("/{} ", command.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_behind_a_colon_may_become_an_emoji() {
        let check = |before: &str, expected: Option<(usize, &str)>| {
            let found = emoji_of(before);
            let first =
                found.as_ref().and_then(|(start, items)| Some((*start, items.first()?.text.as_str())));
            assert_eq!(first, expected, "{before:?}");
        };
        check(":rocke", Some((0, "🚀 ")));
        check("to the :rocke", Some((7, "🚀 ")));
        check("at 10:30", None);
        check("x :a", None);
        check(":rocket science", None);
        check(":nosuchname", None);
    }

    #[test]
    fn what_words_have_in_common() {
        let check = |texts: &[&str], expected: &str| assert_eq!(common_start(texts), expected, "{texts:?}");
        check(&["/list ", "/list-pane "], "/list");
        check(&["a", "b"], "");
        check(&["é1", "é2"], "é");
        check(&["é", "e"], "");
        check(&["same", "same"], "same");
        check(&[], "");
    }
}
