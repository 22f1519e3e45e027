//! The rules of a mailbox, in virtual time and without I/O: values in, frames and effects out.

mod devices;

use std::rc::Rc;

use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::{MessageId, OpCode};
use uuid::Uuid;

use super::acked::RANGES_MAX;
use super::acknowledge::Owed;
use super::device::{Device, NAMELESS_SLOT, UNSEEN_MS_MAX};
use super::stream::{Feed, WINDOW_ITEMS};
use super::*;

use super::bench::{BOUNDS, Bench, NOW, Pipe, author, device};

#[test]
fn nobody_sees_what_is_not_committed() {
    let mut bench = Bench::new();
    let (id, pipe) = bench.open(1);
    let seq = bench.stage("hi", Marks::default());
    bench.feed(id);
    assert_eq!((pipe.read(), bench.mailbox.items_for(1)), (vec![], 0));
    assert!(bench.publish(seq));
    assert_eq!(pipe.read(), ["1:hi"]);
}

#[test]
fn what_is_rolled_back_leaves_a_gap() {
    let mut bench = Bench::new();
    let (_, pipe) = bench.open(1);
    bench.stage("lost", Marks::default());
    bench.mailbox.unstage(1);
    bench.send("kept");
    assert_eq!((pipe.read(), bench.kept()), (vec!["2:kept".to_owned()], vec![2]));
}

#[test]
fn a_stream_replays_acknowledges_and_goes_on() {
    let mut bench = Bench::new();
    assert!(!bench.send("one"));
    assert!(!bench.send("two"));
    let (id, pipe) = bench.attach(Some(1));
    assert!(!bench.send("three"), "a session without a stream is not online");
    assert_eq!(bench.mailbox.open(id, NOW, &mut Effects::default()), 3);
    bench.feed(id);
    assert_eq!(pipe.read(), ["1:one", "2:two", "3:three"]);
    assert!(bench.send("four"));
    assert_eq!(pipe.read(), ["4:four"]);
    assert_eq!(
        bench.mailbox.open(id, NOW, &mut Effects::default()),
        4,
        "asked again, it tells and sends nothing"
    );
    bench.feed(id);
    bench.ack(id, &[(1, 2), (4, 4)]);
    assert_eq!((pipe.read(), bench.freed(), bench.kept()), (vec![], vec![1, 2, 4], vec![3]));
    bench.mailbox.detach(id, NOW);
    let (_, pipe) = bench.open(1);
    assert_eq!(pipe.read(), ["3:three"], "what was not acknowledged comes again");
}

#[test]
fn an_ack_covers_only_what_was_sent() {
    let mut bench = Bench::new();
    bench.send("one");
    let (id, pipe) = bench.attach(Some(1));
    bench.ack(id, &[(0, u64::MAX >> 1)]);
    assert_eq!(bench.kept(), [1], "before DELIVER nothing was sent");
    bench.mailbox.open(id, NOW, &mut Effects::default());
    pipe.set_room(0);
    bench.ack(id, &[(0, u64::MAX >> 1)]);
    assert_eq!(bench.kept(), [1], "it waits for room and was not sent yet");
    pipe.set_room(1000);
    bench.feed(id);
    bench.send("two");
    bench.ack(id, &[(0, u64::MAX >> 1)]);
    assert!(bench.kept().is_empty());
    bench.send("three");
    assert_eq!(pipe.read(), ["1:one", "2:two", "3:three"], "numbers of the future were not acknowledged");
}

#[test]
fn every_receiving_device_gets_its_own() {
    let mut bench = Bench::new();
    let (first, first_pipe) = bench.open(1);
    let (_, second_pipe) = bench.open(2);
    bench.send("one");
    assert_eq!((first_pipe.read(), second_pipe.read()), (vec!["1:one".into()], vec!["1:one".to_owned()]));
    bench.ack(first, &[(1, 1)]);
    assert_eq!((bench.kept(), bench.mailbox.items().had().count), (vec![1], 1));
    let (third, third_pipe) = bench.open(3);
    assert_eq!(third_pipe.read(), ["1:one"], "a new device begins with the oldest item still kept");
    bench.ack(third, &[(1, 1)]);
    assert_eq!(bench.kept(), [1], "the second device does not have it yet");
}

