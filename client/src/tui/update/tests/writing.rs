//! The box: sending, pasting, commands, ops by hand, secrets, drafts.

use super::{asked, change, outgoing, sent, stopped};
use crate::delivery::Delivery;
use crate::event::{Answer, Event, StopKind, Trouble, TroubleKind};
use crate::peer::Peer;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

const UP: Key = Key::ctrl(Code::Up);
const NEW_LINE: [Key; 3] = [Key::ctrl(Code::Char('j')), Key::shift(Code::Enter), Key::alt(Code::Enter)];

#[test]
fn enter_sends_and_three_keys_begin_a_line() {
    for key in NEW_LINE {
        let mut stage = Stage::usual();
        stage.say("one");
        stage.key(key);
        stage.enter("two");
        assert_eq!(sent(&mut stage), ["bob: one\ntwo"]);
        assert!(stage.model.composer.is_empty());
    }
}

#[test]
fn a_paste_never_sends() {
    let mut stage = Stage::usual();
    stage.paste("one\ntwo");
    stage.paste("\n");
    assert_eq!(sent(&mut stage), [""; 0]);
    assert_eq!(stage.model.composer.text(), "one\ntwo\n");
    stage.ctrl('c');
    for text in ["5|bob|x", "/quit", "4|"] {
        stage.paste(text);
        stage.press(Code::Enter);
        assert_eq!(sent(&mut stage), [format!("bob: {text}")], "text, whatever it looks like");
        assert_eq!(stage.model.quit, None);
    }
    stage.paste("x\x1b]52;c;AAAA\x07\ty");
    assert_eq!(stage.model.composer.text(), "x�]52;c;AAAA�\ty");
}

#[test]
fn many_lines_ask_first() {
    let text = "1\n2\n3\n4";
    let mut stage = Stage::usual();
    stage.paste(text);
    stage.shows("Paste 4 lines?");
    stage.press(Code::Enter);
    stage.paste("\nstill the same paste");
    stage.shows("Paste 5 lines?");
    stage.press(Code::Esc);
    assert!(stage.model.composer.is_empty());
    stage.paste(text);
    stage.say("i");
    assert_eq!(stage.model.composer.text(), text);
    stage.ctrl('c');
    stage.paste(text);
    stage.say("s");
    assert_eq!(sent(&mut stage), [format!("bob: {text}")]);
    let long = "line of a log\n".repeat(2_000);
    stage.paste(&long);
    stage.shows("kB over the usual limit");
    stage.say("s");
    assert_eq!(sent(&mut stage), [""; 0], "too long to be sent as one");
    stage.press(Code::Esc);
    stage.paste(&"x\n".repeat(1_000_000));
    stage.shows("more than the box holds");
    stage.say("is");
    assert!(stage.model.composer.is_empty());
}

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

#[test]
fn commands_do_what_they_say() {
    let mut stage = Stage::usual();
    stage.enter("/send carol hi there");
    stage.shows("to carol: hi there");
    stage.enter("/list al*");
    stage.enter("/deliver");
    stage.enter("/reconnect");
    let effects = stage.done();
    let shown: Vec<String> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { to, text, .. } => Some(format!("send {} {text}", to.key)),
            Effect::Ask { op, data, .. } => Some(format!("ask {op}|{}", data.reveal())),
            Effect::Reconnect => Some("reconnect".into()),
            _ => None,
        })
        .collect();
    assert_eq!(shown, ["send carol hi there", "ask 0|al*", "ask 6|", "reconnect"]);
    stage.enter("/open Zoe");
    assert_eq!(stage.model.open.as_deref(), Some("zoe"));
    stage.enter("/open Zed  ");
    assert_eq!(stage.model.open.as_deref(), Some("zed"));
    stage.enter("/open ");
    assert!(stage.screen().lines().next().is_some_and(|title| title.ends_with("/open NAME")));
    stage.ctrl('c');
    stage.enter("/open somebody@somewhere@an-address-that-is-longer-than-the-title-has-room-for");
    let screen = stage.screen();
    let title = screen.lines().next().unwrap_or_default();
    assert!(
        title.contains(": somebody@somewhere") && title.contains("  a"),
        "the reason comes first: {title}"
    );
    stage.ctrl('c');
    stage.enter("/send not-enough");
    stage.shows("/send NAME TEXT");
    stage.ctrl('c');
    stage.enter("/nonsense");
    stage.shows("no command /nonsense");
    stage.ctrl('c');
    stage.enter("/help");
    stage.shows("Keys (type to filter");
    stage.press(Code::Esc);
    stage.enter("/login");
    stage.shows("Welcome");
    stage.press(Code::Esc);
    stage.shows("▌○ Zed");
    stage.say("/ret\t");
    assert_eq!(stage.model.composer.text(), "/retry ");
}

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
fn ctrl_c_clears_then_asks() {
    let mut stage = Stage::usual();
    stage.event(change(8, Delivery::Sent));
    stage.say("something");
    stage.ctrl('c');
    assert!(stage.model.composer.is_empty());
    stage.ctrl('_');
    assert_eq!(stage.model.composer.text(), "something");
    stage.ctrl('c');
    stage.pass(3.0);
    stage.ctrl('c');
    assert_eq!(stage.model.quit, None);
    stage.shows("Ctrl+C again asks to quit");
    stage.ctrl('c');
    assert_eq!(stage.model.quit, None, "a key that is hit in haste");
    stage.shows("Quit?");
    stage.hides("not at the server yet");
    stage.ctrl('c');
    assert_eq!(stage.model.quit, Some(0));
}

