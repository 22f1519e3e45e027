//! Databases that were damaged between two starts: each is refused, with everything left as it was, or serves exactly
//! what was committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bellhop_protocol::MessageId;
use bellhop_protocol::item::ReceiptState;

use super::sqlite::{Loss, Seed, SqliteStore, Sync};
use super::*;

const PAGE: usize = 4096;

/// How many places are damaged: as many as `BELLHOP_FLIPS` says, or a few.
fn places() -> usize {
    std::env::var("BELLHOP_FLIPS").map_or(200, |places| places.parse().unwrap())
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

fn open(folder: &Path, loss: Loss) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&database(folder), Sync::Always, Seed { node: "n-1".into(), id_key: [7; 16] }, loss)
}

fn database(folder: &Path) -> PathBuf {
    folder.join("bellhop.db")
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("bellhop.db-wal")
}

/// Everything that can be read from a store.
fn content(store: &mut dyn Store) -> Result<Vec<String>, StoreError> {
    let boot = store.boot()?;
    let mut all = vec![format!("{boot:?}")];
    let waiting = store.scan(RowId::NONE, 1_000_000)?;
    all.extend(waiting.iter().map(|waiting| format!("{waiting:?}")));
    store.range(RowId(0), RowId(1 << 40), &mut |row| all.push(format!("{row:?}")))?;
    for number in 1..40 {
        let id = AccountId(number);
        let row = store.account_by_id(id)?;
        all.push(format!(
            "{:?}",
            row.as_ref().map(|row| (&row.name, &row.folded, &row.password, row.reserved))
        ));
        all.push(format!(
            "{:?}",
            store.account(&format!("user{number}"))?.map(|row| (row.uuid, row.created_ms))
        ));
        for device in store.devices(id)? {
            all.push(format!("{device:?} {:?}", store.window(id, device.device)?));
        }
        all.push(format!("{:?}", store.token(&[number as u8; 32])?));
    }
    all.push(format!("{:?}", store.graves()?));
    Ok(all)
}

/// Accounts, devices, tokens, graves, and a log with short and long rows of which some are gone again.
fn fill(store: &mut SqliteStore) {
    let mut batch = Batch::default();
    for number in 1..40_i64 {
        let id = AccountId(number);
        batch.push(Write::AddAccount(AccountRow {
            id,
            uuid: Uuid::from_u128(number as u128 * 7919),
            name: format!("User{number}"),
            folded: format!("user{number}"),
            password: (number % 2 == 0).then(|| PasswordHash(format!("$argon2id${number}"))),
            reserved: 1_024,
            created_ms: 5,
        }));
        let device = DeviceId([number as u8; 16]);
        let mut window = CounterWindow::default();
        window.accept(number as u64);
        batch.push(Write::SaveDevice(DeviceRow {
            account: id,
            device,
            floor: number as u64,
            ranges: vec![(50, 60), (70, 80)],
            receiving: true,
            seen_ms: 9,
        }));
        batch.push(Write::SaveWindow(id, device, Box::new(window), 9));
        batch.push(Write::SaveToken(TokenRow {
            hash: [number as u8; 32],
            account: id,
            device,
            expires_ms: None,
        }));
    }
    store.commit(&batch).unwrap();
    append(store, 1..=300, 12);
    append(store, 301..=340, 6_000);
    let gone = [Write::DropRows(RowId(100), RowId(320)), Write::DeleteAccount(AccountId(39))];
    let mut batch = Batch::default();
    gone.into_iter().for_each(|write| batch.push(write));
    store.commit(&batch).unwrap();
}

fn append(store: &mut SqliteStore, rows: std::ops::RangeInclusive<u64>, bytes: usize) {
    for chunk in rows.collect::<Vec<_>>().chunks(20) {
        let mut batch = Batch::default();
        for number in chunk.iter().copied() {
            let (name, text) = (batch.keep("User1"), batch.keep(&format!("{number:07}").repeat(bytes / 7)));
            let (device, id) = (DeviceId([1; 16]), MessageId(Uuid::from_u128(u128::from(number))));
            let kind = match number % 9 {
                0 => Kind::Receipt { device: Some(device), id, state: ReceiptState::Expired },
                _ => Kind::Message {
                    sender: AccountId(1),
                    origin: Origin::Post(device, number),
                    wanted: false,
                },
            };
            let account = AccountId(1 + number as i64 % 30);
            let row = LogRow { row: RowId(number), account, seq: number, time_ms: number, kind, name, text };
            batch.push(Write::Append(row));
        }
        store.commit(&batch).unwrap();
    }
}

