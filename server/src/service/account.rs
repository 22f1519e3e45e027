//! Accounts: LIST, CREATE, LOGOUT, DELETE, TOKEN and RESUME, and letting sessions in. Each takes its time: the store is
//! asked, or a password hashed. What is proved by a password is in `password`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::frame::LIMIT_AFTER_LOGIN;
use bellhop_protocol::presence::HIDDEN;
use bellhop_protocol::session::{self, Resumed, SessionToken};
use bellhop_protocol::text::{Names, Secret, TextAnswer};
use bellhop_protocol::{Code, DeviceId, Name, OpCode, Username, text};
use tokio::sync::oneshot;

use super::password::{self, Proof};
use super::{Caller, Done, Flow, Hold, Policy, delivery};
use crate::auth::{Password, token_hash};
use crate::clock::random;
use crate::core::Core;
use crate::hub::{Account, Login};
use crate::keeper::accounts::{AccountJob, Found};
use crate::keeper::queue::Job;
use crate::mailbox::{Effects, Life, SessionId};
use crate::outbox::{Outbox, ROOM_AGAIN};
use crate::store::TokenRow;
use crate::store::readers::ListJob;

/// The longest pattern of LIST, in bytes.
const PATTERN_MAX: usize = 128;
/// How often a login is tried again because the account went out of memory in between.
pub(super) const ATTEMPTS: usize = 3;

/// What a work keeps of its caller.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) core: Arc<Core>,
    pub(super) policy: Policy,
    pub(super) outbox: Arc<Outbox>,
    pub(super) device: Option<DeviceId>,
    hidden: bool,
    network: IpAddr,
}

impl Context {
    pub(super) fn of(caller: &Caller) -> Context {
        Context {
            core: caller.core.clone(),
            policy: caller.policy,
            outbox: caller.outbox.clone(),
            device: caller.device,
            hidden: caller.features & HIDDEN != 0,
            network: caller.network,
        }
    }

    /// Asks the writing thread.
    pub(super) async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> AccountJob,
    ) -> Result<T, Refusal> {
        let (reply, replied_to) = oneshot::channel();
        self.core.queue.control(Job::Account(Box::new(job(reply))));
        replied(replied_to).await
    }

    pub(super) async fn find(&self, folded: String) -> Result<Found, Refusal> {
        let device = self.device;
        self.ask(|reply| AccountJob::Find { folded, device, reply }).await
    }
}

/// Waits for a reply. Where the writing thread has ended there is none, and none is made up: what was asked may have
/// been done. The connection is about to be closed.
pub(super) async fn replied<T>(reply: oneshot::Receiver<Result<T, Refusal>>) -> Result<T, Refusal> {
    match reply.await {
        Ok(result) => result,
        Err(_) => std::future::pending().await,
    }
}

/// Answers with an effect of its own, for works, which run outside the connection's turn.
pub(super) fn answer(outbox: &Outbox, write: impl FnOnce(&mut Vec<u8>)) -> Done {
    outbox.answer(&mut Effects::default(), write);
    Done::Answered
}

pub(super) fn refused(outbox: &Outbox, op: OpCode, refusal: &Refusal) -> Done {
    answer(outbox, |out| bellhop_protocol::request::put_refusal(out, op.byte(), &[], refusal))
}

pub(super) fn owned(password: Option<Secret<'_>>) -> Option<Password> {
    password.map(Password::new)
}

