//! The binary as a script sees it: exit codes, stdout, stderr, and what survives a lost answer.

use std::io::{Read, Write};

use bellhop_protocol::Code;

use crate::desk::{Ran, desk, json};
use crate::support::{PATIENCE, until};

#[test]
fn send_prints_what_became_of_it() {
    let desk = desk();
    let sent = desk.as_alice(&["send", "bob", "hi", "there"]);
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let id = sent.stdout.strip_prefix("stored ").expect("a state and an id").trim_end();
    assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
    let sent = desk.as_alice(&["--json", "send", "bob", "again"]);
    let line = json(&sent.stdout);
    assert_eq!((line["type"].as_str(), line["to"].as_str()), (Some("send"), Some("bob")));
    assert_eq!(
        (line["state"].as_str(), line["at"].as_str()),
        (Some("stored"), Some("2026-11-20T09:09:12.000Z"))
    );
    assert_eq!(desk.server.texts("bob"), ["hi there", "again"]);
}

#[test]
fn send_reads_stdin_to_its_end_without_the_last_line_feed() {
    let desk = desk();
    for (arguments, stdin, text) in [
        (&["send", "bob"][..], "one\ntwo\n", "one\ntwo"),
        (&["send", "bob", "-"], "x\n\n", "x\n"),
        (&["send", "bob", ""], "", ""),
    ] {
        let sent = desk.piped(arguments, stdin.as_bytes());
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
        assert_eq!(desk.server.texts("bob").last().map(String::as_str), Some(text));
    }
    desk.piped(&["send", "bob"], b"\xff\xfe").fails(2, "UTF-8");
}

/// What fails before the pipe left blank messages behind.
#[test]
fn nothing_on_stdin_is_no_message() {
    let desk = desk();
    desk.piped(&["send", "bob"], b"").fails(2, "''");
    desk.piped(&["send", "bob", "-"], b"\n").fails(2, "''");
    assert_eq!(desk.server.texts("bob"), [""; 0]);
}

/// Whoever wrote to alice read that "nobody here has this name", and alice looked gone.
#[test]
fn who_has_no_account_any_more_is_told_who() {
    let desk = desk();
    for command in [&["send", "bob", "hi"][..], &["listen"], &["raw", "0|"]] {
        let ran = Ran::new(desk.command(command).env("BELLHOP_USER", "mallory").output().expect("it runs"));
        ran.fails(4, "mallory (you): ");
        assert!(ran.stderr.contains("bellhop create mallory"), "{}", ran.stderr);
    }
    assert!(!desk.as_alice(&["send", "nobody", "hi"]).stderr.contains("(you)"));
}

/// It was taken for no server at all, and the command went to the usual one.
#[test]
fn a_server_without_a_name_is_none() {
    let desk = desk();
    desk.as_alice(&["--server", "", "list"]).fails(2, "HOST:PORT");
    let list = desk.command(&["list"]).env("BELLHOP_SERVER", "").output().expect("it runs");
    assert_ne!(Ran::new(list).code, Some(2), "an empty variable is none");
}

#[test]
fn raw_names_the_line_that_is_no_op() {
    let desk = desk();
    let ran = desk.piped(&["raw"], b"0|\n\nhello\n");
    assert!(ran.stderr.contains("line 3: an op is"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(2));
    let ran = desk.piped(&["raw"], b"0|\n\xff\n");
    assert!(ran.stderr.contains("line 2: ") && ran.stderr.contains("UTF-8"), "{}", ran.stderr);
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let desk = desk();
    desk.server.world().cut_posts = 2;
    let sent = desk.as_alice(&["send", "bob", "once"]);
    assert!(sent.stdout.starts_with("sent "), "{}{}", sent.stdout, sent.stderr);
    assert_eq!(desk.server.texts("bob"), ["once"]);
}

#[test]
fn without_an_answer_in_time_the_message_is_settled_by_the_next_run() {
    let desk = desk();
    desk.server.world().silent_posts = 1;
    desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]).fails(3, "run the same command again");
    assert_eq!(desk.server.texts("bob"), ["one"]);
    let sent = desk.as_alice(&["send", "bob", "two"]);
    assert!(sent.stdout.starts_with("stored "), "{}", sent.stderr);
    assert!(sent.stderr.contains("an earlier message to bob has arrived"), "{}", sent.stderr);
    assert_eq!(desk.server.texts("bob"), ["one", "two"]);
}

