//! What connections are tested on: a socket that is a script, a server without sockets, and both sides of a connection.

use std::collections::VecDeque;
use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{JoinHandle, Thread};

use bellhop_protocol::{OpCode, frame};
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::*;
use super::{PATIENCE, bytes};
use crate::auth::Hasher;
use crate::clock::Clock;
use crate::core::{Core, Memory};
use crate::hub::Hub;
use crate::identity::{Files, Identity};
use crate::ids::IdKey;
use crate::keeper::queue::Queue;
use crate::keeper::{self, Keeper};
use crate::limits::Limits;
use crate::net::admission::Admission;
use crate::outbox::Outbox;
use crate::service::Policy;
use crate::store::memory::MemoryStore;
use crate::store::readers::Readers;
use crate::store::{Store, StoreError};

use OpCode::{Create, Login};

/// A listener on which accounts without passwords are made and used.
pub(super) const OPEN: Policy = Policy { open: true, password: false, register: true, holds_names: false };

/// What the operating system holds of a connection.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    pub(super) input: VecDeque<u8>,
    /// True while the runtime knows that there may be input.
    pub(super) noticed: bool,
    /// The most that a read gives, where there is such a bound.
    pub(super) piece: Option<usize>,
    pub(super) output: Vec<u8>,
    /// The other side's TLS, where it uses that.
    pub(super) tls: Option<ClientConnection>,
    /// What the other side says as soon as a frame with this op-code is written, before the write returns.
    pub(super) reaction: Option<(u8, Vec<u8>)>,
    /// Time that passes while the next read is tried.
    pub(super) delay: Option<(Clock, Duration)>,
    /// How many bytes it takes, where there is such a bound.
    pub(super) room: Option<usize>,
    /// TLS said that nothing more comes.
    pub(super) farewell: bool,
    pub(super) closed: bool,
}

