//! Staging what concerns accounts, devices and tokens. Whoever asks waits for the reply, which leaves after the commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::{Code, DeviceId, Username};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::graves::Grave;
use super::upkeep::device_rows;
use super::{Keeper, Outcome, Undo};
use crate::hub::Account;
use crate::mailbox::acknowledge::Owed;
use crate::mailbox::device::WindowCell;
use crate::mailbox::{Life, SEQ_BLOCK, SessionId};
use crate::outbox::Outbox;
use crate::service::account::password_needed;
use crate::service::mail;
use crate::store::{AccountId, AccountRow, PasswordHash, StoreError, TokenRow, Write};

/// How long a token stays good after its successor was given, in ms.
const TOKEN_OVERLAP_MS: u64 = DAY_MS;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Where a reply goes; a refusal is what the peer is told.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// An account that was found or made, for a login.
#[derive(Debug)]
pub struct Found {
    /// The account.
    pub account: Arc<Account>,
    /// The hash of its password.
    pub password: Option<PasswordHash>,
    /// How often passwords and tokens had been revoked by then.
    pub revocations: u64,
    /// The counters of the device that asks, and how often windows had gone out of memory when they were read.
    pub window: Option<(Arc<Mutex<WindowCell>>, u64)>,
}

/// What a name is secured with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nobody has the name.
    Nobody,
    /// The account has no password.
    NoPassword,
    /// The account has a password with this hash.
    Password(AccountId, PasswordHash),
}

/// A job about an account.
#[derive(Debug)]
pub enum AccountJob {
    /// The account with this folded name, and the counters of a device.
    Find {
        /// The folded name.
        folded: String,
        /// The device.
        device: Option<DeviceId>,
        /// `no-such-user` where there is none.
        reply: Reply<Found>,
    },
    /// What a name is secured with. Nothing is brought into memory for it: it costs the same for every name.
    Credential {
        /// The folded name.
        folded: String,
        /// The answer.
        reply: Reply<Credential>,
    },
    /// Makes an account.
    Create {
        /// Its name.
        name: Username,
        /// The hash of its password.
        password: Option<PasswordHash>,
        /// The device that asks.
        device: Option<DeviceId>,
        /// True where a name that is held may be had all the same.
        though_held: bool,
        /// `name-taken` where the name is, or is held.
        reply: Reply<Found>,
    },
    /// Deletes an account.
    Delete {
        /// The account.
        account: Arc<Account>,
        /// The session that asks, which is not closed; `None` where it is the operator who does.
        session: Option<SessionId>,
        /// True where nobody may take the name for a while.
        hold: bool,
        /// When it is done, and the other sessions were told and closed.
        reply: Reply<()>,
    },
    /// Gives an account another password, and ends everything that the old one opened: all tokens, and all sessions
    /// but for the one that asks.
    SetPassword {
        /// The account.
        account: AccountId,
        /// The hash of the new password; `None` for an account without one.
        hash: Option<PasswordHash>,
        /// The session that asks, which stays; `None` where it is the operator who does.
        keep: Option<SessionId>,
        /// When it is done, and the other sessions were told and closed.
        reply: Reply<()>,
    },
    /// Keeps a hash of the same password that costs more than the old one, which is still there.
    Rehash {
        /// The account.
        account: AccountId,
        /// The old hash.
        old: PasswordHash,
        /// The new one.
        new: PasswordHash,
        /// When it is done, or there is another password by now.
        reply: Reply<()>,
    },
    /// Makes it last that the session's device receives.
    Receive {
        /// The account.
        account: Arc<Account>,
        /// The device; `None` for the nameless one.
        device: Option<DeviceId>,
        /// When it is done.
        reply: Reply<()>,
    },
    /// Keeps a new token, in place of all others of the device.
    Token {
        /// The token.
        token: TokenRow,
        /// The session that asks.
        session: SessionId,
        /// When it is done.
        reply: Reply<()>,
    },
    /// Uses a token and keeps its successor.
    Resume {
        /// The token's hash.
        hash: [u8; 32],
        /// The successor's.
        successor: [u8; 32],
        /// The device that asks.
        device: DeviceId,
        /// True where the account needs a password.
        secured: bool,
        /// `bad-token` where it is not good, `password-needed` where the account has none and needs one.
        reply: Reply<Found>,
    },
    /// Drops the tokens of a device.
    Revoke {
        /// The account.
        account: Arc<Account>,
        /// The device.
        device: DeviceId,
        /// When it is done.
        reply: Reply<()>,
    },
}

