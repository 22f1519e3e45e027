//! The commands that may be typed, and what their help says.
//!
//! What stands under `Examples:` is also in the man pages, and a test runs every line of it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The screen, as without a command
    Tui {
        /// Made-up people and a clock that stands still
        #[arg(long)]
        demo: bool,
        /// Lines instead of a screen: for screen readers and scripts; so it is where TERM is dumb
        #[arg(long, conflicts_with = "demo")]
        plain: bool,
    },
    /// Send a message
    #[command(after_help = "\
Prints `sent` where the recipient's program was there to take it, and `stored`
where the server keeps it for them; exit 0 means that the server has it.

After exit 3, or a signal, nobody knows. Run the same command again within an
hour: it asks about the same message, and the message arrives once. Later the
same words are another one. With --id it is the same one for ever: a command
that is repeated under an id never sends twice, and prints what became of it.

--wait delivered goes on until a program of the recipient has the message; exit
10 says that this did not happen within --timeout, and that the server has it.
It takes no messages meanwhile: they are left to those programs of yours that
read. Where none does, and more waits than a server sends at once, no receipt
comes either.

Examples:
  bellhop send bob 'lunch?'
  uptime | bellhop send bob
  bellhop --json send bob hi | jq -r .id
  seq 3 | bellhop send bob --lines
  bellhop send bob 'the backup is done' --id backup-2026-11-21")]
    Send(SendArguments),
    /// Print the messages that wait, then exit
    #[command(after_help = "\
A message is acknowledged after its line was written, and where a pipe reads
it, when it was read: so none is lost when the reader goes away.

Examples:
  bellhop deliver
  bellhop deliver --json | head -n 1
  bellhop deliver --from bob --max 10")]
    Deliver(DeliverArguments),
    /// Print messages as they come, those that wait first: deliver --follow
    #[command(after_help = "\
Examples:
  bellhop listen --json | jq -r 'select(.type == \"message\") | \"\\(.from): \\(.text)\"'")]
    Listen(Reading),
    /// List who has an account
    #[command(after_help = "\
Examples:
  bellhop list
  bellhop list 'al*' --limit 20
  bellhop list --online")]
    List {
        /// * stands for any characters, ? for one
        pattern: Option<String>,
        /// Names at most
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Only those who are online; needs a login
        #[arg(long)]
        online: bool,
    },
    /// Make an account and log in as it
    #[command(after_help = "\
Examples:
  bellhop create carol")]
    Create {
        /// The new account's name
        user: String,
    },
    /// Log in, so that later commands need no password
    #[command(after_help = "\
Examples:
  bellhop login alice")]
    Login {
        /// The account's name; else the one who logged in last
        user: Option<String>,
    },
    /// Give the account another password
    #[command(after_help = "\
Asks for both on the terminal, where no file is given. All other logins of the
account end, on other machines as well; this home's are made anew.")]
    Passwd {
        /// A file whose first line is the new password, and that nobody else can read; --password-file is for the old one
        #[arg(long, value_name = "FILE")]
        new_password_file: Option<PathBuf>,
    },
    /// Forget the login
    Logout,
    /// Delete an account and everything that waits for it
    #[command(after_help = "\
Examples:
  bellhop delete carol --yes")]
    Delete {
        /// The account's name
        user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Whom servers have to be: which key each one has
    #[command(
        subcommand,
        after_help = "\
A server on another machine is known by its key. The first time, you compare
its fingerprint with the line that the server prints at its start, and say yes;
a script is told the command to give. From then on any other key is refused.

Examples:
  bellhop trust add chat.example:2050 SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0
  bellhop trust list
  bellhop trust remove chat.example:2050"
    )]
    Trust(TrustCommand),
    /// The config file: where it is, what counts and why, one setting changed
    #[command(after_help = "\
What counts is, in this order: a flag, a BELLHOP_* variable, the block of the
account, the config file, /etc/bellhop/config.toml, the last login, a default.

Examples:
  bellhop config show --origin
  bellhop config set ui.theme dark
  bellhop config set account.work.server chat.example
  bellhop config check")]
    Config(super::config::ConfigArguments),
    /// Speak the protocol by hand: OP|TEXT
    #[command(after_help = "\
