//! The box: lines, wide letters, pastes and drafts.

use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

use super::{EMPTY, SIZE, after_a_paste, demo};

#[test]
fn a_message_of_two_lines_is_one_message() {
    let server = Local::start(&[]);
    let (home, mut bob) = (Home::new(), server.login("bob"));
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.opens("bob");
    alice.types("one\x0atwo");
    alice.comes_to("two lines in the box", |contents| {
        contents.contains("> one") && contents.contains("  two")
    });
    alice.types("\r");
    assert_eq!(bob.push().text(), "alice|one\ntwo");
    // Shift+Enter where the terminal tells it, and Alt+Enter.
    alice.types("three\x1b[13;2ufour\x1b\rfive");
    alice.shows("  five");
    bob.is_quiet();
    alice.types("\r");
    assert_eq!(bob.push().text(), "alice|three\nfour\nfive");
}

#[test]
fn the_caret_goes_as_far_as_letters_are_wide() {
    let home = Home::new();
    let mut terminal = demo(&home);
    let (start, _) = terminal.caret();
    terminal.types("你好e");
    terminal.shows("> 你好e");
    terminal.has_caret_in(start + 5);
}

#[test]
fn keys_move_over_and_delete_whole_letters() {
    let home = Home::new();
    let mut terminal = demo(&home);
    let (start, _) = terminal.caret();
    terminal.types("👩\u{200d}🚀e\u{301}x");
    let end = start + 4;
    terminal.has_caret_in(end);
    terminal.types("\x7f");
    terminal.has_caret_in(end - 1);
    terminal.types("\x1b[D");
    terminal.has_caret_in(end - 2);
    terminal.types("\x1b[D");
    terminal.has_caret_in(start);
    terminal.types("\x1b[C");
    terminal.has_caret_in(end - 2);
    terminal.types("\x1b[C");
    terminal.has_caret_in(end - 1);
    terminal.types("\x7f");
    terminal.has_caret_in(end - 2);
    terminal.types("\x7f");
    terminal.shows(EMPTY);
}

#[test]
fn pastes_that_look_like_commands_are_text() {
    let server = Local::start(&[]);
    let (home, mut bob) = (Home::new(), server.login("bob"));
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.opens("bob");
    for text in ["5|bob|x", "/quit"] {
        alice.types(&format!("\x1b[200~{text}\x1b[201~"));
        alice.shows(&format!("> {text}"));
        alice.shows("pasted: sent as a message");
        after_a_paste();
        bob.is_quiet();
        alice.types("\r");
        assert_eq!(bob.push().text(), format!("alice|{text}"));
        alice.shows(EMPTY);
    }
}

/// The clipboard of whoever pastes is not theirs who wrote what is pasted.
#[test]
fn a_paste_that_ends_itself_sends_nothing_and_writes_no_clipboard() {
    let server = Local::start(&[]);
    let (home, mut bob) = (Home::new(), server.login("bob"));
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.opens("bob");
    alice.types("\x1b[200~x\x1b[201~\rrm\r\x1b[201~");
    alice.comes_to("the paste in the box", |contents| contents.contains("> x") && contents.contains("  rm"));
    after_a_paste();
    bob.is_quiet();
    alice.types("\x03");
    alice.shows(EMPTY);
    alice.types("\x1b[200~before\x1b]52;c;AAAA\x07behind\x1b[201~");
    alice.shows("behind");
    bob.is_quiet();
    let written = alice.written();
    assert!(!written.windows(4).any(|bytes| bytes == b"\x1b]52"), "{}", String::from_utf8_lossy(&written));
}

#[test]
fn a_draft_stays_with_its_conversation() {
    let home = Home::new();
    let mut terminal = demo(&home);
    terminal.types("half a thought for bob");
    terminal.shows("> half a thought for bob");
    terminal.types("\x0e");
    terminal.is_open("carol");
    terminal.comes_to("the mark of a draft", |contents| super::listed(contents, "bob").contains('✎'));
    terminal.shows(EMPTY);
    terminal.types("\x10");
    terminal.is_open("bob");
    terminal.shows("> half a thought for bob");
}

#[test]
fn what_was_cleared_comes_back() {
    let home = Home::new();
    let mut terminal = demo(&home);
    terminal.types("gone too soon");
    terminal.shows("> gone too soon");
    terminal.types("\x03");
    terminal.shows(EMPTY);
    terminal.types("\x1f");
    terminal.shows("> gone too soon");
}
