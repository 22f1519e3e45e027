//! Arguments become a config, the config a running server, its errors exit codes: 0 after an orderly end, 1 where the
//! server could not run or go on, 2 for arguments that are none.

mod threads;

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use bellhop_server::config::{Args, Config, Switch};
use bellhop_server::log::{Log, Settings};
use bellhop_server::server::Server;
use bellhop_server::{manager, ops};
use clap::Parser;

fn main() -> ExitCode {
    let mut args = Args::parse();
    if let Some(command) = args.command.take() {
        return ops::command::run(command);
    }
    let loaded =
        Config::load(args).and_then(|mut config| manager::take_sockets(&mut config).map(|()| config));
    let config = match loaded {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    let log = match start_log(&config) {
        Ok(log) => log,
        Err(error) => {
            complain(&format!("cannot start a thread for the log: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = match run(&config, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    };
    log.end();
    code
}

fn run(config: &Config, log: &Log) -> anyhow::Result<()> {
    let runtime = threads::runtime().context("cannot start the threads that the server needs")?;
    runtime.block_on(async {
        // Before anything is said to be ready, so that no signal meets a server that does not listen to it.
        let shutdown = shutdown_signal().context("cannot listen to signals")?;
        let mut hang_ups = HangUps::listen().context("cannot listen to signals")?;
        let server = Server::start(config).await?;
        // What was told of the start comes before the word that it is done.
        log.flush();
        if let Err(error) = announce(&server) {
            // Whoever reads no further, such as `head -1`, does not mean to end the server.
            tracing::warn!(%error, listening = ?server.addrs(), "cannot write to standard output");
        }
        manager::ready(server.addrs());
        let (identity, clock) = (server.identity().clone(), server.core().clock.clone());
        let watch = tokio::spawn(manager::watch(server.core().clone()));
        let shutdown = async {
            shutdown.await;
            watch.abort();
            manager::stopping();
        };
        tokio::select! {
            ended = server.run(shutdown) => Ok(ended?),
            never = hang_ups.each(|| identity.reload(clock.now())) => match never {},
        }
    })
}

/// One line for each address, and what clients know the server by: whoever started the server may connect now.
fn announce(server: &Server) -> std::io::Result<()> {
    let mut lines: String = server.addrs().iter().map(|addr| format!("listening on {addr}\n")).collect();
    lines.push_str(&format!("fingerprint {}\n", server.identity().fingerprint()));
    let mut out = std::io::stdout().lock();
    // At once: whoever has read the first line may go.
    out.write_all(lines.as_bytes())?;
    out.flush()
}

/// What ends the program is said where a person or a service manager reads it, if one still does.
fn complain(error: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "bellhop-server: {error}");
}

fn start_log(config: &Config) -> std::io::Result<Log> {
    let settings = Settings {
        level: config.log,
        addresses: config.log_addresses == Switch::On,
        per_second: config.limits.log_rate,
        colours: std::io::stderr().is_terminal(),
    };
    let log = Log::start(settings, std::io::stderr())?;
    Log::tell_panics();
    Ok(log)
}

#[cfg(unix)]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("interrupted: going down"),
            _ = terminate.recv() => tracing::info!("terminated: going down"),
        }
    })
}

/// Hang-ups, by which an operator asks for files to be read again.
#[cfg(unix)]
struct HangUps(tokio::signal::unix::Signal);

#[cfg(unix)]
impl HangUps {
    fn listen() -> std::io::Result<HangUps> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(HangUps(signal(SignalKind::hangup())?))
    }

    async fn each(&mut self, reload: impl Fn()) -> Infallible {
        while self.0.recv().await.is_some() {
            reload();
        }
        std::future::pending().await
    }
}

/// A system without hang-ups.
#[cfg(not(unix))]
struct HangUps;

#[cfg(not(unix))]
impl HangUps {
    fn listen() -> std::io::Result<HangUps> {
        Ok(HangUps)
    }

    async fn each(&mut self, _: impl Fn()) -> Infallible {
        std::future::pending().await
    }
}

#[cfg(windows)]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows;
    let mut interrupt = windows::ctrl_c()?;
    let mut stop = windows::ctrl_break()?;
    let mut close = windows::ctrl_close()?;
    let mut shutdown = windows::ctrl_shutdown()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = stop.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
        tracing::info!("going down");
    })
}
