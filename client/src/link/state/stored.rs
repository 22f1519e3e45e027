//! What follows when something is on disk: only then is a message acknowledged, a counter used, a state shown.

use std::time::Instant;

use super::{Phase, RENEWALS_MAX, STORE_AGAIN, STORE_TRIES, State};
use crate::delivery::Delivery;
use crate::event::{Event, Message, StateChange, StopKind, TroubleKind};
use crate::history::Seat;
use crate::link::outbox::Outbox;
use crate::link::{Change, Draft, Failed, Outcome, Output, Received};
use crate::text::{Kind, clean, shown};
use bellhop_protocol::item::Ack;
use bellhop_protocol::{Code, DeviceId};

/// Bytes of a range in an ACK.
const ACK_RANGE: usize = 16;

impl State {
    pub(super) fn stored(&mut self, now: Instant, outcomes: Vec<(Change, Outcome)>) {
        (self.storing, self.store_failures) = (false, 0);
        let items = outcomes.iter().filter(|(change, _)| self.is_item(change)).count() as u64;
        let safe = outcomes.into_iter().filter_map(|(change, outcome)| self.one_stored(now, change, outcome));
        let safe = safe.collect();
        self.items_came(items);
        self.acknowledge(safe);
    }

    /// What was not written down did not happen: it is tried again, or the connection goes, so that the server sends
    /// its part again, and the user of the library gets theirs back.
    pub(super) fn store_failed(&mut self, now: Instant, failed: Failed) {
        self.storing = false;
        let Failed { mut changes, reason, passing } = failed;
        // Room is told anew at the next try.
        changes.retain(|change| !matches!(change, Change::Number(_)));
        changes.append(&mut self.changes);
        if passing && self.store_failures < STORE_TRIES {
            self.store_failures += 1;
            self.store_again = Some(now + STORE_AGAIN);
            self.changes = changes;
            return;
        }
        if !matches!(self.phase, Phase::Stopped) {
            self.stop(StopKind::Disk, reason.clone());
        }
        (self.stale, self.store_failures) = (true, 0);
        self.changes.clear();
        for change in changes {
            if let Change::Outgoing(draft) = change {
                self.handed_back.push(draft.clone());
                let Draft { tag, to, text, .. } = draft;
                self.event(Event::NotKept { tag, to, reason: reason.clone(), text });
            }
        }
    }

    /// Memory is as the disk again, so the connection may be.
    pub(super) fn loaded(&mut self, loaded: Result<Box<Seat>, String>) {
        let mut seat = match loaded {
            Ok(seat) => *seat,
            Err(reason) => return self.stop(StopKind::Disk, reason),
        };
        seat.token = seat.token.filter(|_| self.config.password.is_none());
        self.outbox = Outbox::new(&mut seat);
        self.handed_back.clear();
        (self.stale, self.copied, self.renewing) = (false, seat.copied, false);
        self.config.seat = seat;
        self.outputs.push_back(Output::Connect);
    }

    /// What follows from one change. Returns the seq that is safe now, if any.
    fn one_stored(&mut self, now: Instant, change: Change, outcome: Outcome) -> Option<u64> {
        match (change, outcome) {
            (Change::Incoming(received), Outcome::Kept(n)) => {
                let seq = received.seq;
                if let Some(n) = n.filter(|_| !self.config.confirm) {
                    self.event(Event::Message(message(received, n)));
                }
                return Some(seq);
            }
            (Change::Lookup(received), Outcome::Shown(true)) => return Some(received.seq),
            (Change::Passing { seq, .. }, Outcome::Shown(true)) => return Some(seq),
            (Change::Lookup(received), _) => return self.hand_out(received),
            (Change::Receipt { seq, .. }, Outcome::States(states)) => {
                self.tell(states);
                return Some(seq);
            }
            (Change::Outgoing(draft), Outcome::Queued(n)) => {
                self.outbox.queued();
                self.event(Event::Outgoing { tag: draft.tag, message: outgoing(draft, n) });
            }
            (Change::Retry(_), Outcome::Queued(n)) => {
                self.outbox.queued();
                self.tell(vec![change_to(n, Delivery::Outbox)]);
            }
            (Change::PutBack { reason, .. }, Outcome::Queued(n)) => {
                self.outbox.queued();
                self.tell(vec![StateChange { reason, ..change_to(n, Delivery::Outbox) }]);
            }
            (Change::Number(_), Outcome::Numbered(postings, waiting)) => {
                let sending = postings.iter().map(|posting| change_to(posting.n, Delivery::Sending));
                self.tell(sending.collect());
                self.outbox.numbered(postings, waiting);
            }
            (Change::NewDevice, Outcome::Device(device, _)) => {
                self.event(Event::NewDevice);
                self.new_device(now, device, Code::STALE_COUNTER, "this device has a new id");
            }
            (Change::NewAccount(successor), Outcome::Device(device, settled)) => {
                self.tell(settled);
                self.config.seat.uuid = successor;
                self.new_device(now, device, Code::ACCOUNT_DELETED, "this name has a new account");
            }
            (Change::Token(Some(token)), _) => {
                self.config.seat.token = Some(token);
                self.event(Event::TokenKept);
            }
            (Change::Synced(tag), _) => self.event(Event::Synced(tag)),
            (_, Outcome::Waiting(waiting)) => {
                self.outbox.waits(waiting);
                // What was taken back is refused no more.
                self.refused_since = self.refused_since.filter(|_| self.outbox.len() > 0);
            }
            (_, Outcome::States(states)) => self.tell(states),
            _ => {}
        }
        None
    }

