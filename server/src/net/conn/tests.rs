//! Connections over scripted streams, a turn at a time: what the operating system holds and what the runtime has
//! noticed of it are apart, as they are on a machine. Time is moved; only the writing thread is waited for.

mod limits;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{JoinHandle, Thread};

use bellhop_protocol::op::NOTICE;
use bellhop_protocol::post::Post;
use bellhop_protocol::session::Hello;
use bellhop_protocol::{Address, DeviceId, OpCode, Request, frame};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::io::ReadBuf;

use super::write::{FETCH_AGAIN, FETCHES_EMPTY_MAX, LINGER};
use super::*;
use crate::auth::Hasher;
use crate::clock::Clock;
use crate::core::{Core, Memory};
use crate::hub::Hub;
use crate::ids::IdKey;
use crate::keeper::queue::Queue;
use crate::keeper::{self, Keeper};
use crate::limits::Limits;
use crate::net::admission::Admission;
use crate::outbox::Outbox;
use crate::service::Policy;
use crate::store::memory::MemoryStore;
use crate::store::readers::Readers;
use crate::store::{Batch, Store, StoreError, Write};

use OpCode::{Create, Deliver, List, Login, Logout, Send};

/// How long the writing thread may take to answer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

const SECOND: Duration = Duration::from_secs(1);

/// What the operating system holds of a connection.
#[derive(Debug, Default)]
struct Kernel {
    input: VecDeque<u8>,
    /// True while the runtime knows that there may be input.
    noticed: bool,
    /// The most that a read gives, where there is such a bound.
    piece: Option<usize>,
    output: Vec<u8>,
    /// How many bytes it takes, where there is such a bound.
    room: Option<usize>,
    /// What the other side says as soon as a frame with this op-code is written, before the write returns.
    reaction: Option<(u8, Vec<u8>)>,
    /// Time that passes while the next read is tried.
    delay: Option<(Clock, Duration)>,
    closed: bool,
}

impl Kernel {
    fn react(&mut self) {
        let mut at = 0;
        while let Ok(Some(frame)) = frame::parse(&self.output[at..], frame::LIMIT_MAX) {
            at += frame.wire_len();
            if let Some((_, said)) = self.reaction.take_if(|(op, _)| *op == frame.op) {
                self.input.extend(said);
                self.noticed = true;
                return;
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<Kernel>>);

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut kernel = self.0.lock();
        if let Some((clock, time)) = kernel.delay.take() {
            clock.pass(time);
        }
        if !kernel.noticed {
            return Poll::Pending;
        }
        let most = buffer.remaining().min(kernel.piece.unwrap_or(usize::MAX));
        let count = kernel.input.len().min(most);
        // As with tokio on epoll: a short read tells that nothing is left, and the next one does not ask.
        kernel.noticed = count == most;
        if count == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&kernel.input.drain(..count).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut kernel = self.0.lock();
        let count = bytes.len().min(kernel.room.unwrap_or(usize::MAX));
        if count == 0 {
            return Poll::Pending;
        }
        kernel.room = kernel.room.map(|room| room - count);
        kernel.output.extend_from_slice(&bytes[..count]);
        kernel.react();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().closed = true;
        Poll::Ready(Ok(()))
    }
}

impl Socket for Script {
    fn is_drained(&self) -> bool {
        self.0.lock().input.is_empty()
    }
}

/// Wakes the thread of a test.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// A server without sockets, on a store in memory.
struct Bench {
    core: Arc<Core>,
    admission: Arc<Admission>,
    keeper: Option<JoinHandle<Result<(), StoreError>>>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(settings: &[&str]) -> Bench {
        Bench::on(Box::new(MemoryStore::default()), settings)
    }

    fn on(mut store: Box<dyn Store>, settings: &[&str]) -> Bench {
        let boot = store.boot().unwrap();
        let ids = IdKey::new(boot.id_key);
        let mut limits = Limits::default();
        settings.iter().for_each(|setting| limits.apply(setting).unwrap());
        let core = Arc::new(Core {
            bounds: limits.bounds(),
            in_memory: false,
            clock: Clock::start(),
            counters: Default::default(),
            hub: Hub::default(),
            memory: Memory::new(&limits),
            queue: Queue::new(limits.pending_writes),
            ids,
            hasher: Hasher::new(1),
            log: Mutex::default(),
            readers: Readers::start(&*store, ids).unwrap().0,
            node: boot.node.clone(),
            clock_in_doubt: false.into(),
            stopping: false.into(),
            limits,
        });
        let loaded = keeper::load(&core, &mut *store, &boot).unwrap();
        let keeper = Keeper::new(core.clone(), store, loaded);
        Bench {
            admission: Arc::new(Admission::new(&core.limits)),
            core,
            keeper: Some(std::thread::spawn(move || keeper.run())),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
        }
    }

