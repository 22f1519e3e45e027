//! One connection: a task that reads what is there, has every complete frame handled, and writes what is due, in bulk.
//!
//! The driver decides nothing. Rules are in [`session`](crate::session) (what may be asked when, clocks),
//! [`service`](crate::service) (what it means) and [`mailbox`](crate::mailbox) (what is given). One wake-up is one turn:
//! work that finished, then reading, feeding and writing, as long as any of them gets on. An idle connection holds no
//! buffers: bytes are read into a buffer of the thread, and only what is incomplete is kept.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

mod clocks;
pub(crate) mod inbox;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bellhop_protocol::Code;
use bellhop_protocol::code::Refusal;
use tokio::time::Sleep;

use self::inbox::{Inbox, Share};
use super::admission::Permit;
use super::door::{Door, Entrance};
use super::stream::{Socket, Stream};
use crate::hub::Login;
use crate::mailbox::Effects;
use crate::outbox::Due;
use crate::service::delivery::{self, Fetching};
use crate::service::{Caller, Done, Flow, Hold, Work};
use crate::session::{Session, TakenClock};

thread_local! {
    /// What a turn of any connection of this thread collects, empty between turns: its room is used again.
    static EFFECTS: Cell<Effects> = Cell::default();
}

/// After so much quiet the buffers are given back.
const SHRINK_AFTER: Duration = Duration::from_secs(5);

