//! Builds the parts, owns every task and thread, and ends them in order.
//!
//! The order of the end: no new connections; no new requests; the writing thread finishes what it was given; every
//! connection writes what is due and a word of farewell; the reading threads go. What takes longer than it may is cut
//! off: nothing that was acknowledged depends on it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellhop_protocol::Code;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::network::Network;
use crate::config::{Auth, Config, Register};
use crate::core::Core;
use crate::engine::Engine;
use crate::identity::{Files, Identity, IdentityError};
use crate::mailbox::Effects;
use crate::net::admission::Admission;
use crate::net::listener::{Acceptor, Connections, listen_all, listen_on};
use crate::ops::desk::{Desk, Facts, Net};
use crate::ops::door::Door;
use crate::ops::drain::drained;
use crate::ops::wire::Listening;
use crate::process;
use crate::service::Policy;
use crate::store::{Store, StoreError};

/// How long the connections may take, when the writing thread is done, to write what is due.
const CONNECTIONS_MAX: Duration = Duration::from_millis(1_200);
/// Descriptors that are kept for files, threads and listeners.
const FILES_SPARED: u64 = 16;

/// Why the server does not run, or runs no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address could not be had.
    #[error("cannot listen on {addr}: {cause}{}", hint(cause))]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The data folder could not be made or used.
    #[error("cannot use the data folder {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others may enter the data folder.
    #[error(
        "other users may enter the data folder {} (mode {mode:04o}), which holds everybody's messages: close it with chmod 700 {}",
        path.display(), path.display()
    )]
    Loose {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Another server has the data folder.
    #[error("another server uses the data folder {}: stop it, or give another folder with --data", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The database could not be opened or read.
    #[error("{}: {cause}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: StoreError,
    },
    /// There is no certificate that clients could be shown.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The writing thread failed: what it was doing may or may not be kept, and nobody was told that it is.
    #[error("cannot write: {0}; start the server again when the cause is gone")]
    Writing(StoreError),
    /// The writing thread panicked.
    #[error("the writing thread panicked")]
    Panicked,
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there; give another port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 belong to the system)",
        _ => "",
    }
}

/// A running server.
pub struct Server {
    engine: Engine,
    addrs: Vec<SocketAddr>,
    identity: Arc<Identity>,
    acceptors: TaskTracker,
    connections: Arc<Connections>,
    stop: CancellationToken,
    desk: Arc<Desk>,
    door: Door,
}

impl Server {
    /// Opens the store, brings back what waits, and listens.
    ///
    /// # Errors
    ///
    /// [`ServerError`], which names what stands in the way.
    pub async fn start(config: &Config) -> Result<Server, ServerError> {
        Server::start_with(config, |store| store).await
    }

    /// The same with something around the store, such as one that fails as a test wants.
    ///
    /// # Errors
    ///
    /// As [`start`](Server::start).
    pub async fn start_with(
        config: &Config,
        around: impl FnOnce(Box<dyn Store>) -> Box<dyn Store> + Send + 'static,
    ) -> Result<Server, ServerError> {
        let kept = config.clone();
        let mut engine = Engine::start(config, move |store| {
            let mut store = around(store);
            warn_without_entrance(&kept, &mut *store);
            store
        })
        .await?;
        let (identity, listeners) = match entrances(config, engine.core()) {
            Ok(entrances) => entrances,
            Err(error) => {
                let written = engine.finish_writing().await?;
                engine.close(written).await?;
                return Err(error);
            }
        };
        warn_of_exposure(config);
        let addrs: Vec<SocketAddr> =
            listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let most = places(config.limits.connections);
        let net = Net {
            admission: Arc::new(Admission::new(&config.limits)),
            connections: Arc::default(),
            places: Arc::new(Semaphore::new(most)),
            most,
        };
        let desk = Arc::new(Desk::new(engine.core().clone(), facts(config, &addrs, net.clone())));
        let mut server = Server {
            engine,
            addrs,
            identity,
            acceptors: TaskTracker::new(),
            connections: net.connections.clone(),
            stop: CancellationToken::new(),
            door: Door::open(&config.data, desk.clone()),
            desk,
        };
        server.accept(config, listeners, &net);
        Ok(server)
    }

    fn accept(&mut self, config: &Config, listeners: Vec<TcpListener>, net: &Net) {
        let plaintext_from: Arc<[Network]> = config.plaintext_from.clone().into();
        for listener in listeners {
            let loopback = listener.local_addr().is_ok_and(|addr| addr.ip().is_loopback());
            let acceptor = Acceptor {
                core: self.engine.core().clone(),
                policy: policy(config, loopback),
                plain: loopback,
                plaintext_from: plaintext_from.clone(),
                identity: self.identity.clone(),
                places: net.places.clone(),
                admission: net.admission.clone(),
                connections: self.connections.clone(),
                stop: self.stop.clone(),
            };
            self.acceptors.spawn(acceptor.run(listener));
        }
    }

    /// Where the server listens.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Who it is to clients that use TLS.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What its parts share.
    pub fn core(&self) -> &Arc<Core> {
        self.engine.core()
    }

