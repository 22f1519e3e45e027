//! Staging messages and receipts: the recipient's mailbox gives the seq, the log gets a row.

use std::sync::Arc;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::post::Posted;
use bellhop_protocol::{Code, MessageId};

use super::queue::{FileJob, MailJob, Sending};
use super::upkeep::device_rows;
use super::{Keeper, KeptMail, Outcome, Undo};
use crate::hub::{Account, Login};
use crate::mailbox::acknowledge::Owed;
use crate::mailbox::device::NAMELESS;
use crate::mailbox::items::Marks;
use crate::mailbox::{Life, Mailbox};
use crate::outbox::Outbox;
use crate::service::mail::{self, Addressee, Kept, Mail, Recipient};
use crate::store::readers::author;
use crate::store::{Author, Batch, Kind, LogRow, Origin, RowId, Span, StoreError, Write};

impl Keeper {
    pub(super) fn stage_mail(&mut self, job: MailJob, jobs: u64) -> Result<(), StoreError> {
        if self.core.in_memory {
            return self.stage_in_memory(job, jobs);
        }
        let to = self.residents.by_name(job.to.of(&self.batch.words)).map(Ok);
        let to = self.unless_damaged(to)?;
        let outcome = match to.and_then(|to| self.keep(&job, to)) {
            Ok(outcome) => outcome,
            Err(refusal) => Outcome::Answer { login: job.login, sending: job.sending, result: Err(refusal) },
        };
        self.outcomes.push(outcome);
        Ok(())
    }

    fn keep(&mut self, job: &MailJob, to: Option<Arc<Account>>) -> Result<Outcome, Refusal> {
        let MailJob { login, sending, from, text, .. } = job;
        let (login, sending) = (login.clone(), *sending);
        if let Some(id) = mail::check_counter(&self.core, &login, sending)? {
            let kept = Kept { id, time_ms: 0, posted: Posted::SeenBefore };
            return Ok(Outcome::Answer { login, sending, result: Ok(kept) });
        }
        let to = to.ok_or_else(|| self.nobody(&login))?;
        if !self.has_room() {
            return Err(super::no_room());
        }
        let (id, author) = mail::identify(&self.core, &login, sending);
        let wanted = matches!(sending, Sending::Post { wanted: true, .. });
        if wanted && !self.core.hub.reserve_receipt(author.account) {
            return Err(mail::receipts_full());
        }
        let size = text.of(&self.batch.words).len();
        let row = self.next_row;
        let mut mailbox = to.mailbox.lock();
        if let Err(refusal) = mailbox.admit(author.account.short(), size, &self.core.bounds) {
            drop(mailbox);
            self.core.counters.refused_full.one();
            self.core.hub.release_receipts(author.account, u64::from(wanted));
            return Err(refusal);
        }
        self.undo.extend(wanted.then_some(Undo::Receipt(author)));
        let seq = stage_item(
            &mut self.batch,
            &mut self.undo,
            &to,
            &mut mailbox,
            row,
            size,
            sending.marks(),
            author.account.short(),
        );
        if mailbox.starts_nameless() {
            mailbox.receive_nameless();
            let lost = device_rows(to.id, &mut mailbox, &mut self.batch);
            self.undo.push(Undo::Devices(to.clone(), lost));
        }
        drop(mailbox);
        self.next_row = RowId(row.0 + 1);
        self.accept_counter(&login, sending);
        let kind = Kind::Message { sender: author.account, origin: origin(sending, &author, id), wanted };
        let (account, time_ms) = (to.id, self.now.wall_ms);
        self.batch.push(Write::Append(LogRow { row, account, seq, time_ms, kind, name: *from, text: *text }));
        let (from, text) = (*from, *text);
        Ok(Outcome::Kept(KeptMail { login, sending, to, author, seq, row, id, from, text }))
    }

    /// Tells that nobody has the name, which is counted: names can be found out this way.
    fn nobody(&self, login: &Login) -> Refusal {
        self.core.counters.unknown_names.one();
        login.account.unknown.charge(self.now.up, self.core.limits.unknown_rate);
        mail::nobody()
    }

    fn accept_counter(&mut self, login: &Login, sending: Sending) {
        let (Sending::Post { counter, .. }, Some((device, cell))) = (sending, &login.device) else { return };
        let mut window = cell.lock();
        let accepted = window.window.accept(counter);
        if !std::mem::replace(&mut window.unsaved, true) {
            self.upkeep.window(&login.account, *device, cell.clone(), self.now);
        }
        drop(window);
        self.undo.push(Undo::Counter(cell.clone(), accepted));
    }

