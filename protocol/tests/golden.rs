//! The golden bytes of `golden.txt`, read and written by this implementation.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod vectors;

use std::collections::BTreeSet;

use bellhop_protocol::code::{Failure, Reason};
use bellhop_protocol::frame::{self, LIMIT_AFTER_LOGIN};
use bellhop_protocol::item::{Ack, Message, Read, Receipt, ReceiptState};
use bellhop_protocol::op::{ANSWER, NOTICE, Sender};
use bellhop_protocol::post::{Post, PostAnswer, PostFailure, PostOk, Posted};
use bellhop_protocol::presence::{self, Presence, PresenceState, Watch, Watching};
use bellhop_protocol::session::{DeviceId, Hello, NewPassword, Resumed, SessionToken, Welcome};
use bellhop_protocol::text::{Names, Outcome, Secret, TextAnswer};
use bellhop_protocol::{Address, Code, MessageId, Name, OpCode, RawFrame, Reply, Request};
use uuid::{Uuid, uuid};
use vectors::{Side, golden};

const ACCOUNT: Uuid = uuid!("0e7c29a4-5f0b-4d2e-8f67-3b1a9c8d7e6f");
const POSTED: MessageId = MessageId(uuid!("6f1c2a3b-4d5e-8f60-9a7b-8c9daebfc0d1"));
const SENT: MessageId = MessageId(uuid!("1b2c3d4e-5f60-4718-9a2b-3c4d5e6f7081"));
const TIME_MS: u64 = 1_795_165_752_000;

fn name(name: &str) -> Name<'_> {
    Name::parse(name).unwrap()
}

fn to(user: &str) -> Address<'_> {
    name(user).into()
}

fn token(step: u8, start: u8) -> SessionToken {
    SessionToken(std::array::from_fn(|i| (i as u8).wrapping_mul(step).wrapping_add(start)))
}

/// The frame of an ACK or a READ, from which the borrowed request is read.
fn built(put: impl FnOnce(&mut Vec<u8>)) -> &'static [u8] {
    let mut bytes = Vec::new();
    put(&mut bytes);
    bytes.leak()
}

fn request(bytes: &'static [u8]) -> Request<'static> {
    let frame = frame::parse(bytes, LIMIT_AFTER_LOGIN).unwrap().unwrap();
    Request::decode(frame.op, frame.data).unwrap()
}

fn requests() -> Vec<(&'static str, Request<'static>)> {
    let alice = name("alice");
    let password = Some(Secret("open|sesame"));
    let mut device = [0; 16];
    device.iter_mut().zip(0x10..).for_each(|(byte, value)| *byte = value);
    vec![
        ("list", Request::List { glob: None, after: None }),
        ("list-glob", Request::List { glob: Some("al*"), after: None }),
        ("list-after", Request::List { glob: Some("*"), after: Some("carol") }),
        ("create", Request::Create { name: alice, password: None }),
        ("create-password", Request::Create { name: alice, password }),
        ("login", Request::Login { name: alice, password: None }),
        ("login-password", Request::Login { name: alice, password }),
        ("logout", Request::Logout { name: None }),
        ("logout-name", Request::Logout { name: Some(alice) }),
        ("delete", Request::Delete { password: None }),
        ("delete-password", Request::Delete { password }),
        ("send", Request::Send { to: to("bob"), text: "hi" }),
        ("send-bars", Request::Send { to: to("bob"), text: "a|b|" }),
        ("send-empty", Request::Send { to: to("bob"), text: "" }),
        ("send-unicode", Request::Send { to: to("王小明"), text: "構建完成 ✅" }),
        ("deliver", Request::Deliver),
        (
            "hello",
            Request::Hello(Hello { version: 1, device: DeviceId(device), features: 0, agent: "demo1" }),
        ),
        (
            "hello-presence",
            Request::Hello(Hello {
                version: 1,
                device: DeviceId(device),
                features: presence::PRESENCE | presence::HIDDEN,
                agent: "demo1",
            }),
        ),
        ("post", Request::Post(Post { counter: 1, receipts: false, to: to("bob"), text: "hi" })),
        ("post-receipts", Request::Post(Post { counter: 2, receipts: true, to: to("bob"), text: "lunch?" })),
        ("ack", request(built(|out| Ack::put(&[(1, 7)], out)))),
        ("ack-two", request(built(|out| Ack::put(&[(9, 9), (12, 1024)], out)))),
        ("ping", Request::Ping(*b"12345678")),
        ("pong", Request::Pong(*b"87654321")),
        ("token", Request::Token),
        ("resume", Request::Resume(token(7, 3))),
        ("read", request(built(|out| Read::put(&[(POSTED, "alice"), (SENT, "bob")], out)))),
        ("watch", request(built(|out| Watch::put(["bob", "carol"].into_iter(), out)))),
        ("watch-nobody", request(built(|out| Watch::put([].into_iter(), out)))),
        ("typing", Request::Typing(to("bob"))),
        ("password", Request::Password(NewPassword { old: password, new: Secret("pass|sesame") })),
        ("password-first", Request::Password(NewPassword { old: None, new: Secret("open|sesame") })),
    ]
}

fn posted(counter: u64, posted: Posted, time_ms: u64) -> Reply<'static> {
    Reply::Posted(PostAnswer { counter, result: Ok(PostOk { posted, id: POSTED, time_ms }) })
}