    /// Runs until `shutdown`, or until the store fails.
    ///
    /// # Errors
    ///
    /// Where the store failed.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        tokio::select! {
            () = shutdown => self.stop().await,
            () = drained(&self.desk, self.engine.core().clone(), &self.connections, &self.acceptors, &self.stop) => self.stop().await,
            failure = self.engine.failure() => {
                // Whoever waits for an answer gets none: nobody knows what was kept.
                self.cut_off();
                Err(failure)
            }
        }
    }

    /// Ends the server in order.
    ///
    /// # Errors
    ///
    /// Where the store failed on its last writes.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.stop.cancel();
        self.door.shut();
        self.acceptors.close();
        self.acceptors.wait().await;
        let written = self.engine.finish_writing().await;

        let mut effects = Effects::default();
        for entry in self.connections.live.iter() {
            entry.0.close(Code::SHUTTING_DOWN, "the server is going down", &mut effects);
        }
        effects.wake();
        self.connections.tasks.close();
        if tokio::time::timeout(CONNECTIONS_MAX, self.connections.tasks.wait()).await.is_err() {
            tracing::info!("some connections did not take their last bytes");
        }
        self.cut_off();
        let ended = match written {
            Ok(written) => self.engine.close(written).await,
            Err(error) => Err(error),
        };
        if ended.is_ok() {
            self.door.end().await;
        }
        ended
    }

    fn cut_off(&self) {
        for entry in self.connections.live.iter() {
            entry.1.abort();
        }
    }
}

/// The sockets that were passed, or those of the addresses.
fn listeners(config: &Config, buffers: Option<usize>) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    match (config.sockets.is_empty(), config.listen.first()) {
        (false, Some(first)) => listen_on(&config.sockets, buffers).map_err(|cause| (first.addr, cause)),
        _ => listen_all(&config.listen, buffers),
    }
}

fn facts(config: &Config, addrs: &[SocketAddr], net: Net) -> Facts {
    let listener = |addr: &SocketAddr| Listening {
        address: addr.to_string(),
        allows: policy(config, addr.ip().is_loopback()).to_string(),
    };
    Facts {
        data: config.data.clone(),
        durability: config.durability.to_string(),
        listeners: addrs.iter().map(listener).collect(),
        net: Some(net),
    }
}

/// What a listener allows.
pub(crate) fn policy(config: &Config, loopback: bool) -> Policy {
    let is_open = |loopback| match config.auth {
        Auth::Auto => loopback,
        Auth::Open => true,
        Auth::Password => false,
    };
    let open = is_open(loopback);
    let register = match config.register {
        Register::Auto => open,
        Register::Open => true,
        Register::Closed => false,
    };
    // Not by this listener alone: the name may be asked for on another one.
    let holds_names = !open || config.listen.iter().any(|listen| !is_open(listen.addr.ip().is_loopback()));
    Policy { open, password: !open, register, holds_names }
}

/// Says so where nobody can get in. Where the store cannot be read, the start is about to fail with the reason.
fn warn_without_entrance(config: &Config, store: &mut dyn Store) {
    if let Ok(false) = has_entrance(config, store) {
        tracing::warn!(
            "nobody can log in and nobody can make an account here; make accounts with bellhop-server user add, or start with --register open"
        );
    }
}

/// What connections come through: who the server is to them, and where it listens.
fn entrances(config: &Config, core: &Core) -> Result<(Arc<Identity>, Vec<TcpListener>), ServerError> {
    let files = Files::choose(config.tls.as_ref(), &config.data)?;
    let identity = Identity::load(files, core.clock.now())?;
    let buffers = match config.limits.kernel_buffers {
        u64::MAX => None,
        bytes => Some(bytes as usize),
    };
    let listeners =
        listeners(config, buffers).map_err(|(addr, cause)| ServerError::Listen { addr, cause })?;
    Ok((Arc::new(identity), listeners))
}

/// Says at each start what was opened on purpose and should not be forgotten.
fn warn_of_exposure(config: &Config) {
    for network in &config.plaintext_from {
        tracing::warn!(%network, "frames are taken without TLS from there: whoever is on the way reads passwords and messages");
    }
    for listen in config.listen.iter().filter(|listen| !listen.addr.ip().is_loopback()) {
        if config.auth == Auth::Open {
            tracing::warn!(addr = %listen.addr, "accounts need no password, and other machines can connect");
        }
    }
}

/// True if and only if somebody can log in, or make an account, on one of the listeners.
fn has_entrance(config: &Config, store: &mut dyn Store) -> Result<bool, StoreError> {
    let policies: Vec<Policy> =
        config.listen.iter().map(|listen| policy(config, listen.addr.ip().is_loopback())).collect();
    if policies.iter().any(|policy| policy.register) {
        return Ok(true);
    }
    let password = policies.iter().all(|policy| policy.password);
    let mut reader = store.reader()?;
    let mut last = String::new();
    loop {
        let mut next = None;
        reader.names(&last, "", &mut |folded, _| {
            next = Some(folded.to_owned());
            false
        })?;
        let Some(folded) = next else { return Ok(false) };
        if !password || store.account(&folded)?.is_some_and(|account| account.password.is_some()) {
            return Ok(true);
        }
        last = folded;
    }
}

/// How many connections there may be: never so many that the process runs out of descriptors.
fn places(wanted: u64) -> usize {
    let most = match process::files() {
        Some(files) => files.saturating_sub(FILES_SPARED.max(files / 16)).max(1),
        None => u64::MAX,
    };
    (wanted.min(most) as usize).min(Semaphore::MAX_PERMITS)
}
