//! The client without a screen: on a terminal that cannot be drawn on, and driven by a script.

use std::io::Write;
use std::process::{Command, Stdio};

use bellhop_protocol::OpCode::{Post, Send};
use bellhop_tests::process::binary;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

/// Runs `bellhop tui --plain` as somebody with these lines on stdin: exit code, stdout, stderr.
fn talk(home: &Home, server: &str, name: &str, lines: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary("bellhop"));
    command.args(["tui", "--plain", "--timeout", "20s"]);
    command.env("BELLHOP_HOME", home.path()).env("BELLHOP_SERVER", server).env("BELLHOP_USER", name);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_script_talks_and_ends_when_the_server_has_it_all() {
    let server = Local::start(&[]);
    let addr = server.addr().to_string();
    let mut bob = server.login("bob");
    drop(server.login("alice"));
    let home = Home::new();
    let script = "/open bob\nhello\n//shrug\n/lines\none\n..\n.\n0|b*\n";
    let (code, said, complaint) = talk(&home, &addr, "alice", script);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{said}");
    for text in ["alice|hello", "alice|/shrug", "alice|one\n."] {
        assert_eq!(bob.push().text(), text);
    }
    for line in
        ["-- online as alice at ", "-- what is typed goes to bob\n", " alice to bob: hello (message 1, "]
    {
        assert!(said.contains(line), "no {line:?} in {said}");
    }
    assert!(said.contains("-- message 1 to bob: ") && said.contains("-- 0 ok|bob\n"), "{said}");
    assert!(!said.contains('\x1b') && !said.contains("to bob> "), "no prompt and no colour: {said:?}");
}

#[test]
fn what_waits_is_read_by_its_name() {
    let server = Local::start(&[]);
    let addr = server.addr().to_string();
    drop(server.login("alice"));
    let mut bob = server.login("bob");
    for text in ["first", "second"] {
        assert!(bob.ask(Send, &format!("alice|{text}")).starts_with("ok|"));
    }
    let home = Home::new();
    // The end waits for what it was told of, and the history keeps it for the next run.
    let (code, said, _) = talk(&home, &addr, "alice", "");
    assert_eq!(code, Some(0), "{said}");
    let mut told = String::new();
    for _ in 0..20 {
        let (code, said, _) = talk(&home, &addr, "alice", "/who\n/read bob\n");
        assert_eq!(code, Some(0), "{said}");
        // One may come in this run and the other in the next.
        told += &said;
        if told.contains(" bob: second\n") {
            break;
        }
    }
    let places = [" bob: first\n", " bob: second\n"].map(|text| told.find(text));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{told}");
    // Before it has come there is nobody to be listed.
    let (_, said, _) = talk(&home, &addr, "alice", "/who\n");
    assert!(said.contains("-- bob"), "{said}");
}

#[test]
fn whoever_cannot_log_in_is_told_and_ends() {
    let server = Local::start(&[]);
    let addr = server.addr().to_string();
    let home = Home::new();
    let (code, said, _) = talk(&home, &addr, "nobody-here", "/open bob\nhello\n");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.starts_with("-- ") && !said.contains("hello"), "{said}");
}

/// A terminal that only takes lines: nothing is ever drawn again, and nothing drives it.
#[test]
fn a_dumb_terminal_gets_lines() {
    let server = Local::start(&[]);
    let addr = server.addr().to_string();
    let home = Home::new();
    drop(server.login("alice"));
    let mut bob = server.hello("bob", 1);
    let variables = [("TERM", "dumb"), ("BELLHOP_USER", "alice")];
    let mut alice = Terminal::start_with(&[], home.path(), &addr, (80, 24), &variables);
    alice.shows("online as alice");
    alice.types("/open bob\r");
    alice.shows("to bob> ");
    alice.types("hello\r");
    alice.shows("alice to bob: hello");
    bob.post(1, "alice", "hi yourself", true);
    bob.answer(Post.answer());
    alice.shows("bob: hi yourself");
    // What comes is a line of its own, and the prompt stands below it again.
    alice.comes_to("a prompt below", |contents| contents.trim_end().ends_with("to bob>"));
    alice.types("/delete-account\r");
    alice.shows("name of the account> ");
    alice.types("no\r");
    alice.shows("nothing is deleted");
    alice.types("/quit\r");
    assert_eq!(alice.ends(), 0);
    let written = String::from_utf8_lossy(&alice.written()).into_owned();
    assert!(!written.contains('\x1b'), "{written:?}");
}
