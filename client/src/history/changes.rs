//! What a link writes down: many changes, one transaction.

use bellhop_protocol::post::Posted;
use bellhop_protocol::{DeviceId, MessageId};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::accounts::waiting_count;
use super::{History, HistoryError, Seat, keyed};
use crate::clock;
use crate::config::Role;
use crate::delivery::Delivery;
use crate::event::StateChange;
use crate::link::outbox::{Posting, Room};
use crate::link::{Change, Draft, Outcome, Received};
use crate::peer::Peer;
use crate::text::{Kind, clean};

/// Ids kept of what a device has shown; PROTOCOL.md, "DELIVER, MESSAGE and ACK".
pub(super) const SHOWN_MAX: i64 = 4_096;
/// Receipts kept for messages whose id is not known yet.
const EARLY_MAX: i64 = 4_096;

impl History {
    /// Makes all changes, or none; they are on the disk when this returns.
    pub(crate) fn apply(&mut self, seat: &Seat, changes: &[Change]) -> Result<Vec<Outcome>, HistoryError> {
        let work = self.write()?;
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            let outcome = apply(&work, seat, change)?;
            note_steps(&work, &outcome)?;
            outcomes.push(outcome);
        }
        if changes.iter().any(|change| matches!(change, Change::Incoming(_))) {
            forget_shown(&work, seat)?;
        }
        work.commit()?;
        Ok(outcomes)
    }

    /// Forgets messages of this device that were handed back when their write failed, and are on disk all the same.
    pub(crate) fn disown(&mut self, seat: &Seat, drafts: &[Draft]) -> Result<(), HistoryError> {
        let work = self.write()?;
        for draft in drafts {
            work.execute(
                "DELETE FROM messages WHERE n IN (
                     SELECT message FROM outbox WHERE device = ?1 AND address = ?2 AND text = ?3 AND written_ms = ?4)",
                params![seat.row, draft.to.address, draft.text, draft.time_ms],
            )?;
        }
        work.commit()?;
        Ok(())
    }
}

fn apply(db: &Connection, seat: &Seat, change: &Change) -> rusqlite::Result<Outcome> {
    match change {
        Change::Incoming(received) => incoming(db, seat, received).map(Outcome::Kept),
        Change::Lookup(received) => is_shown(db, seat, received.id).map(Outcome::Shown),
        Change::Passing { id, .. } => is_here(db, seat, *id).map(Outcome::Shown),
        Change::Receipt { id, peer, state, reason, .. } => match state {
            Some(state) => receipt(db, seat, *id, peer, *state, *reason).map(Outcome::States),
            None => Ok(Outcome::States(Vec::new())),
        },
        Change::Outgoing(draft) => outgoing(db, seat, draft).map(Outcome::Queued),
        Change::Number(room) => number(db, seat, *room),
        Change::Posted { n, id, time_ms, posted } => self::posted(db, seat, *n, *id, *time_ms, *posted),
        Change::Unclear { n, code, reason } => {
            let change = unclear(db, *n, reason)?.map(|change| StateChange { code: *code, ..change });
            Ok(Outcome::States(change.into_iter().collect()))
        }
        Change::Refused { n, code, reason } => refused(db, *n, *code, reason),
        Change::Unsure(rows) => unsure(db, rows),
        Change::Retry(n) => retry(db, seat, *n),
        Change::Withdraw(n) => withdraw(db, seat, *n),
        Change::PutBack { n, reason } => put_back(db, *n, reason.as_deref()),
        Change::Synced(_) => Ok(Outcome::Done),
        Change::Copied => {
            db.execute("UPDATE devices SET copied = 1 WHERE id = ?1", [seat.row])?;
            Ok(Outcome::Done)
        }
        Change::NewDevice => {
            db.execute("UPDATE outbox SET counter = NULL WHERE device = ?1", [seat.row])?;
            Ok(Outcome::Device(new_device(db, seat.row)?, Vec::new()))
        }
        Change::Token(token) => {
            let (token, from) = (token.map(|kept| kept.token.0), token.and_then(|kept| kept.origin.kept()));
            let keep = "UPDATE devices SET token = ?2, token_from = ?3 WHERE id = ?1";
            db.execute(keep, params![seat.row, token, from])?;
            Ok(Outcome::Done)
        }
        Change::Account { uuid, open } => {
            db.execute(
                "UPDATE accounts SET open = ?2 WHERE id = ?1 AND open IS NOT ?2 AND ?2 IS NOT NULL",
                params![seat.account, open],
            )?;
            db.execute(
                "UPDATE devices SET uuid = ?2 WHERE id = ?1 AND uuid IS NOT ?2",
                params![seat.row, uuid.as_bytes()],
            )?;
            Ok(Outcome::Done)
        }
        Change::NewAccount(uuid) => {
            leave_account(db, seat.row, *uuid).map(|(device, settled)| Outcome::Device(device, settled))
        }
    }
}

