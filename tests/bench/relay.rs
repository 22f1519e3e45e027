//! The bare relay: what moving bytes from one connection to another costs, with nothing kept, checked or looked up. One
//! thread, one read and one write for all that is there; it runs as a process of its own.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::net::{Conn, Link, Poll, SCRATCH};
use crate::proto::State;
use crate::proto::relay::{HEADER, HELLO, MESSAGE, OK, frame, put};

/// What [`Poll::wait`] calls the listener.
const DOOR: usize = usize::MAX;
/// No connection.
const NOBODY: usize = usize::MAX;

struct Relay {
    poll: Poll,
    door: TcpListener,
    answers: bool,
    slots: Vec<Option<Conn>>,
    free: Vec<usize>,
    /// The slot of each party, by its number.
    parties: Vec<usize>,
    dirty: Vec<usize>,
}

/// Listens, says where, and relays until it is killed.
#[expect(clippy::print_stdout, reason = "it says where it listens")]
pub(crate) fn run(answers: bool) -> ! {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&door, 4_096).unwrap();
    door.set_nonblocking(true).unwrap();
    println!("listening on {}", door.local_addr().unwrap());
    let poll = Poll::new();
    poll.add(&door, DOOR).unwrap();
    let (slots, free, parties, dirty) = Default::default();
    let mut relay = Relay { poll, door, answers, slots, free, parties, dirty };
    let (mut scratch, mut ready) = (vec![0; SCRATCH], Vec::new());
    loop {
        relay.poll.wait(1_000_000, &mut ready);
        for slot in ready.drain(..) {
            if slot == DOOR { relay.accept() } else { relay.read(slot, &mut scratch) }
        }
        for slot in std::mem::take(&mut relay.dirty) {
            if let Some(conn) = &mut relay.slots[slot] {
                // A connection that is broken is found out at its next read.
                let _ = conn.flush(&relay.poll);
            }
        }
    }
}

impl Relay {
    fn accept(&mut self) {
        loop {
            let stream = match self.door.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => continue,
            };
            let _ = stream.set_nodelay(true);
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() - 1
            });
            self.slots[slot] = Conn::new(Link::accepted(stream), State::default(), slot, &self.poll).ok();
        }
    }

    fn read(&mut self, slot: usize, scratch: &mut [u8]) {
        let Some(mut conn) = self.slots[slot].take() else { return };
        let done = conn.read(scratch, |state, input, out| {
            let mut at = 0;
            while let Some((op, party, len)) = frame(&input[at..]) {
                match op {
                    HELLO => {
                        state.party = party;
                        let party = party as usize;
                        self.parties.resize(self.parties.len().max(party + 1), NOBODY);
                        self.parties[party] = slot;
                        put(OK, 0, 0, out);
                    }
                    MESSAGE => self.pass(party, &input[at..at + len], slot, out),
                    _ => return Err(format!("op {op}, with a header of {HEADER} bytes")),
                }
                at += len;
            }
            Ok(at)
        });
        self.dirty.push(slot);
        match done {
            Ok(()) => self.slots[slot] = Some(conn),
            Err(_) => {
                if let Some(party) = self.parties.get_mut(conn.state.party as usize) {
                    *party = if *party == slot { NOBODY } else { *party };
                }
                self.free.push(slot);
            }
        }
    }

    fn pass(&mut self, party: u32, frame: &[u8], from: usize, answers: &mut Vec<u8>) {
        let to = self.parties.get(party as usize).copied().unwrap_or(NOBODY);
        match self.slots.get_mut(to) {
            _ if to == from => answers.extend_from_slice(frame),
            Some(Some(conn)) => {
                if conn.out.is_empty() {
                    self.dirty.push(to);
                }
                conn.out.extend_from_slice(frame);
            }
            _ => {}
        }
        if self.answers {
            put(OK, 0, 0, answers);
        }
    }
}
