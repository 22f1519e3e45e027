//! Files, flags and variables together: what a program reads at its start, and again when it is told to.

use super::places::{FileError, Places};
use super::resolve::{Given, ResolveError, Resolved, Source, resolve};
use super::value::Value;

/// What was read, and what was given beside it.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) places: Places,
    pub(crate) sources: Vec<Source>,
    pub(crate) given: Given,
}

/// Of an account, so that naming another one ends what flags and variables said of them.
const OF_ACCOUNTS: [&str; 6] = ["default_account", "server", "user", "tls", "password_cmd", "password_file"];

impl Choice {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`FileError`] where one cannot be read.
    pub(crate) fn read(places: Places, given: Given) -> Result<Choice, FileError> {
        let sources = places.read()?;
        Ok(Choice { places, sources, given })
    }

    /// Reads the files again.
    ///
    /// # Errors
    ///
    /// [`FileError`] where one cannot be read.
    pub(crate) fn again(&self) -> Result<Choice, FileError> {
        Choice::read(self.places.clone(), self.given.clone())
    }

    /// What it would be with `value` for a key of the config file, or without one. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`FileError`] where the file cannot be read, or is no TOML.
    pub(crate) fn with(&self, name: &str, value: Option<&Value>) -> Result<Choice, FileError> {
        let mut choice = self.clone();
        choice.sources = self.places.read_with(name, value)?;
        Ok(choice)
    }

    /// Decides what counts.
    ///
    /// # Errors
    ///
    /// [`ResolveError`], the first there is.
    pub(crate) fn resolve(&self) -> Result<Resolved, ResolveError> {
        resolve(&self.sources, &self.given)
    }

    /// The same for another account of the files, whatever was said at the start.
    pub(crate) fn as_account(&self, name: &str) -> Choice {
        let mut choice = self.clone();
        choice.given.flags.retain(|(_, key, _)| !OF_ACCOUNTS.contains(key));
        choice.given.variables.retain(|(key, _)| !OF_ACCOUNTS.contains(key));
        choice.given.remembered.clear();
        choice.given.flags.push(("account", "default_account", name.to_owned()));
        choice
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
