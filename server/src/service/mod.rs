//! What requests mean. One `match` dispatches them all; a door, such as a TCP connection, converts bytes to requests and
//! adds no rule.
//!
//! A request is answered at once, handed to the writing thread, or worked on by a future that the door polls while it
//! reads nothing further. Answers go to the caller's outbox.

pub mod account;
pub mod delivery;
pub mod mail;
mod password;
mod presence;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::post::Posted;
use bellhop_protocol::session::{Hello, Welcome};
use bellhop_protocol::{Address, Code, DeviceId, OpCode, Request, VERSION, frame, request};

use crate::clock::Now;
use crate::core::Core;
use crate::hub::Login;
use crate::keeper::queue::{Full, Sending};
use crate::mailbox::Effects;
use crate::mailbox::device::{FORGOTTEN, NAMELESS};
use crate::mailbox::stream::WINDOW_ITEMS;
use crate::outbox::{Due, Outbox};
use crate::presence::Watcher;
use crate::rate::Bucket;
use crate::service::mail::Addressee;

/// How many answers the writing thread may owe a connection.
const DUE_MAX: u32 = 1024;
/// What the server says it is.
pub const AGENT: &str = concat!("bellhop-server/", env!("CARGO_PKG_VERSION"));

/// What a listener allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// LIST before login, and `no-such-user` said as such.
    pub open: bool,
    /// Accounts need passwords.
    pub password: bool,
    /// Whoever comes may make an account.
    pub register: bool,
    /// A deleted account's name is nobody's for a while: another listener of the server may give it away.
    pub holds_names: bool,
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let passwords =
            if self.password { "every account needs a password" } else { "accounts need no password" };
        let makes =
            if self.register { "whoever comes makes an account" } else { "the operator makes accounts" };
        write!(f, "{passwords}, {makes}")
    }
}

/// Who asks.
#[derive(Debug)]
pub struct Caller {
    /// What is shared.
    pub core: Arc<Core>,
    /// What its listener allows.
    pub policy: Policy,
    /// Where answers go.
    pub outbox: Arc<Outbox>,
    /// Its device, after HELLO.
    pub device: Option<DeviceId>,
    /// What HELLO asked for and got.
    pub features: u32,
    /// What it watches.
    pub watcher: Option<Arc<Watcher>>,
    /// Who is logged in.
    pub login: Option<Arc<Login>>,
    /// Whom it sent to last.
    pub recipient: mail::Recipient,
    /// What it may still LIST.
    pub lists: Bucket,
    /// What it may still WATCH.
    pub watches: Bucket,
    /// How often it may still say that somebody is typing.
    pub typings: Bucket,
    /// Its address, or the network that counts as one; its connection knows.
    pub network: IpAddr,
}

impl Caller {
    /// Whoever is at the other end of a new connection.
    pub fn new(core: Arc<Core>, policy: Policy, outbox: Arc<Outbox>) -> Caller {
        let network = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Caller {
            core,
            policy,
            outbox,
            device: None,
            features: 0,
            watcher: None,
            login: None,
            recipient: mail::Recipient::default(),
            lists: Bucket::default(),
            watches: Bucket::default(),
            typings: Bucket::default(),
            network,
        }
    }
}

/// A request that takes its time.
pub type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What became of a request.
pub enum Flow {
    /// It is answered, or will be.
    Done,
    /// HELLO was accepted.
    Greeted,
    /// It is not taken yet: try again when something changes.
    Hold(Hold),
    /// It is worked on.
    Work(Work),
    /// The caller's stream has something to give.
    Feed,
    /// The caller, without the extension, is brought what waits; nothing further is read until that is done.
    Delivering,
}

/// Why a request is not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Answers are due first; the outbox wakes the task.
    Due,
    /// The writing thread has too much to do, and wakes the task.
    Full,
    /// It comes too fast: it may be taken at this time, on the clock that never jumps.
    Rate(Duration),
}

/// What a finished work means for the connection.
#[derive(Debug)]
pub enum Done {
    /// It is answered.
    Answered,
    /// Somebody is logged in.
    LoggedIn(Arc<Login>),
    /// Nobody is logged in any more.
    LoggedOut,
    /// DELIVER was made durable: it is answered now.
    Deliver,
}

