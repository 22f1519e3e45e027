//! A network that is taken away under living connections: neither side hears of an end, nothing is acknowledged.
//!
//! The step starts itself again in a network of its own, whose only interface it may take down.

use std::process::Command;
use std::time::{Duration, Instant};

use bellhop_protocol::OpCode;
use bellhop_tests::load::FREE;
use bellhop_tests::peer::Peer;
use bellhop_tests::proc::sockets;
use bellhop_tests::process::{Process, run as run_program};
use bellhop_tests::server::Home;
use bellhop_tests::tools::has;
use bellhop_tests::wait::{wait_for, waited};

use crate::steps::Shown;

/// How many people of each kind vanish at once.
const PEOPLE: usize = 10;
/// Within this time they are let go.
const GONE: Duration = Duration::from_secs(90);

/// The step.
pub(crate) fn run() -> Shown {
    assert!(
        has("unshare", &["--map-root-user", "--net", "ip", "link", "set", "lo", "up"]),
        "no network of its own can be made here"
    );
    let mut inside = Command::new("unshare");
    inside.args(["--map-root-user", "--net"]).arg(std::env::current_exe().unwrap()).arg("--vanish");
    let (status, said, complaint) = run_program(&mut inside);
    assert!(status.success(), "{said}{complaint}");
    Shown { amount: format!("{} sessions", 2 * PEOPLE), failures: 0, remark: said.trim().to_owned() }
}

fn set_link(state: &str) {
    assert!(Command::new("ip").args(["link", "set", "lo", state]).status().unwrap().success());
}

/// What happens in that network.
#[expect(clippy::disallowed_methods, reason = "how long it takes is real time")]
pub(crate) fn inside() {
    set_link("up");
    let home = Home::new();
    let limits = ["--limit", "connections-addr=off", "--limit", "unauth-addr=off"];
    let args: Vec<&str> = FREE.iter().chain(&limits).copied().collect();
    let server = Process::start(&home.data(), &args);
    let addr = server.addr();
    let mut alice = Peer::login(addr, "alice");
    wait_for("the server to have the login", || (sockets(server.id()) > 0).then_some(()));
    let with_alice = sockets(server.id());
    let mut people: Vec<Peer> =
        (0..PEOPLE).map(|number| Peer::login(addr, &format!("text{number}"))).collect();
    for number in 0..PEOPLE {
        let mut peer = Peer::hello(addr, &format!("hello{number}"), 1);
        peer.ask(OpCode::Deliver, "");
        people.push(peer);
    }
    for number in 0..PEOPLE {
        for kind in ["text", "hello"] {
            let answer = alice.ask(OpCode::Send, &format!("{kind}{number}|for you"));
            assert!(answer.starts_with("ok|delivered|"), "{answer}");
        }
    }
    let start = Instant::now();
    set_link("down");
    let gone = waited(GONE + Duration::from_secs(5), || (sockets(server.id()) < with_alice).then_some(()));
    assert!(gone.is_some(), "{} sockets are left after {GONE:?}", sockets(server.id()) - with_alice);
    println!("everybody was let go after {:.0?}", start.elapsed());
    set_link("up");
    drop(people);
    for number in 0..PEOPLE {
        let (texts, _) = Peer::login(addr, &format!("text{number}")).deliver();
        assert_eq!(texts, ["alice|for you"]);
        let mut peer = Peer::hello(addr, &format!("hello{number}"), 1);
        assert_eq!(peer.ask(OpCode::Deliver, ""), "ok|1");
    }
}