pub(super) fn list(
    caller: &Caller,
    glob: Option<&str>,
    after: Option<&str>,
    now: Duration,
    effects: &mut Effects,
) -> Flow {
    if glob.is_some_and(|glob| glob.len() > PATTERN_MAX) {
        let refusal = Refusal::new(Code::MALFORMED, "a pattern has at most 128 bytes");
        return super::refuse(caller, OpCode::List.byte(), &[], &refusal, effects);
    }
    if !caller.outbox.has_share(LIMIT_AFTER_LOGIN as usize) {
        return Flow::Hold(Hold::Rate(now + ROOM_AGAIN));
    }
    if let Err(until) = caller.lists.take(1, now, caller.core.limits.list_rate) {
        return Flow::Hold(Hold::Rate(until));
    }
    let job = ListJob {
        pattern: glob.map(|glob| bellhop_protocol::name::fold(glob).into_owned()),
        after: after.map(bellhop_protocol::name::fold).unwrap_or_default().into_owned(),
        bytes_max: LIMIT_AFTER_LOGIN as usize - "more|".len(),
    };
    let Context { core, outbox, .. } = Context::of(caller);
    // The page grows by doubling, and is copied.
    let held = core.memory.outboxes.hold(2 * LIMIT_AFTER_LOGIN as usize);
    Flow::Work(Box::pin(async move {
        let _held = held;
        let page = match core.readers.list(job) {
            Some(page) => page.await,
            None => {
                let refusal =
                    Refusal::new(Code::BUSY, "too many lists are being made; try again in a moment");
                return refused(&outbox, OpCode::List, &refusal);
            }
        };
        match page {
            Ok(Ok(page)) => {
                let listed = TextAnswer::Listed { names: Names::new(&page.names), more: page.more };
                answer(&outbox, |out| listed.put(OpCode::List, out))
            }
            Ok(Err(error)) => {
                core.damaged(&error);
                refused(&outbox, OpCode::List, &Refusal::new(Code::STORAGE, "the names cannot be read now"))
            }
            Err(_) => std::future::pending().await,
        }
    }))
}

pub(super) fn create(
    caller: &Caller,
    name: Name<'_>,
    password: Option<Secret<'_>>,
    now: Duration,
    effects: &mut Effects,
) -> Flow {
    let op = OpCode::Create;
    if let Err(refusal) = may_create(caller.policy, password.is_some()) {
        return super::refuse(caller, op.byte(), &[], &refusal, effects);
    }
    // On an open listener everybody sees by LIST which names there are, and makes as many accounts as there is room for.
    let counted = match caller.policy.open {
        true => None,
        false => match password::begin(caller, op, None, now, effects) {
            Err(flow) => return flow,
            Ok(attempt) => match caller.core.throttle.register(caller.network, now) {
                Err(until) => {
                    attempt.void();
                    caller.core.counters.refused_accounts.one();
                    let refusal = too_fast("too many accounts were made from this address", until, now);
                    return super::refuse(caller, op.byte(), &[], &refusal, effects);
                }
                Ok(registration) => Some((attempt, registration)),
            },
        },
    };
    let (context, name, password) = (Context::of(caller), name.to_owned(), owned(password));
    Flow::Work(Box::pin(async move {
        let made = make(&context, name, password).await;
        let now = context.core.clock.now().up;
        if let Some((attempt, registration)) = counted {
            match &made {
                // It tells that somebody has the name, as a wrong password would.
                Err(refusal) if refusal.code == Code::NAME_TAKEN => attempt.wrong(now),
                Err(_) => attempt.void(),
                Ok(_) => {
                    attempt.void();
                    registration.made(now);
                }
            }
        }
        match made {
            Ok(login) => Done::LoggedIn(login),
            Err(refusal) => refused(&context.outbox, op, &refusal),
        }
    }))
}

fn may_create(policy: Policy, has_password: bool) -> Result<(), Refusal> {
    if !policy.register {
        return Err(Refusal::new(
            Code::REGISTRATION_CLOSED,
            "this server lets nobody make an account; its operator can allow it with --register open",
        ));
    }
    match policy.password && !has_password {
        true => Err(password_needed()),
        false => Ok(()),
    }
}

/// The refusal of what may be tried again at `until`.
pub(super) fn too_fast(what: &str, until: Duration, now: Duration) -> Refusal {
    let seconds = until.saturating_sub(now).as_millis().div_ceil(1_000).max(1);
    let when = match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    };
    Refusal::new(Code::RATE_LIMITED, format!("{what}; try again in {when}"))
}

async fn make(context: &Context, name: Username, password: Option<Password>) -> Result<Arc<Login>, Refusal> {
    let password = match password {
        Some(password) => Some(context.core.hasher.hash(password).await?),
        None => None,
    };
    let (device, though_held) = (context.device, context.policy.open);
    let found = context.ask(|reply| AccountJob::Create { name, password, device, though_held, reply });
    let created = |out: &mut Vec<u8>, account: &Account, _: u64| {
        TextAnswer::Created(account.uuid).put(OpCode::Create, out);
    };
    match attach(context, found.await?, created) {
        Attached::In(login) => Ok(login),
        Attached::Refused(refusal) => Err(refusal),
        Attached::Again => Err(changing()),
    }
}

