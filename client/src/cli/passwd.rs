//! `bellhop passwd`: another password, and the logins that were kept here made anew.

use std::path::PathBuf;

use bellhop_protocol::op::OpCode;

use super::account::log_in_devices;
use super::args::Common;
use super::exit::{Exit, Failure};
use super::output::{End, Line, Output};
use super::password;
use super::session::{Session, deadline};
use super::setup::Setup;
use super::wire::Answer;
use crate::config::{Receive, Role};
use crate::event::Event;
use crate::secret::Secret;

const TAG: u64 = 1;

pub(crate) async fn run(
    setup: &mut Setup,
    common: &Common,
    output: &Output,
    new_file: Option<PathBuf>,
) -> Result<(), End> {
    let user = setup.user()?;
    setup.ask_password(&user, false).await?;
    let new = match new_file {
        Some(path) => password::from_file(&path)?,
        None if password::can_ask() => ask_new().await?,
        None => {
            return Err(
                Failure::usage("nobody is there to type the new one: give --new-password-file").into()
            );
        }
    };
    let new = new.ok_or_else(|| Failure::usage("the new password is empty"))?;
    let kept = kept(setup)?;
    // As a device of its own role: what is proven is the old password, and not a login that was kept.
    let mut session = Session::open(setup.config(&user, Role::Send, Receive::Nothing));
    let changed = change(&mut session, common, setup.password.clone(), new.clone()).await;
    session.close().await;
    changed?;
    setup.password = Some(new);
    for device in &kept {
        match log_in_devices(setup, common, output, &user, &[device], false).await {
            // Its program runs, and asks for the new password by itself.
            Err(End::Failed(failure)) if failure.exit == Exit::RoleTaken => {
                output.remark(&format!("{}; it has to log in again", failure.sentence)).await;
            }
            done => done?,
        }
    }
    let server = setup.server.to_string();
    output.result(&Line::Account { state: "password-changed", user: user.as_str(), server }).await
}

/// The devices whose login was kept.
fn kept(setup: &Setup) -> Result<Vec<String>, Failure> {
    let Some(account) = setup.account()? else { return Ok(Vec::new()) };
    let roles = setup.history()?.roles(account.id).map_err(Failure::local)?;
    Ok(roles.into_iter().filter(|(_, token, _)| *token).map(|(role, ..)| role).collect())
}

async fn ask_new() -> Result<Option<Secret>, End> {
    let new = password::ask("New password: ").await?;
    if password::ask("The same again: ").await? != new {
        return Err(Failure::usage("the two passwords differ").into());
    }
    Ok(new)
}

async fn change(
    session: &mut Session,
    common: &Common,
    old: Option<Secret>,
    new: Secret,
) -> Result<(), Failure> {
    let until = deadline(common.timeout);
    session.online(until).await?;
    let old = old.unwrap_or_else(|| Secret::new(String::new()));
    session.client.change_password(TAG, old, new)?;
    loop {
        if let Event::Answer(answer) = session.next(Some(until)).await?
            && answer.tag == TAG
        {
            let fields = answer.fields.map_err(Failure::timed_out)?;
            let answer = Answer { byte: OpCode::Password.byte(), fields, verdict: answer.verdict };
            return answer.accepted().map(|_| ());
        }
    }
}
