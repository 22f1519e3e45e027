//! The seven operations' delivery over real sockets.

use bellhop_protocol::OpCode::{Create, Delete, Deliver, List, Login, Logout, Send};
use bellhop_tests::server::Local;
use bellhop_tests::wait::wait_for;

/// The texts that op 6 brings on a new connection of `name`, which is then dropped unread.
fn waiting(server: &Local, name: &str) -> Vec<String> {
    server.login(name).deliver().0
}

#[test]
fn to_somebody_who_is_here() {
    let server = Local::start(&[]);
    let (mut alice, mut bob) = (server.login("alice"), server.login("bob"));
    let sent = alice.ask(Send, "BOB|hi | there");
    let id: uuid::Uuid = sent.strip_prefix("ok|delivered|").unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 4);
    let got = bob.next();
    assert_eq!((got.op, got.text()), (0x06, "alice|hi | there"));
    assert_eq!(bob.deliver(), (vec![], "ok|0".into()), "it does not come twice");
}

#[test]
fn to_somebody_who_is_away() {
    let server = Local::start(&[]);
    drop(server.login("bob"));
    let mut alice = server.login("alice");
    for text in ["one", "", "three"] {
        wait_for("bob to be away", || {
            alice.ask(Send, &format!("bob|{text}")).starts_with("ok|queued|").then_some(())
        });
    }
    let mut bob = server.connect();
    assert!(bob.ask(Login, "bob").ends_with("|3"));
    let (texts, answer) = bob.deliver();
    assert_eq!(
        (texts.as_slice(), answer.as_str()),
        (&["alice|one".into(), "alice|".into(), "alice|three".into()][..], "ok|3")
    );
    assert_eq!(bob.deliver(), (vec![], "ok|0".into()));
    assert_eq!(bob.ask(Logout, ""), "ok");
    assert!(bob.ask(Login, "bob").ends_with("|0"), "a request after they came took them");
}

#[test]
fn what_waits_stays_waiting_until_it_is_asked_for() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    server.login("bob").ask(Logout, "");
    alice.ask(Send, "bob|old");
    let mut bob = server.login("bob");
    assert!(alice.ask(Send, "bob|new").starts_with("ok|delivered|"));
    assert_eq!(bob.next().text(), "alice|new");
    assert_eq!(bob.deliver(), (vec!["alice|old".into()], "ok|1".into()));
}

#[test]
fn what_was_not_taken_waits_again() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    let mut bob = server.login("bob");
    for number in 0..5 {
        assert!(alice.ask(Send, &format!("bob|{number}")).starts_with("ok|delivered|"));
    }
    let first = bob.next();
    assert_eq!(first.text(), "alice|0");
    bob.reset();
    wait_for("the reset to be noticed", || {
        (server.core().hub.by_name("bob")?.mailbox.lock().sessions() == 0).then_some(())
    });
    assert_eq!(waiting(&server, "bob").len(), 5, "no request came after them");
    // Ending in order without a request is no better: a push can cross the end.
    let mut bob = server.login("bob");
    assert_eq!(bob.deliver().1, "ok|5");
    bob.finish();
    assert_eq!(bob.read(), None);
    assert_eq!(waiting(&server, "bob").len(), 5);
    let mut bob = server.login("bob");
    assert_eq!(bob.deliver().1, "ok|5");
    assert_eq!(bob.ask(Logout, ""), "ok");
    assert_eq!(waiting(&server, "bob").len(), 0, "LOGOUT is a request");
}

#[test]
fn nobody_and_oneself() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    assert!(alice.ask(Send, "nobody|hi").starts_with("error|no-such-user|"));
    assert!(alice.ask(Send, "bob@elsewhere|hi").starts_with("error|no-such-user|"));
    assert!(alice.ask(Send, "alice|note to myself").starts_with("ok|delivered|"));
    assert_eq!(alice.push().text(), "alice|note to myself");
}

#[test]
fn texts_have_a_length() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    let longest = format!("alice|{}", "x".repeat(16_384));
    assert!(alice.ask(Send, &longest).starts_with("ok|delivered|"));
    assert_eq!(alice.push().text(), longest);
    assert!(alice.ask(Send, &format!("{longest}x")).starts_with("error|too-long|"));
    assert!(alice.ask(Send, "no bar").starts_with("error|malformed|"));
    assert!(alice.ask(Send, "|no name").starts_with("error|bad-name|"));
    assert!(alice.ask(Send, "al ice|a space").starts_with("error|bad-name|"));
    assert!(alice.ask(Send, "alice|nul \0").starts_with("error|bad-text|"));
    alice.is_quiet();
}

#[test]
fn a_name_is_kept_as_it_was_when_the_message_was_sent() {
    let server = Local::start(&[]);
    server.login("bob").ask(Logout, "");
    let mut mallory = server.login("Alice");
    mallory.ask(Send, "bob|from the first Alice");
    assert_eq!(mallory.ask(Delete, ""), "ok");
    assert!(mallory.ask(Create, "alice").starts_with("ok|"));
    assert_eq!(waiting(&server, "bob"), ["Alice|from the first Alice"]);
}

