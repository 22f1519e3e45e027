//! `backup` and `check`: on the database itself, by this program's own hands, so that they write where whoever types
//! may write and cost the server nothing. A server that runs is told, and its end ends them: it must not wait for them.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, bail, ensure};
use parking_lot::Mutex;

use super::caller::{Shut, has_data, knock, put};
use super::desk::plural;
use super::wire::Request;
use super::words;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{DATABASE, folder_failure};
use crate::folder::FolderLock;
use crate::store::backup::backup as copy;
use crate::store::check::{Counts, check as look};

/// What keeps a server from ending unnoticed, or from starting.
enum Held {
    Running(Watch),
    Stopped { _lock: FolderLock },
}

/// Watches a server that runs.
struct Watch {
    state: Arc<State>,
    shut: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    ended: AtomicBool,
    interrupt: Mutex<Option<rusqlite::InterruptHandle>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        (self.shut)();
        if let Some(thread) = self.thread.take() {
            // It only reads.
            let _ = thread.join();
        }
    }
}

impl Held {
    fn new(config: &Config) -> anyhow::Result<Held> {
        has_data(config)?;
        let Some(mut stream) = knock(&config.data)? else {
            let lock = FolderLock::take(&config.data);
            return Ok(Held::Stopped { _lock: lock.map_err(|error| folder_failure(error, &config.data))? });
        };
        put(&mut stream, &Request::Hold).context("cannot tell the server")?;
        let state = Arc::new(State::default());
        let (watched, reading) = (state.clone(), stream.again().context("cannot tell the server")?);
        let thread = std::thread::Builder::new().name("bellhop-watch".to_owned()).spawn(move || {
            let mut reading = reading;
            // Whatever comes, and the end: the server goes.
            let _ = reading.read(&mut [0]);
            watched.ended.store(true, Ordering::Relaxed);
            if let Some(interrupt) = watched.interrupt.lock().take() {
                interrupt.interrupt();
            }
        });
        let thread = Some(thread.context("cannot start a thread")?);
        Ok(Held::Running(Watch { state, shut: Box::new(move || stream.shut()), thread }))
    }

    fn goes_on(&self) -> bool {
        match self {
            Held::Running(watch) => !watch.state.ended.load(Ordering::Relaxed),
            Held::Stopped { .. } => true,
        }
    }

    /// Lets the server's end end a read that takes its time.
    fn interrupts(&self, handle: rusqlite::InterruptHandle) {
        if let Held::Running(watch) = self {
            *watch.state.interrupt.lock() = Some(handle);
        }
    }
}

/// Copies everything that is kept into a new file.
///
/// # Errors
///
/// Where there is no file then.
pub fn backup(config: &Config, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let to = std::path::absolute(file).with_context(|| format!("cannot write {}", file.display()))?;
    let held = Held::new(config)?;
    let from = config.data.join(DATABASE);
    let made = copy(&from, &to, Clock::start().now().wall_ms, &|| held.goes_on())?;
    writeln!(out, "{}: {}, whole", words::clean(&to.display().to_string()), words::bytes(made.bytes))?;
    writeln!(out, "in it: {}; the server's name and the secret behind message ids", contents(made.counts))?;
    let tls = config.data.join("tls");
    match tls.is_dir() {
        true => writeln!(
            out,
            "not in it: the server's key and certificate; copy {} once, to where nobody else reads",
            words::clean(&tls.display().to_string())
        )?,
        false => writeln!(out, "not in it: keys, certificates and the config file")?,
    }
    Ok(())
}

/// Looks whether what is kept is whole. Returns whether it is.
///
/// # Errors
///
/// Where it could not be read to the end.
pub fn check(config: &Config, out: &mut impl Write) -> anyhow::Result<bool> {
    let held = Held::new(config)?;
    let path = config.data.join(DATABASE);
    let mut findings = Vec::new();
    let counts = look(&path, |handle| held.interrupts(handle), &mut |finding| findings.push(finding));
    if !held.goes_on() {
        bail!("the server ended, and the check with it: start again");
    }
    for finding in &findings {
        writeln!(out, "{}", words::clean(finding))?;
    }
    let name = path.display();
    let counts = counts.with_context(|| format!("{name} cannot be read"))?;
    if findings.is_empty() {
        writeln!(out, "{}: whole; {}", words::clean(&name.to_string()), contents(counts))?;
    } else {
        let advice = "stop the server, and put a backup back";
        writeln!(out, "{}; {advice}", plural(findings.len(), "finding"))?;
    }
    Ok(findings.is_empty())
}

fn contents(counts: Counts) -> String {
    let Counts { accounts, devices, messages, receipts, tokens } = counts;
    [
        (accounts, "account"),
        (devices, "device"),
        (tokens, "token"),
        (messages, "message"),
        (receipts, "receipt"),
    ]
    .map(|(count, what)| words::count(count, what))
    .join(", ")
}

/// Refuses a file name that names none.
///
/// # Errors
///
/// Where it is empty or ends in a slash.
pub fn is_file_name(file: &Path) -> anyhow::Result<()> {
    ensure!(file.file_name().is_some(), "{} names no file", file.display());
    Ok(())
}
