//! Every op-code in every state, over real sockets, against one table: PROTOCOL.md, sections 2 and 7. What is not
//! allowed is refused with the code of the table and changes nothing.

use bellhop_protocol::op::{ANSWER, NOTICE};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, OpCode, Reply};
use bellhop_tests::hostile::framed;
use bellhop_tests::peer::{Got, Peer};
use bellhop_tests::server::Local;

use OpCode::{Create, Deliver, List, Login, Logout, Post, Send};

/// The states of a connection that take requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connected,
    Greeted,
    Text,
    Hello,
    Stream,
    LoggedOut,
}

const STATES: [State; 6] =
    [State::Connected, State::Greeted, State::Text, State::Hello, State::Stream, State::LoggedOut];

impl State {
    fn enter(self, server: &Local) -> Peer {
        match self {
            State::Connected => server.connect(),
            State::Greeted => Peer::greet(server.addr(), 1),
            State::Text => server.login("alice"),
            State::Hello => server.hello("alice", 2),
            State::Stream => {
                let mut peer = server.hello("alice", 3);
                assert_eq!(peer.ask(Deliver, ""), "ok|0");
                peer
            }
            State::LoggedOut => {
                let mut peer = server.login("alice");
                assert_eq!(peer.ask(Logout, ""), "ok");
                peer
            }
        }
    }

    fn is_in(self) -> bool {
        matches!(self, State::Text | State::Hello | State::Stream)
    }

    fn has_hello(self) -> bool {
        matches!(self, State::Greeted | State::Hello | State::Stream)
    }

    /// The refusal of an op in this state; `None` where the op may act. `open` on an open listener.
    fn refuses(self, op: u8, open: bool) -> Option<Code> {
        let Some(op) = OpCode::from_byte(op) else {
            // The answer to a PING is met alike in every state.
            return match op {
                0x00..0x40 => Some(Code::UNKNOWN_OP),
                _ if op == OpCode::Ping.answer() => None,
                _ => Some(Code::NOT_ALLOWED),
            };
        };
        let needs_hello = (!self.has_hello()).then_some(Code::HELLO_FIRST);
        let needs_login = (!self.is_in()).then_some(Code::NOT_LOGGED_IN);
        let needs_nobody = self.is_in().then_some(Code::ALREADY_LOGGED_IN);
        match op.name() {
            "LIST" => needs_login.filter(|_| !open),
            "CREATE" | "LOGIN" => needs_nobody,
            "RESUME" => needs_hello.or(needs_nobody),
            "LOGOUT" | "DELETE" | "SEND" | "DELIVER" => needs_login,
            "HELLO" => (self != State::Connected).then_some(Code::HELLO_FIRST),
            "PING" => needs_hello,
            "POST" | "ACK" | "TOKEN" | "READ" | "WATCH" | "TYPING" | "PASSWORD" => {
                needs_hello.or(needs_login)
            }
            "MESSAGE" | "RECEIPT" | "PRESENCE" => Some(Code::NOT_ALLOWED),
            other => panic!("{other} has no row in the table"),
        }
    }
}

/// Under which op-code a refusal of an op is told.
fn told_under(op: u8) -> u8 {
    match OpCode::from_byte(op) {
        Some(known) if !known.is_answered() => NOTICE,
        None if op >= 0x40 => NOTICE,
        _ => op | ANSWER,
    }
}

/// The code of a refusal, in whichever form it came.
fn refusal(got: &Got) -> Option<Code> {
    match got.reply() {
        Reply::Text(_, TextAnswer::Failed(failure)) | Reply::Refused(_, failure) | Reply::Notice(failure) => {
            failure.reason.code()
        }
        Reply::Posted(answer) => answer.result.err().map(|failure| failure.code),
        Reply::Unknown(frame) => {
            Code::from_word(std::str::from_utf8(frame.data).unwrap().split('|').nth(1).unwrap())
        }
        _ => None,
    }
}

/// Data that no op acts on, and data that each op would act on: a name that is free, a text to bob, a POST to him.
fn data(op: u8) -> [Vec<u8>; 2] {
    let post = b"\0\0\0\0\0\0\0\x01\0\x03bobnot allowed".to_vec();
    let acts = match OpCode::from_byte(op) {
        Some(Create) => b"intruder".to_vec(),
        Some(Login) => b"alice".to_vec(),
        Some(Send) => b"bob|not allowed".to_vec(),
        Some(Post) => post,
        Some(OpCode::Read) => [&[7; 16][..], b"\x03bob"].concat(),
        Some(OpCode::Ack) => [0u64.to_be_bytes(), (u64::MAX >> 1).to_be_bytes()].concat(),
        Some(OpCode::Resume) => vec![7; 32],
        Some(OpCode::Watch) => b"\x03bob".to_vec(),
        Some(OpCode::Typing) => b"bob".to_vec(),
        _ => Vec::new(),
    };
    [acts, b"|\xff".to_vec()]
}

/// What the server holds that an op could have changed.
fn world(server: &Local) -> (String, String) {
    let mut bob = server.login("bob");
    (bob.ask(List, ""), bob.ask(Deliver, ""))
}

