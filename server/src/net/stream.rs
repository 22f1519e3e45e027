//! A connection's bytes, with or without TLS around them.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tls::Tls;

/// What a connection reads from and writes to. A read that does not fill its buffer leaves no input behind; a layer
/// between this and the socket has to keep to that, since what is taken is inferred from it.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// True if and only if no input waits, asked of the operating system itself: that a read would wait tells only that
    /// the runtime has not noticed any.
    fn is_drained(&self) -> bool;
}

impl Socket for TcpStream {
    fn is_drained(&self) -> bool {
        let peeked = SockRef::from(self).peek(&mut [MaybeUninit::uninit()]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A socket, and TLS where the other side began it.
#[derive(Debug)]
pub struct Stream<S> {
    socket: S,
    tls: Option<Box<Tls>>,
}

impl<S: Socket> Stream<S> {
    /// A socket without TLS.
    pub fn new(socket: S) -> Stream<S> {
        Stream { socket, tls: None }
    }

    /// From here on everything is TLS, beginning with what was already read.
    ///
    /// # Errors
    ///
    /// Where TLS cannot be spoken at all.
    pub fn begin_tls(&mut self, config: Arc<ServerConfig>, first: &[u8]) -> Result<(), rustls::Error> {
        self.tls = Some(Box::new(Tls::new(config, first)?));
        Ok(())
    }

    /// True while a handshake is not finished: nothing can be written.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// True where the other side broke TLS: its input ended there.
    pub fn has_failed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_failed())
    }

    /// True where the last read left something behind although it did not fill its buffer.
    pub fn leaves_input(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.leaves_input())
    }

    /// True while the rest of a record is awaited. Of a handshake's there is another clock.
    pub fn awaits_rest(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.is_handshaking() && tls.holds_input())
    }

    /// How much memory is kept for what is underway in either direction.
    pub fn memory(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.memory())
    }

    /// A read gets nowhere with less room than this.
    pub fn room_needed(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.room_needed())
    }

    /// True if and only if no input waits, here or with the operating system.
    pub fn is_drained(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.holds_input()) && self.socket.is_drained()
    }

    /// Reads; nothing is read where the input has ended.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            None => Pin::new(&mut self.socket).poll_read(cx, buffer),
            Some(tls) => tls.poll_read(&mut self.socket, cx, buffer),
        }
    }

    /// Writes; what is said to be written is with the operating system. Until then the same bytes have to be given
    /// again, with more behind them or not.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => Pin::new(&mut self.socket).poll_write(cx, bytes),
            Some(tls) => tls.poll_write(&mut self.socket, cx, bytes),
        }
    }

    /// Ends our side.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            std::task::ready!(tls.poll_farewell(&mut self.socket, cx))?;
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
