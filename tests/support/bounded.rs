//! A server under the limits that are promised for the whole process, and people who come from many addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use bellhop_protocol::OpCode;
use socket2::{Domain, Protocol, Socket, Type};

use crate::peer::Peer;
use crate::proc::{RSS_MAX, rss_peak};
use crate::process::{Process, binary};
use crate::server::Home;
use crate::tools::has;
use crate::wait::PATIENCE;

/// What the process may have: 2 GiB of addresses, 4,096 files.
const LIMITS: [&str; 2] = ["--as=2147483648", "--nofile=4096"];

/// True if and only if such limits can be set here.
pub fn has_prlimit() -> bool {
    has("prlimit", &["--as=2147483648", "--nofile=128", "true"])
}

/// A server under these limits.
pub struct Bounded {
    /// The server.
    pub server: Process,
    _home: Home,
}

impl Bounded {
    /// A server with these arguments.
    pub fn start(args: &[&str]) -> Bounded {
        Bounded::start_under(&LIMITS, args)
    }

    /// A server with these arguments, under other limits.
    pub fn start_under(limits: &[&str], args: &[&str]) -> Bounded {
        let home = Home::new();
        let mut prlimit = Command::new("prlimit");
        prlimit.args(limits).arg(binary("bellhop-server"));
        let server = Process::start_as(&mut prlimit, &home.data(), args);
        Bounded { server, _home: home }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Looks whether its memory stayed within what is promised; the most it had, in MiB.
    #[track_caller]
    pub fn memory_was_bounded(&self) -> u64 {
        let peak = rss_peak(self.server.id());
        assert!(peak <= RSS_MAX, "{} MiB", peak >> 20);
        peak >> 20
    }
}

/// An address of this machine: a different one for each number.
pub fn source(number: u32) -> IpAddr {
    let [_, b, c, d] = (number + 0x00_02_00_01).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, b, c, d))
}

/// Connects from an address; `buffer` is how many bytes the system takes for a program that does not read.
pub fn connect_from(from: IpAddr, to: SocketAddr, buffer: Option<usize>) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// Somebody who comes from an address and is logged in.
pub fn login_from(from: IpAddr, to: SocketAddr, name: &str) -> Peer {
    let mut peer = Peer::over(connect_from(from, to, None).unwrap());
    peer.enter(name);
    peer
}

/// Two honest people, whose talk is measured while others are up to something.
pub struct Pair {
    one: Peer,
    other: Peer,
    number: u64,
}

impl Pair {
    /// Two people who are logged in.
    pub fn meet(addr: SocketAddr) -> Pair {
        let one = login_from(source(0x00_F0_00_00), addr, "honest-one");
        let mut other = login_from(source(0x00_F0_00_01), addr, "honest-other");
        other.ask(OpCode::Deliver, "");
        Pair { one, other, number: 0 }
    }

    /// One says something, and the other has it: how long that took.
    #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
    pub fn talk(&mut self) -> Duration {
        self.number += 1;
        let start = Instant::now();
        self.one.send(OpCode::Send, &format!("honest-other|{}", self.number));
        let got = self.other.push();
        let took = start.elapsed();
        assert_eq!(got.text(), format!("honest-one|{}", self.number));
        assert!(self.one.answer(OpCode::Send.answer()).text().starts_with("ok|delivered|"));
        took
    }
}
