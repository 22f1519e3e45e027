//! Moving between conversations, scrolling, and what counts as read.

use super::{message, sent, written};
use crate::event::{Around, Event, Page};
use crate::tui::demo::Demo;
use crate::tui::glyphs::UNICODE;
use crate::tui::input::Input;
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::stage::Stage;
use crate::tui::update::Msg;
use crate::tui::window::{Scroll, Window};

#[test]
fn unread_clears_when_it_was_looked_at_for_a_second() {
    let mut stage = Stage::usual();
    let unread = |stage: &Stage| stage.model.entry_of("bob").map(|entry| entry.unread);
    let told =
        |stage: &mut Stage| stage.done().iter().any(|effect| matches!(effect, Effect::MarkRead { .. }));
    assert_eq!(unread(&stage), Some(1));
    stage.pass(0.9);
    assert!(!told(&mut stage));
    stage.pass(0.2);
    assert!(told(&mut stage));
    assert_eq!(unread(&stage), Some(0));
    stage.shows("── new ──");
    // Somebody looks elsewhere: nothing is read.
    stage.message(Msg::Input(Input::Focus(false)));
    stage.event(message(50, "bob", "while you were away"));
    stage.pass(60.0);
    assert_eq!((unread(&stage), told(&mut stage)), (Some(1), false));
    stage.message(Msg::Input(Input::Focus(true)));
    stage.pass(1.1);
    assert_eq!((unread(&stage), told(&mut stage)), (Some(0), true));
    // A key at the end of the conversation is as good.
    stage.event(message(51, "bob", "and again"));
    stage.say("o");
    assert_eq!((unread(&stage), told(&mut stage)), (Some(0), true));
}

#[test]
fn passing_by_reads_nothing() {
    let mut stage = Stage::usual();
    stage.done();
    for _ in 0..7 {
        stage.ctrl('n');
        stage.pass(0.1);
    }
    assert!(!stage.done().iter().any(|effect| matches!(effect, Effect::MarkRead { .. })));
    assert_eq!(stage.model.unread(), 17);
}

#[test]
fn what_is_scrolled_away_is_not_read_and_does_not_move() {
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(300));
    stage.pass(2.0);
    stage.done();
    stage.press(Code::PageUp);
    let before = stage.screen();
    for n in 1_000..1_020 {
        stage.event(message(n, "bob", "news"));
    }
    stage.pass(60.0);
    stage.shows("20+".trim_end_matches('+'));
    let rows = |screen: &str| -> Vec<String> {
        screen.lines().take(21).skip(1).map(|line| line.chars().skip(20).collect()).collect()
    };
    assert_eq!(rows(&stage.screen()), rows(&before));
    stage.shows("newer below, Ctrl+End");
    assert!(!stage.done().iter().any(|effect| matches!(effect, Effect::MarkRead { .. })));
    stage.resize(100, 30);
    stage.resize(80, 24);
    assert_eq!(rows(&stage.screen()), rows(&before));
    stage.key(Key::ctrl(Code::End));
    assert_eq!(stage.model.window.scroll, Scroll::Follow);
    stage.shows("news");
    stage.hides("newer below");
}

#[test]
fn older_messages_are_fetched_before_they_are_needed() {
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(1_000));
    for _ in 0..200 {
        stage.press(Code::PageUp);
    }
    stage.shows("Old message 0,");
    for _ in 0..200 {
        stage.press(Code::PageDown);
    }
    stage.shows("sent from the train");
    assert_eq!(stage.model.window.scroll, Scroll::Follow);
}

#[test]
fn the_newest_message_is_a_key_away_from_anywhere() {
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(2_000));
    for n in 5_000..5_100 {
        stage.event(message(n, "bob", "unread"));
    }
    for _ in 0..200 {
        stage.press(Code::PageUp);
    }
    assert!(stage.model.window.newer);
    stage.key(Key::ctrl(Code::End));
    assert_eq!(stage.model.window.scroll, Scroll::Follow);
    stage.shows("sent from the train");
}

