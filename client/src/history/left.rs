//! What short commands left on its way, for the next run of the same command.

use bellhop_protocol::MessageId;
use rusqlite::{OptionalExtension, params};

use super::{History, HistoryError};
use crate::delivery::Delivery;
use crate::event::StateChange;

/// A message that a short command left on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// The device that asks about it.
    pub(crate) role: String,
    pub(crate) n: i64,
    /// When it was written.
    pub(crate) time_ms: i64,
}

impl History {
    /// Messages with these words that short commands have on their way to a peer, oldest first.
    pub(crate) fn left(&self, account: i64, peer: &str, text: &str) -> Result<Vec<Left>, HistoryError> {
        let mut query = self.db.prepare(
            "SELECT role, message, time_ms FROM outbox
             JOIN devices ON devices.id = outbox.device
             JOIN messages ON messages.n = outbox.message
             JOIN peers ON peers.id = messages.peer
             WHERE devices.account = ?1 AND peers.key = ?2 AND outbox.text = ?3
                 AND role LIKE 'send-%' AND NOT parked ORDER BY message",
        )?;
        let rows = query.query_map(params![account, peer, text], |row| {
            Ok(Left { role: row.get(0)?, n: row.get(1)?, time_ms: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How far a message of ours has come; `None` where it was withdrawn.
    pub(crate) fn state(&self, n: i64) -> Result<Option<StateChange>, HistoryError> {
        let mut query = self.db.prepare("SELECT id, state, time_ms FROM messages WHERE n = ?1")?;
        let found = query.query_row([n], |row| {
            let id: Option<[u8; 16]> = row.get(0)?;
            let id = id.map(|bytes| MessageId(uuid::Uuid::from_bytes(bytes)));
            let state = Delivery::from_number(row.get(1)?);
            Ok(StateChange { n, id, state, time_ms: row.get(2)?, code: None, reason: None })
        });
        Ok(found.optional()?)
    }
}
