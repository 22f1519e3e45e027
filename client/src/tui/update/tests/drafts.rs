//! What is being written, or was: drafts, what is called back, what is handed back.

use super::{sent, stopped};
use crate::config::Server;
use crate::event::{Doubt, Event, StopKind, Untrusted};
use crate::fingerprint::Fingerprint;
use crate::peer::Peer;
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

const UP: Key = Key::ctrl(Code::Up);

#[test]
fn drafts_stay_with_their_conversations() {
    let mut stage = Stage::usual();
    stage.done();
    stage.say("half a thought");
    stage.pass(0.5);
    let kept = stage.done();
    assert!(
        kept.iter().any(|effect| matches!(effect, Effect::Draft { text, .. } if text == "half a thought"))
    );
    stage.ctrl('n');
    stage.shows("bob             ✎");
    stage.hides("half a thought");
    stage.enter("/open bob");
    stage.shows("> half a thought");
    stage.ctrl('p');
    stage.say("/li");
    stage.ctrl('n');
    stage.ctrl('p');
    stage.shows("> /li");
    stage.ctrl('n');
    stage.shows("> half a thought");
    stage.press(Code::Enter);
    assert_eq!(stage.model.entry_of("bob").map(|entry| entry.draft.as_str()), Some(""));
}

#[test]
fn what_could_not_be_written_down_is_handed_back() {
    let mut stage = Stage::usual();
    stage.enter("precious");
    stage.event(Event::NotKept {
        tag: 1,
        to: Peer::new("bob"),
        reason: "disk full".into(),
        text: "precious".into(),
    });
    stage.shows("> precious");
    stage.shows("not sent: disk full");
    stage.done();
    stage.pass(0.5);
    let kept = |effect: &Effect| matches!(effect, Effect::Draft { text, .. } if text == "precious");
    assert!(stage.done().iter().any(kept), "it is a draft again");
}

#[test]
fn what_was_for_somebody_else_is_not_put_before_this_one() {
    let mut stage = Stage::usual();
    stage.event(Event::NotKept {
        tag: 1,
        to: Peer::new("carol"),
        reason: "disk full".into(),
        text: "precious".into(),
    });
    assert!(stage.model.composer.is_empty());
    stage.shows("not sent to carol: disk full");
    stage.key(UP);
    stage.shows("> precious");
}

#[test]
fn what_was_sent_can_be_called_back() {
    let mut stage = Stage::usual();
    stage.enter("one");
    stage.enter("two");
    stage.say("three");
    stage.press(Code::Up);
    assert_eq!(stage.model.composer.text(), "two");
    stage.key(UP);
    stage.key(UP);
    assert_eq!(stage.model.composer.text(), "one");
    stage.press(Code::Down);
    stage.press(Code::Down);
    assert_eq!(stage.model.composer.text(), "three");
}

/// A paste is a message, whatever it looks like, also after it was put aside and called back: it became a live op.
#[test]
fn a_paste_that_comes_back_is_still_a_message() {
    let back: [fn(&mut Stage); 3] = [
        |stage| {
            stage.key(UP);
            stage.press(Code::Down);
        },
        |stage| {
            stage.ctrl('c');
            stage.ctrl('_');
        },
        |stage| stage.press(Code::Tab),
    ];
    for away_and_back in back {
        for text in ["5|bob|PASTED-OP", "/quit", "/op"] {
            let mut stage = Stage::usual();
            stage.enter("before");
            sent(&mut stage);
            stage.paste(text);
            away_and_back(&mut stage);
            assert_eq!(stage.model.composer.text(), text);
            stage.press(Code::Enter);
            assert_eq!(sent(&mut stage), [format!("bob: {text}")]);
        }
    }
    let mut stage = Stage::usual();
    for _ in 0..2 {
        stage.event(Event::NotKept {
            tag: 1,
            to: Peer::new("bob"),
            reason: "disk full".into(),
            text: "4|".into(),
        });
    }
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), ["bob: 4|"]);
    stage.key(UP);
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), ["bob: 4|"]);
}

#[test]
fn what_was_being_written_is_kept_below_but_for_secrets() {
    let mut stage = Stage::usual();
    stage.enter("one");
    let mut check = |writing: &str, expected: &[&str]| {
        stage.say(writing);
        stage.key(UP);
        stage.say("x");
        stage.ctrl('c');
        assert_eq!(stage.model.sent, expected, "{writing:?}");
    };
    check("2|alice|hunter2", &["one"]);
    check("/raw 1|alice|hunter2", &["one"]);
    check("/login alice hunter2", &["one"]);
    check("", &["one"]);
    check("half a thought", &["one", "half a thought"]);
    stage.say("2|alice|hunter2");
    stage.key(UP);
    stage.press(Code::Down);
    assert_eq!(stage.model.composer.text(), "2|alice|hunter2");
    stage.hides("hunter2");
}

/// What had been called back was written down in its place, and then neither was there.
#[test]
fn what_was_being_written_is_the_draft_also_while_something_is_called_back() {
    let leaves: [fn(&mut Stage); 3] =
        [|stage| stage.ctrl('n'), |stage| stage.ctrl('q'), |stage| stage.pass(0.5)];
    for leave in leaves {
        let mut stage = Stage::usual();
        stage.enter("sent before");
        stage.say("half a thought");
        stage.key(UP);
        assert_eq!(stage.model.composer.text(), "sent before");
        leave(&mut stage);
        let mut drafts = stage.done().into_iter().filter_map(|effect| match effect {
            Effect::Draft { text, .. } => Some(text),
            _ => None,
        });
        assert_eq!(drafts.next_back().as_deref(), Some("half a thought"));
    }
    let mut stage = Stage::usual();
    stage.enter("sent before");
    stage.say("2|alice|hunter2");
    stage.key(UP);
    stage.ctrl('n');
    let secret = stage.done().into_iter().any(|effect| format!("{effect:?}").contains("hunter2"));
    assert!(!secret, "a secret is no draft");
}

/// A command that leads elsewhere took what was being written out of the conversation that it was for.
#[test]
fn a_command_of_the_palette_leaves_what_is_being_written_where_it_is() {
    let mut stage = Stage::usual();
    stage.say("half a thought");
    stage.pass(0.5);
    stage.ctrl('k');
    stage.enter("/server");
    assert_eq!(stage.model.open, None);
    stage.pass(0.5);
    let mut drafts = stage.done().into_iter().filter_map(|effect| match effect {
        Effect::Draft { peer, text } => Some((peer.key, text)),
        _ => None,
    });
    assert_eq!(drafts.next_back(), Some(("bob".to_owned(), "half a thought".to_owned())));
    assert!(stage.model.composer.is_empty());
    stage.enter("/open bob");
    assert_eq!(stage.model.composer.text(), "half a thought");
}

/// A server whose key had changed, and a login that had ended, took the place of the question, and the paste was gone.
#[test]
fn a_paste_that_waits_for_an_answer_is_not_lost_to_another_question() {
    let shown = Fingerprint::of_key(b"new");
    let server = Server::parse("chat.example").expect("an address");
    let untrusted = Untrusted { server, shown, doubt: Doubt::Unknown };
    for event in [Event::Untrusted(untrusted), stopped(StopKind::NeedPassword, "a password is needed")] {
        let mut stage = Stage::usual();
        let text = "1\n2\n3\n4";
        stage.paste(text);
        stage.shows("Paste 4 lines?");
        stage.event(event);
        stage.hides("Paste 4 lines?");
        assert_eq!(stage.model.sent.last().map(String::as_str), Some(text));
    }
}
