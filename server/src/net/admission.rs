//! Who may connect: bounds on connections, in all and for an address, before and after login.
//!
//! Counting is plain data in virtual time; [`Permit`] gives a place back when its connection goes.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::Limits;
use crate::rate::Bucket;

/// Above this many addresses, those with nothing to remember are forgotten.
const ADDRESSES_KEPT: usize = 4096;
/// Above this many, also those that were here a moment ago are forgotten.
const ADDRESSES_MAX: usize = 16 * 1024;
/// How long an address that is gone is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The address has as many connections as it may, or opens them too fast.
    Address,
    /// As many connections are not logged in as may be.
    Unauthenticated,
}

#[derive(Debug, Default)]
struct Counts {
    connections: u64,
    unauthenticated: u64,
    accepted: Bucket,
    last: Duration,
}

#[derive(Debug, Default)]
struct State {
    unauthenticated: u64,
    addresses: HashMap<IpAddr, Counts>,
    /// How many were left when they were last looked through.
    left: usize,
}

impl State {
    /// Looks through all addresses where they have doubled since the last time: that costs each connection little, and
    /// there are never more than twice as many as have to be remembered.
    fn forget(&mut self, now: Duration) {
        if self.addresses.len() < ADDRESSES_KEPT.max(self.left.saturating_mul(2)) {
            return;
        }
        self.addresses.retain(|_, counts| counts.connections > 0 || counts.last + REMEMBERED > now);
        if self.addresses.len() > ADDRESSES_MAX {
            self.addresses.retain(|_, counts| counts.connections > 0);
        }
        self.left = self.addresses.len();
    }
}

/// The connections there are.
#[derive(Debug)]
pub struct Admission {
    state: Mutex<State>,
    connections_addr: u64,
    accept_rate: u64,
    unauth: u64,
    unauth_addr: u64,
}

/// A connection's place. Dropping it gives the place back.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
    authenticated: bool,
}

impl Admission {
    /// No connections yet.
    pub fn new(limits: &Limits) -> Admission {
        Admission {
            state: Mutex::default(),
            connections_addr: limits.connections_addr,
            accept_rate: limits.accept_rate,
            unauth: limits.unauth,
            unauth_addr: limits.unauth_addr,
        }
    }

    /// Lets a connection in.
    ///
    /// # Errors
    ///
    /// [`Refused`], and nothing is counted but the attempt.
    pub fn admit(self: &Arc<Admission>, address: IpAddr, now: Duration) -> Result<Permit, Refused> {
        let address = network(address);
        let mut state = self.state.lock();
        state.forget(now);
        let unauthenticated = state.unauthenticated;
        let counts = state.addresses.entry(address).or_default();
        counts.last = now;
        if counts.accepted.take(1, now, self.accept_rate).is_err()
            || counts.connections >= self.connections_addr
            || counts.unauthenticated >= self.unauth_addr
        {
            return Err(Refused::Address);
        }
        if unauthenticated >= self.unauth {
            return Err(Refused::Unauthenticated);
        }
        counts.connections += 1;
        counts.unauthenticated += 1;
        state.unauthenticated += 1;
        Ok(Permit { admission: self.clone(), address, authenticated: false })
    }
}

/// How much of the bounds is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Connections that are not logged in.
    pub unauth: u64,
    /// Connections of the address that has most of them.
    pub connections_addr: u64,
    /// Connections that are not logged in, of the address that has most of them.
    pub unauth_addr: u64,
}

impl Admission {
    /// How much of the bounds is in use.
    pub fn in_use(&self) -> InUse {
        let state = self.state.lock();
        let most = |of: fn(&Counts) -> u64| state.addresses.values().map(of).max().unwrap_or(0);
        InUse {
            unauth: state.unauthenticated,
            connections_addr: most(|counts| counts.connections),
            unauth_addr: most(|counts| counts.unauthenticated),
        }
    }
}

impl Permit {
    /// What counts as the connection's address.
    pub fn network(&self) -> IpAddr {
        self.address
    }

    /// The connection is logged in.
    pub fn log_in(&mut self) {
        if std::mem::replace(&mut self.authenticated, true) {
            return;
        }
        let mut state = self.admission.state.lock();
        state.unauthenticated = state.unauthenticated.saturating_sub(1);
        if let Some(counts) = state.addresses.get_mut(&self.address) {
            counts.unauthenticated = counts.unauthenticated.saturating_sub(1);
        }
    }

