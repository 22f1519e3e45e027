//! What takes the keys of a conversation, where nothing stands over the rest: the box, or a place that they were given
//! to. As data; `update` says what keys do there.

use super::composer::Composer;
use super::window::Scroll;
use crate::event::Hit;

/// What takes the keys.
#[derive(Default)]
pub(crate) enum Focus {
    #[default]
    Box,
    List(InList),
    /// A message is picked, by its place.
    Pick(i64),
    Search(Box<Search>),
    /// The row at the bottom.
    Status,
}

/// The list has the keys.
#[derive(Default)]
pub(crate) struct InList {
    /// The key of the chosen conversation; `None` for the server's.
    pub(crate) chosen: Option<String>,
    /// What names are to match, where somebody filters.
    pub(crate) filter: Option<Composer>,
    /// The filter is being typed.
    pub(crate) typing: bool,
}

/// Words are looked for.
pub(crate) struct Search {
    pub(crate) query: Composer,
    /// In all conversations, not in the open one alone.
    pub(crate) everywhere: bool,
    /// What was found, the newest first.
    pub(crate) hits: Vec<Hit>,
    /// Which of them is shown.
    pub(crate) at: usize,
    /// The question that is waited for.
    pub(crate) asked: Option<u64>,
    /// Where the next piece of the history begins; `None` where all of it was looked at.
    pub(crate) next: Option<i64>,
    /// What was asked for is no longer what is typed.
    pub(crate) stale: bool,
    /// Where the eye was.
    pub(crate) back: Back,
}

/// Where the eye was before something was looked for.
pub(crate) struct Back {
    pub(crate) open: Option<String>,
    pub(crate) scroll: Scroll,
    pub(crate) new_from: Option<i64>,
}

/// What the word in the box may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// What may stand in place of the word.
    pub(crate) items: Vec<Suggestion>,
    pub(crate) chosen: usize,
    /// Somebody has chosen one with a key: Enter takes it.
    pub(crate) moved: bool,
    /// Where the word begins, in bytes.
    pub(crate) start: usize,
}

/// One of the things that a word may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suggestion {
    pub(crate) text: String,
    /// What it is, beside it.
    pub(crate) note: String,
}

impl Focus {
    pub(crate) fn is_box(&self) -> bool {
        matches!(self, Focus::Box)
    }

    pub(crate) fn list(&self) -> Option<&InList> {
        if let Focus::List(list) = self { Some(list) } else { None }
    }

    pub(crate) fn search(&self) -> Option<&Search> {
        if let Focus::Search(search) = self { Some(search) } else { None }
    }

    pub(crate) fn search_mut(&mut self) -> Option<&mut Search> {
        if let Focus::Search(search) = self { Some(search) } else { None }
    }
}
