//! Signals from outside, as what the loop is to do about them. Keys never arrive as signals: the terminal is raw.

#[cfg(unix)]
use std::sync::Arc;
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use tokio::sync::Notify;

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
}

/// The signals that are caught: those that end a program, and those of job control.
pub(crate) struct Signals {
    end: signals::Signals,
    /// Somebody saw the terminal go. The system tells it by a signal only to whom it started there.
    #[cfg(unix)]
    gone: Arc<Notify>,
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
        std::thread::spawn(insist);
        let gone = Arc::new(Notify::new());
        let tell = gone.clone();
        std::thread::spawn(move || watch(&tell));
        Signals { end: signals::Signals::new(), gone, job }
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
            () = self.gone.notified() => Signalled::End(signals::Signals::HUNG_UP),
            what = signals::next(&mut self.job) => what,
        }
    }

    /// What the next signal asks for.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Signalled {
        Signalled::End(self.end.next().await)
    }
}

/// Ends the process after the second signal, whatever the loop does: a terminal that takes nothing holds it up in a
/// write for ever. Its thread waits as long as the process lives.
#[cfg(unix)]
fn insist() {
    // Without a second look at the signals the first one still ends a loop that runs.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let code = runtime.block_on(async {
        let mut signals = signals::Signals::new();
        next_of_ours(&mut signals).await;
        next_of_ours(&mut signals).await
    });
    give_up(code);
}

/// The next signal that is not for a program which has the terminal: what ends a line there must not end this one.
#[cfg(unix)]
async fn next_of_ours(signals: &mut signals::Signals) -> u8 {
    loop {
        let code = signals.next().await;
        if !(terminal::is_lent() && is_of_keys(code)) {
            return code;
        }
    }
}

/// True for the signals that keys make: INT and QUIT.
pub(crate) fn is_of_keys(code: u8) -> bool {
    matches!(code, 130 | 131)
}

/// Tells that the terminal has gone. Its thread waits as long as the process lives.
#[cfg(unix)]
fn watch(gone: &Notify) {
    if terminal::has_gone(None) {
        gone.notify_one();
        // Whoever reads the keys of a terminal that has gone may never come back.
        give_up(signals::Signals::HUNG_UP);
    }
}

/// Ends the process, unless the loop does it in time.
#[cfg(unix)]
fn give_up(code: u8) -> ! {
    std::thread::sleep(WAY_OUT_MAX);
    terminal::let_go();
    std::process::exit(i32::from(code));
}
