//! The command line: what was typed becomes a command, a command becomes an exit code.
//!
//! [`main`] is all of it. `args` and `commands` say what may be typed, `setup` what it means, `output` is the one place
//! that prints; then a file a command.

mod account;
mod args;
mod choice;
mod commands;
mod completions;
mod config;
mod doctor;
mod exit;
mod help;
mod keys;
mod list;
mod man;
mod output;
mod passwd;
mod password;
mod raw;
mod reader;
mod receive;
mod send;
mod session;
mod setup;
mod status;
mod trust;
mod wire;

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::log;
use crate::plain;
use crate::signals::Signals;
use crate::tui;
use args::{Arguments, Common};
use commands::Command;
use exit::{Exit, Failure};
use output::{Colours, End, Output};
use receive::Follow;
use setup::Setup;

/// Runs the program that the command line asks for.
pub fn main() -> ExitCode {
    let command = Arguments::command().color(args::colour_of_help(std::env::args_os()));
    let parsed = command.try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return unparsed(&error),
    };
    let Common { json, quiet, color, .. } = arguments.common;
    let output = Output::new(json, quiet, Colours::choose(color, |name| std::env::var(name).ok()));
    let exit = match log().and_then(|()| run(arguments, &output)) {
        Ok(()) | Err(End::Gone(_)) => Exit::Done,
        Err(End::Signal(exit)) => exit,
        Err(End::Failed(failure)) => {
            output.error(&failure);
            failure.exit
        }
    };
    ExitCode::from(exit.code())
}

/// Begins to write down what happens on the connection, where somebody wants that.
fn log() -> Result<(), End> {
    match std::env::var_os("BELLHOP_LOG").filter(|path| !path.is_empty()) {
        Some(path) => log::begin(path.as_ref()).map_err(|error| Failure::usage(error).into()),
        None => Ok(()),
    }
}

/// Help and version are results; anything else is a mistake, told as an object where objects are wanted.
fn unparsed(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let sentence = error.to_string();
        let first = sentence.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Output::new(true, false, Colours::default()).error(&Failure::usage(first));
    } else {
        // Where it cannot be printed there is nobody to read it.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() })
}

fn run(arguments: Arguments, output: &Output) -> Result<(), End> {
    let Arguments { common, command } = arguments;
    match command {
        Some(Command::Tui { plain: true, .. }) => lines(&common, output),
        None | Some(Command::Tui { .. }) if !(io::stdin().is_terminal() && io::stdout().is_terminal()) => {
            if !common.json {
                // Where it cannot be printed there is nobody to read it.
                let _ = write!(io::stderr(), "{}", Arguments::command().render_help());
            }
            Err(Failure::usage("the screen needs a terminal on stdin and stdout; say what to do instead")
                .into())
        }
        None | Some(Command::Tui { demo: false, .. }) if is_dumb() => lines(&common, output),
        None => screen(&common, false),
        Some(Command::Tui { demo, .. }) => screen(&common, demo),
        Some(command) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(Failure::local)?;
            let done = runtime.block_on(dispatch(command, &common, output));
            // A thread that waits for stdin would hold the process until somebody types.
            runtime.shutdown_background();
            done
        }
    }
}

fn screen(common: &Common, demo: bool) -> Result<(), End> {
    let code =
        if demo { tui::run_demo(choice::read(common)?) } else { tui::run(Setup::new(common)?.start()?) };
    match Exit::of_screen(code.map_err(unshowable)?) {
        Exit::Done => Ok(()),
        // What there is to say was said.
        exit => Err(End::Signal(exit)),
    }
}

/// Why there is no screen: what was chosen for it cannot be, or the terminal.
fn unshowable(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidInput => Failure::usage(error.to_string()),
        _ => Failure::local(error),
    }
}

/// True for a terminal that cannot be drawn on.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}

/// The client without a screen.
fn lines(common: &Common, output: &Output) -> Result<(), End> {
    let mut setup = Setup::new(common)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::local)?;
    let done = runtime.block_on(async {
        for warning in &setup.choice.warnings() {
            output.remark(warning).await;
        }
        interruptible(trust::meet(&setup, common)).await?;
        interruptible(setup.fetch_password()).await
    });
    // A thread that waits for whatever prints the password would hold the process.
    runtime.shutdown_background();
    done?;
    let (ui, asks, wait, ask) = (setup.ui.clone(), setup.asks, common.timeout, unseen);
    let over = plain::run(plain::Start { person: setup.person(), ui, asks, wait, ask });
    match Exit::of_lines(over.map_err(Failure::local)?) {
        Exit::Done => Ok(()),
        // What there is to say stands in its lines.
        exit => Err(End::Signal(exit)),
    }
}

