//! The first and the last row: who, what just happened, and how the connection is.
//!
//! The status row drops whole parts by rank and never cuts one: a word about security must not be the one that gives
//! way.

use ratatui::layout::{Position, Rect};

use super::{Caret, Painter};
use crate::config::Server;
use crate::event::Guard;
use crate::text::wrap::{ellipsis, width};
use crate::tui::focus::Focus;
use crate::tui::layout::Areas;
use crate::tui::model::{Entry, Link, Model, SERVER};
use crate::tui::people::Presence;

/// Columns of the name of whoever a message did not go to.
const FAILED_NAME: usize = 12;

/// Parts of the status row, in the order of their rank: what is dropped last comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) left: Vec<String>,
    pub(crate) right: Vec<String>,
}

/// The title row: the conversation, and a remark on the right.
pub(crate) fn title(model: &Model, areas: &Areas, painter: &mut Painter<'_>) {
    let bar = painter.theme.bar();
    painter.fill(areas.title, bar);
    let name = model.entry().map_or(SERVER, |entry| entry.peer.name.as_str());
    let ellipsis_mark = model.prefs.glyphs.ellipsis;
    let columns = usize::from(areas.title.width);
    let name = ellipsis(name, (columns / 2).max(8), ellipsis_mark);
    let end = painter.put(areas.title, 1, &name, bar);
    let word = match model.presence() {
        Presence::Unknown => None,
        Presence::Online => Some("online"),
        Presence::Offline { .. } => Some("offline"),
    };
    let sign = model.prefs.glyphs.presence(model.presence());
    let end = word.map_or(end, |word| painter.put(areas.title, end + 2, &format!("{sign} {word}"), bar));
    let right = Rect { x: end + 2, width: areas.title.width.saturating_sub(end + 2), ..areas.title };
    let unread = model.unread();
    let text = match &model.toast {
        Some(toast) => toast.text.clone(),
        None if areas.narrow && unread > 0 => format!("{unread} unread"),
        None => return,
    };
    let first = text.lines().next().unwrap_or_default();
    let room = usize::from(right.width.saturating_sub(1));
    let inner = Rect { width: right.width.saturating_sub(1), ..right };
    painter.put_right(inner, &ellipsis(first, room, ellipsis_mark), bar);
}

/// The status row, and the caret where it has the keys.
pub(crate) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) -> Caret {
    let bar = painter.theme.bar();
    painter.fill(area, bar);
    if matches!(model.focus, Focus::Status) {
        painter.put(area, 0, model.prefs.glyphs.marker, bar);
    }
    let parts = parts(model, usize::from(area.width));
    let separator = format!(" {} ", model.prefs.glyphs.bar);
    let mut at = 1;
    for (number, part) in parts.left.iter().enumerate() {
        if number > 0 {
            at = painter.put(area, at, &separator, bar);
        }
        at = painter.put(area, at, part, bar);
    }
    let inner = Rect { width: area.width.saturating_sub(1), ..area };
    painter.put_right(inner, &parts.right.join("  "), bar);
    matches!(model.focus, Focus::Status).then(|| Position::new(area.x, area.y))
}

/// What of the status fits into `columns` columns.
pub(crate) fn parts(model: &Model, columns: usize) -> Parts {
    let security = security(model);
    let help = "F1 help".to_owned();
    let states = states(model);
    // The longest word for the state that leaves room for the word about security.
    let room = columns.saturating_sub(security.map_or(0, |word| width(word) + 3) + 2);
    let shortest = states.last().cloned().unwrap_or_default();
    let state = states.into_iter().find(|state| width(state) <= room).unwrap_or(shortest);
    let mut parts = Parts { left: vec![state], right: Vec::new() };
    let unread = model.unread();
    let unread = (unread > 0).then(|| format!("{unread} unread"));
    let account = model.identity.as_ref().filter(|_| model.form.is_none());
    let account = account.map(|identity| format!("{}@{}", identity.user, identity.server));
    let (narrow, widest) = model.areas().map_or((true, false), |areas| (areas.narrow, areas.widest));
    let ranks = [
        security.map(|word| (true, word.to_owned())),
        failed(model).filter(|_| model.form.is_none()).map(|text| (true, text)),
        Some((false, help)),
        unread.filter(|_| !narrow || model.form.is_some()).map(|text| (false, text)),
        account.map(|text| (true, text)),
        widest.then(|| (false, "Ctrl+K jump".to_owned())),
    ];
    for (left, text) in ranks.into_iter().flatten() {
        let mut next = parts.clone();
        if left {
            next.left.push(text);
        } else {
            next.right.push(text);
        }
        if taken(&next) > columns {
            break;
        }
        parts = next;
    }
    // Help has the highest rank on this side, and stands at the edge.
    if !parts.right.is_empty() {
        parts.right.rotate_left(1);
    }
    parts
}