#[test]
fn the_window_bounds_what_is_underway() {
    let mut bench = Bench::new();
    let (id, pipe) = bench.open(1);
    let sent = WINDOW_ITEMS + 10;
    let handed_over = (0..sent).filter(|_| bench.send("x")).count() as u64;
    assert_eq!(handed_over, WINDOW_ITEMS);
    assert_eq!(bench.feed(id), Feed::Blocked);
    assert_eq!(pipe.read().len() as u64, WINDOW_ITEMS);
    bench.ack(id, &[(1, 3)]);
    assert_eq!(pipe.read(), ["1025:x", "1026:x", "1027:x"]);
    assert!(!bench.send("y"), "what is behind gets nothing past the others");
    bench.ack(id, &[(4, 500)]);
    assert_eq!(pipe.read().last().map(String::as_str), Some("1035:y"));
}

#[test]
fn nothing_overtakes_what_a_stream_or_a_deliver_has_yet_to_bring() {
    let mut bench = Bench::new();
    bench.send("one");
    bench.send("two");
    let (id, pipe) = bench.attach(Some(1));
    bench.mailbox.open(id, NOW, &mut bench.effects);
    assert!(!bench.send("three"), "the stream is open, and stands at the first");
    assert_eq!(pipe.read(), [""; 0]);
    bench.feed(id);
    assert_eq!(pipe.read(), ["1:one", "2:two", "3:three"]);

    let (text, pipe) = bench.text();
    bench.mailbox.deliver(text);
    bench.send("four");
    assert_eq!(pipe.read(), [""; 0], "what came after the DELIVER stands behind its answer");
    assert_eq!(bench.feed(text), Feed::Delivered(3));
    assert_eq!(pipe.read(), ["one", "two", "three"]);
    bench.feed(text);
    assert_eq!(pipe.read(), ["four"]);

    pipe.set_room(0);
    bench.send("five");
    pipe.set_room(usize::MAX);
    bench.send("six");
    assert_eq!(pipe.read(), [""; 0], "one found no room, so the next waits behind it");
    bench.feed(text);
    assert_eq!(pipe.read(), ["five", "six"]);
}

#[test]
fn a_text_larger_than_the_window_still_goes() {
    let mut bench = Bench::new();
    let (_, pipe) = bench.open(1);
    let text = "x".repeat(300_000);
    assert!(bench.send(&text));
    assert!(!bench.send("y"));
    assert_eq!(pipe.read().len(), 1);
}

#[test]
fn a_full_outbox_leaves_the_rest_in_the_store() {
    let mut bench = Bench::new();
    let (id, pipe) = bench.open(1);
    pipe.set_room(100);
    let got = (0..50).filter(|_| bench.send("0123456789")).count();
    assert_eq!((got, bench.feed(id)), (1, Feed::Blocked));
    pipe.set_room(usize::MAX);
    assert_eq!(bench.feed(id), Feed::Idle);
    assert_eq!(pipe.read().len(), 50);
    assert!(bench.send("live again"));
}

#[test]
fn a_text_session_gets_new_messages_and_asks_for_old_ones() {
    let mut bench = Bench::new();
    bench.send("old");
    let (id, pipe) = bench.text();
    assert!(bench.send("new"));
    assert_eq!(pipe.read(), ["new"]);
    assert_eq!(bench.mailbox.waiting_for(NAMELESS_SLOT), 2);
    assert_eq!(bench.deliver(id), 1);
    assert_eq!(pipe.read(), ["old"], "what was written on this connection does not come again");
    assert_eq!(bench.deliver(id), 0);
    assert!(bench.send("newer"));
    assert_eq!(pipe.read(), ["newer"]);
}

#[test]
fn a_text_session_takes_by_its_next_request() {
    let mut bench = Bench::new();
    bench.send("old");
    let (id, pipe) = bench.text();
    bench.send("new");
    bench.mailbox.take_written(id, 0, &BOUNDS, &mut bench.effects);
    assert_eq!(bench.kept(), [1, 2], "nothing was written when the request began");
    bench.answers(id, &pipe);
    assert_eq!(bench.kept(), [1], "the pushed one is taken, the old one was not written");
    bench.deliver(id);
    bench.mailbox.detach(id, NOW);
    let (id, pipe) = bench.text();
    assert_eq!(bench.deliver(id), 1, "the connection ended before a request: it waits again");
    bench.answers(id, &pipe);
    assert!(bench.kept().is_empty());
    assert_eq!(bench.freed(), [2, 1]);
}

