//! The operator's commands: by the real binary, on servers that run and on folders where none does.

mod ends;

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use bellhop_protocol::OpCode::{Deliver, List, Send};
use bellhop_protocol::{OpCode, Reply};
use bellhop_tests::peer::Peer;
use bellhop_tests::process::{Process, binary, run};
use bellhop_tests::server::{Home, Local};
use bellhop_tests::wait::wait_for;
use serde_json::Value;

const PASSWORD: &str = "open sesame";

/// What a command came to: its exit code, what it said, and what it complained of.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    said: String,
    complaint: String,
}

impl Ran {
    fn of((status, said, complaint): (ExitStatus, String, String)) -> Ran {
        Ran { code: status.code(), said, complaint }
    }

    /// It was done, and nothing complained of.
    fn done(self) -> String {
        assert_eq!((self.code, self.complaint.as_str()), (Some(0), ""), "{}", self.said);
        self.said
    }

    /// It was refused, in one line that says this.
    fn refused(self, code: i32, part: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.complaint.contains(part), "{part}: {self:?}");
        assert_eq!(self.complaint.lines().count(), 1, "{self:?}");
        assert!(self.complaint.starts_with("bellhop-server: "), "{self:?}");
        assert!(!self.complaint.contains('\u{1b}'), "{self:?}");
    }
}

fn command(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary("bellhop-server"));
    command.args(args).arg("--data").arg(data);
    command
}

fn op(data: &Path, args: &[&str]) -> Ran {
    Ran::of(run(&mut command(data, args)))
}

/// The same with a password on standard input.
fn op_with(data: &Path, args: &[&str], input: &str) -> Ran {
    let mut child = command(data, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran::of((output.status, text(output.stdout), text(output.stderr)))
}

fn json(data: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&op(data, args).done()).unwrap()
}

/// The rows of `user list --json`, by name.
fn users(data: &Path, args: &[&str]) -> Vec<(String, Value)> {
    let said = op(data, &[&["user", "list", "--json"], args].concat()).done();
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    said.lines().map(line).map(|user| (user["name"].as_str().unwrap().to_owned(), user)).collect()
}

fn names(data: &Path, args: &[&str]) -> Vec<String> {
    users(data, args).into_iter().map(|(name, _)| name).collect()
}

fn level(status: &Value, name: &str) -> (Value, Value) {
    let limits = status["limits"].as_array().unwrap();
    let limit = limits.iter().find(|limit| limit["name"] == name).unwrap();
    (limit["value"].clone(), limit["in-use"].clone())
}

// ---- status

#[test]
fn status_tells_what_there_is_and_how_much_of_it_is_in_use() {
    // Somebody who says nothing stays for as long as the test takes.
    let patient = ["--limit", "sends=off", "--limit", "login-time=off", "--limit", "tls-time=off"];
    let server = Local::start(&patient);
    let (core, data) = (server.core().clone(), server.home().data());
    let mut alice = server.hello("alice", 1);
    drop(server.login("bob"));
    let _stranger = server.connect();
    for counter in 1..=3 {
        alice.post(counter, "bob", "12345", true);
        alice.answer(OpCode::Post.answer());
    }
    // The last ones to come and go are counted when their task has run.
    let status = wait_for("two connections", || {
        let status = json(&data, &["status", "--json"]);
        (status["connections"] == 2).then_some(status)
    });
    assert_eq!(status["node"], Value::from(core.node.as_str()));
    assert_eq!(status["durability"], "power");
    assert_eq!((&status["unauthenticated"], &status["sessions"]), (&1.into(), &1.into()));
    let waiting = serde_json::json!({ "messages": 3, "bytes": 15, "unread": 3, "receipts": 0 });
    assert_eq!(status["waiting"], waiting);
    assert_eq!(status["listeners"][0]["address"], Value::from(server.addr().to_string()));
    assert!(status["store"]["database"].as_u64().unwrap() > 0 && status["store"]["rows"] == 3);
    assert_eq!(level(&status, "mailbox"), (10_000.into(), 3.into()));
    assert_eq!(level(&status, "mailbox-bytes"), (16_777_216.into(), 15.into()));
    assert_eq!(level(&status, "mailbox-sender"), (2_000.into(), 3.into()));
    assert_eq!(level(&status, "sessions"), (8.into(), 1.into()));
    assert_eq!(level(&status, "connections").1, 2);
    assert_eq!(level(&status, "unauth"), (128.into(), 1.into()));
    assert_eq!(level(&status, "sends"), (Value::Null, Value::Null));
    let named = |list: &Value, of: fn(&Value) -> &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| of(row).as_str().unwrap().to_owned()).collect()
    };
    let counters: Vec<&str> = core.counters.list().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named(&status["counters"], |row| &row[0]), counters);
    let limits: Vec<&str> = core.limits.list().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(named(&status["limits"], |row| &row["name"]), limits);
    // The same for people: every limit and every counter has its line.
    let text = op(&data, &["status"]).done();
    for name in limits.iter().chain(&counters) {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(&format!("{name} "))),
            "{name}: {text}"
        );
    }
}

