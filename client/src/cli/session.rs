//! A connection for the length of a command.

use std::time::Duration;

use bellhop_protocol::Username;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout, timeout_at};

use super::exit::Failure;
use super::wire::Answer;
use crate::client::{Busy, Client, connect};
use crate::clock;
use crate::config::Config;
use crate::event::{Event, Online, Trouble, TroubleKind, Unsettled};
use crate::secret::Secret;

/// How long the last bytes of a command may take.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Why nothing was begun, or nothing can be written down.
pub(crate) const BUSY_HISTORY: &str = "the history is busy: another program of this home holds it";

/// A connection that a command commands.
pub(crate) struct Session {
    pub(crate) client: Client,
    events: Receiver<Event>,
    user: Username,
    /// What earlier runs of this device left without an answer.
    pub(crate) unsettled: Vec<Unsettled>,
    /// Why it is not online.
    trouble: Option<Trouble>,
    /// The device is ours.
    seated: bool,
    was_online: bool,
}

impl Session {
    pub(crate) fn open(config: Config) -> Session {
        let user = config.user.clone();
        let (client, events) = connect(config);
        Session {
            client,
            events,
            user,
            unsettled: Vec::new(),
            trouble: None,
            seated: false,
            was_online: false,
        }
    }

    /// The next event until `deadline`; what ends a command comes as its failure.
    ///
    /// A server that cannot be reached at first is a failure at once: nothing was begun, so nothing is lost. After a
    /// login the library tries again by itself, and only the deadline ends the wait.
    pub(crate) async fn next(&mut self, deadline: Option<Instant>) -> Result<Event, Failure> {
        let received = match deadline {
            Some(deadline) => timeout_at(deadline, self.events.recv()).await.map_err(|_| self.late())?,
            None => self.events.recv().await,
        };
        let event = received.ok_or_else(|| Failure::local("the connection has ended"))?;
        match &event {
            Event::Stopped(stop) => return Err(Failure::from(stop.clone()).of_login(&self.user)),
            Event::Offline(trouble, _) => {
                let hopeless = matches!(
                    trouble.kind,
                    TroubleKind::Unreachable | TroubleKind::Protocol | TroubleKind::TimedOut
                );
                if hopeless && !self.was_online {
                    return Err(trouble.clone().into());
                }
                self.trouble = Some(trouble.clone());
            }
            Event::Online(_) => {
                self.was_online = true;
                self.trouble = None;
            }
            Event::Unsettled(unsettled) => {
                self.seated = true;
                self.unsettled.clone_from(unsettled);
            }
            _ => {}
        }
        Ok(event)
    }

    /// Waits until the login was accepted.
    pub(crate) async fn online(&mut self, deadline: Instant) -> Result<Online, Failure> {
        loop {
            if let Event::Online(online) = self.next(Some(deadline)).await? {
                return Ok(online);
            }
        }
    }

    /// Asks who of these is online, and waits for the answer; it may be for the first of them alone.
    pub(crate) async fn watch(
        &mut self,
        names: Vec<String>,
        deadline: Instant,
    ) -> Result<Vec<(String, bool)>, Failure> {
        self.client.watch(names)?;
        loop {
            if let Event::Watching(known) = self.next(Some(deadline)).await? {
                return Ok(known);
            }
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(
        &mut self,
        tag: u64,
        op: u8,
        data: Secret,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        self.client.ask(tag, op, data)?;
        loop {
            if let Event::Answer(answer) = self.next(Some(deadline)).await?
                && answer.tag == tag
            {
                let fields = answer.fields.map_err(Failure::timed_out)?;
                return Ok(Answer { byte: op, fields, verdict: answer.verdict });
            }
        }
    }

    /// Ends the connection; what is written already still goes out.
    pub(crate) async fn close(self) {
        let Session { client, mut events, .. } = self;
        drop(client);
        // What comes now nobody waits for; a thread that does not end ends with the process.
        let _ = timeout(FAREWELL_MAX, async { while events.recv().await.is_some() {} }).await;
    }

    fn late(&self) -> Failure {
        match &self.trouble {
            Some(trouble) => trouble.clone().into(),
            None if !self.seated => Failure::local(BUSY_HISTORY),
            None => Failure::timed_out("the server did not answer in time"),
        }
    }
}

/// The end of a wait that begins now.
pub(crate) fn deadline(wait: Duration) -> Instant {
    Instant::from_std(clock::now() + wait)
}

impl From<Busy> for Failure {
    fn from(busy: Busy) -> Failure {
        Failure::local(busy)
    }
}
