//! Rows that are damaged while the server runs: whoever needs one is refused with `storage`, all else goes on, and
//! nothing is taken for absent. That a start refuses such a database is shown in `start`.

use bellhop_protocol::OpCode::{Create, Deliver, List, Login, Logout, Send};
use bellhop_protocol::op::NOTICE;
use bellhop_tests::server::Local;

/// Changes the database behind the server's back.
fn damage(server: &Local, sql: &str) {
    let other = rusqlite::Connection::open(server.home().data().join("bellhop.db")).unwrap();
    assert!(other.execute(sql, []).unwrap() > 0, "{sql}");
}

fn damages(server: &Local) -> u64 {
    server.core().counters.damaged.get()
}

fn waiting(server: &Local, name: &str) -> u64 {
    let account = server.core().hub.by_name(name).unwrap();
    let mailbox = account.mailbox.lock();
    mailbox.items().messages().count
}

/// What lies before the damage is delivered; then the session learns that there is more, and nothing is lost.
#[test]
fn a_damaged_message_is_no_empty_mailbox() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    let mut bob = server.login("bob");
    assert_eq!(bob.ask(Logout, ""), "ok");
    for text in ["one", "two", "three"] {
        assert!(alice.ask(Send, &format!("bob|{text}")).starts_with("ok|queued|"));
    }
    // The tail of a mailbox in memory may hold what the database no longer does.
    let server = server.restart(&[]);
    damage(&server, "UPDATE log SET body = x'00' WHERE body = CAST('two' AS BLOB)");
    for device in ["first", "again"] {
        let mut bob = server.connect();
        assert!(bob.ask(Login, "bob").starts_with("ok|"), "{device}");
        bob.send(Deliver, "");
        let first = bob.next();
        assert_eq!(first.text(), "alice|one");
        let notice = bob.next();
        assert_eq!((notice.op, notice.text().split('|').nth(1)), (NOTICE, Some("storage")));
        assert_eq!(bob.read(), None);
    }
    assert_eq!(damages(&server), 2);
    assert!(waiting(&server, "bob") >= 2, "what was not delivered waits");
    let (mut alice, mut carol) = (server.login("alice"), server.login("carol"));
    assert!(alice.ask(Send, "carol|hi").starts_with("ok|"), "all others go on");
    assert_eq!(carol.next().text(), "alice|hi");
    assert!(alice.ask(Send, "bob|four").starts_with("ok|"));
}

#[test]
fn a_damaged_account_is_not_taken_for_nobody() {
    let server = Local::start(&[]);
    server.login("alice").ask(Logout, "");
    server.login("bob").ask(Logout, "");
    let server = server.restart(&[]);
    damage(&server, "UPDATE account SET password = 'x' WHERE folded = 'bob'");
    let mut alice = server.login("alice");
    let cases = [
        (alice.ask(Send, "bob|hi"), "SEND"),
        (alice.ask(List, ""), "LIST"),
        (server.connect().ask(Login, "bob"), "LOGIN"),
        (server.connect().ask(Create, "bob"), "CREATE"),
    ];
    for (answer, op) in &cases {
        assert!(answer.starts_with("error|storage|"), "{op}: {answer}");
    }
    assert_eq!(damages(&server), cases.len() as u64);
    assert!(alice.ask(Send, "alice|hi").starts_with("ok|"), "the server goes on");
    server.login("carol");
    assert_eq!(alice.ask(List, "carol"), "ok|carol", "a list that does not come to it is made");
}

#[test]
fn a_damaged_device_refuses_its_account_alone() {
    let server = Local::start(&[]);
    drop(server.hello("bob", 2));
    let mut bob = server.hello("bob", 2);
    bob.send(Deliver, "");
    bob.answer(Deliver.answer());
    drop(bob);
    let server = server.restart(&[]);
    damage(&server, "UPDATE device SET floor = 999");
    let mut bob = server.connect();
    bob.say_hello(2);
    let answer = bob.ask(Login, "bob");
    assert!(answer.starts_with("error|storage|"), "{answer}");
    assert_eq!(damages(&server), 1);
    server.login("alice");
}
