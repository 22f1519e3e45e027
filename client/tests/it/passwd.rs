//! `bellhop passwd`: by file, by hand, and what becomes of kept logins.

use std::collections::BTreeSet;
#[cfg(unix)]
use std::io::Write;

use crate::desk::{Desk, Ran, desk};

/// Carol is logged in at this desk; her password, and the next one, are in files.
fn carols() -> (Desk, String, String) {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    let (old, new) = (desk.password("open sesame"), desk.home.path().join("new"));
    std::fs::copy(&old, &new).expect("a copy, with its rights");
    std::fs::write(&new, "close sesame\n").expect("written");
    let login = desk.run(&["--password-file", &old, "login", "carol"]);
    assert_eq!(login.code, Some(0), "{}", login.stderr);
    let new = new.to_string_lossy().into_owned();
    (desk, old, new)
}

fn password(desk: &Desk) -> Option<String> {
    desk.server.world().accounts["carol"].password.clone()
}

#[test]
fn another_password_by_file() {
    let (desk, old, new) = carols();
    let changed = desk.run(&["--password-file", &old, "passwd", "--new-password-file", &new]);
    changed.prints(&format!("password-changed carol@{}\n", desk.server.address));
    assert_eq!(password(&desk).as_deref(), Some("close sesame"));
    // What was kept here is good still, for every device.
    for command in [&["send", "bob", "hi"][..], &["send", "bob", "again"], &["deliver"]] {
        let ran = desk.run(command);
        assert_eq!(ran.code, Some(0), "{command:?}: {}", ran.stderr);
    }
    let devices: BTreeSet<_> = desk.server.world().accounts["carol"].tokens.values().copied().collect();
    assert_eq!(devices.len(), 4, "each device has a login of its own again");
}

#[test]
fn a_wrong_password_changes_nothing() {
    let (desk, _, new) = carols();
    let refused = desk.run(&["--password-file", &new, "passwd", "--new-password-file", &new]);
    refused.fails(4, "bad-password");
    assert_eq!(password(&desk).as_deref(), Some("open sesame"));
    let sent = desk.run(&["send", "bob", "hi"]);
    assert_eq!(sent.code, Some(0), "the kept login is untouched: {}", sent.stderr);
    desk.run(&["--password-file", &new, "passwd"]).fails(2, "--new-password-file");
    let empty = desk.home.path().join("empty");
    std::fs::copy(&new, &empty).expect("a copy");
    std::fs::write(&empty, "").expect("written");
    let empty = empty.to_string_lossy().into_owned();
    desk.run(&["--password-file", &new, "passwd", "--new-password-file", &empty]).fails(2, "is empty");
}

/// Nobody who has no token wants one because of a new password.
#[test]
fn who_was_not_logged_in_here_is_not_afterwards() {
    let (desk, old, new) = carols();
    desk.run(&["logout"]);
    let change = ["--user", "carol", "--password-file", &old, "passwd", "--new-password-file", &new];
    assert_eq!(desk.run(&change).code, Some(0));
    assert!(desk.server.world().accounts["carol"].tokens.is_empty());
    let send = desk.run(&["--user", "carol", "send", "bob", "hi"]);
    assert_eq!(send.code, Some(4), "{}", send.stderr);
}

#[test]
fn an_account_gets_its_first_password() {
    let (desk, _, new) = carols();
    let change = desk.command(&["--user", "alice", "passwd", "--new-password-file", &new]).output();
    assert_eq!(Ran::new(change.expect("it runs")).code, Some(0));
    assert_eq!(desk.server.world().accounts["alice"].password.as_deref(), Some("close sesame"));
}

#[cfg(unix)]
#[test]
fn another_password_by_hand() {
    let (desk, ..) = carols();
    let mut asked = crate::signals::Asked::new(&desk, &["passwd"]);
    for (question, typed) in [
        ("Password for carol", "open sesame\r"),
        ("New password", "close sesame\r"),
        ("The same again", "close sesame\r"),
    ] {
        asked.shows(question);
        asked.keys.write_all(typed.as_bytes()).expect("it reads");
    }
    asked.shows("password-changed carol");
    asked.ends_with(0);
    assert!(!asked.text.contains("sesame"), "{}", asked.text);
    assert_eq!(password(&desk).as_deref(), Some("close sesame"));
    let mut asked = crate::signals::Asked::new(&desk, &["passwd"]);
    for (question, typed) in
        [("Password for carol", "close sesame\r"), ("New password", "one\r"), ("The same again", "two\r")]
    {
        asked.shows(question);
        asked.keys.write_all(typed.as_bytes()).expect("it reads");
    }
    asked.shows("differ");
    asked.ends_with(2);
    assert_eq!(password(&desk).as_deref(), Some("close sesame"));
}

#[cfg(unix)]
#[test]
fn another_password_on_the_screen() {
    let (desk, ..) = carols();
    let mut screen = crate::signals::Asked::new(&desk, &["--user", "carol"]);
    screen.shows("online");
    for typed in ["/passwd\r", "open sesame\r", "close sesame\r", "close sesame\r"] {
        screen.keys.write_all(typed.as_bytes()).expect("it reads");
    }
    screen.shows("the password was changed");
    assert!(!screen.text.contains("sesame"), "{}", screen.text);
    assert_eq!(password(&desk).as_deref(), Some("close sesame"));
    screen.keys.write_all(b"\x11").expect("it reads");
    screen.ends_with(0);
    // The screen's own login was made anew, too.
    let mut screen = crate::signals::Asked::new(&desk, &["--user", "carol"]);
    screen.shows("online");
}
