//! What the screen looks like where colours, glyphs and keys come as they do on poor terminals and slow lines.

use std::thread;
use std::time::Duration;

use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

use super::{EMPTY, SIZE, demo, demo_with, says};

/// Parameters of every sequence that sets a look.
fn looks(written: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(written).into_owned();
    let sequences = text.split("\x1b[").skip(1);
    let looks = sequences.filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'))?;
        rest[end..].starts_with('m').then(|| rest[..end].to_owned())
    });
    looks.collect()
}

/// The numbers that set colours: of letters, and of what is behind them.
pub(crate) fn colours(written: &[u8]) -> (bool, bool) {
    let (mut letters, mut behind) = (false, false);
    for look in looks(written) {
        let mut numbers = look.split([';', ':']).map(|number| number.parse::<u32>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            letters |= matches!(number, 30..=38 | 90..=97);
            behind |= matches!(number, 40..=48 | 100..=107);
            // What follows is which colour.
            if matches!(number, 38 | 48) {
                let _ = match numbers.next() {
                    Some(5) => numbers.next(),
                    _ => numbers.nth(2),
                };
            }
        }
    }
    (letters, behind)
}

#[test]
fn colours_are_left_out_where_nobody_wants_them_and_never_behind_letters() {
    let home = Home::new();
    let terminal = demo_with(&home, &[("NO_COLOR", "1")]);
    assert_eq!(colours(&terminal.written()), (false, false));
    assert!(
        looks(&terminal.written()).iter().any(|look| look == "7"),
        "bars are still told by being reversed"
    );
    // The usual theme leaves the background to the terminal, whether it is light or dark.
    let terminal = demo_with(&home, &[]);
    assert_eq!(colours(&terminal.written()), (true, false));
}

#[test]
fn without_utf8_the_glyphs_are_ascii() {
    let home = Home::new();
    let variables = [("LC_ALL", "C"), ("LANG", "C")];
    let terminal = Terminal::start_with(&["tui", "--demo"], home.path(), "127.0.0.1:1", SIZE, &variables);
    terminal.shows("(sent from the train)");
    terminal.shows("bob  * online");
    let others = ["構建完成", "✅", "王小明"];
    for row in terminal.contents().lines() {
        let own = others.iter().fold(row.to_owned(), |row, text| row.replace(text, ""));
        assert!(own.is_ascii(), "{row}");
    }
}

/// What was drawn piece by piece is what is drawn at once.
#[test]
fn drawing_again_changes_nothing_whatever_was_scrolled() {
    let (server, home) = (Local::start(&[]), Home::new());
    let mut bob = server.login("bob");
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    let hard = super::HARD;
    says(&mut bob, "alice", (0..60).map(|number| format!("{number:02} {}", hard[number % hard.len()])));
    alice.opens("bob");
    alice.shows("00 ");
    alice.types("\x1b[1;5F");
    alice.shows("59 ");
    for key in ["\x1b[5~", "\x1b[1;2A", "\x1b[5~", "\x1b[1;2B", "\x1b[6~", "\x1b[1;2A"] {
        alice.draws(key);
    }
    alice.types("x");
    alice.shows("> x");
    let trimmed = |contents: &str| contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let before = trimmed(&alice.contents());
    let count = alice.written().len();
    alice.types("\x0c");
    alice.comes_to("a whole frame", |_| alice.written().len() > count + 500);
    alice.types("y");
    alice.shows("> xy");
    alice.types("\x7f");
    alice.comes_to("the same", |contents| trimmed(contents) == before);
}

/// Pieces of a key as they come over a line that pauses. A busy machine pauses longer than any line, and then they are
/// two keys: so it is tried again, and somebody for whom they always are two never gets there.
fn in_pieces(terminal: &mut Terminal, pieces: [&str; 2], mut is_one_key: impl FnMut(&mut Terminal) -> bool) {
    for _ in 0..10 {
        terminal.types(pieces[0]);
        // The pause is what is tried: nothing happens that could be waited for.
        thread::sleep(Duration::from_millis(30));
        terminal.types(pieces[1]);
        if is_one_key(terminal) {
            return;
        }
    }
    panic!("{pieces:?} are two keys:\n{}", terminal.contents());
}

#[test]
fn keys_that_come_in_pieces_are_the_keys_that_were_pressed() {
    let (server, home) = (Local::start(&[]), Home::new());
    let mut bob = server.login("bob");
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.opens("bob");
    alice.enters("said");
    assert_eq!(bob.push().text(), "alice|said");
    // Up in an empty box picks a message, and nothing is typed.
    in_pieces(&mut alice, ["\x1b", "[A"], |alice| {
        alice.comes_to("what the keys do", |contents| {
            contents.contains("Enter menu") || contents.contains("> [A")
        });
        let picks = alice.contents().contains("Enter menu");
        if !picks {
            alice.types("\x15");
        }
        alice.shows(EMPTY);
        picks
    });
    alice.types("\x1b");
    alice.comes_to("the box", |contents| !contents.contains("Enter menu"));
    // Alt+Enter begins a line; Escape and Enter would have sent it.
    let (mut tried, mut sent) = (0, 0);
    in_pieces(&mut alice, ["two\x1b", "\r"], |alice| {
        tried += 1;
        alice.types("lines");
        alice.shows("lines");
        let one = alice.contents().contains("> two");
        if !one {
            sent += 1;
            assert_eq!(bob.push().text(), "alice|two");
            alice.types("\x15");
            alice.shows(EMPTY);
        }
        one
    });
    alice.comes_to("two lines", |contents| contents.contains("> two") && contents.contains("  lines"));
    bob.is_quiet();
    assert_eq!(sent, tried - 1, "what was one key sent nothing");
}

/// Ctrl+Z gives the terminal to the shell, and `fg` brings the screen back.
#[test]
fn a_shell_stops_the_screen_and_brings_it_back() {
    let home = Home::new();
    let line = "BELLHOP=$0 PS1='ready> ' exec sh -i";
    let mut terminal = Terminal::start_shell(line, home.path(), "127.0.0.1:1");
    terminal.shows("ready>");
    terminal.types("\"$BELLHOP\" tui --demo\r");
    terminal.shows("(sent from the train)");
    terminal.types("a draft");
    terminal.shows("> a draft");
    terminal.types("\x1a");
    terminal.comes_to("the shell", |contents| contents.trim_end().ends_with("ready>"));
    terminal.is_restored();
    terminal.types("fg\r");
    terminal.shows("> a draft");
    terminal.shows("F1 help");
    assert!(terminal.is_alternate());
    terminal.types("\x15\x11");
    terminal.shows("Quit?");
    terminal.types("y");
    terminal.comes_to("the shell again", |contents| contents.trim_end().ends_with("ready>"));
    terminal.is_restored();
}

/// However small it was for a while, the screen is whole afterwards.
#[test]
fn each_size_in_turn_shows_a_whole_screen() {
    let home = Home::new();
    let mut terminal = demo(&home);
    for (columns, rows) in [(140, 40), (40, 20), (20, 6), (8, 3), (80, 24)] {
        terminal.resize(columns, rows);
        let whole = |contents: &str| match rows {
            0..=5 => contents.contains("small") || contents.lines().count() <= 3,
            _ => {
                contents.lines().count() == usize::from(rows)
                    && contents.lines().last().is_some_and(|row| row.contains("online"))
            }
        };
        terminal.comes_to(&format!("a screen of {columns} columns"), whole);
    }
    terminal.shows("(sent from the train)");
    terminal.types("still here");
    terminal.shows("> still here");
}
