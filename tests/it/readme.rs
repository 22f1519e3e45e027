//! What the README shows of the screen is what the screen shows, and every key and command that it names is there.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use bellhop_tests::process::{binary, run};
use bellhop_tests::server::Home;
use bellhop_tests::terminal::Terminal;

use crate::rows::read;

/// Where the README's picture begins and ends.
const FENCES: (&str, &str) = ("```text\n", "\n```\n");

/// The screen of the made-up people, row by row, without what stands behind the last letter.
fn picture() -> String {
    let home = Home::new();
    let terminal = Terminal::start(&["tui", "--demo"], home.path(), "127.0.0.1:1");
    terminal.shows("(sent from the train)");
    terminal.shows("F1 help");
    let contents = terminal.contents();
    contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// `BELLHOP_README=write` puts the screen as it is now into the README.
#[test]
fn the_picture_is_what_the_screen_shows() {
    let (readme, now) = (read("README.md"), picture());
    let (before, rest) = readme.split_once(FENCES.0).unwrap();
    let (shown, behind) = rest.split_once(FENCES.1).unwrap();
    if std::env::var("BELLHOP_README").is_ok_and(|wish| wish == "write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        fs::write(path, format!("{before}{}{now}{}{behind}", FENCES.0, FENCES.1)).unwrap();
        return;
    }
    assert_eq!(
        shown, now,
        "BELLHOP_README=write cargo test -p bellhop-tests the_picture_is makes it so again"
    );
}

/// What a command of the client prints.
fn printed(arguments: &[&str]) -> String {
    let home = Home::new();
    let mut command = Command::new(binary("bellhop"));
    let (status, said, complaint) = run(command.env("BELLHOP_HOME", home.path()).args(arguments));
    assert!(status.success(), "{complaint}");
    said
}

/// What stands between backticks in a line of prose.
fn code(text: &str) -> Vec<&str> {
    let mut inside = false;
    let prose = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

fn is_key(word: &str) -> bool {
    let function = word.strip_prefix('F').is_some_and(|number| number.parse::<u8>().is_ok());
    function || ["Ctrl+", "Alt+", "Shift+", "PgUp", "PgDn"].iter().any(|start| word.starts_with(start))
}

#[test]
fn every_key_that_the_readme_names_does_something() {
    let keys = printed(&["help", "keys"]);
    let known: BTreeSet<&str> = keys.split_whitespace().collect();
    let readme = read("README.md");
    let named: BTreeSet<&str> = code(&readme).into_iter().filter(|word| is_key(word)).collect();
    assert!(named.len() >= 5, "{named:?}");
    for key in named {
        assert!(known.contains(key), "{key} is in the README and in no table");
    }
}

#[test]
fn every_command_that_the_readme_names_is_there() {
    let readme = read("README.md");
    let is_command = |text: &&str| {
        text.strip_prefix('/').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
            && !text[1..].contains('/')
    };
    // `/command` stands for any of them.
    let named: BTreeSet<&str> =
        code(&readme).into_iter().filter(is_command).filter(|text| *text != "/command").collect();
    assert!(named.len() >= 2, "{named:?}");
    let home = Home::new();
    let mut terminal = Terminal::start(&["tui", "--demo"], home.path(), "127.0.0.1:1");
    terminal.shows("(sent from the train)");
    for command in named {
        let name = command.split(' ').next().unwrap();
        // The row above the box says what a command does as soon as it is whole.
        terminal.types(&format!("{name} "));
        terminal.shows(&format!("> {name}"));
        terminal.comes_to(&format!("what {name} does"), |contents| {
            let rule = contents.lines().rev().nth(2).unwrap_or_default();
            rule.split_once('│').is_some_and(|(_, rule)| rule.trim().starts_with(name))
        });
        terminal.types("\x15");
        terminal.shows("> Message");
    }
}