/// Keeps when a message of ours came to a state.
fn note_steps(db: &Connection, outcome: &Outcome) -> rusqlite::Result<()> {
    let steps: Vec<(i64, Delivery)> = match outcome {
        Outcome::States(changes) | Outcome::Device(_, changes) => {
            changes.iter().map(|change| (change.n, change.state)).collect()
        }
        Outcome::Numbered(postings, _) => {
            postings.iter().map(|posting| (posting.n, Delivery::Sending)).collect()
        }
        Outcome::Queued(n) => vec![(*n, Delivery::Outbox)],
        _ => return Ok(()),
    };
    let now = clock::wall_ms();
    let mut keep = db.prepare_cached(
        "INSERT INTO steps (message, n, state, time_ms)
         SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3 FROM steps WHERE message = ?1",
    )?;
    for (n, state) in steps {
        keep.execute(params![n, state.number(), now])?;
    }
    Ok(())
}

fn new_device(db: &Connection, row: i64) -> rusqlite::Result<DeviceId> {
    let device = DeviceId(clock::random());
    // Receipts are for the old one, which nobody will be again.
    db.execute("UPDATE messages SET awaits = NULL WHERE awaits = ?1", [row])?;
    db.execute(
        "UPDATE devices SET device = ?2, next_counter = 1, token = NULL, copied = 0 WHERE id = ?1",
        params![row, device.0],
    )?;
    Ok(device)
}

/// A device whose account is gone begins again as a new one. Returns what was settled with the old one.
pub(super) fn leave_account(
    db: &Connection,
    row: i64,
    successor: Option<Uuid>,
) -> rusqlite::Result<(DeviceId, Vec<StateChange>)> {
    let mut query = db.prepare("SELECT message FROM outbox WHERE device = ?1 AND counter IS NOT NULL")?;
    let flight = query.query_map([row], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut settled = Vec::new();
    for n in flight {
        settled.extend(unclear(db, n, "it was written under an account that is gone")?);
    }
    let device = new_device(db, row)?;
    let successor = successor.map(Uuid::into_bytes);
    db.execute("UPDATE devices SET uuid = ?2 WHERE id = ?1", params![row, successor])?;
    Ok((device, settled))
}

/// Settles a message of which nobody will ever know more: it may have arrived, and is not repeated by itself.
fn unclear(db: &Connection, n: i64, reason: &str) -> rusqlite::Result<Option<StateChange>> {
    db.prepare_cached("UPDATE outbox SET counter = NULL, parked = 1 WHERE message = ?1")?.execute([n])?;
    let changed = db
        .prepare_cached("UPDATE messages SET state = ?2, reason = ?3 WHERE n = ?1 AND state <= ?2")?
        .execute(params![n, Delivery::Unknown.number(), reason])?;
    let (id, reason) = (None, Some(reason.to_owned()));
    let change = StateChange { n, id, state: Delivery::Unknown, time_ms: 0, code: None, reason };
    Ok((changed > 0).then_some(change))
}

/// The row of a peer; the name and the address follow the latest spelling.
fn peer_row(db: &Connection, account: i64, peer: &Peer) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO peers (account, key, name, address) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET name = excluded.name, address = excluded.address
         RETURNING id",
    )?
    .query_row(params![account, peer.key, peer.name, peer.address], |row| row.get(0))
}