impl Keeper {
    pub(super) fn stage_account(&mut self, job: AccountJob) -> Result<(), StoreError> {
        match job {
            AccountJob::Find { folded, device, reply } => {
                // What was committed before is true whatever becomes of this batch.
                let found = self.find(&folded, device);
                let _ = reply.send(self.unless_damaged(found)?);
            }
            AccountJob::Credential { folded, reply } => {
                let found = self.credential(&folded).map(Ok);
                let _ = reply.send(self.unless_damaged(found)?);
            }
            AccountJob::Create { name, password, device, though_held, reply } => {
                let made = self.create(&name, password, device, though_held);
                let made = self.unless_damaged(made)?;
                self.reply(reply, made);
            }
            // These are in a commit of their own, which is done.
            AccountJob::Delete { account, session, hold, reply } => {
                let _ = reply.send(self.delete(&account, session, hold)?);
            }
            AccountJob::SetPassword { account, hash, keep, reply } => {
                let set = self.set_password(account, hash, keep);
                let _ = reply.send(self.unless_damaged(set)?);
            }
            AccountJob::Rehash { account, old, new, reply } => {
                // What was staged may change it too.
                self.commit()?;
                let row = self.residents.store.account_by_id(account).map(Ok);
                let row = self.unless_damaged(row)?;
                if matches!(&row, Ok(Some(row)) if row.password == Some(old)) {
                    self.batch.push(Write::SetPassword(account, Some(new)));
                }
                self.reply(reply, row.map(drop));
            }
            AccountJob::Receive { account, device, reply } => {
                let done = self.receive(&account, device);
                self.reply(reply, done);
            }
            AccountJob::Token { token, session, reply } => {
                if !self.is_attached(token.account, session) {
                    let _ = reply.send(Err(ended()));
                    return Ok(());
                }
                self.batch.push(Write::DropTokens {
                    account: token.account,
                    device: Some(token.device),
                    except: None,
                });
                self.batch.push(Write::SaveToken(token));
                self.reply(reply, Ok(()));
            }
            AccountJob::Resume { hash, successor, device, secured, reply } => {
                let found = self.resume(&hash, successor, device, secured);
                let found = self.unless_damaged(found)?;
                self.reply(reply, found);
            }
            AccountJob::Revoke { account, device, reply } => {
                let device = Some(device);
                self.batch.push(Write::DropTokens { account: account.id, device, except: None });
                self.reply(reply, Ok(()));
            }
        }
        Ok(())
    }

