//! The signals that end a program, waited for beside everything else it does.

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
        let kinds = [
            (SignalKind::interrupt(), 130),
            (SignalKind::quit(), 131),
            (SignalKind::terminate(), 143),
            (SignalKind::hangup(), Signals::HUNG_UP),
        ];
        // One that cannot be caught ends the program by itself.
        Signals(kinds.into_iter().filter_map(|(kind, code)| Some((signal(kind).ok()?, code))).collect())
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
