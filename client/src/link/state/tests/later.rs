//! Refusals that pass: the message waits here, and later ones behind it.

use bellhop_protocol::post::Posted;
use bellhop_protocol::{Code, Reply};

use super::pair::{Pair, config};
use crate::link::{Command, LinkConfig};

/// A server that was busy for a second failed what was sent in it.
#[test]
fn a_message_that_is_refused_for_now_goes_later_and_in_order() {
    for code in [Code::BUSY, Code::RATE_LIMITED, Code::STORAGE] {
        let mut pair = Pair::online(config());
        pair.send("one");
        pair.refused_for(1, code, 3_000);
        assert_eq!(pair.states(), ["1:Sending", "1:Outbox"], "{code}");
        pair.sent();
        pair.send("two");
        pair.pass(2.9);
        assert_eq!(pair.sent(), [""; 0], "{code}");
        pair.pass(0.2);
        assert_eq!(pair.sent(), ["POST 2 bob one"], "{code}");
        pair.posted(2, Posted::Stored);
        assert_eq!(pair.sent(), ["POST 3 bob two"], "{code}");
    }
}

/// What was tried again went out with everything behind it; where it was refused once more, the others overtook it.
#[test]
fn after_a_refusal_for_now_they_go_one_by_one_until_one_is_taken() {
    let mut pair = Pair::online(config());
    let all = ["one", "two", "three", "four"];
    all.iter().for_each(|text| pair.send(text));
    pair.sent();
    (1..=4).for_each(|counter| pair.refused_for(counter, Code::RATE_LIMITED, 1_000));
    pair.pass(1.1);
    assert_eq!(pair.sent(), ["POST 5 bob one"]);
    pair.refused_for(5, Code::RATE_LIMITED, 1_000);
    pair.send("five");
    pair.pass(1.1);
    assert_eq!(pair.sent(), ["POST 6 bob one"]);
    pair.refused(6, Code::NO_SUCH_USER);
    assert_eq!(pair.sent(), ["POST 7 bob two"], "it was not taken");
    pair.posted(7, Posted::Stored);
    assert_eq!(pair.sent(), ["POST 8 bob three", "POST 9 bob four", "POST 10 bob five"]);
}

#[test]
fn repeats_that_are_refused_for_now_go_one_by_one_as_well() {
    let mut pair = Pair::online(config());
    ["one", "two"].iter().for_each(|text| pair.send(text));
    pair.close();
    pair.wait();
    pair.log_in();
    pair.sent();
    (1..=2).for_each(|counter| pair.refused_for(counter, Code::BUSY, 1_000));
    pair.pass(1.1);
    assert_eq!(pair.sent(), ["POST 1 bob one"]);
    pair.posted(1, Posted::Stored);
    assert_eq!(pair.sent(), ["POST 2 bob two"]);
}

/// An evening without a connection counted as an evening of refusals, and the first one in the morning was final.
#[test]
fn time_without_a_connection_is_no_time_of_refusals() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.refused_for(1, Code::BUSY, 1_000);
    for _ in 0..30 {
        pair.close();
        pair.wait();
    }
    pair.log_in();
    pair.states();
    pair.refused_for(2, Code::BUSY, 1_000);
    assert_eq!(pair.states(), ["1:Outbox"]);
}

#[test]
fn a_repeat_that_is_refused_for_now_is_repeated_later_under_its_counter() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.close();
    pair.wait();
    pair.log_in();
    pair.sent();
    pair.states();
    pair.refused_for(1, Code::BUSY, 0);
    assert_eq!(pair.states(), [""; 0], "it is as unknown as before");
    pair.pass(1.1);
    assert_eq!(pair.sent(), ["POST 1 bob one"]);
    pair.posted(1, Posted::SeenBefore);
    assert_eq!(pair.states(), ["1:Sent"]);
}

#[test]
fn ten_minutes_are_enough() {
    let mut pair = Pair::online(config());
    pair.send("one");
    let (mut counter, began) = (1, pair.now);
    while !pair.states().contains(&"1:Failed".to_owned()) {
        pair.refused_for(counter, Code::STORAGE, u32::MAX);
        counter += 1;
        pair.pass(61.0);
        (1..=counter).for_each(|ping| pair.say(Reply::Pong(ping.to_be_bytes())));
        assert!(pair.socket && counter < 20, "it goes on for ever");
    }
    assert!((600..680).contains(&(pair.now - began).as_secs()), "{:?}", pair.now - began);
}

#[test]
fn a_program_that_only_sends_fails_at_once() {
    let mut pair = Pair::online(LinkConfig { stream: false, patient: false, ..config() });
    pair.send("one");
    pair.refused_for(1, Code::BUSY, 1_000);
    assert_eq!(pair.states(), ["1:Sending", "1:Failed"]);
}

#[test]
fn a_message_that_waits_can_be_taken_back() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.refused_for(1, Code::BUSY, 1_000);
    pair.command(Command::Withdraw(1));
    pair.send("two");
    pair.sent();
    pair.pass(1.1);
    assert_eq!(pair.sent(), ["POST 2 bob two"]);
}

/// One refusal, and ten minutes after the answer that had ended it the next one was final.
#[test]
fn ten_minutes_begin_anew_after_any_answer_that_is_final() {
    let ends: [fn(&mut Pair); 3] = [
        |pair| pair.refused(2, Code::NO_SUCH_USER),
        |pair| pair.posted(2, Posted::Stored),
        |pair| pair.command(Command::Withdraw(1)),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut pair = Pair::online(config());
        pair.send("one");
        pair.refused_for(1, Code::BUSY, 1_000);
        if number < 2 {
            pair.pass(1.1);
        }
        end(&mut pair);
        for ping in 1..=11 {
            pair.pass(60.0);
            (1..=ping).for_each(|ping: u64| pair.say(Reply::Pong(ping.to_be_bytes())));
        }
        pair.send("two");
        pair.states();
        let counter = if number < 2 { 3 } else { 2 };
        pair.refused_for(counter, Code::BUSY, 1_000);
        assert_eq!(pair.states(), ["2:Outbox"], "{number}");
    }
}

/// What was repeated and known already ended nothing.
#[test]
fn ten_minutes_begin_anew_after_a_message_that_was_seen_before() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.close();
    pair.wait();
    pair.log_in();
    pair.refused_for(1, Code::BUSY, 1_000);
    pair.pass(1.1);
    pair.posted(1, Posted::SeenBefore);
    for ping in 1..=11 {
        pair.pass(60.0);
        (1..=ping).for_each(|ping: u64| pair.say(Reply::Pong(ping.to_be_bytes())));
    }
    pair.send("two");
    pair.states();
    pair.refused_for(2, Code::BUSY, 1_000);
    assert_eq!(pair.states(), ["2:Outbox"]);
}