fn is_shown(db: &Connection, seat: &Seat, id: MessageId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM shown WHERE device = ?1 AND id = ?2)")?
        .query_row(params![seat.row, id.0.as_bytes()], |row| row.get(0))
}

/// True where any device of this home has brought the message.
fn is_here(db: &Connection, seat: &Seat, id: MessageId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM messages WHERE account = ?1 AND id = ?2 AND mine = 0)")?
        .query_row(params![seat.account, id.0.as_bytes()], |row| row.get(0))
}

fn incoming(db: &Connection, seat: &Seat, received: &Received) -> rusqlite::Result<Option<i64>> {
    let id = received.id.0.as_bytes();
    let new = db
        .prepare_cached(
            "INSERT INTO shown (device, n, id)
             SELECT ?1, coalesce(max(n), 0) + 1, ?2 FROM shown WHERE device = ?1 ON CONFLICT DO NOTHING",
        )?
        .execute(params![seat.row, id])?;
    if new == 0 {
        return Ok(None);
    }
    let peer = peer_row(db, seat.account, &received.from)?;
    // Another device of this home may have brought it before: then it has its place already.
    db.prepare_cached(
        "INSERT INTO messages (account, peer, mine, id, text, time_ms, state) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        seat.account,
        peer,
        id,
        received.text,
        received.time_ms,
        Delivery::Delivered.number()
    ])?;
    db.prepare_cached("SELECT n FROM messages WHERE account = ?1 AND id = ?2 AND mine = 0")?
        .query_row(params![seat.account, id], |row| row.get(0))
        .map(Some)
}

fn forget_shown(db: &Connection, seat: &Seat) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM shown WHERE device = ?1 AND n <= (SELECT max(n) FROM shown WHERE device = ?1) - ?2",
    )?
    .execute(params![seat.row, SHOWN_MAX])?;
    Ok(())
}

fn receipt(
    db: &Connection,
    seat: &Seat,
    id: MessageId,
    peer: &Peer,
    state: Delivery,
    reason: Option<&str>,
) -> rusqlite::Result<Vec<StateChange>> {
    let found = db
        .prepare_cached(
            "SELECT messages.n, peers.key FROM messages JOIN peers ON peers.id = messages.peer
             WHERE messages.account = ?1 AND messages.id = ?2 AND mine = 1",
        )?
        .query_row(params![seat.account, id.0.as_bytes()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    match found {
        // PROTOCOL.md, READ: a receipt whose id was not sent to this peer is ignored.
        Some((_, key)) if key != peer.key => Ok(Vec::new()),
        Some((n, _)) => advance(db, n, state, reason).map(|change| change.into_iter().collect()),
        None => {
            db.prepare_cached(
                "INSERT INTO early (account, id, peer_key, state, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                seat.account,
                id.0.as_bytes(),
                peer.key,
                state.number(),
                reason
            ])?;
            db.prepare_cached(
                "DELETE FROM early WHERE account = ?1 AND n <= (
                     SELECT n FROM early WHERE account = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![seat.account, EARLY_MAX])?;
            Ok(Vec::new())
        }
    }
}

/// Moves a message forward; `None` where it is that far already.
fn advance(
    db: &Connection,
    n: i64,
    state: Delivery,
    reason: Option<&str>,
) -> rusqlite::Result<Option<StateChange>> {
    let found = db
        .prepare_cached("SELECT state, id FROM messages WHERE n = ?1")?
        .query_row([n], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<[u8; 16]>>(1)?)))
        .optional()?;
    let Some((old, id)) = found else { return Ok(None) };
    let old = Delivery::from_number(old);
    let next = old.advance(state);
    if next == old {
        return Ok(None);
    }
    let ended = next >= Delivery::Returned;
    db.prepare_cached(
        "UPDATE messages SET state = ?2, reason = ?3, awaits = iif(?4, NULL, awaits) WHERE n = ?1",
    )?
    .execute(params![n, next.number(), reason, ended])?;
    let id = id.map(|bytes| MessageId(uuid::Uuid::from_bytes(bytes)));
    Ok(Some(StateChange { n, id, state: next, time_ms: 0, code: None, reason: reason.map(str::to_owned) }))
}

