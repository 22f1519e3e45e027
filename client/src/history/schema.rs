//! The tables, and the way from an older version to this one.

use rusqlite::{Connection, TransactionBehavior};

use super::HistoryError;

/// One entry a version: the statements that lead to it from the version before.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE settings (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;

    -- Whom a program was ever to act as, and where; open, that the last login needed no password.
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY,
        server TEXT NOT NULL,
        user_key TEXT NOT NULL,
        user TEXT NOT NULL,
        open INTEGER NOT NULL DEFAULT 0,
        UNIQUE (server, user_key)
    );

    -- A program that may run beside others is a device of its own. An id is never used twice: a program may hold one
    -- whose row has gone. The uuid is the account's that the device last logged in as; used rises with every use.
    CREATE TABLE devices (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        role TEXT NOT NULL,
        device BLOB NOT NULL,
        next_counter INTEGER NOT NULL DEFAULT 1,
        token BLOB,
        uuid BLOB,
        copied INTEGER NOT NULL DEFAULT 0,
        used INTEGER NOT NULL DEFAULT 0,
        UNIQUE (account, role)
    );

    CREATE TABLE peers (
        id INTEGER PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        key TEXT NOT NULL,
        name TEXT NOT NULL,
        address TEXT,
        read_to INTEGER NOT NULL DEFAULT 0,
        draft TEXT NOT NULL DEFAULT '',
        UNIQUE (account, key)
    );

    -- n is never used twice: places in a conversation are kept by it. A receipt is still to come for the device that
    -- awaits it.
    CREATE TABLE messages (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        peer INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
        mine INTEGER NOT NULL,
        id BLOB,
        text TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        state INTEGER NOT NULL,
        reason TEXT,
        awaits INTEGER REFERENCES devices ON DELETE SET NULL
    );
    CREATE INDEX messages_awaited ON messages (awaits) WHERE awaits IS NOT NULL;
    CREATE INDEX messages_by_peer ON messages (peer, n);
    CREATE INDEX messages_unread ON messages (peer, mine, n);
    CREATE UNIQUE INDEX messages_by_id ON messages (account, id, mine) WHERE id IS NOT NULL;

    -- A message on its way: a counter means that it may have been on the wire; parked, that nobody is about to send it.
    CREATE TABLE outbox (
        message INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
        device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
        counter INTEGER,
        parked INTEGER NOT NULL DEFAULT 0,
        receipts INTEGER NOT NULL,
        address TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE INDEX outbox_by_device ON outbox (device, counter, message);

    -- The ids a device has shown, the last ones; n counts them without gaps.
    CREATE TABLE shown (
        device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
        n INTEGER NOT NULL,
        id BLOB NOT NULL,
        PRIMARY KEY (device, n),
        UNIQUE (device, id)
    ) WITHOUT ROWID;

    -- Receipts that came before the answer which tells a message's id.
    CREATE TABLE early (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        id BLOB NOT NULL,
        peer_key TEXT NOT NULL,
        state INTEGER NOT NULL,
        reason TEXT
    );
    CREATE INDEX early_by_id ON early (account, id);
",
    "
    -- When it was written, on the clock here; the server's may show another time. Since then a short command's message
    -- also stays parked here when it has ended, until that command was told.
    ALTER TABLE outbox ADD COLUMN written_ms INTEGER NOT NULL DEFAULT 0;
    UPDATE outbox SET written_ms = (SELECT time_ms FROM messages WHERE n = message);
",
    "
    -- The identity of the server that gave the token, which is shown to no other; nothing for one on this machine.
    ALTER TABLE devices ADD COLUMN token_from TEXT;
",
    "
    -- What a script calls a message, so that it is sent once; what says that the same one is meant is a hash of
    -- recipient and text.
    CREATE TABLE keyed (
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        key TEXT NOT NULL,
        message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        digest BLOB NOT NULL,
        PRIMARY KEY (account, key)
    ) WITHOUT ROWID;
    CREATE INDEX keyed_by_message ON keyed (message);
",
    "
    -- What a person has chosen for a conversation. Of what is counted as unread again, the sender was told before that
    -- it was read: up to told_to.
    ALTER TABLE peers ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE peers ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE peers ADD COLUMN told_to INTEGER NOT NULL DEFAULT 0;
    UPDATE peers SET told_to = read_to;
    CREATE INDEX messages_failed ON messages (peer, n) WHERE mine = 1 AND state = 3;

    -- Which state a message of ours came to when, on the clock here.
    CREATE TABLE steps (
        message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        n INTEGER NOT NULL,
        state INTEGER NOT NULL,
        time_ms INTEGER NOT NULL,
        PRIMARY KEY (message, n)
    ) WITHOUT ROWID;
",
];

/// Brings `db` to the latest version, all or nothing; programs that start together wait for each other.
pub(super) fn migrate(db: &mut Connection) -> Result<(), HistoryError> {
    let known = STEPS.len() as i64;
    if version(db)? == known {
        return Ok(());
    }
    let work = db.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found = version(&work)?;
    if found > known {
        return Err(HistoryError::Newer { found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        work.execute_batch(step)?;
    }
    work.pragma_update(None, "user_version", known)?;
    work.commit()?;
    Ok(())
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}
