//! A wall clock that jumps under living connections (F23): counters, tokens, order and rates do not hang on it. What it
//! does to expiry is shown in `keeper/tests/upkeep`.

use bellhop_protocol::session::SessionToken;

use super::bench::Side;
use super::*;

const HOUR_MS: i64 = 3_600_000;
const TEN_YEARS_MS: i64 = 10 * 365 * 24 * HOUR_MS;

/// Where the wall clock goes: back and on an hour, on ten years, and to 1970.
fn jumps() -> [i64; 4] {
    [-HOUR_MS, HOUR_MS, TEN_YEARS_MS, i64::MIN / 2]
}

fn greet<'a>(bench: &'a Bench) -> Side<'a> {
    let mut side = bench.connect();
    side.arrives(&hello(1));
    side.notices();
    side.next();
    side
}

/// What a request is answered with.
fn ask(side: &mut Side<'_>, request: &[u8], op: OpCode) -> Vec<u8> {
    side.arrives(request);
    side.notices();
    side.rest();
    loop {
        let (came, data) = side.read_bytes().expect("an answer");
        if came == op.answer() {
            return data;
        }
    }
}

fn token(side: &mut Side<'_>) -> SessionToken {
    SessionToken(ask(side, &Request::Token.to_bytes(), OpCode::Token)[2..].try_into().unwrap())
}

#[test]
fn counters_and_tokens_outlive_a_wall_clock_that_jumps() {
    for by_ms in jumps() {
        let bench = Bench::new(&[]);
        drop(bench.enter("bob"));
        let mut alice = greet(&bench);
        alice.enter("alice");
        let first = ask(&mut alice, &post(1, "bob", "first"), OpCode::Post);
        let kept = token(&mut alice);
        bench.core.clock.jump(by_ms);
        let again = ask(&mut alice, &post(1, "bob", "first"), OpCode::Post);
        assert_eq!((again[10], &again[11..27]), (2, &first[11..27]), "{by_ms}: it is known, by its id");
        assert_eq!(ask(&mut alice, &post(2, "bob", "second"), OpCode::Post)[..2], [0, 0], "{by_ms}");
        drop(alice);
        let mut alice = greet(&bench);
        let resumed = ask(&mut alice, &Request::Resume(kept).to_bytes(), OpCode::Resume);
        assert_eq!(resumed[..2], [0, 0], "{by_ms}: a token stands for its password");
        bench.core.clock.jump(by_ms.saturating_neg());
        let again = ask(&mut alice, &post(2, "bob", "second"), OpCode::Post);
        assert_eq!(again[10], 2, "{by_ms}: also when the clock is right again");
        let mut bob = bench.enter("bob");
        bob.says(Deliver, "");
        let came = [bob.next().1, bob.next().1, bob.next().1];
        assert_eq!(came, ["alice|first", "alice|second", "ok|2"], "{by_ms}");
    }
}

#[test]
fn no_rate_is_lifted_or_lengthened_by_a_wall_clock_that_jumps() {
    for by_ms in jumps() {
        let bench = Bench::new(&["list-rate=2", "sends=2"]);
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        (0..21).for_each(|number| alice.arrives(&bytes(Send, &format!("bob|{number}"))));
        (0..21).for_each(|_| bob.arrives(&bytes(List, "nobody")));
        let answers = |side: &mut Side<'_>, op: OpCode| {
            side.notices();
            side.rest();
            std::iter::from_fn(|| side.read()).filter(|(came, _)| *came == op.answer()).count()
        };
        assert_eq!((answers(&mut alice, Send), answers(&mut bob, List)), (20, 20));
        bench.core.clock.jump(by_ms);
        assert_eq!((answers(&mut alice, Send), answers(&mut bob, List)), (0, 0), "{by_ms}: not by the clock");
        bench.core.clock.pass(SECOND / 2);
        assert_eq!((answers(&mut alice, Send), answers(&mut bob, List)), (1, 1), "{by_ms}: in time");
    }
}
