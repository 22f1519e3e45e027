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
            OpCode::Message | OpCode::Receipt => Ok(()),
            OpCode::Hello if self.state == State::Fresh => Ok(()),
            OpCode::Hello => Err(hello_first("HELLO is the first frame of a connection, or none")),
            OpCode::Ping
            | OpCode::Post
            | OpCode::Ack
            | OpCode::Token
            | OpCode::Resume
            | OpCode::Read
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

    /// Tells whether one more frame may be handled, where `given` bytes were ever written to the connection or wait.
    ///
    /// # Errors
    ///
    /// The reason to close, where it is one too many before login.
    pub fn has_frame_left(&self, given: u64) -> Result<(), Refusal> {
        let most = if self.open { FRAMES_BEFORE_LOGIN_OPEN } else { FRAMES_BEFORE_LOGIN };
        if !self.is_in() && self.frames >= most {
            return Err(Refusal::new(Code::NOT_LOGGED_IN, "too many frames before a login"));
        }
        let most = if self.open { OUT_BEFORE_LOGIN_OPEN } else { OUT_BEFORE_LOGIN };
        if !self.is_in() && given.saturating_sub(self.out_from) >= most {
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
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn session(open: bool) -> Session {
        Session::new(Duration::ZERO, open, &Limits::default())
    }

    /// The states of the table in PROTOCOL.md, section 7, by column.
    fn states(open: bool) -> [Session; 4] {
        let connected = session(open);
        let mut greeted = session(open);
        greeted.greeted();
        let mut text = session(open);
        text.count_frame();
        text.logged_in();
        let mut hello = session(open);
        hello.greeted();
        hello.logged_in();
        [connected, greeted, text, hello]
    }

    #[test]
    fn which_op_in_which_state() {
        use OpCode::*;
        let table = [
            (&[List][..], ["not-logged-in", "not-logged-in", "", ""]),
            (&[Create, Login], ["", "", "already-logged-in", "already-logged-in"]),
            (&[Resume], ["hello-first", "", "hello-first", "already-logged-in"]),
            (&[Logout, Delete, Send, Deliver], ["not-logged-in", "not-logged-in", "", ""]),
            (&[Hello], ["", "hello-first", "hello-first", "hello-first"]),
            (&[Ping], ["hello-first", "", "hello-first", ""]),
            (&[Post, Ack, Token, Read, Password], ["hello-first", "not-logged-in", "hello-first", ""]),
            (&[Message, Receipt], ["", "", "", ""]),
        ];
        let listed: usize = table.iter().map(|(ops, _)| ops.len()).sum();
        assert_eq!(listed, OpCode::ALL.len());
        for (ops, expected) in table {
            for op in ops {
                let found = states(false).map(|session| {
                    session.check(op.byte()).err().map_or(String::new(), |r| r.code.to_string())
                });
                assert_eq!(found, expected, "{op:?}");
            }
        }
        for op in (0..=255).filter(|op| OpCode::from_byte(*op).is_none()) {
            assert!(
                states(false).iter().all(|session| session.check(op).is_ok()),
                "{op:#04x} is refused by decoding"
            );
        }
        assert!(states(true).iter().all(|session| session.check(List.byte()).is_ok()), "an open listener");
    }

    #[test]
    fn hello_is_the_first_frame_or_none() {
        let mut session = session(true);
        session.count_frame();
        assert_eq!(session.check(OpCode::Hello.byte()).unwrap_err().code, Code::HELLO_FIRST);
    }

    #[test]
    fn frames_before_login_are_few() {
        fn handled(session: &mut Session) -> usize {
            (0..100)
                .take_while(|_| {
                    let may = session.has_frame_left(0).is_ok();
                    session.count_frame();
                    may
                })
                .count()
        }
        for (open, most) in [(false, 8), (true, 64)] {
            let mut session = session(open);
            assert_eq!(handled(&mut session), most);
            session.logged_in();
            assert_eq!(handled(&mut session), 100);
            session.logged_out(Duration::ZERO, 0);
            assert_eq!(handled(&mut session), most);
        }
    }

    #[test]
    fn answers_before_login_are_few() {
        let is_left = |session: &Session, given| session.has_frame_left(given).is_ok();
        for (open, most) in [(false, 4_096), (true, 262_144)] {
            let mut session = session(open);
            assert_eq!((is_left(&session, most - 1), is_left(&session, most)), (true, false));
            session.logged_in();
            assert!(is_left(&session, 10 * most));
            session.logged_out(Duration::ZERO, 10 * most);
            assert_eq!((is_left(&session, 11 * most - 1), is_left(&session, 11 * most)), (true, false));
        }
    }

    #[test]
    fn limits_on_frames_are_those_of_the_state() {
        let mut session = session(false);
        assert_eq!(session.frame_limit(), 1_024);
        session.logged_in();
        assert_eq!(session.frame_limit(), 65_536);
        session.logged_out(Duration::ZERO, 0);
        assert_eq!(session.frame_limit(), 1_024);
    }

    #[test]
    fn a_login_comes_in_ten_seconds() {
        let mut session = session(false);
        assert_eq!((session.deadline(), session.alarm(9 * S)), (Some(10 * S), None));
        session.busy(9 * S);
        assert_eq!(
            (session.deadline(), session.alarm(30 * S)),
            (None, None),
            "the server's own time does not count"
        );
        session.done(30 * S);
        assert_eq!(session.deadline(), Some(31 * S));
        session.logged_in();
        assert_eq!((session.deadline(), session.alarm(1_000 * S)), (None, None));
        session.logged_out(40 * S, 0);
        assert_eq!(session.alarm(50 * S), Some(timed_out("no login came in time")));
    }

    #[test]
    fn a_frame_comes_in_ten_seconds() {
        let mut session = session(false);
        session.logged_in();
        session.heard(5 * S, true);
        session.heard(14 * S, true);
        assert_eq!(session.deadline(), Some(15 * S), "more of it does not give it more time");
        session.heard(14 * S, false);
        assert_eq!(session.deadline(), None);
        session.heard(20 * S, true);
        assert!(
            matches!(session.alarm(30 * S), Some(Alarm::Close(refusal)) if refusal.code == Code::TIMED_OUT)
        );
    }

    #[test]
    fn silence_is_asked_about_twice_and_then_ends() {
        let mut session = session(false);
        session.greeted();
        session.logged_in();
        assert_eq!(session.deadline(), Some(30 * S));
        assert_eq!(session.alarm(30 * S), Some(Alarm::Ping));
        assert_eq!((session.alarm(59 * S), session.alarm(60 * S)), (None, Some(Alarm::Ping)));
        assert_eq!((session.alarm(89 * S), session.alarm(90 * S)), (None, Some(Alarm::Drop)));
        session.heard(61 * S, false);
        assert_eq!((session.deadline(), session.alarm(90 * S)), (Some(91 * S), None));
    }

    /// After two minutes in which the server was stopped, all its clients were given up at once.
    #[test]
    fn time_in_which_the_server_did_not_run_is_no_silence() {
        let mut greeted = session(false);
        greeted.greeted();
        greeted.logged_in();
        greeted.heard(10 * S, true);
        assert_eq!(greeted.alarm(130 * S), None);
        assert_eq!(greeted.deadline(), Some(140 * S), "the rest of the frame has its ten seconds");
        greeted.heard(131 * S, false);
        assert_eq!(greeted.alarm(161 * S), Some(Alarm::Ping));
        assert_eq!((greeted.alarm(300 * S), greeted.alarm(330 * S)), (None, Some(Alarm::Ping)));
        assert_eq!((greeted.alarm(360 * S), greeted.alarm(390 * S)), (Some(Alarm::Ping), Some(Alarm::Drop)));
        let mut new = session(false);
        assert_eq!((new.alarm(60 * S), new.deadline()), (None, Some(70 * S)));
        assert_eq!(new.alarm(70 * S), Some(timed_out("no login came in time")));
    }

    /// Bytes lay in the machine, unread on purpose, and the connection was given up for silence.
    #[test]
    fn silence_that_the_server_does_not_listen_to_is_none() {
        let mut session = session(false);
        session.greeted();
        session.logged_in();
        assert_eq!(session.alarm(30 * S), Some(Alarm::Ping));
        session.listen(40 * S, false);
        assert_eq!((session.deadline(), session.alarm(1_000 * S)), (None, None));
        session.listen(1_000 * S, true);
        session.listen(1_010 * S, true);
        assert_eq!((session.deadline(), session.alarm(1_029 * S)), (Some(1_030 * S), None));
        assert_eq!(session.alarm(1_030 * S), Some(Alarm::Ping), "and the PINGs begin anew");
        session.busy(1_030 * S);
        session.done(2_000 * S);
        assert_eq!((session.deadline(), session.alarm(2_029 * S)), (Some(2_030 * S), None));
    }

    #[test]
    fn what_was_written_a_minute_ago_is_taken() {
        let mut clock = TakenClock::default();
        assert_eq!((clock.deadline(), clock.taken(100 * S)), (None, None));
        clock.wrote(10 * S, 100);
        clock.wrote(10 * S + S / 2, 150);
        (12..20).for_each(|half| clock.wrote(5 * S + half * S / 2, 200));
        assert_eq!(clock.deadline(), Some(70 * S + S / 2));
        assert_eq!(clock.taken(70 * S), None);
        assert_eq!(clock.taken(71 * S), Some(150));
        assert_eq!(clock.taken(73 * S), Some(200), "more that is written does not put it off");
        assert_eq!((clock.taken(100 * S), clock.deadline()), (Some(200), None));
    }
}
