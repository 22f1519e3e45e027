//! Accounts over real sockets.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bellhop_protocol::session::Hello;
use bellhop_protocol::{DeviceId, OpCode, Reply, Request};
use bellhop_tests::peer::Peer;
use bellhop_tests::process::binary;
use bellhop_tests::server::{Home, Local};
use proptest::prelude::*;
use uuid::Uuid;

use OpCode::{Create, Delete, Deliver, List, Login, Logout, Send};

/// The code word of a refusal.
fn code(answer: &str) -> &str {
    let mut fields = answer.splitn(3, '|');
    assert_eq!(fields.next(), Some("error"), "{answer}");
    let code = fields.next().unwrap();
    assert!(fields.next().is_some_and(|sentence| !sentence.is_empty()), "{answer}");
    code
}

#[test]
fn a_life() {
    let server = Local::start(&[]);
    let mut alice = server.connect();
    let created = alice.ask(Create, "Alice");
    let id: Uuid = created.strip_prefix("ok|").unwrap().parse().unwrap();
    assert_eq!((id.get_version_num(), created.len()), (4, 39));
    assert_eq!(alice.ask(List, ""), "ok|Alice");
    assert_eq!(alice.ask(Logout, ""), "ok");
    assert_eq!(alice.ask(Login, "ALICE"), format!("ok|{id}|0"));
    assert_eq!(alice.ask(Logout, "alice"), "ok");
    assert_eq!(alice.ask(Login, "alice"), format!("ok|{id}|0"));
    assert_eq!(alice.ask(Delete, ""), "ok");
    assert_eq!(alice.ask(List, ""), "ok");
    assert_eq!(code(&alice.ask(Login, "alice")), "no-such-user");
}

#[test]
fn names_that_are_none_and_names_that_are_taken() {
    let server = Local::start(&["--limit", "accept-rate=off"]);
    server.login("Straße");
    for (data, expected) in [
        ("", "bad-name"),
        ("a b", "bad-name"),
        ("a@b", "bad-name"),
        ("#a", "bad-name"),
        ("a,b", "bad-name"),
        ("a\u{202e}b", "bad-name"),
        ("\u{200b}", "bad-name"),
        ("zed\u{e0100}", "bad-name"),
        ("123456789012345678901234567890123", "bad-name"),
        // After the bar comes a password, which is too short here.
        ("a|b", "bad-password"),
        ("|password", "bad-name"),
        ("straße", "name-taken"),
        ("STRASSE", "name-taken"),
    ] {
        let mut peer = server.connect();
        assert_eq!(code(&peer.ask(Create, data)), expected, "{data:?}");
    }
    let mut peer = server.connect();
    assert_eq!(peer.ask(List, ""), "ok|Straße");
    assert!(peer.ask(Create, "12345678901234567890123456789012").starts_with("ok|"));
}

/// Everything in a folder and below.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
            files.insert(entry.path());
        }
    }
    files
}

/// S21: whatever people are called and write, no file is called after it.
#[test]
fn no_file_is_called_what_somebody_is_called() {
    let server = Local::start(&[]);
    let all = || files(server.home().path());
    server.hello("somebody", 1).ask(Send, "somebody|hi");
    let before = all();
    let mut made = Vec::new();
    for name in
        ["..", ".", "../x", "a/b", "a\\b", "con", "NUL", "aux.txt", "-rf", "~", "bellhop.db", "key.pem"]
    {
        let mut peer = server.connect();
        if peer.ask(Create, name).starts_with("ok|") {
            made.push(name);
            assert!(peer.ask(Send, &format!("{name}|../../{name}")).starts_with("ok|"));
        }
    }
    assert!(made.contains(&"con") && made.contains(&"bellhop.db") && !made.contains(&"a/b"), "{made:?}");
    assert_eq!(all(), before);
}

