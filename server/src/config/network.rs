//! A network, as addresses are given to whole networks: `10.0.0.0/8`.

use std::fmt;
use std::net::IpAddr;

/// The addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It does not have the shape of one.
    #[error("'{0}' is no network: give one such as 10.0.0.0/8 or fd00::/8, or an address")]
    Shape(String),
    /// It names an address within the network.
    #[error("'{0}' is no network: the one that holds this address is {1}")]
    Within(String, Network),
}

impl Network {
    /// Reads `ADDRESS/BITS`, or an address alone. An address that has bits beyond the prefix is refused: it may be a slip
    /// in either number.
    ///
    /// # Errors
    ///
    /// [`NetworkError`].
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let shape = || NetworkError::Shape(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| shape())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        // Digits alone: `parse` takes a sign as well.
        let is_number = |bits: &str| bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match bits {
            None => most,
            Some(bits) if is_number(bits) => bits.parse().map_err(|_| shape())?,
            Some(_) => return Err(shape()),
        };
        if prefix > most {
            return Err(shape());
        }
        let network = Network { first: cut(address, prefix), prefix };
        match network.first == address {
            true => Ok(network),
            false => Err(NetworkError::Within(text.to_owned(), network)),
        }
    }

    /// True if and only if the address is in the network. An IPv4 address that comes as one of IPv6 is one of IPv4.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && cut(address, self.prefix) == self.first
    }
}

/// The address with nothing behind its first bits.
fn cut(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let check = |text: &str, shown: &str, inside: &[&str], outside: &[&str]| {
            let network = Network::parse(text).unwrap();
            assert_eq!(network.to_string(), shown);
            let holds = |address: &&str| network.holds(address.parse().unwrap());
            assert!(inside.iter().all(holds), "{text}");
            assert!(!outside.iter().any(holds), "{text}");
        };
        check(
            "10.0.0.0/8",
            "10.0.0.0/8",
            &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
            &["11.0.0.0", "::a00:1"],
        );
        check("192.0.2.1", "192.0.2.1/32", &["192.0.2.1"], &["192.0.2.0", "192.0.2.2"]);
        check("192.0.2.128/25", "192.0.2.128/25", &["192.0.2.128"], &["192.0.2.127"]);
        check("0.0.0.0/0", "0.0.0.0/0", &["1.2.3.4"], &["::1"]);
        check("::/0", "::/0", &["::1", "2001:db8::1"], &["127.0.0.1"]);
        check("fd00::/8", "fd00::/8", &["fdff::1"], &["fe00::1"]);
        check("::1", "::1/128", &["::1"], &["::2"]);
    }

    #[test]
    fn what_is_no_network_is_named() {
        let check = |text: &str, part: &str| {
            let error = Network::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(text), "{text}: {error}");
        };
        for text in
            ["", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0.0/-8", "10.0.0.0/ 8"]
        {
            check(text, "is no network: give one");
        }
        for text in
            ["10.0.0/8", "localhost", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "[::1]", "::1%1", "010.0.0.1"]
        {
            check(text, "is no network: give one");
        }
        check("10.1.2.3/8", "is 10.0.0.0/8");
        check("fd00::1/64", "is fd00::/64");
        check("1.2.3.4/0", "is 0.0.0.0/0");
    }
}
