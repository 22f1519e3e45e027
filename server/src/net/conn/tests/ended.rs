//! A session that others end is here no longer at once, however slowly its client reads the farewell: it watches nobody,
//! those who watch its account learn it after the usual time, and its mailbox keeps what comes.

use bellhop_protocol::presence::{PRESENCE, PresenceState};

use super::bench::Side;
use super::*;
use crate::keeper::accounts::AccountJob;
use crate::keeper::queue::Job;

/// After this, who went is told as gone: the grace, up to the next second.
const GRACE: Duration = Duration::from_secs(11);

/// A session of `name` on `device` that may watch, and with its stream open.
fn here<'a>(bench: &'a Bench, name: &str, device: u8) -> Side<'a> {
    let mut side = bench.connect();
    side.arrives(&hello_with(device, PRESENCE));
    side.notices();
    side.next();
    side.enter(name);
    side.ask(Deliver, "");
    side
}

fn watches(side: &mut Side<'_>, name: &str) -> u8 {
    side.arrives(&watch(&[name]));
    side.notices();
    loop {
        side.turn();
        match side.read_bytes() {
            Some((op, states)) if op == OpCode::Watch.answer() => return states[2],
            Some(_) => {}
            None => std::thread::park_timeout(PATIENCE),
        }
    }
}

/// What somebody is told of who is watched.
fn hears(side: &mut Side<'_>) -> Option<u8> {
    side.turn();
    let (op, data) = side.read_bytes()?;
    assert_eq!(op, OpCode::Presence.byte());
    Some(data[0])
}

/// Asks the writing thread for something, and waits until it is done.
fn done(bench: &Bench, job: impl FnOnce(tokio::sync::oneshot::Sender<Result<(), Refusal>>) -> AccountJob) {
    let (reply, replied) = tokio::sync::oneshot::channel();
    bench.core.queue.control(Job::Account(Box::new(job(reply))));
    replied.blocking_recv().unwrap().unwrap();
}

/// How a session can be ended by somebody else.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Another connection of its device took over.
    Replaced,
    /// The account got another password.
    Revoked,
    /// The account was deleted.
    Deleted,
    /// The connection was told to go because it was silent.
    Silent,
    /// The server drains.
    Drained,
}

fn end(bench: &Bench, how: End) {
    let account = bench.core.hub.by_name("bob").unwrap();
    match how {
        End::Replaced => {
            let mut newer = bench.connect();
            newer.arrives(&hello(2));
            newer.notices();
            newer.next();
            newer.enter("bob");
            drop(newer);
        }
        End::Revoked => {
            let account = account.id;
            done(bench, |reply| AccountJob::SetPassword { account, hash: None, keep: None, reply });
        }
        End::Deleted => {
            done(bench, |reply| AccountJob::Delete { account, session: None, hold: false, reply });
        }
        End::Silent => {
            let outbox = account.mailbox.lock().outlets().next().unwrap().1.clone();
            outbox.close(Code::TIMED_OUT, "silence", &mut Effects::default());
        }
        End::Drained => {}
    }
}

#[test]
fn who_is_ended_is_gone_at_once_however_slowly_they_read() {
    for how in [End::Replaced, End::Revoked, End::Deleted, End::Silent, End::Drained] {
        for bench in Bench::both(&[]) {
            let (mut carol, mut bob) = (here(&bench, "carol", 1), here(&bench, "bob", 2));
            assert_eq!((watches(&mut carol, "bob"), watches(&mut bob, "carol")), (1, 1));
            // From here on the client of bob reads nothing.
            bob.kernel.lock().room = Some(0);
            end(&bench, how);
            let draining = matches!(how, End::Drained);
            bench.core.draining.store(draining, std::sync::atomic::Ordering::Relaxed);
            bob.turn();
            bench.core.draining.store(false, std::sync::atomic::Ordering::Relaxed);
            assert!(!bob.over, "{how:?}: the farewell is not written");
            assert!(!bench.core.is_online("bob"), "{how:?}");
            assert_eq!(bench.core.presence.in_use().sessions, 1, "{how:?}: it watches nobody any more");
            assert_eq!(hears(&mut carol), None, "{how:?}: they may come back");
            bench.core.clock.pass(GRACE);
            assert_eq!(hears(&mut carol), Some(PresenceState::Offline.byte()), "{how:?}");
            // And their name is somebody's who comes now.
            bench.core.clock.pass(2 * SECOND);
            let _again = here(&bench, "bob", 3);
            assert_eq!(hears(&mut carol), Some(PresenceState::Online.byte()), "{how:?}");
            drop(bob);
            assert_eq!(hears(&mut carol), None, "{how:?}: the end of the old connection is no news");
        }
    }
}

/// What was written to a text session and not taken waited for the farewell to be read: until then it made no mailbox full,
/// and nobody was brought it.
#[test]
fn what_was_written_to_who_is_ended_waits_again_at_once() {
    for bench in Bench::both(&["mailbox=1"]) {
        let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
        assert!(alice.ask(Send, "bob|hi").starts_with("ok|delivered|"));
        assert_eq!(bob.next().1, "alice|hi");
        bob.kernel.lock().room = Some(0);
        end(&bench, End::Silent);
        bob.turn();
        assert!(alice.ask(Send, "bob|more").starts_with("error|mailbox-full|") && !bob.over);
        let mut again = bench.enter("bob");
        again.says(Deliver, "");
        assert_eq!([again.next().1, again.next().1], ["alice|hi", "ok|1"]);
    }
}
