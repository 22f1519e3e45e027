//! Opens a connection: all addresses, a quarter of a second apart, until one answers; then the stream that everything
//! is spoken over.
//!
//! The stream is a trait object: a plain socket here, and the place where an encrypted one goes.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::config::Server;

/// RFC 8305, section 8: how long an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// What frames are spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to `server`; the error is a sentence for a person.
pub(crate) async fn dial(server: &Server) -> Result<Box<dyn Stream>, String> {
    let found = lookup_host((server.host(), server.port())).await;
    let addresses = found.map_err(|_| format!("cannot find {}: unknown host", server.host()))?;
    match race(by_turns(addresses.collect()), TcpStream::connect).await {
        Ok(socket) => {
            // Frames are small and wait for each other; a delayed one costs a round trip. Where it cannot be set,
            // everything still works.
            let _ = socket.set_nodelay(true);
            Ok(Box::new(socket))
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
