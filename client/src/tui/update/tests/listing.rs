//! The list, the palette and the help: what keys do there, and that nothing moves under somebody's hands.

use super::{change, message};
use crate::delivery::Delivery;
use crate::event::Event;
use crate::history::Chosen;
use crate::tui::focus::Focus;
use crate::tui::glyphs::UNICODE;
use crate::tui::help::{self, Runs};
use crate::tui::key::{Code, Key};
use crate::tui::keymap;
use crate::tui::model::Effect;
use crate::tui::stage::Stage;
use crate::tui::typed::COMMANDS;

/// The list has the keys.
fn in_list() -> Stage {
    let mut stage = Stage::usual();
    stage.press(Code::F(6));
    stage.press(Code::F(6));
    assert!(stage.model.focus.list().is_some());
    stage.done();
    stage
}

fn order(stage: &Stage) -> Vec<&str> {
    stage.model.chats.iter().map(|entry| entry.peer.name.as_str()).collect()
}

#[test]
fn rows_are_chosen_opened_pinned_muted_and_marked() {
    let mut stage = in_list();
    stage.press(Code::Down);
    assert_eq!(stage.model.open.as_deref(), Some("bob"), "chosen is not opened");
    stage.shows("▌● carol           3");
    stage.say("m");
    stage.say("p");
    let chosen = |effects: Vec<Effect>| -> Vec<Chosen> {
        let chosen = effects.into_iter().filter_map(|effect| match effect {
            Effect::Choose { peer, chosen } if peer.key == "carol" => Some(chosen),
            _ => None,
        });
        chosen.collect()
    };
    let expected = [Chosen { pinned: false, muted: true }, Chosen { pinned: true, muted: true }];
    assert_eq!(chosen(stage.done()), expected);
    assert_eq!(order(&stage)[0], "bob", "nothing moves while somebody is in the list");
    stage.say("u");
    assert_eq!(stage.done(), [Effect::MarkRead { key: "carol".into(), n: 1 }]);
    stage.shows("▌● carol       muted");
    stage.say("u");
    assert_eq!(stage.done(), [Effect::MarkUnread { key: "carol".into(), n: 1 }]);
    stage.press(Code::Enter);
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
    assert!(stage.model.focus.is_box());
    assert_eq!(order(&stage)[0], "carol", "pinned, and nobody is in the list any more");
    stage.event(message(900, "bob", "news"));
    assert_eq!(order(&stage)[..2], ["carol", "bob"], "below what is pinned");
}

#[test]
fn nothing_moves_while_somebody_chooses_or_what_waited_comes() {
    let waits: [fn(&mut Stage); 3] = [
        |stage| (0..2).for_each(|_| stage.press(Code::F(6))),
        |stage| stage.ctrl('k'),
        |stage| stage.event(Event::Waiting(9)),
    ];
    let ends: [fn(&mut Stage); 3] = [
        |stage| stage.press(Code::Esc),
        |stage| stage.press(Code::Esc),
        |stage| stage.event(Event::CaughtUp),
    ];
    for (wait, end) in waits.into_iter().zip(ends) {
        let mut stage = Stage::usual();
        wait(&mut stage);
        stage.event(message(90, "dave", "hi"));
        stage.event(message(91, "stranger", "hello"));
        assert_eq!(order(&stage)[0], "bob");
        assert_eq!(
            stage.model.entry_of("dave").map(|entry| entry.unread),
            Some(13),
            "it is counted all the same"
        );
        end(&mut stage);
        assert_eq!(order(&stage)[..3], ["stranger", "dave", "bob"]);
    }
}

#[test]
fn the_list_narrows_to_a_name() {
    let mut stage = in_list();
    stage.say("/car");
    stage.shows(" /car");
    stage.shows("▌● carol           3");
    assert!(!stage.screen().lines().any(|line| line.starts_with(" ○ dave")));
    stage.press(Code::Enter);
    assert_eq!(stage.model.open.as_deref(), Some("carol"));
    assert_eq!(stage.model.composer.text(), "", "what was typed was not for the box");
    let mut stage = in_list();
    stage.say("/zzz");
    stage.press(Code::Enter);
    assert_eq!(stage.model.open.as_deref(), Some("bob"), "nothing matches, nothing opens");
    stage.press(Code::Esc);
    stage.shows(" ○ dave           12");
    stage.press(Code::Esc);
    assert!(stage.model.focus.is_box());
}

/// A list longer than the screen hid its first row.
#[test]
fn the_first_row_is_always_the_servers() {
    let mut stage = Stage::usual();
    for n in 0..60 {
        stage.event(message(100 + n, &format!("person{n}"), "hi"));
    }
    stage.press(Code::F(6));
    stage.press(Code::F(6));
    stage.press(Code::End);
    let screen = stage.screen();
    assert!(screen.lines().nth(1).is_some_and(|line| line.starts_with("   *server*")), "{screen}");
    stage.shows("▌");
    stage.press(Code::Home);
    stage.press(Code::Enter);
    assert_eq!(stage.model.open, None);
}

