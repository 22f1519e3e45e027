//! The column on the right of a wide screen: what the ticks mean, how the server is, what waits.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Painter, status};
use crate::delivery::Delivery;
use crate::tui::model::Model;

/// The states of the legend, in the order in which a message goes through them.
const LEGEND: &[Delivery] = &[
    Delivery::Outbox,
    Delivery::Sending,
    Delivery::Sent,
    Delivery::Queued,
    Delivery::Delivered,
    Delivery::Read,
    Delivery::Unknown,
    Delivery::Failed,
    Delivery::Returned,
];

pub(crate) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let (heading, plain) = (painter.theme.strong(), painter.theme.text());
    for row in 0..usize::from(area.height) {
        painter.put(Painter::row(area, row), 0, model.prefs.glyphs.bar, painter.theme.border());
    }
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(3), ..area };
    for (row, (text, is_heading)) in lines(model).iter().enumerate() {
        let style: Style = if *is_heading { heading } else { plain };
        painter.put(Painter::row(inner, row), 0, text, style);
    }
}

fn lines(model: &Model) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    let heading = |text: &str, lines: &mut Vec<(String, bool)>| {
        if !lines.is_empty() {
            lines.push((String::new(), false));
        }
        lines.push((text.to_owned(), true));
    };
    heading("Conversation", &mut lines);
    match model.entry() {
        None => lines.push(("what the server says".into(), false)),
        Some(entry) => {
            lines.push((entry.peer.name.clone(), false));
            let presence = format!("{} presence is not told", model.prefs.glyphs.presence_unknown);
            lines.push((presence, false));
        }
    }
    heading("Delivery", &mut lines);
    for state in LEGEND {
        let hint = if *state == Delivery::Failed { " (/retry)" } else { "" };
        lines.push((format!("{:<3} {}{hint}", model.prefs.glyphs.tick(*state), state.words()), false));
    }
    heading("Server", &mut lines);
    if let Some(identity) = &model.identity {
        lines.push((identity.server.clone(), false));
    }
    lines.extend(status::security(model).map(|word| (word.to_owned(), false)));
    if let Some(time) = model.round_trip {
        lines.push((format!("round trip {}ms", time.as_millis()), false));
        let all: Vec<String> = model.round_trips.iter().map(|time| time.as_millis().to_string()).collect();
        lines.push((format!("last: {} ms", all.join(" ")), false));
    }
    heading("Outbox", &mut lines);
    lines.push((format!("{} waiting", model.unsent.len()), false));
    lines
}
