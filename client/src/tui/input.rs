//! What the terminal reports becomes what a person meant: pure, so that every trace is tested on every system.
//!
//! * A paste never ends in keys: what follows it within [`JOIN`] belongs to it.
//! * An escape that was split on its way neither types nor sends: a lone Esc is held for [`HOLD`].
//! * Where pastes come as keys (Windows), keys closer than [`JOIN`] are one paste.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind};

use super::key::{Code, Key};

/// Keys closer than this were not typed by fingers.
const JOIN: Duration = Duration::from_millis(8);
/// How long the rest of an escape sequence may lag behind its first byte.
const HOLD: Duration = Duration::from_millis(50);
/// A burst of this many characters is a paste even without a line end.
const BURST_MIN: usize = 16;
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
}

/// What this terminal needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Habits {
    /// Escape sequences may arrive in pieces.
    pub(crate) hold_escape: bool,
    /// Pastes arrive as keys.
    pub(crate) join_bursts: bool,
}

/// What is held back until more is known.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    /// Esc, and what may be the rest of its sequence.
    Escape { until: Instant, rest: String },
    /// Keys that may be a paste.
    Burst { until: Instant, keys: Vec<Key> },
}

/// Turns reports into input.
#[derive(Debug)]
pub(crate) struct Normaliser {
    habits: Habits,
    held: Held,
    paste_tail: Option<Instant>,
}

