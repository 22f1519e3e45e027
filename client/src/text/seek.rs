//! Finding words in a text, whatever their case.

use std::ops::Range;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seek {
    /// In lower case.
    wanted: Vec<char>,
}

impl Seek {
    /// `None` where there is nothing to look for.
    pub(crate) fn new(text: &str) -> Option<Seek> {
        let wanted: Vec<char> = text.trim().chars().flat_map(char::to_lowercase).collect();
        (!wanted.is_empty()).then_some(Seek { wanted })
    }

    /// The first place in `text`, in bytes.
    pub(crate) fn first(&self, text: &str) -> Option<Range<usize>> {
        let first = *self.wanted.first()?;
        text.char_indices()
            .filter(|(_, c)| !c.is_ascii() || !first.is_ascii() || c.to_ascii_lowercase() == first)
            .find_map(|(at, _)| self.matches(&text[at..]).map(|len| at..at + len))
    }

    /// Every place in `text`, in bytes; none within another.
    pub(crate) fn all(&self, text: &str) -> Vec<Range<usize>> {
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(place) = self.first(&text[from..]) {
            found.push(from + place.start..from + place.end);
            from += place.end;
        }
        found
    }

    /// How many bytes at the start of `text` are what is looked for.
    fn matches(&self, text: &str) -> Option<usize> {
        let mut wanted = self.wanted.iter();
        let mut chars = text.char_indices();
        loop {
            let Some((at, c)) = chars.next() else {
                return wanted.as_slice().is_empty().then_some(text.len());
            };
            if wanted.as_slice().is_empty() {
                return Some(at);
            }
            // A letter whose lower case is several: all of them, or none.
            for small in c.to_lowercase() {
                if wanted.next() != Some(&small) {
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter_and_places_are_in_bytes() {
        let check = |wanted: &str, text: &str, expected: &[&str]| {
            let found = Seek::new(wanted).map(|seek| seek.all(text)).unwrap_or_default();
            let found: Vec<&str> = found.into_iter().map(|place| &text[place]).collect();
            assert_eq!(found, expected, "{wanted:?} in {text:?}");
        };
        check("paste", "Pasting a PASTE, paste", &["PASTE", "paste"]);
        check(" paste ", "paste", &["paste"]);
        check("ÄRGER", "viel Ärger", &["Ärger"]);
        check("構", "構建完成 構", &["構", "構"]);
        check("i\u{307}", "x İ", &["İ"]);
        check("aa", "aaaaa", &["aa", "aa"]);
        check("abc", "ababc ab", &["abc"]);
        check("", "abc", &[]);
        check("x", "", &[]);
        check("two words", "Two words", &["Two words"]);
    }
}
