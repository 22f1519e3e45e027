//! Those who are measured: Bellhop, the bare relay, and whichever peers are installed. Each is started when it is first
//! needed, with its config and data in a folder of its own and on a port of its own, and ended with the value.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bellhop_tests::process::{Process, binary};
use bellhop_tests::server::Home;
use bellhop_tests::tls::client_config;
use bellhop_tests::wait::waited;
use tempfile::TempDir;

use crate::clock;
use crate::net::Place;
use crate::peers::{self, Peer};
use crate::proto::Proto;
use crate::proto::bellhop::Bellhop;
use crate::proto::relay::Relay;

/// What is off while speed is measured, and nothing else: these keep one account from sending much.
const FREE: [&str; 6] = ["--limit", "sends=off", "--limit", "mailbox=off", "--limit", "mailbox-sender=off"];
/// How long a peer may take to listen.
const START: Duration = Duration::from_secs(20);

/// How Bellhop is run and spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Variant {
    /// `none`, `crash` or `power`.
    pub(crate) durability: &'static str,
    /// Over TLS.
    pub(crate) tls: bool,
    /// Receipts are wanted and acknowledged.
    pub(crate) receipts: bool,
    /// By the seven operations alone.
    pub(crate) text: bool,
    /// Logins are made with tokens.
    pub(crate) tokens: bool,
    /// Another server program, given by the user.
    pub(crate) other: bool,
}

impl Variant {
    /// With this durability, and nothing else that is special.
    pub(crate) const fn of(durability: &'static str) -> Variant {
        Variant { durability, tls: false, receipts: false, text: false, tokens: false, other: false }
    }
}

/// One who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// The bare relay, which may answer.
    Relay(bool),
    /// Bellhop.
    Bellhop(Variant),
    /// Another server.
    Peer(Peer),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Relay(false) => f.write_str("relay"),
            Subject::Relay(true) => f.write_str("relay, answers"),
            Subject::Peer(peer) => f.write_str(peer.name()),
            Subject::Bellhop(variant) => {
                let Variant { durability, tls, receipts, text, tokens, other } = *variant;
                write!(f, "{} {durability}", if other { "other" } else { "bellhop" })?;
                let more = [(tls, " tls"), (receipts, " receipts"), (text, " text"), (tokens, " tokens")];
                more.iter().filter(|(is, _)| *is).try_for_each(|(_, word)| f.write_str(word))
            }
        }
    }
}

/// One who runs, and how to speak to them.
pub(crate) struct Running {
    /// The protocol.
    pub(crate) proto: Box<dyn Proto>,
    /// Where they are.
    pub(crate) place: Place,
    /// Their processes.
    pub(crate) ids: Vec<u32>,
    /// How many logins are made at once: some take a second for each.
    pub(crate) logins_at_once: usize,
    /// Each message comes back as a receipt.
    pub(crate) receipts: bool,
}

