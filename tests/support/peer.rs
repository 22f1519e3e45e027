//! A peer that says exactly what a test wants, and reads exactly what comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bellhop_protocol::item::Ack;
use bellhop_protocol::op::ANSWER;
use bellhop_protocol::post::Post;
use bellhop_protocol::session::Hello;
use bellhop_protocol::{Address, DeviceId, OpCode, Reply, Request, frame};
use rustls::{ClientConfig, ClientConnection};

use crate::tls::client_config;
use crate::wait::PATIENCE;

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// Its op-code.
    pub op: u8,
    /// Its data.
    pub data: Vec<u8>,
}

impl Got {
    /// Its data as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.data).unwrap()
    }

    /// What it means.
    pub fn reply(&self) -> Reply<'_> {
        Reply::decode(self.op, &self.data).unwrap()
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    unread: Vec<u8>,
    /// Frames with op-code 06, 09 or 0C that came while an answer was awaited.
    pub pushed: Vec<Got>,
}

impl Peer {
    /// Connects.
    pub fn connect(addr: SocketAddr) -> Peer {
        Peer::over(TcpStream::connect(addr).unwrap())
    }

    /// Speaks over a connection that is there.
    pub fn over(stream: TcpStream) -> Peer {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Peer { stream, tls: None, unread: Vec::new(), pushed: Vec::new() }
    }