fn receipt(state: ReceiptState) -> Reply<'static> {
    Reply::Receipt(Receipt { seq: 8, id: POSTED, state, time_ms: TIME_MS, peer: "bob" })
}

fn word(word: &'static str, sentence: &'static str) -> Failure<'static> {
    Failure { reason: Reason::Word(word), sentence }
}

fn number(code: Code, sentence: &'static str) -> Failure<'static> {
    Failure { reason: Reason::Number(code), sentence }
}

fn replies() -> Vec<(&'static str, Reply<'static>)> {
    use TextAnswer::*;
    let welcome = Welcome {
        version: 1,
        features: 0,
        max_data: 65_536,
        window: 1024,
        heartbeat_s: 30,
        agent: "bellhop/1",
        node: "n-01",
    };
    let listed = |names, more| Reply::Text(OpCode::List, Listed { names: Names::new(names), more });
    let refused =
        PostFailure { code: Code::MAILBOX_FULL, retry_after_ms: 60_000, sentence: "the mailbox has no room" };
    vec![
        ("list-answer", listed("alice|bob", false)),
        ("list-answer-none", listed("", false)),
        ("list-answer-more", listed("alice|bob", true)),
        ("create-answer", Reply::Text(OpCode::Create, Created(ACCOUNT))),
        ("login-answer", Reply::Text(OpCode::Login, LoggedIn(ACCOUNT, 12))),
        ("logout-answer", Reply::Text(OpCode::Logout, LoggedOut)),
        ("delete-answer", Reply::Text(OpCode::Delete, Deleted)),
        ("send-answer-delivered", Reply::Text(OpCode::Send, Sent(Outcome::Delivered, SENT))),
        ("send-answer-queued", Reply::Text(OpCode::Send, Sent(Outcome::Queued, SENT))),
        (
            "send-refused",
            Reply::Text(OpCode::Send, Failed(word("no-such-user", "nobody here has this name"))),
        ),
        ("delivery", Reply::Delivery { from: "alice", text: "hi|there" }),
        ("deliver-answer", Reply::Text(OpCode::Deliver, Delivered(2))),
        ("hello-answer", Reply::Welcome(welcome)),
        ("hello-answer-presence", Reply::Welcome(Welcome { features: presence::PRESENCE, ..welcome })),
        (
            "hello-refused",
            Reply::Refused(OpCode::Hello, number(Code::VERSION, "this server speaks version 1")),
        ),
        ("post-stored", posted(1, Posted::Stored, TIME_MS)),
        ("post-handed-over", posted(2, Posted::HandedOver, TIME_MS)),
        ("post-seen-before", posted(1, Posted::SeenBefore, 0)),
        ("post-refused", Reply::Posted(PostAnswer { counter: 3, result: Err(refused) })),
        (
            "message",
            Reply::Message(Message { seq: 7, id: POSTED, time_ms: TIME_MS, from: "alice", text: "hi" }),
        ),
        ("receipt-delivered", receipt(ReceiptState::Delivered)),
        ("receipt-read", receipt(ReceiptState::Read)),
        ("receipt-expired", receipt(ReceiptState::Expired)),
        ("receipt-refused", receipt(ReceiptState::Refused)),
        ("server-ping", Reply::Ping(*b"87654321")),
        ("server-pong", Reply::Pong(*b"12345678")),
        ("token-answer", Reply::Token(token(7, 3))),
        ("token-refused", Reply::Refused(OpCode::Token, number(Code::NOT_LOGGED_IN, "log in first"))),
        ("resume-answer", Reply::Resumed(Resumed { account: ACCOUNT, waiting: 3, token: token(11, 5) })),
        (
            "resume-refused",
            Reply::Refused(OpCode::Resume, number(Code::BAD_TOKEN, "the token is not good here")),
        ),
        ("watch-answer", Reply::Watching(Watching::new(&[1, 0]))),
        ("watch-refused", Reply::Refused(OpCode::Watch, number(Code::NOT_ALLOWED, "presence is off here"))),
        ("presence-online", Reply::Presence(Presence { state: PresenceState::Online, peer: "bob" })),
        ("presence-offline", Reply::Presence(Presence { state: PresenceState::Offline, peer: "bob" })),
        ("server-typing", Reply::Typing("bob")),
        ("password-answer", Reply::PasswordChanged),
        ("password-refused", Reply::Refused(OpCode::Password, number(Code::BAD_PASSWORD, "wrong password"))),
        ("notice", Reply::Notice(word("replaced", "a newer session of this device took over"))),
        (
            "unknown-op",
            Reply::Unknown(RawFrame { op: 0xA0, data: b"error|unknown-op|this server knows no such op" }),
        ),
    ]
}

#[test]
fn each_vector_is_written_and_read_back() {
    let vectors = golden();
    let mut named = BTreeSet::new();
    for (name, request) in requests() {
        let vector = vectors.get(name).unwrap_or_else(|| panic!("no vector {name}"));
        assert_eq!(vector.side, Side::Client, "{name}");
        assert_eq!(request.to_bytes(), vector.bytes, "{name} is written");
        let frame = frame::parse(&vector.bytes, LIMIT_AFTER_LOGIN).unwrap().unwrap();
        assert_eq!(frame.wire_len(), vector.bytes.len(), "{name} is one frame");
        assert_eq!(Request::decode(frame.op, frame.data), Ok(request), "{name} is read");
        named.insert(name);
    }
    for (name, reply) in replies() {
        let vector = vectors.get(name).unwrap_or_else(|| panic!("no vector {name}"));
        assert_eq!(vector.side, Side::Server, "{name}");
        assert_eq!(reply.to_bytes(), vector.bytes, "{name} is written");
        let frame = frame::parse(&vector.bytes, LIMIT_AFTER_LOGIN).unwrap().unwrap();
        assert_eq!(Reply::decode(frame.op, frame.data), Ok(reply), "{name} is read");
        named.insert(name);
    }
    let all: BTreeSet<&str> = vectors.keys().map(String::as_str).collect();
    assert_eq!(named, all, "each vector of golden.txt has its value here");
}

#[test]
fn each_op_and_each_answer_has_a_vector() {
    let vectors = golden();
    let has =
        |op: u8, side: Side| vectors.values().any(|vector| vector.bytes[4] == op && vector.side == side);
    for op in OpCode::ALL {
        let (client, server) = match op.sender() {
            Sender::Client => (true, false),
            Sender::Server => (false, true),
            Sender::Both | Sender::Asked => (true, true),
        };
        assert_eq!(has(op.byte(), Side::Client), client, "{} from a client", op.name());
        assert_eq!(has(op.byte(), Side::Server), server, "{} from a server", op.name());
        let answered = !matches!(
            op,
            OpCode::Message
                | OpCode::Receipt
                | OpCode::Ack
                | OpCode::Read
                | OpCode::Presence
                | OpCode::Typing
        );
        assert_eq!(has(op.byte() | ANSWER, Side::Server), answered, "the answer to {}", op.name());
    }
    assert!(has(NOTICE, Side::Server));
}

#[test]
fn an_empty_password_is_none() {
    let request = Request::decode(OpCode::Create.byte(), b"alice|").unwrap();
    assert_eq!(request, Request::Create { name: name("alice"), password: None });
}

#[test]
fn bytes_after_hello_are_room_to_grow() {
    let vectors = golden();
    let data = &vectors["hello"].bytes[frame::HEADER..];
    let longer = [data, b"of a later version"].concat();
    assert_eq!(
        Request::decode(OpCode::Hello.byte(), &longer),
        Request::decode(OpCode::Hello.byte(), data),
        "the rest is ignored"
    );
}

#[test]
fn secrets_do_not_show() {
    for (name, request) in requests() {
        assert!(!format!("{request:?}").contains("sesame"), "{name}");
    }
    assert_eq!(format!("{:?}", Request::Resume(token(7, 3))), "Resume(SessionToken(..))");
}
