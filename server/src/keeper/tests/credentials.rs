//! Passwords, tokens and held names: what changes together, and what a full disk leaves as it was.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::{Code, DeviceId, Username};

use super::bench::{Bench, Party};
use crate::keeper::accounts::{AccountJob, Credential, Found};
use crate::mailbox::SessionId;
use crate::store::faulty::Fault;
use crate::store::{PasswordHash, TokenRow};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn create(bench: &mut Bench, name: &str, though_held: bool) -> Result<Found, Refusal> {
    let name = Username::parse(name).unwrap();
    bench.ask(|reply| AccountJob::Create { name, password: None, device: None, though_held, reply })
}

fn delete(bench: &mut Bench, party: &Party, hold: bool) {
    let (account, session) = (party.login.account.clone(), Some(party.login.session));
    bench.ask(|reply| AccountJob::Delete { account, session, hold, reply }).unwrap();
}

fn set(bench: &mut Bench, party: &Party, keep: Option<SessionId>, hash: &str) -> Result<(), Refusal> {
    let (account, hash) = (party.login.account.id, Some(PasswordHash(hash.into())));
    bench.ask(|reply| AccountJob::SetPassword { account, hash, keep, reply })
}

fn save_token(bench: &mut Bench, party: &Party, number: u8) -> Result<(), Refusal> {
    let (account, session) = (party.login.account.id, party.login.session);
    let token = TokenRow { hash: [number; 32], account, device: DeviceId([number; 16]), expires_ms: None };
    bench.ask(|reply| AccountJob::Token { token, session, reply })
}

fn resume(bench: &mut Bench, number: u8) -> Result<Found, Refusal> {
    let device = DeviceId([number; 16]);
    let (hash, successor) = ([number; 32], [number + 100; 32]);
    bench.ask(|reply| AccountJob::Resume { hash, successor, device, secured: false, reply })
}

fn hash_of(bench: &mut Bench, name: &str) -> Option<String> {
    match bench.ask(|reply| AccountJob::Credential { folded: name.into(), reply }).unwrap() {
        Credential::Password(_, hash) => Some(hash.0),
        Credential::Nobody | Credential::NoPassword => None,
    }
}

#[test]
fn a_deleted_name_is_held_for_thirty_days() {
    let mut bench = Bench::new();
    let alice = bench.party("alice", None);
    delete(&mut bench, &alice, true);
    let refused = |bench: &mut Bench| create(bench, "Alice", false).err().map(|refusal| refusal.code);
    assert_eq!(refused(&mut bench), Some(Code::NAME_TAKEN));
    let mut bench = bench.restart();
    bench.clock.pass(30 * DAY - Duration::from_secs(1));
    assert_eq!(refused(&mut bench), Some(Code::NAME_TAKEN), "a second too early, after a restart");
    // A clock that jumped gives nothing away.
    bench.core.clock_in_doubt.store(true, Ordering::Relaxed);
    bench.clock.pass(Duration::from_secs(1));
    assert_eq!(refused(&mut bench), Some(Code::NAME_TAKEN), "a clock that is not believed");
    bench.core.clock_in_doubt.store(false, Ordering::Relaxed);
    assert_eq!(refused(&mut bench), None);
}

#[test]
fn the_operator_may_have_a_name_that_is_held() {
    let mut bench = Bench::new();
    let alice = bench.party("alice", None);
    delete(&mut bench, &alice, true);
    assert!(create(&mut bench, "alice", true).is_ok());
    let alice = bench.party("alice", None);
    delete(&mut bench, &alice, false);
    assert!(create(&mut bench, "alice", false).is_ok(), "what is deleted without a word is free at once");
}