/// What somebody calls themselves, their program and their device, and what they say, ask for and are.
fn words() -> impl Strategy<Value = String> {
    let pieces = [
        "..",
        ".",
        "/",
        "\\",
        "//",
        "con",
        "nul",
        ":",
        "::$data",
        "~",
        "-",
        "%2e%2e%2f",
        "%00",
        "$HOME",
        "`id`",
        "*",
        "?",
        "a",
        "ß",
        "bellhop",
        ".db",
        "-wal",
        ".mark",
        "key",
        ".pem",
        "control",
        "data",
        "home",
        "etc",
        "tmp",
        " ",
        "\u{202e}",
        "é",
        "e\u{301}",
        "\n",
    ];
    let joined = prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..6);
    prop_oneof![3 => joined.prop_map(|pieces| pieces.concat()), 1 => any::<String>()]
}

/// The same as a property: whatever anybody says, there are the files that there were, and no other ones anywhere that a
/// path made of it leads to.
#[test]
fn no_word_of_anybody_names_a_file() {
    let server =
        Local::start(&["--limit", "sends=off", "--limit", "list-rate=off", "--limit", "unknown-rate=off"]);
    let data = server.home().data();
    let all = || files(server.home().path());
    let led_to = |word: &str| {
        let within = [data.join(word), server.home().path().join(word)];
        within.iter().filter(|path| !word.contains('\0') && path.exists()).cloned().collect::<Vec<_>>()
    };
    server.hello("somebody", 1).ask(Send, "somebody|hi");
    let (before, made) = (all(), std::cell::Cell::new(0));
    let words = (words(), words(), words(), any::<[u8; 16]>());
    let config =
        proptest::test_runner::Config { cases: 200, failure_persistence: None, ..Default::default() };
    let said = proptest::test_runner::TestRunner::new(config).run(&words, |(name, agent, text, device)| {
        let there = [&name, &agent, &text].map(|word| led_to(word));
        let mut peer = server.connect();
        let agent: String = agent.chars().take(40).collect();
        let hello = Hello { version: 1, device: DeviceId(device), features: 0, agent: &agent };
        peer.request(&Request::Hello(hello));
        peer.next();
        if peer.ask(Create, &name).starts_with("ok|") {
            made.set(made.get() + 1);
            peer.ask(Deliver, "");
            peer.ask(Send, &format!("{name}|{text}"));
        }
        for op in [Login, List, Send, Logout, Delete] {
            peer.send(op, &text);
            peer.answer(op.answer());
        }
        prop_assert_eq!(all(), before.clone());
        prop_assert_eq!([&name, &agent, &text].map(|word| led_to(word)), there);
        Ok(())
    });
    said.unwrap_or_else(|error| panic!("{error}"));
    assert!(made.get() > 20, "{} names were names", made.get());
}

#[test]
fn what_needs_a_login_and_what_needs_none() {
    let server = Local::start(&[]);
    let mut peer = server.connect();
    for op in [Logout, Delete, Deliver] {
        assert_eq!(code(&peer.ask(op, "")), "not-logged-in", "{op:?}");
    }
    assert_eq!(code(&peer.ask(Send, "bob|hi")), "not-logged-in");
    assert_eq!(code(&peer.ask(Login, "bob")), "no-such-user");
    assert!(peer.ask(Create, "bob").starts_with("ok|"));
    assert_eq!(code(&peer.ask(Create, "carol")), "already-logged-in");
    assert_eq!(code(&peer.ask(Login, "bob")), "already-logged-in");
    assert_eq!(code(&peer.ask(Logout, "carol")), "not-logged-in");
    assert_eq!(code(&peer.ask(Delete, "x\0")), "bad-text");
    assert_eq!(peer.ask(Logout, "BOB"), "ok");
    assert_eq!(code(&peer.ask(Logout, "")), "not-logged-in");
}

#[test]
fn lists_are_in_order_filtered_and_paged() {
    let server = Local::start(&["--limit", "list-rate=off"]);
    for name in ["carol", "Alice", "bob", "al", "Älice"] {
        server.login(name);
    }
    let mut peer = server.connect();
    for (pattern, expected) in [
        ("", "ok|al|Alice|bob|carol|Älice"),
        ("*", "ok|al|Alice|bob|carol|Älice"),
        ("AL*", "ok|al|Alice"),
        ("?l*", "ok|al|Alice|Älice"),
        ("???", "ok|bob"),
        ("*|bob", "ok|carol|Älice"),
        ("|BOB", "ok|carol|Älice"),
        ("x*", "ok"),
    ] {
        assert_eq!(peer.ask(List, pattern), expected, "{pattern}");
    }
    assert_eq!(code(&peer.ask(List, "a|b|c")), "malformed");
    assert_eq!(code(&peer.ask(List, &"*".repeat(129))), "malformed");
}

