//! What comes: written down, told, acknowledged, in this order; repeats are acknowledged and not told.

use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, OpCode, Reply};
use uuid::Uuid;

use super::pair::{Pair, config, id, message};
use crate::link::{Command, LinkConfig};

#[test]
fn one_read_is_one_write_and_one_acknowledgement() {
    let mut pair = Pair::online(config());
    let bytes = [message(3, 1, "one"), message(5, 2, "two"), message(6, 3, "three")].concat();
    pair.bytes(&bytes);
    assert_eq!(pair.told(), ["message one", "message two", "message three"]);
    assert_eq!(pair.sent(), ["ACK 3-6"]);
}

#[test]
fn a_repeat_is_acknowledged_and_not_shown() {
    let mut pair = Pair::online(config());
    pair.message(3, 1, "one");
    pair.close();
    pair.pass(1.0);
    pair.log_in();
    pair.sent();
    pair.told();
    // The same id under another seq, twice in one read.
    pair.bytes(&[message(7, 1, "one"), message(8, 1, "one")].concat());
    assert_eq!(pair.told(), [""; 0]);
    assert_eq!(pair.sent(), ["ACK 7-8"]);
}

#[test]
fn the_text_is_made_harmless_before_anybody_sees_it() {
    let mut pair = Pair::online(config());
    pair.message(1, 1, "a\x1b[2J\u{202e}b\n");
    assert_eq!(pair.told(), ["message a�[2J⟨U+202E⟩b\n"]);
}

#[test]
fn confirmed_by_hand() {
    let mut pair = Pair::online(LinkConfig { confirm: true, ..config() });
    pair.bytes(&[message(1, 1, "one"), message(2, 2, "two")].concat());
    assert_eq!(pair.told(), ["message one", "message two"]);
    assert_eq!(pair.sent(), [""; 0]);
    assert!(pair.log.iter().all(|line| !line.contains("Incoming")), "nothing is safe yet: {:?}", pair.log);
    pair.command(Command::Confirm(id(2)));
    assert_eq!(pair.sent(), ["ACK 2-2"]);
    pair.command(Command::Confirm(id(1)));
    pair.command(Command::Confirm(id(1)));
    assert_eq!(pair.sent(), ["ACK 1-1"]);
}

#[test]
fn what_was_given_out_is_not_given_again_while_it_is_unconfirmed() {
    let mut pair = Pair::online(LinkConfig { confirm: true, ..config() });
    pair.message(1, 1, "one");
    pair.close();
    pair.pass(1.0);
    pair.log_in();
    pair.sent();
    pair.told();
    pair.message(4, 1, "one");
    assert_eq!((pair.told(), pair.sent()), (Vec::new(), Vec::new()));
    pair.command(Command::Confirm(id(1)));
    assert_eq!(pair.sent(), ["ACK 4-4"]);
    pair.message(5, 1, "one");
    assert_eq!((pair.told(), pair.sent()), (Vec::new(), vec!["ACK 5-5".to_owned()]));
}

/// The seq of the first copy was forgotten, and stood in the server's window as long as the connection lived.
#[test]
fn two_copies_on_one_connection_are_both_acknowledged() {
    let mut pair = Pair::online(LinkConfig { confirm: true, ..config() });
    pair.message(1, 1, "one");
    pair.message(4, 1, "one");
    assert_eq!((pair.told(), pair.sent()), (vec!["message one".to_owned()], vec!["ACK 1-1".to_owned()]));
    pair.command(Command::Confirm(id(1)));
    assert_eq!(pair.sent(), ["ACK 4-4"]);
}

#[test]
fn an_item_that_comes_again_under_its_seq_waits_to_be_confirmed() {
    let mut pair = Pair::online(LinkConfig { confirm: true, ..config() });
    pair.bytes(&[message(1, 1, "one"), message(1, 1, "one")].concat());
    pair.message(1, 1, "one");
    pair.close();
    pair.pass(1.0);
    pair.log_in();
    pair.message(1, 1, "one");
    assert!(!pair.sent().iter().any(|line| line.starts_with("ACK")), "nobody has confirmed it");
    pair.command(Command::Confirm(id(1)));
    assert_eq!(pair.sent(), ["ACK 1-1"]);
}

