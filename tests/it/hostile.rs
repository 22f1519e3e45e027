//! A hundred thousand things that a hostile peer may say, in each state: each is answered within a second or ends the
//! connection, and an honest pair on the same server loses nothing. The same over real sockets at the real program.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellhop_server::store::memory::MemoryStore;
use bellhop_tests::hostile::honest::Honest;
use bellhop_tests::hostile::swift::Watch;
use bellhop_tests::hostile::{Case, classes, judge, mixed};
use bellhop_tests::line::{Line, OPEN};
use bellhop_tests::server::{Home, Local};

/// The seed of the mixtures; another one is tried with `BELLHOP_SEED`.
fn seed() -> u64 {
    std::env::var("BELLHOP_SEED").map_or(20_261_121, |seed| seed.parse().unwrap())
}

/// How many cases there are in all.
const CASES: usize = 100_000;
/// Connections at a time.
const PEERS: usize = 8;

/// All cases of the classes, and mixtures of them.
fn cases() -> Vec<Case> {
    let classes = classes();
    assert!(classes.len() < CASES, "{} cases of the classes leave room for mixtures", classes.len());
    let mixtures = mixed(seed(), CASES - classes.len(), &classes);
    classes.iter().cloned().chain(mixtures).collect()
}

#[test]
fn a_hundred_thousand_hostile_cases_cost_an_honest_pair_nothing() {
    // A full mailbox is one more answer; a long one would be read again in every state that reads.
    let args = ["--limit", "all=off", "--limit", "mailbox=100"];
    let server = Local::start_with(&Home::new().into(), &args, |_| Box::new(MemoryStore::default())).unwrap();
    let (cases, watch) = (cases(), Watch::over(PEERS));
    let (core, next) = (server.core(), AtomicUsize::new(0));
    let mut honest = Honest::meet(server.addr());
    std::thread::scope(|scope| {
        let hostile = |peer: usize| {
            let (line, cases, next, watch) = (Line::new(core), &cases, &next, &watch);
            move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = [case.state.prelude(&format!("mallory{peer}")), case.bytes.clone()].concat();
                    let piece = if case.bytes.len() % 7 == 0 { 1 } else { usize::MAX };
                    judge(&said, &watch.answers(peer, case, || line.says(OPEN, &said, piece)));
                }
            }
        };
        let peers: Vec<_> = (0..PEERS).map(|peer| scope.spawn(hostile(peer))).collect();
        while !peers.iter().all(|peer| peer.is_finished()) {
            watch.look();
            match next.load(Ordering::Relaxed) as u64 / 500 > honest.said() {
                true => honest.talk(),
                // Nothing to wait for: a look now and then leaves the processor to the cases.
                false => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    honest.talk();
    assert!(next.into_inner() >= CASES && honest.said() > 10, "{} messages", honest.said());
    honest.lost_nothing();
}

/// A few thousand in a quick run, spread over all of them, and as many as `BELLHOP_HOSTILE` says.
#[cfg(target_os = "linux")]
#[test]
fn hostile_cases_over_real_sockets_stay_in_little_memory() {
    use bellhop_tests::bounded::has_prlimit;
    use bellhop_tests::hostile::sockets::over_sockets;

    if !has_prlimit() {
        return;
    }
    let count = std::env::var("BELLHOP_HOSTILE").map_or(3_000, |count| count.parse().unwrap());
    let all = cases();
    let cases: Vec<Case> = all.iter().step_by((CASES / count).max(1)).cloned().collect();
    assert!(cases.len() >= count.min(CASES), "{} cases", cases.len());
    let met = over_sockets(&cases);
    assert!(met.said > 10, "the honest ones were kept from talking: {met:?}");
    println!("{} cases: {met:?}", cases.len());
}
