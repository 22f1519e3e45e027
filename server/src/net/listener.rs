//! Listening and accepting: a place is had before a connection is taken, and an error is waited out, not spun on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellhop_protocol::op::NOTICE;
use bellhop_protocol::{Code, text};
use dashmap::DashMap;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::{Admission, Refused};
use super::conn::Conn;
use super::door::Entrance;
use crate::config::Listen;
use crate::config::network::Network;
use crate::core::Core;
use crate::identity::Identity;
use crate::outbox::Outbox;
use crate::service::{Caller, Policy};

/// Connections that the operating system holds until they are accepted.
const BACKLOG: i32 = 1024;
/// How long the first failed accept is waited out; each further one twice as long, up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often a failing accept is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// A dead peer is found out in 45 s and three times 15 s, as fast as a heartbeat would.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(45), Duration::from_secs(15), 3);
/// Bytes that a peer does not acknowledge for so long end the connection.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// What is not sent yet waits here, where it can still be told from what is: the operating system gets more when it has
/// less than this.
#[cfg(target_os = "linux")]
const UNSENT_MAX: u32 = 16 * 1024;

/// The connections there are, so that stopping can end them.
#[derive(Debug, Default)]
pub struct Connections {
    /// The tasks.
    pub tasks: TaskTracker,
    /// The way to each.
    pub live: DashMap<u64, (Arc<Outbox>, tokio::task::AbortHandle)>,
}

/// What a connection holds while it lives.
struct Entry {
    connections: Arc<Connections>,
    id: u64,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// Runs a connection. However it ends, a panic included, its place is free again and nothing of it is left here.
    fn run(
        self: &Arc<Connections>,
        id: u64,
        outbox: Arc<Outbox>,
        place: OwnedSemaphorePermit,
        conn: impl Future<Output = ()> + Send + 'static,
    ) {
        let entry = Entry { connections: self.clone(), id, _place: place };
        // It begins when it is in the map, so that it cannot have ended before.
        let (begin, begun) = oneshot::channel();
        let task = self.tasks.spawn(async move {
            let _entry = entry;
            if begun.await.is_ok() {
                conn.await;
            }
        });
        self.live.insert(id, (outbox, task.abort_handle()));
        // A task that is gone already was cut off with the whole server.
        let _ = begin.send(());
    }
}

/// The same connection; `notice` is called where it panics.
async fn noticing_panics(conn: impl Future<Output = ()>, notice: impl Fn()) {
    struct Guard<F: Fn()>(F);
    impl<F: Fn()> Drop for Guard<F> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                (self.0)();
            }
        }
    }
    let _guard = Guard(notice);
    conn.await;
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.live.remove(&self.id);
    }
}

/// Opens listeners on all addresses, whose connections get kernel buffers of this many bytes each way. Where the first one is given port 0, the port it gets serves for the others too.
///
/// # Errors
///
/// The address that could not be had, and why.
pub fn listen_all(
    listen: &[Listen],
    buffers: Option<usize>,
) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    // A port that was free for the first address may be taken on the second: then another one is tried.
    let mut attempts = if listen.iter().any(|listen| listen.addr.port() == 0) { 20 } else { 1 };
    loop {
        attempts -= 1;
        match listen_once(listen, buffers) {
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            done => return done,
        }
    }
}

/// Listens on sockets that were opened for this process, with kernel buffers as above.
///
/// # Errors
///
/// As the operating system says.
pub fn listen_on(
    sockets: &[Arc<std::net::TcpListener>],
    buffers: Option<usize>,
) -> io::Result<Vec<TcpListener>> {
    let adopted = sockets.iter().map(|socket| {
        let socket = socket.try_clone()?;
        socket.set_nonblocking(true)?;
        if let Some(bytes) = buffers {
            set_buffers(&SockRef::from(&socket), bytes);
        }
        TcpListener::from_std(socket)
    });
    adopted.collect()
}

