//! Versions that meet: a session as it was recorded, said to today's server word for word; what today's server says,
//! understood by today's client; and other versions, refused by name.
//!
//! `transcripts/` holds a file for each release's wire. A line is a frame: the connection, who says it (`>` is the
//! client), the op-code, and the data: bytes in hex, words in quotes, and in brackets what differs each time, with its
//! length (`[id 16]`; `str8` has its length before it, `*` is the rest). `<id>` is what was heard under that name
//! before. A release adds a file and changes none.

mod client;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bellhop_protocol::op::NOTICE;
use bellhop_protocol::session::Hello;
use bellhop_protocol::{DeviceId, OpCode, Reply, Request, frame};
use bellhop_tests::peer::{Got, Peer};
use bellhop_tests::server::Local;

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/transcripts");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// A piece of a frame as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// So many bytes, of any value, under a name.
    Any(String, Length),
    /// What was heard under this name.
    Heard(String),
}

/// How much differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(usize),
    Str8,
    Rest,
}

impl Length {
    fn parse(text: &str) -> Length {
        match text {
            "str8" => Length::Str8,
            "*" => Length::Rest,
            count => Length::Bytes(count.parse().unwrap()),
        }
    }

    /// How much of `rest` it is.
    fn of(self, rest: &[u8]) -> usize {
        match self {
            Length::Bytes(count) => count,
            Length::Str8 => 1 + usize::from(rest[0]),
            Length::Rest => rest.len(),
        }
    }
}

/// A frame as it was recorded.
#[derive(Debug)]
struct Line {
    number: usize,
    connection: String,
    from_client: bool,
    op: u8,
    data: Vec<Piece>,
}

fn parse(text: &str) -> Vec<Line> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| parse_line(number + 1, line)).collect()
}

/// `alice > 05 626f62 "|hi" [id 16]`
fn parse_line(number: usize, line: &str) -> Line {
    let (connection, rest) = line.split_once(' ').unwrap();
    let (direction, rest) = rest.split_once(' ').unwrap();
    assert!([">", "<"].contains(&direction), "line {number}: {direction}");
    let (op, mut rest) = rest.split_at(2);
    let mut data = Vec::new();
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let (piece, left) = match rest.as_bytes()[0] {
            b'"' => {
                let (words, left) = rest[1..].split_once('"').unwrap();
                (Piece::Bytes(words.as_bytes().to_vec()), left)
            }
            b'[' => {
                let (name, left) = rest[1..].split_once(']').unwrap();
                let (name, count) = name.split_once(' ').unwrap();
                (Piece::Any(name.to_owned(), Length::parse(count)), left)
            }
            b'<' => {
                let (name, left) = rest[1..].split_once('>').unwrap();
                (Piece::Heard(name.to_owned()), left)
            }
            _ => {
                let end = rest.find(' ').unwrap_or(rest.len());
                let (hex, left) = rest.split_at(end);
                (Piece::Bytes(bytes(hex)), left)
            }
        };
        data.push(piece);
        rest = left;
    }
    let op = bytes(op)[0];
    Line { number, connection: connection.to_owned(), from_client: direction == ">", op, data }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Says what the clients said, and compares what the server says.
fn replay(addr: SocketAddr, lines: &[Line]) {
    let mut peers: BTreeMap<&str, Peer> = BTreeMap::new();
    let mut heard: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for line in lines {
        let peer = peers.entry(&line.connection).or_insert_with(|| Peer::connect(addr));
        if line.from_client {
            let mut data = Vec::new();
            for piece in &line.data {
                match piece {
                    Piece::Bytes(bytes) => data.extend_from_slice(bytes),
                    Piece::Heard(name) => data.extend_from_slice(&heard[name]),
                    Piece::Any(..) => panic!("line {}: a client says what it says", line.number),
                }
            }
            let mut out = Vec::new();
            frame::put(&mut out, line.op, &data);
            peer.write(&out);
        } else {
            let got = peer.next();
            matches(line, &got, &mut heard);
            if got.op == NOTICE {
                assert_eq!(peer.read(), None, "line {}: a close follows", line.number);
                peers.remove(line.connection.as_str());
            }
        }
    }
    for (name, mut peer) in peers {
        peer.finish();
        assert_eq!(peer.read(), None, "{name}: the server said more than was recorded");
    }
}