#[test]
fn the_same_command_after_no_answer_sends_nothing_twice() {
    let desk = desk();
    desk.server.world().silent_posts = 1;
    desk.as_alice(&["--timeout", "1s", "send", "bob", "one"]).fails(3, "");
    let sent = desk.as_alice(&["send", "Bob", "one"]);
    assert!(sent.stdout.starts_with("sent "), "{}{}", sent.stdout, sent.stderr);
    assert_eq!(desk.server.texts("bob"), ["one"]);
    desk.as_alice(&["send", "bob", "one"]);
    assert_eq!(desk.server.texts("bob"), ["one", "one"]);
}

#[test]
fn nothing_is_kept_of_what_was_never_sent() {
    let desk = desk();
    let nowhere = ["--server", "127.0.0.1:1", "--user", "alice", "send", "bob", "hi"];
    desk.run(&nowhere).fails(3, "connection refused");
    let local = desk.run(&["--server", "127.0.0.1:1", "--user", "alice", "--json", "send", "bob", "hi"]);
    let error = json(&local.stderr);
    assert_eq!((error["type"].as_str(), error["exit"].as_u64()), (Some("error"), Some(3)));
    desk.as_alice(&["send", "bob", "other"]);
    assert_eq!(desk.server.texts("bob"), ["other"]);
}

#[test]
fn refusals_have_their_codes() {
    let desk = desk();
    desk.as_alice(&["send", "nobody", "hi"]).fails(5, "says no");
    desk.run(&["--user", "mallory", "send", "bob", "hi"]).fails(4, "no-such-user");
    desk.run(&["send", "bob", "hi"]).fails(4, "nobody is logged in");
    desk.run(&["create", "alice"]).fails(6, "name-taken");
    desk.as_alice(&["send", "b b", "hi"]).fails(2, "spaces");
    desk.as_alice(&["--server", "a b", "list"]).fails(2, "HOST:PORT");
    desk.as_alice(&["--password-file", "/does/not/exist", "list"]).fails(2, "password file");
    desk.as_alice(&["frobnicate"]).fails(2, "frobnicate");
    desk.as_alice(&["--json", "frobnicate"]).fails(2, "{\"v\":1,\"type\":\"error\",\"exit\":2");
    desk.server.world().refuse_posts = Some(Code::MAILBOX_FULL);
    let full = desk.as_alice(&["--json", "send", "bob", "hi"]);
    full.fails(9, "mailbox-full");
    assert_eq!(json(&full.stderr)["code"].as_str(), Some("mailbox-full"));
    desk.server.world().refuse_posts = None;
    desk.as_alice(&["send", "bob", "later"]);
    assert_eq!(desk.server.texts("bob"), ["later"], "a refused one is not sent later");
}

/// Passwords and tokens went to any host as they are, without a word.
#[test]
fn another_protocol_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let _ = socket.read(&mut [0; 64]);
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let desk = desk();
    desk.run(&["--server", &address, "--user", "alice", "send", "bob", "hi"]).fails(8, "no Bellhop server");
    desk.run(&["--server", &address, "list"]).fails(8, "no Bellhop server");
}

#[test]
fn a_terminal_is_needed_for_the_screen() {
    let desk = desk();
    desk.run(&[]).fails(2, "Usage: bellhop");
    desk.run(&["tui"]).fails(2, "Usage: bellhop");
    let told = desk.run(&["--json"]);
    assert_eq!(json(&told.stderr)["exit"].as_u64(), Some(2), "an object and nothing else");
}

#[test]
fn help_has_examples() {
    let desk = desk();
    for arguments in [&["--help"][..], &["send", "--help"], &["listen", "--help"], &["raw", "--help"]] {
        let help = desk.run(arguments);
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains("bellhop "), "{}", help.stdout);
    }
}

#[test]
fn create_makes_an_account_and_remembers_it() {
    let desk = desk();
    let created = desk.run(&["create", "carol"]);
    created.prints(&format!("created carol@{}\n", desk.server.address));
    let sent = Ran::new(
        desk.command(&["send", "bob", "hi"]).env_remove("BELLHOP_SERVER").output().expect("it runs"),
    );
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    desk.run(&["logout"]).prints(&format!("logged-out carol@{}\n", desk.server.address));
    desk.run(&["send", "bob", "hi"]).fails(4, "nobody is logged in");
}

