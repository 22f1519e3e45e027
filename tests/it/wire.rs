//! Frames in pieces, hostile lengths, wrong ops in every state: whatever a peer writes is answered or ends the
//! connection, and costs nobody else anything.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bellhop_protocol::frame;
use bellhop_protocol::op::ANSWER;
use bellhop_protocol::post::Post;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Address, Code, OpCode, Reply, Request};
use bellhop_tests::load::FREE;
use bellhop_tests::peer::{Got, Peer};
use bellhop_tests::process::binary;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::wait::wait_for;

use OpCode::{Create, Delete, Deliver, List, Logout, Send};

/// A frame of one of the seven operations.
fn frame(op: OpCode, data: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::put(&mut bytes, op.byte(), data.as_bytes());
    bytes
}

/// The code of a refusal, in whichever form it came.
fn refusal(got: &Got) -> Option<Code> {
    match got.reply() {
        Reply::Text(_, TextAnswer::Failed(failure)) | Reply::Refused(_, failure) | Reply::Notice(failure) => {
            failure.reason.code()
        }
        Reply::Posted(answer) => answer.result.err().map(|failure| failure.code),
        Reply::Unknown(frame) if frame.data.starts_with(b"error|unknown-op|") => Some(Code::UNKNOWN_OP),
        Reply::Unknown(frame) if frame.data.starts_with(b"error|too-long|") => Some(Code::TOO_LONG),
        _ => None,
    }
}

#[test]
fn ten_thousand_frames_in_one_write_or_a_byte_a_write_are_answered_alike() {
    let further = ["--limit", "list-rate=off", "--limit", "unknown-rate=off"];
    let server = Local::start(&[&FREE[..], &further[..]].concat());
    server.login("bob").ask(Logout, "");
    let mut bytes = Vec::new();
    for number in 0..10_000 {
        bytes.extend(match number % 10 {
            0 => frame(Send, "nobody|hi"),
            1 => frame(Send, "no bar"),
            2 => frame(List, "bob"),
            3 => frame(Deliver, "not empty"),
            _ => frame(Send, &format!("bob|{number}")),
        });
    }
    let [whole, pieces] = [true, false].map(|whole| {
        let mut alice = server.login("alice");
        let reader = alice.split();
        let writer = std::thread::spawn({
            let bytes = bytes.clone();
            move || match whole {
                true => alice.write(&bytes),
                false => bytes.iter().for_each(|byte| alice.write(&[*byte])),
            }
        });
        let answers = answers(reader, 10_000);
        writer.join().unwrap();
        answers
    });
    assert_eq!(whole.len(), 10_000);
    assert_eq!(whole[..6], pieces[..6], "the first answers");
    assert!(whole == pieces, "all answers, in their order");
    let mut bob = server.login("bob");
    let (texts, answer) = bob.deliver();
    assert_eq!(answer, "ok|12000");
    assert!(texts[..6_000] == texts[6_000..], "what was sent either way is the same");
}

/// So many answers, without the ids that differ by nature.
fn answers(mut reader: Peer, count: usize) -> Vec<String> {
    let answer = |_| {
        let got = reader.next();
        let text = got.text();
        let text =
            text.rsplit_once('|').filter(|_| text.starts_with("ok|queued|")).map_or(text, |(head, _)| head);
        format!("{:02x} {text}", got.op)
    };
    (0..count).map(answer).collect()
}

#[test]
fn a_length_over_the_limit_is_refused_from_the_header() {
    let server = Local::start(&[]);
    for (logged_in, limit) in [(false, 1_024), (true, 65_536)] {
        for len in [limit + 1, 1 << 24, (1 << 31) - 1, 1 << 31, u32::MAX] {
            for op in [0x00, 0x05, 0x07, 0x08, 0x0A, 0x10, 0x40, 0x8B, 0xFF] {
                for more in [&b""[..], b"x", b"\0\0\0\x03\0\xff"] {
                    let mut peer = if logged_in { server.login("alice") } else { server.connect() };
                    peer.write(&[&len.to_be_bytes()[..], &[op], more].concat());
                    let got = peer.next();
                    let under = if [0x0A, 0x40, 0x8B, 0xFF].contains(&op) { 0xFF } else { op | ANSWER };
                    assert_eq!((got.op, refusal(&got)), (under, Some(Code::TOO_LONG)), "{len:#x}: {got:?}");
                    assert_eq!(peer.read(), None);
                }
            }
        }
    }
}

