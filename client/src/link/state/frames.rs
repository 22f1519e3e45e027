//! What a server may say, and what follows from it. A server that breaks the protocol loses the connection, no more.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

use std::time::{Duration, Instant};

use bellhop_protocol::code::Failure;
use bellhop_protocol::item::{Message, Receipt, ReceiptState};
use bellhop_protocol::op::{ANSWER, OpCode};
use bellhop_protocol::post::{PostAnswer, PostFailure, Posted};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Address, Code, RawFrame, Reply, Request};

use super::{Asked, HOLD_S, HOLDING_MAX, Phase, State, sign_in};
use crate::delivery::Delivery;
use crate::event::{Event, StateChange, StopKind, Trouble, TroubleKind};
use crate::link::outbox::Answered;
use crate::link::{Change, Received};
use crate::peer::Peer;
use crate::raw;
use crate::text::{self, Kind, clean};

impl State {
    pub(super) fn received(&mut self, now: Instant, bytes: &[u8]) {
        if !self.is_connected() {
            return;
        }
        self.pulse.heard(now);
        let mut inbound = std::mem::take(&mut self.inbound);
        inbound.push(bytes);
        loop {
            match inbound.next(self.data_limit) {
                Ok(Some((op, data))) => self.frame(now, op, data),
                Ok(None) => break,
                Err(_) if matches!(self.phase, Phase::Greeting { .. }) => {
                    self.violation(now, "this is no Bellhop server");
                }
                Err(too_long) => self.violation(now, &too_long.to_string()),
            }
            if !self.is_connected() {
                return;
            }
        }
        self.inbound = inbound;
    }

    pub(super) fn violation(&mut self, now: Instant, what: &str) {
        self.lose(now, TroubleKind::Protocol, format!("the server broke the protocol: {what}"));
    }

    fn frame(&mut self, now: Instant, op: u8, data: &[u8]) {
        let reply = match Reply::decode(op, data) {
            Ok(reply) => reply,
            Err(refusal) => return self.violation(now, &refusal.sentence),
        };
        match reply {
            Reply::Notice(failure) => self.notice(failure),
            Reply::Ping(bytes) => self.put(&Request::Pong(bytes)),
            Reply::Pong(bytes) => self.pong(now, bytes),
            Reply::Welcome(welcome) => self.welcome(now, welcome),
            Reply::Refused(OpCode::Hello, failure) => self.refused_hello(now, failure),
            Reply::Refused(OpCode::Resume, failure) => self.refused_token(now, failure),
            Reply::Refused(OpCode::Password, failure) => self.refused_password(now, failure),
            Reply::Refused(OpCode::Watch, failure) => self.refused_watch(&failure),
            Reply::Refused(_, failure) => self.event(Event::Notice(sign_in::sentence(&failure))),
            Reply::Resumed(resumed) => self.resumed(now, resumed),
            Reply::Token(token) if self.config.remember => {
                let kept = self.kept(token);
                self.changes.push(Change::Token(Some(kept)));
            }
            Reply::Token(_) => {}
            Reply::Text(op, answer) => self.text_answer(now, op, data, answer),
            Reply::Posted(answer) => self.posted(now, answer),
            Reply::Message(message) => self.message(now, message),
            Reply::Receipt(receipt) => self.receipt(now, receipt),
            Reply::Delivery { .. } => self.violation(now, "a message without a seq"),
            Reply::PasswordChanged => self.password_changed(now),
            Reply::Watching(watching) => self.watching(watching),
            Reply::Presence(presence) => self.presence(presence),
            Reply::Typing(name) => self.typing(name),
            Reply::Unknown(frame) => self.unknown(frame),
        }
    }

    fn notice(&mut self, failure: Failure<'_>) {
        let sentence = sign_in::sentence(&failure);
        match failure.reason.code() {
            Some(Code::REPLACED) => self.stop(StopKind::Replaced, sentence),
            Some(Code::ACCOUNT_DELETED) => self.account_deleted(sentence),
            // PROTOCOL.md, PASSWORD: what let this session in is good no longer, and trying it again would be a wrong try.
            Some(Code::BAD_TOKEN) => {
                self.config.seat.token = None;
                self.changes.push(Change::Token(None));
                self.stop(StopKind::NeedPassword, sentence);
            }
            Some(
                code @ (Code::BUSY
                | Code::TOO_MANY_SESSIONS
                | Code::SHUTTING_DOWN
                | Code::TIMED_OUT
                | Code::TOO_LONG),
            ) => {
                self.parting = Some(Trouble { kind: TroubleKind::Refused(Some(code)), sentence });
            }
            _ => self.event(Event::Notice(sentence)),
        }
    }