    /// The connection is not logged in any more. False where there are too many of those already: then it is not
    /// counted as one, and has to go.
    pub fn log_out(&mut self) -> bool {
        let mut state = self.admission.state.lock();
        let all = state.unauthenticated;
        let Some(counts) = state.addresses.get_mut(&self.address).filter(|_| self.authenticated) else {
            return true;
        };
        if all >= self.admission.unauth || counts.unauthenticated >= self.admission.unauth_addr {
            return false;
        }
        counts.unauthenticated += 1;
        state.unauthenticated += 1;
        self.authenticated = false;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.log_in();
        if let Some(counts) = self.admission.state.lock().addresses.get_mut(&self.address) {
            counts.connections = counts.connections.saturating_sub(1);
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn admission(settings: &[&str]) -> Arc<Admission> {
        let mut limits = Limits::default();
        limits.apply("all=off").unwrap();
        settings.iter().for_each(|setting| limits.apply(setting).unwrap());
        Arc::new(Admission::new(&limits))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections() {
        let admission = admission(&["connections-addr=2"]);
        let first = admission.admit(ip("127.0.0.1"), S).unwrap();
        let _second = admission.admit(ip("::ffff:127.0.0.1"), S).unwrap();
        assert_eq!(admission.admit(ip("127.0.0.1"), S).unwrap_err(), Refused::Address);
        let _other = admission.admit(ip("127.0.0.2"), S).unwrap();
        drop(first);
        assert!(admission.admit(ip("127.0.0.1"), S).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let admission = admission(&["connections-addr=1"]);
        let _one = admission.admit(ip("2001:db8::1"), S).unwrap();
        assert_eq!(admission.admit(ip("2001:db8::2"), S).unwrap_err(), Refused::Address);
        assert!(admission.admit(ip("2001:db8:0:1::2"), S).is_ok());
    }

    #[test]
    fn who_is_not_logged_in_is_bounded() {
        let admission = admission(&["unauth=3", "unauth-addr=2"]);
        let mut first = admission.admit(ip("127.0.0.1"), S).unwrap();
        let _second = admission.admit(ip("127.0.0.1"), S).unwrap();
        assert_eq!(admission.admit(ip("127.0.0.1"), S).unwrap_err(), Refused::Address);
        let _third = admission.admit(ip("127.0.0.2"), S).unwrap();
        assert_eq!(admission.admit(ip("127.0.0.3"), S).unwrap_err(), Refused::Unauthenticated);
        first.log_in();
        first.log_in();
        let fourth = admission.admit(ip("127.0.0.3"), S).unwrap();
        assert!(!first.log_out(), "there is no room among those that are not logged in");
        drop(fourth);
        assert!(first.log_out());
        assert_eq!(admission.admit(ip("127.0.0.4"), S).unwrap_err(), Refused::Unauthenticated);
        drop(first);
        assert!(admission.admit(ip("127.0.0.4"), S).is_ok());
    }

    #[test]
    fn an_address_logs_out_no_more_than_it_may_connect() {
        let admission = admission(&["unauth-addr=2"]);
        let mut permits: Vec<Permit> = Vec::new();
        for _ in 0..3 {
            permits.push(admission.admit(ip("127.0.0.1"), S).unwrap());
            permits.iter_mut().for_each(Permit::log_in);
        }
        let left: Vec<bool> = permits.iter_mut().map(Permit::log_out).collect();
        assert_eq!(left, [true, true, false]);
        drop(permits);
        assert_eq!(admission.state.lock().unauthenticated, 0);
    }

    #[test]
    fn new_connections_have_a_rate() {
        let admission = admission(&["accept-rate=10"]);
        let opened = |now| (0..300).filter(|_| admission.admit(ip("127.0.0.1"), now).is_ok()).count();
        assert_eq!([opened(100 * S), opened(101 * S)], [100, 10]);
        assert!(admission.admit(ip("127.0.0.2"), 101 * S).is_ok());
    }

    #[test]
    fn addresses_are_forgotten() {
        let admission = admission(&[]);
        for number in 0..ADDRESSES_KEPT as u32 + 10 {
            drop(admission.admit(IpAddr::V4(number.into()), S * number));
        }
        assert!(admission.state.lock().addresses.len() < 100);
    }

    /// Each connection looked at all addresses as soon as there were many.
    #[test]
    fn addresses_are_looked_through_only_where_they_have_doubled() {
        let admission = admission(&[]);
        let admit = |number: usize, now| drop(admission.admit(IpAddr::V4((number as u32).into()), now));
        let known = || admission.state.lock().addresses.len();
        (0..=ADDRESSES_KEPT).for_each(|number| admit(number, S));
        (0..100).for_each(|number| admit(ADDRESSES_KEPT + 1 + number, 62 * S));
        assert_eq!(known(), ADDRESSES_KEPT + 101, "not before");
        (0..=2 * ADDRESSES_KEPT).for_each(|number| admit(10 * ADDRESSES_KEPT + number, 62 * S));
        assert!(known() < 3 * ADDRESSES_KEPT, "{}: then those are forgotten that are old", known());
    }

    #[test]
    fn addresses_are_bounded_however_many_there_are() {
        let admission = admission(&[]);
        let _here = admission.admit(ip("127.0.0.1"), S).unwrap();
        for number in 0..150_000_u32 {
            drop(admission.admit(IpAddr::V4((0x0A00_0000 + number).into()), S));
        }
        let state = admission.state.lock();
        assert!(state.addresses.len() <= 2 * 65_536 + 2, "{}", state.addresses.len());
        assert_eq!(state.addresses[&ip("127.0.0.1")].connections, 1, "those that are here stay");
    }
}
