//! What is on its way to one connection: bytes under a short lock, and the task that writes them.
//!
//! Anybody may append; the connection's own task takes the bytes and writes them in bulk. It parks with a waker when
//! there is nothing, so that however much is appended meanwhile wakes it once. Pushes have a bound, and a share of a
//! budget of all outboxes: what finds no room stays in the mailbox. Answers have none here, since the connection reads
//! no requests while too many are due.
//!
//! What counts for the budget is the memory that is held, also by the task that writes. A session that found no room
//! for want of budget is not woken by its own writing, since there is none: its task is told when it parks, and tries
//! again later.
//!
//! What the connection asks before each request it reads (how much waits, what is owed) it finds without the lock: of
//! each number there is one writer at a time.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use bellhop_protocol::op::NOTICE;
use bellhop_protocol::{Code, text};

use crate::budget::Budget;
use crate::mailbox::Effects;
use crate::mailbox::stream::Outlet;
use crate::sync::Mutex;

/// When there was no room for want of budget, it is tried again after this.
pub const ROOM_AGAIN: Duration = Duration::from_millis(500);
/// This much each connection has for itself where the budget is used up: little things are pushed and requests read on
/// while no more than this waits, however much others have not taken.
pub const OWN: usize = 2 * 1024;
/// The answer to a message takes no more, whatever its refusal says.
const ANSWER_MAX: usize = 192;

/// The outbox of one connection.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    /// Bytes ever appended. Changed under the lock.
    appended: AtomicU64,
    /// Bytes ever written. Changed by the connection's task alone.
    written: AtomicU64,
    /// What the writing thread owes: SENDs in the upper half, POSTs in the lower one.
    due: AtomicU64,
    limit: usize,
    all: Arc<Budget>,
}

/// Answers that the writing thread owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// To SENDs.
    pub sends: u32,
    /// To POSTs.
    pub posts: u32,
}

impl Due {
    /// One answer to a SEND.
    pub const SEND: Due = Due { sends: 1, posts: 0 };
    /// One answer to a POST.
    pub const POST: Due = Due { sends: 0, posts: 1 };

    fn packed(self) -> u64 {
        u64::from(self.sends) << 32 | u64::from(self.posts)
    }

    fn unpacked(packed: u64) -> Due {
        let half = |half: u64| u32::try_from(half).unwrap_or(u32::MAX);
        Due { sends: half(packed >> 32), posts: half(packed & u64::from(u32::MAX)) }
    }
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    /// True where pushes are among them.
    pushed: bool,
    /// The memory that the task's own buffer has.
    lent: usize,
    /// The memory that the budget knows of.
    held: usize,
    /// True where a push found no room that writing would make.
    starved: bool,
    /// How long the last one of those was.
    refused: usize,
    waker: Option<Waker>,
    /// True while the task is parked and has to be woken.
    parked: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Nothing more is appended; what is there is written, and the connection closed.
    Closing,
    /// The connection is gone.
    Closed,
}

/// What the connection's task found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// There are bytes to write.
    Some {
        /// True where pushes are among them.
        pushed: bool,
    },
    /// There is nothing to write, and the task is parked.
    Parked {
        /// True where a push found no room for want of budget: it is to be tried again later.
        starved: bool,
    },
    /// There is nothing to write, and the connection is to be closed.
    Close,
}

impl Outbox {
    /// An outbox that takes pushes while fewer than `limit` bytes wait in it, and no more than its share of `all`.
    pub fn new(limit: u64, all: Arc<Budget>) -> Outbox {
        Outbox {
            inner: Mutex::default(),
            appended: AtomicU64::new(0),
            written: AtomicU64::new(0),
            due: AtomicU64::new(0),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            all,
        }
    }

    /// An outbox that shares nothing.
    #[cfg(test)]
    pub(crate) fn alone(limit: u64) -> Outbox {
        Outbox::new(limit, Arc::new(Budget::new(u64::MAX)))
    }

