//! Screens as text, compared with files. `BELLHOP_WRITE_SCREENS=1` writes them anew, to be looked at before they are
//! committed.

mod letters;
mod questions;
mod reading;

use std::path::PathBuf;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use unicode_segmentation::UnicodeSegmentation;

use super::field_view;
use crate::config::Server;
use crate::delivery::Delivery;
use crate::event::{Doubt, Event, Guard, StateChange, Trouble, TroubleKind, Untrusted};
use crate::fingerprint::Fingerprint;
use crate::text::wrap::width;
use crate::tui::demo::{self, Demo};
use crate::tui::glyphs::{ASCII, UNICODE, WGL4};
use crate::tui::key::{Code, Key};
use crate::tui::stage::Stage;
use crate::tui::theme::{BUILT_IN, Theme};

#[track_caller]
fn check(name: &str, stage: &Stage) {
    let found = stage.screen();
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "src/tui/view/screens", &format!("{name}.txt")].iter().collect();
    if std::env::var_os("BELLHOP_WRITE_SCREENS").is_some() {
        std::fs::write(&path, &found).expect("a file that can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the expected screen").replace("\r\n", "\n");
    assert!(found == expected, "{name} is\n{found}\ninstead of\n{expected}");
}

fn offline(stage: &mut Stage, seconds: u64) {
    let trouble = Trouble { kind: TroubleKind::TimedOut, sentence: "the server does not answer".into() };
    stage.event(Event::Offline(trouble, stage.now.at + Duration::from_secs(seconds)));
}

#[test]
fn conversations() {
    for (size, name) in [((80, 24), "80x24"), ((140, 40), "140x40"), ((40, 20), "40x20")] {
        for (glyphs, set) in [(&UNICODE, "unicode"), (&WGL4, "wgl4"), (&ASCII, "ascii")] {
            let mut stage = Stage::new(size, glyphs);
            stage.key(Key::ctrl(Code::End));
            check(&format!("chat-{name}-{set}"), &stage);
        }
    }
}

#[test]
fn logins() {
    for (size, name) in [((80, 24), "80x24"), ((40, 20), "40x20")] {
        let mut stage = Stage::login(size, &UNICODE);
        check(&format!("login-{name}"), &stage);
        stage.say("alice\topen sesame");
        stage.ctrl('n');
        stage.press(Code::Enter);
        check(&format!("login-{name}-error"), &stage);
        stage.press(Code::Esc);
        stage.press(Code::Enter);
        check(&format!("login-{name}-busy"), &stage);
        let mut stage = Stage::login(size, &UNICODE);
        stage.say("alice");
        stage.ctrl('n');
        check(&format!("login-{name}-new"), &stage);
    }
    let mut stage = Stage::login((80, 24), &UNICODE);
    stage.press(Code::Up);
    stage.ctrl('u');
    stage.say("chat.example");
    check("login-80x24-remote", &stage);
    check("login-80x24-ascii", &Stage::login((80, 24), &ASCII));
}

#[test]
fn what_stands_over_the_rest() {
    let mut stage = Stage::usual();
    stage.press(Code::F(1));
    check("help-80x24", &stage);
    stage.say("unread");
    check("help-80x24-filtered", &stage);
    stage.press(Code::Esc);
    stage.ctrl('k');
    check("jump-80x24", &stage);
    stage.say("zoe");
    check("jump-80x24-stranger", &stage);
    stage.press(Code::Esc);
    stage.paste("error[E0308]: mismatched types\n  --> src/main.rs:84:140\n   |\nfour\nfive");
    check("paste-80x24", &stage);
    stage.press(Code::Esc);
    stage.enter("/delete-account");
    stage.say("ali");
    check("delete-80x24", &stage);
    stage.press(Code::Esc);
    stage.ctrl('q');
    check("quit-80x24", &stage);
}

#[test]
fn the_box() {
    let mut stage = Stage::usual();
    stage.say("5|bob|hello");
    check("raw-80x24", &stage);
    stage.ctrl('c');
    stage.say("2|alice|open sesame");
    check("raw-80x24-secret", &stage);
    stage.hides("sesame");
    stage.ctrl('c');
    stage.say("First line");
    stage.ctrl('j');
    stage.say("second line, still one message");
    stage.ctrl('j');
    stage.say("third");
    check("lines-80x24", &stage);
}

