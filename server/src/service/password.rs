//! What is proved by a password: LOGIN, PASSWORD, and whoever asks to DELETE.
//!
//! Off an open listener nothing tells who exists. A try is let or held back by its name alone, before anything is looked
//! up ([`throttle`](crate::throttle)). Then one row is read, there or not, and one password hashed: the account's, or
//! nobody's of the same cost. Only a right password leads further, to the mailbox and to different answers.

use std::sync::Arc;
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::session::{self, NewPassword};
use bellhop_protocol::text::{Secret, TextAnswer};
use bellhop_protocol::{Code, Name, OpCode};

use super::account::{
    ATTEMPTS, Attached, Context, answer, attach, changing, owned, password_needed, refused,
};
use super::{Caller, Done, Flow, Hold, mail};
use crate::auth::Password;
use crate::hub::{Account, Login};
use crate::keeper::accounts::{AccountJob, Credential};
use crate::mailbox::Effects;
use crate::store::{AccountId, PasswordHash};
use crate::throttle::Attempt;

/// A try that has to wait no longer than this is answered later; another one is refused.
const HELD_MAX: Duration = Duration::from_secs(4);

/// Begins a try of a password, or what to do where it may not be made now.
pub(super) fn begin(
    caller: &Caller,
    op: OpCode,
    folded: Option<&str>,
    now: Duration,
    effects: &mut Effects,
) -> Result<Attempt, Flow> {
    caller.core.throttle.attempt(caller.network, folded, now).map_err(|until| {
        if until <= now + HELD_MAX {
            return Flow::Hold(Hold::Rate(until));
        }
        caller.core.counters.refused_logins.one();
        let refusal = super::account::too_fast("too many wrong tries", until, now);
        super::refuse(caller, op.byte(), &[], &refusal, effects)
    })
}

pub(super) fn login(
    caller: &Caller,
    name: Name<'_>,
    password: Option<Secret<'_>>,
    now: Duration,
    effects: &mut Effects,
) -> Flow {
    let (context, folded) = (Context::of(caller), name.key().into_string());
    let proof = match owned(password) {
        None if caller.policy.password => {
            return super::refuse(caller, OpCode::Login.byte(), &[], &password_needed(), effects);
        }
        None => None,
        Some(password) => match begin(caller, OpCode::Login, Some(&folded), now, effects) {
            Ok(attempt) => Some((password, attempt)),
            Err(flow) => return flow,
        },
    };
    Flow::Work(Box::pin(async move {
        let let_in = async {
            let hash = match proof {
                None => None,
                Some((password, attempt)) => {
                    let hash = prove(&context, &folded, password.clone(), attempt).await?;
                    Some((password, hash))
                }
            };
            enter(&context, folded, hash).await
        };
        match let_in.await {
            Ok(login) => Done::LoggedIn(login),
            Err(refusal) => refused(&context.outbox, OpCode::Login, &refusal),
        }
    }))
}

/// Checks that the password is the one of the account with this name; returns its hash.
async fn prove(
    context: &Context,
    folded: &str,
    password: Password,
    attempt: Attempt,
) -> Result<PasswordHash, Refusal> {
    let name = folded.to_owned();
    let credential = context.ask(|reply| AccountJob::Credential { folded: name, reply });
    let known = match credential.await {
        Ok(Credential::Password(id, hash)) => Some((id, hash)),
        Ok(Credential::Nobody) if context.policy.open => {
            attempt.void();
            return Err(mail::nobody());
        }
        Ok(Credential::NoPassword) if context.policy.open => {
            attempt.void();
            let sentence = "this account has no password; log in without one";
            return Err(Refusal::new(Code::BAD_PASSWORD, sentence));
        }
        Ok(Credential::Nobody | Credential::NoPassword) => None,
        Err(refusal) => {
            attempt.void();
            return Err(refusal);
        }
    };
    let hash = known.as_ref().map(|(_, hash)| hash.clone());
    check(context, password.clone(), hash, attempt, "wrong name or password").await?;
    match known {
        Some((id, hash)) if context.core.hasher.is_outdated(&hash) => {
            rehash(context, id, hash, password).await
        }
        Some((_, hash)) => Ok(hash),
        None => Err(changing()),
    }
}

/// Hashes a password that is right at today's cost. Where there is no time or room for it, a later login does it.
async fn rehash(
    context: &Context,
    account: AccountId,
    old: PasswordHash,
    password: Password,
) -> Result<PasswordHash, Refusal> {
    let Ok(new) = context.core.hasher.hash(password).await else { return Ok(old) };
    let (before, after) = (old.clone(), new.clone());
    let kept = context.ask(|reply| AccountJob::Rehash { account, old: before, new: after, reply });
    Ok(if kept.await.is_ok() { new } else { old })
}

