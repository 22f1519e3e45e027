//! What happened since the start, as plain numbers: one row each in one table, shown by `status`.
//!
//! Counting is one relaxed addition; nothing is decided by a counter.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub fn one(&self) {
        self.many(1);
    }

    /// Counts so many more. Counting nothing leaves the number alone: where many threads count it is dear.
    pub fn many(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal;)+) => {
        /// Everything that is counted.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: Counter,)+
        }

        impl Counters {
            /// Name and value of every counter, in the order of the table.
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field.get())),+]
            }
        }
    };
}

counters! {
    /// Messages that were kept.
    kept = "messages-kept";
    /// Messages that went because everybody who was to have them took them.
    taken = "messages-taken";
    /// Messages that went for want of room, after a device had taken them and before all had.
    dropped = "messages-dropped";
    /// Messages that went because nobody took them in time.
    expired = "messages-expired";
    /// Messages that went with the account that they were for.
    deleted = "messages-deleted";
    /// Messages that were refused because the mailbox was full.
    refused_full = "refused-mailbox-full";
    /// Accounts that were made.
    made = "accounts-made";
    /// Accounts that were deleted.
    ended = "accounts-deleted";
    /// Connections that ended in a panic: a bug, of which the log tells the place.
    panicked = "connections-panicked";
    /// Connections that were closed because too much was held of frames that were not complete.
    inboxes_full = "connections-closed-inboxes-full";
    /// Messages and accounts that were refused because the disk is nearly full.
    refused_disk = "refused-disk";
    /// Requests and mailboxes that met a row which is damaged.
    damaged = "rows-damaged";
    /// Commits that were rolled back: the disk was full, or another program held the database.
    rolled_back = "commits-rolled-back";
    /// Passwords that were wrong.
    wrong_passwords = "passwords-wrong";
    /// Tokens that were not good.
    wrong_tokens = "tokens-wrong";
    /// Tries of a password that were refused because too many were wrong before; those that only waited are not counted.
    refused_logins = "logins-refused";
    /// Accounts that were not made because too many came from one address.
    refused_accounts = "accounts-refused";
    /// Messages to names that nobody has.
    unknown_names = "names-unknown";
    /// WATCHes that were refused because they named too many.
    refused_watches = "watches-refused";
    /// TYPINGs that were dropped because too many came.
    dropped_typings = "typings-dropped";
    /// Connections that were let in.
    accepted = "connections-accepted";
    /// Connections that their address had too many of.
    refused_addr = "connections-refused-addr";
    /// Connections that came while too many were not logged in.
    refused_unauth = "connections-refused-unauth";
    /// Connections that came without TLS where it is needed.
    tls_needed = "connections-refused-plain";
    /// Connections that spoke another protocol.
    no_frames = "connections-refused-protocol";
    /// Connections whose TLS broke: no common version, a wrong record, an alert.
    tls_failed = "tls-failed";
    /// Connections that did not come in before `tls-time` was over.
    tls_late = "tls-late";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_listed() {
        let counters = Counters::default();
        counters.accepted.one();
        counters.accepted.many(2);
        assert!(counters.list().contains(&("connections-accepted", 3)));
    }
}
