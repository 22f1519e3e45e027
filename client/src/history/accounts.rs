//! Who logs in, and the devices: what lets a login and a message be repeated after a crash.

use bellhop_protocol::session::SessionToken;
use bellhop_protocol::{DeviceId, Username};
use rusqlite::{Connection, OptionalExtension, params};

use uuid::Uuid;

use super::changes::leave_account;
use super::left::forget_untold;
use super::{History, HistoryError};
use crate::clock;
use crate::delivery::Delivery;
use crate::event::Unsettled;
use crate::link::dial::Origin;
use crate::link::outbox::Posting;

/// The server of whoever logged in last.
pub(crate) const LAST_SERVER: &str = "last-server";
/// Whoever logged in last.
pub(crate) const LAST_USER: &str = "last-user";

/// A row of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) server: String,
    pub(crate) user: String,
    /// The last login needed no password.
    pub(crate) open: bool,
}

/// What is to come for a device, or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Messages that wait or were not answered.
    pub(crate) unsettled: bool,
    /// Receipts, which the server keeps for this device alone.
    pub(crate) receipts: bool,
    /// Rises with every use of any device.
    pub(crate) used: i64,
}

/// A token, and the server that gave it: to any other it is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) token: SessionToken,
    pub(crate) origin: Origin,
}

/// A device of an account: what a program needs to be it.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) account: i64,
    pub(crate) row: i64,
    pub(crate) role: String,
    pub(crate) device: DeviceId,
    /// Somebody has a copy of the id.
    pub(crate) copied: bool,
    /// The account that it last logged in as.
    pub(crate) uuid: Option<Uuid>,
    pub(crate) next_counter: u64,
    pub(crate) token: Option<Kept>,
    /// Its messages that have counters.
    pub(crate) outbox: Vec<Posting>,
    /// How many of its messages wait for one.
    pub(crate) waiting: u64,
    /// Both, as an earlier run left them.
    pub(crate) unsettled: Vec<Unsettled>,
}

