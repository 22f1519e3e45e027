//! `bellhop help`: topics that belong to no command, and the help of each command.

use clap::{Command, CommandFactory};

use super::args::Arguments;
use super::exit::Failure;
use super::output::{End, Output};
use crate::settings::table::TABLE;
use crate::tui::keys_text;

/// The topics, each with a word about it.
const TOPICS: &[(&str, &str)] = &[
    ("keys", "which key does what on the screen"),
    ("raw", "the protocol by hand: 5|bob|hello"),
    ("exit-codes", "what each exit code means, and whether to try again"),
    ("config", "flags, variables and files, and which of them counts"),
];

/// A number, what it means, and whether the same command may be given again.
pub(super) const EXIT_CODES: &[(&str, &str, &str)] = &[
    ("0", "done", ""),
    ("1", "another error", ""),
    ("2", "wrong usage, or a question that could not be asked", "no"),
    ("3", "no server, or no answer in time", "yes"),
    ("4", "wrong name or password, or not logged in", "no"),
    ("5", "no such user or message", "no"),
    ("6", "there is one already", "no"),
    ("7", "the server is not trusted: it is new here, or has changed", "no"),
    ("8", "not the protocol or version that was expected", "no"),
    ("9", "refused by the server: too long, full, too fast; or a message came back", "maybe"),
    ("10", "the server has it, but what --wait asks for did not happen in time", "yes, with --id"),
    ("130", "SIGINT, as Ctrl+C sends it", ""),
    ("131", "SIGQUIT, as Ctrl+\\ sends it", ""),
    ("143", "SIGTERM, or SIGHUP", ""),
];

/// The variables that are looked at.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("BELLHOP_SERVER", "as --server"),
    ("BELLHOP_USER", "as --user"),
    ("BELLHOP_PASSWORD_FILE", "as --password-file; the password itself has no variable"),
    ("BELLHOP_FINGERPRINT", "as --fingerprint"),
    ("BELLHOP_TLS", "as --tls"),
    ("BELLHOP_ACCOUNT", "as --account"),
    ("BELLHOP_CONFIG", "the config file"),
    ("BELLHOP_TIMEOUT", "as --timeout"),
    ("BELLHOP_HOME", "the folder of the history, of what is known of servers, and of logins"),
    ("BELLHOP_LOG", "a file that gets what happens on the connection, without texts and names"),
    ("BELLHOP_GLYPHS", "unicode, wgl4 or ascii: the signs on the screen"),
    ("VISUAL", "the editor of /edit; else EDITOR"),
    ("NO_COLOR", "anything: no colours"),
    ("TERM", "dumb: no colours"),
];

const RAW: &str = "\
An op is its number, a bar, and text: 5|bob|hello. Type it in the box of the
screen, or give it to bellhop raw; the answer has the same number.

  0|PATTERN          list accounts: * and ? stand for characters
  1|NAME|PASSWORD    make an account, and log in as it
  2|NAME|PASSWORD    log in; without a password where the account has none
  3|                 log out
  4|PASSWORD         delete the account
  5|NAME|TEXT        send; the text runs to the end, bars included
  6|                 bring the messages that wait: 6|FROM|TEXT each

Answers: OP|ok|..., OP|more|... where a list goes on, OP|error|CODE|SENTENCE.
Passwords belong on stdin, where no other user sees them. On the screen, a
backslash before the number sends the same characters as a message.
";

pub(crate) async fn run(output: &Output, topic: &[String]) -> Result<(), End> {
    output.page(text(topic)?).await
}

fn text(topic: &[String]) -> Result<String, Failure> {
    let words: Vec<&str> = topic.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(format!("{}\n{}", Arguments::command().render_help(), topics())),
        ["keys"] => Ok(keys_text()),
        ["raw"] => Ok(RAW.to_owned()),
        ["exit-codes"] => Ok(exit_codes()),
        ["config"] => Ok(config()),
        words => of_command(words),
    }
}

fn topics() -> String {
    let lines = TOPICS.iter().map(|(name, about)| format!("  bellhop help {name:<11} {about}\n"));
    format!("Topics:\n{}", lines.collect::<String>())
}

fn exit_codes() -> String {
    let mut text = "Code  Again?          Means\n".to_owned();
    for (code, means, again) in EXIT_CODES {
        text.push_str(&format!("{code:<5} {again:<15} {means}\n"));
    }
    text
}

fn config() -> String {
    let mut text = "\
What counts, the first one first: a flag, its variable, the block of the
account in the config file, the config file, /etc/bellhop/config.toml, the last
login, the default. bellhop config path says where the file is, bellhop config
show --origin what counts and why, bellhop config set changes it.

Keys of the file, and their defaults:

"
    .to_owned();
    for key in TABLE {
        let default = key.default.unwrap_or("-");
        text.push_str(&format!("  {:<18} {default:<14} {}\n", key.name, key.help));
    }
    text.push_str("\n[keys] binds keys to actions by name, [account.NAME] holds what an account has of\nits own.\n\nVariables:\n\n");
    for (name, about) in VARIABLES {
        text.push_str(&format!("  {name:<22} {about}\n"));
    }
    text
}

/// The help of a command, as its `--help` prints it.
fn of_command(words: &[&str]) -> Result<String, Failure> {
    let mut command: Command = Arguments::command();
    command.build();
    for word in words {
        let found = command.find_subcommand(word).filter(|found| !found.is_hide_set()).cloned();
        command = found.ok_or_else(|| {
            let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
            let topics = topics.join(", ");
            Failure::usage(format!("{word:?} is no command and no topic; topics are {topics}"))
        })?;
    }
    Ok(command.render_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn told(topic: &[&str]) -> Result<String, Failure> {
        text(&topic.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_topic_and_every_command_has_its_text() {
        for (topic, _) in TOPICS {
            assert!(told(&[topic]).expect("a text").lines().count() > 5, "{topic}");
        }
        for command in Arguments::command().get_subcommands() {
            let help = told(&[command.get_name()]);
            assert_eq!(help.is_ok(), !command.is_hide_set(), "{}", command.get_name());
        }
        assert!(told(&["trust", "add"]).expect("a text").contains("Usage: bellhop trust add"));
        let failure = told(&["nonsense"]).expect_err("no such topic");
        assert!(failure.sentence.contains("exit-codes"), "{}", failure.sentence);
    }

    #[test]
    fn the_table_of_exit_codes_is_that_of_the_program() {
        let exits = [
            Exit::Done,
            Exit::Other,
            Exit::Usage,
            Exit::Unreachable,
            Exit::NotLoggedIn,
            Exit::NoSuchUser,
            Exit::Exists,
            Exit::Tls,
            Exit::Protocol,
            Exit::Refused,
            Exit::NotYet,
            Exit::Interrupted,
            Exit::Quit,
            Exit::Terminated,
        ];
        let codes: Vec<String> = exits.iter().map(|exit| exit.code().to_string()).collect();
        assert!(EXIT_CODES.iter().map(|(code, ..)| *code).eq(codes.iter().map(String::as_str)));
    }

    #[test]
    fn help_is_narrow_enough_for_any_terminal() {
        for (topic, _) in TOPICS {
            for line in told(&[topic]).expect("a text").lines() {
                assert!(line.chars().count() <= 110, "{topic}: {line}");
            }
        }
    }
}
