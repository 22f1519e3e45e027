//! WATCH and TYPING: who wants to know of whom, and who writes to whom.

use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::presence::{HIDDEN, PRESENCE, Watch, Watching};
use bellhop_protocol::{Address, Code, OpCode};

use super::{Caller, Flow, Hold, refuse};
use crate::mailbox::Effects;

/// WATCH: answered at once with what is true, and followed by what changes.
pub(super) fn watch(caller: &mut Caller, watch: Watch<'_>, now: Duration, effects: &mut Effects) -> Flow {
    let op = OpCode::Watch;
    if let Err(refusal) = has_presence(caller) {
        return refuse(caller, op.byte(), &[], &refusal, effects);
    }
    let Some(login) = caller.login.clone() else { return Flow::Done };
    if let Err(until) = caller.watches.take(1, now, caller.core.limits.watch_rate) {
        return Flow::Hold(Hold::Rate(until));
    }
    let core = caller.core.clone();
    let is_online = |folded: &str| core.is_online(folded);
    match core.presence.watch(login.session, &caller.outbox, watch.names(), now, is_online) {
        Ok((watcher, states)) => {
            caller.watcher = watcher;
            caller.outbox.answer(effects, |out| Watching::new(&states).put(out));
            Flow::Done
        }
        Err(refusal) => {
            let flow = refuse(caller, op.byte(), &[], &refusal, effects);
            // Once: where answers are due first, it is asked again.
            if let Flow::Done = flow {
                core.counters.refused_watches.one();
            }
            flow
        }
    }
}

/// TYPING: told to those sessions of the recipient that watch the sender, and to nobody else. Whatever becomes of it, the
/// sender learns nothing.
pub(super) fn typing(caller: &Caller, to: Address<'_>, now: Duration, effects: &mut Effects) -> Flow {
    if let Err(refusal) = has_presence(caller) {
        return refuse(caller, OpCode::Typing.byte(), &[], &refusal, effects);
    }
    let core = &caller.core;
    let Some(login) = &caller.login else { return Flow::Done };
    if caller.typings.take(1, now, core.limits.typing_rate).is_err() {
        core.counters.dropped_typings.one();
        return Flow::Done;
    }
    // Who hides is not seen typing either. Other realms are not told from here.
    if caller.features & HIDDEN != 0 || to.realm.is_some() {
        return Flow::Done;
    }
    if let Some(recipient) = core.hub.by_name(to.user.key().as_str()) {
        let sessions: Vec<_> = recipient.mailbox.lock().outlets().map(|(session, _)| session).collect();
        core.presence.typing(&login.account.folded, &sessions, now);
    }
    Flow::Done
}

fn has_presence(caller: &Caller) -> Result<(), Refusal> {
    match caller.features & PRESENCE {
        0 => Err(Refusal::new(
            Code::NOT_ALLOWED,
            "presence is off here, or was not asked for in this connection's HELLO",
        )),
        _ => Ok(()),
    }
}
