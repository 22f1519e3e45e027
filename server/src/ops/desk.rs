//! What the operator's requests mean, for a server that runs as for one that was opened for the request alone.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellhop_protocol::code::Refusal;
use bellhop_protocol::{Name, Username};
use tokio::sync::{Semaphore, oneshot, watch};

use super::wire::{Answer, Listening, Request, Secret, UserLine};
use super::{status, why};
use crate::auth::Password;
use crate::core::Core;
use crate::engine::DATABASE;
use crate::hub::Account;
use crate::keeper::accounts::{AccountJob, Found};
use crate::keeper::queue::Job;
use crate::net::admission::Admission;
use crate::net::listener::Connections;
use crate::store::inspect::{AccountLine, Inspector};
use crate::store::{PasswordHash, StoreError};

/// How many accounts are read at a time.
const ACCOUNTS_AT_ONCE: usize = 256;

/// Where the lines of an answer go.
pub trait Sink: Send {
    /// Writes a line.
    fn write(&mut self, answer: &Answer) -> impl Future<Output = io::Result<()>> + Send;
}

/// What a server knows of itself beside what its parts share.
#[derive(Debug, Default)]
pub struct Facts {
    /// The data folder.
    pub data: PathBuf,
    /// What "ok" means.
    pub durability: String,
    /// Where it listens, and what it allows there.
    pub listeners: Vec<Listening>,
    /// Its connections, where it has any.
    pub net: Option<Net>,
}

/// A server's connections.
#[derive(Clone, Debug)]
pub struct Net {
    /// Who may connect.
    pub admission: Arc<Admission>,
    /// The connections.
    pub connections: Arc<Connections>,
    /// A place for each that there may be.
    pub places: Arc<Semaphore>,
    /// How many places there are.
    pub most: usize,
}

/// Answers the operator.
#[derive(Debug)]
pub struct Desk {
    core: Arc<Core>,
    facts: Arc<Facts>,
    /// How long whoever is here has to finish, once that was asked for.
    drains: watch::Sender<Option<Duration>>,
}

impl Desk {
    /// A desk of what `core` shares.
    pub fn new(core: Arc<Core>, facts: Facts) -> Desk {
        Desk { core, facts: Arc::new(facts), drains: watch::Sender::new(None) }
    }

    /// Tells when the server is to drain, and how long that may take.
    pub fn drains(&self) -> watch::Receiver<Option<Duration>> {
        self.drains.subscribe()
    }

    /// Has the server drain; the shortest time that was asked for counts. Returns how many connections there are.
    pub fn drain(&self, grace: Duration) -> usize {
        self.drains.send_modify(|asked| *asked = Some(asked.map_or(grace, |asked| asked.min(grace))));
        self.facts.net.as_ref().map_or(0, |net| net.connections.live.len())
    }

    /// Answers a request; the last line is returned.
    ///
    /// # Errors
    ///
    /// Where a line cannot be written.
    pub async fn answer(&self, request: Request, lines: &mut impl Sink) -> io::Result<Answer> {
        let done = match request {
            Request::Status => self.status(lines).await?,
            Request::UserAdd { name, password } => self.add(&name, password, lines).await?,
            Request::UserPasswd { name, password } => self.passwd(&name, password, lines).await?,
            Request::UserDel { name } => self.del(&name, lines).await?,
            Request::UserList { glob } => self.list(glob.as_deref(), lines).await?,
            Request::Why { what } => self.why(what, lines).await?,
            // These are the door's.
            Request::Drain { .. } | Request::Hold => Err("no server runs here".to_owned()),
        };
        Ok(done.map_or_else(Answer::Error, |()| Answer::Done))
    }

