//! Picked messages and what is done with them; words that are looked for; words that are completed.

use super::{change, message};
use crate::delivery::Delivery;
use crate::event::{Event, Found, Hit};
use crate::peer::Peer;
use crate::settings::MarkRead;
use crate::tui::demo::Demo;
use crate::tui::focus::Focus;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::stage::Stage;
use crate::tui::window::Scroll;

fn picked(stage: &Stage) -> Option<i64> {
    if let Focus::Pick(n) = stage.model.focus { Some(n) } else { None }
}

#[test]
fn up_in_an_empty_box_picks_and_keys_move() {
    let mut stage = Stage::usual();
    stage.press(Code::Up);
    assert_eq!(picked(&stage), Some(8));
    for (key, expected) in [('k', 7), ('k', 6), ('j', 7), ('g', 1), ('k', 1), ('G', 8)] {
        stage.say(&key.to_string());
        assert_eq!(picked(&stage), Some(expected), "{key}");
    }
    stage.press(Code::Up);
    assert_eq!(picked(&stage), Some(7));
    assert_eq!(stage.model.composer.text(), "", "letters are not typed");
    stage.press(Code::Down);
    stage.press(Code::Down);
    assert!(stage.model.focus.is_box(), "below the newest message is the box");
    stage.say("x");
    stage.press(Code::Up);
    assert_eq!(picked(&stage), None, "something is written: Up calls back");
}

#[test]
fn the_picked_message_is_in_view_at_every_size() {
    for size in [(80, 24), (140, 40), (40, 20), (30, 8)] {
        let mut stage = Stage::with(size, &UNICODE, Demo::new(500));
        stage.press(Code::Up);
        for step in 0..300 {
            stage.press(if step < 200 { Code::Up } else { Code::Down });
            let n = picked(&stage).expect("one is picked");
            let seen = stage.model.with_pane(|pane, rows| pane.seen(rows)).expect("a pane");
            assert!(seen.iter().any(|(seen, line)| *seen == n && line.is_said()), "{size:?} {step}");
        }
    }
}

#[test]
fn a_message_is_copied_with_or_without_who_and_when() {
    let mut stage = Stage::usual();
    stage.press(Code::Up);
    stage.say("g");
    stage.done();
    stage.say("yY");
    let whole = "2026-11-19 17:52 bob: Did the release build finish?".to_owned();
    let text = "Did the release build finish?".to_owned();
    assert_eq!(stage.done(), [Effect::Copy(text.clone()), Effect::Copy(whole)]);
    stage.press(Code::Enter);
    stage.shows("copy with time and name");
    stage.hides("open a link");
    stage.press(Code::Enter);
    assert_eq!(stage.done(), [Effect::Copy(text)]);
}

#[test]
fn a_link_is_shown_with_its_server_before_it_is_opened() {
    let mut stage = Stage::usual();
    stage.event(message(60, "bob", "see https://bank.example@evil.example/login now"));
    stage.press(Code::Up);
    stage.say("o");
    stage.shows("the server evil.example");
    stage.shows("https://bank.example@evil.example/login");
    stage.done();
    stage.press(Code::Esc);
    assert_eq!(stage.done(), []);
    stage.say("o");
    stage.press(Code::Enter);
    assert_eq!(stage.done(), [Effect::OpenLink("https://bank.example@evil.example/login".into())]);
    stage.event(message(61, "bob", "javascript:alert(1) file:///etc/passwd"));
    stage.say("G");
    stage.say("o");
    stage.shows("no link in this message");
    // What cannot be seen is not opened.
    stage.event(message(62, "bob", &format!("https://a.example/{}", "x".repeat(3_000))));
    stage.say("G");
    stage.say("o");
    stage.shows("too long to be opened here");
    stage.done();
    stage.press(Code::Enter);
    assert_eq!(stage.done(), []);
}

#[test]
fn what_was_not_sent_is_sent_again_under_its_own_place() {
    let mut stage = Stage::usual();
    stage.press(Code::Up);
    stage.say("r");
    stage.shows("only what was not sent is sent again");
    stage.event(change(8, Delivery::Failed));
    stage.press(Code::Enter);
    stage.shows("send again");
    stage.done();
    stage.say("r");
    assert_eq!(stage.done(), [Effect::Retry(8)]);
}

