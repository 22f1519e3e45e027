//! The load: one thread that drives everybody, sends what the windows of the flows allow, and checks every message that
//! comes: each flow's arrive once, in order, and none is missing.

use std::collections::VecDeque;
use std::thread;

use bellhop_tests::bounded::source;

use crate::clock;
use crate::field::Running;
use crate::hist::Hist;
use crate::net::{Conn, Link, Poll, SCRATCH};
use crate::proto::{Heard, Proto, Role, State, Target};
use crate::stamp::{self, Stamp};

/// How many messages a sender may have unanswered, in all protocols as in Bellhop's (PROTOCOL.md, POST).
const UNANSWERED_MAX: u64 = 1_024;
/// How many receipts a sender may be owed: with 10,000, no more messages that want one are taken.
const RECEIPTS_MAX: u64 = 8_000;
/// How long is waited for what is on its way, in s.
const PATIENCE: f64 = 30.0;

/// Messages from one party to another.
#[derive(Debug)]
pub(crate) struct Flow {
    from: usize,
    target: Target,
    /// Where they arrive, of those who are here.
    to: Option<usize>,
    /// Who they are for.
    pub(crate) recipient: u32,
    /// How many were sent.
    pub(crate) sent: u64,
    /// How many arrived.
    pub(crate) received: u64,
    /// How many are sent in all.
    limit: u64,
}

/// Somebody who is here.
#[derive(Debug)]
struct End {
    conn: Conn,
    /// The flows that they send.
    feeds: Vec<usize>,
    /// Which of them comes first now.
    turn: usize,
    sent: u64,
    answered: u64,
    /// When what is unanswered was sent.
    times: VecDeque<u64>,
    is_dirty: bool,
}

/// Everybody.
pub(crate) struct Load<'a> {
    running: &'a Running,
    poll: Poll,
    ends: Vec<End>,
    /// All flows.
    pub(crate) flows: Vec<Flow>,
    window: u64,
    text: Vec<u8>,
    dirty: Vec<usize>,
    ready: Vec<usize>,
    scratch: Vec<u8>,
    heard: Heard,
    /// How many messages of a flow are sent in a row, where others have some too.
    pub(crate) run: u64,
    /// How many messages of a sender may be unanswered.
    pub(crate) unanswered: u64,
    /// Receipts are awaited where they are wanted.
    pub(crate) awaits_receipts: bool,
    /// Who sends, and who of them is next where the pace is given.
    senders: Vec<usize>,
    next: usize,
    /// Nothing is sent while this is false.
    pub(crate) is_sending: bool,
    /// How many messages may have been sent by now, where the pace is given.
    pub(crate) allowed: Option<u64>,
    /// How many were sent.
    pub(crate) sent: u64,
    /// Messages that arrived.
    pub(crate) received: u64,
    /// Answers that came.
    pub(crate) answered: u64,
    /// Times are kept while this is true.
    pub(crate) is_timed: bool,
    /// From sending to arrival.
    pub(crate) one_way: Hist,
    /// From sending to the answer.
    pub(crate) to_answer: Hist,
}

/// Logs parties in, several at a time.
pub(crate) fn log_in(running: &Running, parties: &[(u32, Role)]) -> Result<Vec<(Link, State)>, String> {
    let share = parties.len().div_ceil(running.logins_at_once.max(1)).max(1);
    let one = |(party, role): &(u32, Role)| {
        let mut state = State { party: *party, ..State::default() };
        let link = Link::connect(&running.place, source(*party)).and_then(|mut link| {
            running.proto.login(&mut link, &mut state, *role)?;
            Ok(link)
        });
        link.map(|link| (link, state)).map_err(|error| format!("login of {party}: {error}"))
    };
    let many = |parties: &[(u32, Role)]| parties.iter().map(one).collect::<Result<Vec<_>, String>>();
    thread::scope(|scope| {
        let threads: Vec<_> =
            parties.chunks(share).map(|parties| scope.spawn(move || many(parties))).collect();
        let links: Result<Vec<_>, String> =
            threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        Ok(links?.into_iter().flatten().collect())
    })
}