#[test]
fn who_logs_out_beside_the_one_who_is_remembered_leaves_them_be() {
    let desk = desk();
    desk.run(&["create", "dora"]).prints(&format!("created dora@{}\n", desk.server.address));
    desk.run(&["--user", "alice", "logout"]).prints(&format!("logged-out alice@{}\n", desk.server.address));
    assert_eq!(desk.run(&["send", "bob", "hi"]).code, Some(0));
    desk.run(&["logout"]).prints(&format!("logged-out dora@{}\n", desk.server.address));
    desk.run(&["send", "bob", "hi"]).fails(4, "nobody is logged in");
}

#[test]
fn a_login_with_a_password_is_kept_as_tokens() {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    desk.run(&["login", "carol"]).fails(4, "bad-password");
    let wrong = desk.password("open barley");
    desk.run(&["--password-file", &wrong, "login", "carol"]).fails(4, "bad-password");
    let right = desk.password("open sesame");
    let login =
        desk.command(&["login", "carol"]).env("BELLHOP_PASSWORD_FILE", &right).output().expect("it runs");
    Ran::new(login).prints(&format!("logged-in carol@{}\n", desk.server.address));
    std::fs::remove_file(&right).expect("it was there");
    desk.server.deliver("carol", "alice", "for you");
    for _ in 0..3 {
        assert_eq!(desk.run(&["send", "bob", "hi"]).code, Some(0));
    }
    let delivered = desk.run(&["deliver"]);
    assert!(delivered.stdout.ends_with("alice: for you\n"), "{}{}", delivered.stdout, delivered.stderr);
    desk.server.world().closed_list = true;
    desk.run(&["list", "b*"]).prints("bob\n");
    desk.run(&["raw", "0|b*", "5|bob|raw"])
        .stdout
        .starts_with("0|ok|bob\n5|ok|queued|")
        .then_some(())
        .expect("raw");
    desk.run(&["raw", "6|"]).fails(2, "bellhop deliver");
    desk.run(&["logout"]).prints(&format!("logged-out carol@{}\n", desk.server.address));
    assert_eq!(desk.server.world().accounts["carol"].tokens.len(), 0, "revoked at the server");
    desk.run(&["--user", "carol", "send", "bob", "hi"]).fails(4, "");
}

#[test]
fn the_password_is_in_no_file() {
    let desk = desk();
    let password = desk.password("swordfish99");
    assert_eq!(desk.run(&["--password-file", &password, "create", "carol"]).code, Some(0));
    assert_eq!(desk.run(&["send", "bob", "hi"]).code, Some(0));
    std::fs::remove_file(&password).expect("it was there");
    let mut folders = vec![desk.home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).expect("readable");
                let found = bytes.windows(11).any(|window| window == b"swordfish99");
                assert!(!found, "{} holds the password", entry.path().display());
            }
        }
    }
}

#[test]
fn list_goes_through_all_pages() {
    let desk = desk();
    desk.server.world().page = 2;
    for name in ["Al\u{301}ba", "albert", "carol", "zoe"] {
        desk.server.account(name, None);
    }
    desk.run(&["list"]).prints("albert\nalice\nAl\u{301}ba\nbob\ncarol\nzoe\n");
    desk.run(&["list", "al*"]).prints("albert\nalice\nAl\u{301}ba\n");
    desk.run(&["list", "q*"]).prints("");
    let listed = desk.run(&["--json", "list", "z*"]);
    assert_eq!(json(listed.stdout.trim())["name"].as_str(), Some("zoe"));
}

/// The next page was asked for behind the name as it is shown, which is another one.
#[test]
fn list_goes_on_behind_the_name_as_it_is_written() {
    let desk = desk();
    let long = format!("a{}", "\u{301}".repeat(10));
    desk.server.account(&long, None);
    desk.server.world().page = 2;
    let all = format!("alice\na{}\nbob\n", "\u{301}".repeat(8));
    desk.run(&["list"]).prints(&all);
    desk.server.world().closed_list = true;
    desk.as_alice(&["list"]).prints(&all);
}

#[test]
fn list_logs_in_where_it_must() {
    let desk = desk();
    desk.server.world().closed_list = true;
    desk.run(&["list"]).fails(4, "nobody is logged in");
    desk.as_alice(&["list"]).prints("alice\nbob\n");
}