    /// Connects by TLS to the server with this fingerprint.
    pub fn connect_tls(addr: SocketAddr, fingerprint: &str) -> Peer {
        Peer::try_tls(addr, client_config(fingerprint)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Connects by TLS, or says why the handshake failed.
    pub fn try_tls(addr: SocketAddr, config: ClientConfig) -> std::io::Result<Peer> {
        Peer::connect(addr).secure(config)
    }

    /// Begins to speak TLS, or says why the handshake failed.
    pub fn secure(mut self, config: ClientConfig) -> std::io::Result<Peer> {
        let server = self.stream.peer_addr()?.ip();
        let mut tls = ClientConnection::new(config.into(), server.into()).unwrap();
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(&mut self.stream)?;
        }
        self.tls = Some(Box::new(tls));
        Ok(self)
    }

    /// Connects and logs in, or creates the account first.
    pub fn login(addr: SocketAddr, name: &str) -> Peer {
        let mut peer = Peer::connect(addr);
        peer.enter(name);
        peer
    }

    /// Connects with the extension, and logs in or creates the account.
    pub fn hello(addr: SocketAddr, name: &str, device: u8) -> Peer {
        let mut peer = Peer::greet(addr, device);
        peer.enter(name);
        peer
    }

    /// Connects with the extension.
    pub fn greet(addr: SocketAddr, device: u8) -> Peer {
        let mut peer = Peer::connect(addr);
        peer.say_hello(device);
        peer
    }

    /// Says HELLO.
    pub fn say_hello(&mut self, device: u8) {
        self.ask_features(device, 0);
    }

    /// Says HELLO with these features; returns those that it got.
    pub fn ask_features(&mut self, device: u8, features: u32) -> u32 {
        let hello = Hello { version: 1, device: DeviceId([device; 16]), features, agent: "test" };
        self.request(&Request::Hello(hello));
        match self.answer(OpCode::Hello.answer()).reply() {
            Reply::Welcome(welcome) => welcome.features,
            other => panic!("{other:?}"),
        }
    }

    /// Logs in, or creates the account.
    pub fn enter(&mut self, name: &str) {
        let answer = self.ask(OpCode::Login, name);
        if answer.starts_with("error|no-such-user|") {
            let created = self.ask(OpCode::Create, name);
            assert!(created.starts_with("ok|"), "{created}");
        } else {
            assert!(answer.starts_with("ok|"), "{answer}");
        }
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => self.stream.write_all(bytes).unwrap(),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).write_all(bytes).unwrap(),
        }
    }

    /// Says by TLS that other keys hold from now on, on either side.
    pub fn refresh_keys(&mut self) {
        let tls = self.tls.as_mut().unwrap();
        tls.refresh_traffic_keys().unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut self.stream).unwrap();
        }
    }

    /// Writes as much as the server takes.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Writes a frame.
    pub fn send(&mut self, op: OpCode, data: &str) {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, op.byte(), data.as_bytes());
        self.write(&bytes);
    }

    /// Writes a request.
    pub fn request(&mut self, request: &Request<'_>) {
        self.write(&request.to_bytes());
    }

    /// Writes a POST.
    pub fn post(&mut self, counter: u64, to: &str, text: &str, receipts: bool) {
        let to = Address::parse(to).unwrap();
        self.request(&Request::Post(Post { counter, receipts, to, text }));
    }

    /// Writes an ACK.
    pub fn ack(&mut self, first: u64, last: u64) {
        let mut bytes = Vec::new();
        Ack::put(&[(first, last)], &mut bytes);
        self.write(&bytes);
    }

    /// Reads the next frame; `None` where the server closed.
    pub fn read(&mut self) -> Option<Got> {
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some(frame) = frame::parse(&self.unread, frame::LIMIT_MAX).unwrap() {
                let got = Got { op: frame.op, data: frame.data.to_vec() };
                let len = frame.wire_len();
                self.unread.drain(..len);
                return Some(got);
            }
            let read = match &mut self.tls {
                None => self.stream.read(&mut chunk),
                Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).read(&mut chunk),
            };
            match read {
                Ok(0) => {
                    assert!(self.unread.is_empty(), "closed within a frame");
                    return None;
                }
                Ok(count) => self.unread.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// Reads the next frame, which must come.
    #[expect(clippy::should_implement_trait, reason = "a peer has no end that an iterator would need")]
    pub fn next(&mut self) -> Got {
        self.read().expect("the connection is open")
    }

    /// Reads until the frame with this op-code; what is pushed meanwhile is kept in [`Peer::pushed`].
    pub fn answer(&mut self, op: u8) -> Got {
        loop {
            let got = self.next();
            if got.op == op {
                return got;
            }
            assert!([0x06, 0x09, 0x0C].contains(&got.op), "unexpected {got:?} while waiting for {op:#04x}");
            self.pushed.push(got);
        }
    }

    /// Asks one of the seven operations and returns its answer.
    pub fn ask(&mut self, op: OpCode, data: &str) -> String {
        self.send(op, data);
        self.answer(op.byte() | ANSWER).text().to_owned()
    }

    /// The next pushed frame: one kept, or the next that comes.
    pub fn push(&mut self) -> Got {
        if self.pushed.is_empty() { self.next() } else { self.pushed.remove(0) }
    }

    /// The texts of what op 6 brings, and the count in its answer.
    pub fn deliver(&mut self) -> (Vec<String>, String) {
        let before = self.pushed.len();
        let answer = self.ask(OpCode::Deliver, "");
        let brought = self.pushed.split_off(before).iter().map(|got| got.text().to_owned()).collect();
        (brought, answer)
    }

    /// Nothing comes and the connection stays: an answer to a harmless request is the next thing read.
    pub fn is_quiet(&mut self) {
        assert!(self.pushed.is_empty(), "{:?}", self.pushed);
        self.send(OpCode::List, "nobody-has-such-a-name");
        let got = self.next();
        assert_eq!((got.op, got.text()), (OpCode::List.answer(), "ok"), "something came");
    }

    /// The server closes, after this notice.
    pub fn ends_with(&mut self, code: &str) {
        let got = loop {
            let got = self.next();
            if got.op == 0xFF {
                break got;
            }
        };
        assert!(got.text().starts_with(&format!("error|{code}|")), "{}", got.text());
        assert_eq!(self.read(), None);
    }

    /// The same connection once more, to read from it in another thread.
    pub fn split(&mut self) -> Peer {
        assert!(self.tls.is_none(), "TLS has one reader");
        let stream = self.stream.try_clone().unwrap();
        Peer { stream, tls: None, unread: std::mem::take(&mut self.unread), pushed: Vec::new() }
    }

    /// Sends no more, and goes on reading.
    pub fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            tls.complete_io(&mut self.stream).unwrap();
        }
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection so that the other side sees a reset.
    pub fn reset(self) {
        // With unread input, or a linger of zero, closing resets; the latter needs no input.
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}
