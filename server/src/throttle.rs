//! How fast passwords may be guessed and accounts made. Plain data in virtual time; names need not be anybody's.
//!
//! Three bounds hold for a try with a password:
//!
//! * *The address* (/32 or /64) may be wrong `login-fail` times a minute, whatever the names. Tokens that are not good
//!   and names that are taken count too.
//! * *A name from an address*: after 1, 2, 3, 4, 5 … wrong tries the next one waits 0, 0, 1, 2, 4 … 60 s. Right once,
//!   and everything is forgotten; ten minutes without a try, too.
//! * *A name in all*: 60 wrong tries a minute from all addresses together.
//!
//! **Nobody is locked out by others.** The second bound is a guesser's own: the owner comes from another address, and
//! does not meet it. The third one is what a guesser with many addresses meets. It spares the addresses from which the
//! owner was let in within the last 30 days, by password or by token, and it never stands in the way of a token. An
//! owner who has neither a token nor a known address left while hundreds of addresses guess has to try again, among
//! them, until a try is free; that is the price of the bound, and without it such a crowd would try millions of
//! passwords a day.
//!
//! **Waiting.** A try is judged before anything is looked up or hashed, by its name alone, so that it tells nothing of
//! who exists. What has to wait a little is answered later: the frame stays where it is, and the clock to login, which
//! runs on, bounds how long a place among those that are not logged in can be held this way. A longer wait is refused,
//! with a sentence that says how long.
//!
//! A try counts as underway until it is known how it ended, so that many at once get no more than one after the other.
//! Memory is bounded: each table forgets what has no effect any longer, and where that is not enough, its older half.
//! Who fills a table on purpose needs a wrong try, which costs a hash, for each place in it.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::Limits;

/// How long the next try of a name from an address waits after so many wrong ones; the last figure holds on.
const WAITS_S: [u64; 10] = [0, 0, 0, 1, 2, 4, 8, 16, 32, 60];
/// A name from an address is forgotten after so much quiet.
const FORGET: Duration = Duration::from_secs(600);
/// Wrong tries of a name a minute, from all addresses.
const NAME_FAIL: u64 = 60;
/// From where the owner was let in is remembered so long, and so many addresses of it.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);
const KNOWN_ADDRESSES: usize = 8;
/// When those that are underway may have ended.
const SOON: Duration = Duration::from_millis(50);
/// Entries of a table.
const KEPT: usize = 16_384;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// So many wrong ones a period, and none of them before it is known to be wrong.
#[derive(Debug, Default)]
struct Meter {
    /// When everything that was charged has come again.
    due: Duration,
    underway: u64,
}

impl Meter {
    /// Tells when one more may begin, where it may not now.
    fn check(&self, now: Duration, most: u64, period: Duration) -> Result<(), Duration> {
        if most == u64::MAX {
            return Ok(());
        }
        let cost = cost(most, period);
        let room = period.saturating_sub(self.due.saturating_sub(now));
        let free = (room.as_nanos() / cost.as_nanos().max(1)) as u64;
        match free {
            0 => Err(self.due + cost - period),
            free if self.underway >= free => Err(now + SOON),
            _ => Ok(()),
        }
    }

    fn charge(&mut self, now: Duration, most: u64, period: Duration) {
        if most != u64::MAX {
            self.due = (self.due.max(now) + cost(most, period)).min(now + period);
        }
    }
}

fn cost(most: u64, period: Duration) -> Duration {
    period / u32::try_from(most.max(1)).unwrap_or(u32::MAX)
}

#[derive(Debug, Default)]
struct Network {
    wrong: Meter,
    made: Meter,
}

/// A name from an address.
#[derive(Debug, Default)]
struct Pair {
    wrong: usize,
    until: Duration,
    underway: usize,
    last: Duration,
}

impl Pair {
    fn check(&self, now: Duration) -> Result<(), Duration> {
        if now < self.until {
            return Err(self.until);
        }
        // Were all that are underway wrong, would this one have to wait?
        match self.underway > 0 && wait(self.wrong + self.underway) > Duration::ZERO {
            true => Err(now + SOON),
            false => Ok(()),
        }
    }
}

fn wait(wrong: usize) -> Duration {
    Duration::from_secs(WAITS_S[wrong.min(WAITS_S.len() - 1)])
}

/// A name's keyed hash: names that were tried are not kept.
type NameKey = u64;