fn listen_once(
    listen: &[Listen],
    buffers: Option<usize>,
) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    let mut port = None;
    for Listen { addr, optional } in listen {
        let mut addr = *addr;
        if addr.port() == 0 {
            addr.set_port(port.unwrap_or(0));
        }
        match bind(addr, buffers) {
            Ok(listener) => {
                port = port.or(listener.local_addr().ok().map(|addr| addr.port()));
                listeners.push(listener);
            }
            Err(error) if *optional && is_missing_family(&error) => {
                tracing::warn!(%addr, %error, "not listening there: this machine has no such address");
            }
            Err(error) => return Err((addr, error)),
        }
    }
    match (listeners.is_empty(), listen.first()) {
        (true, Some(first)) => Err((first.addr, io::ErrorKind::AddrNotAvailable.into())),
        _ => Ok(listeners),
    }
}

fn is_missing_family(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own: 97 on Linux, 47 on macOS, 10047 on Windows.
    error.kind() == io::ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(97 | 47 | 10047))
}

fn bind(addr: SocketAddr, buffers: Option<usize>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the same option would let two servers share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if let Some(bytes) = buffers {
        set_buffers(&socket, bytes);
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Bounds what the operating system holds for each connection. Connections have it from the listener that they come to,
/// and the size of the receive buffer has to stand before a connection's first packet. Linux doubles the sizes, for its
/// own book-keeping. A system that does not know an option goes without it.
fn set_buffers(listener: &Socket, bytes: usize) {
    let _ = listener.set_send_buffer_size(bytes);
    let _ = listener.set_recv_buffer_size(bytes);
    #[cfg(target_os = "linux")]
    let _ = listener.set_tcp_notsent_lowat(UNSENT_MAX);
}

/// What the accepting tasks share.
#[derive(Clone)]
pub struct Acceptor {
    /// What connections share.
    pub core: Arc<Core>,
    /// What the listener allows.
    pub policy: Policy,
    /// True where the listener takes frames without TLS from everybody.
    pub plain: bool,
    /// From where else they are taken.
    pub plaintext_from: Arc<[Network]>,
    /// Who the server is to those that use TLS.
    pub identity: Arc<Identity>,
    /// A place for each connection there may be.
    pub places: Arc<Semaphore>,
    /// Who may connect.
    pub admission: Arc<Admission>,
    /// The connections there are.
    pub connections: Arc<Connections>,
    /// Told when to stop accepting.
    pub stop: CancellationToken,
}

/// How failing accepts are waited out.
#[derive(Debug)]
struct Backoff {
    wait: Duration,
    /// When a failure was logged last, on the clock that never jumps.
    logged: Option<Duration>,
}

impl Backoff {
    fn new() -> Backoff {
        Backoff { wait: WAIT_MIN, logged: None }
    }

    fn accepted(&mut self) {
        self.wait = WAIT_MIN;
    }

    /// How long a failure at `now` is waited out, and whether it is logged.
    fn failed(&mut self, now: Duration) -> (Duration, bool) {
        let wait = self.wait;
        self.wait = (wait * 2).min(WAIT_MAX);
        let log = self.logged.is_none_or(|at| at + LOG_EVERY <= now);
        if log {
            self.logged = Some(now);
        }
        (wait, log)
    }
}

impl Acceptor {
    /// Accepts connections until told to stop.
    pub async fn run(self, listener: TcpListener) {
        let mut backoff = Backoff::new();
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = self.accept(&listener) => accepted,
            };
            match accepted {
                Ok(()) => backoff.accepted(),
                Err(error) => {
                    let (wait, log) = backoff.failed(self.core.clock.now().up);
                    if log {
                        tracing::warn!(%error, "cannot accept connections; trying on");
                    }
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<()> {
        let place = match self.places.clone().acquire_owned().await {
            Ok(place) => place,
            Err(closed) => return Err(io::Error::other(closed)),
        };
        let (stream, peer) = listener.accept().await?;
        let core = &self.core;
        let plain = self.plain || self.plaintext_from.iter().any(|network| network.holds(peer.ip()));
        let permit = match self.admission.admit(peer.ip(), core.clock.now().up) {
            Ok(permit) => permit,
            Err(refused) => {
                match refused {
                    Refused::Address => core.counters.refused_addr.one(),
                    Refused::Unauthenticated => core.counters.refused_unauth.one(),
                }
                tracing::debug!(%peer, ?refused, "a connection too many");
                if plain {
                    turn_away(&stream);
                }
                return Ok(());
            }
        };
        core.counters.accepted.one();
        prepare(&stream);
        let outbox = Arc::new(Outbox::new(core.limits.outbox, core.memory.outboxes.clone()));
        let id = core.hub.next_session().0;
        let caller = Caller::new(core.clone(), self.policy, outbox.clone());
        let entrance = Entrance { plain, identity: self.identity.clone() };
        let conn = Conn::new(stream, entrance, caller, permit);
        let counted = core.clone();
        let conn = noticing_panics(conn, move || counted.counters.panicked.one());
        self.connections.run(id, outbox, place, conn);
        Ok(())
    }
}

/// A connection that there is no room for learns why, as far as that is possible without waiting for it: inside TLS it
/// is not.
fn turn_away(stream: &TcpStream) {
    let mut notice = Vec::new();
    text::put_error(&mut notice, NOTICE, Code::BUSY, "too many connections; try again in a moment");
    let _ = stream.try_write(&notice);
}

/// Sets what a connection needs; a system that does not know an option goes without it.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let (after, every, times) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(after).with_interval(every);
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(times);
    #[cfg(windows)]
    let _ = times;
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux doubles what is asked for.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connections_have_the_buffers_of_their_listener() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut seen = Vec::new();
        for buffers in [None, Some(4_096), Some(64 * 1024)] {
            let listener = listen_all(&[Listen { addr, optional: false }], buffers).unwrap().remove(0);
            let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let socket = SockRef::from(&stream);
            let sizes = (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap());
            seen.push((sizes, socket.tcp_notsent_lowat().unwrap()));
        }
        assert_eq!(seen[1..], [((8_192, 8_192), UNSENT_MAX), ((131_072, 131_072), UNSENT_MAX)]);
        assert!(seen[0].0 != seen[1].0 && seen[0].1 != UNSENT_MAX, "{seen:?}");
    }

    /// Accepting that always fails costs a hundred tries in the first minute and a half, and a line in ten seconds.
    #[test]
    fn a_failing_accept_is_waited_out_longer_each_time_and_logged_now_and_then() {
        let mut backoff = Backoff::new();
        let (mut now, mut tries, mut lines, mut waits) = (Duration::ZERO, 0, 0, Vec::new());
        while now < Duration::from_secs(90) {
            let (wait, log) = backoff.failed(now);
            waits.push(wait.as_millis());
            (tries, lines, now) = (tries + 1, lines + u32::from(log), now + wait);
        }
        assert_eq!(waits[..9], [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        assert!((90..=97).contains(&tries) && (8..=9).contains(&lines), "{tries} tries, {lines} lines");
        backoff.accepted();
        assert_eq!(backoff.failed(now).0, WAIT_MIN, "after a success it begins anew");
    }

    /// The entry of a connection that panicked stayed for ever.
    #[tokio::test]
    async fn nothing_is_left_of_a_connection_however_it_ends() {
        let (connections, places) = (Arc::new(Connections::default()), Arc::new(Semaphore::new(3)));
        let outbox = || Arc::new(Outbox::alone(1));
        let place = || places.clone().try_acquire_owned().unwrap();
        let panics = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let notice = || {
            let panics = panics.clone();
            move || {
                panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        };
        connections.run(1, outbox(), place(), noticing_panics(async {}, notice()));
        connections.run(2, outbox(), place(), noticing_panics(async { panic!("on purpose") }, notice()));
        connections.run(3, outbox(), place(), std::future::pending());
        assert_eq!((connections.live.len(), places.available_permits()), (3, 0));
        connections.live.get(&3).unwrap().1.abort();
        connections.tasks.close();
        connections.tasks.wait().await;
        assert_eq!((connections.live.len(), places.available_permits()), (0, 3));
        assert_eq!(
            panics.load(std::sync::atomic::Ordering::Relaxed),
            1,
            "a panic is counted, and no other end"
        );
    }
}
