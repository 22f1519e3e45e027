//! Today's client at a server of each release: it is answered with what that server said when it was recorded.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bellhop::{Client, Config, Delivery, Event, Home, Peer, Receive, Role, Secret, Server, Trust, connect};
use bellhop_protocol::item::Ack;
use bellhop_protocol::op::NOTICE;
use bellhop_protocol::{OpCode, Request, Username, frame};
use bellhop_tests::wait::{PATIENCE, wait_for};

use super::{Length, Line, Piece, parse, transcripts};

/// The connections of the recorded client, in their order.
const CONNECTIONS: [&str; 2] = ["phone", "phone-2"];
/// More frames than a client says here.
const HEARD: usize = 1_024;

/// What a server of the release might have said where the record leaves it open.
fn plausible(name: &str, length: Length) -> Vec<u8> {
    match (name, length) {
        ("features", _) => vec![0; 4],
        ("max-data", _) => 65_536_u32.to_be_bytes().into(),
        ("window", _) => 1_024_u16.to_be_bytes().into(),
        ("heartbeat", _) => 30_u16.to_be_bytes().into(),
        ("seq-1", _) => 1_u64.to_be_bytes().into(),
        ("seq-2", _) => 2_u64.to_be_bytes().into(),
        ("waiting" | "retry-after", _) => vec![0; 4],
        // The bytes of the uuid that is written out elsewhere.
        ("account", _) => super::bytes("0e7c29a45f0b4d2e8f673b1a9c8d7e6f"),
        _ => super::something(name, length),
    }
}

/// What the server says in a line.
fn said(line: &Line, values: &mut BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut data = Vec::new();
    for piece in &line.data {
        match piece {
            Piece::Bytes(bytes) => data.extend_from_slice(bytes),
            Piece::Heard(name) => data.extend_from_slice(&values[name]),
            Piece::Any(name, length) => {
                let value = values.entry(name.clone()).or_insert_with(|| plausible(name, *length));
                data.extend_from_slice(value);
            }
        }
    }
    let mut out = Vec::new();
    frame::put(&mut out, line.op, &data);
    out
}

/// The recorded server: answers of a connection by op, and what it says unasked.
struct Recorded {
    answers: Vec<(u8, Vec<u8>)>,
    unasked: Vec<Vec<u8>>,
}

impl Recorded {
    fn of(lines: &[Line], connection: &str, values: &mut BTreeMap<String, Vec<u8>>) -> Recorded {
        let mut recorded = Recorded { answers: Vec::new(), unasked: Vec::new() };
        // The first connection was replaced by the second, which does not come before it is gone here.
        let takes = |line: &&Line| connection == CONNECTIONS[1] || line.op != NOTICE;
        let said_there = lines.iter().filter(|line| line.connection == connection && !line.from_client);
        for line in said_there.filter(takes) {
            let frame = said(line, values);
            match line.op & 0x80 != 0 && line.op != NOTICE {
                true => recorded.answers.push((line.op, frame)),
                false => recorded.unasked.push(frame),
            }
        }
        recorded
    }

    /// What a request is answered with: a POST by its counter, anything else in the order of the record.
    fn answer(&mut self, op: u8, data: &[u8]) -> Option<Vec<u8>> {
        if op == OpCode::Ping.byte() {
            let mut pong = Vec::new();
            frame::put(&mut pong, OpCode::Ping.answer(), data);
            return Some(pong);
        }
        let counter = (op == OpCode::Post.byte()).then(|| &data[..8]);
        let fits = |(answer, frame): &(u8, Vec<u8>)| {
            let at = frame::HEADER + 2;
            *answer == op | 0x80 && counter.is_none_or(|counter| frame[at..at + 8] == *counter)
        };
        let at = self.answers.iter().position(fits)?;
        Some(self.answers.remove(at).1)
    }
}

/// Serves a connection until the client has said so many POSTs and is told what came unasked. Whatever the client says
/// is reported.
fn serve(mut stream: TcpStream, mut recorded: Recorded, posts: usize, heard: &SyncSender<(u8, Vec<u8>)>) {
    let (mut unread, mut left) = (Vec::new(), posts);
    let mut is_open = false;
    loop {
        while let Some(found) = frame::parse(&unread, frame::LIMIT_MAX).unwrap() {
            let (op, data, len) = (found.op, found.data.to_vec(), found.wire_len());
            unread.drain(..len);
            left -= usize::from(op == OpCode::Post.byte());
            is_open |= op == OpCode::Deliver.byte();
            if let Some(answer) = recorded.answer(op, &data) {
                stream.write_all(&answer).unwrap();
            }
            heard.send((op, data)).unwrap();
            if left == 0 && is_open {
                for push in recorded.unasked.drain(..) {
                    stream.write_all(&push).unwrap();
                    if push[4] == NOTICE {
                        return stream.shutdown(Shutdown::Write).unwrap();
                    }
                }
            }
        }
        let mut piece = [0; 4_096];
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(count) => unread.extend_from_slice(&piece[..count]),
        }
    }
}

