//! The screen in real terminals against a real server: it comes up, talks, and gives the terminal back on every way
//! out.

use std::time::Duration;

use bellhop_protocol::OpCode::{Create, Deliver, Login, Logout, Post, Send};
use bellhop_protocol::Reply;
use bellhop_protocol::item::ReceiptState;
use bellhop_tests::process::Process;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::{Signal, Terminal};
use bellhop_tests::wait::{wait_for, waited};

const SMALL: (u16, u16) = (80, 24);

#[test]
fn two_people_talk_and_one_is_away_for_a_while() {
    let server = Local::start(&[]);
    let (homes, addr) = ([Home::new(), Home::new()], server.addr());
    let mut alice = Terminal::of("alice", homes[0].path(), addr, SMALL);
    let mut bob = Terminal::of("bob", homes[1].path(), addr, SMALL);
    alice.opens("bob");
    alice.enters("Did the build finish?");
    alice.shows("✓✓");
    bob.shows("alice");
    bob.opens("alice");
    bob.shows("Did the build finish?");
    bob.enters("Yes, all of it.");
    alice.shows("Yes, all of it.");
    bob.shows("✓✓");
    bob.types("\x11");
    assert_eq!(bob.ends(), 0);
    bob.is_restored();
    for line in ["Away already?", "See you later.", "Bring cake."] {
        alice.enters(line);
    }
    alice.comes_to("three that wait", |contents| contents.matches("✓○").count() == 3);
    let bob = Terminal::of("bob", homes[1].path(), addr, SMALL);
    bob.shows("Bring cake.");
    let contents = bob.contents();
    let places = ["Did the build", "Yes, all", "Away already?", "See you later.", "Bring cake."]
        .map(|text| (contents.find(text).unwrap(), contents.matches(text).count()));
    assert!(places.is_sorted() && places.iter().all(|(_, count)| *count == 1), "{contents}");
    alice
        .comes_to("all delivered", |contents| !contents.contains('○') && contents.matches("✓✓").count() == 4);
}

#[test]
fn what_is_written_without_a_server_goes_out_when_it_is_back() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    let addr = server.addr();
    let homes = [Home::new(), Home::new()];
    let mut alice = Terminal::of("alice", homes[0].path(), addr, SMALL);
    let mut bob = Terminal::of("bob", homes[1].path(), addr, SMALL);
    alice.opens("bob");
    bob.opens("alice");
    server.kill();
    alice.shows("offline");
    alice.enters("Are you there?");
    assert!(!alice.row("Are you there?").contains('✓'));
    let _server = Process::start_on(addr, &home.data(), &[]);
    bob.shows("Are you there?");
    alice.comes_to("it is delivered", |_| alice.row("Are you there?").contains("✓✓"));
}

