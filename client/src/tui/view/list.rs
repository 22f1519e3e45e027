//! The conversations: which is open, who has written, what is unread.

use ratatui::layout::{Position, Rect};

use super::{Caret, Painter, field_view};
use crate::text::wrap::{ellipsis, width};
use crate::tui::composer::Composer;
use crate::tui::model::{Entry, Model, SERVER};

/// Draws the list, with a bar on its right where something is beside it; and the caret where it has the keys.
pub(crate) fn draw(model: &Model, area: Rect, bar: bool, painter: &mut Painter<'_>) -> Caret {
    let inner = Rect { width: area.width.saturating_sub(u16::from(bar)), ..area };
    if bar {
        for row in 0..usize::from(area.height) {
            let edge = Rect { x: inner.right(), width: 1, ..Painter::row(area, row) };
            painter.put(edge, 0, model.prefs.glyphs.bar, painter.theme.border());
        }
    }
    let filter = model.focus.list().and_then(|list| list.filter.as_ref());
    let rows = Rect { height: inner.height.saturating_sub(u16::from(filter.is_some())), ..inner };
    let caret = conversations(model, rows, painter);
    if model.chats.is_empty() {
        let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
        hint(below, painter);
    }
    match filter {
        Some(typed) => {
            let line = Painter::row(inner, usize::from(rows.height));
            self::filter(model, typed, line, painter).or(caret)
        }
        None => caret,
    }
}

/// The rows that are shown in `height` rows, from the top. The server's stays where it is; of the others, the chosen
/// one stays in view.
fn shown_rows(model: &Model, height: usize) -> Vec<Option<&Entry>> {
    let all = model.rows();
    let (head, rest) = all.split_at(usize::from(matches!(all.first(), Some(None))));
    let space = height.saturating_sub(head.len());
    let at = rest.iter().position(|row| is_chosen(model, *row)).unwrap_or(0);
    let first = (at + 1).saturating_sub(space.max(1));
    head.iter().chain(rest.iter().skip(first).take(space)).take(height).copied().collect()
}

fn is_chosen(model: &Model, row: Option<&Entry>) -> bool {
    row.map(|entry| entry.peer.key.as_str()) == model.chosen_row()
}

/// The conversation on a row of the list, counted from its top: `Some(None)` for the server's.
pub(crate) fn row_at(model: &Model, area: Rect, row: usize) -> Option<Option<&Entry>> {
    let filters = model.focus.list().is_some_and(|list| list.filter.is_some());
    let height = usize::from(area.height.saturating_sub(u16::from(filters)));
    shown_rows(model, height).get(row).copied()
}

fn conversations(model: &Model, area: Rect, painter: &mut Painter<'_>) -> Caret {
    let mut caret = None;
    for (row, found) in shown_rows(model, usize::from(area.height)).into_iter().enumerate() {
        let line = Painter::row(area, row);
        let chosen = is_chosen(model, found);
        entry(model, found, chosen, line, painter);
        if chosen {
            caret = Some(Position::new(line.x, line.y));
        }
    }
    caret.filter(|_| model.focus.list().is_some())
}

/// What is typed to filter the list.
fn filter(model: &Model, typed: &Composer, line: Rect, painter: &mut Painter<'_>) -> Caret {
    let is_typing = model.focus.list().is_some_and(|list| list.typing);
    let style = if is_typing { painter.theme.strong() } else { painter.theme.dim() };
    let at = painter.put(line, 1, "/", style);
    let (text, column) = field_view(typed, usize::from(line.width.saturating_sub(at)));
    painter.put(line, at, &text, style);
    let x = line.x + at + u16::try_from(column).unwrap_or(0);
    is_typing.then(|| Position::new(x.min(line.right().saturating_sub(1)), line.y))
}

fn entry(model: &Model, entry: Option<&Entry>, chosen: bool, line: Rect, painter: &mut Painter<'_>) {
    let glyphs = model.prefs.glyphs;
    let unread = entry.map_or(0, |entry| entry.unread);
    let open = model.open.as_deref() == entry.map(|entry| entry.peer.key.as_str());
    let mut style = if unread > 0 { painter.theme.strong() } else { painter.theme.text() };
    if chosen {
        style = style.patch(painter.theme.select());
        painter.fill(line, style);
    }
    if chosen || open {
        painter.put(line, 0, glyphs.marker, style);
    }
    let badge = match entry {
        Some(_) if unread > 99 => "99+".to_owned(),
        Some(_) if unread > 0 => unread.to_string(),
        Some(entry) if !entry.draft.is_empty() && !open => glyphs.draft.to_owned(),
        Some(entry) if entry.chosen.muted => "muted".to_owned(),
        Some(entry) if entry.chosen.pinned => "pinned".to_owned(),
        _ => String::new(),
    };
    let name = entry.map_or(SERVER, |entry| entry.peer.name.as_str());
    let presence = entry.map_or(" ", |entry| glyphs.presence(model.people.of(&entry.peer.key)));
    painter.put(line, 1, presence, style);
    let used = if badge.is_empty() { 0 } else { width(&badge) + 1 };
    let room = usize::from(line.width).saturating_sub(3 + used);
    painter.put(line, 3, &ellipsis(name, room, glyphs.ellipsis), style);
    painter.put_right(line, &badge, style);
}

/// What to do where there is no conversation yet.
pub(crate) fn hint(area: Rect, painter: &mut Painter<'_>) {
    let text = "No conversations yet. Ctrl+K and type a name, or /list to see who is here.";
    let columns = usize::from(area.width.saturating_sub(2));
    for (row, line) in crate::text::wrap::wrap(text, columns).into_iter().enumerate() {
        let line = &text[line];
        painter.put(Painter::row(area, row), 1, line, painter.theme.dim());
    }
}
