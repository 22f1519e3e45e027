//! Sending: what becomes of a SEND or a POST, and of the receipts that it leads to.
//!
//! Where messages are durable, the writing thread decides: a message goes on its queue, and is answered when its batch
//! is committed. Where they live in memory (`--durability none`) it is kept, pushed and answered here and now; only
//! what needs the store first, such as a recipient that is not in memory, takes the way of the queue.

use std::sync::Arc;
use std::task::Waker;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::post::{PostAnswer, PostFailure, PostOk, Posted};
use bellhop_protocol::text::{self, Outcome};
use bellhop_protocol::{Code, MessageId, OpCode};

use crate::clock::random_id;
use crate::core::Core;
use crate::hub::{Account, Login};
use crate::keeper::queue::{FileJob, Full, Job, Sending};
use crate::mailbox::acknowledge::Owed;
use crate::mailbox::content::{Body, Content};
use crate::mailbox::device::WindowCell;
use crate::mailbox::items::Marks;
use crate::mailbox::{Effects, Life, Mailbox};
use crate::outbox::{Due, Outbox};
use crate::store::{Author, RowId};
use crate::window::Seen;

use super::DUE_MAX;

/// A message that is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// What the sender asked for.
    pub sending: Sending,
    /// The text.
    pub text: &'a str,
    /// The time, in ms since 1970.
    pub time_ms: u64,
}

/// Whom a message is for.
#[derive(Debug)]
pub struct Addressee<'a> {
    /// The recipient's folded name.
    pub folded: &'a str,
    /// Whom the connection sent to last.
    pub last: &'a mut Recipient,
}

/// Whom a connection sent to last, who is mostly whom it sends to next: found again without looking the name up, which
/// takes a lock that all share. May be out of memory or deleted by now, which its mailbox tells.
#[derive(Debug, Default)]
pub struct Recipient(Option<Arc<Account>>);

impl Recipient {
    /// The account with this folded name, if it is or was in memory.
    fn find(&mut self, core: &Core, folded: &str) -> Option<&Arc<Account>> {
        if self.0.as_ref().is_none_or(|known| *known.folded != *folded) {
            self.0 = core.hub.by_name(folded);
        }
        self.0.as_ref()
    }

    #[cfg(test)]
    pub(crate) fn known(&self) -> Option<&Arc<Account>> {
        self.0.as_ref()
    }

    /// Keeps nobody in memory any more.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}

/// A message that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its id.
    pub id: MessageId,
    /// When it was kept, in ms since 1970.
    pub time_ms: u64,
    /// What became of it at first.
    pub posted: Posted,
}

/// Sends a message.
///
/// # Errors
///
/// [`Full`] where the writing thread has too much to do: nothing happened, and `waker` is woken when it is worth
/// another try.
pub fn send(
    core: &Core,
    login: &Arc<Login>,
    to: Addressee<'_>,
    mail: &Mail<'_>,
    waker: &Waker,
    effects: &mut Effects,
) -> Result<(), Full> {
    let Mail { sending, text, .. } = *mail;
    let folded = to.folded;
    if !core.in_memory {
        to.last.find(core, folded);
    }
    let due = login.outbox.due();
    // What a device sends keeps its order: nothing overtakes what is on the queue.
    if core.in_memory && due == Due::default() && send_in_memory(core, login, to, mail, false, effects) {
        return Ok(());
    }
    // Owed before it is on the queue: the writing thread may answer at once.
    login.outbox.owe(sending.due());
    core.queue
        .mail(login, sending, folded, text, waker)
        .inspect_err(|Full| login.outbox.forgive(sending.due()))
}

impl Sending {
    /// The answer that it gets, where the writing thread owes it.
    pub fn due(self) -> Due {
        match self {
            Sending::Send => Due::SEND,
            Sending::Post { .. } => Due::POST,
        }
    }

    /// How many answers of its kind are owed.
    pub fn count_of(self, due: Due) -> u32 {
        match self {
            Sending::Send => due.sends,
            Sending::Post { .. } => due.posts,
        }
    }

