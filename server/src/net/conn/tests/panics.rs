//! A connection that panics at each lock that it takes, in turn, while it holds the lock: it ends, and nobody else has
//! anything of it.

use std::collections::BTreeSet;

use bellhop_protocol::Reply;
use bellhop_protocol::item::Ack;
use bellhop_protocol::post::Posted;
use bellhop_protocol::presence::PRESENCE;
use bellhop_protocol::session::SessionToken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::bench::OPEN;
use super::*;
use crate::net::listener::{Acceptor, Connections};
use crate::presence::InUse;
use crate::sync::tried;

/// How many connections there may be.
const PLACES: usize = 8;

/// A listener over real sockets, whose connections are tasks of the thread that tests.
struct Door {
    addr: std::net::SocketAddr,
    connections: std::sync::Arc<Connections>,
    places: std::sync::Arc<Semaphore>,
}

impl Door {
    async fn open(bench: &Bench) -> Door {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (connections, places) =
            (std::sync::Arc::new(Connections::default()), std::sync::Arc::new(Semaphore::new(PLACES)));
        let acceptor = Acceptor {
            core: bench.core.clone(),
            policy: OPEN,
            plain: true,
            plaintext_from: [].into(),
            identity: bench.identity.clone(),
            places: places.clone(),
            admission: bench.admission.clone(),
            connections: connections.clone(),
            stop: CancellationToken::new(),
        };
        tokio::spawn(acceptor.run(listener));
        Door { addr, connections, places }
    }

