//! Opens a connection: all addresses, a quarter of a second apart, until one answers; then TLS, unless the server is on
//! this machine.
//!
//! To another machine there is TLS or nothing. On this machine nobody listens in, and a tunnel ends here: frames go in
//! plain, unless TLS was asked for, or the server's identity was given or kept before.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::chain::Chain;
use super::tls::{Accepted, TlsError, secure};
use super::trust::{Known, Untrusted};
use crate::config::{Server, Trust};
use crate::event::{Guard, Secured};
use crate::fingerprint::Fingerprint;
use crate::home::Home;
use crate::known::{Entry, KnownServers};

/// RFC 8305, section 8: how long an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// What frames are spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection.
pub(crate) struct Dialed {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) identity: Identity,
    /// The same for people.
    pub(crate) secured: Secured,
}

/// Why there is no connection.
pub(crate) enum DialError {
    /// A sentence for a person.
    Failed(String),
    /// The server is not who it should be, or nobody knows.
    Untrusted(Box<Untrusted>),
}

/// Whom a connection leads to, for whoever keeps something that is for this server alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Whoever answers on this machine.
    Plain,
    /// Whom an authority vouches for.
    Authority,
    /// Whoever has this key.
    Key(Chain),
}

/// Where something came from; kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Plain,
    Authority,
    Key(Fingerprint),
}

impl Identity {
    /// Where what this server gives comes from.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Identity::Plain => Origin::Plain,
            Identity::Authority => Origin::Authority,
            Identity::Key(chain) => Origin::Key(chain.key),
        }
    }

    /// True if and only if this is the server that gave it: the same key, or one that the old key vouches for.
    pub(crate) fn gave(&self, origin: Origin) -> bool {
        let vouched = |chain: &Chain| chain.before.iter().any(|key| Origin::Key(*key) == origin);
        self.origin() == origin || matches!(self, Identity::Key(chain) if vouched(chain))
    }
}

impl Origin {
    /// Reads what [`Origin::kept`] wrote. Before there was TLS nothing was written.
    pub(crate) fn read(text: Option<&str>) -> Option<Origin> {
        match text {
            None => Some(Origin::Plain),
            Some("ca") => Some(Origin::Authority),
            Some(key) => key.parse().map(Origin::Key).ok(),
        }
    }

    pub(crate) fn kept(self) -> Option<String> {
        match self {
            Origin::Plain => None,
            Origin::Authority => Some("ca".into()),
            Origin::Key(key) => Some(key.to_string()),
        }
    }
}

/// Connects to `server`, as far as `home` and `trust` allow.
pub(crate) async fn dial(server: &Server, home: &Home, trust: &Trust) -> Result<Dialed, DialError> {
    let local = |error: &dyn std::fmt::Display| DialError::Failed(error.to_string());
    let servers = KnownServers::of(home);
    let known = servers.find(server).map_err(|error| local(&error))?;
    let encrypted = trust.wants_tls(server) || known.is_some();
    let socket = connect(server, encrypted).await.map_err(DialError::Failed)?;
    if !encrypted {
        let secured = Secured { guard: Guard::Plain, moved_from: None };
        return Ok(Dialed { stream: Box::new(socket), identity: Identity::Plain, secured });
    }
    let before = known.as_ref().map(|entry| entry.known);
    let Accepted { stream, chain, by, keep, moved_from } =
        secure(socket, server, trust, before).await.map_err(|error| match error {
            TlsError::Failed(reason) => DialError::Failed(reason),
            TlsError::Untrusted(shown, doubt) => {
                DialError::Untrusted(Box::new(Untrusted { server: server.clone(), shown, doubt }))
            }
        })?;
    if keep {
        servers.replace(server, before, by).map_err(|error| local(&error))?;
    }
    let since = known.filter(|_| !keep).and_then(|Entry { since, .. }| since);
    let key = chain.key;
    let (guard, identity) = match by {
        Known::Key(_) => (Guard::Key { key, since }, Identity::Key(chain)),
        Known::Authority => (Guard::Authority { key, since }, Identity::Authority),
    };
    // A file that could not be trusted said so above; what moved only in an argument is nobody's news.
    let moved_from = moved_from.filter(|_| keep);
    Ok(Dialed { stream: Box::new(stream), identity, secured: Secured { guard, moved_from } })
}

