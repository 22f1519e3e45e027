//! Serving the door: a few connections at a time, each with one request of bounded length and time.
//!
//! An idle door costs nothing. [`Door::shut`] ends what is being answered; whoever asked for the end of the server is
//! told only by [`Door::end`], when the folder is free.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::desk::{Desk, Sink};
use super::transport::{Entrance, Stream};
use super::wire::{Answer, LINE_MAX, Request};

/// How many are served at a time.
const AT_ONCE: usize = 8;
/// How long a request may take to arrive.
const ASK_MAX: Duration = Duration::from_secs(5);
/// How long the other side may take to read a line.
const READ_MAX: Duration = Duration::from_secs(10);
/// How long what is being answered may take to end.
const END_MAX: Duration = Duration::from_millis(500);
/// How long a failed accept is waited out.
const WAIT: Duration = Duration::from_secs(1);

/// The door of a running server.
#[derive(Debug)]
pub struct Door {
    tasks: TaskTracker,
    shut: CancellationToken,
    over: CancellationToken,
}

/// What the connections share.
struct Served {
    desk: Arc<Desk>,
    entrance: Entrance,
    shut: CancellationToken,
    over: CancellationToken,
}

impl Door {
    /// Opens the door of a folder whose lock the caller has. Without one the server runs all the same, and says so.
    pub fn open(folder: &Path, desk: Arc<Desk>) -> Door {
        let door = Door {
            tasks: TaskTracker::new(),
            shut: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        match Entrance::open(folder) {
            Ok(entrance) => {
                let (shut, over) = (door.shut.clone(), door.over.clone());
                let served = Arc::new(Served { desk, entrance, shut, over });
                door.tasks.spawn(serve(served, door.tasks.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the operator's commands cannot reach this server");
            }
        }
        door
    }

    /// Takes no more requests, and ends those that are being answered.
    pub fn shut(&self) {
        self.shut.cancel();
    }

    /// Tells whoever waits for it that the server has ended.
    pub async fn end(self) {
        self.shut.cancel();
        self.over.cancel();
        self.tasks.close();
        if timeout(END_MAX, self.tasks.wait()).await.is_err() {
            tracing::debug!("an operator's command did not end in time");
        }
    }
}

async fn serve(served: Arc<Served>, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let accepted = tokio::select! {
            () = served.shut.cancelled() => return,
            accepted = accept(&served.entrance, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => drop(tasks.spawn(answer(served.clone(), stream, place))),
            Err(error) => {
                tracing::debug!(%error, "cannot take an operator's command");
                tokio::select! {
                    () = served.shut.cancelled() => return,
                    () = tokio::time::sleep(WAIT) => {}
                }
            }
        }
    }
}

/// Those beyond [`AT_ONCE`] wait in the operating system.
async fn accept(entrance: &Entrance, places: &Arc<Semaphore>) -> io::Result<(Stream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    Ok((entrance.accept().await?, place))
}

async fn answer(served: Arc<Served>, stream: Stream, _place: OwnedSemaphorePermit) {
    let mut lines = Lines(stream);
    let request = tokio::select! {
        () = served.shut.cancelled() => return,
        request = request(&served.entrance, &mut lines.0) => request,
    };
    let done = match request {
        Ok(Request::Hold) => hold(&served, &mut lines.0).await,
        Ok(Request::Drain { grace }) => drain(&served, grace, &mut lines).await,
        Ok(request) => tokio::select! {
            () = served.shut.cancelled() => Ok(Answer::Error("the server is going down".into())),
            done = served.desk.answer(request, &mut lines) => done,
        },
        Err(error) => Ok(Answer::Error(error.to_string())),
    };
    // Where the other side is gone there is nobody to be told.
    if let Ok(last) = done {
        let _ = lines.write(&last).await;
    }
}

/// Reads the request: at most [`LINE_MAX`] bytes within [`ASK_MAX`].
async fn request(entrance: &Entrance, stream: &mut Stream) -> io::Result<Request> {
    let read = async {
        if !entrance.admits(stream).await? {
            return Err(io::Error::other("only the user that runs the server may ask"));
        }
        // Reserved at once: it may hold a password, and a buffer that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(LINE_MAX + 1));
        while !line.contains(&b'\n') {
            if line.len() > LINE_MAX {
                return Err(io::Error::other("the request is too long"));
            }
            let room = (LINE_MAX + 1 - line.len()) as u64;
            if (&mut *stream).take(room).read_buf(&mut *line).await? == 0 {
                break;
            }
        }
        Request::decode(&line).map_err(io::Error::other)
    };
    timeout(ASK_MAX, read).await.map_err(|_| io::Error::other("the request took too long to arrive"))?
}

/// Waits for the end of the server, or of whoever asked.
async fn hold(served: &Served, stream: &mut Stream) -> io::Result<Answer> {
    tokio::select! {
        () = served.shut.cancelled() => {}
        _ = stream.read_u8() => {}
    }
    Ok(Answer::Done)
}

/// Has the server drain, and waits until it has ended.
async fn drain(served: &Served, grace: u64, lines: &mut Lines) -> io::Result<Answer> {
    let here = served.desk.drain(Duration::from_secs(grace));
    let note = format!("takes no more connections; {here} are here, and have {grace} s to finish");
    // The server ends also where nobody waits for that.
    let _ = lines.write(&Answer::Note(note)).await;
    served.over.cancelled().await;
    Ok(Answer::Done)
}

/// The lines of an answer.
pub struct Lines(Stream);

impl Sink for Lines {
    async fn write(&mut self, answer: &Answer) -> io::Result<()> {
        let mut line = serde_json::to_vec(answer).map_err(io::Error::other)?;
        line.push(b'\n');
        timeout(READ_MAX, self.0.write_all(&line)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}