impl History {
    /// The account of `user` at `server`, made where it is not known yet.
    pub(crate) fn account(&mut self, server: &str, user: &Username) -> Result<Account, HistoryError> {
        let key = user.as_name().key().into_string();
        self.db.execute(
            "INSERT INTO accounts (server, user_key, user) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![server, key, user.as_str()],
        )?;
        let found = self.find_account(server, user)?;
        found.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// The account of `user` at `server`, where it is known.
    pub(crate) fn find_account(
        &self,
        server: &str,
        user: &Username,
    ) -> Result<Option<Account>, HistoryError> {
        let key = user.as_name().key().into_string();
        let mut query = self
            .db
            .prepare("SELECT id, server, user, open FROM accounts WHERE server = ?1 AND user_key = ?2")?;
        let found = query.query_row(params![server, key], |row| {
            Ok(Account { id: row.get(0)?, server: row.get(1)?, user: row.get(2)?, open: row.get(3)? })
        });
        Ok(found.optional()?)
    }

    /// The device that plays `role`, made where there is none. What it had on the wire is unknown from now on.
    pub(crate) fn seat(&mut self, account: i64, role: &str) -> Result<Seat, HistoryError> {
        let fresh = DeviceId(clock::random());
        let work = self.write()?;
        work.execute(
            "INSERT INTO devices (account, role, device) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![account, role, fresh.0],
        )?;
        let mut seat = work.query_row(
            "SELECT id, device, next_counter, token, uuid, copied, token_from FROM devices
             WHERE account = ?1 AND role = ?2",
            params![account, role],
            |row| {
                Ok(Seat {
                    account,
                    row: row.get(0)?,
                    role: role.to_owned(),
                    device: DeviceId(row.get(1)?),
                    next_counter: row.get::<_, i64>(2)?.max(1).cast_unsigned(),
                    token: kept(row.get(3)?, row.get(6)?),
                    uuid: row.get::<_, Option<[u8; 16]>>(4)?.map(Uuid::from_bytes),
                    copied: row.get(5)?,
                    outbox: Vec::new(),
                    waiting: 0,
                    unsettled: Vec::new(),
                })
            },
        )?;
        work.execute(
            "UPDATE devices SET used = (SELECT max(used) + 1 FROM devices) WHERE id = ?1",
            [seat.row],
        )?;
        work.execute(
            "UPDATE messages SET state = ?2
             WHERE state = ?3 AND n IN (SELECT message FROM outbox WHERE device = ?1)",
            params![seat.row, Delivery::Unknown.number(), Delivery::Sending.number()],
        )?;
        forget_untold(&work, seat.row)?;
        seat.outbox = outbox(&work, seat.row)?;
        seat.waiting = waiting_count(&work, seat.row)?;
        seat.unsettled = unsettled(&work, seat.row)?;
        work.commit()?;
        Ok(seat)
    }

    /// The roles that were ever taken for an account: role, has a token, what is to come.
    pub(crate) fn roles(&self, account: i64) -> Result<Vec<(String, bool, Standing)>, HistoryError> {
        let mut query = self.db.prepare(
            "SELECT role, token IS NOT NULL,
                 EXISTS (SELECT 1 FROM outbox WHERE outbox.device = devices.id AND NOT parked),
                 EXISTS (SELECT 1 FROM messages WHERE awaits = devices.id), used
             FROM devices WHERE account = ?1 ORDER BY role",
        )?;
        let rows = query.query_map([account], |row| {
            let standing = Standing { unsettled: row.get(2)?, receipts: row.get(3)?, used: row.get(4)? };
            Ok((row.get(0)?, row.get(1)?, standing))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets the tokens of an account.
    pub(crate) fn forget_tokens(&mut self, account: i64) -> Result<(), HistoryError> {
        self.db.execute("UPDATE devices SET token = NULL WHERE account = ?1", [account])?;
        Ok(())
    }

    /// The account is gone: its devices begin again as new ones, and nothing of theirs goes out by itself any more.
    /// What was said stays to be read.
    pub(crate) fn forget_devices(&mut self, account: i64) -> Result<(), HistoryError> {
        let work = self.write()?;
        let mut query = work.prepare("SELECT id FROM devices WHERE account = ?1")?;
        let devices =
            query.query_map([account], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        drop(query);
        for device in devices {
            leave_account(&work, device, None)?;
            work.execute(
                "UPDATE messages SET state = ?2, reason = 'the account was deleted'
                 WHERE n IN (SELECT message FROM outbox WHERE device = ?1 AND NOT parked)",
                params![device, Delivery::Failed.number()],
            )?;
            work.execute("UPDATE outbox SET parked = 1 WHERE device = ?1", [device])?;
        }
        work.commit()?;
        Ok(())
    }

    /// Remembers whom to act as from now on, and where.
    pub(crate) fn remember(&mut self, account: i64) -> Result<(), HistoryError> {
        let work = self.write()?;
        for (key, column) in [(LAST_SERVER, "server"), (LAST_USER, "user")] {
            work.execute(
                &format!(
                    "REPLACE INTO settings (key, value) SELECT ?1, {column} FROM accounts WHERE id = ?2"
                ),
                params![key, account],
            )?;
        }
        work.commit()?;
        Ok(())
    }

    /// What was remembered under `key`.
    pub(crate) fn setting(&self, key: &str) -> Result<Option<String>, HistoryError> {
        let mut query = self.db.prepare("SELECT value FROM settings WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Forgets what was remembered under `key`.
    pub(crate) fn forget(&mut self, key: &str) -> Result<(), HistoryError> {
        self.db.execute("DELETE FROM settings WHERE key = ?1", [key])?;
        Ok(())
    }
}

/// How many messages of a device wait for a counter.
pub(super) fn waiting_count(db: &Connection, device: i64) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT count(*) FROM outbox WHERE device = ?1 AND counter IS NULL AND NOT parked")?
        .query_row([device], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

fn outbox(db: &Connection, device: i64) -> rusqlite::Result<Vec<Posting>> {
    let mut query = db.prepare(
        "SELECT message, counter, receipts, address, text FROM outbox
         WHERE device = ?1 AND counter IS NOT NULL ORDER BY counter",
    )?;
    let rows = query.query_map([device], |row| {
        Ok(Posting {
            n: row.get(0)?,
            counter: row.get::<_, i64>(1)?.cast_unsigned(),
            receipts: row.get(2)?,
            to: row.get(3)?,
            text: row.get(4)?,
        })
    })?;
    rows.collect()
}

fn unsettled(db: &Connection, device: i64) -> rusqlite::Result<Vec<Unsettled>> {
    let mut query = db.prepare(
        "SELECT message, address, text FROM outbox
         WHERE device = ?1 AND NOT parked ORDER BY counter IS NULL, counter, message",
    )?;
    let rows = query
        .query_map([device], |row| Ok(Unsettled { n: row.get(0)?, to: row.get(1)?, text: row.get(2)? }))?;
    rows.collect()
}

/// A token whose origin cannot be read is none: it could go anywhere.
fn kept(token: Option<[u8; 32]>, origin: Option<String>) -> Option<Kept> {
    let origin = Origin::read(origin.as_deref())?;
    Some(Kept { token: SessionToken(token?), origin })
}
