//! The sessions of an account: where each stands in the mailbox, and what it is given next.
//!
//! A session's *cursor* is the next seq that it was not given. A commit pushes to a session only when its cursor stands
//! at the mailbox's tip and there is room; otherwise whoever drains its outbox or takes its ACK feeds it from the
//! mailbox. Being behind is `cursor < tip` and nothing else.

use std::collections::HashSet;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::{Code, DeviceId};

use super::content::{Content, Fetched, push_delivery, push_item};
use super::device::{NAMELESS, Slot};
use super::items::{Item, Load};
use super::taken::Untaken;
use super::{Bounds, Effects, Mailbox, SessionId};
use crate::store::RowId;

/// How many items may be underway unacknowledged.
pub const WINDOW_ITEMS: u64 = 1024;
/// How many bytes of text may be underway unacknowledged.
pub const WINDOW_BYTES: u64 = 256 * 1024;
/// How many rows are asked of the store at once.
const FETCH_ROWS: usize = 256;
/// How many bytes of text are asked of the store at once.
const FETCH_BYTES: u64 = 64 * 1024;
/// What a row that is fetched takes beside its text: its place among those asked for and those found, and a name.
const FETCHED_ROW: usize = size_of::<RowId>() + size_of::<Fetched>() + 64;

/// Where the frames of a session go.
pub trait Outlet {
    /// Appends a frame of `len` bytes, if there is room for it. Returns the number of bytes ever appended, this frame
    /// included; a task that has to be woken is added to `effects`.
    fn push(&self, len: usize, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) -> Option<u64>;
}

/// A session of an account.
#[derive(Debug)]
pub struct Attached<O> {
    /// Its number.
    pub id: SessionId,
    /// Its device.
    pub slot: Slot,
    /// Where its frames go.
    pub outlet: O,
    /// True where it does not make its account appear online.
    hidden: bool,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    /// With the extension, before DELIVER.
    Closed,
    /// With the extension, after DELIVER.
    Open { cursor: u64, in_flight: Load },
    /// Without the extension.
    Text(Box<TextStream>),
}

/// A session without the extension: it was given everything from `base` to `cursor`, and is given the rest when it
/// asks.
#[derive(Debug)]
struct TextStream {
    base: u64,
    cursor: u64,
    /// The DELIVER that is being answered.
    delivering: Option<Delivering>,
    untaken: Untaken,
}

#[derive(Clone, Copy, Debug)]
struct Delivering {
    next: u64,
    end: u64,
    count: u64,
}

/// What feeding a session came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Feed {
    /// It has been given everything.
    Idle,
    /// There is more, but no room in its window or its outbox.
    Blocked,
    /// The next items lie in these rows of the store, which take so many bytes in memory.
    Fetch(Vec<RowId>, usize),
    /// The DELIVER of a text session is answered: it brought this many messages.
    Delivered(u64),
}

fn window_has_room(in_flight: &Load, item: &Item) -> bool {
    in_flight.count == 0
        || (in_flight.count < WINDOW_ITEMS && in_flight.bytes + u64::from(item.size()) <= WINDOW_BYTES)
}

impl<O> Attached<O> {
    fn underway(&self) -> u64 {
        match &self.stream {
            Stream::Open { in_flight, .. } => in_flight.count,
            Stream::Closed | Stream::Text(_) => 0,
        }
    }
}

impl<O: Outlet> Attached<O> {
    /// True if and only if the session has no extension.
    pub fn is_text(&self) -> bool {
        matches!(self.stream, Stream::Text(_))
    }

    /// Gives the session an item that was just published, if it stands at `tip` and has room; returns whether it got
    /// it.
    pub(super) fn hand_over(
        &mut self,
        tip: u64,
        item: &Item,
        addressed: bool,
        content: &Content<'_>,
        effects: &mut Effects,
    ) -> bool {
        match &mut self.stream {
            Stream::Closed => false,
            Stream::Open { cursor, .. } if *cursor < tip => false,
            Stream::Open { cursor, .. } if !addressed => {
                *cursor = item.seq + 1;
                false
            }
            Stream::Open { cursor, in_flight } => {
                if !window_has_room(in_flight, item)
                    || push_item(&self.outlet, item.seq, content, effects).is_none()
                {
                    return false;
                }
                *cursor = item.seq + 1;
                in_flight.count += 1;
                in_flight.bytes += u64::from(item.size());
                true
            }
            Stream::Text(stream) if stream.cursor < tip || stream.delivering.is_some() => false,
            Stream::Text(stream) if !addressed => {
                stream.cursor = item.seq + 1;
                false
            }
            Stream::Text(stream) => {
                let Some(end) = push_delivery(&self.outlet, content, effects) else { return false };
                stream.cursor = item.seq + 1;
                stream.untaken.push(item.seq, item.size(), end);
                true
            }
        }
    }
}

