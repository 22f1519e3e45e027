//! Takes a role: the device, and the lock that keeps other programs of this home from being it.

use std::time::Duration;

use crate::clock;
use crate::config::{Config, Role};
use crate::event::{Stop, StopKind};
use crate::history::{Account, History, HistoryError, Seat, Standing};
use crate::home::{HomeError, Lock};

/// How long a short command waits for another one to finish, where all of their devices are taken.
const WAIT_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why a role could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeatError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("another bellhop has the role \"{0}\" for this account already")]
    Taken(String),
}

/// What a program holds while it is a device.
pub(crate) struct Place {
    pub(crate) history: History,
    pub(crate) seat: Seat,
    pub(crate) lock: Lock,
}

/// The lock of a device.
pub(crate) fn lock_name(account: i64, role: &str) -> String {
    format!("{account}-{role}")
}

/// Opens the history, and takes the first free device of the role.
pub(crate) fn take(config: &Config) -> Result<Place, SeatError> {
    let mut history = History::open(&config.home.history()?)?;
    let account = history.account(&config.server.to_string(), &config.user)?;
    let names = choose(&history, &account, config)?;
    let until = clock::now() + WAIT_MAX;
    loop {
        for name in &names {
            if let Some(lock) = config.home.lock(&lock_name(account.id, name))? {
                let seat = history.seat(account.id, name)?;
                return Ok(Place { history, seat, lock });
            }
        }
        if !names.iter().any(|name| Role::of(name) == Role::Send) || clock::now() >= until {
            return Err(SeatError::Taken(names.first().cloned().unwrap_or_default()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The devices of the role in the order of preference: those that have messages to send, those that have receipts to
/// come, those that were longest not used, so that none is left behind for ever; new ones last. Where tokens are all
/// there is to log in with, no others.
fn choose(history: &History, account: &Account, config: &Config) -> Result<Vec<String>, HistoryError> {
    let known = history.roles(account.id)?;
    let find = |name: &String| known.iter().find(|(role, ..)| role == name);
    let has_token = |name: &String| find(name).is_some_and(|(_, token, _)| *token);
    let mut names = config.role.names();
    let password_is_missing = config.password.is_none() && !account.open;
    if password_is_missing && names.iter().any(has_token) {
        names.retain(has_token);
    }
    names.sort_by_key(|name| match find(name) {
        Some((_, _, Standing { unsettled, receipts, used })) => (!unsettled, !receipts, *used),
        None => (true, true, i64::MAX),
    });
    Ok(names)
}

impl From<SeatError> for Stop {
    fn from(error: SeatError) -> Stop {
        let kind = match error {
            SeatError::Taken(_) => StopKind::RoleTaken,
            SeatError::Home(_) | SeatError::History(_) => StopKind::Disk,
        };
        Stop { kind, sentence: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use bellhop_protocol::post::Posted;
    use bellhop_protocol::session::SessionToken;
    use bellhop_protocol::{MessageId, Username};
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::config::{Receive, Server, Trust};
    use crate::delivery::Delivery;
    use crate::history::Kept;
    use crate::home::Home;
    use crate::link::dial::Origin;
    use crate::link::outbox::Room;
    use crate::link::{Change, Draft};
    use crate::peer::Peer;
    use crate::secret::Secret;

    fn desk() -> (TempDir, Config) {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            home: Home::at(folder.path()),
            server: Server::parse("127.0.0.1").expect("an address"),
            trust: Trust::default(),
            user: Username::parse("alice").expect("a name"),
            password: None,
            create: false,
            remember: false,
            role: Role::Tui,
            receive: Receive::Kept,
            patient: true,
            hidden: false,
        };
        (folder, config)
    }

    fn role(config: &Config) -> String {
        take(config).expect("a place").seat.role
    }

    fn apply(place: &mut Place, changes: &[Change]) {
        place.history.apply(&place.seat, changes).expect("applied");
    }

    fn outgoing(receipts: bool) -> Change {
        Change::Outgoing(Draft {
            tag: 0,
            to: Peer::new("bob"),
            text: "hi".into(),
            receipts,
            time_ms: 1,
            key: None,
        })
    }

    /// Receipts wait for the device that posted, and a second window's were never asked for again.
    #[test]
    fn a_device_with_something_to_come_goes_first() {
        let (_folder, config) = desk();
        let id = MessageId(Uuid::from_u128(1));
        let first = take(&config).expect("a place");
        let mut second = take(&config).expect("a place");
        assert_eq!((first.seat.role.as_str(), second.seat.role.as_str()), ("tui", "tui-1"));
        let posted = Change::Posted { n: 1, id, time_ms: 1, posted: Posted::Stored };
        apply(&mut second, &[outgoing(true), Change::Number(Room { messages: 9, bytes: 99 }), posted]);
        drop((first, second));
        for _ in 0..2 {
            assert_eq!(role(&config), "tui-1", "a receipt is to come");
        }
        let mut again = take(&config).expect("a place");
        let (peer, state) = (Peer::new("bob"), Some(Delivery::Delivered));
        apply(&mut again, &[Change::Receipt { seq: 1, id, peer, state, reason: None }]);
        drop(again);
        assert_eq!(role(&config), "tui", "least recently used");
        let mut other = take(&config).expect("a place");
        assert_eq!(other.seat.role, "tui-1");
        apply(&mut other, &[outgoing(true)]);
        drop(other);
        for _ in 0..2 {
            assert_eq!(role(&config), "tui-1", "a message is to go");
        }
    }

    #[test]
    fn without_a_password_a_token_is_needed_unless_none_ever_was() {
        let (_folder, config) = desk();
        let mut first = take(&config).expect("a place");
        let mut second = take(&config).expect("a place");
        apply(&mut second, &[outgoing(false)]);
        let account = |open| Change::Account { uuid: Uuid::nil(), open: Some(open) };
        apply(
            &mut first,
            &[
                Change::Token(Some(Kept { token: SessionToken([7; 32]), origin: Origin::Plain })),
                account(false),
            ],
        );
        drop((first, second));
        assert_eq!(role(&config), "tui", "the other one cannot log in");
        let knows = Config { password: Some(Secret::new("open sesame".into())), ..config.clone() };
        assert_eq!(role(&knows), "tui-1");
        let mut first = take(&config).expect("a place");
        apply(&mut first, &[account(true)]);
        drop(first);
        assert_eq!(role(&config), "tui-1", "no password is needed");
    }
}
