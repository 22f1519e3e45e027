//! What other users of the machine can see of a program: its arguments and its environment hold no password.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use crate::desk::{Desk, desk};
use crate::signals::Asked;
use crate::support::PATIENCE;

const OLD: &str = "open sesame";
const NEW: &str = "close sesame";

/// A server that takes connections and says nothing, so that programs wait; tells when one has begun to speak.
fn silent() -> (SocketAddr, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (told, spoken) = mpsc::sync_channel(10);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut socket in listener.incoming().flatten() {
            let _ = socket.read(&mut [0; 16]);
            held.push(socket);
            if told.send(()).is_err() {
                break;
            }
        }
    });
    (address, spoken)
}

/// Everything that the system tells others of the process and its threads.
fn seen(id: u32) -> String {
    let mut seen = Vec::new();
    for file in ["cmdline", "environ", "comm", "status"] {
        seen.extend(std::fs::read(format!("/proc/{id}/{file}")).expect("it runs"));
        seen.push(b' ');
    }
    String::from_utf8_lossy(&seen).replace('\0', " ")
}

#[track_caller]
fn holds_no_password(id: u32, what: &str) {
    let seen = seen(id);
    assert!(seen.contains("bellhop") && seen.contains("BELLHOP_HOME"), "{what}: {seen}");
    for password in [OLD, NEW] {
        assert!(!seen.contains(password), "{what}: {seen}");
    }
}

fn write_private(desk: &Desk, name: &str, text: &str) -> String {
    let path = desk.home.path().join(name);
    std::fs::copy(desk.password(text), &path).expect("a copy, with its rights");
    path.to_string_lossy().into_owned()
}