#[derive(Debug, Default)]
struct State {
    networks: HashMap<IpAddr, Network>,
    pairs: HashMap<(NameKey, IpAddr), Pair>,
    names: HashMap<NameKey, Meter>,
    /// From where the owners were let in, and when.
    known: HashMap<NameKey, Vec<(IpAddr, Duration)>>,
}

/// What is remembered of tries.
#[derive(Debug)]
pub struct Throttle {
    state: Mutex<State>,
    keys: RandomState,
    login_fail: u64,
    register_rate: u64,
}

impl Throttle {
    /// Nothing was tried yet.
    pub fn new(limits: &Limits) -> Throttle {
        Throttle {
            state: Mutex::default(),
            keys: RandomState::new(),
            login_fail: limits.login_fail,
            register_rate: limits.register_rate,
        }
    }

    /// Begins a try from an address: of a password of the folded name, or where none is given of something else.
    ///
    /// # Errors
    ///
    /// When to come again, on the clock that never jumps.
    pub fn attempt(
        self: &Arc<Throttle>,
        address: IpAddr,
        folded: Option<&str>,
        now: Duration,
    ) -> Result<Attempt, Duration> {
        let attempt = |name, open| Attempt { throttle: self.clone(), address, name, begun: now, open };
        if self.login_fail == u64::MAX {
            return Ok(attempt(None, false));
        }
        let name = folded.map(|folded| self.keys.hash_one(folded));
        let mut state = self.state.lock();
        state.forget(now);
        state.check(address, name, now, self.login_fail)?;
        state.networks.entry(address).or_default().wrong.underway += 1;
        if let Some(name) = name {
            let pair = state.pairs.entry((name, address)).or_default();
            if pair.last.max(pair.until) + FORGET <= now {
                pair.wrong = 0;
            }
            pair.underway += 1;
            pair.last = now;
            state.names.entry(name).or_default().underway += 1;
        }
        Ok(attempt(name, true))
    }

    /// Counts something wrong that was not held back, such as a token that is not good.
    pub fn strike(&self, address: IpAddr, now: Duration) {
        let mut state = self.state.lock();
        state.forget(now);
        state.networks.entry(address).or_default().wrong.charge(now, self.login_fail, MINUTE);
    }

    /// The owner of a name was let in from an address.
    pub fn welcome(&self, address: IpAddr, folded: &str, now: Duration) {
        if self.login_fail != u64::MAX {
            self.state.lock().welcome(address, self.keys.hash_one(folded), now);
        }
    }

    /// Begins to make an account from an address.
    ///
    /// # Errors
    ///
    /// When to come again, on the clock that never jumps.
    pub fn register(self: &Arc<Throttle>, address: IpAddr, now: Duration) -> Result<Registration, Duration> {
        let mut state = self.state.lock();
        state.forget(now);
        let made = &mut state.networks.entry(address).or_default().made;
        made.check(now, self.register_rate, HOUR)?;
        made.underway += 1;
        Ok(Registration { throttle: self.clone(), address })
    }
}

impl State {
    fn check(
        &self,
        address: IpAddr,
        name: Option<NameKey>,
        now: Duration,
        login_fail: u64,
    ) -> Result<(), Duration> {
        if let Some(network) = self.networks.get(&address) {
            network.wrong.check(now, login_fail, MINUTE)?;
        }
        let Some(name) = name else { return Ok(()) };
        if let Some(pair) = self.pairs.get(&(name, address)) {
            pair.check(now)?;
        }
        let known = |(known, at): &(IpAddr, Duration)| *known == address && now < *at + KNOWN;
        match self.names.get(&name) {
            Some(all) if !self.known.get(&name).is_some_and(|from| from.iter().any(known)) => {
                all.check(now, NAME_FAIL, MINUTE)
            }
            _ => Ok(()),
        }
    }

    fn wrong(&mut self, address: IpAddr, name: Option<NameKey>, now: Duration, login_fail: u64) {
        self.networks.entry(address).or_default().wrong.charge(now, login_fail, MINUTE);
        let Some(name) = name else { return };
        let pair = self.pairs.entry((name, address)).or_default();
        pair.wrong = pair.wrong.saturating_add(1);
        pair.until = pair.until.max(now + wait(pair.wrong));
        pair.last = now;
        self.names.entry(name).or_default().charge(now, NAME_FAIL, MINUTE);
    }

