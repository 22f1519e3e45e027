//! Makes text from others harmless, once, where it enters: no screen, log or file sees it before.
//!
//! What is left holds no control character but the line feeds and tabs of a body, no character that reorders or hides others,
//! and no cluster that could grow beyond its cell. Bidi controls are shown by number, so that a reader sees that
//! somebody tried; everything else that is invisible becomes `�`.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_properties::{
    EmojiStatus, GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory,
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

use super::wrap::TAB;

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name, a reason, a title: one line. Line feeds and tabs become spaces.
    Line,
    /// The body of a message: line feeds and tabs stay, and what joins or parts letters where their script needs it.
    Body,
}

/// Combining marks kept on one base; more stack beyond their line on most terminals.
const MARKS_MAX: usize = 8;
/// Characters kept in one cluster: the longest emoji sequences in use have 10.
const CLUSTER_MAX: usize = 32;
/// Stands for a character that is not shown.
const REPLACED: char = '\u{FFFD}';
const JOINER: char = '\u{200D}';
const NON_JOINER: char = '\u{200C}';
const EMOJI_STYLE: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';

/// Returns `text` with everything gone that could drive a terminal, hide, or forge a line.
///
/// Cleaning a second time changes nothing.
pub fn clean(text: &str, kind: Kind) -> Cow<'_, str> {
    let stays = |byte| matches!((byte, kind), (b' '..=b'~', _) | (b'\n' | b'\t', Kind::Body));
    if text.bytes().all(stays) {
        return Cow::Borrowed(text);
    }
    let text = replace(text, kind);
    if text.is_ascii() { Cow::Owned(text) } else { Cow::Owned(shorten(&text)) }
}

/// Replaces characters one by one; what may stay depends on the neighbours of joiners and styles only.
fn replace(text: &str, kind: Kind) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let before = out.chars().next_back().unwrap_or(' ');
        let after = chars.peek().copied().unwrap_or(' ');
        match c {
            '\n' | '\t' if kind == Kind::Body => out.push(c),
            '\n' => out.push(' '),
            '\r' if after == '\n' => continue,
            '\t' => {
                let spaces = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
                continue;
            }
            JOINER | NON_JOINER if kind == Kind::Body && cursive(before) && cursive(after) => out.push(c),
            JOINER if joins(before, after) => out.push(c),
            EMOJI_STYLE if styles(before, after, kind) => out.push(c),
            _ if is_bidi(c) => {
                let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
            }
            _ if is_hidden(c) => out.push(REPLACED),
            _ => out.push(c),
        }
        column += c.width().unwrap_or(1);
    }
    out
}

/// True if and only if a joiner between these two makes one emoji of them.
fn joins(before: char, after: char) -> bool {
    let tone = |c| matches!(c, '\u{1F3FB}'..='\u{1F3FF}');
    (is_picture(before) || before == EMOJI_STYLE) && is_picture(after) && !tone(after)
}

/// Letters and marks of scripts whose letters take another shape beside each other: there joiners and non-joiners are
/// part of the spelling. In a name they would make a second one that looks the same.
fn cursive(c: char) -> bool {
    let script = matches!(c,
        // Arabic, Syriac; N'Ko; Mandaic, Arabic; then its presentation forms.
        '\u{0600}'..='\u{077F}' | '\u{07C0}'..='\u{07FF}' | '\u{0840}'..='\u{08FF}'
        | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}'
        // Devanagari to Sinhala; Myanmar; Khmer; Mongolian; Vedic; Phags-pa; Devanagari.
        | '\u{0900}'..='\u{0DFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{1800}'..='\u{18AF}'
        | '\u{1CD0}'..='\u{1CFF}' | '\u{A840}'..='\u{A87F}' | '\u{A8E0}'..='\u{A8FF}'
        // Manichaean, Psalter Pahlavi; Rohingya; Brahmi, Kaithi; Chakma; Adlam.
        | '\u{10AC0}'..='\u{10AFF}' | '\u{10B80}'..='\u{10BAF}' | '\u{10D00}'..='\u{10D3F}'
        | '\u{11000}'..='\u{110CF}' | '\u{11100}'..='\u{1114F}' | '\u{1E900}'..='\u{1E95F}');
    let group = c.general_category_group();
    script && matches!(group, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark) && !is_hidden(c)
}

/// True if and only if a style between these two shows: it makes a picture of what is else a letter.
///
/// What is a picture by itself some keyboards style as well; a name with it would look like the one without.
fn styles(before: char, after: char, kind: Kind) -> bool {
    match before {
        '0'..='9' | '#' | '*' => after == KEYCAP,
        _ => is_picture(before) && (kind == Kind::Body || !is_picture_by_itself(before)),
    }
}

