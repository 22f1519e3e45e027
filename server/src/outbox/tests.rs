//! What an outbox takes, refuses and gives back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn push(outbox: &Arc<Outbox>, bytes: &[u8], effects: &mut Effects) -> Option<u64> {
    outbox.push(bytes.len(), effects, |out| out.extend_from_slice(bytes))
}

#[test]
fn a_parked_task_is_woken_once() {
    let (outbox, count, mut effects) =
        (Arc::new(Outbox::alone(100)), Arc::new(Count::default()), Effects::default());
    let (waker, mut out) = (Waker::from(count.clone()), Vec::new());
    assert_eq!(outbox.take(&mut out, &waker), Taken::Parked { starved: false });
    push(&outbox, b"one", &mut effects);
    push(&outbox, b"two", &mut effects);
    outbox.answer(&mut effects, |out| out.extend_from_slice(b"three"));
    effects.wake();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(outbox.take(&mut out, &waker), Taken::Some { pushed: true });
    assert_eq!(out, b"onetwothree");
}

#[test]
fn pushes_have_a_bound_and_answers_have_none() {
    let (outbox, mut effects) = (Arc::new(Outbox::alone(10)), Effects::default());
    assert_eq!(push(&outbox, &[0; 25], &mut effects), Some(25));
    assert_eq!(push(&outbox, &[0; 1], &mut effects), None);
    outbox.answer(&mut effects, |out| out.push(1));
    assert!(outbox.is_full());
    let mut out = Vec::new();
    outbox.take(&mut out, Waker::noop());
    assert_eq!(push(&outbox, &[0; 1], &mut effects), None, "taken is not written");
    assert_eq!(outbox.wrote(20), 6);
    assert_eq!(push(&outbox, &[0; 1], &mut effects), Some(27));
}

/// An outbox whose pushes are of 100 bytes, with a budget in which 1,600 bytes are a share of 100.
fn sharing(budget: u64) -> (Arc<Outbox>, Arc<Budget>, Effects) {
    let all = Arc::new(Budget::new(budget));
    (Arc::new(Outbox::new(1_000, all.clone())), all, Effects::default())
}

#[test]
fn the_budget_knows_all_memory_that_is_held() {
    let (outbox, all, mut effects) = sharing(1_000_000);
    let mut out = Vec::new();
    push(&outbox, &[1; 100], &mut effects).unwrap();
    assert_eq!(all.held(), outbox.inner.lock().bytes.capacity());
    outbox.take(&mut out, Waker::noop());
    push(&outbox, &[1; 300], &mut effects).unwrap();
    let held = outbox.inner.lock().bytes.capacity() + out.capacity();
    assert!(held >= 400 && all.held() == held, "{held}");
    outbox.wrote(100);
    out.clear();
    assert_eq!(outbox.take(&mut out, Waker::noop()), Taken::Some { pushed: true });
    assert_eq!(all.held(), held, "what the task wrote from is held on");
    outbox.wrote(300);
    out.clear();
    outbox.shrink(&mut out);
    assert_eq!((all.held(), out.capacity()), (0, 0));
    push(&outbox, &[1; 100], &mut effects).unwrap();
    outbox.end();
    assert_eq!(all.held(), 0);
    let (other, ..) = (Arc::new(Outbox::new(1_000, all.clone())), ());
    push(&other, &[1; 100], &mut effects).unwrap();
    assert!(all.held() >= 100);
    drop(other);
    assert_eq!(all.held(), 0);
}

