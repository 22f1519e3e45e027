//! Messages in, state and effects out: what a person does, in virtual time.

mod moments;
mod reading;
mod writing;

use crate::delivery::Delivery;
use crate::event::{Event, Message, StateChange, Stop, StopKind};
use crate::peer::Peer;
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

pub(super) fn message(n: i64, from: &str, text: &str) -> Event {
    Event::Message(Message {
        n,
        peer: Peer::new(from),
        mine: false,
        id: None,
        text: text.into(),
        time_ms: 0,
        state: Delivery::Delivered,
        reason: None,
    })
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
