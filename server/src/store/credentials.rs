//! What lets people in, in an SQLite file: passwords, tokens, and the names that nobody may take for a while.

use rusqlite::{Connection, named_params, params};

use super::rows::{number, unsigned};
use super::sqlite::fault;
use super::{AccountId, StoreError, TokenRow, Write, sum};
use bellhop_protocol::DeviceId;

/// Makes one of these writes; another one is none of its business.
pub(super) fn apply(db: &Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::SetPassword(id, hash) => execute(
            db,
            "UPDATE account SET password = ?2, sum = row_sum(id, uuid, name, folded, ?2, reserved, created_ms)
             WHERE id = ?1",
            params![id.0, hash.as_ref().map(|hash| &hash.0)],
        ),
        Write::HoldName(folded, until_ms) => execute(
            db,
            "INSERT INTO held (folded, until_ms, sum) VALUES (?1, ?2, row_sum(?1, ?2))
             ON CONFLICT (folded) DO UPDATE SET until_ms = ?2, sum = row_sum(?1, ?2)",
            params![folded, number(*until_ms)],
        ),
        Write::ReleaseNames(until_ms) => {
            execute(db, "DELETE FROM held WHERE until_ms <= ?1", params![number(*until_ms)])
        }
        Write::SaveToken(token) => save_token(db, token),
        Write::DropTokens { account, device, except } => {
            drop_tokens(db, *account, device.as_ref(), except.as_ref())
        }
        _ => Ok(()),
    }
}

fn execute(db: &Connection, sql: &str, params: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute(params).map(|_| ())
}

fn save_token(db: &Connection, token: &TokenRow) -> rusqlite::Result<()> {
    execute(
        db,
        "INSERT INTO token (hash, account, device, expires_ms, sum)
         VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?3, ?4))
         ON CONFLICT (hash) DO UPDATE SET expires_ms = ?4, sum = row_sum(hash, account, device, ?4)",
        params![
            token.hash.as_slice(),
            token.account.0,
            token.device.0.as_slice(),
            token.expires_ms.map(number)
        ],
    )
}

fn drop_tokens(
    db: &Connection,
    account: AccountId,
    device: Option<&DeviceId>,
    except: Option<&[u8; 32]>,
) -> rusqlite::Result<()> {
    let mut drop = db.prepare_cached(
        "DELETE FROM token WHERE account = :account
         AND (:device IS NULL OR device = :device) AND (:except IS NULL OR hash <> :except)",
    )?;
    let count = drop.execute(named_params! {
        ":account": account.0,
        ":device": device.map(|device| device.0.as_slice()),
        ":except": except.map(|hash| hash.as_slice()),
    });
    count.map(|_| ())
}

/// Until when a folded name is held, where it is.
pub(super) fn held(db: &Connection, folded: &str) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT folded, until_ms, sum FROM held WHERE folded = ?1";
    let mut query = db.prepare_cached(sql).map_err(fault)?;
    let mut found = query.query([folded]).map_err(fault)?;
    let Some(row) = found.next().map_err(fault)? else { return Ok(None) };
    sum::check(row, 2, "held")?;
    Ok(Some(unsigned(row.get(1).map_err(fault)?)))
}
