//! A server without its sockets: the folder, the store, the thread that writes, the threads that read, and what they
//! share. [`server`](crate::server) puts listeners and connections around it; the operator's commands use it alone,
//! where no server runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::auth::Hasher;
use crate::clock::{Clock, random};
use crate::config::{Config, Durability, Switch};
use crate::core::{Core, Memory};
use crate::counters::Counters;
use crate::disk::{Folder, Reserve};
use crate::folder::{FolderError, FolderLock};
use crate::hub::Hub;
use crate::ids::IdKey;
use crate::keeper::queue::Queue;
use crate::keeper::{self, Keeper};
use crate::presence::Presence;
use crate::server::ServerError;
use crate::store::readers::{ReaderThreads, Readers};
use crate::store::sqlite::{Loss, Seed, SqliteStore, Sync};
use crate::store::{Store, StoreError};

/// The database, in the data folder.
pub const DATABASE: &str = "bellhop.db";

/// How long the writing thread may take to finish.
const KEEPER_MAX: Duration = Duration::from_secs(3);
/// How long the reading threads may take after that.
const READERS_MAX: Duration = Duration::from_millis(500);

type KeeperEnd = oneshot::Receiver<Result<(), StoreError>>;

/// The writing thread is done, as it should be.
#[derive(Debug)]
pub struct Written(());

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    core: Arc<Core>,
    keeper: JoinHandle<()>,
    keeper_end: KeeperEnd,
    readers: ReaderThreads,
    /// Held while the engine runs, so that no other one uses the folder.
    _lock: FolderLock,
}

impl Engine {
    /// Takes the folder, opens the store with something `around` it, and brings back what waits.
    ///
    /// # Errors
    ///
    /// [`ServerError`], which names what stands in the way.
    pub async fn start(
        config: &Config,
        around: impl FnOnce(Box<dyn Store>) -> Box<dyn Store> + Send + 'static,
    ) -> Result<Engine, ServerError> {
        let lock = FolderLock::take(&config.data).map_err(|error| folder_failure(error, &config.data))?;
        let path = config.data.join(DATABASE);
        let opened = tokio::task::spawn_blocking({
            let (config, path) = (config.clone(), path.clone());
            move || open(&config, &path, around)
        });
        let failed = |cause| ServerError::Store { path: path.clone(), cause };
        let Opened { core, readers, keeper } =
            opened.await.map_err(|_| ServerError::Panicked)?.map_err(failed)?;
        let (ended, keeper_end) = oneshot::channel();
        let keeper = std::thread::Builder::new()
            .name("bellhop-keeper".to_owned())
            .spawn(move || drop(ended.send(keeper.run())))
            .map_err(ServerError::Thread)?;
        Ok(Engine { core, keeper, keeper_end, readers, _lock: lock })
    }

    /// What its parts share.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Waits until the writing thread ends by itself, which it should not.
    pub async fn failure(&mut self) -> ServerError {
        failure((&mut self.keeper_end).await)
    }

    /// Takes no more requests, and lets the writing thread finish what it was given.
    ///
    /// # Errors
    ///
    /// Where the store failed on its last writes.
    pub async fn finish_writing(&mut self) -> Result<Written, ServerError> {
        self.core.stopping.store(true, Ordering::Relaxed);
        self.core.queue.close();
        match tokio::time::timeout(KEEPER_MAX, &mut self.keeper_end).await {
            Ok(Ok(Ok(()))) => Ok(Written(())),
            Ok(ended) => Err(failure(ended)),
            Err(_) => Err(ServerError::Writing(StoreError::Fault("the last writes took too long".into()))),
        }
    }

    /// Ends the threads, and lets go of the folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::Panicked`] where a thread did.
    pub async fn close(self, _: Written) -> Result<(), ServerError> {
        self.core.readers.stop().await;
        let Engine { keeper, readers, .. } = self;
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
}

fn failure(ended: Result<Result<(), StoreError>, oneshot::error::RecvError>) -> ServerError {
    match ended {
        Ok(Err(cause)) => ServerError::Writing(cause),
        Ok(Ok(())) | Err(_) => ServerError::Panicked,
    }
}

/// Why the folder at `path` cannot be had.
pub fn folder_failure(error: FolderError, path: &Path) -> ServerError {
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
    let clock = Clock::start();
    let loss = if config.accept_loss { Loss::Accept } else { Loss::Refuse };
    let mut store = SqliteStore::open(path, sync, seed, loss)?;
    if let Some(made_ms) = store.leave_backup(clock.now().wall_ms)? {
        tracing::warn!(
            made_ms,
            "starting from a backup: what was kept, acknowledged or changed since is as it was then"
        );
    }
    let mut store = around(Box::new(store));
    let boot = store.boot()?;
    let ids = IdKey::new(boot.id_key);
    let (readers, reader_threads) = Readers::start(&*store, ids)?;
    let limits = config.limits.clone();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = limits.hashes_at_once(processors as u64) as usize;
    let core = Arc::new(Core {
        bounds: limits.bounds(),
        in_memory: config.durability == Durability::None,
        clock,
        counters: Counters::default(),
        hub: Hub::default(),
        presence: Presence::new(config.presence == Switch::On, &limits),
        memory: Memory::new(&limits),
        queue: Queue::new(limits.pending_writes),
        ids,
        hasher: Hasher::new(at_once),
        throttle: Arc::new(crate::throttle::Throttle::new(&limits)),
        log: Mutex::default(),
        readers,
        node: boot.node.clone(),
        clock_in_doubt: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        limits,
    });
    let loaded = keeper::load(&core, &mut *store, &boot)?;
    tracing::info!(waiting = loaded.waiting, path = %path.display(), durability = %config.durability, "store opened");
    let reserve = Reserve::new(Folder(config.data.clone()), config.limits.disk_free);
    let keeper = Keeper::new(core.clone(), store, loaded).with_reserve(reserve);
    Ok(Opened { core, readers: reader_threads, keeper })
}
