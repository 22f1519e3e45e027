//! What the user of the library may want.

use std::time::Instant;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::item::Read;
use bellhop_protocol::name::NAME_MAX;
use bellhop_protocol::op::{OpCode, PEER_FIRST};
use bellhop_protocol::post::Post;
use bellhop_protocol::session::NewPassword;
use bellhop_protocol::text;
use bellhop_protocol::{Address, Code, MessageId, Request};

use super::{ASKED_MAX, Asked, Phase, READS_MAX, State, frames, is_text};
use crate::event::{Event, TroubleKind};
use crate::link::outbox::{Answered, Posting};
use crate::link::{Change, Command, Draft};
use crate::secret::Secret;

/// Messages on their way; more are handed back.
const OUTBOX_MAX: u64 = 10_000;
/// Bytes of a POST's data beside the recipient and the text.
const POST_FIELDS: usize = 8 + 1 + 1;
/// Bytes of the longest entry of a READ: an id, a length, an address.
const READ_ENTRY: usize = 16 + 1 + 2 * NAME_MAX + 1;
/// PROTOCOL.md, CREATE: no password has more bytes.
const PASSWORD_MAX: usize = 256;
/// A round trip is measured beside a message when the last measure is older.
const ROUND_TRIP_AGE: std::time::Duration = std::time::Duration::from_secs(30);

impl State {
    pub(super) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Send(draft) => self.send(draft),
            Command::Retry(n) => self.changes.push(Change::Retry(n)),
            Command::Withdraw(n) => self.changes.push(Change::Withdraw(n)),
            Command::Read(entries) => {
                self.reads.extend(entries);
                let over = self.reads.len().saturating_sub(READS_MAX);
                self.reads.drain(..over);
                self.write_reads();
            }
            Command::Take(count) => self.take_in(count),
            Command::Watch(names) => self.watch(names),
            Command::Typing(to) => self.tell_typing(&to),
            Command::Confirm(id) => {
                if let Some(received) = self.unconfirmed.remove(&id) {
                    self.held -= received.text.len();
                    self.changes.push(Change::Incoming(received));
                }
            }
            Command::Ask { tag, op, data } => self.ask(tag, op, &data),
            Command::Password { tag, old, new } => self.change_password(tag, &old, new),
            Command::Sync(tag) if self.is_online() => self.ping(now, Some(tag)),
            Command::Sync(_) => {}
            Command::Reconnect => self.reconnect(now),
        }
    }

    fn send(&mut self, draft: Draft) {
        if self.outbox.len() >= OUTBOX_MAX {
            let reason = "too many messages wait for the server".to_owned();
            let Draft { tag, to, text, .. } = draft;
            return self.event(Event::NotKept { tag, to, reason, text });
        }
        self.changes.push(Change::Outgoing(draft));
    }

    fn ask(&mut self, tag: u64, op: u8, data: &Secret) {
        let refusal = if !self.is_online() {
            Some("not connected")
        } else if OpCode::from_byte(op).is_some() && !is_text(op) {
            Some("the client speaks the session extension by itself")
        } else if data.reveal().len() > self.send_limit {
            Some("longer than anything this server takes")
        } else if self.asked.len() >= ASKED_MAX {
            Some("too many questions wait for an answer")
        } else {
            None
        };
        if let Some(reason) = refusal {
            return self.answer(tag, op, Err(reason.into()));
        }
        self.put_raw(op, data.reveal().as_bytes());
        if op < PEER_FIRST {
            self.asked.push_back(Asked::User { tag, op });
        } else {
            // Its answer, if any, is a notice that names no op.
            self.answer(tag, op, Ok(vec!["sent".into()]));
        }
    }

    fn change_password(&mut self, tag: u64, old: &Secret, new: Secret) {
        let refusal = match self.is_online() {
            false => Some("not connected"),
            true if self.new_password.is_some() => Some("it is being changed already"),
            true if [old, &new].iter().any(|secret| secret.reveal().len() > PASSWORD_MAX) => {
                Some("a password has at most 256 bytes")
            }
            true => None,
        };
        if let Some(reason) = refusal {
            return self.answer(tag, OpCode::Password.byte(), Err(reason.into()));
        }
        let until_now = Some(old.reveal()).filter(|old| !old.is_empty()).map(text::Secret);
        self.put(&Request::Password(NewPassword { old: until_now, new: text::Secret(new.reveal()) }));
        self.new_password = Some((tag, new));
    }

    fn reconnect(&mut self, now: Instant) {
        match self.phase {
            Phase::Waiting { .. } | Phase::Stopped => {
                self.backoff.reset();
                self.connect(now);
            }
            Phase::Online { .. } => {
                self.lose(now, TroubleKind::Asked, "a new connection was asked for".into());
            }
            Phase::Connecting { .. } | Phase::Greeting { .. } | Phase::SigningIn { .. } => {}
        }
    }

    /// Writes the messages that have counters and were not written on this connection.
    pub(super) fn write_postings(&mut self, now: Instant) {
        if !self.is_online() || self.hold_until.is_some() {
            return;
        }
        let postings = self.outbox.write(self.one_by_one);
        let stale = self.round_trip_at.is_none_or(|at| now - at > ROUND_TRIP_AGE);
        if stale && !postings.is_empty() && self.pings.is_empty() {
            self.ping(now, None);
        }
        for posting in postings {
            match self.sendable(&posting) {
                Ok(to) => {
                    let (counter, receipts) = (posting.counter, posting.receipts);
                    self.put(&Request::Post(Post { counter, receipts, to, text: &posting.text }));
                }
                Err(refusal) => {
                    let Some(Answered { n, first }) = self.outbox.answered(posting.counter) else { continue };
                    let reason = refusal.sentence.into_owned();
                    // The server was not asked: what it did with a message that is repeated it alone knows.
                    self.changes.push(frames::refused(n, first, refusal.code, reason));
                }
            }
        }
    }

    /// What the server would refuse by closing the connection is not written: it would be repeated for ever.
    fn sendable<'a>(&self, posting: &'a Posting) -> Result<Address<'a>, Refusal> {
        if POST_FIELDS + posting.to.len() + posting.text.len() > self.send_limit {
            return Err(Refusal::new(Code::TOO_LONG, "longer than anything this server takes"));
        }
        // Checked when the message was written down; only a damaged file has another.
        Address::parse(&posting.to).map_err(|error| Refusal::new(Code::BAD_NAME, error.to_string()))
    }

    pub(super) fn write_reads(&mut self) {
        if !self.is_online() {
            return;
        }
        while !self.reads.is_empty() {
            let count = self.reads.len().min((self.send_limit / READ_ENTRY).max(1));
            let entries: Vec<(MessageId, String)> = self.reads.drain(..count).collect();
            let entries: Vec<(MessageId, &str)> =
                entries.iter().map(|(id, from)| (*id, from.as_str())).collect();
            Read::put(&entries, self.wire());
        }
    }
}
