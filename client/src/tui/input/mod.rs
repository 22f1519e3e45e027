//! What the terminal reports becomes what a person meant: pure, so that every trace is tested on every system.
//!
//! * A paste never ends in keys: what follows it within [`JOIN`] belongs to it.
//! * An escape that was split on its way neither types nor sends: a lone Esc is held for [`HOLD`].
//! * Where pastes come as keys (Windows), keys closer than [`JOIN`] are one paste.
//!
//! `traces/` holds what terminals report, and what becomes of it.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};

use super::key::{Code, Key};

/// Keys closer than this were not typed by fingers.
const JOIN: Duration = Duration::from_millis(8);
/// How long the rest of an escape sequence may lag behind its first byte.
const HOLD: Duration = Duration::from_millis(50);
/// Pieces closer than this came in one.
const TOGETHER: Duration = Duration::from_millis(2);
/// A burst of this many characters is a paste even without a line end.
const BURST_MIN: usize = 16;
/// Fingers, and releases that never came.
const DOWN_MAX: usize = 16;
/// An escape sequence is not longer.
const SEQUENCE_MAX: usize = 16;

/// What a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Key(Key),
    Paste(String),
    Resize(u16, u16),
    /// The window has the focus now, or not.
    Focus(bool),
    Mouse(Mouse),
}

/// What the mouse did, and in which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mouse {
    pub(crate) kind: MouseKind,
    pub(crate) column: u16,
    pub(crate) row: u16,
}

/// What a mouse can do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MouseKind {
    /// The left button went down.
    Click,
    WheelUp,
    WheelDown,
}

/// What this terminal needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Habits {
    /// Escape sequences may arrive in pieces.
    pub(crate) hold_escape: bool,
    /// Pastes arrive as keys, and a character that no key has as the release of a key that was never pressed: the
    /// consoles of Windows.
    pub(crate) join_bursts: bool,
}

/// What is held back until more is known.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    /// Esc, and what may be the rest of its sequence; whether that came with it, as if there had been two.
    Escape { until: Instant, rest: String, twice: bool },
    /// Keys that may be a paste.
    Burst { until: Instant, keys: Vec<Key> },
}

/// Turns reports into input.
#[derive(Debug)]
pub(crate) struct Normaliser {
    habits: Habits,
    held: Held,
    paste_tail: Option<Instant>,
    /// Characters whose keys are down, in small letters; only what [`Normaliser::by_number`] needs.
    down: Vec<char>,
}

impl Normaliser {
    pub(crate) fn new(habits: Habits) -> Normaliser {
        Normaliser { habits, held: Held::Nothing, paste_tail: None, down: Vec::new() }
    }

    /// When to call [`Normaliser::expire`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.held {
            Held::Nothing => None,
            Held::Escape { until, .. } | Held::Burst { until, .. } => Some(*until),
        }
    }

    /// Nothing more came: what was held back is what it looked like.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Input> {
        match self.deadline() {
            Some(until) if now >= until => self.release(),
            _ => Vec::new(),
        }
    }

    /// Takes a report.
    pub(crate) fn feed(&mut self, now: Instant, event: Event) -> Vec<Input> {
        let mut inputs = self.expire(now);
        match event {
            Event::Key(key) => self.key(now, key, &mut inputs),
            Event::Paste(text) => {
                inputs.extend(self.release());
                self.paste_tail = Some(now + JOIN);
                inputs.push(Input::Paste(line_feeds(&text)));
            }
            Event::Resize(columns, rows) => inputs.push(Input::Resize(columns, rows)),
            Event::FocusGained => inputs.push(Input::Focus(true)),
            Event::FocusLost => inputs.push(Input::Focus(false)),
            Event::Mouse(event) => inputs.extend(mouse(event).map(Input::Mouse)),
        }
        inputs
    }

    fn key(&mut self, now: Instant, event: KeyEvent, inputs: &mut Vec<Input>) {
        let moves = !matches!(event.code, KeyCode::Char(_) | KeyCode::Enter | KeyCode::Esc | KeyCode::Tab);
        let by_number = self.habits.join_bursts && self.by_number(event);
        if event.kind == KeyEventKind::Release && !by_number || event.kind == KeyEventKind::Repeat && !moves {
            return;
        }
        let Some(key) = Key::from_event(event) else { return };
        if self.paste_tail.is_some_and(|until| now < until) {
            self.paste_tail = Some(now + JOIN);
            inputs.extend(as_text(key).map(|c| Input::Paste(c.into())));
            return;
        }
        self.paste_tail = None;
        if matches!(self.held, Held::Escape { .. }) {
            self.after_escape(now, key, inputs);
        } else if self.habits.hold_escape && key == Key::plain(Code::Esc) {
            self.held = Held::Escape { until: now + HOLD, rest: String::new(), twice: false };
        } else if self.habits.join_bursts && as_text(key).is_some() {
            match &mut self.held {
                Held::Burst { until, keys } => {
                    *until = now + JOIN;
                    keys.push(key);
                }
                _ => self.held = Held::Burst { until: now + JOIN, keys: vec![key] },
            }
        } else {
            inputs.extend(self.release());
            inputs.push(Input::Key(key));
        }
    }

    /// True where a release is a character of its own: typed by its number while Alt was held, or pasted where no key
    /// has it. Such a release has no press; of a key that had one, Shift may have changed the letter meanwhile.
    fn by_number(&mut self, event: KeyEvent) -> bool {
        let KeyCode::Char(c) = event.code else { return false };
        let small = c.to_lowercase().next().unwrap_or(c);
        let known = self.down.iter().position(|down| *down == small);
        match (event.kind, known) {
            (KeyEventKind::Release, Some(at)) => {
                self.down.remove(at);
                false
            }
            // Where AltGr was let go first, the release is that of a plain letter.
            (KeyEventKind::Release, None) => !c.is_ascii() && event.modifiers.is_empty(),
            (_, None) if self.down.len() < DOWN_MAX => {
                self.down.push(small);
                false
            }
            _ => false,
        }
    }

    fn after_escape(&mut self, now: Instant, key: Key, inputs: &mut Vec<Input>) {
        let Held::Escape { until, rest, twice } = &mut self.held else { return };
        match (key.typed(), rest.is_empty()) {
            (Some(c @ ('[' | 'O')), true) => {
                rest.push(c);
                *twice = now + HOLD < *until + TOGETHER;
                *until = now + HOLD;
            }
            (Some(c), false) => {
                rest.push(c);
                *until = now + HOLD;
                let complete = matches!(c, '@'..='~');
                if complete || rest.len() > SEQUENCE_MAX {
                    let (rest, twice) = (std::mem::take(rest), *twice);
                    self.held = Held::Nothing;
                    if rest == "[200~" {
                        self.paste_tail = Some(now + HOLD);
                        // One escape before this comes as a paste. Of two, a key and the mark of a paste, the library
                        // below makes one, and it was the key.
                        inputs.extend(twice.then_some(Input::Key(Key::plain(Code::Esc))));
                    }
                    inputs.extend(sequence(&rest).map(Input::Key));
                }
            }
            (Some(_), true) => {
                self.held = Held::Nothing;
                inputs.push(Input::Key(Key { alt: true, ..key }));
            }
            (None, true) if matches!(key.code, Code::Enter | Code::Tab | Code::Backspace) && !key.ctrl => {
                self.held = Held::Nothing;
                inputs.push(Input::Key(Key { alt: true, ..key }));
            }
            (None, _) => {
                inputs.extend(self.release());
                if self.habits.hold_escape && key == Key::plain(Code::Esc) {
                    self.held = Held::Escape { until: now + HOLD, rest: String::new(), twice: false };
                } else {
                    inputs.push(Input::Key(key));
                }
            }
        }
    }

    fn release(&mut self) -> Vec<Input> {
        match std::mem::take(&mut self.held) {
            Held::Nothing => Vec::new(),
            // Half a sequence is nothing that anybody typed.
            Held::Escape { rest, .. } if !rest.is_empty() => Vec::new(),
            Held::Escape { .. } => vec![Input::Key(Key::plain(Code::Esc))],
            Held::Burst { keys, .. } if is_paste(&keys) => {
                vec![Input::Paste(keys.into_iter().filter_map(as_text).collect())]
            }
            Held::Burst { keys, .. } => keys.into_iter().map(Input::Key).collect(),
        }
    }
}