impl Kernel {
    /// The other side says something.
    pub(super) fn says(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => self.input.extend(bytes),
            Some(tls) => tls.writer().write_all(bytes).unwrap(),
        }
        self.sends_tls();
    }

    /// The other side says that it says no more.
    pub(super) fn says_farewell(&mut self) {
        self.tls.as_mut().unwrap().send_close_notify();
        self.sends_tls();
    }

    pub(super) fn sends_tls(&mut self) {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut self.input).unwrap();
        }
    }

    /// The other side gets what was written.
    fn gets(&mut self, mut bytes: &[u8]) {
        if self.tls.is_none() {
            self.output.extend_from_slice(bytes);
        }
        while let Some(tls) = self.tls.as_mut().filter(|_| !bytes.is_empty()) {
            tls.read_tls(&mut bytes).unwrap();
            let state = tls.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plain).unwrap();
            self.output.extend(plain);
            self.farewell |= state.peer_has_closed();
        }
        self.sends_tls();
        self.react();
    }

    fn react(&mut self) {
        let (mut at, mut said) = (0, None);
        while let Ok(Some(frame)) = frame::parse(&self.output[at..], frame::LIMIT_MAX) {
            at += frame.wire_len();
            said = said.or(self.reaction.take_if(|(op, _)| *op == frame.op));
        }
        if let Some((_, said)) = said {
            self.says(&said);
            self.noticed = true;
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Script(Arc<Mutex<Kernel>>);

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut kernel = self.0.lock();
        if let Some((clock, time)) = kernel.delay.take() {
            clock.pass(time);
        }
        if !kernel.noticed {
            return Poll::Pending;
        }
        let most = buffer.remaining().min(kernel.piece.unwrap_or(usize::MAX));
        let count = kernel.input.len().min(most);
        // As with tokio on epoll: a short read tells that nothing is left, and the next one does not ask.
        kernel.noticed = count == most;
        if count == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&kernel.input.drain(..count).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut kernel = self.0.lock();
        if kernel.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(kernel.room.unwrap_or(usize::MAX));
        if count == 0 {
            return Poll::Pending;
        }
        kernel.room = kernel.room.map(|room| room - count);
        kernel.gets(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().closed = true;
        Poll::Ready(Ok(()))
    }
}

impl Socket for Script {
    fn is_drained(&self) -> bool {
        self.0.lock().input.is_empty()
    }
}

/// Wakes the thread of a test.
pub(super) struct Unpark(pub(super) Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// A server without sockets, on a store in memory.
pub(super) struct Bench {
    pub(super) core: Arc<Core>,
    pub(super) admission: Arc<Admission>,
    keeper: Option<JoinHandle<Result<(), StoreError>>>,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) identity: Arc<Identity>,
    /// The files of the identity.
    _folder: tempfile::TempDir,
    /// True where connections use TLS.
    pub(super) tls: bool,
}

impl Bench {
    pub(super) fn new(settings: &[&str]) -> Bench {
        Bench::on(Box::new(MemoryStore::default()), settings)
    }

    /// The same twice: connections are plain, and then they use TLS.
    pub(super) fn both(settings: &[&str]) -> [Bench; 2] {
        [false, true].map(|tls| {
            let mut bench = Bench::new(settings);
            bench.tls = tls;
            bench
        })
    }

    /// Messages live in memory alone: what is sent is published where it is sent.
    pub(super) fn in_memory(settings: &[&str]) -> Bench {
        Bench::with(Box::new(MemoryStore::default()), settings, true)
    }

    pub(super) fn on(store: Box<dyn Store>, settings: &[&str]) -> Bench {
        Bench::with(store, settings, false)
    }

    fn with(mut store: Box<dyn Store>, settings: &[&str], in_memory: bool) -> Bench {
        let boot = store.boot().unwrap();
        let ids = IdKey::new(boot.id_key);
        let mut limits = Limits::default();
        settings.iter().for_each(|setting| limits.apply(setting).unwrap());
        let core = Arc::new(Core {
            bounds: limits.bounds(),
            in_memory,
            clock: Clock::start(),
            counters: Default::default(),
            presence: crate::presence::Presence::new(true, &limits),
            hub: Hub::default(),
            memory: Memory::new(&limits),
            queue: Queue::new(limits.pending_writes),
            ids,
            hasher: Hasher::new(1),
            throttle: Arc::new(crate::throttle::Throttle::new(&limits)),
            log: Mutex::default(),
            readers: Readers::start(&*store, ids).unwrap().0,
            node: boot.node.clone(),
            clock_in_doubt: false.into(),
            draining: false.into(),
            stopping: false.into(),
            limits,
        });
        let loaded = keeper::load(&core, &mut *store, &boot).unwrap();
        let keeper = Keeper::new(core.clone(), store, loaded);
        let folder = tempfile::tempdir().unwrap();
        let files = Files::choose(None, folder.path()).unwrap();
        Bench {
            identity: Arc::new(Identity::load(files, core.clock.now()).unwrap()),
            _folder: folder,
            tls: false,
            admission: Arc::new(Admission::new(&core.limits)),
            core,
            keeper: Some(std::thread::spawn(move || keeper.run())),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
        }
    }

    pub(super) fn connect(&self) -> Side<'_> {
        let mut side = self.connect_to(true);
        if self.tls {
            side.shakes_hands(Arc::new(client_config()));
        }
        side
    }

    /// A connection that has said nothing yet.
    pub(super) fn connect_to(&self, plain: bool) -> Side<'_> {
        let policy = OPEN;
        let outbox = Arc::new(Outbox::new(self.core.limits.outbox, self.core.memory.outboxes.clone()));
        let caller = Caller::new(self.core.clone(), policy, outbox);
        let now = self.core.clock.now().up;
        let permit = self.admission.admit([127, 0, 0, 1].into(), now).unwrap();
        let entrance = Entrance { plain, identity: self.identity.clone() };
        let kernel = Script::default();
        let _in = self.runtime.enter();
        let conn = Conn::new(kernel.clone(), entrance, caller, permit);
        Side { bench: self, kernel: kernel.0, conn, turns: 0, over: false }
    }

    /// A connection with an account, which is made where it is not there.
    pub(super) fn enter(&self, name: &str) -> Side<'_> {
        let mut side = self.connect();
        side.enter(name);
        side
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.core.queue.close();
        let ended = self.keeper.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap().unwrap();
        }
    }
}