/// Hashes, and counts how the try ended.
async fn check(
    context: &Context,
    password: Password,
    hash: Option<PasswordHash>,
    attempt: Attempt,
    wrong: &'static str,
) -> Result<(), Refusal> {
    let core = &context.core;
    match core.hasher.verify(password, hash).await {
        Ok(true) => {
            attempt.right(core.clock.now().up);
            Ok(())
        }
        Ok(false) => {
            attempt.wrong(core.clock.now().up);
            core.counters.wrong_passwords.one();
            Err(Refusal::new(Code::BAD_PASSWORD, wrong))
        }
        Err(busy) => {
            attempt.void();
            Err(busy)
        }
    }
}

/// Lets a session in whose password has the hash `proved`, or that gave none. Another hash may be of the same password,
/// made anew by another login: that is looked at once.
async fn enter(
    context: &Context,
    folded: String,
    mut proved: Option<(Password, PasswordHash)>,
) -> Result<Arc<Login>, Refusal> {
    let mut again = false;
    for _ in 0..ATTEMPTS {
        let found = context.find(folded.clone()).await?;
        match (&found.password, &mut proved) {
            (Some(_), None) => return Err(password_needed()),
            (Some(hash), Some((password, proved))) if hash != proved => {
                let verify = context.core.hasher.verify(password.clone(), Some(hash.clone()));
                if std::mem::replace(&mut again, true) || !verify.await? {
                    return Err(changing());
                }
                proved.clone_from(hash);
            }
            // It was changed in between, or the account is another one.
            (None, Some(_)) => return Err(changing()),
            _ => {}
        }
        let logged_in = |out: &mut Vec<u8>, account: &Account, waiting: u64| {
            TextAnswer::LoggedIn(account.uuid, waiting).put(OpCode::Login, out);
        };
        match attach(context, found, logged_in) {
            Attached::In(login) => return Ok(login),
            Attached::Refused(refusal) => return Err(refusal),
            Attached::Again => {}
        }
    }
    Err(changing())
}

pub(super) fn password(
    caller: &Caller,
    change: NewPassword<'_>,
    now: Duration,
    effects: &mut Effects,
) -> Flow {
    let Some(login) = caller.login.clone() else { return Flow::Done };
    let proof = match Proof::begin(caller, &login, OpCode::Password, change.old, now, effects) {
        Ok(proof) => proof,
        Err(flow) => return flow,
    };
    let (context, new) = (Context::of(caller), Password::new(change.new));
    Flow::Work(Box::pin(async move {
        let changed = async {
            let none = "this account has no password until now; send an empty one";
            proof.check(&context, &login, none).await?;
            let hash = Some(context.core.hasher.hash(new).await?);
            let (account, keep) = (login.account.id, Some(login.session));
            context.ask(|reply| AccountJob::SetPassword { account, hash, keep, reply }).await
        };
        match changed.await {
            Ok(()) => answer(&context.outbox, session::put_password_changed),
            Err(refusal) => refused(&context.outbox, OpCode::Password, &refusal),
        }
    }))
}

/// What somebody who is logged in gives as proof of being the owner.
pub(super) struct Proof(Option<(Password, Attempt)>);

impl Proof {
    /// Takes the password that came, if one did, or tells what to do where it may not be tried now.
    pub(super) fn begin(
        caller: &Caller,
        login: &Login,
        op: OpCode,
        password: Option<Secret<'_>>,
        now: Duration,
        effects: &mut Effects,
    ) -> Result<Proof, Flow> {
        let Some(password) = owned(password) else { return Ok(Proof(None)) };
        let attempt = begin(caller, op, Some(&login.account.folded), now, effects)?;
        Ok(Proof(Some((password, attempt))))
    }

    /// Checks it. An account without a password is asked for none; `none` is what somebody is told who gives one all the
    /// same.
    pub(super) async fn check(
        self,
        context: &Context,
        login: &Login,
        none: &'static str,
    ) -> Result<(), Refusal> {
        let folded = login.account.folded.to_string();
        let credential = context.ask(|reply| AccountJob::Credential { folded, reply }).await;
        let hash = match (credential, &self.0) {
            (Ok(Credential::Password(_, hash)), Some(_)) => Ok(hash),
            (Ok(Credential::Password(..)), None) => Err(password_needed()),
            (Ok(Credential::NoPassword), None) => return Ok(()),
            (Ok(Credential::NoPassword), Some(_)) => Err(Refusal::new(Code::BAD_PASSWORD, none)),
            (Ok(Credential::Nobody), _) => {
                Err(Refusal::new(Code::ACCOUNT_DELETED, "the account was deleted meanwhile"))
            }
            (Err(refusal), _) => Err(refusal),
        };
        match (hash, self.0) {
            (Ok(hash), Some((password, attempt))) => {
                check(context, password, Some(hash), attempt, "wrong password").await
            }
            (Ok(_), None) => Err(password_needed()),
            (Err(refusal), attempt) => {
                if let Some((_, attempt)) = attempt {
                    attempt.void();
                }
                Err(refusal)
            }
        }
    }
}
