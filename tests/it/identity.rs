//! Who a server is, from its first start through new keys to another server in its place: the real client against the
//! real server.

use std::path::Path;
use std::process::Command;

use bellhop_tests::process::{Process, binary, run};
use bellhop_tests::server::Home;
use bellhop_tests::terminal::Terminal;

/// A person with a home, and a server that they reach by TLS.
struct Person<'a> {
    home: &'a Path,
    server: String,
}

/// How a command ended: its code, and everything that it said.
struct Said {
    code: Option<i32>,
    all: String,
}

impl Person<'_> {
    fn says(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(binary("bellhop"));
        command.env_clear().env("BELLHOP_HOME", self.home).env("BELLHOP_SERVER", &self.server);
        let (status, said, complaint) = run(command.arg("--tls").args(arguments));
        Said { code: status.code(), all: said + &complaint }
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        let said = self.says(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.all);
        said.all
    }

    #[track_caller]
    fn is_refused(&self, arguments: &[&str]) -> String {
        let said = self.says(arguments);
        assert_eq!(said.code, Some(7), "{arguments:?}: {}", said.all);
        said.all
    }
}

fn rotate(data: &Path) {
    let mut command = Command::new(binary("bellhop-server"));
    let (status, said, complaint) = run(command.args(["rotate-key", "--data"]).arg(data));
    assert!(status.success(), "{said}{complaint}");
}

#[test]
fn a_client_follows_new_keys_and_refuses_another_server() {
    let (home, person) = (Home::new(), Home::new());
    let server = Process::start(&home.data(), &[]);
    let addr = server.addr();
    let alice = Person { home: person.path(), server: addr.to_string() };
    let first = server.fingerprint().to_owned();
    let unknown = alice.is_refused(&["create", "alice"]);
    assert!(unknown.contains(&format!("bellhop trust add {addr} {first}")), "{unknown}");
    alice.does(&["trust", "add", &addr.to_string(), &first]);
    alice.does(&["create", "alice"]);
    alice.does(&["send", "alice", "hi"]);
    // Two new keys while nobody looked.
    assert!(server.terminate().success());
    rotate(&home.data());
    rotate(&home.data());
    let server = Process::start_on(addr, &home.data(), &[]);
    let third = server.fingerprint().to_owned();
    assert_ne!(first, third);
    let news = alice.does(&["list"]);
    assert!(news.contains(&first) && news.contains(&third), "{news}");
    assert!(!alice.does(&["list"]).contains("key"), "it is told once");
    // A server without the old one's files is another one, whatever it has to say.
    assert!(server.terminate().success());
    std::fs::remove_dir_all(home.data().join("tls")).unwrap();
    let server = Process::start_on(addr, &home.data(), &[]);
    let changed = alice.is_refused(&["send", "alice", "hi"]);
    assert!(changed.contains(&third) && changed.contains(server.fingerprint()), "{changed}");
}

#[test]
fn two_screens_talk_through_tls() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let addr = server.addr().to_string();
    let homes = [Home::new(), Home::new()];
    let mut screens = Vec::new();
    for (name, home) in ["alice", "bob"].iter().zip(&homes) {
        let person = Person { home: home.path(), server: addr.clone() };
        person.does(&["trust", "add", &addr, server.fingerprint()]);
        person.does(&["create", name]);
        let screen = Terminal::start(&["--tls"], home.path(), &addr);
        screen.shows("online");
        screen.shows("│ TLS │");
        screens.push(screen);
    }
    let [alice, bob] = &mut screens[..] else { unreachable!("two") };
    alice.enters("/open bob");
    alice.enters("a word through TLS");
    alice.shows("✓✓");
    bob.enters("/open alice");
    bob.shows("a word through TLS");
    bob.enters("/server");
    bob.comes_to("the key", |contents| {
        contents.split_whitespace().collect::<String>().replace('│', "").contains(server.fingerprint())
    });
}
