//! A whole server behind one connection, which says what the fuzzer wants in a state of its choice.

use std::sync::{Mutex, PoisonError};

use bellhop_server::store::memory::MemoryStore;

use crate::hostile::{State, costs_a_hash, judge};
use crate::line::{CLOSED, Line, OPEN};
use crate::server::{Home, Local};

/// Accounts and messages pile up; after so many connections the server is another one.
const RUNS: u32 = 2_000;
/// More than this takes long and shows nothing new.
const SAID_MAX: usize = 600;

/// Not dropped at the end of the process, when the runtime in it would find its threads gone.
static SERVER: Mutex<Option<(Line, Local, u32)>> = Mutex::new(None);

/// The first byte is the state, and its first bit the listener; the second says how much arrives at once.
pub(super) fn session(input: &[u8]) {
    let [first, piece, said @ ..] = input else { return };
    // A password has its price, by design; so many of them cannot be paid.
    if said.len() > SAID_MAX || costs_a_hash(said) {
        return;
    }
    let (state, policy) = match first & 0x80 {
        0 => (State::ALL[usize::from(*first) % State::ALL.len()], OPEN),
        // Where a login needs a password it would cost a hash as well.
        _ => ([State::Connected, State::Greeted][usize::from(first & 1)], CLOSED),
    };
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let (line, _, runs) = server.get_or_insert_with(fresh);
    let bytes = [state.prelude("mallory"), said.to_vec()].concat();
    judge(&bytes, &line.says(policy, &bytes, usize::from(*piece) + 1));
    *runs += 1;
    if *runs >= RUNS {
        *server = None;
    }
}

fn fresh() -> (Line, Local, u32) {
    let args = ["--limit", "all=off", "--durability", "none"];
    let server = Local::start_with(&Home::new().into(), &args, |_| Box::new(MemoryStore::default())).unwrap();
    (Line::new(server.core()), server, 0)
}
