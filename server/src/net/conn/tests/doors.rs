//! How connections come in: what the first byte decides, and TLS between a connection and its socket.

use std::sync::Arc;

use rustls::ClientConnection;

use super::bench::{Side, client_config};
use super::*;
use crate::counters::Counter;
use crate::net::door::NO_HTTP;

/// Everything that was written, once the connection has closed.
fn last_words(side: &mut Side<'_>) -> Vec<u8> {
    side.notices();
    side.rest();
    assert!(side.kernel.lock().closed, "the connection is open");
    side.bench.core.clock.pass(2 * LINGER);
    side.turn();
    assert!(side.over);
    std::mem::take(&mut side.kernel.lock().output)
}

fn counted(bench: &Bench, counter: impl Fn(&crate::counters::Counters) -> &Counter) -> u64 {
    counter(&bench.core.counters).get()
}

/// A notice, without its sentence.
fn code(bytes: &[u8]) -> &str {
    assert_eq!(bytes.get(4), Some(&NOTICE), "{bytes:?}");
    std::str::from_utf8(&bytes[5..]).unwrap().split('|').nth(1).unwrap()
}

#[test]
fn frames_without_tls_are_refused_where_it_is_needed() {
    let bench = Bench::new(&[]);
    for first in [&bytes(Login, "alice")[..], b"\0", b"SSH-2.0-OpenSSH\r\n", b"\xff\xff\xff\xff\x05"] {
        let mut side = bench.connect_to(false);
        side.arrives(first);
        assert_eq!(code(&last_words(&mut side)), "tls-needed", "{first:?}");
    }
    assert_eq!(counted(&bench, |counters| &counters.tls_needed), 4);
}

