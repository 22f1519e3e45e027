//! Messages that scripts have a name for: under one name nothing is sent twice, however often a script runs.

use bellhop_protocol::MessageId;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{History, HistoryError};
use crate::delivery::Delivery;
use crate::event::StateChange;
use crate::link::Draft;
use crate::peer::Peer;

/// A message that was written down under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keyed {
    /// How far it has come, and its place.
    pub(crate) change: StateChange,
    /// The same recipient and text as are meant now.
    pub(crate) same: bool,
    /// The device that has it on its way, where one has.
    pub(crate) sender: Option<String>,
    /// The device that its receipt is for, where one is to come.
    pub(crate) awaits: Option<String>,
}

/// What tells whether the same message is meant.
fn digest(to: &Peer, text: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((to.key.len() as u64).to_be_bytes());
    hash.update(&to.key);
    hash.update(text);
    hash.finalize().into()
}

/// Notes the key of a message that is being written down, in the same transaction.
pub(super) fn keep(db: &Connection, account: i64, draft: &Draft, n: i64) -> rusqlite::Result<()> {
    let Some(key) = &draft.key else { return Ok(()) };
    db.prepare_cached("INSERT INTO keyed (account, key, message, digest) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![account, key, n, digest(&draft.to, &draft.text)])?;
    Ok(())
}

impl History {
    /// The message that has this key; `to` and `text` are what is meant now.
    pub(crate) fn keyed(
        &self,
        account: i64,
        key: &str,
        to: &Peer,
        text: &str,
    ) -> Result<Option<Keyed>, HistoryError> {
        let mut query = self.db.prepare_cached(
            "SELECT n, id, state, time_ms, reason, digest,
                 (SELECT role FROM outbox JOIN devices ON devices.id = outbox.device
                  WHERE outbox.message = n AND NOT parked),
                 (SELECT role FROM devices WHERE devices.id = awaits)
             FROM keyed JOIN messages ON messages.n = keyed.message WHERE keyed.account = ?1 AND key = ?2",
        )?;
        let meant = digest(to, text);
        let found = query.query_row(params![account, key], |row| {
            let id: Option<[u8; 16]> = row.get(1)?;
            let change = StateChange {
                n: row.get(0)?,
                id: id.map(|bytes| MessageId(uuid::Uuid::from_bytes(bytes))),
                state: Delivery::from_number(row.get(2)?),
                time_ms: row.get(3)?,
                code: None,
                reason: row.get(4)?,
            };
            let same = row.get::<_, [u8; 32]>(5)? == meant;
            Ok(Keyed { change, same, sender: row.get(6)?, awaits: row.get(7)? })
        });
        Ok(found.optional()?)
    }

    /// The device that has messages on their way whose keys begin with `prefix`.
    pub(crate) fn keyed_sender(&self, account: i64, prefix: &str) -> Result<Option<String>, HistoryError> {
        let mut query = self.db.prepare(
            "SELECT role FROM keyed JOIN outbox ON outbox.message = keyed.message
             JOIN devices ON devices.id = outbox.device
             WHERE keyed.account = ?1 AND substr(key, 1, length(?2)) = ?2 AND NOT parked LIMIT 1",
        )?;
        Ok(query.query_row(params![account, prefix], |row| row.get(0)).optional()?)
    }

    /// Names that completions offer: of conversations and accounts of this home.
    pub(crate) fn names(&self) -> Result<Vec<String>, HistoryError> {
        let mut query = self.db.prepare(
            "SELECT coalesce(address, name) FROM peers UNION SELECT user FROM accounts ORDER BY 1 LIMIT 1000",
        )?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
