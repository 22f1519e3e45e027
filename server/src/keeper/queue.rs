//! What waits for the writing thread: jobs, their words in one arena, and the tasks that wait for room.
//!
//! Bounded: when it is full, a connection reads no further request and is woken when the thread has taken what was
//! there. The thread takes everything at once, and gives its own empty buffers in exchange, so that a message costs no
//! allocation here.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use bellhop_protocol::MessageId;
use bellhop_protocol::item::ReceiptState;
use parking_lot::{Condvar, Mutex};

use super::accounts::AccountJob;
use crate::hub::{Account, Login};
use crate::store::{Author, Span};

/// With so many bytes of words, no further ones are taken: with the longest legal frame beyond that, pieces of the
/// arena can still be found by 32 bits.
pub(crate) const WORDS_MAX: usize = 4 * 1024 * 1024;

/// What a sender asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// SEND.
    Send,
    /// POST.
    Post {
        /// The device's counter.
        counter: u64,
        /// True where the sender wants to learn how the message ends.
        wanted: bool,
    },
}

/// A message that is to be kept.
#[derive(Debug)]
pub struct MailJob {
    /// The sender.
    pub login: Arc<Login>,
    /// What it asked for.
    pub sending: Sending,
    /// The recipient's folded name, in the arena.
    pub to: Span,
    /// The sender's name, in the arena.
    pub from: Span,
    /// The text, in the arena.
    pub text: Span,
}

/// A receipt that is to be filed with the author of a message.
#[derive(Clone, Debug)]
pub struct FileJob {
    /// Who sent the message.
    pub author: Author,
    /// The message.
    pub id: MessageId,
    /// How it ended.
    pub state: ReceiptState,
    /// Who took, read or lost it.
    pub peer: Box<str>,
}

/// A job for the writing thread.
#[derive(Debug)]
pub enum Job {
    /// Keep a message.
    Mail(MailJob),
    /// File the receipts that this mailbox owes, with what its devices acknowledged.
    Settle(Arc<Account>),
    /// File a receipt. There are never more of them than receipts outstanding.
    File(Box<FileJob>),
    /// Tell senders that their messages were read.
    Read {
        /// Who read them.
        reader: Arc<Account>,
        /// The messages, each with its sender's folded name in the arena.
        entries: Vec<(MessageId, Span)>,
    },
    /// Reserve numbers of this mailbox, which lives in memory and runs short of them.
    Reserve(Arc<Account>),
    /// Something about an account, with a reply.
    Account(Box<AccountJob>),
}

/// What the thread takes.
#[derive(Debug, Default)]
pub struct Taken {
    /// The jobs, in the order in which they came.
    pub jobs: Vec<Job>,
    /// Their words.
    pub words: String,
    /// Mailboxes with something to save.
    pub unsaved: Vec<Arc<Account>>,
}

#[derive(Debug, Default)]
struct Inner {
    taken: Taken,
    waiting: Vec<Waker>,
    sleeping: bool,
    closed: bool,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
    bound: usize,
}

