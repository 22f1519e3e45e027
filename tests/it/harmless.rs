//! Text from others at each place where a person or a program meets it: the bytes that the client writes hold nothing
//! that drives a terminal, reorders, hides or forges. The server is one that says whatever hurts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use bellhop_protocol::code::{Failure, Reason};
use bellhop_protocol::item::Message;
use bellhop_protocol::post::{PostAnswer, PostFailure};
use bellhop_protocol::session::SessionToken;
use bellhop_protocol::text::{Names, TextAnswer};
use bellhop_protocol::{Code, MessageId, OpCode, Reply, Request, frame};
use bellhop_tests::flooding::welcome;
use bellhop_tests::fuzz::is_harmless;
use bellhop_tests::process::{binary, run};
use bellhop_tests::server::Home;
use bellhop_tests::terminal::Terminal;
use serde_json::Value;
use uuid::Uuid;

/// What drives terminals, what reorders and hides, and what grows; each begins and ends with letters of its own.
fn words() -> Vec<String> {
    let sequences = [
        "\x1b]52;c;RVZJTA==\x07",
        "\x1b]8;;http://evil\x1b\\",
        "\x1b]0;EVIL\x07",
        "\x1bP1$rEVIL\x1b\\",
        "\x1b_EVIL\x1b\\",
        "\x1b^EVIL\x1b\\",
        "\x1bXEVIL\x1b\\",
        "\x1b[2J",
        "\x1b[?1049l",
        "\u{9b}2J\u{9d}0;EVIL\u{9c}",
        "\x07",
        "\x08\x08\x08",
        "\rforged",
        "\nforged",
        "\x7f",
        // what reorders, hides and grows
        "\u{202e}",
        "\u{2066}\u{2069}",
        "\u{200b}\u{200d}\u{feff}",
        "\u{e0041}\u{e007f}",
    ];
    let mut words: Vec<String> = sequences.iter().map(|word| format!("so{word}EVIL")).collect();
    words.push(format!("a{}EVIL", "\u{301}".repeat(2_000)));
    words.push(format!("{}EVIL", "\u{1f469}\u{200d}".repeat(500)));
    words.push(format!("{}\u{4e2d}EVIL", "x".repeat(79)));
    words
}

/// Short enough for a name or a sentence of which the wire holds a few bytes.
fn short(word: &str) -> &str {
    let end = (0..=word.len().min(200)).rev().find(|end| word.is_char_boundary(*end));
    &word[..end.unwrap_or(0)]
}

/// A server that says one of the words wherever it may say something.
struct Impostor {
    addr: SocketAddr,
}

impl Impostor {
    fn start(word: usize) -> Impostor {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                thread::spawn(move || speak(socket, word));
            }
        });
        Impostor { addr }
    }
}

fn speak(mut socket: TcpStream, word: usize) {
    let (mut unread, mut chunk) = (Vec::new(), [0; 4_096]);
    while let Ok(count @ 1..) = socket.read(&mut chunk) {
        unread.extend_from_slice(&chunk[..count]);
        while let Ok(Some(found)) = frame::parse(&unread, frame::LIMIT_MAX) {
            let (op, data) = (found.op, found.data.to_vec());
            unread.drain(..frame::HEADER + data.len());
            if socket.write_all(&answer(op, &data, word)).is_err() {
                return;
            }
        }
    }
}

fn answer(op: u8, data: &[u8], word: usize) -> Vec<u8> {
    let words = words();
    let (word, said) = (&words[word], short(&words[word]));
    let refused = |code| Failure { reason: Reason::Number(code), sentence: word };
    match Request::decode(op, data).unwrap() {
        Request::Hello(_) => welcome(said),
        Request::Create { .. } => {
            Reply::Text(OpCode::Create, TextAnswer::Created(Uuid::from_u128(1))).to_bytes()
        }
        Request::Login { .. } => {
            Reply::Text(OpCode::Login, TextAnswer::LoggedIn(Uuid::from_u128(1), 2)).to_bytes()
        }
        Request::Resume(_) => Reply::Refused(OpCode::Resume, refused(Code::BAD_TOKEN)).to_bytes(),
        Request::Token => Reply::Token(SessionToken([7; 32])).to_bytes(),
        Request::List { .. } => {
            let names = format!("first|{said}|last");
            Reply::Text(OpCode::List, TextAnswer::Listed { names: Names::new(&names), more: false })
                .to_bytes()
        }
        Request::Deliver => {
            let said_by = |seq: u64, from, text| {
                let id = MessageId(Uuid::from_u128(u128::from(seq)));
                Reply::Message(Message { seq, id, time_ms: 1_795_165_752_000, from, text }).to_bytes()
            };
            let ok = Reply::Text(OpCode::Deliver, TextAnswer::Delivered(2)).to_bytes();
            [ok, said_by(1, "zoe", word), said_by(2, said, "hello")].concat()
        }
        Request::Post(post) => {
            let failure = PostFailure { code: Code::NO_SUCH_USER, retry_after_ms: 0, sentence: word };
            Reply::Posted(PostAnswer { counter: post.counter, result: Err(failure) }).to_bytes()
        }
        Request::Send { .. } => Reply::Text(
            OpCode::Send,
            TextAnswer::Failed(Failure { reason: Reason::Word(said), sentence: word }),
        )
        .to_bytes(),
        Request::Ping(bytes) => Reply::Pong(bytes).to_bytes(),
        Request::Logout { .. } => Reply::Text(OpCode::Logout, TextAnswer::LoggedOut).to_bytes(),
        _ => Vec::new(),
    }
}