#[test]
fn what_another_text_session_has_underway_comes_here_too() {
    let mut bench = Bench::new();
    bench.send("one");
    let (first, first_pipe) = bench.text();
    assert_eq!(bench.deliver(first), 1);
    let (second, second_pipe) = bench.text();
    assert_eq!(bench.deliver(second), 1);
    assert_eq!(second_pipe.read(), ["one"]);
    bench.answers(first, &first_pipe);
    assert!(bench.kept().is_empty(), "taken is the account's");
    bench.answers(second, &second_pipe);
    assert_eq!(bench.deliver(second), 0);
}

#[test]
fn what_is_written_and_untaken_does_not_fill_the_mailbox() {
    let mut bench = Bench::new();
    let (id, _) = bench.text();
    for _ in 0..30 {
        bench.mailbox.admit(1, 1, &BOUNDS).unwrap();
        bench.send("x");
    }
    bench.mailbox.detach(id, NOW);
    assert_eq!(bench.mailbox.items().waiting().count, 30);
    assert_eq!(bench.mailbox.admit(1, 1, &BOUNDS).unwrap_err().code, Code::MAILBOX_FULL);
}

#[test]
fn more_than_ten_thousand_written_count_as_taken() {
    let mut bench = Bench::new();
    let (id, pipe) = bench.text();
    (0..10_005).for_each(|_| assert!(bench.send("x")));
    bench.mailbox.take_excess(id, 0, &BOUNDS, &mut bench.effects);
    assert_eq!(bench.kept().len(), 10_005, "what is not written is not taken");
    bench.mailbox.take_excess(id, pipe.appended(), &BOUNDS, &mut bench.effects);
    assert_eq!(bench.kept().len(), 10_000);
    assert_eq!(bench.kept()[0], 6);
}

#[test]
fn bounds_count_what_no_device_has() {
    let mut bench = Bench::new();
    (0..10).for_each(|_| assert!(!bench.send("x")));
    let refused = bench.mailbox.admit(1, 1, &BOUNDS).unwrap_err();
    assert_eq!(refused.code, Code::MAILBOX_FULL, "ten of one sender");
    assert!(bench.mailbox.admit(2, 981, &BOUNDS).is_ok());
    assert_eq!(
        bench.mailbox.admit(2, 991, &BOUNDS).unwrap_err().code,
        Code::MAILBOX_FULL,
        "a thousand bytes"
    );
    let (id, _) = bench.open(1);
    bench.open(2);
    bench.ack(id, &[(1, 10)]);
    assert_eq!(bench.mailbox.items().waiting().count, 0);
    assert!(bench.mailbox.admit(1, 1, &BOUNDS).is_ok());
}

#[test]
fn what_one_device_has_goes_when_the_room_is_needed() {
    let mut bench = Bench::new();
    bench.open(2);
    let (id, _) = bench.open(1);
    for seq in 1..=25 {
        bench.send("x");
        bench.ack(id, &[(seq, seq)]);
    }
    assert_eq!((bench.kept(), bench.effects.dropped), ((6..=25).collect::<Vec<u64>>(), 5));
}

#[test]
fn the_first_device_that_has_a_message_ends_it_for_its_sender() {
    let mut bench = Bench::new();
    let (first, _) = bench.open(1);
    let (second, _) = bench.open(2);
    bench.send_wanted("one");
    bench.send("two");
    bench.ack(first, &[(1, 2)]);
    let owed = bench.mailbox.take_owed();
    let origin = Some((author(1), MessageId(Uuid::from_u128(1))));
    assert_eq!(owed, [Owed { row: RowId(1), origin }]);
    bench.ack(second, &[(1, 2)]);
    assert!(!bench.mailbox.owes(), "exactly once");
}

#[test]
fn a_receipt_of_a_message_out_of_memory_names_its_row() {
    let mut bench = Bench::new();
    bench.send_wanted("one");
    let (id, _) = bench.open(1);
    bench.ack(id, &[(1, 1)]);
    assert_eq!(bench.mailbox.take_owed(), [Owed { row: RowId(1), origin: None }]);
}

