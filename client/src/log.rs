//! What happened on the connection, a line each in the file that `BELLHOP_LOG` names, for whoever looks for a fault.
//! Never what was said, to whom, or what proves who somebody is: such a file is sent to others.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

use jiff::Timestamp;

use crate::clock;
use crate::event::{Event, Guard};

/// Where lines go, where somebody wants them.
static FILE: OnceLock<File> = OnceLock::new();

/// Begins to write to `path`, behind what is there.
pub(crate) fn begin(path: &Path) -> Result<(), String> {
    let file = open(path).map_err(|error| format!("BELLHOP_LOG: {}: {error}", path.display()))?;
    // One that was begun before goes on.
    let _ = FILE.set(file);
    write(&format!("bellhop {} begins", env!("CARGO_PKG_VERSION")));
    Ok(())
}

/// Opens a file that nobody else may read.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = file.metadata()?;
        if found.is_file() && found.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other("others may read or write it; chmod 600 makes it yours"));
        }
    }
    Ok(file)
}

/// Writes down that this happened, where it is of the connection.
pub(crate) fn event(event: &Event) {
    if FILE.get().is_some()
        && let Some(line) = line(event)
    {
        write(&line);
    }
}

fn write(line: &str) {
    let Some(mut file) = FILE.get() else { return };
    let at = Timestamp::from_millisecond(clock::wall_ms()).unwrap_or_default();
    let line = format!("{at:.3} {} {line}\n", std::process::id());
    // A disk that takes nothing keeps nobody from talking.
    let _ = file.write_all(line.as_bytes());
}

/// An event in a line; nothing for one that tells of people and what they say.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Connecting => "connecting".into(),
        Event::Secured(secured) => match &secured.guard {
            Guard::Plain => "connected, plain".into(),
            Guard::Key { key, .. } => format!("connected, TLS, key {key}"),
            Guard::Authority { key, .. } => format!("connected, TLS by an authority, key {key}"),
        },
        Event::Untrusted(untrusted) => format!("not trusted: {:?}, key {}", untrusted.doubt, untrusted.shown),
        Event::Online(online) => {
            format!("online, {}, {} ms", online.agent, online.round_trip.as_millis())
        }
        Event::Offline(trouble, _) => format!("offline, {:?}: {}", trouble.kind, trouble.sentence),
        Event::Stopped(stop) => format!("stopped, {:?}: {}", stop.kind, stop.sentence),
        Event::RoundTrip(time) => format!("round trip {} ms", time.as_millis()),
        Event::Waiting(count) => format!("{count} waiting"),
        Event::Held(count) => format!("{count} waiting to be fetched"),
        Event::CaughtUp => "caught up".into(),
        Event::Unsettled(unsettled) => format!("{} left of an earlier run", unsettled.len()),
        Event::TokenKept => "the login is kept".into(),
        Event::Message(message) => format!("message {} came", message.n),
        Event::Outgoing { message, .. } => format!("message {} waits", message.n),
        Event::NotKept { reason, .. } => format!("a message was not kept: {reason}"),
        Event::State(change) => match change.code {
            Some(code) => format!("message {}: {:?}, {code}", change.n, change.state),
            None => format!("message {}: {:?}", change.n, change.state),
        },
        Event::Answer(answer) => format!("op {} answered: {:?}", answer.op, answer.verdict),
        Event::Notice(_) => "the server says something".into(),
        Event::NewDevice => "a new device id".into(),
        Event::Problem(problem) => format!("error: {problem}"),
        Event::Watching(_) | Event::Presence { .. } | Event::Typing(_) | Event::Synced(_) => return None,
        Event::Chats(_) | Event::Page(_) | Event::Found(_) | Event::Steps(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::Delivery;
    use crate::event::{Answer, Message, Online, StateChange};
    use crate::peer::Peer;
    use crate::raw::Verdict;

    #[test]
    fn what_was_said_and_by_whom_is_in_no_line() {
        let said = || Message {
            n: 7,
            peer: Peer::new("secretpeer"),
            mine: true,
            id: None,
            text: "secrettext".into(),
            time_ms: 0,
            state: Delivery::Outbox,
            reason: Some("secretreason".into()),
        };
        let (to, reason, text) = (Peer::new("secretpeer"), "the disk is full".into(), "secrettext".into());
        let fields = Ok(vec!["ok".into(), "secretpeer".into()]);
        let state = StateChange {
            n: 7,
            id: None,
            state: Delivery::Failed,
            time_ms: 0,
            code: Some(bellhop_protocol::Code::NO_SUCH_USER),
            reason: Some("secretreason".into()),
        };
        for (event, expected) in [
            (Event::Message(said()), Some("message 7 came")),
            (Event::Outgoing { tag: 1, message: said() }, Some("message 7 waits")),
            (Event::NotKept { tag: 1, to, reason, text }, Some("a message was not kept: the disk is full")),
            (Event::State(state), Some("message 7: Failed, no-such-user")),
            (
                Event::Answer(Answer { tag: 1, op: 0, fields, verdict: Verdict::Done }),
                Some("op 0 answered: Done"),
            ),
            (Event::Notice("secrettext".into()), Some("the server says something")),
            (Event::Typing("secretpeer".into()), None),
            (Event::Presence { name: "secretpeer".into(), online: true }, None),
            (
                Event::Online(Online {
                    agent: "bellhop-server/1".into(),
                    node: String::new(),
                    round_trip: Duration::from_millis(12),
                    created: false,
                    presence: true,
                }),
                Some("online, bellhop-server/1, 12 ms"),
            ),
        ] {
            let line = line(&event);
            assert_eq!(line.as_deref(), expected);
            assert!(line.is_none_or(|line| !line.contains("secret")));
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        open(&path).expect("it is made").write_all(b"one\n").expect("written");
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        open(&path).expect("it is there").write_all(b"two\n").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("ours"), "one\ntwo\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("ours");
        assert!(open(&path).expect_err("others read it").to_string().contains("chmod 600"));
    }
}