    /// Appends an answer.
    pub fn answer(&self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        self.append(effects, write);
    }

    /// Notes that the writing thread owes an answer.
    pub fn owe(&self, one: Due) {
        self.due.fetch_add(one.packed(), Ordering::Relaxed);
    }

    /// Notes that it does not owe it after all.
    pub fn forgive(&self, one: Due) {
        self.due.fetch_sub(one.packed(), Ordering::Release);
    }

    /// Appends an answer that the writing thread owed. Paid after it is appended: whoever sees that nothing is owed sees
    /// what waits. Paid under the lock: a connection that takes the bytes also sees that they are owed no longer, so that
    /// a request that waits for them is not forgotten.
    pub fn answer_due(&self, one: Due, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner.lock();
        if inner.state == State::Open {
            self.append_to(&mut inner, effects, write);
        }
        self.forgive(one);
    }

    /// The answers that the writing thread owes.
    pub fn due(&self) -> Due {
        Due::unpacked(self.due.load(Ordering::Acquire))
    }

    /// Says why the connection is closed, and has it closed once that is written.
    pub fn close(&self, code: Code, sentence: &str, effects: &mut Effects) {
        self.append(effects, |out| text::put_error(out, NOTICE, code, sentence));
        self.finish();
    }

    /// Has the connection closed once what is there is written.
    pub fn finish(&self) {
        let mut inner = self.inner.lock();
        if inner.state == State::Open {
            inner.state = State::Closing;
        }
        if let Some(waker) = inner.parked() {
            waker.wake();
        }
    }

    fn append(&self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner.lock();
        if inner.state == State::Open {
            self.append_to(&mut inner, effects, write);
        }
    }

    /// Appends under the lock; returns the number of bytes ever appended.
    fn append_to(&self, inner: &mut Inner, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let len = inner.append(&self.all, effects, write);
        // Under the lock, so there is no other writer, and this needs no costlier addition.
        let appended = self.appended.load(Ordering::Relaxed) + u64::try_from(len).unwrap_or(u64::MAX);
        self.appended.store(appended, Ordering::Release);
        appended
    }

    /// Wakes the connection's task, which finds out by itself what there is to do.
    pub fn rouse(&self) {
        let waker = self.inner.lock().parked();
        waker.into_iter().for_each(Waker::wake);
    }

    /// How many bytes wait to be written, whether or not the task has taken them.
    pub fn unwritten(&self) -> usize {
        // In this order: what is written was appended before.
        let written = self.written.load(Ordering::Acquire);
        usize::try_from(self.appended().saturating_sub(written)).unwrap_or(usize::MAX)
    }

    /// True if and only if so much waits to be written that no further request should be read. Where the budget is
    /// short, what is owed counts as written: it will be.
    pub fn is_full(&self) -> bool {
        self.is_full_with(0)
    }

    /// The same with so many more bytes, which are going to be appended.
    pub fn is_full_with(&self, more: usize) -> bool {
        let share = self.all.share();
        if share >= self.limit {
            return self.unwritten().saturating_add(more) >= self.limit;
        }
        // In this order: an answer waits before it is no longer owed.
        let Due { sends, posts } = self.due();
        let due = usize::try_from(sends.saturating_add(posts)).unwrap_or(usize::MAX);
        self.unwritten().saturating_add(more).saturating_add(due.saturating_mul(ANSWER_MAX)) >= share.max(OWN)
    }

    /// True if and only if the budget has room for `len` more bytes of one connection.
    pub fn has_share(&self, len: usize) -> bool {
        self.all.has_share(len)
    }

    /// True where the push that found no room for want of budget would find some: only then is it worth reading it once
    /// more from where it lies.
    pub fn has_room(&self) -> bool {
        let refused = self.inner.lock().refused;
        let unwritten = self.unwritten();
        unwritten < self.limit && self.has_budget(unwritten, refused)
    }

    fn has_budget(&self, unwritten: usize, len: usize) -> bool {
        unwritten < self.all.share() || unwritten + len <= OWN
    }

