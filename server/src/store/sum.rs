//! A row's checksum. SQLite keeps none: a flipped bit in a text is that text to it, one in a seq another message's.
//!
//! Every table of the schema ends with a column `sum` over the columns before it. Whoever writes a row writes its sum,
//! in Rust for the log, by the function `row_sum` in statements; the start compares all of them, and a row of the log
//! is compared again whenever it is read. 32 bits: this finds damage, not malice.

use std::hash::Hasher;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use siphasher::sip::SipHasher13;

use super::StoreError;
use super::sqlite::fault;

/// The sum of a row's values, in the order of its columns.
pub(super) fn of<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
    let mut hasher = SipHasher13::new();
    for value in values {
        match value {
            ValueRef::Null => hasher.write_u8(0),
            ValueRef::Integer(number) => hasher.write_u64(number as u64),
            ValueRef::Real(number) => hasher.write_u64(number.to_bits()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                hasher.write_u64(bytes.len() as u64);
                hasher.write(bytes);
            }
        }
    }
    // Numbers of 32 bits take four bytes in a row.
    i64::from(hasher.finish() as i32)
}

/// Checks a row whose last column is the sum of the `count` before it.
pub(super) fn check(row: &Row<'_>, count: usize, table: &str) -> Result<(), StoreError> {
    let mut unreadable = None;
    let values =
        (0..count).map_while(|column| row.get_ref(column).map_err(|error| unreadable = Some(error)).ok());
    let sum = of(values);
    if let Some(error) = unreadable {
        return Err(fault(error));
    }
    match row.get_ref(count).map_err(fault)? {
        ValueRef::Integer(kept) if kept == sum => Ok(()),
        _ => Err(damaged(table, row.get_ref(0).ok())),
    }
}

fn damaged(table: &str, key: Option<ValueRef<'_>>) -> StoreError {
    let which = match key {
        Some(ValueRef::Integer(id)) => format!("row {id}"),
        _ => "a row".to_owned(),
    };
    StoreError::Damaged(format!("{which} of the table {table} is damaged: it does not match its checksum"))
}

/// Makes `row_sum` known to a connection that writes.
pub(super) fn register(db: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("row_sum", -1, flags, |call| Ok(of((0..call.len()).map(|at| call.get_raw(at)))))
        .map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_differ_have_other_sums() {
        let sum = |values: &[ValueRef<'_>]| of(values.iter().copied());
        let (a, b) = (ValueRef::Text(b"a"), ValueRef::Blob(b""));
        let rows: [&[ValueRef<'_>]; 7] = [
            &[a, b],
            &[b, a],
            &[a, b, b],
            &[ValueRef::Text(b"ab"), b],
            &[ValueRef::Text(b"a\0"), b],
            &[ValueRef::Integer(97), b],
            &[ValueRef::Null, b],
        ];
        let sums: std::collections::HashSet<i64> = rows.iter().map(|row| sum(row)).collect();
        assert_eq!(sums.len(), rows.len());
    }

    /// What is on disks already has to keep its sums.
    #[test]
    fn the_sum_is_the_same_everywhere() {
        let values = [
            ValueRef::Integer(-1),
            ValueRef::Text("né".as_bytes()),
            ValueRef::Null,
            ValueRef::Blob(&[0, 255]),
        ];
        assert_eq!(of(values.into_iter()), SUM);
    }

    const SUM: i64 = 63_226_335;
}
