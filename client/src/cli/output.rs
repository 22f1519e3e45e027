//! The one place that prints: results on stdout, everything else on stderr, as text or as JSON lines.

use std::io::{self, ErrorKind, IsTerminal, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::args::When;
use super::doctor::Check;
use super::exit::{Exit, Failure};
use super::reader;
use super::status::Status;

/// Where a command's words go.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Whether stdout and stderr show colours.
    colours: Colours,
    zone: TimeZone,
}

/// What shows colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Colours {
    stdout: bool,
    stderr: bool,
}

impl Colours {
    /// What `--color` says; by itself, where it is a terminal, and nobody asked for none.
    pub(crate) fn choose(when: When, variable: impl Fn(&str) -> Option<String>) -> Colours {
        let none = variable("NO_COLOR").is_some_and(|value| !value.is_empty())
            || variable("TERM").as_deref() == Some("dumb");
        let shows = |terminal: bool| match when {
            When::Always => true,
            When::Auto => terminal && !none,
            When::Never => false,
        };
        Colours { stdout: shows(io::stdout().is_terminal()), stderr: shows(io::stderr().is_terminal()) }
    }
}

/// A result: an object in JSON, a line as text.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Line<'a> {
    Message {
        id: String,
        from: &'a str,
        text: &'a str,
        at: String,
    },
    Send {
        id: Option<String>,
        to: &'a str,
        state: &'a str,
        at: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
    },
    User {
        name: &'a str,
    },
    Account {
        state: &'a str,
        user: &'a str,
        server: String,
    },
    Server {
        state: &'a str,
        server: String,
        key: Option<String>,
        since: Option<&'a str>,
    },
    Raw {
        op: u8,
        fields: &'a [String],
    },
    Status(&'a Status),
    Check(&'a Check),
    Key {
        key: &'a str,
        action: Option<&'a str>,
        event: &'a str,
    },
    Path {
        path: &'a str,
    },
    Setting {
        key: &'a str,
        value: Option<&'a str>,
        origin: Option<&'a str>,
    },
    Remark {
        message: &'a str,
    },
    Error {
        exit: u8,
        code: &'a str,
        message: &'a str,
    },
}

#[derive(Serialize)]
struct Versioned<'a> {
    v: u8,
    #[serde(flatten)]
    line: &'a Line<'a>,
}

/// The reader of stdout has gone.
#[derive(Debug)]
pub(crate) struct Gone;

impl Output {
    pub(crate) fn new(json: bool, quiet: bool, colours: Colours) -> Output {
        Output { json, quiet, colours, zone: TimeZone::system() }
    }

    /// Writes a result and flushes it: when this is done, the reader has it.
    pub(crate) async fn result(&self, line: &Line<'_>) -> Result<(), End> {
        write(self.written(line), io::stdout(), || Ok(())).done().await
    }

    /// Begins to write a message; it is done when its reader has taken it. `bytes`, that the text is all that is printed,
    /// as it is, where the line is none of JSON.
    pub(crate) fn start(&self, line: &Line<'_>, bytes: bool) -> Writing {
        let text = match line {
            Line::Message { text, .. } if bytes && !self.json => format!("{text}\n"),
            line => self.written(line),
        };
        write(text, io::stdout(), reader::has_taken)
    }

    /// Writes text that is a result as a whole, such as a page of help.
    pub(crate) async fn page(&self, text: String) -> Result<(), End> {
        write(text, io::stdout(), || Ok(())).done().await
    }

    /// Says something that is no result.
    pub(crate) async fn remark(&self, message: &str) {
        if !self.quiet {
            // Where stderr is gone there is nobody left to tell.
            let _ = write(self.written(&Line::Remark { message }), io::stderr(), || Ok(())).0.await;
        }
    }

    /// Says why it ends.
    pub(crate) fn error(&self, failure: &Failure) {
        let line = Line::Error { exit: failure.exit.code(), code: &failure.word, message: &failure.sentence };
        // Where stderr is gone as well there is nobody left to tell.
        let _ = io::stderr().lock().write_all(self.written(&line).as_bytes());
    }

    fn written(&self, line: &Line<'_>) -> String {
        if self.json { to_json(line) } else { self.to_text(line) }
    }

