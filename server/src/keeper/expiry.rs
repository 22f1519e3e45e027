//! Expiry: what nobody took within `--limit expiry` goes, and its sender is told.
//!
//! Times of messages are those of the wall clock, which may be wrong or jump. Where it does by more than a day, nothing
//! expires for a day of running time, so that there is time to set it right.
//!
//! Rows of the log cannot tell after a restart whether the clock that they were kept by was believed. So once an hour
//! what the clock shows is noted in the store, with the running time that it is in doubt for yet. A start goes on from
//! there where its clock is within a day of the note, and doubts for a whole day where it is not: the server was off for
//! long, or the clock is wrong. Time in which the server does not run makes no clock better.

use std::sync::Arc;
use std::time::Duration;

use bellhop_protocol::item::ReceiptState;

use super::{Keeper, Outcome, Undo};
use crate::clock::Now;
use crate::core::Core;
use crate::hub::Account;
use crate::mailbox::items::Marks;
use crate::store::log::LogMap;
use crate::store::{ClockNote, Kind, RowId, StoreError, Write};

/// How often messages in memory are looked through for expired ones; and how long a look at the wall clock holds.
const REVIEW_EVERY: Duration = Duration::from_secs(3600);
/// How often the wall clock is noted.
const NOTE_EVERY: Duration = Duration::from_secs(3600);
/// A wall clock that jumps by more than this is not believed for as much running time.
const JUMP_MS: u64 = DAY_MS;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// When something may expire.
#[derive(Debug)]
pub(super) struct Expiry {
    /// When messages in memory are looked through next, on the clock that never jumps.
    review: Duration,
    /// The wall clock minus the clock that never jumps, in ms, as it is believed.
    offset_ms: u64,
    /// Nothing expires before this, on the clock that never jumps.
    held_until: Duration,
    /// When the wall clock is noted next, on the clock that never jumps.
    next_note: Duration,
}

impl Expiry {
    /// At a start at `now`, where this was noted of the wall clock last; `None` where it never was.
    pub(super) fn new(noted: Option<ClockNote>, now: Now) -> Expiry {
        let doubt_ms = match noted {
            Some(note) if note.wall_ms.abs_diff(now.wall_ms) <= JUMP_MS => note.doubt_ms.min(JUMP_MS),
            _ => JUMP_MS,
        };
        Expiry {
            review: now.up + REVIEW_EVERY,
            offset_ms: offset_ms(now),
            held_until: now.up + Duration::from_millis(doubt_ms),
            next_note: now.up,
        }
    }

    /// When the wall clock is noted next, on the clock that never jumps.
    pub(super) fn next_note(&self) -> Duration {
        self.next_note
    }

    /// What is to be noted of the wall clock, where that is due.
    pub(super) fn due_note(&mut self, now: Now) -> Option<ClockNote> {
        if now.up < self.next_note {
            return None;
        }
        self.next_note = now.up + NOTE_EVERY;
        Some(self.note(now))
    }

    /// What is to be noted of the wall clock.
    pub(super) fn note(&self, now: Now) -> ClockNote {
        let doubt = self.held_until.saturating_sub(now.up);
        ClockNote { wall_ms: now.wall_ms, doubt_ms: doubt.as_millis() as u64 }
    }

    fn hold(&mut self, now: Now) {
        self.held_until = now.up + Duration::from_millis(JUMP_MS);
        self.offset_ms = offset_ms(now);
    }

    /// Notices when the wall clock jumps; what expires is held back then.
    pub(super) fn watch_clock(&mut self, now: Now) {
        if self.offset_ms.abs_diff(offset_ms(now)) > JUMP_MS {
            tracing::warn!("the wall clock jumped: nothing expires for 24 hours");
            self.hold(now);
        }
    }

    /// When to look next, on the clock that never jumps.
    pub(super) fn deadline(&self, log: &LogMap, core: &Core, now: Now) -> Option<Duration> {
        let lifetime_ms = lifetime_ms(core)?;
        let in_log = log.oldest_ms().map(|oldest_ms| {
            let wait_ms = oldest_ms.saturating_add(lifetime_ms).saturating_sub(now.wall_ms);
            // Not longer than an hour: the wall clock may be set meanwhile.
            let wait = Duration::from_millis(wait_ms.saturating_add(1)).min(REVIEW_EVERY);
            (now.up + wait).max(self.held_until)
        });
        let in_memory = core.in_memory.then_some(self.review.max(self.held_until));
        [in_log, in_memory].into_iter().flatten().min()
    }