/// A connection, and its other side.
pub(super) struct Side<'a> {
    pub(super) bench: &'a Bench,
    pub(super) kernel: Arc<Mutex<Kernel>>,
    pub(super) conn: Conn<Script>,
    pub(super) turns: u32,
    pub(super) over: bool,
}

impl Side<'_> {
    /// Begins TLS and ends its handshake.
    pub(super) fn shakes_hands(&mut self, config: Arc<ClientConfig>) {
        let name = "bellhop.invalid".try_into().unwrap();
        let mut tls = ClientConnection::new(config, name).unwrap();
        // A long script is said in one go.
        tls.set_buffer_limit(None);
        self.kernel.lock().tls = Some(tls);
        self.kernel.lock().sends_tls();
        self.ends_handshake();
    }

    /// Ends the handshake that was begun.
    pub(super) fn ends_handshake(&mut self) {
        while !self.kernel.lock().input.is_empty() {
            assert!(!self.over, "the connection is over");
            self.notices();
            self.turn();
        }
        assert!(!self.kernel.lock().tls.as_ref().unwrap().is_handshaking() && !self.over);
    }

    /// Bytes reach the machine; the runtime has not noticed yet.
    pub(super) fn arrives(&self, bytes: &[u8]) {
        self.kernel.lock().says(bytes);
    }

    /// The runtime notices what has arrived.
    pub(super) fn notices(&self) {
        self.kernel.lock().noticed = true;
    }

    pub(super) fn says(&mut self, op: OpCode, data: &str) {
        self.arrives(&bytes(op, data));
        self.notices();
        self.turn();
    }

    pub(super) fn turn(&mut self) {
        if self.over {
            return;
        }
        self.turns += 1;
        assert!(self.turns < 1_000, "the connection does not come to rest");
        let _in = self.bench.runtime.enter();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        self.over = Pin::new(&mut self.conn).poll(&mut Context::from_waker(&waker)).is_ready();
    }

    /// Turns until nothing is awaited but time and the other side.
    pub(super) fn rest(&mut self) {
        loop {
            self.turn();
            let Conn { work, held, caller, .. } = &self.conn;
            let waits = work.is_some() || matches!(held, Some(Hold::Due | Hold::Full));
            if self.over || !waits && caller.outbox.due() == Default::default() {
                // The last answer may have come when the turn was over.
                return self.turn();
            }
            std::thread::park_timeout(PATIENCE);
        }
    }

    /// The next frame that was written.
    pub(super) fn read_bytes(&self) -> Option<(u8, Vec<u8>)> {
        let mut kernel = self.kernel.lock();
        let frame = frame::parse(&kernel.output, frame::LIMIT_MAX).unwrap()?;
        let (read, len) = ((frame.op, frame.data.to_vec()), frame.wire_len());
        kernel.output.drain(..len);
        Some(read)
    }

    /// The next frame that was written, as op-code and text.
    pub(super) fn read(&self) -> Option<(u8, String)> {
        self.read_bytes().map(|(op, data)| (op, String::from_utf8_lossy(&data).into_owned()))
    }

    /// The next frame, which comes when the writing thread has done its part.
    pub(super) fn next(&mut self) -> (u8, String) {
        loop {
            self.turn();
            if let Some(frame) = self.read() {
                return frame;
            }
            assert!(!self.over, "the connection is over");
            std::thread::park_timeout(PATIENCE);
        }
    }

    pub(super) fn ask(&mut self, op: OpCode, data: &str) -> String {
        self.says(op, data);
        let (answer, text) = self.next();
        assert_eq!(answer, op.answer(), "{text}");
        text
    }

    pub(super) fn enter(&mut self, name: &str) {
        if self.ask(Login, name).starts_with("error|no-such-user|") {
            let created = self.ask(Create, name);
            assert!(created.starts_with("ok|"), "{created}");
        }
    }
}

/// A client that believes any server. Whom it speaks to is no question of a test without a network.
pub(super) fn client_config() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth()
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
