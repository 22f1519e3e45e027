//! Reading: what came is handled frame by frame, or kept until it may be.

use std::cell::RefCell;
use std::task::{Context, Poll};

use bellhop_protocol::Code;
use bellhop_protocol::code::Refusal;
use bellhop_protocol::frame::{self, RawFrame};
use tokio::io::ReadBuf;

use super::{Conn, End, SHRINK_AFTER, Socket};
use crate::clock::Now;
use crate::mailbox::Effects;
use crate::net::door::{Door, NO_HTTP};
use crate::service::delivery;
use crate::service::{self, Frames, Hold};

/// How much is read at a time.
const READ: usize = 64 * 1024;
/// How much is read while requests are held back.
const INBOX_MAX: usize = READ;
/// How often a turn reads before others get theirs.
pub(super) const READS_A_TURN: usize = 4;

thread_local! {
    /// What every connection of this thread reads into.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::default();
}

/// Lends what this thread reads into. Who is given the thread meanwhile gets another one.
fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = SCRATCH.take();
    if scratch.is_empty() {
        scratch = vec![0; READ].into_boxed_slice();
    }
    let done = work(&mut scratch);
    SCRATCH.set(scratch);
    done
}

impl<S: Socket> Conn<S> {
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
    pub(super) fn takes_input(&self) -> bool {
        let most = INBOX_MAX.min(self.share.most());
        self.end == End::No && (self.inbox.bytes().len() < most || self.takes_requests())
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: Now,
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
    fn retry(&mut self, cx: &mut Context<'_>, now: Now, effects: &mut Effects) -> bool {
        if let Some(Hold::Rate(until)) = self.held
            && now.up < until
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
        self.session.partial(now.up, self.awaits_rest());
        taken > 0
    }

    /// True where the rest of a frame is awaited, or of a record that may hold one.
    fn awaits_rest(&self) -> bool {
        (!self.inbox.is_empty() || self.stream.awaits_rest()) && self.takes_requests()
    }

    fn read_once(&mut self, cx: &mut Context<'_>, now: Now, effects: &mut Effects) -> Poll<()> {
        let most = READ.min(self.share.most().max(self.stream.room_needed()));
        with_scratch(|scratch| {
            let scratch = scratch.get_mut(..most).unwrap_or_default();
            let mut buffer = ReadBuf::new(scratch);
            match self.stream.poll_read(cx, &mut buffer) {
                Poll::Pending => {
                    // Part of a record may have come, which is not seen here.
                    self.session.partial(now.up, self.awaits_rest());
                    self.share.settle(&mut self.inbox, self.stream.memory());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    // What comes while the socket is known to be empty is sent after everything written until then.
                    let mark = self.drained_at;
                    if buffer.remaining() > 0 && !self.stream.leaves_input() {
                        self.drained_at = self.written;
                    }
                    if self.door.is_none() && !self.enter(buffer.filled(), now, effects) {
                        return Poll::Ready(());
                    }
                    self.took(buffer.filled(), mark, cx, now, effects)
                }
                Poll::Ready(Ok(())) => {
                    if self.stream.has_failed() {
                        self.caller.core.counters.tls_failed.one();
                    }
                    self.end = End::HalfClosed;
                }
                Poll::Ready(Err(_)) => self.end = End::Over,
            }
            Poll::Ready(())
        })
    }

    /// The first bytes came: they tell what is spoken here. Returns whether they are frames, or nearly.
    fn enter(&mut self, bytes: &[u8], now: Now, effects: &mut Effects) -> bool {
        let door = bytes.first().copied().map_or(Door::Other, Door::of);
        self.door = Some(door);
        let core = self.caller.core.clone();
        match door {
            Door::Tls => {
                if let Err(error) = self.stream.begin_tls(self.entrance.identity.config(now), bytes) {
                    tracing::error!(%error, "cannot speak TLS");
                    self.end = End::Over;
                }
            }
            Door::Http => {
                core.counters.no_frames.one();
                self.caller.outbox.answer(effects, |out| out.extend_from_slice(NO_HTTP.as_bytes()));
                self.caller.outbox.finish();
                self.end = End::Closing;
            }
            Door::Frames | Door::Other if !self.entrance.plain => {
                core.counters.tls_needed.one();
                let sentence = "this server takes no frames without TLS from your address";
                self.close(&Refusal::new(Code::TLS_NEEDED, sentence), effects);
            }
            Door::Frames => return true,
            Door::Other => {
                core.counters.no_frames.one();
                return true;
            }
        }
        false
    }

    /// Bytes came, certainly after the first `mark` ones were written.
    fn took(&mut self, bytes: &[u8], mark: u64, cx: &mut Context<'_>, now: Now, effects: &mut Effects) {
        if self.inbox.is_empty() {
            let taken = self.handle(bytes, |_| mark, cx, now, effects);
            self.inbox.push(bytes.get(taken..).unwrap_or_default(), mark);
        } else {
            self.inbox.push(bytes, mark);
            self.retry(cx, now, effects);
        }
        let partial = !self.inbox.is_empty() && self.takes_requests();
        self.session.heard(now.up, self.awaits_rest());
        self.shrink_at.get_or_insert(now.up + SHRINK_AFTER);
        // What is held back is handled sooner or later. The rest of a frame may never come.
        let most = self.share.most();
        self.share.settle(&mut self.inbox, self.stream.memory());
        if partial && self.inbox.bytes().len() > most {
            self.caller.core.counters.inboxes_full.one();
            let sentence =
                "too much is held of frames that are not complete; send this one again in a moment";
            self.close(&Refusal::new(Code::BUSY, sentence), effects);
        }
    }

    /// Handles the frames in `bytes`; returns how many bytes were taken. `mark` tells how much had been written when the
    /// byte at a place came.
    fn handle(
        &mut self,
        bytes: &[u8],
        mark: impl Fn(usize) -> u64,
        cx: &mut Context<'_>,
        now: Now,
        effects: &mut Effects,
    ) -> usize {
        let mut at = 0;
        while self.takes_requests() {
            match frame::parse(bytes.get(at..).unwrap_or_default(), self.session.frame_limit()) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    let run = self.handle_run(bytes.get(at..).unwrap_or_default(), now, effects);
                    if run > 0 {
                        at += run;
                        self.session.frame_done();
                        continue;
                    }
                    if !self.handle_frame(frame, mark(at), cx, now, effects) {
                        break;
                    }
                    at += frame.wire_len();
                    self.session.frame_done();
                }
                // Nothing is written after the refusal: the answers that are due leave first.
                Err(_) if self.caller.outbox.due() != Default::default() => {
                    self.held = Some(Hold::Due);
                    break;
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

    /// Handles as many messages as go to one recipient in one go; returns how many bytes they took. Who has messages that
    /// may be taken with each frame is served frame by frame.
    fn handle_run(&mut self, bytes: &[u8], now: Now, effects: &mut Effects) -> usize {
        if self.untaken {
            return 0;
        }
        let session = &self.session;
        let frames = Frames { bytes, limit: session.frame_limit(), allowed: |op| session.check(op).is_ok() };
        service::send_run(&mut self.caller, frames, now, effects)
    }

    /// Handles a frame; false where it is held back.
    fn handle_frame(
        &mut self,
        frame: RawFrame<'_>,
        mark: u64,
        cx: &mut Context<'_>,
        now: Now,
        effects: &mut Effects,
    ) -> bool {
        if let Err(refusal) = self.session.has_frame_left(|| self.caller.outbox.appended()) {
            self.close(&refusal, effects);
            return true;
        }
        if let Some(login) = self.caller.login.as_ref().filter(|_| self.untaken) {
            delivery::take_written(&self.caller.core, login, mark, effects);
        }
        let flow = match self.session.check(frame.op) {
            Ok(()) => service::dispatch(&mut self.caller, frame.op, frame.data, now, cx.waker(), effects),
            Err(refusal) => service::refuse(&self.caller, frame.op, frame.data, &refusal, effects),
        };
        if !self.follow(flow, now.up) {
            return false;
        }
        self.session.count_frame();
        true
    }

    fn throw_away(&mut self, cx: &mut Context<'_>) {
        with_scratch(|scratch| {
            for _ in 0..READS_A_TURN {
                let mut buffer = ReadBuf::new(scratch);
                match self.stream.poll_read(cx, &mut buffer) {
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
}
