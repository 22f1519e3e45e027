//! What the screen costs, measured where a person meets it: on a pseudo terminal, before a real server, with a release
//! build.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::Signal;

use crate::flooding::{BURST, flooding};
use crate::proc::{processor_time, rss, threads, wake_ups_in};
use crate::process::{Process, binary, run};
use crate::server::Home;
use crate::terminal::Terminal;
use crate::wait::{PATIENCE, timed, wait_for, waited};

/// Messages of the long history.
const STORED: u32 = 100_000;
/// Often enough for one in a hundred to be told from chance.
const KEYS: usize = 400;
const STARTS: usize = 11;
const SIZE: (u16, u16) = (140, 40);
const IDLE_S: u64 = 30;

/// A figure, and what it may be at most.
#[derive(Clone, Debug)]
pub struct Figure {
    what: &'static str,
    value: f64,
    most: f64,
    unit: &'static str,
}

impl Figure {
    /// It is more than it may be.
    pub fn is_missed(&self) -> bool {
        self.value > self.most
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_missed() { " (missed)" } else { "" };
        write!(f, "{} {:.1} ≤ {}{}{word}", self.what, self.value, self.most, self.unit)
    }
}

/// All of it, with an empty history and with a long one.
pub fn measure() -> Vec<Figure> {
    let figure = |what, value, most, unit| Figure { what, value, most, unit };
    let mut figures = vec![figure("binary, stripped", stripped() as f64 / 1e6, 8.0, " MB")];
    let folder = Home::new();
    let server = Process::start(&folder.data(), &["--limit", "heartbeat=300"]);
    let empty = Person::new(&server);
    let idle = empty.idle();
    let keys = empty.keys();
    figures.extend([
        figure("first frame", empty.first_frame(), 30.0, " ms"),
        figure("idle 30 s: wake-ups", idle.wake_ups, 0.0, ""),
        figure("idle: bytes", idle.bytes, 0.0, ""),
        figure("idle: processor", idle.processor_ms, 10.0, " ms"),
        figure("threads", idle.threads, 4.0, ""),
        figure("memory", idle.rss, 15.0, " MB"),
        figure("key to screen p50", keys.p50, 5.0, " ms"),
        figure("p99", keys.p99, 16.0, " ms"),
        figure("bytes a key", keys.bytes, 200.0, ""),
    ]);
    let long = Person::new(&server);
    long.remembers(STORED);
    let keys = long.keys();
    figures.extend([
        figure("with 100,000 messages: first frame", long.first_frame(), 100.0, " ms"),
        figure("key to screen p99", keys.p99, 16.0, " ms"),
        figure("worst frame", keys.worst_frame, 8.0, " ms"),
        figure("memory", keys.rss, 60.0, " MB"),
    ]);
    let (slowest, frames) = burst();
    figures.extend([
        figure("10,000 at once: slowest key", slowest, 50.0, " ms"),
        figure("frames a second", frames, 62.5, ""),
    ]);
    figures
}

/// The bytes of the client without the names of its functions.
fn stripped() -> u64 {
    let home = Home::new();
    let to = home.path().join("stripped");
    let (status, _, complaint) = run(Command::new("strip").arg("-o").arg(&to).arg(binary("bellhop")));
    assert!(status.success(), "{complaint}");
    fs::metadata(to).unwrap().len()
}

/// Somebody with a history.
struct Person<'a> {
    home: Home,
    server: &'a Process,
}

struct Idle {
    wake_ups: f64,
    bytes: f64,
    processor_ms: f64,
    threads: f64,
    rss: f64,
}

