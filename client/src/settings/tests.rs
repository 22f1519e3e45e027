//! Which value counts, and that every key of the table is a setting.

use std::path::PathBuf;

use super::file;
use super::resolve::{Given, Origin, ResolveError, Resolved, Source, resolve};
use super::table::{TABLE, find};
use super::value::Kind;

fn source(path: &str, text: &str) -> Source {
    Source { path: PathBuf::from(path), layer: file::parse(text), shared: false }
}

fn from(sources: &[Source]) -> Resolved {
    resolve(sources, &Given::default()).expect("it resolves")
}

/// One value a step, each step above the one before.
#[test]
fn the_order_of_precedence() {
    let name = "server";
    let variable = find(name).and_then(|key| key.variable).expect("it has one");
    let mut sources = vec![source("/user.toml", ""), source("/etc.toml", "")];
    let mut given = Given::default();
    let check = |sources: &[Source], given: &Given, host: &str, origin: &Origin| {
        let resolved = resolve(sources, given).expect("it resolves");
        let row = resolved.row(name);
        let value = row.value.as_ref().map(|value| value.text().to_owned());
        assert_eq!((value.as_deref(), &row.origin), (Some(host), origin));
        assert_eq!(
            resolved.settings().server.to_string(),
            format!("{}:2050", host.trim_end_matches(":2050"))
        );
    };
    let of_file = |path: &str, line| Origin::File { path: PathBuf::from(path), line };
    check(&sources, &given, "127.0.0.1:2050", &Origin::Default);
    given.remembered = vec![(name, "remembered".into())];
    check(&sources, &given, "remembered", &Origin::Remembered);
    sources[1] = source("/etc.toml", "server = 'etc'");
    check(&sources, &given, "etc", &of_file("/etc.toml", 1));
    sources[0] = source("/user.toml", "\nserver = 'user'");
    check(&sources, &given, "user", &of_file("/user.toml", 2));
    sources[1] =
        source("/etc.toml", "server = 'etc'\ndefault_account = 'work'\n[account.work]\nserver = 'etc-work'");
    check(&sources, &given, "etc-work", &of_file("/etc.toml", 4));
    sources[0] = source(
        "/user.toml",
        "server = 'user'\n[account.work]\nserver = 'work'\n[account.home]\nserver = 'home'",
    );
    check(&sources, &given, "work", &of_file("/user.toml", 3));
    given.variables = vec![("default_account", "home".into())];
    check(&sources, &given, "home", &of_file("/user.toml", 5));
    given.variables.push((name, "variable".into()));
    check(&sources, &given, "variable", &Origin::Variable(variable));
    given.flags = vec![("server", name, "flag".into())];
    check(&sources, &given, "flag", &Origin::Flag("server"));
}

#[test]
fn every_key_of_the_table_is_a_setting() {
    let before = from(&[]).settings();
    for key in TABLE.iter().filter(|key| key.name != "default_account") {
        let texts = [
            "true", "2", "29", "auto", "off", "ask", "ascii", "names", "emacs", "sent", "bell", "full", "%M",
            "other",
        ];
        let value = texts
            .iter()
            .filter_map(|text| key.kind.typed(text))
            .find(|value| Some(value) != key.default_value().as_ref());
        let value = value.unwrap_or_else(|| panic!("another value for {}", key.name));
        let changed = from(&[source("/c", &format!("{} = {value}", key.name))]).settings();
        assert_ne!(changed, before, "{} = {value}", key.name);
    }
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_code() {
    let settings = from(&[]).settings();
    assert_eq!((settings.ui, settings.notify), (super::Ui::default(), super::Notify::default()));
}

#[test]
fn which_account() {
    let check = |text: &str, variable: Option<&str>, expected: Result<Option<&str>, &str>| {
        let variables = variable.map(|name| ("default_account", name.to_owned())).into_iter().collect();
        let given = Given { variables, ..Given::default() };
        let found = resolve(&[source("/c", text)], &given);
        let found = found.as_ref().map(|found| found.account.as_deref()).map_err(ToString::to_string);
        assert_eq!(
            found.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|error| *error),
            "{text}"
        );
    };
    let two = "[account.work]\n[account.home]\n";
    check("", None, Ok(None));
    check("[account.work]\n", None, Ok(Some("work")));
    check(two, None, Ok(None));
    check(&format!("default_account = 'home'\n{two}"), None, Ok(Some("home")));
    check(&format!("default_account = 'home'\n{two}"), Some("work"), Ok(Some("work")));
    check(two, Some("wrk"), Err("BELLHOP_ACCOUNT: there is no account \"wrk\"; there are home, work"));
    check("default_account = 'x'\n", None, Err("/c:1: there is no account \"x\"; no config file has any"));
}

