//! What is typed and what stands in files, and what is wrong with it.

use super::*;

/// A whole path, which begins with a drive where there are some.
fn whole(path: &str) -> String {
    if cfg!(windows) { format!("C:{path}") } else { path.to_owned() }
}

fn config(args: &[&str], file: &str) -> Result<Config, String> {
    let file = file.replace("\"/", &format!("\"{}", whole("/")));
    let args =
        Args::try_parse_from([&["bellhop-server"], args].concat()).map_err(|error| error.to_string())?;
    let file = File::parse(Path::new("b.toml"), file).map_err(|error| error.to_string())?;
    build(args, file).map_err(|error| error.to_string())
}

#[test]
fn defaults() {
    let config = config(&[], "").expect("defaults");
    let listen: Vec<String> = config.listen.iter().map(|listen| listen.addr.to_string()).collect();
    assert_eq!(listen, ["127.0.0.1:2050", "[::1]:2050"]);
    assert!(config.listen.iter().all(|listen| listen.optional));
    assert!(config.data.ends_with("bellhop-server/2050"), "{}", config.data.display());
    assert_eq!((config.durability, config.auth, config.log), (Durability::Power, Auth::Auto, LogLevel::Info));
}

#[test]
fn an_argument_wins_over_the_file() {
    let file = "port = 3000\ndurability = \"crash\"\ndata = \"/a\"\n[limit]\nsends = \"off\"\nmailbox = 7\n";
    let from_file = config(&[], file).expect("a file");
    assert_eq!(from_file.listen[0].addr.port(), 3000);
    assert_eq!((from_file.durability, from_file.data), (Durability::Crash, PathBuf::from(whole("/a"))));
    assert_eq!((from_file.limits.sends, from_file.limits.mailbox), (u64::MAX, 7));
    let both = config(&["4000", "--durability", "none", "--limit", "mailbox=8"], file).expect("both");
    assert_eq!((both.listen[0].addr.port(), both.durability), (4000, Durability::None));
    assert_eq!((both.limits.sends, both.limits.mailbox), (u64::MAX, 8));
}

/// The file's names are read in their order, and `all` came after `accept-rate`.
#[test]
fn all_off_in_the_file_leaves_the_others_as_they_are_given() {
    let file = "[limit]\naccept-rate = 3\nall = \"off\"\nsends = 5\n";
    let limits = config(&[], file).expect("a file").limits;
    assert_eq!((limits.accept_rate, limits.sends, limits.mailbox), (3, 5, u64::MAX));
    let limits = config(&["--limit", "all=off"], file).expect("a file").limits;
    assert_eq!((limits.accept_rate, limits.sends), (u64::MAX, u64::MAX), "an argument wins");
}

