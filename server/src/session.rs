//! One connection's rules: what it may ask in which state, and its clocks. No socket, no account, no text.
//!
//! ```text
//!              HELLO                CREATE, LOGIN, RESUME
//!   Fresh ───────────► Out(hello) ────────────────────────► In(hello)
//!     │ any other          ▲        LOGOUT, DELETE              │
//!     │ frame              └─────────────────────────────────── ┘
//!     ▼
//!   Out(text) ◄─────────────────────────────────────────────► In(text)
//! ```
//!
//! The table of PROTOCOL.md, section 7, is [`Session::check`].

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

use std::collections::VecDeque;
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::frame::{LIMIT_BEFORE_LOGIN, LIMIT_MAX};
use bellhop_protocol::op::PEER_FIRST;
use bellhop_protocol::{Code, OpCode};

use crate::limits::Limits;

/// How many frames a connection may send before it is logged in.
const FRAMES_BEFORE_LOGIN: u32 = 8;
/// The same on an open listener, where LIST is answered before login.
const FRAMES_BEFORE_LOGIN_OPEN: u32 = 64;
/// How many bytes of answers a connection gets before it is logged in; one answer may reach over it.
const OUT_BEFORE_LOGIN: u64 = 4 * 1024;
/// The same on an open listener.
const OUT_BEFORE_LOGIN_OPEN: u64 = 256 * 1024;
/// A message written to a text session is taken when the connection lives so much longer.
const TAKEN_AFTER: Duration = Duration::from_secs(60);
/// A clock that is looked at so long after it ran out tells that the server itself did not run.
const ABSENT_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Out { hello: bool },
    In { hello: bool },
}

/// What a connection is told when a clock runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Ask the other side whether it is there.
    Ping,
    /// Say why, and close.
    Close(Refusal),
    /// Close; nobody is there to be told.
    Drop,
}

/// The state and the clocks of a connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    open: bool,
    frame_limit: u32,
    login_time: Duration,
    frame_time: Duration,
    heartbeat: Duration,
    frames: u32,
    /// How many bytes it had been given when it was last logged in.
    out_from: u64,
    /// Since when it is not logged in.
    out_since: Duration,
    /// Since when the server works on its login.
    busy_since: Option<Duration>,
    /// When its last bytes came.
    heard: Duration,
    /// How many PINGs were sent since.
    pings: u32,
    /// True while input is read.
    listens: bool,
    /// Since when a frame is incomplete.
    partial_since: Option<Duration>,
}

impl Session {
    /// A connection that was just accepted; `open` on an open listener.
    pub fn new(now: Duration, open: bool, limits: &Limits) -> Session {
        let seconds = |seconds: u64| match seconds {
            u64::MAX => Duration::MAX,
            seconds => Duration::from_secs(seconds),
        };
        Session {
            state: State::Fresh,
            open,
            frame_limit: u32::try_from(limits.frame).unwrap_or(LIMIT_MAX),
            login_time: seconds(limits.login_time),
            frame_time: seconds(limits.frame_time),
            heartbeat: seconds(limits.heartbeat),
            frames: 0,
            out_from: 0,
            out_since: now,
            busy_since: None,
            heard: now,
            pings: 0,
            listens: true,
            partial_since: None,
        }
    }

    /// The limit on a frame's data.
    pub fn frame_limit(&self) -> u32 {
        match self.state {
            State::In { .. } => self.frame_limit,
            State::Fresh | State::Out { .. } => LIMIT_BEFORE_LOGIN,
        }
    }

    /// True if and only if it is logged in.
    pub fn is_in(&self) -> bool {
        matches!(self.state, State::In { .. })
    }

    /// True if and only if HELLO was accepted.
    pub fn has_hello(&self) -> bool {
        matches!(self.state, State::Out { hello: true } | State::In { hello: true })
    }