/// Handles the frame `op`, `data`, which the session allows.
pub fn dispatch(
    caller: &mut Caller,
    op: u8,
    data: &[u8],
    now: Now,
    waker: &Waker,
    effects: &mut Effects,
) -> Flow {
    let request = match Request::decode(op, data) {
        Ok(request) => request,
        Err(refusal) => return refuse(caller, op, data, &refusal, effects),
    };
    match request {
        Request::Send { to, text } => send(caller, Sending::Send, to, text, now, waker, effects),
        Request::Post(post) => {
            let sending = Sending::Post { counter: post.counter, wanted: post.receipts };
            send(caller, sending, post.to, post.text, now, waker, effects)
        }
        Request::Ack(ack) => delivery::ack(caller, ack, effects),
        Request::Read(read) => delivery::read(caller, read, now.up, waker),
        Request::Ping(bytes) => {
            caller.outbox.answer(effects, |out| frame::put(out, OpCode::Ping.answer(), &bytes));
            Flow::Done
        }
        Request::Pong(_) => Flow::Done,
        Request::Hello(hello) => greet(caller, &hello, effects),
        Request::Token => account::token(caller),
        Request::Resume(token) => account::resume(caller, token),
        Request::Watch(watch) => presence::watch(caller, watch, now.up, effects),
        Request::Typing(to) => presence::typing(caller, to, now.up, effects),
        Request::Password(change) => password::password(caller, change, now.up, effects),
        // From here on answers keep the order of their requests.
        _ if caller.outbox.due().sends > 0 => Flow::Hold(Hold::Due),
        Request::List { glob, after } => account::list(caller, glob, after, now.up, effects),
        Request::Create { name, password } => account::create(caller, name, password, now.up, effects),
        Request::Login { name, password } => password::login(caller, name, password, now.up, effects),
        Request::Logout { name } => account::logout(caller, name, effects),
        Request::Delete { password } => account::delete(caller, password, now.up, effects),
        Request::Deliver => delivery::deliver(caller, effects),
    }
}

/// Refuses a frame in the form in which its op is answered, and in its turn.
pub fn refuse(caller: &Caller, op: u8, data: &[u8], refusal: &Refusal, effects: &mut Effects) -> Flow {
    let Due { sends, posts } = caller.outbox.due();
    let in_turn = match OpCode::from_byte(op) {
        Some(OpCode::Post) => posts == 0,
        _ => sends == 0,
    };
    if !in_turn {
        return Flow::Hold(Hold::Due);
    }
    caller.outbox.answer(effects, |out| request::put_refusal(out, op, data, refusal));
    Flow::Done
}

fn send(
    caller: &mut Caller,
    sending: Sending,
    to: Address<'_>,
    text: &str,
    now: Now,
    waker: &Waker,
    effects: &mut Effects,
) -> Flow {
    let Some(login) = &caller.login else { return Flow::Done };
    let due = sending.count_of(caller.outbox.due());
    if due >= DUE_MAX {
        return Flow::Hold(Hold::Due);
    }
    let refusal = if text.len() as u64 > caller.core.limits.text {
        Some(Refusal::new(Code::TOO_LONG, format!("a text has at most {} bytes", caller.core.limits.text)))
    } else if to.realm.is_some() {
        Some(Refusal::new(Code::NO_SUCH_USER, "this server knows no other servers"))
    } else {
        None
    };
    if let Some(refusal) = refusal {
        if due > 0 {
            return Flow::Hold(Hold::Due);
        }
        // A POST that was kept stays kept, whatever the limits are by now.
        let result = match mail::check_counter(&caller.core, login, sending) {
            Ok(None) => Err(refusal),
            Ok(Some(id)) => Ok(mail::Kept { id, time_ms: 0, posted: Posted::SeenBefore }),
            Err(stale) => Err(stale),
        };
        mail::answer(&caller.outbox, sending, result.as_ref().copied(), false, effects);
        return Flow::Done;
    }
    // Whoever looks for names by sending to them is read more slowly.
    if let Err(until) = login.account.unknown.has_one(now.up, caller.core.limits.unknown_rate) {
        return Flow::Hold(Hold::Rate(until));
    }
    if let Err(until) = login.account.sends.take(1, now.up, caller.core.limits.sends) {
        return Flow::Hold(Hold::Rate(until));
    }
    let key = to.user.key();
    let mail = mail::Mail { sending, text, time_ms: now.wall_ms };
    let to = Addressee { folded: key.as_str(), last: &mut caller.recipient };
    match mail::send(&caller.core, login, to, &mail, waker, effects) {
        Ok(()) => Flow::Done,
        Err(Full) => {
            login.account.sends.give_back(1, caller.core.limits.sends);
            Flow::Hold(Hold::Full)
        }
    }
}

