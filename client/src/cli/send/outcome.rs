//! What became of a message, in the words of the command line.

use bellhop_protocol::Code;

use crate::cli::exit::{Exit, Failure};
use crate::delivery::Delivery;
use crate::event::StateChange;

/// The state of a message that the server has had.
pub(super) fn state(change: &StateChange) -> &'static str {
    match change.state {
        Delivery::Queued => "stored",
        Delivery::Returned => "returned",
        Delivery::Delivered => "delivered",
        Delivery::Read => "read",
        _ => "sent",
    }
}

/// True if and only if nothing more will be known of the message by waiting for the server.
pub(super) fn is_over(change: &StateChange) -> bool {
    match change.state {
        Delivery::Outbox => false,
        // In flight, and the server has just refused to take it now.
        Delivery::Sending => change.code.is_some(),
        Delivery::Unknown => change.reason.is_some(),
        _ => true,
    }
}

/// What became of a message of which [`is_over`] holds.
pub(super) fn judged(change: StateChange) -> Result<StateChange, Failure> {
    match change.state {
        Delivery::Failed => Err(refused(&change)),
        Delivery::Sending => {
            let failure = refused(&change);
            let sentence = format!("{}; the message is kept: run the same command again", failure.sentence);
            Err(Failure { sentence, ..failure })
        }
        Delivery::Unknown => Err(unknowable(&change)),
        Delivery::Returned => {
            let reason = change.reason.as_deref().unwrap_or("the server no longer has it");
            Err(Failure::new(Exit::Refused, "returned", format!("the message came back: {reason}")))
        }
        _ => Ok(change),
    }
}

fn unknowable(change: &StateChange) -> Failure {
    let reason = change.reason.as_deref().unwrap_or_default();
    let sentence = format!("nobody can know whether the message was kept ({reason}); it is not sent again");
    Failure::new(Exit::Other, "unknown", sentence)
}

fn refused(change: &StateChange) -> Failure {
    let code = change.code.unwrap_or(Code::MALFORMED);
    let reason = change.reason.clone().unwrap_or_else(|| code.to_string());
    Failure::new(Exit::of(code), &code.to_string(), reason)
}

/// The result of a message that arrived, where stdout did not take it.
pub(super) fn unprinted(change: &StateChange, failure: Failure) -> Failure {
    let state = state(change);
    let sentence = format!(
        "{}; the server has it, {state}{}: the same command says it again",
        failure.sentence,
        id(change)
    );
    Failure { sentence, ..failure }
}

/// The server has the message, and what was waited for did not happen.
pub(super) fn not_delivered(change: &StateChange, why: &str) -> Failure {
    let sentence = format!("the server has the message{}, but {why}", id(change));
    Failure::new(Exit::NotYet, "not-delivered", sentence)
}

fn id(change: &StateChange) -> String {
    change.id.map(|id| format!(" {id}")).unwrap_or_default()
}
