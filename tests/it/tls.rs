//! TLS and the server's identity, over real sockets: sessions, certificates that are no good or change, old and broken
//! TLS, other protocols, and what other machines may ask.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use bellhop_protocol::OpCode::{List, Send};
use bellhop_tests::peer::Peer;
use bellhop_tests::process::{Process, binary, run};
use bellhop_tests::server::{Home, Local};
use bellhop_tests::tls::client_config;
use bellhop_tests::wait::PATIENCE;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

#[test]
fn a_session_inside_tls_is_like_one_without() {
    let server = Local::start(&[]);
    let mut alice = Peer::connect_tls(server.addr(), server.fingerprint());
    alice.enter("alice");
    let mut bob = server.login("bob");
    assert!(bob.ask(Send, &format!("alice|{}", "x".repeat(16_000))).starts_with("ok|delivered|"));
    assert!(alice.push().text().ends_with("xxxx"));
    for number in 0..200 {
        assert!(alice.ask(Send, &format!("bob|{number}")).starts_with("ok|delivered|"));
    }
    assert!((0..200).all(|number| bob.push().text() == format!("alice|{number}")));
    // What is due is answered although the other side says no more.
    (0..50).for_each(|_| alice.send(Send, "bob|last"));
    alice.finish();
    assert!((0..50).all(|_| alice.next().text().starts_with("ok|")));
    assert_eq!(alice.read(), None);
    let error = Peer::try_tls(server.addr(), client_config("SHA256:of somebody else")).map(drop).unwrap_err();
    assert!(error.to_string().contains("another server's key"), "{error}");
}

#[test]
fn protocols_that_a_client_offers() {
    let server = Local::start(&[]);
    let offer = |protocols: &[&str]| {
        let mut config = client_config(server.fingerprint());
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Peer::try_tls(server.addr(), config)
    };
    for protocols in [&[][..], &["bellhop/1"], &["h2", "bellhop/1", "http/1.1"]] {
        assert_eq!(offer(protocols).unwrap().ask(List, ""), "ok", "{protocols:?}");
    }
    let error = offer(&["h2", "http/1.1"]).map(drop).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

/// Everything that the server says to these bytes until it closes.
fn answer(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A close with input that nobody read is a reset.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "nothing came: {error}");
    }
    answer
}

/// A ClientHello of an old version: what it says of itself, a random, one suite, no compression, how it may be signed.
fn old_hello(version: u8) -> Vec<u8> {
    let rest = [0, 0, 2, 0xC0, 0x2B, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3];
    let hello = [&[1, 0, 0, 34 + rest.len() as u8, 3, version][..], &[7; 32], &rest].concat();
    [&[0x16, 3, 1, 0, hello.len() as u8][..], &hello].concat()
}

#[test]
fn what_is_no_tls_of_today_is_refused() {
    let server = Local::start(&["--limit", "tls-time=1"]);
    for version in [1, 2, 3] {
        assert!(answer(server.addr(), &old_hello(version)).ends_with(&[2, 70]), "protocol_version");
    }
    assert_eq!(answer(server.addr(), b"\x16\x03\x01\x00\x01\xff").first(), None, "it waits, and gives up");
    for cut in [1, 5, 20] {
        drop(answer(server.addr(), &old_hello(3)[..cut]));
        // Or the client gives up first.
        TcpStream::connect(server.addr()).unwrap().write_all(&old_hello(3)[..cut]).unwrap();
    }
    let names = ["tls-failed", "tls-late"];
    let counted = server.core().counters.list().into_iter().filter(|(name, _)| names.contains(name));
    assert!(counted.clone().all(|(_, count)| count >= 3), "{:?}", counted.collect::<Vec<_>>());
    assert_eq!(Peer::connect_tls(server.addr(), server.fingerprint()).ask(List, ""), "ok");
}

/// Numbers that look random, and are the same in each run.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
}

