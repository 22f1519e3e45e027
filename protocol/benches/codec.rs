//! What a frame costs to read and to write, in time and in allocations: `cargo bench -p bellhop-protocol`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the measurement")]
#![allow(unsafe_code, reason = "how divan finds what is measured")]

use bellhop_protocol::item::{Ack, Message};
use bellhop_protocol::post::{Post, PostAnswer, PostOk, Posted};
use bellhop_protocol::{Address, MessageId, Reply, Request, frame};
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Frames in a buffer, as one read brings them.
const FRAMES: u64 = 1_000;

fn main() {
    divan::main();
}

fn text(size: usize) -> String {
    "x".repeat(size)
}

/// Reads every frame of a buffer with `read`.
fn each(bytes: &[u8], read: impl Fn(frame::RawFrame<'_>)) {
    let mut at = 0;
    while let Ok(Some(frame)) = frame::parse(&bytes[at..], frame::LIMIT_AFTER_LOGIN) {
        read(frame);
        at += frame.wire_len();
    }
}

#[divan::bench(args = [64, 512])]
fn read_posts(bencher: Bencher<'_, '_>, size: usize) {
    let (to, text) = (Address::parse("bob").unwrap(), text(size));
    let mut bytes = Vec::new();
    (1..=FRAMES).for_each(|counter| {
        Request::Post(Post { counter, receipts: false, to, text: &text }).put(&mut bytes);
    });
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        each(black_box(&bytes), |frame| {
            black_box(Request::decode(frame.op, frame.data).is_ok());
        });
    });
}

#[divan::bench]
fn read_acknowledgements(bencher: Bencher<'_, '_>) {
    let mut bytes = Vec::new();
    (1..=FRAMES).for_each(|seq| Ack::put(&[(seq, seq)], &mut bytes));
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        each(black_box(&bytes), |frame| {
            black_box(Request::decode(frame.op, frame.data).is_ok());
        });
    });
}

#[divan::bench(args = [64, 512])]
fn write_messages(bencher: Bencher<'_, '_>, size: usize) {
    let (id, text) = (MessageId(Uuid::from_u128(7)), text(size));
    let mut bytes = Vec::with_capacity(FRAMES as usize * (size + 64));
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        bytes.clear();
        for seq in 1..=FRAMES {
            Message { seq, id, time_ms: 1, from: "alice", text: &text }.put(&mut bytes);
        }
        black_box(&bytes);
    });
}

#[divan::bench]
fn write_answers(bencher: Bencher<'_, '_>) {
    let ok = PostOk { posted: Posted::Stored, id: MessageId(Uuid::from_u128(7)), time_ms: 1 };
    let mut bytes = Vec::with_capacity(FRAMES as usize * 64);
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        bytes.clear();
        (1..=FRAMES).for_each(|counter| PostAnswer { counter, result: Ok(ok) }.put(&mut bytes));
        black_box(&bytes);
    });
}

#[divan::bench]
fn read_messages(bencher: Bencher<'_, '_>) {
    let (id, text) = (MessageId(Uuid::from_u128(7)), text(64));
    let mut bytes = Vec::new();
    (1..=FRAMES).for_each(|seq| Message { seq, id, time_ms: 1, from: "alice", text: &text }.put(&mut bytes));
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        each(black_box(&bytes), |frame| {
            black_box(Reply::decode(frame.op, frame.data).is_ok());
        });
    });
}