pub(crate) fn password_needed() -> Refusal {
    Refusal::new(Code::PASSWORD_NEEDED, "a password is needed here")
}

pub(super) fn changing() -> Refusal {
    Refusal::new(Code::BUSY, "the account is changing; try again")
}

/// What became of letting a session in.
pub(super) enum Attached {
    In(Arc<Login>),
    /// What was found is out of date: look again.
    Again,
    Refused(Refusal),
}

/// Lets a session go again where what lets it in panics: its connection does not know yet that it has one.
struct Entering<'a> {
    core: &'a Core,
    account: Arc<Account>,
    session: SessionId,
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut effects = Effects::default();
            delivery::leave(self.core, &self.account, self.session, &mut effects);
            effects.wake();
        }
    }
}

/// Lets a session in, and answers before anything is pushed to it: under the lock of the mailbox.
pub(super) fn attach(
    context: &Context,
    found: Found,
    answer: impl FnOnce(&mut Vec<u8>, &Account, u64),
) -> Attached {
    let Context { core, outbox, device, .. } = context;
    let Found { account, window, revocations, .. } = found;
    let (session, now_ms) = (core.hub.next_session(), core.clock.now().wall_ms);
    let _entering = Entering { core, account: account.clone(), session };
    let mut effects = Effects::default();
    let attached = core.with_mailbox(&account, &mut effects, |mailbox, effects| {
        let known = device.and_then(|id| mailbox.devices().iter().find(|device| device.id == id));
        let in_memory = known.and_then(|device| device.window.clone());
        let cell = match (in_memory, window) {
            (Some(cell), _) => Some(cell),
            (None, Some((cell, dropped))) if dropped == mailbox.windows_dropped => Some(cell),
            (None, None) if device.is_none() => None,
            _ => return Err(None),
        };
        match mailbox.life() {
            Life::Live if mailbox.revocations == revocations => {}
            // What let it in was good then, and may be no longer.
            Life::Live => return Err(None),
            Life::Retired => return Err(None),
            Life::Deleted => {
                return Err(Some(Refusal::new(Code::NO_SUCH_USER, "the account was deleted meanwhile")));
            }
        }
        let replaced = mailbox
            .attach(session, *device, outbox.clone(), core.limits.sessions, now_ms, effects)
            .map_err(Some)?;
        if context.hidden {
            mailbox.hide(session);
        }
        if let Some(id) = device {
            mailbox.device(*id, now_ms, effects).window = cell.clone();
        }
        if !core.clock_in_doubt.load(Ordering::Relaxed) {
            mailbox.stop_unseen(now_ms, effects);
        }
        let slot = mailbox.slot_for(device.unwrap_or(crate::mailbox::device::NAMELESS));
        let waiting = mailbox.waiting_for(slot);
        outbox.answer(effects, |out| answer(out, &account, waiting));
        Ok((replaced, cell))
    });
    let result = match attached {
        Ok((replaced, cell)) => {
            if let Some(older) = replaced {
                older.close(Code::REPLACED, "a newer session of this device took over", &mut effects);
            }
            core.touch_presence(&account);
            let device = device.zip(cell);
            Attached::In(Arc::new(Login { account, session, outbox: outbox.clone(), device }))
        }
        Err(None) => Attached::Again,
        Err(Some(refusal)) => Attached::Refused(refusal),
    };
    effects.wake();
    result
}