#[test]
fn receipts_are_for_the_device_that_posted() {
    let mut bench = Bench::new();
    let (first, first_pipe) = bench.open(1);
    let (second, second_pipe) = bench.open(2);
    let (text, text_pipe) = bench.text();
    bench.receipt(Some(1), ReceiptState::Delivered);
    bench.send("hi");
    assert_eq!(first_pipe.read(), ["1=1", "2:hi"]);
    assert_eq!(second_pipe.read(), ["2:hi"]);
    assert_eq!(text_pipe.read(), ["hi"]);
    assert_eq!((bench.mailbox.items_for(1), bench.mailbox.waiting_for(1)), (2, 1));
    assert_eq!(bench.mailbox.items_for(2), 1);
    bench.ack(second, &[(1, 2)]);
    bench.answers(text, &text_pipe);
    assert_eq!((bench.kept(), bench.effects.receipts_ended), (vec![1, 2], 0));
    bench.ack(first, &[(1, 2)]);
    assert_eq!((bench.kept(), bench.effects.receipts_ended), (vec![], 1));
}

#[test]
fn read_receipts_are_for_all_devices_with_the_extension() {
    let mut bench = Bench::new();
    let (first, first_pipe) = bench.open(1);
    let (second, second_pipe) = bench.open(2);
    bench.text();
    bench.receipt(None, ReceiptState::Read);
    assert_eq!((first_pipe.read(), second_pipe.read()), (vec!["1=2".into()], vec!["1=2".to_owned()]));
    bench.ack(first, &[(1, 1)]);
    assert_eq!(bench.kept(), [1]);
    bench.ack(second, &[(1, 1)]);
    assert!(bench.kept().is_empty());
}

#[test]
fn a_read_receipt_for_nobody_goes_nowhere() {
    let mut bench = Bench::new();
    bench.text();
    bench.attach(Some(1));
    assert_eq!(bench.mailbox.party_of(None), None, "a device that does not receive would keep it for ever");
}

#[test]
fn a_restart_puts_back_what_waits() {
    let mut bench = Bench::new();
    let mut restored = Mailbox::<Pipe>::new(1024, 1024, false);
    let mut known = Device::new(device(1), 0, NOW);
    known.receiving = true;
    known.acked = acked::Acked::new(5, vec![(8, 8)]);
    restored.restore_device(known);
    let mut second = Device::new(device(2), 0, NOW);
    second.receiving = true;
    restored.restore_device(second);
    let message = |seq| Item::new(seq, RowId(seq), 1, Marks::WANTED, 1);
    assert!([4, 7, 8, 9].map(|seq| restored.restore_item(message(seq))).iter().all(|kept| *kept));
    assert_eq!(restored.items().had().count, 2, "4 and 8 were had by the first device");
    bench.mailbox = restored;
    assert_eq!(bench.mailbox.block_needed(0), Some(1025 + SEQ_BLOCK));
    bench.mailbox.reserve(2048);
    let (id, pipe) = bench.attach(Some(1));
    assert_eq!(bench.mailbox.open(id, NOW, &mut Effects::default()), 2);
    bench.stored = (1..=9).map(|seq| (seq, format!("m{seq}"))).collect();
    bench.feed(id);
    assert_eq!(pipe.read(), ["7:m7", "9:m9"]);
    assert_eq!(bench.stage("new", Marks::default()), 1025, "no number of before is used again");
}

#[test]
fn what_all_have_is_not_put_back() {
    let mut restored = Mailbox::<Pipe>::new(1024, 1024, false);
    let mut known = Device::new(device(1), 0, NOW);
    known.receiving = true;
    known.acked = acked::Acked::new(5, vec![]);
    restored.restore_device(known);
    assert!(!restored.restore_item(Item::new(5, RowId(5), 1, Marks::default(), 1)));
    assert!(
        !restored.restore_item(Item::new(6, RowId(6), 0, Marks::RECEIPT, 44)),
        "for a device that is gone"
    );
    assert!(restored.restore_item(Item::new(7, RowId(7), 1, Marks::default(), 1)));
}

