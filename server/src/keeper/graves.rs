//! Purging what deleted accounts leave: rows are dropped and senders told, a bounded piece at a time.
//!
//! A grave lies in the store until it is purged, so that a restart goes on with it.

use std::collections::VecDeque;

use bellhop_protocol::item::ReceiptState;

use super::{Keeper, Outcome};
use crate::mailbox::acknowledge::Owed;
use crate::store::{AccountId, RowId, StoreError, Write};

/// How much of deleted accounts is purged in one commit; each account counts for one at least.
const PURGE_MAX: usize = 256;

/// What a deleted account leaves.
#[derive(Debug)]
pub(super) struct Grave {
    account: AccountId,
    name: Box<str>,
    left: VecDeque<Left>,
}

/// A row to drop, and a sender to tell: in one commit, so that a crash between the two does not let it be told again.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// [`RowId::NONE`] where there is none.
    row: RowId,
    /// True where the log still counts the row as awaited.
    awaited: bool,
    end: Option<(Owed, ReceiptState)>,
}

impl Grave {
    /// The grave of an account in whose mailbox this was kept, each with the receipt that its sender is owed now.
    pub(super) fn new(account: AccountId, name: &str, kept: Vec<(RowId, Option<Owed>)>) -> Grave {
        let left = kept.into_iter().map(|(row, owed)| {
            let end = owed.map(|owed| (owed, ReceiptState::Refused));
            Left { row, awaited: row != RowId::NONE, end }
        });
        Grave { account, name: name.into(), left: left.collect() }
    }

    /// Adds a receipt that was owed already: a device has the message.
    pub(super) fn owes(&mut self, owed: Owed) {
        let end = Some((owed, ReceiptState::Delivered));
        self.left.push_back(Left { row: owed.row, awaited: false, end });
    }
}

impl Keeper {
    /// Purges a piece. The graves stay as they are until that is committed.
    pub(super) fn stage_purge(&mut self) -> Result<(), StoreError> {
        let graves = std::mem::take(&mut self.upkeep.graves);
        let mut room = PURGE_MAX;
        for grave in &graves {
            let count = grave.left.len().min(room);
            for left in grave.left.range(..count) {
                if let Some((owed, state)) = left.end {
                    self.stage_end(owed, state, &grave.name, count as u64)?;
                }
                if left.row != RowId::NONE {
                    self.batch.push(Write::DropRows(left.row, left.row));
                }
            }
            if count == grave.left.len() {
                self.batch.push(Write::ForgetGrave(grave.account));
            }
            self.outcomes.push(Outcome::Purged(count));
            room = room.saturating_sub(count.max(1));
            if room == 0 {
                break;
            }
        }
        self.upkeep.graves = graves;
        Ok(())
    }

    /// So much of the first grave is purged; one with nothing left is gone.
    pub(super) fn release_purged(&mut self, count: usize) {
        let Some(grave) = self.upkeep.graves.front_mut() else { return };
        let rows = grave.left.drain(..count).filter(|left| left.awaited).map(|left| left.row);
        self.core.log.lock().free(rows);
        if grave.left.is_empty() {
            self.upkeep.graves.pop_front();
        }
    }
}
