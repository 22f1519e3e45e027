//! What a person does at the screen and sees there, a test for each row of `tests/screens.md`.

mod delivery;
mod finding;
mod link;
pub(crate) mod looks;
mod ops;
mod reading;
mod start;
mod tmux;
mod writing;

use std::thread;
use std::time::Duration;

use bellhop_protocol::OpCode::Send;
use bellhop_tests::peer::Peer;
use bellhop_tests::server::Home;
use bellhop_tests::terminal::Terminal;
use bellhop_tests::wait::waited;

const SIZE: (u16, u16) = (80, 24);
/// What the box says while nothing is written.
const EMPTY: &str = "> Message, /command, or op|text";

/// The screen of made-up people.
fn demo(home: &Home) -> Terminal {
    demo_with(home, &[])
}

fn demo_with(home: &Home, variables: &[(&str, &str)]) -> Terminal {
    let terminal = Terminal::start_with(&["tui", "--demo"], home.path(), "127.0.0.1:1", SIZE, variables);
    terminal.shows("(sent from the train)");
    terminal
}

/// Texts whose width terminals do not agree about.
const HARD: [&str; 9] = [
    "✅ ok",
    "👩\u{200d}🚀 up",
    "🇩🇪🇫🇷 flags",
    "👍🏽 tone",
    "1\u{fe0f}\u{20e3} key",
    "❤\u{fe0f} heart",
    "e\u{301} accent",
    "한국어 wide",
    "مرحبا right to left",
];

/// What the messages' part of the screen shows: rows between title and rule, without the list.
fn body(contents: &str) -> Vec<String> {
    let rows: Vec<&str> = contents.lines().collect();
    let inner = rows.get(1..rows.len().saturating_sub(3)).unwrap_or_default();
    let pane =
        |row: &&str| row.split_once('│').map_or_else(String::new, |(_, pane)| pane.trim_end().to_owned());
    inner.iter().map(pane).collect()
}

/// True if and only if the state stays for so long.
fn stays(terminal: &Terminal, time: Duration, check: impl Fn(&str) -> bool) -> bool {
    waited(time, || (!check(&terminal.contents())).then_some(())).is_none()
}

/// Waits until keys are keys again: those right behind a paste belong to it.
fn after_a_paste() {
    // Nothing shows that this time is over.
    thread::sleep(Duration::from_millis(50));
}

/// Somebody says these, and each is on the server's disk.
fn says(peer: &mut Peer, to: &str, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        let answer = peer.ask(Send, &format!("{to}|{text}"));
        assert!(answer.starts_with("ok|"), "{answer}");
    }
}

/// True if and only if a message is on the screen, and its row ends in this mark.
fn is_marked(contents: &str, text: &str, mark: &str) -> bool {
    contents.lines().any(|row| row.contains(text) && row.trim_end().ends_with(mark))
}

/// The row of the list for somebody.
fn listed(contents: &str, name: &str) -> String {
    let rows =
        contents.lines().skip(1).filter_map(|row| row.split_once('│')).map(|(list, _)| list.to_owned());
    rows.into_iter().find(|list| list.contains(name)).unwrap_or_default()
}