/// Emoji but for digits and the halves of flags, which take part in sequences of their own.
fn is_picture(c: char) -> bool {
    c.is_emoji_char() && !c.is_ascii() && !matches!(c, '\u{1F1E6}'..='\u{1F1FF}')
}

fn is_picture_by_itself(c: char) -> bool {
    !matches!(
        c.emoji_status(),
        EmojiStatus::EmojiOther | EmojiStatus::EmojiModifierBase | EmojiStatus::EmojiOtherAndEmojiComponent
    )
}

/// The characters that change the direction of their surroundings.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Control and format characters, separators of lines, and letters and marks that show nothing.
fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' => false,
        // Default_Ignorable_Code_Point of Unicode 16, but for format characters; some of it is kept free for further
        // invisible characters. Other free numbers may be letters of a later Unicode.
        '\u{034F}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{17B4}'
        | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        | '\u{2065}'
        | '\u{3164}'
        | '\u{FE00}'..=EMOJI_STYLE
        | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFF8}'
        | '\u{E0000}'..='\u{E0FFF}' => true,
        // Blanks that count as letters, marks or symbols: Braille, Egyptian, Khitan, musical.
        '\u{2800}' | '\u{13441}' | '\u{13442}' | '\u{16FE4}' | '\u{1D159}' => true,
        _ => matches!(
            c.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        ),
    }
}

/// Bounds every cluster: at most [`MARKS_MAX`] marks, as many joiners, and [`CLUSTER_MAX`] characters.
fn shorten(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        let end = if cluster.len() <= MARKS_MAX { cluster.len() } else { bounded(cluster) };
        let (kept, rest) = cluster.split_at(end);
        if rest.is_empty() {
            out.push_str(kept);
            continue;
        }
        // What joins or styles must not meet another neighbour than the one it was allowed for.
        let joined = |c| matches!(c, JOINER | NON_JOINER | EMOJI_STYLE);
        let whole = kept.trim_end_matches(joined);
        out.push_str(whole);
        // Marks behind a mark go without a word. Anything else leaves a sign, and by it stays apart from what comes next.
        let is_mark = |c: char| {
            c.width() == Some(0) && c.general_category_group() == GeneralCategoryGroup::Mark && !joined(c)
        };
        let only_marks = whole.len() == kept.len() && whole.ends_with(is_mark) && rest.chars().all(is_mark);
        if !only_marks {
            out.push(REPLACED);
        }
    }
    out
}

