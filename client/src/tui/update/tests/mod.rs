//! Messages in, state and effects out: what a person does, in virtual time.

mod by_hand;
mod chosen;
mod completing;
mod drafts;
mod listing;
mod moments;
mod outside;
mod people;
mod picking;
mod reading;
mod trusting;
mod vim;
mod waiting;
mod writing;

use crate::delivery::Delivery;
use crate::event::{Event, Message, StateChange, Stop, StopKind};
use crate::peer::Peer;
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

fn written(n: i64, mine: bool, peer: &str, text: &str) -> Message {
    let (peer, text) = (Peer::new(peer), text.into());
    let state = if mine { Delivery::Outbox } else { Delivery::Delivered };
    Message { n, peer, mine, id: None, text, time_ms: 0, state, reason: None }
}

pub(super) fn message(n: i64, from: &str, text: &str) -> Event {
    Event::Message(written(n, false, from, text))
}

pub(super) fn outgoing(tag: u64, n: i64, to: &str, text: &str) -> Event {
    Event::Outgoing { tag, message: written(n, true, to, text) }
}

pub(super) fn sent(stage: &mut Stage) -> Vec<String> {
    let effects = stage.done();
    let sent = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send { to, text, .. } => Some(format!("{}: {text}", to.key)),
        _ => None,
    });
    sent.collect()
}

pub(super) fn asked(stage: &mut Stage) -> Vec<String> {
    let effects = stage.done();
    let asked = effects.into_iter().filter_map(|effect| match effect {
        Effect::Ask { op, data, .. } => Some(format!("{op}|{}", data.reveal())),
        _ => None,
    });
    asked.collect()
}

pub(super) fn change(n: i64, state: Delivery) -> Event {
    Event::State(StateChange { n, id: None, state, time_ms: 0, code: None, reason: None })
}

pub(super) fn stopped(kind: StopKind, sentence: &str) -> Event {
    Event::Stopped(Stop { kind, sentence: sentence.into() })
}