#[test]
fn other_protocols_are_turned_away() {
    let home = Home::new();
    let log = home.path().join("log");
    let mut command = Command::new(binary("bellhop-server"));
    command.stderr(std::fs::File::create(&log).unwrap());
    let limits = ["accept-rate=off", "unauth-addr=off", "connections-addr=off", "login-time=2", "tls-time=1"];
    let args: Vec<&str> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
    let server = Process::start_as(&mut command, &home.data(), &args);
    let http = answer(server.addr(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(http.starts_with(b"HTTP/1.1 400 ") && http.ends_with(b"not HTTP.\r\n"), "{http:?}");
    for spoken in [&b"SSH-2.0-OpenSSH_9.9\r\n"[..], b"EHLO localhost\r\n", b"\x80\x2e\x01\x00\x02"] {
        let refused = answer(server.addr(), spoken);
        assert!(String::from_utf8_lossy(&refused).contains("error|too-long|"), "{refused:?}");
    }
    let addr = server.addr();
    let crowd: Vec<_> = (0..8)
        .map(|thread| {
            std::thread::spawn(move || {
                for number in 0..125 {
                    let mut noise = noise(thread * 1_000 + number + 1);
                    let len = 1 + usize::from(noise.next().unwrap()) * 4;
                    let bytes: Vec<u8> = noise.take(len).collect();
                    let mut stream = TcpStream::connect(addr).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let _ = stream.write_all(&bytes);
                    // Half of them wait for the end, as somebody does who believes to be understood.
                    if number % 2 == 0 {
                        let end = stream.read_to_end(&mut Vec::new());
                        let reset =
                            |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
                        assert!(end.map_or_else(reset, |_| true), "the connection stays: {bytes:02x?}");
                    }
                }
            })
        })
        .collect();
    crowd.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(Peer::login(addr, "alice").ask(List, ""), "ok|alice");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "", "nobody needs to know of that");
}

/// A certificate and its key, good for these years.
fn make(folder: &Path, name: &str, years: (i32, i32)) -> [PathBuf; 2] {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["bellhop.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let paths = ["crt", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
    std::fs::write(&paths[0], params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&paths[1], key.serialize_pem()).unwrap();
    mode(&paths[1], 0o600);
    paths
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn mode(_: &Path, _: u32) {}

/// The server's own word about what clients know it by.
fn fingerprint(options: &[&str], data: &Path) -> String {
    let (status, said, complained) =
        run(Command::new(binary("bellhop-server")).args(options).arg("--data").arg(data));
    assert!(status.success(), "{complained}");
    said.trim().to_owned()
}

#[test]
fn a_certificate_that_is_no_good_is_no_start() {
    let home = Home::new();
    let good = make(home.path(), "good", (2020, 2090));
    let other = make(home.path(), "other", (2020, 2090));
    let old = make(home.path(), "old", (2020, 2021));
    let loose = make(home.path(), "loose", (2020, 2090));
    mode(&loose[1], 0o644);
    let empty = home.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let nowhere = home.path().join("nowhere");
    let cases = [
        (&nowhere, &good[1], "cannot read", &nowhere),
        (&good[0], &nowhere, "cannot read", &nowhere),
        (&empty, &good[1], "no certificate in PEM", &empty),
        (&good[0], &empty, "other users may read", &empty),
        (&good[0], &other[1], "does not belong", &other[1]),
        (&old[0], &old[1], "has expired", &old[0]),
        (&loose[0], &loose[1], "other users may read", &loose[1]),
    ];
    // What others may read is told on Unix alone.
    let told = |part: &str| cfg!(unix) || part != "other users may read";
    for (cert, key, part, named) in cases.into_iter().filter(|case| told(case.2)) {
        let mut server = Command::new(binary("bellhop-server"));
        server.args(["0", "--listen", "127.0.0.1", "--log", "warn", "--data"]).arg(home.data());
        let (status, said, complained) = run(server.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key));
        assert_eq!((status.code(), said.as_str()), (Some(1), ""), "{part}");
        let lines: Vec<&str> = complained.lines().collect();
        assert!(lines.len() == 1 && lines[0].contains(part), "{part}: {complained}");
        assert!(lines[0].contains(named.to_str().unwrap()), "{part}: {complained}");
    }
}

#[cfg(unix)]
#[test]
fn a_certificate_changes_under_living_sessions() {
    let home = Home::new();
    let now = make(home.path(), "now", (2020, 2090));
    let args = ["--tls-cert", now[0].to_str().unwrap(), "--tls-key", now[1].to_str().unwrap()];
    let server = Process::start(&home.data(), &args);
    let mut before = Peer::connect_tls(server.addr(), server.fingerprint());
    before.enter("alice");
    let put = |from: [PathBuf; 2]| {
        std::fs::rename(&from[0], &now[0]).unwrap();
        std::fs::rename(&from[1], &now[1]).unwrap();
        let id = server.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    };
    put(make(home.path(), "next", (2020, 2090)));
    let config = format!("tls-cert = {:?}\ntls-key = {:?}\n", now[0], now[1]);
    let file = home.path().join("b.toml");
    std::fs::write(&file, config).unwrap();
    let next = fingerprint(&["fingerprint", "--config", file.to_str().unwrap()], &home.data());
    assert_ne!(next, server.fingerprint());
    let connects = |fingerprint: &str| Peer::try_tls(server.addr(), client_config(fingerprint)).ok();
    let mut after = bellhop_tests::wait::wait_for("the next certificate", || connects(&next));
    after.enter("bob");
    // One that is no good changes nothing.
    put(make(home.path(), "old", (2020, 2021)));
    // That nothing changes shows in time alone.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(connects(&next).is_some());
    assert!(before.ask(Send, "bob|hi").starts_with("ok|delivered|"));
    assert_eq!(after.push().text(), "alice|hi");
}

#[test]
fn a_new_key_is_shown_to_the_next_who_come() {
    let home = Home::new();
    let server = Process::start(&home.data(), &[]);
    assert_eq!(fingerprint(&["fingerprint"], &home.data()), server.fingerprint());
    let mut before = Peer::connect_tls(server.addr(), server.fingerprint());
    before.enter("alice");
    let said = fingerprint(&["rotate-key"], &home.data());
    let (was, now) = said.split_once('\n').unwrap();
    assert_eq!(was, format!("was {}", server.fingerprint()));
    let now = now.strip_prefix("now ").unwrap();
    assert_eq!(fingerprint(&["fingerprint"], &home.data()), now);
    let connects = || Peer::try_tls(server.addr(), client_config(now)).ok();
    assert_eq!(bellhop_tests::wait::wait_for("the new key", connects).ask(List, ""), "ok|alice");
    assert_eq!(before.ask(List, ""), "ok|alice");
    server.kill();
    assert_eq!(Process::start(&home.data(), &[]).fingerprint(), now);
}

/// A network namespace beside this one, and the addresses on both sides.
#[cfg(target_os = "linux")]
struct Elsewhere {
    name: String,
    here: String,
    there: String,
}

#[cfg(target_os = "linux")]
impl Elsewhere {
    /// `None`, and a word, where this process may not make one.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn new() -> Option<Elsewhere> {
        let id = std::process::id();
        let net = format!("10.213.{}.", id % 250);
        let elsewhere =
            Elsewhere { name: format!("bellhop-{id}"), here: format!("{net}1"), there: format!("{net}2") };
        let (name, link) = (elsewhere.name.as_str(), format!("bh{id}"));
        let (here, there) = (format!("{}/24", elsewhere.here), format!("{}/24", elsewhere.there));
        let steps: [&[&str]; 7] = [
            &["netns", "add", name],
            &["link", "add", &link, "type", "veth", "peer", "name", "bh", "netns", name],
            &["addr", "add", &here, "dev", &link],
            &["link", "set", &link, "up"],
            &["-n", name, "addr", "add", &there, "dev", "bh"],
            &["-n", name, "link", "set", "bh", "up"],
            &["-n", name, "link", "set", "lo", "up"],
        ];
        let works = |step: &&[&str]| {
            Command::new("ip").args(*step).output().is_ok_and(|output| output.status.success())
        };
        if steps.iter().all(works) {
            return Some(elsewhere);
        }
        assert!(std::env::var_os("CI").is_none(), "the gate can make network namespaces");
        eprintln!("SKIPPED: this process may not make a network namespace");
        None
    }

    /// A server over there; what it says of its address is its own loopback's.
    fn start(&self, args: &[&str]) -> (Process, SocketAddr, Home) {
        let home = Home::new();
        let mut ip = Command::new("ip");
        ip.args(["netns", "exec", &self.name]).arg(binary("bellhop-server"));
        let server =
            Process::start_as(&mut ip, &home.data(), &[&["--listen", &self.there][..], args].concat());
        let addr = SocketAddr::new(self.there.parse().unwrap(), server.addr().port());
        (server, addr, home)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Elsewhere {
    fn drop(&mut self) {
        // Its links go with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn from_another_machine_nothing_is_had_without_tls_and_a_password() {
    use bellhop_protocol::Code;
    use bellhop_protocol::OpCode::{Create, Login, Logout};
    let Some(elsewhere) = Elsewhere::new() else { return };
    let (server, addr, _home) = elsewhere.start(&[]);
    for said in [&b"\0\0\0\0\0"[..], b"\0", b"SSH-2.0-OpenSSH\r\n"] {
        let mut peer = Peer::connect(addr);
        peer.write(said);
        peer.ends_with("tls-needed");
    }
    assert!(answer(addr, b"POST / HTTP/1.1\r\n\r\n").starts_with(b"HTTP/1.1 400 "));
    let mut peer = Peer::connect_tls(addr, server.fingerprint());
    let code = |answer: String| answer.split('|').nth(1).unwrap_or_default().to_owned();
    assert_eq!(code(peer.ask(List, "")), Code::NOT_LOGGED_IN.word().unwrap());
    assert_eq!(code(peer.ask(Create, "alice|open sesame")), "registration-closed");
    drop((peer, server));

    let (server, addr, _home) = elsewhere.start(&["--register", "open"]);
    let connect = || Peer::connect_tls(addr, server.fingerprint());
    let mut alice = connect();
    assert_eq!(code(alice.ask(Create, "alice")), "password-needed");
    assert!(alice.ask(Create, "alice|open sesame").starts_with("ok|"));
    assert_eq!(alice.ask(List, ""), "ok|alice");
    alice.ask(Logout, "");
    let refusals: Vec<String> =
        ["alice|open barley", "nobody|open barley"].map(|login| connect().ask(Login, login)).into();
    assert!(refusals[0].starts_with("error|bad-password|") && refusals[0] == refusals[1], "{refusals:?}");
    assert_eq!(connect().ask(Login, "alice"), connect().ask(Login, "nobody"), "without a password");
    assert!(connect().ask(Login, "alice|open sesame").starts_with("ok|"));
    drop(server);

    let (_server, addr, _home) = elsewhere.start(&["--plaintext-from", &elsewhere.here]);
    assert_eq!(code(Peer::connect(addr).ask(List, "")), "not-logged-in");
}