#[test]
fn details_tell_ids_times_and_every_state() {
    let mut stage = Stage::usual();
    stage.press(Code::Up);
    stage.say("i");
    assert_eq!(picked(&stage), Some(8));
    stage.shows("to      bob");
    stage.shows("waiting here (offline)");
    stage.shows("2026-11-20 09:10:00  sending");
    stage.shows("2026-11-20 09:10:00  server has it");
}

/// Row 26.
#[test]
fn what_is_marked_unread_stays_so_until_somebody_comes_again() {
    let mut stage = Stage::usual();
    stage.pass(2.0);
    stage.done();
    stage.press(Code::Up);
    (0..3).for_each(|_| stage.press(Code::Up));
    stage.say("u");
    assert_eq!(stage.done(), [Effect::MarkUnread { key: "bob".into(), n: 5 }]);
    stage.pass(60.0);
    assert_eq!(stage.model.entry_of("bob").map(|entry| entry.unread), Some(1));
    stage.ctrl('n');
    stage.ctrl('p');
    assert_eq!(stage.model.window.new_from, Some(5));
    stage.pass(1.1);
    assert_eq!(stage.model.entry_of("bob").map(|entry| entry.unread), Some(0));
}

#[test]
fn what_counts_as_read_is_chosen() {
    for (mark_read, seen, sent) in
        [(MarkRead::Seen, true, true), (MarkRead::Sent, false, true), (MarkRead::Never, false, false)]
    {
        let mut stage = Stage::usual();
        stage.model.prefs.ui.mark_read = mark_read;
        stage.model.read_due = None;
        let read =
            |stage: &mut Stage| stage.done().iter().any(|effect| matches!(effect, Effect::MarkRead { .. }));
        (0..2).for_each(|_| stage.pass(5.0));
        let was_seen = read(&mut stage);
        assert_eq!(was_seen, seen, "{mark_read:?}");
        stage.enter("an answer");
        assert_eq!(read(&mut stage) || was_seen, sent, "{mark_read:?}");
        stage.event(message(70, "bob", "more"));
        stage.enter("/read");
        assert!(read(&mut stage), "{mark_read:?}: somebody says so");
    }
}

/// Row 28.
#[test]
fn words_are_found_as_they_are_typed_and_the_eye_comes_back() {
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(300));
    stage.press(Code::PageUp);
    let before = stage.model.window.scroll;
    stage.say("half a thought");
    stage.ctrl('f');
    stage.say("old message 2");
    stage.shows("find: old message 2");
    stage.shows("1 of 111");
    stage.shows("Old message 299,");
    stage.press(Code::Up);
    stage.press(Code::Up);
    stage.shows("3 of 111");
    stage.press(Code::Down);
    stage.shows("2 of 111");
    for _ in 0..200 {
        stage.press(Code::Up);
    }
    stage.shows("111 of 111");
    stage.shows("Old message 2,");
    stage.press(Code::Esc);
    assert_eq!(stage.model.window.scroll, before);
    assert_eq!(stage.model.composer.text(), "half a thought");
    stage.ctrl('f');
    stage.say("message 150");
    stage.press(Code::Enter);
    stage.shows("Old message 150,");
    assert!(stage.model.focus.is_box());
    assert_ne!(stage.model.window.scroll, Scroll::Follow);
    stage.ctrl('f');
    stage.say("no such words");
    stage.shows("nothing found");
}

#[test]
fn words_are_found_in_all_conversations() {
    let mut stage = Stage::usual();
    stage.enter("/open carol");
    stage.say("for carol");
    stage.ctrl('f');
    stage.say("PASTE");
    stage.shows("nothing found");
    stage.done();
    stage.press(Code::Tab);
    stage.shows("find in all: PASTE");
    stage.shows("1 of 1");
    assert_eq!(stage.model.open.as_deref(), Some("bob"));
    stage.pass(5.0);
    assert!(
        !stage.done().iter().any(|effect| matches!(effect, Effect::MarkRead { key, .. } if key == "bob"))
    );
    stage.press(Code::Esc);
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
    assert_eq!(stage.model.composer.text(), "for carol");
    stage.ctrl('c');
    stage.enter("/search paste");
    stage.shows("nothing found");
}