#[test]
fn where_the_budget_is_used_up_the_task_is_told_and_tries_again() {
    let all = Arc::new(Budget::new(160_000));
    let outbox = Arc::new(Outbox::new(10_000, all.clone()));
    let mut effects = Effects::default();
    let large = [1; OWN + 1];
    let (count, mut out) = (Arc::new(Count::default()), Vec::new());
    let waker = Waker::from(count.clone());
    all.settle(0, 160_000 - 16);
    assert!(push(&outbox, &large, &mut effects).is_some(), "the last share of one byte");
    outbox.take(&mut out, &waker);
    outbox.wrote(out.len());
    out.clear();
    all.settle(0, 16);
    assert_eq!(outbox.take(&mut out, &waker), Taken::Parked { starved: false });
    assert_eq!(push(&outbox, &large, &mut effects), None);
    effects.wake();
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "there is nothing that writing could wake it for");
    assert_eq!(outbox.take(&mut out, &waker), Taken::Parked { starved: true });
    assert_eq!(outbox.take(&mut out, &waker), Taken::Parked { starved: false });
    let waiting = push(&outbox, &large[..OWN - 1], &mut effects);
    assert!(waiting.is_some(), "a little each has for itself");
    assert!(push(&outbox, &[1; 1], &mut effects).is_some());
    assert_eq!(push(&outbox, &[1; 1], &mut effects), None);
    all.settle(160_000, 0);
    assert!(push(&outbox, &[1; 1], &mut effects).is_some());
}

/// Whoever holds more than a share would have read from the store, again and again, what is then not pushed.
#[test]
fn there_is_room_where_a_push_may_find_some() {
    let (all, mut effects) = (Arc::new(Budget::new(160_000)), Effects::default());
    let outbox = Arc::new(Outbox::new(100_000, all.clone()));
    assert!(outbox.has_room());
    push(&outbox, &[1; 9_999], &mut effects).unwrap();
    all.settle(0, 100);
    assert!(!outbox.has_room() && push(&outbox, &[1; OWN], &mut effects).is_none());
    all.settle(100, 0);
    all.settle(all.held(), 0);
    assert!(outbox.has_room() && push(&outbox, &[1; OWN], &mut effects).is_some());
    all.settle(0, 160_000);
    let empty = Arc::new(Outbox::new(100_000, all.clone()));
    assert!(
        push(&empty, &[1; OWN + 1], &mut effects).is_none() && !empty.has_room(),
        "not for more than its own"
    );
}

#[test]
fn where_the_budget_is_short_nothing_is_held_without_need() {
    let (outbox, all, mut effects) = sharing(10_000);
    let mut out = Vec::new();
    let mut held_when = |others: usize| {
        push(&outbox, &[1; 100], &mut effects).unwrap();
        outbox.take(&mut out, Waker::noop());
        outbox.wrote(out.len());
        out.clear();
        all.settle(0, others);
        outbox.take(&mut out, Waker::noop());
        all.settle(others, 0);
        all.held()
    };
    assert!(held_when(4_000) >= 100);
    assert_eq!(held_when(5_000), 0);
}

#[test]
fn where_the_budget_is_short_answers_that_are_owed_count() {
    let (outbox, all, mut effects) = sharing(16 * 1024 * 1024);
    outbox.owe(Due { posts: 1_024, sends: 0 });
    assert!(!outbox.is_full(), "there is enough for everybody");
    all.settle(0, 16 * 1024 * 1024);
    assert!(outbox.is_full());
    let few = (OWN / ANSWER_MAX) as u32;
    outbox.forgive(Due { posts: 1_024 - few, sends: 0 });
    assert!(!outbox.is_full(), "each connection has a little for itself");
    outbox.answer(&mut effects, |out| out.extend_from_slice(&[0; ANSWER_MAX]));
    assert!(outbox.is_full());
}

#[test]
fn closing_writes_what_is_there_and_takes_no_more() {
    let (outbox, mut effects) = (Arc::new(Outbox::alone(10)), Effects::default());
    outbox.close(Code::REPLACED, "bye", &mut effects);
    assert_eq!(push(&outbox, b"late", &mut effects), None);
    let mut out = Vec::new();
    assert_eq!(outbox.take(&mut out, Waker::noop()), Taken::Some { pushed: false });
    assert_eq!(out, b"\0\0\0\x12\xfferror|replaced|bye");
    assert_eq!(outbox.take(&mut out, Waker::noop()), Taken::Close);
}

#[test]
fn what_is_owed_to_a_connection_that_is_gone_is_paid() {
    let (outbox, mut effects) = (Outbox::alone(10), Effects::default());
    outbox.owe(Due::POST);
    outbox.end();
    outbox.answer_due(Due::POST, &mut effects, |out| out.push(1));
    assert_eq!(outbox.due(), Due::default());
    assert_eq!(outbox.take(&mut Vec::new(), Waker::noop()), Taken::Close);
}
