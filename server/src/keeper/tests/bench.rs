//! A server without sockets, for tests of the writing thread: a store that can fail, and a clock that stands still.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellhop_protocol::op::ANSWER;
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{DeviceId, OpCode, Reply, Username, frame};
use tokio::sync::oneshot;

use crate::auth::Hasher;
use crate::clock::Clock;
use crate::core::Memory;
use crate::disk::{Disk, Room};
use crate::hub::Hub;
use crate::ids::IdKey;
use crate::keeper::accounts::{AccountJob, Found};
use crate::keeper::queue::Queue;
use crate::keeper::*;
use crate::limits::Limits;
use crate::mailbox::device::NAMELESS;
use crate::outbox::Outbox;
use crate::service::delivery::{self, Fed};
use crate::store::faulty::{Fault, FaultyStore, Plan};
use crate::store::log::SEGMENT;
use crate::store::memory::MemoryStore;
use crate::store::readers::Readers;
use crate::store::{LogRow, RowId};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A server without sockets.
pub(super) struct Bench {
    pub(super) store: MemoryStore,
    pub(super) plan: Arc<Mutex<Plan>>,
    pub(super) clock: Clock,
    pub(super) core: Arc<Core>,
    pub(super) keeper: Keeper,
    pub(super) in_memory: bool,
}

