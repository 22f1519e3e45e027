//! `send` again after no answer, while other programs of the account run: the message arrives once.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use bellhop::{Receive, Role};

use crate::desk::{Desk, Ran, desk};
use crate::support::{Seat, config, sit, until};

/// A desk where `send bob one` got no answer, and somebody else holds its device and gets none either.
fn held() -> (Desk, Seat) {
    let desk = desk();
    desk.server.world().silent_posts = 2;
    desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]).fails(3, "run the same command again");
    let home = bellhop::Home::at(desk.home.path());
    let role = Role::Named("send-0".into());
    let mut holder =
        sit(bellhop::Config { role, receive: Receive::Nothing, ..config(&desk.server, &home, "alice") });
    holder.online();
    until("the holder has asked", || desk.server.world().silent_posts == 0);
    (desk, holder)
}

fn spawned(desk: &Desk, arguments: &[&str]) -> Child {
    let mut command = desk.command(arguments);
    command.env("BELLHOP_USER", "alice").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it runs")
}

#[test]
fn a_device_that_is_busy_is_waited_for() {
    let (desk, holder) = held();
    desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]).fails(3, "run the same command again");
    assert_eq!(desk.server.texts("bob"), ["one"]);
    let again = spawned(&desk, &["--timeout", "30s", "send", "bob", "one"]);
    holder.leave();
    let again = Ran::new(again.wait_with_output().expect("it ends"));
    assert!(again.stdout.starts_with("sent "), "{}{}", again.stdout, again.stderr);
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

#[test]
fn what_another_program_settled_meanwhile_is_told() {
    let (desk, mut holder) = held();
    let mut again = spawned(&desk, &["--timeout", "30s", "send", "Bob", "one"]);
    let mut remark = String::new();
    BufReader::new(again.stderr.as_mut().expect("piped")).read_line(&mut remark).expect("a remark");
    assert!(remark.contains("the same message"), "{remark}");
    desk.server.cut();
    holder.find("the answer", |event| {
        matches!(event, bellhop::Event::State(change) if change.id.is_some()).then_some(())
    });
    holder.leave();
    let again = Ran::new(again.wait_with_output().expect("it ends"));
    assert!(again.stdout.starts_with("sent "), "{}{}", again.stdout, again.stderr);
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

#[test]
fn what_nobody_can_know_is_said_and_not_sent_again() {
    let desk = desk();
    desk.server.world().silent_posts = 1;
    desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]).fails(3, "run the same command again");
    // Deleted, and made again by somebody: what the old account sent is in no window of the new one.
    desk.server.world().accounts.remove("alice");
    desk.server.account("alice", None);
    desk.as_alice(&["--timeout", "30s", "send", "bob", "one"]).fails(1, "nobody can know");
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

#[test]
fn two_equal_commands_side_by_side_are_two_messages() {
    let desk = desk();
    desk.server.world().silent_posts = 1;
    let mut first = spawned(&desk, &["--timeout", "1m", "send", "bob", "hi"]);
    until("the first was sent", || desk.server.texts("bob").len() == 1);
    let second = desk.as_alice(&["send", "bob", "hi"]);
    assert!(second.stdout.starts_with("stored "), "{}{}", second.stdout, second.stderr);
    assert_eq!(desk.server.texts("bob"), ["hi", "hi"]);
    first.kill().expect("it runs");
    first.wait().expect("it ends");
}
