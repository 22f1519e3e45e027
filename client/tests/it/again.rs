//! `send` again after no answer, while other programs of the account run: the message arrives once.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use bellhop::{Receive, Role};
use bellhop_protocol::Code;

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
    let late = desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]);
    late.fails(3, "run the same command again");
    assert!(late.stderr.contains("another bellhop") && !late.stderr.contains("history"), "{}", late.stderr);
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

/// Whatever `sent` said of `send bob one`, the same command leads to one message.
#[track_caller]
fn is_told_or_left(desk: &Desk, sent: &Ran) {
    assert!(matches!(sent.code, Some(0 | 3)), "{}", sent.stderr);
    let left = |row: &rusqlite::Row<'_>| row.get::<_, bool>(0);
    let left = desk.history().query_row("SELECT EXISTS (SELECT 1 FROM outbox)", [], left);
    assert_eq!(left.expect("read"), sent.code == Some(3), "{}", sent.stderr);
    if sent.code == Some(3) {
        assert!(sent.stderr.contains("run the same command again"), "{}", sent.stderr);
        assert_eq!(desk.as_alice(&["send", "bob", "one"]).code, Some(0));
    }
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

#[test]
fn an_answer_at_the_deadline_is_told_now_or_by_the_same_command() {
    for delay_ms in (300..540).step_by(30) {
        let desk = desk();
        desk.server.world().slow_posts = Duration::from_millis(delay_ms);
        let sent = desk.as_alice(&["--timeout", "500ms", "send", "bob", "one"]);
        desk.server.world().slow_posts = Duration::ZERO;
        is_told_or_left(&desk, &sent);
    }
}

/// The answer was on its way through the connection's thread when the time was over: the message was settled, nobody
/// was told, and the same command sent it once more.
#[test]
fn an_answer_that_waits_for_the_disk_is_told_now_or_by_the_same_command() {
    let desk = desk();
    desk.server.world().slow_posts = Duration::from_millis(400);
    let sending = spawned(&desk, &["--timeout", "1s", "send", "bob", "one"]);
    until("it was sent", || !desk.server.texts("bob").is_empty());
    let history = desk.history();
    history.execute_batch("BEGIN IMMEDIATE").expect("the file");
    // Longer than the command waits: it has no time left while the file is held, and nothing shows that from outside.
    std::thread::sleep(Duration::from_millis(1_500));
    history.execute_batch("COMMIT").expect("given back");
    is_told_or_left(&desk, &Ran::new(sending.wait_with_output().expect("it ends")));
}

/// Another message's command said on its own stderr that this one had arrived, and the same command sent it again.
#[test]
fn what_another_command_settled_is_told_by_the_same_one_and_once() {
    let desk = desk();
    desk.server.account("carol", None);
    desk.server.world().silent_posts = 1;
    desk.as_alice(&["--timeout", "1s", "send", "bob", "A"]).fails(3, "run the same command again");
    let other = desk.as_alice(&["send", "carol", "B"]);
    assert!(other.stderr.contains("an earlier message to bob has arrived"), "{}", other.stderr);
    let again = desk.as_alice(&["send", "bob", "A"]);
    assert!(again.stdout.starts_with("sent "), "{}{}", again.stdout, again.stderr);
    assert_eq!(desk.server.texts("bob"), ["A"]);
    let id = desk.server.world().accounts["bob"].items[0].id.to_string();
    assert!(again.stdout.contains(&id), "{}", again.stdout);
    assert!(desk.as_alice(&["send", "bob", "A"]).stdout.starts_with("stored "));
    assert_eq!(desk.server.texts("bob"), ["A", "A"]);
}

/// The same alert days later was taken for the one of then, and nobody got it.
#[test]
fn the_same_words_after_an_hour_are_another_message() {
    let desk = desk();
    desk.server.account("carol", None);
    for (settle_first, texts) in [(false, 2), (true, 4)] {
        desk.server.world().silent_posts = 1;
        desk.as_alice(&["--timeout", "1s", "send", "bob", "down"]).fails(3, "run the same command again");
        if settle_first {
            desk.as_alice(&["send", "carol", "hi"]);
        }
        let hour = "UPDATE outbox SET written_ms = written_ms - 3600001";
        assert_eq!(desk.history().execute(hour, []).expect("written"), 1);
        let again = desk.as_alice(&["send", "bob", "down"]);
        assert!(again.stdout.starts_with("stored "), "{}{}", again.stdout, again.stderr);
        let told = again.stderr.contains("an earlier message to bob has arrived");
        assert_eq!(told, !settle_first, "{}", again.stderr);
        assert_eq!(desk.server.texts("bob").len(), texts);
    }
}

/// A login that was refused after the message had left ended with the code of a refusal.
#[test]
fn a_message_that_may_have_arrived_is_never_called_refused() {
    for code in [Code::TOO_MANY_SESSIONS, Code::BAD_PASSWORD, Code::VERSION] {
        let desk = desk();
        desk.server.world().silent_posts = 1;
        let sending = spawned(&desk, &["--timeout", "3s", "send", "bob", "one"]);
        until("it was sent", || desk.server.texts("bob").len() == 1);
        desk.server.world().refuse_logins = Some(code);
        desk.server.cut();
        let sent = Ran::new(sending.wait_with_output().expect("it ends"));
        sent.fails(3, "run the same command again");
        assert!(sent.stderr.contains(&code.to_string()), "{}", sent.stderr);
        desk.server.world().refuse_logins = None;
        assert!(desk.as_alice(&["send", "bob", "one"]).stdout.starts_with("sent "));
        assert_eq!(desk.server.texts("bob"), ["one"]);
    }
}

/// A program that goes on for long, as `raw` may, had the device, and the answer on disk was out of reach.
#[test]
fn what_is_known_already_is_told_whoever_has_the_device() {
    let desk = desk();
    desk.server.account("carol", None);
    desk.server.world().silent_posts = 1;
    desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]).fails(3, "run the same command again");
    desk.as_alice(&["send", "carol", "hi"]);
    let (home, role) = (bellhop::Home::at(desk.home.path()), Role::Named("send-0".into()));
    let mut holder =
        sit(bellhop::Config { role, receive: Receive::Nothing, ..config(&desk.server, &home, "alice") });
    holder.online();
    let again = desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]);
    assert!(again.stdout.starts_with("sent "), "{}{}", again.stdout, again.stderr);
    assert!(desk.as_alice(&["send", "bob", "one"]).stdout.starts_with("stored "), "another one");
    assert_eq!(desk.server.texts("bob"), ["one", "one"]);
    holder.leave();
}

