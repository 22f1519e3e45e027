//! Text for a terminal: nothing in it but what can be seen, times and sizes as people write them, columns.

use std::fmt::Write;

/// The text with everything that a terminal would act upon, or that hides, made visible.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_hidden(c) {
            let _ = write!(cleaned, "⟨U+{:04X}⟩", u32::from(c));
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

/// Characters that turn the direction of others, or show nothing.
fn is_hidden(c: char) -> bool {
    matches!(
        u32::from(c),
        0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
            | 0xE0000..=0xE0FFF
    )
}

/// A moment in ms since 1970, in UTC.
pub fn moment(ms: u64) -> String {
    let (days, second) = (ms / 86_400_000, ms / 1_000 % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// The date so many days after 1970-01-01, by the rule of the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted from 1 March of a year that 400 divides, so that leap days come last.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A moment, and how long before or after `now_ms` it is.
pub fn moment_from(ms: u64, now_ms: u64) -> String {
    let apart = span(ms.abs_diff(now_ms) / 1_000);
    match ms <= now_ms {
        true => format!("{} ({apart} ago)", moment(ms)),
        false => format!("{} (in {apart})", moment(ms)),
    }
}

/// So many seconds, in the two largest units.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// So many bytes.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if value < 1_024.0 {
            return if unit == "bytes" { format!("{count} {unit}") } else { format!("{value:.1} {unit}") };
        }
        value /= 1_024.0;
    }
    format!("{value:.1} TiB")
}

/// A number with its thousands apart.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut apart = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

/// So many of something, in words.
pub fn count(number_of: u64, what: &str) -> String {
    format!("{} {what}{}", number(number_of), if number_of == 1 { "" } else { "s" })
}

/// Rows as lines, their cells in columns that are as wide as need be; the last cell of a row is not filled up.
pub fn columns(rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if at + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', width(at) - cell.chars().count() + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_acts_upon() {
        for (text, expected) in [
            ("alice", "alice"),
            ("構築 é 👩", "構築 é 👩"),
            ("a\u{1b}[2Jb", "a⟨U+001B⟩[2Jb"),
            ("a\r\nb", "a⟨U+000D⟩⟨U+000A⟩b"),
            ("\u{9b}m\u{7f}", "⟨U+009B⟩m⟨U+007F⟩"),
            ("gpj\u{202e}exe", "gpj⟨U+202E⟩exe"),
            ("a\u{200b}b\u{feff}", "a⟨U+200B⟩b⟨U+FEFF⟩"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (ms, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_000, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_078_099_200_000, "2004-03-01 00:00:00 UTC"),
            (1_763_746_545_123, "2025-11-21 17:35:45 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(moment(ms), expected);
        }
        assert_eq!(moment_from(0, 90_000), "1970-01-01 00:00:00 UTC (1 min 30 s ago)");
        assert_eq!(moment_from(90_061_000, 0), "1970-01-02 01:01:01 UTC (in 1 d 1 h)");
    }

    #[test]
    fn numbers_are_as_people_write_them() {
        assert_eq!(
            [number(0), number(999), number(1_000), number(12_345_678)],
            ["0", "999", "1,000", "12,345,678"]
        );
        assert_eq!([bytes(0), bytes(1_023), bytes(1_536)], ["0 bytes", "1023 bytes", "1.5 KiB"]);
        assert_eq!([bytes(64 << 20), bytes(3 << 40)], ["64.0 MiB", "3.0 TiB"]);
        assert_eq!([count(1, "message"), count(2, "message")], ["1 message", "2 messages"]);
    }

    #[test]
    fn columns_line_up() {
        let rows: Vec<Vec<String>> =
            [["a", "1", "x"], ["bcd", "23", ""]].map(|row| row.map(str::to_owned).to_vec()).to_vec();
        assert_eq!(columns(&rows), "a    1   x\nbcd  23\n");
    }
}