#[test]
fn keys_go_round_the_parts_of_the_screen() {
    let mut stage = Stage::usual();
    let mut seen = Vec::new();
    for _ in 0..4 {
        stage.press(Code::F(6));
        seen.push(match stage.model.focus {
            Focus::Box => "box",
            Focus::List(_) => "list",
            Focus::Pick(_) => "pick",
            Focus::Search(_) => "search",
            Focus::Status => "status",
        });
    }
    assert_eq!(seen, ["pick", "list", "status", "box"]);
    (0..3).for_each(|_| stage.press(Code::F(6)));
    stage.done();
    stage.press(Code::Enter);
    assert_eq!(stage.done(), [Effect::Reconnect], "the status row connects now");
    stage.enter("/reconnect");
    assert!(stage.done().contains(&Effect::Reconnect));
}

/// Row 36.
#[test]
fn a_machine_that_wakes_connects_at_once() {
    let mut stage = Stage::usual();
    stage.done();
    let reconnects = |stage: &mut Stage| {
        stage.say("x");
        stage.done().contains(&Effect::Reconnect)
    };
    stage.now.at += std::time::Duration::from_secs(3_600);
    stage.now.wall_ms += 3_600_000;
    assert!(!reconnects(&mut stage), "an hour went by on both clocks");
    stage.now.wall_ms += 9_000;
    assert!(!reconnects(&mut stage), "somebody has set the clock right");
    stage.now.wall_ms -= 3_600_000;
    assert!(!reconnects(&mut stage), "set back");
    stage.now.wall_ms += 11_000;
    assert!(reconnects(&mut stage));
    assert!(!reconnects(&mut stage), "once");
}

#[test]
fn the_palette_has_commands_with_their_keys() {
    let mut stage = Stage::usual();
    stage.ctrl('k');
    stage.say("/rec");
    stage.shows("/reconnect                 F6 to the status, Enter");
    stage.done();
    stage.press(Code::Enter);
    assert_eq!(stage.done(), [Effect::Reconnect]);
    stage.say("half a thought");
    stage.ctrl('k');
    stage.say("find wo");
    stage.press(Code::Esc);
    stage.ctrl('k');
    stage.say("/search");
    assert!(stage.screen().lines().any(|line| line.contains("/search TEXT") && line.contains("Ctrl+F")));
    stage.press(Code::Enter);
    assert!(stage.model.focus.search().is_some());
    stage.press(Code::Esc);
    assert_eq!(stage.model.composer.text(), "half a thought");
    stage.ctrl('k');
    stage.enter("/send");
    stage.shows("the box is not empty");
    assert_eq!(stage.model.composer.text(), "half a thought");
    stage.ctrl('c');
    stage.ctrl('k');
    stage.enter("/send");
    assert_eq!(stage.model.composer.text(), "/send ");
    stage.ctrl('c');
    stage.ctrl('k');
    stage.shows("asks first");
}

#[test]
fn unread_conversations_come_first_and_a_new_name_is_offered() {
    let mut stage = Stage::usual();
    stage.ctrl('n');
    stage.enter("/read");
    stage.ctrl('k');
    let screen = stage.screen();
    let row = |name: &str| screen.lines().position(|line| line.contains(&format!("│ {name}  ")));
    assert!(row("dave") < row("frank"), "{screen}");
    assert!(row("carol") > row("dave"), "carol is read\n{screen}");
    stage.say("zoe");
    stage.shows("Message zoe");
    stage.press(Code::Enter);
    assert_eq!(stage.model.open.as_deref(), Some("zoe"));
}

#[test]
fn every_action_and_command_has_a_row_of_help_that_runs_it() {
    let stage = Stage::usual();
    let rows = help::rows_of(&stage.model, "");
    for row in keymap::TABLE {
        assert!(rows.iter().any(|help| help.does == Runs::Action(row.action)), "{}", row.name);
    }
    for command in COMMANDS {
        assert!(rows.iter().any(|help| help.does == Runs::Command(command)), "/{}", command.name);
    }
    let mut stage = Stage::usual();
    stage.press(Code::F(1));
    stage.enter("/reconnect");
    assert!(stage.done().contains(&Effect::Reconnect));
}

#[test]
fn what_was_not_sent_is_named_until_somebody_looks_after_it() {
    let mut stage = Stage::new((120, 24), &UNICODE);
    stage.event(change(8, Delivery::Failed));
    stage.shows("✗ 1 not sent: bob");
    stage.ctrl('n');
    stage.pass(60.0);
    stage.press(Code::Home);
    stage.shows("✗ 1 not sent: bob");
    stage.ctrl('p');
    stage.event(change(8, Delivery::Outbox));
    stage.hides("not sent: bob");
    stage.event(change(8, Delivery::Failed));
    stage.press(Code::Up);
    stage.say("d");
    assert!(stage.done().contains(&Effect::Withdraw(8)));
    stage.hides("not sent: bob");
    stage.hides("sent from the train");
}

#[test]
fn a_conversation_is_pinned_muted_and_read_from_the_box() {
    let mut stage = Stage::usual();
    stage.done();
    for (command, chosen) in [
        ("/pin", Chosen { pinned: true, muted: false }),
        ("/mute", Chosen { pinned: true, muted: true }),
        ("/pin", Chosen { pinned: false, muted: true }),
    ] {
        stage.enter(command);
        let made = stage
            .done()
            .into_iter()
            .any(|effect| matches!(effect, Effect::Choose { chosen: made, .. } if made == chosen));
        assert!(made, "{command}");
    }
    stage.key(Key::ctrl(Code::Home));
    stage.event(message(700, "bob", "while up there"));
    stage.enter("/read");
    assert!(stage.done().contains(&Effect::MarkRead { key: "bob".into(), n: 700 }));
}