/// Runs a command as alice, with nothing known: what it printed, and what it complained of.
fn printed(server: &Impostor, arguments: &[&str]) -> (String, String) {
    let home = Home::new();
    let mut command = Command::new(binary("bellhop"));
    command.args(["--timeout", "10"]).args(arguments);
    command.env("BELLHOP_HOME", home.path()).env("BELLHOP_USER", "alice");
    command.env("BELLHOP_SERVER", server.addr.to_string());
    let (_, said, complaint) = run(&mut command);
    (said, complaint)
}

#[test]
fn what_commands_print_is_harmless_at_every_place() {
    for (number, word) in words().iter().enumerate() {
        let server = Impostor::start(number);
        let (messages, _) = printed(&server, &["deliver"]);
        assert!(messages.contains("zoe: ") && messages.contains(": hello"), "{word:?}: {messages:?}");
        let (names, _) = printed(&server, &["list"]);
        assert_eq!(names.lines().count(), 3, "a line a name, {word:?}: {names:?}");
        let (raw, complaint) = printed(&server, &["raw", "5|bob|hi"]);
        assert!((raw.clone() + &complaint).contains("5|error|"), "{word:?}: {raw:?}, {complaint:?}");
        let (sent, refusal) = printed(&server, &["send", "bob", "hi"]);
        assert!(refusal.starts_with("bellhop: ") && sent.is_empty(), "{word:?}: {sent:?}, {refusal:?}");
        for text in [&messages, &names, &raw, &complaint, &refusal] {
            assert!(is_harmless(text, true), "{word:?} is printed as {text:?}");
        }
        assert_eq!(refusal.lines().count(), 1, "{word:?} forges a line: {refusal:?}");
        for arguments in [&["--json", "deliver"][..], &["--json", "list"], &["--json", "raw", "5|bob|hi"]] {
            let (lines, _) = printed(&server, arguments);
            assert!(lines.lines().count() >= 1, "{arguments:?}, {word:?}");
            for line in lines.lines() {
                assert!(is_harmless(line, false), "{word:?} is printed as {line:?}");
                let value: Value = serde_json::from_str(line).unwrap();
                strings(&value, &mut |text| assert!(is_harmless(text, true), "{word:?} is {text:?} in JSON"));
            }
        }
    }
}

fn strings(value: &Value, check: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => check(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, check)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, check)),
        _ => {}
    }
}

/// Fails where something in the bytes is not the screen's own: a string to the terminal, a control of one byte beyond
/// 7 bits, a bell, or a sequence out of one of the words.
fn check_screen(word: &str, written: &[u8]) {
    // The client rings the bell by itself, between two frames and never within one.
    let text = String::from_utf8_lossy(written).replace("\x1b[?2026l\x07", "\x1b[?2026l");
    let mut before = ' ';
    for c in text.chars() {
        assert!(before != '\x1b' || !"]P_^X".contains(c), "{word:?}: a string for the terminal in {text:?}");
        assert!(
            !matches!(c, '\x00'..='\x07' | '\x0e'..='\x1a' | '\x7f'..='\u{9f}'),
            "{word:?}: {c:?} in {text:?}"
        );
        before = c;
    }
    for sequence in ["\x1b[2JEVIL", "\x1b[?1049lEVIL", "\rforged", "\nforged", "\x08\x08"] {
        assert!(!text.contains(sequence), "{word:?}: {sequence:?}");
    }
    // The screen's own sequences part clusters; what is left is text.
    let shown: String = text.split('\x1b').map(|part| part.replace(['\r', '\n', '\x08'], "")).collect();
    assert!(is_harmless(&shown, false), "{word:?}");
}