/// What of the mouse means something; moves, other buttons and releases do not.
fn mouse(event: MouseEvent) -> Option<Mouse> {
    let kind = match event.kind {
        MouseEventKind::Down(MouseButton::Left) => MouseKind::Click,
        MouseEventKind::ScrollUp => MouseKind::WheelUp,
        MouseEventKind::ScrollDown => MouseKind::WheelDown,
        _ => return None,
    };
    Some(Mouse { kind, column: event.column, row: event.row })
}

/// A burst is a paste when it is long, or when something stands behind a line end: a fast last letter and Enter is not.
fn is_paste(keys: &[Key]) -> bool {
    let line_end = keys.iter().position(|key| key.code == Code::Enter);
    keys.len() >= BURST_MIN || line_end.is_some_and(|at| at + 1 < keys.len())
}

/// What a key stands for within a paste.
fn as_text(key: Key) -> Option<char> {
    match key.code {
        Code::Char(c) if !key.ctrl && !key.alt => Some(c),
        Code::Char('j' | 'm') if key.ctrl => Some('\n'),
        Code::Enter => Some('\n'),
        Code::Tab => Some('\t'),
        _ => None,
    }
}

fn line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The key of an escape sequence without its escape, as `[A` or `[1;5C`.
fn sequence(rest: &str) -> Option<Key> {
    let last = rest.chars().last()?;
    let body = rest.get(1..rest.len() - last.len_utf8())?;
    let mut numbers = body.split(';').map(|number| number.parse::<u32>().unwrap_or(0));
    let (first, held) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(1).max(1) - 1);
    let code = match (last, first) {
        ('A', _) => Code::Up,
        ('B', _) => Code::Down,
        ('C', _) => Code::Right,
        ('D', _) => Code::Left,
        ('H', _) | ('~', 1 | 7) => Code::Home,
        ('F', _) | ('~', 4 | 8) => Code::End,
        ('Z', _) => return Some(Key::shift(Code::Tab)),
        ('P', _) | ('~', 11) => Code::F(1),
        ('Q', _) | ('~', 12) => Code::F(2),
        ('R', _) | ('~', 13) => Code::F(3),
        ('S', _) | ('~', 14) => Code::F(4),
        ('~', 2) => Code::Insert,
        ('~', 3) => Code::Delete,
        ('~', 5) => Code::PageUp,
        ('~', 6) => Code::PageDown,
        ('~', 15) => Code::F(5),
        ('~', number @ 17..=21) => Code::F(number as u8 - 11),
        ('u', 13) => Code::Enter,
        ('u', 27) => Code::Esc,
        ('u', 9) => Code::Tab,
        ('u', 127) => Code::Backspace,
        _ => return None,
    };
    Some(Key { code, shift: held & 1 != 0, alt: held & 2 != 0, ctrl: held & 4 != 0 })
}
