//! The config file as a person uses it: where it is, what counts, one value changed, what is wrong; and that accounts
//! and passwords of it do what they say.

use std::process::Command;

use crate::desk::{Desk, Ran, desk, json};

fn write(desk: &Desk, text: &str) -> String {
    let path = desk.home.path().join("config.toml");
    std::fs::write(&path, text).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    }
    path.display().to_string()
}

/// Without a variable that names the server.
fn alone(desk: &Desk, arguments: &[&str]) -> Command {
    let mut command = desk.command(arguments);
    command.env_remove("BELLHOP_SERVER");
    command
}

fn run(mut command: Command) -> Ran {
    Ran::new(command.output().expect("it runs"))
}

#[track_caller]
fn shows(desk: &Desk, command: Command, line: &str) {
    let ran = run(command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let home = desk.home.path().display().to_string();
    let found = ran.stdout.lines().map(|line| squeezed(&line.replace(&home, "HOME")));
    assert!(found.into_iter().any(|found| found == line), "no {line:?} in\n{}", ran.stdout);
}

#[test]
fn the_origin_of_every_value() {
    let desk = desk();
    write(
        &desk,
        "server = 'a.example'\n[account.work]\nserver = 'b.example'\nuser = 'alice'\n[ui]\nmouse = true\n",
    );
    let show = |arguments: &[&str]| alone(&desk, &[&["config", "show", "--origin"], arguments].concat());
    shows(&desk, show(&[]), "server = \"b.example\" # HOME/config.toml:3");
    shows(&desk, show(&[]), "ui.mouse = true # HOME/config.toml:6");
    shows(&desk, show(&[]), "ui.theme = \"terminal\" # default");
    shows(&desk, show(&["--server", "c.example"]), "server = \"c.example\" # --server");
    let mut variable = show(&[]);
    variable.env("BELLHOP_SERVER", "d.example").env("BELLHOP_GLYPHS", "ascii");
    shows(&desk, variable, "server = \"d.example\" # BELLHOP_SERVER");
    let mut none = alone(&desk, &["config", "show"]);
    none.env("BELLHOP_GLYPHS", "");
    shows(&desk, none, "ui.glyphs = \"auto\"");
    // What is shown is a config file.
    let shown = run(alone(&desk, &["config", "show"])).stdout;
    write(&desk, &format!("{shown}\n[account.work]\n").replace("default_account = \"work\"\n", ""));
    run(alone(&desk, &["config", "check"])).prints("");
    for line in run(alone(&desk, &["--json", "config", "show", "--origin"])).stdout.lines() {
        assert_eq!(json(line)["type"], "setting");
    }
}

#[test]
fn one_value_is_changed_and_comments_stay() {
    let desk = desk();
    let path = write(&desk, "# mine\n[ui]\nmouse = false # never\n");
    desk.run(&["config", "path"]).prints(&format!("{path}\n"));
    assert_eq!(desk.run(&["config", "set", "ui.mouse", "true"]).code, Some(0));
    assert_eq!(desk.run(&["config", "set", "account.work.user", "alice"]).code, Some(0));
    let text = std::fs::read_to_string(&path).expect("it is there");
    assert_eq!(text, "# mine\n[ui]\nmouse = true # never\n\n[account.work]\nuser = \"alice\"\n");
    assert_eq!(desk.run(&["config", "unset", "account.work.user"]).code, Some(0));
    desk.run(&["config", "set", "ui.mouse", "maybe"]).fails(2, "ui.mouse is \"maybe\": true or false");
    desk.run(&["config", "set", "ui.mose", "true"]).fails(2, "did you mean ui.mouse?");
    desk.run(&["config", "set", "keys.quti", "f9"]).fails(2, "did you mean keys.quit?");
    // What the next start would refuse is not written.
    let text = std::fs::read_to_string(&path).expect("it is there");
    desk.run(&["config", "set", "keys.quit", "ctrl+n"]).fails(2, "nothing is changed: ");
    desk.run(&["config", "set", "ui.theme", "nowhere"]).fails(2, "there is no theme \"nowhere\"");
    desk.run(&["config", "set", "default_account", "nobody"]).fails(2, "there is no account \"nobody\"");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
    // One thing is mended after the other.
    write(&desk, "[ui]\nmouse = 1\nglyphs = 2\n");
    desk.run(&["config", "set", "ui.theme", "dark"]).fails(2, "ui.mouse is 1");
    let mended = desk.run(&["config", "set", "ui.mouse", "true"]);
    assert!(mended.code == Some(0) && mended.stderr.contains("ui.glyphs is 2"), "{}", mended.stderr);
    assert_eq!(desk.run(&["config", "set", "ui.glyphs", "ascii"]).code, Some(0));
    assert_eq!(
        std::fs::read_to_string(&path).expect("it is there"),
        "[ui]\nmouse = true\nglyphs = \"ascii\"\n"
    );
}

#[test]
fn what_is_wrong_stops_every_command_and_is_listed() {
    let desk = desk();
    let path = write(&desk, "[ui]\nmouse = 1\nglyphs = 'fancy'\ncolour = 1\n");
    desk.run(&["list"]).fails(2, &format!("{path}:2:9: ui.mouse is 1: true or false (and 1 more"));
    let ran = desk.run(&["config", "check"]);
    ran.fails(2, &format!("{path}:3:10: ui.glyphs is 'fancy': one of auto, unicode, wgl4, ascii"));
    assert!(ran.stderr.contains(&format!("{path}:4: there is no key ui.colour")), "{}", ran.stderr);
    for line in desk.run(&["--json", "config", "check"]).stderr.lines() {
        json(line);
    }
    write(&desk, "[ui]\ncolour = 1\n");
    let ran = desk.as_alice(&["send", "bob", "hi"]);
    assert_eq!(ran.code, Some(0), "a key that is not known only warns");
    assert!(ran.stderr.contains("config.toml:2: there is no key ui.colour"), "{}", ran.stderr);
    let mut named = desk.command(&["list"]);
    named.env("BELLHOP_CONFIG", desk.home.path().join("none.toml"));
    run(named).fails(2, "none.toml");
}

#[test]
fn an_account_says_where_and_who() {
    let desk = desk();
    let server = desk.server.address;
    write(
        &desk,
        &format!(
            "[account.a]\nserver = '{server}'\nuser = 'alice'\n[account.b]\nserver = '{server}'\nuser = 'bob'\n"
        ),
    );
    let send = |arguments: &[&str]| run(alone(&desk, &[arguments, &["send", "bob", "hi"]].concat()));
    assert_eq!(send(&["--account", "a"]).code, Some(0));
    let mut variable = alone(&desk, &["send", "alice", "hello"]);
    variable.env("BELLHOP_ACCOUNT", "b");
    assert_eq!(run(variable).code, Some(0));
    assert_eq!((desk.server.texts("bob").len(), desk.server.texts("alice").len()), (1, 1));
    send(&["--account", "c"]).fails(2, "there is no account \"c\"; there are a, b");
}

#[cfg(unix)]
#[test]
fn a_command_prints_the_password() {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    let server = desk.server.address;
    let config = |command: &str| {
        write(
            &desk,
            &format!("[account.c]\nserver = '{server}'\nuser = 'carol'\npassword_cmd = \"{command}\"\n"),
        )
    };
    config("echo open sesame; echo ran >> $BELLHOP_HOME/ran");
    let send = || run(alone(&desk, &["send", "bob", "hi"]));
    let sent = send();
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert!(!sent.stderr.contains("sesame"));
    config("exit 3");
    send().fails(4, "password_cmd failed: exit status: 3");
    config("true");
    send().fails(4, "password_cmd prints nothing");
    config("yes");
    send().fails(4, "prints too much");
    // Somebody else is not shown it.
    config("touch $BELLHOP_HOME/asked; echo x");
    let other = run(alone(&desk, &["--user", "alice", "send", "bob", "hi"]));
    assert_eq!((other.code, desk.home.path().join("asked").exists()), (Some(0), false), "{}", other.stderr);
    // Nor is anything run that others could have written.
    use std::os::unix::fs::PermissionsExt;
    let path = config("echo open sesame");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).expect("ours");
    send().fails(2, "others may write this file");
}

/// It had the same stdin, and what it read of that was missing from the message.
#[cfg(unix)]
#[test]
fn what_is_piped_is_not_for_the_command_that_prints_the_password() {
    let desk = desk();
    desk.server.account("carol", Some("open sesame"));
    let server = desk.server.address;
    let command = "cat >/dev/null; echo open sesame";
    write(&desk, &format!("server = '{server}'\nuser = 'carol'\npassword_cmd = '{command}'\n"));
    let sent = desk.feed(&mut alone(&desk, &["send", "bob"]), b"hi\n");
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(desk.server.texts("bob"), ["hi"]);
}

#[test]
fn tls_off_is_for_this_machine() {
    let desk = desk();
    write(&desk, "tls = 'off'\nserver = 'chat.example'\n");
    run(alone(&desk, &["list"]))
        .fails(2, "tls = \"off\" is for a server on this machine, and chat.example:2050 is not");
}
