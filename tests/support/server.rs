//! A server within the test's own process: on port 0, in a folder of its own, gone with the value.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellhop_server::config::{Args, Config};
use bellhop_server::core::Core;
use bellhop_server::server::{Server, ServerError};
use bellhop_server::store::Store;
use clap::Parser;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::peer::Peer;

/// A folder for a server's data, which may outlive several servers.
#[derive(Debug)]
pub struct Home(TempDir);

impl Home {
    /// A new folder.
    pub fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(home.data()).unwrap();
        home
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The data folder within, closed to others.
    pub fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

impl Default for Home {
    fn default() -> Home {
        Home::new()
    }
}

/// Why a server ended.
pub type Ended = Result<(), ServerError>;

/// A running server.
pub struct Local {
    addr: SocketAddr,
    fingerprint: String,
    core: Arc<Core>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Ended>>,
    runtime: Runtime,
    home: Arc<Home>,
}

impl Local {
    /// A server with these arguments, in a folder of its own.
    pub fn start(args: &[&str]) -> Local {
        Local::start_in(&Arc::new(Home::new()), args)
    }

    /// A server with these arguments, in a folder that is there.
    pub fn start_in(home: &Arc<Home>, args: &[&str]) -> Local {
        Local::try_start(home, args).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A server, or why it did not start.
    pub fn try_start(home: &Arc<Home>, args: &[&str]) -> Result<Local, ServerError> {
        Local::start_with(home, args, |store| store)
    }

    /// A server with something around its store, or why it did not start.
    pub fn start_with(
        home: &Arc<Home>,
        args: &[&str],
        around: impl FnOnce(Box<dyn Store>) -> Box<dyn Store> + Send + 'static,
    ) -> Result<Local, ServerError> {
        let data = home.data();
        let base = ["bellhop-server", "0", "--listen", "127.0.0.1", "--data", data.to_str().unwrap()];
        // Tests open more connections from one address, and faster, than a person does.
        let limits = ["--limit", "accept-rate=off", "--limit", "unauth-addr=off"];
        let args = Args::parse_from(base.iter().chain(&limits).chain(args));
        let config = Config::load(args).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = runtime.block_on(Server::start_with(&config, around))?;
        let (addr, core) = (server.addrs()[0], server.core().clone());
        let fingerprint = server.identity().fingerprint().to_string();
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(server.run(async {
            let _ = stopped.await;
        }));
        Ok(Local { addr, fingerprint, core, stop: Some(stop), task: Some(task), runtime, home: home.clone() })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it is known by.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// What its parts share.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// A connection.
    pub fn connect(&self) -> Peer {
        Peer::connect(self.addr)
    }

    /// A connection, logged in; the account is created where it is not there.
    pub fn login(&self, name: &str) -> Peer {
        Peer::login(self.addr, name)
    }

    /// A connection with the extension, logged in.
    pub fn hello(&self, name: &str, device: u8) -> Peer {
        Peer::hello(self.addr, name, device)
    }

    /// Stops it in order.
    pub fn stop(mut self) -> Ended {
        self.end()
    }

    /// Stops it in order and starts another on the same folder.
    pub fn restart(self, args: &[&str]) -> Local {
        let home = self.home.clone();
        self.stop().unwrap();
        Local::start_in(&home, args)
    }

    /// Waits until it ends by itself.
    pub fn ended(mut self) -> Ended {
        let task = self.task.take().unwrap();
        self.runtime.block_on(task).unwrap()
    }

    /// Stops it in order, where it is held by others than its owner.
    pub fn end(&mut self) -> Ended {
        drop(self.stop.take());
        match self.task.take() {
            Some(task) => self.runtime.block_on(task).unwrap(),
            None => Ok(()),
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