    fn to_text(&self, line: &Line<'_>) -> String {
        let mut text = match line {
            Line::Message { from, text, at, .. } => {
                let from = painted(from, BOLD, self.colours.stdout);
                format!("{} {from}: {}", self.local(at), indented(text))
            }
            Line::Send { id, state, .. } => match id {
                Some(id) => format!("{state} {id}"),
                None => (*state).to_owned(),
            },
            Line::User { name } => (*name).to_owned(),
            Line::Account { state, user, server } => format!("{state} {user}@{server}"),
            Line::Server { state: "known", server, key, since } => {
                let since = since.map(|day| format!("  # since {day}")).unwrap_or_default();
                format!("{server} {}{since}", key.as_deref().unwrap_or_default())
            }
            Line::Server { state, server, key, .. } => {
                let key = key.as_deref().map(|key| format!(" {key}")).unwrap_or_default();
                format!("{state} {server}{key}")
            }
            Line::Path { path } => (*path).to_owned(),
            Line::Setting { key, value, origin } => setting(key, *value, *origin),
            Line::Raw { op, fields } => format!("{op}|{}", fields.join("|")),
            Line::Remark { message } => format!("bellhop: {message}"),
            Line::Error { message, .. } => {
                format!("{} {message}", painted("bellhop:", RED, self.colours.stderr))
            }
            Line::Status(status) => status.text(),
            Line::Check(check) => check.text(self.colours.stdout),
            Line::Key { key, action, event } => {
                format!("{key:<14} {:<22} {event}", action.unwrap_or("-"))
            }
        };
        text.push('\n');
        text
    }

    fn local(&self, at: &str) -> String {
        match at.parse::<Timestamp>() {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            Err(_) => at.to_owned(),
        }
    }
}

/// A setting in the notation of the config file; where it has no value, as a comment.
fn setting(key: &str, value: Option<&str>, origin: Option<&str>) -> String {
    let said = match value {
        Some(value) => format!("{key} = {value}"),
        None => format!("# {key} is not set"),
    };
    match origin {
        Some(origin) if value.is_some() => format!("{said:<40}  # {origin}"),
        _ => said,
    }
}

/// A result on its way to its reader.
pub(crate) struct Writing(JoinHandle<io::Result<()>>);

impl Writing {
    /// The reader has it. Whoever gives up waiting may ask again.
    pub(crate) async fn done(&mut self) -> Result<(), End> {
        match (&mut self.0).await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(End::Gone(Gone)),
            Err(error) => Err(End::Failed(Failure::local(format!("cannot write to stdout: {error}")))),
        }
    }
}

/// Writes on another thread: a reader that pauses must not keep this one from the signals.
fn write(
    text: String,
    mut to: impl Write + Send + 'static,
    then: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Writing {
    Writing(tokio::task::spawn_blocking(move || {
        to.write_all(text.as_bytes())?;
        to.flush()?;
        then()
    }))
}

/// How a terminal begins to write in another way.
pub(crate) const BOLD: &str = "\x1b[1m";
pub(crate) const RED: &str = "\x1b[31m";
pub(crate) const GREEN: &str = "\x1b[32m";
pub(crate) const YELLOW: &str = "\x1b[33m";

/// The text in a style, where colours are shown.
pub(crate) fn painted(text: &str, style: &str, shown: bool) -> String {
    if shown { format!("{style}{text}\x1b[0m") } else { text.to_owned() }
}

/// A body whose further lines cannot be taken for other messages.
fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

fn to_json(line: &Line<'_>) -> String {
    let mut text = serde_json::to_string(&Versioned { v: 1, line }).unwrap_or_default();
    text.push('\n');
    text
}

/// A time of the wire in RFC 3339, UTC; as long as any other, so that they sort as text.
pub(crate) fn at(time_ms: i64) -> String {
    let at = Timestamp::from_millisecond(time_ms);
    at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()).unwrap_or_default()
}

/// Why a command stops before its end.
#[derive(Debug)]
pub(crate) enum End {
    /// Nobody reads the results any more; a quiet end.
    Gone(Gone),
    /// A signal.
    Signal(Exit),
    /// It cannot be done.
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> End {
        End::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_begin_with_their_version() {
        let line = Line::User { name: "a\"b" };
        assert_eq!(to_json(&line), "{\"v\":1,\"type\":\"user\",\"name\":\"a\\\"b\"}\n");
        let line = Line::Error { exit: 5, code: "no-such-user", message: "nobody" };
        assert_eq!(
            to_json(&line),
            "{\"v\":1,\"type\":\"error\",\"exit\":5,\"code\":\"no-such-user\",\"message\":\"nobody\"}\n"
        );
    }

    #[test]
    fn a_message_cannot_forge_another() {
        let output = Output { zone: TimeZone::UTC, ..Output::new(false, false, Colours::default()) };
        let line = Line::Message {
            id: String::new(),
            from: "bob",
            text: "hi\nalice: I quit",
            at: at(1_795_165_752_000),
        };
        assert_eq!(output.to_text(&line), "2026-11-20 09:09 bob: hi\n    alice: I quit\n");
        assert_eq!(at(1_795_165_752_000), "2026-11-20T09:09:12.000Z");
        assert_eq!(at(1_795_165_752_060), "2026-11-20T09:09:12.060Z");
        assert_eq!(at(i64::MAX), "");
    }
}