#[test]
fn jumping_finds_opens_and_begins_conversations() {
    let mut stage = Stage::usual();
    stage.ctrl('k');
    stage.enter("car");
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
    stage.press(Code::F(2));
    stage.enter("王");
    assert_eq!(stage.model.open.as_deref(), Some("王小明"));
    stage.ctrl('k');
    stage.enter("Newcomer");
    assert_eq!(stage.model.open.as_deref(), Some("newcomer"));
    stage.enter("hello");
    assert_eq!(sent(&mut stage), ["newcomer: hello"]);
    stage.ctrl('k');
    stage.press(Code::Esc);
    stage.ctrl('g');
    assert_eq!(stage.model.open.as_deref(), Some("bob"), "the first with something unread");
}

#[test]
fn help_runs_what_is_chosen() {
    let mut stage = Stage::usual();
    stage.press(Code::F(1));
    stage.enter("unread");
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
}

#[test]
fn a_new_message_moves_its_conversation_to_the_top() {
    let mut stage = Stage::usual();
    stage.event(message(90, "Dave", "hi"));
    stage.event(message(91, "stranger", "hello"));
    let order: Vec<&str> = stage.model.chats.iter().map(|entry| entry.peer.name.as_str()).collect();
    assert_eq!(order[..3], ["stranger", "Dave", "bob"]);
    assert_eq!(stage.model.entry_of("dave").map(|entry| entry.unread), Some(13));
    // The same message again, or an older one, changes nothing.
    stage.event(message(90, "dave", "hi"));
    assert_eq!(stage.model.entry_of("dave").map(|entry| entry.unread), Some(13));
}

#[test]
fn what_waits_is_counted_while_it_comes() {
    let mut stage = Stage::usual();
    stage.event(Event::Waiting(430));
    for n in 1_000..1_120 {
        stage.event(message(n, "carol", "x"));
    }
    stage.shows("getting 120 of 430");
    stage.event(Event::CaughtUp);
    stage.shows("online 12ms");
}

#[test]
fn pages_that_were_asked_for_before_a_jump_are_dropped() {
    let mut stage = Stage::usual();
    let page =
        crate::event::Page { key: "carol".into(), around: Around::Newest, messages: Vec::new(), more: true };
    stage.event(Event::Page(page));
    stage.shows("Did the release build finish?");
}

#[test]
fn on_a_narrow_screen_the_list_takes_turns_with_the_messages() {
    let mut stage = Stage::new((40, 20), &UNICODE);
    stage.press(Code::F(3));
    stage.shows("carol");
    stage.press(Code::Down);
    stage.press(Code::Enter);
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
    stage.shows("> Message");
    assert_eq!(sent(&mut stage), [""; 0]);
}

/// A conversation that is open and read before what waited at the server comes: there was no divider then, and what
/// had run past was marked read.
#[test]
fn what_waited_is_divided_from_the_rest_when_it_comes_to_an_open_conversation() {
    let mut stage = Stage::usual();
    stage.pass(2.0);
    stage.enter("seen");
    stage.hides("── new ──");
    stage.done();
    stage.event(Event::Waiting(60));
    stage.event(message(1_000, "bob", "first that waited"));
    stage.shows("── new ──");
    assert_eq!(stage.model.window.scroll, Scroll::Follow, "all of it fits");
    for n in 1_001..1_060 {
        stage.event(message(n, "bob", "waited"));
    }
    stage.event(Event::CaughtUp);
    stage.shows("first that waited");
    stage.shows("newer below");
    stage.pass(60.0);
    assert!(!stage.done().iter().any(|effect| matches!(effect, Effect::MarkRead { .. })), "nobody saw it");
    stage.key(Key::ctrl(Code::End));
    stage.pass(1.1);
    assert!(stage.done().contains(&Effect::MarkRead { key: "bob".into(), n: 1_059 }));
    // Whoever talks is given no divider.
    stage.enter("here I am");
    stage.event(message(2_000, "bob", "good"));
    stage.hides("── new ──");
}

#[test]
fn who_goes_to_the_end_while_it_comes_stays_there() {
    let mut stage = Stage::usual();
    stage.pass(2.0);
    stage.event(Event::Waiting(90));
    for n in 1_000..1_040 {
        stage.event(message(n, "bob", "waited"));
    }
    stage.key(Key::ctrl(Code::End));
    stage.pass(5.0);
    assert_eq!(stage.model.entry_of("bob").map(|entry| entry.unread), Some(40), "more is coming");
    stage.event(message(1_040, "bob", "the last one"));
    stage.shows("the last one");
    stage.event(Event::CaughtUp);
    stage.pass(1.1);
    assert_eq!(stage.model.entry_of("bob").map(|entry| entry.unread), Some(0));
}