#[test]
fn one_question_at_a_time_and_the_newest_wins() {
    let mut stage = Stage::usual();
    stage.demo = Demo::new(0);
    stage.demo.events.clear();
    let asked = |stage: &mut Stage| -> Vec<String> {
        let asked = stage.done().into_iter().filter_map(|effect| match effect {
            Effect::Search(query) => Some(query.text),
            _ => None,
        });
        asked.collect()
    };
    stage.silent = true;
    stage.ctrl('f');
    stage.say("pas");
    assert_eq!(asked(&mut stage), ["p"]);
    let tag = stage.model.focus.search().and_then(|search| search.asked).expect("a question");
    let hit = Hit { n: 5, peer: Peer::new("bob") };
    stage.event(Event::Found(Found { tag, hits: vec![hit.clone()], next: Some(1) }));
    assert_eq!(asked(&mut stage), ["pas"], "what was found for the first letter is of no use");
    stage.hides("1 of 1");
    stage.event(Event::Found(Found { tag, hits: vec![hit.clone()], next: None }));
    stage.hides("1 of 1");
    stage.event(Event::Found(Found { tag: tag + 1, hits: vec![hit], next: Some(3) }));
    stage.shows("1 of 1+");
    assert_eq!(asked(&mut stage), ["pas"], "the next piece");
    stage.press(Code::Esc);
    stage.event(Event::Found(Found { tag: tag + 2, hits: Vec::new(), next: Some(1) }));
    assert_eq!(asked(&mut stage), [""; 0], "nobody looks any more");
}

#[test]
fn tab_completes_names_and_commands() {
    let mut stage = Stage::usual();
    let check = |stage: &mut Stage, typed: &str, expected: &str| {
        stage.ctrl('c');
        stage.say(typed);
        assert_eq!(stage.model.composer.text(), expected, "{typed:?}");
    };
    check(&mut stage, "/rec\t", "/reconnect ");
    check(&mut stage, "/send car\t", "/send carol ");
    check(&mut stage, "/li\t", "/list");
    stage.shows("show or hide the list");
    stage.press(Code::Down);
    stage.press(Code::Tab);
    assert_eq!(stage.model.composer.text(), "/list-pane ");
    check(&mut stage, "/li\t", "/list");
    stage.say("-");
    stage.hides("who has an account here");
    stage.press(Code::Esc);
    stage.hides("show or hide the list");
    // Enter means what it always means, but where somebody has chosen.
    check(&mut stage, "/send \t", "/send ");
    stage.press(Code::Down);
    stage.press(Code::Enter);
    assert_eq!(stage.model.composer.text(), "/send carol ");
    stage.ctrl('_');
    assert_eq!(stage.model.composer.text(), "/send ", "it can be undone");
    stage.ctrl('c');
    stage.paste("/rec");
    stage.press(Code::Tab);
    assert_eq!(stage.model.composer.text(), "/rec", "a paste is a message");
}

#[test]
fn at_most_five_rows_stand_above_the_box_and_nothing_moves() {
    let mut stage = Stage::usual();
    stage.pass(2.0);
    let before = stage.screen();
    stage.say("/");
    stage.press(Code::Tab);
    let screen = stage.screen();
    let rows = |screen: &str| screen.lines().map(str::to_owned).collect::<Vec<_>>();
    let changed: Vec<usize> = rows(&before)
        .iter()
        .zip(&rows(&screen))
        .enumerate()
        .filter(|(_, (before, after))| before != after)
        .map(|(row, _)| row)
        .collect();
    assert!(changed.iter().all(|row| (16..23).contains(row)), "{changed:?}\n{screen}");
    stage.key(Key::plain(Code::Up));
    stage.shows("/quit");
}
