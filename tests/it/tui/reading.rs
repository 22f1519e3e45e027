//! Reading: what is read stays where it is, and what was not seen stays unread.

use std::time::Duration;

use bellhop_tests::peer::Peer;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

use super::{EMPTY, SIZE, body, listed, says, stays};

/// Longer than it takes to have read something.
const READ: Duration = Duration::from_millis(1_700);

/// Alice before a conversation with bob of so many lines.
fn talk(server: &Local, home: &Home, lines: u32) -> (Terminal, Peer) {
    let mut bob = server.login("bob");
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    says(&mut bob, "alice", (1..=lines).map(|number| format!("line {number:03}")));
    alice.shows(&format!("{lines} unread"));
    alice.opens("bob");
    alice.shows("line 0");
    alice.types("\x1b[1;5F");
    alice.shows(&format!("line {lines:03}"));
    (alice, bob)
}

/// Presses keys as fast as somebody who looks for something: each is drawn, and nothing is read.
fn passes(terminal: &mut Terminal, keys: &[&str]) {
    keys.iter().for_each(|key| terminal.draws(key));
}

/// How many messages are below what is shown.
fn below(contents: &str) -> Option<u32> {
    let row = contents.lines().find(|row| row.contains(" newer below"))?;
    row.split(" newer below").next()?.rsplit(' ').next()?.trim_end_matches('+').parse().ok()
}

#[test]
fn what_comes_while_somebody_reads_above_is_counted_and_moves_nothing() {
    let (server, home) = (Local::start(&[]), Home::new());
    let (mut alice, mut bob) = talk(&server, &home, 60);
    alice.types("\x1b[5~");
    alice.shows("newer below");
    let (before, shown) = (below(&alice.contents()).unwrap(), body(&alice.contents()));
    says(&mut bob, "alice", (61..=80).map(|number| format!("line {number:03}")));
    alice.comes_to("twenty more", |contents| below(contents) == Some(before + 20));
    assert_eq!(body(&alice.contents()), shown);
    alice.types("\x1b[1;5F");
    alice.shows("line 080");
    assert_eq!(below(&alice.contents()), None);
}

#[test]
fn other_widths_leave_the_bottom_line_where_it_is() {
    let (server, home) = (Local::start(&[]), Home::new());
    let (mut alice, _bob) = talk(&server, &home, 60);
    alice.types("\x1b[5~");
    alice.shows("newer below");
    let bottom = body(&alice.contents()).pop().unwrap();
    let text = bottom[bottom.find("line ").unwrap()..].to_owned();
    for (columns, rows) in [(100, 30), (80, 24), (140, 40), (80, 24)] {
        alice.resize(columns, rows);
        alice.comes_to(&format!("{text} at {columns} columns"), |contents| {
            let count = contents.lines().count();
            count == usize::from(rows) && body(contents).last().is_some_and(|row| row.contains(&text))
        });
    }
}

#[test]
fn what_is_unread_is_divided_off_and_counts_until_it_was_looked_at() {
    let (server, home) = (Local::start(&[]), Home::new());
    let (mut alice, _bob) = talk(&server, &home, 3);
    let mut carol = server.login("carol");
    says(&mut carol, "alice", ["first".into(), "second".into(), "third".into()]);
    let counted = |contents: &str| listed(contents, "carol").trim_end().ends_with('3');
    alice.comes_to("three unread", counted);
    // Opened and left in a moment.
    passes(&mut alice, &["\x1b[1;3A", "\x1b[1;3B"]);
    assert!(stays(&alice, READ, counted), "{}", alice.contents());
    alice.opens("carol");
    alice.comes_to("the divider above the first", |contents| {
        let rows = body(contents);
        let new = rows.iter().position(|row| row.contains("── new ──"));
        new.is_some_and(|at| rows.get(at + 1).is_some_and(|row| row.contains("first")))
    });
    alice.comes_to("nothing unread", |contents| !counted(contents) && !contents.contains("unread"));
    assert!(alice.contents().contains("── new ──"), "it stays for whoever is still there");
}

#[test]
fn passing_through_reads_nothing() {
    let (server, home) = (Local::start(&[]), Home::new());
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    let names = ["bob", "carol", "dave", "erin", "frank"];
    for name in names {
        says(&mut server.login(name), "alice", [format!("this is {name}")]);
    }
    let counted = |contents: &str| {
        names.iter().all(|name| listed(contents, name).trim_end().ends_with('1'))
            && contents.contains("5 unread")
    };
    alice.comes_to("five unread", counted);
    passes(&mut alice, &[["\x0e"; 5], ["\x10"; 5]].concat());
    assert!(stays(&alice, READ, counted), "{}", alice.contents());
    // One that is stayed with is read.
    alice.types("\x0e");
    alice.comes_to("four unread", |contents| contents.contains("4 unread"));
}

#[test]
fn what_was_marked_is_unread_from_there() {
    let (server, home) = (Local::start(&[]), Home::new());
    let (mut alice, _bob) = talk(&server, &home, 5);
    says(&mut server.login("carol"), "alice", ["hello".into()]);
    alice.comes_to("read", |contents| !listed(contents, "bob").trim_end().ends_with('5'));
    // The last but one.
    alice.types("\x1b[A");
    alice.shows("u unread");
    alice.types("k");
    alice.types("u");
    alice.shows("── new ──");
    alice.types("\x1b");
    alice.comes_to("the box", |contents| !contents.contains("u unread"));
    alice.opens("carol");
    alice.comes_to("two unread", |contents| listed(contents, "bob").trim_end().ends_with('2'));
    alice.opens("bob");
    alice.comes_to("the divider", |contents| {
        let rows = body(contents);
        let new = rows.iter().position(|row| row.contains("── new ──"));
        new.is_some_and(|at| rows.get(at + 1).is_some_and(|row| row.contains("line 004")))
    });
}

#[test]
fn words_are_found_and_escape_goes_back() {
    let (server, home) = (Local::start(&[]), Home::new());
    let mut bob = server.login("bob");
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    says(
        &mut bob,
        "alice",
        (1..=70).map(|number| {
            if number % 10 == 5 { format!("paste {number:03}") } else { format!("line {number:03}") }
        }),
    );
    alice.shows("70 unread");
    alice.opens("bob");
    alice.shows("line 0");
    alice.types("\x1b[1;5F");
    alice.shows("line 070");
    alice.types("\x1b[5~");
    alice.shows("newer below");
    let shown = body(&alice.contents());
    alice.types("\x06paste");
    alice.shows("1 of 7");
    alice.types("\x1b[A");
    alice.shows("2 of 7");
    alice.types("\x1b[A");
    alice.shows("3 of 7");
    alice.shows("paste 045");
    alice.types("\x1b");
    alice.comes_to("where it was", |contents| body(contents) == shown && contents.contains(EMPTY));
}