#[test]
fn two_sessions_of_one_account_both_get_what_is_new() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    let (mut one, mut two) = (server.login("bob"), server.login("bob"));
    alice.ask(Send, "bob|hi");
    assert_eq!((one.next().text(), two.next().text()), ("alice|hi", "alice|hi"));
    assert_eq!(one.ask(List, "bob"), "ok|bob");
    assert_eq!(two.deliver(), (vec![], "ok|0".into()), "taken is the account's");
}

#[test]
fn a_hundred_messages_before_and_a_hundred_after_keep_their_order() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    server.login("bob").ask(Logout, "");
    (0..100).for_each(|number| drop(alice.ask(Send, &format!("bob|{number}"))));
    let mut bob = server.login("bob");
    (100..200).for_each(|number| drop(alice.ask(Send, &format!("bob|{number}"))));
    let (texts, answer) = bob.deliver();
    assert_eq!(answer, "ok|100");
    let number = |text: &String| text.strip_prefix("alice|").unwrap().parse::<u32>().unwrap();
    let mut numbers: Vec<u32> = texts.iter().map(number).collect();
    while numbers.len() < 200 {
        numbers.push(number(&bob.push().text().to_owned()));
    }
    let (old, new): (Vec<u32>, Vec<u32>) = numbers.into_iter().partition(|number| *number < 100);
    assert!(old.is_sorted() && new.is_sorted() && old.len() == 100 && new.len() == 100);
}

#[test]
fn a_mailbox_that_is_full() {
    let server = Local::start(&["--limit", "mailbox=5", "--limit", "mailbox-sender=3"]);
    server.login("bob").ask(Logout, "");
    let (mut alice, mut carol) = (server.login("alice"), server.login("carol"));
    let send = |from: &mut bellhop_tests::peer::Peer| from.ask(Send, "bob|x")[..9].to_owned();
    let from_alice: Vec<String> = (0..4).map(|_| send(&mut alice)).collect();
    assert_eq!(from_alice, ["ok|queued", "ok|queued", "ok|queued", "error|mai"]);
    assert_eq!(
        [send(&mut carol), send(&mut carol), send(&mut carol)],
        ["ok|queued", "ok|queued", "error|mai"]
    );
    let mut bob = server.login("bob");
    assert_eq!(bob.deliver().1, "ok|5");
    assert_eq!(bob.ask(List, "bob"), "ok|bob");
    assert_eq!(send(&mut alice), "ok|delive");
}

#[test]
fn more_than_a_connection_takes_at_once_still_comes() {
    let server = Local::start(&["--limit", "sends=off", "--limit", "mailbox-sender=off"]);
    let mut alice = server.login("alice");
    server.login("bob").ask(Logout, "");
    let text = "x".repeat(10_000);
    for number in 0..1_000 {
        alice.send(Send, &format!("bob|{number} {text}"));
    }
    (0..1_000).for_each(|_| assert!(alice.answer(0x85).text().starts_with("ok|queued|")));
    let mut bob = server.login("bob");
    let (texts, answer) = bob.deliver();
    assert_eq!((texts.len(), answer.as_str()), (1_000, "ok|1000"));
    assert!(texts.iter().enumerate().all(|(number, got)| got.starts_with(&format!("alice|{number} x"))));
}

#[test]
fn answers_keep_the_order_of_their_requests() {
    let server = Local::start(&[]);
    let mut alice = server.login("alice");
    let mut expected = Vec::new();
    for round in 0..50 {
        alice.send(Send, "nobody|hi");
        alice.send(List, "alice");
        alice.send(Send, "alice|hi");
        alice.send(Deliver, "");
        alice.send(Logout, "somebody-else");
        alice.send(Send, if round % 2 == 0 { "no bar" } else { "a b|hi" });
        expected.extend([0x85, 0x80, 0x85, 0x86, 0x83, 0x85]);
    }
    let answers: Vec<u8> =
        std::iter::from_fn(|| Some(alice.next().op)).filter(|op| *op != 0x06).take(300).collect();
    assert_eq!(answers, expected);
}

/// B10: whoever writes to nobody, over and over, is told so each time and leaves nothing behind.
#[test]
fn ten_thousand_messages_to_names_that_nobody_has() {
    let server = Local::start(&["--limit", "unknown-rate=off", "--limit", "sends=off"]);
    let (mut alice, mut bob) = (server.login("alice"), server.login("bob"));
    let before = server.core().hub.accounts().len();
    for chunk in 0..100 {
        (0..100).for_each(|number| alice.send(Send, &format!("nobody{chunk}x{number}|hi")));
        for _ in 0..100 {
            let answer = alice.answer(Send.answer());
            assert!(answer.text().starts_with("error|no-such-user|"), "{}", answer.text());
        }
        assert!(alice.ask(Send, "bob|hi").starts_with("ok|delivered|"), "chunk {chunk}");
        assert_eq!(bob.next().text(), "alice|hi");
    }
    assert_eq!(server.core().counters.unknown_names.get(), 10_000);
    assert_eq!(server.core().hub.accounts().len(), before);
}
