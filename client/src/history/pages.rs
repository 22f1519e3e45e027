//! What a screen reads: the conversations, and messages page by page. A page costs what it holds, however long the
//! history is.

use bellhop_protocol::MessageId;
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::{History, HistoryError};
use crate::delivery::Delivery;
use crate::event::{Around, Chat, Message, Page, Steps};
use crate::peer::Peer;
use crate::text::shown;

/// Conversations that are listed.
const CHATS_MAX: i64 = 1_000;
/// Ids told in one READ at most; older ones were long read.
const READ_MAX: i64 = 1_024;
/// States of one message that are shown; a message that is tried again and again has more.
const STEPS_MAX: i64 = 50;

/// What a person has chosen for a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// It stands above the others.
    pub pinned: bool,
    /// Nobody is called for it.
    pub muted: bool,
}

impl History {
    /// The conversations, the one with the latest message first.
    pub(crate) fn chats(&self, account: i64) -> Result<Vec<Chat>, HistoryError> {
        let mut query = self.db.prepare_cached(
            "SELECT key, name, address, read_to, draft,
                 (SELECT count(*) FROM messages WHERE peer = peers.id AND mine = 0 AND n > read_to),
                 coalesce((SELECT max(n) FROM messages WHERE peer = peers.id), 0) AS last, pinned, muted,
                 (SELECT group_concat(n) FROM messages WHERE peer = peers.id AND mine = 1 AND state = 3)
             FROM peers WHERE account = ?1 ORDER BY pinned DESC, last DESC, key LIMIT ?2",
        )?;
        let rows = query.query_map(params![account, CHATS_MAX], |row| {
            Ok(Chat {
                peer: Peer { key: row.get(0)?, name: row.get(1)?, address: row.get(2)? },
                read_to: row.get(3)?,
                draft: row.get(4)?,
                unread: row.get::<_, i64>(5)?.max(0).cast_unsigned(),
                last: row.get(6)?,
                pinned: row.get(7)?,
                muted: row.get(8)?,
                failed: places(row.get::<_, Option<String>>(9)?.as_deref().unwrap_or_default()),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The latest time of any message, in ms since 1970.
    pub(crate) fn newest_ms(&self) -> Result<Option<i64>, HistoryError> {
        // A message that was not kept has the time of this machine.
        let newest = "SELECT max(time_ms) FROM messages WHERE id IS NOT NULL";
        Ok(self.db.query_row(newest, [], |row| row.get(0))?)
    }

    /// Up to `limit` messages of the conversation with `key`.
    pub(crate) fn page(
        &self,
        account: i64,
        key: &str,
        around: Around,
        limit: usize,
    ) -> Result<Page, HistoryError> {
        let mut page = Page { key: key.to_owned(), around, messages: Vec::new(), more: false };
        let Some((id, peer)) = self.peer(account, key)? else { return Ok(page) };
        let (after, from, forwards) = match around {
            Around::Newest => (false, i64::MAX, false),
            Around::Before(n) => (false, n, false),
            Around::After(n) => (true, n, true),
        };
        let sql = if after {
            "SELECT n, mine, id, text, time_ms, state, reason FROM messages
             WHERE peer = ?1 AND n > ?2 ORDER BY n LIMIT ?3"
        } else {
            "SELECT n, mine, id, text, time_ms, state, reason FROM messages
             WHERE peer = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3"
        };
        let mut query = self.db.prepare_cached(sql)?;
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let rows = query.query_map(params![id, from, wanted], |row| message(row, &peer))?;
        page.messages = rows.collect::<rusqlite::Result<_>>()?;
        page.more = page.messages.len() > limit;
        page.messages.truncate(limit);
        if !forwards {
            page.messages.reverse();
        }
        Ok(page)
    }

    /// Counts everything up to `n` as read. Returns what was new of it, with its senders' addresses.
    pub(crate) fn mark_read(
        &mut self,
        account: i64,
        key: &str,
        n: i64,
    ) -> Result<Vec<(MessageId, String)>, HistoryError> {
        let Some((peer, Peer { address, .. })) = self.peer(account, key)? else { return Ok(Vec::new()) };
        let work = self.write()?;
        let before: i64 =
            work.query_row("SELECT told_to FROM peers WHERE id = ?1", [peer], |row| row.get(0))?;
        let mut query = work.prepare(
            "SELECT id FROM messages WHERE peer = ?1 AND mine = 0 AND n > ?2 AND n <= ?3 AND id IS NOT NULL
             ORDER BY n DESC LIMIT ?4",
        )?;
        let ids = query.query_map(params![peer, before, n, READ_MAX], |row| row.get(0))?;
        let ids = ids.collect::<rusqlite::Result<Vec<[u8; 16]>>>()?;
        drop(query);
        work.execute(
            "UPDATE peers SET read_to = max(read_to, ?2), told_to = max(told_to, ?2) WHERE id = ?1",
            params![peer, n],
        )?;
        work.commit()?;
        let Some(address) = address else { return Ok(Vec::new()) };
        Ok(ids.into_iter().rev().map(|id| (MessageId(Uuid::from_bytes(id)), address.clone())).collect())
    }

    /// Counts everything from `n` on as unread.
    pub(crate) fn mark_unread(&mut self, account: i64, key: &str, n: i64) -> Result<(), HistoryError> {
        self.db.execute(
            "UPDATE peers SET read_to = min(read_to, ?3 - 1) WHERE account = ?1 AND key = ?2",
            params![account, key, n],
        )?;
        Ok(())
    }

    /// Keeps what was chosen for a conversation.
    pub(crate) fn choose(&mut self, account: i64, peer: &Peer, chosen: Chosen) -> Result<(), HistoryError> {
        self.db.execute(
            "INSERT INTO peers (account, key, name, address, pinned, muted) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET pinned = excluded.pinned, muted = excluded.muted",
            params![account, peer.key, peer.name, peer.address, chosen.pinned, chosen.muted],
        )?;
        Ok(())
    }

    /// The states that a message of ours has come to.
    pub(crate) fn steps(&self, account: i64, n: i64) -> Result<Steps, HistoryError> {
        let mut query = self.db.prepare_cached(
            "SELECT steps.state, steps.time_ms FROM steps JOIN messages ON messages.n = steps.message
             WHERE messages.account = ?1 AND message = ?2 ORDER BY steps.n LIMIT ?3",
        )?;
        let rows = query.query_map(params![account, n, STEPS_MAX], |row| {
            Ok((Delivery::from_number(row.get(0)?), row.get(1)?))
        })?;
        Ok(Steps { n, steps: rows.collect::<rusqlite::Result<_>>()? })
    }

    /// Keeps what was typed and not sent.
    pub(crate) fn set_draft(&mut self, account: i64, peer: &Peer, draft: &str) -> Result<(), HistoryError> {
        self.db.execute(
            "INSERT INTO peers (account, key, name, address, draft) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET draft = excluded.draft",
            params![account, peer.key, peer.name, peer.address, draft],
        )?;
        Ok(())
    }

    pub(super) fn peer(&self, account: i64, key: &str) -> Result<Option<(i64, Peer)>, HistoryError> {
        let mut query = self
            .db
            .prepare_cached("SELECT id, key, name, address FROM peers WHERE account = ?1 AND key = ?2")?;
        let found = query.query_row(params![account, key], |row| {
            Ok((row.get(0)?, Peer { key: row.get(1)?, name: row.get(2)?, address: row.get(3)? }))
        });
        Ok(found.optional()?)
    }
}

/// The places of a list with commas.
fn places(list: &str) -> Vec<i64> {
    list.split(',').filter_map(|place| place.parse().ok()).collect()
}

fn message(row: &Row<'_>, peer: &Peer) -> rusqlite::Result<Message> {
    let id: Option<[u8; 16]> = row.get(2)?;
    Ok(Message {
        n: row.get(0)?,
        peer: peer.clone(),
        mine: row.get(1)?,
        id: id.map(|bytes| MessageId(Uuid::from_bytes(bytes))),
        text: shown(row.get_ref(3)?.as_str()?).into_owned(),
        time_ms: row.get(4)?,
        state: Delivery::from_number(row.get(5)?),
        reason: row.get(6)?,
    })
}
