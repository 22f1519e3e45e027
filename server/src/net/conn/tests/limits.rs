//! The bounds of one connection, in virtual time: at each limit, and one below it.

use super::bench::Side;
use super::*;
use crate::core::INBOXES;

/// So much that no outbox has any room beside it.
fn everything(bench: &Bench) -> usize {
    bench.core.limits.outbox_all as usize
}

fn pass(bench: &Bench, side: &mut Side<'_>, ms: u64) {
    bench.core.clock.pass(Duration::from_millis(ms));
    side.turn();
}

/// A session for which all outboxes together had no room was woken by nobody.
#[test]
fn what_found_no_room_among_all_outboxes_comes_when_there_is_some() {
    let bench = Bench::new(&[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    let (outboxes, all) = (bench.core.memory.outboxes.clone(), everything(&bench));
    outboxes.settle(0, all);
    assert!(alice.ask(Send, "bob|little").starts_with("ok|delivered|"), "each has a little for itself");
    assert_eq!(bob.next(), (Deliver.byte(), "alice|little".into()));
    let much = "x".repeat(5_000);
    assert!(alice.ask(Send, &format!("bob|{much}")).starts_with("ok|queued|"), "kept, and not handed over");
    assert!(alice.ask(Send, "bob|last").starts_with("ok|queued|"), "nothing overtakes it");
    bob.rest();
    assert_eq!(bob.read(), None);
    for _ in 0..3 {
        assert!(bob.conn.feed_again.is_some(), "it looks again, although nothing wakes it");
        pass(&bench, &mut bob, 500);
        assert_eq!(bob.read(), None);
    }
    outboxes.settle(all, 0);
    pass(&bench, &mut bob, 499);
    assert_eq!(bob.read(), None);
    pass(&bench, &mut bob, 1);
    assert_eq!(bob.next(), (Deliver.byte(), format!("alice|{much}")));
    assert_eq!(bob.next(), (Deliver.byte(), "alice|last".into()));
    assert!(bob.conn.feed_again.is_none(), "and no further time");
}

#[test]
fn a_list_waits_for_room_among_all_outboxes() {
    let bench = Bench::new(&[]);
    let mut bob = bench.enter("bob");
    let (outboxes, all) = (bench.core.memory.outboxes.clone(), everything(&bench));
    outboxes.settle(0, all - 512 * 1024);
    bob.says(List, "bob");
    assert_eq!(bob.read(), None);
    outboxes.settle(512 * 1024, 0);
    pass(&bench, &mut bob, 500);
    assert_eq!(bob.next(), (List.answer(), "ok|bob".into()));
}

/// What the reading thread had read lay with every connection that had asked, before their tasks got to it.
#[test]
fn what_is_read_from_the_store_has_a_bound_for_all_together() {
    let bench = Bench::new(&[]);
    let mut alice = bench.enter("alice");
    drop(bench.enter("bob"));
    assert!(alice.ask(Send, "bob|hi").starts_with("ok|queued|"));
    let others = bench.core.memory.fetched.hold(crate::core::FETCHED as usize);
    let mut bob = bench.enter("bob");
    bob.says(Deliver, "");
    bob.rest();
    for _ in 0..3 {
        assert_eq!(
            (bob.read(), bob.conn.feed_again.is_some()),
            (None, true),
            "it asks again, and is not forgotten"
        );
        pass(&bench, &mut bob, 100);
    }
    drop(others);
    pass(&bench, &mut bob, 100);
    assert_eq!([bob.next().1, bob.next().1], ["alice|hi", "ok|1"]);
    assert_eq!(bench.core.memory.fetched.held(), 0, "it is given back");
}

#[test]
fn who_takes_nothing_for_twenty_seconds_is_closed_and_loses_nothing() {
    let bench = Bench::new(&[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    bob.kernel.lock().room = Some(0);
    assert!(alice.ask(Send, "bob|hello").starts_with("ok|delivered|"));
    bob.turn();
    // One byte is progress.
    pass(&bench, &mut bob, 19_000);
    bob.kernel.lock().room = Some(1);
    bob.turn();
    pass(&bench, &mut bob, 19_900);
    assert!(!bob.over);
    pass(&bench, &mut bob, 2_000);
    assert!(bob.over);
    drop(bob);
    assert_eq!(waiting(&bench, "bob"), "1");
}

#[test]
fn a_login_and_a_frame_have_ten_seconds_each() {
    let bench = Bench::new(&["login-time=10", "frame-time=10"]);
    let closed = |side: &mut Side<'_>, first: u64| {
        pass(&bench, side, first);
        let early = side.read().is_some() || side.over;
        pass(&bench, side, 2_000);
        (early, side.read().map(|(op, text)| (op, text.starts_with("error|timed-out|"))))
    };
    let mut silent = bench.connect();
    assert_eq!(closed(&mut silent, 9_999), (false, Some((NOTICE, true))));
    let mut slow = bench.enter("alice");
    slow.arrives(&bytes(Send, "bob|hello")[..7]);
    slow.notices();
    slow.turn();
    assert_eq!(closed(&mut slow, 9_999), (false, Some((NOTICE, true))));
    pass(&bench, &mut slow, LINGER.as_millis() as u64);
    assert!(slow.over, "and it is gone, whatever the other side does");
}

#[test]
fn sends_beyond_the_rate_are_taken_later_and_all_of_them() {
    let bench = Bench::new(&["sends=2"]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    (0..23).for_each(|number| alice.arrives(&bytes(Send, &format!("bob|{number}"))));
    alice.notices();
    let mut got = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..4 {
        alice.rest();
        bob.rest();
        while let Some((_, text)) = bob.read() {
            got.push(text);
        }
        counts.push(got.len());
        bench.core.clock.pass(SECOND / 2);
    }
    assert_eq!(counts, [20, 21, 22, 23], "a burst of ten seconds' worth, and then one each half second");
    assert_eq!(got, (0..23).map(|number| format!("alice|{number}")).collect::<Vec<_>>());
}

#[test]
fn lists_beyond_the_rate_are_answered_later() {
    let bench = Bench::new(&["list-rate=2"]);
    let mut bob = bench.enter("bob");
    (0..23).for_each(|_| bob.arrives(&bytes(List, "bob")));
    bob.notices();
    let (mut counts, mut answered) = (Vec::new(), 0);
    for _ in 0..4 {
        bob.rest();
        while bob.read().is_some() {
            answered += 1;
        }
        counts.push(answered);
        bench.core.clock.pass(SECOND / 2);
    }
    assert_eq!(counts, [20, 21, 22, 23]);
}

#[test]
fn where_too_much_waits_for_the_writing_thread_nothing_further_is_read() {
    let bench = Bench::new(&["pending-writes=1"]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    (0..500).for_each(|number| alice.arrives(&bytes(Send, &format!("bob|{number}"))));
    alice.notices();
    // While the writing thread waits for bob's mailbox, it has taken one message, and one waits.
    let account = bench.core.hub.by_name("bob").unwrap();
    let mailbox = account.mailbox.lock();
    let mut before = None;
    while before.replace(alice.conn.caller.outbox.due().sends) != before || bench.core.queue.len().0 == 0 {
        alice.turn();
    }
    assert!(bench.core.queue.len().0 <= 1);
    assert!(before <= Some(2) && alice.conn.held == Some(Hold::Full), "{before:?} {:?}", alice.conn.held);
    drop(mailbox);
    let mut got = Vec::new();
    while got.len() < 500 {
        alice.rest();
        bob.rest();
        while let Some((_, text)) = bob.read() {
            got.push(text);
        }
    }
    assert_eq!(got, (0..500).map(|number| format!("alice|{number}")).collect::<Vec<_>>());
}

#[test]
fn frames_that_are_not_complete_share_what_there_is() {
    let bench = Bench::new(&[]);
    let mut alice = bench.enter("alice");
    let (inboxes, all) = (bench.core.memory.inboxes.clone(), INBOXES as usize);
    let frame = bytes(Send, &format!("bob|{}", "x".repeat(16_000)));
    let come = |side: &mut Side<'_>, part: std::ops::Range<usize>| {
        side.arrives(&frame[part]);
        side.notices();
        side.turn();
    };
    come(&mut alice, 0..8_000);
    assert!(inboxes.held() >= 8_000, "what is held counts");
    come(&mut alice, 8_000..frame.len());
    assert_eq!(alice.next().0, Send.answer());
    inboxes.settle(0, all);
    // A little each has for itself, and that is enough for whatever comes whole.
    assert_eq!(alice.ask(List, "alice"), "ok|alice");
    come(&mut alice, 0..2_048);
    assert!(!matches!(alice.conn.end, End::Closing | End::Lingering(_)));
    come(&mut alice, 2_048..2_049);
    let (op, text) = alice.next();
    assert_eq!((op, text.split('|').nth(1)), (NOTICE, Some("busy")), "{text}");
    assert_eq!(bench.core.counters.inboxes_full.get(), 1);
    drop(alice);
    assert_eq!(inboxes.held(), all, "and what was held is given back");
}

/// R3.
#[test]
fn a_receive_buffer_grows_with_what_came_and_is_given_back() {
    let bench = Bench::new(&[]);
    let mut alice = bench.enter("alice");
    let inboxes = bench.core.memory.inboxes.clone();
    let frame = bytes(Send, &format!("alice|{}", "x".repeat(16_000)));
    for part in [0..5, 5..6, 6..1_000, 1_000..9_000, 9_000..frame.len() - 1] {
        let end = part.end;
        alice.arrives(&frame[part]);
        alice.notices();
        alice.turn();
        let held = inboxes.held();
        assert!((end..=2 * end + 64).contains(&held), "{held} for {end}");
    }
    alice.arrives(&frame[frame.len() - 1..]);
    alice.notices();
    while alice.next().0 != Send.answer() {}
    pass(&bench, &mut alice, 2 * SHRINK_AFTER.as_millis() as u64);
    alice.turn();
    assert_eq!(inboxes.held(), 0, "an idle connection holds nothing");
}

#[test]
fn what_is_held_back_is_read_as_far_as_there_is_room() {
    let bench = Bench::new(&["sends=1"]);
    let mut alice = bench.enter("alice");
    let inboxes = bench.core.memory.inboxes.clone();
    inboxes.settle(0, INBOXES as usize);
    (0..3_000).for_each(|_| alice.arrives(&bytes(Send, "nobody|0123456789")));
    alice.notices();
    let before = alice.kernel.lock().input.len();
    alice.rest();
    let (left, held) = (alice.kernel.lock().input.len(), alice.conn.inbox.bytes().len());
    assert!(held <= 2 * 2_048 && before - left <= 20 * 22 + held, "{before} {left} {held}");
    inboxes.settle(INBOXES as usize, 0);
    bench.core.clock.pass(SECOND);
    alice.notices();
    alice.rest();
    assert!(alice.conn.inbox.bytes().len() > 60_000, "with room it is read as before");
}
