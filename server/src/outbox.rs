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

    /// Both.
    pub fn and(self, more: Due) -> Due {
        Due { sends: self.sends + more.sends, posts: self.posts + more.posts }
    }

    /// So many times as much.
    pub fn times(self, count: u32) -> Due {
        Due { sends: self.sends * count, posts: self.posts * count }
    }

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

    /// Notes that the writing thread owes answers.
    pub fn owe(&self, due: Due) {
        self.due.fetch_add(due.packed(), Ordering::Relaxed);
    }

    /// Notes that it does not owe them after all.
    pub fn forgive(&self, due: Due) {
        self.due.fetch_sub(due.packed(), Ordering::Release);
    }

    /// Appends answers that the writing thread owed. Paid after it is appended: whoever sees that nothing is owed sees
    /// what waits. Paid under the lock: a connection that takes the bytes also sees that they are owed no longer, so that
    /// a request that waits for them is not forgotten.
    pub fn answer_due(&self, due: Due, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner.lock();
        if inner.state == State::Open {
            self.append_to(&mut inner, effects, write);
        }
        self.forgive(due);
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
mod tests;