    /// The marks of the item.
    pub fn marks(self) -> Marks {
        match self {
            Sending::Post { wanted: true, .. } => Marks::WANTED,
            _ => Marks::default(),
        }
    }
}

/// Checks a POST's counter: the id it has where it was accepted before, `None` where it is new.
///
/// # Errors
///
/// `stale-counter` for one that the window has forgotten.
pub fn check_counter(core: &Core, login: &Login, sending: Sending) -> Result<Option<MessageId>, Refusal> {
    let (Sending::Post { counter, .. }, Some((device, cell))) = (sending, &login.device) else {
        return Ok(None);
    };
    match cell.lock().window.check(counter) {
        Seen::New => Ok(None),
        Seen::Before => Ok(Some(core.ids.id(login.account.id, *device, counter))),
        Seen::Stale => Err(stale()),
    }
}

/// The id that the message gets, and its author.
pub fn identify(core: &Core, login: &Login, sending: Sending) -> (MessageId, Author) {
    let account = login.account.id;
    match (sending, &login.device) {
        (Sending::Post { counter, .. }, Some((device, _))) => {
            (core.ids.id(account, *device, counter), Author { account, device: Some(*device) })
        }
        _ => (random_id(), Author { account, device: None }),
    }
}

/// The refusal of a message for a name that nobody has.
pub fn nobody() -> Refusal {
    Refusal::new(Code::NO_SUCH_USER, "nobody here has this name")
}

/// The refusal of a POST that wants a receipt too many.
pub fn receipts_full() -> Refusal {
    Refusal::new(Code::RECEIPTS_FULL, "too many receipts are outstanding; acknowledge some first")
}

/// Keeps, pushes and answers a message in memory; false where the writing thread has to do something first. `due` is
/// true where that thread does it now.
pub fn send_in_memory(
    core: &Core,
    login: &Login,
    to: Addressee<'_>,
    mail: &Mail<'_>,
    due: bool,
    effects: &mut Effects,
) -> bool {
    let Some(account) = to.last.find(core, to.folded) else { return false };
    let mut window = login.device.as_ref().map(|(_, cell)| cell.lock());
    let kept = core.with_mailbox(account, effects, |mailbox, effects| {
        Keeping { core, login, account, mailbox, window: window.as_deref_mut(), due }.keep(mail, effects)
    });
    drop(window);
    match &kept {
        // It is not in memory any more, or has no number left.
        None => to.last.forget(),
        Some(result) => answer(&login.outbox, mail.sending, result.as_ref().copied(), due, effects),
    }
    kept.is_some()
}

/// The most messages that are taken under one lock of their recipient's mailbox: others want it as well.
pub const RUN_MAX: u32 = 64;

/// Keeps, pushes and answers messages for `last` in memory, as far as `next` has any that begin at a byte and are for a
/// folded name. Nothing may be owed to the sender. Returns how many bytes were done with, and how many messages `next`
/// gave that were not.
pub fn send_run_in_memory<'m>(
    core: &Core,
    login: &Login,
    last: &Recipient,
    next: impl Fn(usize, &str) -> Option<(usize, Mail<'m>)>,
    effects: &mut Effects,
) -> (usize, u64) {
    let Some(account) = &last.0 else { return (0, 0) };
    let Some(mut coming) = next(0, &account.folded) else { return (0, 0) };
    let mut window = login.device.as_ref().map(|(_, cell)| cell.lock());
    let run = core.with_mailbox(account, effects, |mailbox, effects| {
        let mut keeping =
            Keeping { core, login, account, mailbox, window: window.as_deref_mut(), due: false };
        let mut done = 0;
        for left in (0..RUN_MAX).rev() {
            let (len, mail) = coming;
            let Some(result) = keeping.keep(&mail, effects) else { return (done, 1) };
            put_answer(mail.sending, result.as_ref().copied(), &mut effects.answers);
            done += len;
            let stop = left == 0 || login.outbox.is_full_with(effects.answers.len());
            match (!stop).then(|| next(done, &account.folded)).flatten() {
                Some(further) => coming = further,
                None => break,
            }
        }
        (done, 0)
    });
    drop(window);
    answer_all(&login.outbox, Due::default(), effects);
    run
}

