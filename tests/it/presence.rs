//! Who is told who is online and who is typing, over real sockets (PROTOCOL.md, "Presence").

use std::process::Command;

use bellhop_protocol::code::Reason;
use bellhop_protocol::presence::{HIDDEN, PRESENCE, Presence, PresenceState, Watch};
use bellhop_protocol::{Address, Code, OpCode, Reply, Request};
use bellhop_tests::peer::Peer;
use bellhop_tests::process::{binary, run};
use bellhop_tests::server::{Home, Local};
use bellhop_tests::wait::wait_for;

/// Who goes is told after a second here.
const SHORT: [&str; 2] = ["--limit", "presence-grace=1"];

/// A session that may watch.
fn watcher(server: &Local, name: &str, device: u8) -> Peer {
    let mut peer = server.connect();
    assert_eq!(peer.ask_features(device, PRESENCE), PRESENCE);
    peer.enter(name);
    peer
}

fn ask_watch(peer: &mut Peer, names: &[&str]) -> Result<Vec<u8>, Code> {
    let mut frame = Vec::new();
    Watch::put(names.iter().copied(), &mut frame);
    peer.write(&frame);
    let got = peer.answer(OpCode::Watch.answer());
    match got.reply() {
        Reply::Watching(states) => Ok(states.states().map(PresenceState::byte).collect()),
        Reply::Refused(OpCode::Watch, failure) => Err(failure.reason.code().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn watch(peer: &mut Peer, names: &[&str]) -> Vec<u8> {
    ask_watch(peer, names).unwrap()
}

fn types(peer: &mut Peer, to: &str) {
    peer.request(&Request::Typing(Address::parse(to).unwrap()));
}

/// The next frame, as `+name`, `-name` or `~name`.
fn hears(peer: &mut Peer) -> String {
    let got = peer.next();
    match got.reply() {
        Reply::Presence(Presence { state: PresenceState::Online, peer }) => format!("+{peer}"),
        Reply::Presence(Presence { state: PresenceState::Offline, peer }) => format!("-{peer}"),
        Reply::Typing(peer) => format!("~{peer}"),
        other => panic!("{other:?}"),
    }
}

/// The server has handled what the peer said.
fn settled(peer: &mut Peer) {
    assert_eq!(peer.ask(OpCode::List, "nobody-has-such-a-name"), "ok");
}

#[test]
fn who_comes_and_goes_is_told_to_those_who_watch() {
    let server = Local::start(&SHORT);
    let mut alice = watcher(&server, "alice", 1);
    let mut carol = watcher(&server, "carol", 1);
    drop(server.login("dave"));
    assert_eq!(watch(&mut alice, &["bob", "alice"]), [0, 0], "without a stream alice is not online either");
    assert_eq!(watch(&mut carol, &["dave"]), [0]);
    // A session without the extension is online as soon as it is logged in.
    let bob = server.login("bob");
    assert_eq!(hears(&mut alice), "+bob");
    drop(bob);
    assert_eq!(hears(&mut alice), "-bob");
    // One with it when its stream is open.
    let mut bob = server.hello("bob", 2);
    settled(&mut bob);
    alice.is_quiet();
    bob.ask(OpCode::Deliver, "");
    assert_eq!(hears(&mut alice), "+bob");
    bob.ask(OpCode::Logout, "");
    assert_eq!(hears(&mut alice), "-bob");
    bob.enter("bob");
    bob.ask(OpCode::Deliver, "");
    assert_eq!(hears(&mut alice), "+bob");
    bob.ask(OpCode::Delete, "");
    assert_eq!(hears(&mut alice), "-bob");
    let _bob = server.login("bob");
    assert_eq!(hears(&mut alice), "+bob", "whoever has the name now");
    alice.is_quiet();
    carol.is_quiet();
}

#[test]
fn several_sessions_are_one_presence_and_a_reconnect_is_no_news() {
    let server = Local::start(&SHORT);
    let mut alice = watcher(&server, "alice", 1);
    let carol = server.login("carol");
    assert_eq!(watch(&mut alice, &["bob", "carol"]), [0, 1]);
    let mut phone = server.hello("bob", 2);
    phone.ask(OpCode::Deliver, "");
    assert_eq!(hears(&mut alice), "+bob");
    let desk = server.login("bob");
    drop(desk);
    // The phone comes back on another connection, which takes the place of the first.
    let mut again = server.hello("bob", 2);
    phone.ends_with("replaced");
    again.ask(OpCode::Deliver, "");
    drop(phone);
    settled(&mut again);
    // Whoever goes now is told as gone, and after that nothing is due of those who went before.
    drop(carol);
    assert_eq!(hears(&mut alice), "-carol");
    alice.is_quiet();
    drop(again);
    assert_eq!(hears(&mut alice), "-bob");
}

/// A client of an earlier release asked for no feature: it gets none, and is seen by those who did.
#[test]
fn who_did_not_ask_for_it_is_told_nothing() {
    let server = Local::start(&[]);
    let mut bob = server.hello("bob", 2);
    bob.ask(OpCode::Deliver, "");
    assert_eq!(ask_watch(&mut bob, &["alice"]), Err(Code::NOT_ALLOWED));
    types(&mut bob, "alice");
    assert!(bob.next().text().starts_with("error|not-allowed|"));
    let mut alice = watcher(&server, "alice", 1);
    assert_eq!(watch(&mut alice, &["bob"]), [1]);
    types(&mut alice, "bob");
    alice.ask(OpCode::Deliver, "");
    settled(&mut alice);
    bob.is_quiet();
}

/// On the default listener everybody sees which names there are, but not who is here.
#[test]
fn a_stranger_is_told_nothing() {
    let server = Local::start(&SHORT);
    let _bob = server.login("bob");
    let mut stranger = server.connect();
    assert_eq!(stranger.ask_features(1, PRESENCE), PRESENCE);
    assert_eq!(ask_watch(&mut stranger, &["bob"]), Err(Code::NOT_LOGGED_IN));
    types(&mut stranger, "bob");
    assert!(stranger.next().text().starts_with("error|not-logged-in|"));
    let mut plain = server.connect();
    assert_eq!(ask_watch(&mut plain, &["bob"]), Err(Code::HELLO_FIRST));
    assert_eq!(server.core().presence.in_use(), Default::default());
    drop(server.login("bob"));
    assert_eq!(
        (stranger.ask(OpCode::List, ""), plain.ask(OpCode::List, "")),
        ("ok|bob".into(), "ok|bob".into())
    );
}

#[test]
fn switched_off_nobody_is_told_anything() {
    let server = Local::start(&["--presence", "off"]);
    let mut alice = server.connect();
    assert_eq!(alice.ask_features(1, PRESENCE | HIDDEN), 0);
    alice.enter("alice");
    assert_eq!(ask_watch(&mut alice, &["alice"]), Err(Code::NOT_ALLOWED));
    types(&mut alice, "alice");
    match alice.next().reply() {
        Reply::Notice(failure) => assert_eq!(failure.reason, Reason::Word("not-allowed")),
        other => panic!("{other:?}"),
    }
}

/// WATCH and TYPING tell an unknown name from a known one as little as a name that is offline.
#[test]
fn a_name_that_nobody_has_is_offline() {
    let server = Local::start(&["--auth", "password", "--register", "open"]);
    let mut alice = server.connect();
    assert_eq!(alice.ask_features(1, PRESENCE), PRESENCE);
    assert_eq!(ask_watch(&mut alice, &["bob"]), Err(Code::NOT_LOGGED_IN), "nothing before a login");
    for name in ["alice", "bob"] {
        let mut peer = server.connect();
        assert!(peer.ask(OpCode::Create, &format!("{name}|correct horse")).starts_with("ok|"));
    }
    assert!(alice.ask(OpCode::Login, "alice|correct horse").starts_with("ok|"));
    assert_eq!(watch(&mut alice, &["bob", "nobody", "bob@elsewhere"]), [0, 0, 0]);
    for name in ["bob", "nobody", "bob@elsewhere"] {
        types(&mut alice, name);
    }
    alice.is_quiet();
}

#[test]
fn typing_reaches_those_who_watch_the_sender_alone() {
    let server = Local::start(&[]);
    let mut alice = watcher(&server, "alice", 1);
    let [mut phone, mut desk, mut other] =
        [(2, "bob"), (3, "bob"), (4, "carol")].map(|(device, name)| watcher(&server, name, device));
    watch(&mut phone, &["ALICE"]);
    watch(&mut desk, &["carol"]);
    watch(&mut other, &["alice"]);
    types(&mut alice, "Bob");
    assert_eq!(hears(&mut phone), "~ALICE");
    types(&mut alice, "dave");
    settled(&mut alice);
    desk.is_quiet();
    other.is_quiet();
    alice.is_quiet();
    // What comes too fast is dropped, without a word and without a wait.
    (0..500).for_each(|_| types(&mut alice, "carol"));
    settled(&mut alice);
    assert_eq!(hears(&mut other), "~alice");
    let dropped = server.core().counters.dropped_typings.get();
    assert!((400..500).contains(&dropped), "{dropped}");
}

#[test]
fn a_hidden_session_makes_nobody_appear_online() {
    let server = Local::start(&[]);
    let mut alice = watcher(&server, "alice", 1);
    watch(&mut alice, &["bob"]);
    let mut bob = server.connect();
    assert_eq!(bob.ask_features(2, PRESENCE | HIDDEN), PRESENCE | HIDDEN);
    bob.enter("bob");
    bob.ask(OpCode::Deliver, "");
    assert_eq!(watch(&mut bob, &["alice"]), [0], "it sees others all the same");
    types(&mut bob, "alice");
    settled(&mut bob);
    alice.is_quiet();
    assert!(alice.ask(OpCode::Send, "bob|hi").starts_with("ok|delivered|"), "and receives");
    let _desk = server.login("bob");
    assert_eq!(hears(&mut alice), "+bob", "another session does");
}

#[test]
fn lists_are_bounded_and_go_with_the_login() {
    let server = Local::start(&["--limit", "watch=5", "--limit", "watch-all=16"]);
    let mut alice = watcher(&server, "alice", 1);
    let mut bob = watcher(&server, "bob", 1);
    assert_eq!(watch(&mut alice, &["x", "y"]), [0, 0]);
    assert_eq!(ask_watch(&mut alice, &["x", "y", "z", "1", "2", "3"]), Err(Code::TOO_LONG));
    assert_eq!(
        ask_watch(&mut bob, &["x", "y", "z", "1", "2"]),
        Err(Code::TOO_LONG),
        "no more than all have for themselves"
    );
    assert_eq!(watch(&mut bob, &["x"]), [0]);
    assert_eq!(server.core().counters.refused_watches.get(), 2);
    let in_use = || server.core().presence.in_use();
    assert_eq!((in_use().sessions, in_use().names, in_use().most), (2, 3, 2));
    alice.ask(OpCode::Logout, "");
    assert_eq!((in_use().sessions, in_use().names), (1, 1));
    alice.enter("carol");
    let _x = server.login("x");
    assert_eq!(hears(&mut bob), "+x");
    alice.is_quiet();
    drop(bob);
    wait_for("nobody watches", || (in_use().sessions == 0).then_some(()));
}

/// A list that is asked for again and again is answered later, and costs nobody else anything.
#[test]
#[expect(clippy::disallowed_methods, reason = "a rate is kept in real time")]
fn watching_has_a_rate() {
    let server = Local::start(&["--limit", "watch-rate=50"]);
    let mut alice = watcher(&server, "alice", 1);
    let begun = std::time::Instant::now();
    for _ in 0..550 {
        watch(&mut alice, &["bob"]);
    }
    assert!(begun.elapsed() >= std::time::Duration::from_millis(900), "{:?}", begun.elapsed());
}

/// The command line asks page by page, and says so where the server does not tell.
#[test]
fn the_command_line_lists_who_is_online() {
    let list = |server: &Local, home: &Home, arguments: &[&str]| {
        let mut command = Command::new(binary("bellhop"));
        command.env_clear().env("BELLHOP_HOME", home.path()).env("BELLHOP_USER", "alice");
        command.env("BELLHOP_SERVER", server.addr().to_string());
        let (status, said, complaint) = run(command.arg("list").args(arguments));
        (status.code(), said, complaint)
    };
    let (server, home) = (Local::start(&["--limit", "watch=2"]), Home::new());
    for name in ["alice", "carol", "dave", "eve"] {
        drop(server.login(name));
    }
    let _here = [server.login("bob"), server.login("frank"), server.login("grace")];
    wait_for("the others to be gone", || (!server.core().is_online("eve")).then_some(()));
    let (code, said, complaint) = list(&server, &home, &["--online"]);
    assert_eq!((code, said.as_str()), (Some(0), "bob\nfrank\ngrace\n"), "{complaint}");
    let (code, said, complaint) = list(&server, &home, &["--online", "--json", "--limit", "1", "g*"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "{\"v\":1,\"type\":\"user\",\"name\":\"grace\"}\n"),
        "{complaint}"
    );
    let (silent, home) = (Local::start(&["--presence", "off"]), Home::new());
    drop(silent.login("alice"));
    let (code, said, complaint) = list(&silent, &home, &["--online"]);
    assert_eq!((code, said.as_str()), (Some(9), ""), "{complaint}");
    assert!(complaint.contains("does not tell who is online"), "{complaint}");
}
