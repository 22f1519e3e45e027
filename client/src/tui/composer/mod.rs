//! The box: text, a caret between graphemes, undo. It knows neither keys nor screens.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::typed;
use crate::text::clusters::{clusters, columns as columns_of};
use crate::text::without_tabs;

/// Bytes the box takes; a paste beyond it is refused.
pub(crate) const BOX_MAX: usize = 64 * 1_024;
/// Edits that can be undone.
const UNDO_MAX: usize = 100;

/// Text that is being written.
#[derive(Clone, Default)]
pub(crate) struct Composer {
    text: String,
    /// In bytes, between two graphemes.
    caret: usize,
    /// Something of it was pasted, so all of it is a message.
    pasted: bool,
    undo: Vec<Before>,
    redo: Vec<Before>,
    /// The last edit was a typed letter: the next one joins it.
    typing: bool,
}

/// The box as it was: text, caret, and whether something of it was pasted.
type Before = (String, usize, bool);

/// Where a row of the box lies in the text, and where the caret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Range<usize>>,
    pub(crate) caret_row: usize,
    pub(crate) caret_column: usize,
}

impl Composer {
    /// A box that holds `text`, the caret behind it.
    pub(crate) fn with(text: &str) -> Composer {
        Composer { text: text.to_owned(), caret: text.len(), ..Composer::default() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text before and behind the caret.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.text.split_at(self.caret)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text as it would be typed: see [`typed::written`].
    pub(crate) fn written(&self) -> String {
        typed::written(&self.text, self.pasted).into_owned()
    }

    /// Where in the text something begins that must not be seen: see [`typed::secret_start`].
    pub(crate) fn secret_start(&self) -> Option<usize> {
        typed::secret_start(&self.text, self.pasted)
    }

    pub(crate) fn is_pasted(&self) -> bool {
        self.pasted
    }

    /// The box as a screen shows it: without tabs.
    pub(crate) fn shown(&self) -> Cow<'_, Composer> {
        if !self.text.contains('\t') {
            return Cow::Borrowed(self);
        }
        let caret = without_tabs(&self.text[..self.caret]).len();
        Cow::Owned(Composer { text: without_tabs(&self.text).into_owned(), caret, ..Composer::default() })
    }

    /// The same box with every character from `start` on replaced by `mask`.
    pub(crate) fn masked(&self, start: usize, mask: &str) -> Composer {
        let hide = |range: Range<usize>| {
            let (open, hidden) =
                self.text[range.clone()].split_at(start.clamp(range.start, range.end) - range.start);
            format!("{open}{}", mask.repeat(hidden.chars().count()))
        };
        let before = hide(0..self.caret);
        let caret = before.len();
        let behind = hide(self.caret..self.text.len());
        Composer { text: before + &behind, caret, ..Composer::default() }
    }

    /// Types a character; what does not fit any more is not taken.
    pub(crate) fn type_char(&mut self, c: char) {
        if !self.typing || c == '\n' || c == ' ' {
            self.remember();
        }
        self.typing = true;
        self.insert(c.encode_utf8(&mut [0; 4]));
    }

    /// Inserts a paste. False where it does not fit.
    pub(crate) fn paste(&mut self, text: &str) -> bool {
        if self.text.len() + text.len() > BOX_MAX {
            return false;
        }
        self.remember();
        self.insert(text);
        self.pasted |= !text.is_empty();
        true
    }

    fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() > BOX_MAX {
            return;
        }
        self.text.insert_str(self.caret, text);
        // What was inserted may join what stands behind it into one grapheme.
        self.caret = self.boundary_at_or_after(self.caret + text.len());
    }

    /// Puts `text` in place of what stands from `start` to the caret.
    pub(crate) fn replace_before(&mut self, start: usize, text: &str) {
        self.remember();
        self.text.replace_range(start..self.caret, text);
        self.caret = self.boundary_at_or_after(start + text.len());
    }

    pub(crate) fn backspace(&mut self) {
        self.remove(self.before(self.caret)..self.caret);
    }

