//! The ids of POSTs: the same account, device and counter always have the same id, also after a restart.

use bellhop_protocol::{DeviceId, MessageId};
use siphasher::sip128::SipHasher24;
use uuid::Uuid;

use crate::store::{AccountId, Kind, LogRow, Origin};

/// The secret without which nobody can tell a POST's id beforehand.
#[derive(Clone, Copy)]
pub struct IdKey([u8; 16]);

impl IdKey {
    /// The key that the store keeps.
    pub fn new(key: [u8; 16]) -> IdKey {
        IdKey(key)
    }

    /// The id of a POST.
    pub fn id(&self, account: AccountId, device: DeviceId, counter: u64) -> MessageId {
        // In one piece: the hasher takes small ones at several times the cost.
        let mut bytes = [0; 32];
        let (head, rest) = bytes.split_at_mut(8);
        let (middle, tail) = rest.split_at_mut(16);
        head.copy_from_slice(&account.0.to_be_bytes());
        middle.copy_from_slice(&device.0);
        tail.copy_from_slice(&counter.to_be_bytes());
        MessageId(Uuid::new_v8(SipHasher24::new_with_key(&self.0).hash(&bytes).as_bytes()))
    }

    /// The id of a message in the log; for a receipt, of the message that it is about.
    pub fn of_row<T>(&self, row: &LogRow<T>) -> MessageId {
        match row.kind {
            Kind::Message { sender, origin: Origin::Post(device, counter), .. } => {
                self.id(sender, device, counter)
            }
            Kind::Message { origin: Origin::Send(id), .. } | Kind::Receipt { id, .. } => id,
        }
    }
}

impl std::fmt::Debug for IdKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_each_part() {
        let key = IdKey::new([1; 16]);
        let id = |account, device, counter| key.id(AccountId(account), DeviceId([device; 16]), counter);
        assert_eq!(id(1, 2, 3), id(1, 2, 3));
        assert_eq!(id(1, 2, 3).0.get_version_num(), 8);
        for other in [
            id(2, 2, 3),
            id(1, 3, 3),
            id(1, 2, 4),
            IdKey::new([2; 16]).id(AccountId(1), DeviceId([2; 16]), 3),
        ] {
            assert_ne!(other, id(1, 2, 3));
        }
    }
}
