//! Logins, losses, remarks, and the end.

use std::time::Duration;

use bellhop_protocol::Code as Refusal;

use super::{change, message, sent, stopped};
use crate::delivery::Delivery;
use crate::event::{Event, Online, StopKind, Trouble, TroubleKind};
use crate::secret::Secret;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Link, Now};
use crate::tui::stage::Stage;
use crate::tui::update::Msg;

fn online(stage: &mut Stage) {
    let round_trip = Duration::from_millis(12);
    let (agent, node) = ("bellhop-server/0.1.0".into(), "n-01".into());
    stage.event(Event::Online(Online { agent, node, round_trip, created: false, presence: true }));
}

fn closed() -> Trouble {
    Trouble { kind: TroubleKind::Closed, sentence: "the server closed the connection".into() }
}

/// With a server on this machine, to which anybody may log in.
fn at_home() -> Stage {
    let mut stage = Stage::usual();
    let identity = stage.model.identity.as_mut().expect("somebody is logged in");
    (identity.server, identity.local) = ("127.0.0.1:2050".into(), true);
    stage
}

#[test]
fn quitting_asks_while_something_is_unsent() {
    let mut stage = Stage::usual();
    stage.ctrl('q');
    stage.shows("1 message is not at the server yet");
    stage.say("n");
    assert_eq!(stage.model.quit, None);
    stage.ctrl('q');
    stage.say("y");
    assert_eq!(stage.model.quit, Some(0));
    let mut stage = Stage::usual();
    stage.event(change(8, Delivery::Sent));
    stage.ctrl('q');
    assert_eq!(stage.model.quit, Some(0));
}

#[test]
fn the_countdown_moves_once_a_second_and_nothing_moves_without_one() {
    let mut stage = Stage::usual();
    stage.pass(10.0);
    stage.enter("/open nobody");
    stage.pass(10.0);
    assert_eq!(stage.model.deadline(), None, "nothing to wake up for");
    stage.say("x");
    stage.model.changed = false;
    stage.pass(10.0);
    assert!(!stage.model.changed, "a draft that was written down is nothing to draw");
    stage.event(Event::Offline(closed(), stage.now.at + Duration::from_millis(3_500)));
    stage.shows("Lost the server: the server closed");
    for expected in [4, 3, 2, 1] {
        stage.shows(&format!("offline, retry in {expected}s"));
        let next = stage.model.deadline().expect("a second passes");
        stage.pass((next - stage.now.at).as_secs_f64());
    }
    assert_eq!(stage.model.deadline(), None);
    stage.event(Event::Connecting);
    stage.shows("connecting");
}

#[test]
fn an_error_stays_until_a_key_and_a_remark_goes_by_itself() {
    let mut stage = Stage::usual();
    stage.event(Event::Problem("disk full".into()));
    stage.pass(60.0);
    stage.shows("disk full");
    stage.press(Code::Left);
    stage.hides("disk full");
    stage.event(Event::NewDevice);
    stage.shows("it has a new one");
    stage.pass(4.1);
    stage.hides("it has a new one");
    stage.ctrl('k');
    stage.enter("*server*");
    stage.shows("disk full");
    stage.shows("the id of this device was in use elsewhere");
}

#[test]
fn two_hundred_remarks_are_kept() {
    let mut stage = Stage::usual();
    for number in 0..300 {
        stage.event(Event::Notice(format!("remark {number}")));
    }
    assert_eq!(stage.model.notes.items.len(), 200);
    assert!(stage.model.notes.items[0].text.contains("remark 100"));
}