    pub(crate) fn delete(&mut self) {
        self.remove(self.caret..self.after(self.caret));
    }

    pub(crate) fn delete_word_before(&mut self) {
        self.remove(self.word_before()..self.caret);
    }

    pub(crate) fn delete_word_after(&mut self) {
        self.remove(self.caret..self.word_after());
    }

    pub(crate) fn delete_to_line_end(&mut self) {
        self.remove(self.caret..self.line_end());
    }

    pub(crate) fn delete_to_line_start(&mut self) {
        self.remove(self.line_start()..self.caret);
    }

    fn remove(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.remember();
        self.caret = range.start;
        self.text.replace_range(range, "");
        self.caret = self.boundary_at_or_after(self.caret);
        self.pasted &= !self.text.is_empty();
    }

    /// Takes everything out. It can be undone.
    pub(crate) fn clear(&mut self) {
        self.remove(0..self.text.len());
    }

    /// Takes everything out for good: it was sent, or must not be seen again.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(self).text
    }

    pub(crate) fn left(&mut self) {
        self.go(self.before(self.caret));
    }

    pub(crate) fn right(&mut self) {
        self.go(self.after(self.caret));
    }

    pub(crate) fn word_left(&mut self) {
        self.go(self.word_before());
    }

    pub(crate) fn word_right(&mut self) {
        self.go(self.word_after());
    }

    pub(crate) fn home(&mut self) {
        self.go(self.line_start());
    }

    pub(crate) fn end(&mut self) {
        self.go(self.line_end());
    }

    fn line_end(&self) -> usize {
        self.text[self.caret..].find('\n').map_or(self.text.len(), |line| self.caret + line)
    }

    /// A row up in a box of `columns` columns; false on the first row.
    pub(crate) fn up(&mut self, columns: usize) -> bool {
        self.go_to_row(columns, |rows| rows.caret_row.checked_sub(1))
    }

    /// A row down; false on the last row.
    pub(crate) fn down(&mut self, columns: usize) -> bool {
        self.go_to_row(columns, |rows| Some(rows.caret_row + 1).filter(|row| *row < rows.rows.len()))
    }

    fn go_to_row(&mut self, columns: usize, row: impl Fn(&Rows) -> Option<usize>) -> bool {
        let shown = self.shown();
        let rows = shown.rows(columns);
        let Some(row) = row(&rows) else { return false };
        let target = self.place_of(shown.place_in(&rows, row));
        self.go(target);
        true
    }

    /// The place in a row that is closest to the caret's column.
    fn place_in(&self, rows: &Rows, row: usize) -> usize {
        let range = rows.rows[row].clone();
        let line = self.text[range.clone()].trim_end_matches('\n');
        let mut column = 0;
        let mut target = range.start;
        for (at, cluster) in line.grapheme_indices(true) {
            if column >= rows.caret_column {
                break;
            }
            column += cluster.width();
            target = range.start + at + cluster.len();
        }
        // The end of a wrapped row is the start of the next one; stay on this one.
        if row + 1 < rows.rows.len() && target == range.end {
            target = self.before(target);
        }
        target
    }

    /// The place in the text of a place in what is shown of it.
    fn place_of(&self, shown: usize) -> usize {
        if !self.text.contains('\t') {
            return shown;
        }
        let places: Vec<usize> = self.text.grapheme_indices(true).map(|(at, _)| at).collect();
        let before = places.partition_point(|at| without_tabs(&self.text[..*at]).len() < shown);
        places.get(before).copied().unwrap_or(self.text.len())
    }

    pub(crate) fn undo(&mut self) {
        if let Some(before) = self.undo.pop() {
            let now = self.become_again(before);
            self.redo.push(now);
        }
    }

    /// Undoes the last edit before `command` was typed, which is what the box holds.
    pub(crate) fn undo_past(&mut self, command: &str) {
        while !self.text.is_empty() && command.starts_with(&self.text) && !self.undo.is_empty() {
            self.undo();
        }
        if self.text.is_empty() || self.text == command {
            self.text.clear();
            self.caret = 0;
            self.undo();
        }
    }

    /// Puts another text in place of this one, which can be undone.
    pub(crate) fn replace(&mut self, text: &str) {
        if text != self.text {
            self.remember();
            self.text = text.to_owned();
            self.caret = self.text.len();
        }
    }

    pub(crate) fn redo(&mut self) {
        if let Some(before) = self.redo.pop() {
            let now = self.become_again(before);
            self.undo.push(now);
        }
    }

    /// Puts the box back. Returns what it was until now.
    fn become_again(&mut self, (text, caret, pasted): Before) -> Before {
        self.typing = false;
        let text = std::mem::replace(&mut self.text, text);
        (text, std::mem::replace(&mut self.caret, caret), std::mem::replace(&mut self.pasted, pasted))
    }

    fn remember(&mut self) {
        if self.undo.len() >= UNDO_MAX {
            self.undo.remove(0);
        }
        self.undo.push((self.text.clone(), self.caret, self.pasted));
        self.redo.clear();
        self.typing = false;
    }

    fn go(&mut self, to: usize) {
        self.caret = to;
        self.typing = false;
    }

    fn before(&self, at: usize) -> usize {
        self.text[..at].grapheme_indices(true).next_back().map_or(0, |(start, _)| start)
    }

    fn after(&self, at: usize) -> usize {
        self.text[at..].graphemes(true).next().map_or(at, |cluster| at + cluster.len())
    }

    fn boundary_at_or_after(&self, at: usize) -> usize {
        let mut cursor = unicode_segmentation::GraphemeCursor::new(at, self.text.len(), true);
        match cursor.is_boundary(&self.text, 0) {
            Ok(true) => at,
            _ => cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len()),
        }
    }

    fn word_before(&self) -> usize {
        let mut words = self.text[..self.caret].unicode_word_indices();
        words.next_back().map_or(0, |(start, _)| start)
    }

    fn word_after(&self) -> usize {
        let next = self.text[self.caret..].unicode_word_indices().next();
        next.map_or(self.text.len(), |(start, word)| self.caret + start + word.len())
    }

    fn line_start(&self) -> usize {
        self.text[..self.caret].rfind('\n').map_or(0, |at| at + 1)
    }

    /// The box in rows of `columns` columns: broken behind spaces where that is possible. Spaces may hang over.
    pub(crate) fn rows(&self, columns: usize) -> Rows {
        let columns = columns.max(2);
        let mut rows = Vec::new();
        let (mut start, mut used, mut chance) = (0, 0, None);
        for (at, cluster) in clusters(&self.text) {
            if cluster.ends_with('\n') {
                rows.push(start..at + cluster.len());
                (start, used, chance) = (at + cluster.len(), 0, None);
                continue;
            }
            let wide = columns_of(cluster);
            // What moves to the next row with a broken word may leave no room there either.
            while used > 0 && used + wide > columns && cluster != " " {
                let end = chance.take().unwrap_or(at);
                rows.push(start..end);
                used = self.text[end..at].width();
                start = end;
            }
            used += wide;
            if cluster == " " {
                chance = Some(at + 1);
            }
        }
        rows.push(start..self.text.len());
        self.with_caret(rows, columns)
    }

    fn with_caret(&self, mut rows: Vec<Range<usize>>, columns: usize) -> Rows {
        let mut caret_row = rows.iter().rposition(|row| row.start <= self.caret).unwrap_or(0);
        let before = &self.text[rows[caret_row].start..self.caret];
        let mut caret_column = before.width();
        if caret_column >= columns {
            if caret_row + 1 == rows.len() && !before.ends_with(' ') {
                rows.push(self.text.len()..self.text.len());
                (caret_row, caret_column) = (caret_row + 1, 0);
            } else {
                caret_column = columns - 1;
            }
        }
        Rows { rows, caret_row, caret_column }
    }
}
