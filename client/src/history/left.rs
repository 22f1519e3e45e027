//! What short commands left, on its way or settled and not told, for the next run of the same command.

use bellhop_protocol::MessageId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{History, HistoryError};
use crate::clock;
use crate::config::Role;
use crate::delivery::Delivery;
use crate::event::StateChange;

/// How long a command with the same words asks about the same message; later it is another one, such as the next alert.
const AGAIN_MAX_MS: i64 = 60 * 60 * 1_000;

/// A message that a short command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// The device that asks about it.
    pub(crate) role: String,
    pub(crate) n: i64,
    /// When it was written.
    pub(crate) written_ms: i64,
}

impl History {
    /// Messages with these words that short commands have left to a peer of late, oldest first.
    pub(crate) fn left(&self, account: i64, peer: &str, text: &str) -> Result<Vec<Left>, HistoryError> {
        let mut query = self.db.prepare(
            "SELECT role, message, written_ms FROM outbox
             JOIN devices ON devices.id = outbox.device
             JOIN messages ON messages.n = outbox.message
             JOIN peers ON peers.id = messages.peer
             WHERE devices.account = ?1 AND peers.key = ?2 AND outbox.text = ?3 AND written_ms >= ?4
                 AND NOT (parked AND state = ?5) ORDER BY message",
        )?;
        let since = clock::wall_ms() - AGAIN_MAX_MS;
        let rows = query
            .query_map(params![account, peer, text, since, Delivery::Failed.number()], |row| {
                Ok(Left { role: row.get(0)?, n: row.get(1)?, written_ms: row.get(2)? })
            })?;
        let mut left = rows.collect::<rusqlite::Result<Vec<Left>>>()?;
        left.retain(|left| Role::of(&left.role) == Role::Send);
        Ok(left)
    }

    /// How far a message has come whose command does not know its end; `None` where it does, or where the message was
    /// withdrawn.
    pub(crate) fn untold(&self, n: i64) -> Result<Option<StateChange>, HistoryError> {
        let mut query = self.db.prepare(
            "SELECT id, state, time_ms, reason FROM messages JOIN outbox ON message = n WHERE n = ?1",
        )?;
        let found = query.query_row([n], |row| {
            let id: Option<[u8; 16]> = row.get(0)?;
            let id = id.map(|bytes| MessageId(uuid::Uuid::from_bytes(bytes)));
            let state = Delivery::from_number(row.get(1)?);
            Ok(StateChange { n, id, state, time_ms: row.get(2)?, code: None, reason: row.get(3)? })
        });
        Ok(found.optional()?)
    }

    /// The command of a message knows how it ended, where it has: what was refused is forgotten, anything else stays
    /// to be read.
    pub(crate) fn tell(&mut self, n: i64) -> Result<(), HistoryError> {
        self.tell_all(&[n])
    }

    /// The same of several messages at once.
    pub(crate) fn tell_all(&mut self, rows: &[i64]) -> Result<(), HistoryError> {
        let work = self.write()?;
        for n in rows {
            work.execute(
                "DELETE FROM messages WHERE state = ?2 AND n IN (
                     SELECT message FROM outbox WHERE message = ?1 AND parked)",
                params![n, Delivery::Failed.number()],
            )?;
            work.execute("DELETE FROM outbox WHERE message = ?1 AND parked", [n])?;
        }
        work.commit()?;
        Ok(())
    }
}

/// Forgets that the commands of a device's messages were to be told, where none of them asks any more.
pub(super) fn forget_untold(db: &Connection, device: i64) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM outbox WHERE device = ?1 AND parked AND written_ms < ?2
             AND message IN (SELECT n FROM messages WHERE state >= ?3)",
        params![device, clock::wall_ms() - AGAIN_MAX_MS, Delivery::Sent.number()],
    )?;
    Ok(())
}
