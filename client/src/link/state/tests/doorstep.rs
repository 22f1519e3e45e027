//! Where somebody wants to be asked, what waited stays at the server until it is taken: unacknowledged, and in order.

use bellhop_protocol::OpCode;
use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::text::TextAnswer;
use uuid::Uuid;

use super::pair::{Pair, config, message};
use crate::link::{Command, LinkConfig};

fn asks() -> LinkConfig {
    LinkConfig { asks: true, ..config() }
}

/// A link whose stream is open, and whose server says that so much waits.
fn waiting(count: u64) -> Pair {
    let mut pair = Pair::new(asks());
    opens(&mut pair, count);
    pair
}

fn opens(pair: &mut Pair, count: u64) {
    pair.connected();
    pair.welcome();
    pair.answer(OpCode::Login, TextAnswer::LoggedIn(Uuid::nil(), count));
    pair.answer(OpCode::Deliver, TextAnswer::Delivered(count));
    pair.sent();
    pair.told();
}

/// Messages with the seqs and ids of a range.
fn come(pair: &mut Pair, numbers: std::ops::RangeInclusive<u8>) {
    let bytes: Vec<u8> =
        numbers.flat_map(|number| message(number.into(), number, &format!("text {number}"))).collect();
    pair.bytes(&bytes);
}

#[test]
fn what_waits_is_told_of_and_neither_shown_nor_acknowledged() {
    let mut pair = waiting(3);
    come(&mut pair, 1..=3);
    assert_eq!((pair.told(), pair.sent()), (vec!["held 3".to_owned()], vec![]));
    assert!(pair.log.iter().all(|line| !line.contains("Incoming")), "{:?}", pair.log);
    pair.command(Command::Take(2));
    assert_eq!(pair.told(), ["message text 1", "message text 2", "held 1"]);
    assert_eq!(pair.sent(), ["ACK 1-2"]);
    pair.command(Command::Take(u64::MAX));
    assert_eq!(pair.told(), ["message text 3", "caught up", "held 0"]);
    assert_eq!(pair.sent(), ["ACK 3-3"]);
    come(&mut pair, 4..=4);
    assert_eq!(pair.told(), ["message text 4"], "what comes now comes in");
}

#[test]
fn what_comes_later_waits_behind_it() {
    let mut pair = waiting(1);
    come(&mut pair, 1..=3);
    assert_eq!(pair.told(), ["held 3"]);
    pair.command(Command::Take(1));
    assert_eq!(pair.told(), ["message text 1", "held 2"]);
    come(&mut pair, 4..=4);
    assert_eq!(pair.told(), ["held 3"]);
    pair.command(Command::Take(u64::MAX));
    assert_eq!(pair.told()[..3], ["message text 2", "message text 3", "message text 4"]);
    assert_eq!(pair.sent(), ["ACK 1-1", "ACK 2-4"]);
}

/// A server sends no more than a window of what waits.
#[test]
fn more_is_taken_than_has_come() {
    let mut pair = waiting(6);
    come(&mut pair, 1..=2);
    assert_eq!(pair.told(), ["held 6"]);
    pair.command(Command::Take(4));
    assert_eq!(pair.told(), ["message text 1", "message text 2"], "two more are on their way");
    come(&mut pair, 3..=6);
    assert_eq!(pair.told(), ["message text 3", "message text 4", "held 2"]);
    assert_eq!(pair.sent(), ["ACK 1-2", "ACK 3-4"]);
}

#[test]
fn receipts_pass() {
    let mut pair = waiting(3);
    pair.receipt(1, 9, ReceiptState::Read);
    assert_eq!((pair.told(), pair.sent()), (vec![], vec!["ACK 1-1".to_owned()]), "it may be all that waits");
    come(&mut pair, 2..=3);
    assert_eq!(pair.told(), ["held 2"]);
    pair.receipt(4, 9, ReceiptState::Read);
    assert_eq!((pair.told(), pair.sent()), (vec![], vec!["ACK 4-4".to_owned()]));
    pair.command(Command::Take(u64::MAX));
    assert_eq!(pair.told(), ["message text 2", "message text 3", "caught up", "held 0"]);
}

#[test]
fn receipts_alone_are_nothing_to_ask_for() {
    let mut pair = waiting(2);
    pair.receipt(1, 8, ReceiptState::Delivered);
    pair.receipt(2, 9, ReceiptState::Read);
    assert_eq!(pair.told(), ["caught up"]);
    come(&mut pair, 3..=3);
    assert_eq!(pair.told(), ["message text 3"]);
}

#[test]
fn a_connection_that_ends_loses_nothing() {
    let mut pair = waiting(3);
    come(&mut pair, 1..=3);
    pair.command(Command::Take(1));
    pair.close();
    pair.command(Command::Take(u64::MAX));
    pair.pass(1.0);
    opens(&mut pair, 2);
    come(&mut pair, 2..=3);
    assert_eq!((pair.told(), pair.sent()), (vec!["held 2".to_owned()], vec![]), "a new one asks anew");
    pair.command(Command::Take(u64::MAX));
    assert_eq!(pair.sent(), ["ACK 2-3"]);
}

#[test]
fn where_nothing_waits_nobody_is_asked() {
    let mut pair = Pair::new(asks());
    pair.connected();
    pair.welcome();
    pair.answer(OpCode::Login, TextAnswer::LoggedIn(Uuid::nil(), 0));
    pair.told();
    pair.answer(OpCode::Deliver, TextAnswer::Delivered(0));
    assert_eq!(pair.told(), ["waiting 0", "caught up"]);
    come(&mut pair, 1..=1);
    assert_eq!(pair.told(), ["message text 1"]);
}
