//! The operator's commands, as they are typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::Args;

/// What the operator asks of a server.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// What a running server does, has and allows
    #[command(after_help = "\
Examples:
  bellhop-server status
  bellhop-server status --watch 3000
  bellhop-server status --json | jq .counters")]
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// Again every two seconds, until interrupted
        #[arg(long)]
        watch: bool,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// Accounts: add, passwd, del, list; on a running server or on one that is stopped
    #[command(subcommand)]
    User(User),
    /// Copy everything that is kept into one file, while the server runs or while it does not
    #[command(after_help = "\
The file is made whole or not at all, and is checked before it is named. To go back to it: stop the
server, put the file into an empty data folder as bellhop.db, and start. Keys and certificates (the
folder tls) are not in it.")]
    Backup {
        /// The file to make; one that is there is not overwritten
        file: PathBuf,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// Look whether what is kept is whole; exit 1 and a line for each finding where it is not
    Check {
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// Where a message is, or what waits for a user, and what happens next
    Why {
        /// A message's id, or a user's name
        #[arg(value_name = "ID|USER")]
        what: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// What clients know the server by
    Fingerprint {
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// Make the server a new key, which the old one vouches for, while it runs or while it does not
    #[command(after_help = "\
Clients that know the old key come to know the new one by themselves. The old key is destroyed.
This is no help after a theft: whoever has the old key can make such a new key as well. Then remove
the folder tls from the data folder, start the server, and tell everybody the new fingerprint.")]
    RotateKey {
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// Take no more connections, let those that are there finish, and end the server
    Drain {
        /// After so many seconds whoever still speaks is told to go
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3_600))]
        grace: u64,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
}

/// What the operator does with accounts.
#[derive(Clone, Debug, Subcommand)]
pub enum User {
    /// Make an account
    #[command(after_help = "\
The password is typed twice on a terminal, or is the first line of standard input or of a file that
nobody else can read. It is never an argument.

Examples:
  bellhop-server user add alice
  bellhop-server user add alice --password-file /run/secrets/alice
  bellhop-server user add robot --no-password   where accounts need none")]
    Add {
        /// The account's name
        name: String,
        /// Without a password: it logs in only where accounts need none
        #[arg(long, conflicts_with = "password_file")]
        no_password: bool,
        /// A file whose first line is the password, and that nobody else can read
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// Give an account another password, and end its sessions
    Passwd {
        /// The account's name
        name: String,
        /// A file whose first line is the password, and that nobody else can read
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// Delete an account, with all that waits for it
    Del {
        /// The account's name
        name: String,
        /// Without asking for the name again
        #[arg(long)]
        yes: bool,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
    /// The accounts: name, uuid, since when, what waits, devices, last seen
    List {
        /// Only names that look like this, with * and ?
        glob: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Which server.
        #[command(flatten)]
        place: Place,
    },
}

/// Which server is meant: the one with this port, this folder or this config file.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Place {
    /// The port it was started with [default: 2050]
    #[arg(value_name = "PORT")]
    port: Option<u16>,

    /// The folder it was started with [default: the platform's data folder, and the port]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The config file it was started with
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl From<Place> for Args {
    /// What the server would have been started with.
    fn from(place: Place) -> Args {
        let Place { port, data, config } = place;
        Args { port, data, config, ..Args::default() }
    }
}