/// Frames that have come, and which of their ops are allowed now.
pub struct Frames<'a, A> {
    /// Their bytes. The last frame may be incomplete.
    pub bytes: &'a [u8],
    /// The limit on a frame's data.
    pub limit: u32,
    /// True where an op may be asked.
    pub allowed: A,
}

/// Handles the messages at the beginning of `frames` that go to whom the caller sent to last, as far as nothing is
/// special about them; returns how many bytes they took. Whatever is special is left for [`dispatch`], with all its
/// refusals. The locks on the way are taken once for all of them: they are the greater part of what a message costs here.
pub fn send_run(
    caller: &mut Caller,
    frames: Frames<'_, impl Fn(u8) -> bool>,
    now: Now,
    effects: &mut Effects,
) -> usize {
    let Caller { core, outbox, login: Some(login), recipient, .. } = caller else { return 0 };
    let is_message = |op: u8| op == OpCode::Post.byte() || op == OpCode::Send.byte();
    let begins = frames.bytes.get(frame::HEADER - 1).is_some_and(|op| is_message(*op));
    if !begins || core.in_memory && outbox.due() != Due::default() {
        return 0;
    }
    let sends = &login.account.sends;
    let next = |at: usize, to: &str| -> Option<(usize, mail::Mail<'_>)> {
        let frame = frame::parse(frames.bytes.get(at..)?, frames.limit).ok().flatten()?;
        if !is_message(frame.op) || !(frames.allowed)(frame.op) {
            return None;
        }
        let (sending, address, text) = match Request::decode(frame.op, frame.data).ok()? {
            Request::Send { to, text } => (Sending::Send, to, text),
            Request::Post(post) => {
                (Sending::Post { counter: post.counter, wanted: post.receipts }, post.to, post.text)
            }
            _ => return None,
        };
        let special = text.len() as u64 > core.limits.text || address.realm.is_some();
        if special || address.user.key().as_str() != to {
            return None;
        }
        login.account.unknown.has_one(now.up, core.limits.unknown_rate).ok()?;
        sends.take(1, now.up, core.limits.sends).ok()?;
        Some((frame.wire_len(), mail::Mail { sending, text, time_ms: now.wall_ms }))
    };
    let (taken, unused) = match core.in_memory {
        true => mail::send_run_in_memory(core, login, recipient, next, effects),
        false => mail::send_run_queued(core, login, recipient, next),
    };
    sends.give_back(unused, core.limits.sends);
    taken
}

fn greet(caller: &mut Caller, hello: &Hello<'_>, effects: &mut Effects) -> Flow {
    if hello.device == NAMELESS || hello.device == FORGOTTEN {
        let refusal = Refusal::new(Code::MALFORMED, "a device is 128 random bits, not all alike");
        return refuse(caller, OpCode::Hello.byte(), &[], &refusal, effects);
    }
    caller.device = Some(hello.device);
    caller.features = caller.core.presence.features(hello.features);
    let limits = &caller.core.limits;
    let welcome = Welcome {
        version: VERSION,
        features: caller.features,
        max_data: limits.frame as u32,
        window: WINDOW_ITEMS as u16,
        heartbeat_s: limits.heartbeat as u16,
        agent: AGENT,
        node: &caller.core.node,
    };
    caller.outbox.answer(effects, |out| welcome.put(out));
    Flow::Greeted
}

/// Refuses a frame that is longer than it may be, from its header alone.
pub fn refuse_too_long(caller: &Caller, too_long: frame::TooLong, effects: &mut Effects) {
    let sentence = format!("a frame holds at most {} bytes of data here", too_long.limit);
    let refusal = Refusal::new(Code::TOO_LONG, sentence);
    caller.outbox.answer(effects, |out| request::put_refusal(out, too_long.op, &[], &refusal));
}
