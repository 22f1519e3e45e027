//! The library over a real socket and on a real disk.

use bellhop::event::{Around, StopKind, TroubleKind};
use bellhop::{Config, Delivery, Event, Peer, Receive, Role, Secret};
use bellhop_protocol::Code;

use crate::server::Server;
use crate::support::{Seat, config, home, sit, until};

fn alice_and_bob() -> Server {
    let server = Server::start();
    server.account("alice", None);
    server.account("bob", None);
    server
}

#[track_caller]
fn state(seat: &mut Seat, wanted: Delivery) {
    seat.find(&format!("{wanted:?}"), |event| match event {
        Event::State(change) if change.state == wanted => Some(()),
        _ => None,
    });
}

#[track_caller]
fn message(seat: &mut Seat) -> (String, String) {
    seat.find("a message", |event| match event {
        Event::Message(message) => Some((message.peer.name.clone(), message.text.clone())),
        _ => None,
    })
}

fn send(seat: &Seat, to: &str, text: &str) {
    seat.client.send(1, Peer::new(to), text.into(), true).expect("room");
}

#[test]
fn two_people_and_every_tick() {
    let server = alice_and_bob();
    let ((_one, alices), (_two, bobs)) = (home(), home());
    let mut alice = sit(config(&server, &alices, "alice"));
    alice.online();
    send(&alice, "bob", "hi");
    state(&mut alice, Delivery::Queued);
    let mut bob = sit(config(&server, &bobs, "bob"));
    assert_eq!(message(&mut bob), ("alice".into(), "hi".into()));
    state(&mut alice, Delivery::Delivered);
    bob.client.mark_read("alice".into(), i64::MAX).expect("room");
    state(&mut alice, Delivery::Read);
    until("all is acknowledged", || server.unacknowledged("bob") == 0 && server.unacknowledged("alice") == 0);
}

#[test]
fn a_lost_answer_costs_nothing() {
    let server = alice_and_bob();
    server.world().cut_posts = 1;
    let (_folder, alices) = home();
    let mut alice = sit(config(&server, &alices, "alice"));
    alice.online();
    send(&alice, "bob", "one");
    state(&mut alice, Delivery::Unknown);
    send(&alice, "bob", "two");
    state(&mut alice, Delivery::Sent);
    state(&mut alice, Delivery::Queued);
    assert_eq!(server.texts("bob"), ["one", "two"]);
}

#[test]
fn what_was_not_answered_survives_a_restart_and_arrives_once() {
    let server = alice_and_bob();
    let (_folder, alices) = home();
    server.world().cut_posts = 1;
    let mut alice = sit(config(&server, &alices, "alice"));
    alice.online();
    send(&alice, "bob", "one");
    state(&mut alice, Delivery::Unknown);
    for text in ["two", "three"] {
        send(&alice, "bob", text);
        alice.find("its place", |event| matches!(event, Event::Outgoing { .. }).then_some(()));
    }
    alice.leave();
    let mut alice = sit(config(&server, &alices, "alice"));
    alice.online();
    until("all arrived", || server.texts("bob").len() == 3);
    assert_eq!(server.texts("bob"), ["one", "two", "three"]);
}

#[test]
fn messages_are_kept_and_shown_once() {
    let server = alice_and_bob();
    let (_folder, bobs) = home();
    for number in 0..50 {
        server.deliver("bob", "alice", &number.to_string());
    }
    let mut bob = sit(config(&server, &bobs, "bob"));
    for number in 0..50 {
        assert_eq!(message(&mut bob).1, number.to_string());
    }
    server.cut();
    bob.online();
    server.deliver("bob", "alice", "last");
    assert_eq!(message(&mut bob).1, "last");
    bob.client.page("alice".into(), Around::Newest, 3).expect("room");
    let page = bob.find("a page", |event| match event {
        Event::Page(page) => Some(page.clone()),
        _ => None,
    });
    let texts: Vec<_> = page.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!((texts, page.more), (vec!["48", "49", "last"], true));
    until("all is acknowledged", || server.unacknowledged("bob") == 0);
}