#[test]
fn what_the_screen_writes_is_harmless_at_every_place() {
    for (number, word) in words().iter().enumerate() {
        let server = Impostor::start(number);
        let home = Home::new();
        let mut terminal = Terminal::of("alice", home.path(), server.addr, (80, 24));
        // The list of conversations has the name; then the messages of zoe, with the body.
        terminal.comes_to("the messages", |contents| contents.contains("zoe"));
        terminal.enters("/open zoe");
        terminal.comes_to("the body", |contents| contents.contains("EVIL") || contents.contains("forged"));
        // A refused message has the server's sentence; the people who have an account are listed.
        terminal.enters("is this you?");
        terminal.comes_to("the refusal", |contents| contents.contains("not sent"));
        terminal.enters("0|");
        terminal.comes_to("the list", |contents| contents.contains("first"));
        terminal.types("\x11");
        assert_eq!(terminal.ends(), 0);
        check_screen(word, &terminal.written());
        if word.contains('\u{202e}') {
            let text = String::from_utf8_lossy(&terminal.written()).into_owned();
            assert!(text.contains("U+202E"), "who reorders is seen to have tried");
        }
    }
}

/// The same where the screen gives way: plain lines, a copy of the last message, and a notice to the terminal.
#[test]
fn what_leaves_the_screen_is_harmless_as_well() {
    for (number, word) in words().iter().enumerate() {
        let server = Impostor::start(number);
        let home = Home::new();
        std::fs::create_dir_all(home.path()).unwrap();
        std::fs::write(home.path().join("config.toml"), "[notify]\nvia = \"osc9\"\npreview = \"full\"\n")
            .unwrap();
        let variables = [("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22")];
        let addr = server.addr.to_string();
        let mut terminal = Terminal::start_with(&[], home.path(), &addr, (80, 24), &variables);
        terminal.shows("Welcome");
        terminal.types("alice\x0e\r");
        terminal.comes_to("the messages", |contents| contents.contains("zoe"));
        terminal.enters("/open zoe");
        // The list has the name of somebody with the same words; the divider comes with the message.
        terminal.shows("── new ");
        terminal.types("\x19");
        terminal.shows("copied (OSC 52");
        terminal.types("\x1b[15~");
        terminal.shows("any key goes back");
        terminal.types("x");
        terminal.comes_to("the screen", |contents| contents.contains("F1 help"));
        terminal.signal(bellhop_tests::terminal::Signal::TERM);
        assert_eq!(terminal.ends(), 143);
        let written = String::from_utf8_lossy(&terminal.written()).into_owned();
        let (copied, rest) = cut(&written, "\x1b]52;c;");
        assert_eq!(copied.len(), 1, "{written:?}");
        let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        assert!(copied[0].chars().all(base64), "{word:?} is copied as {copied:?}");
        let (notices, rest) = cut(&rest, "\x1b]9;");
        assert!(notices.iter().all(|notice| is_harmless(notice, true)), "{word:?}: {notices:?}");
        check_screen(word, rest.as_bytes());
    }
}

/// The sequences that begin like this and end with a bell, and the text without them.
fn cut(text: &str, begin: &str) -> (Vec<String>, String) {
    let mut parts = text.split(begin);
    let mut rest = parts.next().unwrap_or_default().to_owned();
    let mut inside = Vec::new();
    for part in parts {
        let (sequence, behind) = part.split_once('\x07').expect("it ends");
        inside.push(sequence.to_owned());
        rest.push_str(behind);
    }
    (inside, rest)
}

#[test]
fn what_lines_without_a_screen_say_is_harmless() {
    for (number, word) in words().iter().enumerate() {
        let server = Impostor::start(number);
        let home = Home::new();
        let mut command = Command::new(binary("bellhop"));
        command.args(["tui", "--plain", "--timeout", "10s"]);
        command.env("BELLHOP_HOME", home.path()).env("BELLHOP_USER", "alice");
        command.env("BELLHOP_SERVER", server.addr.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let script = "/send zoe is this you?\n0|\n5|bob|hi\n/raw 5|bob|hi\n/who\n/read zoe\n";
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("not sent") && said.contains("-- 0 ok|first"), "{word:?}: {said:?}");
        assert!(is_harmless(&said, true), "{word:?} is said as {said:?}");
        let own = |line: &str| {
            line.starts_with("-- ") || line.starts_with("      ") || line.as_bytes().get(2) == Some(&b':')
        };
        for line in said.lines() {
            let dated = line.split(' ').nth(4).is_some_and(|time| time.as_bytes().get(2) == Some(&b':'));
            assert!(own(line) || dated, "{word:?} forges a line: {line:?} in {said:?}");
        }
    }
}
