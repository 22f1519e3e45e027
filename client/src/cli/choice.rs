//! What counts, of flags, variables and files: read once for a command.

use super::args::Common;
use super::exit::Failure;
use crate::history::{History, LAST_SERVER, LAST_USER};
use crate::settings::places::{Places, variables};
use crate::settings::resolve::{Given, Resolved, Source, resolve};
use crate::settings::table;

/// What was read, and what was given beside it.
pub(crate) struct Choice {
    pub(crate) places: Places,
    pub(crate) sources: Vec<Source>,
    pub(crate) given: Given,
}

impl Choice {
    /// Reads the files, and what flags and variables say.
    pub(crate) fn read(common: &Common) -> Result<Choice, Failure> {
        let places = Places::of_process().map_err(Failure::local)?;
        let sources = places.read().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Choice { places, sources, given: given(common) })
    }

    /// Adds what was remembered from the last login.
    pub(crate) fn remember(&mut self, history: &History) -> Result<(), Failure> {
        for (name, key) in [("server", LAST_SERVER), ("user", LAST_USER)] {
            if let Some(text) = history.setting(key).map_err(Failure::local)? {
                self.given.remembered.push((name, text));
            }
        }
        Ok(())
    }

    /// Decides what counts.
    pub(crate) fn resolve(&self) -> Result<Resolved, Failure> {
        resolve(&self.sources, &self.given).map_err(|error| Failure::usage(error.to_string()))
    }

    /// What of the files is ignored, a line each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let of = |source: &Source| -> Vec<String> {
            let path = source.path.display();
            let warnings = source.layer.warnings.iter();
            warnings.map(|warning| format!("{path}:{}: {}", warning.place.line, warning.sentence)).collect()
        };
        self.sources.iter().flat_map(of).collect()
    }
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
