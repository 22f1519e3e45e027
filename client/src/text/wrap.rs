//! Widths and line breaks, by grapheme: the one measure of layout, cursor and wrap.

use std::borrow::Cow;
use std::ops::Range;

use super::clusters::{clusters, columns as columns_of, is_plain};

/// The narrowest line that is laid out: a wide character fits.
pub(crate) const WIDTH_MIN: usize = 2;

/// Tab stops lie this many columns apart.
pub(crate) const TAB: usize = 4;

/// `text` for a grid, which has no tabs: each as the spaces up to the next stop of its line.
pub(crate) fn without_tabs(text: &str) -> Cow<'_, str> {
    if !text.contains('\t') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for (_, cluster) in clusters(text) {
        match cluster {
            "\t" => {
                let spaces = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            "\n" => {
                out.push('\n');
                column = 0;
            }
            cluster => {
                out.push_str(cluster);
                column += columns_of(cluster);
            }
        }
    }
    Cow::Owned(out)
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { clusters(text).map(|(_, cluster)| columns_of(cluster)).sum() }
}

/// Where a line may end and the next one begin, in bytes.
#[derive(Clone, Copy)]
struct Break {
    end: usize,
    next: usize,
}

/// Cuts `text` into lines of at most `columns` columns (but never under [`WIDTH_MIN`]).
///
/// Lines end at line feeds, else at spaces, which belong to no line then, else beside wide characters, else within a
/// word. Spaces at the start of a line of the text stay: they are somebody's indentation.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<Range<usize>> {
    let columns = columns.max(WIDTH_MIN);
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split('\n') {
        wrap_line(text, at..at + line.len(), columns, &mut lines);
        at += line.len() + 1;
    }
    lines
}

fn wrap_line(text: &str, line: Range<usize>, columns: usize, lines: &mut Vec<Range<usize>>) {
    let mut start = line.start;
    let mut used = 0;
    let mut chance: Option<Break> = None;
    let mut word_seen = false;
    let mut wide_before = false;
    let mut skip_to = line.start;
    for (offset, cluster) in clusters(&text[line.clone()]) {
        let at = line.start + offset;
        if at < skip_to {
            continue;
        }
        let wide = columns_of(cluster);
        let space = cluster == " ";
        if at > start && (wide_before || wide > 1) && !space {
            chance = Some(Break { end: at, next: at });
        }
        if used + wide > columns {
            let here = Break { end: at, next: if space { after_spaces(text, at, line.end) } else { at } };
            let taken = if space { here } else { chance.unwrap_or(here) };
            lines.push(trimmed(text, start..taken.end));
            start = taken.next;
            skip_to = start;
            used = width(&text[start.min(at)..at]);
            (chance, word_seen) = (None, false);
            if at < skip_to {
                continue;
            }
        }
        if space && word_seen {
            chance = Some(Break { end: at, next: after_spaces(text, at, line.end) });
        }
        word_seen |= !space;
        wide_before = wide > 1;
        used += wide;
    }
    if start < line.end || start == line.start {
        lines.push(start..line.end);
    }
}

fn after_spaces(text: &str, at: usize, end: usize) -> usize {
    at + text[at..end].len() - text[at..end].trim_start_matches(' ').len()
}

/// A broken line without the spaces before its break; whole where it is nothing but spaces.
fn trimmed(text: &str, line: Range<usize>) -> Range<usize> {
    let kept = text[line.clone()].trim_end_matches(' ').len();
    if kept == 0 { line } else { line.start..line.start + kept }
}

/// Columns of a line that are shown; what goes on beyond them is nothing that anybody reads.
const LINE_MAX: usize = 10_000;

/// `text` with lines that go on and on cut, and a word about what is not shown.
pub(crate) fn folded(text: &str) -> Cow<'_, str> {
    // A column is a byte at least.
    if text.len() <= LINE_MAX || text.split('\n').all(|line| width(line) <= LINE_MAX) {
        return Cow::Borrowed(text);
    }
    let fold = |line: &str| {
        let shown = fit(line, LINE_MAX).0;
        match width(&line[shown.len()..]) {
            0 => line.to_owned(),
            more => format!("{shown}\n({more} more columns of this line are kept and not shown)"),
        }
    };
    Cow::Owned(text.split('\n').map(fold).collect::<Vec<_>>().join("\n"))
}

