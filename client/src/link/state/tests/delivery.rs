//! Our messages: order, counters, lost answers, refusals, questions.

use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::post::Posted;
use bellhop_protocol::text::{Names, TextAnswer};
use bellhop_protocol::{Code, OpCode};

use super::pair::{Pair, config, draft, posted};
use crate::link::Command;

#[test]
fn a_message_is_on_disk_with_its_counter_before_it_is_on_the_wire() {
    let mut pair = Pair::online(config());
    pair.send("one");
    assert_eq!(pair.log.last().map(String::as_str), Some("Outgoing, Number"));
    assert_eq!(pair.sent(), ["POST 1 bob one"]);
    pair.posted(1, Posted::Stored);
    assert_eq!(pair.states(), ["1:Sending", "1:Queued"]);
    pair.send("two");
    pair.posted(2, Posted::HandedOver);
    assert_eq!(pair.states(), ["2:Sending", "2:Sent"]);
}

#[test]
fn what_was_written_offline_goes_out_in_order() {
    let mut pair = Pair::new(config());
    for text in ["one", "two", "three"] {
        pair.send(text);
    }
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["POST 1 bob one", "POST 2 bob two", "POST 3 bob three"]);
    assert_eq!(pair.log.last().map(String::as_str), Some("Account, Number"));
}

#[test]
fn unanswered_ones_are_repeated_under_their_counters_before_new_ones() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.send("two");
    pair.sent();
    pair.states();
    pair.close();
    assert_eq!(pair.states(), ["1:Unknown", "2:Unknown"]);
    pair.send("three");
    pair.pass(1.0);
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["POST 1 bob one", "POST 2 bob two", "POST 3 bob three"]);
    pair.states();
    pair.posted(1, Posted::SeenBefore);
    pair.posted(2, Posted::Stored);
    pair.posted(3, Posted::Stored);
    assert_eq!(pair.states(), ["1:Sent", "2:Queued", "3:Queued"]);
}

#[test]
fn the_outbox_of_an_earlier_run_is_settled_first() {
    let mut pair = Pair::online(config());
    pair.send("older");
    pair.send("old");
    pair.close();
    pair.send("new");
    pair.restart(config());
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["POST 1 bob older", "POST 2 bob old", "POST 3 bob new"]);
    pair.posted(1, Posted::SeenBefore);
    assert!(!pair.told().contains(&"new device".to_owned()));
}

#[test]
fn a_refusal_is_final_for_its_counter() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.refused(1, Code::MAILBOX_FULL);
    assert_eq!(pair.states(), ["1:Sending", "1:Failed"]);
    pair.sent();
    pair.command(Command::Retry(1));
    assert_eq!(pair.sent(), ["POST 2 bob one"]);
    pair.posted(1, Posted::Stored);
    assert_eq!(pair.states(), ["1:Outbox", "1:Sending"]);
    pair.posted(2, Posted::Stored);
    assert_eq!(pair.states(), ["1:Queued"]);
}

#[test]
fn no_counter_is_used_beyond_the_window() {
    let mut pair = Pair::new(config());
    for _ in 0..1_500 {
        pair.send("x");
    }
    pair.log_in();
    let last = |sent: Vec<String>| sent.last().cloned().unwrap_or_default();
    assert_eq!(last(pair.sent()), "POST 1024 bob x");
    pair.send("late");
    pair.posted(2, Posted::Stored);
    assert_eq!(pair.sent(), [""; 0], "1 is unanswered still");
    pair.posted(1, Posted::Stored);
    assert_eq!(pair.sent(), ["POST 1025 bob x", "POST 1026 bob x"]);
}

#[test]
fn a_long_outbox_is_not_all_on_the_wire_at_once() {
    let mut pair = Pair::new(config());
    let text = "x".repeat(16_384);
    for _ in 0..40 {
        pair.send(&text);
    }
    pair.log_in();
    assert_eq!(pair.sent().len(), 3 + 16);
    pair.posted(1, Posted::Stored);
    assert_eq!(pair.sent().len(), 1);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut pair = Pair::online(config());
    pair.posted(5, Posted::Stored);
    pair.send("one");
    pair.told();
    pair.posted(2, Posted::Stored);
    assert_eq!(pair.told(), [""; 0]);
    pair.posted(1, Posted::Stored);
    pair.posted(1, Posted::Stored);
    assert_eq!(pair.told(), ["1:Queued"]);
}

