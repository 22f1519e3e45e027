//! Starts that are cut off, starts on damage, starts without threads; what a service manager sees; ends under load.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bellhop_protocol::OpCode::{Deliver, List, Logout, Send};
use bellhop_protocol::{OpCode, Reply, frame};
use bellhop_tests::checker::Verdict;
use bellhop_tests::faults::has_strace;
use bellhop_tests::load::{FREE, Load, Recipient, Work};
use bellhop_tests::peer::Peer;
use bellhop_tests::process::{Process, binary, run};
use bellhop_tests::server::Home;
use bellhop_tests::tools::has;
use bellhop_tests::wait::{PATIENCE, wait_for};

fn amount(name: &str, usual: u32) -> u32 {
    std::env::var(name).map_or(usual, |amount| amount.parse().unwrap())
}

/// A database of the first version: alice's three messages wait for bob.
const VERSION_1: &[u8] = include_bytes!("data/version-1.db");

fn put(home: &Home, database: &[u8]) {
    fs::write(home.data().join("bellhop.db"), database).unwrap();
}

fn holds_the_messages_of_version_1(server: &Process) {
    let (texts, _) = Peer::login(server.addr(), "bob").deliver();
    let lengths: Vec<usize> = texts.iter().map(String::len).collect();
    assert_eq!(lengths, ["alice|one".len(), "alice|two ".len() + 9_000, "alice|três".len()], "{texts:?}");
}

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let home = Home::new();
    put(&home, VERSION_1);
    let server = Process::start(&home.data(), &[]);
    holds_the_messages_of_version_1(&server);
    let refused = Peer::connect(server.addr()).ask(OpCode::Login, "alice|wrong horse");
    assert!(refused.starts_with("error|bad-password|"), "{refused}");
    assert!(Peer::connect(server.addr()).ask(OpCode::Login, "alice|correct horse").starts_with("ok|"));
    assert_eq!(server.terminate().code(), Some(0));
    let again = Process::start(&home.data(), &[]);
    assert!(Peer::connect(again.addr()).ask(OpCode::Login, "alice|correct horse").starts_with("ok|"));
}

/// Calls with which a start changes something, or is about to.
const CALLS: [&str; 9] =
    ["pwrite64", "write", "fsync", "openat", "unlink", "rename", "ftruncate", "mkdir", "fchmod"];

/// Kills starts at the n-th of each of these calls until a start gets through; returns how many were killed.
fn killed_starts(prepare: impl Fn(&Home), sound: impl Fn(&Process)) -> u32 {
    let step = amount("BELLHOP_START_STEP", 5) as usize;
    let mut killed = 0;
    for call in CALLS {
        for when in (1..).step_by(step) {
            let home = Home::new();
            prepare(&home);
            let mut strace = Command::new("strace");
            strace.args(["--follow-forks", "--seccomp-bpf", "-qqq", "--output=/dev/null"]);
            strace.arg(format!("--trace={call}")).arg(format!("--inject={call}:signal=KILL:when={when}"));
            strace.arg(binary("bellhop-server")).stderr(Stdio::null());
            let through = Process::try_start_as(&mut strace, &home.data(), &[]).is_ok();
            killed += u32::from(!through);
            // Twice: what a start leaves is sound as well.
            for _ in 0..2 {
                let server = Process::start(&home.data(), &[]);
                sound(&server);
                server.kill();
            }
            if through {
                break;
            }
        }
    }
    killed
}

#[test]
fn a_first_start_that_is_killed_anywhere_is_followed_by_a_first_start() {
    if !has_strace() {
        return;
    }
    let killed = killed_starts(|_| (), |server| drop(Peer::login(server.addr(), "alice")));
    assert!(killed >= 6, "{killed} starts were killed");
}

#[test]
fn a_change_of_version_that_is_killed_anywhere_is_done_or_not_begun() {
    if !has_strace() {
        return;
    }
    let sound = |server: &Process| {
        let mut bob = Peer::connect(server.addr());
        assert!(bob.ask(OpCode::Login, "bob").ends_with("|3"), "three messages wait");
    };
    let killed = killed_starts(|home| put(home, VERSION_1), sound);
    assert!(killed >= 6, "{killed} starts were killed");
}

