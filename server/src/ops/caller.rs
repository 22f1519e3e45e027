//! Asking: a server that runs, through its door; where none does, the same desk on a server without sockets that is
//! opened for the one request.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use zeroize::Zeroizing;

use super::desk::{Desk, Facts, Sink};
use super::transport;
use super::wire::{Answer, Request};
use crate::config::Config;
use crate::engine::{DATABASE, Engine};
use crate::server::ServerError;

/// How long an answer may take; that to `drain` takes as long as it was given.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest line of an answer, in bytes.
const LINE_MAX: u64 = 64 * 1024 * 1024;

/// What the lines of an answer are given to.
pub type Each<'a> = &'a mut (dyn FnMut(&Answer) -> io::Result<()> + Send);

/// Asks the server that `config` describes, and has `each` see the lines of its answer but the last.
///
/// # Errors
///
/// Where nobody answers, or the answer is that it cannot be done.
pub fn ask(config: &Config, request: Request, each: Each<'_>) -> anyhow::Result<()> {
    match knock(&config.data)? {
        Some(mut stream) => {
            let patience = if let Request::Drain { .. } = request { None } else { Some(PATIENCE) };
            stream.set_read_timeout(patience).context("cannot ask the server")?;
            put(&mut stream, &request).context("cannot ask the server")?;
            answer(BufReader::new(stream), each)
        }
        None => alone(config, request, each),
    }
}

/// The door of the server that uses the folder; nothing where none does.
///
/// # Errors
///
/// Where there is nothing that a server could use, or one that does not let us in.
pub fn knock(
    folder: &Path,
) -> anyhow::Result<Option<impl Read + Write + Shut + Send + Sync + 'static + use<>>> {
    let name = folder.display();
    match transport::connect(folder) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            io::ErrorKind::PermissionDenied => {
                bail!("the data folder {name} is another user's: ask as the user that runs the server")
            }
            _ => Err(error).with_context(|| format!("cannot ask the server that uses {name}")),
        },
    }
}

/// What both kinds of streams can.
pub trait Shut {
    /// Ends both ways.
    fn shut(&self);
    /// The same stream once more.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn again(&self) -> io::Result<Self>
    where
        Self: Sized;
    /// How long a read may take.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()>;
}

macro_rules! shut {
    ($stream:ty) => {
        impl Shut for $stream {
            fn shut(&self) {
                let _ = self.shutdown(std::net::Shutdown::Both);
            }

            fn again(&self) -> io::Result<Self> {
                self.try_clone()
            }

            fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
                <$stream>::set_read_timeout(self, time)
            }
        }
    };
}

#[cfg(unix)]
shut!(std::os::unix::net::UnixStream);
#[cfg(windows)]
shut!(std::net::TcpStream);

/// Writes a request, which may hold a password, in one piece.
///
/// # Errors
///
/// As the operating system says.
pub fn put(stream: &mut impl Write, request: &Request) -> io::Result<()> {
    let mut line = Zeroizing::new(Vec::with_capacity(super::wire::LINE_MAX));
    serde_json::to_writer(&mut *line, request).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn answer(mut lines: impl BufRead, each: Each<'_>) -> anyhow::Result<()> {
    loop {
        let mut line = Vec::new();
        let read = (&mut lines).take(LINE_MAX).read_until(b'\n', &mut line);
        ensure!(read.context("the server did not answer")? > 0, "the server ended before it had answered");
        let answer = serde_json::from_slice(&line).context(
            "the server's answer is not known here: it may be of another version than this program",
        )?;
        match answer {
            Answer::Done => return Ok(()),
            Answer::Error(error) => bail!(error),
            line => each(&line).context("cannot write to standard output")?,
        }
    }
}

struct Shown<'a>(Each<'a>);

impl Sink for Shown<'_> {
    async fn write(&mut self, answer: &Answer) -> io::Result<()> {
        (self.0)(answer)
    }
}

/// Answers a request without a server.
fn alone(config: &Config, request: Request, each: Each<'_>) -> anyhow::Result<()> {
    let name = config.data.display();
    if let Request::Status | Request::Drain { .. } | Request::Hold = request {
        bail!("no server runs with the data folder {name}; for another one give its port, or --data");
    }
    if !matches!(request, Request::UserAdd { .. }) {
        has_data(config)?;
    }
    refuse_foreign(&config.data)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let started = Engine::start(config, |store| store).await;
        let mut engine = started.map_err(|error| match error {
            ServerError::InUse { .. } => {
                anyhow::anyhow!("a server uses the data folder {name}, and does not answer; its log says why")
            }
            error => error.into(),
        })?;
        let facts = Facts { data: config.data.clone(), ..Facts::default() };
        let last = Desk::new(engine.core().clone(), facts).answer(request, &mut Shown(each)).await;
        let written = engine.finish_writing().await?;
        engine.close(written).await?;
        match last.context("cannot write to standard output")? {
            Answer::Error(error) => bail!(error),
            _ => Ok(()),
        }
    })
}

/// Refuses a folder in which no server ever kept anything.
///
/// # Errors
///
/// Where that is so.
pub fn has_data(config: &Config) -> anyhow::Result<()> {
    ensure!(
        config.data.join(DATABASE).exists(),
        "no server has kept anything in {}; for another folder give its port, or --data",
        config.data.display()
    );
    Ok(())
}

/// Files that somebody else made could not be used by the user that runs the server.
#[cfg(target_os = "linux")]
fn refuse_foreign(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| std::fs::metadata(path).map(|found| found.uid());
    if let (Ok(theirs), Ok(ours)) = (owner(folder), owner(Path::new("/proc/self"))) {
        ensure!(
            theirs == ours,
            "the data folder {} is another user's, and no server runs: run this as that user",
            folder.display()
        );
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn refuse_foreign(_: &Path) -> anyhow::Result<()> {
    Ok(())
}