/// The refusal overtook the answers that the writing thread owed, and they were never written.
#[test]
fn a_frame_too_long_is_refused_after_what_came_before_it() {
    let server = Local::start(&[]);
    server.login("bob").ask(Logout, "");
    let post = |counter: u64| {
        let to = Address::parse("bob").unwrap();
        Request::Post(Post { counter, receipts: false, to, text: "hi" }).to_bytes()
    };
    // POST's answers and SEND's are counted apart, and both leave before the close.
    for (number, before) in [
        [frame(Send, "bob|one"), frame(Send, "bob|two")],
        [post(1), post(2)],
        [frame(Send, "bob|one"), post(3)],
    ]
    .into_iter()
    .enumerate()
    {
        for op in [Send, OpCode::Post] {
            let mut alice = server.hello("alice", 2 * number as u8 + u8::from(op == Send) + 1);
            let header = [&70_000u32.to_be_bytes()[..], &[op.byte()]].concat();
            alice.write(&[before.concat(), header].concat());
            let mut answers = [alice.next().op, alice.next().op];
            answers.sort_unstable();
            assert_eq!(answers, [before[0][4] | ANSWER, before[1][4] | ANSWER], "{number} {op:?}");
            let refused = alice.next();
            assert_eq!((refused.op, refusal(&refused)), (op.answer(), Some(Code::TOO_LONG)));
            assert_eq!(alice.read(), None);
        }
    }
    let waiting = server.login("bob").deliver().0;
    assert_eq!(waiting.len(), 12, "{waiting:?}");
}

#[test]
fn a_frame_of_the_limit_is_taken() {
    let server = Local::start(&["--limit", "text=70000", "--limit", "frame=70065"]);
    let mut peer = server.connect();
    let name = format!("alice|{}", "x".repeat(1_018));
    assert!(peer.ask(Create, &name).starts_with("error|bad-password|"));
    assert!(peer.ask(Create, "alice").starts_with("ok|"));
    let text = format!("alice|{}", "x".repeat(70_059));
    assert!(peer.ask(Send, &text).starts_with("error|too-long|"), "the text, not the frame");
    let longest = &text[..70_006];
    assert!(peer.ask(Send, longest).starts_with("ok|delivered|"));
    assert_eq!(peer.push().text(), longest);
    let mut with_hello = server.hello("alice", 1);
    assert_eq!(with_hello.ask(Deliver, ""), "ok|1");
    assert_eq!(with_hello.push().data.len(), 33 + 5 + 70_000);
}

#[test]
fn every_op_is_answered_in_every_state() {
    let server = Local::start(&["--limit", "connections-addr=off", "--limit", "unauth=off"]);
    drop(server.login("alice"));
    type Enter = fn(&Local) -> Peer;
    let states: [(&str, Enter); 6] = [
        ("connected", |server| server.connect()),
        ("greeted", |server| Peer::greet(server.addr(), 1)),
        ("logged in", |server| server.login("alice")),
        ("logged in after hello", |server| server.hello("alice", 2)),
        ("stream open", |server| {
            let mut peer = server.hello("alice", 3);
            peer.ask(Deliver, "");
            peer
        }),
        ("logged out", |server| {
            let mut peer = server.login("alice");
            peer.ask(Logout, "");
            peer
        }),
    ];
    for (name, enter) in states {
        let mut peer = enter(&server);
        for op in 0..=255u8 {
            if [Logout.byte(), Delete.byte()].contains(&op) || OpCode::Ping.answer() == op {
                continue;
            }
            // No op acts on this data, and a frame a connection keeps the counts before login out of it.
            if name != "stream open" {
                peer = enter(&server);
            }
            let mut bytes = Vec::new();
            frame::put(&mut bytes, op, b"|\xff");
            peer.write(&bytes);
            let got = peer.next();
            let refused = refusal(&got).unwrap_or_else(|| panic!("{name}: {op:#04x} is answered {got:?}"));
            let expected = match OpCode::from_byte(op) {
                None if op < 0x40 => got.op == op | ANSWER && refused == Code::UNKNOWN_OP,
                None | Some(OpCode::Message | OpCode::Receipt | OpCode::Presence) => {
                    got.op == 0xFF && refused == Code::NOT_ALLOWED
                }
                Some(OpCode::Ack | OpCode::Read | OpCode::Typing) => got.op == 0xFF,
                Some(_) => got.op == op | ANSWER,
            };
            assert!(expected, "{name}: {op:#04x} is answered {got:?}");
        }
    }
}

