//! A picked message: moving from one to the next, and what can be done with it. One table says what, for keys, menu
//! and help alike.

use crate::delivery::Delivery;
use crate::event::Message;
use crate::text::links::{Link, links};
use crate::text::wrap::wrap;
use crate::tui::focus::Focus;
use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Model, Overlay};

/// What can be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Copy,
    CopyWhole,
    OpenLink,
    Retry,
    Drop,
    Unread,
    About,
}

/// A deed with its key and its words.
#[derive(Debug)]
pub(crate) struct Doable {
    pub(crate) deed: Deed,
    pub(crate) key: char,
    pub(crate) words: &'static str,
}

/// Everything that can be done with a message, in the order of the menu.
pub(crate) const DEEDS: &[Doable] = &[
    Doable { deed: Deed::Copy, key: 'y', words: "copy the text" },
    Doable { deed: Deed::CopyWhole, key: 'Y', words: "copy with time and name" },
    Doable { deed: Deed::OpenLink, key: 'o', words: "open a link" },
    Doable { deed: Deed::Retry, key: 'r', words: "send again" },
    Doable { deed: Deed::Drop, key: 'd', words: "drop, it was not sent" },
    Doable { deed: Deed::Unread, key: 'u', words: "unread from here" },
    Doable { deed: Deed::About, key: 'i', words: "all that is known of it" },
];

impl Doable {
    /// Its key while a message is picked: in a vi `i` writes.
    pub(crate) fn picked_key(&self, modal: bool) -> char {
        if modal && self.deed == Deed::About { 'K' } else { self.key }
    }
}

impl Deed {
    /// It can be done with this message.
    fn suits(self, message: &Message) -> bool {
        let parked = message.mine && message.reason.is_some() && message.state == Delivery::Unknown;
        match self {
            Deed::Copy | Deed::CopyWhole | Deed::About => true,
            Deed::OpenLink => !links(&message.text).is_empty(),
            Deed::Retry => message.mine && message.state == Delivery::Failed || parked,
            Deed::Drop => message.mine && message.state == Delivery::Failed,
            Deed::Unread => !message.mine && !message.peer.key.is_empty(),
        }
    }

    /// Why it cannot be done.
    fn objection(self) -> &'static str {
        match self {
            Deed::OpenLink => "no link in this message",
            Deed::Retry => "only what was not sent is sent again",
            Deed::Drop => "only what was not sent can be dropped",
            Deed::Unread => "only what others wrote is unread",
            Deed::Copy | Deed::CopyWhole | Deed::About => "not with this message",
        }
    }
}

/// Columns of the question about a link.
pub(crate) const LINK_COLUMNS: u16 = 66;
/// Rows of it beside the lines: its frame, its keys, and two of the screen.
const LINK_ROWS: usize = 5;

/// What the question about a link says on a screen of this size: the server that it leads to, then all of it.
pub(crate) fn link_lines(size: (u16, u16), link: &Link) -> Vec<String> {
    let columns = usize::from(size.0.min(LINK_COLUMNS).saturating_sub(4));
    let texts = [format!("This leads to the server {}", link.host), String::new(), link.url.clone()];
    let wrapped =
        |text: &String| wrap(text, columns).into_iter().map(|row| text[row].to_owned()).collect::<Vec<_>>();
    texts.iter().flat_map(wrapped).collect()
}

/// All of it fits: what is not seen is not opened.
pub(crate) fn link_fits(size: (u16, u16), link: &Link) -> bool {
    link_lines(size, link).len() + LINK_ROWS <= usize::from(size.1)
}

/// What can be done with this message.
pub(crate) fn deeds(message: &Message) -> Vec<&'static Doable> {
    DEEDS.iter().filter(|doable| doable.deed.suits(message)).collect()
}

impl Model {
    /// Picks the message at the end of what is on the screen.
    pub(super) fn pick_last(&mut self, effects: &mut Vec<Effect>) {
        let bottom = self.with_pane(|pane, _| pane.bottom().item);
        let Some(n) = bottom.and_then(|item| self.shown().items.get(item)).map(|message| message.n) else {
            return;
        };
        self.pick(n, effects);
    }