    /// Gives a message to the user of the library, who will confirm it. The same id twice in one batch is one message;
    /// the first copy is acknowledged at once, as the second one stands for it.
    fn hand_out(&mut self, received: Received) -> Option<u64> {
        self.held += received.text.len();
        match self.unconfirmed.insert(received.id, received.clone()) {
            Some(first) => {
                self.held -= first.text.len();
                (first.seq != received.seq).then_some(first.seq)
            }
            None => {
                self.event(Event::Message(message(received, 0)));
                None
            }
        }
    }

    /// True for what the server counts when it says how much waits. A message that is confirmed by hand counts when it
    /// is looked up.
    fn is_item(&self, change: &Change) -> bool {
        match change {
            Change::Lookup(_) | Change::Passing { .. } | Change::Receipt { .. } => true,
            Change::Incoming(_) => !self.config.confirm,
            _ => false,
        }
    }

    pub(super) fn items_came(&mut self, items: u64) {
        if (1..=items).contains(&self.items_left) {
            self.event(Event::CaughtUp);
        }
        self.items_left = self.items_left.saturating_sub(items);
    }

    fn tell(&mut self, states: Vec<StateChange>) {
        for change in states {
            self.event(Event::State(change));
        }
    }

    pub(super) fn acknowledge(&mut self, safe: Vec<u64>) {
        let ranges = self.inbox.safe(safe);
        if !self.is_online() {
            return;
        }
        for ranges in ranges.chunks((self.send_limit / ACK_RANGE).max(1)) {
            Ack::put(ranges, self.wire());
        }
    }

    /// The old id is left at once, the next one only after a wait: a server may say the same of it.
    fn new_device(&mut self, now: Instant, device: DeviceId, code: Code, why: &str) {
        (self.copied, self.renewing) = (false, false);
        self.renewals += 1;
        self.config.seat.device = device;
        self.outbox.new_device(1);
        let by_token = self.config.seat.token.take().is_some();
        if matches!(self.phase, Phase::Stopped) {
            // Whoever starts it again does so as the new device.
        } else if by_token && self.config.password.is_none() {
            self.stop(StopKind::NeedPassword, format!("{why}: log in again"));
        } else if self.renewals > RENEWALS_MAX {
            self.renewals = 0;
            self.stop(StopKind::Refused(code), format!("{why}, and the server wants yet another one"));
        } else if self.is_connected() {
            self.lose(now, TroubleKind::Refused(Some(code)), why.into());
        }
    }
}

fn change_to(n: i64, state: Delivery) -> StateChange {
    StateChange { n, id: None, state, time_ms: 0, code: None, reason: None }
}

fn message(received: Received, n: i64) -> Message {
    Message {
        n,
        peer: received.from,
        mine: false,
        id: Some(received.id),
        // What is in the history need not be in memory as a whole; what is handed out is in nothing else.
        text: match received.sent {
            Some(sent) => sent,
            None if n > 0 => shown(&received.text).into_owned(),
            None => received.text,
        },
        time_ms: received.time_ms,
        state: Delivery::Delivered,
        reason: None,
    }
}

fn outgoing(draft: Draft, n: i64) -> Message {
    Message {
        n,
        peer: draft.to,
        mine: true,
        id: None,
        text: shown(&clean(&draft.text, Kind::Body)).into_owned(),
        time_ms: draft.time_ms,
        state: Delivery::Outbox,
        reason: None,
    }
}
