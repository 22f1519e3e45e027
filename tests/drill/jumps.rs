//! A server whose wall clock jumps while people talk, seen through a library that shows it another time. Clocks that
//! never jump are left alone, as no hand at a machine's clock moves them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use bellhop_protocol::post::Posted;
use bellhop_protocol::{OpCode, Reply};
use bellhop_tests::load::FREE;
use bellhop_tests::peer::Peer;
use bellhop_tests::process::{Process, binary};
use bellhop_tests::server::Home;
use bellhop_tests::tools::has;

use crate::steps::Shown;

/// Where the clock goes, in the library's words, and by how many hours that is at least off from now.
const JUMPS: [(&str, i64); 4] =
    [("-1h", -1), ("+1h", 1), ("+10y", 10 * 364 * 24), ("@1970-01-02 00:00:00", -50 * 365 * 24)];
/// So long it is looked whether anything is given up because of its age.
const LOOKED: Duration = Duration::from_secs(4);
const HOUR_MS: i64 = 3_600_000;

/// The step.
pub(crate) fn run() -> Shown {
    assert!(has_faketime(), "no clock can be moved here: install faketime");
    JUMPS.iter().for_each(|(to, hours)| jump(to, *hours));
    Shown { amount: format!("{} jumps", JUMPS.len()), ..Shown::default() }
}

/// True where the library is there, and moves the clocks of a program.
pub(crate) fn has_faketime() -> bool {
    has("faketime", &["-m", "--exclude-monotonic", "-f", "+1h", "true"])
}

/// A server that looks at the clock in this file.
fn start(home: &Home, clock: &Path) -> Process {
    let mut faketime = Command::new("faketime");
    faketime.args(["-m", "--exclude-monotonic", "-f", "+0", "env", "-u", "FAKETIME"]);
    faketime.arg(format!("FAKETIME_TIMESTAMP_FILE={}", clock.display())).arg("FAKETIME_NO_CACHE=1");
    faketime.arg(binary("bellhop-server"));
    Process::start_as(&mut faketime, &home.data(), &FREE)
}

/// What becomes of a message for bob, and by which time it was kept.
fn say(alice: &mut Peer, counter: u64, text: &str) -> (Posted, i64) {
    alice.post(counter, "bob", text, true);
    let got = alice.answer(OpCode::Post.answer());
    let Reply::Posted(answer) = got.reply() else { panic!("{got:02x?}") };
    let kept = answer.result.unwrap_or_else(|failure| panic!("{failure:?}"));
    (kept.posted, i64::try_from(kept.time_ms).expect("a time"))
}

fn jump(to: &str, hours: i64) {
    let home = Home::new();
    let clock = home.data().with_file_name("clock");
    fs::write(&clock, "+0").expect("the clock is set");
    let server = start(&home, &clock);
    Peer::login(server.addr(), "bob").ask(OpCode::Logout, "");
    let mut alice = Peer::hello(server.addr(), "alice", 1);
    let (_, before) = say(&mut alice, 1, "before");
    fs::write(&clock, to).expect("the clock is set");
    let (posted, after) = say(&mut alice, 2, "after");
    assert_eq!(posted, Posted::Stored, "{to}");
    let by = after - before;
    assert!(
        by.signum() == hours.signum() && by.abs() >= (hours * HOUR_MS).abs() - 60_000,
        "{to}: by {by} ms"
    );
    assert_eq!(say(&mut alice, 1, "before").0, Posted::SeenBefore, "{to}: what was said is known");
    sleep(LOOKED);
    fs::write(&clock, "+0").expect("the clock is set");
    assert_eq!(say(&mut alice, 2, "after").0, Posted::SeenBefore, "{to}: also when the clock is right again");
    say(&mut alice, 3, "at last");
    sleep(LOOKED);
    let (texts, _) = Peer::login(server.addr(), "bob").deliver();
    assert_eq!(texts, ["alice|before", "alice|after", "alice|at last"], "{to}");
}