    /// Tells whether the op may be asked now. Ops that this server does not know, or that a client may not send, pass:
    /// decoding refuses them.
    ///
    /// # Errors
    ///
    /// The refusal of PROTOCOL.md, section 7.
    pub fn check(&self, op: u8) -> Result<(), Refusal> {
        let Some(op) = OpCode::from_byte(op).filter(|_| op < PEER_FIRST) else { return Ok(()) };
        let hello = self.has_hello();
        match op {
            OpCode::Message | OpCode::Receipt | OpCode::Presence => Ok(()),
            OpCode::Hello if self.state == State::Fresh => Ok(()),
            OpCode::Hello => Err(hello_first("HELLO is the first frame of a connection, or none")),
            OpCode::Ping
            | OpCode::Post
            | OpCode::Ack
            | OpCode::Token
            | OpCode::Resume
            | OpCode::Read
            | OpCode::Watch
            | OpCode::Typing
            | OpCode::Password
                if !hello =>
            {
                Err(hello_first("this op needs a HELLO as the connection's first frame"))
            }
            OpCode::Ping => Ok(()),
            OpCode::Create | OpCode::Login | OpCode::Resume if self.is_in() => {
                Err(Refusal::new(Code::ALREADY_LOGGED_IN, "log out first"))
            }
            OpCode::Create | OpCode::Login | OpCode::Resume => Ok(()),
            OpCode::List if self.open || self.is_in() => Ok(()),
            _ if self.is_in() => Ok(()),
            _ => Err(Refusal::new(Code::NOT_LOGGED_IN, "log in first")),
        }
    }

    /// Tells whether one more frame may be handled, where `given()` bytes were ever written to the connection or wait.
    ///
    /// # Errors
    ///
    /// The reason to close, where it is one too many before login.
    pub fn has_frame_left(&self, given: impl FnOnce() -> u64) -> Result<(), Refusal> {
        if self.is_in() {
            return Ok(());
        }
        let most = if self.open { FRAMES_BEFORE_LOGIN_OPEN } else { FRAMES_BEFORE_LOGIN };
        if self.frames >= most {
            return Err(Refusal::new(Code::NOT_LOGGED_IN, "too many frames before a login"));
        }
        let most = if self.open { OUT_BEFORE_LOGIN_OPEN } else { OUT_BEFORE_LOGIN };
        if given().saturating_sub(self.out_from) >= most {
            return Err(Refusal::new(Code::NOT_LOGGED_IN, "too much was asked before a login"));
        }
        Ok(())
    }

    /// Counts a frame that was handled.
    pub fn count_frame(&mut self) {
        if self.state == State::Fresh {
            self.state = State::Out { hello: false };
        }
        if !self.is_in() {
            self.frames += 1;
        }
    }

    /// HELLO was accepted.
    pub fn greeted(&mut self) {
        self.state = State::Out { hello: true };
    }

    /// The server begins to work on something that the connection waits for; its clocks stand meanwhile.
    pub fn busy(&mut self, now: Duration) {
        self.busy_since = Some(now);
    }

    /// The server is done with that.
    pub fn done(&mut self, now: Duration) {
        if let Some(since) = self.busy_since.take() {
            self.out_since += now.saturating_sub(since);
            self.partial_since = self.partial_since.map(|_| now);
            self.heard = now;
            self.pings = 0;
        }
    }

    /// Somebody logged in.
    pub fn logged_in(&mut self) {
        self.state = State::In { hello: self.has_hello() };
    }

    /// Nobody is logged in any more: the limits and clocks of before a login run again, from the `given` bytes on.
    pub fn logged_out(&mut self, now: Duration, given: u64) {
        self.state = State::Out { hello: self.has_hello() };
        self.frames = 0;
        self.out_from = given;
        self.out_since = now;
    }

    /// Bytes came; `partial` where the last of them began a frame that is not complete.
    pub fn heard(&mut self, now: Duration, partial: bool) {
        self.heard = now;
        self.pings = 0;
        self.partial(now, partial);
    }

    /// Input is read, or is not: what is not read is no silence.
    pub fn listen(&mut self, now: Duration, listens: bool) {
        if listens && !self.listens {
            self.heard = now;
            self.pings = 0;
        }
        self.listens = listens;
    }

