//! TLS between a connection and its socket, without buffers of its own while nothing is underway.
//!
//! Records are read into a buffer of the thread and decrypted from there; kept is only a record that is not complete,
//! and what the socket did not take. Two things that a connection infers depend on this layer: whether input is left
//! behind, and that what was written is with the operating system (see [`Socket`]).

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use tokio::io::ReadBuf;

use super::stream::Socket;

/// Records that are read at once.
const RECORDS: usize = 64 * 1024;
/// The most that waits for its rest: the longest record, or a ClientHello in several of them.
const HELD_MAX: usize = 24 * 1024;
/// What is encrypted and written at once: the longest record, so that a slow reader's progress shows.
const CHUNK: usize = 16 * 1024;
/// How much longer a chunk gets by encryption at most, with a change of keys before it.
const GROWTH: usize = 1024;

/// How much is read of what is missing at a record, however short memory is.
const REST_MIN: usize = 1024;

thread_local! {
    /// What every connection of this thread reads records into.
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; RECORDS + HELD_MAX].into_boxed_slice());
}

/// How far the other side's input has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// It goes on.
    Open,
    /// It has ended with a word of farewell.
    Ended,
    /// It was no TLS, or not from whom it should be.
    Failed,
}

/// The TLS of one connection.
pub(super) struct Tls {
    session: UnbufferedServerConnection,
    /// A record of which some is missing, or what came before this layer was there.
    held: Vec<u8>,
    /// True while nobody has looked at what is held.
    unseen: bool,
    /// True where the last read may have left something with the operating system.
    more: bool,
    input: Input,
    /// True when the connection knows that the input has ended.
    told: bool,
    unsent: Vec<u8>,
    unsent_at: usize,
    /// How many of the connection's bytes are in `unsent`.
    covers: usize,
    farewell: bool,
}

impl Tls {
    pub(super) fn new(config: Arc<ServerConfig>, first: &[u8]) -> Result<Tls, rustls::Error> {
        Ok(Tls {
            session: UnbufferedServerConnection::new(config)?,
            held: first.to_vec(),
            unseen: true,
            more: false,
            input: Input::Open,
            told: false,
            unsent: Vec::new(),
            unsent_at: 0,
            covers: 0,
            farewell: false,
        })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.input == Input::Failed
    }

    pub(super) fn holds_input(&self) -> bool {
        !self.held.is_empty()
    }

    /// How much memory is kept.
    pub(super) fn memory(&self) -> usize {
        self.held.capacity() + self.unsent.capacity()
    }

    pub(super) fn leaves_input(&self) -> bool {
        self.more || self.holds_input()
    }

    /// What is held needs room when it is decrypted, and its rest as well.
    pub(super) fn room_needed(&self) -> usize {
        self.held.len() + REST_MIN
    }

    /// The buffer has the room that is needed.
    pub(super) fn poll_read<S: Socket>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.told {
                // Whatever it is now, it is read to be thrown away.
                return Pin::new(socket).poll_read(cx, buffer);
            }
            // The rest of what is underway has its waker here as well, should nothing be written any more.
            if self.poll_flush(socket, cx)?.is_pending() && self.is_handshaking() {
                return Poll::Pending;
            }
            if self.input != Input::Open {
                self.told = true;
                return Poll::Ready(Ok(()));
            }
            let open = ready!(self.poll_records(socket, cx, buffer))?;
            if !open || !buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads records, once, and decrypts what is complete; false where the socket has ended.
    fn poll_records<S: Socket>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        INCOMING.with_borrow_mut(|incoming| {
            let mut end = self.held.len();
            // Nothing grows by decryption, so that there is room for all that is read.
            let room = buffer.remaining().min(incoming.len()).saturating_sub(end);
            if !std::mem::take(&mut self.unseen) {
                let Some(space) = incoming.get_mut(end..end + room).filter(|space| !space.is_empty()) else {
                    // More is held than when the buffer was chosen: the next one has room.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                };
                let mut read = ReadBuf::new(space);
                ready!(Pin::new(socket).poll_read(cx, &mut read))?;
                let count = read.filled().len();
                if count == 0 {
                    return Poll::Ready(Ok(false));
                }
                self.more = count == room;
                end += count;
            }
            let records = &mut incoming[..end];
            records[..self.held.len()].copy_from_slice(&self.held);
            let taken = self.process(records, buffer);
            self.keep(&records[taken..]);
            Poll::Ready(Ok(true))
        })
    }

