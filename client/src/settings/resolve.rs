//! Which of several values counts: flag, variable, account block, config file, the machine's file, what was
//! remembered, default. Pure: whoever calls has read the files.

use std::fmt;
use std::path::PathBuf;

use bellhop_protocol::Username;

use super::file::{Binding, Entry, Layer};
use super::table::{self, Key, TABLE};
use super::value::Value;
use super::{Notify, Settings, Ui, words};
use crate::config::Server;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) layer: Layer,
    /// Others may write it, so that commands in it are not run.
    pub(crate) shared: bool,
}

/// Values from outside of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// Flags: how they are called, the key, the value as it was typed.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
    /// Variables of the table that are set, by the name of the key.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// What was remembered from the last login, by the name of the key.
    pub(crate) remembered: Vec<(&'static str, String)>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Variable(&'static str),
    File { path: PathBuf, line: usize },
    Remembered,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "--{flag}"),
            Origin::Variable(name) => write!(f, "{name}"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Remembered => f.write_str("the last login"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A key, what counts for it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: &'static Key,
    /// Nothing where there is no default either.
    pub(crate) value: Option<Value>,
    pub(crate) origin: Origin,
}

/// A line of `[keys]` and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) binding: Binding,
    pub(crate) path: PathBuf,
}

/// What counts for every key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The account in use, where one is.
    pub(crate) account: Option<String>,
    /// In the order of the table.
    pub(crate) rows: Vec<Row>,
    /// Those of the config file behind the machine's.
    pub(crate) bindings: Vec<Bound>,
}

/// Why no values count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// A file has to be mended first.
    #[error("{}:{place}: {sentence}{}", path.display(), more(*others))]
    File { path: PathBuf, place: super::file::Place, sentence: String, others: usize },
    /// A flag or a variable is not allowed.
    #[error("{origin} is {value:?}: {allowed}")]
    Given { origin: Origin, value: String, allowed: String },
    /// No file knows the account.
    #[error("{origin}: there is no account {name:?}{known}")]
    NoAccount { origin: Origin, name: String, known: String },
    /// Everybody could change what is run as this person.
    #[error("{}:{line}: password_cmd is not run: others may write this file; chmod go-w makes it yours", path.display())]
    Shared { path: PathBuf, line: usize },
}

fn more(others: usize) -> String {
    if others > 0 { format!(" (and {others} more: bellhop config check)") } else { String::new() }
}

/// Decides. `sources` begins with the config file; the machine's is behind it.
///
/// # Errors
///
/// [`ResolveError`], the first there is.
pub(crate) fn resolve(sources: &[Source], given: &Given) -> Result<Resolved, ResolveError> {
    for Source { path, layer, .. } in sources {
        if let Some(first) = layer.problems.first() {
            let (place, sentence) = (first.place, first.sentence.clone());
            return Err(ResolveError::File {
                path: path.clone(),
                place,
                sentence,
                others: layer.problems.len() - 1,
            });
        }
    }
    let account = account(sources, given)?;
    let mut rows = Vec::with_capacity(TABLE.len());
    for key in TABLE {
        let (value, origin) = match counts(key, account.as_deref(), sources, given)? {
            Some((value, origin)) => (Some(value), origin),
            None => (key.default_value(), Origin::Default),
        };
        rows.push(Row { key, value, origin });
    }
    let mut resolved = Resolved { account, rows, bindings: bindings(sources) };
    resolved.keep_nearest_password(sources);
    resolved.refuse_shared(sources)?;
    resolved.keep_passwords_apart(sources)?;
    Ok(resolved)
}

