//! The conversations: which is open, who has written, what is unread.

use ratatui::layout::Rect;

use super::Painter;
use crate::text::wrap::{ellipsis, width};
use crate::tui::model::{Entry, Model, SERVER};

/// Draws the list; with a bar on its right where something is beside it.
pub(crate) fn draw(model: &Model, area: Rect, bar: bool, painter: &mut Painter<'_>) {
    let inner = Rect { width: area.width.saturating_sub(u16::from(bar)), ..area };
    let rows = usize::from(area.height);
    let (open, first) = (open_row(model), first_row(model, area));
    for row in 0..rows {
        let at = first + row;
        let line = Painter::row(inner, row);
        match at.checked_sub(1) {
            None => entry(model, None, at == open, line, painter),
            Some(at) => {
                if let Some(found) = model.chats.get(at) {
                    entry(model, Some(found), at + 1 == open, line, painter);
                }
            }
        }
        if bar {
            let edge = Rect { x: inner.right(), width: 1, ..Painter::row(area, row) };
            painter.put(edge, 0, model.prefs.glyphs.bar, painter.theme.border());
        }
    }
    if model.chats.is_empty() {
        let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
        hint(below, painter);
    }
}

/// The row of the list that is open; 0 is the server's.
fn open_row(model: &Model) -> usize {
    match &model.open {
        None => 0,
        Some(key) => model.chats.iter().position(|entry| entry.peer.key == *key).map_or(0, |at| at + 1),
    }
}

/// The row of the list at the top of its area: the open one stays in view.
pub(crate) fn first_row(model: &Model, area: Rect) -> usize {
    (open_row(model) + 1).saturating_sub(usize::from(area.height))
}

fn entry(model: &Model, entry: Option<&Entry>, open: bool, line: Rect, painter: &mut Painter<'_>) {
    let glyphs = model.prefs.glyphs;
    let unread = entry.map_or(0, |entry| entry.unread);
    let mut style = if unread > 0 { painter.theme.strong() } else { painter.theme.text() };
    if open {
        style = style.patch(painter.theme.select());
        painter.fill(line, style);
        painter.put(line, 0, glyphs.marker, style);
    }
    let badge = match entry {
        Some(_) if unread > 99 => "99+".to_owned(),
        Some(_) if unread > 0 => unread.to_string(),
        Some(entry) if !entry.draft.is_empty() && !open => glyphs.draft.to_owned(),
        _ => String::new(),
    };
    let name = entry.map_or(SERVER, |entry| entry.peer.name.as_str());
    // The wire does not tell who is there.
    let presence = if entry.is_some() { glyphs.presence_unknown } else { " " };
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
