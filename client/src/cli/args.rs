//! What may be typed on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Bellhop: messages between people who live in a terminal.
#[derive(Debug, Parser)]
#[command(
    name = "bellhop",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  bellhop                            the screen
  bellhop create alice               make an account, and be it from now on
  bellhop send bob 'lunch?'          send a message; exit 0 when the server has it
  bellhop listen --json              a message a line, until interrupted
  printf '0|\\n5|bob|hi\\n' | bellhop raw

Exit: 0 done, 1 other error, 2 usage, 3 no server or no answer,
      4 not logged in, 5 no such user, 6 already exists, 7 the server is not
      trusted, 8 protocol,
      9 refused by the server, 130 SIGINT, 143 SIGTERM."
)]
pub(crate) struct Arguments {
    /// What goes for every command.
    #[command(flatten)]
    pub(crate) common: Common,
    /// The command; without one, the screen.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What goes for every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The account of the config file to be; else its default_account
    #[arg(long, global = true, value_name = "NAME", env = "BELLHOP_ACCOUNT", hide_env_values = true)]
    pub(crate) account: Option<String>,
    /// The server; else the one used last, else 127.0.0.1:2050
    #[arg(long, global = true, value_name = "HOST:PORT", env = "BELLHOP_SERVER", hide_env_values = true)]
    pub(crate) server: Option<String>,
    /// Who you are; else the one who logged in last
    #[arg(long, global = true, value_name = "NAME", env = "BELLHOP_USER", hide_env_values = true)]
    pub(crate) user: Option<String>,
    /// A file whose first line is the password, and that nobody else can read
    #[arg(long, global = true, value_name = "FILE", env = "BELLHOP_PASSWORD_FILE", hide_env_values = true)]
    pub(crate) password_file: Option<PathBuf>,
    /// The server's key, as it prints it at its start; any other is refused, whatever is known of it
    #[arg(long, global = true, value_name = "SHA256:…", env = "BELLHOP_FINGERPRINT", hide_env_values = true)]
    pub(crate) fingerprint: Option<String>,
    /// How the server proves who it is: auto, on, pin, ca or off; alone: TLS to a server on this machine as well
    #[arg(long, global = true, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "on", env = "BELLHOP_TLS", hide_env_values = true)]
    pub(crate) tls: Option<String>,
    /// How long to wait for the server, as 10s, 500ms or 2m
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// One JSON object a line, on stdout and on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No remarks on stderr, errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The screen, as without a command
    Tui {
        /// Made-up people and a clock that stands still
        #[arg(long)]
        demo: bool,
    },
    /// Send a message
    #[command(after_help = "\
Prints `sent` where the recipient's program was there to take it, and `stored`
where the server keeps it for them; exit 0 means that the server has it.

After exit 3, or a signal, nobody knows. Run the same command again within an
hour: it asks about the same message, and the message arrives once. Later the
same words are another one.

Examples:
  bellhop send bob 'lunch?'
  uptime | bellhop send bob
  bellhop --json send bob hi | jq -r .id")]
    Send {
        /// The recipient
        to: String,
        /// The text; without one, or with -, stdin to its end, without a last line feed
        text: Vec<String>,
    },
    /// Print messages as they come, those that wait first
    #[command(after_help = "\
A message is acknowledged after its line was written, so none is lost when the
reader goes away.

Example:
  bellhop listen --json | jq -r 'select(.type == \"message\") | \"\\(.from): \\(.text)\"'")]
    Listen,
    /// Print the messages that wait, then exit
    Deliver,
    /// List who has an account
    List {
        /// * stands for any characters, ? for one
        pattern: Option<String>,
    },
    /// Make an account and log in as it
    Create {
        /// The new account's name
        user: String,
    },
    /// Log in, so that later commands need no password
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
    Delete {
        /// The account's name
        user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Whom servers have to be: says that one has this key
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "\
A server on another machine is known by its key. The first time, you compare
its fingerprint with the line that the server prints at its start, and say yes;
a script is told the command to give. From then on any other key is refused.

Examples:
  bellhop trust chat.example:2050 SHA256:…
  bellhop trust list
  bellhop trust forget chat.example:2050"
    )]
    Trust(TrustArguments),
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
}

/// What is said of a server, or asked.
#[derive(Debug, Args)]
pub(crate) struct TrustArguments {
    /// The server
    #[arg(value_name = "HOST:PORT", requires = "key")]
    pub(crate) server: Option<String>,
    /// Its key
    #[arg(value_name = "SHA256:…")]
    pub(crate) key: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<TrustCommand>,
}

/// What is done with all of them, or with one.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Print the servers that are known
    List,
    /// Forget a server: the next time it is met as for the first time
    Forget {
        /// The server
        #[arg(value_name = "HOST:PORT")]
        server: String,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| "a number with s, ms or m behind it".to_owned())?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => number,
        "ms" => number / 1_000.0,
        "m" => number * 60.0,
        _ => return Err("the units are ms, s and m".into()),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if (1..=86_400_000).contains(&time.as_millis()) => Ok(time),
        _ => Err("between 1ms and one day".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// Lines that a terminal breaks once more came out ragged.
    #[test]
    fn what_stands_behind_the_help_fits_a_terminal() {
        let command = Arguments::command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter(|line| !line.starts_with("  ")) {
                assert!(line.len() < 80, "{line:?}");
            }
        }
    }

    #[test]
    fn times() {
        let check = |text: &str, ms: Option<u128>| {
            assert_eq!(duration(text).ok().map(|time| time.as_millis()), ms, "{text}");
        };
        check("10s", Some(10_000));
        check("500ms", Some(500));
        check("1.5", Some(1_500));
        check("2m", Some(120_000));
        for wrong in ["", "s", "-1s", "0", "1h", "nan", "inf", "1e9s", "s1"] {
            check(wrong, None);
        }
    }

    #[test]
    fn flags_stand_before_and_after_the_command() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).expect("it parses").common;
        assert!(parse("bellhop --json send bob hi").json);
        assert!(parse("bellhop send bob hi --json").json);
        assert_eq!(parse("bellhop list --user alice").user.as_deref(), Some("alice"));
    }
}
