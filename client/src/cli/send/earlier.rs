//! What an earlier run of the same command left: by its words within an hour, or by its id for ever.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use crate::cli::exit::{Exit, Failure};
use crate::cli::session::deadline;
use crate::cli::setup::Setup;
use crate::delivery::Delivery;
use crate::event::StateChange;
use crate::history::History;
use crate::history::keyed::Keyed;
use crate::history::left::Left;
use crate::home::Lock;
use crate::peer::Peer;
use crate::seat;

/// How often it is looked whether an equal command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Locks for ids, which are many; ids that share one wait for each other.
const KEY_LOCKS: u8 = 64;
pub(super) const ASKED_ELSEWHERE: &str = "another bellhop holds what is needed to ask about the message";

/// What is known of the message that is meant. The lock is held until the command has said how it ended.
#[derive(Default)]
pub(super) struct Earlier {
    pub(super) known: Option<Known>,
    _lock: Option<Lock>,
}

/// A message of an earlier run.
pub(super) enum Known {
    /// It is on its way from this device, which alone can ask about it.
    Underway { role: String, n: i64 },
    /// The server has it, and this device gets the receipt, if one does.
    Settled { change: StateChange, awaits: Option<String> },
}

/// The same words, where an earlier run ended without an answer to them, and the right to ask about them and to tell
/// how they ended: of equal commands side by side one has it, and the others mean messages of their own.
pub(super) async fn by_words(
    setup: &Setup,
    to: &Peer,
    text: &str,
    until: Instant,
) -> Result<Earlier, Failure> {
    while let Some((name, left)) = left(setup, to, text)? {
        let lock = setup.home.lock(&format!("{name}-asks")).map_err(Failure::local)?;
        // Whoever had it until now may have told the message.
        let still = self::left(setup, to, text)?.is_some_and(|(_, now)| now == left);
        match lock {
            Some(lock) if still => {
                let Left { role, n, .. } = left;
                return Ok(Earlier { known: Some(Known::Underway { role, n }), _lock: Some(lock) });
            }
            None if deadline(Duration::ZERO) >= until => {
                return Err(Failure::timed_out(format!("{ASKED_ELSEWHERE}; nothing was sent")));
            }
            _ => sleep(LOOK_EVERY).await,
        }
    }
    Ok(Earlier::default())
}

/// The same message, where an earlier run ended without an answer to it, and the lock of its device.
///
/// Where its device is taken, a message written since then is its holder's own: an equal command that runs beside this
/// one, and a message for itself.
fn left(setup: &Setup, to: &Peer, text: &str) -> Result<Option<(String, Left)>, Failure> {
    let Some(account) = setup.account()? else { return Ok(None) };
    for left in setup.history()?.left(account.id, &to.key, text).map_err(Failure::local)? {
        let lock = seat::lock_name(account.id, &left.role);
        let taken_ms = setup.home.taken_ms(&lock).map_err(Failure::local)?;
        if taken_ms.is_none_or(|since| left.written_ms < since) {
            return Ok(Some((lock, left)));
        }
    }
    Ok(None)
}

/// The right to send under an id, and the account it is of. One run has it at a time.
pub(super) async fn claim(setup: &Setup, id: &str, until: Instant) -> Result<(i64, Lock), Failure> {
    let user = setup.user()?;
    let account = setup.history()?.account(&setup.server.to_string(), &user).map_err(Failure::local)?;
    let which = Sha256::digest(id).first().map_or(0, |byte| byte % KEY_LOCKS);
    let name = format!("{}-key-{which}", account.id);
    loop {
        match setup.home.lock(&name).map_err(Failure::local)? {
            Some(lock) => return Ok((account.id, lock)),
            None if deadline(Duration::ZERO) >= until => {
                let sentence = "another bellhop is sending under this id; nothing was sent";
                return Err(Failure::timed_out(sentence));
            }
            None => sleep(LOOK_EVERY).await,
        }
    }
}

/// The message that was sent under an id, and the right to send it where there is none.
pub(super) async fn by_id(
    setup: &Setup,
    id: &str,
    to: &Peer,
    text: &str,
    until: Instant,
) -> Result<Earlier, Failure> {
    let (account, lock) = claim(setup, id, until).await?;
    let known = under(&mut setup.history()?, account, id, to, text)?;
    Ok(Earlier { known, _lock: Some(lock) })
}

/// What is known of the message with this key; `None` where it is to be sent.
pub(super) fn under(
    history: &mut History,
    account: i64,
    key: &str,
    to: &Peer,
    text: &str,
) -> Result<Option<Known>, Failure> {
    let Some(keyed) = history.keyed(account, key, to, text).map_err(Failure::local)? else { return Ok(None) };
    let Keyed { change, same, sender, awaits } = keyed;
    if !same {
        return Err(Failure::usage("under this id another message was sent, or one to somebody else"));
    }
    match (change.state, sender) {
        // Refused is certain: that it was not sent.
        (Delivery::Failed, _) => {
            history.tell(change.n).map_err(Failure::local)?;
            Ok(None)
        }
        (state, _) if state >= Delivery::Sent => Ok(Some(Known::Settled { change, awaits })),
        (_, Some(role)) => Ok(Some(Known::Underway { role, n: change.n })),
        (_, None) => {
            let reason = change.reason.unwrap_or_default();
            let sentence = format!("nobody can know whether it was kept ({reason}); it is not sent again");
            Err(Failure::new(Exit::Other, "unknown", sentence))
        }
    }
}
