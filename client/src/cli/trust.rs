//! `bellhop trust`, and the question at the first contact with a server: is this the one that is meant?

use std::io::{BufRead, Read, Write};

use super::args::Common;
use super::commands::TrustCommand;
use super::exit::{Exit, Failure};
use super::output::{End, Line, Output};
use super::password;
use super::setup::Setup;
use super::wire::reach;
use crate::config::Server;
use crate::event::{Doubt, Untrusted};
use crate::fingerprint::Fingerprint;
use crate::known::{Entry, KnownServers};
use crate::link::dial::DialError;
use crate::link::trust::Known;

/// A typed answer is not longer than this.
const TYPED_MAX: u64 = 64;

pub(crate) async fn run(setup: &Setup, output: &Output, command: TrustCommand) -> Result<(), End> {
    let servers = KnownServers::of(&setup.home);
    match command {
        TrustCommand::List => {
            for entry in servers.all().map_err(Failure::local)? {
                output.result(&line("known", &entry)).await?;
            }
            Ok(())
        }
        TrustCommand::Remove { server } => {
            let server = address(&server)?;
            if !servers.forget(&server).map_err(Failure::local)? {
                let sentence = format!("{server} is not known: bellhop trust list shows those that are");
                return Err(Failure::new(Exit::Other, "not-known", sentence).into());
            }
            let (server, state) = (server.to_string(), "forgotten");
            output.result(&Line::Server { state, server, key: None, since: None }).await
        }
        TrustCommand::Add { server, key } => {
            let server = address(&server)?;
            let key = key.parse::<Fingerprint>().map_err(|error| Failure::usage(error.to_string()))?;
            servers.keep(&server, Known::Key(key)).map_err(Failure::local)?;
            output.result(&line("trusted", &Entry { server, known: Known::Key(key), since: None })).await
        }
    }
}

fn address(typed: &str) -> Result<Server, Failure> {
    Server::parse(typed).map_err(|error| Failure::usage(error.to_string()))
}

fn line<'a>(state: &'a str, entry: &'a Entry) -> Line<'a> {
    let key = match entry.known {
        Known::Key(key) => key.to_string(),
        Known::Authority => "ca".into(),
    };
    Line::Server { state, server: entry.server.to_string(), key: Some(key), since: entry.since.as_deref() }
}

/// Where nothing is known of the server, and somebody is there to ask: asks, before the command begins. Whoever cannot
/// be asked is refused by the command itself.
pub(super) async fn meet(setup: &Setup, common: &Common) -> Result<(), End> {
    let decided = setup.trust.fingerprint.is_some() || !setup.trust.wants_tls(&setup.server);
    if decided || setup.known()?.is_some() || !password::can_ask() {
        return Ok(());
    }
    match reach(setup, common.timeout).await? {
        Err(DialError::Untrusted(untrusted)) if untrusted.doubt == Doubt::Unknown => {
            ask(&untrusted).await?;
            let servers = KnownServers::of(&setup.home);
            let kept = servers.replace(&setup.server, None, Known::Key(untrusted.shown));
            Ok(kept.map_err(Failure::local)?)
        }
        met => {
            met.map_err(Failure::from)?;
            Ok(())
        }
    }
}

async fn ask(untrusted: &Untrusted) -> Result<(), End> {
    let Untrusted { server, shown, .. } = untrusted;
    // Where the question cannot be written, the answer will not be yes.
    let _ = write!(
        std::io::stderr(),
        "{server} is not known yet. Its key is\n\n  {shown}\n\nThe server prints the same line at its start. Nothing was \
         sent so far.\nIs it the same? [y/N] "
    );
    let read = tokio::task::spawn_blocking(|| {
        let mut typed = String::new();
        std::io::stdin().lock().take(TYPED_MAX).read_line(&mut typed).map(|_| typed)
    });
    let typed = read.await.map_err(Failure::local)?.map_err(Failure::local)?;
    if matches!(typed.trim(), "y" | "Y" | "yes" | "Yes" | "YES") {
        return Ok(());
    }
    Err(Failure::new(Exit::Tls, "untrusted", "not trusted, and nothing was sent").into())
}

/// What is to be said where the server's key has moved since `before`.
pub(super) fn news(setup: &Setup, before: Option<Known>) -> Option<String> {
    let now = setup.known().ok()?;
    match (before, now) {
        (Some(Known::Key(before)), Some(Known::Key(key))) if before != key => Some(format!(
            "{} has a new key, {key}; the one known before vouches for it: {before}",
            setup.server
        )),
        _ => None,
    }
}
