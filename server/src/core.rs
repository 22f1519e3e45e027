//! What all connections and the writing thread share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use crate::auth::Hasher;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::hub::{Account, Hub};
use crate::ids::IdKey;
use crate::keeper::queue::{Job, Queue};
use crate::limits::Limits;
use crate::mailbox::{Bounds, Effects, Mailbox};
use crate::outbox::Outbox;
use crate::presence::Presence;
use crate::service::mail;
use crate::store::log::LogMap;
use crate::store::readers::Readers;
use crate::throttle::Throttle;

/// Bytes that wait to be handled, of all connections together.
pub const INBOXES: u64 = 32 * 1024 * 1024;
/// Bytes of the newest messages that mailboxes keep in memory beside the store, of all together.
pub const TAILS: u64 = 16 * 1024 * 1024;
/// Bytes that were asked of the store for mailboxes, and are not yet where they belong.
pub const FETCHED: u64 = 8 * 1024 * 1024;

/// The memory that connections share.
#[derive(Debug)]
pub struct Memory {
    /// For what is on its way to them.
    pub outboxes: Arc<Budget>,
    /// For what came and is not handled yet.
    pub inboxes: Arc<Budget>,
    /// For the newest messages of mailboxes, which the store has too.
    pub tails: Arc<Budget>,
    /// For what is read from the store.
    pub fetched: Arc<Budget>,
}

impl Memory {
    /// What the limits allow.
    pub fn new(limits: &Limits) -> Memory {
        let [outboxes, inboxes, tails, fetched] =
            [limits.outbox_all, INBOXES, TAILS, FETCHED].map(|bytes| Arc::new(Budget::new(bytes)));
        Memory { outboxes, inboxes, tails, fetched }
    }
}

/// What is shared.
#[derive(Debug)]
pub struct Core {
    /// The bounds in force.
    pub limits: Limits,
    /// What happened since the start.
    pub counters: Counters,
    /// Those of them that concern a mailbox.
    pub bounds: Bounds,
    /// True where messages live in memory alone (`--durability none`).
    pub in_memory: bool,
    /// The clocks.
    pub clock: Clock,
    /// Who is here.
    pub hub: Hub,
    /// Who is told of whom.
    pub presence: Presence,
    /// What connections hold.
    pub memory: Memory,
    /// What waits for the writing thread.
    pub queue: Queue,
    /// What the ids of POSTs are made with.
    pub ids: IdKey,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// How fast passwords may be guessed.
    pub throttle: Arc<Throttle>,
    /// How much of the log is awaited.
    pub log: Mutex<LogMap>,
    /// Reads what was committed.
    pub readers: Readers,
    /// The server's name for itself.
    pub node: String,
    /// True while the wall clock is not believed: nothing is given up because of its age.
    pub clock_in_doubt: AtomicBool,
    /// True while connections go as soon as nothing is due on them.
    pub draining: AtomicBool,
    /// True from the moment at which the server begins to stop: no further request is taken.
    pub stopping: AtomicBool,
}

impl Core {
    /// Counts and logs that something which was asked for is damaged: whoever asked is refused, and all else goes on.
    pub fn damaged(&self, error: &dyn std::fmt::Display) {
        self.counters.damaged.one();
        tracing::error!(%error, "cannot read what is kept: look at it with `bellhop-server check`");
    }

    /// Something happened after which an account may be online or not: whoever watches it is told.
    pub fn touch_presence(&self, account: &Account) {
        self.presence.touch(&account.folded, self.clock.now().up, || self.is_online(&account.folded));
    }

    /// True if and only if the account with this folded name has a session that receives.
    pub fn is_online(&self, folded: &str) -> bool {
        self.hub.by_name(folded).is_some_and(|account| account.mailbox.lock().is_online())
    }

    /// Works on a mailbox under its lock, and afterwards does what that asked for: rows are freed, what has to be
    /// saved is put on the list, and receipts that are owed get filed. Tasks to wake stay in `effects`, for the
    /// caller to wake when it has done all it has to do.
    pub fn with_mailbox<T>(
        &self,
        account: &Arc<Account>,
        effects: &mut Effects,
        work: impl FnOnce(&mut Mailbox<Arc<Outbox>>, &mut Effects) -> T,
    ) -> T {
        let mut mailbox = account.mailbox.lock();
        let result = work(&mut mailbox, effects);
        // On the list before a row is freed: a row is dropped only with what is on the list saved.
        if mailbox.is_unsaved() && mailbox.list() {
            self.queue.unsaved(account.clone());
        }
        let mut owed = Vec::new();
        if mailbox.owes() && !mailbox.settling {
            match self.in_memory && mailbox.knows_owed() {
                true => owed = mailbox.take_owed(),
                false => {
                    mailbox.settling = true;
                    self.queue.control(Job::Settle(account.clone()));
                }
            }
        }
        drop(mailbox);
        self.apply(account, effects);
        for owed in owed {
            mail::file_delivered(self, account, &owed, effects);
        }
        result
    }

    /// The end of a turn: counts what was kept in it, together since all threads count in one place, and wakes the tasks.
    pub fn finish(&self, effects: &mut Effects) {
        self.counters.kept.many(std::mem::take(&mut effects.kept));
        effects.wake();
    }

    /// Frees the rows and gives back the receipts that the work on a mailbox left in `effects`.
    pub fn apply(&self, account: &Account, effects: &mut Effects) {
        if !effects.freed.is_empty() {
            self.log.lock().free(effects.freed.drain(..));
        }
        self.hub.release_receipts(account.id, std::mem::take(&mut effects.receipts_ended));
        self.counters.taken.many(std::mem::take(&mut effects.taken));
        self.counters.dropped.many(std::mem::take(&mut effects.dropped));
    }
}
