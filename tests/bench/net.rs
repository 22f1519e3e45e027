//! Connections of the load: logged in one step after the other, then driven by one thread that waits for all of them.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bellhop_tests::bounded::connect_from;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;
use rustls::{ClientConfig, ClientConnection};

use crate::proto::State;

/// How long a login may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What one read takes at most.
pub(crate) const SCRATCH: usize = 1 << 18;

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its address.
    pub(crate) addr: SocketAddr,
    /// TLS, where it is spoken.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// A connection, plain or TLS, and what came on it and is not used yet.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    unread: Vec<u8>,
}

impl Link {
    /// Connects from an address of this machine.
    pub(crate) fn connect(place: &Place, from: IpAddr) -> io::Result<Link> {
        let stream = connect_from(from, place.addr, None)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut link = Link { stream, tls: None, unread: Vec::new() };
        if let Some(config) = &place.tls {
            let mut tls =
                ClientConnection::new(config.clone(), place.addr.ip().into()).map_err(io::Error::other)?;
            while tls.is_handshaking() || tls.wants_write() {
                tls.complete_io(&mut link.stream)?;
            }
            link.tls = Some(Box::new(tls));
        }
        Ok(link)
    }

    /// What was accepted.
    pub(crate) fn accepted(stream: TcpStream) -> Link {
        Link { stream, tls: None, unread: Vec::new() }
    }

    /// Writes all of it; for logins.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).write_all(bytes),
        }
    }

    /// Reads until `done` says how many bytes the answer has, and takes those; for logins.
    pub(crate) fn hear(&mut self, done: impl Fn(&[u8]) -> Option<usize>) -> io::Result<Vec<u8>> {
        let mut scratch = [0; 16 * 1024];
        loop {
            if let Some(len) = done(&self.unread) {
                return Ok(self.unread.drain(..len).collect());
            }
            match self.read(&mut scratch)? {
                0 => return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed during a login")),
                len => self.unread.extend_from_slice(&scratch[..len]),
            }
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// Writes what the system takes; how much of `bytes` is out of our hands.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        let taken = if bytes.is_empty() { 0 } else { tls.writer().write(bytes)? };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn has_unwritten(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }
}

/// Waits for many connections at once.
pub(crate) struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    /// One that waits for nothing yet.
    pub(crate) fn new() -> Poll {
        Poll { epoll: epoll::create(CreateFlags::CLOEXEC).unwrap() }
    }

    /// Waits for this too, by this number.
    pub(crate) fn add(&self, what: impl AsFd, number: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, what, EventData::new_u64(number as u64), EventFlags::IN)?)
    }

    /// Waits for something, for so many µs at most; the numbers of the connections that can be read or written.
    pub(crate) fn wait(&self, micros: i64, ready: &mut Vec<usize>) {
        let timeout = Timespec { tv_sec: micros / 1_000_000, tv_nsec: micros % 1_000_000 * 1_000 };
        let mut events = [MaybeUninit::uninit(); 512];
        ready.clear();
        match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Ok((events, _)) => ready.extend(events.iter().map(|event| event.data.u64() as usize)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
    }
}

/// A connection that is logged in and driven.
#[derive(Debug)]
pub(crate) struct Conn {
    link: Link,
    number: u64,
    /// What waits to be written.
    pub(crate) out: Vec<u8>,
    written: usize,
    waits_for_room: bool,
    /// What the protocol keeps of it.
    pub(crate) state: State,
}

impl Conn {
    /// Drives a connection from now on; `number` is what [`Poll::wait`] calls it.
    pub(crate) fn new(link: Link, state: State, number: usize, poll: &Poll) -> io::Result<Conn> {
        link.stream.set_nonblocking(true)?;
        poll.add(&link.stream, number)?;
        Ok(Conn { link, number: number as u64, out: Vec::new(), written: 0, waits_for_room: false, state })
    }

    /// Reads once; `used` is given all that is not used yet, and says how much of it it used.
    pub(crate) fn read(
        &mut self,
        scratch: &mut [u8],
        used: impl FnOnce(&mut State, &[u8], &mut Vec<u8>) -> Result<usize, String>,
    ) -> Result<(), String> {
        let kept = self.link.unread.len();
        scratch[..kept].copy_from_slice(&self.link.unread);
        let all = match self.link.read(&mut scratch[kept..]) {
            Ok(0) => return Err("the server closed the connection".to_owned()),
            Ok(len) => kept + len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let used = used(&mut self.state, &scratch[..all], &mut self.out)?;
        self.link.unread.clear();
        self.link.unread.extend_from_slice(&scratch[used..all]);
        Ok(())
    }

    /// Gives what came with the login to `used`.
    pub(crate) fn read_rest(
        &mut self,
        used: impl FnOnce(&mut State, &[u8], &mut Vec<u8>) -> Result<usize, String>,
    ) -> Result<(), String> {
        let rest = std::mem::take(&mut self.link.unread);
        let used = used(&mut self.state, &rest, &mut self.out)?;
        self.link.unread.extend_from_slice(&rest[used..]);
        Ok(())
    }

    /// Writes what the system takes, and has the rest written when it takes more.
    pub(crate) fn flush(&mut self, poll: &Poll) -> Result<(), String> {
        while self.written < self.out.len() || self.link.has_unwritten() {
            match self.link.write(&self.out[self.written..]) {
                Ok(len) => self.written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.want_room(true, poll).map_err(|error| error.to_string());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        self.out.clear();
        self.written = 0;
        self.want_room(false, poll).map_err(|error| error.to_string())
    }

    fn want_room(&mut self, wanted: bool, poll: &Poll) -> io::Result<()> {
        if std::mem::replace(&mut self.waits_for_room, wanted) != wanted {
            let flags = if wanted { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&poll.epoll, &self.link.stream, EventData::new_u64(self.number), flags)?;
        }
        Ok(())
    }
}