#[test]
fn delete_asks_a_person_only() {
    let desk = desk();
    desk.run(&["delete", "bob"]).fails(2, "--yes");
    desk.run(&["delete", "bob", "--yes"]).prints(&format!("deleted bob@{}\n", desk.server.address));
    desk.run(&["delete", "bob", "--yes"]).fails(5, "no-such-user");
    assert!(!desk.server.world().accounts.contains_key("bob"));
    let password = desk.password("open sesame");
    desk.server.account("carol", Some("open sesame"));
    desk.run(&["delete", "carol", "--yes"]).fails(4, "bad-password");
    desk.run(&["--password-file", &password, "delete", "carol", "--yes"])
        .prints(&format!("deleted carol@{}\n", desk.server.address));
}

#[test]
fn raw_speaks_the_protocol() {
    let desk = desk();
    let raw = desk.piped(&["raw"], b"0|\n5|bob|hello\n");
    let mut lines = raw.stdout.lines();
    assert_eq!(lines.next(), Some("0|ok|alice|bob"), "{}", raw.stderr);
    assert!(lines.next().is_some_and(|line| line.starts_with("5|ok|queued|")), "{}", raw.stdout);
    assert_eq!((raw.code, desk.server.texts("bob").as_slice()), (Some(0), &["hello".to_owned()][..]));
    desk.run(&["raw", "2|bob", "6|"])
        .stdout
        .ends_with("\n6|alice|hello\n6|ok|1\n")
        .then_some(())
        .expect("delivered");
    let refused = desk.as_alice(&["raw", "5|nobody|x", "3|"]);
    assert_eq!(refused.stdout, "5|error|no-such-user|the test server says no-such-user\n3|ok\n");
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    let unknown = desk.as_alice(&["--json", "raw", "33|x"]);
    assert_eq!(json(unknown.stdout.trim())["fields"][1].as_str(), Some("unknown-op"));
    desk.as_alice(&["raw", "hello"]).fails(2, "5|bob|hi");
    desk.as_alice(&["raw", "300|x"]).fails(2, "0-255");
    desk.as_alice(&["raw", "8|x"]).fails(2, "POST");
}

/// Only arguments were looked at for a login, and the kept one was in its way.
#[test]
fn raw_lines_may_log_in_themselves() {
    let desk = desk();
    let password = desk.password("open sesame");
    assert_eq!(desk.run(&["--password-file", &password, "create", "alice2"]).code, Some(0));
    desk.server.deliver("alice2", "bob", "for you");
    let mut command = desk.command(&["raw"]);
    let ran = desk.feed(&mut command, b"\n2|alice2|open sesame\n6|\n");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 3), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.ends_with("\n6|bob|for you\n6|ok|1\n"), "{}", ran.stdout);
    assert!(desk.feed(&mut desk.command(&["raw"]), b"5|bob|hi\n").stdout.starts_with("5|ok|"));
}

/// An op was sent before the login that it needs: a long one was over the limit for strangers, and a stranger who waits
/// is shown out.
#[test]
fn raw_logs_in_first_where_it_is_known_who_acts() {
    let desk = desk();
    let first = |desk: &crate::desk::Desk| std::mem::take(&mut desk.server.world().log).remove(0);
    assert_eq!(desk.as_alice(&["raw", "5|bob|hi"]).code, Some(0));
    assert!(first(&desk).starts_with("Login"), "an op that needs a login");
    assert_eq!(desk.piped(&["raw"], b"0|\n5|bob|hi\n").code, Some(0));
    assert!(first(&desk).starts_with("Login"), "before a line that may come late");
    assert_eq!(desk.run(&["raw", "0|"]).code, Some(0));
    assert!(first(&desk).starts_with("List"), "nobody is known");
    assert_eq!(desk.as_alice(&["raw", "0|", "2|bob"]).code, Some(0));
    assert!(first(&desk).starts_with("List"), "the ops log in themselves");
    desk.run(&["--user", "mallory", "raw", "0|"]).fails(4, "no-such-user");
}

/// Frames of more than 64 KiB were taken for another protocol.
#[test]
fn a_long_answer_is_read() {
    let desk = desk();
    let mut world = desk.server.world();
    world.page = 10_000;
    drop(world);
    (0..3_000).for_each(|number| desk.server.account(&format!("{number:030}"), None));
    for command in [&["list"][..], &["raw", "0|"]] {
        let listed = desk.as_alice(command);
        assert!(listed.stdout.len() > 90_000, "{}", listed.stderr);
    }
}