    fn connect(&self) -> Side<'_> {
        let policy = Policy { open: true, password: false, register: true };
        let outbox = Arc::new(Outbox::new(self.core.limits.outbox, self.core.memory.outboxes.clone()));
        let caller = Caller::new(self.core.clone(), policy, outbox);
        let now = self.core.clock.now().up;
        let permit = self.admission.admit([127, 0, 0, 1].into(), now).unwrap();
        let kernel = Script::default();
        let _in = self.runtime.enter();
        let conn = Conn::new(kernel.clone(), caller, permit);
        Side { bench: self, kernel: kernel.0, conn, turns: 0, over: false }
    }

    /// A connection with an account, which is made where it is not there.
    fn enter(&self, name: &str) -> Side<'_> {
        let mut side = self.connect();
        side.enter(name);
        side
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.core.queue.close();
        let ended = self.keeper.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap().unwrap();
        }
    }
}

/// A connection, and its other side.
struct Side<'a> {
    bench: &'a Bench,
    kernel: Arc<Mutex<Kernel>>,
    conn: Conn<Script>,
    turns: u32,
    over: bool,
}

impl Side<'_> {
    /// Bytes reach the machine; the runtime has not noticed yet.
    fn arrives(&self, bytes: &[u8]) {
        self.kernel.lock().input.extend(bytes);
    }

    /// The runtime notices what has arrived.
    fn notices(&self) {
        self.kernel.lock().noticed = true;
    }

    fn says(&mut self, op: OpCode, data: &str) {
        self.arrives(&bytes(op, data));
        self.notices();
        self.turn();
    }

    fn turn(&mut self) {
        if self.over {
            return;
        }
        self.turns += 1;
        assert!(self.turns < 1_000, "the connection does not come to rest");
        let _in = self.bench.runtime.enter();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        self.over = Pin::new(&mut self.conn).poll(&mut Context::from_waker(&waker)).is_ready();
    }

    /// Turns until nothing is awaited but time and the other side.
    fn rest(&mut self) {
        loop {
            self.turn();
            let Conn { work, held, caller, .. } = &self.conn;
            let waits = work.is_some() || matches!(held, Some(Hold::Due | Hold::Full));
            if self.over || !waits && caller.outbox.due() == Default::default() {
                // The last answer may have come when the turn was over.
                return self.turn();
            }
            std::thread::park_timeout(PATIENCE);
        }
    }

    /// The next frame that was written.
    fn read_bytes(&self) -> Option<(u8, Vec<u8>)> {
        let mut kernel = self.kernel.lock();
        let frame = frame::parse(&kernel.output, frame::LIMIT_MAX).unwrap()?;
        let (read, len) = ((frame.op, frame.data.to_vec()), frame.wire_len());
        kernel.output.drain(..len);
        Some(read)
    }

    /// The next frame that was written, as op-code and text.
    fn read(&self) -> Option<(u8, String)> {
        self.read_bytes().map(|(op, data)| (op, String::from_utf8_lossy(&data).into_owned()))
    }

    /// The next frame, which comes when the writing thread has done its part.
    fn next(&mut self) -> (u8, String) {
        loop {
            self.turn();
            if let Some(frame) = self.read() {
                return frame;
            }
            assert!(!self.over, "the connection is over");
            std::thread::park_timeout(PATIENCE);
        }
    }

    fn ask(&mut self, op: OpCode, data: &str) -> String {
        self.says(op, data);
        let (answer, text) = self.next();
        assert_eq!(answer, op.answer(), "{text}");
        text
    }

    fn enter(&mut self, name: &str) {
        if self.ask(Login, name).starts_with("error|no-such-user|") {
            let created = self.ask(Create, name);
            assert!(created.starts_with("ok|"), "{created}");
        }
    }
}

fn bytes(op: OpCode, data: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::put(&mut bytes, op.byte(), data.as_bytes());
    bytes
}

fn hello(device: u8) -> Vec<u8> {
    let device = DeviceId([device; 16]);
    Request::Hello(Hello { version: 1, device, features: 0, agent: "test" }).to_bytes()
}

fn post(counter: u64, to: &str, text: &str) -> Vec<u8> {
    let to = Address::parse(to).unwrap();
    Request::Post(Post { counter, receipts: false, to, text }).to_bytes()
}

/// How many messages wait for an account that has no session.
fn waiting(bench: &Bench, name: &str) -> String {
    bench.connect().ask(Login, name).rsplit_once('|').unwrap().1.to_owned()
}

