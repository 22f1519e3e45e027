//! Operations typed by hand: shown before they run, asked about where they destroy, and never by mistake.

use bellhop_protocol::OpCode::{Create, Login};
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

use super::{EMPTY, SIZE, demo};

#[test]
fn an_op_is_shown_as_it_is_understood_before_it_runs() {
    let home = Home::new();
    let mut terminal = demo(&home);
    terminal.types("5|bob|hello");
    terminal.shows("RAW op 5 SEND  [bob] [hello]");
    terminal.shows("# 5|bob|hello");
}

#[test]
fn an_op_is_sent_and_answered_in_the_servers_conversation() {
    let server = Local::start(&[]);
    let (home, mut bob) = (Home::new(), server.login("bob"));
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.enters("5|bob|hello");
    assert_eq!(bob.push().text(), "alice|hello");
    alice.is_open("*server*");
    alice.comes_to("what went and what came", |contents| {
        let went = contents.find("→ 5|bob|hello");
        let answer = went.and_then(|at| contents[at..].split_once("← 5"));
        answer.is_some_and(|(_, answer)| answer.contains("ok|delivered|"))
    });
}

#[test]
fn an_escaped_op_is_a_message() {
    let server = Local::start(&[]);
    let (home, mut bob) = (Home::new(), server.login("bob"));
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.opens("bob");
    alice.types("\\5|bob|hi");
    alice.shows("sends 5|bob|hi");
    alice.types("\r");
    assert_eq!(bob.push().text(), "alice|5|bob|hi");
}

#[test]
fn an_account_is_deleted_when_its_name_is_typed() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.types("4|");
    alice.shows("asks before it runs");
    alice.types("\r");
    alice.shows("Delete");
    // Neither Enter alone nor another name.
    alice.types("\r");
    alice.types("alicia\r");
    alice.shows("alicia");
    assert!(server.connect().ask(Create, "alice").starts_with("error|name-taken|"));
    alice.types("\x15alice");
    alice.comes_to("her name", |contents| !contents.contains("alicia"));
    alice.types("\r");
    alice.shows("Welcome");
    assert!(server.connect().ask(Create, "alice").starts_with("ok"));
}

#[test]
fn a_password_in_an_op_is_not_seen_and_kept_nowhere() {
    let server = Local::start(&[]);
    assert!(server.connect().ask(Create, "carol|open sesame").starts_with("ok"));
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.types("2|carol|open sesame");
    alice.shows("RAW op 2 LOGIN  [carol] [•••••••••••]");
    alice.shows("# 2|carol|•••••••••••");
    alice.types("\r");
    alice.shows("← 2");
    // Nor is it called back.
    alice.types("\x1b[1;5A");
    alice.types("\x11");
    assert_eq!(alice.ends(), 0);
    let written = String::from_utf8_lossy(&alice.written()).into_owned();
    assert!(!written.contains("sesame"), "{written:?}");
    for file in files(home.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|piece| piece == b"sesame"), "{} has it", file.display());
    }
    assert!(server.connect().ask(Login, "carol|open sesame").starts_with("ok"), "it is still the password");
}

/// Every file in a folder and below.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path if path.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

#[test]
fn what_is_no_op_is_refused_in_place() {
    let home = Home::new();
    let mut terminal = demo(&home);
    for (text, reason) in [("99|x", "unknown op"), ("300|x", "op is 0-255")] {
        terminal.types(text);
        terminal.shows(reason);
        terminal.types("\r");
        terminal.comes_to("it is still in the box", |contents| {
            contents.contains(reason) && contents.contains(&format!("> {text}"))
        });
        terminal.types("\x15");
        terminal.shows(EMPTY);
    }
    terminal.types(" 5|x");
    terminal.shows(">  5|x");
    assert!(!terminal.contents().contains("RAW") && !terminal.contents().contains("# "));
    terminal.types("\r");
    terminal.comes_to("a message", |contents| {
        contents.contains(EMPTY) && contents.lines().any(|row| row.contains(" 5|x") && row.contains('✓'))
    });
}