/// Everybody on the machine could read it, and nothing was said.
#[test]
fn a_password_is_not_taken_from_where_others_see_it() {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    for op in ["2|carol|open sesame", "1|dora|open sesame", "4|open sesame"] {
        let raw = desk.run(&["raw", "0|", op]);
        raw.fails(2, "standard input");
        assert!(!raw.stderr.contains("sesame"), "{}", raw.stderr);
    }
    let mut command = desk.command(&["raw"]);
    assert_eq!(desk.feed(&mut command, b"2|carol|open sesame\n").code, Some(0));
}

/// No frame holds that much, and encoding it panicked.
#[test]
fn what_no_frame_holds_is_refused() {
    let desk = desk();
    for (command, start) in [(&["raw"][..], "5|bob|"), (&["send", "bob"], "")] {
        let endless = format!("{start}{}\n", "a".repeat(17_000_000));
        desk.piped(command, endless.as_bytes()).fails(2, "at most");
    }
    desk.piped(&["raw"], &[b"5|bob|".as_slice(), &[b'a'; 16_777_212]].concat()).fails(2, "at most");
    assert_eq!(desk.server.texts("bob"), [""; 0]);
    let long = desk.password(&"x".repeat(257));
    desk.as_alice(&["--password-file", &long, "send", "bob", "hi"]).fails(2, "at most 256 bytes");
}

#[test]
fn deliver_prints_what_waits_and_ends() {
    let desk = desk();
    for number in 0..300 {
        desk.server.deliver("alice", "bob", &number.to_string());
    }
    desk.server.deliver("alice", "mal\u{202e}lory", "two\nlines\x1b[2J");
    let delivered = desk.as_alice(&["--json", "deliver"]);
    assert_eq!(delivered.code, Some(0), "{}", delivered.stderr);
    let lines: Vec<_> = delivered.stdout.lines().map(json).collect();
    assert_eq!(lines.len(), 301);
    for (number, line) in lines[..300].iter().enumerate() {
        assert_eq!(line["text"].as_str(), Some(number.to_string().as_str()));
    }
    assert_eq!(lines[300]["from"].as_str(), Some("mal⟨U+202E⟩lory"));
    assert_eq!(lines[300]["text"].as_str(), Some("two\nlines�[2J"));
    assert_eq!(desk.server.unacknowledged("alice"), 0, "acknowledged before it ended");
    desk.as_alice(&["deliver"]).prints("");
}

/// A Makefile came back with spaces.
#[test]
fn what_is_piped_through_a_message_comes_out_as_it_was() {
    let desk = desk();
    let text = "all:\n\tcc -o x x.c\nسلام می\u{200c}خواهم";
    assert_eq!(desk.piped(&["send", "bob"], text.as_bytes()).code, Some(0));
    let delivered = desk.run(&["--json", "--user", "bob", "deliver"]);
    assert_eq!(json(delivered.stdout.trim())["text"].as_str(), Some(text));
}

#[test]
fn a_server_that_announces_too_much_does_not_keep_us() {
    let desk = desk();
    desk.server.world().lie_about_waiting = 5;
    desk.server.deliver("alice", "bob", "hi");
    let delivered = desk.as_alice(&["--timeout", "1s", "deliver"]);
    assert_eq!((delivered.code, delivered.stdout.lines().count()), (Some(3), 1), "{}", delivered.stderr);
}

#[test]
fn listen_follows_and_one_listens_at_a_time() {
    let desk = desk();
    desk.server.deliver("bob", "alice", "waiting");
    let (mut child, lines) = desk.spawn("bob", &["listen"]);
    assert!(lines.recv_timeout(PATIENCE).expect("a line").ends_with(" alice: waiting"));
    desk.as_alice(&["send", "bob", "live"]);
    assert!(lines.recv_timeout(PATIENCE).expect("a line").ends_with(" alice: live"));
    let second = Ran::new(desk.command(&["listen"]).env("BELLHOP_USER", "bob").output().expect("it runs"));
    second.fails(1, "another bellhop is already listening for ");
    desk.server.cut();
    desk.as_alice(&["send", "bob", "after"]);
    assert!(lines.recv_timeout(PATIENCE).expect("a line").ends_with(" alice: after"));
    until("all is acknowledged", || desk.server.unacknowledged("bob") == 0);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
