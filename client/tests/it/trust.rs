//! Servers that have to be who they should be: nothing leaves before that is decided.

#[cfg(unix)]
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use crate::desk::{Desk, Ran, desk, json};
use crate::support::until;
use crate::tls::{Front, Identity};

/// Somebody at a desk, whose server is behind TLS.
struct Abroad {
    desk: Desk,
    front: Front,
    password: String,
}

fn abroad(identity: &Identity) -> Abroad {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    let front = Front::start(desk.server.address, identity);
    let password = desk.password("open sesame");
    Abroad { desk, front, password }
}

impl Abroad {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        command.env("BELLHOP_TLS", "1").env("BELLHOP_SERVER", self.front.address.to_string());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().expect("it runs"))
    }

    fn log_in(&self) -> Ran {
        self.run(&["--password-file", &self.password, "login", "carol"])
    }

    fn trusts(&self, fingerprint: &str) {
        let server = self.front.address.to_string();
        self.run(&["trust", "add", &server, fingerprint])
            .prints(&format!("trusted {server} {fingerprint}\n"));
    }

    fn known(&self) -> String {
        std::fs::read_to_string(self.desk.home.path().join("known_servers")).unwrap_or_default()
    }

    /// Every command that speaks with the server fails like this, and tells the server nothing.
    #[track_caller]
    fn refuses(&self, reasons: &[&str]) {
        self.front.came();
        for command in [
            &["send", "bob", "hi"][..],
            &["listen"],
            &["deliver"],
            &["list"],
            &["raw", "0|"],
            &["login", "carol"],
            &["create", "carol"],
            &["delete", "carol", "--yes"],
        ] {
            let ran = self.run(&[&["--user", "carol", "--password-file", &self.password], command].concat());
            ran.fails(7, &self.front.address.to_string());
            for reason in reasons {
                assert!(ran.stderr.contains(reason), "{command:?}: {}", ran.stderr);
            }
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
            assert!(self.front.came() > 0, "{command:?} has asked");
            assert_eq!(self.front.heard(), b"", "{command:?}");
        }
    }
}

#[test]
fn a_script_is_told_how_to_trust_a_server_that_is_new() {
    let identity = Identity::new();
    let fingerprint = identity.fingerprint();
    let abroad = abroad(&identity);
    let server = abroad.front.address.to_string();
    let command = format!("bellhop trust add {server} {fingerprint}");
    abroad.refuses(&["not known yet", &command]);
    assert_eq!(abroad.known(), "", "to look is not to trust");
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    abroad.run(&arguments).prints(&format!("trusted {server} {fingerprint}\n"));
    abroad.log_in().prints(&format!("logged-in carol@{server}\n"));
    let heard = abroad.front.heard();
    assert!(heard.windows(11).any(|bytes| bytes == b"open sesame"), "the password goes inside of TLS");
    let sent = abroad.run(&["--user", "carol", "send", "bob", "hi"]);
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(abroad.desk.server.texts("bob"), ["hi"]);
    // Whoever is known is spoken to by TLS, whether that is said or not.
    let mut command = abroad.command(&["--user", "carol", "list"]);
    let listed = Ran::new(command.env_remove("BELLHOP_TLS").output().expect("it runs"));
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
}

#[test]
fn a_key_that_changed_is_refused_until_somebody_says_that_it_is_right() {
    let (before, after) = (Identity::new(), Identity::new());
    let abroad = abroad(&before);
    abroad.trusts(&before.fingerprint());
    assert_eq!(abroad.log_in().code, Some(0));
    abroad.front.heard();
    abroad.front.becomes(&after);
    let known = abroad.known();
    let command = format!("bellhop trust add {} {}", abroad.front.address, after.fingerprint());
    abroad.refuses(&["HAS CHANGED", &before.fingerprint(), &after.fingerprint(), &command]);
    // The kept login as well.
    abroad.run(&["--user", "carol", "send", "bob", "hi"]).fails(7, "HAS CHANGED");
    assert_eq!((abroad.front.heard(), abroad.known()), (Vec::new(), known));
    // Said yes to, it is trusted; the login that the other one gave is not for it.
    abroad.trusts(&after.fingerprint());
    abroad.run(&["--user", "carol", "send", "bob", "hi"]).fails(4, "log in again");
    assert_eq!(abroad.front.heard(), b"");
    assert_eq!(abroad.log_in().code, Some(0));
    let sent = abroad.run(&["--user", "carol", "send", "bob", "hi"]);
    assert_eq!((sent.code, abroad.desk.server.texts("bob")), (Some(0), vec!["hi".to_owned()]));
}