/// Password, tokens and sessions: all of it or nothing.
#[test]
fn a_new_password_ends_the_old_ones_tokens_and_sessions_or_nothing() {
    let mut bench = Bench::new();
    let (one, two) = (bench.party("alice", Some(1)), bench.party("alice", Some(2)));
    let bob = bench.party("bob", Some(3));
    set(&mut bench, &one, Some(one.login.session), "$first$").unwrap();
    assert!(save_token(&mut bench, &two, 2).is_err(), "a session that was ended gets no token");
    two.read();
    let two = bench.party("alice", Some(2));
    for (party, number) in [(&one, 1), (&two, 2), (&bob, 3)] {
        save_token(&mut bench, party, number).unwrap();
    }
    bench.fail(0, Fault::Full);
    let refused = set(&mut bench, &one, Some(one.login.session), "$second$").unwrap_err();
    assert_eq!(refused.code, Code::STORAGE);
    assert_eq!(hash_of(&mut bench, "alice").as_deref(), Some("$first$"));
    let attached = |party: &Party| party.login.account.mailbox.lock().is_attached(party.login.session);
    assert_eq!([attached(&one), attached(&two)], [true, true]);
    assert!(two.read().is_empty());

    let before = bench.find("alice", None).unwrap().unwrap().revocations;
    set(&mut bench, &one, Some(one.login.session), "$second$").unwrap();
    assert_eq!(hash_of(&mut bench, "alice").as_deref(), Some("$second$"));
    assert_eq!([attached(&one), attached(&two), attached(&bob)], [true, false, true]);
    assert!(two.read().iter().any(|line| line.contains("bad-token")), "it is told, whoever asked");
    let tokens = [1, 2, 3].map(|number| resume(&mut bench, number).is_ok());
    assert_eq!(tokens, [false, false, true]);
    // A login that was looked up before has to look again.
    assert!(bench.find("alice", None).unwrap().unwrap().revocations > before);
    // A session that was ended changes and deletes nothing any more.
    let (account, session) = (two.login.account.clone(), Some(two.login.session));
    assert!(set(&mut bench, &two, session, "$third$").is_err());
    assert!(bench.ask(|reply| AccountJob::Delete { account, session, hold: false, reply }).is_err());
    // The operator ends them all.
    set(&mut bench, &one, None, "$fourth$").unwrap();
    assert!(!attached(&one));
}

#[test]
fn a_hash_is_made_anew_only_where_it_is_still_there() {
    let mut bench = Bench::new();
    let alice = bench.party("alice", Some(1));
    set(&mut bench, &alice, Some(alice.login.session), "$old$").unwrap();
    let account = alice.login.account.id;
    for (old, new, expected) in [("$other$", "$new$", "$old$"), ("$old$", "$new$", "$new$")] {
        let (old, new) = (PasswordHash(old.into()), PasswordHash(new.into()));
        bench.ask(|reply| AccountJob::Rehash { account, old, new, reply }).unwrap();
        assert_eq!(hash_of(&mut bench, "alice").as_deref(), Some(expected));
    }
    assert!(alice.login.account.mailbox.lock().is_attached(alice.login.session), "nobody is ended by it");
}

#[test]
fn no_job_shows_a_hash() {
    let secret = || PasswordHash("$argon2id$sesame".into());
    let (reply, _) = tokio::sync::oneshot::channel();
    let (account, hash) = (crate::store::AccountId(1), Some(secret()));
    let set = AccountJob::SetPassword { account, hash, keep: None, reply };
    let (reply, _) = tokio::sync::oneshot::channel();
    let name = Username::parse("alice").unwrap();
    let create =
        AccountJob::Create { name, password: Some(secret()), device: None, though_held: false, reply };
    let (reply, _) = tokio::sync::oneshot::channel();
    let rehash = AccountJob::Rehash { account, old: secret(), new: secret(), reply };
    let write = crate::store::Write::SetPassword(account, Some(secret()));
    let row = crate::store::AccountRow {
        id: account,
        uuid: uuid::Uuid::nil(),
        name: "alice".into(),
        folded: "alice".into(),
        password: Some(secret()),
        reserved: 0,
        created_ms: 0,
    };
    let add = crate::store::Write::AddAccount(row.clone());
    let credential = Credential::Password(account, secret());
    let shown = format!("{set:?} {create:?} {rehash:?} {write:?} {row:?} {add:?} {credential:?}");
    assert!(shown.contains("alice") && !shown.contains("sesame"), "{shown}");
}