/// A connection.
pub struct Conn<S> {
    stream: Stream<S>,
    entrance: Entrance,
    /// How the other side came in, when its first byte is here.
    door: Option<Door>,
    /// When it has to be in.
    enter_by: Option<Duration>,
    caller: Caller,
    session: Session,
    permit: Permit,
    inbox: Inbox,
    share: Share,
    /// How many bytes had been written, or were being written, when the socket was last known to hold no input: what is
    /// read next came after them.
    drained_at: u64,
    held: Option<Hold>,
    work: Option<Work>,
    fetching: Option<Fetching>,
    fetches_empty: u32,
    feeding: bool,
    feed_again: Option<Duration>,
    /// True where what comes next found no room among all outboxes.
    starved: bool,
    /// True while a text session is brought what waits.
    delivering: bool,
    writing: Vec<u8>,
    writing_at: usize,
    /// True where messages or receipts are among what is written.
    pushing: bool,
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

impl<S: Socket> Conn<S> {
    /// A connection that was just accepted.
    pub fn new(socket: S, entrance: Entrance, mut caller: Caller, permit: Permit) -> Conn<S> {
        caller.network = permit.network();
        let now = caller.core.clock.now().up;
        let session = Session::new(now, caller.policy.open, &caller.core.limits);
        let share = Share::of(caller.core.memory.inboxes.clone());
        let far = Duration::from_secs(365 * 24 * 3600);
        let sleep = tokio::time::sleep_until(caller.core.clock.instant(now + far).into());
        Conn {
            stream: Stream::new(socket),
            entrance,
            door: None,
            enter_by: match caller.core.limits.tls_time {
                u64::MAX => None,
                seconds => Some(now + Duration::from_secs(seconds)),
            },
            caller,
            session,
            permit,
            inbox: Inbox::default(),
            share,
            drained_at: 0,
            held: None,
            work: None,
            fetching: None,
            fetches_empty: 0,
            feeding: false,
            feed_again: None,
            starved: false,
            delivering: false,
            writing: Vec::new(),
            writing_at: 0,
            pushing: false,
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
        let mut now = self.caller.core.clock.now();
        if !self.caller.outbox.unpark() && matches!(self.end, End::No | End::HalfClosed) {
            // Who has not come in would not understand a farewell.
            self.end = if self.is_entering() { End::Over } else { End::Closing };
        }
        let mut reads = read::READS_A_TURN;
        loop {
            let mut on = self.poll_work(cx, now.up, effects);
            on |= self.poll_read(cx, now, &mut reads, effects);
            self.session.listen(now.up, self.takes_input());
            on |= self.poll_feed(cx, now.up, effects);
            on |= self.poll_write(cx, now.up, effects);
            self.depart(effects);
            if self.end == End::Over {
                return Poll::Ready(());
            }
            // After the outbox has parked this task: whoever has news from now on wakes it.
            on |= self.poll_presence(now.up, effects);
            if !on && self.may_leave() {
                self.close(&Refusal::new(Code::SHUTTING_DOWN, "the server is going down"), effects);
                on = true;
            }
            if !on {
                if !self.poll_timer(cx, now.up, effects) {
                    return Poll::Pending;
                }
                // What is due by the timer's clock is due by this turn's.
                now = self.caller.core.clock.now();
            }
        }
    }

    /// True while it is open whether the other side will ever say a frame.
    fn is_entering(&self) -> bool {
        match self.door {
            None => !self.entrance.plain,
            Some(Door::Tls) => self.stream.is_handshaking(),
            Some(Door::Other) => self.entrance.plain,
            Some(Door::Frames | Door::Http) => false,
        }
    }

    /// Whoever is told to go is here no longer, however long it takes them to read that: what they were written waits again,
    /// they watch nobody, and those who watch them learn it.
    fn depart(&mut self, effects: &mut Effects) {
        if matches!(self.end, End::No | End::HalfClosed) {
            return;
        }
        (self.fetching, self.caller.watcher) = (None, None);
        if let Some(login) = self.caller.login.clone() {
            delivery::leave(&self.caller.core, &login.account, login.session, effects);
            // Only now: where that panics, it is done again with the end of the connection.
            self.caller.login = None;
        }
    }

    /// True if and only if connections shall go and nothing is due on this one: no request and no answer, and nothing
    /// that it was sent and has yet to acknowledge.
    fn may_leave(&self) -> bool {
        let core = &self.caller.core;
        if !core.draining.load(Ordering::Relaxed) || !matches!(self.end, End::No | End::HalfClosed) {
            return false;
        }
        let busy = self.work.is_some() || self.held.is_some() || self.delivering || !self.inbox.is_empty();
        let due = self.caller.outbox.due() != Due::default() || self.caller.outbox.unwritten() > 0;
        let underway = |login: &Login| login.account.mailbox.lock().underway(login.session);
        !busy && !due && self.caller.login.as_deref().map_or(0, underway) == 0 && self.stream.is_drained()
    }

    // ---- work that takes its time

    fn poll_work(&mut self, cx: &mut Context<'_>, now: Duration, effects: &mut Effects) -> bool {
        let Some(work) = &mut self.work else { return false };
        let Poll::Ready(done) = work.as_mut().poll(cx) else { return false };
        self.work = None;
        self.session.done(now);
        match done {
            Done::Answered => {}
            Done::LoggedIn(login) => {
                // First: from here on it is let go with the connection.
                self.caller.login = Some(login);
                self.session.logged_in();
                self.permit.log_in();
            }
            Done::LoggedOut => {
                self.session.logged_out(now, self.caller.outbox.appended());
                self.caller.login = None;
                self.caller.watcher = None;
                self.fetching = None;
                self.feeding = false;
                self.taken.clear();
                if !self.permit.log_out() {
                    let busy = "too many connections are not logged in; connect again in a moment";
                    self.close(&Refusal::new(Code::BUSY, busy), effects);
                }
            }
            Done::Deliver => {
                if let Some(login) = self.caller.login.clone() {
                    let flow = delivery::deliver_now(&self.caller.core, &login, effects);
                    self.follow(flow, now);
                }
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
}

impl<S: Socket> Future for Conn<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut effects = EFFECTS.take();
        let over = self.turn(cx, &mut effects);
        self.caller.core.finish(&mut effects);
        effects.shrink();
        EFFECTS.set(effects);
        over
    }
}

impl<S> Drop for Conn<S> {
    fn drop(&mut self) {
        self.caller.outbox.end();
        if let Some(login) = &self.caller.login {
            let mut effects = Effects::default();
            delivery::leave(&self.caller.core, &login.account, login.session, &mut effects);
            effects.wake();
        }
    }
}