#[test]
fn a_script_sees_what_the_screen_sends_and_the_screen_shows_it_harmless() {
    let server = Local::start(&[]);
    let mut bob = server.hello("bob", 1);
    let home = Home::new();
    let mut terminal = Terminal::start(&[], home.path(), &server.addr().to_string());
    terminal.shows("Welcome");
    terminal.types("alice\x0e\r");
    terminal.shows("plain (local)");
    terminal.shows("online");
    terminal.types("\x0b");
    terminal.shows("Jump or run");
    terminal.types("bob");
    terminal.shows("Message bob");
    terminal.types("\r");
    terminal.shows("> Message");
    terminal.enters("hello");
    bob.ask(Deliver, "");
    let got = bob.push();
    assert!(matches!(got.reply(), Reply::Message(message) if message.text == "hello"), "{got:?}");
    bob.post(1, "alice", "hello \x1b[2Jyourself", true);
    // The terminal of this test leaves out the mark that stands for the escape.
    terminal.shows("[2Jyourself");
    bob.answer(Post.answer());
    let receipt = bob.push();
    assert!(
        matches!(receipt.reply(), Reply::Receipt(receipt) if receipt.state == ReceiptState::Delivered),
        "{receipt:?}"
    );
    terminal.types("\x11");
    assert_eq!(terminal.ends(), 0);
    terminal.is_restored();
    // The next start needs no login, and shows what was said.
    let mut terminal = Terminal::start(&["tui"], home.path(), &server.addr().to_string());
    terminal.shows("[2Jyourself");
    terminal.shows("online");
    terminal.types("\x11");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn operations_are_typed_as_in_the_notebook() {
    let server = Local::start(&[]);
    let mut bob = server.login("bob");
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
    alice.enters("5|bob|typed by hand");
    assert_eq!(bob.push().text(), "alice|typed by hand");
    alice.shows("to bob: typed by hand");
    alice.enters("0|b*");
    alice.shows("ok|bob");
    alice.enters("/raw 5|nobody-here|hi");
    alice.shows("no-such-user");
    alice.enters("5|nobody-here|hi");
    alice.shows("a message was not sent");
    alice.opens("bob");
    alice.shows("typed by hand");
    alice.comes_to("a tick", |_| alice.row("typed by hand").contains('✓'));
}

#[test]
fn a_paste_waits_in_the_box() {
    let server = Local::start(&[]);
    let mut bob = server.login("bob");
    let home = Home::new();
    let mut terminal = Terminal::of("alice", home.path(), server.addr(), SMALL);
    terminal.opens("bob");
    terminal.types("\x1b[200~one\rtwo\x1b[201~");
    terminal.shows("  two");
    terminal.types("\x1b[200~1\r2\r3\r4\r5\x1b[201~");
    terminal.shows("Paste 5 lines?");
    terminal.types("\x11");
    terminal.shows("Paste 5 lines?");
    bob.is_quiet();
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    assert_eq!(bob.ask(Logout, ""), "ok");
    assert!(bob.ask(Login, "bob").ends_with("|0"));
}

#[test]
fn a_window_may_have_any_size() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut bob = server.login("bob");
    let mut alice = Terminal::of("alice", home.path(), server.addr(), (140, 40));
    alice.opens("bob");
    alice.shows("Delivery");
    bob.ask(Send, "alice|a word in every window");
    for size in [(140, 40), (80, 24), (40, 20)] {
        alice.resize(size.0, size.1);
        alice.shows("a word in every window");
        alice.comes_to("its bottom row", |contents| {
            contents.lines().count() == usize::from(size.1)
                && contents.lines().last().is_some_and(|line| line.contains("online"))
        });
    }
    for size in [(19, 5), (1, 1), (300, 3), (12, 80)] {
        alice.resize(size.0, size.1);
    }
    alice.resize(80, 24);
    alice.shows("a word in every window");
}

#[test]
fn signals_give_the_terminal_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 143), (Signal::INT, 130), (Signal::QUIT, 131)] {
        let home = Home::new();
        let mut terminal = Terminal::start(&["tui", "--demo"], home.path(), "127.0.0.1:1");
        terminal.shows("sent from the train");
        assert!(terminal.is_alternate());
        terminal.signal(signal);
        assert_eq!(terminal.ends(), code);
        terminal.is_restored();
    }
}

/// The last third of a second before a signal was not in the draft.
#[test]
fn a_signal_keeps_what_was_being_written() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
    alice.opens("bob");
    alice.enters("said");
    for (signal, text) in [(Signal::TERM, "half a thought"), (Signal::HUP, " and more of it")] {
        alice.types(text);
        alice.shows(text);
        alice.signal(signal);
        assert_eq!(alice.ends(), 143);
        alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
        alice.shows(text);
    }
    alice.shows("> half a thought and more of it");
}

/// The second one ended the process while the loop was on its way out: the screen stayed, the draft did not.
#[test]
fn two_signals_at_once_are_a_way_out_as_well() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
    alice.opens("bob");
    alice.enters("said");
    for (second, text) in [(Signal::HUP, "half a thought"), (Signal::INT, " and more of it")] {
        alice.types(text);
        alice.shows(text);
        for signal in [Signal::STOP, Signal::TERM, second, Signal::CONT] {
            alice.signal(signal);
        }
        assert!([130, 143].contains(&alice.ends()));
        alice.is_restored();
        alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
        alice.shows(text);
    }
}

/// The system says HUP and CONT in one go; whoever heard the second first drew on what was gone, and ended with an
/// error and without the draft.
#[test]
fn a_window_that_is_closed_keeps_what_was_being_written() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
    alice.opens("bob");
    alice.enters("said");
    for text in ["half", " a", " thought"] {
        alice.types(text);
        alice.shows(text);
        assert_eq!(alice.closes().ends(), 143);
        alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
        alice.shows(text);
    }
}

/// Nobody told the program below, which read the end of its keys for ever, with a core of its own.
#[test]
fn a_terminal_that_goes_without_a_signal_ends_the_program() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
    alice.opens("bob");
    alice.enters("said");
    alice.types("\x11");
    assert_eq!(alice.ends(), 0);
    let mut alice = Terminal::start_below(&[], home.path(), &server.addr().to_string());
    alice.shows("said");
    alice.types("half a thought");
    alice.shows("> half a thought");
    assert_eq!(alice.closes().ends(), 143);
    let alice = Terminal::of("alice", home.path(), server.addr(), SMALL);
    alice.shows("> half a thought");
}

