//! The runtime's threads, all of them started at the start: a system that has none left says so then, in words.
//!
//! Tokio starts threads as they are needed, and panics or waits for ever where the system gives none (a limit of
//! processes, of tasks in a container, of memory). So the start first sees whether as many can be had at once as the
//! server ever has, and then has the runtime start its own and keep them.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use bellhop_server::process;

/// Threads beside the runtime's: the writing one, the reading ones, the door's, and two to spare.
const OTHERS: usize = 6;
/// Addresses that an arena of glibc's reserves, of which each thread may get one.
const ARENA: u64 = 64 << 20;
/// Addresses for everything else.
const ADDRESSES: u64 = 256 << 20;
/// How long the threads may take to begin.
const BEGIN_MAX: Duration = Duration::from_secs(20);
/// The threads stay: one that has nothing to do sleeps.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A runtime with all its threads.
pub(crate) fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Passwords are hashed by at most as many threads as there are processors; a few more serve start and stop.
    let blocking = cores + 4;
    let threads = cores + blocking + OTHERS;
    has_addresses(threads)?;
    probe(threads)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(cores)
        .max_blocking_threads(blocking)
        .thread_keep_alive(FOR_EVER)
        .enable_all()
        .build()?;
    let (begun, begins) = mpsc::sync_channel(blocking);
    let together = Arc::new(Barrier::new(blocking));
    for _ in 0..blocking {
        let (begun, together) = (begun.clone(), together.clone());
        runtime.spawn_blocking(move || {
            together.wait();
            begun.send(())
        });
    }
    match (0..blocking).try_for_each(|_| begins.recv_timeout(BEGIN_MAX)) {
        Ok(()) => Ok(runtime),
        Err(_) => {
            // Those that wait for the others wait for ever: they go with the process.
            runtime.shutdown_background();
            Err(io::Error::new(io::ErrorKind::WouldBlock, "the system gives too few threads"))
        }
    }
}

/// Where addresses are bounded, glibc's arenas may take them all, and what is needed then is not had: said here in words
/// rather than by an abort later.
fn has_addresses(threads: usize) -> io::Result<()> {
    let bounded = cfg!(target_env = "gnu") && std::env::var_os("MALLOC_ARENA_MAX").is_none();
    let needed = threads as u64 * ARENA + ADDRESSES;
    match process::addresses().filter(|addresses| bounded && *addresses < needed) {
        None => Ok(()),
        Some(addresses) => Err(io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!(
                "{} MiB of addresses (ulimit -v) are too few for {threads} threads: allow {} MiB, or set MALLOC_ARENA_MAX=2 in the environment",
                addresses >> 20,
                needed >> 20
            ),
        )),
    }
}

/// Starts so many threads at once, and lets them end.
fn probe(count: usize) -> io::Result<()> {
    let (release, held) = mpsc::sync_channel::<()>(1);
    let held = Arc::new(parking_lot::Mutex::new(held));
    let mut threads = Vec::new();
    let mut failure = Ok(());
    for number in 0..count {
        let held = held.clone();
        let wait = move || {
            let _ = held.lock().recv();
        };
        match std::thread::Builder::new().name("bellhop-probe".to_owned()).spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                let kind = error.kind();
                failure = Err(io::Error::new(
                    kind,
                    format!(
                        "{number} of {count} could be had ({error}): raise the limit of processes or tasks"
                    ),
                ));
                break;
            }
        }
    }
    drop(release);
    threads.into_iter().for_each(|thread| drop(thread.join()));
    failure
}
