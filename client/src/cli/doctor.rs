//! `bellhop doctor`: looks for what is wrong, and says what to do about it.
//!
//! One check after the other, each a line. What a check needs that another one has found missing is not asked.

use std::io::{self, IsTerminal};
use std::path::Path;

use serde::Serialize;

use super::args::Common;
use super::exit::{Exit, Failure};
use super::output::{End, GREEN, Line, Output, RED, YELLOW, painted};
use super::setup::Setup;
use super::status::{Status, look};
use super::wire::reach;
use crate::clock;
use crate::link::dial::DialError;

/// No clock that is right shows an earlier time: 1 November 2026, in ms since 1970.
const EARLIEST_MS: i64 = 1_793_491_200_000;
/// How far two clocks may differ without anybody being misled.
const SKEW_MAX_MS: i64 = 120_000;
/// A round trip that a person notices, in ms.
const SLOW_MS: f64 = 500.0;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Good,
    Warning,
    Bad,
}

/// A check, what it found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    name: &'static str,
    state: Verdict,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn good(name: &'static str, message: impl Into<String>) -> Check {
        Check { name, state: Verdict::Good, message: message.into(), advice: None }
    }

    fn warning(name: &'static str, message: impl Into<String>, advice: &str) -> Check {
        let advice = Some(advice.to_owned());
        Check { name, state: Verdict::Warning, message: message.into(), advice }
    }

    fn bad(name: &'static str, message: impl Into<String>, advice: &str) -> Check {
        Check { state: Verdict::Bad, ..Check::warning(name, message, advice) }
    }

    pub(crate) fn text(&self, colours: bool) -> String {
        let Check { name, state, message, advice } = self;
        let (word, style) = match state {
            Verdict::Good => ("ok", GREEN),
            Verdict::Warning => ("warning", YELLOW),
            Verdict::Bad => ("wrong", RED),
        };
        let advice = advice.as_deref().map(|advice| format!("\n{:20}{advice}", "")).unwrap_or_default();
        // Padded before it is painted: what paints has no width.
        format!("{} {name:<11} {message}{advice}", painted(&format!("{word:<7}"), style, colours))
    }
}

/// What was found so far.
struct Report<'a> {
    output: &'a Output,
    /// The first thing that is wrong.
    failure: Option<Failure>,
}

impl Report<'_> {
    async fn add(&mut self, check: &Check) -> Result<(), End> {
        self.output.result(&Line::Check(check)).await
    }

    /// A check that failed: the first one gives the exit code.
    async fn failed(&mut self, name: &'static str, failure: Failure, advice: &str) -> Result<(), End> {
        self.add(&Check::bad(name, failure.sentence.clone(), advice)).await?;
        self.failure.get_or_insert(failure);
        Ok(())
    }
}