#[test]
fn addresses_to_listen_on() {
    let check = |given: &[&str], expected: Result<&[&str], &str>| {
        let args: Vec<&str> = given.iter().flat_map(|addr| ["--listen", *addr]).collect();
        match (config(&args, ""), expected) {
            (Ok(config), Ok(expected)) => {
                let listen: Vec<String> =
                    config.listen.iter().map(|listen| listen.addr.to_string()).collect();
                assert_eq!(listen, expected);
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{given:?}: {error}"),
            (got, _) => panic!("{given:?}: {got:?}"),
        }
    };
    check(&["127.0.0.1"], Ok(&["127.0.0.1:2050"]));
    check(&["127.0.0.2:9", "::1", "[::1]:10"], Ok(&["127.0.0.2:9", "[::1]:2050", "[::1]:10"]));
    check(&["0.0.0.0", "::"], Ok(&["0.0.0.0:2050", "[::]:2050"]));
    check(&["192.0.2.1:9"], Ok(&["192.0.2.1:9"]));
    check(&["localhost"], Err("'localhost' is no address"));
    check(&["127.0.0.1:70000"], Err("no address"));
    check(&["::ffff:127.0.0.1", "[::ffff:127.0.0.2]:9"], Ok(&["127.0.0.1:2050", "127.0.0.2:9"]));
    check(&["127.0.0.1:0", "127.0.0.1:0"], Err("--listen: 127.0.0.1:0 is given twice"));
    check(&["127.0.0.1", "::1", "::ffff:127.0.0.1"], Err("127.0.0.1:2050 is given twice"));
}

#[test]
fn a_certificate_comes_with_its_key() {
    let file = "tls-cert = \"/c\"\ntls-key = \"/k\"\nplaintext-from = [\"10.0.0.0/8\"]\n";
    let from_file = config(&[], file).expect("a file");
    assert_eq!(from_file.tls, Some((whole("/c").into(), whole("/k").into())));
    assert_eq!(from_file.plaintext_from, [Network::parse("10.0.0.0/8").expect("a network")]);
    let both = config(&["--tls-cert", "C", "--tls-key", "K", "--plaintext-from", "::1"], file).expect("both");
    assert_eq!(both.tls, Some(("C".into(), "K".into())));
    assert_eq!(both.plaintext_from, [Network::parse("::1/128").expect("a network")]);
    assert_eq!(config(&[], "").expect("defaults").tls, None);
}

#[test]
fn wrong_settings_are_named() {
    let check = |args: &[&str], file: &str, part: &str| {
        let error = config(args, file).expect_err("refused");
        assert!(error.contains(part), "{args:?} {file:?}: {error}");
    };
    check(&["70000"], "", "70000");
    check(&["--durability", "maybe"], "", "power");
    check(&["--limit", "speed=1"], "", "there is no limit 'speed'");
    check(&[], "speed = 1", "line 1");
    check(&[], "port = 1\nport = 2", "line 2");
    check(&[], "port = \"x\"", "b.toml");
    check(&[], "[limit]\nframe = \"off\"", "'off' is no value for the limit 'frame'");
    check(&[], "[limit]\nmailbox = true", "a number or \"off\"");
    check(&[], "[limit]\nmailbox = true", "line 2");
    check(&[], "[limit]\nsends = 1\nmailbox = -1", "b.toml: line 3: '-1' is no value");
    check(&[], "[limit]\nsends = 1\nspeed = 1", "b.toml: line 3: there is no limit 'speed'");
    check(&[], "listen = [\n\"::1\",\n\"there\"]", "b.toml: line 3: 'there' is no address");
    check(&[], "plaintext-from = [\"::/0\",\n\"10.0.0.1/8\"]", "b.toml: line 2: '10.0.0.1/8' is no network");
    check(&["--plaintext-from", "10.0.0.0/33"], "", "--plaintext-from: '10.0.0.0/33' is no network");
    check(&["--tls-cert", "a"], "", "--tls-key");
    check(&["--tls-key", "a"], "", "--tls-cert");
    check(&[], "tls-key = \"/a\"", "b.toml: a certificate and its key are given together");
    check(&[], "listen = [\"::1\",\n\"::1\"]", "b.toml: line 2: [::1]:2050 is given twice");
    check(&["--limit", "speed=1"], "", "--limit: there is no limit");
    check(&["--limit", "all=5"], "", "'5' is no value for 'all': it can only be off");
    check(&["--limit", "text=70000"], "[limit]\nframe = 70000", "text=70000 and frame=70000");
}

#[test]
fn what_a_file_says_wrong_is_named_in_one_line() {
    let check = |file: &str, expected: &str| {
        let error = config(&[], file).expect_err(file);
        assert!(error.starts_with("b.toml: ") && !error.contains('\n'), "{file:?}: {error:?}");
        assert!(error.contains(expected), "{file:?}: {error}");
    };
    check("\nspeed = 1", "line 2: unknown field `speed`");
    check("port = \"x\"", "line 1: port: invalid type: string \"x\"");
    check("\n\nport = 70000", "line 3: port: invalid value: integer `70000`");
    check("port = -1", "line 1: port: ");
    check("port = 1.5", "line 1: port: ");
    check("auth = \"open\"\nport = 0", "line 2: port: 0 is another port at each start");
    check("listen = \"::1\"", "line 1: listen: ");
    check("listen = [\n1]", "line 2: ");
    check("auth = \"maybe\"", "line 1: auth: unknown variant `maybe`");
    check("log = 1", "line 1: log: ");
    check("\ndata = \"here\"", "line 2: data: 'here' depends on the folder");
    check("data = \"\"", "line 1: data: ");
    check("data = [1]", "line 1: data: ");
    check("tls-cert = \"c.pem\"\ntls-key = \"/k.pem\"", "line 1: tls-cert: 'c.pem'");
    check("tls-cert = \"/c.pem\"\ntls-key = \"../k.pem\"", "line 2: tls-key: '../k.pem'");
    check("port = 1\nport = 2", "line 2: ");
    check("port == 1", "line 1: ");
    check("port", "line 1: ");
    check("[limits]\nsends = 1", "line 1: unknown field `limits`");
    check("[limit]\nmailbox = []", "line 2: mailbox: ");
    check("accept-loss = true", "unknown field `accept-loss`");
    check("a = \u{1}", "line 1: ");
}

#[test]
fn a_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.toml");
    let load = || {
        let args = Args { config: Some(path.clone()), ..Args::default() };
        Config::load(args).map(|_| ()).map_err(|error| error.to_string())
    };
    let check = |expected: &str| {
        let error = load().expect_err(expected);
        assert!(error.contains("c.toml") && error.contains(expected) && !error.contains('\n'), "{error}");
    };
    check("cannot read");
    std::fs::write(&path, b"port = 2051\ndata = \"/a\xFF\"").expect("written");
    check("line 2: it is not UTF-8 there");
    std::fs::write(&path, "# ".repeat(200_000)).expect("written");
    check("256 KiB");
    std::fs::write(&path, "port = 2051\n").expect("written");
    assert_eq!(load(), Ok(()));
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("made");
    check("cannot read");
}

#[test]
fn names_are_held_where_any_listener_needs_passwords() {
    for (args, expected) in [
        (&[][..], false),
        (&["--listen", "127.0.0.1", "--listen", "192.0.2.1"], true),
        (&["--listen", "127.0.0.1", "--auth", "password"], true),
        (&["--listen", "127.0.0.1", "--auth", "open"], false),
    ] {
        let config = config(args, "").expect("listeners");
        for listen in &config.listen {
            let policy = crate::server::policy(&config, listen.addr.ip().is_loopback());
            assert_eq!(policy.holds_names, expected, "{args:?}, {}", listen.addr);
        }
    }
}