#[test]
fn moments() {
    let mut stage = Stage::usual();
    offline(&mut stage, 4);
    let reason = Some("bob's account no longer exists".to_owned());
    stage.event(Event::State(StateChange {
        n: 8,
        id: None,
        state: Delivery::Failed,
        time_ms: 0,
        code: None,
        reason,
    }));
    check("offline-80x24", &stage);
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(500));
    stage.pass(2.0);
    stage.press(Code::PageUp);
    check("scrolled-80x24", &stage);
    let mut stage = Stage::new((40, 20), &UNICODE);
    stage.press(Code::F(1));
    check("help-40x20", &stage);
    stage.press(Code::Esc);
    stage.press(Code::F(3));
    check("list-40x20", &stage);
    let mut stage = Stage::usual();
    stage.enter("0|al*");
    stage.ctrl('p');
    check("server-80x24", &stage);
    let mut stage = Stage::usual();
    stage.model.chats.clear();
    stage.model.open = None;
    check("empty-80x24", &stage);
}

#[test]
fn every_size_draws() {
    let mut stages = vec![Stage::usual(), Stage::login((80, 24), &UNICODE), Stage::new((80, 24), &ASCII)];
    for key in [Code::F(1), Code::F(3), Code::PageUp] {
        let mut stage = Stage::usual();
        stage.press(key);
        stages.push(stage);
    }
    for text in ["5|bob|hello", "2|alice|secret", "👩\u{200d}🚀構建完成", &"word ".repeat(60)] {
        let mut stage = Stage::usual();
        stage.say(text);
        stages.push(stage);
    }
    let mut asking = [Stage::usual(), Stage::usual(), Stage::usual(), Stage::usual()];
    asking[0].ctrl('k');
    asking[1].paste("1\n2\n3\n4\n5");
    asking[2].enter("/delete-account");
    asking[3].ctrl('q');
    stages.extend(asking);
    let mut reading: [Stage; 4] = std::array::from_fn(|_| Stage::usual());
    reading[0].press(Code::Up);
    reading[1].press(Code::Up);
    reading[1].press(Code::Enter);
    reading[2].ctrl('f');
    reading[2].say("pasting");
    reading[3].event(Event::Untrusted(untrusted(Doubt::Unknown)));
    stages.extend(reading);
    let waiting = stages.len();
    stages.push(Stage::usual());
    // Each in every set of glyphs is the same three times as slow, and for those who release.
    let all = std::env::var_os("BELLHOP_SIZES").is_some_and(|amount| amount == "all");
    let (stride, sets) = if all { (1, 3) } else { (29, 1) };
    let themes: Vec<Theme> = BUILT_IN.iter().filter_map(|(name, _)| Theme::built_in(name)).collect();
    for (number, stage) in stages.iter_mut().enumerate() {
        offline(stage, 12);
        if number == waiting {
            stage.event(Event::Held(430));
            assert!(stage.model.overlay.is_some());
        }
        // Every small size, and of the others together all, each in another look.
        let small = (1..=24).flat_map(|columns| (1..=8).map(move |rows| (columns, rows)));
        let large = (number * usize::from(!all)..200 * 60)
            .step_by(stride)
            .map(|size| (size as u16 % 200 + 1, size as u16 / 200 + 1));
        for (turn, (columns, rows)) in small.chain(large).enumerate() {
            stage.model.prefs.theme = themes[turn / 3 % themes.len()].clone();
            stage.model.size = (columns, rows);
            for set in 0..sets {
                stage.model.prefs.glyphs = [&UNICODE, &WGL4, &ASCII][(turn + set) % 3];
                let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
                let caret = super::screen(&stage.model, &mut buffer);
                let inside = caret.is_none_or(|caret| caret.x < columns && caret.y < rows);
                assert!(inside, "the caret left a screen of {columns}x{rows}");
            }
        }
    }
}

#[test]
fn the_caret_is_where_the_next_letter_goes() {
    let mut stage = Stage::usual();
    let start = stage.caret();
    assert_eq!((start.x, start.y), (24, 22));
    stage.say("你好e");
    assert_eq!(stage.caret().x, start.x + 5);
    stage.press(Code::Left);
    stage.press(Code::Left);
    assert_eq!(stage.caret().x, start.x + 2);
    stage.key(Key::shift(Code::Enter));
    assert_eq!((stage.caret().x, stage.caret().y), (start.x, 22));
    let mut login = Stage::login((80, 24), &UNICODE);
    login.say("al");
    login.shows("Name      ▌al");
    let row = login.screen().lines().position(|line| line.contains("Name      ▌al")).expect("the field");
    assert_eq!(usize::from(login.caret().y), row);
}

