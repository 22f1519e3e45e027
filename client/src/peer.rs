//! Whom a conversation is with: how they are shown, compared and answered.

use bellhop_protocol::{Address, name};

use crate::text::{Kind, clean};

/// Begins the key of whoever cannot be an address. No address holds it: cleaned or cut, a forged name may spell
/// somebody else's.
const NOBODY: char = '|';

/// The other side of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// What two spellings of one name have in common.
    pub key: String,
    /// The name for the screen, made harmless.
    pub name: String,
    /// The address to send to; `None` where the server named somebody who cannot be one.
    pub address: Option<String>,
}

impl Peer {
    /// The peer of a name as it came from a server or was typed.
    pub fn new(written: &str) -> Peer {
        let name = clean(written, Kind::Line).into_owned();
        match Address::parse(written) {
            Ok(_) => Peer { key: name::fold(written).into_owned(), name, address: Some(written.to_owned()) },
            Err(_) => {
                let key = format!("{NOBODY}{}", name::fold(&name));
                Peer { key, name, address: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_share_a_key_and_forgeries_have_no_address() {
        assert_eq!(Peer::new("Bob").key, Peer::new("bob").key);
        assert_eq!(Peer::new("Bob@Home").address.as_deref(), Some("Bob@Home"));
        let forged = Peer::new("bob\u{202e}\n");
        assert_eq!((forged.name.as_str(), forged.address), ("bob⟨U+202E⟩ ", None));
        for (forged, person) in [
            ("bob|", "bob"),
            ("|bob", "bob"),
            ("bob\u{7f}", "bob�"),
            ("bob\u{202e}", "bob⟨U+202E⟩"),
            ("", ""),
            ("b b", "b b"),
            (&format!("a{}", "\u{301}".repeat(20)), &format!("a{}", "\u{301}".repeat(8))),
        ] {
            let forged = Peer::new(forged);
            assert_eq!(forged.address, None, "{forged:?}");
            assert!(Address::parse(&forged.key).is_err(), "{forged:?} has the key of a person");
            assert!(Address::parse(person).is_err() || forged.key != Peer::new(person).key, "{forged:?}");
        }
        assert_ne!(Peer::new("*server*").key, "*server*", "the screen's own");
        // More marks than are shown: another name, answered under its own spelling.
        let stacked = format!("a{}", "\u{301}".repeat(10));
        assert_eq!(Peer::new(&stacked).address, Some(stacked));
    }
}
