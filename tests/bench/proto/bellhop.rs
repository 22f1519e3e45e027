//! Bellhop's own protocol: the session extension (HELLO, POST, MESSAGE, ACK), or the seven operations alone.
//!
//! Frames are made and read here by hand: the load must cost less than what it measures, and not share its mistakes.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use super::{Heard, Proto, Role, State, Target, name, refused};
use crate::clock;
use crate::net::Link;

const CREATE: u8 = 0x01;
const LOGIN: u8 = 0x02;
const LOGOUT: u8 = 0x03;
const SEND: u8 = 0x05;
const DELIVER: u8 = 0x06;
const HELLO: u8 = 0x07;
const POST: u8 = 0x08;
const MESSAGE: u8 = 0x09;
const ACK: u8 = 0x0a;
const PING: u8 = 0x0b;
const RECEIPT: u8 = 0x0c;
const TOKEN: u8 = 0x0d;
const RESUME: u8 = 0x0e;
const NOTICE: u8 = 0xff;
const ANSWER: u8 = 0x80;

const HEADER: usize = 5;
/// What asks for receipts.
const RECEIPTS: u8 = 1;
/// Where a POST has its counter, in its frame.
const COUNTER: std::ops::Range<usize> = HEADER..HEADER + 8;

/// How it is spoken.
#[derive(Debug, Default)]
pub(crate) struct Bellhop {
    /// The seven operations alone.
    pub(crate) text: bool,
    /// Every POST asks for receipts, and they are acknowledged.
    pub(crate) receipts: bool,
    /// Tokens by person, where logins are made with them.
    pub(crate) tokens: Option<Mutex<HashMap<u32, Vec<u8>>>>,
}

fn put(op: u8, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
    out.push(op);
    out.extend_from_slice(data);
}

