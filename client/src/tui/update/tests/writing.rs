//! The box: sending, pasting, commands.

use super::{change, sent};
use crate::delivery::Delivery;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

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