#[test]
fn what_is_not_confirmed_comes_again() {
    let server = alice_and_bob();
    let (_folder, bobs) = home();
    server.deliver("bob", "alice", "one");
    server.deliver("bob", "alice", "two");
    let by_hand =
        || Config { role: Role::Listen, receive: Receive::Confirmed, ..config(&server, &bobs, "bob") };
    let mut bob = sit(by_hand());
    let first = bob.find("a message", |event| match event {
        Event::Message(message) => message.id,
        _ => None,
    });
    bob.client.confirm(first).expect("room");
    until("one is acknowledged", || server.unacknowledged("bob") == 1);
    bob.leave();
    let mut bob = sit(by_hand());
    assert_eq!(message(&mut bob).1, "two");
}

#[test]
fn a_role_is_taken_once_and_screens_move_over() {
    let server = alice_and_bob();
    let (_folder, bobs) = home();
    let mut first = sit(config(&server, &bobs, "bob"));
    first.online();
    let mut second = sit(config(&server, &bobs, "bob"));
    second.online();
    let listening = || Config { role: Role::Listen, ..config(&server, &bobs, "bob") };
    let mut listen = sit(listening());
    listen.online();
    let mut again = sit(listening());
    let Some(Event::Stopped(stop)) = again.next() else { panic!("it runs twice") };
    assert_eq!(stop.kind, StopKind::RoleTaken);
    assert_eq!(again.next(), None);
}

#[test]
fn replaced_is_final() {
    let server = alice_and_bob();
    let ((_one, here), (_two, there)) = (home(), home());
    let mut first = sit(config(&server, &here, "bob"));
    first.online();
    server.dismiss(Code::REPLACED);
    let stop = first.find("the end", |event| match event {
        Event::Stopped(stop) => Some(stop.clone()),
        _ => None,
    });
    assert_eq!(stop.kind, StopKind::Replaced);
    let mut second = sit(config(&server, &there, "bob"));
    second.online();
}

#[test]
fn a_token_stands_for_the_password() {
    let server = Server::start();
    server.account("carol", Some("open sesame"));
    let (_folder, carols) = home();
    let with_password = Config {
        password: Some(Secret::new("open sesame".into())),
        remember: true,
        ..config(&server, &carols, "carol")
    };
    let mut carol = sit(with_password);
    carol.find("a token", |event| matches!(event, Event::TokenKept).then_some(()));
    carol.leave();
    for _ in 0..3 {
        let mut carol = sit(config(&server, &carols, "carol"));
        carol.online();
        carol.leave();
    }
    server.world().accounts.get_mut("carol").expect("carol").tokens.clear();
    let mut carol = sit(config(&server, &carols, "carol"));
    let stop = carol.find("the end", |event| match event {
        Event::Stopped(stop) => Some(stop.kind),
        _ => None,
    });
    assert_eq!(stop, StopKind::NeedPassword);
}

#[test]
fn a_server_that_is_not_there_is_tried_again() {
    let server = Server::start();
    let (_folder, alices) = home();
    let mut absent = config(&server, &alices, "alice");
    absent.server = bellhop::Server::parse("127.0.0.1:1").expect("an address");
    let mut alice = sit(absent);
    for _ in 0..2 {
        let trouble = alice.find("trouble", |event| match event {
            Event::Offline(trouble, _) => Some(trouble.clone()),
            _ => None,
        });
        assert_eq!(trouble.kind, TroubleKind::Unreachable);
        assert!(trouble.sentence.contains("refused"), "{}", trouble.sentence);
    }
    alice.leave();
}

#[test]
fn an_account_is_made_on_the_way() {
    let server = Server::start();
    let (_folder, daves) = home();
    let mut dave = sit(Config { create: true, ..config(&server, &daves, "Dave") });
    let created = dave.find("online", |event| match event {
        Event::Online(online) => Some(online.created),
        _ => None,
    });
    assert!(created && server.world().accounts.contains_key("dave"));
}
