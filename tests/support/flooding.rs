//! A server that has ten thousand messages for whoever asks for them, and says nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use bellhop_protocol::item::Message;
use bellhop_protocol::session::{SessionToken, Welcome};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{MessageId, OpCode, Reply, Request, frame};
use uuid::Uuid;

/// Messages that come at once.
pub const BURST: u64 = 10_000;

/// A server that has ten thousand messages for whoever asks for them.
pub fn flooding() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || flood(socket));
        }
    });
    addr
}

fn flood(mut socket: TcpStream) {
    let (mut unread, mut chunk) = (Vec::new(), [0; 4_096]);
    while let Ok(count @ 1..) = socket.read(&mut chunk) {
        unread.extend_from_slice(&chunk[..count]);
        while let Ok(Some(found)) = frame::parse(&unread, frame::LIMIT_MAX) {
            let (op, data) = (found.op, found.data.to_vec());
            unread.drain(..frame::HEADER + data.len());
            if socket.write_all(&answer(op, &data)).is_err() {
                return;
            }
        }
    }
}

/// How a server that calls itself this answers HELLO.
pub fn welcome(name: &str) -> Vec<u8> {
    Reply::Welcome(Welcome {
        version: 1,
        features: 0,
        max_data: 65_536,
        window: 1_024,
        heartbeat_s: 30,
        agent: name,
        node: name,
    })
    .to_bytes()
}

fn answer(op: u8, data: &[u8]) -> Vec<u8> {
    match Request::decode(op, data).unwrap() {
        Request::Hello(_) => welcome("flood"),
        Request::Create { .. } => {
            Reply::Text(OpCode::Create, TextAnswer::Created(Uuid::from_u128(1))).to_bytes()
        }
        Request::Login { .. } => {
            Reply::Text(OpCode::Login, TextAnswer::LoggedIn(Uuid::from_u128(1), BURST)).to_bytes()
        }
        Request::Token => Reply::Token(SessionToken([7; 32])).to_bytes(),
        Request::Deliver => {
            let mut bytes = Reply::Text(OpCode::Deliver, TextAnswer::Delivered(BURST)).to_bytes();
            for seq in 1..=BURST {
                let (id, text) =
                    (MessageId(Uuid::from_u128(u128::from(seq))), format!("message {seq} of many"));
                let (from, time_ms) = ("zoe", 1_795_165_752_000);
                bytes.extend(Reply::Message(Message { seq, id, time_ms, from, text: &text }).to_bytes());
            }
            bytes
        }
        Request::Ping(bytes) => Reply::Pong(bytes).to_bytes(),
        _ => Vec::new(),
    }
}
