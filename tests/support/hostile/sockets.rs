//! Hostile cases over real sockets, plain and in TLS, at the real program in the memory that is promised, while two honest
//! people go on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::honest::Honest;
use super::swift::Watch;
use super::{Case, judge};
use crate::bounded::{Bounded, connect_from, source};
use crate::tls::client_config;
use crate::wait::PATIENCE;

/// Connections at a time.
const PEERS: usize = 8;
/// Addresses of each of them.
const ADDRESSES: u32 = 250;
/// One case of so many is said in TLS.
const TLS_EACH: usize = 8;
/// One of so many is said in two pieces.
const PIECES_EACH: usize = 5;

/// What is on here is all that protects memory, files and places. What only slows down whoever asks too much is off: it
/// would make a case take as long as it should. A full mailbox is one more answer, and a long one would be read again by
/// every case that reads.
const ARGS: [&str; 12] = [
    "--limit",
    "sends=off",
    "--limit",
    "unknown-rate=off",
    "--limit",
    "list-rate=off",
    "--limit",
    "login-fail=off",
    "--limit",
    "mailbox=100",
    "--limit",
    "mailbox-sender=off",
];

/// What the cases met.
#[derive(Debug)]
pub struct Met {
    /// The most memory that the server had, in MiB.
    pub rss_mib: u64,
    /// How many messages the honest ones said.
    pub said: u64,
    /// The longest that an answer took.
    pub longest: Duration,
}

/// Says all these cases, and fails where one is not answered as it should be, memory goes beyond its bound, or the honest
/// ones lose anything.
pub fn over_sockets(cases: &[Case]) -> Met {
    let server = Bounded::start(&ARGS);
    let (addr, next, watch) = (server.addr(), AtomicUsize::new(0), Watch::over(PEERS));
    let config = Arc::new(client_config(server.server.fingerprint()));
    let mut honest = Honest::meet(addr);
    std::thread::scope(|scope| {
        let peers: Vec<_> = (0..PEERS)
            .map(|peer| {
                let (next, watch, config) = (&next, &watch, &config);
                scope.spawn(move || {
                    let mut turn = 0;
                    while let Some((number, case)) = taken(cases, next) {
                        turn += 1;
                        let from = peer as u32 * ADDRESSES + turn % ADDRESSES;
                        say(addr, number, case, &Peer { peer, from, config, watch });
                    }
                })
            })
            .collect();
        while !peers.iter().all(|peer| peer.is_finished()) {
            watch.look();
            match next.load(Ordering::Relaxed) as u64 / 100 > honest.said() {
                true => honest.talk(),
                // Nothing to wait for: a look now and then leaves the processor to the cases.
                false => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    honest.talk();
    let said = honest.said();
    honest.lost_nothing();
    Met { rss_mib: server.memory_was_bounded(), said, longest: watch.longest() }
}

fn taken<'a>(cases: &'a [Case], next: &AtomicUsize) -> Option<(usize, &'a Case)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    cases.get(number).map(|case| (number, case))
}

struct Peer<'a> {
    peer: usize,
    from: u32,
    config: &'a Arc<ClientConfig>,
    watch: &'a Watch,
}

fn say(addr: SocketAddr, number: usize, case: &Case, peer: &Peer<'_>) {
    let said = [case.state.prelude(&format!("mallory{}", peer.peer)), case.bytes.clone()].concat();
    let pieces = if number.is_multiple_of(PIECES_EACH) { 2 } else { 1 };
    let answer = peer.watch.answers(peer.peer, case, || {
        let stream = connect_from(source(peer.from), addr, None).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        match number % TLS_EACH {
            0 => in_tls(stream, peer.config, &said, pieces),
            _ => in_plain(stream, &said, pieces),
        }
    });
    judge(&said, &answer);
}

/// Writes in so many pieces. What the server does not take any more it has said why, or it is judged for that.
fn write(mut to: impl Write, said: &[u8], pieces: usize) {
    for piece in said.chunks(said.len().div_ceil(pieces).max(1)) {
        if to.write_all(piece).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn in_plain(mut stream: TcpStream, said: &[u8], pieces: usize) -> Vec<u8> {
    write(&stream, said, pieces);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{error} after {said:02x?}"));
    answer
}

fn in_tls(stream: TcpStream, config: &Arc<ClientConfig>, said: &[u8], pieces: usize) -> Vec<u8> {
    let server = stream.peer_addr().unwrap().ip();
    let client = ClientConnection::new(config.clone(), server.into()).unwrap();
    let mut tls = StreamOwned::new(client, stream);
    // Who says nothing has said hello first.
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock).unwrap();
    }
    write(&mut tls, said, pieces);
    tls.conn.send_close_notify();
    let _ = tls.flush();
    let _ = tls.sock.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{error} in TLS after {said:02x?}"));
    answer
}
