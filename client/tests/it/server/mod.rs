//! A server small enough to read: accounts, mailboxes, counters, receipts, in memory; and faults on demand.
//!
//! A thread a connection, one lock around everything. It checks what a client may get wrong and panics where it does,
//! which the test sees as a lost connection and in its output. `frames` is what an op does, `mailbox` what becomes of a
//! message.

mod frames;
mod mailbox;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::{Code, DeviceId, MessageId, Reply, frame, request, text};
use uuid::Uuid;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    world: Arc<Mutex<World>>,
}

/// Everything the server knows, and what it is to do wrong.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Ops as they came, for the test to read.
    pub(crate) log: Vec<String>,
    /// Keep this many POSTs and close without an answer.
    pub(crate) cut_posts: u32,
    /// Take this many POSTs and say nothing.
    pub(crate) silent_posts: u32,
    /// Close at this many POSTs and keep nothing.
    pub(crate) lost_posts: u32,
    /// Answer a POST after this time.
    pub(crate) slow_posts: Duration,
    /// Refuse POSTs with this.
    pub(crate) refuse_posts: Option<Code>,
    /// Refuse logins with this.
    pub(crate) refuse_logins: Option<Code>,
    /// Announce this many more items than there are.
    pub(crate) lie_about_waiting: u64,
    /// Acknowledgements get lost.
    pub(crate) deaf_to_acks: bool,
    /// LIST needs a login.
    pub(crate) closed_list: bool,
    /// Names a LIST answer holds at most.
    pub(crate) page: usize,
    sessions: HashMap<u64, Live>,
    ids: u128,
}

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: Option<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) tokens: HashMap<[u8; 32], DeviceId>,
    counters: HashMap<DeviceId, BTreeMap<u64, MessageId>>,
    acked: HashMap<DeviceId, BTreeSet<u64>>,
    text_taken: BTreeSet<u64>,
    uuid: Uuid,
    next_seq: u64,
}

#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) seq: u64,
    pub(crate) id: MessageId,
    pub(crate) peer: String,
    pub(crate) body: Body,
}

#[derive(Clone)]
pub(crate) enum Body {
    Text { text: String, receipt_to: Option<DeviceId> },
    Receipt { state: ReceiptState, device: DeviceId },
}

struct Live {
    socket: TcpStream,
    key: Option<String>,
    device: Option<DeviceId>,
    streaming: bool,
    cursor: u64,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let world = Arc::new(Mutex::new(World { page: 1_000, ..World::default() }));
        let shared = world.clone();
        thread::spawn(move || {
            for (number, socket) in listener.incoming().flatten().enumerate() {
                let world = shared.clone();
                thread::spawn(move || serve(number as u64, socket, &world));
            }
        });
        Server { address, world }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn account(&self, name: &str, password: Option<&str>) {
        self.world().create(name, password);
    }

    /// A message from somebody outside.
    pub(crate) fn deliver(&self, to: &str, from: &str, text: &str) -> MessageId {
        let mut world = self.world();
        let id = world.fresh_id();
        world.file(to, id, from, Body::Text { text: text.into(), receipt_to: None });
        id
    }

    /// Texts that the account holds, in order.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let world = self.world();
        let items = world.accounts[name].items.iter();
        items
            .filter_map(|item| match &item.body {
                Body::Text { text, .. } => Some(text.clone()),
                Body::Receipt { .. } => None,
            })
            .collect()
    }

    /// How many items of the account no device has acknowledged.
    pub(crate) fn unacknowledged(&self, name: &str) -> usize {
        let world = self.world();
        let account = &world.accounts[name];
        let acked = |seq: &u64| account.acked.values().any(|acked| acked.contains(seq));
        account.items.iter().filter(|item| !acked(&item.seq)).count()
    }

    /// Closes every connection.
    pub(crate) fn cut(&self) {
        for live in self.world().sessions.values() {
            let _ = live.socket.shutdown(Shutdown::Both);
        }
    }

    /// Says a notice to every connection and closes it.
    pub(crate) fn dismiss(&self, code: Code) {
        for live in self.world().sessions.values_mut() {
            let mut bytes = Vec::new();
            text::put_error(&mut bytes, 0xFF, code, "because the test says so");
            let _ = live.socket.write_all(&bytes);
            let _ = live.socket.shutdown(Shutdown::Both);
        }
    }
}

fn serve(number: u64, socket: TcpStream, world: &Mutex<World>) {
    let mut reader = socket.try_clone().expect("a second handle");
    let live = Live { socket, key: None, device: None, streaming: false, cursor: 0 };
    lock(world).sessions.insert(number, live);
    let mut buffer = Vec::new();
    let mut chunk = [0; 4_096];
    'connection: loop {
        match reader.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => buffer.extend_from_slice(&chunk[..count]),
        }
        loop {
            let (op, data) = match frame::parse(&buffer, 65_536).expect("frames within the limit") {
                None => break,
                Some(frame) => (frame.op, frame.data.to_vec()),
            };
            buffer.drain(..frame::HEADER + data.len());
            if !lock(world).frame(number, op, &data) {
                break 'connection;
            }
        }
    }
    let _ = reader.shutdown(Shutdown::Both);
    lock(world).sessions.remove(&number);
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl World {
    fn fresh_id(&mut self) -> MessageId {
        self.ids += 1;
        MessageId(Uuid::from_u128(self.ids << 64))
    }

    fn create(&mut self, name: &str, password: Option<&str>) -> Uuid {
        let uuid = Uuid::from_u128(0xACC0 + self.accounts.len() as u128);
        let account =
            Account { name: name.into(), password: password.map(Into::into), uuid, ..Account::default() };
        self.accounts.insert(name.to_lowercase(), account);
        uuid
    }

    fn live(&mut self, number: u64) -> &mut Live {
        self.sessions.get_mut(&number).expect("the session is live")
    }

    fn say(&mut self, number: u64, reply: Reply<'_>) {
        let _ = self.live(number).socket.write_all(&reply.to_bytes());
    }

    fn refuse(&mut self, number: u64, op: u8, data: &[u8], code: Code) -> bool {
        let mut bytes = Vec::new();
        request::put_refusal(
            &mut bytes,
            op,
            data,
            &Refusal::new(code, format!("the test server says {code}")),
        );
        let _ = self.live(number).socket.write_all(&bytes);
        true
    }

    fn fresh_token(&mut self) -> [u8; 32] {
        self.ids += 1;
        let mut token = [7; 32];
        token[..16].copy_from_slice(&self.ids.to_be_bytes());
        token
    }
}

impl Item {
    fn is_for(&self, device: DeviceId) -> bool {
        match &self.body {
            Body::Text { .. } => true,
            Body::Receipt { device: of, .. } => *of == device,
        }
    }
}
