//! Messages as lines: what a piece of a conversation looks like at a width, and how to move over it.
//!
//! Lines are laid out from the anchor upwards until the pane is full, so a frame costs what it shows. A message with
//! what stands above it, a day or a divider, is a block; a place is a line of a block.

#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::window::{Scroll, Window};
use crate::delivery::Delivery;
use crate::event::Message;
use crate::settings::Emoji;
use crate::text::emoji;
use crate::text::wrap::{folded, width, wrap};

/// Columns of a time at most.
const TIME_MAX: usize = 16;
/// A space and up to two ticks.
const TICKS: usize = 3;
/// The nick column is as wide as the longer of two names, within these bounds.
const NICK: (usize, usize) = (3, 8);

/// How messages are laid out.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Columns of the pane, without margins.
    pub(crate) columns: usize,
    /// No nick column: the name has a line of its own.
    pub(crate) narrow: bool,
    /// Who we are.
    pub(crate) me: String,
    /// Columns of the nick column; 0 for none.
    pub(crate) nick: usize,
    pub(crate) zone: TimeZone,
    /// Now, in ms since 1970.
    pub(crate) wall_ms: i64,
    /// How times and days are written, and emoji.
    pub(crate) forms: Forms,
}

/// How times and days are written, and emoji.
#[derive(Clone, Debug)]
pub(crate) struct Forms {
    time: String,
    date: String,
    emoji: Emoji,
    /// Columns of a time, and of the space behind it.
    time_columns: usize,
}

impl Forms {
    /// Patterns of strftime.
    pub(crate) fn new(time: &str, date: &str, emoji: Emoji) -> Forms {
        // The longest names there are, and two digits wherever they can be.
        let long = jiff::civil::date(2026, 9, 23).at(23, 59, 59, 0).to_zoned(TimeZone::UTC);
        let columns = long.map_or(0, |long| width(&written(time, &long))).min(TIME_MAX);
        let time_columns = if columns == 0 { 0 } else { columns + 1 };
        Forms { time: time.to_owned(), date: date.to_owned(), emoji, time_columns }
    }
}

/// A moment by a pattern; nothing where the pattern is none, which whoever reads the settings has refused.
pub(crate) fn written(pattern: &str, at: &Zoned) -> String {
    jiff::fmt::strtime::format(pattern, at).unwrap_or_default()
}

/// A line of the pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A day begins.
    Day(String),
    /// What follows was unread.
    New,
    /// Whose message follows, where there is no nick column.
    Name { name: String, mine: bool },
    /// A line of a message.
    Text { time: Option<String>, nick: Option<String>, text: String, tick: Option<Delivery>, mine: bool },
    /// Why a message of ours failed.
    Reason(String),
}

impl Line {
    /// It is of a message, not what stands above one.
    pub(crate) fn is_said(&self) -> bool {
        matches!(self, Line::Name { .. } | Line::Text { .. } | Line::Reason(_))
    }
}

/// A place: a line of the block of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) item: usize,
    pub(crate) line: usize,
}

/// A piece of a conversation, laid out on demand.
pub(crate) struct Pane<'a> {
    pub(crate) window: &'a Window,
    pub(crate) look: &'a Look,
}

impl Look {
    /// The columns of the nick column for two people.
    pub(crate) fn nick_columns(me: &str, them: &str) -> usize {
        width(me).max(width(them)).clamp(NICK.0, NICK.1)
    }

    fn indent(&self) -> usize {
        if self.narrow || self.nick == 0 { self.time() } else { self.time() + self.nick + 1 }
    }

    /// Columns before nick and text. Whoever sees no times still sees where a message of several lines begins.
    pub(crate) fn time(&self) -> usize {
        self.forms.time_columns.min(self.columns / 3).max(2)
    }

    /// Columns of text in a line.
    fn text_columns(&self) -> usize {
        self.columns.saturating_sub(self.indent() + TICKS).max(4)
    }

    fn local(&self, time_ms: i64) -> Zoned {
        Timestamp::from_millisecond(time_ms).unwrap_or_default().to_zoned(self.zone.clone())
    }

    fn day(&self, at: &Zoned) -> String {
        let day = written(&self.forms.date, at);
        if at.date() != self.local(self.wall_ms).date() {
            return day;
        }
        // The year of today is known, where it is what stands at the end.
        let year = at.strftime(" %Y").to_string();
        format!("Today, {}", day.strip_suffix(&year).unwrap_or(&day))
    }
}

