//! What stands over the rest: a frame in the middle, and what is in it.

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::{Caret, Painter, field_view};
use crate::text::wrap::{ellipsis, width, wrap};
use crate::tui::composer::{BOX_MAX, Composer};
use crate::tui::help;
use crate::tui::model::{Found, Model, Overlay, SERVER};
use crate::tui::update::MESSAGE_MAX;

/// Columns of the keys in the help.
const KEYS: usize = 30;

pub(crate) fn draw(model: &Model, overlay: &Overlay, painter: &mut Painter<'_>) -> Caret {
    match overlay {
        Overlay::Help { filter, chosen } => help(model, filter, *chosen, painter),
        Overlay::Jump { query, found, chosen } => jump(model, query, found, *chosen, painter),
        Overlay::Paste { text } => paste(model, text, painter),
        Overlay::Delete { name, password, on_password, by_hand } => {
            delete(model, name, password, *on_password, by_hand.is_some(), painter)
        }
        Overlay::Quit => {
            let count = model.unsent.len();
            let text = match count {
                0 => "Nothing is left to be sent.".to_owned(),
                1 => "1 message is not at the server yet. It is kept, and goes out the next time.".to_owned(),
                count => format!(
                    "{count} messages are not at the server yet. They are kept, and go out the next time."
                ),
            };
            question(model, "Quit?", &text, &["y quit    n stay"], painter)
        }
    }
}

/// Draws an empty frame in the middle. Returns what is inside of it.
pub(crate) fn frame(model: &Model, title: &str, columns: u16, rows: u16, painter: &mut Painter<'_>) -> Rect {
    let glyphs = model.prefs.glyphs;
    let (screen_columns, screen_rows) = model.size;
    let (columns, rows) = (columns.min(screen_columns), rows.min(screen_rows.saturating_sub(2)).max(2));
    let area = Rect::new((screen_columns - columns) / 2, (screen_rows - rows) / 2, columns, rows);
    let style = painter.theme.text();
    painter.cut(area);
    painter.fill(area, style);
    let [top_left, top_right, bottom_left, bottom_right] = glyphs.corners;
    let (first, last) = (Painter::row(area, 0), Painter::row(area, usize::from(rows) - 1));
    for (row, left, right) in [(first, top_left, top_right), (last, bottom_left, bottom_right)] {
        painter.line(row, 0, glyphs.rule, style);
        painter.put(row, 0, left, style);
        painter.put_right(row, right, style);
    }
    let title = ellipsis(title, usize::from(columns).saturating_sub(6), glyphs.ellipsis);
    painter.put(first, 2, &format!(" {title} "), painter.theme.strong());
    for row in 1..usize::from(rows) - 1 {
        painter.put(Painter::row(area, row), 0, glyphs.bar, style);
        painter.put_right(Painter::row(area, row), glyphs.bar, style);
    }
    Rect::new(area.x + 2, area.y + 1, columns.saturating_sub(4), rows - 2)
}

/// A field with a prompt on the first row of `area`, and the caret in it.
fn field(area: Rect, prompt: &str, typed: &Composer, painter: &mut Painter<'_>) -> Caret {
    let at = painter.put(area, 0, prompt, painter.theme.strong());
    let room = usize::from(area.width.saturating_sub(at));
    let (text, column) = field_view(typed, room);
    painter.put(area, at, &text, painter.theme.text());
    let x = area.x + at + u16::try_from(column).unwrap_or(0);
    (area.height > 0).then(|| Position::new(x.min(area.right().saturating_sub(1)), area.y))
}

/// Rows of a list that keep the chosen one in view: the first that is shown.
fn first_shown(chosen: usize, rows: usize) -> usize {
    (chosen + 1).saturating_sub(rows.max(1))
}

fn chosen_style(is_chosen: bool, row: Rect, painter: &mut Painter<'_>) -> Style {
    let style = if is_chosen { painter.theme.bar() } else { painter.theme.text() };
    if is_chosen {
        painter.fill(row, style);
    }
    style
}

fn help(model: &Model, filter: &Composer, chosen: usize, painter: &mut Painter<'_>) -> Caret {
    let rows = help::rows(filter.text());
    let wanted = u16::try_from(help::rows("").len()).unwrap_or(u16::MAX).saturating_add(3);
    let inner = frame(model, "Keys (type to filter, Esc closes)", 78, wanted, painter);
    let caret = field(Painter::row(inner, 0), ">", filter, painter);
    let space = usize::from(inner.height).saturating_sub(1);
    let first = first_shown(chosen, space);
    let keys = KEYS.min(usize::from(inner.width) / 2);
    for (at, line) in rows.iter().enumerate().skip(first).take(space) {
        let row = Painter::row(inner, 1 + at - first);
        let style = chosen_style(at == chosen, row, painter);
        let shown = ellipsis(&line.keys, keys.saturating_sub(1), model.prefs.glyphs.ellipsis);
        painter.put(row, 0, &shown, style.patch(painter.theme.strong()));
        let room = usize::from(row.width).saturating_sub(keys);
        let text = ellipsis(&line.text, room, model.prefs.glyphs.ellipsis);
        painter.put(row, keys as u16, &text, style);
    }
    caret
}