#[test]
fn the_status_row_drops_whole_parts_by_rank() {
    let mut stage = Stage::usual();
    stage.model.guard = Some(Guard::Plain);
    let mut check = |columns: u16, expected: &str| {
        stage.model.size = (columns, 24);
        let screen = stage.screen();
        assert_eq!(screen.lines().last(), Some(expected), "{columns} columns");
    };
    check(80, " ● online 12ms │ plain (local) │ alice@chat.example:2050     17 unread  F1 help");
    check(75, " ● online 12ms │ plain (local)                          17 unread  F1 help");
    check(40, " ● online 12ms │ plain (local)  F1 help");
    check(39, " ● online 12ms │ plain (local)");
    check(30, " ● online │ plain (local)");
    check(22, " ● │ plain (local)");
    offline(&mut stage, 12);
    let mut check = |columns: u16, expected: &str| {
        stage.model.size = (columns, 24);
        assert_eq!(stage.screen().lines().last(), Some(expected), "{columns} columns");
    };
    check(61, " ✗ offline, retry in 12s │ plain (local)  17 unread  F1 help");
    check(41, " ✗ offline, retry in 12s │ plain (local)");
    check(40, " ✗ offline │ plain (local)      F1 help");
    check(20, " ✗ │ plain (local)");
}

#[test]
fn hostile_texts_are_inert_and_rows_stay_aligned() {
    use crate::event::Message;
    use crate::peer::Peer;
    use crate::text::{Kind, clean};
    let mut stage = Stage::usual();
    for (n, text) in (100..).zip([
        "\x1b]52;c;AAAA\x07\x1b[2J\x1b[?1049h",
        "\u{202e}reversed\u{2066}",
        &format!("a{}", "\u{301}".repeat(200)),
        &"x".repeat(10_000),
        "👩\u{200d}🚀 👍🏽 1️⃣ ❤️ 🏳️\u{200d}🌈 🇩🇪",
        &"構".repeat(300),
        "\u{9b}31m\u{85}\r\n\rforged",
    ]) {
        stage.event(Event::Message(Message {
            n,
            peer: Peer::new("mal\u{202e}\x1b[2Jlory"),
            mine: false,
            id: None,
            text: clean(text, Kind::Body).into_owned(),
            time_ms: 0,
            state: Delivery::Delivered,
            reason: None,
        }));
    }
    stage.ctrl('k');
    stage.say("mallory");
    stage.press(Code::Enter);
    stage.event(Event::Notice(clean("\x1b]0;owned\x07", Kind::Line).into_owned()));
    for (size, bar) in [((80, 24), true), ((40, 20), false)] {
        stage.model.size = size;
        let screen = stage.screen();
        assert!(!screen.contains(['\x1b', '\x07', '\u{202e}', '\u{9b}', '\r']), "{screen}");
        for line in screen.lines().skip(1).take(usize::from(size.1) - 2).filter(|_| bar) {
            let at = line.find('│').unwrap_or_else(|| panic!("no bar in {line:?}"));
            assert_eq!(crate::text::wrap::width(&line[..at]), 20, "{line}");
        }
    }
}

/// A terminal that draws a flag as two letters keeps the second where only the first is overwritten.
#[test]
fn both_halves_of_a_flag_are_drawn_over() {
    let mut stage = Stage::usual();
    let mut draw = |text: &str| {
        stage.ctrl('c');
        stage.say(text);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        super::screen(&stage.model, &mut buffer);
        buffer
    };
    for cluster in ["🇩🇪", "👍🏽", "1\u{fe0f}\u{20e3}"] {
        let before = draw(&format!("flags {cluster} end"));
        let after = draw("next");
        let drawn: Vec<u16> =
            before.diff(&after).into_iter().filter(|(_, y, _)| *y == 22).map(|(x, _, _)| x).collect();
        // Behind one that is an emoji by a variation selector the library writes itself.
        let whole = cluster.contains('\u{fe0f}') || drawn.contains(&30) && drawn.contains(&31);
        assert!(whole, "{cluster}: {drawn:?}");
        let drawn = after.diff(&before);
        assert!(!drawn.iter().any(|(_, _, cell)| cell.symbol() == "\u{a0}"), "{cluster}: {drawn:?}");
    }
}

#[test]
fn a_frame_costs_what_it_shows() {
    let mut stage = Stage::with((140, 40), &UNICODE, Demo::new(100_000));
    assert!(stage.model.window.items.len() <= 1_000, "a bounded piece of the history");
    for _ in 0..100 {
        stage.press(Code::PageUp);
    }
    assert!(stage.model.window.items.len() <= 1_000);
    stage.shows("Old message");
    stage.key(Key::ctrl(Code::End));
    stage.shows("sent from the train");
}