/// A folder whose server ended in order, and what is in it.
fn ended() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), Loss::Refuse).unwrap();
    fill(&mut store);
    store.close().unwrap();
    drop(store);
    assert!(!log_of(folder.path()).exists(), "an orderly end leaves no log");
    let content = content(&mut open(folder.path(), Loss::Refuse).unwrap()).unwrap();
    (folder, content)
}

/// A folder whose server was killed with much of its work in the write-ahead log, and what is in it.
fn killed() -> (tempfile::TempDir, Vec<String>) {
    let (folder, _) = ended();
    let mut store = open(folder.path(), Loss::Refuse).unwrap();
    append(&mut store, 341..=400, 500);
    let content = content(&mut store).unwrap();
    let left = copy(folder.path());
    (left, content)
}

fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in files(folder) {
        fs::write(copy.path().join(name), bytes).unwrap();
    }
    copy
}

/// The files of a folder, but for the index of the write-ahead log, which SQLite makes anew.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let named =
        files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()));
    named.filter(|(name, _)| name != "bellhop.db-shm").collect()
}

/// What became of a start on a damaged folder.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    Refused(String),
    Served,
}

/// Starts on a copy of a folder that was damaged.
fn start_on(folder: &Path, content_before: &[String], what: &str, damage: impl FnOnce(&Path)) -> Start {
    let copy = copy(folder);
    damage(copy.path());
    let before = files(copy.path());
    // A start refuses where it cannot read everything: the log, which it scans, and the tables, which it sums.
    let read = open(copy.path(), Loss::Refuse).and_then(|mut store| content(&mut store));
    match read {
        Ok(content) => {
            assert!(content == content_before, "{what}: served something else than was committed");
            Start::Served
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.is_empty() && !error.contains('\n'), "{what}: {error:?}");
            let after = files(copy.path());
            // SQLite makes an empty log where there was none.
            let of = |files: &BTreeMap<String, Vec<u8>>, name| files.get(name).cloned().unwrap_or_default();
            let kept = ["bellhop.db", "bellhop.db-wal"].map(|name| of(&before, name) == of(&after, name));
            assert_eq!(kept, [true; 2], "{what}: the folder was changed ({error})");
            Start::Refused(error)
        }
    }
}

fn flip(path: &Path, place: usize, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

/// Places in the database, as many of each kind: header, definitions, inner pages, leaves, and what is left, which are
/// long texts and free pages.
fn chosen(database: &[u8], count: usize) -> Vec<(&'static str, usize)> {
    let mut kinds: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
    kinds.insert("header", vec![0]);
    for (page, bytes) in database.chunks(PAGE).enumerate().skip(1) {
        let kind = match bytes[0] {
            0x02 | 0x05 => "inner page",
            0x0A | 0x0D => "leaf",
            _ => "long text or free page",
        };
        kinds.entry(kind).or_default().push(page);
    }
    kinds.insert("definitions", vec![0]);
    assert_eq!(kinds.len(), 5, "{:?}", kinds.keys());
    let mut dice = Dice(2_050);
    let each = count / kinds.len();
    let places = kinds.iter().flat_map(|(kind, pages)| std::iter::repeat_n((*kind, pages), each));
    places
        .map(|(kind, pages)| match kind {
            "header" => (kind, dice.below(100)),
            "definitions" => (kind, 100 + dice.below(PAGE - 100)),
            _ => (kind, pages[dice.below(pages.len())] * PAGE + dice.below(PAGE)),
        })
        .collect()
}

#[test]
fn a_flipped_bit_is_refused_or_harmless() {
    let (folder, content) = ended();
    let bytes = fs::read(database(folder.path())).unwrap();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, (kind, place)) in chosen(&bytes, places()).into_iter().enumerate() {
        let what = format!("{kind}, byte {place}, bit {}", number % 8);
        let start =
            start_on(folder.path(), &content, &what, |folder| flip(&database(folder), place, number % 8));
        *refused.entry(kind).or_default() += usize::from(start != Start::Served);
    }
    assert!(refused["leaf"] > 0 && refused["inner page"] > 0 && refused["header"] > 0, "{refused:?}");
}