/// Whose messages were refused and not looked after.
fn failed(model: &Model) -> Option<String> {
    let failed: Vec<&Entry> = model.chats.iter().filter(|entry| !entry.failed.is_empty()).collect();
    let first = ellipsis(&failed.first()?.peer.name, FAILED_NAME, model.prefs.glyphs.ellipsis);
    let count: usize = failed.iter().map(|entry| entry.failed.len()).sum();
    let others = if failed.len() > 1 { format!(" +{}", failed.len() - 1) } else { String::new() };
    Some(format!("{} {count} not sent: {first}{others}", model.prefs.glyphs.cross))
}

/// How well the connection is guarded, or would be guarded after the login; nothing where there is no server.
pub(crate) fn security(model: &Model) -> Option<&'static str> {
    let local = match (&model.form, &model.guard) {
        (Some(form), _) => {
            let server = Server::parse(form.server.text().trim()).ok()?;
            !model.trust_of(&server).wants_tls(&server)
        }
        (None, Some(guard)) => *guard == Guard::Plain,
        (None, None) => model.identity.as_ref()?.local,
    };
    Some(if local { "plain (local)" } else { "TLS" })
}

/// The state in words, the longest first.
fn states(model: &Model) -> Vec<String> {
    let glyphs = model.prefs.glyphs;
    // Whoever is asked to log in has no use for a connection that has ended.
    let ended = matches!(model.link, Link::Stopped | Link::Ended) && model.form.is_some();
    let link = if ended { &Link::Idle } else { &model.link };
    let words: Vec<String> = match link {
        Link::Idle => vec!["not connected".into()],
        Link::Connecting => vec!["connecting".into()],
        Link::Online => {
            let online = match (model.getting, model.round_trip) {
                (Some((got, waiting)), _) => format!("getting {got} of {waiting}"),
                (None, Some(time)) => format!("online {}ms", time.as_millis()),
                (None, None) => "online".into(),
            };
            let held = (model.held > 0 && model.getting.is_none())
                .then(|| [format!("{} waiting: /deliver", model.held), format!("{} waiting", model.held)]);
            held.into_iter().flatten().chain([online, "online".into()]).collect()
        }
        Link::Offline { until } => {
            let left = until.saturating_duration_since(model.now.at).as_millis().div_ceil(1_000);
            vec![format!("offline, retry in {left}s"), "offline".into()]
        }
        Link::Stopped | Link::Ended => vec!["offline, /reconnect".into(), "offline".into()],
    };
    let sign = match link {
        Link::Idle => glyphs.presence_unknown,
        Link::Online => glyphs.online,
        Link::Connecting => glyphs.ellipsis,
        Link::Offline { .. } | Link::Stopped | Link::Ended => glyphs.cross,
    };
    let mut states: Vec<String> = words.into_iter().map(|words| format!("{sign} {words}")).collect();
    states.push(sign.to_owned());
    states
}

/// Columns that the parts take, with their margins and what stands between them.
fn taken(parts: &Parts) -> usize {
    let sum = |parts: &[String], between: usize| {
        parts.iter().map(|part| width(part)).sum::<usize>() + between * parts.len().saturating_sub(1)
    };
    let right = sum(&parts.right, 2);
    1 + sum(&parts.left, 3) + if right > 0 { 2 + right } else { 0 } + 1
}
