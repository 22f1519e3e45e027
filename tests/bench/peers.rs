//! Servers of others, as Debian packages them: how they are started so that they do the same work, and nothing keeps
//! them from being fast.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::field::bound;
use crate::proto::Proto;
use crate::proto::irc::Irc;
use crate::proto::jetstream::JetStream;
use crate::proto::mqtt::Mqtt;
use crate::proto::nats::Nats;
use crate::proto::redis::Redis;
use crate::proto::streams::Streams;

/// How many messages are asked for at a time, where they have to be asked for.
const BATCH: usize = 1_000;

/// A server of others, and how it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Peer {
    Nats,
    JetStream,
    Redis,
    RedisAlways,
    RedisEverySecond,
    MosquittoOnce,
    Mosquitto,
    MosquittoKeeps,
    Ngircd,
    Inspircd,
}

/// All of them.
pub(crate) const PEERS: [Peer; 10] = [
    Peer::Nats,
    Peer::JetStream,
    Peer::Redis,
    Peer::RedisAlways,
    Peer::RedisEverySecond,
    Peer::MosquittoOnce,
    Peer::Mosquitto,
    Peer::MosquittoKeeps,
    Peer::Ngircd,
    Peer::Inspircd,
];

impl Peer {
    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Nats => "nats",
            Peer::JetStream => "jetstream",
            Peer::Redis => "redis",
            Peer::RedisAlways => "redis always",
            Peer::RedisEverySecond => "redis everysec",
            Peer::MosquittoOnce => "mosquitto qos0",
            Peer::Mosquitto => "mosquitto qos1",
            Peer::MosquittoKeeps => "mosquitto keeps",
            Peer::Ngircd => "ngircd",
            Peer::Inspircd => "inspircd",
        }
    }

    /// What names its process: some are used in several ways.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Peer::MosquittoOnce => Peer::Mosquitto.name(),
            _ => self.name(),
        }
    }

    fn program(self) -> &'static str {
        match self {
            Peer::Nats | Peer::JetStream => "nats-server",
            Peer::Redis | Peer::RedisAlways | Peer::RedisEverySecond => "redis-server",
            Peer::MosquittoOnce | Peer::Mosquitto | Peer::MosquittoKeeps => "mosquitto",
            Peer::Ngircd => "ngircd",
            Peer::Inspircd => "inspircd",
        }
    }

    /// Where its program is, where it is installed.
    pub(crate) fn path(self) -> Option<PathBuf> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let found = std::env::split_paths(&folders).chain(more).map(|folder| folder.join(self.program()));
        found.into_iter().find(|path| path.is_file())
    }

    /// The version that it says it has.
    pub(crate) fn version(self) -> String {
        let args: &[&str] = match self.program() {
            "mosquitto" => &["-h"],
            _ => &["--version"],
        };
        let said = self.path().and_then(|path| Command::new(path).args(args).output().ok());
        let said =
            said.map(|said| String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or("").to_owned());
        let is_version = |word: &&str| {
            let word = word.trim_start_matches("v=").trim_start_matches('v');
            word.starts_with(|first: char| first.is_ascii_digit())
                || word.contains("-3.") && word.contains("InspIRCd")
        };
        let said = said.unwrap_or_default();
        let word = said.split([' ', '-']).find(is_version).unwrap_or("of unknown version");
        format!("{} {}", self.program(), word.trim_start_matches("v=").trim_end_matches(','))
    }

    /// How it is spoken to.
    pub(crate) fn proto(self) -> Box<dyn Proto> {
        match self {
            Peer::Nats => Box::new(Nats),
            Peer::JetStream => Box::new(JetStream { batch: BATCH }),
            Peer::Redis => Box::new(Redis),
            Peer::RedisAlways | Peer::RedisEverySecond => Box::new(Streams { batch: BATCH }),
            Peer::MosquittoOnce => Box::new(Mqtt { quality: 0, keeps: false }),
            Peer::Mosquitto => Box::new(Mqtt { quality: 1, keeps: false }),
            Peer::MosquittoKeeps => Box::new(Mqtt { quality: 1, keeps: true }),
            Peer::Ngircd | Peer::Inspircd => Box::new(Irc::default()),
        }
    }

    fn config(self, folder: &str, port: u16) -> String {
        match self {
            Peer::Nats | Peer::JetStream => nats(self == Peer::JetStream, folder, port),
            Peer::Redis => redis(
                "appendonly no\nclient-output-buffer-limit pubsub 0 0 0\nclient-output-buffer-limit normal 0 0 0",
                folder,
                port,
            ),
            Peer::RedisAlways => redis("appendonly yes\nappendfsync always", folder, port),
            Peer::RedisEverySecond => redis("appendonly yes\nappendfsync everysec", folder, port),
            Peer::MosquittoOnce | Peer::Mosquitto => mosquitto("persistence false", port),
            Peer::MosquittoKeeps => {
                let keeps = "persistence true\nautosave_interval 1800\nautosave_on_changes false";
                mosquitto(&format!("{keeps}\npersistence_location {folder}/"), port)
            }
            Peer::Ngircd => ngircd(port),
            Peer::Inspircd => inspircd(folder, port),
        }
    }
}

