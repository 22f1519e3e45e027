//! How much of everything: one table, with a short run's amounts and a full one's.

use std::collections::BTreeMap;

/// A row: its name, what it is the amount of, how much in a short run and in a full one.
type Row = (&'static str, &'static str, u64, u64);

/// All of them.
const AMOUNTS: &[Row] = &[
    ("rounds", "turns that everybody gets", 1, 3),
    ("time-ms", "time of each run of a live work, in ms", 500, 2_000),
    ("warm-ms", "time before that, which does not count, in ms", 100, 500),
    ("quiet-s", "how long a quiet machine is waited for before each run, in s", 0, 2),
    ("pairs", "pairs that talk", 50, 50),
    ("stored", "messages that are stored for each of those who are away", 400, 4_000),
    ("mailboxes", "mailboxes whose messages are interleaved", 200, 1_000),
    ("upkeep-s", "how long a server is given for what it does later, in s", 1, 3),
    ("sessions", "idle sessions", 500, 5_000),
    ("idle-s", "how long sessions are idle, in s", 2, 10),
    ("many-sessions", "idle sessions over TLS, of the work that has many", 1_000, 10_000),
    ("many-idle-s", "how long those are idle, in s", 5, 600),
    ("clients", "clients of a server that is killed", 200, 1_000),
    ("paced-s", "time of the paced work, in s", 5, 600),
    ("paced-per-s", "messages a second in it", 3_000, 3_000),
    ("slow-s", "time of each run on the slow disk, in s", 2, 10),
    ("slow-ms", "how long a sync takes there, in ms", 10, 10),
    ("connections", "the most connections of growing works", 500, 5_000),
    ("accounts", "the most accounts of growing works", 5_000, 1_000_000),
    ("draws", "messages to accounts drawn at random", 20_000, 500_000),
    ("backlog", "the most messages that wait, of growing works", 100_000, 10_000_000),
    ("others-s", "time of each stretch of a pair that talks, in s", 1, 5),
    ("codec-ms", "time of each run of the codec, in ms", 200, 1_000),
    ("soak-s", "time of the long run, in s", 10, 60),
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

    /// All of them, in the shape in which they are set.
    pub(crate) fn settings(&self) -> Vec<String> {
        AMOUNTS.iter().map(|(name, ..)| format!("{name}={}", self.of(name))).collect()
    }

    /// All of them, for a person.
    pub(crate) fn list(&self) -> impl Iterator<Item = String> {
        AMOUNTS.iter().map(|(name, about, ..)| format!("{name}={}  {about}", self.of(name)))
    }
}