/// The row of whoever speaks began where their words begin: a message of a few lines spelled another one.
#[test]
fn no_line_of_a_message_stands_where_a_name_stands() {
    use crate::event::Message;
    use crate::peer::Peer;
    let mut stage = Stage::new((40, 20), &UNICODE);
    stage.enter("/open mallory");
    for (n, mine, text) in
        [(100, false, "hi\nalice\nyes, I owe you 500\nmallory\nthanks!"), (101, true, "no")]
    {
        let (peer, state) = (Peer::new("mallory"), Delivery::Delivered);
        let (text, time_ms) = (text.to_owned(), demo::NOW_MS);
        stage.event(Event::Message(Message { n, peer, mine, id: None, text, time_ms, state, reason: None }));
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 20));
    super::screen(&stage.model, &mut buffer);
    let names: Vec<u16> =
        (1..17).filter(|y| buffer[(0, *y)].symbol().starts_with(char::is_alphabetic)).collect();
    let named: Vec<String> =
        names.iter().map(|y| (0..40).map(|x| buffer[(x, *y)].symbol()).collect::<String>()).collect();
    assert_eq!(named.iter().map(|name| name.trim_end()).collect::<Vec<_>>(), ["mallory", "alice"]);
    for y in names {
        assert!(buffer[(0, y)].modifier.contains(Modifier::BOLD), "row {y}");
    }
}

/// A paste of one long line froze the screen: for every letter that did not fit the rest was measured anew.
#[test]
fn a_long_line_in_a_field_is_measured_once() {
    use crate::tui::composer::Composer;
    let slowly = |before: &str, columns: usize| {
        let mut shown = before;
        while width(shown) >= columns.max(1) {
            let mut rest = shown.graphemes(true);
            if rest.next().is_none() {
                break;
            }
            shown = rest.as_str();
        }
        (shown.to_owned(), width(shown))
    };
    for text in
        ["", "a", "hello there", "構建完成", "a構b建c", "👩\u{200d}🚀 👍🏽e\u{301}x", "\u{301}a\u{200b}b"]
    {
        for columns in 0..20 {
            assert_eq!(
                field_view(&Composer::with(text), columns),
                slowly(text, columns),
                "{text:?} {columns}"
            );
        }
    }
    let mut long = Composer::with(&"構x".repeat(500_000));
    assert_eq!(field_view(&long, 10).1, 9);
    long.home();
    long.right();
    assert_eq!(field_view(&long, 10).1, 2);
}

/// Ticks were explained in windows of 120 columns alone, and two of them, told apart by their look, looked the same.
#[test]
fn what_ticks_mean_is_told_in_their_own_look() {
    let mut help = Stage::usual();
    help.press(Code::F(1));
    help.say("tick");
    for (stage, size) in [(&help, (80, 24)), (&Stage::new((140, 40), &UNICODE), (140, 40))] {
        for text in ["✓○", "kept for them", "it may have arrived", "not sent (/retry)"] {
            stage.shows(text);
        }
        let mut buffer = Buffer::empty(Rect::new(0, 0, size.0, size.1));
        super::screen(&stage.model, &mut buffer);
        let style = |words: &str| {
            let cells = |y: u16| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<Vec<_>>();
            let y = (0..size.1).find(|y| cells(*y).concat().contains(words)).expect("a row");
            // The last one of the row: messages of the conversation may stand before it.
            let x = cells(y).iter().rposition(|symbol| *symbol == "✓").expect("a tick");
            buffer[(x as u16, y)].modifier
        };
        assert!(style("they have it").contains(Modifier::DIM));
        assert!(style("they read it").contains(Modifier::BOLD));
    }
    let mut stage = Stage::usual();
    stage.press(Code::F(1));
    stage.say("by hand");
    for op in ["0|glob|after", "1|username|password", "3|username", "4|password", "5|username|text", "6|"] {
        stage.shows(op);
    }
    stage.say("no such thing");
    stage.shows("nothing matches");
}

/// Whoever came first, in a small window, saw nothing at all.
#[test]
fn the_first_start_says_what_to_do_at_every_size() {
    for (size, list) in [((40, 20), true), ((80, 24), true), ((80, 24), false), ((20, 12), true)] {
        let mut stage = Stage::new(size, &UNICODE);
        stage.model.chats.clear();
        stage.model.open = None;
        stage.model.prefs.panes.list = list;
        stage.shows("No conversations");
        stage.shows("Ctrl+K");
        assert_eq!(stage.screen().matches("No conversations").count(), 1);
    }
}

fn untrusted(doubt: Doubt) -> Untrusted {
    let server = Server::parse("chat.example").expect("an address");
    Untrusted { server, shown: Fingerprint::of_key(b"new"), doubt }
}