/// The account in use: the one that was named, else the only one.
fn account(sources: &[Source], given: &Given) -> Result<Option<String>, ResolveError> {
    let key = table::find("default_account").expect("a key of the table");
    let mut known: Vec<&str> =
        sources.iter().flat_map(|source| source.layer.accounts.keys()).map(String::as_str).collect();
    known.sort_unstable();
    known.dedup();
    let Some((value, origin)) = counts(key, None, sources, given)? else {
        return Ok(if let [only] = known[..] { Some(only.to_owned()) } else { None });
    };
    let name = value.text().to_owned();
    if known.contains(&name.as_str()) {
        return Ok(Some(name));
    }
    let known = match known[..] {
        [] => "; no config file has any".to_owned(),
        _ => format!("; there are {}", known.join(", ")),
    };
    Err(ResolveError::NoAccount { origin, name, known })
}

/// The value of a key that counts, where anybody gave one.
fn counts(
    key: &Key,
    account: Option<&str>,
    sources: &[Source],
    given: &Given,
) -> Result<Option<(Value, Origin)>, ResolveError> {
    let read = |text: &str, origin: Origin| match key.kind.typed(text) {
        Some(value) => Ok(Some((value, origin))),
        None => {
            let allowed = key.kind.allowed();
            Err(ResolveError::Given { origin, value: text.to_owned(), allowed })
        }
    };
    if let Some((flag, _, text)) = given.flags.iter().find(|(_, name, _)| *name == key.name) {
        return read(text, Origin::Flag(flag));
    }
    if let Some(((_, text), variable)) =
        given.variables.iter().find(|(name, _)| *name == key.name).zip(key.variable)
    {
        return read(text, Origin::Variable(variable));
    }
    let in_account =
        account.filter(|_| key.of_account).map(|account| format!("account.{account}.{}", key.name));
    for name in in_account.iter().map(String::as_str).chain([key.name]) {
        for Source { path, layer, .. } in sources {
            if let Some(Entry { value, line }) = layer.entries.get(name) {
                return Ok(Some((value.clone(), Origin::File { path: path.clone(), line: *line })));
            }
        }
    }
    // What a program wrote down that no longer fits is not what somebody has to mend.
    let remembered = given.remembered.iter().find(|(name, _)| *name == key.name);
    Ok(remembered.and_then(|(_, text)| key.kind.typed(text)).map(|value| (value, Origin::Remembered)))
}

/// The bindings of all files: what the config file says of an action wins.
fn bindings(sources: &[Source]) -> Vec<Bound> {
    let mut all: Vec<Bound> = Vec::new();
    for Source { path, layer, .. } in sources {
        for binding in &layer.bindings {
            if !all.iter().any(|bound| bound.path != *path && bound.binding.action == binding.action) {
                all.push(Bound { binding: binding.clone(), path: path.clone() });
            }
        }
    }
    all
}

impl Resolved {
    /// The row of a key of the table.
    pub(crate) fn row(&self, name: &str) -> &Row {
        self.rows.iter().find(|row| row.key.name == name).expect("a key of the table")
    }

    fn text(&self, name: &str) -> &str {
        self.row(name).value.as_ref().map_or("", Value::text)
    }

    fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    fn bool(&self, name: &str) -> bool {
        self.row(name).value.as_ref().is_some_and(Value::bool)
    }