/// A process that was started here.
enum Host {
    Bellhop { server: Box<Process>, home: Home },
    Child { child: Child, addr: SocketAddr, _folder: TempDir },
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Host::Child { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// All who run.
#[derive(Default)]
pub(crate) struct Field {
    hosts: BTreeMap<String, Host>,
    /// The server program, where it is not this checkout's.
    pub(crate) server: Option<PathBuf>,
    /// Another server program that is measured beside this one's.
    pub(crate) other: Option<PathBuf>,
}

/// A command that ends with this program, however that ends.
pub(crate) fn bound(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

impl Field {
    /// One who is measured, started where they do not run yet.
    pub(crate) fn running(&mut self, subject: Subject) -> Result<Running, String> {
        let (host, receipts) =
            (host_of(subject), matches!(subject, Subject::Bellhop(Variant { receipts: true, .. })));
        if !self.hosts.contains_key(&host) {
            let started = self.start(subject)?;
            self.hosts.insert(host.clone(), started);
        }
        let (addr, id, fingerprint) = match &self.hosts[&host] {
            Host::Bellhop { server, .. } => (server.addr(), server.id(), server.fingerprint()),
            Host::Child { child, addr, .. } => (*addr, child.id(), ""),
        };
        let tls = match subject {
            Subject::Bellhop(Variant { tls: true, .. }) => Some(Arc::new(client_config(fingerprint))),
            _ => None,
        };
        let proto: Box<dyn Proto> = match subject {
            Subject::Relay(answers) => Box::new(Relay { answers }),
            Subject::Bellhop(Variant { text, receipts, tokens, .. }) => {
                Box::new(Bellhop { text, receipts, tokens: tokens.then(Default::default) })
            }
            Subject::Peer(peer) => peer.proto(),
        };
        let logins_at_once = if subject == Subject::Peer(Peer::Inspircd) { 500 } else { 16 };
        Ok(Running { proto, place: Place { addr, tls }, ids: vec![id], logins_at_once, receipts })
    }

    /// Ends one who runs; the next who asks for them gets a new one.
    pub(crate) fn end(&mut self, subject: Subject) {
        self.hosts.remove(&host_of(subject));
    }

    /// Ends all.
    pub(crate) fn clear(&mut self) {
        self.hosts.clear();
    }

    fn start(&self, subject: Subject) -> Result<Host, String> {
        match subject {
            Subject::Bellhop(variant) => {
                let home = Home::new();
                let server = Field::start_bellhop(&mut bound(&self.program(variant.other)?), variant, &home)?;
                Ok(Host::Bellhop { server: Box::new(server), home })
            }
            Subject::Relay(answers) => {
                let mut command = bound(&std::env::current_exe().unwrap());
                command.arg("--relay");
                if answers {
                    command.arg("--relay-answers");
                }
                let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
                let mut line = String::new();
                let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
                read.map_err(|error| error.to_string())?;
                let addr =
                    line.trim().strip_prefix("listening on ").ok_or("the relay says where it listens")?;
                Ok(Host::Child { child, addr: addr.parse().unwrap(), _folder: tempfile::tempdir().unwrap() })
            }
            Subject::Peer(peer) => start_peer(peer),
        }
    }

    /// The server program.
    pub(crate) fn program(&self, other: bool) -> Result<PathBuf, String> {
        match (&self.other, other) {
            (Some(other), true) => Ok(other.clone()),
            (None, true) => Err("no other server was given".to_owned()),
            (_, false) => Ok(self.server.clone().unwrap_or_else(|| binary("bellhop-server"))),
        }
    }

    /// Starts a server by a command that ends with its program.
    pub(crate) fn start_bellhop(
        command: &mut Command,
        variant: Variant,
        home: &Home,
    ) -> Result<Process, String> {
        let args: Vec<&str> = FREE.iter().copied().chain(["--durability", variant.durability]).collect();
        let server = Process::try_start_as(command, &home.data(), &args);
        server.map_err(|status| format!("the server did not start: {status}"))
    }

    /// Takes a server over that was started otherwise, in place of the usual one.
    pub(crate) fn adopt(&mut self, subject: Subject, server: Process, home: Home) {
        self.hosts.insert(host_of(subject), Host::Bellhop { server: Box::new(server), home });
    }

    /// Ends Bellhop's server, in order or by killing it, and starts it anew on its folder; how many seconds the start
    /// took.
    pub(crate) fn restart(&mut self, subject: Subject, killed: bool) -> Result<f64, String> {
        let Subject::Bellhop(variant) = subject else { return Err("only Bellhop is restarted".to_owned()) };
        let Some(Host::Bellhop { server, home }) = self.hosts.get_mut(&host_of(subject)) else {
            return Err("it does not run".to_owned());
        };
        if !killed {
            let id = server.id().to_string();
            let _ = Command::new("kill").arg(&id).status();
            let _ = waited(START, || server.ended());
        }
        server.end();
        let program = match (&self.other, &self.server) {
            (Some(other), _) if variant.other => other.clone(),
            (_, Some(server)) => server.clone(),
            _ => binary("bellhop-server"),
        };
        let start = clock::now();
        **server = Field::start_bellhop(&mut bound(&program), variant, home)?;
        Ok(clock::seconds(start, clock::now()))
    }

    /// The folder of Bellhop's data, where it runs.
    pub(crate) fn data(&self, subject: Subject) -> Option<PathBuf> {
        match self.hosts.get(&host_of(subject))? {
            Host::Bellhop { home, .. } => Some(home.data()),
            Host::Child { .. } => None,
        }
    }
}

/// Who runs in the same process.
fn host_of(subject: Subject) -> String {
    match subject {
        Subject::Bellhop(Variant { durability, other, .. }) => {
            Subject::Bellhop(Variant { other, ..Variant::of(durability) }).to_string()
        }
        Subject::Peer(peer) => peer.host().to_owned(),
        Subject::Relay(_) => subject.to_string(),
    }
}

fn start_peer(peer: Peer) -> Result<Host, String> {
    let folder = tempfile::tempdir().unwrap();
    let addr = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap();
    let command = peers::command(peer, folder.path(), addr.port());
    let mut command = command.map_err(|error| error.to_string())?;
    let log = std::fs::File::create(folder.path().join("out")).unwrap();
    command.stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let is_up = waited(START, || {
        let ended = child.try_wait().ok().flatten().map(|_| false);
        ended.or_else(|| TcpStream::connect(addr).is_ok().then_some(true))
    });
    if is_up != Some(true) {
        let _ = child.kill();
        let _ = child.wait();
        let said = std::fs::read_to_string(folder.path().join("out")).unwrap_or_default();
        return Err(format!("{} did not start: {}", peer.name(), said.lines().last().unwrap_or_default()));
    }
    Ok(Host::Child { child, addr, _folder: folder })
}
