//! The rule and the box: what is being written, and what it would do.

use ratatui::layout::{Position, Rect};

use super::{Caret, Painter, field_view};
use crate::raw::{RawOp, masked_field};
use crate::text::wrap::{ellipsis, width};
use crate::tui::focus::{Focus, Search};
use crate::tui::layout::Areas;
use crate::tui::model::{Link, Model};
use crate::tui::typed::{self, COMMANDS, Typed};
use crate::tui::update::{MESSAGE_MAX, too_long};

/// Columns that what is looked for has at least.
const QUERY_MIN: usize = 8;
/// Rows of what a word may become.
const COMPLETION_ROWS: usize = 5;

/// The row above the box: a rule, or what is to be known before Enter. It never moves the text.
pub(crate) fn rule(model: &Model, areas: &Areas, painter: &mut Painter<'_>) -> Caret {
    let margin = areas.margin();
    let area = Rect { x: areas.rule.x + margin, width: areas.rule.width - margin, ..areas.rule };
    let theme = painter.theme;
    match &model.focus {
        Focus::Search(search) => return find(model, search, area, painter),
        Focus::Pick(_) if model.is_normal() => return keys(&NORMAL_KEYS, area, painter),
        Focus::Pick(_) => return keys(&PICK_KEYS, area, painter),
        Focus::List(_) => return keys(&LIST_KEYS, area, painter),
        Focus::Status => return keys(&STATUS_KEYS, area, painter),
        Focus::Box => {}
    }
    let below = model.with_pane(|pane, _| pane.below()).unwrap_or(0);
    let (text, style) = match (preview(model), below) {
        (Some(text), _) => (text, theme.strong()),
        (None, below) => {
            let more = if model.shown().newer { "+" } else { "" };
            let newer = (below > 0).then(|| format!("{below}{more} newer below, Ctrl+End"));
            let said: Vec<String> = newer.into_iter().chain(typing(model)).collect();
            if said.is_empty() {
                painter.line(area, 0, model.prefs.glyphs.rule, theme.border());
                return None;
            }
            let room = usize::from(area.width).saturating_sub(4);
            let text = ellipsis(&said.join(", "), room, model.prefs.glyphs.ellipsis);
            let rule = model.prefs.glyphs.rule;
            let at = painter.put(area, 0, &format!("{rule}{rule} {text} "), theme.new_mark());
            painter.line(area, at, rule, theme.border());
            return None;
        }
    };
    let text = ellipsis(&text, usize::from(area.width), model.prefs.glyphs.ellipsis);
    painter.put(area, 0, &text, style);
    None
}

const PICK_KEYS: [&str; 3] = [
    "Enter menu  y copy  o link  r retry  u unread  i info  Esc",
    "Enter menu  y copy  u unread  Esc",
    "Enter menu  Esc",
];
const NORMAL_KEYS: [&str; 3] = [
    "NORMAL  i write  : run  / find  Enter menu  y copy  ? help",
    "NORMAL  i write  : run  Enter menu",
    "NORMAL  i write",
];
const LIST_KEYS: [&str; 3] =
    ["Enter open  / filter  u unread  m mute  p pin  Esc box", "Enter / u m p  Esc box", "Enter  Esc"];
const STATUS_KEYS: [&str; 2] = ["Enter connects now  Esc box", "Enter  Esc"];

/// The keys of whoever has them, in the longest words that fit.
fn keys(wordings: &[&str], area: Rect, painter: &mut Painter<'_>) -> Caret {
    let columns = usize::from(area.width);
    let words = wordings.iter().find(|words| width(words) <= columns).or(wordings.last());
    painter.put(area, 0, words.copied().unwrap_or_default(), painter.theme.strong());
    None
}