#[test]
fn what_is_wrong_stops_and_names_its_place() {
    let problem = |sources: &[Source], given: &Given| resolve(sources, given).expect_err("wrong").to_string();
    let bad = source("/c", "[ui]\nmouse = 1\nglyphs = 2\n");
    assert_eq!(
        problem(&[bad], &Given::default()),
        "/c:2:9: ui.mouse is 1: true or false (and 1 more: bellhop config check)"
    );
    let given = Given { variables: vec![("ui.glyphs", "fancy".into())], ..Given::default() };
    assert_eq!(problem(&[], &given), "BELLHOP_GLYPHS is \"fancy\": one of auto, unicode, wgl4, ascii");
    let shared = Source { shared: true, ..source("/c", "password_cmd = 'pass'") };
    assert!(matches!(resolve(&[shared], &Given::default()), Err(ResolveError::Shared { line: 1, .. })));
    let remembered = Given { remembered: vec![("user", "no such|name".into())], ..Given::default() };
    assert_eq!(resolve(&[], &remembered).expect("not to be mended").settings().user, None);
}

/// A password of the files went to whatever server a flag named.
#[test]
fn a_password_of_the_files_is_for_whom_they_say() {
    let file = "user = 'alice'\nserver = 'chat'\npassword_cmd = 'pass'\npassword_file = 'secret'\n";
    let sources = [source("/home/alice/c", file)];
    let check = |flags: &[(&'static str, &str)], command: Option<&str>, path: Option<&str>| {
        let flags = flags.iter().map(|(name, text)| (*name, *name, (*text).to_owned())).collect();
        let found = resolve(&sources, &Given { flags, ..Given::default() }).expect("it resolves").password();
        assert_eq!(found, (path.map(PathBuf::from), command.map(str::to_owned)));
    };
    check(&[], Some("pass"), None);
    check(&[("user", "alice")], Some("pass"), None);
    check(&[("user", "bob")], None, None);
    check(&[("server", "elsewhere")], None, None);
    check(&[("server", "elsewhere"), ("password_file", "p")], None, Some("p"));
    check(&[("password_file", "p")], None, Some("p"));
    let alone = resolve(&[source("/home/alice/c", "password_file = 'secret'")], &Given::default());
    let expected = PathBuf::from("/home/alice/secret");
    assert_eq!(alone.expect("it resolves").password(), (Some(expected), None));
}

/// The general command went before the file of the account.
#[test]
fn of_two_ways_to_a_password_the_nearer_one_counts() {
    let check = |user: &str, machine: &str, command: Option<&str>, path: Option<&str>| {
        let sources = [source("/home/alice/c", user), source("/etc/bellhop/c", machine)];
        assert_eq!(
            from(&sources).password(),
            (path.map(PathBuf::from), command.map(str::to_owned)),
            "{user}"
        );
    };
    let of_account = "password_cmd = 'pass'\n[account.work]\npassword_file = 'secret'\n";
    check(of_account, "", None, Some("/home/alice/secret"));
    check("password_file = 'secret'\n[account.work]\npassword_cmd = 'pass'\n", "", Some("pass"), None);
    check("password_file = 'secret'\n", "password_cmd = 'pass'\n", None, Some("/home/alice/secret"));
    check("password_cmd = 'pass'\n", "password_file = 'secret'\n", Some("pass"), None);
    check("password_cmd = 'pass'\npassword_file = 'secret'\n", "", Some("pass"), None);
    // What others may write is not run, and need not be where it does not count.
    let shared = Source { shared: true, ..source("/etc/bellhop/c", "password_cmd = 'pass'\n") };
    let own = source("/home/alice/c", "password_file = 'secret'\n");
    assert_eq!(from(&[own, shared]).password().1, None);
}

#[test]
fn the_config_file_says_what_an_action_is_bound_to() {
    let sources =
        [source("/user", "[keys]\nquit = 'ctrl+x'\n"), source("/etc", "[keys]\nquit = 'f9'\nhelp = 'f1'\n")];
    let bound: Vec<_> =
        from(&sources).bindings.into_iter().map(|bound| (bound.binding.action, bound.binding.keys)).collect();
    assert_eq!(bound, [("quit".into(), vec!["ctrl+x".to_owned()]), ("help".into(), vec!["f1".to_owned()])]);
}

/// A number or a word is never refused as of the wrong kind by one way in and taken by another.
#[test]
fn what_is_shown_can_be_read_again() {
    for key in TABLE {
        let Some(value) = key.default_value() else { continue };
        let layer = file::parse(&format!("{} = {value}", key.name));
        assert_eq!(layer.entries.get(key.name).map(|entry| &entry.value), Some(&value), "{}", key.name);
        assert!(key.kind == Kind::Bool || !key.kind.allowed().is_empty());
    }
}
