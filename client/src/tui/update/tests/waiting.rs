//! Whoever wants to be asked is asked once, and in nobody's way; the answer fetches what waits.

use super::{message, sent};
use crate::event::{Event, Trouble, TroubleKind};
use crate::tui::key::Code;
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

fn held(count: u64) -> Stage {
    let mut stage = Stage::usual();
    stage.done();
    stage.event(Event::Held(count));
    stage
}

fn taken(stage: &mut Stage) -> Vec<u64> {
    let effects = stage.done();
    effects
        .iter()
        .filter_map(|effect| if let Effect::Take(count) = effect { Some(*count) } else { None })
        .collect()
}

#[test]
fn enter_fetches_all_n_the_next_fifty_and_escape_none() {
    for (key, wanted, shown) in [
        (Code::Enter, Some(u64::MAX), "getting 0 of 430"),
        (Code::Char('n'), Some(50), "getting 0 of 50"),
        (Code::Esc, None, "430 waiting: /deliver"),
    ] {
        let mut stage = held(430);
        stage.shows("430 messages wait");
        stage.shows("n next 50");
        stage.press(Code::Char('x'));
        stage.shows("430 messages wait");
        stage.press(key);
        stage.hides("430 messages wait");
        assert_eq!(taken(&mut stage), wanted.into_iter().collect::<Vec<_>>());
        stage.shows(shown);
    }
    let mut stage = held(1);
    stage.shows("1 message waits");
    stage.hides("n next");
    stage.press(Code::Char('n'));
    assert_eq!(taken(&mut stage), [0; 0]);
}

#[test]
fn the_rest_is_said_and_fetched_by_a_command() {
    let mut stage = held(430);
    stage.press(Code::Char('n'));
    for n in 100..150 {
        stage.event(message(n, "bob", "it waited"));
    }
    stage.shows("getting 50 of 50");
    stage.event(Event::Held(380));
    stage.shows("380 waiting: /deliver");
    stage.shows("50 new in 1 conversation");
    stage.hides("messages wait");
    taken(&mut stage);
    for (typed, wanted) in
        [("/deliver 20", Some(20)), ("/deliver", Some(u64::MAX)), ("/deliver x", None), ("/deliver 0", None)]
    {
        stage.event(Event::Held(380));
        stage.ctrl('u');
        stage.enter(typed);
        assert_eq!(taken(&mut stage), wanted.into_iter().collect::<Vec<_>>(), "{typed}");
    }
    stage.shows("/deliver N fetches the next N of 380");
    stage.event(Event::CaughtUp);
    stage.event(Event::Held(0));
    stage.hides("waiting");
}

/// The Enter of somebody who sends a message would have fetched four hundred.
#[test]
fn nobody_who_is_at_something_is_asked() {
    let begun: [fn(&mut Stage); 3] =
        [|stage| stage.say("a thought"), |stage| stage.press(Code::F(1)), |stage| stage.ctrl('f')];
    for begin in begun {
        let mut stage = Stage::usual();
        begin(&mut stage);
        let before = stage.model.overlay.is_some();
        stage.event(Event::Held(430));
        stage.shows("430 waiting");
        stage.hides("430 messages wait");
        assert_eq!(stage.model.overlay.is_some(), before);
    }
    let mut stage = Stage::usual();
    stage.say("a thought");
    stage.event(Event::Held(3));
    stage.press(Code::Enter);
    assert_eq!(sent(&mut stage), ["bob: a thought"]);
}

#[test]
fn a_connection_that_ends_takes_the_question_with_it() {
    let mut stage = held(430);
    let trouble = Trouble { kind: TroubleKind::Closed, sentence: "gone".into() };
    let until = stage.now.at + std::time::Duration::from_secs(3);
    stage.event(Event::Offline(trouble, until));
    stage.hides("messages wait");
    stage.hides("waiting");
    stage.event(Event::Held(2));
    stage.shows("2 messages wait");
}
