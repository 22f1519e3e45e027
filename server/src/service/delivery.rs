//! Receiving: DELIVER, ACK and READ, and what a session is given when it has room.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bellhop_protocol::OpCode;
use bellhop_protocol::item::{Ack, Read};
use bellhop_protocol::text::TextAnswer;
use tokio::sync::oneshot;

use super::{Caller, Done, Flow, Hold, account};
use crate::budget::Held;
use crate::core::Core;
use crate::hub::{Account, Login};
use crate::keeper::accounts::AccountJob;
use crate::keeper::queue::{Full, Job};
use crate::mailbox::content::Fetched;
use crate::mailbox::stream::Feed;
use crate::mailbox::{Effects, SessionId};
use crate::store::StoreError;

/// DELIVER: the first of a device waits until it is durable that the device receives.
pub(super) fn deliver(caller: &Caller, effects: &mut Effects) -> Flow {
    let Some(login) = caller.login.clone() else { return Flow::Done };
    if login.account.mailbox.lock().receives(login.session) {
        return deliver_now(&caller.core, &login, effects);
    }
    let outbox = caller.outbox.clone();
    let core = caller.core.clone();
    Flow::Work(Box::pin(async move {
        let (reply, done) = oneshot::channel();
        let device = login.device.as_ref().map(|(device, _)| *device);
        core.queue.control(Job::Account(Box::new(AccountJob::Receive {
            account: login.account.clone(),
            device,
            reply,
        })));
        match account::replied(done).await {
            Ok(()) => Done::Deliver,
            Err(refusal) => account::refused(&outbox, OpCode::Deliver, &refusal),
        }
    }))
}

/// DELIVER of a device that receives: with the extension it is answered and the stream opened; without, what waits is
/// brought first, and [`delivered`] answers.
pub fn deliver_now(core: &Core, login: &Login, effects: &mut Effects) -> Flow {
    let now_ms = core.clock.now().wall_ms;
    let flow = core.with_mailbox(&login.account, effects, |mailbox, effects| match &login.device {
        None => {
            mailbox.deliver(login.session);
            Flow::Delivering
        }
        Some(_) => {
            let count = mailbox.open(login.session, now_ms, effects);
            delivered(login, count, effects);
            Flow::Feed
        }
    });
    core.touch_presence(&login.account);
    flow
}

/// Answers DELIVER.
pub fn delivered(login: &Login, count: u64, effects: &mut Effects) {
    login.outbox.answer(effects, |out| TextAnswer::Delivered(count).put(OpCode::Deliver, out));
}

pub(super) fn ack(caller: &Caller, ack: Ack<'_>, effects: &mut Effects) -> Flow {
    let Some(login) = &caller.login else { return Flow::Done };
    let bounds = &caller.core.bounds;
    caller.core.with_mailbox(&login.account, effects, |mailbox, effects| {
        mailbox.ack(login.session, ack.ranges(), bounds, effects);
    });
    Flow::Feed
}

pub(super) fn read(caller: &Caller, read: Read<'_>, now: Duration, waker: &Waker) -> Flow {
    let Some(login) = &caller.login else { return Flow::Done };
    let count = read.entries().count() as u64;
    if let Err(until) = login.account.sends.take(count, now, caller.core.limits.sends) {
        return Flow::Hold(Hold::Rate(until));
    }
    // Senders of other realms are not told from here.
    let entries = read.entries().filter(|(_, sender)| sender.realm.is_none());
    let entries = entries.map(|(id, sender)| (id, sender.user.key().into_cow()));
    match caller.core.queue.read(&login.account, entries, waker) {
        Ok(()) => Flow::Done,
        Err(Full) => {
            login.account.sends.give_back(count, caller.core.limits.sends);
            Flow::Hold(Hold::Full)
        }
    }
}

/// Rows that were asked of the store, and the memory that they take.
#[derive(Debug)]
pub struct Fetching {
    /// What comes of them.
    pub rows: oneshot::Receiver<Result<Vec<Fetched>, StoreError>>,
    /// Given back when what came has been given to the session, or nobody wants it any more.
    pub held: Held,
}

impl Future for Fetching {
    type Output = Result<Result<Vec<Fetched>, StoreError>, oneshot::error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.rows).poll(cx)
    }
}

/// What a session was given.
pub enum Fed {
    /// All there is, or all there is room for.
    Enough,
    /// More is fetched from the store.
    Fetching(Fetching),
    /// A text session's DELIVER is done and answered.
    Delivered,
    /// The reading thread has too much to do, or what it read is still in too many hands: try again later.
    Later,
}

/// Gives a session what comes next in its mailbox, and what was fetched.
pub fn feed(core: &Core, login: &Arc<Login>, fetched: &[Fetched], effects: &mut Effects) -> Fed {
    let fed = core.with_mailbox(&login.account, effects, |mailbox, effects| {
        match mailbox.is_behind(login.session) {
            true => mailbox.feed(login.session, fetched, effects),
            false => Feed::Idle,
        }
    });
    match fed {
        Feed::Idle | Feed::Blocked => Fed::Enough,
        Feed::Delivered(count) => {
            delivered(login, count, effects);
            Fed::Delivered
        }
        Feed::Fetch(rows, bytes) => {
            let Some(held) = core.memory.fetched.try_hold(bytes) else { return Fed::Later };
            match core.readers.fetch(login.account.id, rows) {
                Some(rows) => Fed::Fetching(Fetching { rows, held }),
                None => Fed::Later,
            }
        }
    }
}

/// A text session sent a request after `written` bytes had been written to it.
pub fn take_written(core: &Core, login: &Arc<Login>, written: u64, effects: &mut Effects) {
    core.with_mailbox(&login.account, effects, |mailbox, effects| {
        mailbox.take_written(login.session, written, &core.bounds, effects);
    });
}

/// `written` bytes have been written to a text session. Returns whether any of them are not taken.
pub fn hold_to_bound(core: &Core, login: &Arc<Login>, written: u64, effects: &mut Effects) -> bool {
    core.with_mailbox(&login.account, effects, |mailbox, effects| {
        mailbox.take_excess(login.session, written, &core.bounds, effects);
        mailbox.has_untaken(login.session)
    })
}

/// The session is over: what it was written and has not taken waits again.
pub fn leave(core: &Core, account: &Arc<Account>, session: SessionId, effects: &mut Effects) {
    let now_ms = core.clock.now().wall_ms;
    core.with_mailbox(account, effects, |mailbox, _| {
        mailbox.detach(session, now_ms);
        // Also where a newer session replaced it: what it kept in memory may go now.
        if mailbox.list() {
            core.queue.unsaved(account.clone());
        }
    });
    core.presence.leave(session);
    core.touch_presence(account);
}
