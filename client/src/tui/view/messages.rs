//! The messages of the open conversation.

use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::{Caret, Painter, list};
use crate::delivery::Delivery;
use crate::text::seek::Seek;
use crate::text::wrap::{ellipsis, width};
use crate::tui::focus::Focus;
use crate::tui::layout::Areas;
use crate::tui::model::Model;
use crate::tui::pane::{Line, Look, Pane};
use crate::tui::window::Loading;

/// Draws the messages; and the caret where one is picked.
pub(crate) fn draw(model: &Model, areas: &Areas, painter: &mut Painter<'_>) -> Caret {
    let look = model.look(areas);
    let rows = usize::from(areas.pane.height);
    let pane = Pane { window: model.shown(), look: &look };
    let lines = pane.seen(rows);
    let text = inner(areas);
    // Messages stand on the box, not under the title.
    let above = rows - lines.len();
    let mut caret = None;
    for (row, (n, line)) in lines.iter().enumerate() {
        let row = Painter::row(text, above + row);
        self::line(model, &look, line, row, painter);
        mark_words(model, &look, *n, row, painter);
        if matches!(model.focus, Focus::Pick(picked) if picked == *n) && line.is_said() {
            let whole = Rect { x: areas.pane.x, width: areas.pane.width, ..row };
            painter.reverse(whole);
            caret = caret.or(Some(Position::new(whole.x, whole.y)));
        }
    }
    if model.chats.is_empty() && model.open.is_none() && areas.list.is_none() {
        list::hint(Rect { height: above as u16, ..areas.pane }, painter);
    }
    let note = match model.shown().loading {
        Loading::Older => Some("loading older messages"),
        Loading::Opening | Loading::Newest | Loading::From(_) if model.open.is_some() => Some("loading"),
        _ if model.open.is_some() && lines.is_empty() => Some("nothing was said yet"),
        _ => None,
    };
    if let Some(note) = note {
        painter.put(Painter::row(text, 0), 0, note, painter.theme.dim());
    }
    caret
}

/// Makes the words that are looked for stand out; most of all where they are shown.
fn mark_words(model: &Model, look: &Look, n: i64, row: Rect, painter: &mut Painter<'_>) {
    let Some(search) = model.focus.search() else { return };
    let Some(seek) = Seek::new(search.query.text()) else { return };
    let shown = search.hits.get(search.at).is_some_and(|hit| hit.n == n);
    let start = row.x + look.time() as u16;
    let (text, columns) = painter.text_of(Rect { x: start, width: row.right().saturating_sub(start), ..row });
    for place in seek.all(&text) {
        for (_, x) in columns.iter().filter(|(at, _)| place.contains(at)) {
            painter.mark(Position::new(*x, row.y), shown);
        }
    }
}

/// The pane without the margin on its left.
fn inner(areas: &Areas) -> Rect {
    let margin = areas.margin();
    Rect { x: areas.pane.x + margin, width: areas.pane.width - margin, ..areas.pane }
}

fn line(model: &Model, look: &Look, line: &Line, row: Rect, painter: &mut Painter<'_>) {
    let glyphs = model.prefs.glyphs;
    let theme = painter.theme;
    match line {
        Line::Day(day) => divider(day, glyphs.rule, theme.dim(), row, painter),
        Line::New => divider("new", glyphs.rule, theme.new_mark(), row, painter),
        Line::Name { name, mine } => {
            // No word of a message begins this far to the left, so none of its lines can pass for this one.
            let style = nick_style(name, *mine, painter).add_modifier(Modifier::BOLD);
            painter.put(row, 0, &ellipsis(name, look.columns, glyphs.ellipsis), style);
        }
        Line::Text { time, nick, text, tick, mine } => {
            if let Some(time) = time {
                let time = ellipsis(time, look.time().saturating_sub(1), glyphs.ellipsis);
                painter.put(row, 0, &time, theme.dim());
            }
            let mut at = look.time();
            if look.nick > 0 && !look.narrow {
                if let Some(nick) = nick {
                    let shown = ellipsis(nick, look.nick, glyphs.ellipsis);
                    let start = look.time() + look.nick - width(&shown);
                    painter.put(row, start as u16, &shown, nick_style(nick, *mine, painter));
                }
                at += look.nick + 1;
            }
            painter.put(row, at as u16, text, theme.text());
            if let Some(state) = tick {
                let place = Rect { x: row.x + (look.columns as u16).saturating_sub(2), width: 2, ..row };
                painter.put(place, 0, glyphs.tick(*state), tick_style(*state, painter));
            }
        }
        Line::Reason(reason) => {
            let at = if look.nick > 0 && !look.narrow { look.time() + look.nick + 1 } else { look.time() };
            painter.put(row, at as u16, reason, theme.error());
        }
    }
}

fn divider(text: &str, rule: &str, style: Style, row: Rect, painter: &mut Painter<'_>) {
    let at = painter.put(row, 0, &format!("{rule}{rule} {text} "), style);
    painter.line(row, at, rule, style);
}

fn nick_style(name: &str, mine: bool, painter: &Painter<'_>) -> Style {
    if mine { painter.theme.own() } else { painter.theme.nick(name) }
}

/// How the tick of a state looks.
pub(crate) fn tick_style(state: Delivery, painter: &Painter<'_>) -> Style {
    match state {
        Delivery::Read => painter.theme.good().add_modifier(Modifier::BOLD),
        Delivery::Unknown => painter.theme.warn(),
        Delivery::Failed | Delivery::Returned => painter.theme.error(),
        _ => painter.theme.dim(),
    }
}
