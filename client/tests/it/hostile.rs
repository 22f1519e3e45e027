//! Servers that mean harm, against the binary: it ends with a word, in time, and within its memory.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use bellhop_protocol::session::Welcome;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{OpCode, Reply, frame};

use crate::desk::{Desk, Ran, desk};
use crate::tls::{Front, Identity};

/// What a server says to whatever it is asked, and then again and again, until nobody reads.
struct Hostile {
    first: Vec<u8>,
    again: Vec<u8>,
}

fn welcome(max_data: u32) -> Vec<u8> {
    let agent = "hostile/1";
    let welcome =
        Welcome { version: 1, features: 0, max_data, window: u16::MAX, heartbeat_s: 0, agent, node: "n" };
    Reply::Welcome(welcome).to_bytes()
}

/// Answers that take whoever asks to an open stream of the session extension.
fn logged_in() -> Vec<u8> {
    let login = Reply::Text(OpCode::Login, TextAnswer::LoggedIn(uuid::Uuid::nil(), u32::MAX.into()));
    let deliver = Reply::Text(OpCode::Deliver, TextAnswer::Delivered(u32::MAX.into()));
    [welcome(u32::MAX), login.to_bytes(), deliver.to_bytes()].concat()
}

fn raw(op: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::put(&mut bytes, op, data);
    bytes
}

fn start(hostile: Hostile) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let (first, again) =
                (hostile.first.clone(), hostile.again.repeat(1 + 65_536 / hostile.again.len().max(1)));
            std::thread::spawn(move || {
                let _ = socket.read(&mut [0; 4_096]);
                if socket.write_all(&first).is_err() || again.is_empty() {
                    // Says no more, and stays.
                    let _ = socket.read(&mut [0; 4_096]);
                    while matches!(socket.read(&mut [0; 4_096]), Ok(1..)) {}
                    return;
                }
                while socket.write_all(&again).is_ok() {}
            });
        }
    });
    address
}

/// Runs with half a gigabyte of addresses, where the system can say so.
fn run(desk: &Desk, server: &str, arguments: &[&str]) -> Ran {
    let plain =
        desk.command(&[&["--timeout", "500ms", "--user", "alice", "--server", server], arguments].concat());
    let mut command = if cfg!(target_os = "linux") {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "ulimit -v 524288; exec \"$0\" \"$@\""])
            .arg(plain.get_program())
            .args(plain.get_args());
        shell.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell
    } else {
        plain
    };
    Ran::new(command.stdin(std::process::Stdio::null()).output().expect("it runs"))
}

fn ends_well(ran: &Ran, what: &str) {
    assert!(matches!(ran.code, Some(1..=9)), "{what}: {:?} {}", ran.code, ran.stderr);
    assert!(ran.stderr.starts_with("bellhop: ") && ran.stderr.lines().count() < 20, "{what}: {}", ran.stderr);
    for bad in ["panicked", "memory", "\x1b"] {
        assert!(!ran.stderr.contains(bad), "{what}: {}", ran.stderr);
    }
}

fn scripts() -> Vec<(&'static str, Hostile)> {
    let once = |first: Vec<u8>| Hostile { first, again: Vec::new() };
    let message = |text: &str| {
        let id = bellhop_protocol::MessageId(uuid::Uuid::from_u128(7));
        let message = bellhop_protocol::item::Message { seq: 1, id, time_ms: 0, from: "bob", text };
        Reply::Message(message).to_bytes()
    };
    vec![
        ("a prefix of 4 GiB", once(b"\xff\xff\xff\xff\x80".to_vec())),
        ("a prefix of 16 MiB, and nothing", once(b"\0\xff\xff\xff\x80".to_vec())),
        ("one byte over any limit", once(b"\x01\0\0\0\x80".to_vec())),
        ("half a header", once(b"\0\0".to_vec())),
        ("another protocol", once(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())),
        (
            "messages without end in place of an answer",
            Hostile { first: raw(6, b"bob|hi"), again: raw(6, b"bob|hi") },
        ),
        (
            "notices without end",
            Hostile { first: Vec::new(), again: raw(0xFF, b"error|of-tomorrow|\x1b[2J") },
        ),
        ("one id without end", Hostile { first: logged_in(), again: message("x") }),
        (
            "long messages of one id without end",
            Hostile { first: logged_in(), again: message(&"x".repeat(60_000)) },
        ),
        ("PINGs without end", Hostile { first: logged_in(), again: Reply::Ping([7; 8]).to_bytes() }),
        (
            "a huge limit, then a huge frame without its end",
            Hostile { first: [logged_in(), b"\0\xff\xff\xff\x09".to_vec()].concat(), again: Vec::new() },
        ),
    ]
}

#[test]
fn commands_end_in_time_and_within_their_memory() {
    let desk = desk();
    std::thread::scope(|scope| {
        for (what, hostile) in scripts() {
            let (desk, server) = (&desk, start(hostile).to_string());
            scope.spawn(move || {
                for command in [&["list"][..], &["raw", "6|"], &["send", "bob", "hi"], &["deliver"]] {
                    let ran = run(desk, &server, command);
                    ends_well(&ran, &format!("{what}: {command:?}"));
                }
            });
        }
    });
}

/// The same inside of TLS, from a server that is trusted: who it is says nothing of what it says.
#[test]
fn a_server_that_is_trusted_is_not_believed() {
    let desk = desk();
    let identity = Identity::new();
    for (what, hostile) in scripts().into_iter().step_by(3) {
        let front = Front::start(start(hostile), &identity);
        let server = front.address.to_string();
        let given = ["--fingerprint", &identity.fingerprint(), "list"];
        ends_well(&run(&desk, &server, &given), &format!("{what}, in TLS"));
    }
}
