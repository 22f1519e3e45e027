//! What a person has chosen, on real terminals: themes to the byte, settings that change while the screen runs, and
//! another account.

use std::os::unix::fs::PermissionsExt;

use bellhop_protocol::OpCode::{Create, Send};
use bellhop_tests::server::{Home, Local};
use bellhop_tests::terminal::{Signal, Terminal};

use crate::tui::looks::colours;

const SMALL: (u16, u16) = (80, 24);

/// The screen with made-up people, with this config and these variables.
fn demo(home: &Home, config: &str, variables: &[(&str, &str)]) -> Terminal {
    std::fs::write(home.path().join("config.toml"), config).unwrap();
    let terminal = Terminal::start_with(&["tui", "--demo"], home.path(), "127.0.0.1:1", SMALL, variables);
    terminal.shows("sent from the train");
    terminal
}

/// What somebody has chosen is not drawn where nobody wants colours; a ground is drawn where they have chosen one.
#[test]
fn themes_send_the_colours_that_are_wanted() {
    let sent = |config: &str, variables: &[(&str, &str)]| {
        let home = Home::new();
        colours(&demo(&home, config, variables).written())
    };
    assert_eq!(sent("ui.theme = 'dark'", &[]), (true, true));
    assert_eq!(sent("ui.theme = 'mono'", &[]), (false, false));
    for theme in ["dark", "light", "high-contrast"] {
        assert_eq!(sent(&format!("ui.theme = '{theme}'"), &[("NO_COLOR", "1")]), (false, false), "{theme}");
    }
    assert_eq!(sent("", &[("NO_COLOR", "")]), (true, false), "empty says nothing");
}

/// Every letter of the light theme stands on a light ground: none is left to a background that may be dark.
#[test]
fn a_light_theme_is_light_everywhere() {
    let home = Home::new();
    let terminal = demo(&home, "ui.theme = 'light'", &[]);
    let mut dark = 0;
    terminal.cells(|text, ground| {
        dark += usize::from(!text.trim().is_empty() && ground == vt100::Color::Default)
    });
    assert_eq!(dark, 0, "letters on a ground that nobody has chosen");
}

#[test]
fn what_is_set_counts_at_once_and_at_the_next_start() {
    let home = Home::new();
    let config = home.path().join("config.toml");
    let mut terminal = demo(&home, "# mine\n[ui]\nglyphs = 'unicode' # fine\n", &[]);
    terminal.enters("/set ui.glyphs ascii");
    terminal.comes_to("ascii", |screen| !screen.contains('│') && screen.contains('|'));
    terminal.types("\x11");
    terminal.shows("Quit?");
    terminal.types("y");
    assert_eq!(terminal.ends(), 0);
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text, "# mine\n[ui]\nglyphs = \"ascii\" # fine\n");
    assert_eq!(std::fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    let mut terminal = demo(&home, &text, &[]);
    assert!(!terminal.contents().contains('│'));
    terminal.types("half a thought");
    terminal.shows("half a thought");
    let reads = |text: &str, what: &str, check: fn(&str) -> bool| {
        std::fs::write(&config, text).unwrap();
        terminal.signal(Signal::USR1);
        terminal.comes_to(what, |screen| check(screen) && screen.contains("half a thought"));
    };
    reads("[ui]\nglyphs = 'unicode'\n", "unicode", |screen| screen.contains('│'));
    reads("[ui]\nglyphs = 'fancy'\n", "what is wrong", |screen| screen.contains("toml:2:10"));
}

/// One account a process: the next one begins where the one before has left, with its own password.
#[test]
fn another_account_takes_over_the_screen() {
    let server = Local::start(&[]);
    let home = Home::new();
    for user in ["alice", "bob"] {
        let made = server.connect().ask(Create, &format!("{user}|the word of {user}"));
        assert!(made.starts_with("ok"), "{made}");
        let path = home.path().join(user);
        std::fs::write(path, format!("the word of {user}\n")).unwrap();
    }
    let block = |name: &str, user: &str, command: &str| {
        let server = server.addr();
        format!("[account.{name}]\nserver = '{server}'\nuser = '{user}'\npassword_cmd = \"{command}\"\n")
    };
    let print = |user: &str| format!("cat '{}'", home.path().join(user).display());
    let accounts = [
        block("work", "alice", &print("alice")),
        // It has the terminal while it runs, as a program that asks for a passphrase needs.
        block(
            "home",
            "bob",
            &format!("printf 'which one? ' >/dev/tty; read answer </dev/tty; {}", print("bob")),
        ),
        block("broken", "alice", "echo no such thing >&2; exit 3"),
    ];
    let config = format!("default_account = 'work'\n{}", accounts.concat());
    std::fs::write(home.path().join("config.toml"), config).unwrap();
    // The variable of every terminal here would count more than the block of an account.
    let mut terminal = Terminal::start_with(&[], home.path(), "", SMALL, &[]);
    terminal.shows("alice@");
    terminal.shows("● online");
    let mut carol = server.login("carol");
    terminal.opens("carol");
    terminal.enters("a word of alice");
    assert_eq!(carol.push().text(), "alice|a word of alice");
    terminal.types("half a thought of alice");
    terminal.shows("half a thought of alice");
    terminal.types("\x15");
    terminal.enters("/account nowhere");
    terminal.comes_to("no such account", |screen| screen.contains("nowhere") && screen.contains("alice@"));
    terminal.enters("/account broken");
    terminal.comes_to("what has failed", |screen| screen.contains("password_cmd failed"));
    assert!(terminal.contents().contains("alice@"), "{}", terminal.contents());
    terminal.enters("/account home");
    terminal.shows("which one?");
    terminal.types("this one\r");
    terminal.shows("bob@");
    terminal.shows("● online");
    assert!(!terminal.contents().contains("carol"), "what alice did is not for bob: {}", terminal.contents());
    assert!(carol.ask(Send, "bob|for bob").starts_with("ok|"));
    terminal.opens("carol");
    terminal.shows("for bob");
    terminal.enters("/account work");
    terminal.shows("alice@");
    terminal
        .comes_to("alice's conversations", |screen| screen.contains("carol") && screen.contains("● online"));
    terminal.types("\x11");
    assert_eq!(terminal.ends(), 0);
    terminal.is_restored();
    let written = String::from_utf8_lossy(&terminal.written()).into_owned();
    assert!(!written.contains("the word of"), "no password reached the terminal");
}