#[test]
fn a_refused_login_keeps_the_form() {
    let mut stage = Stage::login((80, 24), &UNICODE);
    stage.enter("alice");
    let effects = stage.done();
    assert!(
        matches!(&effects[..], [Effect::Connect(login)] if login.user.as_str() == "alice"),
        "{effects:?}"
    );
    stage.shows("Logging in");
    stage.event(stopped(StopKind::Refused(Refusal::BAD_PASSWORD), "the password is wrong"));
    stage.shows("the password is wrong");
    stage.shows("alice");
    stage.say("secret");
    stage.press(Code::Enter);
    let trouble =
        Trouble { kind: TroubleKind::Unreachable, sentence: "cannot reach x: connection refused".into() };
    stage.event(Event::Offline(trouble, stage.now.at));
    stage.shows("cannot reach x: connection refused");
    stage.shows("••••••");
    assert_eq!(stage.model.link, Link::Idle);
    stage.done();
    stage.press(Code::Enter);
    let effects = stage.done();
    let Some(Effect::Connect(login)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(login.password, Some(Secret::new("secret".into())));
}

#[test]
fn a_login_that_is_no_longer_good_asks_again_and_keeps_the_draft() {
    let mut stage = Stage::usual();
    stage.say("half");
    stage.event(stopped(StopKind::NeedPassword, "log in again"));
    stage.shows("log in again");
    stage.shows("Name       alice");
    stage.shows("chat.example:2050");
    assert!(stage.done().iter().any(|effect| matches!(effect, Effect::Draft { text, .. } if text == "half")));
}

#[test]
fn replaced_stays_and_says_so() {
    let mut stage = Stage::usual();
    stage.event(stopped(StopKind::Replaced, "a newer session of this device took over"));
    stage.shows("a newer session of this device took over");
    stage.shows("offline, /reconnect");
    stage.message(Msg::Ended);
    stage.shows("a newer session of this device took over");
}

/// Whoever tried to make an account could not get back to logging in.
#[test]
fn a_new_account_need_not_be_made() {
    for back in [Key::plain(Code::Esc), Key::ctrl(Code::Char('n'))] {
        let mut stage = Stage::login((80, 24), &UNICODE);
        stage.say("alice\topen sesame");
        stage.ctrl('n');
        stage.shows("New account");
        stage.shows("log in instead");
        stage.key(back);
        stage.shows("Welcome");
        stage.hides("Again");
        stage.press(Code::Enter);
        stage.shows("Logging in");
        stage.shows("Esc gives up");
        let effects = stage.done();
        assert!(matches!(&effects[..], [Effect::Connect(login)] if !login.create), "{effects:?}");
        stage.press(Code::Esc);
        stage.hides("Esc gives up");
        assert_eq!(stage.done(), [Effect::Disconnect]);
    }
}

#[test]
fn a_loss_is_over_when_the_server_is_back() {
    let mut stage = Stage::usual();
    stage.event(Event::Offline(closed(), stage.now.at));
    stage.shows("Lost the server");
    online(&mut stage);
    stage.hides("Lost the server");
    // What is wrong otherwise is still wrong.
    stage.event(Event::Offline(closed(), stage.now.at));
    stage.event(Event::Problem("disk full".into()));
    online(&mut stage);
    stage.shows("disk full");
}

#[test]
fn a_connection_that_was_asked_for_is_no_error() {
    let mut stage = Stage::usual();
    let trouble = Trouble { kind: TroubleKind::Asked, sentence: "a new connection was asked for".into() };
    stage.event(Event::Offline(trouble, stage.now.at));
    stage.enter("/open nobody");
    stage.ctrl('k');
    stage.enter("*server*");
    stage.shows(" a new connection was asked for");
    stage.hides("✗ a new connection");
}

#[test]
fn today_ends_at_midnight_also_on_an_idle_screen() {
    let mut stage = Stage::usual();
    stage.pass(10.0);
    stage.shows("Today, Fri 20 Nov");
    // 09:10 and ten seconds.
    let midnight = Duration::from_secs((14 * 60 + 50) * 60);
    let due = stage.model.deadline().expect("a day ends");
    assert_eq!(due, stage.model.now.at + midnight);
    stage.model.changed = false;
    stage.now = Now { at: due, wall_ms: stage.now.wall_ms + 14 * 3_600_000 + 50 * 60_000 };
    stage.message(Msg::Deadline);
    assert!(stage.model.changed);
    stage.hides("Today");
    stage.shows("Fri 20 Nov 2026");
    stage.ctrl('n');
    stage.pass(10.0);
    assert_eq!(stage.model.deadline(), None, "no day is on the screen");
}

/// The connection came back by itself while somebody logged in as another: the form closed, and the rest of the
/// password went to the conversation below.
#[test]
fn a_form_that_is_filled_in_stays_when_the_server_is_back() {
    let mut stage = at_home();
    stage.event(Event::Offline(closed(), stage.now.at));
    stage.enter("/login carol");
    stage.say("hunter");
    online(&mut stage);
    stage.shows("Password");
    stage.done();
    stage.enter("2secret");
    let effects = stage.done();
    let password = Some(Secret::new("hunter2secret".into()));
    assert!(matches!(&effects[..], [Effect::Connect(login)] if login.password == password), "{effects:?}");
    online(&mut stage);
    stage.hides("Password");
}

/// Without a server nobody came back from a form that they had opened.
#[test]
fn a_form_can_be_left_also_without_a_server() {
    let mut stage = Stage::usual();
    stage.event(Event::Offline(closed(), stage.now.at));
    stage.enter("/login");
    stage.shows("Password");
    stage.press(Code::Esc);
    stage.hides("Password");
    stage.shows("sent from the train");
    // Where nobody is logged in there is nothing to go back to.
    stage.event(stopped(StopKind::LoggedOut, "logged out"));
    stage.press(Code::Esc);
    stage.shows("Password");
}

/// Up brought back what somebody else had sent, and the server's conversation what it had told them.
#[test]
fn who_logs_in_next_sees_nothing_of_who_was_here_before() {
    let mut stage = at_home();
    stage.enter("between us");
    stage.event(Event::Notice("a word to alice".into()));
    stage.ctrl('p');
    stage.say("half a thought");
    stage.event(stopped(StopKind::LoggedOut, "logged out"));
    stage.ctrl('u');
    stage.press(Code::Up);
    stage.ctrl('u');
    stage.enter("mallory");
    online(&mut stage);
    assert!(stage.model.open.is_none() && stage.model.composer.is_empty());
    stage.hides("a word to alice");
    stage.hides("half a thought");
    stage.key(Key::ctrl(Code::Up));
    assert_eq!(stage.model.composer.text(), "");
    // Whoever comes back finds what is theirs.
    stage.event(Event::Notice("a word to mallory".into()));
    stage.enter("/open nobody");
    stage.event(stopped(StopKind::LoggedOut, "logged out"));
    stage.press(Code::Enter);
    online(&mut stage);
    stage.shows("a word to mallory");
    stage.key(Key::ctrl(Code::Up));
    assert_eq!(stage.model.composer.text(), "/open nobody");
}

/// Every attempt of a long outage left a line, until nothing else was kept.
#[test]
fn an_outage_is_told_once() {
    let mut stage = Stage::usual();
    stage.event(Event::Notice("a word".into()));
    stage.event(Event::Offline(closed(), stage.now.at));
    let refused = || Trouble { kind: TroubleKind::Unreachable, sentence: "connection refused".into() };
    for _ in 0..300 {
        stage.event(Event::Connecting);
        stage.event(Event::Offline(refused(), stage.now.at));
    }
    stage.ctrl('p');
    stage.shows("a word");
    assert_eq!(stage.screen().matches("connection refused").count(), 1);
    // The next outage is another one.
    online(&mut stage);
    stage.event(Event::Offline(closed(), stage.now.at));
    stage.event(Event::Offline(refused(), stage.now.at));
    assert_eq!(stage.screen().matches("connection refused").count(), 2);
}

/// Ctrl+Q, the key that quits everywhere else, did nothing in the help, and in the question that it had led to.
#[test]
fn the_keys_that_quit_do_so_in_the_help_and_in_the_question() {
    for key in ['q', 'c'] {
        let mut stage = Stage::usual();
        stage.ctrl('q');
        stage.shows("Quit?");
        stage.press(Code::Enter);
        stage.shows("Quit?");
        stage.ctrl(key);
        assert_eq!(stage.model.quit, Some(0));
    }
    for overlay in [Code::F(1), Code::F(2)] {
        let mut stage = Stage::usual();
        stage.say("half a thought");
        stage.press(overlay);
        stage.ctrl('q');
        stage.shows("Quit?");
        assert!(matches!(stage.done().pop(), Some(Effect::Draft { text, .. }) if text == "half a thought"));
        stage.press(Code::Esc);
        assert_eq!(stage.model.quit, None);
        let mut stage = Stage::login((80, 24), &UNICODE);
        stage.press(Code::F(1));
        stage.ctrl('q');
        assert_eq!(stage.model.quit, Some(0));
    }
    // A question about something else is not answered by haste.
    let mut stage = Stage::usual();
    stage.enter("/delete-account");
    stage.ctrl('q');
    stage.shows("Delete this account?");
}

/// One key made an account without a password, of whatever was in the field.
#[test]
fn an_account_is_made_by_enter_and_says_what_no_password_means() {
    let what = "no password: whoever uses this machine can log in as alcie";
    let mut stage = Stage::login((80, 24), &UNICODE);
    stage.say("alcie");
    stage.ctrl('n');
    assert_eq!(stage.done(), []);
    stage.shows("New account");
    // The end of it is on the next row.
    stage.shows(what.trim_end_matches("alcie").trim_end());
    stage.say("x");
    stage.hides("no password");
    stage.press(Code::Backspace);
    stage.press(Code::Enter);
    let effects = stage.done();
    assert!(matches!(&effects[..], [Effect::Connect(login)] if login.create), "{effects:?}");
    stage.hides("no password");
}

/// The end of the connection below moved the caret of a form that was being filled in, out of the password's field.
#[test]
fn an_end_does_not_move_the_caret_of_a_form_that_is_filled_in() {
    let mut stage = at_home();
    stage.enter("/login carol");
    stage.say("hun");
    stage.event(stopped(StopKind::Refused(Refusal::NO_SUCH_USER), "no such user"));
    stage.shows("no such user");
    stage.say("ter2");
    stage.hides("ter2");
    stage.shows("•••••••");
}

/// The box emptied, the prompt promised to send it later, and nobody was there to write it down.
#[test]
fn a_message_stays_in_the_box_while_nobody_could_keep_it() {
    let mut stage = Stage::usual();
    stage.event(stopped(StopKind::RoleTaken, "another bellhop has it"));
    stage.message(Msg::Ended);
    stage.shows("another bellhop has it");
    stage.hides("kept and sent later");
    stage.done();
    for text in ["precious", "5|bob|precious", "/send carol precious"] {
        stage.enter(text);
        assert_eq!(sent(&mut stage), [""; 0]);
        assert_eq!(stage.model.composer.text(), text);
        stage.shows("/reconnect first");
        stage.ctrl('c');
    }
    stage.enter("/open zoe");
    stage.done();
    stage.enter("/reconnect");
    assert!(stage.done().contains(&Effect::Reconnect));
    stage.event(Event::Connecting);
    stage.event(Event::Chats(Vec::new()));
    assert_eq!(stage.model.entry().map(|entry| entry.peer.key.as_str()), Some("zoe"));
    stage.enter("precious");
    assert_eq!(sent(&mut stage), ["zoe: precious"]);
}

/// It listed the keys of conversations, none of which the form knows.
#[test]
fn the_help_of_the_form_has_the_keys_of_the_form() {
    let mut stage = Stage::login((80, 24), &UNICODE);
    stage.press(Code::F(1));
    stage.shows("log in, or create the account");
    stage.hides("next unread conversation");
    stage.say("quit");
    stage.shows("Ctrl+Q");
    stage.hides("log in, or create the account");
    stage.press(Code::Esc);
    stage.shows("Welcome");
}

/// Messages that had waited for one account were counted for the next one.
#[test]
fn what_waited_for_one_account_is_not_told_to_the_next_one() {
    let mut stage = Stage::usual();
    stage.event(Event::Waiting(9));
    stage.event(message(90, "dave", "hi"));
    stage.event(stopped(StopKind::NeedPassword, "a password is needed"));
    stage.say("open sesame");
    stage.press(Code::Enter);
    online(&mut stage);
    stage.event(Event::Waiting(1));
    stage.event(message(91, "carol", "hi"));
    stage.event(Event::CaughtUp);
    stage.shows("1 new in 1 conversation");
}