pub(super) fn logout(caller: &Caller, name: Option<Name<'_>>, effects: &mut Effects) -> Flow {
    if caller.outbox.due() != Default::default() {
        return Flow::Hold(Hold::Due);
    }
    let Some(login) = caller.login.clone() else { return Flow::Done };
    if name.is_some_and(|name| name.key().as_str() != &*login.account.folded) {
        let refusal = Refusal::new(Code::NOT_LOGGED_IN, "another name is logged in");
        caller.outbox.answer(effects, |out| {
            text::put_error(out, OpCode::Logout.answer(), refusal.code, &refusal.sentence)
        });
        return Flow::Done;
    }
    let context = Context::of(caller);
    Flow::Work(Box::pin(async move {
        if let Some((device, _)) = login.device {
            let account = login.account.clone();
            if let Err(refusal) = context.ask(|reply| AccountJob::Revoke { account, device, reply }).await {
                return refused(&context.outbox, OpCode::Logout, &refusal);
            }
        }
        let mut effects = Effects::default();
        delivery::leave(&context.core, &login.account, login.session, &mut effects);
        effects.wake();
        answer(&context.outbox, |out| TextAnswer::LoggedOut.put(OpCode::Logout, out));
        Done::LoggedOut
    }))
}

pub(super) fn delete(
    caller: &Caller,
    password: Option<Secret<'_>>,
    now: Duration,
    effects: &mut Effects,
) -> Flow {
    if caller.outbox.due() != Default::default() {
        return Flow::Hold(Hold::Due);
    }
    let Some(login) = caller.login.clone() else { return Flow::Done };
    let proof = match Proof::begin(caller, &login, OpCode::Delete, password, now, effects) {
        Ok(proof) => proof,
        Err(flow) => return flow,
    };
    let context = Context::of(caller);
    Flow::Work(Box::pin(async move {
        let deleted = async {
            // PROTOCOL.md 4: whoever writes a name here means to delete somebody else.
            let none =
                "DELETE deletes the account that is logged in; this one has no password, so send no data";
            proof.check(&context, &login, none).await?;
            let (account, session) = (login.account.clone(), Some(login.session));
            let hold = context.policy.holds_names;
            context.ask(|reply| AccountJob::Delete { account, session, hold, reply }).await
        };
        match deleted.await {
            Ok(()) => {
                context.core.presence.leave(login.session);
                context.core.touch_presence(&login.account);
                answer(&context.outbox, |out| TextAnswer::Deleted.put(OpCode::Delete, out));
                Done::LoggedOut
            }
            Err(refusal) => refused(&context.outbox, OpCode::Delete, &refusal),
        }
    }))
}

pub(super) fn token(caller: &Caller) -> Flow {
    let (Some(login), Some(device)) = (caller.login.clone(), caller.device) else { return Flow::Done };
    let context = Context::of(caller);
    Flow::Work(Box::pin(async move {
        let token = SessionToken(random());
        let row = TokenRow { hash: token_hash(&token), account: login.account.id, device, expires_ms: None };
        let session = login.session;
        match context.ask(|reply| AccountJob::Token { token: row, session, reply }).await {
            Ok(()) => answer(&context.outbox, |out| session::put_token(&token, out)),
            Err(refusal) => refused(&context.outbox, OpCode::Token, &refusal),
        }
    }))
}

pub(super) fn resume(caller: &Caller, token: SessionToken) -> Flow {
    let context = Context::of(caller);
    let Some(device) = caller.device else { return Flow::Done };
    Flow::Work(Box::pin(async move {
        for _ in 0..ATTEMPTS {
            let new = SessionToken(random());
            let (hash, successor) = (token_hash(&token), token_hash(&new));
            let secured = context.policy.password;
            let found =
                context.ask(|reply| AccountJob::Resume { hash, successor, device, secured, reply }).await;
            let (network, now) = (context.network, context.core.clock.now().up);
            let found = match found {
                Ok(found) => found,
                Err(refusal) => {
                    if refusal.code == Code::BAD_TOKEN {
                        context.core.counters.wrong_tokens.one();
                        context.core.throttle.strike(network, now);
                    }
                    return refused(&context.outbox, OpCode::Resume, &refusal);
                }
            };
            let folded = found.account.folded.clone();
            let resumed = |out: &mut Vec<u8>, account: &Account, waiting: u64| {
                let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
                Resumed { account: account.uuid, waiting, token: new }.put(out);
            };
            match attach(&context, found, resumed) {
                Attached::In(login) => {
                    context.core.throttle.welcome(network, &folded, now);
                    return Done::LoggedIn(login);
                }
                Attached::Refused(refusal) => return refused(&context.outbox, OpCode::Resume, &refusal),
                Attached::Again => {}
            }
        }
        refused(&context.outbox, OpCode::Resume, &changing())
    }))
}
