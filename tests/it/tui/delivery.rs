//! Ticks: what becomes of a message is shown, with servers that stop and networks that swallow.

use bellhop_protocol::OpCode::Deliver;
use bellhop_protocol::Reply;
use bellhop_tests::peer::Peer;
use bellhop_tests::process::Process;
use bellhop_tests::proxy::{Plan, Proxy};
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

use super::{SIZE, is_marked, says};

/// Takes a message, whatever its number: an account that was let go meanwhile begins at another one.
fn takes(peer: &mut Peer) {
    let got = peer.push();
    let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
    peer.ack(message.seq, message.seq);
}

#[test]
fn ticks_tell_who_has_it() {
    let (server, home) = (Local::start(&[]), Home::new());
    let mut bob = server.hello("bob", 1);
    assert_eq!(bob.ask(Deliver, ""), "ok|0");
    drop(server.login("carol"));
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.opens("bob");
    alice.enters("to somebody who is there");
    takes(&mut bob);
    alice.comes_to("delivered", |contents| is_marked(contents, "who is there", "✓✓"));
    alice.opens("carol");
    alice.enters("to somebody who is away");
    alice.comes_to("kept", |contents| is_marked(contents, "who is away", "✓○"));
    let mut carol = server.hello("carol", 2);
    assert_eq!(carol.ask(Deliver, ""), "ok|1");
    takes(&mut carol);
    alice.comes_to("delivered later", |contents| is_marked(contents, "who is away", "✓✓"));
    alice.opens("nobody-here");
    alice.enters("to nobody");
    alice.comes_to("refused", |contents| {
        contents.lines().any(|row| row.contains("to nobody") && row.contains('✗'))
    });
    alice.shows("not sent: ");
}

/// The answer is lost, with everything else that comes from the server.
#[test]
fn a_lost_answer_is_an_open_question_until_it_is_known() {
    let (server, home) = (Local::start(&[]), Home::new());
    let proxy = Proxy::start(server.addr(), Plan::default());
    let mut bob = server.login("bob");
    let mut alice = Terminal::of("alice", home.path(), proxy.addr(), SIZE);
    alice.opens("bob");
    proxy.swallow(false, true);
    alice.enters("did it arrive?");
    assert_eq!(bob.push().text(), "alice|did it arrive?");
    proxy.reset_all();
    alice.comes_to("an open question", |contents| is_marked(contents, "did it arrive?", " ?"));
    proxy.swallow(false, false);
    proxy.reset_all();
    alice.comes_to("an answer", |contents| is_marked(contents, "did it arrive?", "✓"));
    bob.is_quiet();
    assert_eq!(alice.contents().matches("did it arrive?").count(), 1, "{}", alice.contents());
}

#[test]
fn what_was_written_offline_outlives_the_program_and_goes_once_in_order() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let (addr, homes) = (server.addr(), [Home::new(), Home::new()]);
    let mut alice = Terminal::of("alice", homes[0].path(), addr, SIZE);
    let mut bob = Terminal::of("bob", homes[1].path(), addr, SIZE);
    bob.opens("alice");
    alice.opens("bob");
    server.kill();
    alice.shows("offline");
    let texts = ["the first", "the second", "the third", "the fourth", "the fifth"];
    for text in texts {
        alice.enters(text);
    }
    alice.comes_to("five that wait", |contents| {
        texts.iter().all(|text| contents.lines().any(|row| row.contains(text) && row.contains('○')))
    });
    alice.types("\x11");
    alice.shows("Quit?");
    alice.types("y");
    assert_eq!(alice.ends(), 0);
    let _server = Process::start_on(addr, &home.data(), &[]);
    let alice = Terminal::of("alice", homes[0].path(), addr, SIZE);
    bob.comes_within(std::time::Duration::from_secs(60), "the last", |contents| {
        contents.contains("the fifth")
    });
    let contents = bob.contents();
    let places: Vec<usize> = texts.iter().map(|text| contents.find(text).unwrap()).collect();
    assert!(places.is_sorted() && texts.iter().all(|text| contents.matches(text).count() == 1), "{contents}");
    alice.comes_to("all delivered", |contents| contents.matches("✓✓").count() == 5);
}

/// What waited stays at the server until somebody wants it, and what comes meanwhile stays behind it.
#[test]
fn who_wants_to_be_asked_fetches_what_waits_by_a_key_and_by_a_command() {
    let (server, home) = (Local::start(&[]), Home::new());
    let mut bob = server.login("bob");
    drop(Terminal::of("alice", home.path(), server.addr(), SIZE));
    says(&mut bob, "alice", (1..=60).map(|number| format!("line {number:03}")));
    std::fs::write(home.path().join("config.toml"), "deliver = 'ask'\n").unwrap();
    let mut alice = Terminal::start(&["tui"], home.path(), &server.addr().to_string());
    alice.shows("60 messages wait");
    alice.shows("n next 50");
    says(&mut bob, "alice", ["line 061".into()]);
    alice.shows("61 messages wait");
    alice.types("n");
    alice.shows("11 waiting: /deliver");
    alice.opens("bob");
    alice.types("\x1b[1;5F");
    alice.shows("line 050");
    alice.enters("/deliver 1");
    alice.shows("line 051");
    alice.shows("10 waiting: /deliver");
    // Nobody took them: they come to the next start as well.
    alice.types("\x11");
    assert_eq!(alice.ends(), 0);
    let mut alice = Terminal::start(&["tui"], home.path(), &server.addr().to_string());
    alice.shows("10 messages wait");
    alice.types("\r");
    alice.comes_to("nothing waits", |contents| !contents.contains("wait"));
    alice.types("\x1b[1;5F");
    alice.shows("line 061");
    says(&mut bob, "alice", ["line 062".into()]);
    alice.shows("line 062");
}
