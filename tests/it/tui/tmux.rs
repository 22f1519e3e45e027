//! The same within tmux, which has a mind of its own about keys, pastes and what a terminal is left as.

use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::{Signal, Terminal};
use bellhop_tests::tmux::{Tmux, has_tmux};
use rustix::process::{Pid, kill_process};

use super::{EMPTY, SIZE};

/// What tmux says of a terminal: another screen, a caret, reports of the mouse.
const STATE: &str = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}";

fn demo(home: &Home) -> Tmux {
    let tmux = Tmux::start("tui --demo", home.path(), "127.0.0.1:1", SIZE);
    tmux.shows("F1 help");
    tmux
}

#[test]
fn it_comes_up_takes_keys_and_follows_the_window() {
    if !has_tmux() {
        return;
    }
    let home = Home::new();
    let tmux = demo(&home);
    assert_eq!(tmux.state(STATE), "1 1 0");
    let column = || tmux.state("#{cursor_x}").parse::<u32>().unwrap();
    let start = column();
    tmux.types("你好e");
    tmux.shows("> 你好e");
    assert_eq!(column(), start + 5);
    tmux.key(&["C-u"]);
    tmux.shows(EMPTY);
    tmux.types("one");
    tmux.key(&["C-j"]);
    tmux.types("two");
    tmux.key(&["M-Enter"]);
    tmux.types("three");
    // Shift+Enter, which tmux has no name for.
    tmux.bytes(&["1b", "5b", "31", "33", "3b", "32", "75"]);
    tmux.types("four");
    tmux.shows("  four");
    tmux.key(&["Enter"]);
    tmux.comes_to("one message", |contents| {
        let rows: Vec<&str> = contents.lines().collect();
        let row = |text: &str| rows.iter().rposition(|row| row.contains(text));
        let of = ["one", "two", "three", "four"].map(row);
        contents.contains(EMPTY) && of[3].is_some_and(|at| rows[at].contains('✓')) && of.is_sorted()
    });
    for (columns, rows) in [(140, 40), (40, 20), (20, 6), (8, 3), (80, 24)] {
        tmux.resize(columns, rows);
        if rows > 5 {
            tmux.comes_to(&format!("{columns} columns"), |contents| {
                contents.trim_end().lines().count() == usize::from(rows) && contents.contains("online")
            });
        }
    }
    tmux.shows("F1 help");
    tmux.key(&["C-q"]);
    tmux.shows("Quit?");
    tmux.types("y");
    tmux.shows("ended with 0");
    assert_eq!(tmux.state(STATE), "0 1 0");
}

#[test]
fn pastes_wait_in_the_box() {
    if !has_tmux() {
        return;
    }
    let (server, home) = (Local::start(&[]), Home::new());
    let mut bob = server.login("bob");
    let addr = server.addr();
    let mut alice = Terminal::of("alice", home.path(), addr, SIZE);
    alice.enters("/open bob");
    alice.types("\x11");
    alice.ends();
    let tmux = Tmux::start("", home.path(), &addr.to_string(), SIZE);
    tmux.shows("online");
    tmux.key(&["C-k"]);
    tmux.shows("Jump or run");
    tmux.types("bob");
    tmux.key(&["Enter"]);
    tmux.shows(EMPTY);
    tmux.pastes("first\nsecond");
    tmux.comes_to("two lines", |contents| contents.contains("> first") && contents.contains("  second"));
    super::after_a_paste();
    tmux.key(&["C-c"]);
    tmux.shows(EMPTY);
    tmux.pastes("1\n2\n3\n4\n5");
    tmux.shows("Paste 5 lines?");
    super::after_a_paste();
    tmux.key(&["Escape"]);
    // The box shows below the question; an Escape and what comes right behind it would be another key.
    tmux.comes_to("no question", |contents| !contents.contains("Paste 5 lines?"));
    tmux.pastes("x\x1b[201~\rrm\r");
    tmux.comes_to("it waits", |contents| contents.contains("> x") && contents.contains("  rm"));
    bob.is_quiet();
}

/// As tmux measures letters, which is not always as others do.
#[test]
fn what_was_scrolled_is_what_is_drawn_again() {
    if !has_tmux() {
        return;
    }
    let (server, home) = (Local::start(&[]), Home::new());
    let mut bob = server.login("bob");
    drop(Terminal::of("alice", home.path(), server.addr(), SIZE));
    let texts = (0..60).map(|number| format!("{number:02} {}", super::HARD[number % super::HARD.len()]));
    super::says(&mut bob, "alice", texts);
    let tmux = Tmux::start("", home.path(), &server.addr().to_string(), SIZE);
    tmux.shows("60 unread");
    tmux.key(&["C-g"]);
    tmux.shows("00 ");
    for (key, shown) in [("C-End", "59 "), ("PPage", "newer below"), ("PPage", "3"), ("NPage", "4")] {
        tmux.key(&[key]);
        tmux.shows(shown);
    }
    tmux.types("x");
    tmux.shows("> x");
    let before = tmux.contents();
    tmux.key(&["C-l"]);
    tmux.types("y");
    tmux.shows("> xy");
    tmux.key(&["BSpace"]);
    tmux.comes_to("the same", |contents| contents == before);
}

#[test]
fn every_way_out_gives_the_terminal_back() {
    if !has_tmux() {
        return;
    }
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 143)] {
        let home = Home::new();
        let tmux = demo(&home);
        tmux.key(&["F7"]);
        tmux.shows("mouse on");
        assert_eq!(tmux.state(STATE), "1 1 1");
        kill_process(Pid::from_raw(i32::try_from(tmux.id()).unwrap()).unwrap(), signal).unwrap();
        tmux.shows(&format!("ended with {code}"));
        assert_eq!(tmux.state(STATE), "0 1 0");
    }
}