#[test]
fn whoever_speaks_http_is_told_in_http() {
    let bench = Bench::new(&[]);
    for plain in [false, true] {
        let mut side = bench.connect_to(plain);
        side.arrives(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(last_words(&mut side), NO_HTTP.as_bytes());
    }
    assert_eq!(counted(&bench, |counters| &counters.no_frames), 2);
}

#[test]
fn other_protocols_are_refused_as_frames() {
    let bench = Bench::new(&[]);
    let mut side = bench.connect_to(true);
    side.arrives(b"SSH-2.0-OpenSSH\r\n");
    let words = last_words(&mut side);
    assert!(words[4] == 0xB2 && words.ends_with(b"bytes of data here"), "{words:?}");
    // Of less than a header nothing can be said to be wrong but that it takes long.
    let mut side = bench.connect_to(true);
    side.arrives(b"QU");
    side.notices();
    side.turn();
    bench.core.clock.pass(5 * SECOND);
    side.turn();
    assert!(side.over && side.read().is_none());
    assert_eq!(
        [counted(&bench, |counters| &counters.no_frames), counted(&bench, |counters| &counters.tls_late)],
        [2, 1]
    );
}

/// From accept to the end of the handshake, whatever comes meanwhile.
#[test]
fn a_handshake_has_its_time() {
    for (said, wait) in [(0, 5), (1, 5), (60, 5), (usize::MAX, 5)] {
        let bench = Bench::new(&[]);
        let mut side = bench.connect_to(false);
        let mut hello = Vec::new();
        let name = "bellhop.invalid".try_into().unwrap();
        ClientConnection::new(Arc::new(client_config()), name).unwrap().write_tls(&mut hello).unwrap();
        side.arrives(&hello[..said.min(hello.len())]);
        side.notices();
        side.turn();
        bench.core.clock.pass((wait * SECOND) - Duration::from_millis(1));
        side.turn();
        assert!(!side.over, "{said}");
        bench.core.clock.pass(Duration::from_millis(1));
        side.turn();
        assert!(side.over, "{said}");
        assert_eq!(counted(&bench, |counters| &counters.tls_late), 1);
    }
}

#[test]
fn silence_before_a_login_ends_with_a_word_inside_tls() {
    for bench in Bench::both(&[]) {
        let mut side = bench.connect();
        bench.core.clock.pass(9 * SECOND);
        side.turn();
        assert!(side.read().is_none());
        bench.core.clock.pass(2 * SECOND);
        assert_eq!(code(&last_words(&mut side)), "timed-out");
        assert_eq!(side.kernel.lock().farewell, bench.tls);
    }
}

#[test]
fn a_farewell_ends_the_input_and_what_is_due_is_answered() {
    let [_, bench] = Bench::both(&[]);
    let mut alice = bench.enter("alice");
    alice.arrives(&[bytes(Send, "alice|hi"), bytes(List, "alice")].concat());
    alice.kernel.lock().says_farewell();
    alice.notices();
    alice.rest();
    let ops: Vec<u8> = std::iter::from_fn(|| alice.read()).map(|(op, _)| op).collect();
    assert!(ops.contains(&Send.answer()) && ops.ends_with(&[List.answer()]), "{ops:?}");
    assert!(alice.kernel.lock().farewell && alice.kernel.lock().closed);
}

/// What TLS has encrypted is not written yet: whoever asks then has not read it.
#[test]
fn what_the_system_has_not_taken_is_not_written() {
    let [_, bench] = Bench::both(&[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    // Of the message's record the last byte finds no room.
    bob.kernel.lock().room = Some(5 + 5 + "alice|hi".len() + 17 - 1);
    alice.says(Send, "bob|hi");
    assert!(alice.next().1.starts_with("ok|delivered|"));
    bob.turn();
    bob.says(List, "alice");
    assert!(bob.read().is_none());
    bob.kernel.lock().room = None;
    assert_eq!([bob.next().1, bob.next().1], ["alice|hi", "ok|alice"]);
    drop(bob);
    assert_eq!(waiting(&bench, "bob"), "1");
}

/// A request of which some came before a message tells nothing of the message, whenever that is noticed.
#[test]
fn a_request_in_two_pieces_around_a_message_does_not_take_it() {
    for (bench, late) in
        [false, true].into_iter().flat_map(|late| Bench::both(&[]).map(|bench| (bench, late)))
    {
        for cut in 1..8 {
            let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
            bob.arrives(&bytes(List, "alice"));
            let whole = bob.kernel.lock().input.len();
            bob.arrives(&bytes(List, "bob"));
            let rest = bob.kernel.lock().input.split_off(whole + cut);
            let notices = |bob: &mut Side<'_>| {
                bob.notices();
                bob.turn();
            };
            if !late {
                notices(&mut bob);
            }
            alice.says(Send, "bob|hi");
            bob.turn();
            if late {
                notices(&mut bob);
            }
            let mut got = vec![bob.next().1, bob.next().1];
            bob.kernel.lock().input.extend(rest);
            bob.notices();
            got.push(bob.next().1);
            got.sort_unstable();
            assert_eq!(got, ["alice|hi", "ok|alice", "ok|bob"]);
            drop(bob);
            assert_eq!(waiting(&bench, "bob"), "1", "{cut} {late}");
            let mut bob = bench.enter("bob");
            bob.says(Deliver, "");
            assert_eq!([bob.next().1, bob.next().1], ["alice|hi", "ok|1"]);
            assert_eq!(bob.ask(List, "bob"), "ok|bob");
        }
    }
}

/// Where memory is short little is read at a time; a long record that came in pieces broke the connection.
#[test]
fn a_long_record_is_read_where_memory_is_short() {
    let [_, bench] = Bench::both(&[]);
    let mut alice = bench.enter("alice");
    let all = crate::core::INBOXES as usize;
    bench.core.memory.inboxes.settle(0, all);
    alice.arrives(&bytes(Send, &format!("alice|{}", "x".repeat(15_000))));
    alice.kernel.lock().piece = Some(4_000);
    alice.notices();
    let answer = alice.next().1;
    assert!(answer.starts_with("ok|") || answer.starts_with("alice|x"), "{answer}");
    bench.core.memory.inboxes.settle(all, 0);
}

/// A ClientHello in records of one byte, and in pieces of one byte.
#[test]
fn a_handshake_may_come_in_any_pieces() {
    let bench = Bench::new(&[]);
    for (records, piece) in [(false, 1), (true, 7), (true, 1)] {
        let mut side = bench.connect_to(false);
        let name = "bellhop.invalid".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(client_config()), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        if records {
            hello = hello[5..].iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect();
        }
        {
            let mut kernel = side.kernel.lock();
            kernel.input.extend(hello);
            kernel.piece = Some(piece);
            kernel.tls = Some(client);
        }
        side.turns = 0;
        side.ends_handshake();
        side.kernel.lock().piece = None;
        assert!(side.ask(List, "").starts_with("ok"));
    }
}

/// A client that offers protocols of so many bytes.
fn long_hello(bytes: usize) -> Arc<rustls::ClientConfig> {
    let mut config = client_config();
    config.alpn_protocols = vec![vec![b'x'; 255]; bytes / 256];
    config.alpn_protocols.push(b"bellhop/1".to_vec());
    Arc::new(config)
}

#[test]
fn a_long_hello_is_taken_and_an_endless_one_is_not() {
    let bench = Bench::new(&[]);
    for length in [15_000, 16_384, 20_000] {
        let mut side = bench.connect_to(false);
        side.shakes_hands(long_hello(length));
        assert!(side.ask(List, "").starts_with("ok"));
    }
    let mut side = bench.connect_to(false);
    let name = "bellhop.invalid".try_into().unwrap();
    let mut hello = Vec::new();
    let mut client = ClientConnection::new(long_hello(40_000), name).unwrap();
    while client.wants_write() {
        client.write_tls(&mut hello).unwrap();
    }
    // Some of it is missing, and more than may be kept is there.
    side.arrives(&hello[..hello.len() - 9]);
    assert_eq!(last_words(&mut side), b"");
    assert_eq!(counted(&bench, |counters| &counters.tls_failed), 1);
}

#[test]
fn what_is_no_tls_of_today_is_answered_with_an_alert() {
    let bench = Bench::new(&[]);
    // TLS 1.2: a ClientHello with a random, no session, one suite, no compression, and how it may be signed.
    let rest = [0, 0, 2, 0xC0, 0x2B, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3];
    let hello = [&[1, 0, 0, 34 + rest.len() as u8, 3, 3][..], &[7; 32], &rest].concat();
    let old = [&[0x16, 3, 1, 0, hello.len() as u8][..], &hello].concat();
    let check = |said: &[u8], alert: &[u8]| {
        let before = counted(&bench, |counters| &counters.tls_failed);
        let mut side = bench.connect_to(false);
        side.arrives(said);
        let words = last_words(&mut side);
        assert!(words.starts_with(&[0x15, 3]) && words.ends_with(alert), "{said:?}: {words:?}");
        assert_eq!(counted(&bench, |counters| &counters.tls_failed), before + 1);
    };
    check(&old, &[2, 70]); // protocol_version
    check(&[0x16, 3, 1, 0xFF, 0xFF, 1, 0, 0], &[2, 50]); // decode_error: no record is so long
    check(&[0x16, 3, 1, 0, 4, 0xAA, 0, 0, 0], &[2, 10]); // unexpected_message
}

/// An alert that finds no room is not waited for.
#[test]
fn an_alert_that_finds_no_room_holds_nothing_up() {
    let bench = Bench::new(&[]);
    let mut side = bench.connect_to(false);
    side.kernel.lock().room = Some(3);
    side.arrives(&[0x16, 3, 1, 0, 4, 0xAA, 0, 0, 0]);
    side.notices();
    side.turn();
    for _ in 0..30 {
        bench.core.clock.pass(SECOND);
        side.turn();
    }
    assert!(side.over);
}

#[test]
fn a_quiet_connection_keeps_no_buffers_for_tls() {
    let [_, bench] = Bench::both(&[]);
    let mut alice = bench.enter("alice");
    alice.says(Send, &format!("alice|{}", "x".repeat(16_000)));
    alice.rest();
    assert!(format!("{:?}", alice.conn.stream).contains("kept: 0"), "{:?}", alice.conn.stream);
}

/// A connection with TLS that has an account, and a frame of it in one record, of which the last byte is missing.
fn with_most_of_a_record(bench: &Bench) -> (Side<'_>, u8) {
    let mut alice = bench.enter("alice");
    alice.arrives(&bytes(Send, &format!("nobody|{}", "x".repeat(15_000))));
    let last = alice.kernel.lock().input.pop_back().unwrap();
    alice.notices();
    alice.turn();
    (alice, last)
}

fn with_tls(settings: &[&str]) -> Bench {
    let mut bench = Bench::new(settings);
    bench.tls = true;
    bench
}

fn pass(side: &mut Side<'_>, ms: u64) {
    side.bench.core.clock.pass(Duration::from_millis(ms));
    side.turn();
}

/// What was held of a record had no clock and cost nothing.
#[test]
fn the_rest_of_a_record_has_its_time_and_what_is_there_counts() {
    let bench = with_tls(&["frame-time=10"]);
    let inboxes = bench.core.memory.inboxes.clone();
    let (mut alice, last) = with_most_of_a_record(&bench);
    assert!(inboxes.held() >= 15_000, "{}", inboxes.held());
    pass(&mut alice, 8_000);
    alice.kernel.lock().input.push_back(last);
    alice.notices();
    assert_eq!(alice.next().0, Send.answer());
    assert_eq!(inboxes.held(), 0, "it is complete");
    pass(&mut alice, 20_000);
    assert!(alice.read().is_none() && !alice.over, "and its clock stands");
    drop(alice);

    let (mut alice, _) = with_most_of_a_record(&bench);
    pass(&mut alice, 9_999);
    assert!(alice.read().is_none() && !alice.over);
    pass(&mut alice, 2_000);
    let (op, text) = alice.next();
    assert_eq!((op, text.split('|').nth(1)), (NOTICE, Some("timed-out")), "{text}");
    drop(alice);
    assert_eq!(inboxes.held(), 0, "what was held is given back");
}

#[test]
fn what_is_encrypted_and_not_taken_counts() {
    let bench = with_tls(&[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    bob.kernel.lock().room = Some(0);
    assert!(alice.ask(Send, &format!("bob|{}", "x".repeat(10_000))).starts_with("ok|delivered|"));
    bob.turn();
    assert!(bench.core.memory.inboxes.held() >= 10_000);
    bob.kernel.lock().room = None;
    assert_eq!(bob.next().0, Deliver.byte());
    assert_eq!(bench.core.memory.inboxes.held(), 0);
}

/// Nothing rang where the farewell found no room, and the connection stayed for ever.
#[test]
fn a_farewell_that_nobody_takes_has_its_time() {
    let bench = with_tls(&[]);
    let mut alice = bench.enter("alice");
    alice.kernel.lock().room = Some(0);
    alice.kernel.lock().says_farewell();
    alice.notices();
    alice.turn();
    pass(&mut alice, 19_000);
    assert!(!alice.over);
    pass(&mut alice, 3_000);
    assert!(alice.over);
}
