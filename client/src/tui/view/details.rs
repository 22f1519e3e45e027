//! The column on the right of a wide screen: what the ticks mean, how the server is, what waits.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::messages::tick_style;
use super::{Painter, status};
use crate::delivery::Delivery;
use crate::event::Guard;
use crate::text::wrap::wrap;
use crate::tui::help::{LEGEND, meaning};
use crate::tui::model::Model;
use crate::tui::pane::written;
use crate::tui::people::Presence;

/// A line of the column.
enum Line {
    Heading(&'static str),
    Text(String),
    Tick(Delivery),
}

pub(crate) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let (heading, plain) = (painter.theme.accent(), painter.theme.text());
    for row in 0..usize::from(area.height) {
        painter.put(Painter::row(area, row), 0, model.prefs.glyphs.bar, painter.theme.border());
    }
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(3), ..area };
    for (row, line) in lines(model, usize::from(inner.width)).iter().enumerate() {
        let row = Painter::row(inner, row);
        match line {
            Line::Heading(text) => painter.put(row, 0, text, heading),
            Line::Text(text) => painter.put(row, 0, text, plain),
            Line::Tick(state) => {
                painter.put(row, 0, model.prefs.glyphs.tick(*state), tick_style(*state, painter));
                painter.put(row, 4, &meaning(*state), plain)
            }
        };
    }
}

/// How the connection is guarded, and the key that people compare, in rows of `columns`.
fn guard(model: &Model, columns: usize) -> Vec<String> {
    let (key, by, since) = match &model.guard {
        Some(Guard::Key { key, since }) => (key, "key known", since),
        Some(Guard::Authority { key, since }) => (key, "by an authority", since),
        _ => return status::security(model).map(str::to_owned).into_iter().collect(),
    };
    let since = since.as_ref().map(|day| format!(" since {day}")).unwrap_or_default();
    let mut lines = vec!["TLS 1.3".to_owned(), format!("{by}{since}")];
    let key = key.to_string();
    lines.extend(wrap(&key, columns).into_iter().map(|line| key[line].to_owned()));
    lines
}

/// What is known of somebody.
fn words(model: &Model, presence: Presence) -> String {
    match presence {
        Presence::Unknown => "presence is not told".into(),
        Presence::Online => "online, seen now".into(),
        Presence::Offline { seen_ms: None } => "offline".into(),
        Presence::Offline { seen_ms: Some(seen_ms) } => {
            let seen = Timestamp::from_millisecond(seen_ms).unwrap_or_default();
            format!("offline, seen {}", written(&model.prefs.ui.time, &seen.to_zoned(model.zone.clone())))
        }
    }
}

fn lines(model: &Model, columns: usize) -> Vec<Line> {
    let mut lines = vec![Line::Heading("Conversation")];
    match model.entry() {
        None => lines.push(Line::Text("what the server says".into())),
        Some(entry) => {
            lines.push(Line::Text(entry.peer.name.clone()));
            let presence = model.people.of(&entry.peer.key);
            let sign = model.prefs.glyphs.presence(presence);
            lines.push(Line::Text(format!("{sign} {}", words(model, presence))));
        }
    }
    lines.extend([Line::Text(String::new()), Line::Heading("Delivery")]);
    lines.extend(LEGEND.iter().map(|state| Line::Tick(*state)));
    lines.extend([Line::Text(String::new()), Line::Heading("Server")]);
    if let Some(identity) = &model.identity {
        lines.push(Line::Text(identity.server.clone()));
    }
    lines.extend(guard(model, columns).into_iter().map(Line::Text));
    if let Some(time) = model.round_trip {
        lines.push(Line::Text(format!("round trip {}ms", time.as_millis())));
        let all: Vec<String> = model.round_trips.iter().map(|time| time.as_millis().to_string()).collect();
        lines.push(Line::Text(format!("last: {} ms", all.join(" "))));
    }
    lines.extend([Line::Text(String::new()), Line::Heading("Outbox")]);
    lines.push(Line::Text(format!("{} waiting", model.unsent.len())));
    lines
}
