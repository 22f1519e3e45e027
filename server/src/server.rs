//! Builds the parts, owns every task and thread, and ends them in order.
//!
//! The order of the end: no new connections; no new requests; the writing thread finishes what it was given; every
//! connection writes what is due and a word of farewell; the reading threads go. What takes longer than it may is cut
//! off: nothing that was acknowledged depends on it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellhop_protocol::Code;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Hasher;
use crate::clock::{Clock, random};
use crate::config::{Auth, Config, Durability, Register};
use crate::core::Core;
use crate::counters::Counters;
use crate::folder::{FolderError, FolderLock};
use crate::hub::Hub;
use crate::ids::IdKey;
use crate::keeper::queue::Queue;
use crate::keeper::{self, Keeper};
use crate::mailbox::Effects;
use crate::net::admission::Admission;
use crate::net::listener::{Acceptor, Connections, listen_all};
use crate::service::Policy;
use crate::store::readers::{ReaderThreads, Readers};
use crate::store::sqlite::{Seed, SqliteStore, Sync};
use crate::store::{Store, StoreError};

/// How long the writing thread may take to finish.
const KEEPER_MAX: Duration = Duration::from_secs(3);
/// How long the connections may take after that to write what is due.
const CONNECTIONS_MAX: Duration = Duration::from_millis(1_200);
/// How long the reading threads may take after that.
const READERS_MAX: Duration = Duration::from_millis(500);
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

type KeeperEnd = oneshot::Receiver<Result<(), StoreError>>;

/// A running server.
pub struct Server {
    core: Arc<Core>,
    addrs: Vec<SocketAddr>,
    acceptors: TaskTracker,
    connections: Arc<Connections>,
    stop: CancellationToken,
    keeper: std::thread::JoinHandle<()>,
    keeper_end: KeeperEnd,
    readers: ReaderThreads,
    /// Held while the server runs, so that no other one uses the folder.
    _lock: FolderLock,
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
        let lock = FolderLock::take(&config.data).map_err(|error| folder_failure(error, &config.data))?;
        let path = config.data.join("bellhop.db");
        let opened = tokio::task::spawn_blocking({
            let (config, path) = (config.clone(), path.clone());
            move || open(&config, &path, around)
        });
        let failed = |cause| ServerError::Store { path: path.clone(), cause };
        let Opened { core, readers, keeper } =
            opened.await.map_err(|_| ServerError::Panicked)?.map_err(failed)?;

