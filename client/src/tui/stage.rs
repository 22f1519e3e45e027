//! A screen without a terminal, for tests: keys in, text out, a clock that is moved by hand.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Position;

use super::bindings::Bindings;
use super::demo::{self, Demo};
use super::form::Form;
use super::glyphs::{Glyphs, UNICODE};
use super::input::Input;
use super::key::{Code, Key};
use super::layout::Panes;
use super::model::{Effect, Model, Now, Prefs};
use super::theme::Theme;
use super::update::{Msg, update};
use super::view;
use crate::event::Event;
use crate::settings::{Emoji, Notify, Ui};
use crate::text::wrap::width;

/// A screen, its clock, and made-up people.
pub(crate) struct Stage {
    pub(crate) model: Model,
    pub(crate) demo: Demo,
    /// Everything that was to be done, but for what the made-up people answered.
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: Now,
    /// Nobody answers what is looked for.
    pub(crate) silent: bool,
}

#[expect(clippy::disallowed_methods, reason = "the clock of a test begins somewhere")]
fn begin() -> Now {
    Now { at: Instant::now(), wall_ms: demo::NOW_MS }
}

impl Stage {
    /// The demo, logged in.
    pub(crate) fn new(size: (u16, u16), glyphs: &'static Glyphs) -> Stage {
        Stage::with(size, glyphs, Demo::new(0))
    }

    /// The usual size.
    pub(crate) fn usual() -> Stage {
        Stage::new((80, 24), &UNICODE)
    }

    /// The demo with many old messages.
    pub(crate) fn with(size: (u16, u16), glyphs: &'static Glyphs, demo: Demo) -> Stage {
        let mut stage = Stage::bare(size, glyphs, demo);
        let mut effects = Vec::new();
        stage.model.connect(demo::login().expect("a login"), &mut effects);
        stage.settle(effects);
        stage
    }

    /// The login, with nobody there.
    pub(crate) fn login(size: (u16, u16), glyphs: &'static Glyphs) -> Stage {
        let mut stage = Stage::bare(size, glyphs, Demo::new(0));
        stage.demo.events.clear();
        stage.model.form = Some(Form::new("127.0.0.1:2050", ""));
        stage
    }

    fn bare(size: (u16, u16), glyphs: &'static Glyphs, demo: Demo) -> Stage {
        let now = begin();
        let panes = Panes { list: true, list_first: false, details: true, list_width: 20 };
        let (ui, notify) = (Ui::default(), Notify::default());
        let theme = Theme::built_in("terminal").expect("it is built in");
        let (bindings, emoji) = (Bindings::default(), Emoji::AsIs);
        let prefs = Prefs { glyphs, theme, bindings, emoji, panes, ui, asks: false, notify };
        Stage {
            model: Model::new(now, TimeZone::UTC, size, prefs),
            demo,
            effects: Vec::new(),
            now,
            silent: false,
        }
    }

    pub(crate) fn message(&mut self, msg: Msg) {
        let effects = update(&mut self.model, self.now, msg);
        self.settle(effects);
    }

    fn settle(&mut self, effects: Vec<Effect>) {
        let mut effects = effects;
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Search(_) if self.silent => self.effects.push(effect),
                    Effect::Page { .. } | Effect::Watch(_) | Effect::Search(_) | Effect::Steps(_) => {
                        self.demo.effect(effect)
                    }
                    effect => self.effects.push(effect),
                }
            }
            let Some(event) = self.demo.events.pop_front() else { return };
            effects = update(&mut self.model, self.now, Msg::Event(event));
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.message(Msg::Event(event));
    }

    pub(crate) fn key(&mut self, key: Key) {
        self.message(Msg::Input(Input::Key(key)));
    }

    pub(crate) fn press(&mut self, code: Code) {
        self.key(Key::plain(code));
    }

    pub(crate) fn ctrl(&mut self, c: char) {
        self.key(Key::ctrl(Code::Char(c)));
    }

    pub(crate) fn say(&mut self, text: &str) {
        for c in text.chars() {
            self.press(if c == '\t' { Code::Tab } else { Code::Char(c) });
        }
    }

    /// Types a line and Enter.
    pub(crate) fn enter(&mut self, text: &str) {
        self.say(text);
        self.press(Code::Enter);
    }

    pub(crate) fn paste(&mut self, text: &str) {
        self.message(Msg::Input(Input::Paste(text.to_owned())));
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.message(Msg::Input(Input::Resize(columns, rows)));
    }

    /// Moves the clock, stopping at every deadline.
    pub(crate) fn pass(&mut self, seconds: f64) {
        let until = self.now.at + Duration::from_secs_f64(seconds);
        for _ in 0..10_000 {
            let Some(deadline) = self.model.deadline().filter(|deadline| *deadline <= until) else { break };
            self.now.at = self.now.at.max(deadline);
            self.message(Msg::Deadline);
        }
        self.now.at = until;
        self.message(Msg::Deadline);
    }

    /// What was to be done since the last call.
    pub(crate) fn done(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The screen as text.
    pub(crate) fn screen(&self) -> String {
        self.drawn().0
    }

    /// Where the caret is.
    pub(crate) fn caret(&self) -> Position {
        self.drawn().1
    }

    pub(crate) fn drawn(&self) -> (String, Position) {
        let (columns, rows) = self.model.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal in memory");
        terminal.draw(|frame| view::draw(&self.model, frame)).expect("memory does not fail");
        let buffer = terminal.backend().buffer();
        let mut lines = String::new();
        for row in 0..rows {
            let mut line = String::new();
            let mut column = 0;
            while column < columns {
                let symbol = buffer[(column, row)].symbol();
                line.push_str(symbol);
                column += u16::try_from(width(symbol)).unwrap_or(1).max(1);
            }
            lines.push_str(line.trim_end());
            lines.push('\n');
        }
        (lines, terminal.get_cursor_position().expect("memory does not fail"))
    }

    /// The screen shows `text`.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        let screen = self.screen();
        assert!(screen.contains(text), "no {text:?} in\n{screen}");
    }

    /// The screen does not show `text`.
    #[track_caller]
    pub(crate) fn hides(&self, text: &str) {
        let screen = self.screen();
        assert!(!screen.contains(text), "{text:?} in\n{screen}");
    }
}
