//! Signals from outside, as what the loop is to do about them. Keys never arrive as signals: the terminal is raw.

#[cfg(unix)]
use std::{io, os::unix::net::UnixStream, sync::Arc, time::Duration};

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, poll};
#[cfg(unix)]
use rustix::io::Errno;
#[cfg(unix)]
use signal_hook::iterator::backend::SignalDelivery;
#[cfg(unix)]
use signal_hook::iterator::exfiltrator::SignalOnly;
#[cfg(unix)]
use tokio::sync::Notify;

#[cfg(unix)]
use super::leaps::Leaps;
#[cfg(unix)]
use super::terminal;
use crate::signals;

/// How long a loop that nothing holds up takes to end, with its farewell to the connection.
#[cfg(unix)]
const WAY_OUT_MAX: Duration = Duration::from_secs(2);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signalled {
    /// End with this exit code.
    End(u8),
    /// Read the config again.
    #[cfg(unix)]
    Reload,
    /// Stop until somebody says CONT.
    #[cfg(unix)]
    Stop,
    /// The program goes on, and may have been stopped without a word.
    #[cfg(unix)]
    Continue,
    /// Look at the wall clock: it has leapt.
    #[cfg(unix)]
    Leap,
}

/// The signals that are caught: those that end a program, and those of job control.
pub(crate) struct Signals {
    end: signals::Signals,
    #[cfg(unix)]
    seen: Arc<Seen>,
    #[cfg(unix)]
    job: Vec<(tokio::signal::unix::Signal, Signalled)>,
}

impl Signals {
    /// From here on signals no longer end or stop the process by themselves.
    #[cfg(unix)]
    pub(crate) fn new() -> Signals {
        use rustix::process::Signal;
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [
            (Signal::TSTP, Signalled::Stop),
            (Signal::CONT, Signalled::Continue),
            (Signal::USR1, Signalled::Reload),
        ];
        let caught = |kind: Signal| signal(SignalKind::from_raw(kind.as_raw())).ok();
        // One that cannot be caught does what it does to every program.
        let job = kinds.into_iter().filter_map(|(kind, what)| Some((caught(kind)?, what))).collect();
        let seen = Arc::new(Seen::default());
        // Where there is no second look, the first one still ends a loop that runs.
        if let Ok(watch) = Watch::new(seen.clone()) {
            std::thread::spawn(move || watch.run());
        }
        Signals { end: signals::Signals::new(), seen, job }
    }

    /// From here on signals no longer end the process by themselves.
    #[cfg(not(unix))]
    pub(crate) fn new() -> Signals {
        Signals { end: signals::Signals::new() }
    }

    /// What the next signal asks for.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Signalled {
        tokio::select! {
            // The end first: the system says HUP and CONT in one go, and there is nothing left to take again.
            biased;
            code = self.end.next() => Signalled::End(code),
            () = self.seen.gone.notified() => Signalled::End(signals::Signals::HUNG_UP),
            what = signals::next(&mut self.job) => what,
            () = self.seen.leap.notified() => Signalled::Leap,
        }
    }

    /// What the next signal asks for.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Signalled {
        Signalled::End(self.end.next().await)
    }
}

/// True for the signals that keys make: INT and QUIT.
pub(crate) fn is_of_keys(code: u8) -> bool {
    matches!(code, 130 | 131)
}

/// What the second look tells the loop.
#[cfg(unix)]
#[derive(Default)]
struct Seen {
    /// The terminal has gone. The system tells it by a signal only to whom it started there.
    gone: Notify,
    /// The wall clock has leapt.
    leap: Notify,
}

/// A second look at the signals and at the terminal, from a thread that waits as long as the process lives: the loop may
/// hang in a write to a terminal that takes nothing, or in a read from one that has gone.
#[cfg(unix)]
struct Watch {
    signals: SignalDelivery<UnixStream, SignalOnly>,
    /// Readable when a signal has come.
    woken: UnixStream,
    /// The terminal, as long as it can be watched.
    terminal: Option<io::Stdin>,
    leaps: Option<Leaps>,
    seen: Arc<Seen>,
}

#[cfg(unix)]
impl Watch {
    fn new(seen: Arc<Seen>) -> io::Result<Watch> {
        let (woken, wakes) = UnixStream::pair()?;
        let ending = signals::ENDING.map(|(number, _)| number);
        let signals = SignalDelivery::with_pipe(woken.try_clone()?, wakes, SignalOnly, ending)?;
        Ok(Watch { signals, woken, terminal: Some(io::stdin()), leaps: Leaps::new(), seen })
    }

    /// Ends the process after the second signal, or when the terminal has gone, unless the loop does it in time.
    fn run(mut self) {
        let mut came = 0;
        while let Ok(terminal) = self.look() {
            if terminal.contains(PollFlags::HUP) {
                self.seen.gone.notify_one();
                give_up(signals::Signals::HUNG_UP);
            }
            // One that cannot be watched would tell so again and again.
            self.terminal.take_if(|_| !terminal.is_empty());
            if self.leaps.as_ref().is_some_and(Leaps::leapt) {
                self.seen.leap.notify_one();
            }
            for code in self.signals.pending().filter_map(code_of).filter(|code| is_for_us(*code)) {
                came += 1;
                if came == 2 {
                    give_up(code);
                }
            }
        }
    }

    /// Waits until something has happened. What has become of the terminal.
    fn look(&self) -> rustix::io::Result<PollFlags> {
        let mut watched = vec![PollFd::new(&self.woken, PollFlags::IN)];
        watched.extend(self.leaps.iter().map(|leaps| PollFd::from_borrowed_fd(leaps.fd(), PollFlags::IN)));
        // That somebody hung up is told unasked.
        watched.extend(self.terminal.iter().map(|terminal| PollFd::new(terminal, PollFlags::empty())));
        while let Err(error) = poll(&mut watched, None) {
            if error != Errno::INTR {
                return Err(error);
            }
        }
        let terminal = watched.last().filter(|_| self.terminal.is_some());
        Ok(terminal.map_or(PollFlags::empty(), PollFd::revents))
    }
}

#[cfg(unix)]
fn code_of(number: i32) -> Option<u8> {
    signals::ENDING.into_iter().find_map(|(of, code)| (of == number).then_some(code))
}

/// What ends a line of a program which has the terminal must not end this one.
#[cfg(unix)]
fn is_for_us(code: u8) -> bool {
    !(terminal::is_lent() && is_of_keys(code))
}

/// Ends the process, unless the loop does it in time.
#[cfg(unix)]
fn give_up(code: u8) -> ! {
    std::thread::sleep(WAY_OUT_MAX);
    terminal::let_go();
    std::process::exit(i32::from(code));
}