#[test]
fn a_list_that_one_frame_does_not_hold() {
    let server = Local::start(&["--limit", "list-rate=off", "--durability", "none"]);
    let mut maker = server.connect();
    let name = |number: u32| {
        format!("{:0>31}{number}", "", number = number).chars().rev().take(32).collect::<String>()
    };
    let names: Vec<String> =
        (1000..4000).map(|number| format!("user-with-a-long-name-{number:010}")).collect();
    assert_eq!(name(1).len(), 32);
    for name in &names {
        assert!(maker.ask(Create, name).starts_with("ok|"));
        assert_eq!(maker.ask(Logout, ""), "ok");
    }
    let mut peer = server.login("a");
    let (mut found, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let answer = peer.ask(List, &format!("user*|{after}"));
        assert!(answer.len() <= 65_536);
        let (head, names) = answer.split_once('|').unwrap();
        found.extend(names.split('|').map(str::to_owned));
        after = found.last().unwrap().clone();
        pages += 1;
        if head == "ok" {
            break;
        }
        assert_eq!(head, "more");
    }
    assert_eq!((found == names, pages), (true, 2));
}

#[test]
fn passwords() {
    let server = Local::start(&["--limit", "unauth=off"]);
    let mut peer = server.connect();
    assert_eq!(code(&peer.ask(Create, "alice|1234567")), "bad-password");
    assert_eq!(code(&peer.ask(Create, &format!("alice|{}", "x".repeat(257)))), "bad-password");
    assert!(peer.ask(Create, "alice|open|sesame").starts_with("ok|"));
    assert_eq!(peer.ask(Logout, ""), "ok");
    assert_eq!(code(&peer.ask(Login, "alice")), "password-needed");
    assert_eq!(code(&peer.ask(Login, "alice|open")), "bad-password");
    assert_eq!(code(&peer.ask(Login, "alice|open|sesame ")), "bad-password");
    assert!(peer.ask(Login, "alice|open|sesame").starts_with("ok|"));
    assert_eq!(code(&peer.ask(Delete, "")), "password-needed");
    assert_eq!(code(&peer.ask(Delete, "open")), "bad-password");
    assert_eq!(peer.ask(Delete, "open|sesame"), "ok");
    assert!(peer.ask(Create, "alice|").starts_with("ok|"), "an empty password is none");
    assert_eq!(peer.ask(Logout, ""), "ok");
    assert_eq!(code(&peer.ask(Login, "alice|open|sesame")), "bad-password");
    assert!(peer.ask(Login, "alice").starts_with("ok|"));
}

/// `4|alice`, typed by somebody who meant alice, deleted the account that typed it.
#[test]
fn deleting_an_account_without_a_password_takes_no_data() {
    let server = Local::start(&[]);
    server.login("alice");
    let mut carol = server.login("carol");
    for data in ["alice", "carol", "|", "open sesame"] {
        assert_eq!(code(&carol.ask(Delete, data)), "bad-password", "{data}");
    }
    assert_eq!(carol.ask(List, ""), "ok|alice|carol", "and carol is logged in yet");
    assert_eq!(carol.ask(Delete, ""), "ok");
    assert_eq!(carol.ask(List, ""), "ok|alice");
}

#[test]
fn where_passwords_are_needed() {
    let server = Local::start(&["--auth", "password", "--register", "open"]);
    let mut peer = server.connect();
    assert_eq!(code(&peer.ask(List, "")), "not-logged-in");
    assert_eq!(code(&peer.ask(Create, "alice")), "password-needed");
    assert!(peer.ask(Create, "alice|open sesame").starts_with("ok|"));
    assert_eq!(peer.ask(List, ""), "ok|alice");
    assert_eq!(peer.ask(Logout, ""), "ok");
    let [known, unknown] =
        ["alice|wrong password", "nobody|wrong password"].map(|data| peer.ask(Login, data));
    assert_eq!(code(&known), "bad-password");
    assert_eq!(known, unknown, "an unknown name is refused as a wrong password is");
    let [known, unknown] = ["alice", "nobody"].map(|data| server.connect().ask(Login, data));
    assert_eq!(code(&known), "password-needed");
    assert_eq!(known, unknown);
}

