//! What leaves the screen and comes back: copies, the editor, plain lines, the mouse, notices.

use super::{change, message, outgoing};
use crate::delivery::Delivery;
use crate::event::{Event, Trouble, TroubleKind};
use crate::tui::editor::{Left, Wrote};
use crate::tui::input::{Input, Mouse, MouseKind};
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::notify::Notice;
use crate::tui::stage::Stage;
use crate::tui::update::Msg;

fn wrote(text: &str) -> Left {
    Ok(Wrote::Text(text.into()))
}

/// What was to be done, but for what follows from somebody being there.
fn done(stage: &mut Stage) -> Vec<Effect> {
    let mut effects = stage.done();
    effects.retain(|effect| {
        !matches!(
            effect,
            Effect::MarkRead { .. } | Effect::Draft { .. } | Effect::Page { .. } | Effect::Typing(_)
        )
    });
    effects
}

fn mouse(stage: &mut Stage, kind: MouseKind, column: u16, row: u16) {
    stage.message(Msg::Input(Input::Mouse(Mouse { kind, column, row })));
}

#[test]
fn an_editor_gets_the_box_and_gives_it_back() {
    let bob = Some("bob".to_owned());
    let mut stage = Stage::usual();
    stage.done();
    stage.say("a word");
    stage.ctrl('o');
    assert_eq!(done(&mut stage), [Effect::Edit { open: bob.clone(), text: "a word".into() }]);
    stage.message(Msg::Edited(bob.clone(), wrote("two\r\nlines \u{1b}[2J\n")));
    assert_eq!(stage.model.composer.text(), "two\nlines �[2J");
    stage.ctrl('_');
    assert_eq!(stage.model.composer.text(), "a word");
    stage.message(Msg::Edited(bob.clone(), Ok(Wrote::Nothing("the editor: exit status: 1".into()))));
    stage.shows("exit status: 1");
    stage.message(Msg::Edited(bob.clone(), Err("vi: not found".into())));
    stage.shows("✗ vi: not found");
    assert_eq!(stage.model.composer.text(), "a word");
    stage.ctrl('c');
    stage.done();
    stage.enter("/edit Dear Bob,");
    assert_eq!(done(&mut stage).last(), Some(&Effect::Edit { open: bob.clone(), text: "Dear Bob,".into() }));
    // A conversation that was opened meanwhile does not get it.
    stage.ctrl('c');
    stage.ctrl('n');
    stage.message(Msg::Edited(bob, wrote("for bob alone")));
    stage.shows("another conversation is open");
    assert!(stage.model.composer.is_empty());
    stage.press(Code::Up);
    assert_eq!(stage.model.composer.text(), "for bob alone");
}

#[test]
fn no_password_is_written_to_a_file_for_an_editor() {
    let mut stage = Stage::usual();
    stage.done();
    stage.say("2|alice|open sesame");
    stage.ctrl('o');
    assert!(!stage.done().iter().any(|effect| matches!(effect, Effect::Edit { .. })));
    stage.shows("not written to a file");
}

#[test]
fn undo_by_its_name_brings_back_what_was_there_before_it() {
    let mut stage = Stage::usual();
    stage.say("half a thought");
    stage.ctrl('c');
    stage.enter("/undo");
    assert_eq!(stage.model.composer.text(), "half a thought");
    stage.ctrl('c');
    stage.ctrl('_');
    assert_eq!(stage.model.composer.text(), "half a thought");
    let mut stage = Stage::usual();
    stage.enter("/undo");
    assert!(stage.model.composer.is_empty());
}

#[test]
fn the_last_message_on_the_screen_is_copied() {
    let mut stage = Stage::usual();
    stage.done();
    stage.ctrl('y');
    assert_eq!(done(&mut stage), [Effect::Copy("(sent from the train)".into())]);
    stage.message(Msg::Copied(Ok(("OSC 52", 214))));
    stage.shows("copied (OSC 52, 214 bytes)");
    stage.message(Msg::Copied(Err("xclip: it took too long".into())));
    stage.shows("✗ not copied: xclip: it took too long");
    stage.ctrl('p');
    stage.model.notes.items.clear();
    stage.ctrl('y');
    stage.shows("nothing to copy here");
}

#[test]
fn plain_lines_are_those_of_the_open_conversation() {
    for by_name in [false, true] {
        let mut stage = Stage::usual();
        stage.done();
        if by_name {
            stage.enter("/plain");
        } else {
            stage.press(Code::F(5));
        }
        let effects = stage.done();
        let lines = effects.iter().find_map(|effect| match effect {
            Effect::Plain(lines) => Some(lines),
            _ => None,
        });
        let lines = lines.expect("lines");
        assert!(lines.iter().any(|line| line == "17:52 bob: Did the release build finish?"), "{lines:?}");
    }
}