    /// The rest of a frame is awaited, or is not.
    pub fn partial(&mut self, now: Duration, partial: bool) {
        self.partial_since = partial.then(|| self.partial_since.unwrap_or(now));
    }

    /// A frame was handled, so that a later one has its own time.
    pub fn frame_done(&mut self) {
        self.partial_since = None;
    }

    /// True if and only if silence is asked about.
    fn hears(&self) -> bool {
        self.has_hello() && self.listens
    }

    /// When the next clock runs out, if one runs.
    pub fn deadline(&self) -> Option<Duration> {
        if self.busy_since.is_some() {
            return None;
        }
        let login = (!self.is_in()).then(|| self.out_since.checked_add(self.login_time)).flatten();
        let frame = self.partial_since.and_then(|since| since.checked_add(self.frame_time));
        let heartbeat = self.hears().then(|| self.heard + self.heartbeat * (self.pings.min(2) + 1));
        [login, frame, heartbeat].into_iter().flatten().min()
    }

    /// Tells what to do where a clock has run out. Where it ran out long before, the server itself did not run: it was
    /// stopped, or its machine slept. That is nobody's silence, and all clocks begin anew.
    pub fn alarm(&mut self, now: Duration) -> Option<Alarm> {
        if self.busy_since.is_some() {
            return None;
        }
        if self.deadline().is_some_and(|due| due + ABSENT_AFTER <= now) {
            (self.heard, self.pings, self.out_since) = (now, 0, now);
            self.partial_since = self.partial_since.map(|_| now);
            return None;
        }
        let late = |since: Duration, time: Duration| since.checked_add(time).is_some_and(|end| end <= now);
        if !self.is_in() && late(self.out_since, self.login_time) {
            return Some(timed_out("no login came in time"));
        }
        if self.partial_since.is_some_and(|since| late(since, self.frame_time)) {
            return Some(timed_out("the rest of a frame did not come in time"));
        }
        if self.hears() && late(self.heard, self.heartbeat * (self.pings.min(2) + 1)) {
            if self.pings >= 2 {
                return Some(Alarm::Drop);
            }
            self.pings += 1;
            return Some(Alarm::Ping);
        }
        None
    }
}

fn hello_first(sentence: &'static str) -> Refusal {
    Refusal::new(Code::HELLO_FIRST, sentence)
}

fn timed_out(sentence: &'static str) -> Alarm {
    Alarm::Close(Refusal::new(Code::TIMED_OUT, sentence))
}

/// Remembers how much had been written when, so that what was written 60 s ago counts as taken (PROTOCOL.md, "Taken").
#[derive(Debug, Default)]
pub struct TakenClock {
    marks: VecDeque<Mark>,
}

/// A moment, at most one a second.
#[derive(Debug)]
struct Mark {
    first: Duration,
    /// When the last of the bytes were written.
    last: Duration,
    /// How many had been written by then.
    written: u64,
}

impl TakenClock {
    /// Notes that `written` bytes have been written to the connection by `now`.
    pub fn wrote(&mut self, now: Duration, written: u64) {
        match self.marks.back_mut() {
            Some(mark) if now < mark.first + Duration::from_secs(1) => {
                mark.last = now;
                mark.written = written;
            }
            _ => self.marks.push_back(Mark { first: now, last: now, written }),
        }
    }

    /// When bytes count as taken next.
    pub fn deadline(&self) -> Option<Duration> {
        self.marks.front().map(|mark| mark.last + TAKEN_AFTER)
    }

    /// The number of bytes that count as taken by now.
    pub fn taken(&mut self, now: Duration) -> Option<u64> {
        let mut taken = None;
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            taken = self.marks.pop_front().map(|mark| mark.written);
        }
        taken
    }

    /// Forgets everything: nothing is underway.
    pub fn clear(&mut self) {
        self.marks = VecDeque::new();
    }
}

#[cfg(test)]
mod tests;