Prints OP|STATUS|TEXT for every answer, and 6|FROM|TEXT for a message that
comes in between. Logs in first where it is known who you are, unless an op
that was given, or the first line, does that. Passwords go on stdin, never in
an OP.

Examples:
  bellhop raw '0|' '5|bob|hello'
  printf '2|alice\\n6|\\n' | bellhop raw")]
    Raw {
        /// Ops; without any, lines on stdin
        ops: Vec<String>,
    },
    /// Connect, and say where to, as whom, through what and how fast
    #[command(after_help = "\
Examples:
  bellhop status
  bellhop --json status | jq .round_trip_ms")]
    Status,
    /// Look for what is wrong: files, server, TLS, login, clock, terminal
    #[command(after_help = "\
Prints a line a check, and what to do where one is not good. The exit code is
that of the first one that failed; a warning is no failure.

Examples:
  bellhop doctor")]
    Doctor,
    /// Print what each key that is pressed sends here, and what it does
    #[command(after_help = "\
Ctrl+C ends it.")]
    Keys,
    /// Print completions for a shell
    #[command(after_help = "\
Names are completed from what is kept on this machine; no server is asked.

Examples:
  source <(bellhop completions bash)
  bellhop completions zsh > _bellhop
  bellhop completions fish > bellhop.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write all of them into a folder
    #[command(after_help = "\
Examples:
  bellhop man | man -l -
  bellhop man man1")]
    Man {
        /// The folder; made where it is not there
        folder: Option<PathBuf>,
    },
    /// Explain keys, raw, exit-codes or config; or a command
    #[command(after_help = "\
Examples:
  bellhop help exit-codes
  bellhop help send")]
    Help {
        /// A topic, or a command
        topic: Vec<String>,
    },
    /// The names that are kept here, for completions
    #[command(name = "complete-names", hide = true)]
    CompleteNames,
}

/// What to send, and what to wait for.
#[derive(Debug, Args)]
pub(crate) struct SendArguments {
    /// The recipient
    pub(crate) to: String,
    /// The text; without one, or with -, stdin to its end, without a last line feed
    pub(crate) text: Vec<String>,
    /// Each line of stdin is a message, sent as it comes; empty ones are passed over
    #[arg(long, conflicts_with_all = ["text", "wait"])]
    pub(crate) lines: bool,
    /// Whatever names this message to you, such as a job's number: under one id nothing is sent twice
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) id: Option<String>,
    /// How far the message has to come
    #[arg(long, value_name = "STATE", default_value = "sent", value_enum)]
    pub(crate) wait: Wait,
}

/// How far a message has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// The server has it.
    Sent,
    /// A program of the recipient has it.
    Delivered,
}

/// Which messages, and how many.
#[derive(Debug, Args)]
pub(crate) struct DeliverArguments {
    /// Go on with what comes, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What is read, for `deliver` and `listen` alike.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// Messages at most; the others go on waiting
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max: Option<u64>,
    /// Only what this user wrote; everything else goes on waiting
    #[arg(long, value_name = "USER")]
    pub(crate) from: Option<String>,
    /// no: only look, so that everything comes again
    #[arg(long, value_name = "YES|NO", default_value = "yes", value_enum, hide_possible_values = true)]
    pub(crate) ack: Ack,
    /// Texts as they were sent, whatever they do to a terminal
    #[arg(long)]
    pub(crate) bytes: bool,
}

/// Whether what was printed is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ack {
    Yes,
    No,
}

/// What is done with the servers that are known.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Print the servers that are known
    List,
    /// Say that a server has this key
    Add {
        /// The server
        #[arg(value_name = "HOST:PORT")]
        server: String,
        /// Its key, as it prints it at its start
        #[arg(value_name = "SHA256:…")]
        key: String,
    },
    /// Forget a server: the next time it is met as for the first time
    #[command(alias = "forget")]
    Remove {
        /// The server
        #[arg(value_name = "HOST:PORT")]
        server: String,
    },
}

/// A shell that completions are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    Power,
    #[value(name = "nushell")]
    Nu,
}

/// The longest id.
const ID_MAX: usize = 200;

fn id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > ID_MAX {
        return Err(format!("an id has 1 to {ID_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("an id holds no control characters".into());
    }
    Ok(text.to_owned())
}