/// A session of an account.
pub(super) struct Party {
    pub(super) login: Arc<Login>,
    pub(super) counter: u64,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::on(MemoryStore::default(), Clock::start(), false)
    }

    pub(super) fn on(store: MemoryStore, clock: Clock, in_memory: bool) -> Bench {
        Bench::by_plan(store, clock, in_memory, Plan::default())
    }

    fn by_plan(store: MemoryStore, clock: Clock, in_memory: bool, plan: Plan) -> Bench {
        let plan = Arc::new(Mutex::new(plan));
        let mut faulty: Box<dyn Store> = Box::new(FaultyStore { store: store.clone(), plan: plan.clone() });
        let boot = faulty.boot().unwrap();
        let ids = IdKey::new(boot.id_key);
        let mut limits = Limits::default();
        ["sends=off", "mailbox=off", "mailbox-sender=off"]
            .iter()
            .for_each(|limit| limits.apply(limit).unwrap());
        let core = Arc::new(Core {
            bounds: limits.bounds(),
            in_memory,
            counters: Default::default(),
            clock: clock.clone(),
            presence: crate::presence::Presence::new(true, &limits),
            hub: Hub::default(),
            memory: Memory::new(&limits),
            queue: Queue::new(limits.pending_writes),
            ids,
            hasher: Hasher::new(1),
            throttle: Arc::new(crate::throttle::Throttle::new(&limits)),
            log: Mutex::default(),
            readers: Readers::start(&*faulty, ids).unwrap().0,
            node: boot.node.clone(),
            clock_in_doubt: false.into(),
            draining: false.into(),
            stopping: false.into(),
            limits,
        });
        let loaded = load(&core, &mut *faulty, &boot).unwrap();
        let keeper = Keeper::new(core.clone(), faulty, loaded);
        Bench { store, plan, clock, core, keeper, in_memory }
    }

    /// What a crash leaves is what was committed; another server starts on it.
    pub(super) fn restart(self) -> Bench {
        Bench::on(self.store, self.clock, self.in_memory)
    }

    /// The same, and the first commit of the new server finds the disk full.
    pub(super) fn restart_without_room(self) -> Bench {
        let plan = Plan { fail: Some((1, Fault::Full)), ..Plan::default() };
        Bench::by_plan(self.store, self.clock, self.in_memory, plan)
    }

    pub(super) fn turn(&mut self) -> Result<(), StoreError> {
        let mut taken = Taken::default();
        self.core.queue.take(&mut taken, Some(self.core.clock.instant(Duration::ZERO)));
        self.keeper.turn(&mut taken)?;
        self.keeper.next_deadline();
        Ok(())
    }

    /// A turn in whose middle something happens: after the jobs are staged, and before the commit.
    pub(super) fn turn_with(
        &mut self,
        before_upkeep: impl FnOnce(&mut Bench),
        before_commit: impl FnOnce(&mut Bench),
    ) {
        let mut taken = Taken::default();
        self.core.queue.take(&mut taken, Some(self.core.clock.instant(Duration::ZERO)));
        let keeper = &mut self.keeper;
        keeper.now = self.core.clock.now();
        keeper.batch.words = taken.words;
        let jobs = taken.jobs.len() as u64;
        taken.jobs.into_iter().for_each(|job| keeper.stage(job, jobs).unwrap());
        taken.unsaved.into_iter().for_each(|account| keeper.upkeep.unsaved(account, keeper.now));
        before_upkeep(self);
        self.keeper.stage_upkeep().unwrap();
        before_commit(self);
        self.keeper.commit().unwrap();
        self.keeper.batch.words.clear();
    }

    /// How often the thread wakes up in the next second, with nothing but itself to wake it.
    pub(super) fn wake_ups(&mut self) -> usize {
        let end = self.clock.now().up + SECOND;
        for count in 0..100_000 {
            let now = self.clock.now().up;
            let Some(deadline) = self.keeper.next_deadline().filter(|deadline| *deadline <= end) else {
                return count;
            };
            self.clock.pass(deadline.saturating_sub(now));
            self.turn().unwrap();
        }
        panic!("it spins");
    }

    /// The log has moved on: what is in it is old, and nothing that came since is awaited.
    pub(super) fn age_log(&mut self) {
        let mut log = self.core.log.lock();
        (2..70 * SEGMENT).for_each(|row| log.append(RowId(row), 0, false));
        drop(log);
        self.keeper.next_row = RowId(70 * SEGMENT);
    }

    /// The next commit, or the one so many after it, meets this.
    pub(super) fn fail(&mut self, after: u64, fault: Fault) {
        let mut plan = self.plan.lock();
        plan.fail = Some((plan.commits + 1 + after, fault));
    }

    /// So many bytes of a huge disk stay free from now on; returns how many there are.
    pub(super) fn reserve(&mut self, bytes: u64) -> Arc<AtomicU64> {
        struct Told(Arc<AtomicU64>);
        impl Disk for Told {
            fn room(&self) -> std::io::Result<Room> {
                Ok(Room { free: self.0.load(Ordering::Relaxed), total: u64::MAX })
            }
        }
        let free = Arc::new(AtomicU64::new(0));
        self.keeper.reserve = Reserve::new(Told(free.clone()), bytes);
        free
    }

    /// Lets so many seconds pass, with a turn in each.
    pub(super) fn seconds(&mut self, count: u32) {
        for _ in 0..count {
            self.clock.pass(SECOND);
            self.turn().unwrap();
        }
    }

    pub(super) fn ask<T>(
        &mut self,
        job: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> AccountJob,
    ) -> Result<T, Refusal> {
        self.try_ask(job).unwrap()
    }

    pub(super) fn try_ask<T>(
        &mut self,
        job: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> AccountJob,
    ) -> Result<Result<T, Refusal>, StoreError> {
        let (reply, mut replied) = oneshot::channel();
        self.core.queue.control(Job::Account(Box::new(job(reply))));
        self.turn()?;
        Ok(replied.try_recv().unwrap())
    }

    pub(super) fn find(
        &mut self,
        name: &str,
        device: Option<u8>,
    ) -> Result<Result<Found, Refusal>, StoreError> {
        let (folded, device) = (name.to_owned(), device.map(|device| DeviceId([device; 16])));
        self.try_ask(|reply| AccountJob::Find { folded, device, reply })
    }

    /// An account whose owner is not here.
    pub(super) fn away(&mut self, name: &str) {
        let party = self.party(name, None);
        self.leave(party);
    }

    pub(super) fn party(&mut self, name: &str, device: Option<u8>) -> Party {
        self.try_party(name, device).unwrap()
    }

    /// A session of an account, which is made where it is not there; with a device its stream is open, and what comes
    /// on it at once is read away.
    pub(super) fn try_party(&mut self, name: &str, device: Option<u8>) -> Result<Party, StoreError> {
        let found = loop {
            match self.find(name, device)? {
                Ok(found) => break found,
                // A full disk may refuse it: then it is tried again.
                Err(_) => {
                    let name = Username::parse(name).unwrap();
                    drop(self.try_ask(|reply| AccountJob::Create {
                        name,
                        password: None,
                        device: None,
                        though_held: false,
                        reply,
                    })?);
                }
            }
        };
        let (session, outbox) = (self.core.hub.next_session(), Arc::new(Outbox::alone(1 << 20)));
        let id = device.map(|device| DeviceId([device; 16]));
        let now_ms = self.clock.now().wall_ms;
        let mut effects = Effects::default();
        let cell = self.core.with_mailbox(&found.account, &mut effects, |mailbox, effects| {
            mailbox.attach(session, id, outbox.clone(), 99, now_ms, effects).unwrap();
            if !self.core.clock_in_doubt.load(std::sync::atomic::Ordering::Relaxed) {
                mailbox.stop_unseen(now_ms, effects);
            }
            let device = mailbox.device(id.unwrap_or(NAMELESS), now_ms, effects);
            device.window = device.window.take().or(found.window.map(|(cell, _)| cell));
            device.window.clone()
        });
        let login = Arc::new(Login { account: found.account, session, outbox, device: id.zip(cell) });
        let party = Party { login, counter: 0 };
        if device.is_some() {
            self.reopen(&party)?;
            party.read();
        }
        Ok(party)
    }

    /// DELIVER, and everything that it brings; what a session was given before, it is given again.
    pub(super) fn reopen(&mut self, party: &Party) -> Result<(), StoreError> {
        let (account, id) = (party.login.account.clone(), party.login.device.as_ref().map(|(id, _)| *id));
        while self
            .try_ask(|reply| AccountJob::Receive { account: account.clone(), device: id, reply })?
            .is_err()
        {}
        let Login { session, outbox, .. } = &*party.login;
        let now_ms = self.clock.now().wall_ms;
        self.core.with_mailbox(&account, &mut Effects::default(), |mailbox, effects| {
            mailbox.detach(*session, now_ms);
            mailbox.attach(*session, id, outbox.clone(), 99, now_ms, effects).unwrap();
        });
        delivery::deliver_now(&self.core, &party.login, &mut Effects::default());
        self.feed(party);
        Ok(())
    }

    /// Gives a session what waits for it.
    pub(super) fn feed(&mut self, party: &Party) {
        let mut fetched = Vec::new();
        loop {
            match delivery::feed(&self.core, &party.login, &fetched, &mut Effects::default()) {
                Fed::Fetching(fetching) => fetched = fetching.rows.blocking_recv().unwrap().unwrap(),
                Fed::Enough | Fed::Delivered => return,
                Fed::Later => panic!("the reading thread is idle"),
            }
        }
    }

    pub(super) fn send(&mut self, party: &mut Party, to: &str, text: &str, wanted: bool) {
        let sending = match party.login.device {
            None => Sending::Send,
            Some(_) => {
                party.counter += 1;
                Sending::Post { counter: party.counter, wanted }
            }
        };
        let mail = mail::Mail { sending, text, time_ms: self.clock.now().wall_ms };
        let (mut recipient, mut effects) = (mail::Recipient::default(), Effects::default());
        let waker = std::task::Waker::noop();
        let to = mail::Addressee { folded: to, last: &mut recipient };
        mail::send(&self.core, &party.login, to, &mail, waker, &mut effects).unwrap();
        self.core.finish(&mut effects);
    }

    /// Sends and tells what was answered.
    pub(super) fn sent(&mut self, party: &mut Party, to: &str, text: &str, wanted: bool) -> String {
        self.send(party, to, text, wanted);
        self.turn().unwrap();
        party.read().pop().unwrap_or_default()
    }

    pub(super) fn ack(&mut self, party: &Party, seq: u64) {
        let bounds = self.core.bounds;
        self.core.with_mailbox(&party.login.account, &mut Effects::default(), |mailbox, effects| {
            mailbox.ack(party.login.session, std::iter::once((seq, seq)), &bounds, effects);
        });
    }

    pub(super) fn leave(&mut self, party: Party) {
        delivery::leave(&self.core, &party.login.account, party.login.session, &mut Effects::default());
    }

    pub(super) fn delete(&mut self, party: &Party) {
        let (account, session) = (party.login.account.clone(), Some(party.login.session));
        self.ask(|reply| AccountJob::Delete { account, session, hold: false, reply }).unwrap();
    }

    /// The rows of messages in the log, as account and text.
    pub(super) fn log(&self) -> Vec<LogRow<String>> {
        self.store.log()
    }
}

