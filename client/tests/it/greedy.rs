//! Servers and users that take more than they give: memory stays bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use bellhop::Server as Address;
use bellhop_protocol::session::Welcome;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{OpCode, Reply};

use crate::server::Server;
use crate::support::{config, home, sit};

fn read_frame(socket: &mut TcpStream) {
    let mut header = [0; 5];
    socket.read_exact(&mut header).expect("a header");
    let mut data = vec![0; u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize];
    socket.read_exact(&mut data).expect("data");
}

/// Logs a client in, then sends PINGs until it takes no more, and reads nothing. Returns how many bytes it took.
fn flood(listener: &TcpListener) -> usize {
    let (mut socket, _) = listener.accept().expect("a client");
    socket.set_write_timeout(Some(Duration::from_secs(1))).expect("set");
    let welcome = Welcome {
        version: 1,
        features: 0,
        max_data: 65_536,
        window: 1_024,
        heartbeat_s: 30,
        agent: "flood/1",
        node: "n",
    };
    let answers = [
        Reply::Welcome(welcome),
        Reply::Text(OpCode::Login, TextAnswer::LoggedIn(uuid::Uuid::nil(), 0)),
        Reply::Text(OpCode::Deliver, TextAnswer::Delivered(0)),
    ];
    for answer in answers {
        read_frame(&mut socket);
        socket.write_all(&answer.to_bytes()).expect("it reads");
    }
    let pings = Reply::Ping([7; 8]).to_bytes().repeat(10_000);
    let mut taken = 0;
    while taken < 128 << 20 {
        match socket.write(&pings) {
            Ok(count) => taken += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    taken
}

/// Every PING was read and answered into memory, as long as the server liked.
#[test]
fn a_server_that_never_reads_is_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let (_folder, home) = home();
    let mut greedy = config(&Server::start(), &home, "alice");
    greedy.server = Address::parse(&address.to_string()).expect("an address");
    let seat = sit(greedy);
    let taken = flood(&listener);
    // The buffers of two sockets, both ways, and one megabyte.
    assert!(taken < 64 << 20, "{taken} bytes of PINGs were taken");
    drop(seat);
}

/// Orders were taken and answered into memory, though nobody took the answers.
#[test]
fn a_user_who_takes_no_events_is_told_to_wait() {
    let server = Server::start();
    let (_folder, home) = home();
    let seat = sit(config(&server, &home, "alice"));
    for _ in 0..8_000 {
        let mut waited = Duration::ZERO;
        while seat.client.chats().is_err() {
            if waited > Duration::from_secs(2) {
                return;
            }
            // A queue that is full for so long is one that nobody empties.
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
        }
    }
    panic!("8,000 answers are in memory");
}
