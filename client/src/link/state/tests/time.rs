//! Silence, time-outs and back-off, in virtual time.

use bellhop_protocol::Reply;
use bellhop_protocol::post::Posted;

use super::pair::{Pair, config};
use crate::event::Event;
use crate::link::{Command, Input, LinkConfig};

#[test]
fn an_unanswered_request_is_noticed_within_ten_seconds() {
    let mut pair = Pair::online(config());
    pair.send("one");
    assert_eq!(pair.sent(), ["POST 1 bob one"]);
    pair.pass(3.9);
    assert_eq!(pair.sent(), [""; 0]);
    pair.pass(0.2);
    assert_eq!(pair.sent(), ["PING"]);
    pair.pass(4.8);
    assert!(pair.socket);
    pair.told();
    pair.pass(0.2);
    assert_eq!(pair.told()[..1], ["offline TimedOut"]);
}

/// A long message over a slow line: the answer, and the one to the PING, stood behind it.
#[test]
fn a_server_that_still_takes_what_is_written_is_not_given_up() {
    let mut pair = Pair::online(config());
    pair.send("long");
    for _ in 0..20 {
        pair.pass(8.0);
        pair.handle(Input::Progress);
    }
    assert!(pair.socket);
    pair.pass(9.0);
    assert!(!pair.socket, "it takes nothing any more");
}

#[test]
fn a_slow_server_that_answers_pings_is_not_given_up() {
    let mut pair = Pair::online(config());
    pair.send("one");
    for round in 1..=13u64 {
        pair.pass(4.5);
        assert_eq!(pair.sent().last().map(String::as_str), Some("PING"), "round {round}");
        pair.say(Reply::Pong(round.to_be_bytes()));
    }
    pair.posted(1, Posted::Stored);
    assert!(pair.socket);
}

/// An answer that was lost in the server left the message in the air for as long as the server answered PINGs.
#[test]
fn a_message_that_is_never_answered_is_asked_about_on_another_connection() {
    let mut pair = Pair::online(config());
    for text in ["one", "two"] {
        pair.send(text);
    }
    let slowly = |pair: &mut Pair, seconds: u32| {
        for _ in 0..seconds {
            pair.pass(1.0);
            pair.say(Reply::Ping([1; 8]));
        }
    };
    slowly(&mut pair, 50);
    pair.posted(1, Posted::Stored);
    slowly(&mut pair, 59);
    assert!(pair.socket, "there was an answer less than a minute ago");
    slowly(&mut pair, 1);
    assert!(!pair.socket);
    assert!(pair.told().contains(&"offline TimedOut".to_owned()));
    pair.sent();
    pair.pass(1.0);
    pair.log_in();
    assert_eq!(pair.sent()[3..], ["POST 2 bob two"]);
}

#[test]
fn an_idle_link_lives_on_the_servers_pings_and_dies_after_three_heartbeats() {
    let mut pair = Pair::online(config());
    for _ in 0..10 {
        pair.pass(60.0);
        pair.say(Reply::Ping([1; 8]));
    }
    assert_eq!(pair.sent(), vec!["PONG 1"; 10]);
    pair.pass(89.9);
    assert_eq!(pair.sent(), [""; 0]);
    pair.pass(0.2);
    assert_eq!(pair.sent(), ["PING"]);
    pair.pass(8.8);
    assert!(pair.socket);
    pair.pass(0.2);
    assert_eq!(pair.told().last().map(String::as_str), Some("offline TimedOut"));
}

/// Heartbeats of more than ten minutes were not believed, and an idle link to a healthy server was dropped.
#[test]
fn no_heartbeat_that_a_server_names_drops_a_healthy_link() {
    for heartbeat_s in [0, 1, 30, 600, 3_600, 65_535] {
        let mut pair = Pair::new(config());
        pair.connected();
        pair.welcome_with(65_536, heartbeat_s);
        pair.log_in_after_welcome();
        pair.sent();
        let began = pair.now;
        for ping in 1..=20u64 {
            pair.wait();
            assert_eq!(pair.sent(), ["PING"], "{heartbeat_s}");
            pair.say(Reply::Pong(ping.to_be_bytes()));
        }
        let idle = (pair.now - began).as_secs() / 20;
        assert!((15..=1_800).contains(&idle), "{heartbeat_s}: a PING every {idle} s");
        pair.pass(1_900.0);
        assert!(pair.told().contains(&"offline TimedOut".into()), "{heartbeat_s}");
    }
}

#[test]
fn every_step_has_its_time() {
    let mut pair = Pair::new(config());
    pair.told();
    pair.pass(10.0);
    assert_eq!(pair.told(), ["offline Unreachable"]);
    pair.pass(1.0);
    pair.connected();
    pair.told();
    pair.pass(9.0);
    assert_eq!(pair.told()[..1], ["offline TimedOut"]);
    pair.pass(2.0);
    pair.connected();
    pair.welcome();
    pair.told();
    pair.pass(20.0);
    assert_eq!(pair.told()[..1], ["offline TimedOut"]);
}

#[test]
fn waits_double_and_say_when_they_end() {
    let mut pair = Pair::new(config());
    for seconds in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        pair.events.clear();
        pair.close();
        let Some(Event::Offline(_, until)) = pair.events.last().cloned() else { panic!("not told") };
        let wait = (until - pair.now).as_secs_f64();
        assert!((seconds * 0.79..=seconds * 1.21).contains(&wait), "{wait} instead of {seconds}");
        assert_eq!(pair.state.deadline(), Some(until));
        pair.pass(wait + 0.001);
        assert!(pair.socket);
    }
}

#[test]
fn a_login_that_is_cut_at_once_does_not_shorten_the_waits() {
    let mut pair = Pair::new(config());
    let mut waits = Vec::new();
    for online in [1.0, 1.0, 1.0, 6.0] {
        pair.log_in();
        pair.pass(online);
        pair.close();
        let wait = pair.state.deadline().expect("it waits") - pair.now;
        waits.push(wait.as_secs_f64());
        pair.pass(wait.as_secs_f64() + 0.001);
        assert!(pair.socket);
    }
    assert!(waits[0] < waits[1] && waits[1] < waits[2] && waits[3] < waits[1], "{waits:?}");
}

#[test]
fn reconnect_does_not_wait() {
    let mut pair = Pair::new(config());
    for _ in 0..6 {
        pair.close();
        pair.pass(31.0);
    }
    pair.close();
    pair.command(Command::Reconnect);
    assert!(pair.socket);
    pair.log_in();
    pair.command(Command::Reconnect);
    assert_eq!(pair.told().last().map(String::as_str), Some("offline Asked"));
    pair.pass(0.0);
    assert!(pair.socket);
}

/// All of a server's clients lose it in one moment, and shall not come back in one.
#[test]
fn two_links_do_not_come_back_alike() {
    let [one, other] = [7, 90_001].map(|seed| {
        let mut pair = Pair::online(LinkConfig { seed, ..config() });
        let lost = pair.now;
        pair.close();
        pair.state.deadline().expect("it comes again") - lost
    });
    assert_ne!(one, other);
}