#[test]
fn confirmed_while_offline_is_acknowledged_when_it_comes_again() {
    let mut pair = Pair::online(LinkConfig { confirm: true, ..config() });
    pair.message(1, 1, "one");
    pair.close();
    pair.command(Command::Confirm(id(1)));
    pair.pass(1.0);
    pair.log_in();
    pair.sent();
    pair.told();
    pair.message(1, 1, "one");
    assert_eq!((pair.told(), pair.sent()), (Vec::new(), vec!["ACK 1-1".to_owned()]));
}

#[test]
fn reads_wait_for_a_connection() {
    let mut pair = Pair::new(config());
    let entries = |count: u8| (0..count).map(|number| (id(number), "bob".to_owned())).collect();
    pair.command(Command::Read(entries(3)));
    pair.log_in();
    assert_eq!(pair.sent().last().map(String::as_str), Some("READ 3"));
    pair.command(Command::Read(entries(1)));
    assert_eq!(pair.sent(), ["READ 1"]);
    pair.close();
    for _ in 0..10 {
        pair.command(Command::Read(entries(200)));
    }
    pair.pass(0.7);
    pair.sent();
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["READ 799", "READ 225"]);
}

#[test]
fn pings_are_answered_and_syncs_told() {
    let mut pair = Pair::online(config());
    pair.say(Reply::Ping([9; 8]));
    assert_eq!(pair.sent(), ["PONG 9"]);
    pair.command(Command::Sync(4));
    assert_eq!(pair.sent(), ["PING"]);
    pair.say(Reply::Pong(1u64.to_be_bytes()));
    assert_eq!(pair.told(), ["round trip", "synced 4"]);
}

#[test]
fn says_when_all_that_waited_has_come() {
    for confirm in [false, true] {
        let mut pair = Pair::new(LinkConfig { confirm, ..config() });
        pair.connected();
        pair.welcome();
        pair.answer(OpCode::Login, TextAnswer::LoggedIn(Uuid::nil(), 2));
        pair.told();
        pair.answer(OpCode::Deliver, TextAnswer::Delivered(3));
        pair.message(1, 1, "one");
        pair.receipt(2, 9, ReceiptState::Read);
        let told = pair.told();
        assert_eq!(told[..2], ["waiting 3", "message one"], "{told:?}");
        pair.message(3, 1, "one");
        assert_eq!(pair.told(), ["caught up"], "a repeat counts as well");
        pair.message(4, 4, "new");
        assert_eq!(pair.told(), ["message new"]);
    }
}

/// The refusal was told as a remark, and the client stayed online and deaf for ever.
#[test]
fn a_stream_that_is_refused_is_asked_for_again() {
    for confirm in [false, true] {
        let mut pair = Pair::new(LinkConfig { confirm, ..config() });
        pair.connected();
        pair.welcome();
        pair.answer(OpCode::Login, TextAnswer::LoggedIn(Uuid::nil(), 0));
        pair.told();
        pair.refuse(OpCode::Deliver, Code::STORAGE);
        assert_eq!(pair.told(), ["offline Refused(Some(storage))"]);
        pair.sent();
        pair.pass(1.0);
        pair.log_in();
        assert_eq!(pair.sent()[1..], ["LOGIN alice false", "DELIVER"]);
        pair.message(1, 1, "it waited");
        assert_eq!(pair.told().last().map(String::as_str), Some("message it waited"));
    }
}

/// Whoever waits for a receipt alone takes nothing from those who read.
#[test]
fn where_receipts_are_all_that_is_wanted_messages_are_left_alone() {
    let mut pair = Pair::online(config());
    pair.message(1, 1, "one");
    pair.restart(LinkConfig { receipts: true, ..config() });
    pair.log_in();
    pair.sent();
    pair.told();
    pair.bytes(&[message(1, 1, "one"), message(2, 2, "two")].concat());
    pair.receipt(3, 9, ReceiptState::Delivered);
    pair.message(4, 4, "four");
    assert_eq!(pair.told(), [""; 0]);
    assert_eq!(pair.sent(), ["ACK 1-1", "ACK 3-3"], "what this home has, and receipts");
    pair.restart(config());
    pair.log_in();
    pair.told();
    pair.message(2, 2, "two");
    assert_eq!(pair.told(), ["message two"], "nobody has been shown it");
}