#[test]
fn a_message_that_was_never_on_the_wire_can_be_taken_back() {
    let mut pair = Pair::new(config());
    pair.send("one");
    pair.send("two");
    pair.command(Command::Withdraw(1));
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["POST 1 bob two"]);
}

/// They were counted on, and at last there was no room for others.
#[test]
fn what_is_taken_back_without_a_connection_waits_no_more() {
    let mut pair = Pair::new(config());
    pair.commands([draft("one"), Command::Withdraw(1), draft("two")]);
    assert_eq!(pair.state.outbox.len(), 1);
    pair.commands([Command::Withdraw(2), Command::Withdraw(1), draft("three"), draft("four")]);
    assert_eq!(pair.state.outbox.len(), 2);
}

#[test]
fn receipts_are_acknowledged_and_told() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.posted(1, Posted::Stored);
    pair.sent();
    pair.told();
    pair.receipt(8, 1, ReceiptState::Delivered);
    pair.receipt(9, 1, ReceiptState::Other(77));
    assert_eq!(pair.states(), ["1:Delivered"]);
    assert_eq!(pair.sent(), ["ACK 8-8", "ACK 9-9"]);
}

#[test]
fn questions_are_answered_in_order_or_told_why_not() {
    let mut pair = Pair::online(config());
    pair.ask(1, "0|");
    pair.ask(2, "33|x");
    pair.answer(OpCode::List, TextAnswer::Listed { names: Names::new("al\u{202e}ice|bob"), more: false });
    let mut unknown = Vec::new();
    bellhop_protocol::frame::put(&mut unknown, 33 | 0x80, b"error|unknown-op|no such op");
    pair.bytes(&unknown);
    assert_eq!(
        pair.told(),
        [
            "answer 1 Ok([\"ok\", \"al⟨U+202E⟩ice\", \"bob\"])",
            "answer 2 Ok([\"error\", \"unknown-op\", \"no such op\"])"
        ]
    );
    pair.ask(3, "0|");
    pair.close();
    assert_eq!(pair.told()[0], "answer 3 Err(\"no answer: the connection ended\")");
    pair.ask(4, "0|");
    assert_eq!(pair.told(), ["answer 4 Err(\"not connected\")"]);
}

#[test]
fn ops_of_the_extension_are_not_typed() {
    let mut pair = Pair::online(config());
    pair.ask(1, "8|x");
    assert_eq!(pair.told(), ["answer 1 Err(\"the client speaks the session extension by itself\")"]);
    assert_eq!(pair.sent(), [""; 0]);
}

#[test]
fn what_no_frame_holds_is_refused_here_and_not_repeated_for_ever() {
    let mut pair = Pair::new(config());
    pair.send(&"x".repeat(2_000));
    pair.connected();
    pair.welcome_with(1_500, 30);
    pair.log_in_after_welcome();
    assert_eq!(pair.sent()[2..], ["DELIVER"]);
    assert_eq!(pair.states(), ["1:Sending", "1:Failed"]);
    pair.send("short");
    assert_eq!(pair.sent(), ["POST 2 bob short"]);
}

/// A message that was tried again got its counter after the one behind it, and went out behind it.
#[test]
fn a_retry_and_a_message_at_once_go_out_in_the_order_of_their_counters() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.refused(1, Code::MAILBOX_FULL);
    pair.sent();
    pair.commands([Command::Retry(1), draft("two")]);
    assert_eq!(pair.sent(), ["POST 2 bob one", "POST 3 bob two"]);
}

/// The text had left the history, and went out all the same.
#[test]
fn a_message_that_was_taken_back_is_not_sent() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.refused(1, Code::MAILBOX_FULL);
    pair.sent();
    pair.commands([Command::Retry(1), Command::Withdraw(1), draft("two")]);
    assert_eq!(pair.sent(), ["POST 2 bob two"]);
}

/// Each answer of a read gave the waiting messages other counters.
#[test]
fn many_answers_at_once_number_what_waits_once() {
    let mut pair = Pair::new(config());
    for number in 0..1_030 {
        pair.send(&number.to_string());
    }
    pair.log_in();
    pair.sent();
    let (one, two) = (posted(1, Posted::Stored), posted(2, Posted::Stored));
    pair.bytes(&[one, two].concat());
    assert_eq!(pair.sent(), ["POST 1025 bob 1024", "POST 1026 bob 1025"]);
    assert_eq!(pair.log.last().map(String::as_str), Some("Posted, Posted, Number"));
    pair.posted(3, Posted::Stored);
    assert_eq!(pair.sent(), ["POST 1027 bob 1026"]);
}
