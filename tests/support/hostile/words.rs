//! Words that somebody types to break something: text that is none, names that are none, signs with a meaning elsewhere.

/// 64 pieces of text that are not UTF-8, or hold U+0000.
pub fn not_utf8() -> Vec<Vec<u8>> {
    let pieces: [&[u8]; 32] = [
        // bytes that never occur
        b"\xff",
        b"\xfe",
        b"\xc0",
        b"\xc1",
        b"\xf5",
        b"\xf8",
        b"\xfc",
        b"\xff\xfe",
        // continuations without a start
        b"\x80",
        b"\xbf",
        b"\x80\x80\x80\x80",
        // cut sequences
        b"\xc3",
        b"\xe2\x82",
        b"\xe2",
        b"\xf0\x9f\x98",
        b"\xf0\x9f",
        b"\xf0",
        b"\xc3(",
        b"\xe2\x82(",
        b"\xf0\x9f\x98(",
        // overlong forms
        b"\xc0\xaf",
        b"\xc0\x80",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        // surrogates, alone and paired
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        // beyond the last character, and in five bytes
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        // U+0000 is UTF-8, and no text
        b"\0",
    ];
    let around = |piece: &[u8]| [piece.to_vec(), [b"al", piece, b"ice"].concat()];
    pieces.into_iter().flat_map(around).collect()
}

/// 200 names, each with whether it is one.
pub fn names() -> Vec<(String, bool)> {
    let good = [
        ".",
        "..",
        "...",
        "-rf",
        "--help",
        "%00",
        "%2e%2e",
        "$HOME",
        "`id`",
        "$(id)",
        "~root",
        "admin",
        "Admin",
        "ADMIN",
        "root",
        "server",
        "system",
        "null",
        "NULL",
        "undefined",
        "true",
        "0",
        "-1",
        "1e9",
        "NaN",
        "con",
        "nul",
        "aux",
        "o'brien",
        "a\"b",
        "a;b",
        "a=b",
        "a&b",
        "a<b>",
        "a(b)",
        "a[b]",
        "a{b}",
        "a:b",
        "a!b",
        "a+b",
        "a^b",
        "_",
        "alice",
        "ALICE",
        "Alice",
        "aLiCe",
        "\u{430}lice",
        "\u{ff41}lice",
        "al\u{131}ce",
        "\u{3b1}lice",
        "e\u{301}",
        "\u{e9}",
        "\u{1e9b}\u{323}",
        "stra\u{df}e",
        "STRASSE",
        "\u{fb01}",
        "\u{212b}",
        "\u{c5}",
        "A\u{30a}",
        "\u{1f600}",
        "\u{1f1e9}\u{1f1ea}",
        "\u{4e2d}\u{6587}",
        "\u{627}\u{644}",
        "\u{5d0}\u{5d1}",
        "\u{915}\u{94d}\u{937}",
        "\u{e000}",
        "\u{10ffff}",
        "\u{fffd}",
        "\u{d7ff}",
        "\u{130}",
        "\u{1c4}",
        "\u{1c5}",
        "\u{345}",
        "\u{301}",
        "\u{e33}",
        "\u{1100}",
    ];
    let reserved = ['|', '@', '#', '*', '?', '/', '\\', ','];
    let hidden = [
        ' ',
        '\t',
        '\n',
        '\r',
        '\0',
        '\u{1}',
        '\u{7}',
        '\u{8}',
        '\u{b}',
        '\u{c}',
        '\u{1b}',
        '\u{1f}',
        '\u{7f}',
        '\u{80}',
        '\u{85}',
        '\u{9b}',
        '\u{9f}',
        '\u{a0}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{115f}',
        '\u{1680}',
        '\u{17b4}',
        '\u{180b}',
        '\u{180e}',
        '\u{2000}',
        '\u{2003}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202d}',
        '\u{202e}',
        '\u{202f}',
        '\u{205f}',
        '\u{2060}',
        '\u{2064}',
        '\u{2066}',
        '\u{2069}',
        '\u{2800}',
        '\u{3000}',
        '\u{3164}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{ffa0}',
        '\u{fff9}',
        '\u{1d173}',
        '\u{e0001}',
        '\u{e0041}',
        '\u{e0100}',
    ];
    let mut names: Vec<(String, bool)> = good.map(|name| (name.to_owned(), true)).into();
    names.push((String::new(), false));
    for (letter, bytes) in [("x", 1), ("\u{e9}", 2), ("\u{4e2d}", 3), ("\u{1f600}", 4)] {
        names.push((letter.repeat(32 / bytes), true));
        names.push((letter.repeat(32 / bytes + 1), false));
    }
    names.extend(reserved.map(|c| (format!("a{c}b"), false)));
    for c in hidden {
        names.push((format!("a{c}b"), false));
        names.push((format!("alice{c}"), false));
    }
    names.truncate(200);
    names
}

/// 50 words with a meaning in SQL, in format strings, in shells, paths and logs.
pub fn metacharacters() -> Vec<Vec<u8>> {
    let words = [
        "'",
        "''",
        "\"",
        "`",
        ";",
        "--",
        "/*",
        "*/",
        "%",
        "_",
        "\\",
        "\\'",
        "' OR '1'='1",
        "' OR 1=1 --",
        "'; DROP TABLE accounts; --",
        "\"; DELETE FROM log; --",
        "') UNION SELECT * FROM tokens --",
        "1; ATTACH 'x' AS y",
        "x' AND randomblob(999999999)",
        "' || (SELECT 1) || '",
        "?1",
        ":name",
        "@name",
        "$1",
        "%s",
        "%n%n%n%n",
        "%x%x%x%x",
        "%99999999d",
        "{}",
        "{0}",
        "{:?}",
        "{{",
        "${jndi:ldap://x}",
        "$(reboot)",
        "`reboot`",
        "| reboot",
        "&& reboot",
        "> /etc/passwd",
        "../../etc/passwd",
        "C:\\con",
        "file:///etc/passwd",
        "\r\nlevel=ERROR forged",
        "\nERROR forged",
        "\u{1b}[31mred",
        "\u{1b}]0;title\u{7}",
        "<script>alert(1)</script>",
        "&lt;",
        "\u{202e}txt.exe",
        "NULL",
        "\u{fffd}",
    ];
    words.map(|word| word.as_bytes().to_vec()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bellhop_protocol::Name;

    use super::*;

    #[test]
    fn as_many_as_there_should_be_and_each_once() {
        let (broken, names, signs) = (not_utf8(), names(), metacharacters());
        assert_eq!(broken.iter().collect::<BTreeSet<_>>().len(), 64);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 200);
        assert_eq!(signs.iter().collect::<BTreeSet<_>>().len(), 50);
        assert!(broken.iter().all(|bytes| std::str::from_utf8(bytes).is_err() || bytes.contains(&0)));
    }

    #[test]
    fn two_hundred_names_by_the_rule() {
        for (name, good) in names() {
            assert_eq!(Name::parse(&name).is_ok(), good, "{name:?}");
        }
    }
}
