//! What may be typed on the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ColorChoice, Parser, ValueEnum};

use super::commands::Command;

/// Bellhop: messages between people who live in a terminal.
#[derive(Debug, Parser)]
#[command(
    name = "bellhop",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  bellhop create alice               # make an account, and be it from now on
  bellhop send bob 'lunch?'          # exit code 0 when the server has it
  bellhop listen --json              # a message a line, until interrupted

Without a command it is the screen. More: bellhop help keys, raw, exit-codes
or config; bellhop help COMMAND."
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
    /// A descriptor that was opened before, from which the password is read as from a file (unix)
    #[arg(long, global = true, value_name = "N")]
    pub(crate) password_fd: Option<u16>,
    /// The server's key, as it prints it at its start; any other is refused, whatever is known of it
    #[arg(long, global = true, value_name = "SHA256:…", env = "BELLHOP_FINGERPRINT", hide_env_values = true)]
    pub(crate) fingerprint: Option<String>,
    /// How the server proves who it is: auto, on, pin, ca or off; alone: TLS to a server on this machine as well
    #[arg(long, global = true, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "on", env = "BELLHOP_TLS", hide_env_values = true)]
    pub(crate) tls: Option<String>,
    /// How long to wait for the server, as 10s, 500ms or 2m
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = duration, env = "BELLHOP_TIMEOUT", hide_env_values = true)]
    pub(crate) timeout: Duration,
    /// One JSON object a line, on stdout and on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No remarks on stderr, errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Colours on a terminal; never with NO_COLOR or TERM=dumb, unless always is asked for
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        value_enum,
        hide_possible_values = true
    )]
    pub(crate) color: When,
}

/// When something is done that depends on what reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// Where it is a terminal.
    Auto,
    Always,
    Never,
}

/// What `--color` says, for help and mistakes: these are told before anything is parsed.
pub(crate) fn colour_of_help(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    let behind = words.iter().zip(words.iter().skip(1)).filter(|(flag, _)| *flag == "--color");
    let joined = words.iter().filter_map(|word| word.strip_prefix("--color="));
    match joined.chain(behind.map(|(_, value)| value.as_str())).last() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// How long a server may take, where nobody says it.
const TIMEOUT: Duration = Duration::from_secs(10);

fn duration(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        // A variable that is empty says nothing.
        return Ok(TIMEOUT);
    }
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
        check("", Some(10_000));
        for wrong in ["s", "-1s", "0", "1h", "nan", "inf", "1e9s", "s1"] {
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