/// The length of the frame that the bytes begin with; `None` while it is incomplete.
fn frame(bytes: &[u8]) -> Option<usize> {
    let len = HEADER + u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    (bytes.len() >= len).then_some(len)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn id(bytes: &[u8]) -> u128 {
    bytes.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

/// Asks and waits for the answer.
fn ask(link: &mut Link, op: u8, data: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    put(op, data, &mut bytes);
    link.say(&bytes)?;
    loop {
        let got = link.hear(frame)?;
        match got[4] {
            answer if answer == op | ANSWER => return Ok(got[HEADER..].to_vec()),
            NOTICE => return Err(io::Error::other(refused(&got[HEADER..]))),
            _ => {}
        }
    }
}

/// Makes an account on a connection that makes others too.
pub(crate) fn make(link: &mut Link, party: u32) -> io::Result<()> {
    let mut both = Vec::new();
    put(CREATE, name(party).as_bytes(), &mut both);
    put(LOGOUT, b"", &mut both);
    link.say(&both)?;
    let (made, _left) = (link.hear(frame)?, link.hear(frame)?);
    let is_there = made[HEADER..].starts_with(b"ok|") || made[HEADER..].starts_with(b"error|name-taken|");
    if is_there { Ok(()) } else { Err(io::Error::other(refused(&made[HEADER..]))) }
}

impl Bellhop {
    fn hello(link: &mut Link, party: u32) -> io::Result<()> {
        let mut hello = vec![0, 1];
        hello.extend_from_slice(&(u128::from(party) << 8 | 0xbe << 120 | 1).to_be_bytes());
        hello.extend_from_slice(b"\0\0\0\0\x05bench");
        let answer = ask(link, HELLO, &hello)?;
        if answer.starts_with(&[0, 0]) { Ok(()) } else { Err(io::Error::other(refused(&answer))) }
    }

    /// Who speaks by text alone has accounts of their own: a device that was here would still be owed what comes.
    fn name(&self, party: u32) -> String {
        if self.text { format!("text-{}", name(party)) } else { name(party) }
    }

    fn enter(&self, link: &mut Link, party: u32) -> io::Result<()> {
        let name = self.name(party);
        let mut answer = ask(link, LOGIN, name.as_bytes())?;
        if answer.starts_with(b"error|no-such-user|") {
            answer = ask(link, CREATE, name.as_bytes())?;
        }
        if answer.starts_with(b"ok|") { Ok(()) } else { Err(io::Error::other(refused(&answer))) }
    }

    /// Logs in with the token that this person has, or gets one.
    fn resume(&self, link: &mut Link, party: u32, tokens: &Mutex<HashMap<u32, Vec<u8>>>) -> io::Result<()> {
        let token = tokens.lock().unwrap().get(&party).cloned();
        let next = match token {
            Some(token) => {
                let answer = ask(link, RESUME, &token)?;
                if answer.len() != 54 {
                    return Err(io::Error::other(refused(&answer)));
                }
                answer[22..].to_vec()
            }
            None => {
                self.enter(link, party)?;
                ask(link, TOKEN, b"")?.split_off(2)
            }
        };
        tokens.lock().unwrap().insert(party, next);
        Ok(())
    }
}

impl Proto for Bellhop {
    fn answers(&self) -> bool {
        true
    }

    fn login(&self, link: &mut Link, state: &mut State, role: Role) -> io::Result<()> {
        if !self.text {
            Bellhop::hello(link, state.party)?;
        }
        match &self.tokens {
            None => self.enter(link, state.party)?,
            Some(tokens) => self.resume(link, state.party, tokens)?,
        }
        // Counters rise from one login of a device to the next, as time does.
        state.counter = clock::now();
        let opens = match role {
            Role::Sender => self.receipts,
            Role::Receiver => !self.text,
            Role::Absent => true,
            Role::Fetcher => false,
        };
        if opens {
            ask(link, DELIVER, b"")?;
        }
        Ok(())
    }

    fn target(&self, _: u32, to: u32, size: usize) -> Target {
        let (name, mut before) = (self.name(to), Vec::new());
        let len = |fields: usize| u32::try_from(fields + size).unwrap().to_be_bytes();
        if self.text {
            before.extend_from_slice(&len(name.len() + 1));
            before.push(SEND);
            before.extend_from_slice(name.as_bytes());
            before.push(b'|');
        } else {
            before.extend_from_slice(&len(10 + name.len()));
            before.push(POST);
            before.extend_from_slice(&[0; 8]);
            before.push(if self.receipts { RECEIPTS } else { 0 });
            before.push(u8::try_from(name.len()).unwrap());
            before.extend_from_slice(name.as_bytes());
        }
        Target { before, after: Vec::new() }
    }

    fn encode(&self, state: &mut State, target: &Target, text: &[u8], out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&target.before);
        if !self.text {
            state.counter += 1;
            out[at..][COUNTER].copy_from_slice(&state.counter.to_be_bytes());
        }
        out.extend_from_slice(text);
    }

    fn fetch(&self, _: &mut State, out: &mut Vec<u8>) {
        put(DELIVER, b"", out);
    }

    fn settle(&self, _: &mut State, out: &mut Vec<u8>) -> bool {
        match self.text {
            true => put(DELIVER, b"", out),
            false => put(PING, b"settle!!", out),
        }
        true
    }

    fn decode(
        &self,
        state: &mut State,
        input: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String> {
        let (mut at, before) = (0, state.last);
        while let Some(len) = frame(&input[at..]) {
            let (op, data) = (input[at + 4], &input[at + HEADER..at + len]);
            match op {
                MESSAGE => {
                    in_order(state, number(data))?;
                    let from = usize::from(*data.get(32).ok_or("a message without a sender")?);
                    heard.message(data.get(33 + from..).unwrap_or_default())?;
                }
                answer if answer == POST | ANSWER => {
                    // The status is ok, and what was posted was not seen before.
                    if data.len() != 35 || data[..2] != [0, 0] || data[10] > 1 {
                        return Err(refused(data));
                    }
                    let (sum, count) = state.answered;
                    state.answered = (sum.wrapping_add(id(&data[11..])), count + 1);
                    heard.answers += 1;
                }
                RECEIPT => {
                    in_order(state, number(data))?;
                    // All that was posted here is delivered, and nothing expires.
                    if data.get(24) != Some(&1) {
                        return Err("a receipt that says something else than delivered".to_owned());
                    }
                    let (sum, count) = state.receipts;
                    state.receipts = (sum.wrapping_add(id(&data[8..])), count + 1);
                }
                DELIVER => {
                    let bar =
                        data.iter().position(|byte| *byte == b'|').ok_or("a delivery without a sender")?;
                    heard.message(&data[bar + 1..])?;
                }
                answer if answer == SEND | ANSWER => {
                    if !data.starts_with(b"ok|") {
                        return Err(refused(data));
                    }
                    heard.answers += 1;
                }
                PING => put(PING | ANSWER, data, out),
                answer if answer == PING | ANSWER => heard.answers += 1,
                answer if answer == DELIVER | ANSWER => heard.answers += u64::from(self.text),
                _ => return Err(refused(data)),
            }
            at += len;
        }
        if state.last > before {
            let range = [(before + 1).to_be_bytes(), state.last.to_be_bytes()].concat();
            put(ACK, &range, out);
        }
        Ok(at)
    }
}

/// Items come in the order of their numbers, each once.
fn in_order(state: &mut State, seq: u64) -> Result<(), String> {
    if seq <= state.last {
        return Err(format!("item {seq} after item {}", state.last));
    }
    state.last = seq;
    Ok(())
}
