//! What has the screen's terminal for a while (an editor, plain lines, the mouse), what is pasted and what is copied; and
//! whoever types while ten thousand messages come.

use std::time::Duration;

use bellhop_tests::flooding::flooding;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::{Signal, Terminal};
use bellhop_tests::wait::{timed, waited};

const SIZE: (u16, u16) = (80, 24);

fn demo(home: &Home, variables: &[(&str, &str)]) -> Terminal {
    let terminal = Terminal::start_with(&["tui", "--demo"], home.path(), "127.0.0.1:1", SIZE, variables);
    terminal.shows("sent from the train");
    terminal
}

#[test]
fn an_editor_has_the_terminal_and_gives_it_back() {
    let home = Home::new();
    let mut terminal = demo(&home, &[("EDITOR", "sed -i s/a/b/"), ("PATH", "/usr/bin:/bin")]);
    terminal.types("a word");
    terminal.shows("> a word");
    terminal.types("\x0f");
    terminal.shows("> b word");
    assert!(terminal.is_alternate());
    terminal.types(" more");
    terminal.shows("> b word more");
    terminal.types("\x1f");
    terminal.types("\x1f");
    terminal.shows("> a word");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    terminal.is_restored();
}

/// Whoever read the keys beside the editor took half of them; and a signal that was meant for it ended the program.
#[test]
fn an_editor_has_the_keys_and_their_signals_to_itself() {
    let home = Home::new();
    let editor = "sh -c 'echo editing; read line; echo \"$line\" >\"$0\"'";
    let mut terminal = demo(&home, &[("VISUAL", editor), ("PATH", "/usr/bin:/bin")]);
    terminal.types("\x0f");
    terminal.shows("editing");
    terminal.is_restored();
    for signal in [Signal::INT, Signal::INT, Signal::QUIT] {
        terminal.signal(signal);
    }
    terminal.types("every one of these letters\r");
    terminal.shows("> every one of these letters");
    assert!(terminal.is_alternate());
    terminal.types("!");
    terminal.shows("> every one of these letters!");
    // An end while the editor runs does not wait for it.
    terminal.types("\x0f");
    terminal.comes_to("the editor", |contents| contents.contains("editing"));
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    terminal.is_restored();
}

#[test]
fn plain_lines_stand_on_the_usual_screen_until_a_key() {
    let home = Home::new();
    let mut terminal = demo(&home, &[]);
    terminal.types("\x1b[15~");
    terminal.shows("any key goes back");
    assert!(!terminal.is_alternate());
    terminal.shows("17:53 alice: Yes. All three platforms are green.");
    terminal.types("x");
    terminal.comes_to("the screen", |contents| contents.contains("F1 help"));
    assert!(terminal.is_alternate());
    terminal.types("y");
    terminal.shows("> y");
    terminal.types("\x1b[15~");
    terminal.shows("any key goes back");
    terminal.signal(Signal::HUP);
    assert_eq!(terminal.ends(), 143);
    terminal.is_restored();
    terminal.shows("any key goes back");
}

#[test]
fn the_mouse_is_the_terminals_until_somebody_wants_it() {
    let home = Home::new();
    let mut terminal = demo(&home, &[]);
    assert!(!terminal.reports_mouse());
    terminal.types("\x1b[18~");
    terminal.shows("mouse on");
    assert!(terminal.reports_mouse());
    assert!(!String::from_utf8_lossy(&terminal.written()).contains("?1003h"), "no reports of every move");
    terminal.types("\x1b[<64;50;10M\x1b[<64;50;10M");
    terminal.shows("newer below");
    terminal.types("\x1b[<0;5;4M\x1b[<0;5;4m");
    terminal
        .comes_to("carol", |contents| contents.lines().next().is_some_and(|title| title.contains("carol")));
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    terminal.is_restored();
}

#[test]
fn what_is_copied_reaches_the_terminal_of_whoever_sits_there() {
    let home = Home::new();
    let mut terminal = demo(&home, &[("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22"), ("DISPLAY", ":0")]);
    terminal.types("\x19");
    terminal.shows("copied (OSC 52, 21 bytes)");
    let written = String::from_utf8_lossy(&terminal.written()).into_owned();
    // (sent from the train)
    assert!(written.contains("\x1b]52;c;KHNlbnQgZnJvbSB0aGUgdHJhaW4p\x07"), "{written:?}");
    terminal.types("\x11");
    terminal.shows("Quit?");
    terminal.types("y");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_paste_of_two_megabytes_is_a_question_and_keys_work_on() {
    let home = Home::new();
    let mut terminal = demo(&home, &[]);
    let log = "error[E0308]: mismatched types, and a line of a usual length\r".repeat(2_000_000 / 62);
    terminal.types(&format!("\x1b[200~{log}\x1b[201~"));
    terminal.shows("Paste 32258 lines?");
    terminal.types("\x1b");
    terminal.comes_to("no question", |contents| !contents.contains("Paste"));
    terminal.types("still here");
    terminal.shows("> still here");
}

/// The last third of a second is what may be lost.
#[test]
fn a_draft_outlives_a_program_that_is_killed() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.enters("/open bob");
    alice.enters("said");
    alice.types("half a thought");
    alice.shows("> half a thought");
    for seconds in 1.. {
        waited(Duration::from_secs(seconds), || None::<()>);
        alice.signal(Signal::KILL);
        alice.ends();
        alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
        alice.shows("said");
        alice.types("\x0c");
        let shown =
            waited(Duration::from_secs(2), || alice.contents().contains("> half a thought").then_some(()));
        if shown.is_some() {
            return;
        }
        assert!(seconds < 4, "the draft is gone:\n{}", alice.contents());
        alice.types("half a thought");
        alice.shows("> half a thought");
    }
}

