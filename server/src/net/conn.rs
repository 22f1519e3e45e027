//! One connection: a task that reads what is there, has every complete frame handled, and writes what is due, in bulk.
//!
//! The driver decides nothing. Rules are in [`session`](crate::session) (what may be asked when, clocks),
//! [`service`](crate::service) (what it means) and [`mailbox`](crate::mailbox) (what is given). One wake-up is one turn:
//! work that finished, then reading, feeding and writing, as long as any of them gets on. An idle connection holds no
//! buffers: bytes are read into a buffer of the thread, and only what is incomplete is kept.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::frame::{self, RawFrame};
use bellhop_protocol::{Code, OpCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::admission::Permit;
use super::inbox::Inbox;
use crate::clock::random;
use crate::mailbox::Effects;
use crate::outbox::Taken;
use crate::service::delivery::{self, Fed, Fetching};
use crate::service::{self, Caller, Done, Flow, Hold, Work};
use crate::session::{Alarm, Session, TakenClock};

/// How much is read at a time.
const READ: usize = 64 * 1024;
/// How much is read while requests are held back.
const INBOX_MAX: usize = READ;
/// How often a turn reads before others get theirs.
const READS_A_TURN: usize = 4;
/// A connection that takes nothing for so long is given up.
const STALLED_AFTER: Duration = Duration::from_secs(20);
/// How long input is thrown away before a close, so that the last answer is not reset away.
const LINGER: Duration = Duration::from_secs(1);
/// When the reading threads had too much to do, they are asked again after this.
const FETCH_AGAIN: Duration = Duration::from_millis(100);
/// After so much quiet the buffers are given back.
const SHRINK_AFTER: Duration = Duration::from_secs(5);
/// A row that the store does not find so often in a row is lost.
const FETCHES_EMPTY_MAX: u32 = 5;

thread_local! {
    /// What every connection of this thread reads into.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// A connection.
pub struct Conn<S> {
    stream: S,
    caller: Caller,
    session: Session,
    permit: Permit,
    inbox: Inbox,
    /// How many bytes had been written when the socket was last known to be empty, while it is not.
    burst_mark: u64,
    /// True while the socket is known to be empty.
    drained: bool,
    held: Option<Hold>,
    work: Option<Work>,
    fetching: Option<Fetching>,
    fetches_empty: u32,
    feeding: bool,
    feed_again: Option<Duration>,
    /// True while a text session is brought what waits.
    delivering: bool,
    writing: Vec<u8>,
    writing_at: usize,
    written: u64,
    taken: TakenClock,
    untaken: bool,
    stalled_since: Option<Duration>,
    end: End,
    shrink_at: Option<Duration>,
    sleep: Pin<Box<Sleep>>,
    sleep_until: Duration,
}

/// How far a connection's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is alive.
    No,
    /// The other side sends no more; what is due is answered.
    HalfClosed,
    /// Nothing more is taken; what is there is written.
    Closing,
    /// Everything was written and our side closed; input is thrown away until then.
    Lingering(Duration),
    /// It is over.
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    /// A connection that was just accepted.
    pub fn new(stream: S, caller: Caller, permit: Permit) -> Conn<S> {
        let now = caller.core.clock.now().up;
        let session = Session::new(now, caller.policy.open, &caller.core.limits);
        let far = Duration::from_secs(365 * 24 * 3600);
        let sleep = tokio::time::sleep_until(caller.core.clock.instant(now + far).into());
        Conn {
            stream,
            caller,
            session,
            permit,
            inbox: Inbox::default(),
            burst_mark: 0,
            drained: true,
            held: None,
            work: None,
            fetching: None,
            fetches_empty: 0,
            feeding: false,
            feed_again: None,
            delivering: false,
            writing: Vec::new(),
            writing_at: 0,
            written: 0,
            taken: TakenClock::default(),
            untaken: false,
            stalled_since: None,
            end: End::No,
            shrink_at: None,
            sleep: Box::pin(sleep),
            sleep_until: now + far,
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, effects: &mut Effects) -> Poll<()> {
        let now = self.caller.core.clock.now().up;
        if !self.caller.outbox.unpark() && matches!(self.end, End::No | End::HalfClosed) {
            self.end = End::Closing;
        }
        let mut reads = READS_A_TURN;
        loop {
            let mut on = self.poll_work(cx, now);
            on |= self.poll_read(cx, now, &mut reads, effects);
            on |= self.poll_feed(cx, now, effects);
            on |= self.poll_write(cx, now, effects);
            if self.end == End::Over {
                return Poll::Ready(());
            }
            if !on {
                if self.poll_timer(cx, now, effects) {
                    continue;
                }
                return Poll::Pending;
            }
        }
    }

    // ---- work that takes its time

    fn poll_work(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let Some(work) = &mut self.work else { return false };
        let Poll::Ready(done) = work.as_mut().poll(cx) else { return false };
        self.work = None;
        self.session.done(now);
        match done {
            Done::Answered => {}
            Done::LoggedIn(login) => {
                self.session.logged_in();
                self.permit.set_authenticated(true);
                self.caller.login = Some(login);
            }
            Done::LoggedOut => {
                self.session.logged_out(now);
                self.permit.set_authenticated(false);
                self.caller.login = None;
                self.fetching = None;
                self.feeding = false;
                self.taken.clear();
            }
            Done::Deliver => {
                let mut effects = Effects::default();
                if let Some(login) = self.caller.login.clone() {
                    let flow = delivery::deliver_now(&self.caller.core, &login, &mut effects);
                    self.follow(flow, now);
                }
                effects.wake();
            }
        }
        true
    }

    /// Does what a request asks of the connection; returns whether the request is taken.
    fn follow(&mut self, flow: Flow, now: Duration) -> bool {
        match flow {
            Flow::Done => {}
            Flow::Greeted => self.session.greeted(),
            Flow::Feed => self.feeding = true,
            Flow::Delivering => {
                self.delivering = true;
                self.feeding = true;
                self.session.busy(now);
            }
            Flow::Work(work) => {
                self.work = Some(work);
                self.session.busy(now);
            }
            Flow::Hold(hold) => {
                self.held = Some(hold);
                return false;
            }
        }
        true
    }

    // ---- reading

    fn takes_requests(&self) -> bool {
        self.held.is_none()
            && self.work.is_none()
            && !self.delivering
            && matches!(self.end, End::No | End::HalfClosed)
            && !self.caller.outbox.is_full()
            && !self.caller.core.stopping.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// True if and only if more input is wanted. While requests are held back it is read all the same, up to a bound:
    /// what came before something was written must be told from what came after.
    fn takes_input(&self) -> bool {
        self.end == End::No && (self.inbox.bytes().len() < INBOX_MAX || self.takes_requests())
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        reads: &mut usize,
        effects: &mut Effects,
    ) -> bool {
        let mut on = self.retry(cx, now, effects);
        while self.takes_input() {
            if *reads == 0 {
                cx.waker().wake_by_ref();
                return on;
            }
            *reads -= 1;
            match self.read_once(cx, now, effects) {
                Poll::Ready(()) => on = true,
                Poll::Pending => return on,
            }
        }
        if let End::Lingering(_) = self.end {
            self.throw_away(cx);
        }
        on
    }

    /// Handles what was held back, if it may be taken now; returns whether anything was.
    fn retry(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        if let Some(Hold::Rate(until)) = self.held
            && now < until
        {
            return false;
        }
        self.held = None;
        if self.inbox.is_empty() || !self.takes_requests() {
            return false;
        }
        let inbox = std::mem::take(&mut self.inbox);
        let taken = self.handle(inbox.bytes(), |at| inbox.mark(at), cx, now, effects);
        self.inbox = inbox;
        self.inbox.consume(taken);
        self.session.partial(now, !self.inbox.is_empty() && self.takes_requests());
        taken > 0
    }

    fn read_once(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => {
                    self.drained = true;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.took(buffer.filled(), cx, now, effects)
                }
                Poll::Ready(Ok(())) => self.end = End::HalfClosed,
                Poll::Ready(Err(_)) => self.end = End::Over,
            }
            Poll::Ready(())
        })
    }

    /// Bytes came.
    fn took(&mut self, bytes: &[u8], cx: &mut Context<'_>, now: Duration, effects: &mut Effects) {
        // What comes while the socket was known to be empty was sent after everything written until now; what is left
        // from before may have been sent earlier.
        if std::mem::replace(&mut self.drained, false) {
            self.burst_mark = self.written;
        }
        let mark = self.burst_mark;
        if self.inbox.is_empty() {
            let taken = self.handle(bytes, |_| mark, cx, now, effects);
            self.inbox.push(&bytes[taken..], mark);
        } else {
            self.inbox.push(bytes, mark);
            self.retry(cx, now, effects);
        }
        self.session.heard(now, !self.inbox.is_empty() && self.takes_requests());
        self.shrink_at.get_or_insert(now + SHRINK_AFTER);
    }

    /// Handles the frames in `bytes`; returns how many bytes were taken. `mark` tells how much had been written when the
    /// byte at a place came.
    fn handle(
        &mut self,
        bytes: &[u8],
        mark: impl Fn(usize) -> u64,
        cx: &mut Context<'_>,
        now: Duration,
        effects: &mut Effects,
    ) -> usize {
        let mut at = 0;
        while self.takes_requests() {
            match frame::parse(&bytes[at..], self.session.frame_limit()) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if !self.handle_frame(frame, mark(at), cx, now, effects) {
                        break;
                    }
                    at += frame.wire_len();
                    self.session.frame_done();
                }
                Err(too_long) => {
                    service::refuse_too_long(&self.caller, too_long, effects);
                    self.caller.outbox.finish();
                    self.end = End::Closing;
                    return bytes.len();
                }
            }
        }
        at
    }

    /// Handles a frame; false where it is held back.
    fn handle_frame(
        &mut self,
        frame: RawFrame<'_>,
        mark: u64,
        cx: &mut Context<'_>,
        now: Duration,
        effects: &mut Effects,
    ) -> bool {
        if let Some(login) = self.caller.login.as_ref().filter(|_| self.untaken) {
            delivery::take_written(&self.caller.core, login, mark, effects);
        }
        let flow = match self.session.check(frame.op) {
            Ok(()) => service::dispatch(&mut self.caller, frame.op, frame.data, now, cx.waker(), effects),
            Err(refusal) => service::refuse(&self.caller, frame.op, frame.data, &refusal, effects),
        };
        if !self.follow(flow, now) {
            return false;
        }
        if let Err(refusal) = self.session.count_frame() {
            self.close(&refusal, effects);
        }
        true
    }

    fn throw_away(&mut self, cx: &mut Context<'_>) {
        SCRATCH.with_borrow_mut(|scratch| {
            for _ in 0..READS_A_TURN {
                let mut buffer = ReadBuf::new(scratch);
                match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                    Poll::Ready(_) => {
                        self.end = End::Over;
                        return;
                    }
                }
            }
            cx.waker().wake_by_ref();
        });
    }

    // ---- giving what the mailbox has

    fn poll_feed(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        let Some(login) = self.caller.login.clone() else { return false };
        let mut fetched = Vec::new();
        if let Some(fetching) = &mut self.fetching {
            match Pin::new(fetching).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(Ok(rows))) => fetched = rows,
                Poll::Ready(Ok(Err(error))) => return self.give_up(&error, effects),
                // The reading threads have ended: so does the server.
                Poll::Ready(Err(_)) => {
                    self.end = End::Over;
                    return false;
                }
            }
            self.fetching = None;
            self.fetches_empty = if fetched.is_empty() { self.fetches_empty + 1 } else { 0 };
            if self.fetches_empty > FETCHES_EMPTY_MAX {
                return self.give_up(&"rows of the log are missing", effects);
            }
        } else if !self.feeding {
            return false;
        }
        self.feeding = false;
        match delivery::feed(&self.caller.core, &login, &fetched, effects) {
            Fed::Enough => {}
            Fed::Fetching(fetching) => self.fetching = Some(fetching),
            Fed::Delivered => {
                self.delivering = false;
                self.session.done(now);
                self.feeding = true;
            }
            Fed::Later => self.feed_again = Some(now + FETCH_AGAIN),
        }
        true
    }

    fn give_up(&mut self, error: &dyn std::fmt::Display, effects: &mut Effects) -> bool {
        tracing::error!(%error, "cannot read a mailbox");
        self.close(&Refusal::new(Code::STORAGE, "the mailbox cannot be read now"), effects);
        true
    }

    /// Says why, and closes when that is written.
    fn close(&mut self, refusal: &Refusal, effects: &mut Effects) {
        self.caller.outbox.close(refusal.code, &refusal.sentence, effects);
        self.end = End::Closing;
    }

    // ---- writing

    fn poll_write(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        let before = self.written;
        let mut on = false;
        loop {
            if self.writing_at == self.writing.len() {
                self.writing.clear();
                self.writing_at = 0;
                match self.caller.outbox.take(&mut self.writing, cx.waker()) {
                    Taken::Some => {}
                    Taken::Parked => break,
                    Taken::Close => {
                        on |= self.close_our_side(cx, now);
                        break;
                    }
                }
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.writing[self.writing_at..]) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.writing_at += count;
                    self.written += count as u64;
                    self.caller.outbox.wrote(count);
                    self.stalled_since = None;
                }
                Poll::Ready(_) => {
                    self.end = End::Over;
                    return false;
                }
                Poll::Pending => {
                    self.stalled_since.get_or_insert(now);
                    break;
                }
            }
        }
        if self.written > before {
            self.after_writing(now, effects);
            return true;
        }
        if self.end == End::HalfClosed && self.is_answered() {
            self.caller.outbox.finish();
            on |= self.close_our_side(cx, now);
        }
        on
    }

    /// There is room again, and a text session has been written something.
    fn after_writing(&mut self, now: Duration, effects: &mut Effects) {
        self.shrink_at.get_or_insert(now + SHRINK_AFTER);
        let Some(login) = &self.caller.login else { return };
        self.feeding = true;
        if login.device.is_none() {
            self.untaken = delivery::hold_to_bound(&self.caller.core, login, self.written, effects);
            match self.untaken {
                true => self.taken.wrote(now, self.written),
                false => self.taken.clear(),
            }
        }
    }

    /// True if and only if nothing is due to the other side any more.
    fn is_answered(&self) -> bool {
        self.work.is_none()
            && !self.delivering
            && self.caller.outbox.due() == Default::default()
            && (self.held.is_none() || self.inbox.is_empty())
            && self.writing_at == self.writing.len()
    }

    fn close_our_side(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        if matches!(self.end, End::Lingering(_) | End::Over) {
            return false;
        }
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => false,
            Poll::Ready(Err(_)) => {
                self.end = End::Over;
                true
            }
            Poll::Ready(Ok(())) => {
                self.end = End::Lingering(now + LINGER);
                true
            }
        }
    }

    // ---- clocks

    /// When something is to be done although nothing comes.
    fn deadline(&self) -> Option<Duration> {
        let alive = matches!(self.end, End::No | End::HalfClosed);
        let coarse = [
            self.session.deadline().filter(|_| alive),
            self.stalled_since.map(|since| since + STALLED_AFTER),
            self.taken.deadline().filter(|_| alive),
            self.shrink_at.filter(|_| alive),
        ];
        // Up to the next second, so that the clocks of all connections run out in one wake-up a second.
        let coarse = coarse.into_iter().flatten().min().map(|at| Duration::from_secs(at.as_secs() + 1));
        let rate = match self.held {
            Some(Hold::Rate(until)) if alive => Some(until),
            _ => None,
        };
        let linger = match self.end {
            End::Lingering(until) => Some(until),
            _ => None,
        };
        let again = self.feed_again.filter(|_| alive);
        [coarse, rate, linger, again].into_iter().flatten().min()
    }

    /// Arms the timer for what is due next, or does what is due; returns whether something was.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        loop {
            let Some(deadline) = self.deadline() else { return false };
            if deadline <= now {
                return self.ring(now, effects);
            }
            // A timer that rings too early is armed again then: moving it for each message would cost more.
            if deadline < self.sleep_until {
                self.sleep_until = deadline;
                self.sleep.as_mut().reset(self.caller.core.clock.instant(deadline).into());
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.sleep_until = Duration::MAX;
            let now_at_least = self.caller.core.clock.now().up;
            if deadline <= now_at_least {
                return self.ring(now_at_least, effects);
            }
        }
    }

    fn ring(&mut self, now: Duration, effects: &mut Effects) -> bool {
        if matches!(self.end, End::Lingering(until) if until <= now)
            || self.stalled_since.is_some_and(|since| since + STALLED_AFTER <= now)
        {
            self.end = End::Over;
            return true;
        }
        if !matches!(self.end, End::No | End::HalfClosed) {
            return false;
        }
        if self.feed_again.is_some_and(|at| at <= now) {
            self.feed_again = None;
            self.feeding = true;
        }
        if let (Some(written), Some(login)) = (self.taken.taken(now), &self.caller.login) {
            delivery::take_written(&self.caller.core, login, written, effects);
        }
        if self.shrink_at.is_some_and(|at| at <= now) {
            self.shrink_at = None;
            self.shrink();
        }
        match self.session.alarm(now) {
            None => {}
            Some(Alarm::Ping) => {
                let ping = random::<8>();
                self.caller.outbox.answer(effects, |out| frame::put(out, OpCode::Ping.byte(), &ping));
            }
            Some(Alarm::Close(refusal)) => self.close(&refusal, effects),
            Some(Alarm::Drop) => self.end = End::Over,
        }
        true
    }

    fn shrink(&mut self) {
        self.inbox.shrink();
        if self.writing.is_empty() {
            self.writing = Vec::new();
        }
        self.caller.outbox.shrink();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Conn<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut effects = Effects::default();
        let over = self.turn(cx, &mut effects);
        effects.wake();
        over
    }
}

impl<S> Drop for Conn<S> {
    fn drop(&mut self) {
        self.caller.outbox.end();
        if let Some(login) = &self.caller.login {
            let mut effects = Effects::default();
            delivery::leave(&self.caller.core, login, &mut effects);
            effects.wake();
        }
    }
}