/// Runs a server that is to refuse; returns how it ended and its one line.
fn refusal(command: &mut Command) -> (ExitStatus, String) {
    let (status, said, complaint) = run(command);
    assert_eq!(said, "", "{complaint}");
    let lines: Vec<&str> = complaint.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("bellhop-server: "), "{complaint}");
    (status, lines[0].to_owned())
}

fn server_on(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary("bellhop-server"));
    command.args(["0", "--listen", "127.0.0.1", "--log", "info", "--data"]).arg(data).args(args);
    command
}

#[test]
fn a_write_ahead_log_that_was_deleted_is_missed() {
    for durability in ["power", "crash"] {
        let home = Home::new();
        let args = ["--durability", durability];
        let server = Process::start(&home.data(), &args);
        drop(Peer::login(server.addr(), "bob"));
        let mut alice = Peer::login(server.addr(), "alice");
        (0..5).for_each(|number| assert!(alice.ask(Send, &format!("bob|{number}")).starts_with("ok|")));
        server.kill();
        let log = home.data().join("bellhop.db-wal");
        let kept = fs::read(&log).unwrap();
        fs::remove_file(&log).unwrap();
        for _ in 0..2 {
            let (status, line) = refusal(&mut server_on(&home.data(), &args));
            assert_eq!(status.code(), Some(1), "{line}");
            assert!(line.contains("--accept-loss") || line.contains("empty or gone"), "{durability}: {line}");
        }
        // Put back, everything is there.
        fs::write(&log, kept).unwrap();
        let server = Process::start(&home.data(), &args);
        assert_eq!(Peer::login(server.addr(), "bob").deliver().1, "ok|5", "{durability}");
        server.kill();
        fs::remove_file(&log).unwrap();
        let mut accepting = args.to_vec();
        accepting.push("--accept-loss");
        let server = Process::start(&home.data(), &accepting);
        Peer::login(server.addr(), "bob").ask(Deliver, "");
        server.kill();
        drop(Process::start(&home.data(), &args));
    }
}