    /// Bytes ever appended.
    pub fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// Moves what waits to the end of `out`; where nothing does, parks the task.
    pub fn take(&self, out: &mut Vec<u8>, waker: &Waker) -> Taken {
        let mut inner = self.inner.lock();
        if inner.bytes.is_empty() {
            if inner.state != State::Open {
                return Taken::Close;
            }
            inner.park(waker);
            if self.all.is_pressed() {
                inner.shrink(out);
                inner.settle(&self.all, out.capacity());
            }
            return Taken::Parked { starved: std::mem::take(&mut inner.starved) };
        }
        match out.is_empty() {
            true => std::mem::swap(&mut inner.bytes, out),
            false => out.append(&mut inner.bytes),
        }
        inner.settle(&self.all, out.capacity());
        Taken::Some { pushed: std::mem::take(&mut inner.pushed) }
    }

    /// Notes that the task is awake: whoever appends need not wake it. Returns whether the outbox is open.
    pub fn unpark(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.parked = false;
        inner.state == State::Open
    }

    /// Notes that so many of the bytes taken were written; returns how many still are not.
    pub fn wrote(&self, bytes: usize) -> usize {
        let written = self.written.load(Ordering::Relaxed) + u64::try_from(bytes).unwrap_or(u64::MAX);
        self.written.store(written, Ordering::Release);
        self.unwritten()
    }

    /// Gives back the memory of an empty outbox, and of the task's own buffer where that is empty.
    pub fn shrink(&self, out: &mut Vec<u8>) {
        let mut inner = self.inner.lock();
        inner.shrink(out);
        inner.settle(&self.all, out.capacity());
    }

    /// The connection is gone: whatever is appended from now on is forgotten.
    pub fn end(&self) {
        let mut inner = self.inner.lock();
        let waker = inner.waker.take();
        self.all.settle(inner.held, 0);
        *inner = Inner { state: State::Closed, ..Inner::default() };
        self.written.store(self.appended(), Ordering::Release);
        drop(inner);
        drop(waker);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.all.settle(self.inner.get_mut().held, 0);
    }
}

impl Inner {
    /// Appends; returns how many bytes.
    fn append(&mut self, all: &Budget, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let (before, room) = (self.bytes.len(), self.bytes.capacity());
        write(&mut self.bytes);
        let len = self.bytes.len() - before;
        // Most of the time there was room, and the budget, which all touch, is left alone.
        if self.bytes.capacity() != room {
            self.settle(all, self.lent);
        }
        effects.wakes.extend(self.parked());
        len
    }

    /// Notes that the task has to be woken. It is mostly the same task: its waker stays, since cloning and dropping one
    /// each time would cost four atomic operations.
    fn park(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        self.parked = true;
    }

    /// What the task is woken with, once, where it is parked.
    fn parked(&mut self) -> Option<Waker> {
        std::mem::take(&mut self.parked).then(|| self.waker.clone()).flatten()
    }

    /// Tells the budget what is held, where the task's buffer has `lent` bytes.
    fn settle(&mut self, all: &Budget, lent: usize) {
        let held = self.bytes.capacity() + lent;
        all.settle(self.held, held);
        (self.lent, self.held) = (lent, held);
    }

    fn shrink(&mut self, out: &mut Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        if out.is_empty() {
            *out = Vec::new();
        }
    }
}

impl Outlet for Arc<Outbox> {
    fn push(&self, len: usize, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) -> Option<u64> {
        let mut inner = self.inner.lock();
        // One frame may reach over the limit, so that a frame larger than the limit goes at all.
        let unwritten = self.unwritten();
        if inner.state != State::Open || unwritten >= self.limit {
            return None;
        }
        if !self.has_budget(unwritten, len) {
            (inner.starved, inner.refused) = (true, len);
            effects.wakes.extend(inner.parked());
            return None;
        }
        inner.pushed = true;
        Some(self.append_to(&mut inner, effects, write))
    }
}

#[cfg(test)]
mod tests {
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
}