impl Normaliser {
    pub(crate) fn new(habits: Habits) -> Normaliser {
        Normaliser { habits, held: Held::Nothing, paste_tail: None }
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
            Event::Mouse(_) => {}
        }
        inputs
    }

    fn key(&mut self, now: Instant, event: KeyEvent, inputs: &mut Vec<Input>) {
        let moves = !matches!(event.code, KeyCode::Char(_) | KeyCode::Enter | KeyCode::Esc | KeyCode::Tab);
        if event.kind == KeyEventKind::Release || (event.kind == KeyEventKind::Repeat && !moves) {
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
            self.held = Held::Escape { until: now + HOLD, rest: String::new() };
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

    fn after_escape(&mut self, now: Instant, key: Key, inputs: &mut Vec<Input>) {
        let Held::Escape { until, rest } = &mut self.held else { return };
        match (key.typed(), rest.is_empty()) {
            (Some(c @ ('[' | 'O')), true) => {
                rest.push(c);
                *until = now + HOLD;
            }
            (Some(c), false) => {
                rest.push(c);
                *until = now + HOLD;
                let complete = matches!(c, '@'..='~');
                if complete || rest.len() > SEQUENCE_MAX {
                    let rest = std::mem::take(rest);
                    self.held = Held::Nothing;
                    if rest == "[200~" {
                        self.paste_tail = Some(now + HOLD);
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
                    self.held = Held::Escape { until: now + HOLD, rest: String::new() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyModifiers;

    const UNIX: Habits = Habits { hold_escape: true, join_bursts: false };
    const WINDOWS: Habits = Habits { hold_escape: false, join_bursts: true };

    #[expect(clippy::disallowed_methods, reason = "the clock of a test begins somewhere")]
    fn begin() -> Instant {
        Instant::now()
    }

    fn press(code: KeyCode) -> Event {
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn with(code: KeyCode, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, modifiers))
    }

    fn describe(input: Input) -> String {
        match input {
            Input::Key(key) => key.to_string(),
            Input::Paste(text) => format!("paste {text:?}"),
            Input::Resize(columns, rows) => format!("{columns}x{rows}"),
            Input::Focus(focus) => format!("focus {focus}"),
        }
    }

    /// Reports at their ms; what comes of them, long after the last one included.
    #[track_caller]
    fn check(habits: Habits, trace: &[(u64, Event)], expected: &[&str]) {
        let start = begin();
        let mut normaliser = Normaliser::new(habits);
        let mut inputs = Vec::new();
        for (ms, event) in trace {
            inputs.extend(normaliser.feed(start + Duration::from_millis(*ms), event.clone()));
        }
        inputs.extend(normaliser.expire(start + Duration::from_secs(60)));
        assert_eq!(normaliser.deadline(), None, "something is held for ever");
        let found: Vec<String> = inputs.into_iter().map(describe).collect();
        assert_eq!(found, expected, "{trace:?}");
    }

    fn typed(from: u64, apart: u64, text: &str) -> Vec<(u64, Event)> {
        let code = |c| if c == '\r' { KeyCode::Enter } else { KeyCode::Char(c) };
        let event = |(at, c)| (from + at as u64 * apart, press(code(c)));
        text.chars().enumerate().map(event).collect()
    }

    #[test]
    fn keys_in_one_form() {
        let char_with = |c, modifiers| with(KeyCode::Char(c), modifiers);
        check(UNIX, &[(0, char_with('A', KeyModifiers::SHIFT))], &["A"]);
        check(UNIX, &[(0, char_with('@', KeyModifiers::CONTROL | KeyModifiers::ALT))], &["@"]);
        check(UNIX, &[(0, char_with('K', KeyModifiers::CONTROL))], &["Ctrl+K"]);
        check(UNIX, &[(0, char_with('/', KeyModifiers::CONTROL))], &["Ctrl+_"]);
        check(UNIX, &[(0, with(KeyCode::Enter, KeyModifiers::SHIFT))], &["Shift+Enter"]);
        check(UNIX, &[(0, press(KeyCode::BackTab))], &["Shift+Tab"]);
        check(UNIX, &[(0, press(KeyCode::CapsLock))], &[]);
        check(UNIX, &[(0, Event::Resize(80, 24)), (1, Event::FocusLost)], &["80x24", "focus false"]);
    }

    #[test]
    fn releases_are_dropped_and_repeats_kept_for_movement() {
        let kind = |code, kind| (0, Event::Key(KeyEvent::new_with_kind(code, KeyModifiers::NONE, kind)));
        check(UNIX, &[kind(KeyCode::Char('a'), KeyEventKind::Release)], &[]);
        check(UNIX, &[kind(KeyCode::Char('a'), KeyEventKind::Repeat)], &[]);
        check(UNIX, &[kind(KeyCode::Left, KeyEventKind::Repeat)], &["Left"]);
        check(UNIX, &[kind(KeyCode::Backspace, KeyEventKind::Repeat)], &["Backspace"]);
    }

    #[test]
    fn a_paste_keeps_what_follows_its_own_end_mark() {
        let mut trace = vec![(0, Event::Paste("a\rb\r\nc".into()))];
        check(UNIX, &trace, &["paste \"a\\nb\\nc\""]);
        trace = vec![(0, Event::Paste("x".into()))];
        trace.extend(typed(1, 1, "\rrm\r"));
        check(UNIX, &trace, &["paste \"x\"", "paste \"\\n\"", "paste \"r\"", "paste \"m\"", "paste \"\\n\""]);
        check(UNIX, &[(0, Event::Paste("x".into())), (9, press(KeyCode::Enter))], &["paste \"x\"", "Enter"]);
    }

    #[test]
    fn a_split_escape_neither_types_nor_sends() {
        let escape = |ms| (ms, press(KeyCode::Esc));
        let char_at = |ms, c| (ms, press(KeyCode::Char(c)));
        check(UNIX, &[escape(0)], &["Esc"]);
        check(UNIX, &[escape(0), char_at(30, '['), char_at(31, 'A')], &["Up"]);
        check(UNIX, &[escape(0), char_at(30, 'O'), char_at(31, 'P')], &["F1"]);
        check(UNIX, &[escape(0), char_at(30, '['), char_at(31, '5'), char_at(32, '~')], &["PgUp"]);
        check(UNIX, &[escape(0), (30, press(KeyCode::Enter))], &["Alt+Enter"]);
        check(UNIX, &[escape(0), char_at(30, 'u')], &["Alt+U"]);
        check(UNIX, &[escape(0), char_at(60, '[')], &["Esc", "["]);
        check(UNIX, &[escape(0), char_at(30, '['), char_at(100, 'x')], &["X"]);
        check(UNIX, &[escape(0), (10, press(KeyCode::PageUp))], &["Esc", "PgUp"]);
        check(UNIX, &[escape(0), escape(20)], &["Esc", "Esc"]);
        let mut shift_enter = vec![escape(0)];
        shift_enter.extend(typed(10, 1, "[13;2u"));
        check(UNIX, &shift_enter, &["Shift+Enter"]);
        let mut ctrl_left = vec![escape(0)];
        ctrl_left.extend(typed(10, 1, "[1;5D"));
        check(UNIX, &ctrl_left, &["Ctrl+Left"]);
        check(WINDOWS, &[escape(0)], &["Esc"]);
    }

    #[test]
    fn a_split_start_of_a_paste_sends_nothing() {
        let mut trace = vec![(0, press(KeyCode::Esc))];
        trace.extend(typed(20, 0, "[200~"));
        trace.extend(typed(21, 1, "rm\r"));
        check(UNIX, &trace, &["paste \"r\"", "paste \"m\"", "paste \"\\n\""]);
    }

    #[test]
    fn bursts_of_keys_are_pastes_where_pastes_come_as_keys() {
        check(WINDOWS, &typed(0, 1, "one\rtwo\r"), &["paste \"one\\ntwo\\n\""]);
        check(WINDOWS, &typed(0, 1, "k\r"), &["K", "Enter"]);
        check(WINDOWS, &typed(0, 1, "sixteen letters!"), &["paste \"sixteen letters!\""]);
        check(WINDOWS, &typed(0, 50, "hi\r"), &["H", "I", "Enter"]);
        let mut control = typed(0, 1, "ab");
        control.push((3, with(KeyCode::Char('k'), KeyModifiers::CONTROL)));
        check(WINDOWS, &control, &["A", "B", "Ctrl+K"]);
    }
}
