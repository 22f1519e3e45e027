//! The messages of the open conversation that are in memory: a piece of the history, and where the eye is on it.

use std::collections::VecDeque;

use crate::event::{Around, Message, Page, StateChange};

/// Messages asked for at once.
pub(crate) const PAGE: usize = 200;
/// Messages in memory; beyond, the far end is let go.
const WINDOW_MAX: usize = 1_000;

/// What the bottom row of the pane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// The end, whatever comes.
    Follow,
    /// A line of a message, wherever that is on the screen.
    At { n: i64, line: usize },
}

/// What was asked for and did not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loading {
    Nothing,
    /// The newest messages, to begin with.
    Opening,
    /// The newest messages, to go there.
    Newest,
    Older,
    Newer,
    /// The messages after this place, to go there.
    From(i64),
}

/// Where somebody wants to go in a piece that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jump {
    End,
    Divider,
    Lines { up: bool, lines: usize },
}

/// Jumps that wait; whoever presses more keys than that presses them again.
const JUMPS_MAX: usize = 16;

/// A piece of a conversation.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) items: VecDeque<Message>,
    pub(crate) older: bool,
    pub(crate) newer: bool,
    pub(crate) loading: Loading,
    pub(crate) scroll: Scroll,
    /// The first message that was unread when the conversation was opened.
    pub(crate) new_from: Option<i64>,
    /// What is to be shown when it is in memory.
    pub(crate) wanted: Option<Wanted>,
    /// What is to be done when the first messages are here, in this order.
    jumps: Vec<Jump>,
}

/// A message that somebody wants to see, wherever it fits, or with this line at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) n: i64,
    pub(crate) line: Option<usize>,
}

impl Window {
    /// An empty piece; nothing was asked for.
    pub(crate) fn empty() -> Window {
        Window {
            items: VecDeque::new(),
            older: false,
            newer: false,
            loading: Loading::Nothing,
            scroll: Scroll::Follow,
            new_from: None,
            wanted: None,
            jumps: Vec::new(),
        }
    }

    /// An empty piece whose newest page was asked for.
    pub(crate) fn opening() -> Window {
        Window { loading: Loading::Opening, ..Window::empty() }
    }

    /// An empty piece in place of this one: what was meant for it counts there.
    pub(crate) fn instead(&mut self, loading: Loading) -> Window {
        let jumps = std::mem::take(&mut self.jumps);
        Window { new_from: self.new_from, loading, jumps, ..Window::empty() }
    }

    /// Keeps a jump until there is something to move in; false where there is already, or will not be.
    pub(crate) fn waits(&mut self, jump: Jump) -> bool {
        let waits = self.items.is_empty() && self.loading != Loading::Nothing;
        if waits && self.jumps.len() < JUMPS_MAX {
            self.jumps.push(jump);
        }
        waits
    }

    /// The jumps that have waited for what is here now.
    pub(crate) fn take_jumps(&mut self) -> Vec<Jump> {
        if self.loading == Loading::Nothing { std::mem::take(&mut self.jumps) } else { Vec::new() }
    }

    /// A page came.
    pub(crate) fn load(&mut self, page: Page) {
        match page.around {
            Around::Newest => {
                self.items = page.messages.into();
                (self.older, self.newer) = (page.more, false);
            }
            Around::Before(n) if self.items.front().is_some_and(|first| first.n == n) => {
                self.older = page.more;
                for message in page.messages.into_iter().rev() {
                    self.items.push_front(message);
                }
                self.newer |= self.items.len() > WINDOW_MAX;
                self.items.truncate(WINDOW_MAX);
            }
            Around::After(n) if self.items.back().is_some_and(|last| last.n == n) => {
                self.newer = page.more;
                self.items.extend(page.messages);
                self.let_go_of_oldest();
            }
            Around::After(n) if self.loading == Loading::From(n) => {
                self.items = page.messages.into();
                (self.older, self.newer) = (true, page.more);
            }
            // Asked for before the piece changed.
            Around::Before(_) | Around::After(_) => return,
        }
        self.loading = Loading::Nothing;
    }

    /// A new message, at its place. Nothing where the piece does not reach that far.
    pub(crate) fn add(&mut self, message: Message) {
        if matches!(self.loading, Loading::Opening | Loading::Newest | Loading::From(_)) {
            // The page that was asked for holds it.
            return;
        }
        let at = self.items.partition_point(|other| other.n < message.n);
        let known = self.items.get(at).is_some_and(|other| other.n == message.n);
        let outside = (at == 0 && self.older) || (at == self.items.len() && self.newer);
        if known || outside {
            return;
        }
        if at >= WINDOW_MAX && self.scroll != Scroll::Follow {
            // The eye is further up; what comes now is fetched when it is wanted.
            self.newer = true;
            return;
        }
        self.items.insert(at, message);
        if self.scroll == Scroll::Follow {
            self.let_go_of_oldest();
        }
    }