/// Asks on the terminal, without echo.
fn unseen(question: String) -> plain::Unseen {
    Box::pin(async move { password::ask(&question).await.ok() })
}

async fn dispatch(command: Command, common: &Common, output: &Output) -> Result<(), End> {
    // These are about this program alone.
    match &command {
        Command::Completions { shell } => return completions::run(output, *shell).await,
        Command::CompleteNames => return completions::names(output).await,
        Command::Man { folder } => return man::run(output, folder.clone()).await,
        Command::Help { topic } => return help::run(output, topic).await,
        Command::Keys => return interruptible(keys::run(common, output)).await,
        _ => {}
    }
    if let Command::Config(arguments) = command {
        return config::run(common, output, arguments).await;
    }
    let mut setup = Setup::new(common)?;
    for warning in setup.choice.warnings() {
        output.remark(&warning).await;
    }
    match command {
        Command::Trust(command) => return trust::run(&setup, output, command).await,
        // It tells of a server that is not known, and asks nothing.
        Command::Doctor => return interruptible(doctor::run(&setup, common, output)).await,
        // What logout has to do is mostly here.
        Command::Logout => {}
        _ => interruptible(trust::meet(&setup, common)).await?,
    }
    if needs_login(&command) {
        interruptible(setup.fetch_password()).await?;
    }
    let known = setup.known()?;
    let done = work(command, &mut setup, common, output).await;
    if let Some(news) = trust::news(&setup, known) {
        output.remark(&news).await;
    }
    done
}

/// It logs in by itself, as whoever it is known to be; the others ask for a password, or need none.
fn needs_login(command: &Command) -> bool {
    !matches!(
        command,
        Command::Create { .. }
            | Command::Login { .. }
            | Command::Passwd { .. }
            | Command::Delete { .. }
            | Command::Logout
    )
}

async fn work(command: Command, setup: &mut Setup, common: &Common, output: &Output) -> Result<(), End> {
    match command {
        Command::Tui { .. } => Ok(()),
        // These have something to finish when a signal comes, and see to it themselves.
        Command::Send(arguments) => send::run(setup, common, output, &arguments).await,
        Command::Listen(reading) => receive::run(setup, common, output, Follow::Always, &reading).await,
        Command::Deliver(arguments) => {
            let follow = if arguments.follow { Follow::Always } else { Follow::Waiting };
            receive::run(setup, common, output, follow, &arguments.reading).await
        }
        command => interruptible(ask(command, setup, common, output)).await,
    }
}

/// The commands that may be dropped at any moment.
async fn ask(command: Command, setup: &mut Setup, common: &Common, output: &Output) -> Result<(), End> {
    match command {
        Command::List { pattern, limit, online } => {
            list::run(setup, common, output, pattern.as_deref(), limit, online).await
        }
        Command::Status => status::run(setup, common, output).await,
        Command::Create { user } => account::create(setup, common, output, &user).await,
        Command::Login { user } => account::login(setup, common, output, user.as_deref()).await,
        Command::Passwd { new_password_file } => passwd::run(setup, common, output, new_password_file).await,
        Command::Logout => account::logout(setup, common, output).await,
        Command::Delete { user, yes } => account::delete(setup, common, output, &user, yes).await,
        Command::Raw { ops } => raw::run(setup, common, output, ops).await,
        // These were seen to before.
        Command::Tui { .. } | Command::Trust(_) | Command::Config(_) | Command::Doctor | Command::Keys => {
            Ok(())
        }
        Command::Completions { .. } | Command::CompleteNames => Ok(()),
        Command::Man { .. } | Command::Help { .. } => Ok(()),
        Command::Send(_) | Command::Listen(_) | Command::Deliver(_) => Ok(()),
    }
}

/// Runs something until it is done or a signal comes.
async fn interruptible<T>(work: impl Future<Output = Result<T, End>>) -> Result<T, End> {
    // Before the work begins: a signal must not find the terminal changed and nobody to change it back.
    let mut signals = Signals::new();
    tokio::select! {
        done = work => done,
        code = signals.next() => Err(End::Signal(Exit::of_signal(code))),
    }
}
