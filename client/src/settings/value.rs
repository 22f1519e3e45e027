//! What a key takes, and what it holds: read from a file, from a flag or a variable, and written back.

use bellhop_protocol::Username;
use jiff::civil::DateTime;
use jiff::fmt::strtime;

use super::words::Tls;
use crate::config::Server;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    /// A whole number within these bounds.
    Number(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A line of text.
    Text,
    /// A time or a day as strftime writes it.
    Pattern,
    /// A list of names.
    Names,
    /// `HOST` or `HOST:PORT`.
    Server,
    /// The name of an account of a server.
    User,
    /// A word of [`Tls`], or what a switch says.
    Tls,
    /// The name of a file without its ending.
    Name,
    /// A key, or a list of keys.
    Keys,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

/// Bytes of a text, and entries of a list, at most.
const TEXT_MAX: usize = 1_024;
const LIST_MAX: usize = 256;

impl Kind {
    /// What is allowed, in words.
    pub(crate) fn allowed(self) -> String {
        match self {
            Kind::Bool => "true or false".into(),
            Kind::Number(from, to) => format!("a whole number from {from} to {to}"),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
            Kind::Text => format!("one line of text, at most {TEXT_MAX} bytes"),
            Kind::Pattern => "a pattern such as \"%H:%M\", of at most 40 columns".into(),
            Kind::Names => "a list of names".into(),
            Kind::Server => "HOST or HOST:PORT".into(),
            Kind::User => "a user name".into(),
            Kind::Tls => Kind::OneOf(Tls::WORDS).allowed(),
            Kind::Name => "a name of letters, digits, - and _".into(),
            Kind::Keys => "a key such as \"ctrl+g\", or a list of keys".into(),
        }
    }

    /// The value as somebody typed it, without the notation of the file; `None` where it is not allowed.
    pub(crate) fn typed(self, text: &str) -> Option<Value> {
        let value = match self {
            Kind::Bool => Value::Bool(match text {
                "true" | "on" | "yes" => true,
                "false" | "off" | "no" => false,
                _ => return None,
            }),
            Kind::Number(..) => Value::Number(text.parse().ok()?),
            Kind::Names | Kind::Keys => {
                let text = text.trim().trim_start_matches('[').trim_end_matches(']');
                let parts = text.split(',').map(|part| part.trim().trim_matches('"').to_owned());
                Value::List(parts.filter(|part| !part.is_empty()).collect())
            }
            // The variable was a switch before it was a word.
            Kind::Tls => Value::Text(match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "y" => "on".into(),
                "0" | "false" | "no" | "n" => "auto".into(),
                word => word.to_owned(),
            }),
            _ => Value::Text(text.to_owned()),
        };
        self.takes(&value).then_some(value)
    }

    /// The value as a file has it; `None` where it is not allowed.
    pub(crate) fn read(self, value: &toml_edit::Value) -> Option<Value> {
        use toml_edit::Value as Toml;
        let value = match value {
            Toml::Boolean(value) => Value::Bool(*value.value()),
            Toml::Integer(value) => Value::Number(*value.value()),
            Toml::String(value) if self == Kind::Keys => Value::List(vec![value.value().clone()]),
            Toml::String(value) => Value::Text(value.value().clone()),
            Toml::Array(values) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                Value::List(texts.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        self.takes(&value).then_some(value)
    }

    /// True if and only if the value is allowed.
    fn takes(self, value: &Value) -> bool {
        let fits = |text: &str| text.len() <= TEXT_MAX && !text.contains(char::is_control);
        match (self, value) {
            (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Number(from, to), Value::Number(number)) => (from..=to).contains(number),
            (Kind::OneOf(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Kind::Text, Value::Text(text)) => fits(text),
            (Kind::Pattern, Value::Text(text)) => fits(text) && is_pattern(text),
            (Kind::Names | Kind::Keys, Value::List(texts)) => {
                texts.len() <= LIST_MAX && texts.iter().all(|text| !text.is_empty() && fits(text))
            }
            (Kind::Server, Value::Text(text)) => Server::parse(text).is_ok(),
            (Kind::User, Value::Text(text)) => Username::parse(text).is_ok(),
            (Kind::Tls, Value::Text(text)) => Tls::of(text).is_some(),
            (Kind::Name, Value::Text(text)) => is_name(text),
            _ => false,
        }
    }
}

impl Value {
    pub(crate) fn bool(&self) -> bool {
        matches!(self, Value::Bool(true))
    }

    pub(crate) fn number(&self) -> i64 {
        if let Value::Number(number) = self { *number } else { 0 }
    }

    pub(crate) fn text(&self) -> &str {
        if let Value::Text(text) = self { text } else { "" }
    }

    pub(crate) fn list(&self) -> &[String] {
        if let Value::List(list) = self { list } else { &[] }
    }

    /// The value in the notation of the file.
    pub(crate) fn toml(&self) -> toml_edit::Value {
        match self {
            Value::Bool(value) => (*value).into(),
            Value::Number(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::List(values) => {
                let mut array = toml_edit::Array::new();
                values.iter().for_each(|value| array.push(value.as_str()));
                array.into()
            }
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.toml().to_string().trim())
    }
}

/// True for a name that is one file in one folder, on every system.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

/// True where a time and a day can be written so, on one line that leaves room for something else.
fn is_pattern(text: &str) -> bool {
    // The longest names of days and months, and two digits wherever they can be.
    let time = DateTime::constant(2026, 9, 23, 23, 59, 59, 0);
    let Ok(time) = time.to_zoned(jiff::tz::TimeZone::UTC) else { return false };
    let shown = strtime::format(text, &time);
    shown.is_ok_and(|shown| crate::text::wrap::width(&shown) <= 40 && !shown.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_typed() {
        let check = |kind: Kind, text: &str, expected: Option<&str>| {
            let found = kind.typed(text).map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        };
        check(Kind::Bool, "on", Some("true"));
        check(Kind::Bool, "1", None);
        check(Kind::Number(16, 30), "30", Some("30"));
        check(Kind::Number(16, 30), "31", None);
        check(Kind::Number(16, 30), "99999999999999999999", None);
        check(Kind::OneOf(&["pin", "ca"]), "ca", Some("\"ca\""));
        check(Kind::OneOf(&["pin", "ca"]), "CA", None);
        check(Kind::Names, "bob, carol", Some("[\"bob\", \"carol\"]"));
        check(Kind::Names, "[\"bob\"]", Some("[\"bob\"]"));
        check(Kind::Names, "", Some("[]"));
        check(Kind::Pattern, "%H:%M", Some("\"%H:%M\""));
        check(Kind::Pattern, "%!", None);
        check(Kind::Pattern, "%", None);
        check(Kind::Pattern, "%n", None);
        check(Kind::Pattern, &"%A".repeat(40), None);
        check(Kind::Text, "two\nlines", None);
        check(Kind::Name, "../../etc/passwd", None);
        check(Kind::Name, "solarized", Some("\"solarized\""));
        check(Kind::Server, "chat.example:2050", Some("\"chat.example:2050\""));
        check(Kind::Server, "a b", None);
        check(Kind::Tls, "1", Some("\"on\""));
        check(Kind::Tls, "pin", Some("\"pin\""));
        check(Kind::Tls, "maybe", None);
    }
}
