//! Rows of the tables as values, and values as parameters.

use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::{DeviceId, MessageId};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Row};
use uuid::Uuid;

use super::sqlite::{corrupt, fault};
use super::{
    AccountId, AccountRow, Batch, ClockNote, DeviceRow, Kind, LogRow, Origin, PasswordHash, RowId, Span,
    StoreError, TokenRow, Waiting, sum,
};

/// Columns of the log before its sum.
const LOG_COLUMNS: usize = 10;

pub(super) fn append_row(
    insert: &mut CachedStatement<'_>,
    batch: &Batch,
    row: &LogRow<Span>,
) -> rusqlite::Result<()> {
    let zeros = [0; 16];
    let (kind, sender, origin, count, body) = match &row.kind {
        Kind::Message { sender, origin, wanted } => {
            let (origin, counter) = match origin {
                Origin::Post(device, counter) => (&device.0, number(*counter)),
                Origin::Send(id) => (id.0.as_bytes(), 0),
            };
            (i64::from(*wanted), sender.0, origin, counter, row.text.of(&batch.words).as_bytes())
        }
        Kind::Receipt { device, id, state } => {
            let device = device.as_ref().map_or(&zeros, |device| &device.0);
            (2, 0, device, i64::from(state.byte()), id.0.as_bytes().as_slice())
        }
    };
    let values: [ValueRef<'_>; LOG_COLUMNS] = [
        ValueRef::Integer(number(row.row.0)),
        ValueRef::Integer(row.account.0),
        ValueRef::Integer(number(row.seq)),
        ValueRef::Integer(number(row.time_ms)),
        ValueRef::Integer(kind),
        ValueRef::Integer(sender),
        ValueRef::Blob(origin),
        ValueRef::Integer(count),
        ValueRef::Text(row.name.of(&batch.words).as_bytes()),
        ValueRef::Blob(body),
    ];
    for (place, value) in (1..).zip(values) {
        insert.raw_bind_parameter(place, ToSqlOutput::Borrowed(value))?;
    }
    insert.raw_bind_parameter(LOG_COLUMNS + 1, sum::of(values.into_iter()))?;
    insert.raw_execute().map(|_| ())
}

pub(super) fn account_row(row: &Row<'_>) -> Result<AccountRow, StoreError> {
    sum::check(row, 7, "account")?;
    let read = || -> rusqlite::Result<AccountRow> {
        Ok(AccountRow {
            id: AccountId(row.get(0)?),
            uuid: Uuid::from_bytes(row.get(1)?),
            name: row.get(2)?,
            folded: row.get(3)?,
            password: row.get::<_, Option<String>>(4)?.map(PasswordHash),
            reserved: unsigned(row.get(5)?),
            created_ms: unsigned(row.get(6)?),
        })
    };
    read().map_err(fault)
}

pub(super) fn device_row(row: &Row<'_>) -> Result<DeviceRow, StoreError> {
    sum::check(row, 7, "device")?;
    let read = || -> rusqlite::Result<DeviceRow> {
        Ok(DeviceRow {
            account: AccountId(row.get(0)?),
            device: DeviceId(row.get(1)?),
            floor: unsigned(row.get(2)?),
            ranges: ranges_from_bytes(row.get_ref(3)?.as_blob()?),
            receiving: row.get(4)?,
            seen_ms: unsigned(row.get(5)?),
        })
    };
    read().map_err(fault)
}

pub(super) fn token_row(row: &Row<'_>) -> Result<TokenRow, StoreError> {
    sum::check(row, 4, "token")?;
    let read = || -> rusqlite::Result<TokenRow> {
        Ok(TokenRow {
            hash: row.get(0)?,
            account: AccountId(row.get(1)?),
            device: DeviceId(row.get(2)?),
            expires_ms: row.get::<_, Option<i64>>(3)?.map(unsigned),
        })
    };
    read().map_err(fault)
}

/// All columns of the log, which match their sum; with the words given.
fn log_row<T>(row: &Row<'_>, body: &[u8], name: T, text: T) -> Result<LogRow<T>, StoreError> {
    sum::check(row, LOG_COLUMNS, "log")?;
    let origin: [u8; 16] = row.get(6).map_err(fault)?;
    let count: i64 = row.get(7).map_err(fault)?;
    let kind: i64 = row.get(4).map_err(fault)?;
    let kind = match kind {
        0 | 1 => Kind::Message {
            sender: AccountId(row.get(5).map_err(fault)?),
            origin: match count {
                0 => Origin::Send(MessageId(Uuid::from_bytes(origin))),
                counter => Origin::Post(DeviceId(origin), unsigned(counter)),
            },
            wanted: kind == 1,
        },
        2 => Kind::Receipt {
            device: (origin != [0; 16]).then_some(DeviceId(origin)),
            id: MessageId(Uuid::from_slice(body).map_err(corrupt)?),
            state: ReceiptState::from_byte(u8::try_from(count).map_err(corrupt)?),
        },
        other => return Err(StoreError::Damaged(format!("a row of kind {other} in the log"))),
    };
    Ok(LogRow {
        row: RowId(unsigned(row.get(0).map_err(fault)?)),
        account: AccountId(row.get(1).map_err(fault)?),
        seq: unsigned(row.get(2).map_err(fault)?),
        time_ms: unsigned(row.get(3).map_err(fault)?),
        kind,
        name,
        text,
    })
}

pub(super) fn whole_row<'a>(row: &'a Row<'_>) -> Result<LogRow<&'a str>, StoreError> {
    let body = body(row)?;
    let name = text(row, 8)?;
    let found = log_row(row, body, name, "")?;
    match found.kind {
        Kind::Message { .. } => Ok(LogRow { text: std::str::from_utf8(body).map_err(corrupt)?, ..found }),
        Kind::Receipt { .. } => Ok(found),
    }
}

/// A row without its words.
pub(super) fn waiting(row: &Row<'_>) -> Result<Waiting, StoreError> {
    let body = body(row)?;
    let row = log_row(row, body, (), ())?;
    let receipt = matches!(row.kind, Kind::Receipt { .. });
    Ok(Waiting { row, size: if receipt { 0 } else { body.len() } })
}

fn body<'a>(row: &'a Row<'_>) -> Result<&'a [u8], StoreError> {
    row.get_ref(9).map_err(fault)?.as_blob().map_err(corrupt)
}

pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    row.get_ref(column).map_err(fault)?.as_str().map_err(corrupt)
}

pub(super) fn ranges_to_bytes(ranges: &[(u64, u64)]) -> Vec<u8> {
    ranges.iter().flat_map(|(first, last)| [*first, *last]).flat_map(u64::to_be_bytes).collect()
}

pub(super) fn ranges_from_bytes(bytes: &[u8]) -> Vec<(u64, u64)> {
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap_or_default());
    bytes.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect()
}

pub(super) fn clock_to_bytes(note: &ClockNote) -> Vec<u8> {
    [note.wall_ms, note.doubt_ms].into_iter().flat_map(u64::to_be_bytes).collect()
}

pub(super) fn clock_from_bytes(bytes: &[u8]) -> Result<ClockNote, StoreError> {
    match ranges_from_bytes(bytes)[..] {
        [(wall_ms, doubt_ms)] if bytes.len() == 16 => Ok(ClockNote { wall_ms, doubt_ms }),
        _ => Err(StoreError::Corrupt("the note of the clock has another length".into())),
    }
}

/// Numbers on the wire stay below 2^63 (PROTOCOL.md 6), and so do rows.
pub(super) fn number(number: u64) -> i64 {
    number as i64
}

pub(super) fn unsigned(number: i64) -> u64 {
    number as u64
}
