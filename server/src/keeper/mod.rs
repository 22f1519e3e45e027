//! The writing thread: it decides what becomes true, and tells everybody afterwards.
//!
//! It takes everything that waits on its [`queue`], *stages* it into one batch by the rules of the mailboxes, has the
//! store commit the batch, and then *releases* it: answers and pushes leave together, one wake-up a connection. A batch
//! that did not fit on the disk, or met somebody else's lock on the file, is rolled back and refused; after any other
//! failure nobody is answered and the server ends, because nobody can know what is true. While it waits for a lock, for
//! five seconds at the most, nothing is sent, and its queue holds what it may; what is in memory is delivered and
//! acknowledged all the same.
//!
//! * `stage`: messages and receipts. [`accounts`]: accounts, devices and tokens.
//! * `upkeep`: what is done on the side: saving devices, dropping and moving rows. `expiry`: what nobody took in time.
//!   `graves`: purging what deleted accounts leave.
//! * `residents`: which accounts are in memory. `load`: what waits, at the start.
//!
//! Staging changes the batch, the outcomes and what has an `Undo`, and nothing else: whatever becomes of the batch,
//! memory and store agree afterwards.

pub mod accounts;
mod expiry;
mod graves;
mod load;
pub mod queue;
mod residents;
mod stage;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Drain;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::post::Posted;
use bellhop_protocol::{Code, DeviceId, MessageId};
use parking_lot::Mutex;

use self::queue::{FileJob, Job, MailJob, Sending, Taken};
use self::residents::Residents;
use self::upkeep::Upkeep;
use crate::clock::Now;
use crate::core::Core;
use crate::disk::Reserve;
use crate::hub::{Account, Login};
use crate::mailbox::Effects;
use crate::mailbox::acknowledge::Owed;
use crate::mailbox::content::{Body, Content};
use crate::mailbox::device::WindowCell;
use crate::outbox::Due;
use crate::service::mail::{self, Kept};
use crate::store::log::Run;
use crate::store::{AccountId, Author, Batch, RowId, Span, Store, StoreError};
use crate::window::Accepted;

pub use self::load::load;

/// Bytes of memory for words that stay when there was much to do.
const WORDS_KEPT: usize = 1024 * 1024;

/// What is told when the batch is committed.
enum Outcome {
    /// A message is kept: it is published and its sender answered.
    Kept(KeptMail),
    /// A message is not kept, or was before.
    Answer { login: Arc<Login>, sending: Sending, result: Result<Kept, Refusal> },
    /// A receipt is filed: it is published.
    Filed { to: Arc<Account>, seq: u64, row: RowId, id: MessageId, state: ReceiptState, peer: Box<str> },
    /// Numbers of a mailbox in memory may be used now.
    Reserved(Arc<Account>, u64),
    /// A message that lives in memory may be kept now.
    InMemory(MailJob),
    /// A receipt that lives in memory may be filed now.
    FileInMemory(Box<FileJob>),
    /// An awaited row was appended anew.
    Moved { account: Arc<Account>, seq: u64, old: RowId, new: RowId, time_ms: u64 },
    /// A message expired.
    Expired(Arc<Account>, u64),
    /// A run was looked through for messages that expired; the oldest one left there is from this time.
    Reviewed(Run, u64),
    /// A run of rows was dropped.
    Dropped(Run),
    /// A mailbox was saved.
    Saved(Arc<Account>),
    /// So much of what the first deleted account left was purged.
    Purged(usize),
    /// A receipt has nobody to go to: its place is given back.
    Unclaimed(AccountId),
    /// Somebody waits for this.
    Reply(Box<dyn FnOnce(Result<(), Refusal>) + Send>),
}

/// A message that the batch keeps.
struct KeptMail {
    login: Arc<Login>,
    sending: Sending,
    to: Arc<Account>,
    author: Author,
    seq: u64,
    row: RowId,
    id: MessageId,
    from: Span,
    text: Span,
}

impl KeptMail {
    /// True where both have the same sender and recipient.
    fn goes_with(&self, login: &Arc<Login>, to: &Arc<Account>) -> bool {
        Arc::ptr_eq(&self.login, login) && Arc::ptr_eq(&self.to, to)
    }
}

/// What is taken back when the batch is rolled back.
enum Undo {
    Stage(Arc<Account>, u64),
    Reserve(Arc<Account>, u64),
    Counter(Arc<Mutex<WindowCell>>, Accepted),
    Receipt(Author),
    Owed(Arc<Account>, Vec<Owed>),
    File(FileJob),
    Devices(Arc<Account>, Vec<DeviceId>),
    Expiry(Arc<Account>, u64, Option<Owed>),
    Window(upkeep::UnsavedWindow),
}