/// The start of `text` that fits into `columns`, and how many columns it takes.
pub(crate) fn fit(text: &str, columns: usize) -> (&str, usize) {
    let mut used = 0;
    for (at, cluster) in clusters(text) {
        let wide = columns_of(cluster);
        if used + wide > columns {
            return (&text[..at], used);
        }
        used += wide;
    }
    (text, used)
}

/// `text` in at most `columns`; where it does not fit, cut and ended with `mark`.
pub(crate) fn ellipsis(text: &str, columns: usize, mark: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns < width(mark) {
        return fit(text, columns).0.to_owned();
    }
    format!("{}{mark}", fit(text, columns - width(mark)).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, columns: usize, expected: &[&str]) {
        let lines: Vec<&str> = wrap(text, columns).into_iter().map(|line| &text[line]).collect();
        assert_eq!(lines, expected, "{text:?} at {columns}");
    }

    #[test]
    fn where_lines_break() {
        check("", 10, &[""]);
        check("one two three", 7, &["one two", "three"]);
        check("one two three", 8, &["one two", "three"]);
        check("one two  three", 9, &["one two", "three"]);
        check("one\n\ntwo", 9, &["one", "", "two"]);
        check("abcdefgh", 3, &["abc", "def", "gh"]);
        check("ab cdefgh", 4, &["ab", "cdef", "gh"]);
        check("  indented words", 10, &["  indented", "words"]);
        check("構建完成", 4, &["構建", "完成"]);
        check("構建完成", 5, &["構建", "完成"]);
        check("ok 構建", 5, &["ok 構", "建"]);
        check("Log is at https://ci.example/run/4417", 27, &["Log is at", "https://ci.example/run/4417"]);
        check("word   ", 4, &["word"]);
        check("👩‍🚀👩‍🚀", 3, &["👩‍🚀", "👩‍🚀"]);
        check("      ", 4, &["    "]);
    }

    #[test]
    fn tabs_are_spaces_on_a_grid() {
        assert_eq!(without_tabs("a\tb\n\tc\nabcd\te"), "a   b\n    c\nabcd    e");
        assert_eq!(without_tabs("構\tb\t"), "構  b   ");
        assert_eq!(without_tabs("none"), "none");
    }

    #[test]
    fn a_line_that_goes_on_and_on_is_folded() {
        let (long, short) = ("x".repeat(LINE_MAX + 7), "y".repeat(LINE_MAX));
        assert!(matches!(folded(&short), Cow::Borrowed(_)));
        let shown = folded(&format!("{short}\n{long}\nend")).into_owned();
        let lines: Vec<&str> = shown.split('\n').collect();
        assert_eq!(lines[..2], [short.as_str(), &long[..LINE_MAX]]);
        assert_eq!(lines[2..], ["(7 more columns of this line are kept and not shown)", "end"]);
        let wide = folded(&"構".repeat(LINE_MAX)).into_owned();
        assert_eq!(wide.split('\n').next().map(width), Some(LINE_MAX));
    }

    #[test]
    fn what_fits() {
        assert_eq!(fit("構建", 3), ("構", 2));
        assert_eq!(ellipsis("erin-long-name-here", 10, "…"), "erin-long…");
        assert_eq!(ellipsis("erin", 4, "…"), "erin");
        assert_eq!(ellipsis("erin", 0, "…"), "");
        assert_eq!(ellipsis("構建", 3, "…"), "構…");
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "Windows",
            "Terminal",
            " ",
            "  ",
            "\n",
            "構",
            "完成",
            "✅",
            "👩‍🚀",
            "é",
            "e\u{301}",
            "https://x.y/z",
            "-",
            "…",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_no_letter_lost_no_words_joined(text in pieces(), columns in 2usize..60) {
            let lines = wrap(&text, columns);
            let mut last = 0;
            for line in &lines {
                prop_assert!(width(&text[line.clone()]) <= columns);
                let between = &text[last..line.start];
                prop_assert!(between.chars().all(|c| c == ' ' || c == '\n'), "lost {between:?}");
                last = line.end;
            }
            prop_assert!(text[last..].chars().all(|c| c == ' ' || c == '\n'));
            for line in &lines {
                prop_assert!(!text[line.clone()].contains('\n'), "two lines in one");
            }
        }

        #[test]
        fn what_fits_is_wrapped_once(text in "[a-z]{1,8}( [a-z]{1,8}){0,4}") {
            let lines = wrap(&text, 60);
            prop_assert_eq!(lines, std::iter::once(0..text.len()).collect::<Vec<_>>());
        }
    }
}