    /// Decrypts what is complete and notes what is to be said to it; returns how many bytes were taken.
    fn process(&mut self, records: &mut [u8], buffer: &mut ReadBuf<'_>) -> usize {
        let mut at = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut records[at..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        // In this version of the library a record that is here was decrypted.
                        let Ok(record) = record else { break };
                        discard += record.discard;
                        buffer.put_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.input = Input::Ended,
                Ok(_) => return at + discard,
                Err(error) => {
                    self.fail(&error);
                    return records.len();
                }
            }
            at += discard;
        }
    }

    /// Keeps the beginning of a record.
    fn keep(&mut self, rest: &[u8]) {
        match rest.len() {
            0 => self.held = Vec::new(),
            1..=HELD_MAX => {
                self.held.clear();
                self.held.extend_from_slice(rest);
            }
            _ => self.fail(&rustls::Error::General("a handshake message is too long".to_owned())),
        }
    }

    /// The other side is told why, as far as that is possible.
    fn fail(&mut self, error: &rustls::Error) {
        tracing::debug!(%error, "TLS failed");
        self.input = Input::Failed;
        self.held = Vec::new();
        while self.session.wants_write() {
            match self.session.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                _ => return,
            }
        }
    }

    pub(super) fn poll_write<S: Socket>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_handshaking() || self.has_failed() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        ready!(self.poll_flush(socket, cx))?;
        if self.covers == 0 {
            let chunk = &bytes[..bytes.len().min(CHUNK)];
            self.say(chunk.len(), |traffic, out| traffic.encrypt(chunk, out))?;
            self.covers = chunk.len();
            ready!(self.poll_flush(socket, cx))?;
        }
        Poll::Ready(Ok(std::mem::take(&mut self.covers)))
    }

    /// Says that no more comes from this side.
    pub(super) fn poll_farewell<S: Socket>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let owed = !self.is_handshaking() && !self.has_failed();
        if !std::mem::replace(&mut self.farewell, true) && owed {
            self.say(0, |traffic, out| traffic.queue_close_notify(out))?;
        }
        self.poll_flush(socket, cx)
    }

    /// Encrypts something of so many bytes behind what is underway.
    fn say(
        &mut self,
        len: usize,
        put: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        loop {
            let UnbufferedStatus { discard, state } = self.session.process_tls_records(&mut self.held);
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let at = self.unsent.len();
                    self.unsent.resize(at + len + GROWTH, 0);
                    let put = put(&mut traffic, &mut self.unsent[at..]);
                    self.unsent.truncate(at + put.as_ref().map_or(0, |count| *count));
                    return put.map(drop).map_err(io::Error::other);
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.input = Input::Ended,
                Ok(_) | Err(_) => return Err(io::ErrorKind::NotConnected.into()),
            }
            self.held.drain(..discard);
        }
    }

    /// Writes what is underway.
    fn poll_flush<S: Socket>(&mut self, socket: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.unsent.get(self.unsent_at..) {
            match ready!(Pin::new(&mut *socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.unsent_at += count,
            }
        }
        (self.unsent, self.unsent_at) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, unsent: &mut Vec<u8>) {
    let at = unsent.len();
    while let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut unsent[at..]) {
        unsent.resize(at + size.required_size, 0);
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.memory();
        f.debug_struct("Tls").field("input", &self.input).field("kept", &kept).finish_non_exhaustive()
    }
}
