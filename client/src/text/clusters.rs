//! The clusters of a text and the columns that they take. Most texts are plain letters, for which there is nothing to
//! look up.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A cluster, and where it begins in the text.
pub(crate) fn clusters(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let cluster = match rest.as_bytes() {
            [] => return None,
            // Only a sign beyond ASCII can change the one before it, and only a line feed joins another of these.
            [first, b'\0'..=b'\x7f', ..] | [first] if first.is_ascii() && *first != b'\r' => &rest[..1],
            _ => rest.graphemes(true).next()?,
        };
        let start = at;
        at += cluster.len();
        Some((start, cluster))
    })
}

/// Columns that a cluster takes.
pub(crate) fn columns(cluster: &str) -> usize {
    if is_plain(cluster) { cluster.len() } else { cluster.width() }
}

/// True for printable ASCII and nothing else: a column a byte.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a", "Word", " ", "1", "#", "\r", "\n", "\t", "\0", "\u{7f}", "\u{301}", "\u{fe0f}", "\u{20e3}",
            "\u{200d}", "\u{600}", "🇩", "👩", "🏽", "構", "\u{1100}", "\u{1161}", "क", "\u{94d}",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_clusters_are_those_of_unicode(text in pieces()) {
            let found: Vec<_> = clusters(&text).collect();
            let known: Vec<_> = text.grapheme_indices(true).collect();
            prop_assert_eq!(&found, &known);
            for (_, cluster) in known {
                prop_assert_eq!(columns(cluster), cluster.width());
            }
        }
    }
}
