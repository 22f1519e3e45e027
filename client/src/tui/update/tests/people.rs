//! Who is online and who is typing: what is asked, what is shown, and what others are told of us.

use std::time::Duration;

use super::{message, outgoing};
use crate::event::{Chat, Event, Trouble, TroubleKind};
use crate::peer::Peer;
use crate::tui::demo::Demo;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::Code;
use crate::tui::model::Effect;
use crate::tui::people::Presence;
use crate::tui::stage::Stage;

fn told(name: &str, online: bool) -> Event {
    Event::Presence { name: name.into(), online }
}

/// Whom we told that we are writing to them.
fn typing(stage: &mut Stage) -> Vec<String> {
    let typing = stage.done().into_iter().filter_map(|effect| match effect {
        Effect::Typing(to) => Some(to),
        _ => None,
    });
    typing.collect()
}

fn chat(name: &str) -> Chat {
    let (peer, draft) = (Peer::new(name), String::new());
    Chat {
        peer,
        unread: 0,
        read_to: 0,
        last: 0,
        draft,
        failed: Default::default(),
        muted: false,
        pinned: false,
    }
}

fn offline(stage: &mut Stage) {
    let trouble = Trouble { kind: TroubleKind::Closed, sentence: "closed".into() };
    stage.event(Event::Offline(trouble, stage.now.at + Duration::from_secs(9)));
}

/// The lists that are asked for on the way, by what happens.
fn lists(
    model: &mut crate::tui::model::Model,
    now: crate::tui::model::Now,
    event: Event,
) -> Vec<Vec<String>> {
    let effects = crate::tui::update::update(model, now, crate::tui::update::Msg::Event(event));
    let lists = effects.into_iter().filter_map(|effect| match effect {
        Effect::Watch(names) => Some(names),
        _ => None,
    });
    lists.collect()
}

#[test]
fn the_list_and_the_title_show_what_was_told() {
    let mut stage = Stage::usual();
    stage.shows(" bob  ● online");
    stage.shows("▌● bob");
    stage.shows(" ○ dave");
    stage.shows(" · frank");
    stage.event(told("bob", false));
    stage.shows(" bob  ○ offline");
    stage.shows("▌○ bob");
    stage.event(told("BOB", true));
    stage.shows(" bob  ● online");
    stage.event(Event::Watching(vec![("carol".into(), true)]));
    stage.hides("bob  ●");
    stage.shows("▌· bob");
}

#[test]
fn without_a_connection_nothing_is_known() {
    let mut stage = Stage::new((140, 40), &UNICODE);
    stage.shows("● online, seen now");
    stage.event(told("bob", false));
    stage.shows("○ offline, seen 09:10");
    stage.event(Event::Typing("bob".into()));
    offline(&mut stage);
    stage.shows("· presence is not told");
    stage.hides("typing");
    assert_eq!(stage.model.people.of("carol"), Presence::Unknown);
}

#[test]
fn who_is_watched_is_who_is_in_the_list() {
    let mut stage = Stage::usual();
    let (model, now) = (&mut stage.model, stage.now);
    assert_eq!(lists(model, now, message(90, "carol", "hi")), [[""; 0]; 0], "another order is the same list");
    let new = lists(model, now, message(91, "zoe", "hi"));
    assert_eq!(new.len(), 1);
    assert!(new[0].contains(&"zoe".to_owned()) && new[0].len() == 7, "{new:?}");
    let forged = lists(model, now, message(92, "no name", "hi"));
    assert_eq!(forged, [[""; 0]; 0], "nobody can be asked about");
    // Another connection of the library knows nothing of the list.
    let chats = vec![chat("bob")];
    assert_eq!(lists(model, now, Event::Chats(chats.clone())), [["bob"]]);
    assert_eq!(lists(model, now, Event::Chats(chats)), [["bob"]]);
    // Of many, those at the top, and the open one.
    let many = (0..400).map(|number| chat(&format!("p{number}")));
    let list = lists(model, now, Event::Chats(many.collect()));
    assert_eq!(list[0].len(), 256);
    assert!(list[0].contains(&"bob".to_owned()), "the open one");
}

#[test]
fn somebody_types_for_six_seconds_or_until_a_message() {
    let mut stage = Stage::usual();
    stage.event(Event::Typing("Bob".into()));
    stage.shows("── bob is typing ──");
    stage.pass(5.9);
    stage.shows("bob is typing");
    stage.pass(0.2);
    stage.hides("bob is typing");
    stage.event(Event::Typing("bob".into()));
    stage.event(message(90, "bob", "there"));
    stage.hides("bob is typing");
    stage.event(Event::Typing("bob".into()));
    stage.event(told("bob", false));
    stage.hides("bob is typing");
    stage.event(Event::Typing("carol".into()));
    stage.hides("typing");
    // It stands beside what is below, and behind what Enter would do.
    let mut stage = Stage::with((80, 24), &UNICODE, Demo::new(100));
    stage.press(Code::PageUp);
    stage.event(Event::Typing("bob".into()));
    stage.shows("newer below, Ctrl+End, bob is typing");
    stage.say("/who");
    stage.hides("typing");
}

#[test]
fn whoever_is_here_is_told_that_we_write_to_them() {
    let mut stage = Stage::usual();
    stage.say("h");
    assert_eq!(typing(&mut stage), ["bob"]);
    stage.say("ello");
    stage.pass(2.9);
    stage.say("!");
    assert_eq!(typing(&mut stage), [""; 0]);
    stage.pass(0.1);
    stage.say("!");
    assert_eq!(typing(&mut stage), ["bob"]);
    stage.press(Code::Enter);
    stage.event(outgoing(1, 90, "bob", "hello!!"));
    stage.say("a");
    assert_eq!(typing(&mut stage), ["bob"], "after a message at once");
    stage.pass(10.0);
    assert_eq!(typing(&mut stage), [""; 0], "who thinks does not type");
}

#[test]
fn nobody_else_is_told() {
    let never = |what: &str, prepare: fn(&mut Stage), text: &str| {
        let mut stage = Stage::usual();
        prepare(&mut stage);
        stage.done();
        stage.say(text);
        assert_eq!(typing(&mut stage), [""; 0], "{what}");
    };
    never("offline", |stage| stage.event(told("bob", false)), "hello");
    never("not known", |stage| stage.event(Event::Watching(vec![])), "hello");
    never("switched off", |stage| stage.model.prefs.ui.typing = false, "hello");
    never("no connection", offline, "hello");
    never("a command", |_| {}, "/list a");
    never("an op", |_| {}, "5|bob|hi");
    never("blanks", |_| {}, "   ");
    never("the server", |stage| stage.ctrl('p'), "hello");
}

#[test]
fn who_says_who_is_online() {
    let mut stage = Stage::usual();
    stage.enter("/who");
    stage.shows("online: bob, carol, 王小明; offline:");
    stage.event(Event::Watching(vec![("bob".into(), false)]));
    stage.enter("/who");
    stage.shows("none of them is online");
    offline(&mut stage);
    stage.press(Code::Esc);
    stage.enter("/who");
    stage.shows("nobody knows who is online");
}
