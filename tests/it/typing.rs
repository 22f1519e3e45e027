//! People at their screens while something dies: what they write is theirs, and what they are shown is shown once.

use std::thread;
use std::time::Duration;

use bellhop_protocol::OpCode::Post;
use bellhop_tests::kills;
use bellhop_tests::process::Process;
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::{Signal, Terminal};

/// The longest wait of a client whose server goes and comes, and time to come back.
const BACK_OFF_MAX: Duration = Duration::from_secs(36 + 20);

#[test]
fn a_server_that_restarts_takes_nothing_from_whoever_types() {
    let home = Home::new();
    let mut server = Process::start(&home.data(), &[]);
    let addr = server.addr();
    let homes = [Home::new(), Home::new()];
    // A server that goes and comes at short intervals is waited for longer and longer, up to half a minute.
    let rounds = kills().div_ceil(4).min(5);
    let rows = u16::try_from(rounds + 12).unwrap();
    let mut alice = Terminal::of("alice", homes[0].path(), addr, (80, rows));
    let mut bob = Terminal::of("bob", homes[1].path(), addr, (80, rows));
    alice.enters("/open bob");
    bob.enters("/open alice");
    for round in 0..rounds {
        alice.types(&format!("thought {round:03} "));
        alice.shows(&format!("> thought {round:03}"));
        server.kill();
        alice.shows("offline");
        alice.types("is whole");
        alice.shows(&format!("> thought {round:03} is whole"));
        alice.types("\r");
        alice.comes_to("a message that waits", |contents| {
            let row = contents.lines().find(|line| line.contains(&format!("thought {round:03} is whole")));
            row.is_some_and(|row| row.contains('○') && !row.contains('✓'))
        });
        alice.types("and the next");
        alice.shows("> and the next");
        server = Process::start_on(addr, &home.data(), &[]);
        // By itself: nobody asks it to, and the box is not touched.
        bob.comes_within(BACK_OFF_MAX, "what she wrote", |contents| {
            contents.contains(&format!("thought {round:03} is whole"))
        });
        alice.comes_within(BACK_OFF_MAX, "all of it delivered", |contents| {
            contents.matches("✓✓").count() > round as usize
        });
        alice.shows("> and the next");
        alice.types("\x15");
        alice.comes_to("an empty box", |contents| !contents.contains("and the next"));
    }
    for screen in [&alice, &bob] {
        assert_eq!(screen.contents().matches("is whole").count(), rounds as usize, "{}", screen.contents());
    }
}

#[test]
fn a_screen_that_is_killed_at_any_moment_shows_each_message_once() {
    let server = Local::start(&[]);
    let mut alice = server.hello("alice", 1);
    let home = Home::new();
    let rounds = kills();
    let size = (80, u16::try_from(rounds + 12).unwrap());
    let mut bob = Terminal::of("bob", home.path(), server.addr(), size);
    bob.enters("/open alice");
    for round in 1..=rounds {
        let stopped = round % 3 == 0;
        if stopped {
            // It is given the message and does not get to write it down.
            bob.signal(Signal::STOP);
        }
        alice.post(round.into(), "bob", &format!("saying {round:04}."), false);
        alice.answer(Post.answer());
        if !stopped {
            // From before it has come, over its way to the disk, to after its acknowledgement.
            thread::sleep(Duration::from_micros(u64::from(round * 7_919 % 40) * 300));
        }
        bob.signal(Signal::KILL);
        bob.ends();
        bob = Terminal::of("bob", home.path(), server.addr(), size);
    }
    bob.shows(&format!("saying {rounds:04}."));
    let contents = bob.contents();
    let shown: Vec<&str> = contents.match_indices("saying ").map(|(at, _)| &contents[at..at + 12]).collect();
    let expected: Vec<String> = (1..=rounds).map(|round| format!("saying {round:04}.")).collect();
    assert_eq!(shown, expected, "{contents}");
}