#[test]
fn a_flipped_bit_in_a_text_a_seq_or_an_account_is_refused() {
    let (folder, content) = ended();
    let bytes = fs::read(database(folder.path())).unwrap();
    // A short text, a long one, a name in the table and in its index, a password, the window of a device.
    for words in ["0000007", "0000330", "User7", "user7", "$argon2id$8"] {
        let found: Vec<usize> =
            (0..bytes.len()).filter(|at| bytes[*at..].starts_with(words.as_bytes())).collect();
        assert!(!found.is_empty(), "{words}");
        for place in found {
            let start = start_on(folder.path(), &content, words, |folder| flip(&database(folder), place, 0));
            // What was dropped lies about in free pages still.
            let free = start == Start::Served;
            assert!(!free || words.starts_with('0'), "{words} at {place}");
        }
    }
}

#[test]
fn a_database_that_was_cut_is_refused() {
    let (folder, content) = ended();
    let len = fs::metadata(database(folder.path())).unwrap().len();
    let mut dice = Dice(7);
    let cuts = [1, 50, 99, 100, 512, PAGE as u64, len - 1, len - PAGE as u64];
    let random = (0..20).map(|_| dice.below(len as usize) as u64);
    for cut in cuts.into_iter().chain(random.collect::<Vec<_>>()) {
        let cut_it = |folder: &Path| {
            fs::File::options().write(true).open(database(folder)).unwrap().set_len(cut).unwrap()
        };
        let start = start_on(folder.path(), &content, &format!("cut to {cut}"), cut_it);
        assert_ne!(start, Start::Served, "cut to {cut}");
    }
}

#[test]
fn a_write_ahead_log_that_lost_anything_is_refused() {
    let (folder, content) = killed();
    let log = fs::read(log_of(folder.path())).unwrap();
    let check = |what: &str, damage: &dyn Fn(&Path)| start_on(folder.path(), &content, what, damage);
    assert_eq!(check("as it was left", &|_| ()), Start::Served);
    let Start::Refused(error) = check("deleted", &|folder| fs::remove_file(log_of(folder)).unwrap()) else {
        panic!("a deleted log was not missed")
    };
    assert!(error.contains("60 acknowledged messages") && error.contains("--accept-loss"), "{error}");

    let mut dice = Dice(11);
    let cuts: Vec<usize> =
        (0..places() / 5).map(|_| dice.below(log.len())).chain([0, 1, 31, 32, 56]).collect();
    for cut in cuts {
        let start =
            check(&format!("cut to {cut}"), &|folder| fs::write(log_of(folder), &log[..cut]).unwrap());
        assert_ne!(start, Start::Served, "cut to {cut} of {}", log.len());
    }
    let mut refused = 0;
    for number in 0..places() / 5 {
        let place = dice.below(log.len());
        let start = check(&format!("byte {place}"), &|folder| flip(&log_of(folder), place, number % 8));
        refused += usize::from(start != Start::Served);
    }
    assert!(refused > places() / 10, "{refused}");
    let garbage: Vec<u8> = log.iter().map(|byte| byte.wrapping_mul(31)).collect();
    assert_ne!(check("garbled", &|folder| fs::write(log_of(folder), &garbage).unwrap()), Start::Served);
}

/// Whoever deleted an account whose message was the newest could not start the server any more.
#[test]
fn a_newest_row_that_was_dropped_is_no_loss() {
    let (folder, _) = ended();
    let mut store = open(folder.path(), Loss::Refuse).unwrap();
    append(&mut store, 341..=341, 7);
    let mut batch = Batch::default();
    batch.push(Write::DropRows(RowId(341), RowId(341)));
    store.commit(&batch).unwrap();
    drop(store);
    // After a kill, and after an orderly end.
    for _ in 0..2 {
        let mut store = open(folder.path(), Loss::Refuse).unwrap();
        assert_eq!(store.boot().unwrap().next_row, RowId(342), "no row is given twice");
        store.close().unwrap();
    }
}

#[test]
fn a_database_that_is_gone_is_not_taken_for_a_new_one() {
    for (folder, content) in [killed(), ended()] {
        for what in ["empty", "gone"] {
            let start = start_on(folder.path(), &content, what, |folder| {
                fs::remove_file(database(folder)).unwrap();
                if what == "empty" {
                    fs::write(database(folder), "").unwrap();
                }
            });
            let Start::Refused(error) = start else { panic!("{what}: served") };
            assert!(error.contains("empty or gone"), "{error}");
        }
    }
}