/// It said that it had logged out, and the server, which has its old key again, took the kept login all the same.
#[test]
fn a_logout_that_the_server_is_not_told_of_says_so() {
    let (before, after) = (Identity::new(), Identity::new());
    for believed in [false, true] {
        let abroad = abroad(&before);
        abroad.trusts(&before.fingerprint());
        assert_eq!(abroad.log_in().code, Some(0));
        abroad.front.heard();
        abroad.front.becomes(&after);
        if believed {
            abroad.trusts(&after.fingerprint());
        }
        let code = if believed { 4 } else { 7 };
        abroad
            .run(&["--user", "carol", "logout"])
            .fails(code, "logged out here, but the server was not told");
        assert_eq!(abroad.front.heard(), b"", "a stranger is shown no login");
    }
}

#[test]
fn a_fingerprint_that_is_given_decides() {
    let (identity, other) = (Identity::new(), Identity::new());
    let abroad = abroad(&identity);
    let given = |fingerprint: &str| {
        let login = ["--fingerprint", fingerprint, "--password-file", &abroad.password, "login", "carol"];
        abroad.run(&login)
    };
    let ran = given(&other.fingerprint());
    ran.fails(7, &identity.fingerprint());
    assert!(
        ran.stderr.contains(&other.fingerprint()) && !ran.stderr.contains("bellhop trust"),
        "{}",
        ran.stderr
    );
    assert_eq!((abroad.front.heard(), abroad.known()), (Vec::new(), String::new()));
    given("SHA256:half").fails(2, "no fingerprint");
    assert_eq!(given(&identity.fingerprint()).code, Some(0));
    assert!(abroad.known().contains(&identity.fingerprint()), "what was right is kept");
    // What is kept does not overrule what is given; a variable gives as well as a flag.
    let mut command = abroad.command(&["--user", "carol", "list"]);
    let ran = Ran::new(command.env("BELLHOP_FINGERPRINT", other.fingerprint()).output().expect("it runs"));
    ran.fails(7, "not the server that was meant");
}

#[test]
fn a_key_that_the_old_one_vouches_for_takes_its_place() {
    let old = Identity::new();
    let first = old.fingerprint();
    let abroad = abroad(&old);
    abroad.trusts(&first);
    assert_eq!(abroad.log_in().code, Some(0));
    let twice = old.rotated().rotated();
    abroad.front.becomes(&twice);
    let sent = abroad.run(&["--user", "carol", "send", "bob", "hi"]);
    assert_eq!(sent.code, Some(0), "the kept login is good still: {}", sent.stderr);
    let news: Vec<&str> = sent.stderr.lines().filter(|line| line.contains("new key")).collect();
    assert_eq!(news.len(), 1, "{}", sent.stderr);
    assert!(news[0].contains(&first) && news[0].contains(&twice.fingerprint()), "{}", sent.stderr);
    assert!(abroad.known().contains(&twice.fingerprint()) && !abroad.known().contains(&first));
    let again = abroad.run(&["--user", "carol", "send", "bob", "hi"]);
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
    // Every device's token moves with the key, not that of the first to come alone.
    let waiting = abroad.run(&["--user", "carol", "deliver"]);
    assert_eq!(waiting.code, Some(0), "{}", waiting.stderr);
}

/// Certificates are no secret: whoever shows them must have the key.
#[test]
fn a_certificate_without_its_key_is_worth_nothing() {
    let identity = Identity::new();
    let abroad = abroad(&Identity::stolen_from(&identity));
    abroad.trusts(&identity.fingerprint());
    abroad.log_in().fails(3, "key is not proven");
    assert_eq!(abroad.front.heard(), b"");
    // Nothing is kept of what was not proven either.
    let other = Identity::new();
    let given = ["--fingerprint", &identity.fingerprint(), "--user", "carol", "list"];
    abroad.trusts(&other.fingerprint());
    abroad.run(&given).fails(3, "key is not proven");
    assert!(abroad.known().contains(&other.fingerprint()), "{}", abroad.known());
}