/// It was given up as something that nobody can know.
#[test]
fn a_repeat_that_is_refused_for_now_is_kept_for_the_same_command() {
    let desk = desk();
    (desk.server.world().lost_posts, desk.server.world().refuse_posts) = (1, Some(Code::STORAGE));
    desk.as_alice(&["send", "bob", "one"]).fails(9, "run the same command again");
    desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]).fails(9, "run the same command again");
    desk.server.world().refuse_posts = None;
    assert!(desk.as_alice(&["send", "bob", "one"]).stdout.starts_with("stored "));
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

/// "The server did not answer", though the file that another program held was this client's own.
#[test]
fn a_history_that_somebody_holds_is_not_called_a_silent_server() {
    let desk = desk();
    assert_eq!(desk.as_alice(&["send", "bob", "one"]).code, Some(0));
    let history = desk.history();
    history.execute_batch("BEGIN IMMEDIATE").expect("the file");
    let sent = desk.as_alice(&["--timeout", "1s", "send", "bob", "two"]);
    assert!(sent.stderr.contains("history") && !sent.stderr.contains("server"), "{}", sent.stderr);
    assert_eq!(sent.code, Some(1), "{}", sent.stderr);
    assert_eq!(desk.server.texts("bob"), ["one"]);
}

/// It was noted as told though nobody had read it, and the same command sent it once more.
#[cfg(target_os = "linux")]
#[test]
fn a_result_that_could_not_be_printed_is_told_by_the_same_command() {
    let desk = desk();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let mut command = desk.command(&["send", "bob", "one"]);
    let sent = command.env("BELLHOP_USER", "alice").stdout(full).stderr(Stdio::piped());
    let sent = Ran::new(sent.spawn().and_then(|child| child.wait_with_output()).expect("it ends"));
    let id = desk.server.world().accounts["bob"].items[0].id.to_string();
    sent.fails(1, "the same command says it again");
    assert!(sent.stderr.contains(&format!("the server has it, stored {id}")), "{}", sent.stderr);
    desk.as_alice(&["send", "bob", "one"]).prints(&format!("stored {id}\n"));
    assert_eq!(desk.server.texts("bob"), ["one"]);
}