    fn pong(&mut self, now: Instant, bytes: [u8; 8]) {
        let Some(at) = self.pings.iter().position(|ping| ping.bytes == bytes) else { return };
        let Some(ping) = self.pings.remove(at) else { return };
        self.round_trip_at = Some(now);
        self.event(Event::RoundTrip(now - ping.at));
        let Some(tag) = ping.sync else { return };
        if self.storing || !self.changes.is_empty() {
            // What came before it is told before it.
            self.changes.push(Change::Synced(tag));
        } else {
            self.event(Event::Synced(tag));
        }
    }

    fn text_answer(&mut self, now: Instant, op: OpCode, data: &[u8], answer: TextAnswer<'_>) {
        let expected = match self.asked.front() {
            Some(Asked::SignIn) => matches!(op, OpCode::Create | OpCode::Login),
            Some(Asked::Stream) => op == OpCode::Deliver,
            Some(Asked::User { op: asked, .. }) => op.byte() == *asked,
            None => false,
        };
        let asked = match self.asked.pop_front() {
            Some(asked) if expected => asked,
            _ => return self.violation(now, "an answer to what was not asked"),
        };
        match (asked, answer) {
            (Asked::SignIn, TextAnswer::Created(account)) => self.signed_in(now, account, true),
            (Asked::SignIn, TextAnswer::LoggedIn(account, _)) => self.signed_in(now, account, false),
            (Asked::SignIn, TextAnswer::Failed(failure)) => self.refused_login(now, failure),
            (Asked::SignIn, _) => self.violation(now, "an answer of another shape than its op has"),
            (Asked::Stream, TextAnswer::Delivered(waiting)) => {
                self.items_left = waiting;
                self.doorstep.announced(if self.config.asks { waiting } else { 0 });
                if !self.doorstep.is_closed() {
                    self.event(Event::Waiting(waiting));
                }
                if waiting == 0 {
                    self.event(Event::CaughtUp);
                }
            }
            // Without a stream nothing would ever come; the back-off asks again.
            (Asked::Stream, TextAnswer::Failed(failure)) => {
                let kind = TroubleKind::Refused(failure.reason.code());
                self.lose(now, kind, sign_in::sentence(&failure));
            }
            (Asked::Stream, _) => self.violation(now, "an answer of another shape than its op has"),
            (Asked::User { tag, op }, answer) => {
                self.answer_read(tag, op, op | ANSWER, data);
                self.ended_by_user(answer);
            }
        }
    }

    fn answer_read(&mut self, tag: u64, op: u8, byte: u8, data: &[u8]) {
        let (fields, verdict) = (Ok(raw::fields(byte, data)), raw::Verdict::of(byte, data));
        self.event(Event::Answer(crate::event::Answer { tag, op, fields, verdict }));
    }

    /// LOGOUT and DELETE end what this client is for.
    fn ended_by_user(&mut self, answer: TextAnswer<'_>) {
        match answer {
            TextAnswer::LoggedOut => {
                self.config.seat.token = None;
                self.changes.push(Change::Token(None));
                self.stop(StopKind::LoggedOut, "logged out".into());
            }
            TextAnswer::Deleted => self.account_deleted("the account was deleted".into()),
            _ => {}
        }
    }

    fn account_deleted(&mut self, sentence: String) {
        self.leave_account(None);
        self.stop(StopKind::AccountDeleted, sentence);
    }

    fn unknown(&mut self, frame: RawFrame<'_>) {
        let answered = match self.asked.front() {
            Some(Asked::User { tag, op }) if op | ANSWER == frame.op => Some((*tag, *op)),
            _ => None,
        };
        if let Some((tag, op)) = answered {
            self.asked.pop_front();
            self.answer_read(tag, op, frame.op, frame.data);
        }
    }

    fn posted(&mut self, now: Instant, answer: PostAnswer<'_>) {
        if let Err(failure) = &answer.result
            && self.may_wait(now, answer.counter, failure)
        {
            return self.postpone(now, answer.counter, failure);
        }
        let Some(Answered { n, first }) = self.outbox.answered(answer.counter) else { return };
        let seen = answer.result.as_ref().is_ok_and(|ok| ok.posted == Posted::SeenBefore);
        let stale = answer.result.as_ref().is_err_and(|failure| failure.code == Code::STALE_COUNTER);
        if stale || first && seen {
            // PROTOCOL.md, POST: a counter that was never used here was used, or the window moved past one that is
            // still unanswered. Both take somebody who has this device's id.
            self.copied = true;
            self.changes.push(Change::Copied);
        }
        // However it ended, the server had time for it.
        self.refused_since = None;
        if answer.result.is_ok() && !seen {
            (self.renewals, self.one_by_one) = (0, false);
        }
        self.changes.push(match answer.result {
            _ if first && (seen || stale) => Change::PutBack { n, reason: None },
            Ok(_) if seen && self.copied => {
                let reason =
                    "another program uses a copy of this device, and may have sent this or another message";
                Change::Unclear { n, code: None, reason: reason.into() }
            }
            Ok(ok) => Change::Posted {
                n,
                id: ok.id,
                time_ms: i64::try_from(ok.time_ms).unwrap_or(i64::MAX),
                posted: ok.posted,
            },
            // PROTOCOL.md, POST: a refusal is certain, of the first time as well, but where the window has forgotten it.
            Err(failure) => refused(n, first || !stale, failure.code, reason(&failure)),
        });
    }