/// Between two looks at the keys no more than 256 of them are taken, so that no key waits for the rest.
#[test]
fn ten_thousand_messages_keep_nobody_from_typing() {
    let home = Home::new();
    let stats = home.path().join("stats");
    let variables = [("BELLHOP_STATS", stats.to_str().unwrap())];
    let mut terminal = Terminal::start_with(&[], home.path(), &flooding().to_string(), SIZE, &variables);
    terminal.shows("Welcome");
    flooded(&mut terminal);
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    let report = std::fs::read_to_string(&stats).unwrap();
    let count = |name| counted(&report, name);
    assert!(count("most_events_at_once") <= 256.0, "{report}");
    assert!(count("inputs") >= 50.0 && count("events") >= 256.0, "{report}");
    assert!(count("frames") < 5_000.0, "frames are for eyes: {report}");
}

/// Nobody reads sixty pages a second, and each of them is time in which the next messages do not come.
#[test]
fn what_waited_is_drawn_four_times_a_second() {
    let home = Home::new();
    let stats = home.path().join("stats");
    let variables = [("BELLHOP_STATS", stats.to_str().unwrap())];
    let mut terminal = Terminal::start_with(&[], home.path(), &flooding().to_string(), SIZE, &variables);
    terminal.shows("Welcome");
    let ((), took) = timed(|| {
        terminal.types("alice\x0e\r");
        terminal.comes_within(Duration::from_secs(120), "all of them", |contents| {
            contents.contains("10000 unread")
        });
    });
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    let report = std::fs::read_to_string(&stats).unwrap();
    // The rest is the login, and the last of them.
    let most = 4.0 * took.as_secs_f64() + 20.0;
    assert!(counted(&report, "frames") <= most, "{report} in {took:?}");
    assert!(counted(&report, "events") >= 10_000.0, "{report}");
}

/// A number of what the loop has counted.
fn counted(report: &str, name: &str) -> f64 {
    let line = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {report}")).parse().unwrap()
}

/// Logs in, and types while messages come.
fn flooded(terminal: &mut Terminal) {
    terminal.types("alice\x0e\r");
    terminal.shows("online");
    // Each letter is awaited before the next is pressed: the first with the mark before the box, later ones with so many
    // before them that nothing else on the screen reads alike. None comes twice, for what was typed before would read
    // alike, and all of them stand in one row.
    let mut typed = String::from(">");
    for letter in ('a'..='z').chain('A'..='X') {
        terminal.types(&letter.to_string());
        typed.push(letter);
        let tail = &typed[typed.len().saturating_sub(20)..];
        terminal.comes_to(tail, |contents| contents.replace(['\n', ' '], "").contains(tail));
    }
    terminal.comes_within(Duration::from_secs(120), "all of them", |contents| {
        contents.contains("99+") || contents.contains("10000 unread")
    });
}

/// The file with what was being written stayed in the folder for temporary files, and nothing of it in the draft.
#[test]
fn an_end_takes_an_editor_and_its_file_along_and_keeps_what_it_wrote() {
    let (server, home) = (Local::start(&[]), Home::new());
    let addr = server.addr().to_string();
    drop(server.login("bob"));
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.opens("bob");
    alice.enters("said");
    alice.comes_to("a tick", |_| alice.row("said").contains('✓'));
    alice.types("\x11");
    assert_eq!(alice.ends(), 0);
    let temporary = tempfile::tempdir().unwrap();
    let variables = [
        ("VISUAL", "sh -c 'echo saved so far >\"$0\"; echo editing; exec sleep 600'"),
        ("PATH", "/usr/bin:/bin"),
        ("TMPDIR", temporary.path().to_str().unwrap()),
    ];
    let mut alice = Terminal::start_with(&["tui"], home.path(), &addr, SIZE, &variables);
    alice.shows("said");
    alice.types("begun");
    alice.shows("> begun");
    alice.types("\x0f");
    alice.shows("editing");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1);
    alice.signal(Signal::TERM);
    assert_eq!(alice.ends(), 143);
    alice.is_restored();
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    let alice = Terminal::of("alice", home.path(), server.addr(), SIZE);
    alice.shows("> saved so far");
}