#[test]
fn what_is_known_can_be_read_and_forgotten() {
    let identity = Identity::new();
    let abroad = abroad(&identity);
    let (server, key) = (abroad.front.address.to_string(), identity.fingerprint());
    abroad.run(&["trust", "list"]).prints("");
    abroad.trusts(&key);
    let listed = abroad.run(&["trust", "list"]);
    assert!(listed.stdout.starts_with(&format!("{server} {key}  # since 2")), "{}", listed.stdout);
    assert_eq!(listed.stdout, abroad.known());
    let line = json(abroad.run(&["--json", "trust", "list"]).stdout.trim());
    assert_eq!((line["type"].as_str(), line["key"].as_str()), (Some("server"), Some(key.as_str())));
    abroad.run(&["trust", "remove", &server]).prints(&format!("forgotten {server}\n"));
    abroad.run(&["trust", "remove", &server]).fails(1, "not known");
    abroad.run(&["--user", "carol", "list"]).fails(7, "not known yet");
    for wrong in [
        &["trust"][..],
        &["trust", "add", &server],
        &["trust", "add", &server, "SHA256:x"],
        &["trust", "add", "a b", &key],
    ] {
        assert_eq!(abroad.run(wrong).code, Some(2), "{wrong:?}");
    }
    let path = abroad.desk.home.path().join("known_servers");
    std::fs::write(path, format!("{server} SHA256:damaged\n")).expect("written");
    abroad.run(&["--user", "carol", "list"]).fails(1, "known_servers, line 1");
    assert_eq!(abroad.front.heard(), b"");
}

#[test]
fn who_listens_stops_where_the_server_becomes_another() {
    let identity = Identity::new();
    let abroad = abroad(&identity);
    abroad.trusts(&identity.fingerprint());
    assert_eq!(abroad.log_in().code, Some(0));
    let mut command = abroad.command(&["listen"]);
    command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let listening = command.spawn().expect("it runs");
    until("it listens", || abroad.desk.server.world().log.iter().any(|line| line.contains("Deliver")));
    abroad.front.heard();
    abroad.front.becomes(&Identity::new());
    abroad.desk.server.cut();
    let ended = Ran::new(listening.wait_with_output().expect("it ends"));
    ended.fails(7, "HAS CHANGED");
    assert_eq!(abroad.front.heard(), b"");
}

/// To a server that is not on this machine the first byte is never one of a frame, whatever was asked for.
#[cfg(unix)]
#[test]
fn frames_in_plain_stay_on_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    // Another spelling of this machine, which nothing says is this machine.
    let server = format!("0.0.0.0:{}", listener.local_addr().expect("an address").port());
    let (heard, hears) = std::sync::mpsc::sync_channel(10);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut bytes = vec![0; 4_096];
            let count = socket.read(&mut bytes).unwrap_or(0);
            let _ = heard.send(bytes[..count].to_vec());
        }
    });
    let desk = desk();
    let password = desk.password("open sesame");
    for command in [&["send", "bob", "hi"][..], &["list"], &["login", "alice"]] {
        let there = ["--server", &server, "--user", "alice", "--password-file", &password];
        desk.run(&[&there, command].concat()).fails(3, "no TLS with");
        let bytes = hears.recv_timeout(crate::support::PATIENCE).expect("a connection");
        assert_eq!(bytes.first(), Some(&0x16), "{command:?} begins with a handshake");
        assert!(!bytes.windows(5).any(|five| five == b"alice" || five == b"sesam"));
    }
    let out = ["--server", &server, "--user", "alice", "logout"];
    desk.run(&out).prints(&format!("logged-out alice@{server}\n"));
}

#[test]
fn a_handshake_that_stands_still_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("an address").to_string();
    let desk = desk();
    for command in [&["list"][..], &["--user", "alice", "send", "bob", "hi"]] {
        desk.run(&[&["--tls", "--server", &server, "--timeout", "1s"], command].concat()).fails(3, "");
    }
}

/// On this machine's own list of authorities, which a test can replace where OpenSSL's variables count.
#[cfg(target_os = "linux")]
#[test]
fn an_authority_vouches_for_a_name_and_a_key_of_ones_own_does_not_take_its_place() {
    let (identity, root) = Identity::by_authority("localhost");
    let abroad = abroad(&identity);
    let roots = abroad.desk.home.path().join("roots.pem");
    std::fs::write(&roots, root).expect("written");
    let port = abroad.front.address.port();
    let run = |name: &str, arguments: &[&str]| {
        let mut command = abroad.command(arguments);
        command.env("BELLHOP_SERVER", format!("{name}:{port}")).env("SSL_CERT_FILE", &roots);
        Ran::new(command.output().expect("it runs"))
    };
    let login = ["--password-file", &abroad.password, "login", "carol"];
    // For another name the same certificate says nothing.
    run("127.0.0.1", &login).fails(7, "not known yet");
    run("localhost", &login).prints(&format!("logged-in carol@localhost:{port}\n"));
    assert!(abroad.known().starts_with(&format!("localhost:{port} ca  # since ")), "{}", abroad.known());
    abroad.front.heard();
    let own = Identity::new();
    abroad.front.becomes(&own);
    let ran = run("localhost", &["--user", "carol", "send", "bob", "hi"]);
    ran.fails(7, "an authority vouched for it before");
    assert!(
        ran.stderr.contains(&own.fingerprint()) && ran.stderr.contains("bellhop trust"),
        "{}",
        ran.stderr
    );
    assert_eq!(abroad.front.heard(), b"");
    // A new key of the same authority is nothing new.
    abroad.front.becomes(&identity);
    assert_eq!(run("localhost", &["--user", "carol", "send", "bob", "hi"]).code, Some(0));
    // A key that is kept wins over any authority.
    run("localhost", &["trust", "add", &format!("localhost:{port}"), &own.fingerprint()]);
    run("localhost", &login).fails(7, "HAS CHANGED");
}