fn end(mut child: Child) {
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

/// So that a test that cannot see is not one that sees nothing.
#[test]
fn the_look_finds_what_is_there() {
    for (argument, variable) in [(OLD, ""), ("", OLD)] {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read line", "bellhop", argument]).env_clear().env("BELLHOP_HOME", variable);
        let child = command.stdin(Stdio::piped()).spawn().expect("a shell");
        // Until the program runs, the process is a copy of this one.
        let found = || {
            std::fs::read(format!("/proc/{}/cmdline", child.id())).expect("it runs").starts_with(b"/bin/sh")
        };
        crate::support::until("it runs", found);
        assert!(seen(child.id()).contains(OLD));
        end(child);
    }
}

#[test]
fn no_password_is_in_arguments_or_environment() {
    let desk = desk();
    let (server, spoken) = silent();
    let (old, new) = (write_private(&desk, "old", OLD), write_private(&desk, "new", NEW));
    let server = server.to_string();
    let commands: [&[&str]; 4] = [
        &["create", "carol"],
        &["login", "carol"],
        &["delete", "carol", "--yes"],
        &["--user", "carol", "passwd", "--new-password-file", &new],
    ];
    for command in commands {
        for way in ["flag", "variable", "stdin"] {
            let mut program = desk.command(command);
            program.env("BELLHOP_SERVER", &server).stdout(Stdio::null()).stderr(Stdio::null());
            match way {
                "flag" => program.args(["--password-file", &old]),
                "variable" => program.env("BELLHOP_PASSWORD_FILE", &old),
                _ => program.args(["--password-file", "/dev/stdin"]).stdin(Stdio::piped()),
            };
            let mut child = program.spawn().expect("it runs");
            if let Some(mut stdin) = child.stdin.take() {
                writeln!(stdin, "{OLD}").expect("it reads");
            }
            spoken.recv_timeout(PATIENCE).expect("it has the password, and speaks");
            holds_no_password(child.id(), &format!("{command:?} by {way}"));
            end(child);
        }
    }
    let mut program = desk.command(&["raw"]);
    let mut child = program.env("BELLHOP_SERVER", &server).stdin(Stdio::piped()).spawn().expect("it runs");
    writeln!(child.stdin.take().expect("piped"), "2|carol|{OLD}").expect("it reads");
    spoken.recv_timeout(PATIENCE).expect("it has the password, and speaks");
    holds_no_password(child.id(), "raw by stdin");
    end(child);
}

#[test]
fn nor_is_one_that_was_typed() {
    let desk = desk();
    let (server, spoken) = silent();
    let server = server.to_string();
    let there = ["--server", &server, "--user", "carol"];
    let typed: [(&[&str], &[&str]); 3] =
        [(&["login", "carol"], &[OLD]), (&["create", "carol"], &[OLD, OLD]), (&["passwd"], &[OLD, NEW, NEW])];
    for (command, passwords) in typed {
        let mut asked = Asked::new(&desk, &[&there, command].concat());
        // What is typed before a question stands there is thrown away.
        let questions = match command {
            ["passwd"] => ["Password for", "New password", "again"],
            _ => ["Password for", "again", ""],
        };
        for (password, question) in passwords.iter().zip(questions) {
            asked.shows(question);
            asked.keys.write_all(format!("{password}\r").as_bytes()).expect("it reads");
        }
        let spoke = spoken.recv_timeout(PATIENCE);
        assert!(spoke.is_ok(), "{command:?} says nothing: {:?}", asked.rest());
        holds_no_password(asked.id(), &format!("{command:?} by hand"));
    }
}

/// A file that keeps a login keeps no password.
#[test]
fn no_password_is_in_the_home() {
    let desk = desk();
    desk.server.account("carol", Some(OLD));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (old, new) = (write_private(&desk, "old", OLD), write_private(&desk, "new", NEW));
    let outside = |path: &str| {
        let to = elsewhere.path().join(Path::new(path).file_name().expect("a name"));
        std::fs::rename(path, &to).expect("moved");
        to.to_string_lossy().into_owned()
    };
    let (old, new) = (outside(&old), outside(&new));
    std::fs::remove_file(desk.home.path().join("password")).expect("made above");
    assert_eq!(desk.run(&["--password-file", &old, "login", "carol"]).code, Some(0));
    assert_eq!(desk.run(&["--password-file", &old, "passwd", "--new-password-file", &new]).code, Some(0));
    let mut looked_at = 0;
    for file in std::fs::read_dir(desk.home.path()).expect("a home").flatten() {
        let Ok(bytes) = std::fs::read(file.path()) else { continue };
        looked_at += 1;
        for password in [OLD, NEW] {
            let found = bytes.windows(password.len()).any(|window| window == password.as_bytes());
            assert!(!found, "{password} in {}", file.path().display());
        }
    }
    assert!(looked_at > 0);
}

/// A log is sent to whoever looks for a fault.
#[test]
fn a_log_of_the_connection_holds_no_texts_no_names_and_no_passwords() {
    let desk = desk();
    desk.server.account("carol", Some(OLD));
    desk.server.deliver("carol", "bob", "whispered");
    let (log, password) = (desk.home.path().join("log"), write_private(&desk, "old", OLD));
    let run = |arguments: &[&str]| {
        let common = ["--user", "carol", "--password-file", &password];
        let mut command = desk.command(&[&common[..], arguments].concat());
        command.env("BELLHOP_LOG", &log).output().expect("it runs")
    };
    assert!(run(&["send", "bob", "murmured"]).status.success());
    assert!(run(&["deliver"]).status.success());
    let text = std::fs::read_to_string(&log).expect("it was written");
    for there in ["connecting", "online", "message 1: Sending", "message 0 came"] {
        assert!(text.contains(there), "no {there:?} in {text}");
    }
    for secret in ["murmured", "whispered", "bob", "carol", OLD] {
        assert!(!text.contains(secret), "{secret:?} in {text}");
    }
    let nowhere = desk.home.path().join("none").join("log");
    let refused = desk.command(&["list"]).env("BELLHOP_LOG", nowhere).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("BELLHOP_LOG: "));
}
