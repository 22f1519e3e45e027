//! The log: what is told becomes lines on standard error, one an event, whatever is in it.
//!
//! * `line`: an event as one line; nothing that came from others can begin another, move a cursor or turn text round.
//! * `limiter`: a cause has so many lines a second, and then a count.
//! * `writer`: a thread of its own, so that whoever reads the log slowly, or not at all, holds nobody up.
//!
//! Texts, passwords and tokens are never logged. Addresses of peers are in fields called `peer`, and nowhere else:
//! `--log-addresses off` leaves those out.

mod limiter;
mod line;
mod writer;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use self::limiter::{Limiter, Verdict};
use self::line::{Line, Style};
use self::writer::Writer;
use crate::clock::Clock;
use crate::config::LogLevel;

/// How long the last lines may take.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);

/// What the log tells, and how.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How much.
    pub level: LogLevel,
    /// True where peers' addresses are told.
    pub addresses: bool,
    /// Lines a second for each cause; `u64::MAX` is off.
    pub per_second: u64,
    /// True where a terminal shows it.
    pub colours: bool,
}

/// The log of the process.
pub struct Log {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    level: LevelFilter,
    style: Style,
    per_second: u64,
    clock: Clock,
    limiter: Mutex<Limiter<Identifier>>,
    writer: Writer,
}

/// What `tracing` is given.
struct Told(Arc<Shared>);

impl Log {
    /// Has everything that is told from now on written to `out`.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub fn start(settings: Settings, out: impl io::Write + Send + 'static) -> io::Result<Log> {
        let shared = Arc::new(Shared::new(settings));
        let thread = std::thread::Builder::new().name("bellhop-log".to_owned()).spawn({
            let shared = shared.clone();
            let mut out = out;
            move || shared.writer.run(&mut out)
        })?;
        // Where a program that uses this library has a log of its own, that one stays.
        let _ = tracing::subscriber::set_global_default(
            tracing_subscriber::registry().with(Told(shared.clone())),
        );
        Ok(Log { shared, thread })
    }

    /// Has panics told in the log: one line, as everything else.
    pub fn tell_panics() {
        std::panic::set_hook(Box::new(|panic| {
            let text = panic.payload().downcast_ref::<&str>().copied();
            let owned = panic.payload().downcast_ref::<String>().map(String::as_str);
            let reason = text.or(owned).unwrap_or("no text");
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place, reason, "panicked");
        }));
    }

    /// Waits until what was told is written, as far as somebody takes it.
    pub fn flush(&self) {
        self.shared.writer.flush(LAST_LINES_MAX);
    }

    /// Writes a line that is no event, such as the reason of the end.
    pub fn say(&self, sentence: &str) {
        self.shared.writer.write(line::plain(sentence));
    }

    /// Tells what was only counted, and ends when the last line is written, or nobody takes it.
    pub fn end(self) {
        for (message, untold) in self.shared.limiter.lock().left() {
            self.shared.writer.write(line::plain(&format!("{message}: … and {untold} more like this")));
        }
        if self.shared.writer.end(LAST_LINES_MAX) {
            let _ = self.thread.join();
        }
    }
}