/// A terminal that takes nothing holds up whoever writes to it, and no signal ended the program.
#[test]
fn a_second_signal_ends_what_a_terminal_holds_up() {
    let home = Home::new();
    let mut terminal = Terminal::start_sized(&["tui", "--demo"], home.path(), "127.0.0.1:1", (250, 100));
    terminal.shows("sent from the train");
    terminal.takes_nothing_more();
    // Each draws every cell; together they are more than a terminal's queue takes.
    for _ in 0..100 {
        terminal.types("\x0c");
        waited(Duration::from_millis(20), || None::<()>);
    }
    terminal.signal(Signal::TERM);
    let ended = waited(Duration::from_millis(500), || terminal.has_ended().then_some(()));
    assert!(ended.is_none(), "nothing holds it up");
    terminal.signal(Signal::TERM);
    wait_for("the end", || terminal.has_ended().then_some(()));
    assert_eq!(terminal.ends(), 143);
}

/// Whoever was stopped from outside came back to a dead screen, or did not give the terminal back at all.
#[test]
fn a_screen_that_was_stopped_comes_back_whole() {
    let home = Home::new();
    let mut terminal = Terminal::start(&["tui", "--demo"], home.path(), "127.0.0.1:1");
    terminal.shows("sent from the train");
    terminal.signal(Signal::TSTP);
    terminal.is_restored();
    terminal.signal(Signal::CONT);
    terminal.shows("sent from the train");
    assert!(terminal.is_alternate());
    // Nobody can prepare for this one.
    terminal.signal(Signal::STOP);
    terminal.is_left_to_others();
    terminal.signal(Signal::CONT);
    terminal.shows("sent from the train");
    terminal.types("x");
    terminal.shows("> x");
    // Where no shell is that could bring it back, Ctrl+Z stops nothing.
    terminal.types("\x1a");
    terminal.shows("no shell is there");
    terminal.types("y");
    terminal.shows("> xy");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    terminal.is_restored();
}

#[test]
fn no_question_is_asked_of_the_terminal() {
    let home = Home::new();
    let mut terminal = Terminal::start(&["tui", "--demo"], home.path(), "127.0.0.1:1");
    terminal.shows("F1 help");
    // This terminal answers nothing; whoever waited for an answer would not react to keys.
    terminal.types("x");
    terminal.shows("> x");
    terminal.types("\x03\x03");
    terminal.shows("Quit?");
    terminal.types("y");
    assert_eq!(terminal.ends(), 0);
    terminal.is_restored();
}

#[test]
fn a_login_without_a_server_keeps_the_form() {
    let home = Home::new();
    let mut terminal = Terminal::start(&[], home.path(), "127.0.0.1:1");
    terminal.shows("Welcome");
    terminal.types("alice\r");
    terminal.shows("connection refused");
    terminal.shows("alice");
    terminal.types("\x11");
    assert_eq!(terminal.ends(), 0);
}

/// A screen that was opened as somebody else changed who the scripts were.
#[test]
fn who_a_screen_is_opened_as_is_nobody_elses_business() {
    let server = Local::start(&[]);
    let (home, addr) = (Home::new(), server.addr().to_string());
    let mut bob = server.login("bob");
    let run = |arguments: &[&str], shown: &str| {
        let mut terminal = Terminal::start(arguments, home.path(), &addr);
        if arguments[0] == "create" {
            terminal.shows("Password for");
            terminal.types("\r");
        }
        terminal.shows(shown);
        if arguments[0] == "--user" {
            terminal.types("\x11");
        }
        assert_eq!(terminal.ends(), 0);
    };
    run(&["create", "carol"], "created carol@");
    run(&["--user", "bob"], "online");
    run(&["send", "bob", "hi"], "sent ");
    assert_eq!(bob.push().text(), "carol|hi");
}

#[test]
fn passwords_are_asked_without_echo() {
    let server = Local::start(&[]);
    let home = Home::new();
    let mut terminal = Terminal::start(&["create", "carol"], home.path(), &server.addr().to_string());
    terminal.shows("Password for carol");
    terminal.types("open sesame\r");
    terminal.shows("The same again");
    terminal.types("open sesame\r");
    terminal.shows("created carol@");
    assert_eq!(terminal.ends(), 0);
    assert!(!terminal.contents().contains("sesame"), "{}", terminal.contents());
    let mut peer = server.connect();
    assert!(peer.ask(Login, "carol|close sesame").starts_with("error|bad-password|"));
    assert!(peer.ask(Login, "carol|open sesame").starts_with("ok|"));
    assert!(server.connect().ask(Create, "CAROL").starts_with("error|name-taken|"));
}
