//! Flags and variables, as the settings want them.

use super::args::Common;
use super::exit::Failure;
use crate::history::{History, LAST_SERVER, LAST_USER};
use crate::settings::choice::Choice;
use crate::settings::places::{Places, variables};
use crate::settings::resolve::Given;
use crate::settings::table;

/// Reads the files, and what flags and variables say.
pub(crate) fn read(common: &Common) -> Result<Choice, Failure> {
    let places = Places::of_process().map_err(Failure::local)?;
    Choice::read(places, given(common)).map_err(|error| Failure::usage(error.to_string()))
}

/// Adds what was remembered from the last login.
pub(crate) fn remember(choice: &mut Choice, history: &History) -> Result<(), Failure> {
    for (name, key) in [("server", LAST_SERVER), ("user", LAST_USER)] {
        if let Some(text) = history.setting(key).map_err(Failure::local)? {
            choice.given.remembered.push((name, text));
        }
    }
    Ok(())
}

/// Flags and variables. A variable that is empty says nothing; a flag that is empty is wrong.
fn given(common: &Common) -> Given {
    let mut given = variables();
    let file = common.password_file.as_ref().map(|path| path.to_string_lossy().into_owned());
    let typed = [
        ("account", "default_account", common.account.clone()),
        ("server", "server", common.server.clone()),
        ("user", "user", common.user.clone()),
        ("tls", "tls", common.tls.clone()),
        ("password-file", "password_file", file),
    ];
    for (flag, name, text) in typed {
        let Some(text) = text else { continue };
        // The parser gives what a variable says as if it were typed.
        let variable = table::find(name).and_then(|key| key.variable).and_then(std::env::var_os);
        if variable.is_none_or(|variable| variable != *text) {
            given.flags.push((flag, name, text));
        }
    }
    given
}