/// Puts messages for `last` on the queue of the writing thread, as [`send_run_in_memory`] keeps them.
pub fn send_run_queued<'m>(
    core: &Core,
    login: &Arc<Login>,
    last: &Recipient,
    next: impl Fn(usize, &str) -> Option<(usize, Mail<'m>)>,
) -> (usize, u64) {
    let Some(account) = &last.0 else { return (0, 0) };
    let Some(first) = next(0, &account.folded) else { return (0, 0) };
    let kind = first.1.sending.due();
    let owed = first.1.sending.count_of(login.outbox.due());
    let most = RUN_MAX.min(DUE_MAX.saturating_sub(owed));
    // Owed before they are on the queue: the writing thread may answer at once.
    login.outbox.owe(kind.times(most));
    let (mut coming, mut done) = (Some(first), 0);
    let count = core.queue.run(login, &account.folded, most, || {
        let (len, mail) = coming.take().or_else(|| next(done, &account.folded))?;
        if mail.sending.due() != kind || login.outbox.is_full() {
            coming = Some((len, mail));
            return None;
        }
        done += len;
        Some((mail.sending, mail.text))
    });
    login.outbox.forgive(kind.times(most - count));
    (done, u64::from(coming.is_some()))
}

/// Appends the answers that were collected, of which the writing thread owed so many.
pub fn answer_all(outbox: &Outbox, due: Due, effects: &mut Effects) {
    let mut answers = std::mem::take(&mut effects.answers);
    if !answers.is_empty() {
        outbox.answer_due(due, effects, |out| out.extend_from_slice(&answers));
    }
    answers.clear();
    effects.answers = answers;
}

/// A mailbox in memory that is locked for what somebody sends to it.
struct Keeping<'a> {
    core: &'a Core,
    login: &'a Login,
    account: &'a Arc<Account>,
    mailbox: &'a mut Mailbox<Arc<Outbox>>,
    /// The counters of the sender's device: locked with the mailbox, and before it, so that two connections of one device
    /// cannot both find a counter new.
    window: Option<&'a mut WindowCell>,
    /// True where the writing thread keeps what it has staged.
    due: bool,
}

impl Keeping<'_> {
    /// Keeps and pushes a message; `None` where the writing thread has to do something first.
    fn keep(&mut self, mail: &Mail<'_>, effects: &mut Effects) -> Option<Result<Kept, Refusal>> {
        let Mail { sending, .. } = *mail;
        if let (Sending::Post { counter, .. }, Some(window)) = (sending, &self.window) {
            match window.window.check(counter) {
                Seen::New => {}
                Seen::Before => {
                    let id = identify(self.core, self.login, sending).0;
                    return Some(Ok(Kept { id, time_ms: 0, posted: Posted::SeenBefore }));
                }
                Seen::Stale => return Some(Err(stale())),
            }
        }
        if self.mailbox.life() != Life::Live || !self.mailbox.has_number(self.due) {
            return None;
        }
        let wanted = sending.marks().has(Marks::WANTED);
        if wanted && !self.core.hub.reserve_receipt(self.login.account.id) {
            return Some(Err(receipts_full()));
        }
        let kept = self.keep_new(mail, effects);
        match (&kept, sending, &mut self.window) {
            (Ok(_), Sending::Post { counter, .. }, Some(window)) => {
                window.window.accept(counter);
                // Saved when its session has left: the store answers a repeat after that.
                window.unsaved = true;
            }
            (Err(_), ..) if wanted => self.core.hub.release_receipts(self.login.account.id, 1),
            _ => {}
        }
        Some(kept)
    }

    fn keep_new(&mut self, mail: &Mail<'_>, effects: &mut Effects) -> Result<Kept, Refusal> {
        let Keeping { core, login, mailbox, .. } = self;
        let Mail { sending, text, time_ms } = *mail;
        let (id, author) = identify(core, login, sending);
        let sender = login.account.id.short();
        if let Err(refusal) = mailbox.admit(sender, text.len(), &core.bounds) {
            core.counters.refused_full.one();
            return Err(refusal);
        }
        effects.kept += 1;
        let seq = mailbox.stage(RowId::NONE, text.len(), sending.marks(), sender);
        if mailbox.runs_short() {
            core.queue.control(Job::Reserve(self.account.clone()));
        }
        let content = Content { id, time_ms, name: &login.account.name, body: Body::Message(author, text) };
        let posted = match mailbox.publish(seq, &content, effects) {
            true => Posted::HandedOver,
            false => Posted::Stored,
        };
        Ok(Kept { id, time_ms, posted })
    }
}