    fn reply<T: Send + 'static>(&mut self, reply: Reply<T>, result: Result<T, Refusal>) {
        // Where nobody waits for it any longer, the connection is gone.
        self.outcomes.push(Outcome::Reply(Box::new(move |done| {
            let _ = reply.send(done.and(result));
        })));
    }

    fn find(&mut self, folded: &str, device: Option<DeviceId>) -> Result<Result<Found, Refusal>, StoreError> {
        if self.residents.is_fresh(folded) {
            // Made by this very batch: the store has to know it first.
            self.commit()?;
        }
        // The hash of a password does not stay in memory, so the row is read in any case.
        let (Some(row), Some(account)) =
            (self.residents.store.account(folded)?, self.residents.by_name(folded)?)
        else {
            return Ok(Err(mail::nobody()));
        };
        let window = device.map(|device| self.window(&account, device)).transpose()?;
        let revocations = account.mailbox.lock().revocations;
        Ok(Ok(Found { account, password: row.password, revocations, window }))
    }

    fn credential(&mut self, folded: &str) -> Result<Credential, StoreError> {
        if self.residents.is_fresh(folded) {
            self.commit()?;
        }
        let row = self.residents.store.account(folded)?;
        Ok(match row.map(|row| (row.id, row.password)) {
            None => Credential::Nobody,
            Some((_, None)) => Credential::NoPassword,
            Some((id, Some(hash))) => Credential::Password(id, hash),
        })
    }

    /// True if and only if this session of the account is there, and was not ended by another.
    fn is_attached(&self, account: AccountId, session: SessionId) -> bool {
        let account = self.residents.in_memory(account);
        account.is_some_and(|account| account.mailbox.lock().is_attached(session))
    }

    /// A device's counters: those in memory, else those in the store, else new ones.
    fn window(
        &mut self,
        account: &Account,
        device: DeviceId,
    ) -> Result<(Arc<Mutex<WindowCell>>, u64), StoreError> {
        let mailbox = account.mailbox.lock();
        let dropped = mailbox.windows_dropped;
        let known = mailbox.devices().iter().find(|known| known.id == device);
        let in_memory = known.and_then(|known| known.window.clone());
        drop(mailbox);
        let cell = match in_memory {
            Some(cell) => cell,
            None => {
                let window = self.residents.store.window(account.id, device)?.unwrap_or_default();
                Arc::new(Mutex::new(WindowCell { window, unsaved: false }))
            }
        };
        Ok((cell, dropped))
    }

    fn create(
        &mut self,
        name: &Username,
        password: Option<PasswordHash>,
        device: Option<DeviceId>,
        though_held: bool,
    ) -> Result<Result<Found, Refusal>, StoreError> {
        let folded = name.as_name().key().into_string();
        if self.residents.by_name(&folded)?.is_some() {
            return Ok(Err(Refusal::new(Code::NAME_TAKEN, "the name belongs to somebody already")));
        }
        if !though_held && self.is_held(&folded)? {
            let sentence = "the name belonged to somebody not long ago, and is nobody's for a while";
            return Ok(Err(Refusal::new(Code::NAME_TAKEN, sentence)));
        }
        if !self.has_room() {
            return Ok(Err(super::no_room()));
        }
        let row = AccountRow {
            id: self.residents.next_account(),
            uuid: uuid::Builder::from_random_bytes(crate::clock::random()).into_uuid(),
            name: name.as_str().to_owned(),
            folded,
            password,
            reserved: SEQ_BLOCK,
            created_ms: self.now.wall_ms,
        };
        let account = self.residents.make(&row);
        self.batch.push(Write::AddAccount(row));
        let window = device.map(|_| (Arc::default(), 0));
        Ok(Ok(Found { account, password: None, revocations: 0, window }))
    }

    /// A clock that is in doubt gives no name away.
    fn is_held(&mut self, folded: &str) -> Result<bool, StoreError> {
        let until_ms = self.residents.store.held(folded)?;
        let in_doubt = self.core.clock_in_doubt.load(Ordering::Relaxed);
        Ok(until_ms.is_some_and(|until_ms| in_doubt || self.now.wall_ms < until_ms))
    }

    /// Commits what is staged by itself, for what cannot be taken back in memory.
    fn commit_alone(&mut self) -> Result<Result<(), Refusal>, StoreError> {
        let done = self.residents.store.commit(&self.batch);
        self.batch.writes.clear();
        self.batch.durable = false;
        match done {
            Ok(()) => Ok(Ok(())),
            Err(error) => super::refusal(&error).map(Err).ok_or(error),
        }
    }

    /// Deletes an account in a commit of its own, since what it does to a mailbox cannot be taken back.
    fn delete(
        &mut self,
        account: &Arc<Account>,
        session: Option<SessionId>,
        hold: bool,
    ) -> Result<Result<(), Refusal>, StoreError> {
        self.commit()?;
        if account.mailbox.lock().life() != Life::Live {
            return Ok(Err(Refusal::new(Code::ACCOUNT_DELETED, "the account was deleted meanwhile")));
        }
        if session.is_some_and(|session| !self.is_attached(account.id, session)) {
            return Ok(Err(ended()));
        }
        self.batch.push(Write::DeleteAccount(account.id));
        if hold {
            self.hold_name(&account.folded);
        }
        if let Err(refusal) = self.commit_alone()? {
            return Ok(Err(refusal));
        }
        let mut mailbox = account.mailbox.lock();
        self.core.counters.deleted.many(mailbox.items().messages().count);
        let ended = mailbox.delete(session);
        drop(mailbox);
        self.core.counters.ended.one();
        self.core.hub.remove(account);
        self.core.hub.forget_receipts(account.id);
        let mut grave = Grave::new(account.id, &account.name, ended.kept);
        for owed in ended.owed {
            // Looked up now: the row may be dropped before the grave is purged.
            let origin = self.origin(owed)?;
            grave.owes(Owed { origin, ..owed });
        }
        self.upkeep.graves.push_back(grave);
        self.close_all(ended.outlets, Code::ACCOUNT_DELETED, "the account was deleted");
        Ok(Ok(()))
    }

    /// Holds a name, and lets go of those that were held long enough.
    fn hold_name(&mut self, folded: &str) {
        let (days, now_ms) = (self.core.limits.name_hold, self.now.wall_ms);
        if !self.core.clock_in_doubt.load(Ordering::Relaxed) {
            self.batch.push(Write::ReleaseNames(now_ms));
        }
        if days != u64::MAX {
            self.batch.push(Write::HoldName(folded.to_owned(), now_ms + days * DAY_MS));
        }
    }

    /// Here and not where the answer is written: whoever asked may be gone by then, and the others have to go.
    fn close_all(&mut self, outlets: Vec<Arc<Outbox>>, code: Code, sentence: &str) {
        outlets.into_iter().for_each(|outlet| outlet.close(code, sentence, &mut self.effects));
    }

    /// In a commit of its own too: sessions that were ended do not come back.
    fn set_password(
        &mut self,
        id: AccountId,
        hash: Option<PasswordHash>,
        keep: Option<SessionId>,
    ) -> Result<Result<(), Refusal>, StoreError> {
        self.commit()?;
        if keep.is_some_and(|session| !self.is_attached(id, session)) {
            return Ok(Err(ended()));
        }
        if self.residents.store.account_by_id(id)?.is_none() {
            return Ok(Err(Refusal::new(Code::ACCOUNT_DELETED, "the account was deleted meanwhile")));
        }
        self.batch.push(Write::SetPassword(id, hash));
        self.batch.push(Write::DropTokens { account: id, device: None, except: None });
        if let Err(refusal) = self.commit_alone()? {
            return Ok(Err(refusal));
        }
        if let Some(account) = self.residents.in_memory(id) {
            let now_ms = self.now.wall_ms;
            let outlets = account.mailbox.lock().revoke(keep, now_ms);
            self.list(&account);
            self.close_all(outlets, Code::BAD_TOKEN, "the password was changed; log in with the new one");
        }
        Ok(Ok(()))
    }

    fn receive(&mut self, account: &Arc<Account>, device: Option<DeviceId>) -> Result<(), Refusal> {
        let now_ms = self.now.wall_ms;
        let mut mailbox = account.mailbox.lock();
        match device {
            None => mailbox.receive_nameless(),
            Some(id) => {
                let slot = mailbox.slot_for(id);
                mailbox.receive(slot, now_ms, &mut self.effects);
            }
        }
        let lost = device_rows(account.id, &mut mailbox, &mut self.batch);
        drop(mailbox);
        self.core.apply(account, &mut self.effects);
        self.undo.push(Undo::Devices(account.clone(), lost));
        Ok(())
    }

    fn resume(
        &mut self,
        hash: &[u8; 32],
        successor: [u8; 32],
        device: DeviceId,
        secured: bool,
    ) -> Result<Result<Found, Refusal>, StoreError> {
        let now_ms = self.now.wall_ms;
        let token = self.residents.store.token(hash)?;
        let good = token.filter(|token| {
            token.device == device && token.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
        });
        let account = match good {
            None => None,
            Some(token) => self.residents.by_id(token.account)?,
        };
        let (Some(token), Some(account)) = (good, account) else {
            return Ok(Err(Refusal::new(
                Code::BAD_TOKEN,
                "the token is not good here; log in with the password",
            )));
        };
        let password = self.residents.store.account_by_id(account.id)?.and_then(|row| row.password);
        if secured && password.is_none() {
            return Ok(Err(password_needed()));
        }
        let window = Some(self.window(&account, device)?);
        // Its predecessor, and a successor that never arrived, are good no longer.
        let account_id = account.id;
        self.batch.push(Write::DropTokens { account: account_id, device: Some(device), except: Some(*hash) });
        let expires_ms = Some(token.expires_ms.unwrap_or(now_ms + TOKEN_OVERLAP_MS));
        self.batch.push(Write::SaveToken(TokenRow { expires_ms, ..token }));
        let new = TokenRow { hash: successor, account: account_id, device, expires_ms: None };
        self.batch.push(Write::SaveToken(new));
        let revocations = account.mailbox.lock().revocations;
        Ok(Ok(Found { account, password, revocations, window }))
    }
}

/// The refusal of what a session asked for before it was ended.
fn ended() -> Refusal {
    Refusal::new(Code::BAD_TOKEN, "this session was ended")
}
