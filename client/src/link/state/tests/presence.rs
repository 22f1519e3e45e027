//! Who is watched, what is asked, and what is told of it.

use bellhop_protocol::code::{Failure, Reason};
use bellhop_protocol::presence::{Presence, PresenceState, Watching};
use bellhop_protocol::{Code, OpCode, Reply};

use super::pair::{Pair, config};
use crate::link::state::presence::WATCH_MAX;
use crate::link::{Command, Input, LinkConfig};

/// Where the features are in HELLO: behind its header, the version and the device.
const FEATURES: usize = 5 + 2 + 16;

fn watch(names: &[&str]) -> Command {
    Command::Watch(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Online at a server that has presence.
fn pair() -> Pair {
    let mut pair = Pair::new(config());
    come_back(&mut pair);
    pair.sent();
    pair.told();
    pair
}

fn come_back(pair: &mut Pair) {
    pair.connected();
    pair.welcome_with_features(1);
    pair.log_in_after_welcome();
}

fn answered(pair: &mut Pair, states: &[u8]) {
    pair.say(Reply::Watching(Watching::new(states)));
}

fn changes(pair: &mut Pair, peer: &str, state: u8) {
    pair.say(Reply::Presence(Presence { state: PresenceState::from_byte(state), peer }));
}

#[test]
fn what_is_watched_is_told_and_nothing_else() {
    let mut pair = pair();
    pair.command(watch(&["bob", "not a name", "carol", "dave"]));
    assert_eq!(pair.sent(), ["WATCH bob carol dave"]);
    answered(&mut pair, &[1, 0, 7]);
    assert_eq!(pair.told(), ["watching [(\"bob\", true), (\"carol\", false)]"], "a state of a later version");
    changes(&mut pair, "bob", 0);
    changes(&mut pair, "mallory", 1);
    changes(&mut pair, "carol", 9);
    pair.say(Reply::Typing("carol"));
    pair.say(Reply::Typing("mallory"));
    assert_eq!(pair.told(), ["bob offline", "carol typing"]);
    answered(&mut pair, &[1, 1, 1]);
    assert_eq!(pair.told(), [""; 0], "an answer to what was not asked");
}

#[test]
fn one_question_is_on_its_way_at_a_time() {
    let mut pair = pair();
    pair.command(watch(&["a"]));
    pair.command(watch(&["a", "b"]));
    pair.command(watch(&["a", "b", "c"]));
    assert_eq!(pair.sent(), ["WATCH a"]);
    answered(&mut pair, &[1]);
    assert_eq!(pair.sent(), ["WATCH a b c"]);
    answered(&mut pair, &[1, 0, 1]);
    pair.command(watch(&["a", "b", "c"]));
    assert_eq!(pair.sent(), [""; 0], "as it is");
    pair.command(watch(&[]));
    assert_eq!(pair.sent(), ["WATCH "]);
}

#[test]
fn each_connection_is_asked_anew() {
    let mut pair = Pair::new(config());
    pair.command(watch(&["bob"]));
    come_back(&mut pair);
    assert_eq!(pair.sent().last().map(String::as_str), Some("WATCH bob"));
    pair.handle(Input::Failed("cut".into()));
    pair.command(Command::Typing("bob".into()));
    pair.pass(2.0);
    come_back(&mut pair);
    let sent = pair.sent();
    assert_eq!(
        sent.iter().filter(|line| line.contains("WATCH") || line.contains("TYPING")).count(),
        1,
        "{sent:?}"
    );
}

#[test]
fn a_server_without_presence_is_asked_nothing() {
    let mut pair = Pair::online(config());
    pair.command(watch(&["bob"]));
    pair.command(Command::Typing("bob".into()));
    assert_eq!(pair.sent(), [""; 0]);
    pair.say(Reply::Presence(Presence { state: PresenceState::Online, peer: "bob" }));
    assert_eq!(pair.told(), [""; 0]);
}

#[test]
fn typing_is_told_to_an_address_alone() {
    let mut pair = pair();
    pair.command(Command::Typing("bob".into()));
    pair.command(Command::Typing("b b".into()));
    assert_eq!(pair.sent(), ["TYPING bob"]);
}

#[test]
fn a_list_that_is_too_long_is_halved_and_another_refusal_leaves_nothing_known() {
    let refuse = |pair: &mut Pair, code| {
        let failure = Failure { reason: Reason::Number(code), sentence: "too many" };
        pair.say(Reply::Refused(OpCode::Watch, failure));
    };
    let mut pair = pair();
    pair.command(watch(&["a", "b", "c", "d", "e"]));
    pair.sent();
    refuse(&mut pair, Code::TOO_LONG);
    assert_eq!(pair.sent(), ["WATCH a b"]);
    refuse(&mut pair, Code::TOO_LONG);
    assert_eq!(pair.sent(), ["WATCH a"]);
    refuse(&mut pair, Code::BUSY);
    assert_eq!((pair.sent(), pair.told()), (vec![], vec!["watching []".into(), "notice too many".into()]));
    let many: Vec<String> = (0..WATCH_MAX * 2).map(|number| format!("p{number}")).collect();
    let mut pair = self::pair();
    pair.command(Command::Watch(many));
    assert_eq!(pair.sent()[0].split(' ').count(), 1 + WATCH_MAX);
}

#[test]
fn who_hides_says_so_in_hello() {
    for (hidden, features) in [(false, 1), (true, 3)] {
        let mut pair = Pair::new(LinkConfig { hidden, ..config() });
        pair.connected();
        let sent = pair.raw();
        let asked = u32::from_be_bytes(sent[FEATURES..FEATURES + 4].try_into().expect("four bytes"));
        assert_eq!((sent[4], asked), (OpCode::Hello.byte(), features));
    }
}