    fn number<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        self.row(name).value.as_ref().and_then(|value| value.number().try_into().ok()).unwrap_or_default()
    }

    fn refuse_shared(&self, sources: &[Source]) -> Result<(), ResolveError> {
        let row = self.row("password_cmd");
        match &row.origin {
            Origin::File { path, line }
                if sources.iter().any(|source| source.path == *path && source.shared) =>
            {
                Err(ResolveError::Shared { path: path.clone(), line: *line })
            }
            _ => Ok(()),
        }
    }

    /// A password of the files is for whom and what the files say: it is not shown to another server, nor for another
    /// name, that a flag or a variable named.
    fn keep_passwords_apart(&mut self, sources: &[Source]) -> Result<(), ResolveError> {
        let account = self.account.clone();
        for name in ["server", "user"] {
            let row = self.row(name);
            let said =
                counts(row.key, account.as_deref(), sources, &Given::default())?.map(|(value, _)| value);
            let said = said.or_else(|| row.key.default_value());
            if said == row.value || !matches!(row.origin, Origin::Flag(_) | Origin::Variable(_)) {
                continue;
            }
            self.forget_of_files(&["password_cmd", "password_file"]);
        }
        Ok(())
    }

    /// Of two ways to a password that the files name, the one that was said closer by counts; of two in one place, the
    /// command.
    fn keep_nearest_password(&mut self, sources: &[Source]) {
        let of_account = self.account.as_ref().map(|account| format!("account.{account}."));
        let places = of_account.iter().map(String::as_str).chain([""]);
        let places =
            places.flat_map(|place| sources.iter().map(move |source| (place, &source.layer.entries)));
        for (place, entries) in places {
            let says = |name: &str| entries.contains_key(&format!("{place}{name}"));
            match (says("password_cmd"), says("password_file")) {
                (false, false) => {}
                (true, _) => return self.forget_of_files(&["password_file"]),
                (false, true) => return self.forget_of_files(&["password_cmd"]),
            }
        }
    }

    /// What the files say for these keys does not count.
    fn forget_of_files(&mut self, names: &[&str]) {
        for row in self.rows.iter_mut().filter(|row| names.contains(&row.key.name)) {
            if matches!(row.origin, Origin::File { .. }) {
                (row.value, row.origin) = (None, Origin::Default);
            }
        }
    }

    /// True where the password is one of the files.
    pub(crate) fn password_is_of_files(&self) -> bool {
        ["password_cmd", "password_file"]
            .iter()
            .any(|name| matches!(self.row(name).origin, Origin::File { .. }))
    }

    /// The file that has the password, or the command that prints it. Whichever of the files' was said closer by is the
    /// only one that is left here; what flags and variables say goes before it.
    pub(crate) fn password(&self) -> (Option<PathBuf>, Option<String>) {
        let row = self.row("password_file");
        let file = self.given("password_file").map(|file| match &row.origin {
            // A file's words do not depend on where a command is run.
            Origin::File { path, .. } => {
                path.parent().map_or_else(|| file.into(), |folder| folder.join(file))
            }
            _ => PathBuf::from(file),
        });
        let command = self.given("password_cmd").map(str::to_owned);
        if file.is_some() { (file, None) } else { (None, command) }
    }

    /// All of it as values.
    pub(crate) fn settings(&self) -> Settings {
        macro_rules! word {
            ($type:ident, $name:literal) => {
                words::$type::of(self.text($name)).expect("a word of the table")
            };
        }
        Settings {
            account: self.account.clone(),
            server: Server::parse(self.text("server")).expect("an address, as its kind says"),
            user: self.given("user").and_then(|user| Username::parse(user).ok()),
            tls: word!(Tls, "tls"),
            password: self.password(),
            deliver: word!(Deliver, "deliver"),
            ui: Ui {
                theme: self.text("ui.theme").to_owned(),
                glyphs: word!(GlyphSet, "ui.glyphs"),
                emoji: word!(Emoji, "ui.emoji"),
                ambiguous: self.number("ui.ambiguous"),
                mouse: self.bool("ui.mouse"),
                kitty_keys: word!(Tristate, "ui.kitty_keys"),
                list_width: self.number("ui.list_width"),
                time: self.text("ui.time").to_owned(),
                date: self.text("ui.date").to_owned(),
                raw_ops: self.bool("ui.raw_ops"),
                paste_ask_lines: self.number("ui.paste_ask_lines"),
                mark_read: word!(MarkRead, "ui.mark_read"),
                online: self.bool("ui.online"),
                typing: self.bool("ui.typing"),
                keys: word!(Profile, "ui.keys"),
            },
            notify: Notify {
                via: word!(Via, "notify.via"),
                preview: word!(Preview, "notify.preview"),
                mute: self.row("notify.mute").value.as_ref().map_or(&[][..], Value::list).to_vec(),
            },
            bindings: self.bindings.clone(),
        }
    }
}
