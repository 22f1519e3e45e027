//! What was typed, in arguments and in a file, becomes what the server needs, with every check made once.
//!
//! An argument wins over the file, the file over the default. Nothing here touches a socket or a database.

pub mod command;
mod file;
pub mod network;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use serde::Deserialize;

use self::command::Command;
use self::file::File;
use self::network::{Network, NetworkError};
use crate::limits::{LimitError, Limits};

/// What ok means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On the disk: survives a power loss.
    Power,
    /// With the operating system: survives kill -9.
    Crash,
    /// In memory: survives nothing.
    None,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Power => "power",
            Durability::Crash => "crash",
            Durability::None => "none",
        })
    }
}

/// Whether accounts need passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Not on the loopback interface, everywhere else.
    Auto,
    /// Nowhere.
    Open,
    /// Everywhere; accounts that have none cannot log in.
    Password,
}

/// Whether whoever comes may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    /// Where accounts need no password.
    Auto,
    /// Everywhere.
    Open,
    /// Nowhere.
    Closed,
}

/// How much the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What ends the server.
    Error,
    /// What an operator should look at.
    Warn,
    /// Starts, stops and settings.
    Info,
    /// Connections and refusals.
    Debug,
    /// Everything but secrets and texts.
    Trace,
}

/// On, or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

const EXAMPLES: &str = "Examples:
  bellhop-server                          listen on 127.0.0.1:2050 and [::1]:2050
  bellhop-server 3000 --data /srv/bellhop another port and folder
  bellhop-server --limit sends=off --limit mailbox=50000
  bellhop-server status                   what the server that runs does, has and allows
  bellhop-server --auth password --register open
                                          passwords for all; whoever comes makes an account

When it is ready the server writes a line `listening on ADDRESS` to standard output for each
address, and then `fingerprint SHA256:...`, what clients know it by; logs go to standard error.
SIGINT or SIGTERM ends it in order; SIGHUP has the certificate read again.";

/// The names of all limits, with their defaults.
fn limits_help() -> String {
    let lines = Limits::default().list().into_iter().map(|(name, value, unit)| {
        let value = if value == u64::MAX { "off".to_owned() } else { value.to_string() };
        format!("  {:<28}{}", format!("{name}={value}"), unit.name()).trim_end().to_owned()
    });
    format!(
        "Limits, as they are without --limit (all=off switches off every one that can be off):\n{}",
        lines.collect::<Vec<_>>().join("\n")
    )
}

/// The command line.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "bellhop-server",
    version,
    about = "The Bellhop server: accounts, mailboxes and delivery, with SQLite inside",
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", limits_help()),
    args_conflicts_with_subcommands = true,
)]
pub struct Args {
    /// The port to listen on [default: 2050]
    #[arg(value_name = "PORT")]
    pub port: Option<u16>,

    /// An address to listen on, or an address and a port; may be given more than once
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,

    /// The folder for everything that is kept, closed to other users [default: the platform's data folder, and the
    /// port]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// What "ok" means to a sender [default: power]
    #[arg(long, value_enum)]
    pub durability: Option<Durability>,

    /// Whether accounts need passwords [default: auto]
    #[arg(long, value_enum)]
    pub auth: Option<Auth>,

    /// Whether whoever comes may make an account [default: auto]
    #[arg(long, value_enum)]
    pub register: Option<Register>,

    /// Whether people who are logged in are told who is online and who is typing [default: on]
    #[arg(long, value_enum)]
    pub presence: Option<Switch>,

    /// The server's certificate and those that vouch for it, in PEM [default: its own, made at the first start]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's key, in PEM, closed to other users
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// A network, such as 10.0.0.0/8, from which frames are taken without TLS; may be given more than once
    #[arg(long, value_name = "CIDR")]
    pub plaintext_from: Vec<String>,

    /// A bound, such as sends=off or mailbox=50000; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    pub limit: Vec<String>,

