//! Signals from outside, as what the loop is to do about them. Keys never arrive as signals: the terminal is raw.

#[cfg(unix)]
use super::terminal;
use crate::signals;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signalled {
    /// End with this exit code.
    End(u8),
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
    #[cfg(unix)]
    job: Vec<(tokio::signal::unix::Signal, Signalled)>,
}

impl Signals {
    /// From here on signals no longer end or stop the process by themselves.
    #[cfg(unix)]
    pub(crate) fn new() -> Signals {
        use rustix::process::Signal;
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [(Signal::TSTP, Signalled::Stop), (Signal::CONT, Signalled::Continue)];
        let caught = |kind: Signal| signal(SignalKind::from_raw(kind.as_raw())).ok();
        // One that cannot be caught does what it does to every program.
        let job = kinds.into_iter().filter_map(|(kind, what)| Some((caught(kind)?, what))).collect();
        std::thread::spawn(insist);
        Signals { end: signals::Signals::new(), job }
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
            code = self.end.next() => Signalled::End(code),
            what = signals::next(&mut self.job) => what,
        }
    }

    /// What the next signal asks for.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Signalled {
        Signalled::End(self.end.next().await)
    }
}

/// Ends the process at the second signal, whatever the loop does: a terminal that takes nothing holds it up in a write
/// for ever. Its thread waits as long as the process lives.
#[cfg(unix)]
fn insist() {
    // Without a second look at the signals the first one still ends a loop that runs.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let code = runtime.block_on(async {
        let mut signals = signals::Signals::new();
        signals.next().await;
        signals.next().await
    });
    terminal::let_go();
    std::process::exit(i32::from(code));
}