    fn let_go_of_oldest(&mut self) {
        let over = self.items.len().saturating_sub(WINDOW_MAX);
        if over > 0 {
            self.items.drain(..over);
            self.older = true;
        }
    }

    /// More is known of a message; false where it is not in this piece.
    pub(crate) fn change(&mut self, change: &StateChange) -> bool {
        let found = self.items.iter_mut().find(|message| message.n == change.n && message.mine);
        let Some(message) = found else { return false };
        // Back to the outbox is somebody's wish to try again, and the only way back.
        let again = change.state == crate::Delivery::Outbox;
        message.state = if again { change.state } else { message.state.advance(change.state) };
        message.reason.clone_from(&change.reason);
        message.id = change.id.or(message.id);
        if change.time_ms > 0 {
            message.time_ms = change.time_ms;
        }
        true
    }

    /// The place of the last message; 0 where there is none.
    pub(crate) fn last(&self) -> i64 {
        self.items.back().map_or(0, |message| message.n)
    }

    /// The message at `n`, where it is in memory.
    pub(crate) fn at(&self, n: i64) -> Option<&Message> {
        self.items.get(self.items.partition_point(|message| message.n < n)).filter(|message| message.n == n)
    }

    /// The index of the message at `n`, or of the next one.
    pub(crate) fn index(&self, n: i64) -> usize {
        self.items.partition_point(|message| message.n < n).min(self.items.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Delivery, Peer};

    fn message(n: i64) -> Message {
        Message {
            n,
            peer: Peer::new("bob"),
            mine: true,
            id: None,
            text: n.to_string(),
            time_ms: 0,
            state: Delivery::Sending,
            reason: None,
        }
    }

    fn page(around: Around, from: i64, to: i64, more: bool) -> Page {
        Page { key: "bob".into(), around, messages: (from..=to).map(message).collect(), more }
    }

    fn ends(window: &Window) -> (i64, i64, bool, bool) {
        (window.items.front().map_or(0, |first| first.n), window.last(), window.older, window.newer)
    }

    #[test]
    fn the_piece_grows_both_ways_and_stays_bounded() {
        let mut window = Window::opening();
        window.load(page(Around::Newest, 2_001, 2_200, true));
        assert_eq!(ends(&window), (2_001, 2_200, true, false));
        for start in [1_801, 1_601, 1_401, 1_201, 1_001] {
            window.load(page(Around::Before(start + 200), start, start + 199, true));
        }
        assert_eq!(ends(&window), (1_001, 2_000, true, true));
        window.load(page(Around::After(1_999), 2_000, 2_200, false));
        assert_eq!(ends(&window), (1_001, 2_000, true, true), "an answer to an older question");
        window.load(page(Around::After(2_000), 2_001, 2_200, false));
        assert_eq!(ends(&window), (1_201, 2_200, true, false));
    }

    #[test]
    fn a_message_has_one_place() {
        let mut window = Window::opening();
        window.add(message(9));
        assert_eq!(window.items.len(), 0, "the page will hold it");
        window.load(page(Around::Newest, 5, 8, true));
        for n in [10, 9, 9, 3, 6] {
            window.add(message(n));
        }
        let places: Vec<i64> = window.items.iter().map(|message| message.n).collect();
        assert_eq!(places, [5, 6, 7, 8, 9, 10]);
        window.newer = true;
        window.add(message(11));
        assert_eq!(window.last(), 10);
    }

    #[test]
    fn what_comes_below_the_eye_does_not_pile_up() {
        let mut window = Window { scroll: Scroll::At { n: 1, line: 0 }, ..Window::empty() };
        (1..=3_000).for_each(|n| window.add(message(n)));
        assert_eq!(ends(&window), (1, 1_000, false, true));
    }

    #[test]
    fn states_only_get_better_but_for_a_retry() {
        let mut window = Window::empty();
        window.add(message(1));
        let mut check = |state: Delivery, expected: Delivery| {
            let change = StateChange { n: 1, id: None, state, time_ms: 0, code: None, reason: None };
            assert!(window.change(&change));
            assert_eq!(window.items[0].state, expected);
        };
        check(Delivery::Failed, Delivery::Failed);
        check(Delivery::Outbox, Delivery::Outbox);
        check(Delivery::Sent, Delivery::Sent);
        check(Delivery::Unknown, Delivery::Sent);
        check(Delivery::Read, Delivery::Read);
    }
}