#[test]
fn the_index_of_the_log_may_be_anything() {
    let (folder, content) = killed();
    let mut dice = Dice(3);
    for len in [0, 1, 100, 32 * 1024, 40_000] {
        let garbage: Vec<u8> = (0..len).map(|_| dice.below(256) as u8).collect();
        let put = |folder: &Path| fs::write(folder.join("bellhop.db-shm"), &garbage).unwrap();
        assert_eq!(start_on(folder.path(), &content, &format!("{len} bytes"), put), Start::Served);
    }
}

#[test]
fn a_damaged_mark_is_refused_and_a_missing_one_is_not() {
    let (folder, content) = killed();
    for place in [0, 9, 40, 63] {
        let start =
            start_on(folder.path(), &content, "mark", |folder| flip(&folder.join("bellhop.mark"), place, 3));
        let Start::Refused(error) = start else { panic!("byte {place}: served") };
        assert!(error.contains("bellhop.mark") && error.contains("--accept-loss"), "{error}");
    }
    // Numbers that an older copy of the database would give again are passed over, so that nothing else is the same.
    let copy = copy(folder.path());
    fs::remove_file(copy.path().join("bellhop.mark")).unwrap();
    let mut store = open(copy.path(), Loss::Refuse).unwrap();
    store.leave_backup(5).unwrap();
    assert_eq!(store.scan(RowId::NONE, 1_000).unwrap().last().unwrap().row.row, RowId(400));
    assert!(store.account("user1").unwrap().unwrap().reserved > 1 << 32);
}

#[test]
fn a_loss_that_is_accepted_is_gone_on_from() {
    let (folder, _) = killed();
    let accepts = |damage: &dyn Fn(&Path)| {
        let copy = copy(folder.path());
        damage(copy.path());
        assert!(open(copy.path(), Loss::Refuse).is_err());
        let mut store = open(copy.path(), Loss::Accept).unwrap();
        store.leave_backup(5).unwrap();
        append(&mut store, 500..=500, 7);
        drop(store);
        // From then on everything is as usual.
        let mut store = open(copy.path(), Loss::Refuse).unwrap();
        let rows = store.scan(RowId::NONE, 1_000).unwrap();
        (rows.len(), store.account("user1").unwrap().map(|account| account.reserved > 1 << 32))
    };
    assert_eq!(accepts(&|folder| fs::remove_file(log_of(folder)).unwrap()), (120, Some(true)));
    assert_eq!(accepts(&|folder| flip(&folder.join("bellhop.mark"), 20, 1)), (180, Some(true)));
    assert_eq!(
        accepts(&|folder| {
            fs::remove_file(log_of(folder)).unwrap();
            fs::remove_file(database(folder)).unwrap();
        }),
        (1, None)
    );
}

/// A row read after the start is compared with its sum as well: what rots meanwhile is not shown as genuine.
#[test]
fn damage_while_the_server_runs_is_an_error_and_no_message() {
    let (folder, _) = ended();
    let mut store = open(folder.path(), Loss::Refuse).unwrap();
    let mut reader = store.reader().unwrap();
    let other = rusqlite::Connection::open(database(folder.path())).unwrap();
    other.execute("UPDATE log SET body = x'00' WHERE id = 5", []).unwrap();
    other.execute("UPDATE account SET password = NULL WHERE id = 2", []).unwrap();
    other.execute("UPDATE token SET account = 1 WHERE account = 2", []).unwrap();
    other.execute("UPDATE device SET floor = 999 WHERE account = 2", []).unwrap();
    let mut seen = Vec::new();
    let mut see = |row: LogRow<&str>| seen.push(row.row.0);
    let of_log = reader.rows(&[RowId(4), RowId(5), RowId(6)], &mut see).err().unwrap();
    let errors = [
        of_log,
        store.account("user2").err().unwrap(),
        store.token(&[2; 32]).err().unwrap(),
        store.devices(AccountId(2)).err().unwrap(),
        store.window(AccountId(2), DeviceId([2; 16])).err().unwrap(),
    ];
    for error in errors {
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains("checksum")), "{error}");
    }
    assert_eq!(seen, [4]);
    let again = reader.rows(&[RowId(4)], &mut |_| ());
    assert!(again.is_ok(), "the reader goes on: {again:?}");
}