    async fn status(&self, lines: &mut impl Sink) -> io::Result<Result<(), String>> {
        let (core, facts) = (self.core.clone(), self.facts.clone());
        match apart(move || Ok(status::gather(&core, &facts))).await {
            Ok(status) => lines.write(&Answer::Status(Box::new(status))).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn why(&self, what: String, lines: &mut impl Sink) -> io::Result<Result<(), String>> {
        let (core, path) = (self.core.clone(), self.database());
        match apart(move || why::find(&core, &path, &what)).await {
            Ok(why) => lines.write(&Answer::Why(Box::new(why))).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    // ---- accounts

    async fn add(
        &self,
        name: &str,
        password: Option<Secret>,
        lines: &mut impl Sink,
    ) -> io::Result<Result<(), String>> {
        let made = async {
            let name = username(name)?;
            let without = password.is_none();
            let password = match password {
                Some(password) => Some(self.hash(password).await?),
                None => None,
            };
            // Whom the name of a deleted account goes to is the operator's to say.
            let make = |reply| AccountJob::Create { name, password, device: None, though_held: true, reply };
            let found = self.ask(make).await?;
            self.let_go(&found.account);
            Ok((found.account, without))
        };
        let (account, without) = match made.await {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        let note = format!("made the account {}, {}", account.name, account.uuid);
        lines.write(&Answer::Note(note)).await?;
        if without {
            let note = "it has no password, and logs in only where accounts need none";
            lines.write(&Answer::Note(note.into())).await?;
        }
        Ok(Ok(()))
    }

    async fn del(&self, name: &str, lines: &mut impl Sink) -> io::Result<Result<(), String>> {
        let deleted = async {
            let account = self.find(name).await?;
            let (shown, sessions) = (account.name.clone(), account.mailbox.lock().sessions());
            // A stranger shall not get what is still sent to the name.
            let delete = |reply| AccountJob::Delete { account, session: None, hold: true, reply };
            self.ask(delete).await?;
            Ok((shown, sessions))
        };
        match deleted.await {
            Ok((name, sessions)) => {
                let note = format!("deleted the account {name}; ended {}", plural(sessions, "session"));
                lines.write(&Answer::Note(note)).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn passwd(
        &self,
        name: &str,
        password: Secret,
        lines: &mut impl Sink,
    ) -> io::Result<Result<(), String>> {
        let changed = async {
            let account = self.find(name).await?;
            let hash = Some(self.hash(password).await?);
            let (id, sessions) = (account.id, account.mailbox.lock().sessions());
            self.ask(|reply| AccountJob::SetPassword { account: id, hash, keep: None, reply }).await?;
            Ok((account.name.clone(), sessions))
        };
        match changed.await {
            Ok((name, sessions)) => {
                let ended = plural(sessions, "session");
                let note =
                    format!("changed the password of {name}; ended {ended}, and every device logs in anew");
                lines.write(&Answer::Note(note)).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn hash(&self, mut password: Secret) -> Result<PasswordHash, String> {
        let text = password.take();
        let password = Password::new(bellhop_protocol::text::Secret(&text));
        self.core.hasher.hash(password).await.map_err(said)
    }

    async fn list(&self, glob: Option<&str>, lines: &mut impl Sink) -> io::Result<Result<(), String>> {
        let glob = glob.map(|glob| wildmatch::WildMatch::new(&bellhop_protocol::name::fold(glob)));
        let mut after = String::new();
        loop {
            let (path, from) = (self.database(), after.clone());
            let read = move || {
                let inspector = Inspector::open(&path).map_err(unreadable)?;
                inspector.accounts(&from, ACCOUNTS_AT_ONCE).map_err(unreadable)
            };
            let accounts = match apart(read).await {
                Ok(accounts) => accounts,
                Err(error) => return Ok(Err(error)),
            };
            let Some(last) = accounts.last() else { return Ok(Ok(())) };
            after.clone_from(&last.row.folded);
            for account in &accounts {
                if glob.as_ref().is_none_or(|glob| glob.matches(&account.row.folded)) {
                    lines.write(&Answer::User(user_line(&self.core, account))).await?;
                }
            }
        }
    }

    /// The account with this name, in memory.
    async fn find(&self, name: &str) -> Result<Arc<Account>, String> {
        let name = username(name)?;
        let folded = name.as_name().key().into_string();
        let found: Found = self.ask(|reply| AccountJob::Find { folded, device: None, reply }).await?;
        Ok(found.account)
    }

    /// Asks the writing thread.
    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> AccountJob,
    ) -> Result<T, String> {
        let (reply, replied) = oneshot::channel();
        self.core.queue.control(Job::Account(Box::new(job(reply))));
        let ended = || "the server ended before it was done; look whether it was".to_owned();
        replied.await.map_err(|_| ended())?.map_err(said)
    }

    /// An account that nobody logs in goes out of memory again, by way of the list of what is to be saved.
    fn let_go(&self, account: &Arc<Account>) {
        if account.mailbox.lock().list() {
            self.core.queue.unsaved(account.clone());
        }
    }

    fn database(&self) -> PathBuf {
        self.facts.data.join(DATABASE)
    }
}

/// Does what takes its time on a thread that may be blocked.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(format!("the server could not answer: {error}")))
}

/// A name that the operator typed.
fn username(name: &str) -> Result<Username, String> {
    Name::parse(name).map(Name::to_owned).map_err(|error| format!("{name:?} is no name: {error}"))
}

fn said(refusal: Refusal) -> String {
    refusal.sentence.to_string()
}

/// Why the database could not be read.
pub fn unreadable(error: StoreError) -> String {
    format!("cannot read the database: {error}")
}

/// So many of something.
pub fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What is told of an account in a list: what the file says, and what is newer in memory.
pub fn user_line(core: &Core, account: &AccountLine) -> UserLine {
    let AccountLine { row, devices, seen_ms } = account;
    let mut line = UserLine {
        name: row.name.clone(),
        uuid: row.uuid.to_string(),
        created_ms: row.created_ms,
        waiting: 0,
        devices: *devices,
        sessions: 0,
        seen_ms: *seen_ms,
        password: row.password.is_some(),
    };
    // What is not in memory has nothing that waits.
    if let Some(known) = core.hub.by_id(row.id) {
        let mailbox = known.mailbox.lock();
        line.waiting = mailbox.items().messages().count;
        line.sessions = mailbox.sessions() as u64;
        line.devices = mailbox.devices().len() as u64;
        line.seen_ms = mailbox.devices().iter().map(|device| device.seen_ms).max().or(line.seen_ms);
    }
    line
}
