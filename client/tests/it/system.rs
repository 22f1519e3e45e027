//! What a Unix system brings: pipes that break, arguments that are not text, folders of XDG.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::desk::{Ran, desk, json};
use crate::support::waited;

#[test]
fn a_broken_pipe_is_a_quiet_end_and_the_rest_comes_again() {
    let desk = desk();
    for number in 0..2_000 {
        desk.server.deliver("alice", "bob", &format!("{number} {}", "x".repeat(100)));
    }
    let mut command = desk.command(&["deliver", "--json"]);
    command.env("BELLHOP_USER", "alice").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    reader.read_line(&mut first).expect("a line");
    let seen = json(first.trim())["id"].as_str().map(str::to_owned).expect("an id");
    drop(reader);
    let ended = Ran::new(child.wait_with_output().expect("it ends"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let rest = desk.as_alice(&["--json", "deliver"]);
    let ids: Vec<String> =
        rest.stdout.lines().map(|line| json(line)["id"].as_str().expect("an id").to_owned()).collect();
    assert!(!ids.contains(&seen), "shown twice");
    let last = ids.last().expect("the rest");
    let items = &desk.server.world().accounts["alice"].items;
    let position = |id: &str| items.iter().position(|item| item.id.to_string() == id);
    assert_eq!(position(last), Some(1_999));
    // A pipe holds a while after its reader has gone: what went into it was flushed, so it counts as delivered.
    let first_again = position(&ids[0]).expect("known");
    assert_eq!(ids.len(), 2_000 - first_again, "in order and without a hole");
}

/// An argument that is not UTF-8 panicked where it was looked for `--json`.
#[test]
fn an_argument_that_is_not_text_is_a_mistake() {
    use std::os::unix::ffi::OsStrExt;
    let desk = desk();
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    let ran = |arguments: &[&str]| Ran::new(desk.command(arguments).arg(odd).output().expect("it runs"));
    for arguments in [&[][..], &["frobnicate"], &["send", "bob"]] {
        ran(arguments).fails(2, "");
    }
    let told = ran(&["--json", "send"]);
    told.fails(2, "");
    assert_eq!(json(&told.stderr)["exit"].as_u64(), Some(2));
    desk.piped(&["raw"], b"0|\n5|bob|\xff\n").stderr.contains("UTF-8").then_some(()).expect("said");
    assert_eq!(desk.piped(&["raw"], b"\xff\n").code, Some(2));
}

/// Locks in a folder of their own let two programs be one device, where only that folder differed.
#[cfg(target_os = "linux")]
#[test]
fn one_history_has_one_listener_wherever_state_is_kept() {
    let desk = desk();
    let with_state = |state: &str| {
        let mut command = desk.command(&["--user", "bob", "listen"]);
        command.env_remove("BELLHOP_HOME").env("HOME", desk.home.path());
        command.env("XDG_DATA_HOME", desk.home.path().join("data"));
        command.env("XDG_STATE_HOME", desk.home.path().join(state));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it runs")
    };
    desk.server.deliver("bob", "alice", "hi");
    let mut first = with_state("one");
    let mut line = String::new();
    BufReader::new(first.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
    let mut second = with_state("two");
    let mut ended = None;
    let refused = waited(|| {
        ended = second.try_wait().expect("a state");
        ended.is_some()
    });
    for child in [&mut first, &mut second] {
        // One of them has ended.
        let _ = child.kill();
        child.wait().expect("it ends");
    }
    assert!(refused, "two listen");
    assert_eq!(ended.expect("it ended").code(), Some(1));
}
