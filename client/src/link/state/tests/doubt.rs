//! Answers that cannot be what they seem: a copied device, a repeat that is refused, a counter that was never used.

use bellhop_protocol::post::{PostAnswer, PostOk, Posted};
use bellhop_protocol::{Code, Reply};

use super::pair::{Pair, config, id};
use crate::delivery::Delivery;
use crate::event::Event;
use crate::link::{Command, LinkConfig};

#[test]
fn a_device_that_was_copied_makes_itself_a_new_one_and_loses_nothing() {
    let mut pair = Pair::online(config());
    for text in ["one", "two", "three"] {
        pair.send(text);
    }
    pair.posted(1, Posted::Stored);
    pair.posted(2, Posted::SeenBefore);
    pair.send("four");
    pair.sent();
    assert!(!pair.told().contains(&"new device".to_owned()), "3 is unanswered under the old device");
    pair.posted(3, Posted::SeenBefore);
    assert!(pair.told().contains(&"new device".to_owned()));
    pair.pass(1.0);
    pair.log_in();
    let sent = pair.sent();
    assert_eq!(sent[0], "HELLO 2");
    assert_eq!(sent[3..], ["POST 1 bob two", "POST 2 bob three", "POST 3 bob four"]);
}

#[test]
fn a_copied_device_is_left_even_when_the_connection_goes_first() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.send("two");
    pair.posted(1, Posted::SeenBefore);
    pair.close();
    pair.pass(1.0);
    pair.log_in();
    let sent = pair.sent();
    assert_eq!(
        sent.last().map(String::as_str),
        Some("POST 2 bob two"),
        "settled under the old device: {sent:?}"
    );
    pair.posted(2, Posted::SeenBefore);
    pair.pass(1.0);
    pair.log_in();
    assert_eq!(pair.sent().last().map(String::as_str), Some("POST 1 bob one"));
}

/// A home that was restored from a copy could never send again: every counter was refused, and every message failed.
#[test]
fn a_counter_below_the_window_means_a_copy_and_fails_nothing() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.refused(1, Code::STALE_COUNTER);
    assert!(pair.told().contains(&"new device".to_owned()));
    pair.pass(1.0);
    pair.log_in();
    assert_eq!(pair.sent().last().map(String::as_str), Some("POST 1 bob one"));
    pair.posted(1, Posted::Stored);
    assert_eq!(pair.states().last().map(String::as_str), Some("1:Queued"));
}

/// A pair whose client has repeated message 1 on a second connection.
fn repeated(config: LinkConfig) -> Pair {
    let mut pair = Pair::online(config);
    pair.send("one");
    pair.close();
    pair.pass(1.0);
    pair.log_in();
    assert_eq!(pair.sent().last().map(String::as_str), Some("POST 1 bob one"));
    pair.states();
    pair
}

fn sends(pair: &mut Pair) -> bool {
    pair.restart(config());
    pair.log_in();
    pair.sent().iter().any(|line| line.starts_with("POST"))
}

/// The window has forgotten what it may have kept the first time.
#[test]
fn a_repeat_whose_counter_is_stale_may_have_arrived() {
    let mut pair = repeated(config());
    pair.refused(1, Code::STALE_COUNTER);
    assert_eq!(pair.states(), ["1:Unknown"]);
    assert!(!sends(&mut pair), "it is settled");
}

/// Nobody could ever know what became of it, though the server had said it.
#[test]
fn a_repeat_that_is_refused_was_not_kept_the_first_time_either() {
    for code in [Code::TOO_LONG, Code::NO_SUCH_USER, Code::MAILBOX_FULL] {
        let mut pair = repeated(config());
        pair.refused(1, code);
        assert_eq!(pair.states(), ["1:Failed"], "{code}");
        assert!(!sends(&mut pair), "{code}: it is settled");
        pair.command(Command::Retry(1));
        assert_eq!(pair.sent(), ["POST 2 bob one"], "{code}");
    }
}

/// `send` gave up a message that a moment later would have been taken, and nobody could know about it.
#[test]
fn a_repeat_that_is_refused_for_now_stays_in_flight_where_nobody_waits() {
    let short = || LinkConfig { stream: false, patient: false, ..config() };
    for code in [Code::BUSY, Code::RATE_LIMITED, Code::STORAGE] {
        let mut pair = repeated(short());
        pair.refused_for(1, code, 3_000);
        let told = pair.events.iter().find_map(|event| match event {
            Event::State(change) => Some((change.state, change.code)),
            _ => None,
        });
        assert_eq!(told, Some((Delivery::Sending, Some(code))));
        pair.pass(2.9);
        assert_eq!(pair.sent(), [""; 0], "{code}");
        pair.restart(short());
        pair.log_in();
        assert_eq!(pair.sent().last().map(String::as_str), Some("POST 1 bob one"), "{code}");
    }
}

#[test]
fn a_repeat_that_no_frame_holds_any_more_may_have_arrived() {
    let mut pair = Pair::online(config());
    pair.send(&"x".repeat(2_000));
    pair.close();
    pair.pass(1.0);
    pair.connected();
    pair.welcome_with(1_500, 30);
    pair.states();
    pair.log_in_after_welcome();
    assert_eq!(pair.states(), ["1:Unknown"]);
}

/// The copy had used the counter, and its message was taken for ours.
#[test]
fn seen_before_is_not_believed_once_a_copy_was_noticed() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.send("two");
    pair.posted(1, Posted::SeenBefore);
    pair.restart(config());
    pair.log_in();
    pair.states();
    pair.posted(2, Posted::SeenBefore);
    assert_eq!(pair.states(), ["2:Unknown"]);
    pair.pass(1.0);
    pair.log_in();
    assert_eq!(pair.sent().last().map(String::as_str), Some("POST 1 bob one"));
}

#[test]
fn seen_before_under_the_id_of_another_message_is_not_believed() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.posted(1, Posted::Stored);
    pair.send("two");
    pair.close();
    pair.pass(1.0);
    pair.log_in();
    pair.states();
    let ok = PostOk { posted: Posted::SeenBefore, id: id(1), time_ms: 0 };
    pair.say(Reply::Posted(PostAnswer { counter: 2, result: Ok(ok) }));
    assert_eq!(pair.states(), ["2:Unknown"]);
}

/// A server that has seen everything before was given a new device a round trip, thousands a minute.
#[test]
fn new_devices_are_made_at_leisure_and_not_for_ever() {
    let mut pair = Pair::online(config());
    pair.send("one");
    for _ in 0..3 {
        let now = pair.now;
        pair.posted(1, Posted::SeenBefore);
        assert!(pair.state.deadline().is_some_and(|until| until > now), "it does not wait");
        pair.wait();
        pair.log_in();
    }
    pair.posted(1, Posted::SeenBefore);
    assert_eq!(pair.told().last().map(String::as_str), Some("stopped Refused(stale-counter)"));
}

#[test]
fn a_device_that_works_forgives_the_copies_before_it() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.posted(1, Posted::Stored);
    for round in 0..20 {
        pair.send("one more");
        pair.posted(2, Posted::SeenBefore);
        pair.wait();
        pair.log_in();
        assert_eq!(pair.sent().last().map(String::as_str), Some("POST 1 bob one more"), "round {round}");
        pair.posted(1, Posted::Stored);
    }
}
