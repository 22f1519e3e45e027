//! What is on its way to one connection: bytes under a short lock, and the task that writes them.
//!
//! Anybody may append; the connection's own task takes the bytes and writes them in bulk. It parks with a waker when
//! there is nothing, so that however much is appended meanwhile wakes it once. Pushes have a bound: what finds no room
//! stays in the mailbox. Answers have none here, since the connection reads no requests while too many are due.

use std::sync::Arc;
use std::task::Waker;

use bellhop_protocol::op::NOTICE;
use bellhop_protocol::{Code, text};
use parking_lot::Mutex;

use crate::mailbox::Effects;
use crate::mailbox::stream::Outlet;

/// The outbox of one connection.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    limit: usize,
}

/// Answers that the writing thread owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// To SENDs.
    pub sends: u32,
    /// To POSTs.
    pub posts: u32,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    /// True where pushes are among them.
    pushed: bool,
    /// Bytes appended and not written yet, whether or not the task has taken them.
    unwritten: usize,
    /// Bytes ever appended.
    appended: u64,
    due: Due,
    waker: Option<Waker>,
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
    Parked,
    /// There is nothing to write, and the connection is to be closed.
    Close,
}

impl Outbox {
    /// An outbox that takes pushes while fewer than `limit` bytes wait in it.
    pub fn new(limit: usize) -> Outbox {
        Outbox { inner: Mutex::default(), limit }
    }

    /// Appends an answer.
    pub fn answer(&self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        self.append(effects, write);
    }

    /// Notes that the writing thread owes an answer.
    pub fn owe(&self, owe: impl FnOnce(&mut Due)) {
        owe(&mut self.inner.lock().due);
    }

    /// Appends an answer that the writing thread owed. A connection that sees the bytes also sees that they are owed
    /// no longer, so that a request that waits for them is not forgotten.
    pub fn answer_due(
        &self,
        pay: impl FnOnce(&mut Due),
        effects: &mut Effects,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut inner = self.inner.lock();
        pay(&mut inner.due);
        if inner.state == State::Open {
            inner.append(effects, write);
        }
    }

    /// The answers that the writing thread owes.
    pub fn due(&self) -> Due {
        self.inner.lock().due
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
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    fn append(&self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner.lock();
        if inner.state == State::Open {
            inner.append(effects, write);
        }
    }

    /// True if and only if so much waits to be written that no further request should be read.
    pub fn is_full(&self) -> bool {
        self.inner.lock().unwritten >= self.limit
    }

    /// Moves what waits to the end of `out`; where nothing does, parks the task.
    pub fn take(&self, out: &mut Vec<u8>, waker: &Waker) -> Taken {
        let mut inner = self.inner.lock();
        if inner.bytes.is_empty() {
            if inner.state != State::Open {
                return Taken::Close;
            }
            inner.waker = Some(waker.clone());
            return Taken::Parked;
        }
        match out.is_empty() {
            true => std::mem::swap(&mut inner.bytes, out),
            false => out.append(&mut inner.bytes),
        }
        Taken::Some { pushed: std::mem::take(&mut inner.pushed) }
    }

    /// Notes that the task is awake: whoever appends need not wake it. Returns whether the outbox is open.
    pub fn unpark(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.waker = None;
        inner.state == State::Open
    }

    /// Notes that so many of the bytes taken were written; returns how many still are not.
    pub fn wrote(&self, bytes: usize) -> usize {
        let mut inner = self.inner.lock();
        inner.unwritten -= bytes;
        inner.unwritten
    }

    /// Gives back the memory of an empty outbox.
    pub fn shrink(&self) {
        let mut inner = self.inner.lock();
        if inner.bytes.is_empty() {
            inner.bytes = Vec::new();
        }
    }

    /// The connection is gone: whatever is appended from now on is forgotten.
    pub fn end(&self) {
        let mut inner = self.inner.lock();
        let waker = inner.waker.take();
        // What is owed is still going to be paid.
        let Inner { appended, due, .. } = *inner;
        *inner = Inner { state: State::Closed, appended, due, ..Inner::default() };
        drop(inner);
        drop(waker);
    }
}

impl Inner {
    fn append(&mut self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        let len = self.bytes.len() - before;
        self.unwritten += len;
        self.appended += len as u64;
        effects.wakes.extend(self.waker.take());
    }
}

impl Outlet for Arc<Outbox> {
    fn push(&self, _len: usize, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) -> Option<u64> {
        let mut inner = self.inner.lock();
        // One frame may reach over the limit, so that a frame larger than the limit goes at all.
        if inner.state != State::Open || inner.unwritten >= self.limit {
            return None;
        }
        inner.append(effects, write);
        inner.pushed = true;
        Some(inner.appended)
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
            (Arc::new(Outbox::new(100)), Arc::new(Count::default()), Effects::default());
        let (waker, mut out) = (Waker::from(count.clone()), Vec::new());
        assert_eq!(outbox.take(&mut out, &waker), Taken::Parked);
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
        let (outbox, mut effects) = (Arc::new(Outbox::new(10)), Effects::default());
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

    #[test]
    fn closing_writes_what_is_there_and_takes_no_more() {
        let (outbox, mut effects) = (Arc::new(Outbox::new(10)), Effects::default());
        outbox.close(Code::REPLACED, "bye", &mut effects);
        assert_eq!(push(&outbox, b"late", &mut effects), None);
        let mut out = Vec::new();
        assert_eq!(outbox.take(&mut out, Waker::noop()), Taken::Some { pushed: false });
        assert_eq!(out, b"\0\0\0\x12\xfferror|replaced|bye");
        assert_eq!(outbox.take(&mut out, Waker::noop()), Taken::Close);
    }

    #[test]
    fn what_is_owed_to_a_connection_that_is_gone_is_paid() {
        let (outbox, mut effects) = (Outbox::new(10), Effects::default());
        outbox.owe(|due| due.posts += 1);
        outbox.end();
        outbox.answer_due(|due| due.posts -= 1, &mut effects, |out| out.push(1));
        assert_eq!(outbox.due(), Due::default());
        assert_eq!(outbox.take(&mut Vec::new(), Waker::noop()), Taken::Close);
    }
}