/// The writing thread.
pub struct Keeper {
    core: Arc<Core>,
    residents: Residents,
    next_row: RowId,
    batch: Batch,
    outcomes: Vec<Outcome>,
    undo: Vec<Undo>,
    /// Mailboxes for which this batch reserves numbers ahead.
    reserving: HashSet<AccountId>,
    /// Mailboxes with numbers that are set aside for this batch.
    aside: Vec<Arc<Account>>,
    effects: Effects,
    upkeep: Upkeep,
    now: Now,
    reserve: Reserve,
    /// What hinders commits, so that it is said once.
    hindrance: Option<Hindrance>,
}

/// Why a batch was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hindrance {
    Full,
    Locked,
}

/// What is said of a batch that was rolled back; `None` where it is not known what became of it.
fn refusal(error: &StoreError) -> Option<Refusal> {
    match error {
        StoreError::Full => Some(no_room()),
        StoreError::Busy => {
            Some(Refusal::new(Code::BUSY, "another program keeps the server's database locked; try again"))
        }
        StoreError::Fault(_) | StoreError::Corrupt(_) | StoreError::Damaged(_) => None,
    }
}

/// The refusal of what there is no room for.
fn no_room() -> Refusal {
    Refusal::new(Code::STORAGE, "the server has no room to store this; try again later")
}

impl Keeper {
    /// A keeper of what `store` holds and `load` has brought into memory.
    pub fn new(core: Arc<Core>, store: Box<dyn Store>, loaded: load::Loaded) -> Keeper {
        let now = core.clock.now();
        let mut keeper = Keeper {
            residents: Residents::new(core.clone(), store, loaded.next_account),
            core,
            next_row: loaded.next_row,
            batch: Batch::default(),
            outcomes: Vec::new(),
            undo: Vec::new(),
            reserving: HashSet::new(),
            aside: Vec::new(),
            effects: Effects::default(),
            upkeep: Upkeep::new(loaded.graves, loaded.clock, now),
            now,
            reserve: Reserve::off(),
            hindrance: None,
        };
        for (account, device, cell) in loaded.windows {
            keeper.upkeep.window(&account, device, cell, now);
            // The device may be new as well; and what is on no list never goes out of memory again.
            keeper.list(&account);
        }
        keeper.watch_clock();
        keeper
    }

    /// The same keeper, which leaves this much of the disk free.
    pub fn with_reserve(self, reserve: Reserve) -> Keeper {
        Keeper { reserve, ..self }
    }

    /// True if and only if the disk has room for something new.
    fn has_room(&mut self) -> bool {
        let room = self.reserve.has_room(self.now.up);
        if !room {
            self.core.counters.refused_disk.one();
        }
        room
    }

    /// Runs on the thread that calls it, until the queue is closed and everything is done.
    ///
    /// # Errors
    ///
    /// The first failure that leaves open what is true.
    pub fn run(mut self) -> Result<(), StoreError> {
        let mut taken = Taken::default();
        loop {
            let deadline = self.next_deadline().map(|up| self.core.clock.instant(up));
            let over = self.core.queue.take(&mut taken, deadline);
            self.turn(&mut taken)?;
            if over {
                return self.finish();
            }
        }
    }

    /// When the next thing is to be done on the side, on the clock that never jumps.
    fn next_deadline(&self) -> Option<Duration> {
        self.upkeep.deadline(&self.core.log.lock(), &self.core, self.now)
    }

    /// Does everything that was taken, in one batch, and what is due on the side.
    fn turn(&mut self, taken: &mut Taken) -> Result<(), StoreError> {
        self.now = self.core.clock.now();
        std::mem::swap(&mut self.batch.words, &mut taken.words);
        let jobs = taken.jobs.len() as u64;
        for job in taken.jobs.drain(..) {
            self.stage(job, jobs)?;
        }
        for account in taken.unsaved.drain(..) {
            self.upkeep.unsaved(account, self.now);
        }
        self.stage_upkeep()?;
        self.residents.forget_recent();
        self.commit()?;
        std::mem::swap(&mut self.batch.words, &mut taken.words);
        taken.words.clear();
        taken.words.shrink_to(WORDS_KEPT);
        Ok(())
    }

    fn stage(&mut self, job: Job, jobs: u64) -> Result<(), StoreError> {
        match job {
            Job::Mail(job) => self.stage_mail(job, jobs),
            Job::Settle(account) => self.stage_save(&account),
            Job::File(receipt) => self.stage_job(*receipt, jobs),
            Job::Read { reader, entries } => {
                entries.into_iter().try_for_each(|(id, sender)| self.stage_read(&reader, id, sender, jobs))
            }
            Job::Account(job) => self.stage_account(*job),
            Job::Reserve(account) => {
                self.stage_block(&account, jobs);
                Ok(())
            }
        }
    }