fn stale() -> Refusal {
    Refusal::new(Code::STALE_COUNTER, "the counter is older than the last 1024")
}

/// Answers a SEND or a POST; `due` where the writing thread owed it.
pub fn answer(
    outbox: &Outbox,
    sending: Sending,
    result: Result<Kept, &Refusal>,
    due: bool,
    effects: &mut Effects,
) {
    let write = |out: &mut Vec<u8>| put_answer(sending, result, out);
    match due {
        true => outbox.answer_due(sending.due(), effects, write),
        false => outbox.answer(effects, write),
    }
}

/// Appends the answer to a SEND or a POST.
pub fn put_answer(sending: Sending, result: Result<Kept, &Refusal>, out: &mut Vec<u8>) {
    match (sending, result) {
        (Sending::Send, Ok(kept)) => {
            let outcome = match kept.posted {
                Posted::HandedOver => Outcome::Delivered,
                Posted::Stored | Posted::SeenBefore => Outcome::Queued,
            };
            text::put_sent(out, outcome, kept.id);
        }
        (Sending::Send, Err(refusal)) => {
            text::put_error(out, OpCode::Send.answer(), refusal.code, &refusal.sentence);
        }
        (Sending::Post { counter, .. }, Ok(kept)) => {
            let ok = PostOk { posted: kept.posted, id: kept.id, time_ms: kept.time_ms };
            PostAnswer { counter, result: Ok(ok) }.put(out);
        }
        (Sending::Post { counter, .. }, Err(refusal)) => {
            let retry_after_ms = match refusal.code {
                Code::MAILBOX_FULL | Code::RECEIPTS_FULL | Code::STORAGE => 60_000,
                _ => 0,
            };
            let failure = PostFailure { code: refusal.code, retry_after_ms, sentence: &refusal.sentence };
            PostAnswer { counter, result: Err(failure) }.put(out);
        }
    }
}

/// Files, in memory, the receipt of a message that `account` has.
pub fn file_delivered(core: &Core, account: &Account, owed: &Owed, effects: &mut Effects) {
    let Some((author, id)) = owed.origin else { return };
    let receipt = FileJob { author, id, state: ReceiptState::Delivered, peer: account.name.clone() };
    if !file_in_memory(core, &receipt, false, effects) {
        core.queue.control(Job::File(Box::new(receipt)));
    }
}

/// Files a receipt in memory; false where the writing thread has to do something first, and true where that thread does
/// it now, for what is `due`. Where the device is forgotten it goes nowhere.
pub fn file_in_memory(core: &Core, receipt: &FileJob, due: bool, effects: &mut Effects) -> bool {
    let FileJob { author, id, state, peer } = receipt;
    let content =
        Content { id: *id, time_ms: core.clock.now().wall_ms, name: peer, body: Body::Receipt(*state) };
    let Some(sender) = core.hub.by_id(author.account) else { return false };
    core.with_mailbox(&sender, effects, |mailbox, effects| {
        if mailbox.life() != Life::Live || !mailbox.has_number(due) {
            return false;
        }
        match mailbox.party_of(author.device) {
            Some(party) => {
                let seq = mailbox.stage(RowId::NONE, 0, Marks::RECEIPT, party);
                if mailbox.runs_short() {
                    core.queue.control(Job::Reserve(sender.clone()));
                }
                mailbox.publish(seq, &content, effects);
            }
            None => effects.receipts_ended += 1,
        }
        true
    })
}