    /// Where messages live in memory, the store is needed only for accounts that are not in memory and for numbers.
    fn stage_in_memory(&mut self, job: MailJob, jobs: u64) -> Result<(), StoreError> {
        let to = self.residents.by_name(job.to.of(&self.batch.words)).map(Ok);
        let outcome = match self.unless_damaged(to)? {
            Err(refusal) => Outcome::Answer { login: job.login, sending: job.sending, result: Err(refusal) },
            Ok(Some(to)) => {
                self.reserve_ahead(&to, jobs);
                Outcome::InMemory(job)
            }
            Ok(None) => {
                let known = mail::check_counter(&self.core, &job.login, job.sending);
                let result = known.and_then(|id| match id {
                    Some(id) => Ok(Kept { id, time_ms: 0, posted: Posted::SeenBefore }),
                    None => Err(self.nobody(&job.login)),
                });
                Outcome::Answer { login: job.login, sending: job.sending, result }
            }
        };
        self.outcomes.push(outcome);
        Ok(())
    }

    /// Reserves numbers for everything that this batch, and what comes meanwhile, may bring to a mailbox. They may be
    /// used when the batch is committed, since others than this thread use them; one for each that is staged is set
    /// aside until then.
    fn reserve_ahead(&mut self, to: &Arc<Account>, jobs: u64) {
        let mut mailbox = to.mailbox.lock();
        let aside = mailbox.set_aside();
        let needed = mailbox.block_needed(jobs.max(aside));
        drop(mailbox);
        if aside == 1 {
            self.aside.push(to.clone());
        }
        if let (Some(reserved), true) = (needed, !self.reserving.contains(&to.id)) {
            self.reserving.insert(to.id);
            self.batch.push(Write::Reserve(to.id, reserved + jobs));
            self.outcomes.push(Outcome::Reserved(to.clone(), reserved + jobs));
        }
    }

    /// Reserves the next numbers of a mailbox that runs short of them.
    pub(super) fn stage_block(&mut self, to: &Arc<Account>, jobs: u64) {
        let mailbox = to.mailbox.lock();
        // One that went out of memory may be there again, with numbers of its own.
        if mailbox.life() == Life::Live && self.reserving.insert(to.id) {
            let reserved = mailbox.next_block(jobs) + jobs;
            self.batch.push(Write::Reserve(to.id, reserved));
            self.outcomes.push(Outcome::Reserved(to.clone(), reserved));
        }
    }

    pub(super) fn release_in_memory(&mut self, job: &MailJob) {
        let MailJob { login, sending, to, text, .. } = job;
        let words = &self.batch.words;
        let (to, text) = (to.of(words), text.of(words));
        let mail = Mail { sending: *sending, text, time_ms: self.now.wall_ms };
        let to = Addressee { folded: to, last: &mut Recipient::default() };
        if !mail::send_in_memory(&self.core, login, to, &mail, true, &mut self.effects) {
            let busy = Refusal::new(Code::BUSY, "the recipient's account is changing; try again");
            mail::answer(&login.outbox, *sending, Err(&busy), true, &mut self.effects);
        }
        // Its counter is saved with its devices, and it may have left meanwhile.
        self.list(&login.account);
    }

    /// Files a receipt that stands for itself: there is nothing else that it comes from.
    pub(super) fn stage_job(&mut self, receipt: FileJob, jobs: u64) -> Result<(), StoreError> {
        self.undo.push(Undo::File(receipt.clone()));
        self.stage_file(receipt, jobs)
    }

    /// Files a receipt with the author of a message, if the author and the device are still known. It is one of so many
    /// `jobs` that may need numbers of the same mailbox.
    pub(super) fn stage_file(&mut self, receipt: FileJob, jobs: u64) -> Result<(), StoreError> {
        let FileJob { author, id, state, peer } = receipt;
        let to = self.residents.by_id(author.account).map(Ok);
        let Ok(Some(to)) = self.unless_damaged(to)? else {
            self.outcomes.push(Outcome::Unclaimed(author.account));
            return Ok(());
        };
        if self.core.in_memory {
            self.reserve_ahead(&to, jobs);
            self.outcomes.push(Outcome::FileInMemory(Box::new(FileJob { author, id, state, peer })));
            return Ok(());
        }
        let mut mailbox = to.mailbox.lock();
        let Some(party) = mailbox.party_of(author.device).filter(|_| mailbox.life() == Life::Live) else {
            drop(mailbox);
            self.outcomes.push(Outcome::Unclaimed(author.account));
            return Ok(());
        };
        let row = self.next_row;
        self.next_row = RowId(row.0 + 1);
        let seq =
            stage_item(&mut self.batch, &mut self.undo, &to, &mut mailbox, row, 0, Marks::RECEIPT, party);
        drop(mailbox);
        let kind = Kind::Receipt { device: author.device, id, state };
        let (name, text) = (self.batch.keep(&peer), self.batch.keep(""));
        let time_ms = self.now.wall_ms;
        self.batch.push(Write::Append(LogRow { row, account: to.id, seq, time_ms, kind, name, text }));
        self.outcomes.push(Outcome::Filed { to, seq, row, id, state, peer });
        Ok(())
    }

