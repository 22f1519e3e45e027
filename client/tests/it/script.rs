//! What scripts rely on: ids, receipts that are waited for, lines, exit codes.

use std::time::Duration;

use bellhop_protocol::Code;

use crate::desk::{Desk, Ran, desk, json};
use crate::support::{PATIENCE, until};

#[test]
fn under_an_id_nothing_is_sent_twice() {
    let desk = desk();
    let send = |text: &str| desk.as_alice(&["send", "bob", text, "--id", "job-7"]);
    let first = send("done");
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    for _ in 0..2 {
        send("done").prints(&first.stdout);
    }
    // Years later as well.
    desk.history().execute("UPDATE messages SET time_ms = 1", []).expect("written");
    send("done").prints(&first.stdout);
    send("something else").fails(2, "another message");
    desk.as_alice(&["send", "alice", "done", "--id", "job-7"]).fails(2, "another message");
    assert_eq!(desk.server.texts("bob"), ["done"]);
    desk.as_alice(&["send", "bob", "done", "--id", "job-8"]);
    assert_eq!(desk.server.texts("bob"), ["done", "done"]);
    desk.as_alice(&["send", "bob", "x", "--id", ""]).fails(2, "1 to 200 bytes");
    desk.as_alice(&["send", "bob", "x", "--id", "a\nb"]).fails(2, "control characters");
}

#[test]
fn an_id_finds_out_what_became_of_a_message_without_an_answer() {
    let desk = desk();
    let send = || desk.as_alice(&["--timeout", "1s", "send", "bob", "one", "--id", "job-7"]);
    desk.server.world().silent_posts = 1;
    send().fails(3, "run the same command again");
    // Beyond the hour in which the same words would be enough.
    desk.history().execute("UPDATE outbox SET written_ms = written_ms - 3600001", []).expect("written");
    let again = send();
    assert!(again.stdout.starts_with("sent "), "{}{}", again.stdout, again.stderr);
    send().prints(&again.stdout);
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

/// A refusal is certain: nothing was sent, and the id is free.
#[test]
fn what_was_refused_may_be_sent_under_its_id() {
    let desk = desk();
    let send = || desk.as_alice(&["send", "bob", "one", "--id", "job-7"]);
    desk.server.world().refuse_posts = Some(Code::MAILBOX_FULL);
    send().fails(9, "the test server says no");
    desk.server.world().refuse_posts = None;
    assert_eq!(send().code, Some(0));
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

#[test]
fn two_runs_under_one_id_are_one_message() {
    let desk = desk();
    desk.server.world().slow_posts = Duration::from_millis(300);
    let spawn = || {
        let mut command = desk.command(&["send", "bob", "one", "--id", "job-7"]);
        command.env("BELLHOP_USER", "alice").stdout(std::process::Stdio::piped());
        command.spawn().expect("it runs")
    };
    let runs: Vec<_> = (0..4).map(|_| spawn()).collect();
    let ran: Vec<Ran> = runs
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("it ends");
            Ran {
                code: output.status.code(),
                stdout: String::from_utf8(output.stdout).expect("UTF-8"),
                stderr: String::new(),
            }
        })
        .collect();
    assert!(ran.iter().all(|one| one.code == Some(0) && one.stdout == ran[0].stdout));
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

#[test]
fn a_receipt_is_waited_for() {
    let desk = desk();
    let (mut child, lines) = desk.spawn("bob", &["listen"]);
    until("bob listens", || desk.server.world().log.iter().any(|op| op.starts_with("Deliver")));
    let sent = desk.as_alice(&["--timeout", "30s", "--json", "send", "bob", "hi", "--wait", "delivered"]);
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(json(sent.stdout.trim())["state"].as_str(), Some("delivered"));
    lines.recv_timeout(PATIENCE).expect("a line");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn a_receipt_that_does_not_come_in_time_is_no_failure_to_send() {
    let desk = desk();
    let send = |time: &str| {
        let common = ["--json", "--timeout", time, "send", "bob", "hi"];
        desk.as_alice(&[&common[..], &["--wait", "delivered", "--id", "job-7"]].concat())
    };
    let late = send("1s");
    assert_eq!(late.code, Some(10), "{}", late.stderr);
    let told = json(late.stdout.trim());
    assert_eq!(told["state"].as_str(), Some("stored"));
    let failure = json(late.stderr.trim());
    assert_eq!((failure["exit"].as_i64(), failure["code"].as_str()), (Some(10), Some("not-delivered")));
    assert!(
        failure["message"].as_str().is_some_and(|said| said.contains(told["id"].as_str().expect("an id")))
    );
    // Bob comes, and the same command learns of it.
    assert_eq!(desk.run(&["--user", "bob", "deliver"]).stdout.lines().count(), 1);
    let now = send("30s");
    assert_eq!(now.code, Some(0), "{}", now.stderr);
    let now = json(now.stdout.trim());
    assert_eq!((now["state"].as_str(), &now["id"]), (Some("delivered"), &told["id"]));
    assert_eq!(desk.server.texts("bob"), ["hi"]);
}

#[test]
fn without_a_receipt_asked_for_none_is_waited_for() {
    let desk = desk();
    assert_eq!(desk.as_alice(&["send", "bob", "hi", "--id", "job-7"]).code, Some(0));
    let ran = desk.as_alice(&["send", "bob", "hi", "--id", "job-7", "--wait", "delivered"]);
    assert_eq!(ran.code, Some(10), "{}", ran.stderr);
    assert!(ran.stderr.contains("no receipt was asked for"), "{}", ran.stderr);
}

/// What came while a receipt was waited for was acknowledged by the device that waited: gone for everybody else, or told
/// to its sender as delivered where nobody had it.
#[test]
fn what_comes_while_a_receipt_is_waited_for_is_still_delivered() {
    let desk = desk();
    desk.server.deliver("alice", "bob", "for you");
    assert_eq!(
        desk.as_alice(&["--timeout", "1s", "send", "bob", "hi", "--wait", "delivered"]).code,
        Some(10)
    );
    let acknowledged =
        |desk: &Desk| desk.server.world().log.iter().filter(|op| op.starts_with("Ack")).count();
    assert_eq!(acknowledged(&desk), 0, "nobody has it yet");
    let delivered = desk.as_alice(&["deliver"]);
    assert!(delivered.stdout.ends_with(" bob: for you\n"), "{}{}", delivered.stdout, delivered.stderr);
    // What a program of this home has had is nobody's to wait for: it stands in the way of no receipt.
    let before = acknowledged(&desk);
    desk.as_alice(&["--timeout", "1s", "send", "bob", "hi again", "--wait", "delivered"]);
    assert_eq!(acknowledged(&desk), before + 1);
}

#[test]
fn each_line_is_a_message_in_order() {
    let desk = desk();
    let lines: String = (1..=700).map(|number| format!("{number}\n")).collect();
    let sent = desk.piped(&["--json", "send", "bob", "--lines"], lines.replace("13\n", "13\n\n").as_bytes());
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let told: Vec<_> = sent.stdout.lines().map(json).collect();
    assert_eq!(told.len(), 700);
    let expected: Vec<String> = (1..=700).map(|number: u32| number.to_string()).collect();
    assert_eq!(desk.server.texts("bob"), expected);
    let ids: Vec<String> =
        desk.server.world().accounts["bob"].items.iter().map(|item| item.id.to_string()).collect();
    assert!(told.iter().zip(&ids).all(|(line, id)| line["id"].as_str() == Some(id)), "told in order");
    assert_eq!(desk.history().query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)), Ok(0));
}

