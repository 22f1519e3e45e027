//! A connection without a socket: what the other side says is there, a piece at a time, and then its end; what the
//! server writes is kept. Whatever is said, the connection comes to its end by the rules alone.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::{io, mem};

use bellhop_protocol::frame;
use bellhop_server::core::Core;
use bellhop_server::identity::{Files, Identity};
use bellhop_server::net::admission::Admission;
use bellhop_server::net::conn::Conn;
use bellhop_server::net::door::{Entrance, NO_HTTP};
use bellhop_server::net::stream::Socket;
use bellhop_server::outbox::Outbox;
use bellhop_server::service::{Caller, Policy};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;

use crate::peer::Got;
use crate::wait::PATIENCE;

/// Makes connections to a server, one after the other.
pub struct Line {
    core: Arc<Core>,
    admission: Arc<Admission>,
    identity: Arc<Identity>,
    runtime: Runtime,
}

/// A listener on which accounts without passwords are made and used.
pub const OPEN: Policy = Policy { open: true, password: false, register: true, holds_names: false };
/// A listener on which every account needs a password.
pub const CLOSED: Policy = Policy { open: false, password: true, register: true, holds_names: true };

impl Line {
    /// Connections to the server that has this core.
    pub fn new(core: &Arc<Core>) -> Line {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = Files::choose(None, folder.path()).unwrap();
        let identity = Arc::new(Identity::load(files, core.clock.now()).unwrap());
        Line { core: core.clone(), admission: Arc::new(Admission::new(&core.limits)), identity, runtime }
    }

    /// A connection that says `input`, of which at most `piece` bytes arrive at once, and then no more. Returns what the
    /// server wrote until it closed.
    ///
    /// # Panics
    ///
    /// Where it does not come to an end.
    pub fn says(&self, policy: Policy, input: &[u8], piece: usize) -> Vec<u8> {
        let output = Arc::default();
        let wire = Wire { input: input.to_vec(), at: 0, arrived: 0, piece: piece.max(1), output };
        let output = wire.output.clone();
        let outbox = Arc::new(Outbox::new(self.core.limits.outbox, self.core.memory.outboxes.clone()));
        let caller = Caller::new(self.core.clone(), policy, outbox);
        let now = self.core.clock.now().up;
        let permit = self.admission.admit(IpAddr::from([127, 0, 0, 1]), now).unwrap();
        let ended = self.runtime.block_on(async {
            let entrance = Entrance { plain: true, identity: self.identity.clone() };
            let conn = Conn::new(wire, entrance, caller, permit);
            tokio::time::timeout(PATIENCE, conn).await
        });
        assert!(ended.is_ok(), "the connection does not end after {input:02x?}");
        mem::take(&mut output.lock().unwrap())
    }
}

/// The frames in what a server wrote: whole ones and nothing else. Who comes to another door is not answered in frames.
pub fn frames(mut output: &[u8]) -> Vec<Got> {
    let mut frames = Vec::new();
    if output == NO_HTTP.as_bytes() || is_alert(output) {
        return frames;
    }
    while let Some(frame) = frame::parse(output, frame::LIMIT_MAX).unwrap() {
        frames.push(Got { op: frame.op, data: frame.data.to_vec() });
        output = &output[frame.wire_len()..];
    }
    assert!(output.is_empty(), "the server closed within a frame: {output:02x?}");
    frames
}

/// One of TLS, in plain.
fn is_alert(output: &[u8]) -> bool {
    matches!(output, [0x15, 3, _, 0, 2, _, _])
}

struct Wire {
    input: Vec<u8>,
    at: usize,
    arrived: usize,
    piece: usize,
    output: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.arrived && self.arrived < self.input.len() {
            // The next piece arrives when the server has seen that nothing more is there.
            self.arrived = self.input.len().min(self.arrived + self.piece);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = buffer.remaining().min(self.arrived - self.at);
        buffer.put_slice(&self.input[self.at..self.at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Socket for Wire {
    fn is_drained(&self) -> bool {
        self.at == self.arrived
    }
}