    /// Picks a message of those in memory, and brings it into view.
    pub(crate) fn pick(&mut self, n: i64, effects: &mut Vec<Effect>) {
        self.completion = None;
        self.focus = Focus::Pick(n);
        self.show_picked(n, effects);
    }

    fn show_picked(&mut self, n: i64, effects: &mut Vec<Effect>) {
        if let Some(scroll) = self.with_pane(|pane, rows| pane.in_view(n, rows)).flatten() {
            self.shown_mut().scroll = scroll;
        }
        self.load_more(effects);
    }

    /// Takes a key while a message is picked; false for one that means the same everywhere.
    pub(super) fn pick_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        let Focus::Pick(n) = self.focus else { return false };
        let Some(message) = self.shown().at(n) else {
            // It was dropped, or scrolled out of memory.
            self.end_pick();
            return false;
        };
        if let Some(doable) = key.typed().and_then(|typed| DEEDS.iter().find(|doable| doable.key == typed)) {
            let message = message.clone();
            self.do_with(doable.deed, &message, effects);
            return true;
        }
        match (key.typed(), key) {
            (Some('?'), _) => self.open_help(),
            (_, Key { code: Code::Esc, .. }) => self.focus_box(),
            (_, Key { code: Code::Enter, ctrl: false, alt: false, shift: false }) => {
                self.overlay = Some(Overlay::Menu { n, chosen: 0 });
            }
            (Some('j'), _) | (_, Key { code: Code::Down, alt: false, shift: false, .. }) => {
                self.pick_next(n, effects);
            }
            (Some('k'), _) | (_, Key { code: Code::Up, alt: false, shift: false, .. }) => {
                self.pick_before(n, effects);
            }
            (Some('g'), _) | (_, Key { code: Code::Home, ctrl: false, .. }) => self.pick_end(true, effects),
            (Some('G'), _) | (_, Key { code: Code::End, ctrl: false, .. }) => self.pick_end(false, effects),
            // A letter that means nothing here is not typed into the box.
            (Some(_), _) => {}
            (None, Key { code: Code::PageUp | Code::PageDown, .. }) => {
                self.scroll(key.code == Code::PageUp, self.page_lines(), effects);
                self.pick_last(effects);
            }
            _ => return false,
        }
        true
    }

    fn pick_next(&mut self, n: i64, effects: &mut Vec<Effect>) {
        let window = self.shown();
        match window.items.get(window.index(n) + 1).map(|message| message.n) {
            Some(next) => self.pick(next, effects),
            // Below the newest message is the box.
            None if !window.newer => self.end_pick(),
            None => self.load_more(effects),
        }
    }

    fn pick_before(&mut self, n: i64, effects: &mut Vec<Effect>) {
        let window = self.shown();
        let before = window.index(n).checked_sub(1).and_then(|at| window.items.get(at));
        match before.map(|message| message.n) {
            Some(before) => self.pick(before, effects),
            // The day above the first message.
            None => self.scroll(true, 1, effects),
        }
    }

    fn pick_end(&mut self, first: bool, effects: &mut Vec<Effect>) {
        if !first && self.shown().newer {
            // What is there is not in memory yet.
            self.end_pick();
            return self.show_end(effects);
        }
        let items = &self.shown().items;
        let end = if first { items.front() } else { items.back() };
        if let Some(n) = end.map(|message| message.n) {
            self.pick(n, effects);
        }
    }

    pub(super) fn do_with_picked(&mut self, deed: Deed, effects: &mut Vec<Effect>) {
        let Focus::Pick(n) = self.focus else { return };
        if let Some(message) = self.shown().at(n).cloned() {
            self.do_with(deed, &message, effects);
        }
    }

    fn do_with(&mut self, deed: Deed, message: &Message, effects: &mut Vec<Effect>) {
        if !deed.suits(message) {
            return self.hint(deed.objection());
        }
        match deed {
            Deed::Copy => effects.push(Effect::Copy(message.text.clone())),
            Deed::CopyWhole => effects.push(Effect::Copy(self.whole(message))),
            Deed::OpenLink => {
                self.overlay = Some(Overlay::Link { links: links(&message.text), chosen: 0 });
            }
            Deed::Retry => effects.push(Effect::Retry(message.n)),
            Deed::Drop => self.drop_message(message.n, effects),
            Deed::Unread => self.unread_from(message, effects),
            Deed::About => {
                self.overlay = Some(Overlay::About { message: Box::new(message.clone()), steps: None });
                if message.mine && !message.peer.key.is_empty() {
                    effects.push(Effect::Steps(message.n));
                }
            }
        }
    }

    /// `2026-11-20 09:06 bob: text`
    fn whole(&self, message: &Message) -> String {
        let time = self.local_of(message.time_ms).strftime("%Y-%m-%d %H:%M");
        format!("{time} {}: {}", self.writer(message), message.text)
    }

    /// Who wrote a message.
    pub(crate) fn writer<'a>(&'a self, message: &'a Message) -> &'a str {
        let me = self.identity.as_ref().map_or("", |identity| identity.user.as_str());
        if message.mine { me } else { &message.peer.name }
    }

    /// Forgets a message that was not sent; the one beside it is picked.
    fn drop_message(&mut self, n: i64, effects: &mut Vec<Effect>) {
        let at = self.window.index(n);
        self.window.items.retain(|message| message.n != n);
        self.settled(n);
        effects.push(Effect::Withdraw(n));
        let last = self.window.items.len().saturating_sub(1);
        match self.window.items.get(at.min(last)).map(|message| message.n) {
            Some(next) => self.pick(next, effects),
            None => self.end_pick(),
        }
    }

    /// Counts what others wrote from a message on as unread. It stays so until somebody has left and come again.
    fn unread_from(&mut self, message: &Message, effects: &mut Vec<Effect>) {
        let (key, n) = (message.peer.key.clone(), message.n);
        let later = self.window.items.iter().filter(|other| !other.mine && other.n >= n).count() as u64;
        let beyond = if self.window.newer { self.entry().map_or(0, |entry| entry.unread) } else { 0 };
        let Some(entry) = self.entry_mut(&key) else { return };
        (entry.unread, entry.read_to) = (later.max(beyond).max(1), n - 1);
        self.window.new_from = Some(n);
        self.held_unread = true;
        self.read_due = None;
        effects.push(Effect::MarkUnread { key, n });
        self.hint("unread from here, until you come again");
    }

    pub(super) fn menu_key(&mut self, n: i64, mut chosen: usize, key: Key, effects: &mut Vec<Effect>) {
        let Some(message) = self.shown().at(n).cloned() else { return };
        let deeds = deeds(&message);
        match (key.code, key.typed()) {
            (Code::Enter, _) => {
                if let Some(doable) = deeds.get(chosen) {
                    self.do_with(doable.deed, &message, effects);
                }
                return;
            }
            (Code::Up, _) | (_, Some('k')) => chosen = chosen.saturating_sub(1),
            (Code::Down, _) | (_, Some('j')) => chosen = (chosen + 1).min(deeds.len().saturating_sub(1)),
            (_, Some(typed)) => {
                if let Some(doable) = deeds.iter().find(|doable| doable.key == typed) {
                    return self.do_with(doable.deed, &message, effects);
                }
            }
            _ => {}
        }
        self.overlay = Some(Overlay::Menu { n, chosen });
    }

    pub(super) fn link_key(
        &mut self,
        links: Vec<Link>,
        mut chosen: usize,
        key: Key,
        effects: &mut Vec<Effect>,
    ) {
        let link = links.get(chosen);
        match (key.code, key.typed()) {
            (Code::Enter, _) if link.is_some_and(|link| !link_fits(self.size, link)) => {
                self.hint("too long to be seen as a whole here: y copies it");
            }
            (Code::Enter, _) => return effects.extend(link.map(|link| Effect::OpenLink(link.url.clone()))),
            (_, Some('y')) => return effects.extend(link.map(|link| Effect::Copy(link.url.clone()))),
            (Code::Up, _) | (_, Some('k')) => chosen = chosen.saturating_sub(1),
            (Code::Down, _) | (_, Some('j')) => chosen = (chosen + 1).min(links.len().saturating_sub(1)),
            _ => {}
        }
        self.overlay = Some(Overlay::Link { links, chosen });
    }
}
