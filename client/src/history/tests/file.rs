//! The file: what is on the drive, what an earlier version wrote, and several programs at once.

use super::{desk, draft, id, received};
use crate::delivery::Delivery;
use crate::event::Around;
use crate::history::{History, HistoryError, schema};
use crate::link::Change;
use crate::peer::Peer;

/// On macOS an fsync leaves the data in the drive's memory, unless the drive is told.
#[test]
fn what_is_written_is_on_the_drive() {
    let desk = desk();
    let pragma = |name: &str| -> i64 {
        desk.history.db.pragma_query_value(None, name, |row| row.get(0)).expect("a pragma")
    };
    let names = ["synchronous", "fullfsync", "checkpoint_fullfsync"];
    assert_eq!(names.map(pragma), [2, 1, 1]);
}

#[test]
fn a_later_schema_is_refused() {
    let desk = desk();
    desk.history.db.pragma_update(None, "user_version", 99).expect("written");
    let refused = History::open(&desk.path);
    assert!(matches!(refused, Err(HistoryError::Newer { found: 99, known: 5 })), "{refused:?}");
}

#[test]
fn an_earlier_schema_is_brought_to_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.sqlite");
    let old = rusqlite::Connection::open(&path).expect("a file");
    old.execute_batch(schema::STEPS[0]).expect("the first schema");
    old.execute_batch(
        "PRAGMA user_version = 1;
         INSERT INTO accounts (id, server, user_key, user) VALUES (1, 'here:1', 'alice', 'alice');
         INSERT INTO devices (id, account, role, device) VALUES (1, 1, 'send-0', zeroblob(16));
         INSERT INTO peers (id, account, key, name, address) VALUES (1, 1, 'bob', 'bob', 'bob');
         INSERT INTO messages (n, account, peer, mine, text, time_ms, state) VALUES (1, 1, 1, 1, 'hi', 77, 0);
         INSERT INTO outbox (message, device, receipts, address, text) VALUES (1, 1, 0, 'bob', 'hi');",
    )
    .expect("written");
    let history = History::open(&path).expect("brought up");
    let written = history.db.query_row("SELECT written_ms FROM outbox", [], |row| row.get::<_, i64>(0));
    assert_eq!(written.expect("a time"), 77);
}

#[test]
fn all_changes_or_none() {
    let mut desk = desk();
    desk.history.db.execute("DROP TABLE early", []).expect("dropped");
    let receipt = Change::Receipt {
        seq: 1,
        id: id(5),
        peer: Peer::new("bob"),
        state: Some(Delivery::Read),
        reason: None,
    };
    let changes = [Change::Incoming(received(1, "bob", "hi")), receipt];
    assert!(desk.history.apply(&desk.seat, &changes).is_err());
    assert_eq!(desk.texts("bob", Around::Newest, 9).0, [""; 0]);
}

#[test]
fn a_file_that_another_program_has_is_a_passing_failure() {
    let mut desk = desk();
    desk.history.db.busy_timeout(std::time::Duration::ZERO).expect("set");
    let (mut other, _) = desk.again("listen");
    let held = other.write().expect("the file");
    let refused = desk.history.apply(&desk.seat, &[Change::Outgoing(draft("bob", "x"))]);
    assert!(refused.is_err_and(|error| error.is_passing()));
    drop(held);
    desk.send("x", false);
    desk.history.db.execute("DROP TABLE early", []).expect("dropped");
    let gone = desk.history.db.execute("DROP TABLE early", []).map_err(HistoryError::from);
    assert!(gone.is_err_and(|error| !error.is_passing()));
}

/// Two programs at a first start: the switch to WAL does not wait for another's transaction, and one of them ended.
#[test]
fn a_new_file_that_another_program_holds_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.sqlite");
    let other = rusqlite::Connection::open(&path).expect("a file");
    other.execute_batch("BEGIN IMMEDIATE; CREATE TABLE other (x)").expect("held");
    let (done, opened) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || done.send(History::open(&path).map(|_| ())));
    let early = opened.recv_timeout(std::time::Duration::from_millis(300));
    assert!(early.is_err(), "it does not wait: {early:?}");
    other.execute_batch("ROLLBACK").expect("given back");
    opened.recv().expect("it ends").expect("it opens");
}

#[test]
fn two_programs_write_at_once() {
    let desk = desk();
    let write = |role: &'static str, base: u32| {
        let (mut history, seat) = desk.again(role);
        std::thread::spawn(move || {
            for number in 0..50 {
                let change = Change::Incoming(received(base + number, "bob", "x"));
                history.apply(&seat, &[change]).expect("the other one waits");
            }
        })
    };
    let writers = [write("listen", 1_000), write("tui", 2_000)];
    for writer in writers {
        writer.join().expect("no panic");
    }
    assert_eq!(desk.texts("bob", Around::Newest, 1_000).0.len(), 100);
}