fn outgoing(db: &Connection, seat: &Seat, draft: &Draft) -> rusqlite::Result<i64> {
    let peer = peer_row(db, seat.account, &draft.to)?;
    let shown = clean(&draft.text, Kind::Body);
    db.prepare_cached(
        "INSERT INTO messages (account, peer, mine, text, time_ms, state) VALUES (?1, ?2, 1, ?3, ?4, ?5)",
    )?
    .execute(params![seat.account, peer, shown, draft.time_ms, Delivery::Outbox.number()])?;
    let n = db.last_insert_rowid();
    db.prepare_cached(
        "INSERT INTO outbox (message, device, receipts, address, text, written_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        n,
        seat.row,
        draft.receipts,
        draft.to.address.as_deref().unwrap_or(""),
        draft.text,
        draft.time_ms
    ])?;
    keyed::keep(db, seat.account, draft, n)?;
    Ok(n)
}

fn number(db: &Connection, seat: &Seat, room: Room) -> rusqlite::Result<Outcome> {
    let mut counter: i64 = db
        .prepare_cached("SELECT next_counter FROM devices WHERE id = ?1")?
        .query_row([seat.row], |row| row.get(0))?;
    let mut postings = Vec::new();
    let mut bytes = 0;
    let mut waiting = db.prepare_cached(
        "SELECT message, receipts, address, text FROM outbox
         WHERE device = ?1 AND counter IS NULL AND NOT parked ORDER BY message LIMIT ?2",
    )?;
    let mut rows = waiting.query(params![seat.row, room.messages.cast_signed()])?;
    while let Some(row) = rows.next()?
        && bytes < room.bytes
    {
        let (n, text): (i64, String) = (row.get(0)?, row.get(3)?);
        bytes += text.len();
        let counter = counter.cast_unsigned() + postings.len() as u64;
        postings.push(Posting { n, counter, receipts: row.get(1)?, to: row.get(2)?, text });
    }
    for posting in &postings {
        db.prepare_cached("UPDATE outbox SET counter = ?2 WHERE message = ?1")?
            .execute(params![posting.n, counter])?;
        advance(db, posting.n, Delivery::Sending, None)?;
        counter += 1;
    }
    db.prepare_cached("UPDATE devices SET next_counter = ?2 WHERE id = ?1")?
        .execute(params![seat.row, counter])?;
    Ok(Outcome::Numbered(postings, waiting_count(db, seat.row)?))
}

/// Forgets a message that nobody is about to send: one that was refused, or one of this device's own that waits.
fn withdraw(db: &Connection, seat: &Seat, n: i64) -> rusqlite::Result<Outcome> {
    db.prepare_cached(
        "DELETE FROM messages WHERE n IN (
             SELECT message FROM outbox WHERE message = ?1
                 AND iif(parked, state = ?3, counter IS NULL AND device = ?2))",
    )?
    .execute(params![n, seat.row, Delivery::Failed.number()])?;
    waiting_count(db, seat.row).map(Outcome::Waiting)
}

