//! A server is killed and comes back, and everybody who was there comes back at once, with their tokens.

use std::thread;
use std::time::Duration;

use super::sessions::TLS_TOKENS;
use super::{Bench, Measures};
use crate::clock;
use crate::field::Running;
use crate::figures::TIME;
use crate::load::{Load, log_in};
use crate::proto::Role;

/// How long one who was turned away waits.
const PAUSE: Duration = Duration::from_millis(100);
/// How long they try, in s.
const PATIENCE: f64 = 60.0;

fn run(bench: &mut Bench) -> Result<Measures, String> {
    let clients = u32::try_from(bench.amounts.of("clients")).unwrap();
    let who: Vec<(u32, Role)> = (0..clients).map(|party| (party, Role::Receiver)).collect();
    bench.field.end(TLS_TOKENS);
    let running = bench.field.running(TLS_TOKENS)?;
    let links = log_in(&running, &who)?;
    // They are there when it is killed, and find out.
    let mut load = Load::meet(&running, &[], 1, 64)?;
    links.into_iter().try_for_each(|(link, state)| load.add(link, state))?;
    load.tend(1.0)?;
    let start = clock::now();
    bench.field.restart(TLS_TOKENS, true)?;
    drop(load);
    let again = bench.field.running(TLS_TOKENS)?;
    let running = Running { place: again.place, ids: again.ids, ..running };
    thread::scope(|scope| {
        let back = |one: (u32, Role)| {
            let running = &running;
            scope.spawn(move || {
                loop {
                    match log_in(running, &[one]) {
                        Ok(links) => return Ok(links),
                        Err(why) if clock::seconds(start, clock::now()) > PATIENCE => return Err(why),
                        // Somebody who is turned away comes again, not all at the same time.
                        Err(_) => thread::sleep(PAUSE + Duration::from_millis(u64::from(one.0) % 100)),
                    }
                }
            })
        };
        let threads: Vec<_> = who.iter().map(|one| back(*one)).collect();
        let links: Result<Vec<_>, String> =
            threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        links.map(drop)
    })?;
    Ok(vec![(TIME, clock::seconds(start, clock::now()))])
}

pub(super) fn storm(bench: &mut Bench) {
    let case = format!("{} clients", bench.amounts.of("clients"));
    bench.by_turns("storm", &case, &[TLS_TOKENS], |bench, _| run(bench));
}