impl<O: Outlet> Mailbox<O> {
    /// Lets a session in. With the extension `device` names its device, and an older session of that device is
    /// returned with its outlet: it is replaced.
    ///
    /// # Errors
    ///
    /// `too-many-sessions` where `most` are here already. The caller has checked [`Mailbox::life`].
    pub fn attach(
        &mut self,
        id: SessionId,
        device: Option<DeviceId>,
        outlet: O,
        most: u64,
        now_ms: u64,
        effects: &mut Effects,
    ) -> Result<Option<O>, Refusal> {
        let slot = self.slot_for(device.unwrap_or(NAMELESS));
        let older = self.sessions.iter().position(|session| device.is_some() && session.slot == slot);
        if older.is_none() && self.sessions.len() as u64 >= most {
            return Err(Refusal::new(Code::TOO_MANY_SESSIONS, "the account has as many sessions as it may"));
        }
        let replaced = older.map(|at| self.sessions.swap_remove(at).outlet);
        let known = self.device(device.unwrap_or(NAMELESS), now_ms, effects);
        known.seen_ms = now_ms;
        known.unsaved = true;
        let stream = match device {
            Some(_) => Stream::Closed,
            None => Stream::Text(Box::new(TextStream {
                base: self.tip,
                cursor: self.tip,
                delivering: None,
                untaken: Untaken::default(),
            })),
        };
        self.sessions.push(Attached { id, slot, outlet, hidden: false, stream });
        Ok(replaced)
    }

    /// True if and only if the session is here, and no other took its place or ended it.
    pub fn is_attached(&self, id: SessionId) -> bool {
        self.sessions.iter().any(|session| session.id == id)
    }

    /// Lets a session go: what it was written and has not taken waits again.
    pub fn detach(&mut self, id: SessionId, now_ms: u64) {
        let Some(at) = self.sessions.iter().position(|session| session.id == id) else { return };
        let session = self.sessions.swap_remove(at);
        if let Some(device) = self.devices.iter_mut().find(|device| device.slot == session.slot) {
            device.seen_ms = now_ms;
            device.unsaved = true;
        }
        if let Stream::Text(stream) = session.stream {
            self.unwrite(stream.untaken);
        }
        if self.sessions.is_empty() && !self.in_memory {
            self.tail.clear();
        }
    }

    fn unwrite(&mut self, untaken: Untaken) {
        if untaken.is_empty() {
            return;
        }
        let others = self.sessions.iter().filter_map(|session| match &session.stream {
            Stream::Text(stream) => Some(stream.untaken.seqs()),
            _ => None,
        });
        let elsewhere: HashSet<u64> = others.flatten().collect();
        for seq in untaken.seqs().filter(|seq| !elsewhere.contains(seq)) {
            self.items.unmark(seq, super::items::Marks::WRITTEN);
        }
    }

    /// Gives back memory that a quiet mailbox does not need.
    pub fn shrink(&mut self) {
        self.tail.shrink();
    }

    /// The session does not make its account appear online.
    pub fn hide(&mut self, id: SessionId) {
        self.sessions.iter_mut().filter(|session| session.id == id).for_each(|session| session.hidden = true);
    }

    /// True if and only if the account is online: a session that does not hide is given what comes.
    pub fn is_online(&self) -> bool {
        self.sessions.iter().any(|session| !session.hidden && !matches!(session.stream, Stream::Closed))
    }

    /// How many items the session was sent and has not acknowledged.
    pub fn underway(&self, id: SessionId) -> u64 {
        let session = self.sessions.iter().find(|session| session.id == id);
        session.map_or(0, Attached::underway)
    }

    /// How many items the sessions of a device were sent and have not acknowledged, and how many sessions those are.
    pub fn underway_to(&self, slot: Slot) -> (u64, usize) {
        let here = self.sessions.iter().filter(|session| session.slot == slot);
        here.fold((0, 0), |(items, sessions), session| (items + session.underway(), sessions + 1))
    }

    /// How many sessions are here.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// True if and only if the session's stream is open, or its device receives already: opening it changes nothing
    /// that has to be durable first.
    pub fn receives(&self, id: SessionId) -> bool {
        let slot = self.sessions.iter().find(|session| session.id == id).map(|session| session.slot);
        self.devices.iter().any(|device| Some(device.slot) == slot && device.receiving)
    }

