//! Guessers of every kind, and owners among them, in virtual time.

use super::*;

const S: Duration = Duration::from_secs(1);

fn throttle(settings: &[&str]) -> Arc<Throttle> {
    let mut limits = Limits::default();
    settings.iter().for_each(|setting| limits.apply(setting).unwrap());
    Arc::new(Throttle::new(&limits))
}

fn ip(number: u32) -> IpAddr {
    IpAddr::V4((0x0A00_0000 + number).into())
}

/// One try with a wrong password; when to come again, where it is not let.
fn wrong(throttle: &Arc<Throttle>, from: u32, name: &str, now: Duration) -> Result<(), Duration> {
    throttle.attempt(ip(from), Some(name), now).map(|attempt| attempt.wrong(now))
}

/// Tries without a pause for so long; how many were let.
fn guesses(throttle: &Arc<Throttle>, name: &str, from: &[u32], time: Duration) -> usize {
    let steps = time.as_millis() as u64 / 100;
    let at = |step| 1_000_000 * S + Duration::from_millis(step * 100);
    (0..steps)
        .flat_map(|step| from.iter().map(move |from| (step, *from)))
        .filter(|(step, from)| wrong(throttle, *from, name, at(*step)).is_ok())
        .count()
}

#[test]
fn a_name_from_an_address_waits_longer_each_time() {
    let throttle = throttle(&["login-fail=1000"]);
    let (mut now, mut waits) = (100 * S, Vec::new());
    for _ in 0..11 {
        assert_eq!(wrong(&throttle, 1, "alice", now), Ok(()));
        let until = wrong(&throttle, 1, "alice", now).err();
        // Where it needs no wait the second try was one too.
        waits.push(until.map_or(0, |until| (until - now).as_secs()));
        now = until.unwrap_or(now);
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    assert_eq!(wrong(&throttle, 1, "alice", now - S), Err(now), "a second too early");
}

#[test]
fn others_do_not_wait_for_a_guesser() {
    let throttle = throttle(&["login-fail=1000"]);
    while wrong(&throttle, 1, "alice", 100 * S).is_ok() {}
    assert!(throttle.attempt(ip(1), Some("bob"), 100 * S).is_ok(), "another name");
    assert!(throttle.attempt(ip(2), Some("alice"), 100 * S).is_ok(), "another address");
}

#[test]
fn right_once_or_ten_quiet_minutes_and_it_is_forgotten() {
    for quiet in [false, true] {
        let throttle = throttle(&["login-fail=1000"]);
        (0..3).for_each(|_| wrong(&throttle, 1, "alice", 100 * S).unwrap());
        let mut now = 101 * S;
        match quiet {
            true => now += FORGET,
            false => throttle.attempt(ip(1), Some("alice"), now).unwrap().right(now),
        }
        assert_eq!((0..9).filter(|_| wrong(&throttle, 1, "alice", now).is_ok()).count(), 3, "{quiet}");
    }
}

#[test]
fn an_address_is_wrong_so_often_a_minute() {
    let throttle = throttle(&[]);
    let names: Vec<String> = (0..100).map(|number| format!("name{number}")).collect();
    let tried = |now| names.iter().filter(|name| wrong(&throttle, 1, name, now).is_ok()).count();
    assert_eq!([tried(100 * S), tried(105 * S), tried(106 * S), tried(130 * S)], [10, 0, 1, 4]);
    assert_eq!(wrong(&throttle, 1, "name", 130 * S), Err(136 * S));
    assert_eq!(wrong(&throttle, 2, "name", 130 * S), Ok(()), "another address");
    // What was right, or came to nothing, costs nothing.
    let throttle = self::throttle(&[]);
    for name in &names {
        throttle.attempt(ip(1), Some(name), S).unwrap().right(S);
        throttle.attempt(ip(1), Some(name), S).unwrap().void();
    }
    (0..4).for_each(|_| throttle.strike(ip(1), S));
    assert_eq!((0..100).filter(|_| throttle.attempt(ip(1), None, S).is_ok()).count(), 6, "tokens count too");
}

#[test]
fn many_at_once_get_no_more_than_one_after_the_other() {
    let throttle = throttle(&[]);
    let underway: Vec<Attempt> =
        (0..50).filter_map(|_| throttle.attempt(ip(1), Some("alice"), S).ok()).collect();
    assert_eq!(underway.len(), 3);
    assert_eq!(throttle.attempt(ip(1), Some("alice"), S).unwrap_err(), S + SOON);
    // Whoever hangs up was wrong.
    drop(underway);
    assert_eq!(throttle.attempt(ip(1), Some("alice"), S).unwrap_err(), 2 * S);
    let other: Vec<Attempt> = (0..50).filter_map(|_| throttle.attempt(ip(1), None, S).ok()).collect();
    assert_eq!(other.len(), 7, "of ten, three were wrong");
    // Those that were right make room at once.
    other.into_iter().for_each(|attempt| attempt.right(S));
    assert!(throttle.attempt(ip(1), None, S).is_ok());
}

/// Many addresses against one name, and the owner among them.
#[test]
fn a_crowd_does_not_shut_the_owner_out() {
    let throttle = throttle(&[]);
    let (home, abroad) = (900, 901);
    throttle.welcome(ip(home), "alice", 500_000 * S);
    let crowd: Vec<u32> = (0..200).collect();
    let let_in = guesses(&throttle, "alice", &crowd, 60 * S);
    assert!((100..=125).contains(&let_in), "60 at once and one a second: {let_in}");
    let now = 1_000_059 * S + Duration::from_millis(950);
    assert!(throttle.attempt(ip(home), Some("alice"), now).is_ok(), "a known address is not shut out");
    let until = throttle.attempt(ip(abroad), Some("alice"), now).unwrap_err();
    assert!(until <= now + S, "and elsewhere a try is free each second");
    assert!(throttle.attempt(ip(abroad), Some("bob"), now).is_ok(), "other names are not concerned");
    let later = now + KNOWN;
    let crowd: Vec<u32> = (1_000..1_200).collect();
    let tried = crowd.iter().filter(|from| wrong(&throttle, **from, "alice", later).is_ok()).count();
    assert_eq!(tried, 60);
    assert!(throttle.attempt(ip(home), Some("alice"), later).is_err(), "known for thirty days");
}

#[test]
fn accounts_are_made_so_often_an_hour() {
    let throttle = throttle(&[]);
    let made = |now: Duration| {
        (0..9).filter_map(|_| throttle.register(ip(1), now).ok()).map(|place| place.made(now)).count()
    };
    assert_eq!([made(9_000 * S), made(10_199 * S), made(10_200 * S)], [3, 0, 1]);
    let underway: Vec<_> = (0..9).filter_map(|_| throttle.register(ip(2), S).ok()).collect();
    assert_eq!(underway.len(), 3);
    drop(underway);
    assert!(throttle.register(ip(2), S).is_ok(), "what was not made does not count");
    let free = self::throttle(&["register-rate=off"]);
    assert!((0..100).all(|_| free.register(ip(1), S).map(|place| place.made(S)).is_ok()));
}

#[test]
fn off_is_off() {
    let throttle = throttle(&["login-fail=off"]);
    assert!((0..1_000).all(|_| wrong(&throttle, 1, "alice", S).is_ok()));
    throttle.strike(ip(1), S);
    assert!(throttle.attempt(ip(1), None, S).is_ok());
}

#[test]
fn what_is_remembered_is_bounded_and_the_newer_half_stays() {
    let throttle = throttle(&[]);
    // Each from an address of its own and for a name of its own, all within the time in which they have an effect.
    for number in 0..3 * KEPT as u32 {
        let now = 100 * S + Duration::from_millis(u64::from(number));
        for _ in 0..3 {
            wrong(&throttle, number, &format!("name{number}"), now).unwrap();
        }
        throttle.welcome(ip(number), &format!("name{number}"), now);
    }
    let state = throttle.state.lock();
    let sizes = [state.networks.len(), state.pairs.len(), state.names.len(), state.known.len()];
    assert!(sizes.iter().all(|size| *size <= KEPT + 1), "{sizes:?}");
    drop(state);
    let last = 3 * KEPT as u32 - 1;
    let now = 100 * S + Duration::from_millis(u64::from(last));
    assert!(wrong(&throttle, last, &format!("name{last}"), now).is_err(), "the last one waits yet");
}

#[test]
fn the_debug_form_shows_no_name() {
    let throttle = throttle(&[]);
    wrong(&throttle, 1, "a-name-that-was-tried", S).unwrap();
    assert!(!format!("{throttle:?}").contains("a-name"));
}