    fn welcome(&mut self, address: IpAddr, name: NameKey, now: Duration) {
        bound(&mut self.known, |from| from.iter().map(|(_, at)| *at).max(), |at| now < at + KNOWN);
        let from = self.known.entry(name).or_default();
        from.retain(|(known, at)| *known != address && now < *at + KNOWN);
        from.truncate(KNOWN_ADDRESSES - 1);
        from.insert(0, (address, now));
    }

    /// Makes room in full tables; nothing that is underway goes.
    fn forget(&mut self, now: Duration) {
        let due = |meter: &Meter| (meter.underway == 0).then_some(meter.due);
        let network = |network: &Network| Some(due(&network.wrong)?.max(due(&network.made)?));
        bound(&mut self.networks, network, |due| now < due);
        bound(&mut self.names, due, |due| now < due);
        bound(
            &mut self.pairs,
            |pair| (pair.underway == 0).then_some(pair.last.max(pair.until)),
            |last| now < last + FORGET,
        );
    }
}

/// Where a table is full: keeps what has an effect, and of that, if it is too much, the newer half. `at` is the time
/// that counts for an entry, none where it has to stay.
fn bound<K: Eq + Hash, V>(
    table: &mut HashMap<K, V>,
    at: impl Fn(&V) -> Option<Duration>,
    has_effect: impl Fn(Duration) -> bool,
) {
    if table.len() < KEPT {
        return;
    }
    table.retain(|_, entry| at(entry).is_none_or(&has_effect));
    if table.len() < KEPT / 2 {
        return;
    }
    let mut times: Vec<Duration> = table.values().filter_map(&at).collect();
    let middle = times.len() / 2;
    if middle > 0 {
        let (_, middle, _) = times.select_nth_unstable(middle);
        let middle = *middle;
        table.retain(|_, entry| at(entry).is_none_or(|at| at > middle));
    }
}

/// A try that is underway. One that is dropped was wrong: whoever hangs up while the password is hashed gains nothing.
#[derive(Debug)]
pub struct Attempt {
    throttle: Arc<Throttle>,
    address: IpAddr,
    name: Option<NameKey>,
    begun: Duration,
    /// True while it is not known how it ended.
    open: bool,
}

impl Attempt {
    /// It was wrong.
    pub fn wrong(mut self, now: Duration) {
        self.end(|state, address, name, login_fail| state.wrong(address, name, now, login_fail));
    }

    /// It was right: what was wrong before is forgotten.
    pub fn right(mut self, now: Duration) {
        self.end(|state, address, name, _| {
            if let Some(name) = name {
                if let Some(pair) = state.pairs.get_mut(&(name, address)) {
                    (pair.wrong, pair.until) = (0, Duration::ZERO);
                }
                state.welcome(address, name, now);
            }
        });
    }

    /// It came to nothing: nobody learned whether it was right.
    pub fn void(mut self) {
        self.end(|_, _, _, _| {});
    }

    fn end(&mut self, judge: impl FnOnce(&mut State, IpAddr, Option<NameKey>, u64)) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        let mut state = self.throttle.state.lock();
        if let Some(network) = state.networks.get_mut(&self.address) {
            network.wrong.underway = network.wrong.underway.saturating_sub(1);
        }
        if let Some(name) = self.name {
            if let Some(pair) = state.pairs.get_mut(&(name, self.address)) {
                pair.underway = pair.underway.saturating_sub(1);
            }
            if let Some(all) = state.names.get_mut(&name) {
                all.underway = all.underway.saturating_sub(1);
            }
        }
        judge(&mut state, self.address, self.name, self.throttle.login_fail);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = self.begun;
        self.end(|state, address, name, login_fail| state.wrong(address, name, now, login_fail));
    }
}

/// An account that is being made. One that is dropped was not made.
#[derive(Debug)]
pub struct Registration {
    throttle: Arc<Throttle>,
    address: IpAddr,
}

impl Registration {
    /// It was made.
    pub fn made(self, now: Duration) {
        let mut state = self.throttle.state.lock();
        if let Some(network) = state.networks.get_mut(&self.address) {
            network.made.charge(now, self.throttle.register_rate, HOUR);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(network) = self.throttle.state.lock().networks.get_mut(&self.address) {
            network.made.underway = network.made.underway.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