        let listeners =
            listen_all(&config.listen).map_err(|(addr, cause)| ServerError::Listen { addr, cause })?;
        let (ended, keeper_end) = oneshot::channel();
        let keeper = std::thread::Builder::new()
            .name("bellhop-keeper".to_owned())
            .spawn(move || drop(ended.send(keeper.run())))
            .map_err(ServerError::Thread)?;
        let mut server = Server {
            addrs: listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect(),
            core,
            acceptors: TaskTracker::new(),
            connections: Arc::default(),
            stop: CancellationToken::new(),
            keeper,
            keeper_end,
            readers,
            _lock: lock,
        };
        server.accept(config, listeners);
        Ok(server)
    }

    fn accept(&mut self, config: &Config, listeners: Vec<TcpListener>) {
        let places = Arc::new(Semaphore::new(places(config.limits.connections)));
        let admission = Arc::new(Admission::new(&config.limits));
        for listener in listeners {
            let loopback = listener.local_addr().is_ok_and(|addr| addr.ip().is_loopback());
            let acceptor = Acceptor {
                core: self.core.clone(),
                policy: policy(config, loopback),
                places: places.clone(),
                admission: admission.clone(),
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

    /// What its parts share.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Runs until `shutdown`, or until the store fails.
    ///
    /// # Errors
    ///
    /// Where the store failed.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        tokio::select! {
            () = shutdown => self.stop().await,
            ended = &mut self.keeper_end => {
                // Whoever waits for an answer gets none: nobody knows what was kept.
                self.cut_off();
                Err(failure(ended))
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
        self.acceptors.close();
        self.acceptors.wait().await;
        self.core.stopping.store(true, Ordering::Relaxed);
        self.core.queue.close();
        let ended = tokio::time::timeout(KEEPER_MAX, &mut self.keeper_end).await;

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
        match ended {
            Ok(Ok(Ok(()))) => {
                self.core.readers.stop().await;
                let Server { keeper, readers, .. } = self;
                let joined = tokio::task::spawn_blocking(move || {
                    readers.join();
                    keeper.join().is_ok()
                });
                match tokio::time::timeout(READERS_MAX, joined).await {
                    Ok(Ok(true)) => Ok(()),
                    Ok(_) => Err(ServerError::Panicked),
                    Err(_) => {
                        tracing::warn!("a reading thread did not end in time");
                        Ok(())
                    }
                }
            }
            Ok(ended) => Err(failure(ended)),
            Err(_) => Err(ServerError::Writing(StoreError::Fault("the last writes took too long".into()))),
        }
    }

    fn cut_off(&self) {
        for entry in self.connections.live.iter() {
            entry.1.abort();
        }
    }
}

fn failure(ended: Result<Result<(), StoreError>, oneshot::error::RecvError>) -> ServerError {
    match ended {
        Ok(Err(cause)) => ServerError::Writing(cause),
        Ok(Ok(())) | Err(_) => ServerError::Panicked,
    }
}

fn folder_failure(error: FolderError, path: &Path) -> ServerError {
    let path = path.to_owned();
    match error {
        FolderError::InUse => ServerError::InUse { path },
        FolderError::Loose(mode) => ServerError::Loose { path, mode },
        FolderError::Io(cause) => ServerError::Folder { path, cause },
    }
}

struct Opened {
    core: Arc<Core>,
    readers: ReaderThreads,
    keeper: Keeper,
}

/// Opens the store and brings back what waits.
fn open(
    config: &Config,
    path: &Path,
    around: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>,
) -> Result<Opened, StoreError> {
    let sync = if config.durability == Durability::Power { Sync::Always } else { Sync::WhenDurable };
    let [a, b, c, d] = random::<4>();
    let seed = Seed { node: format!("node-{a:02x}{b:02x}{c:02x}{d:02x}"), id_key: random() };
    let mut store = around(Box::new(SqliteStore::open(path, sync, seed)?));
    let boot = store.boot()?;
    let ids = IdKey::new(boot.id_key);
    let (readers, reader_threads) = Readers::start(&*store, ids)?;
    let limits = config.limits.clone();
    let at_once = match limits.hashes {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        hashes => hashes as usize,
    };
    let core = Arc::new(Core {
        bounds: limits.bounds(),
        in_memory: config.durability == Durability::None,
        clock: Clock::start(),
        counters: Counters::default(),
        hub: Hub::default(),
        queue: Queue::new(limits.pending_writes),
        ids,
        hasher: Hasher::new(at_once),
        log: Mutex::default(),
        readers,
        node: boot.node.clone(),
        clock_in_doubt: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        limits,
    });
    let loaded = keeper::load(&core, &mut *store, &boot)?;
    tracing::info!(waiting = loaded.waiting, path = %path.display(), durability = %config.durability, "store opened");
    if !has_entrance(config, &mut *store)? {
        tracing::warn!(
            "nobody can log in and nobody can make an account here; start with --register open to let people make accounts"
        );
    }
    let keeper = Keeper::new(core.clone(), store, loaded);
    Ok(Opened { core, readers: reader_threads, keeper })
}

/// What a listener allows.
fn policy(config: &Config, loopback: bool) -> Policy {
    let open = match config.auth {
        Auth::Auto => loopback,
        Auth::Open => true,
        Auth::Password => false,
    };
    let register = match config.register {
        Register::Auto => open,
        Register::Open => true,
        Register::Closed => false,
    };
    Policy { open, password: !open, register }
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
    let most = match file_limit() {
        Some(files) => files.saturating_sub(FILES_SPARED.max(files / 16)).max(1),
        None => u64::MAX,
    };
    (wanted.min(most) as usize).min(Semaphore::MAX_PERMITS)
}

#[cfg(target_os = "linux")]
fn file_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn file_limit() -> Option<u64> {
    None
}
