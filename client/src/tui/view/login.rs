//! The login: a small form in the middle of the screen, and the status row below.

use ratatui::layout::{Position, Rect};

use super::overlays::frame;
use super::{Caret, Painter, field_view, status};
use crate::text::wrap::wrap;
use crate::tui::form::{Form, Slot};
use crate::tui::layout::Areas;
use crate::tui::model::Model;

/// A line of the form.
enum Line {
    Blank,
    Field(Slot),
    Remember,
    Hint(&'static str),
    Warning(String),
    Error(String),
    Busy(String),
}

/// Columns in front of a field's text: its name, and the mark of the one that is typed in.
const LABEL: u16 = 11;

pub(crate) fn draw(model: &Model, form: &Form, areas: &Areas, painter: &mut Painter<'_>) -> Caret {
    painter.fill(areas.title, painter.theme.bar());
    painter.put(areas.title, 1, "bellhop", painter.theme.bar());
    status::draw(model, areas.status, painter);
    let (columns, rows) = model.size;
    let wide = columns >= 62;
    let columns = if wide { 60 } else { columns };
    let lines =
        lines(form, wide, usize::from(columns.saturating_sub(4)), usize::from(rows.saturating_sub(4)));
    let title = if form.creating { "New account" } else { "Welcome" };
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let inner = frame(model, title, columns, height, painter);
    let mut caret = None;
    for (row, line) in lines.iter().enumerate() {
        let row = Painter::row(inner, row);
        match line {
            Line::Blank => {}
            Line::Field(slot) => caret = field(model, form, *slot, row, painter).or(caret),
            Line::Remember => caret = remember(form, row, painter).or(caret),
            Line::Hint(text) => {
                painter.put(row, 0, text, painter.theme.dim());
            }
            Line::Warning(text) => {
                painter.put(row, 0, text, painter.theme.strong());
            }
            Line::Error(text) => {
                painter.put(row, 0, text, painter.theme.error());
            }
            Line::Busy(text) => {
                painter.put(row, 0, text, painter.theme.strong());
            }
        }
    }
    caret
}

/// The lines that fit into `rows`: first the blanks go, then the hints, then the fields above the one that is typed in.
fn lines(form: &Form, wide: bool, columns: usize, rows: usize) -> Vec<Line> {
    let mut lines = vec![Line::Blank];
    for slot in form.slots() {
        lines.push(if *slot == Slot::Remember { Line::Remember } else { Line::Field(*slot) });
        lines.push(Line::Blank);
    }
    lines.extend(hints(wide, form.creating).map(Line::Hint));
    lines.push(Line::Blank);
    if let Some(warning) = form.warning() {
        lines.extend(wrap(&warning, columns).into_iter().map(|line| Line::Warning(warning[line].to_owned())));
    }
    if let Some(error) = &form.error {
        lines.extend(wrap(error, columns).into_iter().map(|line| Line::Error(error[line].to_owned())));
    }
    lines.extend(form.busy.map(|busy| Line::Busy(format!("{busy} (Esc gives up)"))));
    let over = |lines: &Vec<Line>| lines.len() > rows;
    if over(&lines) {
        lines.retain(|line| !matches!(line, Line::Blank));
    }
    if over(&lines) {
        lines.retain(|line| !matches!(line, Line::Hint(_)));
    }
    if over(&lines) {
        let here = lines.iter().position(|line| match line {
            Line::Field(slot) => *slot == form.slot(),
            Line::Remember => form.slot() == Slot::Remember,
            _ => false,
        });
        let first = here.unwrap_or(0).min(lines.len() - rows);
        lines.drain(..first);
        lines.truncate(rows);
    }
    lines
}

fn hints(wide: bool, creating: bool) -> [&'static str; 2] {
    let enter = match (wide, creating) {
        (true, false) => "Enter  log in    Ctrl+N  new account",
        (true, true) => "Enter  create this account    Esc  log in instead",
        (false, false) => "Enter log in   Ctrl+N new account",
        (false, true) => "Enter create   Esc log in instead",
    };
    let others = match wide {
        true => "Tab next field   Ctrl+T show password   F1 help",
        false => "Tab next  Ctrl+T show  F1 help",
    };
    [enter, others]
}

fn remember(form: &Form, row: Rect, painter: &mut Painter<'_>) -> Caret {
    let mark = if form.remember { "[x]" } else { "[ ]" };
    let at = painter.put(row, 0, &format!("{mark} Remember me on this machine"), painter.theme.text());
    let here = form.slot() == Slot::Remember && row.height > 0;
    here.then(|| {
        painter.put(row, at + 1, "(Space)", painter.theme.dim());
        Position::new(row.x + 1, row.y)
    })
}

fn field(model: &Model, form: &Form, slot: Slot, row: Rect, painter: &mut Painter<'_>) -> Caret {
    let name = match slot {
        Slot::Server => "Server",
        Slot::Name => "Name",
        Slot::Password => "Password",
        Slot::Again => "Again",
        Slot::Remember => return None,
    };
    let glyphs = model.prefs.glyphs;
    let here = form.slot() == slot;
    painter.put(row, 0, name, painter.theme.text());
    if here {
        painter.put(row, LABEL - 1, glyphs.marker, painter.theme.strong());
    }
    let typed = form.field(slot)?;
    let hidden = matches!(slot, Slot::Password | Slot::Again) && !form.reveal;
    let masked = hidden.then(|| typed.masked(0, glyphs.mask));
    let room = usize::from(row.width.saturating_sub(LABEL));
    let (text, column) = field_view(masked.as_ref().unwrap_or(typed), room);
    painter.put(row, LABEL, &text, painter.theme.text());
    let x = row.x + LABEL + u16::try_from(column).unwrap_or(0);
    (here && row.height > 0).then(|| Position::new(x.min(row.right().saturating_sub(1)), row.y))
}