/// What is looked for, and how far it got.
fn find(model: &Model, search: &Search, area: Rect, painter: &mut Painter<'_>) -> Caret {
    let theme = painter.theme;
    let prompt = if search.everywhere { "find in all: " } else { "find: " };
    let start = painter.put(area, 0, prompt, theme.strong());
    let found = found(search);
    let widen = if search.everywhere { "Tab this chat" } else { "Tab all chats" };
    let whole = format!("{found}   Up/Down  {widen}  Esc back");
    let short = format!("{found}  Tab Esc");
    let room = usize::from(area.width.saturating_sub(start));
    // Whoever types has to see it.
    let behind = [whole.as_str(), short.as_str(), found.as_str(), ""]
        .into_iter()
        .find(|text| width(text) + 3 + QUERY_MIN.max(width(search.query.text()) + 1) <= room)
        .unwrap_or_default();
    let field = room.saturating_sub(width(behind) + 3).max(1);
    let (text, column) = field_view(&search.query, field);
    let shown = ellipsis(&text, field, model.prefs.glyphs.ellipsis);
    let end = painter.put(area, start, &shown, theme.text());
    painter.put(area, end + 3, behind, theme.dim());
    let x = area.x + start + u16::try_from(column).unwrap_or(0);
    Some(Position::new(x.min(area.right().saturating_sub(1)), area.y))
}

/// `2 of 7`
fn found(search: &Search) -> String {
    let more = if search.asked.is_some() || search.next.is_some() { "+" } else { "" };
    match search.hits.len() {
        0 if search.query.text().trim().is_empty() => String::new(),
        0 if search.asked.is_some() => "looking".into(),
        0 => "nothing found".into(),
        count => format!("{} of {count}{more}", search.at + 1),
    }
}

/// What the word in the box may become, above the box: over the messages, which do not move.
pub(crate) fn completion(model: &Model, areas: &Areas, painter: &mut Painter<'_>) {
    let Some(completion) = &model.completion else { return };
    let margin = areas.margin();
    let rows = completion.items.len().min(COMPLETION_ROWS).min(usize::from(areas.pane.height));
    let first = (completion.chosen + 1).saturating_sub(rows.max(1));
    let widest = completion.items.iter().map(|item| width(item.text.trim_end())).max().unwrap_or(0);
    let top = areas.rule.y.saturating_sub(rows as u16);
    let area =
        Rect { x: areas.rule.x + margin, y: top, width: areas.rule.width - margin, height: rows as u16 };
    painter.cut(area);
    for (row, (at, item)) in completion.items.iter().enumerate().skip(first).take(rows).enumerate() {
        let line = Painter::row(area, row);
        let style = if at == completion.chosen { painter.theme.bar() } else { painter.theme.text() };
        painter.fill(line, style);
        let text = ellipsis(item.text.trim_end(), usize::from(line.width), model.prefs.glyphs.ellipsis);
        painter.put(line, 0, &text, style);
        let at = u16::try_from(widest + 2).unwrap_or(u16::MAX);
        let room = usize::from(line.width.saturating_sub(at));
        let note = ellipsis(&item.note, room, model.prefs.glyphs.ellipsis);
        painter.put(line, at, &note, style.patch(painter.theme.dim()));
    }
}

/// That the other side is writing, while it is.
fn typing(model: &Model) -> Option<String> {
    let entry = model.entry().filter(|entry| model.people.is_typing(&entry.peer.key))?;
    Some(format!("{} is typing", entry.peer.name))
}

/// What Enter would do with the box, where that is not plain.
pub(crate) fn preview(model: &Model) -> Option<String> {
    let text = model.composer.text();
    match typed::parse_as(text, model.composer.is_pasted(), model.prefs.ui.raw_ops) {
        Typed::Op(op) => Some(decoded(&op, model.prefs.glyphs.mask)),
        Typed::Wrong(reason) => match text.strip_prefix('/').filter(|start| !start.contains(' ')) {
            Some(start) => Some(suggested(start).unwrap_or(reason)),
            None => Some(reason),
        },
        Typed::Command(command, _) => {
            let form = format!("/{} {}", command.name, command.arguments);
            Some(format!("{}  {}", form.trim_end(), command.help))
        }
        Typed::Message(message) if message.len() > MESSAGE_MAX => too_long(message.len()),
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
    let op = matches!(
        typed::parse_as(model.composer.text(), model.composer.is_pasted(), model.prefs.ui.raw_ops),
        Typed::Op(_)
    );
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