    /// True where the server says no to every message alike, and not for long. A mailbox that is full is no such
    /// thing: messages for others would wait for its owner. A repeat can wait under its counter even where nobody
    /// does: the next run asks again.
    fn may_wait(&self, now: Instant, counter: u64, failure: &PostFailure<'_>) -> bool {
        matches!(failure.code, Code::BUSY | Code::RATE_LIMITED | Code::STORAGE)
            && (self.config.patient || self.outbox.repeats(counter))
            && self.refused_since.is_none_or(|since| now < since + HOLDING_MAX)
    }

    /// Holds all messages for a while, so that none that is written from now on overtakes the one that was refused.
    /// What was on the wire with it may have been taken: that the server decides.
    fn postpone(&mut self, now: Instant, counter: u64, failure: &PostFailure<'_>) {
        let Some(Answered { n, first }) = self.outbox.postponed(counter) else { return };
        let seconds = u64::from(failure.retry_after_ms.div_ceil(1_000));
        let until = now + Duration::from_secs(seconds.clamp(*HOLD_S.start(), *HOLD_S.end()));
        self.hold_until = self.hold_until.max(Some(until));
        self.refused_since.get_or_insert(now);
        self.one_by_one = true;
        let reason = Some(reason(failure));
        if first {
            self.changes.push(Change::PutBack { n, reason });
        } else if !self.config.patient {
            let (state, code) = (Delivery::Sending, Some(failure.code));
            self.event(Event::State(StateChange { n, id: None, state, time_ms: 0, code, reason }));
        }
    }

    fn message(&mut self, now: Instant, message: Message<'_>) {
        if !self.is_online() || !self.config.stream {
            return self.violation(now, "a message before DELIVER");
        }
        self.inbox.came(message.seq);
        self.item_came();
        if self.config.receipts {
            return self.changes.push(Change::Passing { seq: message.seq, id: message.id });
        }
        let received = Received {
            seq: message.seq,
            id: message.id,
            time_ms: i64::try_from(message.time_ms).unwrap_or(i64::MAX),
            from: Peer::new(message.from),
            text: clean(message.text, Kind::Body).into_owned(),
            sent: self.config.bytes.then(|| message.text.to_owned()),
        };
        if !self.config.confirm {
            self.let_in(received);
        } else if let Some(given) = self.unconfirmed.get_mut(&received.id) {
            // It is still with the user of the library. A first copy on this connection is acknowledged at once, as the
            // second one stands for it; the same item on another connection is no second one.
            let first = std::mem::replace(&mut given.seq, received.seq);
            self.items_came(1);
            if first != received.seq {
                self.acknowledge(vec![first]);
            }
        } else {
            self.changes.push(Change::Lookup(received));
        }
    }

    fn receipt(&mut self, now: Instant, receipt: Receipt<'_>) {
        if !self.is_online() || !self.config.stream {
            return self.violation(now, "a receipt before DELIVER");
        }
        self.inbox.came(receipt.seq);
        self.item_came();
        let state = match receipt.state {
            // Nothing was ever sent to what cannot be an address; it is not worth a place on the disk.
            _ if Address::parse(receipt.peer).is_err() => None,
            ReceiptState::Delivered => Some(Delivery::Delivered),
            ReceiptState::Read => Some(Delivery::Read),
            ReceiptState::Expired | ReceiptState::Refused => Some(Delivery::Returned),
            ReceiptState::Other(_) => None,
        };
        let reason = match receipt.state {
            ReceiptState::Expired => Some("nobody took it in time"),
            ReceiptState::Refused => Some("the account no longer exists"),
            _ => None,
        };
        self.changes.push(Change::Receipt {
            seq: receipt.seq,
            id: receipt.id,
            peer: Peer::new(receipt.peer),
            state,
            reason,
        });
    }
}

fn reason(failure: &PostFailure<'_>) -> String {
    let said = text::sentence(failure.sentence);
    if said.is_empty() { failure.code.to_string() } else { said }
}

/// What a refusal means where it is certain that the message was not kept, and where it is not.
pub(super) fn refused(n: i64, certain: bool, code: Code, reason: String) -> Change {
    if certain {
        return Change::Refused { n, code, reason };
    }
    Change::Unclear { n, code: Some(code), reason: format!("it was repeated, and refused: {reason}") }
}
