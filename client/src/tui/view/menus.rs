//! What stands over the rest for one message: what can be done with it, its links, all that is known of it.

use ratatui::layout::Rect;

use super::overlays::{chosen_style, first_shown, frame, wrapped};
use super::{Caret, Painter};
use crate::delivery::Delivery;
use crate::event::{Message, Steps};
use crate::text::links::Link;
use crate::text::wrap::ellipsis;
use crate::tui::model::Model;
use crate::tui::update::{LINK_COLUMNS, deeds, link_fits, link_lines};

/// Columns of the menu, and of what says more.
const MENU: u16 = 40;
const WIDE: u16 = LINK_COLUMNS;

pub(super) fn menu(model: &Model, n: i64, chosen: usize, painter: &mut Painter<'_>) -> Caret {
    let deeds = model.shown().at(n).map(deeds).unwrap_or_default();
    let rows = u16::try_from(deeds.len()).unwrap_or(u16::MAX).saturating_add(2);
    let inner = frame(model, "This message", MENU, rows, painter);
    let first = first_shown(chosen, usize::from(inner.height));
    let mut caret = None;
    for (at, doable) in deeds.iter().enumerate().skip(first) {
        let row = Painter::row(inner, at - first);
        let style = chosen_style(at == chosen, row, painter);
        painter.put(row, 0, &doable.key.to_string(), style.patch(painter.theme.strong()));
        painter.put(row, 3, doable.words, style);
        caret = if at == chosen { Some(row.as_position()) } else { caret };
    }
    caret
}

/// A link as a whole, and above it the server that it leads to: that is what a person has to look at.
pub(super) fn link(model: &Model, links: &[Link], chosen: usize, painter: &mut Painter<'_>) -> Caret {
    let lines = links.get(chosen).map(|link| link_lines(model.size, link)).unwrap_or_default();
    if links.get(chosen).is_some_and(|link| !link_fits(model.size, link)) {
        return said(
            model,
            "Open this link?",
            &lines,
            "too long to be opened here    y copy    Esc",
            painter,
        );
    }
    let keys = match links.len() {
        0 | 1 => "Enter open    y copy    Esc cancel".to_owned(),
        count => format!("{} of {count}, Up Down    Enter open    y copy    Esc", chosen + 1),
    };
    said(model, "Open this link?", &lines, &keys, painter)
}

/// Everything that is known of a message.
pub(super) fn about(
    model: &Model,
    message: &Message,
    steps: Option<&Steps>,
    painter: &mut Painter<'_>,
) -> Caret {
    let moment = |time_ms: i64| model.local_of(time_ms).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let mut lines = Vec::new();
    if !message.peer.key.is_empty() {
        let id = message.id.map_or_else(|| "none yet".to_owned(), |id| id.0.to_string());
        let (from, to) = if message.mine { ("to", &message.peer) } else { ("from", &message.peer) };
        lines.push(format!("id      {id}"));
        lines.push(format!("here    {}", message.n));
        lines.push(format!("{from:<8}{}", to.address.as_deref().unwrap_or(&to.name)));
    }
    lines.push(format!("time    {}", moment(message.time_ms)));
    lines.push(format!("length  {} bytes", message.text.len()));
    if message.mine && !message.peer.key.is_empty() {
        let tick = model.prefs.glyphs.tick(message.state);
        lines.push(format!("state   {tick} {}", message.state.words()));
        lines.extend(message.reason.as_ref().map(|reason| format!("reason  {reason}")));
        lines.push(String::new());
        let known = steps.map_or(&[][..], |steps| &steps.steps);
        let line = |(state, time_ms): &(Delivery, i64)| format!("{}  {}", moment(*time_ms), state.words());
        lines.extend(known.iter().map(line));
    }
    let lines: Vec<String> = lines.iter().flat_map(|line| wrapped(model, line, WIDE)).collect();
    said(model, "This message", &lines, "Enter close    y copy", painter)
}

/// A frame with lines, and the keys below them whatever the room.
fn said(model: &Model, title: &str, lines: &[String], keys: &str, painter: &mut Painter<'_>) -> Caret {
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(3);
    let inner = frame(model, title, WIDE, rows, painter);
    let space = usize::from(inner.height).saturating_sub(1);
    let (plain, strong) = (painter.theme.text(), painter.theme.strong());
    let mut put = |row: Rect, text: &str, style| {
        let text = ellipsis(text, usize::from(row.width), model.prefs.glyphs.ellipsis);
        painter.put(row, 0, &text, style);
    };
    for (row, line) in lines.iter().take(space).enumerate() {
        put(Painter::row(inner, row), line, plain);
    }
    put(Painter::row(inner, space), keys, strong);
    None
}