/// The lines of `rejects.txt`: code, op-code and data.
fn rejects() -> impl Iterator<Item = (Code, u8, Vec<u8>, &'static str)> {
    let lines = include_str!("../../protocol/tests/rejects.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let (word, rest) = line.split_once(' ').unwrap();
        let (op, rest) = rest.trim_start().split_once(' ').unwrap();
        let data = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap().0.replace("\\x00", "\0").into_bytes(),
            None => hex(rest.split_whitespace().next().unwrap()),
        };
        (Code::from_word(word).unwrap(), hex(op)[0], data, line)
    })
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_the_protocol_rejects_is_refused_and_the_connection_stays() {
    let server = Local::start(&["--limit", "sends=off", "--limit", "list-rate=off"]);
    let (mut within, mut before) = (server.hello("alice", 1), Peer::greet(server.addr(), 2));
    let mut refused = 0;
    for (code, op, data, line) in rejects() {
        let mut first = server.connect();
        let peer = match OpCode::from_byte(op) {
            Some(OpCode::Hello) => &mut first,
            Some(Create | OpCode::Login | OpCode::Resume) => &mut before,
            _ => &mut within,
        };
        let mut bytes = Vec::new();
        frame::put(&mut bytes, op, &data);
        peer.write(&bytes);
        assert_eq!(refusal(&peer.next()), Some(code), "{line}");
        peer.is_quiet();
        refused += 1;
    }
    assert!(refused > 60, "{refused} lines");
}

#[test]
fn a_connection_may_break_at_any_byte() {
    let server = Local::start(&["--limit", "connections-addr=off"]);
    let mut alice = server.login("alice");
    server.login("bob").ask(Logout, "");
    let send = frame(Send, "bob|half a message is none");
    for end in 0..send.len() {
        let mut peer = server.login("alice");
        peer.write(&send[..end]);
        peer.reset();
    }
    wait_for("the sessions to end", || {
        (server.core().hub.by_name("alice")?.mailbox.lock().sessions() == 1).then_some(())
    });
    assert!(alice.ask(Send, "bob|whole").starts_with("ok|queued|"));
    assert_eq!(server.login("bob").deliver().0, ["alice|whole"]);
}

#[test]
fn what_was_asked_before_the_end_of_input_is_answered() {
    let server = Local::start(&["--limit", "unknown-rate=off"]);
    let mut alice = server.login("alice");
    for _ in 0..100 {
        alice.send(Send, "nobody|hi");
    }
    alice.send(List, "alice");
    alice.write(b"\0\0");
    alice.finish();
    (0..100).for_each(|_| assert_eq!(alice.next().op, 0x85));
    assert_eq!(alice.next().text(), "ok|alice");
    assert_eq!(alice.read(), None);
}

#[test]
fn who_does_not_come_to_the_point_is_closed() {
    let server = Local::start(&["--limit", "login-time=1", "--limit", "frame-time=1"]);
    let (mut silent, mut slow) = (server.connect(), server.connect());
    slow.write(b"\0\0");
    let mut alice = server.login("alice");
    alice.write(b"\0\0\0\x09\x05bob");
    silent.ends_with("timed-out");
    slow.ends_with("timed-out");
    alice.ends_with("timed-out");
}

