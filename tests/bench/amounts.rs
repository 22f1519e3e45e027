//! How much of everything: one table, with a short run's amounts and a full one's.

use std::collections::BTreeMap;

/// A row: its name, what it is the amount of, how much in a short run and in a full one.
type Row = (&'static str, &'static str, u64, u64);

/// All of them.
const AMOUNTS: &[Row] = &[
    ("rounds", "turns that everybody gets", 3, 5),
    ("time-ms", "time of each run of a live work, in ms", 700, 2_000),
    ("warm-ms", "time before that, which does not count, in ms", 200, 500),
    ("quiet-s", "how long a quiet machine is waited for before each run, in s", 1, 5),
    ("pairs", "pairs that talk", 50, 50),
];

/// The amounts of this run.
#[derive(Clone, Debug)]
pub(crate) struct Amounts(BTreeMap<&'static str, u64>);

impl Amounts {
    /// A short run's, or a full one's.
    pub(crate) fn new(short: bool) -> Amounts {
        Amounts(
            AMOUNTS.iter().map(|(name, _, few, full)| (*name, if short { *few } else { *full })).collect(),
        )
    }

    /// Changes one, by `NAME=VALUE`.
    pub(crate) fn set(&mut self, setting: &str) -> Result<(), String> {
        let wrong = || format!("'{setting}' is no amount: give NAME=VALUE, --list shows the names");
        let (name, value) = setting.split_once('=').ok_or_else(wrong)?;
        let known = self.0.get_mut(name).ok_or_else(wrong)?;
        *known = value.replace('_', "").parse().map_err(|_| wrong())?;
        Ok(())
    }

    /// How much of this.
    ///
    /// # Panics
    ///
    /// Where the table has no such row.
    pub(crate) fn of(&self, name: &str) -> u64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no amount is called {name}"))
    }

    /// An amount of ms, in s.
    pub(crate) fn seconds(&self, name: &str) -> f64 {
        self.of(name) as f64 / 1e3
    }

    /// All of them, for a person.
    pub(crate) fn list(&self) -> impl Iterator<Item = String> {
        AMOUNTS.iter().map(|(name, about, ..)| format!("{name}={}  {about}", self.of(name)))
    }
}