impl<'a> Load<'a> {
    /// Logs everybody in. Windows are for each flow, texts have so many bytes.
    pub(crate) fn meet(
        running: &'a Running,
        parties: &[(u32, Role)],
        window: u64,
        size: usize,
    ) -> Result<Load<'a>, String> {
        let mut load = Load {
            running,
            poll: Poll::new(),
            flows: Vec::new(),
            window,
            text: stamp::text(size),
            dirty: Vec::new(),
            ready: Vec::new(),
            scratch: vec![0; SCRATCH],
            heard: Heard::default(),
            run: u64::MAX,
            unanswered: UNANSWERED_MAX,
            awaits_receipts: running.receipts,
            senders: Vec::new(),
            next: 0,
            is_sending: false,
            allowed: None,
            sent: 0,
            received: 0,
            answered: 0,
            is_timed: false,
            one_way: Hist::default(),
            to_answer: Hist::default(),
            ends: Vec::with_capacity(parties.len()),
        };
        load.join(parties)?;
        Ok(load)
    }

    /// Logs others in too; the number of the first of them.
    pub(crate) fn join(&mut self, parties: &[(u32, Role)]) -> Result<usize, String> {
        let first = self.ends.len();
        for (link, state) in log_in(self.running, parties)? {
            self.add(link, state)?;
        }
        Ok(first)
    }

    /// Drives somebody who is logged in.
    pub(crate) fn add(&mut self, link: Link, state: State) -> Result<(), String> {
        let end = self.ends.len();
        let conn = Conn::new(link, state, end, &self.poll).map_err(|error| error.to_string())?;
        let (feeds, times) = Default::default();
        self.ends.push(End { conn, feeds, turn: 0, sent: 0, answered: 0, times, is_dirty: false });
        self.hear_rest(end)
    }

    /// Has one who joined take what waits for them; how much that is, with what has come already.
    pub(crate) fn fetch(&mut self, end: usize) -> u64 {
        let (party, mut wanted, mut all) = (self.party(end), 0, 0);
        for flow in self.flows.iter_mut().filter(|flow| flow.recipient == party) {
            flow.to = Some(end);
            wanted += flow.sent - flow.received;
            all += flow.sent;
        }
        let conn = &mut self.ends[end].conn;
        conn.state.wanted = usize::try_from(wanted).unwrap();
        self.running.proto.fetch(&mut conn.state, &mut conn.out);
        mark(&mut self.ends, &mut self.dirty, end);
        all
    }

    /// Has the next ones send, so that so many will have been sent in all.
    pub(crate) fn pace(&mut self, allowed: u64) {
        self.allowed = Some(allowed);
        for _ in 0..allowed.saturating_sub(self.sent).min(self.senders.len() as u64) {
            self.next = (self.next + 1) % self.senders.len();
            mark(&mut self.ends, &mut self.dirty, self.senders[self.next]);
        }
    }

    fn proto(&self) -> &'a dyn Proto {
        &*self.running.proto
    }

    fn party(&self, end: usize) -> u32 {
        self.ends[end].conn.state.party
    }

    /// A flow from one who is here to one who is here too, with so many messages at most.
    pub(crate) fn flow(&mut self, from: usize, to: usize, limit: u64) {
        self.flow_to(from, self.party(to), limit);
        self.flows.last_mut().unwrap().to = Some(to);
    }

    /// A flow to somebody who is not here.
    pub(crate) fn flow_to(&mut self, from: usize, recipient: u32, limit: u64) {
        let target = self.proto().target(self.party(from), recipient, self.text.len());
        if self.ends[from].feeds.is_empty() {
            self.senders.push(from);
        }
        self.ends[from].feeds.push(self.flows.len());
        self.flows.push(Flow { from, target, to: None, recipient, sent: 0, received: 0, limit });
    }

    /// Has everybody who sends look whether they may.
    pub(crate) fn wake(&mut self) {
        for end in &self.senders {
            mark(&mut self.ends, &mut self.dirty, *end);
        }
    }

    /// Sends, writes, waits for so many µs at most, and reads.
    pub(crate) fn turn(&mut self, micros: i64) -> Result<(), String> {
        let now = clock::now();
        let mut dirty = std::mem::take(&mut self.dirty);
        for end in dirty.drain(..) {
            self.ends[end].is_dirty = false;
            if self.is_sending {
                self.fill(end, now);
            }
            let flushed = self.ends[end].conn.flush(&self.poll);
            flushed.map_err(|error| format!("{}: {error}", self.party(end)))?;
        }
        self.dirty = dirty;
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(micros, &mut ready);
        let now = clock::now();
        ready.iter().try_for_each(|end| self.hear(*end, now))?;
        self.ready = ready;
        Ok(())
    }

    /// Sends what the windows allow, a run of each flow by turns.
    fn fill(&mut self, from: usize, now: u64) {
        let proto = self.proto();
        let end = &mut self.ends[from];
        // Where the pace is given, each is told when to send one.
        let mut room = self.allowed.map_or(u64::MAX, |allowed| allowed.saturating_sub(self.sent).min(1));
        if proto.answers() {
            let most = self.window.saturating_mul(end.feeds.len() as u64).min(self.unanswered);
            room = room.min(most.saturating_sub(end.sent - end.answered));
        }
        if self.running.receipts && self.awaits_receipts {
            room = room.min(RECEIPTS_MAX.saturating_sub(end.sent - end.conn.state.receipts.1));
        }
        let mut full = 0;
        while room > 0 && full < end.feeds.len() {
            let number = end.feeds[end.turn % end.feeds.len()];
            let flow = &mut self.flows[number];
            let underway = if flow.to.is_some() { flow.sent - flow.received } else { 0 };
            let count = room.min(self.window - underway).min(flow.limit - flow.sent).min(self.run);
            let id = u32::try_from(number).unwrap();
            Stamp { time: now, flow: id, number: flow.sent }.put(&mut self.text);
            for number in flow.sent..flow.sent + count {
                Stamp::put_number(number, &mut self.text);
                proto.encode(&mut end.conn.state, &flow.target, &self.text, &mut end.conn.out);
            }
            flow.sent += count;
            end.sent += count;
            self.sent += count;
            room -= count;
            if self.is_timed && proto.answers() || !end.times.is_empty() {
                end.times.extend((0..count).map(|_| now));
            }
            full = if count == 0 { full + 1 } else { 0 };
            end.turn += 1;
        }
    }

    fn hear_rest(&mut self, end: usize) -> Result<(), String> {
        let (proto, heard) = (self.proto(), &mut self.heard);
        heard.clear();
        self.ends[end].conn.read_rest(|state, input, out| proto.decode(state, input, out, heard))?;
        self.take(end, clock::now())
    }

    fn hear(&mut self, end: usize, now: u64) -> Result<(), String> {
        let (proto, heard) = (self.proto(), &mut self.heard);
        heard.clear();
        let conn = &mut self.ends[end].conn;
        let read = conn.read(&mut self.scratch, |state, input, out| proto.decode(state, input, out, heard));
        read.map_err(|error| format!("{}: {error}", self.party(end)))?;
        mark(&mut self.ends, &mut self.dirty, end);
        self.take(end, now)
    }

    /// Judges and counts what was heard.
    fn take(&mut self, end: usize, now: u64) -> Result<(), String> {
        for message in &self.heard.messages {
            let party = self.ends[end].conn.state.party;
            let flow = self.flows.get_mut(message.flow as usize).filter(|flow| flow.recipient == party);
            let flow = flow.ok_or("a message that is for somebody else")?;
            // Some servers bring what waits before they are asked.
            flow.to = Some(end);
            flow.arrives(message.number)?;
            if self.is_timed {
                self.one_way.add(now.saturating_sub(message.time));
            }
            mark(&mut self.ends, &mut self.dirty, flow.from);
        }
        self.received += self.heard.messages.len() as u64;
        let end = &mut self.ends[end];
        end.answered += self.heard.answers;
        self.answered += self.heard.answers;
        let timed = end.times.len().min(self.heard.answers as usize);
        end.times.drain(..timed).for_each(|sent| self.to_answer.add(now - sent));
        Ok(())
    }

    /// True if and only if all that was sent has arrived, was answered, and came back as a receipt where those are
    /// wanted.
    fn is_done(&self) -> bool {
        let answers = self.proto().answers();
        let arrived = self.flows.iter().all(|flow| flow.to.is_none() || flow.received == flow.sent);
        arrived
            && self.ends.iter().all(|end| {
                let state = &end.conn.state;
                let is_answered = !answers || end.answered >= end.sent;
                is_answered && (!self.awaits_receipts || state.receipts.1 >= state.answered.1)
            })
    }

    /// Sends no more and waits for what is on its way.
    pub(crate) fn drain(&mut self) -> Result<(), String> {
        self.is_sending = false;
        let end = clock::now() + clock::nanos(PATIENCE);
        while !self.is_done() {
            if clock::now() > end {
                let sent: u64 = self.flows.iter().map(|flow| flow.sent).sum();
                let (received, answered) = (self.received, self.answered);
                return Err(format!("lost: of {sent} sent {received} arrived and {answered} were answered"));
            }
            self.turn(20_000)?;
        }
        self.settle()?;
        self.ends.iter().try_for_each(|end| {
            let state = &end.conn.state;
            let same = !self.awaits_receipts || state.receipts == state.answered;
            same.then_some(()).ok_or("receipts that are not of the messages that were answered".to_owned())
        })
    }

    /// Waits until the server has done with what it was told, acknowledgements among it.
    fn settle(&mut self) -> Result<(), String> {
        let mut due = 0;
        for number in 0..self.ends.len() {
            let end = &mut self.ends[number];
            due += u64::from(self.running.proto.settle(&mut end.conn.state, &mut end.conn.out));
            mark(&mut self.ends, &mut self.dirty, number);
        }
        let (due, end) = (self.answered + due, clock::now() + clock::nanos(PATIENCE));
        loop {
            self.turn(if self.answered < due { 20_000 } else { 0 })?;
            match self.answered {
                answered if answered >= due => return Ok(()),
                _ if clock::now() > end => return Err("the server does not answer any more".to_owned()),
                _ => {}
            }
        }
    }

    /// Sends until each flow has reached its limit and everything is answered, and has come where somebody is there.
    pub(crate) fn send_all(&mut self) -> Result<(), String> {
        self.is_sending = true;
        self.wake();
        let (mut before, mut last) = (u64::MAX, clock::now());
        let all: u64 = self.flows.iter().map(|flow| flow.limit).sum();
        while self.sent < all {
            self.turn(20_000)?;
            if std::mem::replace(&mut before, self.answered + self.received) != before {
                last = clock::now();
            } else if clock::seconds(last, clock::now()) > PATIENCE {
                return Err(format!("no answer for {PATIENCE} s, after {}", self.answered));
            }
        }
        self.drain()
    }

    /// Sends so many messages more in each flow, at once, and waits until they have come.
    pub(crate) fn send_more(&mut self, count: u64) -> Result<(), String> {
        self.flows.iter_mut().for_each(|flow| flow.limit += count);
        self.is_sending = true;
        self.wake();
        let end = clock::now() + clock::nanos(PATIENCE);
        self.turn(0)?;
        while !self.is_done() {
            self.turn(20_000)?;
            if clock::now() > end {
                return Err(format!("lost: of {} sent {} arrived", self.sent, self.received));
            }
        }
        Ok(())
    }

    /// Lets the server say what it wants for so long.
    pub(crate) fn tend(&mut self, seconds: f64) -> Result<(), String> {
        let end = clock::now() + clock::nanos(seconds);
        while clock::now() < end {
            self.turn(20_000)?;
        }
        Ok(())
    }
}