/// It was sent, the box emptied, and the server's refusal came back.
#[test]
fn a_message_that_is_too_long_stays_in_the_box() {
    let mut stage = Stage::usual();
    let long = "x".repeat(16_384);
    stage.paste(&long);
    stage.hides("over the usual limit");
    stage.say("é");
    stage.shows("2 bytes over the usual limit");
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), [""; 0]);
    assert_eq!(stage.model.composer.text().len(), 16_386);
    stage.press(Code::Backspace);
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), [format!("bob: {long}")]);
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
fn failed_messages_are_sent_again_or_dropped() {
    let mut stage = Stage::usual();
    stage.enter("/retry");
    stage.shows("nothing has failed here");
    stage.ctrl('c');
    stage.event(change(8, Delivery::Failed));
    stage.done();
    stage.enter("/retry");
    assert!(stage.done().contains(&Effect::Retry(8)));
    stage.event(change(8, Delivery::Outbox));
    stage.event(change(8, Delivery::Failed));
    stage.done();
    stage.enter("/drop");
    assert!(stage.done().contains(&Effect::Withdraw(8)));
    stage.hides("sent from the train");
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

/// What Tab leaves of `/send`, and a space that was hit in haste, went out as messages of nothing.
#[test]
fn a_message_of_nothing_is_not_sent() {
    let mut stage = Stage::usual();
    for (text, reason) in [
        (" ", "nothing to send"),
        ("   ", "nothing to send"),
        ("/send bob", "/send NAME TEXT"),
        ("/send bob ", "/send NAME TEXT"),
        ("/send bob   ", "/send NAME TEXT"),
    ] {
        stage.enter(text);
        stage.shows(reason);
        assert_eq!(stage.model.composer.text(), text);
        stage.ctrl('c');
    }
    stage.paste("\n \n");
    stage.press(Code::Enter);
    stage.shows("nothing to send");
    assert_eq!(sent(&mut stage), [""; 0]);
}

/// A paste of any size went into a field of one line, and was looked for among all names with every key.
#[test]
fn a_field_of_one_line_takes_no_more_than_a_line() {
    let long = "x".repeat(1_025);
    let mut stage = Stage::login((80, 24), &UNICODE);
    stage.paste(&long);
    stage.shows("too long for a field");
    stage.hides("xxx");
    stage.paste("alice\nand more");
    stage.shows("Name      ▌alice");
    stage.hides("too long");
    let opens: [fn(&mut Stage); 3] =
        [|stage| stage.ctrl('k'), |stage| stage.press(Code::F(1)), |stage| stage.enter("/delete-account")];
    for open in opens {
        let mut stage = Stage::usual();
        open(&mut stage);
        stage.paste(&long);
        stage.shows("too long for a field");
        stage.hides("xxx");
        stage.paste("zoe\nx");
        stage.shows("zoe");
    }
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

/// Three lines that were copied with their last line end asked as four, and went out with a fourth, empty one.
#[test]
fn the_end_of_the_last_line_is_not_a_line() {
    let mut stage = Stage::usual();
    stage.paste("a\nb\nc\n");
    stage.hides("Paste");
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), ["bob: a\nb\nc"]);
    for text in ["a\nb\nc\nd", "a\nb\nc\nd\n"] {
        stage.paste(text);
        stage.shows("Paste 4 lines?");
        stage.shows("… 1 more");
        stage.say("s");
        assert_eq!(sent(&mut stage), ["bob: a\nb\nc\nd"]);
    }
    // Lines that are pasted one after the other stay lines.
    stage.paste("one\n");
    stage.paste("two\n");
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), ["bob: one\ntwo"]);
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

/// Pasted, it is a message, and nothing said so: what it looks like did not happen.
#[test]
fn a_paste_that_looks_like_more_says_that_it_is_a_message() {
    for text in ["/open bob", "5|bob|x", "99|x", "/nonsense", "//shrug", "\\5|x"] {
        let mut stage = Stage::usual();
        stage.paste(text);
        stage.shows("pasted: sent as a message");
    }
    for text in ["hello", "two\nlines", ""] {
        let mut stage = Stage::usual();
        stage.paste(text);
        stage.hides("pasted");
    }
}

/// A table came out with spaces, and a Makefile did not work any more.
#[test]
fn tabs_are_sent_and_shown_as_the_columns_they_reach() {
    let mut stage = Stage::usual();
    stage.paste("a\tb\n\tc");
    stage.shows("> a   b");
    stage.shows("      c");
    let end = stage.caret();
    stage.press(Code::Left);
    stage.press(Code::Left);
    assert_eq!(end.x - stage.caret().x, 5, "a letter and a tab");
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), ["bob: a\tb\n\tc"]);
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