    /// DELIVER of a session with the extension: opens its stream, where it is not open, at the first item that its
    /// device has not acknowledged. Returns how many items that are.
    pub fn open(&mut self, id: SessionId, now_ms: u64, effects: &mut Effects) -> u64 {
        let Some(at) = self.sessions.iter().position(|session| session.id == id) else { return 0 };
        let slot = self.sessions[at].slot;
        if matches!(self.sessions[at].stream, Stream::Closed) {
            self.receive(slot, now_ms, effects);
            let floor =
                self.devices.iter().find(|device| device.slot == slot).map(|device| device.acked.floor());
            let cursor = floor.unwrap_or(0) + 1;
            self.sessions[at].stream =
                Stream::Open { cursor: cursor.min(self.tip), in_flight: Load::default() };
        }
        self.items_for(slot)
    }

    /// DELIVER of a session without the extension: begins to bring what it was not given. [`Feed::Delivered`] ends it.
    pub fn deliver(&mut self, id: SessionId) {
        let tip = self.tip;
        if let Some(stream) = self.text_stream(id) {
            stream.delivering = Some(Delivering { next: 0, end: tip, count: 0 });
        }
        self.receive_nameless();
    }

    fn text_stream(&mut self, id: SessionId) -> Option<&mut TextStream> {
        let session = self.sessions.iter_mut().find(|session| session.id == id)?;
        match &mut session.stream {
            Stream::Text(stream) => Some(stream),
            _ => None,
        }
    }

    /// True if and only if the session could be given something now.
    pub fn is_behind(&self, id: SessionId) -> bool {
        match self.sessions.iter().find(|session| session.id == id).map(|session| &session.stream) {
            Some(Stream::Open { cursor, .. }) => *cursor < self.tip,
            Some(Stream::Text(stream)) => stream.cursor < self.tip || stream.delivering.is_some(),
            Some(Stream::Closed) | None => false,
        }
    }

    /// Gives the session what comes next, from memory and from what was fetched, as far as there is room.
    pub fn feed(&mut self, id: SessionId, fetched: &[Fetched], effects: &mut Effects) -> Feed {
        let Some(at) = self.sessions.iter().position(|session| session.id == id) else { return Feed::Idle };
        loop {
            let Some(item) = self.next_for(at) else {
                return match self.finish_delivering(at) {
                    Some(count) => Feed::Delivered(count),
                    None => Feed::Idle,
                };
            };
            if let Stream::Open { in_flight, .. } = &self.sessions[at].stream
                && !window_has_room(in_flight, &item)
            {
                return Feed::Blocked;
            }
            let found = fetched.binary_search_by_key(&item.seq, |fetched| fetched.seq).ok();
            let content = match self.tail.find(item.seq) {
                Some(content) => content,
                None => match found {
                    Some(found) => fetched[found].content.as_content(),
                    None => return self.fetch_from(at, item.seq),
                },
            };
            if !self.sessions[at].give(&item, &content, effects) {
                return Feed::Blocked;
            }
            if self.sessions[at].is_text() {
                self.items.mark(item.seq, super::items::Marks::WRITTEN);
            }
        }
    }

    /// The next item for the session at `at`, whether or not there is room for it.
    fn next_for(&self, at: usize) -> Option<Item> {
        let session = &self.sessions[at];
        let device = self.devices.iter().find(|device| device.slot == session.slot)?;
        let fits = |item: &&Item| device.is_addressed_by(item) && !device.acked.contains(item.seq);
        match &session.stream {
            Stream::Closed => None,
            Stream::Open { cursor, .. } => {
                let from = (*cursor).max(device.acked.floor() + 1);
                self.items.from(from).take_while(|item| item.seq < self.tip).find(fits).copied()
            }
            Stream::Text(stream) => {
                let (next, end) = match stream.delivering {
                    Some(delivering) => (delivering.next, delivering.end),
                    None => (stream.cursor, self.tip),
                };
                let given = |seq: u64| stream.base <= seq && seq < stream.cursor;
                let items = self.items.from(next).take_while(|item| item.seq < end);
                items.filter(fits).find(|item| !given(item.seq)).copied()
            }
        }
    }

    /// Ends a text session's DELIVER that has nothing more to bring; returns its count.
    fn finish_delivering(&mut self, at: usize) -> Option<u64> {
        let tip = self.tip;
        match &mut self.sessions[at].stream {
            Stream::Closed => None,
            Stream::Open { cursor, .. } => {
                *cursor = tip;
                None
            }
            Stream::Text(stream) => match stream.delivering.take() {
                Some(delivering) => {
                    stream.base = 0;
                    stream.cursor = stream.cursor.max(delivering.end);
                    Some(delivering.count)
                }
                None => {
                    stream.cursor = tip;
                    None
                }
            },
        }
    }