    /// A connection, and the task that serves it.
    async fn connect(&self) -> (Line, tokio::task::Id) {
        let before: BTreeSet<u64> = self.connections.live.iter().map(|entry| *entry.key()).collect();
        let stream = TcpStream::connect(self.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let line = Line { stream, unread: Vec::new() };
        loop {
            let new = self.connections.live.iter().find(|entry| !before.contains(entry.key()));
            if let Some(id) = new.map(|entry| entry.value().1.id()) {
                return (line, id);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Somebody who watches a name.
    async fn watch(&self, name: &str, watched: &str) -> Line {
        let mut line = self.connect().await.0;
        line.ask(&hello_with(1, PRESENCE), OpCode::Hello).await.unwrap();
        line.ask(&bytes(OpCode::Create, name), OpCode::Create).await.unwrap();
        line.ask(&watch(&[watched]), OpCode::Watch).await.unwrap();
        line
    }

    /// A connection of an account, which is made where it is not there.
    async fn enter(&self, name: &str, device: Option<u8>) -> Line {
        let mut line = self.connect().await.0;
        if let Some(device) = device {
            line.ask(&hello(device), OpCode::Hello).await.unwrap();
        }
        let known = line.ask(&bytes(Login, name), Login).await.unwrap();
        if known.starts_with(b"error|no-such-user|") {
            line.ask(&bytes(OpCode::Create, name), OpCode::Create).await.unwrap();
        } else {
            assert!(known.starts_with(b"ok|"), "{}", String::from_utf8_lossy(&known));
        }
        line
    }
}

/// The other side of a connection.
struct Line {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Line {
    /// The next frame; `None` where the connection has ended.
    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = frame::parse(&self.unread, frame::LIMIT_MAX).unwrap() {
                let (read, len) = ((frame.op, frame.data.to_vec()), frame.wire_len());
                self.unread.drain(..len);
                return Some(read);
            }
            let read = self.stream.read_buf(&mut self.unread);
            match tokio::time::timeout(PATIENCE, read).await.expect("nothing comes") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The answer to a request, and what came before it goes to `pushed`; `None` where the connection has ended.
    async fn ask_and_see(
        &mut self,
        request: &[u8],
        op: OpCode,
        pushed: &mut Vec<(u8, Vec<u8>)>,
    ) -> Option<Vec<u8>> {
        // Where it has ended already, reading tells.
        let _ = self.stream.write_all(request).await;
        loop {
            let (came, data) = self.read().await?;
            if came == op.answer() {
                return Some(data);
            }
            pushed.push((came, data));
        }
    }

    async fn ask(&mut self, request: &[u8], op: OpCode) -> Option<Vec<u8>> {
        self.ask_and_see(request, op, &mut Vec::new()).await
    }
}

/// What a device was shown.
fn texts(pushed: &[(u8, Vec<u8>)]) -> impl Iterator<Item = String> {
    pushed.iter().filter_map(|(op, data)| match Reply::decode(*op, data).unwrap() {
        Reply::Message(message) => Some(message.text.to_owned()),
        _ => None,
    })
}

/// How a life of the one who panics went.
#[derive(Default)]
struct Life {
    /// What it was sent, and its friend was told to be kept.
    kept: Vec<String>,
    /// What came, except for answers.
    pushed: Vec<(u8, Vec<u8>)>,
    /// How its message was answered.
    posted: Option<Vec<u8>>,
    /// The token that it was given.
    token: Option<Vec<u8>>,
}

/// Everything that a connection may ask for; `None` where it ended before that was done.
async fn live(life: &mut Life, victim: &mut Line, friend: &mut Line, name: &str, to: &str) -> Option<()> {
    let pushed = &mut life.pushed;
    victim.ask(&hello_with(1, PRESENCE), OpCode::Hello).await?;
    let made = victim.ask(&bytes(OpCode::Create, name), OpCode::Create).await?;
    assert!(made.starts_with(b"ok|"));
    for number in 0..4 {
        if number == 2 {
            victim.ask_and_see(&bytes(Deliver, ""), Deliver, pushed).await?;
        }
        let text = format!("for you {number}");
        let answer = friend.ask(&bytes(Send, &format!("{name}|{text}")), Send).await.unwrap();
        assert!(answer.starts_with(b"ok|"));
        life.kept.push(text);
    }
    life.posted = Some(victim.ask_and_see(&post(1, to, "from me"), OpCode::Post, pushed).await?);
    let mut ack = Vec::new();
    Ack::put(&[(1, 2)], &mut ack);
    victim.stream.write_all(&ack).await.ok()?;
    victim.ask_and_see(&bytes(List, name), List, pushed).await?;
    for names in [&[to][..], &[name, to], &[name]] {
        victim.ask_and_see(&watch(names), OpCode::Watch, pushed).await?;
    }
    victim.stream.write_all(&bytes(OpCode::Typing, name)).await.ok()?;
    let token = victim.ask_and_see(&Request::Token.to_bytes(), OpCode::Token, pushed).await?;
    life.token = Some(token[2..].to_vec());
    victim.ask_and_see(&bytes(Send, &format!("{name}|to myself")), Send, pushed).await?;
    victim.ask_and_see(&bytes(Logout, ""), Logout, pushed).await?;
    victim.ask_and_see(&bytes(Login, name), Login, pushed).await?;
    victim.ask_and_see(&bytes(Deliver, ""), Deliver, pushed).await?;
    victim.ask_and_see(&Request::Ping([0; 8]).to_bytes(), OpCode::Ping, pushed).await?;
    Some(())
}

/// One life, which ends in a panic at the lock with this number; false where that came to its end before.
async fn one(bench: &Bench, door: &Door, lock: u32) -> bool {
    let (name, to) = (format!("v{lock}"), format!("f{lock}"));
    let mut friend = door.enter(&to, None).await;
    let mut seer = door.watch(&format!("w{lock}"), &name).await;
    let (mut victim, task) = door.connect().await;
    tried::panics_at(task, lock);
    let mut life = Life::default();
    let whole = live(&mut life, &mut victim, &mut friend, &name, &to).await;
    if tried::panics_no_more() {
        whole.expect("it did not panic");
        return false;
    }
    // Where it had come to its end, the last messages may have been on their way.
    while let Some(push) = victim.read().await {
        life.pushed.push(push);
    }
    assert_eq!(bench.core.counters.panicked.get(), u64::from(lock), "each is counted");
    while door.connections.live.len() > 2 || door.places.available_permits() + 3 < PLACES {
        tokio::task::yield_now().await;
    }
    let account = bench.core.hub.by_name(&name);
    assert_eq!(
        account.map_or(0, |account| account.mailbox.lock().sessions()),
        0,
        "{lock}: no session is left"
    );
    let left = InUse { sessions: 1, names: 1, most: 1 };
    assert_eq!(bench.core.presence.in_use(), left, "{lock}: it watches no longer");
    bench.core.clock.pass(2 * SECOND);
    let states = seer.ask(&watch(&[&name]), OpCode::Watch).await.unwrap();
    assert_eq!(states, [0, 0, 0], "{lock}: nobody is seen who is not here");
    // The friend lives on, and is told what is true: nobody is here who could be handed anything.
    let mut pushed = Vec::new();
    let last = bytes(Send, &format!("{name}|the last"));
    let sent = friend.ask_and_see(&last, Send, &mut pushed).await.unwrap();
    let sent = String::from_utf8(sent).unwrap();
    if life.kept.is_empty() {
        // Whether there is such an account, nobody was told.
        assert!(sent.starts_with("error|no-such-user|") || sent.starts_with("ok|queued|"), "{lock}: {sent}");
    } else {
        assert!(sent.starts_with("ok|queued|"), "{lock}: {sent}");
    }
    comes_back(&mut life, door, &name, &to).await;
    friend.ask_and_see(&bytes(List, "nobody"), List, &mut pushed).await.unwrap();
    let from = format!("{name}|from me");
    let shown = pushed.iter().filter(|(op, data)| *op == Deliver.byte() && *data == from.as_bytes()).count();
    assert!(bench.core.in_memory && shown >= 1 || shown == 1, "{lock}: shown {shown} times");
    true
}

/// Whoever panicked comes back, and misses nothing.
async fn comes_back(life: &mut Life, door: &Door, name: &str, to: &str) {
    let mut again = match &life.token {
        None => door.enter(name, Some(1)).await,
        Some(token) => {
            let mut again = door.connect().await.0;
            again.ask(&hello(1), OpCode::Hello).await.unwrap();
            let token = SessionToken(token.clone().try_into().unwrap());
            let resumed = again.ask(&Request::Resume(token).to_bytes(), OpCode::Resume).await.unwrap();
            // It may have logged out, and that was done.
            if resumed[..2] != [0, 0] {
                again.ask(&bytes(Login, name), Login).await.unwrap();
            }
            again
        }
    };
    let mut pushed = Vec::new();
    let waiting = again.ask_and_see(&bytes(Deliver, ""), Deliver, &mut pushed).await.unwrap();
    let waiting: usize = std::str::from_utf8(&waiting).unwrap().strip_prefix("ok|").unwrap().parse().unwrap();
    while pushed.len() < waiting {
        pushed.push(again.read().await.unwrap());
    }
    pushed.append(&mut life.pushed);
    let answer = again.ask_and_see(&post(1, to, "from me"), OpCode::Post, &mut pushed).await.unwrap();
    let Reply::Posted(answer) = Reply::decode(OpCode::Post.answer(), &answer).unwrap() else { panic!() };
    let posted = answer.result.unwrap().posted;
    assert!(life.posted.is_none() || posted == Posted::SeenBefore, "what was kept is known");
    let shown: BTreeSet<String> = texts(&pushed).collect();
    for text in &life.kept {
        assert!(shown.contains(text), "{name} misses {text:?} of {shown:?}");
    }
}

/// F24. The keeper is a thread of its own, so what it keeps is kept; where messages live in memory, the connection keeps
/// them itself.
#[test]
fn a_panic_at_any_lock_ends_that_connection_and_costs_nobody_anything() {
    let settings =
        ["accept-rate=off", "connections-addr=off", "unauth-addr=off", "list-rate=off", "presence-grace=1"];
    for bench in [Bench::new(&settings), Bench::in_memory(&settings)] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let door = Door::open(&bench).await;
            let mut lock = 1;
            while one(&bench, &door, lock).await {
                while !door.connections.live.is_empty() {
                    tokio::task::yield_now().await;
                }
                lock += 1;
            }
            assert!(lock > 20, "it took {lock} locks alone");
        });
    }
}