    /// Refuses whoever needs a row that is damaged, and harms nobody else; nothing was staged for it.
    fn unless_damaged<T>(
        &self,
        done: Result<Result<T, Refusal>, StoreError>,
    ) -> Result<Result<T, Refusal>, StoreError> {
        done.or_else(|error| match error {
            StoreError::Damaged(_) => {
                self.core.damaged(&error);
                Ok(Err(Refusal::new(Code::STORAGE, "the server cannot read what it keeps of this")))
            }
            _ => Err(error),
        })
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let done = if self.batch.is_empty() { Ok(()) } else { self.residents.store.commit(&self.batch) };
        match done {
            Ok(()) => {
                if !self.batch.is_empty() {
                    self.hinder(None);
                }
                self.undo.clear();
                self.residents.admit_fresh();
                self.release();
            }
            Err(error) => {
                let Some(refusal) = refusal(&error) else { return Err(error) };
                let locked = matches!(error, StoreError::Busy);
                self.hinder(Some(if locked { Hindrance::Locked } else { Hindrance::Full }));
                self.core.counters.rolled_back.one();
                self.roll_back(&refusal);
            }
        }
        self.batch.writes.clear();
        self.batch.durable = false;
        self.reserving.clear();
        self.aside.drain(..).for_each(|account| account.mailbox.lock().end_aside());
        self.core.finish(&mut self.effects);
        Ok(())
    }

    /// Says once what hinders commits, and once that it does no longer.
    fn hinder(&mut self, hindrance: Option<Hindrance>) {
        match (std::mem::replace(&mut self.hindrance, hindrance), hindrance) {
            (before, after) if before == after => {}
            (_, Some(Hindrance::Full)) => {
                tracing::error!("the disk is full: nothing new is kept until it has room");
            }
            (_, Some(Hindrance::Locked)) => tracing::error!(
                "another program keeps the database locked: nothing new is kept until it lets go"
            ),
            (Some(Hindrance::Locked), None) => tracing::info!("the database is no longer locked"),
            (_, None) => tracing::info!("the disk has room again"),
        }
    }

    /// Notes the new rows, then tells everybody. Rows are noted first: whoever sees a message may acknowledge it. What a
    /// review found was so before them.
    fn release(&mut self) {
        let mut log = self.core.log.lock();
        for outcome in &self.outcomes {
            if let Outcome::Reviewed(run, oldest_ms) = outcome {
                log.reviewed(*run, *oldest_ms);
            }
        }
        for outcome in &self.outcomes {
            if let Outcome::Kept(KeptMail { row, .. }) | Outcome::Filed { row, .. } = outcome {
                log.append(*row, self.now.wall_ms, true);
            }
        }
        drop(log);
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let mut drained = outcomes.drain(..).peekable();
        while let Some(outcome) = drained.next() {
            match outcome {
                Outcome::Kept(first) => self.release_run(first, &mut drained),
                other => self.release_one(other),
            }
        }
        drop(drained);
        self.outcomes = outcomes;
    }

    /// Tells of a message, and of those after it from the same sender to the same recipient, which are mostly many: the
    /// locks of the mailbox and of the sender's outbox are taken once for all of them.
    fn release_run(&mut self, first: KeptMail, outcomes: &mut Peekable<Drain<'_, Outcome>>) {
        let (login, to, time_ms) = (first.login.clone(), first.to.clone(), self.now.wall_ms);
        let Keeper { core, batch: Batch { words, .. }, effects, .. } = self;
        let mut due = Due::default();
        core.with_mailbox(&to, effects, |mailbox, effects| {
            let mut kept = first;
            for left in (0..mail::RUN_MAX).rev() {
                let KeptMail { sending, author, seq, id, from, text, .. } = kept;
                let body = Body::Message(author, text.of(words));
                let content = Content { id, time_ms, name: from.of(words), body };
                let handed_over = mailbox.publish(seq, &content, effects);
                let posted = if handed_over { Posted::HandedOver } else { Posted::Stored };
                mail::put_answer(sending, Ok(Kept { id, time_ms, posted }), &mut effects.answers);
                effects.kept += 1;
                due = due.and(sending.due());
                let goes_with =
                    |next: &Outcome| matches!(next, Outcome::Kept(kept) if kept.goes_with(&login, &to));
                match outcomes.next_if(|next| left > 0 && goes_with(next)) {
                    Some(Outcome::Kept(next)) => kept = next,
                    _ => break,
                }
            }
        });
        mail::answer_all(&login.outbox, due, effects);
    }