    /// The rows of the next items for the session at `at`, from `seq` on, that are not in memory.
    fn fetch_from(&self, at: usize, seq: u64) -> Feed {
        let session = &self.sessions[at];
        let device = self.devices.iter().find(|device| device.slot == session.slot);
        let Some(device) = device else { return Feed::Idle };
        // What the window has no room for would only be fetched again.
        let room = match &session.stream {
            Stream::Open { in_flight, .. } => WINDOW_ITEMS.saturating_sub(in_flight.count) as usize,
            _ => FETCH_ROWS,
        };
        let (mut bytes, mut held) = (0, 0);
        let rows = self
            .items
            .from(seq)
            .take_while(|item| item.seq < self.tip)
            .filter(|item| device.is_addressed_by(item) && !device.acked.contains(item.seq))
            .take_while(|item| {
                bytes += u64::from(item.size());
                bytes <= FETCH_BYTES + u64::from(item.size()) && self.tail.find(item.seq).is_none()
            })
            .take(FETCH_ROWS.min(room))
            .inspect(|item| held += FETCHED_ROW + item.size() as usize)
            .map(|item| item.row);
        Feed::Fetch(rows.collect(), held)
    }

    /// ACK of a session with the extension: its device has these ranges, as far as the session was sent them.
    pub fn ack(
        &mut self,
        id: SessionId,
        ranges: impl Iterator<Item = (u64, u64)>,
        bounds: &Bounds,
        effects: &mut Effects,
    ) {
        let Some(at) = self.sessions.iter().position(|session| session.id == id) else { return };
        let slot = self.sessions[at].slot;
        let Stream::Open { cursor, .. } = self.sessions[at].stream else { return };
        for (first, last) in ranges {
            let last = last.min(cursor - 1);
            if first > last {
                continue;
            }
            let load = self.acknowledge(slot, first, last, bounds, effects);
            if let Stream::Open { in_flight, .. } = &mut self.sessions[at].stream {
                in_flight.count = in_flight.count.saturating_sub(load.count);
                in_flight.bytes = in_flight.bytes.saturating_sub(load.bytes);
            }
        }
    }

    /// A text session sent a request after `written` bytes had been written to it: what was among them is taken.
    pub fn take_written(&mut self, id: SessionId, written: u64, bounds: &Bounds, effects: &mut Effects) {
        loop {
            let Some(stream) = self.text_stream(id) else { return };
            let Some(seq) = stream.untaken.pop_written(written) else { break };
            self.take(seq, bounds, effects);
        }
    }

    /// `written` bytes have been written to a text session: what it has not taken is held to its bound.
    pub fn take_excess(&mut self, id: SessionId, written: u64, bounds: &Bounds, effects: &mut Effects) {
        while let Some(seq) = self.text_stream(id).and_then(|stream| stream.untaken.pop_excess(written)) {
            self.take(seq, bounds, effects);
        }
    }

    fn take(&mut self, seq: u64, bounds: &Bounds, effects: &mut Effects) {
        self.items.unmark(seq, super::items::Marks::WRITTEN);
        self.acknowledge(super::device::NAMELESS_SLOT, seq, seq, bounds, effects);
    }

    /// True if and only if a text session has been written something that it has not taken.
    pub fn has_untaken(&self, id: SessionId) -> bool {
        self.sessions.iter().any(|session| match &session.stream {
            Stream::Text(stream) => session.id == id && !stream.untaken.is_empty(),
            _ => false,
        })
    }

    /// The sessions, to be told something.
    pub fn outlets(&self) -> impl Iterator<Item = (SessionId, &O)> {
        self.sessions.iter().map(|session| (session.id, &session.outlet))
    }
}

impl<O: Outlet> Attached<O> {
    /// Gives the session the next item; returns whether there was room in its outbox.
    fn give(&mut self, item: &Item, content: &Content<'_>, effects: &mut Effects) -> bool {
        match &mut self.stream {
            Stream::Closed => false,
            Stream::Open { cursor, in_flight } => {
                if push_item(&self.outlet, item.seq, content, effects).is_none() {
                    return false;
                }
                *cursor = item.seq + 1;
                in_flight.count += 1;
                in_flight.bytes += u64::from(item.size());
                true
            }
            Stream::Text(stream) => {
                let Some(end) = push_delivery(&self.outlet, content, effects) else { return false };
                stream.untaken.push(item.seq, item.size(), end);
                match &mut stream.delivering {
                    Some(delivering) => {
                        delivering.next = item.seq + 1;
                        delivering.count += 1;
                    }
                    None => stream.cursor = item.seq + 1,
                }
                true
            }
        }
    }
}
