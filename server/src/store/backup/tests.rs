//! Copies that are made while writers go on, and starts from them.

use std::cell::RefCell;

use super::*;
use crate::store::sqlite::{Loss, Seed, SqliteStore, Sync};
use crate::store::{AccountId, AccountRow, Batch, Kind, LogRow, Origin, RowId, Store, Write};

const NOW_MS: u64 = 1_800_000_000_000;

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Sync::WhenDurable, Seed { node: "n-1".into(), id_key: [7; 16] }, Loss::Refuse)
        .unwrap()
}

/// A database with one account in a folder of its own.
fn database() -> (tempfile::TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bellhop.db");
    let mut store = open(&path);
    let mut batch = Batch::default();
    batch.push(Write::AddAccount(AccountRow {
        id: AccountId(1),
        uuid: uuid::Uuid::from_u128(1),
        name: "alice".into(),
        folded: "alice".into(),
        password: None,
        reserved: 1_000_000,
        created_ms: 1,
    }));
    store.commit(&batch).unwrap();
    (folder, path, store)
}

/// Appends so many rows of a thousand bytes.
fn append(store: &mut SqliteStore, rows: std::ops::Range<u64>) {
    let mut batch = Batch::default();
    let (name, text) = (batch.keep("alice"), batch.keep(&"x".repeat(1_000)));
    for row in rows {
        let origin = Origin::Send(bellhop_protocol::MessageId(uuid::Uuid::from_u128(row.into())));
        let kind = Kind::Message { sender: AccountId(1), origin, wanted: false };
        let (row, account) = (RowId(row), AccountId(1));
        batch.push(Write::Append(LogRow { row, account, seq: row.0, time_ms: row.0, kind, name, text }));
    }
    store.commit(&batch).unwrap();
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("bellhop.")).collect();
    names.sort();
    names
}

/// A copy that began anew with each write would never end, and one that did not would be of no moment at all.
#[test]
fn a_copy_is_of_one_moment_and_holds_no_writer_up() {
    let (folder, path, store) = database();
    let store = RefCell::new((store, 1));
    append(&mut store.borrow_mut().0, 1..4_001);
    let write_on = || {
        let (store, times) = &mut *store.borrow_mut();
        append(store, 4_000 + *times..4_001 + *times);
        *times += 1;
        true
    };
    let copy = folder.path().join("copy");
    let made = backup(&path, &copy, NOW_MS, &write_on).unwrap();
    let written = store.borrow().1 - 1;
    assert!(written > 3, "it was copied in {written} pieces");
    assert_eq!((made.counts.accounts, made.counts.messages), (1, 4_000));
    assert_eq!(made.bytes, fs::metadata(&copy).unwrap().len());
    assert_eq!(files(folder.path()), ["copy"], "one file, and nothing beside it");
    let rows = open(&copy).scan(RowId::NONE, 10_000).unwrap();
    assert_eq!((rows.len(), rows.last().map(|last| last.row.row)), (4_000, Some(RowId(4_000))));
}

#[cfg(unix)]
#[test]
fn a_copy_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path, _store) = database();
    let copy = folder.path().join("copy");
    backup(&path, &copy, NOW_MS, &|| true).unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn without_a_whole_copy_there_is_no_file() {
    let (folder, path, mut store) = database();
    append(&mut store, 1..3_000);
    let to = |name: &str| folder.path().join(name);
    fs::write(to("taken"), "kept").unwrap();
    let error = backup(&path, &to("taken"), NOW_MS, &|| true).unwrap_err();
    assert!(matches!(error, BackupError::Exists(_)), "{error}");
    assert_eq!(fs::read(to("taken")).unwrap(), b"kept");

    let calls = RefCell::new(0);
    let ended = || {
        *calls.borrow_mut() += 1;
        *calls.borrow() < 3
    };
    let error = backup(&path, &to("half"), NOW_MS, &ended).unwrap_err();
    assert!(matches!(error, BackupError::Ended), "{error}");
    let error = backup(&path, &to("no/folder"), NOW_MS, &|| true).unwrap_err();
    assert!(matches!(error, BackupError::Io { .. }), "{error}");
    let error = backup(&path, folder.path().parent().unwrap(), NOW_MS, &|| true).unwrap_err();
    assert!(matches!(error, BackupError::Exists(_)), "{error}");

    // A row of somebody who was never made.
    let db = Connection::open(&path).unwrap();
    db.execute("UPDATE log SET account = 77 WHERE id = 5", []).unwrap();
    let error = backup(&path, &to("damaged"), NOW_MS, &|| true).unwrap_err();
    assert!(error.to_string().contains("account 77, which was never made"), "{error}");
    // A name that comes up while the copy is made is not overwritten either.
    db.execute("UPDATE log SET account = 1 WHERE id = 5", []).unwrap();
    let late = || fs::write(to("late"), "kept").is_ok();
    let error = backup(&path, &to("late"), NOW_MS, &late).unwrap_err();
    assert!(matches!(error, BackupError::Exists(_)), "{error}");
    assert_eq!(fs::read(to("late")).unwrap(), b"kept");
    assert_eq!(files(folder.path()), ["late", "taken"], "nothing else is left");
}

/// Clients took messages for ones that they had acknowledged before the copy was put back.
#[test]
fn numbers_that_were_given_since_are_not_given_again() {
    let (folder, path, store) = database();
    let copy = folder.path().join("copy");
    backup(&path, &copy, NOW_MS, &|| true).unwrap();
    drop(store);
    // Put back, and used until it has given all that it may; then the same copy once more.
    let mut given = (1_000_000, AccountId(1));
    for (back, at_ms) in [(1, NOW_MS + 5), (2, NOW_MS + 6), (3, NOW_MS + 3_600_000)] {
        let put_back = folder.path().join(format!("bellhop.db{back}"));
        fs::copy(&copy, &put_back).unwrap();
        let mut store = open(&put_back);
        assert_eq!(store.leave_backup(at_ms).unwrap(), Some(NOW_MS));
        let reserved = store.account("alice").unwrap().unwrap().reserved;
        let next = store.boot().unwrap().next_account;
        assert!(reserved > given.0 && next > given.1, "{back}: {reserved}, {next:?} after {given:?}");
        assert!(reserved < 1 << 53, "{reserved} is more than JSON can tell");
        given = (reserved + 2_000, AccountId(next.0));
        // A start that comes later is a start like any other.
        drop(store);
        let mut store = open(&put_back);
        assert_eq!(store.leave_backup(at_ms + 1_000).unwrap(), None);
        assert_eq!(store.account("alice").unwrap().unwrap().reserved, reserved);
    }
    // A clock that was never set.
    let put_back = folder.path().join("bellhop.db4");
    fs::copy(&copy, &put_back).unwrap();
    let mut store = open(&put_back);
    assert_eq!(store.leave_backup(12).unwrap(), Some(NOW_MS));
    assert_eq!(store.account("alice").unwrap().unwrap().reserved, 1_000_000 + RISE);
}
