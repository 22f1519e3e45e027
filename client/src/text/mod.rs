//! Text on a grid of cells: made harmless where it enters ([`clean()`]), measured and wrapped where it is shown.

pub(crate) mod clean;
pub(crate) mod clusters;
pub(crate) mod emoji;
pub(crate) mod links;
pub(crate) mod seek;
pub(crate) mod wrap;

pub use clean::{Kind, clean};
pub(crate) use wrap::without_tabs;

use std::borrow::Cow;

/// Characters of one text that a screen holds; what a person sends is shorter under the usual limits.
const SHOWN_MAX: usize = 32 * 1_024;

/// `text` for a screen: without tabs, and where it is longer than anybody reads, its start and a word about the rest.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN_MAX {
        return without_tabs(text);
    }
    match text.char_indices().nth(SHOWN_MAX) {
        None => without_tabs(text),
        Some((at, _)) => {
            let (start, rest) = (without_tabs(&text[..at]), text[at..].chars().count());
            Cow::Owned(format!("{start}\n({rest} more characters are kept and not shown)"))
        }
    }
}

/// The start of a sentence that is meant for a person.
pub(crate) fn sentence(text: &str) -> String {
    const SENTENCE_MAX: usize = 500;
    clean(text, Kind::Line).trim().chars().take(SENTENCE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_holds_the_start_of_an_endless_text() {
        assert_eq!(shown("short"), "short");
        assert_eq!(shown("a\tb"), "a   b");
        let long = "é".repeat(SHOWN_MAX + 5);
        let cut = shown(&long).into_owned();
        assert!(cut.ends_with("é\n(5 more characters are kept and not shown)"), "{}", &cut[cut.len() - 80..]);
        assert_eq!(sentence(&format!(" {}\n", "x".repeat(9_000))).len(), 500);
    }
}
