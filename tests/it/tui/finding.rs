//! Finding one's way: help that runs, a palette, and the first three minutes of whoever has read nothing but the README.

use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

use super::{SIZE, demo};

#[test]
fn the_help_narrows_and_runs_what_is_chosen() {
    let home = Home::new();
    let mut terminal = demo(&home);
    terminal.types("\x1bOP");
    terminal.shows("type to filter");
    terminal.shows("scroll up");
    terminal.types("unread");
    terminal.comes_to("fewer keys", |contents| {
        contents.contains("next unread conversation") && !contents.contains("scroll up")
    });
    terminal.types("\r");
    // The next conversation with something unread.
    terminal.is_open("carol");
}

#[test]
fn the_palette_opens_who_is_meant_and_tells_commands() {
    let home = Home::new();
    let mut terminal = demo(&home);
    terminal.types("\x0b");
    terminal.shows("Jump or run");
    terminal.types("/rec");
    terminal.comes_to("the command first", |contents| {
        let rows = contents.lines().skip_while(|row| !row.contains(">/rec")).skip(2);
        rows.take(1).any(|row| row.contains("/reconnect"))
    });
    terminal.types("\x15/plain");
    terminal.comes_to("its key", |contents| {
        contents.lines().any(|row| row.contains("/plain") && row.contains("F5"))
    });
    terminal.types("\x15car\r");
    terminal.is_open("carol");
}

/// Word for word what the README says under "Five minutes", and what it is for: write, find an old message, quit.
#[test]
fn who_reads_the_readme_gets_along() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let steps = readme.split("\n## ").find(|part| part.starts_with("Five minutes")).unwrap();
    for said in ["`Ctrl+N`, then `Enter`", "`/open alice`", "`Ctrl+G`", "`Ctrl+F`", "`Ctrl+Q`", "`F1`"] {
        assert!(steps.contains(said), "the README does not say {said}");
    }
    let server = Local::start(&[]);
    let (homes, addr) = ([Home::new(), Home::new()], server.addr().to_string());
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| {
        let home = if name == "alice" { &homes[0] } else { &homes[1] };
        let mut screen = Terminal::start_sized(&["--user", name], home.path(), &addr, SIZE);
        // The form, or its word that nobody has this name.
        screen.shows("Welcome");
        screen.types("\x0e");
        screen.shows("Enter");
        screen.types("\r");
        screen.shows("online");
        screen
    });
    bob.enters("/open alice");
    bob.enters("hello from bob, on the first day");
    bob.shows("✓✓");
    alice.shows("1 unread");
    alice.types("\x07");
    alice.shows("hello from bob");
    for number in 0..30 {
        alice.enters(&format!("answer {number:02}"));
    }
    alice.comes_to("only answers", |contents| !contents.contains("hello from bob"));
    alice.types("\x06first day");
    alice.shows("1 of 1");
    alice.shows("hello from bob, on the first day");
    alice.types("\x1b");
    alice.shows("answer 29");
    alice.types("\x11");
    assert_eq!(alice.ends(), 0);
    alice.is_restored();
}