#[test]
fn a_damaged_database_is_refused_with_its_name() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    Peer::login(server.addr(), "bob").ask(Logout, "");
    assert!(
        Peer::login(server.addr(), "alice").ask(Send, "bob|a text that nobody changes").starts_with("ok|")
    );
    assert_eq!(server.terminate().code(), Some(0));
    let path = home.data().join("bellhop.db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(9).position(|words| words == b"that nobo").unwrap();
    bytes[at] = b'T';
    fs::write(&path, &bytes).unwrap();
    let (status, line) = refusal(&mut server_on(&home.data(), &[]));
    assert_eq!(status.code(), Some(1), "{line}");
    assert!(line.contains("bellhop.db: row 1 of the table log is damaged"), "{line}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "it is left as it was");
}

/// A device that is brought nothing of what it acknowledged before the end before this one, and acknowledges something
/// right now: that is saved some time later, or at the end.
fn acknowledges(addr: SocketAddr, end: u32) -> Peer {
    let mut dora = Peer::hello(addr, "dora", 1);
    assert_eq!(dora.ask(Deliver, ""), "ok|0", "end {end}");
    dora.post(u64::from(end) + 1, "dora", "a note", false);
    dora.answer(OpCode::Post.answer());
    let got = dora.push();
    let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
    dora.ack(message.seq, message.seq);
    dora.is_quiet();
    dora
}

#[test]
fn terminated_under_load_it_ends_in_order_and_loses_nothing() {
    let home = Home::new();
    let mut server = Process::start(&home.data(), &FREE);
    let load = Load::start(server.addr(), Work::of(Recipient::Early));
    let ends = amount("BELLHOP_ENDS", 3);
    for end in 0..ends {
        load.progress(u64::from(30 + end * 7 % 50));
        let mut idle = Peer::login(server.addr(), "carol-who-waits");
        let mut dora = acknowledges(server.addr(), end);
        let started = now();
        assert_eq!(server.terminate().code(), Some(0), "end {end}");
        assert!(started.elapsed() < Duration::from_secs(5), "end {end} took {:?}", started.elapsed());
        idle.ends_with("shutting-down");
        dora.ends_with("shutting-down");
        server = Process::start(&home.data(), &FREE);
        load.moves_to(server.addr());
    }
    drop(acknowledges(server.addr(), ends));
    let (verdict, kept) = load.finish();
    assert_eq!(verdict, Verdict::default(), "{kept} messages, {ends} ends");
    assert!(kept > ends as usize, "{kept}");
}

#[expect(clippy::disallowed_methods, reason = "a promise about real time")]
fn now() -> Instant {
    Instant::now()
}

/// With too few threads the server says so at the start, or does everything: no panic, and nobody waits for ever.
#[test]
fn without_threads_a_start_says_so() {
    // Nobody else is this user, so that the limit counts this server's threads alone.
    let as_nobody = ["--reuid=54321", "--regid=54321", "--clear-groups"];
    let root = has("setpriv", &[&as_nobody[..], &["true"]].concat());
    if !root || !has("prlimit", &["--nproc=100", "true"]) {
        return;
    }
    // The binary and the folder have to be where that user gets at them.
    let home = Home::new();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = home.path().join("bellhop-server");
    fs::copy(binary("bellhop-server"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let (mut refused, mut served) = (0, 0);
    for threads in [1, 2, 3, 5, 8, 11, 14, 17, 20, 40] {
        let data = home.path().join(format!("data{threads}"));
        let mut command = Command::new("setpriv");
        command.args(as_nobody).arg("prlimit").arg(format!("--nproc={threads}")).arg(&program);
        let complaints = home.path().join("complaints");
        command.stderr(fs::File::create(&complaints).unwrap());
        match Process::try_start_as(&mut command, &data, &["--auth", "password", "--register", "open"]) {
            Ok(server) => {
                served += 1;
                let mut alice = Peer::connect(server.addr());
                assert!(
                    alice.ask(OpCode::Create, "alice|correct horse").starts_with("ok|"),
                    "{threads} threads"
                );
                assert!(alice.ask(Send, "alice|hi").starts_with("ok|"), "{threads} threads");
                assert_eq!(alice.ask(List, ""), "ok|alice", "{threads} threads");
                assert_eq!(server.terminate().code(), Some(0));
            }
            Err(status) => {
                refused += 1;
                assert_eq!(status.code(), Some(1), "{threads} threads");
            }
        }
        let complaints = fs::read_to_string(&complaints).unwrap();
        assert!(!complaints.contains("panicked"), "{threads} threads: {complaints}");
    }
    assert!(refused >= 3 && served >= 1, "{refused} refused, {served} served");
}

/// After SIGSTOP the server takes nobody's silence for an absence, and gives nothing twice.
#[test]
fn a_server_that_was_stopped_goes_on_with_everybody() {
    let home = Home::new();
    let args: Vec<&str> =
        FREE.iter().chain(&["--limit", "heartbeat=2", "--limit", "unauth-addr=off"]).copied().collect();
    let server = Process::start(&home.data(), &args);
    let addr = server.addr();
    let idle: Vec<_> =
        (0..30).map(|number| responsive(Peer::hello(addr, &format!("u{number}"), 1))).collect();
    let mut bob = Peer::login(addr, "bob");
    let mut alice = Peer::login(addr, "alice");
    let id = server.id().to_string();
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    signal("-STOP");
    (0..20).for_each(|number| alice.send(Send, &format!("bob|{number}")));
    // Longer than three heartbeats: by the clocks of the others it is gone.
    std::thread::sleep(Duration::from_secs(u64::from(amount("BELLHOP_STOPPED_S", 9))));
    signal("-CONT");
    for number in 0..20 {
        assert!(alice.next().text().starts_with("ok|delivered|"));
        assert_eq!(bob.push().text(), format!("alice|{number}"));
    }
    bob.is_quiet();
    // Some heartbeats later, which take their time, everybody is there still, in the connection that they had.
    std::thread::sleep(Duration::from_secs(3));
    for number in 0..30 {
        assert!(
            alice.ask(Send, &format!("u{number}|there?")).starts_with("ok|delivered|"),
            "u{number} was given up"
        );
    }
    server.kill();
    for thread in idle {
        assert_eq!(thread.join().unwrap(), 1, "each is brought its message once");
    }
}

/// A client that answers PINGs, and counts the messages that it is brought.
fn responsive(mut peer: Peer) -> std::thread::JoinHandle<usize> {
    peer.ask(Deliver, "");
    std::thread::spawn(move || {
        let mut messages = 0;
        while let Some(got) = peer.read() {
            match got.reply() {
                Reply::Ping(_) => {
                    let mut pong = Vec::new();
                    frame::put(&mut pong, OpCode::Ping.answer(), &got.data);
                    peer.try_write(&pong);
                }
                Reply::Message(_) => messages += 1,
                other => panic!("{other:?}"),
            }
        }
        messages
    })
}

// ---- the service manager

/// Starts the server with a file as the first that it is passed.
fn with_passed(file: OwnedFd, data: &Path) -> Command {
    let mut shell = Command::new("sh");
    let script = r#"exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@""#;
    shell
        .args(["-c", script, "sh"])
        .arg(binary("bellhop-server"))
        .arg("--data")
        .arg(data)
        .stdin(Stdio::from(file));
    shell
}

#[test]
fn a_socket_that_is_passed_is_listened_on() {
    let home = Home::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let mut child = with_passed(socket.into(), &home.data()).stdout(Stdio::piped()).spawn().unwrap();
    // Whoever connects before the server is ready waits in the socket.
    let mut alice = Peer::login(addr, "alice");
    assert!(alice.ask(Send, "alice|hi").starts_with("ok|delivered|"));
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(&format!("listening on {addr}\n")));
}

#[test]
fn something_else_than_a_listening_socket_is_refused() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let others: [(&str, OwnedFd); 4] = [
        ("a connection", connection.into()),
        ("a UDP socket", UdpSocket::bind("127.0.0.1:0").unwrap().into()),
        ("a Unix socket", std::os::unix::net::UnixListener::bind(home.path().join("s")).unwrap().into()),
        ("a file", fs::File::create(home.path().join("f")).unwrap().into()),
    ];
    for (what, other) in others {
        let (status, line) = refusal(&mut with_passed(other, &home.data()));
        assert_eq!(status.code(), Some(2), "{what}: {line}");
        assert!(
            line.contains("socket 1 that was passed") && line.contains("ListenStream="),
            "{what}: {line}"
        );
    }
    assert!(!home.data().join("bellhop.db").exists(), "nothing was begun");
}

#[test]
fn the_service_manager_is_told() {
    let home = Home::new();
    let path = home.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |what: &str| {
        let mut bytes = [0; 1_000];
        let count =
            manager.recv(&mut bytes).unwrap_or_else(|error| panic!("nothing was told of {what}: {error}"));
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let mut command = Command::new(binary("bellhop-server"));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000").env_remove("WATCHDOG_PID");
    let server = Process::start_as(&mut command, &home.data(), &[]);
    let ready = heard("the start");
    assert!(
        ready.contains("READY=1") && ready.contains(&format!("STATUS=listening on {}", server.addr())),
        "{ready}"
    );
    assert!(heard("life").contains("WATCHDOG=1"));
    assert!(heard("life").contains("WATCHDOG=1"));
    let status = server.terminate();
    let stopping =
        wait_for("the word of the end", || Some(heard("the end")).filter(|word| !word.contains("WATCHDOG")));
    assert!(stopping.contains("STOPPING=1"), "{stopping}");
    assert_eq!(status.code(), Some(0));
}

/// What a unit says is checked by systemd's own tool where it is there.
#[test]
fn the_units_are_sound() {
    if !has("systemd-analyze", &["--version"]) {
        return;
    }
    let home = Home::new();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/packaging");
    let mut paths = Vec::new();
    for name in ["bellhop-server.service", "bellhop-server.socket"] {
        let unit = fs::read_to_string(units.join(name)).unwrap();
        let path = home.path().join(name);
        fs::write(
            &path,
            unit.replace("/usr/local/bin/bellhop-server", binary("bellhop-server").to_str().unwrap()),
        )
        .unwrap();
        paths.push(path);
    }
    let (status, said, complaint) = run(Command::new("systemd-analyze").arg("verify").args(&paths));
    assert!(status.success() && said.is_empty() && !complaint.contains("bellhop"), "{said}{complaint}");
    let mut security = Command::new("systemd-analyze");
    // 1.5 of 10 for what a server on the network cannot do without.
    security.args(["security", "--offline=true", "--threshold=15"]).arg(&paths[0]);
    let (status, said, complaint) = run(&mut security);
    assert!(status.success(), "{said}{complaint}");
}
