//! The config file: the same names as the command line. What cannot be judged before both are put together keeps the line
//! on which it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use super::{Auth, ConfigError, Durability, LogLevel, Register, Switch};

/// What is longer is no config, whatever it is.
const BYTES_MAX: u64 = 256 * 1024;

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
    pub(super) presence: Option<Switch>,
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
        let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let wrong = |message| ConfigError::File { path: path.to_owned(), message };
        if bytes.len() as u64 > BYTES_MAX {
            return Err(wrong(format!("it has more than {} KiB, and is no config", BYTES_MAX / 1024)));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            wrong(format!("line {line}: it is not UTF-8 there"))
        })?;
        File::parse(path, text)
    }

    pub(super) fn parse(path: &Path, text: String) -> Result<File, ConfigError> {
        let path = path.to_owned();
        let parsed = toml::from_str(&text).map_err(|error| in_one_line(&error, &text));
        match parsed.and_then(|file: File| file.check(&text).map(|()| file)) {
            Ok(file) => Ok(File { path, text, ..file }),
            Err(message) => Err(ConfigError::File { path, message }),
        }
    }

    /// What is fine as an argument and is not in a file: a start from another folder, or another start, would mean
    /// something else by it.
    fn check(&self, text: &str) -> Result<(), String> {
        if self.port == Some(0) {
            return Err(format!(
                "{}port: 0 is another port at each start, which nobody finds",
                line_of("port", text)
            ));
        }
        let paths = [("data", &self.data), ("tls-cert", &self.tls_cert), ("tls-key", &self.tls_key)];
        for (key, path) in paths {
            if let Some(path) = path.as_ref().filter(|path| !path.is_absolute()) {
                return Err(format!(
                    "{}{key}: '{}' depends on the folder that the server is started in: give the whole path",
                    line_of(key, text),
                    path.display()
                ));
            }
        }
        Ok(())
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

/// The line on which a key of the first table stands.
fn line_of(key: &str, text: &str) -> String {
    let line = text.lines().position(|line| key_of(line) == Some(key));
    line.map_or(String::new(), |line| format!("line {}: ", line + 1))
}

fn key_of(line: &str) -> Option<&str> {
    line.split_once('=').map(|(key, _)| key.trim())
}

/// What TOML says of a file, in one line: where, the key there, and what is wrong.
fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    let words = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return words };
    let line = before.matches('\n').count();
    let key = text.lines().nth(line).and_then(key_of).filter(|key| !words.contains(key));
    format!("line {}: {}{words}", line + 1, key.map_or(String::new(), |key| format!("{key}: ")))
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
