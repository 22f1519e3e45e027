//! The profile of vim: the box inserts, Esc leaves the keys to the messages, `:` runs.

use super::{change, message, sent};
use crate::delivery::Delivery;
use crate::settings::Profile;
use crate::tui::bindings::Bindings;
use crate::tui::demo::Demo;
use crate::tui::focus::Focus;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::{Code, Key};
use crate::tui::model::{Effect, Overlay};
use crate::tui::stage::Stage;

fn vim(demo: Demo) -> Stage {
    let mut stage = Stage::with((80, 24), &UNICODE, demo);
    stage.model.prefs.bindings = Bindings::of(Profile::Vim);
    stage
}

fn picked(stage: &Stage) -> Option<i64> {
    let Focus::Pick(n) = stage.model.focus else { return None };
    stage.model.shown().at(n).map(|message| message.n)
}

#[test]
fn the_box_inserts_until_esc_and_again_after_i() {
    let mut stage = vim(Demo::new(0));
    stage.say("ijk:/");
    assert_eq!(stage.model.composer.text(), "ijk:/", "insert comes first");
    stage.press(Code::Esc);
    assert_eq!(picked(&stage), Some(8));
    stage.shows("NORMAL");
    for (key, expected) in [('k', 7), ('k', 6), ('j', 7), ('g', 1), ('G', 8), ('j', 8), ('x', 8)] {
        stage.say(&key.to_string());
        assert_eq!(picked(&stage), Some(expected), "{key}");
    }
    stage.press(Code::Esc);
    assert_eq!(picked(&stage), Some(8), "Esc is no way out of it");
    for (key, typed) in [('i', "ijk:/+"), ('a', "ijk:/++"), ('I', "+ijk:/++"), ('A', "+ijk:/+++")] {
        stage.press(Code::Esc);
        stage.say(&key.to_string());
        assert!(stage.model.focus.is_box(), "{key}");
        stage.say("+");
        assert_eq!(stage.model.composer.text(), typed, "{key}");
    }
    assert_eq!(sent(&mut stage), [""; 0]);
}

#[test]
fn what_is_typed_in_normal_runs() {
    let mut stage = vim(Demo::new(0));
    stage.press(Code::Esc);
    stage.done();
    stage.say("y");
    assert_eq!(stage.done(), [Effect::Copy("(sent from the train)".into())]);
    stage.say(":");
    assert!(matches!(stage.model.overlay, Some(Overlay::Jump { .. })));
    stage.press(Code::Esc);
    stage.shows("NORMAL");
    stage.say(":");
    stage.say("quit");
    stage.press(Code::Enter);
    assert!(stage.model.overlay.is_some() || stage.model.quit.is_some(), "a command was run");
    let mut stage = vim(Demo::new(0));
    stage.press(Code::Esc);
    stage.say("K");
    stage.shows("waiting here (offline)");
    stage.press(Code::Esc);
    stage.say("?");
    stage.say("in the messages");
    stage.shows("write");
    stage.press(Code::Esc);
    stage.shows("NORMAL");
    stage.say("/pasting");
    stage.shows("1 of 1");
    stage.press(Code::Enter);
    let found = picked(&stage).and_then(|n| stage.model.shown().at(n)).map(|message| message.text.clone());
    assert!(found.is_some_and(|text| text.contains("pasting")), "what was found is picked");
    stage.ctrl('f');
    stage.press(Code::Esc);
    stage.shows("NORMAL");
}

#[test]
fn pages_and_half_pages() {
    let mut stage = vim(Demo::new(300));
    stage.press(Code::Esc);
    let end = picked(&stage).expect("one is picked");
    stage.ctrl('u');
    let half = picked(&stage).expect("one is picked");
    stage.press(Code::PageUp);
    let page = picked(&stage).expect("one is picked");
    assert!(page < half && half < end && half - page > end - half, "{page} {half} {end}");
    stage.press(Code::PageDown);
    stage.ctrl('d');
    assert_eq!(picked(&stage), Some(end));
}

#[test]
fn who_does_not_write_does_not_write_in_the_next_conversation_either() {
    let mut stage = vim(Demo::new(0));
    stage.press(Code::Esc);
    stage.ctrl('n');
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
    assert!(stage.model.is_normal() && picked(&stage).is_none(), "nothing was said there");
    stage.event(message(60, "carol", "now something was"));
    assert_eq!(picked(&stage), Some(60));
    stage.say("i");
    stage.ctrl('p');
    assert!(stage.model.focus.is_box(), "who writes goes on writing");
    stage.enter("/open bob");
    // Nothing is sent by a key that is not for writing.
    stage.say("half a thought");
    stage.press(Code::Esc);
    stage.model.window.items.clear();
    stage.done();
    for key in [Key::plain(Code::Enter), Key::plain(Code::Char('y')), Key::plain(Code::Char('j'))] {
        stage.key(key);
    }
    assert!(stage.done().iter().all(|effect| !matches!(effect, Effect::Send { .. } | Effect::Copy(_))));
    assert_eq!(stage.model.composer.text(), "half a thought");
    stage.event(message(70, "bob", "there is one now"));
    assert_eq!(picked(&stage), Some(70));
    stage.model.window.items.clear();
    stage.say(":");
    assert!(matches!(stage.model.overlay, Some(Overlay::Jump { .. })), "also where there is no message");
}

#[test]
fn the_last_that_is_dropped_leaves_no_box() {
    let mut stage = vim(Demo::new(0));
    stage.event(change(8, Delivery::Failed));
    stage.press(Code::Esc);
    stage.say("d");
    assert_eq!(picked(&stage), Some(7));
}

#[test]
fn the_other_profiles_know_nothing_of_it() {
    let mut stage = Stage::usual();
    stage.press(Code::Esc);
    assert!(stage.model.focus.is_box());
    stage.press(Code::Up);
    stage.say(":A/");
    assert!(stage.model.overlay.is_none() && picked(&stage).is_some());
    stage.say("i");
    stage.shows("waiting here (offline)");
    stage.press(Code::Esc);
    stage.press(Code::Esc);
    assert!(stage.model.focus.is_box());
}
