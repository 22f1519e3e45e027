//! The first screen: a form that is whole, and one line of reason where nobody gets in.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

use bellhop_protocol::OpCode::Create;
use bellhop_tests::process::binary;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::Terminal;

use super::SIZE;

#[test]
fn the_form_comes_up_whole_with_the_caret_in_the_name() {
    for size in [SIZE, (40, 20)] {
        let home = Home::new();
        let mut terminal = Terminal::start_sized(&[], home.path(), "127.0.0.1:1", size);
        terminal.shows("Welcome");
        terminal.shows("F1 help");
        let contents = terminal.contents();
        let inside: Vec<&str> = contents.lines().filter_map(|row| row.trim().strip_prefix('│')).collect();
        assert!(inside.len() > 8, "{contents}");
        for row in inside {
            // A word that was cut would stand against the frame, or end in an ellipsis.
            assert!(row.ends_with(" │") && !row.contains('…'), "{row:?} in\n{contents}");
        }
        terminal.types("zoe");
        terminal.shows("zoe");
        let row = terminal.row("zoe");
        assert!(row.contains("Name"), "{row}");
        let end = row.split("zoe").next().unwrap().chars().count() + 3;
        terminal.has_caret_in(u16::try_from(end).unwrap());
    }
}

/// Somebody who answers whatever comes with words, as a web server does.
fn plain_words() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // Ends with the process: there is nothing to wait for.
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    addr
}

#[test]
fn who_does_not_get_in_is_told_why_and_keeps_the_form() {
    let server = Local::start(&[]);
    assert!(server.connect().ask(Create, "alice|open sesame").starts_with("ok"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (here, words) = (server.addr().to_string(), plain_words().to_string());
    let cases: [(&[&str], &str, &str); 4] = [
        (&[], &here, "wrong name or password"),
        (&[], "nobody.invalid:2050", "unknown host"),
        (&[], &closed, "connection refused"),
        (&["--tls"], &words, "no TLS with"),
    ];
    for (arguments, at, reason) in cases {
        let home = Home::new();
        let mut terminal = Terminal::start_sized(arguments, home.path(), at, SIZE);
        terminal.shows("Welcome");
        terminal.types("alice\tclose sesame\r");
        terminal.comes_to(reason, |contents| contents.lines().any(|row| row.contains(reason)));
        assert!(terminal.row("Name").contains("alice"), "{}", terminal.contents());
        assert!(terminal.row("Server").contains(at), "{}", terminal.contents());
        assert!(!terminal.contents().contains("sesame"), "{}", terminal.contents());
        // It can be tried again as it stands.
        terminal.types("\x11");
        assert_eq!(terminal.ends(), 0);
    }
}

#[test]
fn without_a_terminal_there_is_usage_and_no_screen() {
    let home = Home::new();
    let mut command = Command::new(binary("bellhop"));
    command.env("BELLHOP_HOME", home.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
    assert!(complaint.contains("Usage: bellhop") && !complaint.contains('\x1b'), "{complaint:?}");
    let line = "\"$0\" | cat; (\"$0\"; echo ended with $?) | cat";
    let mut terminal = Terminal::start_shell(line, home.path(), "127.0.0.1:1");
    terminal.shows("ended with 2");
    terminal.ends();
    let written = String::from_utf8_lossy(&terminal.written()).into_owned();
    // What is told to a terminal may have colours, but nothing is drawn.
    assert!(written.contains("Usage: bellhop") && !written.contains("\x1b[?"), "{written:?}");
}