#[test]
fn a_line_that_is_refused_is_named() {
    let desk = desk();
    desk.piped(&["send", "nobody", "--lines"], b"\none\n").fails(5, "line 2: ");
    let ran = desk.piped(&["send", "bob", "--lines"], b"one\n\xff\nthree\n");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 2: it is not UTF-8"), "{}", ran.stderr);
    assert_eq!((ran.stdout.lines().count(), desk.server.texts("bob")), (1, vec!["one".to_owned()]));
    desk.piped(&["send", "bob", "x", "--lines"], b"").fails(2, "--lines");
}

#[test]
fn lines_under_an_id_go_on_where_they_ended() {
    let desk = desk();
    let lines = b"1\n2\n3\n4\n5\n";
    let run =
        |desk: &Desk| desk.piped(&["--timeout", "1s", "send", "bob", "--lines", "--id", "job-7"], lines);
    desk.server.world().silent_posts = 2;
    let first = run(&desk);
    assert_eq!(first.code, Some(3), "{}", first.stderr);
    assert!(first.stderr.contains("no line is sent twice"), "{}", first.stderr);
    let again = run(&desk);
    assert_eq!((again.code, again.stdout.lines().count()), (Some(0), 5), "{}", again.stderr);
    assert_eq!(desk.server.texts("bob"), ["1", "2", "3", "4", "5"]);
    run(&desk).prints(&again.stdout);
    assert_eq!(desk.server.texts("bob").len(), 5);
    let other = desk.piped(&["send", "bob", "--lines", "--id", "job-7"], b"1\n2\nX\n");
    assert!(other.code == Some(2) && other.stderr.contains("line 3: "), "{}", other.stderr);
}

/// The table of `help exit-codes`, by real runs; nothing is on stdout where a command failed.
#[test]
fn every_exit_code_has_its_reason() {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let fails = |arguments: &[&str], code: i32| {
        let plain = desk.as_alice(arguments);
        assert_eq!((plain.code, plain.stdout.as_str()), (Some(code), ""), "{arguments:?}: {}", plain.stderr);
        let told = desk.as_alice(&[&["--json"], arguments].concat());
        let error = json(told.stderr.lines().last().unwrap_or_default());
        assert_eq!((error["exit"].as_i64(), told.stdout.as_str()), (Some(code.into()), ""), "{arguments:?}");
    };
    assert_eq!(desk.as_alice(&["status"]).code, Some(0));
    fails(&["trust", "remove", "chat.example:1"], 1);
    fails(&["send"], 2);
    fails(&["delete", "alice"], 2);
    fails(&["--server", &gone.to_string(), "status"], 3);
    fails(&["--user", "carol", "status"], 4);
    fails(&["send", "nobody", "hi"], 5);
    fails(&["create", "bob"], 6);
    desk.server.world().refuse_posts = Some(Code::TOO_LONG);
    fails(&["send", "bob", "hi"], 9);
    desk.server.world().refuse_posts = Some(Code::VERSION);
    fails(&["send", "bob", "hi"], 8);
    // 7 needs TLS: `trust`. 10 prints the id: above. Signals: `signals`.
}