    /// A file with the same settings, in TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Start although acknowledged messages are missing, when a start has said so: go on with what is there
    #[arg(long)]
    pub accept_loss: bool,

    /// How much the log tells [default: info]
    #[arg(long, value_enum)]
    pub log: Option<LogLevel>,

    /// Whether the log tells the addresses of those who connect [default: on]
    #[arg(long, value_enum)]
    pub log_addresses: Option<Switch>,

    /// What the operator asks; without it, the server runs
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub addr: SocketAddr,
    /// True where it is left out, with a line in the log, if the machine does not have its family.
    pub optional: bool,
}

/// What the server needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Sockets that a service manager opened, which stand for the addresses.
    pub sockets: Vec<Arc<TcpListener>>,
    /// The folder for everything that is kept.
    pub data: PathBuf,
    /// What ok means.
    pub durability: Durability,
    /// Whether accounts need passwords.
    pub auth: Auth,
    /// Whether whoever comes may make an account.
    pub register: Register,
    /// Whether people are told who is online and who is typing.
    pub presence: Switch,
    /// True where the server is to start although acknowledged messages are missing.
    pub accept_loss: bool,
    /// The files of the certificate and its key, where the server is not to use its own.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// From where frames are taken without TLS.
    pub plaintext_from: Vec<Network>,
    /// The bounds.
    pub limits: Limits,
    /// How much the log tells.
    pub log: LogLevel,
    /// Whether it tells the addresses of those who connect.
    pub log_addresses: Switch,
}

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong there.
        message: String,
    },
    /// An address is none.
    #[error(
        "{place}: '{text}' is no address: give 127.0.0.1, ::1, or one with a port such as 127.0.0.1:2050"
    )]
    Address {
        /// Where it is given.
        place: String,
        /// What is given.
        text: String,
    },
    /// An address is given more than once.
    #[error("{place}: {addr} is given twice")]
    Twice {
        /// Where it is given again.
        place: String,
        /// The address.
        addr: SocketAddr,
    },
    /// A network is none.
    #[error("{place}: {cause}")]
    Network {
        /// Where it is given.
        place: String,
        /// Why.
        cause: NetworkError,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{0}: a certificate and its key are given together, as tls-cert and tls-key")]
    HalfPair(String),
    /// A limit is none.
    #[error("{place}: {cause}")]
    Limit {
        /// Where it is given.
        place: String,
        /// Why.
        cause: LimitError,
    },
    /// Two limits do not fit each other.
    #[error("{0}")]
    Limits(LimitError),
    /// A service manager passed something that cannot be listened on.
    #[error(
        "socket {place} that was passed is no listening TCP socket ({why}): a socket unit needs ListenStream= with an address and a port, and Accept=no"
    )]
    Socket {
        /// The how-manieth it is.
        place: usize,
        /// What it is.
        why: String,
    },
    /// The platform has no data folder.
    #[error("cannot find a folder for data: give one with --data ({0})")]
    NoDataFolder(String),
}

impl Config {
    /// Reads the file that the arguments name, and puts both together.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names what was given and what is wrong with it.
    pub fn load(args: Args) -> Result<Config, ConfigError> {
        let file = match &args.config {
            None => File::default(),
            Some(path) => File::read(path)?,
        };
        build(args, file)
    }

    /// The same with the text of a file; `path` is what errors call it.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn of(args: Args, path: &Path, text: String) -> Result<Config, ConfigError> {
        build(args, File::parse(path, text)?)
    }
}

