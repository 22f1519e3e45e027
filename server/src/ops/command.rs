//! A command of the operator becomes an exit code: 0 done, 1 not done, 2 for words that make no sense.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::caller::ask;
use super::wire::{Answer, Request};
use super::{database, identity, secret, show, words};
use crate::config::Config;
use crate::config::command::{Command, Place, User};

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Why a command was not done.
enum Failure {
    /// The words make no sense.
    Usage(String),
    /// It could not be done.
    Failed(anyhow::Error),
    /// It was done, and what was found is bad; that was said.
    Found,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Failed(error.into())
    }
}

/// Does what was asked.
pub fn run(command: Command) -> ExitCode {
    match dispatch(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Found) => ExitCode::FAILURE,
        Err(Failure::Failed(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
        Err(Failure::Usage(error)) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Fingerprint { place } => Ok(identity::fingerprint(place)?),
        Command::RotateKey { place } => Ok(identity::rotate(place)?),
        Command::Status { json, watch, place } => status(&config(place)?, json, watch),
        Command::User(user) => accounts(user),
        Command::Backup { file, place } => {
            database::is_file_name(&file).map_err(usage)?;
            Ok(database::backup(&config(place)?, &file, &mut io::stdout())?)
        }
        Command::Check { place } => match database::check(&config(place)?, &mut io::stdout())? {
            true => Ok(()),
            false => Err(Failure::Found),
        },
        Command::Why { what, json, place } => {
            Ok(ask(&config(place)?, Request::Why { what }, &mut |answer| print(answer, json))?)
        }
        Command::Drain { grace, place } => {
            ask(&config(place)?, Request::Drain { grace }, &mut |answer| print(answer, false))?;
            Ok(writeln!(io::stdout(), "the server has ended")?)
        }
    }
}

fn status(config: &Config, json: bool, watch: bool) -> Result<(), Failure> {
    let mut clears = watch && !json && io::stdout().is_terminal();
    loop {
        ask(config, Request::Status, &mut |answer| {
            if clears {
                write!(io::stdout(), "{CLEAR}")?;
            }
            print(answer, json)
        })?;
        if !watch {
            return Ok(());
        }
        clears = !json && io::stdout().is_terminal();
        std::thread::sleep(WATCH_EVERY);
    }
}

fn accounts(user: User) -> Result<(), Failure> {
    let (place, request) = match user {
        User::Add { name, no_password, password_file, place } => {
            let password = match no_password {
                true => None,
                false => Some(secret::new_password(password_file.as_deref())?),
            };
            (place, Request::UserAdd { name, password })
        }
        User::Passwd { name, password_file, place } => {
            let password = secret::new_password(password_file.as_deref())?;
            (place, Request::UserPasswd { name, password })
        }
        User::Del { name, yes, place } => {
            if !yes {
                confirm(&name)?;
            }
            (place, Request::UserDel { name })
        }
        User::List { glob, json, place } => return list(&config(place)?, glob, json),
    };
    Ok(ask(&config(place)?, request, &mut |answer| print(answer, false))?)
}

fn list(config: &Config, glob: Option<String>, json: bool) -> Result<(), Failure> {
    let mut head = !json;
    Ok(ask(config, Request::UserList { glob }, &mut |answer| {
        if std::mem::take(&mut head) {
            write!(io::stdout(), "{}", show::user_head())?;
        }
        print(answer, json)
    })?)
}

/// Whoever deletes an account means that one.
fn confirm(name: &str) -> Result<(), Failure> {
    let shown = words::clean(name);
    let question = format!("Deletes {shown}, and all that waits for it. The name once more: ");
    match secret::ask_seen(&question).map_err(usage)? == name {
        true => Ok(()),
        false => Err(Failure::Usage("this is another name; nothing was deleted".into())),
    }
}

/// The config of the server that is meant.
fn config(place: Place) -> Result<Config, Failure> {
    Config::load(place.into()).map_err(usage)
}

fn usage(error: impl Display) -> Failure {
    Failure::Usage(error.to_string())
}

fn print(answer: &Answer, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match (answer, json) {
        (Answer::Status(status), true) => serde_json::to_writer(&mut out, status)?,
        (Answer::User(user), true) => serde_json::to_writer(&mut out, user)?,
        (Answer::Why(why), true) => serde_json::to_writer(&mut out, why)?,
        (Answer::Status(status), false) => write!(out, "{}", show::status(status))?,
        (Answer::User(user), false) => write!(out, "{}", show::user(user))?,
        (Answer::Why(why), false) => write!(out, "{}", show::why(why))?,
        (Answer::Note(note), _) => writeln!(out, "{}", words::clean(note))?,
        (Answer::Done | Answer::Error(_), _) => {}
    }
    if json {
        writeln!(out)?;
    }
    out.flush()
}

/// One line, whatever is in it.
#[expect(clippy::print_stderr, reason = "what a command could not do is said where a person reads it")]
fn complain(error: &str) {
    eprintln!("bellhop-server: {}", words::clean(error));
}
