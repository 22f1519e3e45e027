//! The books and the repository say what is true: clients that were written from PROTOCOL.md work, and rules that can be
//! a test are one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellhop_tests::process::{Process, run};
use bellhop_tests::server::Home;
use bellhop_tests::tools::has;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a Python program against a fresh server, and returns what it printed.
fn python(program: &Path, options: &[&str]) -> String {
    let home = Home::new();
    let unlimited =
        ["accept-rate=off", "list-rate=off", "unauth-addr=off", "connections-addr=off", "login-fail=off"];
    let args: Vec<&str> = unlimited.iter().flat_map(|limit| ["--limit", limit]).collect();
    let server = Process::start(&home.data(), &args);
    let (ip, port) = (server.addr().ip().to_string(), server.addr().port().to_string());
    let (status, said, complained) =
        run(Command::new("python3").arg("-B").arg(program).args([ip, port]).args(options));
    assert!(status.success(), "{said}\n{complained}");
    said
}

#[test]
fn the_client_of_thirty_lines_works() {
    if !has("python3", &["--version"]) {
        return;
    }
    let book = read("PROTOCOL.md");
    let code = book.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(code.lines().filter(|line| !line.trim().is_empty()).count() <= 32, "about thirty lines");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("client.py");
    fs::write(&program, code).unwrap();
    let said = python(&program, &[]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("ok|") && lines[0].ends_with("ok|alice|bob"), "{said}");
    assert!(lines[1].starts_with("ok ok|queued|") && lines[1].contains("error|no-such-user|"), "{said}");
    assert!(lines[2].ends_with("|1 ok|1 ['alice|while you were away']"), "{said}");
    assert!(lines[3].starts_with("ok|delivered|") && lines[3].ends_with("(6, 'alice|now')"), "{said}");
    assert_eq!(lines[4], "ok ok");
}

#[test]
fn a_client_written_from_the_book_finds_what_the_book_says() {
    if !has("python3", &["--version"]) {
        return;
    }
    // Checks of clocks take two minutes, which only the gate has.
    let options: &[&str] = if std::env::var_os("CI").is_some() { &["--all"] } else { &[] };
    let said = python(&root().join("tests/python/checks.py"), options);
    let last = said.lines().last().unwrap_or_default();
    let checks = ["text", "extension", "patience"]
        .map(|file| read(&format!("tests/python/{file}.py")))
        .iter()
        .map(|text| text.matches("\n@check\n").count() + text.matches("\n@slow\n").count() * options.len())
        .sum::<usize>();
    assert_eq!(last, format!("{checks} passed, 0 failed"), "{said}");
}

/// The lines of the README's `number`th block of commands, without what is said beside them.
fn commands(number: usize) -> Vec<String> {
    let readme = read("README.md");
    let block = readme.split("```sh\n").nth(number).and_then(|rest| rest.split("```").next()).unwrap();
    block.lines().map(|line| line.split(" # ").next().unwrap_or(line).trim().to_owned()).collect()
}

#[test]
fn the_two_commands_are_the_usual_ones() {
    assert_eq!(commands(1), ["cargo run --release --bin bellhop-server"]);
    assert_eq!(commands(2), ["cargo test"]);
}

#[cfg(unix)]
#[test]
fn the_commands_of_the_readme_work() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let mut alice = bellhop_tests::peer::Peer::login(server.addr(), "alice");
    let bellhop = bellhop_tests::process::binary("bellhop");
    // `passwd` asks a person, and `--wait delivered` a program that acknowledges; the client's own tests have them.
    let lines: Vec<String> = commands(5)
        .into_iter()
        .filter(|line| line.contains("bellhop ") && !line.starts_with("bellhop passwd"))
        .filter(|line| !line.contains("--wait delivered"))
        .collect();
    assert_eq!(lines.len(), 10, "{lines:?}");
    for line in lines {
        // Tools that a machine may not have are played by the shell; what waits for ever is interrupted.
        let line = match line.contains(" listen ") {
            true => format!("{line} & sleep 1; kill -TERM $!; wait $! || test $? = 143"),
            false => line,
        };
        let script = format!(
            "set -e\nuptime() {{ echo up; }}\njq() {{ cat; }}\n(set -o pipefail) 2>/dev/null && set -o pipefail\n{line}"
        );
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .env("BELLHOP_HOME", home.path())
            .env("BELLHOP_SERVER", server.addr().to_string());
        shell.env(
            "PATH",
            format!("{}:{}", bellhop.parent().unwrap().display(), std::env::var("PATH").unwrap()),
        );
        let (status, said, complained) = run(&mut shell);
        assert!(status.success(), "{line}: {status}\n{said}{complained}");
        if line.contains("list") && !line.contains("listen") {
            assert_eq!(said, "alice\ncarol\n");
        }
    }
    let texts = ["lunch?", "up", "hi", "done", "1", "2", "3", "hi"];
    for text in texts {
        assert_eq!(alice.push().text(), format!("carol|{text}"));
    }
}