/// The command that starts it, with its config written.
pub(crate) fn command(peer: Peer, folder: &Path, port: u16) -> io::Result<Command> {
    let path = peer.path().ok_or_else(|| io::Error::other("not installed"))?;
    let file = folder.join("config");
    fs::write(&file, peer.config(folder.to_str().unwrap(), port))?;
    fs::write(folder.join("motd"), "hello\n")?;
    let mut command = bound(&path);
    match peer {
        Peer::Nats | Peer::JetStream | Peer::MosquittoOnce | Peer::Mosquitto | Peer::MosquittoKeeps => {
            command.arg("-c").arg(&file)
        }
        Peer::Redis | Peer::RedisAlways | Peer::RedisEverySecond => command.arg(&file),
        Peer::Ngircd => command.arg("-n").arg("-f").arg(&file),
        Peer::Inspircd => {
            if rustix::process::geteuid().is_root() {
                command.arg("--runasroot");
            }
            command.arg("--nofork").arg("--config").arg(&file)
        }
    };
    Ok(command)
}

fn nats(keeps: bool, folder: &str, port: u16) -> String {
    let store = format!("jetstream {{ store_dir: \"{folder}/store\", max_mem: 1G, max_file: 10G }}\n");
    let free = "max_connections: 64000\nmax_pending: 256MB\nwrite_deadline: \"30s\"\n";
    format!("host: 127.0.0.1\nport: {port}\n{free}{}", if keeps { &store } else { "" })
}

fn redis(more: &str, folder: &str, port: u16) -> String {
    let free = "maxclients 15000\ntcp-backlog 4096\nauto-aof-rewrite-percentage 0\nprotected-mode no";
    format!("bind 127.0.0.1\nport {port}\nsave \"\"\ndaemonize no\ndir {folder}\n{free}\n{more}\n")
}

fn mosquitto(more: &str, port: u16) -> String {
    let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
    let free = "max_inflight_messages 0\nmax_queued_messages 0\nmax_queued_bytes 0\nset_tcp_nodelay true";
    format!("listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n{user}{free}\n{more}\n")
}

fn ngircd(port: u16) -> String {
    let user = if rustix::process::geteuid().is_root() { "ServerUID = root\nServerGID = root\n" } else { "" };
    format!(
        "[Global]\nName = irc.local\nInfo = bench\nListen = 127.0.0.1\nPorts = {port}\n{user}MotdPhrase = hello\n\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxNickLength = 30\nMaxPenaltyTime = 0\n\
         PingTimeout = 600\nPongTimeout = 600\n[Options]\nDNS = no\nIdent = no\nPAM = no\nSyslogFacility = local1\n"
    )
}

fn inspircd(folder: &str, port: u16) -> String {
    format!(
        "<server name=\"irc.local\" description=\"bench\" network=\"bench\">\n\
         <admin name=\"x\" nick=\"x\" email=\"x@localhost\">\n\
         <bind address=\"127.0.0.1\" port=\"{port}\" type=\"clients\">\n\
         <connect name=\"main\" allow=\"*\" timeout=\"60\" pingfreq=\"600\" hardsendq=\"64M\" softsendq=\"64M\" \
         recvq=\"16M\" threshold=\"1000000\" commandrate=\"1000000000\" fakelag=\"no\" localmax=\"20000\" \
         globalmax=\"20000\" resolvehostnames=\"no\" useident=\"no\" limit=\"20000\" modes=\"\">\n\
         <limits maxnick=\"31\" maxuser=\"12\">\n\
         <performance somaxconn=\"4096\" softlimit=\"20000\" quietbursts=\"yes\" nouserdns=\"yes\" \
         netbuffersize=\"65536\">\n\
         <options prefixquit=\"Quit: \" defaultmodes=\"\">\n<security hidesplits=\"no\">\n\
         <files motd=\"{folder}/motd\">\n<pid file=\"{folder}/pid\">\n\
         <log method=\"file\" type=\"*\" level=\"default\" target=\"{folder}/log\">\n"
    )
}
