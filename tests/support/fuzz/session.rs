//! A whole server behind one connection, which says what the fuzzer wants in a state of its choice.

use std::sync::{Mutex, PoisonError};

use bellhop_protocol::OpCode;
use bellhop_server::store::memory::MemoryStore;

use crate::hostile::{State, costs_a_hash, judge, said};
use crate::line::{CLOSED, Line, OPEN};
use crate::server::{Home, Local};

/// Accounts and messages pile up; after so many connections the server is another one.
const RUNS: u32 = 4_000;
/// More than this takes long and shows nothing new.
const SAID_MAX: usize = 600;
/// Who connects.
const NAME: &str = "mallory";

/// Not dropped at the end of the process, when the runtime in it would find its threads gone.
static SERVER: Mutex<Option<Behind>> = Mutex::new(None);

/// The server of several inputs.
struct Behind {
    line: Line,
    _server: Local,
    runs: u32,
    /// True while the account is certainly there: another thread would have to be waited for to make it.
    has_account: bool,
}

/// The first byte is the state, and its first bit the listener; the second says how much arrives at once.
pub(super) fn session(input: &[u8]) {
    let [first, piece, rest @ ..] = input else { return };
    // A password has its price, by design; so many of them cannot be paid.
    if rest.len() > SAID_MAX || costs_a_hash(rest) {
        return;
    }
    let (state, policy) = match first & 0x80 {
        0 => (State::ALL[usize::from(*first) % State::ALL.len()], OPEN),
        // Where a login needs a password it would cost a hash as well.
        _ => ([State::Connected, State::Greeted][usize::from(first & 1)], CLOSED),
    };
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let behind = server.get_or_insert_with(Behind::fresh);
    let prelude = match behind.has_account {
        true => state.after(&said(OpCode::Login, NAME.as_bytes())),
        false => state.prelude(NAME),
    };
    let is_login = !matches!(state, State::Connected | State::Greeted);
    behind.has_account = (behind.has_account || is_login) && !rest.contains(&OpCode::Delete.byte());
    let bytes = [&prelude, rest].concat();
    judge(&bytes, &behind.line.says(policy, &bytes, usize::from(*piece) + 1));
    behind.runs += 1;
    if behind.runs >= RUNS {
        *server = None;
    }
}

impl Behind {
    fn fresh() -> Behind {
        let args = ["--limit", "all=off", "--durability", "none"];
        let store = |_| -> Box<dyn bellhop_server::store::Store> { Box::new(MemoryStore::default()) };
        let server = Local::start_with(&Home::new().into(), &args, store).unwrap();
        Behind { line: Line::new(server.core()), _server: server, runs: 0, has_account: false }
    }
}
