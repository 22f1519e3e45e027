//! A server that stops answering and comes back: said, counted down, and over without a key.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop_protocol::OpCode::Send;
use bellhop_tests::peer::Peer;
use bellhop_tests::process::Process;
use bellhop_tests::server::Home;
use bellhop_tests::terminal::{Signal, Terminal};
use rustix::process::{Pid, kill_process};

use super::{SIZE, is_marked};

/// An answer may take ten seconds; the rest is for a machine that is busy.
const NOTICED: Duration = Duration::from_secs(10 + 15);
/// The longest wait of a client that tries again, and time to come back.
const BACK: Duration = Duration::from_secs(36 + 20);

fn signal(server: &Process, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap(), signal).unwrap();
}

fn bells(terminal: &Terminal) -> usize {
    terminal.written().iter().filter(|byte| **byte == 7).count()
}

#[test]
fn a_server_that_stops_answering_is_noticed_and_comes_back_by_itself() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let client = Home::new();
    let mut bob = Peer::login(server.addr(), "bob");
    let mut alice = Terminal::of("alice", client.path(), server.addr(), SIZE);
    alice.opens("bob");
    alice.enters("hello");
    alice.shows("✓");
    bob.push();
    signal(&server, Signal::STOP);
    alice.enters("is anybody there?");
    alice.comes_within(NOTICED, "offline", |contents| contents.contains("offline"));
    alice.types("the box works");
    alice.shows("> the box works");
    // Seconds until the next try are shown one after the other.
    let mut seen = BTreeSet::new();
    alice.comes_within(BACK, "a count-down", |contents| {
        let left =
            contents.split("retry in ").nth(1).and_then(|rest| rest.split('s').next()?.parse::<u32>().ok());
        seen.extend(left);
        seen.len() >= 2
    });
    for number in 0..10 {
        bob.send(Send, &format!("alice|meanwhile {number:02}"));
    }
    let before = bells(&alice);
    signal(&server, Signal::CONT);
    alice.comes_within(BACK, "all of it", |contents| {
        contents.contains("● online") && contents.contains("meanwhile 09")
    });
    alice.comes_to("a tick", |contents| is_marked(contents, "anybody there?", "✓"));
    alice.shows("> the box works");
    let rung = bells(&alice) - before;
    assert!(rung <= 2, "{rung} bells for what came while the server was away");
    assert_eq!(bob.answer(Send.answer()).text().split('|').next(), Some("ok"));
}