fn jump(model: &Model, query: &Composer, found: &[Found], chosen: usize, painter: &mut Painter<'_>) -> Caret {
    let wanted = u16::try_from(found.len()).unwrap_or(u16::MAX).saturating_add(4).max(6);
    let inner = frame(model, "Jump to", 54, wanted, painter);
    let caret = field(Painter::row(inner, 0), ">", query, painter);
    let space = usize::from(inner.height).saturating_sub(2);
    let first = first_shown(chosen, space);
    for (at, line) in found.iter().enumerate().skip(first).take(space) {
        let row = Painter::row(inner, 2 + at - first);
        let style = chosen_style(at == chosen, row, painter);
        let (name, right) = match line {
            Found::Server => (SERVER.to_owned(), String::new()),
            Found::Chat { name, unread: 0, .. } => (name.clone(), String::new()),
            Found::Chat { name, unread, .. } => (name.clone(), format!("{unread} unread")),
            Found::Stranger(peer) => (format!("Message {}", peer.name), String::new()),
        };
        let room = usize::from(row.width).saturating_sub(width(&right) + 1);
        painter.put(row, 0, &ellipsis(&name, room, model.prefs.glyphs.ellipsis), style);
        painter.put_right(row, &right, style);
    }
    if found.is_empty() {
        painter.put(Painter::row(inner, 2), 0, "no such name", painter.theme.dim());
    }
    caret
}

/// Lines of the paste that are shown in its question.
const SAMPLE: usize = 3;

fn paste(model: &Model, text: &str, painter: &mut Painter<'_>) -> Caret {
    let count = text.lines().count();
    let mut lines: Vec<String> = text.lines().take(SAMPLE).map(str::to_owned).collect();
    if count > SAMPLE {
        lines.push(format!("{} {} more", model.prefs.glyphs.ellipsis, count - SAMPLE));
    }
    lines.push(String::new());
    if model.composer.text().len() + text.len() > BOX_MAX {
        lines.push(format!("{} kB are more than the box holds", text.len().div_ceil(1_000)));
        lines.push("Esc cancel".into());
    } else if text.len() > MESSAGE_MAX {
        let over = (text.len() - MESSAGE_MAX) as f64 / 1_000.0;
        lines.push(format!("{over:.1} kB over the usual limit of a message"));
        lines.push("i insert    Esc cancel".into());
    } else if model.entry().is_some() && model.composer.is_empty() {
        lines.push("i insert    s send as one    Esc cancel".into());
    } else {
        lines.push("i insert    Esc cancel".into());
    }
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let title = format!("Paste {count} line{}?", if count == 1 { "" } else { "s" });
    let inner = frame(model, &title, 54, rows, painter);
    for (row, line) in lines.iter().enumerate() {
        let line = ellipsis(line, usize::from(inner.width), model.prefs.glyphs.ellipsis);
        painter.put(Painter::row(inner, row), 0, &line, painter.theme.text());
    }
    None
}

fn question(model: &Model, title: &str, text: &str, keys: &[&str], painter: &mut Painter<'_>) -> Caret {
    let columns = model.size.0.min(54);
    let lines = wrap(text, usize::from(columns.saturating_sub(4)));
    let rows = u16::try_from(lines.len() + keys.len() + 3).unwrap_or(u16::MAX);
    let inner = frame(model, title, columns, rows, painter);
    let count = lines.len();
    for (row, line) in lines.into_iter().enumerate() {
        painter.put(Painter::row(inner, row), 0, &text[line], painter.theme.text());
    }
    for (row, line) in keys.iter().enumerate() {
        painter.put(Painter::row(inner, count + 1 + row), 0, line, painter.theme.strong());
    }
    None
}

fn delete(
    model: &Model,
    name: &Composer,
    password: &Composer,
    on_password: bool,
    by_hand: bool,
    painter: &mut Painter<'_>,
) -> Caret {
    let me = model.identity.as_ref().map_or("", |identity| identity.user.as_str());
    let text = format!("This deletes the account {me} and everything that waits for it, for good.");
    let columns = model.size.0.min(60);
    let lines = wrap(&text, usize::from(columns.saturating_sub(4)));
    let rows = u16::try_from(lines.len() + 7).unwrap_or(u16::MAX);
    let inner = frame(model, "Delete this account?", columns, rows, painter);
    let count = lines.len();
    for (row, line) in lines.into_iter().enumerate() {
        painter.put(Painter::row(inner, row), 0, &text[line], painter.theme.text());
    }
    let in_name = field(Painter::row(inner, count + 1), "Type its name:  ", name, painter);
    let masked = password.masked(0, model.prefs.glyphs.mask);
    let in_password = if by_hand {
        None
    } else {
        field(Painter::row(inner, count + 2), "Password, if any: ", &masked, painter)
    };
    let hint = if by_hand { "Enter delete    Esc cancel" } else { "Tab next    Enter delete    Esc cancel" };
    painter.put(Painter::row(inner, count + 4), 0, hint, painter.theme.strong());
    if on_password { in_password } else { in_name }
}
