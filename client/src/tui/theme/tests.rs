//! That the built-in themes can be read, on the screen and as files, and that no file makes the reader panic.

use ratatui::style::{Color, Modifier};

use super::{BUILT_IN, ROLES, Role, Theme, parse, rgb};

fn built_in() -> impl Iterator<Item = (&'static str, Theme)> {
    BUILT_IN.iter().map(|(name, _)| (*name, Theme::built_in(name).expect("it is built in")))
}

#[test]
fn the_built_in_themes_are_right_and_say_every_role() {
    for (name, text) in BUILT_IN {
        let read = parse(text);
        assert!(read.problems.is_empty() && read.warnings.is_empty(), "{name}: {read:?}");
        let document = toml_edit::Document::parse(*text).expect("TOML");
        for (_, role) in ROLES {
            let table = match role.split_once('.') {
                Some((table, key)) => document.get(table).and_then(|table| table.get(key)),
                None => document.get(role),
            };
            assert!(table.is_some(), "{name} does not say {role}");
        }
    }
}

#[test]
fn the_terminals_own_colours_stay_where_they_are_wanted() {
    for (name, theme) in built_in() {
        for (role, word) in ROLES {
            let style = theme.of(*role);
            assert!(style.bg.is_none() || !matches!(name, "terminal" | "mono"), "{name}: {word}");
            assert!(style.fg.is_none() || name != "mono", "{word}");
            assert!(!style.add_modifier.contains(Modifier::DIM) || name != "high-contrast", "{word}");
        }
    }
}

/// The contrast of two colours by WCAG 2: 4.5 is enough for text, 7 for those who see less.
fn contrast(one: Color, other: Color) -> f64 {
    let luminance = |colour: Color| {
        let Color::Indexed(index) = colour else { panic!("{colour:?} looks different on every terminal") };
        let (red, green, blue) = rgb(index).expect("a colour whose look is fixed");
        let part = |level: u8| {
            let level = f64::from(level) / 255.0;
            if level <= 0.03928 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn everything_can_be_read_on_its_background() {
    for (name, theme) in built_in().filter(|(name, _)| !matches!(*name, "terminal" | "mono")) {
        let least = if name == "high-contrast" { 7.0 } else { 4.5 };
        let ground = theme.text().bg.expect("a background");
        for (role, word) in ROLES {
            let style = theme.of(*role);
            let found = contrast(style.fg.expect("a colour"), style.bg.unwrap_or(ground));
            assert!(found >= least, "{name}: {word} has {found:.1}");
        }
    }
}

#[test]
fn nobody_changes_their_hue() {
    let theme = Theme::built_in("terminal").expect("it is built in");
    let hue = |name: &str| theme.nick(name).fg;
    assert_eq!((hue("alice"), hue("bob")), (hue("alice"), hue("bob")));
    let hues: std::collections::HashSet<_> =
        (0..100).map(|n| hue(&format!("user{n}"))).map(|hue| format!("{hue:?}")).collect();
    assert_eq!(hues.len(), 6, "all are used");
    assert_eq!(hue("alice"), Some(Color::Red), "the same on every machine");
}

#[test]
fn a_theme_of_ones_own() {
    let read = parse(
        "base = 'dark'\naccent = { fg = '#ffaf00', underline = true }\nnick.0 = { fg = 'bright-cyan' }\n[dim]\nbg = '#abc'\n",
    );
    assert!(read.problems.is_empty() && read.warnings.is_empty(), "{read:?}");
    let theme = read.theme;
    assert_eq!(theme.accent().fg, Some(Color::Rgb(255, 175, 0)));
    assert!(theme.accent().add_modifier.contains(Modifier::UNDERLINED));
    assert_eq!(theme.of(Role::Nick0).fg, Some(Color::LightCyan));
    assert_eq!(theme.dim().bg, Some(Color::Rgb(0xaa, 0xbb, 0xcc)));
    assert_eq!(theme.text().bg, Some(Color::Indexed(235)), "of its base");
    let fewer = theme.in_256_colours();
    assert_eq!(fewer.accent().fg, Some(Color::Indexed(214)));
    assert_eq!(fewer.of(Role::Nick0).fg, Some(Color::LightCyan));
}

#[test]
fn what_is_wrong_with_a_theme_is_told_with_its_place() {
    let check = |text: &str, problem: Option<&str>, warning: Option<&str>| {
        let read = parse(text);
        let told = |remarks: &[crate::settings::file::Remark]| {
            remarks.first().map(|remark| format!("{}: {}", remark.place, remark.sentence))
        };
        let starts = |found: Option<String>, expected: Option<&str>| match (&found, expected) {
            (Some(found), Some(expected)) => assert!(found.starts_with(expected), "{found}"),
            (found, expected) => assert_eq!(found.as_deref(), expected, "{text}"),
        };
        starts(told(&read.problems), problem);
        starts(told(&read.warnings), warning);
    };
    check("base = 'x'", Some("1:8: base is none of terminal, dark"), None);
    check("[text]\nfg = 'gren'", Some("2:6: text.fg is no colour: a number"), None);
    check("[text]\nbold = 1", Some("2:8: text.bold is true or false"), None);
    check("text = 1", Some("1:1: text must be a table"), None);
    check("[txt]", None, Some("1:2: there is no role \"txt\"; did you mean text?"));
    check("[text]\nbolt = true", None, Some("2:1: there is no text.bolt; did you mean bold?"));
    // One of several bytes was cut in the middle.
    for colour in ["#\u{e9}\u{e9}\u{e9}", "#\u{1f680}ab", "#", "#ff", "#gggggg", "256", "-1"] {
        check(&format!("text = {{ fg = '{colour}' }}"), Some("1:15: text.fg is no colour"), None);
    }
    check("text = { fg = 256 }", Some("1:15: text.fg is no colour"), None);
    check("base = 'mono\n", Some("1:"), None);
}