#[test]
fn registration_may_be_closed() {
    let server = Local::start(&["--auth", "password"]);
    let refused = server.connect().ask(Create, "alice|open sesame");
    assert_eq!(code(&refused), "registration-closed");
    assert!(refused.ends_with("its operator can allow it with --register open"), "{refused}");
}

/// What a server process with these arguments logs until it is ready.
fn log_of(home: &Home, args: &[&str]) -> String {
    let mut server = Command::new(binary("bellhop-server"))
        .args(["0", "--listen", "127.0.0.1", "--data"])
        .arg(home.data())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ready = BufReader::new(server.stdout.take().unwrap()).lines().next();
    assert!(ready.is_some_and(|line| line.unwrap().starts_with("listening on ")), "{args:?}");
    server.kill().unwrap();
    String::from_utf8(server.wait_with_output().unwrap().stderr).unwrap()
}

/// A new server with `--auth password` started without a word, and let nobody in.
#[test]
fn a_server_that_nobody_can_enter_says_so() {
    let home = Arc::new(Home::new());
    let locked = |args: &[&str]| {
        let log = log_of(&home, args);
        let warned = log.lines().filter(|line| line.contains(" WARN ")).collect::<Vec<_>>();
        assert!(
            warned.iter().all(|line| line.contains("nobody can log in") && line.contains("--register open"))
        );
        warned.len()
    };
    let (password, closed) = (["--auth", "password"], ["--register", "closed"]);
    let opened = ["--auth", "password", "--register", "open"];
    assert_eq!(
        [locked(&[]), locked(&password), locked(&closed), locked(&opened)],
        [0, 1, 1, 0],
        "no account"
    );
    let make = |data: &str| {
        assert!(Local::start_in(&home, &[]).connect().ask(Create, data).starts_with("ok|"));
    };
    make("alice");
    assert_eq!([locked(&password), locked(&closed), locked(&opened)], [1, 0, 0], "one without a password");
    make("bob|open sesame");
    assert_eq!([locked(&password), locked(&closed), locked(&opened)], [0, 0, 0], "one with a password");
}

/// The log said `Power`, which is no value of the option.
#[test]
fn the_log_names_the_durability_as_the_option_does() {
    let home = Home::new();
    for level in ["power", "crash", "none"] {
        let log = log_of(&home, &["--durability", level]);
        assert!(log.contains(&format!(" durability={level}\n")), "{log}");
    }
}

#[test]
fn an_account_without_a_password_cannot_log_in_where_one_is_needed() {
    let server = Local::start(&[]);
    drop(server.login("alice"));
    let server = server.restart(&["--auth", "password"]);
    assert_eq!(code(&server.connect().ask(Login, "alice")), "password-needed");
    assert_eq!(code(&server.connect().ask(Login, "alice|open sesame")), "bad-password");
}

#[test]
fn a_ninth_session_is_refused() {
    let server = Local::start(&[]);
    let sessions: Vec<Peer> = (0..8).map(|_| server.login("alice")).collect();
    assert_eq!(code(&server.connect().ask(Login, "alice")), "too-many-sessions");
    drop(sessions);
    bellhop_tests::wait::wait_for("a session to end", || {
        server.connect().ask(Login, "alice").starts_with("ok|").then_some(())
    });
}

#[test]
fn deleting_closes_the_other_sessions_and_leaves_nothing() {
    let server = Local::start(&[]);
    let (mut here, mut there) = (server.login("alice"), server.login("alice"));
    let mut bob = server.login("bob");
    let mut with_hello = server.hello("alice", 1);
    assert_eq!(with_hello.ask(Deliver, ""), "ok|0");
    assert!(bob.ask(Send, "alice|for the old alice").starts_with("ok|delivered|"));
    assert_eq!(here.ask(Delete, ""), "ok");
    there.ends_with("account-deleted");
    with_hello.ends_with("account-deleted");
    assert_eq!(code(&bob.ask(Send, "alice|too late")), "no-such-user");
    // The connection that asked stays, and may begin anew.
    let mut new = server.connect();
    assert!(new.ask(Create, "alice").starts_with("ok|"));
    assert_eq!(new.deliver(), (vec![], "ok|0".into()));
    assert_eq!(code(&here.ask(Send, "bob|hi")), "not-logged-in");
    assert!(here.ask(Login, "alice").ends_with("|0"));
}