    /// True if and only if the wall clock is not believed at `now`.
    pub(super) fn is_held(&self, now: Now) -> bool {
        now.up < self.held_until
    }
}

fn offset_ms(now: Now) -> u64 {
    now.wall_ms.saturating_sub(now.up.as_millis() as u64)
}

fn lifetime_ms(core: &Core) -> Option<u64> {
    (core.limits.expiry != u64::MAX).then(|| core.limits.expiry.saturating_mul(DAY_MS))
}

impl Keeper {
    /// Lets a segment's expired messages go, and tells their senders. Returns whether there was such a segment.
    pub(super) fn stage_expired(&mut self) -> Result<bool, StoreError> {
        let held = self.upkeep.expiry.is_held(self.now);
        let Some(lifetime_ms) = lifetime_ms(&self.core).filter(|_| !held) else { return Ok(false) };
        let cutoff_ms = self.now.wall_ms.saturating_sub(lifetime_ms);
        if self.core.in_memory && self.now.up >= self.upkeep.expiry.review {
            self.upkeep.expiry.review = self.now.up + REVIEW_EVERY;
            self.expire_in_memory(cutoff_ms)?;
        }
        let run = self.core.log.lock().expired(cutoff_ms);
        let Some(run) = run else { return Ok(false) };
        let mut oldest_ms = u64::MAX;
        let Some(awaited) = self.awaited(run)? else { return Ok(true) };
        for (account, row) in awaited {
            match row.kind {
                // PROTOCOL.md 6, RECEIPT: it does not expire.
                Kind::Receipt { .. } => {}
                Kind::Message { .. } if row.time_ms < cutoff_ms => self.expire(&account, row.seq)?,
                Kind::Message { .. } => oldest_ms = oldest_ms.min(row.time_ms),
            }
        }
        self.outcomes.push(Outcome::Reviewed(run, oldest_ms));
        Ok(true)
    }

    /// Stages the end of a message. It goes out of memory when that is committed; until then it counts as had, so that
    /// nobody who takes it meanwhile makes a second end of it.
    fn expire(&mut self, account: &Arc<Account>, seq: u64) -> Result<(), StoreError> {
        let mut mailbox = account.mailbox.lock();
        let Some(item) = mailbox.items().find(seq).copied() else { return Ok(()) };
        let owed = mailbox.begin_expiry(seq);
        let had = item.marks().has(Marks::HAD);
        let owes_for_it = had && mailbox.owes();
        drop(mailbox);
        if owes_for_it {
            // A device took it a moment ago: the receipt is read from the row that goes with this batch.
            self.stage_save(account)?;
        }
        if !had {
            self.undo.push(Undo::Expiry(account.clone(), seq, owed));
        }
        if let Some(owed) = owed {
            self.stage_owed(account, vec![owed], ReceiptState::Expired)?;
        }
        // With its receipt: a restart between the two would let it expire, and tell so, again.
        if item.row != RowId::NONE {
            self.batch.push(Write::DropRows(item.row, item.row));
        }
        self.outcomes.push(Outcome::Expired(account.clone(), seq));
        Ok(())
    }

    pub(super) fn release_expired(&mut self, account: &Arc<Account>, seq: u64) {
        let gone = self
            .core
            .with_mailbox(account, &mut self.effects, |mailbox, effects| mailbox.remove(seq, effects));
        self.core.counters.expired.many(u64::from(gone.is_some()));
        self.list(account);
    }

    fn expire_in_memory(&mut self, cutoff_ms: u64) -> Result<(), StoreError> {
        for account in self.core.hub.accounts() {
            let expired: Vec<u64> = {
                let mailbox = account.mailbox.lock();
                let old =
                    |seq: u64| mailbox.tail().find(seq).is_some_and(|content| content.time_ms < cutoff_ms);
                let old = mailbox.items().iter().take_while(|item| old(item.seq));
                old.filter(|item| !item.is_receipt()).map(|item| item.seq).collect()
            };
            for seq in expired {
                self.expire(&account, seq)?;
            }
        }
        Ok(())
    }
}