/// Every source file of the project, with its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["protocol", "server", "client", "tests"].iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "{} files", found.len());
    found
}

#[test]
fn files_are_no_longer_than_a_reader_can_bear() {
    for (name, text) in sources() {
        let tests = name.ends_with("tests.rs") || name.starts_with("tests/") || name.contains("/tests/");
        let most = if tests { 700 } else { 500 };
        let lines = text.lines().count();
        assert!(lines <= most, "{name} has {lines} lines");
    }
    let architecture = read("ARCHITECTURE.md").lines().count();
    assert!(architecture <= 150, "ARCHITECTURE.md has {architecture} lines");
}

#[test]
fn each_file_says_what_it_is_for() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "{name} begins with no words");
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ig", "nore"), concat!("should_", "panic")];
    for (name, text) in sources() {
        for mark in marks {
            assert!(!text.contains(mark), "{name} holds {mark}");
        }
    }
}

/// What others wrote reaches the database as a parameter, and nothing as a piece of a statement.
#[test]
fn statements_are_never_put_together() {
    let words = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "DROP ", "PRAGMA ", "VACUUM "];
    let makers = ["format!(", "concat!(", ".push_str(", "write!("];
    let mut statements = 0;
    for (name, text) in sources() {
        // A statement of a test is seen by nobody else.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        if name.starts_with("tests/") || name.contains("/tests") || !text.contains("rusqlite") {
            continue;
        }
        for maker in makers {
            for call in text.split(maker).skip(1) {
                let argument = arguments(call);
                let word = words.iter().find(|word| argument.contains(&format!("\"{word}")));
                assert!(word.is_none(), "{name} makes a statement with {maker}{argument}");
            }
        }
        statements += words.iter().map(|word| text.matches(&format!("\"{word}")).count()).sum::<usize>();
    }
    assert!(statements > 40, "statements are found at all: {statements}");
}

/// What stands before the parenthesis that closes a call.
fn arguments(call: &str) -> &str {
    let mut open = 1;
    let end = call.find(|c| {
        open += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        open == 0
    });
    &call[..end.unwrap_or(call.len())]
}

#[test]
fn the_walls_stand() {
    // Who must know nothing of whom, by what a source file of it may not name.
    let walls: [(&str, &[&str]); 6] = [
        ("protocol/src/", &["std::net", "tokio::net", "std::time", "std::fs", "tracing"]),
        ("client/src/", &["bellhop_server"]),
        (
            "server/src/store/",
            &["crate::net", "crate::hub", "crate::service", "crate::keeper", "crate::outbox"],
        ),
        ("server/src/mailbox/", &["crate::net", "crate::hub", "crate::service", "crate::keeper", "tokio::"]),
        ("server/src/session.rs", &["crate::net", "crate::hub", "crate::service", "crate::store", "tokio::"]),
        ("server/src/hub.rs", &["crate::net", "tokio::net"]),
    ];
    let sources = sources();
    for (place, strangers) in walls {
        let inside: Vec<_> = sources.iter().filter(|(name, _)| name.starts_with(place)).collect();
        assert!(!inside.is_empty(), "nothing lies in {place}");
        for (name, text) in inside {
            // Tests at the end of a file may look over the wall.
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for stranger in strangers {
                assert!(!text.contains(stranger), "{name} knows {stranger}");
            }
        }
    }
}

#[test]
fn queries_are_fixed_texts() {
    for (name, text) in
        sources().into_iter().filter(|(name, _)| name.contains("/store/") || name.contains("/history/"))
    {
        for (number, line) in (1..).zip(text.lines()) {
            let made = line.contains("format!(");
            let words = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];
            assert!(!(made && words.iter().any(|word| line.contains(word))), "{name}:{number} makes a query");
        }
    }
}

#[test]
fn each_direct_dependency_has_its_reason() {
    let manifest = read("Cargo.toml");
    let block = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in block.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
        let own = line.contains("path = ");
        assert!(own || line.contains("# "), "{line} has no reason beside it");
    }
}
