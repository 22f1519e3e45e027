//! Staging what concerns accounts, devices and tokens. Whoever asks waits for the reply, which leaves after the commit.

use std::sync::Arc;

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
use crate::service::mail;
use crate::store::{AccountRow, StoreError, TokenRow, Write};

/// How long a token stays good after its successor was given, in ms.
const TOKEN_OVERLAP_MS: u64 = 24 * 3600 * 1000;

/// Where a reply goes; a refusal is what the peer is told.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// An account that was found or made, for a login.
#[derive(Debug)]
pub struct Found {
    /// The account.
    pub account: Arc<Account>,
    /// The hash of its password.
    pub password: Option<String>,
    /// The counters of the device that asks, and how often windows had gone out of memory when they were read.
    pub window: Option<(Arc<Mutex<WindowCell>>, u64)>,
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
    /// Makes an account.
    Create {
        /// Its name.
        name: Username,
        /// The hash of its password.
        password: Option<String>,
        /// The device that asks.
        device: Option<DeviceId>,
        /// `name-taken` where the name is.
        reply: Reply<Found>,
    },
    /// Deletes an account.
    Delete {
        /// The account.
        account: Arc<Account>,
        /// The session that asks, which is not closed.
        session: SessionId,
        /// The other sessions, to be told and closed.
        reply: Reply<Vec<Arc<Outbox>>>,
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
        /// `bad-token` where it is not good.
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
                let _ = reply.send(self.find(&folded, device)?);
            }
            AccountJob::Create { name, password, device, reply } => {
                let made = self.create(&name, password, device)?;
                self.reply(reply, made);
            }
            AccountJob::Delete { account, session, reply } => {
                // In a commit of its own, which is done.
                let _ = reply.send(self.delete(&account, session)?);
            }
            AccountJob::Receive { account, device, reply } => {
                let done = self.receive(&account, device);
                self.reply(reply, done);
            }
            AccountJob::Token { token, reply } => {
                self.batch.push(Write::DropTokens {
                    account: token.account,
                    device: Some(token.device),
                    except: None,
                });
                self.batch.push(Write::SaveToken(token));
                self.reply(reply, Ok(()));
            }
            AccountJob::Resume { hash, successor, device, reply } => {
                let found = self.resume(&hash, successor, device)?;
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
        Ok(Ok(Found { account, password: row.password, window }))
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
        password: Option<String>,
        device: Option<DeviceId>,
    ) -> Result<Result<Found, Refusal>, StoreError> {
        let folded = name.as_name().key().into_string();
        if self.residents.by_name(&folded)?.is_some() {
            return Ok(Err(Refusal::new(Code::NAME_TAKEN, "the name belongs to somebody already")));
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
        Ok(Ok(Found { account, password: None, window }))
    }

    /// Deletes an account in a commit of its own, since what it does to a mailbox cannot be taken back.
    fn delete(
        &mut self,
        account: &Arc<Account>,
        session: SessionId,
    ) -> Result<Result<Vec<Arc<Outbox>>, Refusal>, StoreError> {
        self.commit()?;
        if account.mailbox.lock().life() != Life::Live {
            return Ok(Err(Refusal::new(Code::ACCOUNT_DELETED, "the account was deleted meanwhile")));
        }
        self.batch.push(Write::DeleteAccount(account.id));
        let done = self.residents.store.commit(&self.batch);
        self.batch.writes.clear();
        self.batch.durable = false;
        match done {
            Ok(()) => {}
            Err(error) => return super::refusal(&error).map(Err).ok_or(error),
        }
        let ended = account.mailbox.lock().delete(session);
        self.core.hub.remove(account);
        self.core.hub.forget_receipts(account.id);
        let mut grave = Grave::new(account.id, &account.name, ended.kept);
        for owed in ended.owed {
            // Looked up now: the row may be dropped before the grave is purged.
            let origin = self.origin(owed)?;
            grave.owes(Owed { origin, ..owed });
        }
        self.upkeep.graves.push_back(grave);
        Ok(Ok(ended.outlets))
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
        // Its predecessor, and a successor that never arrived, are good no longer.
        let account_id = account.id;
        self.batch.push(Write::DropTokens { account: account_id, device: Some(device), except: Some(*hash) });
        let expires_ms = Some(token.expires_ms.unwrap_or(now_ms + TOKEN_OVERLAP_MS));
        self.batch.push(Write::SaveToken(TokenRow { expires_ms, ..token }));
        let new = TokenRow { hash: successor, account: account_id, device, expires_ms: None };
        self.batch.push(Write::SaveToken(new));
        let window = Some(self.window(&account, device)?);
        Ok(Ok(Found { account, password: None, window }))
    }
}
