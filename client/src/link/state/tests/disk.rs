//! A disk that fails: nothing that was typed is lost, and memory does not go on without it.

use bellhop_protocol::post::Posted;

use super::pair::{Pair, config, draft};
use crate::link::Command;

/// The text was gone: from the box, and from the disk that never had it.
#[test]
fn what_could_not_be_written_down_is_handed_back() {
    let mut pair = Pair::online(config());
    pair.broken = true;
    pair.commands([draft("one"), draft("two")]);
    assert_eq!(pair.told(), ["stopped Disk", "not kept one", "not kept two"]);
    pair.send("three");
    assert_eq!(pair.told(), ["not kept three"]);
    assert_eq!(pair.sent(), [""; 0]);
}

/// What memory held had gone on without the disk: the answer was forgotten, and the message with it.
#[test]
fn after_a_disk_that_failed_it_goes_on_from_what_is_on_disk() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.broken = true;
    pair.posted(1, Posted::Stored);
    pair.broken = false;
    pair.send("two");
    pair.command(Command::Reconnect);
    pair.sent();
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["POST 1 bob one", "POST 2 bob two"]);
}

/// Another program that held the file for long ended the connection for good.
#[test]
fn a_busy_disk_is_asked_again() {
    let mut pair = Pair::online(config());
    pair.busy = 2;
    pair.commands([draft("one"), draft("two")]);
    assert!(!pair.state.may_read(), "it would only wait in memory");
    pair.send("three");
    pair.pass(2.0);
    assert_eq!(pair.sent(), ["POST 1 bob one", "POST 2 bob two", "POST 3 bob three"]);
    assert!(pair.state.may_read());
    pair.told();
    pair.busy = 9;
    pair.send("four");
    pair.pass(3.0);
    assert_eq!(pair.told(), ["stopped Disk", "not kept four"]);
}

/// The text was handed back, and found on disk and sent all the same: whoever sent it again had sent it twice.
#[test]
fn what_was_handed_back_is_not_sent_though_the_disk_had_it() {
    let mut pair = Pair::online(config());
    pair.send("one");
    pair.lies = true;
    pair.commands([draft("two"), draft("three")]);
    assert!(pair.told().contains(&"not kept two".to_owned()));
    pair.lies = false;
    pair.command(Command::Reconnect);
    pair.sent();
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["POST 1 bob one"]);
    pair.send("two");
    assert!(pair.sent().last().is_some_and(|line| line.ends_with(" bob two")));
}