#[test]
fn what_waited_joins_what_was_unread_before() {
    let mut stage = Stage::usual();
    stage.pass(2.0);
    stage.enter("seen");
    stage.message(Msg::Input(Input::Focus(false)));
    stage.event(message(1_000, "bob", "while nobody looked"));
    stage.hides("── new ──");
    stage.event(Event::Waiting(60));
    for n in 1_001..1_060 {
        stage.event(message(n, "bob", "waited"));
    }
    assert_eq!(stage.model.window.new_from, Some(1_000));
    stage.shows("while nobody looked");
}

/// The divider stood at the oldest message in memory, with hundreds of unread ones above it.
#[test]
fn the_divider_is_found_where_it_is_not_in_memory() {
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(1_000));
    stage.ctrl('n');
    let bob = stage.model.entry_mut("bob").expect("bob");
    (bob.unread, bob.read_to) = (470, 300);
    stage.enter("/open bob");
    stage.shows("── new ──");
    stage.shows("Old message 301,");
    assert_eq!(stage.model.window.new_from, Some(302));
    stage.shows("newer below");
    for _ in 0..3 {
        stage.press(Code::PageUp);
    }
    stage.shows("Old message 27");
    stage.pass(5.0);
    assert_eq!(stage.model.entry_of("bob").map(|entry| entry.unread), Some(470));
    // There and back again.
    stage.key(Key::ctrl(Code::End));
    stage.shows("sent from the train");
    stage.key(Key::alt(Code::Char('u')));
    stage.shows("Old message 301,");
    for _ in 0..300 {
        stage.press(Code::PageDown);
    }
    stage.shows("sent from the train");
    assert_eq!(stage.model.window.scroll, Scroll::Follow);
}

#[test]
fn a_count_of_unread_messages_that_is_wrong_hides_nothing() {
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(1_000));
    for (unread, read_to) in [(9_999, 300), (9_999, 1_007), (9_999, 5_000)] {
        stage.enter("/open carol");
        let bob = stage.model.entry_mut("bob").expect("bob");
        (bob.unread, bob.read_to) = (unread, read_to);
        stage.enter("/open bob");
        stage.key(Key::ctrl(Code::End));
        stage.shows("sent from the train");
    }
}

/// Pressed before the first messages had come, Ctrl+End did nothing, and the eye went to what was unread.
#[test]
fn a_jump_before_the_first_messages_is_made_when_they_are_here() {
    let page = |stage: &mut Stage| {
        let around = Around::Newest;
        let messages = (1..=60).map(|n| written(n, false, "bob", &format!("line {n:02}"))).collect();
        let key = stage.model.open.clone().expect("it is open");
        stage.event(Event::Page(Page { key, around, messages, more: false }));
    };
    let opened = || {
        let mut stage = Stage::usual();
        let bob = stage.model.entry_mut("bob").expect("he is there");
        (bob.unread, bob.read_to, bob.last) = (60, 0, 60);
        stage.model.window = Window::opening();
        stage.pass(0.0);
        stage
    };
    let mut stage = opened();
    page(&mut stage);
    stage.shows("line 01");
    stage.hides("line 60");
    let mut stage = opened();
    stage.message(Msg::Input(Input::Key(Key::ctrl(Code::End))));
    page(&mut stage);
    stage.shows("line 60");
    assert_eq!(stage.model.window.new_from, Some(1), "what is unread can be gone to");
    let mut stage = opened();
    stage.message(Msg::Input(Input::Key(Key::ctrl(Code::End))));
    stage.press(Code::PageUp);
    stage.press(Code::PageUp);
    page(&mut stage);
    stage.hides("line 40");
    stage.shows("line 20");
    let mut stage = opened();
    stage.message(Msg::Input(Input::Key(Key::ctrl(Code::End))));
    stage.message(Msg::Input(Input::Key(Key::ctrl(Code::Home))));
    page(&mut stage);
    stage.shows("line 01");
}
