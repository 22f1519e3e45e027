//! The signals that end a program, waited for beside everything else it does.

#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The signals that end a program, and the exit code of each.
#[cfg(unix)]
pub(crate) const ENDING: [(i32, u8); 4] =
    [(SIGINT, 130), (SIGQUIT, 131), (SIGTERM, 143), (SIGHUP, Signals::HUNG_UP)];

/// Signals that end the program, as exit codes.
#[cfg(unix)]
pub(crate) struct Signals(Vec<(tokio::signal::unix::Signal, u8)>);

#[cfg(unix)]
impl Signals {
    /// SIGHUP, and a terminal that has gone.
    pub(crate) const HUNG_UP: u8 = 143;

    /// From here on signals no longer end the process by themselves.
    pub(crate) fn new() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        let caught = |number| signal(SignalKind::from_raw(number)).ok();
        // One that cannot be caught ends the program by itself.
        Signals(ENDING.into_iter().filter_map(|(number, code)| Some((caught(number)?, code))).collect())
    }

    /// The exit code of the next signal.
    pub(crate) async fn next(&mut self) -> u8 {
        next(&mut self.0).await
    }
}

/// What the next of these signals stands for.
#[cfg(unix)]
pub(crate) async fn next<T: Copy>(signals: &mut [(tokio::signal::unix::Signal, T)]) -> T {
    std::future::poll_fn(|context| {
        let mut arrived = signals
            .iter_mut()
            .filter_map(|(signal, what)| signal.poll_recv(context).is_ready().then_some(*what));
        arrived.next().map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

/// Signals that end the program, as exit codes.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// SIGHUP, and a terminal that has gone.
    pub(crate) const HUNG_UP: u8 = 143;

    /// From here on signals no longer end the process by themselves.
    pub(crate) fn new() -> Signals {
        Signals
    }

    /// The exit code of the next signal.
    pub(crate) async fn next(&mut self) -> u8 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => 130,
            Err(_) => std::future::pending().await,
        }
    }
}