#[test]
fn an_expired_message_owes_its_sender_a_receipt_unless_it_was_had() {
    let mut bench = Bench::new();
    bench.open(2);
    let (id, _) = bench.open(1);
    bench.send_wanted("one");
    bench.send_wanted("two");
    bench.send("three");
    bench.ack(id, &[(2, 2)]);
    bench.mailbox.take_owed();
    let owed = [1, 2, 3, 4].map(|seq| bench.mailbox.begin_expiry(seq).is_some());
    assert_eq!(owed, [true, false, false, false]);
    bench.ack(id, &[(1, 1)]);
    assert!(!bench.mailbox.owes(), "it had its end");
}

#[test]
fn deleting_lets_go_of_the_others_and_returns_what_waited() {
    let mut bench = Bench::new();
    bench.send("one");
    let (id, _) = bench.open(1);
    let (_, other) = bench.text();
    bench.send_wanted("two");
    let ended = bench.mailbox.delete(Some(id));
    let refused = ended.kept.iter().filter(|(_, owed)| owed.is_some()).count();
    assert_eq!((ended.kept.len(), refused, ended.outlets.len()), (2, 1, 1));
    assert!(Rc::ptr_eq(&ended.outlets[0].0, &other.0));
    assert_eq!(bench.mailbox.life(), Life::Deleted);
}

#[test]
fn only_an_idle_mailbox_retires() {
    let mut bench = Bench::new();
    assert_eq!(OpCode::Deliver.byte(), 6);
    let (id, _) = bench.text();
    assert!(!bench.mailbox.retire());
    bench.mailbox.detach(id, NOW);
    assert!(!bench.mailbox.retire(), "its devices are not saved");
    bench.mailbox.devices_mut().iter_mut().for_each(|device| device.unsaved = false);
    assert!(bench.mailbox.retire());
    assert_eq!(bench.mailbox.life(), Life::Retired);
}

#[test]
fn messages_in_memory_stay_in_the_tail_while_nobody_is_here() {
    let mut bench = Bench { mailbox: Mailbox::new(0, 1000, true), ..Bench::new() };
    (0..5).for_each(|number| assert!(!bench.send(&format!("m{number}"))));
    let (id, pipe) = bench.attach(Some(1));
    bench.mailbox.open(id, NOW, &mut Effects::default());
    assert_eq!(bench.mailbox.feed(id, &[], &mut Effects::default()), Feed::Idle, "nothing is fetched");
    assert_eq!(pipe.read().len(), 5);
    bench.mailbox.detach(id, NOW);
    let (_, pipe) = bench.open(1);
    assert_eq!(pipe.read().len(), 5);
}

/// What the bound on ranges left out counted as had: it ended twice.
#[test]
fn what_the_bound_on_ranges_leaves_out_is_not_had() {
    let mut bench = Bench::new();
    (0..140).for_each(|number| bench.send_wanted(&format!("{number}")));
    let (id, _) = bench.open(1);
    let every_other: Vec<(u64, u64)> = (1..=66).map(|number| (number * 2, number * 2)).collect();
    bench.mailbox.ack(id, every_other.iter().copied(), &BOUNDS, &mut bench.effects);
    assert_eq!(bench.mailbox.take_owed().len(), RANGES_MAX);
    assert_eq!(bench.kept().len(), 140 - RANGES_MAX);
    bench.mailbox.ack(id, std::iter::once((1, 140)), &BOUNDS, &mut bench.effects);
    assert_eq!(bench.mailbox.take_owed().len(), 140 - RANGES_MAX, "each has one end");
}

/// What was for others was looked through again by each range of an ACK.
#[test]
fn a_range_with_nothing_for_the_device_is_looked_through_once() {
    let mut bench = Bench::new();
    let (first, _) = bench.open(1);
    let (second, _) = bench.open(2);
    (0..5).for_each(|_| bench.receipt(Some(1), ReceiptState::Delivered));
    bench.ack(second, &[(1, 5)]);
    let floor = |bench: &Bench, slot: u32| {
        let device = bench.mailbox.devices().iter().find(|device| device.slot == slot).unwrap();
        device.acked.floor()
    };
    assert_eq!((floor(&bench, 1), floor(&bench, 2)), (0, 5));
    assert_eq!(bench.kept().len(), 5);
    bench.ack(first, &[(1, 5)]);
    assert_eq!(bench.kept(), [0; 0]);
}