// ---- accounts

#[test]
fn accounts_are_made_changed_and_deleted_on_a_server_that_runs() {
    let server = Local::start(&["--auth", "password"]);
    let data = server.home().data();
    op_with(&data, &["user", "add", "Alice"], &format!("{PASSWORD}\n")).done();
    let mut alice = server.connect();
    assert!(alice.ask(OpCode::Login, "alice|wrong password").starts_with("error|bad-password|"));
    assert!(alice.ask(OpCode::Login, &format!("alice|{PASSWORD}")).starts_with("ok|"));
    op(&data, &["user", "add", "robot", "--no-password"]).done();
    assert_eq!(names(&data, &[]), ["Alice", "robot"]);
    assert_eq!(names(&data, &["A*"]), ["Alice"]);
    let [(_, alice_row), (_, robot)] = users(&data, &[]).try_into().unwrap();
    assert_eq!((&alice_row["password"], &robot["password"]), (&true.into(), &false.into()));
    assert_eq!((&alice_row["sessions"], &robot["sessions"]), (&1.into(), &0.into()));
    for (args, part) in [
        (&["user", "add", "ALICE", "--no-password"][..], "belongs to somebody"),
        (&["user", "add", "a b", "--no-password"], "holds no spaces"),
        (&["user", "add", "x\u{1b}[2J", "--no-password"], "is no name"),
        (&["user", "del", "nobody", "--yes"], "nobody"),
        (&["user", "passwd", "robot"], "8 to 256 bytes"),
        (&["user", "add", "carol"], "8 to 256 bytes"),
    ] {
        op(&data, args).refused(1, part);
    }
    op_with(&data, &["user", "passwd", "alice"], "another word\n").done();
    alice.ends_with("bad-token");
    let mut alice = server.connect();
    assert!(alice.ask(OpCode::Login, &format!("alice|{PASSWORD}")).starts_with("error|bad-password|"));
    assert!(alice.ask(OpCode::Login, "alice|another word").starts_with("ok|"));
    op(&data, &["user", "del", "Alice"]).refused(2, "say --yes");
    op(&data, &["user", "del", "alice", "--yes"]).done();
    alice.ends_with("account-deleted");
    assert_eq!(names(&data, &[]), ["robot"]);
}

/// An account that was made before the first start could not be, and the first start had nobody who can log in.
#[test]
fn accounts_are_made_where_no_server_runs() {
    let home = Arc::new(Home::new());
    let data = home.data();
    op(&data, &["user", "list"]).refused(1, "no server has kept anything");
    op_with(&data, &["user", "add", "alice"], PASSWORD).done();
    op(&data, &["user", "add", "bob", "--no-password"]).done();
    op(&data, &["user", "del", "bob", "--yes"]).done();
    op(&data, &["user", "add", "alice", "--no-password"]).refused(1, "belongs to somebody");
    assert_eq!(names(&data, &[]), ["alice"]);
    let server = Local::start_in(&home, &["--auth", "password"]);
    let mut alice = server.connect();
    assert!(alice.ask(OpCode::Login, &format!("alice|{PASSWORD}")).starts_with("ok|"));
    // What the operator made of an account that nobody is, is what the server goes on with.
    assert_eq!(names(&data, &[]), ["alice"]);
}

