//! Sound databases, and what is found in those that are not.

use super::*;
use crate::store::sqlite::{Loss, Seed, SqliteStore, Sync};
use crate::store::{
    AccountId, AccountRow, Batch, DeviceRow, Kind, LogRow, Origin, RowId, Store, TokenRow, Write,
};

/// A sound database with two accounts, a device, a token, a message and a receipt.
fn database(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("bellhop.db");
    let seed = Seed { node: "n-1".into(), id_key: [7; 16] };
    let mut store = SqliteStore::open(&path, Sync::Always, seed, Loss::Refuse).unwrap();
    let mut batch = Batch::default();
    for (id, name) in [(1, "Alice"), (2, "bob")] {
        batch.push(Write::AddAccount(AccountRow {
            id: AccountId(id),
            uuid: uuid::Uuid::from_u128(id as u128),
            name: name.into(),
            folded: name.to_lowercase(),
            password: None,
            reserved: 1_024,
            created_ms: 1,
        }));
    }
    let (account, device) = (AccountId(1), bellhop_protocol::DeviceId([9; 16]));
    let ranges = vec![(12, 14), (20, 20)];
    batch.push(Write::SaveDevice(DeviceRow {
        account,
        device,
        floor: 10,
        ranges,
        receiving: true,
        seen_ms: 1,
    }));
    batch.push(Write::SaveToken(TokenRow { hash: [3; 32], account, device, expires_ms: None }));
    let (name, text) = (batch.keep("bob"), batch.keep("hi"));
    let sent = Kind::Message { sender: AccountId(2), origin: Origin::Post(device, 1), wanted: true };
    let id = bellhop_protocol::MessageId(uuid::Uuid::from_u128(5));
    let told = Kind::Receipt { device: None, id, state: bellhop_protocol::item::ReceiptState::Read };
    for (row, kind) in [(1, sent), (2, told)] {
        let row = LogRow { row: RowId(row), account, seq: 10 + row, time_ms: 1, kind, name, text };
        batch.push(Write::Append(row));
    }
    store.commit(&batch).unwrap();
    store.close().unwrap();
    path
}

fn findings(path: &Path) -> (Counts, Vec<String>) {
    let mut found = Vec::new();
    let counts = check(path, |_| {}, &mut |finding| found.push(finding)).unwrap();
    (counts, found)
}

#[test]
fn a_sound_database_has_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let expected = Counts { accounts: 2, devices: 1, messages: 1, receipts: 1, tokens: 1 };
    assert_eq!(findings(&database(folder.path())), (expected, vec![]));
}

#[test]
fn what_does_not_fit_together_is_found() {
    for (harm, expected) in [
        ("DELETE FROM meta WHERE name = 'node'", "does not tell its node"),
        ("UPDATE meta SET value = x'00' WHERE name = 'id-key'", "1 bytes in place of 16"),
        (
            "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'account'",
            "account 2 has a number that may be given",
        ),
        ("UPDATE account SET uuid = x'00' WHERE id = 1", "account 1 has no uuid"),
        ("UPDATE account SET uuid = (SELECT uuid FROM account WHERE id = 1)", "2 accounts have one uuid"),
        ("UPDATE account SET folded = 'Alice' WHERE id = 1", "is looked up as \"Alice\""),
        ("UPDATE account SET name = 'a b' WHERE id = 1", "has the name \"a b\": a name holds no spaces"),
        ("UPDATE account SET reserved = 9 WHERE id = 1", "seq 11, beyond the 9"),
        ("UPDATE account SET reserved = 9 WHERE id = 1", "has acknowledged seq 10, beyond the 9"),
        ("UPDATE account SET reserved = 13 WHERE id = 1", "acknowledged ranges that are none"),
        ("INSERT INTO grave (account, name) VALUES (1, 'alice')", "account 1 is both there and deleted"),
        ("UPDATE log SET account = 3 WHERE id = 1", "is for account 3, which was never made"),
        ("UPDATE log SET sender = 0 WHERE id = 1", "is from account 0, which was never made"),
        ("UPDATE log SET seq = 12", "2 rows of the log have seq 12 of account 1"),
        ("UPDATE log SET kind = 7 WHERE id = 1", "row 1 of the log is of kind 7"),
        ("UPDATE log SET origin = x'' WHERE id = 1", "row 1 of the log does not tell its origin"),
        ("UPDATE log SET body = x'FF' WHERE id = 1", "row 1 of the log cannot be read"),
        ("UPDATE log SET body = x'00' WHERE id = 2", "row 2 of the log cannot be read"),
        ("UPDATE device SET account = 3", "a device of account 3 belongs to nobody"),
        ("UPDATE device SET id = x'00'", "an id of 1 bytes"),
        ("UPDATE device SET ranges = x'00'", "acknowledged ranges that are none"),
        ("UPDATE device SET floor = 12", "acknowledged ranges that are none"),
        ("UPDATE device SET counters = x'00'", "has counters that are none"),
        ("UPDATE token SET account = 3", "a token of account 3 belongs to nobody"),
        ("UPDATE token SET device = x'00'", "no hash or no device"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path());
        Connection::open(&path).unwrap().execute_batch(harm).unwrap();
        let (_, found) = findings(&path);
        assert!(found.iter().any(|finding| finding.contains(expected)), "{harm}: {found:?}");
    }
}

#[test]
fn many_findings_of_a_kind_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let many = "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 124)
                INSERT INTO log (id, account, seq, time_ms, kind, sender, origin, number, name, body)
                SELECT i, 77, i, 1, 2, 0, zeroblob(16), 1, 'bob', zeroblob(16) FROM n";
    Connection::open(&path).unwrap().execute_batch(many).unwrap();
    let (_, found) = findings(&path);
    // Nobody was ever made whose rows they are, and they have no checksums.
    assert_eq!((found.len(), found[10].as_str()), (22, "and 15 more like this"), "{found:?}");
}

#[test]
fn a_damaged_page_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    // The second page: a tree's root.
    bytes[4_096..4_196].fill(0xFF);
    std::fs::write(&path, bytes).unwrap();
    let mut found = Vec::new();
    match check(&path, |_| {}, &mut |finding| found.push(finding)) {
        Ok(_) => assert!(found.iter().any(|finding| finding.starts_with("SQLite: ")), "{found:?}"),
        Err(error) => assert!(matches!(error, StoreError::Corrupt(_)), "{error}"),
    }
}
