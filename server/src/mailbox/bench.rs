//! A mailbox without a server around it: outlets that keep their frames, and a store of what was published.

use std::cell::RefCell;
use std::rc::Rc;

use bellhop_protocol::frame;
use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::{MessageId, Reply};
use uuid::Uuid;

use super::content::{Body, Content, Fetched, OwnedBody, OwnedContent};
use super::device::UNSEEN_MS_MAX;
use super::stream::Feed;
use super::*;
use crate::store::{AccountId, Author};

/// An outlet that keeps its frames and has room for so many bytes.
#[derive(Clone, Debug)]
pub(super) struct Pipe(pub(super) Rc<RefCell<PipeState>>);

#[derive(Debug)]
pub(super) struct PipeState {
    pub(super) bytes: Vec<u8>,
    pub(super) appended: u64,
    pub(super) room: usize,
}

impl Pipe {
    pub(super) fn new() -> Pipe {
        Pipe(Rc::new(RefCell::new(PipeState { bytes: Vec::new(), appended: 0, room: usize::MAX })))
    }

    pub(super) fn set_room(&self, room: usize) {
        self.0.borrow_mut().room = room;
    }

    pub(super) fn appended(&self) -> u64 {
        self.0.borrow().appended
    }

    /// What came since the last call: `7:hi` for a message, `8=2` for a receipt of state 2, `hi` for a delivery.
    pub(super) fn read(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut self.0.borrow_mut().bytes);
        let (mut rest, mut seen) = (bytes.as_slice(), Vec::new());
        while let Some(frame) = frame::parse(rest, frame::LIMIT_MAX).unwrap() {
            seen.push(match Reply::decode(frame.op, frame.data).unwrap() {
                Reply::Message(message) => format!("{}:{}", message.seq, message.text),
                Reply::Receipt(receipt) => format!("{}={}", receipt.seq, receipt.state.byte()),
                Reply::Delivery { text, .. } => text.to_owned(),
                other => panic!("{other:?}"),
            });
            rest = &rest[frame.wire_len()..];
        }
        seen
    }
}

impl Outlet for Pipe {
    fn push(&self, len: usize, _: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) -> Option<u64> {
        let mut pipe = self.0.borrow_mut();
        pipe.room = pipe.room.checked_sub(len)?;
        let before = pipe.bytes.len();
        write(&mut pipe.bytes);
        assert_eq!(pipe.bytes.len() - before, len, "the announced length is the written one");
        pipe.appended += len as u64;
        Some(pipe.appended)
    }
}

pub(super) const BOUNDS: Bounds =
    Bounds { waiting: Load { count: 20, bytes: 1000 }, of_sender: 10, had: Load { count: 20, bytes: 1000 } };
pub(super) const NOW: u64 = 100 * UNSEEN_MS_MAX;

/// A mailbox, what it asked for, and a store of everything published, for fetching.
pub(super) struct Bench {
    pub(super) mailbox: Mailbox<Pipe>,
    pub(super) effects: Effects,
    pub(super) stored: Vec<(u64, String)>,
    pub(super) next_session: u64,
}

pub(super) fn device(number: u8) -> DeviceId {
    DeviceId([number; 16])
}

pub(super) fn author(number: u8) -> Author {
    Author { account: AccountId(number.into()), device: Some(device(number)) }
}

impl Bench {
    pub(super) fn new() -> Bench {
        let mailbox = Mailbox::new(0, u64::MAX >> 1, false);
        Bench { mailbox, effects: Effects::default(), stored: Vec::new(), next_session: 1 }
    }

    pub(super) fn text(&mut self) -> (SessionId, Pipe) {
        self.attach(None)
    }

    pub(super) fn attach(&mut self, device: Option<u8>) -> (SessionId, Pipe) {
        let (id, pipe) = (SessionId(self.next_session), Pipe::new());
        self.next_session += 1;
        let id_of = device.map(self::device);
        self.mailbox.attach(id, id_of, pipe.clone(), 8, NOW, &mut self.effects).unwrap();
        (id, pipe)
    }