/// The counter of this name.
fn counted(server: &Local, name: &str) -> u64 {
    let counters = server.core().counters.list();
    counters.into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// Whatever end a message comes to, it is counted under that one.
#[test]
fn the_ends_of_messages_are_counted() {
    for durability in ["power", "none"] {
        let server = Local::start(&["--durability", durability, "--limit", "mailbox=3"]);
        let mut bob = server.hello("bob", 2);
        bob.ask(Deliver, "");
        let mut alice = server.login("alice");
        drop(server.login("carol"));
        for text in ["bob|one", "bob|two", "carol|one", "carol|two", "carol|three", "carol|four"] {
            alice.ask(Send, text);
        }
        let [first, second] = [seq(&bob.push()), seq(&bob.push())];
        bob.ack(first, second);
        bob.is_quiet();
        let mut carol = server.login("carol");
        assert!(carol.ask(OpCode::Delete, "").starts_with("ok"), "{durability}");
        let counts = ["messages-kept", "messages-taken", "messages-deleted", "refused-mailbox-full"]
            .map(|name| counted(&server, name));
        assert_eq!(counts, [5, 2, 3, 1], "{durability}");
        assert_eq!(["accounts-made", "accounts-deleted"].map(|name| counted(&server, name)), [3, 1]);
    }
}

/// Who types a password is not shown it, and types it twice; who deletes an account types its name once more.
#[cfg(unix)]
#[test]
fn what_an_operator_types_is_asked_twice() {
    use bellhop_tests::terminal::Terminal;
    let server = Local::start(&["--auth", "password"]);
    let (data, home) = (server.home().data(), server.home().path().to_owned());
    let typed = |words: &[&str], answers: &[(&str, &str)], code: u32, end: &str| {
        let place = ["--data", data.to_str().unwrap()];
        let mut terminal = Terminal::start_operator(&[words, &place].concat(), &home);
        for (question, answer) in answers {
            terminal.shows(question);
            terminal.types(&format!("{answer}\r"));
        }
        terminal.shows(end);
        assert!(!terminal.contents().contains("sesame"), "{}", terminal.contents());
        assert_eq!(terminal.ends(), code, "{end}");
    };
    let (first, again) = ("New password:", "Once more:");
    let add = ["user", "add", "alice"];
    typed(&add, &[(first, PASSWORD), (again, "another word")], 1, "two different passwords");
    typed(&add, &[(first, "short")], 1, "8 to 256 bytes");
    typed(&add, &[(first, PASSWORD), (again, PASSWORD)], 0, "made the account alice");
    assert!(server.connect().ask(OpCode::Login, &format!("alice|{PASSWORD}")).starts_with("ok|"));
    let del = ["user", "del", "alice"];
    typed(&del, &[("once more:", "alicia")], 2, "nothing was deleted");
    typed(&del, &[("once more:", "alice")], 0, "deleted the account alice");
}

// ---- backup and check

#[test]
fn a_backup_that_is_put_back_has_what_was_acknowledged() {
    let home = Arc::new(Home::new());
    let server = Local::start_in(&home, &["--limit", "sends=off"]);
    let data = home.data();
    drop(server.hello("bob", 2));
    let mut alice = server.login("alice");
    for number in 0..20 {
        assert!(alice.ask(Send, &format!("bob|before {number}")).starts_with("ok|"));
    }
    let file = home.path().join("copy.db");
    let said = op(&data, &["backup", file.to_str().unwrap()]).done();
    assert!(said.contains("2 accounts") && said.contains("20 messages"), "{said}");
    op(&data, &["backup", file.to_str().unwrap()]).refused(1, "is there already");
    // A start goes on beyond what was reserved when the copy was made.
    drop(alice);
    let server = server.restart(&["--limit", "sends=off"]);
    let mut alice = server.login("alice");
    assert!(alice.ask(Send, "bob|after").starts_with("ok|"));
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    let seqs: Vec<u64> = (0..21).map(|_| seq(&bob.push())).collect();
    drop((alice, bob));
    server.stop().unwrap();

    let restored = Arc::new(Home::new());
    std::fs::copy(&file, restored.data().join("bellhop.db")).unwrap();
    let server = Local::start_in(&restored, &["--limit", "sends=off"]);
    let mut bob = server.hello("bob", 2);
    bob.ask(Deliver, "");
    let again: Vec<u64> = (0..20).map(|_| seq(&bob.push())).collect();
    assert_eq!(again, seqs[..20], "what was kept before is there, under its number");
    bob.is_quiet();
    // The number of the message that is lost was acknowledged by somebody; a new one does not get it.
    assert!(server.login("alice").ask(Send, "bob|new").starts_with("ok|"));
    let new = seq(&bob.push());
    assert!(new > seqs[20], "{new} after {}", seqs[20]);
    assert!(op(&restored.data(), &["check"]).done().contains("whole"));
}

fn seq(got: &bellhop_tests::peer::Got) -> u64 {
    assert_eq!(got.op, OpCode::Message.byte(), "{got:?}");
    u64::from_be_bytes(got.data[..8].try_into().unwrap())
}

#[test]
fn a_check_says_what_is_wrong_and_changes_nothing() {
    let home = Arc::new(Home::new());
    let (data, path) = (home.data(), home.data().join("bellhop.db"));
    op(&data, &["check"]).refused(1, "no server has kept anything");
    let server = Local::start_in(&home, &[]);
    drop(server.login("bob"));
    assert!(server.login("alice").ask(Send, "bob|hi").starts_with("ok|"));
    assert!(op(&data, &["check"]).done().contains("whole; 2 accounts"), "on a server that runs");
    server.stop().unwrap();
    assert!(op(&data, &["check"]).done().contains("1 message"), "and where none does");

    let mut bytes = std::fs::read(&path).unwrap();
    let root = 3 * 4_096;
    bytes[root..root + 200].fill(0xA5);
    std::fs::write(&path, &bytes).unwrap();
    let found = op(&data, &["check"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(!found.said.is_empty() || !found.complaint.is_empty(), "{found:?}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let copy = home.path().join("copy.db");
    assert_eq!(op(&data, &["backup", copy.to_str().unwrap()]).code, Some(1));
    assert!(!copy.exists(), "what is damaged is not copied");
    std::fs::write(&path, "another file, which is no database at all").unwrap();
    op(&data, &["check"]).refused(1, "cannot be read");
}

// ---- why

#[test]
fn wrong_words_are_answered_in_one_line() {
    let home = Home::new();
    let data = home.data();
    op(&data, &["status"]).refused(1, "no server runs");
    op(&data, &["drain"]).refused(1, "no server runs");
    op(&data, &["backup", "/"]).refused(2, "names no file");
    op(&data, &["why", "alice"]).refused(1, "no server has kept anything");
    let gone = home.path().join("gone\u{1b}[31m");
    op(&gone, &["status"]).refused(1, "no server runs");
    assert!(!gone.exists(), "asking makes no folder");
    for words in [&["status", "me"][..], &["why"], &["user", "add"], &["user"], &["why", "a", "b"], &["frob"]]
    {
        assert_eq!(op(&data, words).code, Some(2), "{words:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
        op(&data, &["user", "add", "a", "--no-password"]).refused(1, "chmod 700");
    }
}

#[cfg(unix)]
mod door {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// What the door answers to these bytes.
    fn answer(data: &Path, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(data.join("control")).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line
    }

    #[test]
    fn it_is_the_owners_alone_and_goes_with_the_server() {
        let home = Arc::new(Home::new());
        let control = home.data().join("control");
        // What a server that was killed leaves.
        drop(UnixListener::bind(&control).unwrap());
        let server = Local::start_in(&home, &[]);
        let found = std::fs::metadata(&control).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        server.stop().unwrap();
        assert!(!control.exists());
    }

    #[test]
    fn what_is_no_request_is_refused_and_the_next_one_served() {
        let server = Local::start(&[]);
        let data = server.home().data();
        let long = format!("{{\"why\":{{\"what\":\"{}\"}}}}\n", "x".repeat(70_000));
        for (bytes, part) in [
            (&b""[..], "does not know the request"),
            (b"\n", "does not know the request"),
            (b"{\"dance\":{}}\n", "does not know the request"),
            (b"{\"why\":{\"what\":\"a\",\"text\":true}}\n", "does not know the request"),
            (b"\xFF\xFE\n", "does not know the request"),
            (b"GET / HTTP/1.1\r\n\r\n", "does not know the request"),
            (long.as_bytes(), "too long"),
        ] {
            let line = answer(&data, bytes);
            assert!(line.contains("error") && line.contains(part), "{part}: {line}");
        }
        // Some who never ask, and nobody else is held up.
        let _silent: Vec<UnixStream> =
            (0..7).map(|_| UnixStream::connect(data.join("control")).unwrap()).collect();
        assert!(answer(&data, b"\"status\"\n").contains("\"node\""));
    }

    /// The path of a socket has at most some hundred bytes; a folder's may have more.
    #[cfg(target_os = "linux")]
    #[test]
    fn it_opens_in_a_folder_with_a_long_path() {
        let home = Home::new();
        let data = home.data().join("d".repeat(120));
        let _server = Process::start(&data, &[]);
        assert_eq!(json(&data, &["status", "--json"])["durability"], "power");
        assert!(data.join("control").exists());
    }

    /// A server that was going to end waited for somebody's backup.
    #[test]
    fn the_servers_end_ends_what_reads_beside_it() {
        let server = Local::start(&[]);
        let mut held = UnixStream::connect(server.home().data().join("control")).unwrap();
        held.write_all(b"\"hold\"\n").unwrap();
        // It is served when another one, asked later, was answered.
        answer(&server.home().data(), b"\"status\"\n");
        server.stop().unwrap();
        let mut line = String::new();
        BufReader::new(held).read_line(&mut line).unwrap();
        assert!(line.is_empty() || line.contains("done"), "{line}");
    }
}
