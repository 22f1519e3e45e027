//! Guessing, over real sockets: how fast passwords, accounts and names may be tried, and what that tells.

use std::collections::HashSet;
use std::time::Duration;

use bellhop_protocol::{Code, OpCode, Reply, Request};
use bellhop_tests::peer::Peer;
use bellhop_tests::server::Local;

use OpCode::{Create, Delete, List, Login, Logout, Send};

/// A server on which every account needs a password, and whoever comes makes one.
const CLOSED: [&str; 8] =
    ["--auth", "password", "--register", "open", "--limit", "register-rate=off", "--limit", "unauth=off"];

fn closed(more: &[&str]) -> Local {
    let more = more.iter().flat_map(|limit| ["--limit", limit]);
    Local::start(&CLOSED.into_iter().chain(more).collect::<Vec<_>>())
}

fn code(answer: &str) -> &str {
    answer.strip_prefix("error|").and_then(|rest| rest.split('|').next()).unwrap_or("ok")
}

fn made(server: &Local, data: &str) -> Peer {
    let mut peer = server.connect();
    let answer = peer.ask(Create, data);
    assert!(answer.starts_with("ok|"), "{answer}");
    peer
}

#[test]
fn wrong_tries_of_an_address_are_refused_for_a_while_and_tokens_are_not() {
    let server = closed(&["login-fail=3"]);
    let mut alice = Peer::greet(server.addr(), 1);
    assert!(alice.ask(Create, "alice|open sesame").starts_with("ok|"));
    alice.request(&Request::Token);
    let got = alice.answer(OpCode::Token.answer());
    let Reply::Token(token) = got.reply() else { panic!("{got:?}") };
    drop(alice);
    let tried: Vec<String> =
        (0..5).map(|number| server.connect().ask(Login, &format!("name{number}|wrong password"))).collect();
    let codes: Vec<&str> = tried.iter().map(|answer| code(answer)).collect();
    assert_eq!(codes[..3], ["bad-password"; 3]);
    assert_eq!(codes[3..], ["rate-limited"; 2]);
    assert!(tried[4].contains("too many wrong tries; try again in "), "{}", tried[4]);
    // The right password waits as well: whether it is right is not looked at.
    assert_eq!(code(&server.connect().ask(Login, "alice|open sesame")), "rate-limited");
    assert_eq!(server.core().hasher.hashed(), 1 + 3);
    let mut alice = Peer::greet(server.addr(), 1);
    alice.request(&Request::Resume(token));
    assert!(matches!(alice.answer(OpCode::Resume.answer()).reply(), Reply::Resumed(_)));
    // And inside: who sits down at another's session does not try passwords any faster.
    assert_eq!(code(&alice.ask(Delete, "open sesame")), "rate-limited");
    let counters = server.core().counters.list();
    for counted in [("passwords-wrong", 3), ("logins-refused", 4)] {
        assert!(counters.contains(&counted), "{counted:?} in {counters:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn others_log_in_while_one_guesses() {
    use bellhop_tests::bounded::{connect_from, source};
    let server = closed(&["login-fail=3"]);
    drop(made(&server, "alice|open sesame"));
    let mut guesses = (0..9).map(|_| server.connect().ask(Login, "alice|wrong password"));
    assert!(guesses.any(|answer| code(&answer) == "rate-limited"));
    let mut alice = Peer::over(connect_from(source(1), server.addr(), None).unwrap());
    assert!(alice.ask(Login, "alice|open sesame").starts_with("ok|"));
}

#[test]
fn accounts_are_made_so_often_from_an_address() {
    let server = Local::start(&["--auth", "password", "--register", "open", "--limit", "unauth=off"]);
    (0..3).for_each(|number| drop(made(&server, &format!("name{number}|open sesame"))));
    let refused = server.connect().ask(Create, "name4|open sesame");
    assert_eq!(code(&refused), "rate-limited");
    assert!(
        refused.ends_with("too many accounts were made from this address; try again in 20 min"),
        "{refused}"
    );
    // On an open listener nobody counts.
    let server = server.restart(&[]);
    (10..20).for_each(|number| drop(made(&server, &format!("name{number}"))));
}

/// One answer, byte for byte, and the same work, whether or not somebody has the name, and a password.
#[test]
fn what_a_wrong_password_tells_is_nothing() {
    let server = Local::start(&["--limit", "unauth=off"]);
    drop((made(&server, "alice|open sesame"), made(&server, "bob")));
    let server = server.restart(&[&CLOSED[..], &["--limit", "login-fail=off"]].concat());
    let core = server.core();
    let mut seen = HashSet::new();
    for (number, name) in ["alice", "ALICE", "nobody", "bob", "\u{e9}"].into_iter().enumerate() {
        seen.insert(server.connect().ask(Login, &format!("{name}|wrong password")));
        assert_eq!(core.hasher.hashed(), number as u64 + 1, "{name}: one password is hashed");
        assert!(core.hub.accounts().is_empty(), "{name}: and nobody is brought into memory for it");
    }
    assert_eq!(seen, HashSet::from(["error|bad-password|wrong name or password".to_owned()]));
    let hashed = core.hasher.hashed();
    let without: HashSet<String> =
        ["alice", "nobody", "bob"].into_iter().map(|name| server.connect().ask(Login, name)).collect();
    assert_eq!(without, HashSet::from(["error|password-needed|a password is needed here".to_owned()]));
    let long = "x".repeat(300);
    for name in ["alice", "nobody"] {
        assert_eq!(code(&server.connect().ask(Login, &format!("{name}|{long}"))), "bad-password");
    }
    assert_eq!(core.hasher.hashed(), hashed, "neither takes a hash");
}

/// How far two samples are apart, in standard deviations of the rank sum of the first (Mann and Whitney).
fn rank_score(one: &[Duration], other: &[Duration]) -> f64 {
    let (n, m) = (one.len() as f64, other.len() as f64);
    let wins = |a: &Duration| {
        other
            .iter()
            .map(|b| {
                if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                }
            })
            .sum::<f64>()
    };
    let sum: f64 = one.iter().map(wins).sum();
    (sum - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

#[test]
fn the_rank_score_tells_samples_apart() {
    let ms =
        |from: u64| (0..200).map(|n| Duration::from_micros((from + n * 7919) % 1_000)).collect::<Vec<_>>();
    assert!(rank_score(&ms(0), &ms(3)).abs() < 2.0);
    let slower: Vec<Duration> = ms(0).iter().map(|time| *time + Duration::from_micros(200)).collect();
    assert!(rank_score(&slower, &ms(0)) > 4.5 && rank_score(&ms(0), &slower) < -4.5);
}

/// So many tries as `BELLHOP_TIMINGS` says of each kind, one after the other; a few where it says nothing, which show
/// a hash that is left out and nothing finer.
#[test]
fn an_unknown_name_takes_as_long_as_a_wrong_password() {
    let amount = std::env::var("BELLHOP_TIMINGS").map_or(16, |amount| amount.parse::<usize>().unwrap());
    let server = closed(&["login-fail=off"]);
    drop(made(&server, "alice|open sesame"));
    let mut times: [Vec<Duration>; 2] = Default::default();
    let mut peer = server.connect();
    for round in 0..amount * 2 {
        // The order of each two is another every time, so that a drift favours neither.
        let which = (round + round / 2) % 2;
        let name = ["alice", "nobody"][which];
        if round % 6 == 0 {
            peer = server.connect();
        }
        let began = server.core().clock.now().up;
        let answer = peer.ask(Login, &format!("{name}|wrong password"));
        times[which].push(server.core().clock.now().up - began);
        assert_eq!(code(&answer), "bad-password");
    }
    let score = rank_score(&times[0], &times[1]);
    // By chance beyond these in one run of 100,000, and in one of 10,000.
    let most = if amount < 100 { 4.4 } else { 3.9 };
    assert!(score.abs() < most, "{amount} tries each are {score:.2} deviations apart");
}

/// A hundred at once are hashed a few at a time; who is logged in is answered meanwhile.
#[test]
fn a_storm_of_wrong_passwords_does_not_hold_others_up() {
    let server = closed(&["login-fail=off", "connections-addr=off"]);
    let mut alice = Peer::greet(server.addr(), 1);
    assert!(alice.ask(Create, "alice|open sesame").starts_with("ok|"));
    let mut crowd: Vec<Peer> = (0..100).map(|_| server.connect()).collect();
    for (number, peer) in crowd.iter_mut().enumerate() {
        peer.send(Login, &format!("{}|wrong password", ["alice", "nobody"][number % 2]));
    }
    for number in 0u64..20 {
        alice.request(&Request::Ping(number.to_be_bytes()));
        assert_eq!(alice.next().data, number.to_be_bytes());
    }
    let answers: Vec<String> =
        crowd.iter_mut().map(|peer| peer.answer(Login.answer()).text().to_owned()).collect();
    let count = |word: &str| answers.iter().filter(|answer| code(answer) == word).count();
    let (wrong, busy) = (count("bad-password"), count("busy"));
    assert_eq!((wrong + busy, wrong > 0), (100, true), "{answers:?}");
    assert_eq!(server.core().hasher.hashed(), 1 + wrong as u64, "who is told busy costs no hash");
    assert!(server.connect().ask(Login, "alice|open sesame").starts_with("ok|"));
}

#[test]
fn who_logs_in_without_a_password_costs_no_hash() {
    let server = Local::start(&["--limit", "unauth=off"]);
    let mut peer = made(&server, "alice");
    for _ in 0..50 {
        assert_eq!(peer.ask(Logout, ""), "ok");
        assert!(peer.ask(Login, "alice").starts_with("ok|"));
        assert_eq!(code(&server.connect().ask(Login, "nobody|some password")), "no-such-user");
        assert_eq!(code(&server.connect().ask(Login, "alice|some password")), "bad-password");
    }
    assert_eq!(server.core().hasher.hashed(), 0);
}

/// Names are not for those who are not logged in, and not for the asking for those who are.
#[test]
fn names_are_not_found_out_quickly() {
    let server = closed(&["unknown-rate=2"]);
    let mut stranger = server.connect();
    for (op, data) in [(List, ""), (Send, "alice|hi"), (Send, "nobody|hi")] {
        assert_eq!(code(&stranger.ask(op, data)), "not-logged-in", "{op:?}");
    }
    let mut alice = made(&server, "alice|open sesame");
    let began = server.core().clock.now().up;
    for number in 0..22 {
        assert_eq!(code(&alice.ask(Send, &format!("name{number}|hi"))), "no-such-user");
    }
    // Whoever is known costs nothing; the next one waits, as the ones before did.
    assert!(alice.ask(Send, "alice|to myself").starts_with("ok|"));
    let took = server.core().clock.now().up - began;
    assert!(took >= Duration::from_millis(900), "20 at once, then two a second: {took:?}");
    assert!(server.core().counters.list().contains(&("names-unknown", 22)));
    assert_eq!(Code::from_word("no-such-user"), Some(Code::NO_SUCH_USER));
}