    /// Tells the named sender that a message was read: best effort, within the sender's budget of receipts.
    pub(super) fn stage_read(
        &mut self,
        reader: &Account,
        id: MessageId,
        sender: Span,
        jobs: u64,
    ) -> Result<(), StoreError> {
        let to = self.residents.by_name(sender.of(&self.batch.words)).map(Ok);
        let Ok(Some(to)) = self.unless_damaged(to)? else { return Ok(()) };
        if !self.core.hub.reserve_receipt(to.id) {
            return Ok(());
        }
        let author = Author { account: to.id, device: None };
        self.undo.push(Undo::Receipt(author));
        let peer = reader.name.clone();
        self.stage_file(FileJob { author, id, state: ReceiptState::Read, peer }, jobs)
    }

    /// Files what a mailbox owes: the receipts of messages that one of its devices has by now.
    pub(super) fn stage_owed(
        &mut self,
        account: &Arc<Account>,
        owed: Vec<Owed>,
        state: ReceiptState,
    ) -> Result<(), StoreError> {
        let jobs = owed.len() as u64;
        for owed in owed {
            self.stage_end(owed, state, &account.name, jobs)?;
        }
        Ok(())
    }

    /// Files one receipt that the mailbox of `peer` owes, one of so many `jobs`.
    pub(super) fn stage_end(
        &mut self,
        owed: Owed,
        state: ReceiptState,
        peer: &str,
        jobs: u64,
    ) -> Result<(), StoreError> {
        match self.origin(owed)? {
            Some((author, id)) => self.stage_file(FileJob { author, id, state, peer: peer.into() }, jobs),
            None => Ok(()),
        }
    }

    /// Who sent a message that a receipt is owed for, and its id.
    pub(super) fn origin(&mut self, owed: Owed) -> Result<Option<(Author, MessageId)>, StoreError> {
        if owed.origin.is_some() {
            return Ok(owed.origin);
        }
        let mut found = None;
        let ids = self.core.ids;
        let read = self.residents.store.rows(&[owed.row], &mut |row| {
            if let Kind::Message { sender, origin, .. } = row.kind {
                found = Some((author(sender, origin), ids.of_row(&row)));
            }
        });
        // A row that is damaged does not tell who is to be told.
        Ok(self.unless_damaged(read.map(Ok))?.map_or(None, |()| found))
    }
}

/// Gives an item its seq, reserving numbers first where they are used up.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of the keeper that are borrowed apart, and the item"
)]
fn stage_item(
    batch: &mut Batch,
    undo: &mut Vec<Undo>,
    to: &Arc<Account>,
    mailbox: &mut Mailbox<Arc<Outbox>>,
    row: RowId,
    size: usize,
    marks: Marks,
    party: u32,
) -> u64 {
    if let Some(reserved) = mailbox.block_needed(0) {
        reserve(batch, undo, to, mailbox, reserved);
    }
    let seq = mailbox.stage(row, size, marks, party);
    undo.push(Undo::Stage(to.clone(), seq));
    seq
}

fn reserve(
    batch: &mut Batch,
    undo: &mut Vec<Undo>,
    to: &Arc<Account>,
    mailbox: &mut Mailbox<Arc<Outbox>>,
    reserved: u64,
) {
    batch.push(Write::Reserve(to.id, reserved));
    undo.push(Undo::Reserve(to.clone(), mailbox.reserved()));
    mailbox.reserve(reserved);
}

/// What a message's id is found again by.
fn origin(sending: Sending, author: &Author, id: MessageId) -> Origin {
    match sending {
        Sending::Post { counter, .. } => Origin::Post(author.device.unwrap_or(NAMELESS), counter),
        Sending::Send => Origin::Send(id),
    }
}