fn matches(line: &Line, got: &Got, heard: &mut BTreeMap<String, Vec<u8>>) {
    assert_eq!(got.op, line.op, "line {}: {got:02x?}", line.number);
    let mut rest = got.data.as_slice();
    for piece in &line.data {
        let count = match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Any(_, length) => length.of(rest),
            Piece::Heard(name) => heard[name].len(),
        };
        let (found, left) =
            rest.split_at_checked(count).unwrap_or_else(|| panic!("line {}: {got:02x?}", line.number));
        match piece {
            Piece::Bytes(bytes) => assert_eq!(found, bytes, "line {}: {got:02x?}", line.number),
            Piece::Any(name, _) => drop(heard.insert(name.clone(), found.to_vec())),
            Piece::Heard(name) => assert_eq!(found, heard[name], "line {}: {got:02x?}", line.number),
        }
        rest = left;
    }
    assert!(rest.is_empty(), "line {}: {} bytes more than were recorded", line.number, rest.len());
}

#[test]
fn sessions_of_every_release_are_understood_by_this_server() {
    for path in transcripts() {
        let server = Local::start(&[]);
        replay(server.addr(), &parse(&fs::read_to_string(&path).unwrap()));
    }
}

/// What any server has said is something to this client's library, and what any client has said to this server's.
#[test]
fn frames_of_every_release_are_understood_on_either_side() {
    for path in transcripts() {
        let mut ops = BTreeSet::new();
        let mut heard = BTreeMap::new();
        for line in parse(&fs::read_to_string(&path).unwrap()) {
            let mut data = Vec::new();
            for piece in &line.data {
                match piece {
                    Piece::Bytes(bytes) => data.extend_from_slice(bytes),
                    Piece::Any(name, length) => {
                        let said = something(name, *length);
                        data.extend_from_slice(&said);
                        heard.insert(name.clone(), said);
                    }
                    Piece::Heard(name) => data.extend_from_slice(&heard[name]),
                }
            }
            let place = format!("{}: line {}", path.display(), line.number);
            ops.insert(line.op);
            if line.from_client {
                let request =
                    Request::decode(line.op, &data).unwrap_or_else(|refusal| panic!("{place}: {refusal:?}"));
                assert_eq!(request.to_bytes()[frame::HEADER..], data, "{place}");
            } else {
                let reply =
                    Reply::decode(line.op, &data).unwrap_or_else(|refusal| panic!("{place}: {refusal:?}"));
                assert!(!matches!(reply, Reply::Unknown(_)), "{place}");
                assert_eq!(reply.to_bytes()[frame::HEADER..], data, "{place}");
            }
        }
        let said: Vec<u8> = (0x00..=0x08).chain(0x0A..=0x0B).chain(0x0D..=0x0F).collect();
        assert!(
            said.iter().all(|op| ops.contains(op)),
            "{}: not every op is in it: {ops:02x?}",
            path.display()
        );
    }
}

/// Something that may stand there.
fn something(name: &str, length: Length) -> Vec<u8> {
    match length {
        Length::Bytes(36) => b"0e7c29a4-5f0b-4d2e-8f67-3b1a9c8d7e6f".to_vec(),
        Length::Bytes(count) => vec![name.len() as u8 % 64; count],
        Length::Str8 => b"\x05words".to_vec(),
        Length::Rest => b"a sentence".to_vec(),
    }
}

#[test]
fn another_version_is_refused_by_name_and_the_seven_operations_work_on() {
    let server = Local::start(&[]);
    for version in [0, 2, u16::MAX] {
        let mut peer = server.connect();
        let hello = Hello { version, device: DeviceId([1; 16]), features: 0, agent: "other" };
        peer.request(&Request::Hello(hello));
        let got = peer.answer(OpCode::Hello.answer());
        assert!(matches!(got.reply(), Reply::Refused(OpCode::Hello, _)), "{version}: {got:02x?}");
        assert!(got.data.starts_with(&[0, 7]), "{version}: the code is the one for versions: {got:02x?}");
        let sentence = std::str::from_utf8(&got.data[2..]).unwrap();
        assert!(sentence.contains("version 1"), "{version}: it says which one it speaks: {sentence}");
        peer.enter("alice");
        assert!(peer.ask(OpCode::Send, "alice|hi").starts_with("ok|delivered|"), "{version}");
    }
}
