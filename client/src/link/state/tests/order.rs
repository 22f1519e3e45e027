//! Commands that come at once are done in their order, though some of them wait for the disk.

use bellhop_protocol::{Code, Reply};

use super::pair::{Pair, config, draft, id};
use crate::link::{Command, LinkConfig};
use crate::secret::Secret;

fn list(tag: u64) -> Command {
    Command::Ask { tag, op: 0, data: Secret::new(String::new()) }
}

/// The question, and the word that all was read, went out before the message they stood behind.
#[test]
fn a_question_and_a_sync_stand_behind_what_waits_for_the_disk() {
    let mut pair = Pair::online(config());
    pair.commands([draft("one"), Command::Sync(1)]);
    assert_eq!(pair.sent(), ["POST 1 bob one", "PING"]);
    pair.refused(1, Code::MAILBOX_FULL);
    pair.commands([Command::Retry(1), list(2), draft("two"), Command::Sync(3)]);
    assert_eq!(pair.sent(), ["POST 2 bob one", "LIST", "POST 3 bob two", "PING"]);
    let mut pair = Pair::online(LinkConfig { confirm: true, ..config() });
    pair.message(7, 1, "hi");
    pair.commands([Command::Confirm(id(1)), Command::Sync(4)]);
    assert_eq!(pair.sent(), ["ACK 7-7", "PING"]);
}

/// Beyond 64 they were dropped, and whoever waited did so for ever.
#[test]
fn every_sync_is_told_or_the_end_of_the_connection() {
    let mut pair = Pair::online(config());
    pair.commands((0..100).map(Command::Sync));
    assert_eq!(pair.sent().len(), 100);
    for ping in 1..=100u64 {
        pair.say(Reply::Pong(ping.to_be_bytes()));
    }
    assert_eq!(pair.told().last().map(String::as_str), Some("synced 99"));
    pair.commands((0..1_000).map(Command::Sync));
    assert_eq!(pair.told(), ["offline TimedOut"], "a server that answers none fills no memory");
}
