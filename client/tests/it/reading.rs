//! `deliver` and `listen`: which messages, how many, and when they count as printed.

use crate::desk::{Desk, desk, json};

fn with_messages(count: u32) -> Desk {
    let desk = desk();
    desk.server.account("carol", None);
    for number in 0..count {
        desk.server.deliver("alice", if number % 2 == 0 { "bob" } else { "carol" }, &number.to_string());
    }
    desk
}

/// The texts that a command prints.
#[track_caller]
fn texts(desk: &Desk, arguments: &[&str]) -> Vec<String> {
    let ran = desk.as_alice(&[&["--json"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    ran.stdout.lines().map(|line| json(line)["text"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn no_more_than_asked_for_are_taken() {
    let desk = with_messages(5);
    assert_eq!(texts(&desk, &["deliver", "--max", "2"]), ["0", "1"]);
    assert_eq!(desk.server.unacknowledged("alice"), 3);
    assert_eq!(texts(&desk, &["listen", "--max", "1"]), ["2"]);
    assert_eq!(texts(&desk, &["deliver", "--max", "9"]), ["3", "4"]);
    desk.as_alice(&["deliver", "--max", "0"]).fails(2, "--max");
}

#[test]
fn what_others_wrote_goes_on_waiting() {
    let desk = with_messages(5);
    assert_eq!(texts(&desk, &["deliver", "--from", "Bob"]), ["0", "2", "4"]);
    assert_eq!(desk.server.unacknowledged("alice"), 2);
    assert_eq!(texts(&desk, &["deliver", "--from", "bob"]), [""; 0]);
    assert_eq!(texts(&desk, &["deliver", "--from", "carol", "--max", "1"]), ["1"]);
    assert_eq!(texts(&desk, &["deliver"]), ["3"]);
    desk.as_alice(&["deliver", "--from", "a b"]).fails(2, "spaces");
}

#[test]
fn who_only_looks_takes_nothing() {
    let desk = with_messages(3);
    for _ in 0..2 {
        assert_eq!(texts(&desk, &["deliver", "--ack", "no"]), ["0", "1", "2"]);
        assert_eq!(desk.server.unacknowledged("alice"), 3);
    }
    assert_eq!(texts(&desk, &["deliver", "--ack", "no", "--from", "carol"]), ["1"]);
    assert_eq!(texts(&desk, &["deliver"]), ["0", "1", "2"]);
}

#[test]
fn texts_come_as_they_were_sent_where_that_is_asked_for() {
    let desk = desk();
    for _ in 0..2 {
        desk.server.deliver("alice", "bob", "two\nlines\x1b[2J\u{202e}");
    }
    let raw = desk.as_alice(&["deliver", "--bytes", "--max", "1"]);
    assert_eq!(raw.stdout, "two\nlines\x1b[2J\u{202e}\n", "{}", raw.stderr);
    assert_eq!(texts(&desk, &["deliver", "--bytes"]), ["two\nlines\x1b[2J\u{202e}"]);
    let kept =
        desk.history().query_row("SELECT text FROM messages LIMIT 1", [], |row| row.get::<_, String>(0));
    assert!(!kept.expect("a text").contains('\x1b'), "what is kept is harmless");
}

/// `head` printed one line, and what else lay in the pipe had been acknowledged.
#[cfg(unix)]
#[test]
fn what_a_reader_leaves_in_the_pipe_comes_again() {
    let desk = with_messages(50);
    for first in 0..3 {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "\"$BELLHOP\" --json deliver | head -n 1; exit 0"]);
        let own = desk.command(&[]);
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("BELLHOP", env!("CARGO_BIN_EXE_bellhop")).env("BELLHOP_USER", "alice");
        let ran = crate::desk::Ran::new(command.output().expect("it runs"));
        assert_eq!(
            json(ran.stdout.trim())["text"].as_str(),
            Some(first.to_string().as_str()),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stderr, "", "a quiet end");
    }
    let rest: Vec<String> = (3..50).map(|number: u32| number.to_string()).collect();
    assert_eq!(texts(&desk, &["deliver"]), rest);
}
