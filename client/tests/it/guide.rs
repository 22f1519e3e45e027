//! What the program tells of itself: status, doctor, help, man pages, completions.

#[cfg(unix)]
use std::io::Write;
use std::process::{Command, Stdio};

#[cfg(unix)]
use crate::desk::Desk;
use crate::desk::{Ran, desk, json};

/// True where a program is there. Where it is not, the test says that it is skipped; in the gate that is a failure.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdin(Stdio::null()).output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "the gate has no {program}");
    if !found {
        eprintln!("SKIPPED: this machine has no {program}");
    }
    found
}

#[test]
fn status_says_where_and_as_whom() {
    let desk = desk();
    let status = desk.as_alice(&["--json", "status"]);
    let line = json(status.stdout.trim());
    assert_eq!((line["user"].as_str(), line["guard"].as_str()), (Some("alice"), Some("plain")));
    assert_eq!((line["agent"].as_str(), line["node"].as_str()), (Some("test/1"), Some("n-01")));
    assert!(line["round_trip_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    assert!(desk.as_alice(&["status"]).stdout.starts_with("online alice@127.0.0.1:"));
    desk.run(&["status"]).fails(4, "nobody is logged in");
}

/// Each check of the doctor by name, with its state.
fn checks(ran: &Ran) -> Vec<(String, String)> {
    let word = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    ran.stdout.lines().map(json).map(|line| (word(&line, "name"), word(&line, "state"))).collect()
}

#[track_caller]
fn finds(ran: &Ran, code: i32, expected: &[(&str, &str)]) {
    assert_eq!(ran.code, Some(code), "{}{}", ran.stdout, ran.stderr);
    let found = checks(ran);
    for (name, state) in expected {
        assert!(found.contains(&((*name).to_owned(), (*state).to_owned())), "{name} {state}: {found:?}");
    }
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let desk = desk();
    let well = desk.as_alice(&["--json", "doctor"]);
    let good = ["server", "tls", "version", "login", "round trip", "clock"].map(|name| (name, "good"));
    finds(&well, 0, &good);
    finds(&desk.run(&["--json", "doctor"]), 0, &[("login", "warning"), ("server", "good")]);
    let stranger = desk.as_alice(&["--json", "--user", "mallory", "doctor"]);
    finds(&stranger, 4, &[("login", "bad"), ("clock", "good")]);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let nobody = desk.as_alice(&["--server", &gone.to_string(), "--json", "doctor"]);
    finds(&nobody, 3, &[("server", "bad")]);
    assert!(!checks(&nobody).iter().any(|(name, _)| name == "login"), "what needs the server is not asked");
    desk.as_alice(&["send", "bob", "hi"]);
    let future = "UPDATE messages SET time_ms = 99999999999999";
    assert_eq!(desk.history().execute(future, []).expect("written"), 1);
    finds(&desk.as_alice(&["--json", "doctor"]), 0, &[("clock", "warning")]);
}

#[test]
fn help_has_topics() {
    let desk = desk();
    for (topic, word) in
        [("keys", "Ctrl+K"), ("raw", "5|NAME|TEXT"), ("exit-codes", "--wait"), ("config", "BELLHOP_HOME")]
    {
        let help = desk.run(&["help", topic]);
        assert!(help.code == Some(0) && help.stdout.contains(word), "{topic}: {}", help.stdout);
    }
    assert!(desk.run(&["help"]).stdout.contains("Usage: bellhop"));
    assert!(desk.run(&["help", "send"]).stdout.contains("--lines"));
    desk.run(&["help", "nonsense"]).fails(2, "exit-codes");
    desk.run(&["keys"]).fails(2, "terminal");
    assert!(std::fs::read_dir(desk.home.path()).expect("a folder").next().is_none(), "help makes no files");
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let desk = desk();
    desk.server.deliver("alice", "bob", "hi");
    let peek = |color: &str| desk.as_alice(&["--color", color, "deliver", "--ack", "no"]).stdout;
    assert!(!peek("auto").contains('\x1b') && !peek("never").contains('\x1b'));
    assert!(peek("always").contains("\x1b[1mbob\x1b[0m: hi"));
    let help = |color: &[&str]| desk.run(&[color, &["--help"]].concat()).stdout.contains('\x1b');
    assert!(help(&["--color", "always"]) && help(&["--color=always"]));
    assert!(!help(&["--color", "never"]) && !help(&[]));
}

#[cfg(unix)]
#[test]
fn a_password_comes_from_a_descriptor() {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    let mut command = Command::new("sh");
    command.args(["-c", "echo 'open sesame' | \"$BELLHOP\" --password-fd 3 login carol 3<&0"]);
    let own = desk.command(&[]);
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = Ran::new(command.env("BELLHOP", env!("CARGO_BIN_EXE_bellhop")).output().expect("it runs"));
    assert!(ran.stdout.starts_with("logged-in carol@"), "{}{}", ran.stdout, ran.stderr);
    desk.run(&["--password-fd", "99", "login", "carol"]).fails(2, "/dev/fd/99");
}

/// A man page that a formatter warns of looks broken somewhere.
#[test]
fn man_pages_are_written_as_formatters_want_them() {
    let desk = desk();
    let folder = desk.home.path().join("man/man1");
    desk.run(&["man", &folder.to_string_lossy()]).prints("");
    let pages: Vec<_> =
        std::fs::read_dir(&folder).expect("a folder").flatten().map(|page| page.path()).collect();
    assert!(pages.len() > 15 && pages.iter().any(|page| page.ends_with("bellhop-trust-add.1")), "{pages:?}");
    let main = std::fs::read_to_string(folder.join("bellhop.1")).expect("a page");
    desk.run(&["man"]).prints(&main);
    if !has("groff") {
        return;
    }
    for page in pages {
        let groff = Command::new("groff").args(["-man", "-Tutf8", "-K", "utf8", "-ww"]).arg(&page).output();
        let groff = groff.expect("it runs");
        let said = String::from_utf8_lossy(&groff.stderr).into_owned();
        assert!(groff.status.success() && said.is_empty(), "{}: {said}", page.display());
    }
}

/// Every key is shown with what it does; only Ctrl+C ends it.
#[cfg(unix)]
#[test]
fn keys_are_shown_as_they_arrive() {
    let desk = desk();
    let mut keys = crate::signals::Asked::new(&desk, &["keys"]);
    keys.shows("Ctrl+C ends it");
    for (sent, shown) in [
        (&b"\x0b"[..], &["Ctrl+K", "jump"][..]),
        (b"\x1b[A", &["Up"]),
        (b"q", &["Char('q')"]),
        (b"\x1b[200~two\rlines\x1b[201~", &["a paste", "9 bytes"]),
    ] {
        keys.keys.write_all(sent).expect("it reads");
        shown.iter().for_each(|words| keys.shows(words));
    }
    keys.keys.write_all(b"\x03").expect("it reads");
    keys.ends_with(0);
}

/// Runs a shell's script with `bellhop` on its path.
#[cfg(unix)]
fn shell(desk: &Desk, program: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program);
    let own = desk.command(&[]);
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_bellhop"));
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = binary.parent().expect("a folder").display();
    command.env("PATH", format!("{folder}:{path}")).env("HOME", desk.home.path());
    Ran::new(command.args(arguments).stdin(Stdio::null()).output().expect("it runs"))
}

/// Somebody called `$(touch it)` must not run on Tab.
#[cfg(unix)]
#[test]
fn bash_completes_commands_and_names_and_runs_nothing() {
    if !has("bash") {
        return;
    }
    let desk = desk();
    for name in ["bob", "$(>ran)", "`>ran`", "b;>ran"] {
        desk.server.deliver("alice", name, "hi");
    }
    assert_eq!(desk.as_alice(&["deliver"]).code, Some(0));
    desk.run(&["complete-names"]).prints("alice\nbob\n");
    let complete = |words: &str, at: usize| {
        let script = format!(
            "cd \"$HOME\"; source <(bellhop completions bash) || exit 9; COMP_WORDS=({words}); COMP_CWORD={at}
             _bellhop_with_names bellhop \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at}-1]}}\"
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let ran = shell(&desk, "bash", &["--norc", "-c", &script]);
        assert!(ran.code == Some(0) && ran.stderr.is_empty(), "{}", ran.stderr);
        ran.stdout
    };
    assert_eq!(complete("bellhop sen", 1), "send\n");
    assert_eq!(complete("bellhop send b", 2), "bob\n");
    assert_eq!(complete("bellhop send ''", 2), "alice\nbob\n");
    assert_eq!(complete("bellhop deliver --from a", 3), "alice\n");
    assert!(complete("bellhop send --li", 2).contains("--lines"));
    assert!(complete("bellhop completions f", 2).contains("fish"));
    assert!(!desk.home.path().join("ran").exists(), "a name was run");
}

#[cfg(unix)]
#[test]
fn other_shells_take_their_completions() {
    let desk = desk();
    desk.server.deliver("alice", "bob", "hi");
    assert_eq!(desk.as_alice(&["deliver"]).code, Some(0));
    if has("zsh") {
        let script = "autoload -Uz compinit && compinit -u -D; source <(bellhop completions zsh); \
                      whence -w _bellhop _bellhop_names";
        let ran = shell(&desk, "zsh", &["-f", "-c", script]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    }
    if has("fish") {
        let script = "bellhop completions fish | source; complete -C 'bellhop send b'";
        let ran = shell(&desk, "fish", &["--no-config", "-c", script]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "bob\n"), "{}", ran.stderr);
    }
    for shell in ["powershell", "nushell"] {
        let script = desk.run(&["completions", shell]);
        assert!(
            script.code == Some(0) && script.stdout.contains("bellhop complete-names"),
            "{}",
            script.stderr
        );
    }
    desk.run(&["completions", "csh"]).fails(2, "nushell");
}