#[test]
fn the_mouse_scrolls_and_opens_where_it_is_switched_on() {
    let mut stage = Stage::usual();
    stage.done();
    assert!(!stage.model.prefs.ui.mouse, "off, until somebody wants it");
    stage.press(Code::F(7));
    assert_eq!(done(&mut stage), [Effect::Mouse(true)]);
    stage.shows("mouse on");
    mouse(&mut stage, MouseKind::WheelUp, 40, 10);
    stage.shows("newer below");
    mouse(&mut stage, MouseKind::WheelDown, 40, 10);
    stage.hides("newer below");
    // The title row, the row of the server, bob, carol.
    mouse(&mut stage, MouseKind::Click, 5, 3);
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
    mouse(&mut stage, MouseKind::Click, 5, 1);
    assert_eq!(stage.model.open, None);
    mouse(&mut stage, MouseKind::Click, 5, 20);
    assert_eq!(stage.model.open, None, "nothing is there");
    mouse(&mut stage, MouseKind::WheelDown, 5, 5);
    assert_eq!(stage.model.open.as_deref(), Some("bob"));
    mouse(&mut stage, MouseKind::WheelUp, 5, 5);
    mouse(&mut stage, MouseKind::WheelUp, 5, 5);
    assert_eq!(stage.model.open, None, "it stops at the end of the list");
    stage.press(Code::F(1));
    mouse(&mut stage, MouseKind::Click, 5, 3);
    assert_eq!(stage.model.open, None, "help is in front");
    stage.press(Code::Esc);
    stage.done();
    stage.enter("/mouse");
    assert_eq!(done(&mut stage).last(), Some(&Effect::Mouse(false)));
    for (column, row) in [(0, 0), (79, 23), (u16::MAX, u16::MAX)] {
        for kind in [MouseKind::Click, MouseKind::WheelUp, MouseKind::WheelDown] {
            mouse(&mut stage, kind, column, row);
        }
    }
}

fn notices(stage: &mut Stage) -> Vec<Notice> {
    let effects = stage.done();
    let notices = effects.into_iter().filter_map(|effect| match effect {
        Effect::Notify(notice) => Some(notice),
        _ => None,
    });
    notices.collect()
}

fn from(name: &str, text: &str) -> Notice {
    Notice::Message { from: name.into(), text: text.into() }
}

#[test]
fn whoever_looks_elsewhere_is_told() {
    let focus = |stage: &mut Stage, on| stage.message(Msg::Input(Input::Focus(on)));
    let mut stage = Stage::usual();
    stage.done();
    let mut n = 100;
    let mut comes = |stage: &mut Stage, name: &str| {
        n += 1;
        stage.pass(5.0);
        stage.event(message(n, name, "hi"));
        notices(stage)
    };
    assert_eq!(comes(&mut stage, "bob"), [from("bob", "hi")], "nobody knows whether somebody looks");
    focus(&mut stage, true);
    assert_eq!(comes(&mut stage, "bob"), []);
    assert_eq!(comes(&mut stage, "carol"), [from("carol", "hi")], "another conversation");
    focus(&mut stage, false);
    assert_eq!(comes(&mut stage, "bob"), [from("bob", "hi")]);
    stage.model.prefs.notify.mute = vec!["Carol".into()];
    assert_eq!(comes(&mut stage, "carol"), []);
    assert_eq!(comes(&mut stage, "dave"), [from("dave", "hi")]);
}

#[test]
fn a_storm_rings_once() {
    let mut stage = Stage::usual();
    stage.done();
    for n in 100..200 {
        stage.event(message(n, "carol", "again"));
    }
    assert_eq!(notices(&mut stage), [from("carol", "again")]);
    stage.pass(2.0);
    stage.event(message(200, "carol", "later"));
    assert_eq!(notices(&mut stage), [from("carol", "later")]);
}

#[test]
fn what_waited_is_told_of_once_when_it_is_here() {
    let mut stage = Stage::usual();
    stage.done();
    stage.event(Event::Waiting(37));
    for n in 100..137 {
        stage.event(message(n, ["bob", "carol", "dave", "erin"][n as usize % 4], "while you were away"));
        stage.pass(1.0);
    }
    assert_eq!(notices(&mut stage), []);
    stage.event(Event::CaughtUp);
    stage.shows("37 new in 4 conversations");
    assert_eq!(notices(&mut stage), [Notice::Summary { messages: 37, chats: 4 }]);
    stage.event(Event::CaughtUp);
    assert_eq!(notices(&mut stage), [], "it is told once");
    // The line may break on the way.
    stage.pass(5.0);
    stage.event(Event::Waiting(2));
    stage.event(message(200, "carol", "one of two"));
    let trouble = Trouble { kind: TroubleKind::Closed, sentence: "the server closed".into() };
    stage.event(Event::Offline(trouble, stage.now.at + std::time::Duration::from_secs(1)));
    assert_eq!(notices(&mut stage), [Notice::Summary { messages: 1, chats: 1 }]);
}

#[test]
fn what_was_not_sent_is_told_to_whoever_has_gone() {
    let mut stage = Stage::usual();
    stage.done();
    stage.event(outgoing(1, 100, "bob", "hi"));
    stage.event(change(100, Delivery::Failed));
    assert_eq!(notices(&mut stage), [Notice::NotSent { to: "bob".into() }]);
    stage.pass(5.0);
    stage.message(Msg::Input(Input::Focus(true)));
    stage.event(outgoing(2, 101, "bob", "hi"));
    stage.event(change(101, Delivery::Failed));
    assert_eq!(notices(&mut stage), [], "it stands on the screen");
}

#[test]
fn what_goes_on_is_counted_when_somebody_asks() {
    let mut stage = Stage::usual();
    stage.done();
    stage.enter("/debug");
    assert!(stage.done().contains(&Effect::Digest));
    stage.message(Msg::Told("in 5 s: 0 wake-ups".into()));
    stage.shows("in 5 s: 0 wake-ups");
    stage.key(Key::ctrl(Code::Char('p')));
    stage.shows("in 5 s: 0 wake-ups");
}
