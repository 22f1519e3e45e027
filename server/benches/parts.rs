//! What a message costs in each part of the server, without sockets and tasks: `cargo bench -p bellhop-server`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the measurement")]
#![allow(unsafe_code, reason = "how divan finds what is measured")]

use std::sync::Arc;
use std::task::Waker;

use bellhop_protocol::post::{PostAnswer, PostOk, Posted};
use bellhop_protocol::{DeviceId, MessageId};
use bellhop_server::budget::Budget;
use bellhop_server::limits::Limits;
use bellhop_server::mailbox::content::{Body, Content};
use bellhop_server::mailbox::items::Marks;
use bellhop_server::mailbox::stream::Outlet;
use bellhop_server::mailbox::{Effects, Mailbox, SessionId};
use bellhop_server::outbox::Outbox;
use bellhop_server::store::memory::MemoryStore;
use bellhop_server::store::sqlite::{Loss, Seed, SqliteStore, Sync};
use bellhop_server::store::{
    AccountId, AccountRow, Author, Batch, Kind, LogRow, Origin, RowId, Store, Write,
};
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Messages at a time, as one turn of a connection or of the writing thread has them.
const MESSAGES: u64 = 64;
/// When all of it happens, in ms since 1970.
const NOW: u64 = 1_000_000_000_000;
const TEXT: &str = "a text of the length that most of what people write to each other";

fn main() {
    divan::main();
}

fn answer(outbox: &Outbox, counter: u64, effects: &mut Effects) {
    let ok = PostOk { posted: Posted::Stored, id: MessageId(Uuid::from_u128(7)), time_ms: NOW };
    outbox.answer(effects, |out| PostAnswer { counter, result: Ok(ok) }.put(out));
}

#[divan::bench]
fn outbox_answers_and_a_write(bencher: Bencher<'_, '_>) {
    let outbox = Outbox::new(262_144, Arc::new(Budget::new(u64::MAX)));
    let (mut effects, mut out) = (Effects::default(), Vec::new());
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        (1..=MESSAGES).for_each(|counter| answer(&outbox, counter, &mut effects));
        outbox.take(&mut out, Waker::noop());
        outbox.wrote(black_box(&out).len());
        out.clear();
    });
}

/// Where the frames of a session go: a buffer that is emptied.
struct Buffer(std::cell::RefCell<Vec<u8>>);

impl Outlet for Buffer {
    fn push(&self, len: usize, _: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) -> Option<u64> {
        let mut bytes = self.0.borrow_mut();
        bytes.clear();
        write(&mut bytes);
        Some(black_box(len) as u64)
    }
}

/// A mailbox whose owner has an open stream.
fn mailbox(in_memory: bool) -> (Mailbox<Buffer>, Effects) {
    let (mut mailbox, mut effects) = (Mailbox::new(0, u64::MAX >> 1, in_memory), Effects::default());
    let (id, device) = (SessionId(1), Some(DeviceId([1; 16])));
    mailbox.attach(id, device, Buffer(Default::default()), 8, NOW, &mut effects).unwrap();
    mailbox.open(id, NOW, &mut effects);
    (mailbox, effects)
}

#[divan::bench(args = [true, false])]
fn mailbox_stage_publish_acknowledge(bencher: Bencher<'_, '_>, in_memory: bool) {
    let ((mut mailbox, mut effects), bounds) = (mailbox(in_memory), Limits::default().bounds());
    let author = Author { account: AccountId(1), device: Some(DeviceId([2; 16])) };
    let content = Content {
        id: MessageId(Uuid::from_u128(7)),
        time_ms: NOW,
        name: "alice",
        body: Body::Message(author, TEXT),
    };
    let mut row = 0;
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        let mut last = 0;
        for _ in 0..MESSAGES {
            row += 1;
            last = mailbox.stage(RowId(row), TEXT.len(), Marks::default(), 1);
            mailbox.publish(last, &content, &mut effects);
        }
        mailbox.ack(SessionId(1), std::iter::once((1, last)), &bounds, &mut effects);
        effects.freed.clear();
    });
}

fn account() -> AccountRow {
    AccountRow {
        id: AccountId(1),
        uuid: Uuid::from_u128(1),
        name: "alice".into(),
        folded: "alice".into(),
        password: None,
        reserved: 1_024,
        created_ms: NOW,
    }
}

/// Commits of so many rows, each above all before it.
fn commits(bencher: Bencher<'_, '_>, store: &mut dyn Store, rows: u64) {
    let first = Batch { writes: vec![Write::AddAccount(account())], ..Batch::default() };
    store.commit(&first).unwrap();
    let (mut batch, mut row) = (Batch::default(), 0);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        batch.writes.clear();
        batch.words.clear();
        for _ in 0..rows {
            row += 1;
            let (name, text) = (batch.keep("alice"), batch.keep(TEXT));
            let kind = Kind::Message {
                sender: AccountId(1),
                origin: Origin::Post(DeviceId([2; 16]), row),
                wanted: false,
            };
            let log =
                LogRow { row: RowId(row), account: AccountId(1), seq: row, time_ms: NOW, kind, name, text };
            batch.push(Write::Append(log));
        }
        store.commit(black_box(&batch)).unwrap();
    });
}

#[divan::bench(args = [1, 64, 1_024], max_time = 2)]
fn store_commit_sqlite_power(bencher: Bencher<'_, '_>, rows: u64) {
    let folder = tempfile::tempdir().unwrap();
    let seed = Seed { node: "n-1".into(), id_key: [7; 16] };
    let mut store =
        SqliteStore::open(&folder.path().join("bellhop.db"), Sync::Always, seed, Loss::Refuse).unwrap();
    commits(bencher, &mut store, rows);
}

#[divan::bench(args = [1, 64, 1_024], max_time = 2)]
fn store_commit_sqlite_crash(bencher: Bencher<'_, '_>, rows: u64) {
    let folder = tempfile::tempdir().unwrap();
    let seed = Seed { node: "n-1".into(), id_key: [7; 16] };
    let mut store =
        SqliteStore::open(&folder.path().join("bellhop.db"), Sync::WhenDurable, seed, Loss::Refuse).unwrap();
    commits(bencher, &mut store, rows);
}

#[divan::bench(args = [64], max_time = 1)]
fn store_commit_memory(bencher: Bencher<'_, '_>, rows: u64) {
    commits(bencher, &mut MemoryStore::default(), rows);
}