/// A person is asked once, and is shown what to compare before anything else.
#[cfg(unix)]
#[test]
fn a_person_is_asked_at_the_first_contact() {
    let identity = Identity::new();
    let abroad = abroad(&identity);
    let server = abroad.front.address.to_string();
    let there = ["--tls", "--server", &server, "--user", "carol"];
    let ask = |command: &[&str]| crate::signals::Asked::new(&abroad.desk, &[&there, command].concat());
    for answer in ["\n", "n\n", "yeah\n"] {
        let mut asked = ask(&["login", "carol"]);
        asked.shows("Is it the same?");
        assert!(asked.text.contains(&identity.fingerprint()), "{}", asked.text);
        asked.keys.write_all(answer.as_bytes()).expect("it reads");
        asked.ends_with(7);
        assert_eq!((abroad.front.heard(), abroad.known()), (Vec::new(), String::new()), "{answer:?}");
    }
    let mut asked = ask(&["login", "carol"]);
    asked.shows("Is it the same?");
    asked.keys.write_all(b"\x03").expect("it reads");
    asked.ends_with(130);
    let mut asked = ask(&["login", "carol"]);
    asked.shows("Is it the same?");
    asked.keys.write_all(b"y\n").expect("it reads");
    asked.shows("Password for carol");
    assert_eq!(abroad.front.heard(), b"", "before the password nothing is said");
    asked.keys.write_all(b"open sesame\r").expect("it reads");
    asked.shows("logged-in carol");
    asked.ends_with(0);
    assert!(abroad.known().contains(&identity.fingerprint()));
    // Whoever has changed is no question.
    abroad.front.heard();
    abroad.front.becomes(&Identity::new());
    let mut asked = ask(&["list"]);
    asked.ends_with(7);
    assert_eq!(abroad.front.heard(), b"");
}

#[cfg(unix)]
#[test]
fn a_screen_asks_as_well_and_goes_on_where_it_was() {
    let identity = Identity::new();
    let abroad = abroad(&identity);
    let server = abroad.front.address.to_string();
    let start = || crate::signals::Asked::new(&abroad.desk, &["--tls", "--server", &server, "--user", "bob"]);
    let mut screen = start();
    screen.shows("New server key");
    screen.shows(&identity.fingerprint());
    screen.keys.write_all(b"y\r").expect("it reads");
    screen.shows("type yes");
    assert_eq!((abroad.front.heard(), abroad.known()), (Vec::new(), String::new()));
    screen.keys.write_all(b"es\r").expect("it reads");
    screen.shows("online");
    assert!(!abroad.front.heard().is_empty() && abroad.known().contains(&identity.fingerprint()));
    // Another server in its place, while somebody is there.
    let other = Identity::new();
    abroad.front.becomes(&other);
    abroad.desk.server.cut();
    screen.shows("THE SERVER HAS CHANGED");
    screen.shows(&other.fingerprint());
    assert_eq!(abroad.front.heard(), b"");
    screen.keys.write_all(b"yes\r").expect("it reads");
    screen.shows("type replace");
    assert!(abroad.front.heard().is_empty() && abroad.known().contains(&identity.fingerprint()));
    screen.keys.write_all(b"\x15replace\r").expect("it reads");
    until("bob is back", || !abroad.front.heard().is_empty());
    assert!(
        abroad.known().contains(&other.fingerprint()) && !abroad.known().contains(&identity.fingerprint())
    );
    screen.hides("THE SERVER HAS CHANGED");
    screen.keys.write_all(b"\x11").expect("it reads");
    screen.ends_with(0);
}