#[test]
fn too_many_frames_before_a_login_close_the_connection() {
    let server = Local::start(&["--auth", "password"]);
    let mut peer = server.connect();
    (0..8).for_each(|_| assert!(peer.ask(List, "").starts_with("error|not-logged-in|")));
    peer.send(List, "");
    peer.ends_with("not-logged-in");
}

#[test]
fn connections_too_many_are_turned_away() {
    let server = Local::start(&["--limit", "connections-addr=3"]);
    let _first = [server.login("a"), server.login("b"), server.login("c")];
    let mut fourth = server.connect();
    let got = fourth.next();
    assert_eq!((got.op, refusal(&got)), (0xFF, Some(Code::BUSY)));
    assert_eq!(fourth.read(), None);
}

/// A connection that had logged out was counted and never refused: enough of them shut everybody out.
#[test]
fn who_logs_out_where_too_many_are_not_logged_in_is_closed() {
    let server = Local::start(&["--limit", "unauth=2"]);
    let mut peers = ["a", "b", "c"].map(|name| server.login(name));
    let mut last = server.login("d");
    let [one, two, three] = &mut peers;
    assert_eq!([one, two].map(|peer| peer.ask(Logout, "")), ["ok", "ok"]);
    assert_eq!(three.ask(Logout, ""), "ok");
    three.ends_with("busy");
    assert_eq!(last.ask(Delete, ""), "ok");
    last.ends_with("busy");
    let mut one = peers.into_iter().next().unwrap();
    assert!(one.ask(OpCode::Login, "a").starts_with("ok|"));
    drop(one);
    assert!(server.login("e").ask(List, "e").starts_with("ok|"));
}

#[test]
fn who_sends_too_fast_is_read_more_slowly_and_loses_nothing() {
    let server = Local::start(&["--limit", "sends=10", "--limit", "unknown-rate=off"]);
    let mut alice = server.login("alice");
    let started = server.core().clock.now().up;
    for _ in 0..120 {
        alice.send(Send, "nobody|hi");
    }
    (0..120).for_each(|_| assert!(alice.next().text().starts_with("error|no-such-user|")));
    let took = server.core().clock.now().up - started;
    assert!(took.as_millis() >= 1_900, "a burst of 100, then 20 at 10 a second: {took:?}");
}

#[test]
fn one_who_does_not_read_costs_nobody_else_anything() {
    let server =
        Local::start(&["--limit", "sends=off", "--limit", "mailbox-sender=off", "--limit", "mailbox=off"]);
    let mut deaf = server.login("deaf");
    let mut alice = server.login("alice");
    let text = "x".repeat(16_000);
    let mut queued = 0;
    for _ in 0..1_000 {
        let answer = alice.ask(Send, &format!("deaf|{text}"));
        assert!(answer.starts_with("ok|"));
        queued += u32::from(answer.starts_with("ok|queued|"));
    }
    assert!(queued > 0, "an outbox has a bound");
    let mut bob = server.login("bob");
    assert!(alice.ask(Send, "bob|hi").starts_with("ok|delivered|"));
    assert_eq!(bob.next().text(), "alice|hi");
    // All of it is there once he reads.
    (0..1_000).for_each(|_| assert_eq!(deaf.next().op, 0x06));
}

/// `bellhop-server | head -1` ended the server.
#[test]
fn a_server_whose_output_nobody_reads_goes_on() {
    let home = Home::new();
    let (nobody, output) = std::io::pipe().unwrap();
    drop(nobody);
    let mut server = Command::new(binary("bellhop-server"))
        .args(["0", "--listen", "127.0.0.1", "--log", "warn", "--data"])
        .arg(home.data())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines();
    let line = said.next().expect("a line").unwrap();
    let port = line.split("127.0.0.1:").nth(1).unwrap_or_else(|| panic!("no address: {line}"));
    let port = port.split(|letter: char| !letter.is_ascii_digit()).next().unwrap();
    let mut alice = Peer::login(format!("127.0.0.1:{port}").parse().unwrap(), "alice");
    assert_eq!(alice.ask(Logout, ""), "ok");
    server.kill().unwrap();
    server.wait().unwrap();
}