fn build(args: Args, file: File) -> Result<Config, ConfigError> {
    let port = args.port.or(file.port).unwrap_or(bellhop_protocol::PORT);
    let mut limits = Limits::default();
    let given = args.limit.into_iter().map(|setting| ("--limit".to_owned(), setting));
    for (place, setting) in file.limits().chain(given) {
        limits.apply(&setting).map_err(|cause| ConfigError::Limit { place, cause })?;
    }
    limits.check().map_err(ConfigError::Limits)?;
    let given = match args.listen.is_empty() {
        true => file.listen(),
        false => args.listen.iter().map(|text| ("--listen".to_owned(), text.as_str())).collect(),
    };
    let listen = addresses(given, port)?;
    let given = match args.plaintext_from.is_empty() {
        true => file.plaintext_from(),
        false => {
            args.plaintext_from.iter().map(|text| ("--plaintext-from".to_owned(), text.as_str())).collect()
        }
    };
    let plaintext_from = given
        .into_iter()
        .map(|(place, text)| Network::parse(text).map_err(|cause| ConfigError::Network { place, cause }))
        .collect::<Result<Vec<Network>, ConfigError>>()?;
    let in_file = (file.tls_cert.clone(), file.tls_key.clone());
    let tls = pair((args.tls_cert, args.tls_key), in_file, || file.name())?;
    let data = match args.data.or(file.data) {
        Some(data) => data,
        None => default_data(port)?,
    };
    Ok(Config {
        listen,
        sockets: Vec::new(),
        data,
        durability: args.durability.or(file.durability).unwrap_or(Durability::Power),
        auth: args.auth.or(file.auth).unwrap_or(Auth::Auto),
        register: args.register.or(file.register).unwrap_or(Register::Auto),
        presence: args.presence.or(file.presence).unwrap_or(Switch::On),
        accept_loss: args.accept_loss,
        tls,
        plaintext_from,
        limits,
        log: args.log.or(file.log).unwrap_or(LogLevel::Info),
        log_addresses: args.log_addresses.or(file.log_addresses).unwrap_or(Switch::On),
    })
}

fn addresses(given: Vec<(String, &str)>, port: u16) -> Result<Vec<Listen>, ConfigError> {
    if given.is_empty() {
        let both: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(both.map(|ip| Listen { addr: SocketAddr::new(ip, port), optional: true }).into());
    }
    let mut listen: Vec<Listen> = Vec::new();
    for (place, text) in given {
        let addr = address(&place, text, port)?;
        if listen.iter().any(|other| other.addr == addr) {
            return Err(ConfigError::Twice { place, addr });
        }
        listen.push(Listen { addr, optional: false });
    }
    Ok(listen)
}

fn address(place: &str, text: &str, port: u16) -> Result<SocketAddr, ConfigError> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let mut addr = match (text.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(addr), _) => addr,
        (_, Ok(ip)) => SocketAddr::new(ip, port),
        _ => return Err(ConfigError::Address { place: place.to_owned(), text: text.to_owned() }),
    };
    // An IPv4 address that is written as one of IPv6 cannot be had on a socket for IPv6 alone.
    addr.set_ip(addr.ip().to_canonical());
    Ok(addr)
}

/// The pair that is given, as a whole: a certificate from the command line does not fit a key from the file.
fn pair(
    given: (Option<PathBuf>, Option<PathBuf>),
    file: (Option<PathBuf>, Option<PathBuf>),
    place: impl Fn() -> String,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    match (given, file) {
        ((Some(cert), Some(key)), _) | ((None, None), (Some(cert), Some(key))) => Ok(Some((cert, key))),
        ((None, None), (None, None)) => Ok(None),
        ((None, None), _) => Err(ConfigError::HalfPair(place())),
        (_, _) => Err(ConfigError::HalfPair("the command line".to_owned())),
    }
}

fn default_data(port: u16) -> Result<PathBuf, ConfigError> {
    use etcetera::BaseStrategy;
    let folders =
        etcetera::choose_base_strategy().map_err(|error| ConfigError::NoDataFolder(error.to_string()))?;
    // A folder that roams with its user would bring a database to another machine while it is written. On Windows the one
    // for caches is the one that stays.
    let folder = if cfg!(windows) { folders.cache_dir() } else { folders.data_dir() };
    // The port in the name keeps two servers of one machine apart.
    Ok(folder.join("bellhop-server").join(port.to_string()))
}

#[cfg(test)]
mod tests;
