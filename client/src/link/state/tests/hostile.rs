//! A server that breaks the protocol loses the connection; it never causes a panic, a hang or unbounded memory.

use bellhop_protocol::code::{Failure, Reason};
use bellhop_protocol::item::{Message, Receipt, ReceiptState};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{MessageId, OpCode, Reply, frame};
use proptest::prelude::*;
use uuid::Uuid;

use super::pair::{Pair, config, message};
use crate::link::{Command, LinkConfig};

#[test]
fn what_breaks_the_protocol() {
    let check = |what: &str, bytes: &[u8]| {
        let mut pair = Pair::online(config());
        pair.bytes(bytes);
        assert_eq!(pair.told(), ["offline Protocol"], "{what}");
        assert!(!pair.socket);
    };
    let raw = |op: u8, data: &[u8]| {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, op, data);
        bytes
    };
    check("4 GiB", b"\xff\xff\xff\xff\x09");
    check("one byte too many", &[0, 1, 0, 1, 9]);
    check("an answer to nothing", &raw(0x80, b"ok|a"));
    check("a second HELLO", &raw(0x87, &[0; 20]));
    check("RESUME unasked", &raw(0x8E, &[0; 54]));
    check("a message cut short", &raw(0x09, &[0; 32]));
    check("a seq of 2^63", &raw(0x09, &[0xff; 40]));
    check("text that is not UTF-8", &raw(0x09, &[&[0; 33][..], b"\xff"].concat()));
    check("a text message", &raw(0x06, b"bob|hi"));
    check("an answer of a wrong shape", &raw(0x88, &[0; 11]));
    check("a notice that is none", &raw(0xFF, b"ok"));
}

#[test]
fn what_is_only_odd() {
    let check = |what: &str, op: u8, data: &[u8]| {
        let mut pair = Pair::online(config());
        let mut bytes = Vec::new();
        frame::put(&mut bytes, op, data);
        pair.bytes(&bytes);
        assert!(pair.socket, "{what}");
    };
    check("an op of tomorrow", 0x3F, b"whatever");
    check("its answer", 0xBF, b"whatever");
    check("a PONG to nothing", 0x8B, &[0; 8]);
    check("a POST answer to nothing", 0x88, &[0; 35]);
    check("an answer to ACK", 0x8A, b"?");
    check("an unknown word", 0xFF, b"error|of-tomorrow|something");
}

#[test]
fn another_protocol_is_named() {
    for greeting in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x03\x00\x02\x02\x28"]
    {
        let mut pair = Pair::new(config());
        pair.connected();
        pair.told();
        pair.bytes(greeting.as_bytes());
        assert_eq!(pair.told()[..1], ["offline Protocol"], "{greeting:?}");
    }
}

#[test]
fn duplicate_ids_and_seqs_that_go_back() {
    let mut pair = Pair::online(config());
    let bytes =
        [message(9, 1, "a"), message(3, 2, "b"), message(3, 1, "a"), message(9, 2, "b"), message(0, 3, "c")];
    pair.bytes(&bytes.concat());
    assert_eq!(pair.told(), ["message a", "message b", "message c"]);
    assert_eq!(pair.sent(), ["ACK 0-9"]);
}

#[test]
fn an_endless_stream_is_acknowledged_and_forgotten() {
    let mut pair = Pair::online(config());
    for seq in 1..=20_000u64 {
        pair.message(seq, (seq % 3) as u8, "x");
    }
    assert_eq!(pair.sent().len(), 20_000);
    assert_eq!(pair.told().len(), 3);
}

#[test]
fn what_is_not_confirmed_does_not_fill_the_memory() {
    let mut pair = Pair::online(LinkConfig { confirm: true, ..config() });
    let text = "x".repeat(60_000);
    let mut seq = 0;
    while pair.state.may_read() {
        seq += 1;
        let id = MessageId(Uuid::from_u128(seq.into()));
        pair.say(Reply::Message(Message { seq, id, time_ms: 0, from: "bob", text: &text }));
    }
    assert!(seq < 300, "{seq}");
    pair.command(Command::Confirm(MessageId(Uuid::from_u128(1))));
    assert!(pair.state.may_read());
}

#[test]
fn a_receipt_of_nobody_is_acknowledged_and_forgotten() {
    let mut pair = Pair::online(config());
    let peer = "p".repeat(60_000);
    let id = MessageId(Uuid::nil());
    pair.say(Reply::Receipt(Receipt { seq: 5, id, state: ReceiptState::Read, time_ms: 0, peer: &peer }));
    assert_eq!((pair.told(), pair.sent()), (Vec::new(), vec!["ACK 5-5".to_owned()]));
}

#[test]
fn sentences_are_cut() {
    let mut pair = Pair::online(config());
    let failure = Failure { reason: Reason::Word("of-tomorrow"), sentence: &"blah ".repeat(10_000) };
    pair.say(Reply::Notice(failure));
    assert_eq!(pair.told()[0].len(), "notice ".len() + 500);
}

#[test]
fn half_frames_wait_without_end_and_cost_nothing() {
    let mut pair = Pair::online(config());
    pair.bytes(&message(1, 1, "hello")[..20]);
    pair.pass(100.0);
    assert!(pair.told().contains(&"offline TimedOut".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_do_harm(
        chunks in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                (any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(op, data)| {
                    let mut bytes = Vec::new();
                    frame::put(&mut bytes, op, &data);
                    bytes
                }),
                prop::sample::select(vec![0x80u8, 0x82, 0x86, 0x87, 0x88, 0x8B, 0x8D, 0x8E, 9, 12, 0xFF, 6, 11])
                    .prop_flat_map(|op| prop::collection::vec(0u8..4, 0..60).prop_map(move |data| {
                        let mut bytes = Vec::new();
                        frame::put(&mut bytes, op, &data);
                        bytes
                    })),
            ],
            0..20,
        ),
        phase in 0..3,
    ) {
        let mut pair = Pair::new(config());
        if phase > 0 {
            pair.connected();
        }
        if phase > 1 {
            pair.welcome();
            pair.answer(OpCode::Login, TextAnswer::LoggedIn(Uuid::nil(), 0));
            pair.send("one");
            pair.ask(1, "0|");
        }
        for chunk in chunks {
            pair.bytes(&chunk);
            pair.pass(0.3);
            if pair.socket && phase == 0 {
                pair.connected();
            }
        }
        pair.pass(100.0);
    }
}