struct Keys {
    p50: f64,
    p99: f64,
    bytes: f64,
    worst_frame: f64,
    rss: f64,
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn megabytes(id: u32) -> f64 {
    rss(id) as f64 / 1e6
}

impl Person<'_> {
    /// Somebody who has written to herself.
    fn new(server: &Process) -> Person<'_> {
        let person = Person { home: Home::new(), server };
        let mut screen = Terminal::of(&person.name(), person.home.path(), server.addr(), SIZE);
        screen.opens(&person.name());
        screen.enters("a first word");
        screen.shows("✓✓");
        quit(screen);
        person
    }

    fn name(&self) -> String {
        // Names of folders are as good as any, and no two are alike.
        let folder = self.home.path().file_name().unwrap().to_str().unwrap().to_lowercase();
        folder.trim_matches('.').to_owned()
    }

    fn screen(&self) -> Terminal {
        self.screen_with(&[])
    }

    fn screen_with(&self, variables: &[(&str, &str)]) -> Terminal {
        let server = self.server.addr().to_string();
        Terminal::start_with(&[], self.home.path(), &server, SIZE, variables)
    }

    /// Gives her so many messages that are there already, half of them her own.
    fn remembers(&self, count: u32) {
        let history = Connection::open(self.home.path().join("history.sqlite")).unwrap();
        let added = history
            .execute(
                "WITH RECURSIVE number (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM number WHERE at < ?1) \
                 INSERT INTO messages (account, peer, mine, text, time_ms, state) \
                 SELECT peers.account, peers.id, at % 2, \
                 'Message ' || at || ', long enough to need more than one line where a screen is narrow.', \
                 1795165000000 + at, 7 FROM number, peers",
                [count],
            )
            .unwrap();
        assert_eq!(added, count as usize);
        // What is there has been read.
        history.execute("UPDATE peers SET read_to = (SELECT max(n) FROM messages)", []).unwrap();
    }

    /// From the start of the program to a screen with the last messages on it: the median.
    fn first_frame(&self) -> f64 {
        let mut took: Vec<Duration> = (0..STARTS)
            .map(|_| {
                let (screen, took) = timed(|| {
                    let screen = self.screen();
                    let came = waited_closely(|| screen.contents().contains("F1 help"));
                    assert!(came, "a first frame");
                    screen
                });
                screen.shows("online");
                quit(screen);
                took
            })
            .collect();
        took.sort_unstable();
        ms(took[STARTS / 2])
    }

    fn idle(&self) -> Idle {
        let mut screen = self.screen();
        screen.shows("online");
        screen.opens(&self.name());
        wait_for("the screen to settle", || (wake_ups_in(screen.id(), 2) == 0).then_some(()));
        let (bytes, processor) = (screen.written().len(), processor_time(screen.id()));
        let wake_ups = wake_ups_in(screen.id(), IDLE_S);
        let idle = Idle {
            wake_ups: wake_ups as f64,
            bytes: (screen.written().len() - bytes) as f64,
            processor_ms: (processor_time(screen.id()) - processor) as f64 * 10.0,
            threads: threads(screen.id()) as f64,
            rss: megabytes(screen.id()),
        };
        quit(screen);
        idle
    }

    /// Keys one after the other, each when what the one before changed has been written; and pages of what was said.
    fn keys(&self) -> Keys {
        let stats = self.home.path().join("stats");
        let mut screen = self.screen_with(&[("BELLHOP_STATS", stats.to_str().unwrap())]);
        screen.shows("online");
        screen.opens(&self.name());
        let (mut took, mut bytes) = (Vec::new(), Vec::new());
        for number in 0..KEYS {
            // A frame may be asked to wait for the one before.
            waited(Duration::from_millis(25), || None::<()>);
            let before = screen.written_count();
            let key = if number % 50 == 49 { "\x15" } else { "x" };
            let ((), time) = timed(|| {
                screen.types(key);
                let came = waited_closely(|| screen.written_count() > before);
                assert!(came, "a key changes something");
            });
            took.push(time);
            waited(Duration::from_millis(2), || None::<()>);
            bytes.push(screen.written_count() - before);
        }
        for key in ["\x1b[5~", "\x1b[6~"] {
            for _ in 0..30 {
                screen.types(key);
                waited(Duration::from_millis(25), || None::<()>);
            }
        }
        let rss = megabytes(screen.id());
        quit(screen);
        took.sort_unstable();
        bytes.sort_unstable();
        Keys {
            p50: ms(took[KEYS / 2]),
            p99: ms(took[KEYS * 99 / 100]),
            bytes: bytes[KEYS / 2] as f64,
            worst_frame: stat(&stats, "worst_frame_ms"),
            rss,
        }
    }
}

/// The slowest key of sixty while ten thousand messages come, and frames a second.
fn burst() -> (f64, f64) {
    let home = Home::new();
    let stats = home.path().join("stats");
    let variables = [("BELLHOP_STATS", stats.to_str().unwrap())];
    let server = flooding().to_string();
    let mut screen = Terminal::start_with(&[], home.path(), &server, SIZE, &variables);
    screen.shows("Welcome");
    let (slowest, time) = timed(|| {
        screen.types("alice\x0e\r");
        screen.shows("online");
        let mut slowest = Duration::ZERO;
        for number in 1..=60 {
            let ((), took) = timed(|| {
                screen.types("x");
                let typed = format!("> {}", "x".repeat(number));
                let came = waited_closely(|| screen.contents().contains(&typed));
                assert!(came, "a key is shown");
            });
            slowest = slowest.max(took);
        }
        screen.comes_within(Duration::from_secs(120), "all of them", |contents| {
            contents.contains("99+") || contents.contains(&format!("{BURST} unread"))
        });
        slowest
    });
    screen.signal(Signal::TERM);
    screen.ends();
    (ms(slowest), stat(&stats, "frames") / time.as_secs_f64())
}

/// Looks more often than others wait.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn waited_closely(state: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !state() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    true
}

fn stat(path: &std::path::Path, name: &str) -> f64 {
    let report = fs::read_to_string(path).unwrap();
    let line = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {report}")).parse().unwrap()
}

/// Ends a program and waits for it, so that the next one finds what it wrote.
fn quit(mut screen: Terminal) {
    screen.signal(Signal::TERM);
    screen.ends();
}