impl Shared {
    fn new(settings: Settings) -> Shared {
        Shared {
            level: filter(settings.level),
            style: Style { addresses: settings.addresses, colours: settings.colours },
            per_second: settings.per_second,
            clock: Clock::start(),
            limiter: Mutex::default(),
            writer: Writer::default(),
        }
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

impl<S: Subscriber> Layer<S> for Told {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.0.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Shared { style, per_second, clock, limiter, writer, .. } = &*self.0;
        let now = clock.now();
        let verdict = limiter.lock().note(&event.metadata().callsite(), now.up, *per_second);
        let Verdict::Tell { untold } = verdict else { return };
        let mut line = Line::new(*style);
        event.record(&mut line);
        if untold > 0 {
            writer.write(line.count(event.metadata(), now.wall_ms, untold));
        }
        writer.write(line.finish(event.metadata(), now.wall_ms));
        limiter.lock().told(&event.metadata().callsite(), line.message());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written while `work` tells.
    fn logged(settings: Settings, work: impl FnOnce(&Shared)) -> Vec<String> {
        let shared = Arc::new(Shared::new(settings));
        let subscriber = tracing_subscriber::registry().with(Told(shared.clone()));
        tracing::subscriber::with_default(subscriber, || work(&shared));
        shared.writer.take().iter().map(|line| line[25..].to_owned()).collect()
    }

    fn settings() -> Settings {
        Settings { level: LogLevel::Info, addresses: true, per_second: 100, colours: false }
    }

    const TARGET: &str = "bellhop_server::log::tests";

    #[test]
    fn an_event_is_one_line_whatever_others_put_into_it() {
        let name = "bob\r\n2026-01-01T00:00:00.000Z ERROR forged: \u{1b}[2J \u{202e}level=ERROR";
        let lines = logged(settings(), |_| tracing::info!(%name, agent = name, count = 3, "hello {name}"));
        let escaped = "bob\\r\\n2026-01-01T00:00:00.000Z ERROR forged: \\u{1b}[2J \\u{202e}level=ERROR";
        assert_eq!(
            lines,
            [format!(" INFO {TARGET}: hello {escaped} name=\"{escaped}\" agent=\"{escaped}\" count=3\n")]
        );
    }

    #[test]
    fn a_cause_has_so_many_lines_a_second_and_then_a_count() {
        let tell = |number: u32| tracing::warn!(number, "again");
        let lines = logged(Settings { per_second: 2, ..settings() }, |shared| {
            (0..5).for_each(tell);
            tracing::warn!("another cause");
            shared.clock.pass(Duration::from_millis(999));
            tell(5);
            shared.clock.pass(Duration::from_millis(1));
            tell(6);
        });
        let expected = [
            "again number=0",
            "again number=1",
            "another cause",
            "again: … and 4 more like this",
            "again number=6",
        ];
        assert_eq!(lines, expected.map(|line| format!(" WARN {TARGET}: {line}\n")));
    }

    #[test]
    fn what_was_only_counted_is_told_at_the_end() {
        let shared = Arc::new(Shared::new(Settings { per_second: 1, ..settings() }));
        let subscriber = tracing_subscriber::registry().with(Told(shared.clone()));
        tracing::subscriber::with_default(subscriber, || {
            (0..3).for_each(|number| tracing::warn!(number, "again"));
        });
        let out = Kept::default();
        let thread = std::thread::spawn({
            let (shared, mut out) = (shared.clone(), out.clone());
            move || shared.writer.run(&mut out)
        });
        Log { shared, thread }.end();
        let text = String::from_utf8(out.0.lock().clone()).unwrap();
        assert!(text.ends_with("\nbellhop-server: again: … and 2 more like this\n"), "{text}");
    }

    #[test]
    fn addresses_of_peers_can_be_left_out() {
        let peer = std::net::SocketAddr::from(([192, 0, 2, 7], 2050));
        let line = |addresses| {
            logged(Settings { addresses, ..settings() }, |_| tracing::info!(%peer, count = 1, "gone"))
        };
        assert_eq!(line(true), [format!(" INFO {TARGET}: gone peer=192.0.2.7:2050 count=1\n")]);
        assert_eq!(line(false), [format!(" INFO {TARGET}: gone peer=- count=1\n")]);
    }

    #[test]
    fn the_level_is_kept_to() {
        let lines = |level| {
            logged(Settings { level, ..settings() }, |_| {
                tracing::error!("e");
                tracing::info!("i");
                tracing::debug!("d");
            })
            .len()
        };
        assert_eq!(
            [LogLevel::Off, LogLevel::Error, LogLevel::Info, LogLevel::Debug].map(lines),
            [0, 1, 2, 3]
        );
    }

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