struct Seat {
    client: Client,
    events: tokio::sync::mpsc::Receiver<Event>,
}

impl Seat {
    fn at(listener: &TcpListener, home: &std::path::Path) -> Seat {
        let (client, events) = connect(Config {
            home: Home::at(home),
            server: Server::parse(&listener.local_addr().unwrap().to_string()).unwrap(),
            trust: Trust::default(),
            user: Username::parse("alice").unwrap(),
            password: Some(Secret::new("correct horse".into())),
            create: false,
            remember: true,
            role: Role::Tui,
            receive: Receive::Kept,
            patient: true,
            hidden: false,
        });
        Seat { client, events }
    }

    /// Passes over events until `wanted` finds one.
    fn find<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = wait_for(what, || self.events.try_recv().ok());
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    fn state(&mut self, tag: u64, wanted: Delivery) {
        self.find(&format!("message {tag} to be {wanted:?}"), |event| match event {
            Event::State(change) => (change.state == wanted).then_some(()),
            _ => None,
        });
    }
}

/// What the client said with an op, which it says sooner or later.
fn hears(heard: &Receiver<(u8, Vec<u8>)>, op: OpCode) -> Vec<u8> {
    loop {
        let (came, data) =
            heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the client says no {op:?}"));
        if came == op.byte() {
            return data;
        }
    }
}

fn live(lines: &[Line]) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut seat = Seat::at(&listener, &home.path().join("home"));
    let mut values = BTreeMap::new();
    lines.iter().filter(|line| !line.from_client).for_each(|line| drop(said(line, &mut values)));
    let [first, second] = CONNECTIONS.map(|connection| Recorded::of(lines, connection, &mut values));
    let (hears_first, heard) = sync_channel(HEARD);
    let (stream, _) = listener.accept().unwrap();
    let closing = stream.try_clone().unwrap();
    let served = thread::spawn(move || serve(stream, first, 2, &hears_first));
    seat.find("the login", |event| matches!(event, Event::Online(_)).then_some(()));
    seat.find("the token", |event| matches!(event, Event::TokenKept).then_some(()));
    seat.client.send(1, Peer::new("bob"), "posted".into(), true).unwrap();
    seat.state(1, Delivery::Sent);
    seat.client.send(2, Peer::new("nobody"), "posted".into(), false).unwrap();
    // One is refused by name, the other one taken, and what bob answers is shown and acknowledged.
    seat.state(2, Delivery::Failed);
    seat.state(1, Delivery::Delivered);
    let text = seat.find("the answer", |event| match event {
        Event::Message(message) => Some(message.text.clone()),
        _ => None,
    });
    assert_eq!(text, "answer");
    let acks = [hears(&heard, OpCode::Deliver), hears(&heard, OpCode::Ack)];
    let Ok(Request::Ack(ack)) = Request::decode(OpCode::Ack.byte(), &acks[1]) else { panic!("{acks:?}") };
    assert!(covers(ack, 1), "the receipt is acknowledged");
    closing.shutdown(Shutdown::Both).unwrap();
    served.join().unwrap();
    seat.client.reconnect().unwrap();
    // It comes back with the token that it was given, and is told that its account is gone.
    let (hears_second, heard) = sync_channel(HEARD);
    let (stream, _) = listener.accept().unwrap();
    let served = thread::spawn(move || serve(stream, second, 0, &hears_second));
    assert_eq!(hears(&heard, OpCode::Resume), values["token"]);
    let stop = seat.find("the end", |event| match event {
        Event::Stopped(stop) => Some(stop.sentence.clone()),
        _ => None,
    });
    assert_eq!(stop, "a sentence", "what the server said");
    drop(seat);
    served.join().unwrap();
}

fn covers(ack: Ack<'_>, seq: u64) -> bool {
    ack.ranges().any(|(first, last)| (first..=last).contains(&seq))
}

/// F36.
#[test]
fn todays_client_lives_with_a_server_of_every_release() {
    for path in transcripts() {
        live(&parse(&fs::read_to_string(&path).unwrap()));
    }
}