    /// A session with the extension, its stream open and fed.
    pub(super) fn open(&mut self, device: u8) -> (SessionId, Pipe) {
        let (id, pipe) = self.attach(Some(device));
        self.mailbox.open(id, NOW, &mut self.effects);
        self.feed(id);
        (id, pipe)
    }

    pub(super) fn stage(&mut self, text: &str, marks: Marks) -> u64 {
        let row = RowId(self.stored.len() as u64 + 1);
        let seq = self.mailbox.stage(row, text.len(), marks, 1);
        self.stored.push((seq, text.to_owned()));
        seq
    }

    pub(super) fn publish(&mut self, seq: u64) -> bool {
        let text = self.stored.iter().find(|(stored, _)| *stored == seq).unwrap().1.clone();
        let content = Content {
            id: MessageId(Uuid::from_u128(seq.into())),
            time_ms: NOW,
            name: "alice",
            body: Body::Message(author(1), &text),
        };
        self.mailbox.publish(seq, &content, &mut self.effects)
    }

    pub(super) fn send(&mut self, text: &str) -> bool {
        let seq = self.stage(text, Marks::default());
        self.publish(seq)
    }

    pub(super) fn send_wanted(&mut self, text: &str) {
        let seq = self.stage(text, Marks::WANTED);
        self.publish(seq);
    }

    /// Files a receipt for `device`.
    pub(super) fn receipt(&mut self, device: Option<u8>, state: ReceiptState) {
        let party = self.mailbox.party_of(device.map(self::device)).unwrap();
        let seq = self.mailbox.stage(RowId(900), 0, Marks::RECEIPT, party);
        let content =
            Content { id: MessageId(Uuid::nil()), time_ms: NOW, name: "bob", body: Body::Receipt(state) };
        self.mailbox.publish(seq, &content, &mut self.effects);
    }

    /// Feeds a session as its connection would, fetching what is asked for.
    pub(super) fn feed(&mut self, id: SessionId) -> Feed {
        let mut fetched = Vec::new();
        loop {
            match self.mailbox.feed(id, &fetched, &mut self.effects) {
                Feed::Fetch(rows, _) => {
                    assert!(!rows.is_empty());
                    fetched = rows.iter().map(|row| self.fetch(*row)).collect();
                }
                other => return other,
            }
        }
    }

    pub(super) fn fetch(&self, row: RowId) -> Fetched {
        let (seq, text) = &self.stored[row.0 as usize - 1];
        let body = OwnedBody::Message(author(1), text.clone());
        let id = MessageId(Uuid::from_u128((*seq).into()));
        Fetched { seq: *seq, content: OwnedContent { id, time_ms: NOW, name: "alice".into(), body } }
    }

    pub(super) fn ack(&mut self, id: SessionId, ranges: &[(u64, u64)]) {
        self.mailbox.ack(id, ranges.iter().copied(), &BOUNDS, &mut self.effects);
        self.feed(id);
    }

    /// DELIVER of a text session, answered in full.
    pub(super) fn deliver(&mut self, id: SessionId) -> u64 {
        self.mailbox.deliver(id);
        match self.feed(id) {
            Feed::Delivered(count) => count,
            other => panic!("{other:?}"),
        }
    }

    /// The text session sent a request after it had read everything.
    pub(super) fn answers(&mut self, id: SessionId, pipe: &Pipe) {
        self.mailbox.take_written(id, pipe.appended(), &BOUNDS, &mut self.effects);
    }

    pub(super) fn freed(&mut self) -> Vec<u64> {
        self.effects.freed.drain(..).map(|row| row.0).collect()
    }

    pub(super) fn kept(&self) -> Vec<u64> {
        self.mailbox.items().iter().map(|item| item.seq).collect()
    }
}