/// The queue had no room; the task is woken when there may be some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Queue {
    /// A queue that takes jobs while fewer than `bound` wait, and their words are not too many.
    pub fn new(bound: u64) -> Queue {
        Queue { inner: Mutex::default(), ready: Condvar::new(), bound: bound as usize }
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// [`Full`], and then `waker` is woken when there is room again, unless the server is stopping.
    pub fn mail(
        &self,
        login: &Arc<Login>,
        sending: Sending,
        to: &str,
        text: &str,
        waker: &Waker,
    ) -> Result<(), Full> {
        self.add(waker, |taken| {
            let to = Span::push(&mut taken.words, to);
            let from = Span::push(&mut taken.words, &login.account.name);
            let text = Span::push(&mut taken.words, text);
            taken.jobs.push(Job::Mail(MailJob { login: login.clone(), sending, to, from, text }));
        })
    }

    /// Adds messages of one sender to one recipient, as many as `next` gives and there is room for, and not more than
    /// `most`. Returns how many.
    pub fn run<'a>(
        &self,
        login: &Arc<Login>,
        to: &str,
        most: u32,
        mut next: impl FnMut() -> Option<(Sending, &'a str)>,
    ) -> u32 {
        let mut inner = self.inner.lock();
        let mut names = None;
        let mut count = 0;
        while count < most && self.has_room(&inner) {
            let Some((sending, text)) = next() else { break };
            let words = &mut inner.taken.words;
            let (to, from) =
                *names.get_or_insert_with(|| (Span::push(words, to), Span::push(words, &login.account.name)));
            let text = Span::push(words, text);
            inner.taken.jobs.push(Job::Mail(MailJob { login: login.clone(), sending, to, from, text }));
            count += 1;
        }
        if count > 0 {
            self.rouse(inner);
        }
        count
    }

    fn has_room(&self, inner: &Inner) -> bool {
        !inner.closed && inner.taken.jobs.len() < self.bound && inner.taken.words.len() < WORDS_MAX
    }

    /// Adds what somebody has read, each with its sender's folded name.
    ///
    /// # Errors
    ///
    /// As [`mail`](Queue::mail).
    pub fn read<'a>(
        &self,
        reader: &Arc<Account>,
        entries: impl Iterator<Item = (MessageId, std::borrow::Cow<'a, str>)>,
        waker: &Waker,
    ) -> Result<(), Full> {
        self.add(waker, |taken| {
            let entries = entries.map(|(id, sender)| (id, Span::push(&mut taken.words, &sender))).collect();
            taken.jobs.push(Job::Read { reader: reader.clone(), entries });
        })
    }

    fn add(&self, waker: &Waker, add: impl FnOnce(&mut Taken)) -> Result<(), Full> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Full);
        }
        if !self.has_room(&inner) {
            inner.waiting.push(waker.clone());
            return Err(Full);
        }
        add(&mut inner.taken);
        self.rouse(inner);
        Ok(())
    }

    /// How many jobs wait, how many bytes of words, and how many mailboxes with something to save.
    pub fn len(&self) -> (usize, usize, usize) {
        let Inner { taken, .. } = &*self.inner.lock();
        (taken.jobs.len(), taken.words.len(), taken.unsaved.len())
    }

    /// Adds a job of which a connection or a mailbox has at most one at a time, so that it needs no bound of its own.
    pub fn control(&self, job: Job) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.taken.jobs.push(job);
            self.rouse(inner);
        }
    }

    /// Adds a mailbox with something to save. The caller has set its `listed`, so that it is here once.
    pub fn unsaved(&self, account: Arc<Account>) {
        let mut inner = self.inner.lock();
        let first = inner.taken.unsaved.is_empty();
        inner.taken.unsaved.push(account);
        if first {
            self.rouse(inner);
        }
    }

    /// Moves the mailboxes with something to save to `to`.
    pub fn take_unsaved(&self, to: &mut Vec<Arc<Account>>) {
        to.append(&mut self.inner.lock().taken.unsaved);
    }

    fn rouse(&self, mut inner: parking_lot::MutexGuard<'_, Inner>) {
        let sleeping = std::mem::replace(&mut inner.sleeping, false);
        drop(inner);
        if sleeping {
            self.ready.notify_one();
        }
    }

    /// Exchanges `empty` for everything that waits; sleeps until something does, `deadline` is reached or the queue is
    /// closed. Returns whether the queue is closed and empty.
    pub fn take(&self, empty: &mut Taken, deadline: Option<Instant>) -> bool {
        let mut inner = self.inner.lock();
        while inner.taken.jobs.is_empty() && inner.taken.unsaved.is_empty() && !inner.closed {
            inner.sleeping = true;
            match deadline {
                None => self.ready.wait(&mut inner),
                Some(deadline) => {
                    if self.ready.wait_until(&mut inner, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        inner.sleeping = false;
        std::mem::swap(&mut inner.taken, empty);
        let waiting = std::mem::take(&mut inner.waiting);
        let over = inner.closed && empty.jobs.is_empty() && empty.unsaved.is_empty();
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
        over
    }

    /// No more jobs will come: the thread ends when it has done what is there.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        self.rouse(inner);
    }
}
