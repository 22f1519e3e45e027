//! The contract of a store, held against each implementation.

use bellhop_protocol::item::ReceiptState;

use super::memory::MemoryStore;
use super::sqlite::{Loss, Seed, SqliteStore, Sync};
use super::*;

/// A store to test, and a way to open it again as after a restart.
trait Subject {
    fn open(&self) -> Box<dyn Store>;
}

impl Subject for MemoryStore {
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.clone())
    }
}

struct OnDisk {
    folder: tempfile::TempDir,
    sync: Sync,
}

impl OnDisk {
    fn new(sync: Sync) -> OnDisk {
        OnDisk { folder: tempfile::tempdir().unwrap(), sync }
    }

    fn sqlite(&self) -> SqliteStore {
        let seed = Seed { node: "n-1".into(), id_key: [7; 16] };
        SqliteStore::open(&self.folder.path().join("bellhop.db"), self.sync, seed, Loss::Refuse).unwrap()
    }
}

impl Subject for OnDisk {
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.sqlite())
    }
}

macro_rules! suite {
    ($($name:ident)+) => {
        mod in_memory { $(#[test] fn $name() { super::$name(&super::MemoryStore::default()); })+ }
        mod at_power { $(#[test] fn $name() { super::$name(&super::OnDisk::new(super::Sync::Always)); })+ }
        mod at_crash { $(#[test] fn $name() { super::$name(&super::OnDisk::new(super::Sync::WhenDurable)); })+ }
    };
}

suite! {
    a_new_store_begins_at_one
    accounts_come_back
    account_numbers_are_never_given_again
    rows_come_back_as_they_were
    runs_of_rows_are_dropped
    devices_are_saved_without_their_windows
    tokens_end_and_go
    passwords_change
    names_are_held_until_they_are_released_or_taken
    a_deleted_account_leaves_its_rows_to_be_purged
    names_are_read_in_order
    a_reader_sees_what_was_committed
    the_clock_is_noted
}

fn account(id: i64, name: &str) -> AccountRow {
    AccountRow {
        id: AccountId(id),
        uuid: Uuid::from_u128(id as u128),
        name: name.into(),
        folded: name.to_lowercase(),
        password: (id % 2 == 0).then(|| PasswordHash("$argon2id$".into())),
        reserved: 1024,
        created_ms: 5,
    }
}

fn commit(store: &mut dyn Store, writes: impl IntoIterator<Item = Write>) {
    let batch = Batch { writes: writes.into_iter().collect(), ..Batch::default() };
    store.commit(&batch).unwrap();
}

fn post(device: u8, counter: u64, wanted: bool) -> Kind {
    Kind::Message { sender: AccountId(9), origin: Origin::Post(DeviceId([device; 16]), counter), wanted }
}

fn row<T>(row: u64, account: i64, kind: Kind, name: T, text: T) -> LogRow<T> {
    LogRow { row: RowId(row), account: AccountId(account), seq: row * 2, time_ms: row * 10, kind, name, text }
}

/// Appends rows 1 to `last` with a text each, all in mailbox 1.
fn append(store: &mut dyn Store, last: u64) {
    let mut batch = Batch::default();
    for number in 1..=last {
        let (name, text) = (batch.keep("bob"), batch.keep(&format!("text {number}")));
        batch.writes.push(Write::Append(row(number, 1, post(1, number, false), name, text)));
    }
    store.commit(&batch).unwrap();
}

fn log(store: &mut dyn Store) -> Vec<u64> {
    store.scan(RowId::NONE, 1_000).unwrap().iter().map(|waiting| waiting.row.row.0).collect()
}

fn a_new_store_begins_at_one(subject: &dyn Subject) {
    let boot = subject.open().boot().unwrap();
    assert_eq!((boot.next_account, boot.next_row, boot.id_key), (AccountId(1), RowId(1), [7; 16]));
}

fn the_clock_is_noted(subject: &dyn Subject) {
    assert_eq!(subject.open().boot().unwrap().clock, None);
    for (wall_ms, doubt_ms) in [(5, 86_400_000), (1 << 40, 0)] {
        let note = ClockNote { wall_ms, doubt_ms };
        commit(&mut *subject.open(), [Write::NoteClock(note)]);
        assert_eq!(subject.open().boot().unwrap().clock, Some(note));
    }
}

fn accounts_come_back(subject: &dyn Subject) {
    commit(
        &mut *subject.open(),
        [Write::AddAccount(account(1, "Alice")), Write::AddAccount(account(2, "bob"))],
    );
    let mut store = subject.open();
    assert_eq!(store.account("alice").unwrap(), Some(account(1, "Alice")));
    assert_eq!(
        store.account("bob").unwrap().and_then(|bob| bob.password),
        Some(PasswordHash("$argon2id$".into()))
    );
    assert_eq!(store.account("carol").unwrap(), None);
    assert_eq!(store.account_by_id(AccountId(2)).unwrap(), Some(account(2, "bob")));
    commit(&mut *store, [Write::Reserve(AccountId(1), 4096)]);
    assert_eq!(subject.open().account("alice").unwrap().map(|row| row.reserved), Some(4096));
}

fn account_numbers_are_never_given_again(subject: &dyn Subject) {
    let mut store = subject.open();
    commit(&mut *store, [Write::AddAccount(account(1, "alice")), Write::AddAccount(account(2, "bob"))]);
    commit(&mut *store, [Write::DeleteAccount(AccountId(2))]);
    drop(store);
    let mut store = subject.open();
    assert_eq!(store.boot().unwrap().next_account, AccountId(3));
    assert_eq!(store.account("bob").unwrap(), None);
}

fn passwords_change(subject: &dyn Subject) {
    let password = |subject: &dyn Subject| subject.open().account("bob").unwrap().unwrap().password;
    let set = |hash: Option<PasswordHash>| {
        commit(&mut *subject.open(), [Write::SetPassword(AccountId(2), hash.clone())]);
        assert_eq!(password(subject), hash);
    };
    commit(&mut *subject.open(), [Write::AddAccount(account(2, "bob")), Write::AddAccount(account(4, "al"))]);
    set(Some(PasswordHash("$another$".into())));
    set(None);
    let other = subject.open().account("al").unwrap();
    assert_eq!(other, Some(account(4, "al")), "the others keep theirs");
}

fn names_are_held_until_they_are_released_or_taken(subject: &dyn Subject) {
    let held = || ["alice", "bob", "carol"].map(|name| subject.open().held(name).unwrap());
    let hold = |name: &str, until| Write::HoldName(name.into(), until);
    commit(&mut *subject.open(), [hold("alice", 50), hold("bob", 20), hold("carol", 10)]);
    assert_eq!(held(), [Some(50), Some(20), Some(10)]);
    commit(&mut *subject.open(), [hold("bob", 60), Write::ReleaseNames(10)]);
    assert_eq!(held(), [Some(50), Some(60), None]);
    commit(&mut *subject.open(), [Write::AddAccount(account(1, "Alice"))]);
    assert_eq!(held(), [None, Some(60), None], "a name that is taken is held no longer");
}

fn rows_come_back_as_they_were(subject: &dyn Subject) {
    let id = MessageId(Uuid::from_u128(77));
    let send = Kind::Message { sender: AccountId(3), origin: Origin::Send(id), wanted: false };
    let receipt = |device| Kind::Receipt { device, id, state: ReceiptState::Expired };
    let rows = [
        row(1, 1, post(1, 5, true), "alice", "hello"),
        row(2, 2, send, "王小明", ""),
        row(3, 1, receipt(Some(DeviceId([4; 16]))), "bob", ""),
        row(4, 1, receipt(None), "bob", ""),
        row(5, 1, post(1, (1 << 63) - 1, false), "a|b", "構建\n完成 ✅"),
    ];
    let mut batch = Batch::default();
    for row in rows {
        let (name, text) = (batch.keep(row.name), batch.keep(row.text));
        let LogRow { row, account, seq, time_ms, kind, .. } = row;
        batch.writes.push(Write::Append(LogRow { row, account, seq, time_ms, kind, name, text }));
    }
    subject.open().commit(&batch).unwrap();

    let mut store = subject.open();
    let mut found = Vec::new();
    store
        .rows(&[RowId(5), RowId(1), RowId(9), RowId(2), RowId(4), RowId(3)], &mut |row| {
            assert_eq!(row, rows[row.row.0 as usize - 1]);
            found.push(row.row.0);
        })
        .unwrap();
    assert_eq!(found, [5, 1, 2, 4, 3]);
    let mut scanned = store.scan(RowId::NONE, 3).unwrap();
    assert_eq!(scanned.len(), 3);
    scanned.extend(store.scan(RowId(3), 3).unwrap());
    for (waiting, row) in scanned.iter().zip(rows) {
        let LogRow { row, account, seq, time_ms, kind, text, .. } = row;
        let expected = LogRow { row, account, seq, time_ms, kind, name: (), text: () };
        assert_eq!(*waiting, Waiting { row: expected, size: text.len() });
    }
    assert_eq!(scanned.len(), rows.len());
    assert_eq!(store.boot().unwrap().next_row, RowId(6));
}

fn runs_of_rows_are_dropped(subject: &dyn Subject) {
    let mut store = subject.open();
    append(&mut *store, 10);
    commit(&mut *store, [Write::DropRows(RowId(0), RowId(3)), Write::DropRows(RowId(5), RowId(6))]);
    assert_eq!(log(&mut *store), [4, 7, 8, 9, 10]);
    let mut seen = Vec::new();
    store.range(RowId(5), RowId(8), &mut |row| seen.push((row.row.0, row.text.to_owned()))).unwrap();
    assert_eq!(seen, [(7, "text 7".into()), (8, "text 8".into())]);
    drop(store);
    assert_eq!(log(&mut *subject.open()), [4, 7, 8, 9, 10]);
}

fn devices_are_saved_without_their_windows(subject: &dyn Subject) {
    let device = |floor, ranges| DeviceRow {
        account: AccountId(1),
        device: DeviceId([3; 16]),
        floor,
        ranges,
        receiving: true,
        seen_ms: 9,
    };
    let mut window = CounterWindow::default();
    window.accept(70);
    let save = Write::SaveWindow(AccountId(1), DeviceId([3; 16]), Box::new(window.clone()), 9);
    let mut store = subject.open();
    commit(&mut *store, [Write::SaveDevice(device(4, vec![(6, 9), (11, 11)])), save]);
    commit(&mut *store, [Write::SaveDevice(device(9, vec![]))]);
    drop(store);
    let mut store = subject.open();
    assert_eq!(store.devices(AccountId(1)).unwrap(), [device(9, vec![])]);
    assert_eq!(store.window(AccountId(1), DeviceId([3; 16])).unwrap(), Some(window));
    assert_eq!(store.window(AccountId(1), DeviceId([4; 16])).unwrap(), None);
    commit(&mut *store, [Write::SaveWindow(AccountId(2), DeviceId([5; 16]), Box::default(), 77)]);
    let unknown = store.devices(AccountId(2)).unwrap();
    assert_eq!(
        unknown.iter().map(|device| (device.seen_ms, device.receiving)).collect::<Vec<_>>(),
        [(77, false)]
    );
    commit(&mut *store, [Write::SaveDevice(device(9, vec![(12, 13)]))]);
    assert_eq!(store.devices(AccountId(1)).unwrap()[0].ranges, [(12, 13)]);
    commit(&mut *store, [Write::ForgetDevice(AccountId(1), DeviceId([3; 16]))]);
    assert_eq!(store.devices(AccountId(1)).unwrap(), []);
    assert_eq!(store.window(AccountId(1), DeviceId([3; 16])).unwrap(), None);
}

fn tokens_end_and_go(subject: &dyn Subject) {
    let token = |hash, device, expires_ms| TokenRow {
        hash: [hash; 32],
        account: AccountId(1),
        device: DeviceId([device; 16]),
        expires_ms,
    };
    let mut store = subject.open();
    commit(
        &mut *store,
        [(1, 1), (2, 1), (3, 2)].map(|(hash, device)| Write::SaveToken(token(hash, device, None))),
    );
    commit(&mut *store, [Write::SaveToken(token(1, 1, Some(50)))]);
    assert_eq!(store.token(&[1; 32]).unwrap(), Some(token(1, 1, Some(50))));
    let drop_tokens = |device: Option<u8>, except: Option<u8>| Write::DropTokens {
        account: AccountId(1),
        device: device.map(|device| DeviceId([device; 16])),
        except: except.map(|hash| [hash; 32]),
    };
    commit(&mut *store, [drop_tokens(Some(1), Some(2))]);
    let here = |store: &mut dyn Store| [1, 2, 3].map(|hash| store.token(&[hash; 32]).unwrap().is_some());
    assert_eq!(here(&mut *store), [false, true, true]);
    commit(&mut *store, [drop_tokens(None, None)]);
    assert_eq!(here(&mut *store), [false, false, false]);
}

fn a_deleted_account_leaves_its_rows_to_be_purged(subject: &dyn Subject) {
    let device = DeviceRow {
        account: AccountId(1),
        device: DeviceId([3; 16]),
        floor: 0,
        ranges: vec![],
        receiving: true,
        seen_ms: 0,
    };
    let token =
        TokenRow { hash: [1; 32], account: AccountId(1), device: DeviceId([3; 16]), expires_ms: None };
    let mut store = subject.open();
    commit(
        &mut *store,
        [Write::AddAccount(account(1, "alice")), Write::SaveDevice(device.clone()), Write::SaveToken(token)],
    );
    append(&mut *store, 2);
    commit(&mut *store, [Write::DeleteAccount(AccountId(1))]);
    assert_eq!(store.account_by_id(AccountId(1)).unwrap(), None);
    assert_eq!(store.token(&[1; 32]).unwrap(), None);
    assert_eq!(log(&mut *store), [1, 2]);
    assert_eq!(store.devices(AccountId(1)).unwrap(), [device]);
    assert_eq!(store.graves().unwrap(), [(AccountId(1), "alice".to_owned())]);
    commit(&mut *store, [Write::DropRows(RowId(1), RowId(2)), Write::ForgetGrave(AccountId(1))]);
    assert_eq!((log(&mut *store).len(), store.devices(AccountId(1)).unwrap().len()), (0, 0));
    assert_eq!(store.graves().unwrap(), []);
}

fn names_are_read_in_order(subject: &dyn Subject) {
    let mut store = subject.open();
    let names = ["carol", "Alice", "bob", "Dave"];
    commit(&mut *store, (1..).zip(names).map(|(id, name)| Write::AddAccount(account(id, name))));
    let mut reader = store.reader().unwrap();
    let mut read = |after: &str, least: &str, most: usize| {
        let mut seen = Vec::new();
        reader
            .names(after, least, &mut |folded, name| {
                assert_eq!(folded, name.to_lowercase());
                seen.push(name.to_owned());
                seen.len() < most
            })
            .unwrap();
        seen
    };
    assert_eq!(read("", "", 9), ["Alice", "bob", "carol", "Dave"]);
    assert_eq!(read("", "", 2), ["Alice", "bob"]);
    assert_eq!(read("bob", "", 9), ["carol", "Dave"]);
    assert_eq!(read("", "bob", 2), ["bob", "carol"]);
}

fn a_reader_sees_what_was_committed(subject: &dyn Subject) {
    let mut store = subject.open();
    let mut reader = store.reader().unwrap();
    append(&mut *store, 3);
    let mut seen = Vec::new();
    reader.rows(&[RowId(2), RowId(3), RowId(4)], &mut |row| seen.push(row.text.to_owned())).unwrap();
    assert_eq!(seen, ["text 2", "text 3"]);
}

#[test]
fn the_pragma_is_what_the_level_needs() {
    assert_eq!(OnDisk::new(Sync::Always).sqlite().synchronous(), (2, true));
    let relaxed = OnDisk::new(Sync::WhenDurable);
    let mut store = relaxed.sqlite();
    assert_eq!(store.synchronous(), (1, false));
    let batch =
        Batch { writes: vec![Write::AddAccount(account(1, "alice"))], durable: true, ..Batch::default() };
    store.commit(&batch).unwrap();
    assert_eq!(store.synchronous(), (1, false));
}

#[test]
fn a_batch_is_true_as_a_whole_or_not_at_all() {
    let disk = OnDisk::new(Sync::Always);
    let mut store = disk.sqlite();
    commit(&mut store, [Write::AddAccount(account(1, "alice"))]);
    let twice = [Write::AddAccount(account(2, "bob")), Write::AddAccount(account(3, "ALICE"))];
    let refused = store.commit(&Batch { writes: twice.into(), ..Batch::default() });
    assert!(matches!(refused, Err(StoreError::Fault(_))), "{refused:?}");
    assert_eq!(store.account("bob").unwrap(), None);
}

/// The server ended where another program had the file locked.
#[test]
fn somebody_elses_lock_is_waited_for_and_then_told_from_a_failure() {
    for sync in [Sync::Always, Sync::WhenDurable] {
        let disk = OnDisk::new(sync);
        let mut store = disk.sqlite();
        store.wait_for_locks(std::time::Duration::from_millis(50));
        commit(&mut store, [Write::AddAccount(account(1, "alice"))]);
        let before = store.synchronous();
        let other = rusqlite::Connection::open(disk.folder.path().join("bellhop.db")).unwrap();
        for kind in ["IMMEDIATE", "EXCLUSIVE"] {
            other.execute_batch(&["BEGIN ", kind].concat()).unwrap();
            let mut batch = Batch::default();
            batch.push(Write::AddAccount(account(2, "bob")));
            let refused = store.commit(&batch);
            assert!(matches!(refused, Err(StoreError::Busy)), "{kind}: {refused:?}");
            assert_eq!(store.account("bob").unwrap(), None, "{kind}: and what was committed can be read");
            assert!(store.account("alice").unwrap().is_some());
            assert_eq!(store.synchronous(), before, "{kind}");
            other.execute_batch("ROLLBACK").unwrap();
        }
        commit(&mut store, [Write::AddAccount(account(2, "bob"))]);
        assert!(store.account("bob").unwrap().is_some());
    }
}

#[test]
fn a_newer_or_a_foreign_file_is_refused() {
    let disk = OnDisk::new(Sync::Always);
    let path = disk.folder.path().join("bellhop.db");
    let seed = || Seed { node: "n".into(), id_key: [1; 16] };
    drop(disk.sqlite());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(&path, Sync::Always, seed(), Loss::Refuse).unwrap_err();
    assert!(error.to_string().contains("version 99"), "{error}");

    let foreign = disk.folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let error = SqliteStore::open(&foreign, Sync::Always, seed(), Loss::Refuse).unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");

    let text = disk.folder.path().join("text.db");
    std::fs::write(&text, "not a database, but long enough to have had a header".repeat(9)).unwrap();
    assert!(matches!(
        SqliteStore::open(&text, Sync::Always, seed(), Loss::Refuse),
        Err(StoreError::Corrupt(_))
    ));
}