/// A socket to the server; without encryption to this machine alone, whatever its name resolves to.
async fn connect(server: &Server, encrypted: bool) -> Result<TcpStream, String> {
    let found = lookup_host((server.host(), server.port())).await;
    let found = found.map_err(|_| format!("cannot find {}: unknown host", server.host()))?;
    let addresses = found.filter(|address| encrypted || address.ip().is_loopback()).collect();
    match race(by_turns(addresses), TcpStream::connect).await {
        Ok(socket) => {
            // Frames are small and wait for each other; a delayed one costs a round trip. Where it cannot be set,
            // everything still works.
            let _ = socket.set_nodelay(true);
            Ok(socket)
        }
        Err(error) => Err(format!("cannot reach {server}: {}", reason(&error))),
    }
}

/// The addresses so that the two families take turns, the first one's first: where one family leads nowhere, the
/// other has its turn next. RFC 8305, section 4.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let longer = ours.len().max(others.len());
    (0..longer).flat_map(|at| [ours.get(at), others.get(at)]).flatten().copied().collect()
}

/// The first connection to any of `addresses`; else the last error. A next address is tried when the ones before have
/// failed, or have had their head start.
async fn race<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut left = addresses.into_iter().peekable();
    let mut running = FuturesUnordered::new();
    let mut last = io::Error::from(ErrorKind::NotFound);
    loop {
        running.extend(left.next().map(&connect));
        let ended = match left.peek() {
            Some(_) => timeout(HEAD_START, running.next()).await,
            None => Ok(running.next().await),
        };
        match ended {
            Ok(Some(Ok(socket))) => return Ok(socket),
            Ok(Some(Err(error))) => last = error,
            // All have failed.
            Ok(None) => return Err(last),
            // The head start is over.
            Err(_) => {}
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused: is the server running?".into(),
        ErrorKind::TimedOut => "timed out".into(),
        ErrorKind::NotFound => "the host has no address".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, number], 2_050))
    }

    /// Connects to 127.0.0.9, is refused by those below it, and hears nothing of those above.
    async fn world(address: SocketAddr) -> io::Result<SocketAddr> {
        match address.ip().to_string().as_str() {
            "127.0.0.9" => Ok(address),
            below if below < "127.0.0.9" => Err(ErrorKind::ConnectionRefused.into()),
            _ => pending().await,
        }
    }

    fn raced(numbers: &[u8]) -> io::Result<SocketAddr> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let addresses = numbers.iter().map(|number| address(*number)).collect();
        runtime.block_on(async {
            timeout(Duration::from_secs(8), race(addresses, world))
                .await
                .expect("it does not wait for the dead")
        })
    }

    /// The whole time for a connection went to an address that never answers.
    #[test]
    fn a_dead_address_holds_nobody_up() {
        for numbers in [&[9][..], &[1, 9], &[99, 9], &[99, 1, 98, 9, 97]] {
            assert_eq!(raced(numbers).expect("connected"), address(9), "{numbers:?}");
        }
        assert_eq!(raced(&[1, 2]).map_err(|error| error.kind()), Err(ErrorKind::ConnectionRefused));
        assert_eq!(raced(&[]).map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    }

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let [a, b, c, d] = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(parse);
        assert_eq!(by_turns(vec![a, b, c, d]), [a, d, b, c]);
        assert_eq!(by_turns(vec![d, a, b]), [d, a, b]);
        assert_eq!(by_turns(Vec::new()), []);
    }
}
