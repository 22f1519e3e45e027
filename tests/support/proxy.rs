//! A network between a client and a server that does what networks do: it is slow, cuts what was written together into
//! pieces, ends in the middle of a frame, or takes everything and brings nothing.
//!
//! A proxy listens on an address of its own and makes a connection to the server for each that comes. What it does each
//! way is a [`Way`]; what is done to all at once, while they live, are its methods.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::random::Random;

/// How often a pump looks at whether something was done to it.
const LOOK: Duration = Duration::from_millis(20);

/// How a connection ends after its last byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Both ways, as a program ends a connection.
    #[default]
    Close,
    /// With a reset, as a machine does that knows of no connection.
    Reset,
    /// This way only; the other one stays open.
    HalfClose,
}

/// What is done to the bytes that go one way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// They arrive so much later.
    pub latency: Duration,
    /// No more than so many a second; no limit where it is 0.
    pub rate: usize,
    /// In pieces of at most so many bytes, each of its own length; unchanged where it is 0.
    pub slice: usize,
    /// After so many bytes the connection ends.
    pub cut: Option<(u64, End)>,
}

/// What is done both ways.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// From the client to the server.
    pub up: Way,
    /// From the server to the client.
    pub down: Way,
    /// Decides the lengths of pieces.
    pub seed: u64,
}

/// What the pumps look at.
#[derive(Default)]
struct Shared {
    hole_up: AtomicBool,
    hole_down: AtomicBool,
    stop: AtomicBool,
    accepted: AtomicU64,
    links: Mutex<Vec<[TcpStream; 2]>>,
}

/// A proxy before a server.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy that does this to every connection.
    pub fn start(server: SocketAddr, plan: Plan) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        // Ends with the proxy, which knocks once more.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                // A server that is gone is a connection that ends at once.
                let Ok(server) = TcpStream::connect(server) else { continue };
                let number = accepting.accepted.fetch_add(1, Ordering::Relaxed);
                let mut random = Random::new(plan.seed ^ number);
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                    stream.set_read_timeout(Some(LOOK)).unwrap();
                }
                let link = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                accepting.links.lock().unwrap().push(link);
                for (from, to, way, upward) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap(), plan.up, true),
                    (server, client, plan.down, false),
                ] {
                    let (shared, random) = (accepting.clone(), Random::new(random.next()));
                    thread::spawn(move || Pump { from, to, way, upward, random, shared, passed: 0 }.run());
                }
            }
        });
        Proxy { addr, shared }
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections came.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// From now on takes everything and brings nothing; ends are not told either.
    pub fn swallow(&self, up: bool, down: bool) {
        self.shared.hole_up.store(up, Ordering::Relaxed);
        self.shared.hole_down.store(down, Ordering::Relaxed);
    }

    /// Resets every connection there is, both sides.
    pub fn reset_all(&self) {
        for [client, server] in std::mem::take(&mut *self.shared.links.lock().unwrap()) {
            reset(&client);
            reset(&server);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for stream in self.shared.links.lock().unwrap().iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.addr);
    }
}

/// Ends a connection so that the other side sees a reset, whoever else holds the socket.
fn reset(stream: &TcpStream) {
    #[cfg(unix)]
    let _ = rustix::net::connect_unspec(stream);
    let _ = stream.shutdown(Shutdown::Both);
}

/// Carries the bytes of one way.
struct Pump {
    from: TcpStream,
    to: TcpStream,
    way: Way,
    upward: bool,
    random: Random,
    shared: Arc<Shared>,
    passed: u64,
}

impl Pump {
    fn run(mut self) {
        let mut chunk = [0; 64 * 1024];
        while !self.shared.stop.load(Ordering::Relaxed) {
            let read = self.from.read(&mut chunk);
            match read {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ if self.is_hole() => {
                    if !matches!(read, Ok(1..)) {
                        // It ended, and the other side never learns it.
                        // Nothing comes of it any more, and the hole may be closed.
                        thread::sleep(LOOK);
                    }
                }
                Ok(0) => {
                    let _ = self.to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(count) => {
                    if !self.pass(&chunk[..count]) {
                        return;
                    }
                }
                Err(_) => return reset(&self.to),
            }
        }
    }

    fn is_hole(&self) -> bool {
        let hole = if self.upward { &self.shared.hole_up } else { &self.shared.hole_down };
        hole.load(Ordering::Relaxed)
    }

    /// Returns whether the connection goes on.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        thread::sleep(self.way.latency);
        while !bytes.is_empty() {
            let mut len = bytes.len();
            if self.way.slice > 0 {
                len = len.min(1 + self.random.below(self.way.slice as u64) as usize);
            }
            if let Some((at, end)) = self.way.cut {
                let left = at.saturating_sub(self.passed);
                if left == 0 {
                    self.end(end);
                    return false;
                }
                len = len.min(usize::try_from(left).unwrap_or(len));
            }
            if self.to.write_all(&bytes[..len]).is_err() {
                reset(&self.from);
                return false;
            }
            self.passed += len as u64;
            bytes = &bytes[len..];
            if self.way.rate > 0 {
                thread::sleep(Duration::from_secs_f64(len as f64 / self.way.rate as f64));
            }
        }
        if let Some((at, end)) = self.way.cut
            && self.passed >= at
        {
            self.end(end);
            return false;
        }
        true
    }

    fn end(&self, end: End) {
        match end {
            End::Close => {
                let _ = self.to.shutdown(Shutdown::Both);
                let _ = self.from.shutdown(Shutdown::Both);
            }
            End::Reset => {
                reset(&self.to);
                reset(&self.from);
            }
            End::HalfClose => drop(self.to.shutdown(Shutdown::Write)),
        }
    }
}
