//! Traces of terminals, and the rules one by one.

use crossterm::event::KeyModifiers;

use super::*;

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
        Input::Mouse(Mouse { kind, column, row }) => format!("{kind:?} at {column},{row}"),
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

/// The library below reads two escapes as one, and what is left of the paste as keys: the key was swallowed.
#[test]
fn an_escape_right_before_a_paste_is_a_key() {
    let mut trace = vec![(0, press(KeyCode::Esc))];
    trace.extend(typed(0, 0, "[200~rm"));
    check(UNIX, &trace, &["Esc", "paste \"r\"", "paste \"m\""]);
    check(UNIX, &[(0, press(KeyCode::Esc)), (5, Event::Paste("rm".into()))], &["Esc", "paste \"rm\""]);
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

#[test]
fn of_the_mouse_clicks_and_the_wheel_count() {
    let at = |kind| (0, Event::Mouse(MouseEvent { kind, column: 7, row: 3, modifiers: KeyModifiers::NONE }));
    check(UNIX, &[at(MouseEventKind::Down(MouseButton::Left))], &["Click at 7,3"]);
    check(UNIX, &[at(MouseEventKind::ScrollUp)], &["WheelUp at 7,3"]);
    check(UNIX, &[at(MouseEventKind::ScrollDown)], &["WheelDown at 7,3"]);
    for nothing in [
        MouseEventKind::Moved,
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Right),
    ] {
        check(UNIX, &[at(nothing)], &[]);
    }
}

/// What the library reports for what a terminal sends, and what becomes of it.
const TRACES: &[(&str, &str)] = &[
    ("conhost", include_str!("traces/conhost.txt")),
    ("windows-terminal", include_str!("traces/windows-terminal.txt")),
    ("tmux", include_str!("traces/tmux.txt")),
    ("xterm", include_str!("traces/xterm.txt")),
    ("terminal-app", include_str!("traces/terminal-app.txt")),
    ("kitty", include_str!("traces/kitty.txt")),
];

#[test]
fn traces_of_terminals_mean_what_was_meant() {
    for (terminal, file) in TRACES {
        let mut habits = None;
        let mut cases = 0;
        for block in file.split("\n\n") {
            let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with('#')).collect();
            let Some((name, lines)) = lines.split_first() else { continue };
            if let Some(named) = name.strip_prefix("habits ") {
                habits = Some(habits_of(named));
                continue;
            }
            let (events, expected): (Vec<&str>, Vec<&str>) =
                lines.iter().partition(|line| !line.starts_with('='));
            let trace: Vec<(u64, Event)> = events.iter().flat_map(|line| reported(line)).collect();
            let expected: Vec<&str> =
                expected.iter().map(|line| line.trim_start_matches('=').trim_start()).collect();
            println!("{terminal}: {name}");
            check(habits.expect("the habits come first"), &trace, &expected);
            cases += 1;
        }
        assert!(cases >= 5, "{terminal}: {cases} cases");
    }
}

fn habits_of(name: &str) -> Habits {
    match name {
        "windows" => WINDOWS,
        "unix" => UNIX,
        "kitty" => Habits { hold_escape: false, join_bursts: false },
        other => panic!("no habits {other:?}"),
    }
}

/// `MS WHAT OF`: what the library reports at a time; `keys` and `taps` are many, a ms apart, without and with releases.
fn reported(line: &str) -> Vec<(u64, Event)> {
    let (ms, rest) = line.split_once(' ').expect("a time");
    let ms: u64 = ms.parse().expect("a time");
    let (what, of) = rest.split_once(' ').unwrap_or((rest, ""));
    let of: String = of.replace("\\r", "\r").replace("\\n", "\n").replace("\\e", "\x1b");
    let key = |kind| {
        let (code, modifiers) = key_of(&of);
        vec![(ms, Event::Key(KeyEvent::new_with_kind(code, modifiers, kind)))]
    };
    match what {
        "press" => key(KeyEventKind::Press),
        "release" => key(KeyEventKind::Release),
        "repeat" => key(KeyEventKind::Repeat),
        "paste" => vec![(ms, Event::Paste(of))],
        "focus" => vec![(ms, Event::FocusGained)],
        "blur" => vec![(ms, Event::FocusLost)],
        "keys" => typed(ms, 1, &of),
        "taps" => {
            let presses = typed(ms, 1, &of).into_iter();
            presses.flat_map(|(ms, event)| [(ms, event.clone()), (ms, released(event))]).collect()
        }
        other => panic!("{other:?} in {line:?}"),
    }
}

fn released(event: Event) -> Event {
    match event {
        Event::Key(key) => Event::Key(KeyEvent { kind: KeyEventKind::Release, ..key }),
        other => other,
    }
}

/// `ctrl+alt+@`, `shift+Enter`, `Up`
fn key_of(text: &str) -> (KeyCode, KeyModifiers) {
    let (mut rest, mut modifiers) = (text, KeyModifiers::NONE);
    for (name, modifier) in
        [("ctrl+", KeyModifiers::CONTROL), ("alt+", KeyModifiers::ALT), ("shift+", KeyModifiers::SHIFT)]
    {
        if let Some(behind) = rest.strip_prefix(name) {
            (rest, modifiers) = (behind, modifiers | modifier);
        }
    }
    let code = match rest {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Backspace" => KeyCode::Backspace,
        "Up" => KeyCode::Up,
        "Left" => KeyCode::Left,
        "PageUp" => KeyCode::PageUp,
        "F1" => KeyCode::F(1),
        "Space" => KeyCode::Char(' '),
        _ => KeyCode::Char(rest.chars().next().expect("a character")),
    };
    assert!(!matches!(code, KeyCode::Char(_)) || rest.chars().count() == 1 || rest == "Space", "{text:?}");
    (code, modifiers)
}
