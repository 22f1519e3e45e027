//! Looking for words in what was said. The history is walked from its end in bounded pieces, so whoever asks may stop
//! after each, and a piece costs the same however long the history is.

use rusqlite::params;

use super::{History, HistoryError};
use crate::event::{Found, Hit};
use crate::peer::Peer;
use crate::text::seek::Seek;

/// Messages looked at in one piece.
pub(crate) const PIECE: i64 = 10_000;
/// Messages found in one piece at most.
pub(crate) const HITS_MAX: usize = 500;

/// What is looked for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Comes back with what was found.
    pub tag: u64,
    /// The conversation; `None` for all of them.
    pub key: Option<String>,
    /// The words.
    pub text: String,
    /// Only messages before this place.
    pub before: i64,
}

impl History {
    /// What a piece of the history before `query.before` holds.
    pub(crate) fn search(&self, account: i64, query: &Query) -> Result<Found, HistoryError> {
        let mut found = Found { tag: query.tag, hits: Vec::new(), next: None };
        let Some(seek) = Seek::new(&query.text) else { return Ok(found) };
        let peer = match &query.key {
            None => None,
            Some(key) => match self.peer(account, key)? {
                None => return Ok(found),
                Some((id, _)) => Some(id),
            },
        };
        let sql = if peer.is_some() {
            "SELECT n, text, key, name, address FROM messages JOIN peers ON peers.id = peer
             WHERE peer = ?2 AND messages.account = ?1 AND n < ?3 ORDER BY n DESC LIMIT ?4"
        } else {
            "SELECT n, text, key, name, address FROM messages JOIN peers ON peers.id = peer
             WHERE ?2 IS NULL AND messages.account = ?1 AND n < ?3 ORDER BY n DESC LIMIT ?4"
        };
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![account, peer, query.before, PIECE])?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            let n: i64 = row.get(0)?;
            looked_at += 1;
            if seek.first(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?).is_some() {
                let peer = Peer { key: row.get(2)?, name: row.get(3)?, address: row.get(4)? };
                found.hits.push(Hit { n, peer });
            }
            if looked_at == PIECE || found.hits.len() == HITS_MAX {
                found.next = Some(n);
                break;
            }
        }
        Ok(found)
    }
}
