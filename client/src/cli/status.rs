//! `bellhop status`: connects, and says where to, as whom, through what and how fast.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::args::Common;
use super::exit::Failure;
use super::output::{End, Line, Output};
use super::session::{Session, deadline};
use super::setup::Setup;
use crate::config::{Receive, Role};
use crate::event::{Event, Guard, Online, Secured};

const TAG: u64 = 1;

/// A connection, as far as it could be looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Status {
    pub(crate) server: String,
    pub(crate) user: String,
    /// `plain`, `key` or `authority`.
    pub(crate) guard: &'static str,
    pub(crate) key: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) agent: String,
    pub(crate) node: String,
    pub(crate) round_trip_ms: f64,
    /// Messages in this home that nobody has read.
    pub(crate) unread: u64,
}

impl Status {
    pub(crate) fn text(&self) -> String {
        let Status { server, user, agent, node, round_trip_ms, unread, .. } = self;
        format!(
            "online {user}@{server}\nserver {agent}, node {node}\nguard {}\nround trip {round_trip_ms:.1} ms\n\
             unread {unread}",
            self.guarded()
        )
    }

    /// What guards the connection, for a person.
    pub(crate) fn guarded(&self) -> String {
        let since = self.since.as_deref().map(|day| format!(", known since {day}")).unwrap_or_default();
        match (self.guard, &self.key) {
            ("key", Some(key)) => format!("TLS, by the server's key {key}{since}"),
            ("authority", _) => format!("TLS, by an authority that this machine trusts{since}"),
            _ => "none: the connection does not leave this machine".to_owned(),
        }
    }
}

pub(crate) async fn run(setup: &Setup, common: &Common, output: &Output) -> Result<(), End> {
    let status = look(setup, common.timeout).await?;
    output.result(&Line::Status(&status)).await
}

/// Logs in, asks for a round trip, and leaves.
pub(super) async fn look(setup: &Setup, wait: Duration) -> Result<Status, Failure> {
    let user = setup.user()?;
    let mut session = Session::open(setup.config(&user, Role::Send, Receive::Nothing));
    let found = online(&mut session, deadline(wait)).await;
    session.close().await;
    let (secured, Online { agent, node, .. }, round_trip) = found?;
    let unread = match setup.account()? {
        Some(account) => {
            let chats = setup.history()?.chats(account.id).map_err(Failure::local)?;
            chats.iter().map(|chat| chat.unread).sum()
        }
        None => 0,
    };
    let (guard, key, since) = match secured.map_or(Guard::Plain, |secured| secured.guard) {
        Guard::Plain => ("plain", None, None),
        Guard::Key { key, since } => ("key", Some(key.to_string()), since),
        Guard::Authority { key, since } => ("authority", Some(key.to_string()), since),
    };
    Ok(Status {
        server: setup.server.to_string(),
        user: user.as_str().to_owned(),
        guard,
        key,
        since,
        agent,
        node,
        round_trip_ms: round_trip.as_secs_f64() * 1_000.0,
        unread,
    })
}

async fn online(
    session: &mut Session,
    until: Instant,
) -> Result<(Option<Secured>, Online, Duration), Failure> {
    let (mut secured, mut online, mut round_trip) = (None, None, None);
    loop {
        match session.next(Some(until)).await? {
            Event::Secured(now) => secured = Some(now),
            Event::Online(now) => {
                session.client.sync(TAG)?;
                online = Some(now);
            }
            Event::RoundTrip(time) => round_trip = Some(time),
            _ => {}
        }
        if let (Some(_), Some(time)) = (&online, round_trip)
            && let Some(online) = online.take()
        {
            return Ok((secured, online, time));
        }
    }
}