#[test]
fn every_op_byte_in_every_state_is_answered_by_the_table() {
    for auth in ["open", "password"] {
        let open = auth == "open";
        let free =
            ["unauth", "connections-addr", "list-rate", "login-fail"].map(|limit| format!("{limit}=off"));
        let limits = free.iter().flat_map(|limit| ["--limit", limit]);
        let server = Local::start(&["--auth", auth].into_iter().chain(limits).collect::<Vec<_>>());
        let states = if open { &STATES[..] } else { &STATES[..2] };
        if open {
            drop((server.login("alice"), server.login("bob")));
        }
        for state in states {
            let before = open.then(|| world(&server));
            for op in 0..=255u8 {
                let Some(code) = state.refuses(op, open) else { continue };
                for data in data(op) {
                    let mut peer = state.enter(&server);
                    peer.write(&framed(op, &data));
                    let got = peer.next();
                    assert_eq!(
                        (got.op, refusal(&got)),
                        (told_under(op), Some(code)),
                        "{auth}, {state:?}: {op:#04x} with {data:02x?}: {got:?}"
                    );
                    // The connection stays, and is where it was.
                    peer.write(&framed(0x3F, b""));
                    assert_eq!(peer.next().op, 0xBF, "{auth}, {state:?}: {op:#04x}");
                }
            }
            assert_eq!(open.then(|| world(&server)), before, "{auth}, {state:?}: only what is allowed acts");
        }
    }
}

#[test]
fn what_the_table_allows_is_done() {
    let server = Local::start(&["--limit", "unauth=off", "--limit", "connections-addr=off"]);
    drop((server.login("alice"), server.login("bob")));
    let mut allowed = 0;
    for state in STATES {
        for op in OpCode::ALL.iter().map(|op| op.byte()).filter(|op| state.refuses(*op, true).is_none()) {
            let mut peer = state.enter(&server);
            // Data that its op refuses for what it is, and never for the state.
            peer.write(&framed(op, b"|\xff"));
            let code = refusal(&peer.next());
            let of_state =
                [Code::HELLO_FIRST, Code::NOT_LOGGED_IN, Code::ALREADY_LOGGED_IN, Code::NOT_ALLOWED];
            assert!(code.is_some_and(|code| !of_state.contains(&code)), "{state:?}: {op:#04x}: {code:?}");
            allowed += 1;
        }
    }
    assert!(allowed >= 37, "{allowed}");
}

/// A server that ends reads nothing any more: whatever is said then is not done, and the connection closes.
#[test]
fn while_the_server_ends_no_op_acts() {
    let server = Local::start(&["--limit", "unauth=off", "--limit", "connections-addr=off"]);
    drop((server.login("alice"), server.login("bob")));
    let mut peers: Vec<(u8, Peer)> = (0..=255u8)
        .filter(|op| op % 8 == 0 || OpCode::from_byte(*op).is_some())
        .map(|op| (op, server.hello(&format!("p{op}"), 9)))
        .collect();
    server.core().stopping.store(true, std::sync::atomic::Ordering::SeqCst);
    for (op, peer) in &mut peers {
        let _ = peer.try_write(&framed(*op, &data(*op)[0]));
    }
    let server = server.restart(&[]);
    for (op, mut peer) in peers {
        while let Some(got) = peer.read() {
            assert_eq!((got.op, refusal(&got)), (NOTICE, Some(Code::SHUTTING_DOWN)), "{op:#04x}: {got:?}");
        }
    }
    let (names, waiting) = world(&server);
    assert!(!names.contains("intruder") && names.contains("p4"), "{names}");
    assert_eq!(waiting, "ok|0");
}

/// Lengths at and over the limit, before and after a login, with nothing, a byte or garbage behind them.
#[test]
fn lengths_are_judged_in_every_state() {
    let server = Local::start(&["--limit", "unauth=off", "--limit", "connections-addr=off"]);
    drop(server.login("alice"));
    for state in STATES {
        let limit: u32 = if state.is_in() { 65_536 } else { 1_024 };
        for len in [0, 1, limit - 1, limit, limit + 1, i32::MAX as u32, 1 << 31, u32::MAX] {
            for rest in [&b""[..], b"x", b"\xff\0\xff\0\xff\0\xff\0\xff\0\xff"] {
                let mut peer = state.enter(&server);
                peer.write(&[&len.to_be_bytes()[..], &[0x3E], rest].concat());
                peer.finish();
                let got: Vec<Got> = std::iter::from_fn(|| peer.read()).collect();
                let codes: Vec<Option<Code>> = got.iter().map(refusal).collect();
                let expected = match len {
                    _ if len > limit => Some(Code::TOO_LONG),
                    _ if len as usize <= rest.len() => Some(Code::UNKNOWN_OP),
                    _ => None,
                };
                assert_eq!(
                    codes.first().copied().flatten(),
                    expected,
                    "{state:?}: {len:#x}, {rest:02x?}: {got:?}"
                );
            }
        }
    }
}
