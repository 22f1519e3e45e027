//! The rule and the box: what is being written, and what it would do.

use ratatui::layout::{Position, Rect};

use super::{Caret, Painter};
use crate::raw::{RawOp, masked_field};
use crate::text::wrap::ellipsis;
use crate::tui::layout::Areas;
use crate::tui::model::{Link, Model};
use crate::tui::typed::{self, COMMANDS, Typed};
use crate::tui::update::too_long;

/// The row above the box: a rule, or what is to be known before Enter. It never moves the text.
pub(crate) fn rule(model: &Model, areas: &Areas, painter: &mut Painter<'_>) {
    let margin = areas.margin();
    let area = Rect { x: areas.rule.x + margin, width: areas.rule.width - margin, ..areas.rule };
    let theme = painter.theme;
    let below = model.with_pane(|pane, _| pane.below()).unwrap_or(0);
    let (text, style) = match (preview(model), below) {
        (Some(text), _) => (text, theme.strong()),
        (None, 0) => return painter.line(area, 0, model.prefs.glyphs.rule, theme.border()),
        (None, below) => {
            let more = if model.shown().newer { "+" } else { "" };
            let text = format!("{below}{more} newer below, Ctrl+End");
            let rule = model.prefs.glyphs.rule;
            let at = painter.put(area, 0, &format!("{rule}{rule} {text} "), theme.new_mark());
            return painter.line(area, at, rule, theme.border());
        }
    };
    let text = ellipsis(&text, usize::from(area.width), model.prefs.glyphs.ellipsis);
    painter.put(area, 0, &text, style);
}

/// What Enter would do with the box, where that is not plain.
pub(crate) fn preview(model: &Model) -> Option<String> {
    let text = model.composer.text();
    match typed::parse(text, model.composer.is_pasted()) {
        Typed::Op(op) => Some(decoded(&op, model.prefs.glyphs.mask)),
        Typed::Wrong(reason) => match text.strip_prefix('/').filter(|start| !start.contains(' ')) {
            Some(start) => Some(suggested(start).unwrap_or(reason)),
            None => Some(reason),
        },
        Typed::Command(command, _) => {
            let form = format!("/{} {}", command.name, command.arguments);
            Some(format!("{}  {}", form.trim_end(), command.help))
        }
        Typed::Message(message) if too_long(message).is_some() => too_long(message),
        Typed::Message(message) if message.len() < text.len() => Some(format!("sends {message}")),
        Typed::Message(message) if typed::written(message, model.composer.is_pasted()) != message => {
            Some("pasted: sent as a message".into())
        }
        Typed::Message(_) | Typed::Nothing => None,
    }
}

fn suggested(start: &str) -> Option<String> {
    let names: Vec<String> = COMMANDS
        .iter()
        .filter(|command| command.name.starts_with(start))
        .map(|command| format!("/{}", command.name))
        .collect();
    (!names.is_empty()).then(|| names.join("  "))
}

/// `RAW op 5 SEND  [bob] [hello]`
fn decoded(op: &RawOp<'_>, mask: &str) -> String {
    let name = op.op.map_or("", bellhop_protocol::OpCode::name);
    let mut text = format!("RAW op {} {name} ", op.number);
    for (field, value) in op.fields() {
        text.push_str(&format!(" [{}]", masked_field(field, value, mask)));
    }
    if op.is_destructive() {
        text.push_str(" - asks before it runs");
    } else if typed::message_of(op).is_some() {
        text.push_str(" - sent as a message");
    }
    text
}

/// The box, with the caret where the next letter goes.
pub(crate) fn composer(model: &Model, areas: &Areas, painter: &mut Painter<'_>) -> Caret {
    let margin = areas.margin();
    let area = Rect { x: areas.composer.x + margin, width: areas.composer.width - margin, ..areas.composer };
    let theme = painter.theme;
    let op = matches!(typed::parse(model.composer.text(), model.composer.is_pasted()), Typed::Op(_));
    painter.put(area, 0, if op { "#" } else { ">" }, theme.strong());
    if model.composer.is_empty() {
        painter.put(area, 2, placeholder(model), theme.dim());
        return Some(Position::new((area.x + 2).min(area.right().saturating_sub(1)), area.y));
    }
    let masked =
        model.composer.secret_start().map(|start| model.composer.masked(start, model.prefs.glyphs.mask));
    let composer = masked.as_ref().unwrap_or(&model.composer).shown();
    let rows = composer.rows(areas.box_columns());
    let height = usize::from(area.height);
    let first = (rows.caret_row + 1).saturating_sub(height);
    for (row, range) in rows.rows.iter().skip(first).take(height).enumerate() {
        let text = composer.text()[range.clone()].trim_end_matches('\n');
        painter.put(Painter::row(area, row), 2, text, theme.text());
    }
    let x = area.x + 2 + u16::try_from(rows.caret_column).unwrap_or(u16::MAX - area.x - 2);
    let y = area.y + u16::try_from(rows.caret_row - first).unwrap_or(0);
    Some(Position::new(x.min(area.right().saturating_sub(1)), y))
}

fn placeholder(model: &Model) -> &'static str {
    match (&model.open, &model.link) {
        (None, _) => "/command, or op|text",
        (Some(_), Link::Online | Link::Connecting) => "Message, /command, or op|text",
        (Some(_), Link::Ended) => "Not connected: /reconnect comes before a message",
        (Some(_), _) => "Offline: messages are kept and sent later",
    }
}