impl Party {
    /// What came since the last time: `ok stored`, `7 alice: hi`, `8 bob delivered`, a code word.
    pub(super) fn read(&self) -> Vec<String> {
        let mut bytes = Vec::new();
        self.login.outbox.take(&mut bytes, std::task::Waker::noop());
        self.login.outbox.wrote(bytes.len());
        let (mut rest, mut seen) = (bytes.as_slice(), Vec::new());
        while let Some(frame) = frame::parse(rest, frame::LIMIT_MAX).unwrap() {
            rest = &rest[frame.wire_len()..];
            if frame.op == OpCode::Deliver.byte() | ANSWER {
                continue;
            }
            seen.push(match Reply::decode(frame.op, frame.data).unwrap() {
                Reply::Posted(answer) => match answer.result {
                    Ok(ok) => format!("ok {:?}", ok.posted).to_lowercase(),
                    Err(failure) => failure.code.to_string(),
                },
                Reply::Text(_, TextAnswer::Sent(outcome, _)) => format!("ok {}", outcome.word()),
                Reply::Text(_, TextAnswer::Failed(failure)) => failure.reason.to_string(),
                Reply::Message(message) => format!("{} {}: {}", message.seq, message.from, message.text),
                Reply::Receipt(receipt) => {
                    let id = receipt.id.0.simple().to_string();
                    format!("{} {} {:?} {}", receipt.seq, receipt.peer, receipt.state, &id[..4])
                        .to_lowercase()
                }
                Reply::Delivery { from, text } => format!("{from}: {text}"),
                Reply::Notice(failure) => failure.reason.to_string(),
                other => panic!("{other:?}"),
            });
        }
        seen
    }

    /// The seq of the first item read.
    pub(super) fn seq(&self) -> u64 {
        self.read()[0].split(' ').next().unwrap().parse().unwrap()
    }
}