impl Pane<'_> {
    /// The lines of the message at `item`, with what stands above it.
    pub(crate) fn block(&self, item: usize) -> Vec<Line> {
        let Some(message) = self.window.items.get(item) else { return Vec::new() };
        let before = item.checked_sub(1).and_then(|before| self.window.items.get(before));
        let at = self.look.local(message.time_ms);
        let then = before.map(|before| self.look.local(before.time_ms));
        let mut lines = Vec::new();
        if then.as_ref().is_none_or(|then| then.date() != at.date()) {
            lines.push(Line::Day(self.look.day(&at)));
        }
        if self.window.new_from == Some(message.n) {
            lines.push(Line::New);
        }
        let fresh = !lines.is_empty();
        let same_sender = before.is_some_and(|before| before.mine == message.mine) && !fresh;
        let minute = |time: &Zoned| (time.hour(), time.minute());
        let same_minute = then.is_some_and(|then| minute(&then) == minute(&at)) && !fresh;
        let name = if message.mine { &self.look.me } else { &message.peer.name };
        if self.look.narrow && self.look.nick > 0 && !same_sender {
            lines.push(Line::Name { name: name.clone(), mine: message.mine });
        }
        let time = (!same_minute).then(|| written(&self.look.forms.time, &at));
        let nick = (!self.look.narrow && self.look.nick > 0 && !same_sender).then(|| name.clone());
        self.text(message, time, nick, &mut lines);
        lines
    }

    fn text(
        &self,
        message: &Message,
        mut time: Option<String>,
        mut nick: Option<String>,
        lines: &mut Vec<Line>,
    ) {
        let columns = self.look.text_columns();
        let text = folded(&message.text);
        let text = emoji::shown(&text, self.look.forms.emoji);
        let text = &*text;
        let rows: Vec<String> = wrap(text, columns).into_iter().map(|row| text[row].to_owned()).collect();
        let last = rows.len() - 1;
        for (at, text) in rows.into_iter().enumerate() {
            let tick = (message.mine && at == last).then_some(message.state);
            lines.push(Line::Text { time: time.take(), nick: nick.take(), text, tick, mine: message.mine });
        }
        if let Some(reason) = trouble(message) {
            lines.extend(wrap(&reason, columns).into_iter().map(|row| Line::Reason(reason[row].to_owned())));
        }
    }

    fn height(&self, item: usize) -> usize {
        self.block(item).len()
    }

    /// The last place.
    fn end(&self) -> Place {
        let item = self.window.items.len().saturating_sub(1);
        Place { item, line: self.height(item).saturating_sub(1) }
    }

    /// The place that the bottom row shows.
    pub(crate) fn bottom(&self) -> Place {
        match self.window.scroll {
            Scroll::Follow => self.end(),
            Scroll::At { n, line } => {
                let item = self.window.index(n);
                Place { item, line: line.min(self.height(item).saturating_sub(1)) }
            }
        }
    }

    /// Messages below the bottom row.
    pub(crate) fn below(&self) -> usize {
        self.window.items.len().saturating_sub(self.bottom().item + 1)
    }

    /// The lines of a pane of `rows` rows, from top to bottom; fewer where there are no more.
    pub(crate) fn visible(&self, rows: usize) -> Vec<Line> {
        self.seen(rows).into_iter().map(|(_, line)| line).collect()
    }

    /// The same, each with the place of the message that it belongs to.
    pub(crate) fn seen(&self, rows: usize) -> Vec<(i64, Line)> {
        let mut lines = Vec::new();
        if self.window.items.is_empty() {
            return lines;
        }
        let bottom = self.bottom();
        let mut item = bottom.item;
        let mut block = self.block(item);
        block.truncate(bottom.line + 1);
        loop {
            let n = self.window.items[item].n;
            lines.extend(block.into_iter().rev().map(|line| (n, line)));
            if lines.len() >= rows || item == 0 {
                break;
            }
            item -= 1;
            block = self.block(item);
        }
        lines.truncate(rows);
        lines.reverse();
        lines
    }

    /// `lines` lines up from `from`; the first place where there are not so many.
    fn up(&self, from: Place, lines: usize) -> Place {
        let (mut place, mut left) = (from, lines);
        while left > place.line {
            if place.item == 0 {
                return Place { item: 0, line: 0 };
            }
            left -= place.line + 1;
            place.item -= 1;
            place.line = self.height(place.item).saturating_sub(1);
        }
        Place { line: place.line - left, ..place }
    }

    /// `lines` lines down from `from`; the last place where there are not so many.
    fn down(&self, from: Place, lines: usize) -> Place {
        let (mut place, mut left) = (from, lines);
        loop {
            let below = self.height(place.item).saturating_sub(1).saturating_sub(place.line);
            if left <= below {
                return Place { line: place.line + left, ..place };
            }
            if place.item + 1 >= self.window.items.len() {
                return self.end();
            }
            left -= below + 1;
            place = Place { item: place.item + 1, line: 0 };
        }
    }

    /// The scroll position `lines` lines up, in a pane of `rows` rows that stays full where it can.
    pub(crate) fn scrolled_up(&self, lines: usize, rows: usize) -> Scroll {
        if self.window.items.is_empty() {
            return Scroll::Follow;
        }
        let place = self.up(self.bottom(), lines);
        let highest = self.down(Place { item: 0, line: 0 }, rows.saturating_sub(1));
        self.scroll(place.max(highest))
    }

    /// The scroll position `lines` lines down; at the end it follows.
    pub(crate) fn scrolled_down(&self, lines: usize) -> Scroll {
        if self.window.items.is_empty() {
            return Scroll::Follow;
        }
        self.scroll(self.down(self.bottom(), lines))
    }

    /// The scroll position with the divider on the top row; follows where everything below it fits.
    pub(crate) fn at_divider(&self, rows: usize) -> Option<Scroll> {
        let item = self.window.items.iter().position(|message| Some(message.n) == self.window.new_from)?;
        let line = self.block(item).iter().position(|line| *line == Line::New).unwrap_or(0);
        Some(self.scroll(self.down(Place { item, line }, rows.saturating_sub(1))))
    }

    /// The scroll position that shows all of the message at `n`, moved as little as can be; `None` where it is not in
    /// memory, or on the screen already.
    pub(crate) fn in_view(&self, n: i64, rows: usize) -> Option<Scroll> {
        let item = self.item(n)?;
        let (first, last) =
            (Place { item, line: 0 }, Place { item, line: self.height(item).saturating_sub(1) });
        let bottom = self.bottom();
        if last > bottom {
            return Some(self.scroll(last));
        }
        let lowest = self.down(first, rows.saturating_sub(1));
        (lowest < bottom).then(|| self.scroll(lowest.max(last)))
    }

    /// The scroll position that shows the message at `n` with as much around it as there is room for.
    pub(crate) fn in_middle(&self, n: i64, rows: usize) -> Option<Scroll> {
        let item = self.item(n)?;
        let last = Place { item, line: self.height(item).saturating_sub(1) };
        Some(self.scroll(self.down(last, rows / 3)))
    }

    fn item(&self, n: i64) -> Option<usize> {
        self.window.at(n).map(|_| self.window.index(n))
    }

    /// True where the top of a pane of `rows` rows is within one pane of the first message.
    pub(crate) fn is_near_start(&self, rows: usize) -> bool {
        self.up(self.bottom(), rows * 2) == Place { item: 0, line: 0 }
    }

    fn scroll(&self, place: Place) -> Scroll {
        if place == self.end() && !self.window.newer {
            return Scroll::Follow;
        }
        Scroll::At { n: self.window.items[place.item].n, line: place.line }
    }
}

/// What stands below a message of ours that did not simply go.
fn trouble(message: &Message) -> Option<String> {
    let why = message.reason.as_deref();
    match message.state {
        _ if !message.mine => None,
        Delivery::Outbox => why.map(|why| format!("waits: {why}")),
        Delivery::Unknown => why.map(|why| format!("may have arrived: {why}")),
        Delivery::Failed => {
            let why = why.unwrap_or("no reason given");
            Some(format!("not sent: {why} (/retry sends it again, /drop forgets it)"))
        }
        Delivery::Returned => Some(format!("came back: {}", why.unwrap_or("no reason given"))),
        _ => None,
    }
}