    fn release_one(&mut self, outcome: Outcome) {
        let time_ms = self.now.wall_ms;
        match outcome {
            Outcome::Answer { login, sending, result } => {
                mail::answer(&login.outbox, sending, result.as_ref().copied(), true, &mut self.effects);
            }
            Outcome::Filed { to, seq, id, state, peer, .. } => {
                let content = Content { id, time_ms, name: &peer, body: Body::Receipt(state) };
                self.core.with_mailbox(&to, &mut self.effects, |mailbox, effects| {
                    mailbox.publish(seq, &content, effects);
                });
            }
            Outcome::Reserved(account, reserved) => account.mailbox.lock().reserve(reserved),
            Outcome::InMemory(job) => self.release_in_memory(&job),
            Outcome::FileInMemory(receipt) => {
                if !mail::file_in_memory(&self.core, &receipt, true, &mut self.effects) {
                    // The numbers that were reserved are used up by others.
                    self.upkeep.file_later(*receipt, self.now);
                }
            }
            Outcome::Moved { account, seq, old, new, time_ms } => {
                self.release_moved(&account, seq, old, new, time_ms)
            }
            Outcome::Expired(account, seq) => self.release_expired(&account, seq),
            // Released as part of a run, and before all others.
            Outcome::Kept(_) | Outcome::Reviewed(..) => {}
            Outcome::Dropped(run) => self.core.log.lock().dropped(run),
            Outcome::Saved(account) => self.release_saved(&account),
            Outcome::Purged(count) => self.release_purged(count),
            Outcome::Unclaimed(account) => self.core.hub.release_receipts(account, 1),
            Outcome::Reply(reply) => reply(Ok(())),
        }
    }

    /// Takes everything back that was staged, and refuses it: certainly nothing of it is kept.
    fn roll_back(&mut self, refusal: &Refusal) {
        for undo in std::mem::take(&mut self.undo).into_iter().rev() {
            self.undo(undo);
        }
        self.residents.forget_fresh();
        for outcome in std::mem::take(&mut self.outcomes) {
            match outcome {
                Outcome::Kept(KeptMail { login, sending, .. }) => {
                    mail::answer(&login.outbox, sending, Err(refusal), true, &mut self.effects);
                }
                Outcome::InMemory(MailJob { login, sending, .. }) => {
                    // Its repeat may wait for numbers as well.
                    let known = mail::check_counter(&self.core, &login, sending);
                    let result = known.and_then(|id| id.ok_or_else(|| refusal.clone()));
                    let result = result.map(|id| Kept { id, time_ms: 0, posted: Posted::SeenBefore });
                    mail::answer(&login.outbox, sending, result.as_ref().copied(), true, &mut self.effects);
                }
                Outcome::Answer { login, sending, result } => {
                    // The repeat of a message that this batch was to keep: it was not seen before after all.
                    let known = || matches!(mail::check_counter(&self.core, &login, sending), Ok(Some(_)));
                    let result =
                        result.and_then(|kept| if known() { Ok(kept) } else { Err(refusal.clone()) });
                    mail::answer(&login.outbox, sending, result.as_ref().copied(), true, &mut self.effects);
                }
                Outcome::Reply(reply) => reply(Err(refusal.clone())),
                Outcome::Filed { .. }
                | Outcome::FileInMemory(_)
                | Outcome::Reserved(..)
                | Outcome::Moved { .. }
                | Outcome::Expired(..)
                | Outcome::Reviewed(..)
                | Outcome::Dropped(_)
                | Outcome::Saved(_)
                | Outcome::Purged(_)
                | Outcome::Unclaimed(_) => {}
            }
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Stage(account, seq) => account.mailbox.lock().unstage(seq),
            Undo::Reserve(account, reserved) => account.mailbox.lock().reserve(reserved),
            Undo::Counter(cell, accepted) => cell.lock().window.revoke(accepted),
            Undo::Receipt(author) => self.core.hub.release_receipts(author.account, 1),
            Undo::Owed(account, owed) => {
                account.mailbox.lock().give_back_owed(owed);
                self.list(&account);
            }
            Undo::File(receipt) => self.upkeep.file_later(receipt, self.now),
            Undo::Devices(account, lost) => {
                let mut mailbox = account.mailbox.lock();
                mailbox.devices_mut().iter_mut().for_each(|device| device.unsaved = true);
                mailbox.give_back_lost(lost);
                drop(mailbox);
                self.list(&account);
            }
            Undo::Expiry(account, seq, owed) => {
                account.mailbox.lock().undo_expiry(seq, owed);
                self.list(&account);
            }
            Undo::Window(window) => self.upkeep.save_again(window, self.now),
        }
    }

    /// Puts a mailbox on the list of those to be saved, if it is not on it.
    fn list(&mut self, account: &Arc<Account>) {
        if account.mailbox.lock().list() {
            self.upkeep.unsaved(account.clone(), self.now);
        }
    }
}
