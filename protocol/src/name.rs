//! User names and addresses: checked once, then trusted as types.
//!
//! A name is shown as it was created and compared as its [`NameKey`]: `NFC(full case fold(NFC(name)))`. Two names with
//! one key are one name, everywhere.

use std::borrow::Cow;
use std::fmt;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The longest name, in bytes of UTF-8.
pub const NAME_MAX: usize = 32;

/// Why something is not a user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name has at least one character")]
    Empty,
    /// More than [`NAME_MAX`] bytes.
    #[error("a name has at most 32 bytes")]
    TooLong,
    /// A character that names may not hold.
    #[error("a name holds no spaces, no control or invisible characters and none of | @ # * ? / \\ ,")]
    Forbidden,
}

/// A user name in somebody else's buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] where PROTOCOL.md, "Names", forbids it.
    pub fn parse(name: &'a str) -> Result<Name<'a>, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > NAME_MAX {
            return Err(NameError::TooLong);
        }
        let ascii = name.bytes().all(|byte| byte.is_ascii_graphic() && !is_reserved(char::from(byte)));
        if ascii || name.chars().all(is_allowed) { Ok(Name(name)) } else { Err(NameError::Forbidden) }
    }

    /// The name as it was written.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// What the name is compared by.
    pub fn key(self) -> NameKey<'a> {
        NameKey(fold(self.0))
    }

    /// The name, owned.
    pub fn to_owned(self) -> Username {
        Username(self.0.into())
    }
}

/// Characters with a meaning in addresses, groups, patterns and fields.
fn is_reserved(c: char) -> bool {
    matches!(c, '|' | '@' | '#' | '*' | '?' | '/' | '\\' | ',')
}

/// Characters that show nothing: Unicode's property Default_Ignorable_Code_Point, and the empty braille pattern. With
/// them, two different names would look alike. Most, but not all, have the general category Cf.
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x202A..=0x202E | 0x2060..=0x206F | 0x2800 | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
            | 0xFFF0..=0xFFF8 | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF
    )
}

fn is_allowed(c: char) -> bool {
    // General category Cf holds the format characters, all bidi controls among them.
    !is_reserved(c)
        && !is_invisible(c)
        && !c.is_whitespace()
        && !matches!(
            c.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

/// Folds text as names are folded: `NFC(full case fold(NFC(text)))`. Borrows where nothing changes.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
    }
    Cow::Owned(text.nfc().default_case_fold().nfc().collect())
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// What names are compared by: the folded form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NameKey<'a>(Cow<'a, str>);

impl<'a> NameKey<'a> {
    /// The folded form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folded form, borrowed from the name where folding changed nothing.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }

    /// The folded form, owned.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

/// A user name that owns its characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Username(Box<str>);

impl Username {
    /// Checks a name and keeps it; the errors are those of [`Name::parse`].
    pub fn parse(name: &str) -> Result<Username, NameError> {
        Name::parse(name).map(Name::to_owned)
    }

    /// The name, borrowed.
    pub fn as_name(&self) -> Name<'_> {
        Name(&self.0)
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Whom a message is for: `user` here, or `user@realm` elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// The user's name within the realm.
    pub user: Name<'a>,
    /// The realm; `None` for the server's own.
    pub realm: Option<Name<'a>>,
}

impl<'a> Address<'a> {
    /// Checks an address.
    ///
    /// # Errors
    ///
    /// [`NameError`] where the user or the realm is not a name.
    pub fn parse(address: &'a str) -> Result<Address<'a>, NameError> {
        match address.split_once('@') {
            None => Ok(Address { user: Name::parse(address)?, realm: None }),
            Some((user, realm)) => Ok(Address { user: Name::parse(user)?, realm: Some(Name::parse(realm)?) }),
        }
    }

    /// Bytes of the address as it is written.
    pub fn len(&self) -> usize {
        self.user.0.len() + self.realm.map_or(0, |realm| 1 + realm.0.len())
    }

    /// True if and only if the address has no characters, which a checked one never has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<Name<'a>> for Address<'a> {
    fn from(user: Name<'a>) -> Address<'a> {
        Address { user, realm: None }
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.realm {
            None => f.write_str(self.user.0),
            Some(realm) => write!(f, "{}@{realm}", self.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_names_are_names() {
        let check = |name: &str, expected: Result<(), NameError>| {
            assert_eq!(Name::parse(name).map(|_| ()), expected, "{name:?}");
        };
        for good in ["a", "alice", "Alice", "-rf", ".", "..", "%00", "王小明", "e\u{301}", "admin", "o'brien"]
        {
            check(good, Ok(()));
        }
        check(&"x".repeat(32), Ok(()));
        check(&"x".repeat(33), Err(NameError::TooLong));
        check(&"é".repeat(17), Err(NameError::TooLong));
        check("", Err(NameError::Empty));
        for bad in
            ["a b", "a|b", "a@b", "#a", "a*", "a?", "a/b", "a\\b", "a,b", "a\tb", "a\nb", "a\u{0}", "\u{7f}"]
        {
            check(bad, Err(NameError::Forbidden));
        }
        // no-break space, right-to-left override, isolate, zero-width joiner, soft hyphen, tag character, C1
        for bad in ['\u{a0}', '\u{202e}', '\u{2066}', '\u{200d}', '\u{ad}', '\u{e0041}', '\u{85}', '\u{2028}']
        {
            check(&format!("a{bad}b"), Err(NameError::Forbidden));
        }
    }

    #[test]
    fn which_names_are_one() {
        let check = |name: &str, key: &str| {
            assert_eq!(Name::parse(name).expect("a name").key().as_str(), key, "{name}");
        };
        check("alice", "alice");
        check("ALICE", "alice");
        check("Straße", "strasse");
        check("STRASSE", "strasse");
        check("e\u{301}", "é");
        check("É", "é");
        check("ΣΊΣΥΦΟΣ", "σίσυφοσ");
        check("Σίσυφος", "σίσυφοσ");
        check("\u{fb03}", "ffi");
        // Look-alikes are other names: Cyrillic а, full-width ａ.
        check("\u{430}lice", "\u{430}lice");
        check("\u{ff41}lice", "\u{ff41}lice");
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for c in ('\u{80}'..'\u{30000}').filter(|c| is_allowed(*c)) {
            let once = fold(c.encode_utf8(&mut [0; 4])).into_owned();
            assert_eq!(fold(&once), once, "{c:?}");
        }
    }

    #[test]
    fn addresses() {
        let address = Address::parse("bob@Example").expect("an address");
        assert_eq!((address.user.as_str(), address.realm.map(Name::as_str)), ("bob", Some("Example")));
        assert_eq!((address.to_string().as_str(), address.len()), ("bob@Example", 11));
        assert_eq!(Address::parse("bob").expect("an address").realm, None);
        assert_eq!(Address::parse("bob@"), Err(NameError::Empty));
        assert_eq!(Address::parse("@home"), Err(NameError::Empty));
        assert_eq!(Address::parse("a@b@c"), Err(NameError::Forbidden));
    }
}