/// How much of a cluster is within the bounds, with room for a sign where that is not all of it.
fn bounded(cluster: &str) -> usize {
    let fits = cluster.chars().nth(CLUSTER_MAX).is_none();
    let (mut marks, mut joiners) = (0, 0);
    for (number, (at, c)) in cluster.char_indices().enumerate() {
        match c {
            JOINER => joiners += 1,
            EMOJI_STYLE => {}
            _ if c.width() == Some(0) => marks += 1,
            _ => {}
        }
        if marks > MARKS_MAX || joiners > MARKS_MAX || !fits && number + 1 == CLUSTER_MAX {
            return at;
        }
    }
    cluster.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[track_caller]
    fn check(kind: Kind, text: &str, expected: &str) {
        let once = clean(text, kind).into_owned();
        assert_eq!(once, expected, "{text:?}");
        assert_eq!(clean(&once, kind), once, "cleaning {text:?} twice");
    }

    #[test]
    fn what_drives_a_terminal_is_inert() {
        let body = |text, expected| check(Kind::Body, text, expected);
        body("plain ~text!", "plain ~text!");
        body("\x1b[2Jgone", "�[2Jgone");
        body("\x1b]52;c;AAAA\x07", "�]52;c;AAAA�");
        body("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "�]8;;http://x�\\link�]8;;�\\");
        body("\x1b]0;title\x07", "�]0;title�");
        body("\x1bP1$r\x1b\\", "�P1$r�\\");
        body("\x1b_apc\x1b\\ \x1b^pm\x1b\\ \x1bXsos\x1b\\", "�_apc�\\ �^pm�\\ �Xsos�\\");
        body("\x1b[?1049h\x1b[?1003h", "�[?1049h�[?1003h");
        body("\u{9b}2J\u{9d}52;c;A\u{9c}", "�2J�52;c;A�");
        body("bell\x07 back\x08space del\x7f nul\0", "bell� back�space del� nul�");
    }

    #[test]
    fn lines() {
        check(Kind::Body, "one\ntwo\r\nthree", "one\ntwo\nthree");
        check(Kind::Line, "one\ntwo\r\nthree", "one two three");
        check(Kind::Body, "paid\rforged", "paid�forged");
        check(Kind::Body, "a\u{2028}b\u{2029}c\u{85}d\x0be\x0cf", "a�b�c�d�e�f");
        check(Kind::Line, "a\tb\n\tc", "a   b   c");
        check(Kind::Line, "構\tb", "構  b");
    }

    /// A Makefile came out of a message with spaces, and worked no more.
    #[test]
    fn tabs_of_a_body_stay() {
        for text in ["a\tb\n\tc\nabcd\te", "構\tb", "\t", "all:\n\tcc -o x x.c\n"] {
            check(Kind::Body, text, text);
        }
    }

    /// Persian and most scripts of India cannot be written without them, and "�" stood in their words.
    #[test]
    fn joiners_stay_between_letters_that_join() {
        for word in [
            "می\u{200c}خواهم",
            "نامه\u{200c}ای",
            "क्\u{200d}ष",
            "क्\u{200c}ष",
            "র\u{200d}্য",
            "ശ്രീ\u{200d}മ",
            "ක්\u{200d}ෂ",
            "ᠠ\u{200d}ᠨ",
            "ܐ\u{200c}ܒ",
            "ߊ\u{200c}ߋ",
        ] {
            check(Kind::Body, word, word);
            let replaced = word.replace(['\u{200c}', '\u{200d}'], "�");
            check(Kind::Line, word, &replaced);
        }
        for (text, expected) in [
            ("a\u{200c}b", "a�b"),
            ("م\u{200c}b", "م�b"),
            ("م\u{200c}", "م�"),
            ("\u{200c}م", "�م"),
            ("م\u{200c}\u{200c}م", "م��م"),
            ("م\u{200c} م", "م� م"),
            ("٣\u{200c}٤", "٣�٤"),
            ("क\u{200d}\u{17b4}", "क��"),
            ("é\u{200d}é", "é�é"),
        ] {
            check(Kind::Body, text, expected);
        }
        let stacked = format!("क{}", "्\u{200d}क".repeat(500));
        let once = clean(&stacked, Kind::Body).into_owned();
        assert_eq!(clean(&once, Kind::Body), once);
    }

    #[test]
    fn what_reorders_is_shown_and_what_hides_is_replaced() {
        let line = |text, expected| check(Kind::Line, text, expected);
        line("exe\u{202e}gpj.", "exe⟨U+202E⟩gpj.");
        line("\u{2066}a\u{2069}\u{200f}\u{61c}", "⟨U+2066⟩a⟨U+2069⟩⟨U+200F⟩⟨U+061C⟩");
        line("a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{feff}f\u{ad}g", "a�b�c�d�e�f�g");
        line("\u{e0041}\u{e007f}", "��");
        line("a\u{3164}b\u{115f}c", "a�b�c");
        line("a\u{fe0f}", "a�");
        line("\u{2065}\u{fff3}\u{e0200}", "���");
        line("\u{e0b0}", "\u{e0b0}");
        line("Здравствуй 王小明 ñ العربية", "Здравствуй 王小明 ñ العربية");
    }

    /// Names that differ in nothing but such a character looked like one name.
    #[test]
    fn no_character_is_invisible() {
        const INVISIBLE: &str = "\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180c}\u{180d}\u{180e}\u{180f}\
            \u{200b}\u{200c}\u{200d}\u{2028}\u{2029}\u{2060}\u{2064}\u{2065}\u{206a}\u{206f}\u{2800}\u{3164}\u{fe00}\
            \u{fe0e}\u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fff8}\u{fff9}\u{13441}\u{13442}\u{16fe4}\u{1bca0}\u{1bca3}\
            \u{1d159}\u{1d173}\u{1d17a}\u{e0000}\u{e0001}\u{e0041}\u{e007f}\u{e0100}\u{e01ef}\u{e01f0}\u{e0fff}";
        for c in INVISIBLE.chars() {
            for (before, after) in [("zed", ""), ("zed1", ""), ("", "zed"), ("ze", "d"), ("é", "1")] {
                check(Kind::Line, &format!("{before}{c}{after}"), &format!("{before}�{after}"));
            }
        }
    }

    #[test]
    fn emoji_sequences_stay_whole() {
        for emoji in [
            "👩‍🚀",
            "👨‍👩‍👧‍👦",
            "❤️",
            "🏳️‍🌈",
            "1️⃣",
            "#️⃣",
            "*️⃣",
            "👍🏽",
            "🇩🇪",
            "👩🏻‍❤️‍💋‍👨🏼",
            "⚠️",
            "👨‍🦰",
            "👩🏽‍🦱",
            "🕵️‍♂️",
            "⛹🏽‍♀️",
            "❤️‍🔥",
            "©️",
        ] {
            check(Kind::Body, emoji, emoji);
            check(Kind::Line, emoji, emoji);
        }
        // What some keyboards write; in a name it would be a second one that looks the same.
        check(Kind::Body, "⚡️", "⚡️");
        check(Kind::Line, "⚡️", "⚡�");
    }

    #[test]
    fn what_makes_emoji_hides_nowhere_else() {
        for (text, expected) in [
            ("👩\u{200d}x", "👩�x"),
            ("x\u{200d}👩", "x�👩"),
            ("1\u{200d}2", "1�2"),
            ("👩\u{200d}2", "👩�2"),
            ("🇩\u{200d}🇪", "🇩�🇪"),
            ("🇩🇪\u{fe0f}", "🇩🇪�"),
            ("👩\u{200d}\u{200d}👩", "👩��👩"),
            ("👩\u{200d}", "👩�"),
            ("👍\u{200d}🏽", "👍�🏽"),
            ("1\u{fe0f}", "1�"),
            ("1\u{fe0f}\u{200d}👩", "1��👩"),
            ("#\u{fe0f}x", "#�x"),
            ("1\u{20e3}\u{fe0f}", "1\u{20e3}�"),
            ("❤️\u{fe0f}", "❤️�"),
            ("❤\u{fe0e}", "❤�"),
        ] {
            check(Kind::Body, text, expected);
            check(Kind::Line, text, expected);
        }
    }

    #[test]
    fn clusters_are_bounded() {
        let stacked = format!("a{}b", "\u{301}".repeat(2_000));
        check(Kind::Body, &stacked, &format!("a{}b", "\u{301}".repeat(8)));
        let family = format!("👩{}", "\u{200d}👩".repeat(500));
        let cleaned = clean(&family, Kind::Body);
        assert!(cleaned.graphemes(true).all(|cluster| cluster.chars().count() <= CLUSTER_MAX), "{cleaned}");
        for endless in ["\u{1100}", "\u{1F3FB}", "\u{915}\u{94d}", "\u{20e3}", "\u{600}"] {
            let text = endless.repeat(5_000);
            let cleaned = clean(&text, Kind::Body);
            let longest = cleaned.graphemes(true).map(|cluster| cluster.chars().count()).max();
            assert!(longest <= Some(CLUSTER_MAX), "{endless:?}: {longest:?}");
            assert_eq!(clean(&cleaned, Kind::Body), cleaned, "{endless:?} twice");
        }
    }

    /// What is left of a cluster must not make something else of its neighbours.
    #[test]
    fn what_was_cut_stays_apart() {
        let marks = "\u{617}".repeat(8);
        check(Kind::Body, &format!("Y{marks}\u{617}!"), &format!("Y{marks}!"));
        // A non-joiner between letters of which one goes.
        check(
            Kind::Body,
            &format!("Y{}\u{200c}\u{617}\u{617}!", &marks[2..]),
            &format!("Y{}�!", &marks[2..]),
        );
        // Letters that a non-joiner kept apart, each with marks of its own.
        let viramas = "\u{94d}".repeat(8);
        check(
            Kind::Body,
            &format!("\u{915}{viramas}\u{200c}\u{937}{viramas}"),
            &format!("\u{915}{viramas}�\u{937}{viramas}"),
        );
        // A mark that kept a syllable's end from the next one.
        let vowels = "\u{1161}".repeat(8);
        check(Kind::Line, &format!("{vowels}\u{946}\u{11a8}"), &format!("{vowels}�\u{11a8}"));
        // A letter that takes the next one into its cluster; vowels that a syllable's end kept apart.
        let letters = "\u{d4e}".repeat(40);
        check(Kind::Line, &format!("{letters}ab"), &format!("{}�b", &letters[..8 * 3]));
        check(
            Kind::Line,
            &format!("\u{1100}{vowels}\u{1161}\u{11a8}{vowels}"),
            &format!("\u{1100}{vowels}�{vowels}"),
        );
    }

    #[test]
    fn nothing_that_a_terminal_obeys_survives() {
        let every = (0..=0x10_FFFF).filter_map(char::from_u32).collect::<String>();
        for kind in [Kind::Line, Kind::Body] {
            let cleaned = clean(&every, kind).into_owned();
            let kept = |c: char| matches!(c, '\n' | '\t') && kind == Kind::Body;
            let bad = |c: &char| (c.is_control() && !kept(*c)) || is_bidi(*c);
            assert_eq!(cleaned.chars().find(bad), None);
            assert!(cleaned.width() > 0);
        }
    }
}
