//! What a service manager and the server tell each other: sockets that were opened for it, that it is ready, that it
//! goes down, that it still writes. Spoken only where the manager asks for it, by its environment variables; systemd
//! does, and what speaks its protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Config, ConfigError, Listen};

/// Takes the sockets that were opened for this process. They are listened on in place of the config's addresses. To be
/// called first, before there are threads: nobody else is to find them.
///
/// # Errors
///
/// Where something else than a listening TCP socket was passed.
pub fn take_sockets(config: &mut Config) -> Result<(), ConfigError> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for place in 0..passed.len() {
        let wrong = |why: String| ConfigError::Socket { place: place + 1, why };
        let taken = passed.take_tcp_listener(place).map_err(|error| wrong(error.to_string()))?;
        let Some(socket) = taken else { continue };
        if !is_listening(&socket) {
            return Err(wrong("it is a connection".into()));
        }
        let addr = socket.local_addr().map_err(|error| wrong(error.to_string()))?;
        sockets.push((addr, socket));
    }
    if !sockets.is_empty() {
        config.listen = sockets.iter().map(|(addr, _)| Listen { addr: *addr, optional: false }).collect();
        config.sockets = sockets.into_iter().map(|(_, socket)| Arc::new(socket)).collect();
    }
    Ok(())
}

/// A connection passes for a listener in everything but this.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn is_listening(socket: &std::net::TcpListener) -> bool {
    socket2::SockRef::from(socket).is_listener().unwrap_or(false)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn is_listening(_: &std::net::TcpListener) -> bool {
    true
}

#[cfg(unix)]
mod notices {
    use super::*;
    use std::time::Duration;

    use sd_notify::NotifyState;
    use tokio::sync::oneshot;

    use crate::core::Core;
    use crate::keeper::accounts::AccountJob;
    use crate::keeper::queue::Job;

    fn tell(states: &[NotifyState<'_>]) {
        // Without a manager that listens this does nothing.
        if let Err(error) = sd_notify::notify(states) {
            tracing::warn!(%error, "cannot tell the service manager");
        }
    }

    /// Clients may connect now.
    pub fn ready(addrs: &[SocketAddr]) {
        let addrs: Vec<String> = addrs.iter().map(SocketAddr::to_string).collect();
        let status = format!("listening on {}", addrs.join(" and "));
        tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// The server ends, in order.
    pub fn stopping() {
        tell(&[NotifyState::Stopping, NotifyState::Status("going down: finishing what was begun")]);
    }

    /// Tells the manager in time that the server is alive, as long as the writing thread answers: a server that only
    /// accepts is not. Where the manager does not ask for it this ends at once, and an idle server goes on sleeping.
    pub async fn watch(core: Arc<Core>) {
        let Some(within) = sd_notify::watchdog_enabled().filter(|within| *within > Duration::ZERO) else {
            return;
        };
        loop {
            tokio::time::sleep(within / 3).await;
            let (reply, answered) = oneshot::channel();
            // A name that nobody can have, so that nothing is brought into memory.
            let find = AccountJob::Find { folded: "|".into(), device: None, reply };
            core.queue.control(Job::Account(Box::new(find)));
            if answered.await.is_err() {
                return;
            }
            tell(&[NotifyState::Watchdog]);
        }
    }
}

#[cfg(not(unix))]
mod notices {
    use super::*;
    use crate::core::Core;

    /// Clients may connect now.
    pub fn ready(_: &[SocketAddr]) {}

    /// The server ends, in order.
    pub fn stopping() {}

    /// Nobody asks.
    pub async fn watch(_: Arc<Core>) {}
}

pub use notices::{ready, stopping, watch};
