//! Emoji by their names, for terminals whose fonts have none, and for people who type them.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

use crate::settings::Emoji;

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
    // A letter is never one, and a sign that fonts have had for long is one only where a selector says so.
    if cluster.is_ascii() || matches!(cluster, "©" | "®" | "™" | "↔" | "↩" | "↪" | "▪" | "▫" | "√")
    {
        return None;
    }
    emojis::get(cluster)?.shortcode()
}

/// Names that begin so, with their emoji, the shortest name first.
pub(crate) fn completions(start: &str) -> Vec<(&'static str, &'static str)> {
    let all = emojis::iter().flat_map(|emoji| emoji.shortcodes().map(|name| (name, emoji.as_str())));
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
    fn names_to_be_completed() {
        assert_eq!(completions("rocke"), [("rocket", "🚀")]);
        assert!(completions("smi").len() > 2 && completions("no such").is_empty());
        for (name, emoji) in completions("") {
            assert_eq!(emojis::get_by_shortcode(name).map(emojis::Emoji::as_str), Some(emoji));
        }
    }
}