/// What came before a message was written counted as an answer to it: the message was lost where the connection broke.
#[test]
fn a_request_from_before_a_message_does_not_take_it() {
    let bench = Bench::new(&[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    bob.arrives(&bytes(List, "bob"));
    alice.says(Send, "bob|hi");
    assert_eq!(bob.next(), (Deliver.byte(), "alice|hi".into()));
    bob.notices();
    assert_eq!(bob.next(), (List.answer(), "ok|bob".into()));
    drop(bob);
    assert_eq!(waiting(&bench, "bob"), "1");
}

#[test]
fn a_request_from_after_a_message_takes_it() {
    let bench = Bench::new(&[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    alice.says(Send, "bob|hi");
    assert_eq!(bob.next(), (Deliver.byte(), "alice|hi".into()));
    assert_eq!(bob.ask(List, "bob"), "ok|bob");
    drop(bob);
    assert_eq!(waiting(&bench, "bob"), "0");
}

/// Of what is read together nobody knows which part came first.
#[test]
fn requests_from_before_and_after_a_message_leave_it_to_the_next_one() {
    for (further, left) in [(false, "1"), (true, "0")] {
        let bench = Bench::new(&[]);
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        bob.arrives(&bytes(List, "bob"));
        alice.says(Send, "bob|hi");
        assert_eq!(bob.next().1, "alice|hi");
        bob.says(List, "alice");
        assert_eq!([bob.next().1, bob.next().1], ["ok|bob", "ok|alice"]);
        if further {
            assert_eq!(bob.ask(List, "bob"), "ok|bob");
        }
        drop(bob);
        assert_eq!(waiting(&bench, "bob"), left);
    }
}

/// Whoever answers before the server's task goes on has read all the same.
#[test]
fn a_request_at_once_takes_what_it_answers() {
    for op in [Deliver.answer(), Deliver.byte()] {
        let bench = Bench::new(&[]);
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        assert_eq!(bob.ask(Logout, ""), "ok");
        if op == Deliver.answer() {
            alice.ask(Send, "bob|hi");
        }
        bob.enter("bob");
        bob.kernel.lock().reaction = Some((op, bytes(Logout, "")));
        match op == Deliver.answer() {
            true => bob.says(Deliver, ""),
            false => alice.says(Send, "bob|hi"),
        }
        while bob.next().0 != Logout.answer() {}
        assert_eq!(waiting(&bench, "bob"), "0");
    }
}

/// The reply of the reading thread was asked for again after it had failed, and that panicked.
#[test]
fn a_mailbox_that_cannot_be_read_ends_the_connection_with_a_reason() {
    let bench = Bench::new(&[]);
    let mut bob = bench.enter("bob");
    let (reply, fetching) = tokio::sync::oneshot::channel();
    reply.send(Err(StoreError::Fault("injected".into()))).unwrap();
    bob.conn.fetching = Some(fetching);
    let (op, text) = bob.next();
    assert_eq!((op, text.split('|').nth(1)), (NOTICE, Some("storage")), "{text}");
    assert!(bob.kernel.lock().closed);
    bench.core.clock.pass(2 * LINGER);
    bob.turn();
    assert!(bob.over && bob.read().is_none());
}

/// A row that is lost before one that is there was fetched for ever.
#[test]
fn a_row_that_is_lost_ends_the_connection_with_a_reason() {
    let store = MemoryStore::default();
    let bench = Bench::on(Box::new(store.clone()), &[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    assert_eq!(bob.ask(Logout, ""), "ok");
    (0..3).for_each(|_| assert!(alice.ask(Send, "bob|hi").starts_with("ok|queued|")));
    let lost = store.log()[1].row;
    store.clone().commit(&Batch { writes: vec![Write::DropRows(lost, lost)], ..Batch::default() }).unwrap();
    bob.enter("bob");
    bob.says(Deliver, "");
    assert_eq!(bob.next().1, "alice|hi");
    // It might only have been moved: it is asked for again, and not at once.
    let mut asked = 0;
    let (op, text) = loop {
        bob.turn();
        match bob.read() {
            Some(frame) => break frame,
            None if bob.conn.fetching.is_some() => std::thread::park_timeout(PATIENCE),
            None => {
                asked += 1;
                bench.core.clock.pass(FETCH_AGAIN);
            }
        }
    };
    assert_eq!((op, text.split('|').nth(1)), (NOTICE, Some("storage")), "{text}");
    assert_eq!(asked, FETCHES_EMPTY_MAX);
}

/// Time in which the server itself does not read counts for no clock: a backlog that the rate held up was cut off.
#[test]
fn who_is_read_slowly_is_not_taken_for_silent() {
    let bench = Bench::new(&["sends=1", "heartbeat=1"]);
    let mut alice = bench.connect();
    alice.arrives(&hello(1));
    alice.notices();
    assert_eq!(alice.next().0, OpCode::Hello.answer());
    alice.enter("alice");
    let text = "x".repeat(8_000);
    (1..=40).for_each(|counter| alice.arrives(&post(counter, "nobody", &text)));
    alice.notices();
    let mut answered = 0;
    for _ in 0..60 {
        alice.rest();
        while let Some((op, data)) = alice.read_bytes() {
            answered += u32::from(op == OpCode::Post.answer());
            if op == OpCode::Ping.byte() {
                alice.arrives(&Request::Pong(data.try_into().unwrap()).to_bytes());
                alice.notices();
            }
        }
        bench.core.clock.pass(SECOND);
    }
    assert_eq!((answered, alice.over), (40, false));
}

/// The timer rang by its own clock, and the turn tried again by an older one until the runtime stopped it.
#[test]
fn what_the_timer_finds_due_is_done_in_the_same_turn() {
    let bench = Bench::new(&[]);
    let mut bob = bench.enter("bob");
    let now = bench.core.clock.now().up;
    bob.conn.inbox.push(&bytes(Send, "no bar"), 0);
    bob.conn.held = Some(Hold::Rate(now + Duration::from_nanos(1)));
    bob.kernel.lock().delay = Some((bench.core.clock.clone(), SECOND));
    // As a task, which has a budget: without one it would not end.
    bench.runtime.block_on(std::future::poll_fn(|cx| {
        let _ = Pin::new(&mut bob.conn).poll(cx);
        Poll::Ready(())
    }));
    assert_eq!(bob.read().map(|(op, _)| op), Some(Send.answer()));
}

/// One of the requests that a script is made of.
fn request(choice: usize, counter: u64) -> Vec<u8> {
    match choice {
        0 => bytes(Send, "nobody|hi"),
        1 => bytes(Send, "bob|hi"),
        2 => bytes(Send, "no bar"),
        3 => bytes(List, "bob"),
        4 => bytes(Deliver, "not empty"),
        5 => post(counter, "bob", "hi"),
        6 => post(counter, "nobody", &"long ".repeat(2_000)),
        7 => Request::Ping(counter.to_be_bytes()).to_bytes(),
        8 => bytes(OpCode::Ack, ""),
        9 => bytes(Logout, "somebody-else"),
        _ => vec![0, 0, 0, 2, 0x3F, 1, 2],
    }
}

/// What a connection is answered, by op-code and without ids and times, and whether it was closed.
fn answers(bench: &Bench, script: &[u8], cuts: &[usize]) -> (BTreeMap<u8, Vec<Vec<u8>>>, bool) {
    let (mut side, mut at, mut answers) = (bench.connect(), 0, BTreeMap::<_, Vec<_>>::new());
    for end in cuts.iter().copied().chain([script.len()]) {
        side.arrives(&script[at..end]);
        side.notices();
        // Some of the pieces come while the one before is worked on.
        if end % 2 == 0 {
            side.rest()
        } else {
            side.turn()
        };
        at = end;
    }
    side.rest();
    while let Some((op, mut data)) = side.read_bytes() {
        match (op, data.starts_with(b"ok|queued|")) {
            (0x85, true) => data.truncate(9),
            (0x88, _) => data.truncate(10),
            _ => {}
        }
        answers.entry(op).or_default().push(data);
    }
    let closed = side.kernel.lock().closed;
    (answers, closed)
}

#[test]
fn any_split_gives_the_same_answers() {
    let bench =
        Bench::new(&["sends=off", "list-rate=off", "accept-rate=off", "mailbox=off", "mailbox-sender=off"]);
    bench.enter("bob").ask(Logout, "");
    bench.enter("alice").ask(Logout, "");
    let script = (prop::collection::vec(0..11usize, 1..40), any::<bool>());
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..30);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() });
    let run = runner.run(&(script, cuts), |((choices, too_long), cuts)| {
        let mut script = [hello(1), bytes(Login, "alice")].concat();
        (1..).zip(&choices).for_each(|(counter, choice)| script.extend(request(*choice, counter)));
        if too_long {
            script.extend([0, 1, 0, 1, Send.byte()]);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(script.len())).collect();
        cuts.sort_unstable();
        let whole = answers(&bench, &script, &[]);
        prop_assert_eq!(whole.1, too_long);
        let asked: usize = whole.0.values().map(Vec::len).sum();
        prop_assert_eq!(asked, choices.len() + 2 + usize::from(too_long));
        prop_assert_eq!(answers(&bench, &script, &cuts), whole);
        Ok(())
    });
    run.unwrap();
}