#[test]
fn tokens_stand_for_passwords() {
    let server = Local::start(&[]);
    let mut peer = Peer::greet(server.addr(), 1);
    let created = peer.ask(Create, "alice|open sesame");
    peer.request(&Request::Token);
    let first = token(&peer.answer(OpCode::Token.answer()).reply());
    drop(peer);

    let (second, account) = resume(&mut Peer::greet(server.addr(), 1), first).unwrap();
    assert_eq!(created, format!("ok|{account}"));
    // The answer may have been lost: the first is good until the second was used.
    let (third, _) = resume(&mut Peer::greet(server.addr(), 1), first).unwrap();
    assert_eq!(resume(&mut Peer::greet(server.addr(), 1), second).unwrap_err(), 17, "it was never used");
    let (fourth, _) = resume(&mut Peer::greet(server.addr(), 1), third).unwrap();
    assert_eq!(resume(&mut Peer::greet(server.addr(), 1), first).unwrap_err(), 17, "its successor was used");
    assert_eq!(resume(&mut Peer::greet(server.addr(), 2), fourth).unwrap_err(), 17, "another device");

    let server = server.restart(&[]);
    let mut peer = Peer::greet(server.addr(), 1);
    let (fifth, _) = resume(&mut peer, fourth).unwrap();
    assert_eq!(peer.ask(Logout, ""), "ok");
    assert_eq!(resume(&mut peer, fifth).unwrap_err(), 17, "logging out revokes");
}

#[test]
fn tokens_go_with_the_account() {
    let server = Local::start(&[]);
    let mut peer = server.hello("alice", 1);
    peer.request(&Request::Token);
    let token = token(&peer.answer(OpCode::Token.answer()).reply());
    assert_eq!(peer.ask(Delete, ""), "ok");
    assert!(peer.ask(Create, "alice").starts_with("ok|"));
    assert_eq!(resume(&mut Peer::greet(server.addr(), 1), token).unwrap_err(), 17);
}

type Token = bellhop_protocol::session::SessionToken;

fn token(reply: &Reply<'_>) -> Token {
    match reply {
        Reply::Token(token) => *token,
        other => panic!("{other:?}"),
    }
}

/// The new token and the account, or the number of the refusal.
fn resume(peer: &mut Peer, token: Token) -> Result<(Token, Uuid), u16> {
    peer.request(&Request::Resume(token));
    match peer.answer(OpCode::Resume.answer()).reply() {
        Reply::Resumed(resumed) => Ok((resumed.token, resumed.account)),
        Reply::Refused(_, failure) => Err(failure.reason.code().unwrap().0),
        other => panic!("{other:?}"),
    }
}

/// The database could be read by everybody where the folder was there before.
#[cfg(unix)]
#[test]
fn what_is_kept_is_the_owners_alone() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    let home = Arc::new(Home::new());
    fs::set_permissions(home.data(), Permissions::from_mode(0o755)).unwrap();
    let error = Local::try_start(&home, &[]).err().unwrap().to_string();
    let sentence = format!("close it with chmod 700 {}", home.data().display());
    assert!(error.contains("mode 0755") && error.ends_with(&sentence), "{error}");
    assert_eq!(fs::read_dir(home.data()).unwrap().count(), 0, "nothing was put there");
    fs::set_permissions(home.data(), Permissions::from_mode(0o700)).unwrap();
    let server = Local::start_in(&home, &[]);
    server.login("alice");
    let mut names = Vec::new();
    for file in fs::read_dir(home.data()).unwrap().map(Result::unwrap) {
        let about = file.metadata().unwrap();
        names.push(file.file_name().into_string().unwrap());
        let expected = if about.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(about.permissions().mode() & 0o777, expected, "{names:?}");
    }
    names.sort_unstable();
    let expected =
        ["bellhop.db", "bellhop.db-shm", "bellhop.db-wal", "bellhop.mark", "control", "lock", "tls"];
    assert_eq!(names, expected);
}
