//! Emoji by their names, for terminals whose fonts have none, and for people who type them.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation;

use crate::settings::Emoji;

/// Every emoji that has names, and these in one piece, the usual one first. A line each in the program, and taken apart
/// when somebody asks, which few ever do. In the order of [`plain`].
static NAMES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let table = include_str!(concat!(env!("OUT_DIR"), "/emoji.txt"));
    table.lines().filter_map(|line| line.split_once(' ')).collect()
});

/// What was written before there were emoji.
const TEXT: &[(&str, &str)] = &[
    ("🙂", ":)"),
    ("😊", ":)"),
    ("😀", ":D"),
    ("😃", ":D"),
    ("😄", ":D"),
    ("😁", ":D"),
    ("😂", ":'D"),
    ("😉", ";)"),
    ("🙁", ":("),
    ("☹️", ":("),
    ("😞", ":("),
    ("😢", ":'("),
    ("😭", ":'("),
    ("😛", ":P"),
    ("😜", ";P"),
    ("😮", ":o"),
    ("😐", ":|"),
    ("😕", ":/"),
    ("😎", "8)"),
    ("😘", ":*"),
    ("❤️", "<3"),
    ("💔", "</3"),
    ("✅", "[x]"),
    ("☑️", "[x]"),
    ("❌", "[ ]"),
    ("➡️", "->"),
    ("⬅️", "<-"),
];

/// `text` as it is to be shown. A cluster that has no name stays what it is.
pub(crate) fn shown(text: &str, how: Emoji) -> Cow<'_, str> {
    // Most texts have none, and every one of them has a byte beyond ASCII.
    if matches!(how, Emoji::AsIs | Emoji::Auto) || text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        let old = TEXT.iter().find(|(emoji, _)| how == Emoji::Text && *emoji == cluster);
        match old.map(|(_, text)| *text) {
            Some(text) => out.push_str(text),
            None => match named(cluster) {
                Some(name) => {
                    out.push(':');
                    out.push_str(name);
                    out.push(':');
                }
                None => out.push_str(cluster),
            },
        }
    }
    Cow::Owned(out)
}

fn named(cluster: &str) -> Option<&'static str> {
    // A letter is never one.
    if cluster.is_ascii() || is_old(cluster) {
        return None;
    }
    let at = NAMES.binary_search_by(|(emoji, _)| plain(emoji).cmp(plain(cluster))).ok()?;
    NAMES.get(at)?.1.split(' ').next()
}

/// A sign that fonts have had for long is an emoji only where a selector says so.
fn is_old(cluster: &str) -> bool {
    matches!(cluster, "©" | "®" | "™" | "↔" | "↩" | "↪" | "▪" | "▫" | "√")
}

/// An emoji without the selectors that ask for colour, which not everybody writes.
fn plain(emoji: &str) -> impl Iterator<Item = char> {
    emoji.chars().filter(|character| *character != '\u{fe0f}')
}

/// Names that begin so, with their emoji, the shortest name first.
pub(crate) fn completions(start: &str) -> Vec<(&'static str, &'static str)> {
    let all = NAMES.iter().flat_map(|(emoji, names)| names.split(' ').map(|name| (name, *emoji)));
    let mut found: Vec<_> = all.filter(|(name, _)| name.starts_with(start)).collect();
    found.sort_unstable_by_key(|(name, _)| (name.len(), *name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_for_fonts_that_have_none() {
        let check = |text: &str, names: &str, old: &str| {
            assert_eq!(shown(text, Emoji::Names), names);
            assert_eq!(shown(text, Emoji::Text), old);
            assert_eq!(shown(text, Emoji::AsIs), text);
        };
        check("to the 🚀!", "to the :rocket:!", "to the :rocket:!");
        check("fine 🙂", "fine :slightly_smiling_face:", "fine :)");
        check("❤️", ":heart:", "<3");
        check("構建 é ✓ © 12 #", "構建 é ✓ © 12 #", "構建 é ✓ © 12 #");
        check("🇩🇪", ":de:", ":de:");
        check("", "", "");
    }

    #[test]
    fn every_emoji_has_its_usual_name_with_selectors_and_without() {
        let named_ones = emojis::iter().filter(|emoji| emoji.shortcode().is_some());
        for emoji in named_ones.clone() {
            assert_eq!(named(emoji.as_str()), emoji.shortcode(), "{emoji}");
            let bare: String = plain(emoji.as_str()).collect();
            let known = emojis::get(&bare).and_then(|emoji| emoji.shortcode());
            assert!(named(&bare) == known || is_old(&bare), "{bare}");
        }
        assert_eq!(NAMES.len(), named_ones.count());
        assert_eq!(named("❤"), Some("heart"));
        assert_eq!(named("👍🏽"), None);
    }

    #[test]
    fn names_to_be_completed() {
        assert_eq!(completions("rocke"), [("rocket", "🚀")]);
        assert!(completions("smi").len() > 2 && completions("no such").is_empty());
        assert_eq!(completions("").len(), emojis::iter().flat_map(|emoji| emoji.shortcodes()).count());
        for (name, emoji) in completions("") {
            assert_eq!(emojis::get_by_shortcode(name).map(emojis::Emoji::as_str), Some(emoji));
        }
    }
}
