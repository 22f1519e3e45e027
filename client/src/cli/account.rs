//! `bellhop create`, `login`, `logout` and `delete`: who the other commands act as.

use std::io::{BufRead, Read, Write};

use bellhop_protocol::Username;
use bellhop_protocol::op::OpCode;

use super::args::Common;
use super::exit::{ANOTHER_KEY, Exit, Failure};
use super::output::{End, Line, Output};
use super::password;
use super::session::{Session, deadline};
use super::setup::{Setup, name};
use super::wire::{self, Wire};
use crate::config::{Config, Receive, Role};
use crate::event::Event;
use crate::secret::Secret;

/// The devices that get a token at a login with a password: a screen, a listener, and two short commands at a time.
const KEPT: [&str; 4] = ["send-0", "send-1", "listen", "tui"];

/// A typed answer is not longer than this.
const TYPED_MAX: u64 = 1_024;

pub(crate) async fn create(
    setup: &mut Setup,
    common: &Common,
    output: &Output,
    user: &str,
) -> Result<(), End> {
    let user = name(user)?;
    setup.ask_password(&user, true).await?;
    log_in_devices(setup, common, output, &user, &KEPT, true).await?;
    finish(setup, output, &user, "created").await
}

pub(crate) async fn login(
    setup: &mut Setup,
    common: &Common,
    output: &Output,
    user: Option<&str>,
) -> Result<(), End> {
    let user = match user {
        Some(user) => name(user)?,
        None => setup.user()?,
    };
    setup.ask_password(&user, false).await?;
    log_in_devices(setup, common, output, &user, &KEPT, false).await?;
    finish(setup, output, &user, "logged-in").await
}

async fn finish(setup: &Setup, output: &Output, user: &Username, state: &str) -> Result<(), End> {
    setup.remember(user)?;
    output.result(&Line::Account { state, user: user.as_str(), server: setup.server.to_string() }).await
}

/// Logs in once without a password; with one, once for each of `kept`, so that each has a token of its own.
pub(super) async fn log_in_devices(
    setup: &Setup,
    common: &Common,
    output: &Output,
    user: &Username,
    kept: &[&str],
    create: bool,
) -> Result<(), End> {
    let remember = setup.password.is_some();
    let devices = if remember { kept } else { &KEPT[..1] };
    for (at, device) in devices.iter().enumerate() {
        let role = if remember { Role::Named((*device).to_owned()) } else { Role::Send };
        let config = setup.config(user, role, Receive::Nothing);
        let mut session = Session::open(Config { create: create && at == 0, remember, ..config });
        let done = prove(&mut session, common, remember).await;
        session.close().await;
        match done {
            // Its program runs and is logged in: it has what it needs.
            Err(failure) if at > 0 && failure.exit == Exit::RoleTaken => {
                output.remark(&format!("{}; its login stays as it is", failure.sentence)).await;
            }
            done => done?,
        }
    }
    Ok(())
}

async fn prove(session: &mut Session, common: &Common, remember: bool) -> Result<(), Failure> {
    let until = deadline(common.timeout);
    loop {
        match session.next(Some(until)).await? {
            Event::Online(_) if !remember => return Ok(()),
            Event::TokenKept => return Ok(()),
            _ => {}
        }
    }
}

pub(crate) async fn logout(setup: &Setup, common: &Common, output: &Output) -> Result<(), End> {
    let user = setup.user()?;
    let mut problem = None;
    if let Some(account) = setup.account()? {
        let roles = setup.history()?.roles(account.id).map_err(Failure::local)?;
        for (role, ..) in roles.into_iter().filter(|(_, token, _)| *token) {
            if let Err(failure) = revoke(setup, common, &user, role).await {
                problem = Some(failure);
            }
        }
        setup.history()?.forget_tokens(account.id).map_err(Failure::local)?;
    }
    setup.forget(&user)?;
    match problem {
        Some(failure) => {
            let sentence = format!("logged out here, but the server was not told: {}", failure.sentence);
            Err(Failure { sentence, ..failure }.into())
        }
        None => {
            let server = setup.server.to_string();
            output.result(&Line::Account { state: "logged-out", user: user.as_str(), server }).await
        }
    }
}

/// Tells the server that a device's token is good no more.
async fn revoke(setup: &Setup, common: &Common, user: &Username, role: String) -> Result<(), Failure> {
    let config = setup.config(user, Role::Named(role), Receive::Nothing);
    let mut session = Session::open(Config { password: None, ..config });
    let until = deadline(common.timeout);
    let done = async {
        session.online(until).await?;
        session.ask(0, OpCode::Logout.byte(), Secret::new(String::new()), until).await.map(|_| ())
    };
    let done = done.await;
    session.close().await;
    match done {
        // Revoked already. One that another key gave was not shown to this one, and may be good there for long.
        Err(failure) if failure.exit == Exit::NotLoggedIn && failure.word != ANOTHER_KEY => Ok(()),
        done => done,
    }
}

pub(crate) async fn delete(
    setup: &mut Setup,
    common: &Common,
    output: &Output,
    user: &str,
    yes: bool,
) -> Result<(), End> {
    let user = name(user)?;
    if !yes {
        confirm(&user).await?;
    }
    setup.ask_password(&user, false).await?;
    let mut wire = Wire::open(setup, common.timeout).await?;
    wire.log_in(&user, setup.password.as_ref()).await?;
    let password = setup.password.as_ref().map_or("", Secret::reveal);
    wire.ask(OpCode::Delete.byte(), password.as_bytes(), wire::nothing).await?.accepted()?;
    let mut history = setup.history()?;
    let account = history.find_account(&setup.server.to_string(), &user).map_err(Failure::local)?;
    if let Some(account) = account {
        history.forget_devices(account.id).map_err(Failure::local)?;
    }
    setup.forget(&user)?;
    output
        .result(&Line::Account { state: "deleted", user: user.as_str(), server: setup.server.to_string() })
        .await
}

async fn confirm(user: &Username) -> Result<(), Failure> {
    if !password::can_ask() {
        return Err(Failure::usage("deleting an account asks first: give --yes"));
    }
    // Where the question cannot be written, the answer will not be the name.
    let _ =
        write!(std::io::stderr(), "This deletes {user} and everything that waits. Type the name to go on: ");
    let read = tokio::task::spawn_blocking(|| {
        let mut typed = String::new();
        std::io::stdin().lock().take(TYPED_MAX).read_line(&mut typed).map(|_| typed)
    });
    let typed = read.await.map_err(Failure::local)?.map_err(Failure::local)?;
    if typed.trim() == user.as_str() {
        Ok(())
    } else {
        Err(Failure::new(Exit::Other, "not-confirmed", "not deleted"))
    }
}