pub(crate) async fn run(setup: &Setup, common: &Common, output: &Output) -> Result<(), End> {
    let mut report = Report { output, failure: None };
    report.add(&files(setup.home.path())).await?;
    report.add(&config(&setup.choice.warnings())).await?;
    server(setup, common, &mut report).await?;
    let newest = newest_ms(setup)?;
    let clock = clock_check(clock::wall_ms(), newest);
    report.add(&clock).await?;
    if clock.state == Verdict::Bad {
        report.failure.get_or_insert(Failure::new(Exit::Other, "clock", clock.message));
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let terminals = io::stdin().is_terminal() && io::stdout().is_terminal();
    report.add(&terminal(terminals, cfg!(windows), variable)).await?;
    match report.failure {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

/// A config that is wrong has ended the command before; what it warns of has not.
fn config(warnings: &[String]) -> Check {
    match warnings {
        [] => Check::good("config", "nothing to say about it"),
        [first, ..] => Check::warning("config", first.clone(), "bellhop config check says all of it"),
    }
}

/// Everything that needs the server, in the order in which it is needed.
async fn server(setup: &Setup, common: &Common, report: &mut Report<'_>) -> Result<(), End> {
    let server = &setup.server;
    let secured = match reach(setup, common.timeout).await {
        Ok(Ok(dialed)) => dialed.secured,
        Ok(Err(DialError::Untrusted(untrusted))) => {
            report.add(&Check::good("server", format!("{server} answers"))).await?;
            let advice =
                format!("where that is the key the server prints at its start: {}", untrusted.command());
            let failure = DialError::Untrusted(untrusted).into();
            return report.failed("tls", failure, &advice).await;
        }
        Ok(Err(failed)) => return report.failed("server", failed.into(), UNREACHABLE).await,
        Err(failure) => return report.failed("server", failure, UNREACHABLE).await,
    };
    report.add(&Check::good("server", format!("{server} answers"))).await?;
    if setup.user.is_none() {
        let advice = "bellhop create NAME makes an account, bellhop login NAME logs in";
        let guard =
            if matches!(secured.guard, crate::event::Guard::Plain) { "none needed" } else { "trusted" };
        report.add(&Check::good("tls", guard)).await?;
        return report.add(&Check::warning("login", "nobody is logged in", advice)).await;
    }
    match look(setup, common.timeout).await {
        Ok(status) => online(&status, report).await,
        Err(failure) => {
            let (name, advice) = match failure.exit {
                Exit::Protocol => {
                    ("version", "is it a Bellhop server, and the port right? else one of the two is old")
                }
                Exit::NotLoggedIn => ("login", "bellhop login NAME, or --password-file FILE"),
                Exit::Tls => ("tls", "bellhop trust list shows which keys are known"),
                _ => ("login", "try again; where that does not help, the server's log says more"),
            };
            report.failed(name, failure, advice).await
        }
    }
}

const UNREACHABLE: &str =
    "is the name right, does the server run, does it listen there, does a firewall stand between?";

async fn online(status: &Status, report: &mut Report<'_>) -> Result<(), End> {
    report.add(&Check::good("tls", status.guarded())).await?;
    report.add(&version(&status.agent, env!("CARGO_PKG_VERSION"))).await?;
    report.add(&Check::good("login", status.user.clone())).await?;
    report.add(&round_trip(status.round_trip_ms)).await
}

fn version(agent: &str, ours: &str) -> Check {
    let theirs = agent.rsplit_once('/').map_or(agent, |(_, version)| version);
    let message = format!("{agent}; this is {ours}");
    if theirs == ours {
        return Check::good("version", message);
    }
    Check {
        state: Verdict::Good,
        ..Check::warning("version", message, "they speak to each other all the same")
    }
}

fn round_trip(ms: f64) -> Check {
    let message = format!("{ms:.1} ms");
    if ms < SLOW_MS {
        return Check::good("round trip", message);
    }
    Check::warning(
        "round trip",
        message,
        "the network is slow, or the server has much to do: bellhop-server status",
    )
}

/// The latest time that a server gave to anything here.
fn newest_ms(setup: &Setup) -> Result<Option<i64>, Failure> {
    setup.history()?.newest_ms().map_err(Failure::local)
}

/// A server cannot be asked for the time, but what it kept has one, which was never later than now.
fn clock_check(now_ms: i64, newest_ms: Option<i64>) -> Check {
    let advice = "set it, or switch on the time service: certificates and times of messages depend on it";
    let ahead = newest_ms.map_or(0, |newest| newest.saturating_sub(now_ms));
    if now_ms < EARLIEST_MS {
        Check::bad("clock", "this machine's clock is before this program was made", advice)
    } else if ahead > SKEW_MAX_MS {
        let seconds = ahead / 1_000;
        let message = format!("this machine's clock is at least {seconds} s behind the server's");
        Check::warning("clock", message, advice)
    } else {
        Check::good("clock", "agrees with what servers have said")
    }
}

#[cfg(unix)]
fn files(home: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;
    let message = format!("{}", home.display());
    match std::fs::metadata(home) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Check::warning(
            "files",
            format!("{message}: others may look into the folder"),
            "chmod 700 it; what is in it is private all the same",
        ),
        Ok(_) => Check::good("files", message),
        Err(error) => {
            Check::warning("files", format!("{message}: {error}"), "set BELLHOP_HOME to another folder")
        }
    }
}

#[cfg(not(unix))]
fn files(home: &Path) -> Check {
    Check::good("files", home.display().to_string())
}

/// Whether the screen can be drawn here.
fn terminal(terminals: bool, windows: bool, variable: impl Fn(&str) -> Option<String>) -> Check {
    if !terminals {
        let advice = "the screen needs stdin and stdout on one; commands do not";
        return Check::warning("terminal", "this is none", advice);
    }
    let term = variable("TERM");
    if !windows && matches!(term.as_deref(), None | Some("dumb")) {
        return Check::warning(
            "terminal",
            "TERM says that it can do nothing",
            "set TERM, such as xterm-256color",
        );
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(&variable).unwrap_or_default();
    let utf8 = locale.to_ascii_lowercase().replace('-', "").contains("utf8");
    if !windows && !utf8 {
        return Check::warning(
            "terminal",
            "the locale is not UTF-8: signs are ASCII, and other letters may look wrong",
            "set LANG, such as C.UTF-8",
        );
    }
    Check::good("terminal", term.unwrap_or_else(|| "console".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        let check = |now, newest, expected: Verdict| {
            assert_eq!(clock_check(now, newest).state, expected, "{now} {newest:?}");
        };
        check(EARLIEST_MS, None, Verdict::Good);
        check(EARLIEST_MS - 1, None, Verdict::Bad);
        check(EARLIEST_MS, Some(EARLIEST_MS + SKEW_MAX_MS), Verdict::Good);
        check(EARLIEST_MS, Some(EARLIEST_MS + SKEW_MAX_MS + 1), Verdict::Warning);
        check(EARLIEST_MS, Some(1), Verdict::Good);
        check(EARLIEST_MS, Some(i64::MAX), Verdict::Warning);
    }

    #[test]
    fn terminals() {
        let check = |terminals, windows, variables: &[(&str, &str)], words: &str, state| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let found = terminal(terminals, windows, variable);
            assert!(found.message.contains(words) && found.state == state, "{found:?}");
        };
        let utf8 = ("LANG", "de_DE.UTF-8");
        check(true, false, &[("TERM", "xterm"), utf8], "xterm", Verdict::Good);
        check(false, false, &[("TERM", "xterm"), utf8], "none", Verdict::Warning);
        check(true, false, &[("TERM", "dumb"), utf8], "can do nothing", Verdict::Warning);
        check(true, false, &[utf8], "can do nothing", Verdict::Warning);
        check(true, false, &[("TERM", "xterm"), ("LC_ALL", "C"), utf8], "not UTF-8", Verdict::Warning);
        check(true, true, &[], "console", Verdict::Good);
    }

    #[test]
    fn versions_and_round_trips() {
        assert_eq!(version("bellhop-server/1.2.3", "1.2.3").advice, None);
        assert!(version("other/9", "1.2.3").advice.is_some());
        assert_eq!((round_trip(3.0).state, round_trip(900.0).state), (Verdict::Good, Verdict::Warning));
    }

    #[test]
    fn a_check_is_a_line_and_its_advice_another() {
        assert_eq!(Check::good("clock", "right").text(false), "ok      clock       right");
        assert_eq!(
            Check::bad("server", "gone", "start it").text(true),
            "\x1b[31mwrong  \x1b[0m server      gone\n                    start it"
        );
    }
}
