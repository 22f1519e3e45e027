//! `bellhop listen` and `bellhop deliver`: a line a message, acknowledged when its reader has it.

use std::time::Duration;

use bellhop_protocol::MessageId;
use tokio::time::timeout;

use super::args::Common;
use super::exit::{Exit, Failure};
use super::interruptible;
use super::output::{End, Line, Output, Writing, at};
use super::session::{Session, deadline};
use super::setup::Setup;
use crate::config::{Receive, Role};
use crate::event::{Event, Message};

const TAG: u64 = 1;
/// How long a line that was being written may take after a signal.
const LAST_LINE_MAX: Duration = Duration::from_millis(200);

/// How long to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Until all that waited has come.
    Waiting,
    /// Until somebody ends it.
    Always,
}

pub(crate) async fn run(setup: &Setup, common: &Common, output: &Output, follow: Follow) -> Result<(), End> {
    let user = setup.user()?;
    let session = Session::open(setup.config(&user, Role::Listen, Receive::Confirmed));
    let mut receiving = Receiving { session, printing: None };
    let done = interruptible(receiving.receive(common, output, follow)).await;
    if let Err(End::Signal(_)) = done {
        // What the reader has seen is acknowledged; what a pausing reader has not comes again.
        let _ = timeout(LAST_LINE_MAX, receiving.printed()).await;
    }
    receiving.session.close().await;
    done.map_err(|end| match end {
        End::Failed(failure) if failure.exit == Exit::RoleTaken => {
            Failure { sentence: format!("another bellhop is already listening for {user}"), ..failure }.into()
        }
        end => end,
    })
}

struct Receiving {
    session: Session,
    /// The message on its way to the reader.
    printing: Option<(Option<MessageId>, Writing)>,
}

impl Receiving {
    async fn receive(&mut self, common: &Common, output: &Output, follow: Follow) -> Result<(), End> {
        self.session.online(deadline(common.timeout)).await?;
        let mut quiet_until = deadline(common.timeout);
        loop {
            let wait = (follow == Follow::Waiting).then_some(quiet_until);
            match self.session.next(wait).await? {
                Event::Message(message) => {
                    self.printing = Some((message.id, start(output, &message)));
                    self.printed().await?;
                    quiet_until = deadline(common.timeout);
                }
                Event::CaughtUp if follow == Follow::Waiting => {
                    self.session.client.sync(TAG).map_err(Failure::from)?;
                }
                Event::Synced(TAG) => return Ok(()),
                Event::Offline(trouble, _) => {
                    output.remark(&format!("{}; trying again", trouble.sentence)).await;
                }
                Event::Online(_) => {
                    output.remark("connected again").await;
                    quiet_until = deadline(common.timeout);
                }
                Event::Notice(text) => output.remark(&format!("the server says: {text}")).await,
                _ => {}
            }
        }
    }

    /// Waits until the reader has the message, and acknowledges it.
    async fn printed(&mut self) -> Result<(), End> {
        let Some((id, writing)) = &mut self.printing else { return Ok(()) };
        writing.done().await?;
        if let Some(id) = *id {
            self.session.client.confirm(id).map_err(Failure::from)?;
        }
        self.printing = None;
        Ok(())
    }
}

fn start(output: &Output, message: &Message) -> Writing {
    let id = message.id.map(|id| id.to_string()).unwrap_or_default();
    let (from, text) = (message.peer.name.as_str(), message.text.as_str());
    output.start(&Line::Message { id, from, text, at: at(message.time_ms) })
}