fn mark(ends: &mut [End], dirty: &mut Vec<usize>, end: usize) {
    if !std::mem::replace(&mut ends[end].is_dirty, true) {
        dirty.push(end);
    }
}

impl Flow {
    /// A message with this number arrives: the next one, or something is wrong.
    fn arrives(&mut self, number: u64) -> Result<(), String> {
        let due = self.received;
        let what = match number {
            _ if number >= self.sent => "was never sent",
            _ if number < due => "is doubled or out of order",
            _ if number > due => "comes before one that is lost or out of order",
            _ => {
                self.received += 1;
                return Ok(());
            }
        };
        Err(format!("message {number} of a flow of which {due} was due {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_out_of_order_is_noticed() {
        let flow = |sent, received| Flow {
            from: 0,
            target: Target::default(),
            to: Some(1),
            recipient: 1,
            sent,
            received,
            limit: sent,
        };
        let arrives = |numbers: &[u64]| {
            let mut flow = flow(4, 0);
            let wrong = numbers.iter().find_map(|number| flow.arrives(*number).err());
            (wrong.unwrap_or_default(), flow.received)
        };
        assert_eq!(arrives(&[0, 1, 2, 3]), (String::new(), 4));
        for (numbers, what) in [
            (&[0, 2, 3][..], "message 2 of a flow of which 1 was due comes before one that is lost"),
            (&[0, 1, 1, 2], "message 1 of a flow of which 2 was due is doubled"),
            (&[1, 0], "message 1 of a flow of which 0 was due comes before"),
            (&[0, 1, 2, 3, 4], "message 4 of a flow of which 4 was due was never sent"),
        ] {
            assert!(arrives(numbers).0.starts_with(what), "{numbers:?}: {}", arrives(numbers).0);
        }
    }
}
