//! The config file: the same names as the command line. What cannot be judged before both are put together keeps the line
//! on which it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use super::{Auth, ConfigError, Durability, LogLevel, Register, Switch};

/// What a file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) port: Option<u16>,
    listen: Vec<Spanned<String>>,
    pub(super) data: Option<PathBuf>,
    pub(super) durability: Option<Durability>,
    pub(super) auth: Option<Auth>,
    pub(super) register: Option<Register>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    plaintext_from: Vec<Spanned<String>>,
    limit: BTreeMap<String, Spanned<LimitValue>>,
    pub(super) log: Option<LogLevel>,
    #[serde(rename = "log-addresses")]
    pub(super) log_addresses: Option<Switch>,
    #[serde(skip)]
    path: PathBuf,
    #[serde(skip)]
    text: String,
}

impl File {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<File, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        File::parse(path, text)
    }

    pub(super) fn parse(path: &Path, text: String) -> Result<File, ConfigError> {
        let path = path.to_owned();
        match toml::from_str(&text) {
            Ok(file) => Ok(File { path, text, ..file }),
            Err(error) => Err(ConfigError::File { path, message: error.to_string() }),
        }
    }

    /// The addresses, each with its place.
    pub(super) fn listen(&self) -> Vec<(String, &str)> {
        self.placed(&self.listen)
    }

    /// The networks from which frames are taken without TLS, each with its place.
    pub(super) fn plaintext_from(&self) -> Vec<(String, &str)> {
        self.placed(&self.plaintext_from)
    }

    fn placed<'a>(&self, values: &'a [Spanned<String>]) -> Vec<(String, &'a str)> {
        values.iter().map(|value| (self.place(value), value.as_ref().as_str())).collect()
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The limits as `NAME=VALUE`, each with its place. The names in a file have no order, so `all` undoes no other.
    pub(super) fn limits(&self) -> impl Iterator<Item = (String, String)> {
        let all = self.limit.get_key_value("all");
        let others = self.limit.iter().filter(|(name, _)| *name != "all");
        all.into_iter()
            .chain(others)
            .map(|(name, value)| (self.place(value), format!("{name}={}", value.as_ref().0)))
    }

    fn place<T>(&self, value: &Spanned<T>) -> String {
        let before = self.text.get(..value.span().start).unwrap_or_default();
        format!("{}: line {}", self.path.display(), before.matches('\n').count() + 1)
    }
}

/// A limit in the file: a number or a word, as it would be given to `--limit`.
#[derive(Debug)]
struct LimitValue(String);

impl<'de> Deserialize<'de> for LimitValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LimitValue, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = LimitValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"off\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<LimitValue, E> {
                Ok(LimitValue(number.to_string()))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<LimitValue, E> {
                Ok(LimitValue(word.to_owned()))
            }
        }
        deserializer.deserialize_any(Value)
    }
}