fn put_back(db: &Connection, n: i64, reason: Option<&str>) -> rusqlite::Result<Outcome> {
    db.prepare_cached("UPDATE outbox SET counter = NULL WHERE message = ?1")?.execute([n])?;
    db.prepare_cached("UPDATE messages SET state = ?2, reason = ?3 WHERE n = ?1")?.execute(params![
        n,
        Delivery::Outbox.number(),
        reason
    ])?;
    Ok(Outcome::Queued(n))
}

fn posted(
    db: &Connection,
    seat: &Seat,
    n: i64,
    id: MessageId,
    time_ms: i64,
    posted: Posted,
) -> rusqlite::Result<Outcome> {
    // A server that gives one id to two messages: the second stays without, and gets no receipts.
    let named = db
        .prepare_cached(
            "UPDATE OR IGNORE messages SET id = ?2, time_ms = CASE WHEN ?3 > 0 THEN ?3 ELSE time_ms END WHERE n = ?1",
        )?
        .execute(params![n, id.0.as_bytes(), time_ms])?;
    if named == 0 && posted == Posted::SeenBefore {
        let change = unclear(db, n, "the server took it for another message")?;
        return Ok(Outcome::States(change.into_iter().collect()));
    }
    db.prepare_cached(
        "UPDATE messages SET awaits = ?2 WHERE n IN (SELECT message FROM outbox WHERE message = ?1 AND receipts)",
    )?
    .execute(params![n, seat.row])?;
    // A short command may end before it knows: the next run of the same one is told.
    db.prepare_cached(match Role::of(&seat.role) {
        Role::Send => "UPDATE outbox SET counter = NULL, parked = 1 WHERE message = ?1",
        _ => "DELETE FROM outbox WHERE message = ?1",
    })?
    .execute([n])?;
    let state = if posted == Posted::Stored { Delivery::Queued } else { Delivery::Sent };
    let mut last = advance(db, n, state, None)?;
    let mut early = db.prepare_cached(
        "DELETE FROM early WHERE account = ?1 AND id = ?2 AND peer_key = (
             SELECT key FROM peers JOIN messages ON messages.peer = peers.id WHERE messages.n = ?3)
         RETURNING state, reason",
    )?;
    let rows = early.query_map(params![seat.account, id.0.as_bytes(), n], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        let (state, reason) = row;
        last = advance(db, n, Delivery::from_number(state), reason.as_deref())?.or(last);
    }
    let told = last.map(|change| StateChange { id: Some(id), time_ms, ..change });
    Ok(Outcome::States(told.into_iter().collect()))
}

fn refused(db: &Connection, n: i64, code: bellhop_protocol::Code, reason: &str) -> rusqlite::Result<Outcome> {
    db.prepare_cached("UPDATE outbox SET counter = NULL, parked = 1 WHERE message = ?1")?.execute([n])?;
    let change = advance(db, n, Delivery::Failed, Some(reason))?;
    let change = change.map(|change| StateChange { code: Some(code), ..change });
    Ok(Outcome::States(change.into_iter().collect()))
}

fn unsure(db: &Connection, rows: &[i64]) -> rusqlite::Result<Outcome> {
    let mut changes = Vec::new();
    for n in rows {
        changes.extend(advance(db, *n, Delivery::Unknown, None)?);
    }
    Ok(Outcome::States(changes))
}

fn retry(db: &Connection, seat: &Seat, n: i64) -> rusqlite::Result<Outcome> {
    let parked = db
        .prepare_cached(
            "UPDATE outbox SET parked = 0, device = ?2
             WHERE parked AND message IN (SELECT n FROM messages WHERE n = ?1 AND state <= ?3)",
        )?
        .execute(params![n, seat.row, Delivery::Failed.number()])?;
    if parked == 0 {
        return Ok(Outcome::Done);
    }
    db.prepare_cached("UPDATE messages SET state = ?2, reason = NULL WHERE n = ?1")?
        .execute(params![n, Delivery::Outbox.number()])?;
    Ok(Outcome::Queued(n))
}
