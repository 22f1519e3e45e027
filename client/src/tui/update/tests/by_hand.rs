//! Ops by hand, their answers, and what must not be seen of them.

use super::{asked, change, outgoing, sent, stopped};
use crate::delivery::Delivery;
use crate::event::{Answer, Event, StopKind, Trouble, TroubleKind};
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

const UP: Key = Key::ctrl(Code::Up);

#[test]
fn ops_by_hand_are_asked_and_answered_in_the_servers_conversation() {
    let mut stage = Stage::usual();
    stage.enter("/raw 5|bob|hello");
    assert_eq!(asked(&mut stage), ["5|bob|hello"]);
    let fields = Ok(["ok", "queued", "6f1c"].map(str::to_owned).to_vec());
    stage.event(Event::Answer(Answer { tag: 1, op: 5, fields, verdict: crate::raw::Verdict::Done }));
    stage.shows("← 5 ok|queued|6f1c");
    stage.ctrl('p');
    stage.shows("→ 5|bob|hello");
    stage.shows("← 5 ok|queued|6f1c");
}

#[test]
fn what_is_no_op_is_refused_in_place() {
    for (text, reason) in [("99|x", "unknown op"), ("300|x", "op is 0-255"), ("8|x", "is the client's own")] {
        let mut stage = Stage::usual();
        stage.enter(text);
        stage.shows(&format!("\\{text} sends it"));
        stage.shows(reason);
        assert_eq!(sent(&mut stage), [""; 0]);
        assert_eq!(stage.model.composer.text(), text, "it stays to be mended");
    }
    let mut stage = Stage::usual();
    stage.enter("\\5|bob|hi");
    stage.enter(" 5|x");
    stage.enter("//shrug");
    assert_eq!(sent(&mut stage), ["bob: 5|bob|hi", "bob:  5|x", "bob: /shrug"]);
    stage.enter("/raw 99|abc");
    assert_eq!(asked(&mut stage), ["99|abc"]);
}

/// A SEND by hand was in nobody's history, and refused where other messages wait for the server.
#[test]
fn a_send_by_hand_is_a_message() {
    let mut stage = Stage::usual();
    stage.done();
    stage.say("5|Carol|hi|there");
    stage.shows("RAW op 5 SEND  [Carol] [hi|there] - sent as a message");
    stage.press(Code::Enter);
    stage.shows("to Carol: hi|there");
    let trouble = Trouble { kind: TroubleKind::Closed, sentence: "closed".into() };
    stage.event(Event::Offline(trouble, stage.now.at));
    stage.enter("5|bob|later");
    assert_eq!(sent(&mut stage), ["carol: hi|there", "bob: later"]);
    // Carol's has a number and then a place; bob's waits.
    let tag = *stage.model.by_hand.keys().next().expect("two are not answered yet");
    stage.event(outgoing(tag, 77, "carol", "hi|there"));
    stage.event(change(77, Delivery::Sending));
    stage.event(change(77, Delivery::Queued));
    stage.event(change(77, Delivery::Delivered));
    stage.key(UP);
    assert_eq!(stage.model.composer.text(), "5|bob|later");
    stage.ctrl('c');
    // Carol's stands above bob's now.
    stage.ctrl('p');
    stage.ctrl('p');
    stage.shows("→ 5|Carol|hi|there");
    stage.shows("← 5 ok|queued");
    stage.hides("← 5 ok|delivered");
    // What only the server can answer is asked as it is, and so is what is forced.
    let mut stage = Stage::usual();
    for op in ["5|bob", "5|no name|x", "/raw 5|bob|hi"] {
        stage.enter(op);
        assert_eq!(asked(&mut stage), [op.trim_start_matches("/raw ")]);
    }
}

/// PROTOCOL.md, SEND: a text may be empty. Typed by hand it is what it is.
#[test]
fn a_send_by_hand_is_sent_as_it_stands() {
    let mut stage = Stage::usual();
    stage.enter("5|carol|");
    assert_eq!(sent(&mut stage), ["carol: "]);
    stage.enter("5|carol| ");
    assert_eq!(sent(&mut stage), ["carol:  "]);
    stage.enter("/send carol ");
    assert_eq!(sent(&mut stage), [""; 0]);
}

/// Whoever asked for a list of many names saw three of them for four seconds.
#[test]
fn a_long_answer_says_where_all_of_it_is() {
    let mut stage = Stage::usual();
    for (tag, open) in [(1, true), (2, false)] {
        stage.enter("/list");
        let names = (0..22).map(|number| format!("name-{number}"));
        let fields = Ok(std::iter::once("ok".to_owned()).chain(names).collect());
        stage.event(Event::Answer(Answer { tag, op: 0, fields, verdict: crate::raw::Verdict::Done }));
        if open {
            stage.shows("all of it in *server*: ← 0 ok|name-0");
            stage.ctrl('p');
        } else {
            stage.hides("all of it in *server*");
        }
    }
    stage.shows("name-21");
}

#[test]
fn secrets_leave_no_trace() {
    let mut stage = Stage::usual();
    stage.done();
    stage.say("2|alice|open sesame");
    stage.pass(5.0);
    stage.hides("sesame");
    stage.ctrl('n');
    stage.ctrl('p');
    let drafts = stage.done();
    assert!(!drafts.iter().any(|effect| matches!(effect, Effect::Draft { text, .. } if !text.is_empty())));
    stage.enter("2|alice|open sesame");
    assert_eq!(asked(&mut stage), ["2|alice|open sesame"]);
    stage.key(UP);
    stage.hides("2|alice");
    stage.ctrl('k');
    stage.enter("*server*");
    stage.shows("→ 2|alice|•••••••••••");
    stage.hides("sesame");
}

/// A password behind the name could be read on the screen, in the draft on the disk, and with Up.
#[test]
fn a_password_behind_a_login_is_refused_and_not_seen() {
    for command in ["/login", "/create"] {
        let mut stage = Stage::usual();
        stage.done();
        stage.say(&format!("{command} alice hunter2"));
        stage.shows(&format!("> {command} alice •••••••"));
        stage.pass(1.0);
        stage.press(Code::Enter);
        stage.shows(&format!("{command} NAME; the password is asked for next"));
        stage.hides("hunter2");
        stage.hides("Password");
        assert!(
            !stage
                .done()
                .iter()
                .any(|effect| matches!(effect, Effect::Draft { text, .. } if !text.is_empty()))
        );
        stage.ctrl('c');
        stage.enter(&format!("{command} alice "));
        stage.shows("Password");
    }
}

#[test]
fn deleting_the_account_wants_its_name() {
    for command in ["4|open sesame", "/delete-account"] {
        let mut stage = Stage::usual();
        stage.done();
        stage.enter(command);
        stage.shows("Delete this account?");
        stage.enter("bob");
        assert_eq!(asked(&mut stage), [""; 0]);
        stage.ctrl('u');
        stage.say("alice");
        if command.starts_with('/') {
            stage.press(Code::Tab);
            stage.say("open sesame");
            stage.hides("sesame");
        }
        stage.press(Code::Enter);
        assert_eq!(asked(&mut stage), ["4|open sesame"]);
        stage.event(stopped(StopKind::AccountDeleted, "the account was deleted"));
        stage.shows("the account was deleted");
        stage.shows("Welcome");
    }
}
