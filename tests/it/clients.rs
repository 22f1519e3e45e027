//! Real clients while the server is killed: two people at their screens, and two programs on the client's library.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bellhop::{
    Client, Config, Delivery, Event, Home as ClientHome, Peer, Receive, Role, Server, Trust, connect,
};
use bellhop_protocol::Username;
use bellhop_tests::checker::{History, Verdict};
use bellhop_tests::kills;
use bellhop_tests::process::Process;
use bellhop_tests::server::Home;
use bellhop_tests::terminal::Terminal;
use tokio::sync::mpsc::Receiver;

/// How many messages of a sender wait for their receipts at most.
const UNSETTLED: usize = 200;
/// The text of the last message.
const LAST: &str = "the end";

fn join(name: &str, home: &Path, addr: SocketAddr, receive: Receive) -> (Client, Receiver<Event>) {
    connect(Config {
        home: ClientHome::at(home),
        server: Server::parse(&addr.to_string()).unwrap(),
        trust: Trust::default(),
        user: Username::parse(name).unwrap(),
        password: None,
        create: true,
        remember: false,
        role: Role::Tui,
        receive,
        patient: true,
        hidden: false,
    })
}

/// What the two programs share.
#[derive(Default)]
struct Shared {
    history: Mutex<History>,
    stop: AtomicBool,
}

/// Tries again soon: a server that ends again and again is asked less and less often otherwise.
fn come_back(client: &Client) {
    thread::sleep(Duration::from_millis(20));
    client.reconnect().unwrap();
}

/// Sends numbered messages until it is told to stop, and goes on until each has ended. Returns how each one ended.
fn send(shared: &Shared, client: &Client, mut events: Receiver<Event>, to: &str) -> BTreeMap<u64, Delivery> {
    let (mut next, mut places, mut states) = (1, BTreeMap::new(), BTreeMap::new());
    let mut open = BTreeSet::new();
    loop {
        while open.len() < UNSETTLED && !shared.stop.load(Ordering::Relaxed) {
            shared.history.lock().unwrap().sends("carol", next);
            client.send(next, Peer::new(to), format!("carol {next}"), true).unwrap();
            open.insert(next);
            next += 1;
        }
        if open.is_empty() {
            client.send(0, Peer::new(to), LAST.into(), false).unwrap();
            return states;
        }
        match events.blocking_recv().unwrap() {
            Event::Outgoing { tag, message } => {
                places.insert(message.n, tag);
            }
            Event::State(change) => {
                let tag = places[&change.n];
                let state = states.entry(tag).or_insert(Delivery::Outbox);
                assert!(
                    change.state >= *state,
                    "message {tag} went from {state:?} back to {:?}",
                    change.state
                );
                *state = change.state;
                match change.state {
                    Delivery::Sent | Delivery::Queued | Delivery::Delivered | Delivery::Read => {
                        shared.history.lock().unwrap().is_told_kept("carol", tag);
                    }
                    Delivery::Failed => shared.history.lock().unwrap().is_told_refused("carol", tag),
                    _ => {}
                }
                if change.state >= Delivery::Returned || change.state == Delivery::Failed {
                    open.remove(&tag);
                }
            }
            Event::Offline(..) => come_back(client),
            Event::Stopped(stop) => panic!("{stop:?}"),
            Event::NotKept { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
}

/// Shows what comes, up to [`LAST`].
fn receive(shared: &Shared, client: &Client, mut events: Receiver<Event>) {
    loop {
        match events.blocking_recv().unwrap() {
            Event::Message(message) if message.text == LAST => return,
            Event::Message(message) if !message.mine => {
                let (sender, number) = message.text.split_once(' ').unwrap();
                shared.history.lock().unwrap().shows(sender, number.parse().unwrap());
            }
            Event::Offline(..) => come_back(client),
            Event::Stopped(stop) => panic!("{stop:?}"),
            _ => {}
        }
    }
}

/// Two people, each at a screen that is tall enough to show everything they say in this test.
struct People {
    alice: Terminal,
    bob: Terminal,
    said: u32,
}

impl People {
    fn sit_down(homes: &[Home], addr: SocketAddr, rows: u16) -> People {
        let mut alice = Terminal::of("alice", homes[0].path(), addr, (80, rows));
        let mut bob = Terminal::of("bob", homes[1].path(), addr, (80, rows));
        alice.enters("/open bob");
        bob.enters("/open alice");
        People { alice, bob, said: 0 }
    }

    fn line(number: u32) -> String {
        format!("saying {number:04}.")
    }

    fn says_one_more(&mut self) {
        self.said += 1;
        self.alice.enters(&Self::line(self.said));
    }

    /// Who has been told to wait before the next try does not.
    fn come_back(&mut self) {
        for screen in [&mut self.alice, &mut self.bob] {
            if !screen.contents().lines().last().is_some_and(|status| status.contains("online")) {
                screen.enters("/reconnect");
            }
        }
    }

    /// Waits until the last line has come, and looks at everything that is shown then.
    fn look(&self) {
        let last = Self::line(self.said);
        self.bob.shows(&last);
        self.alice.comes_to("ticks of the recipient on every line", |contents| {
            contents.matches("✓✓").count() == self.said as usize
        });
        for screen in [&self.alice, &self.bob] {
            let contents = screen.contents();
            let shown: Vec<&str> =
                contents.match_indices("saying ").map(|(at, _)| &contents[at..at + last.len()]).collect();
            let expected: Vec<String> = (1..=self.said).map(Self::line).collect();
            assert_eq!(shown, expected, "{contents}");
        }
    }
}

#[test]
fn killed_at_random_moments_screens_and_programs_show_each_message_once_and_in_order() {
    let (home, homes) = (Home::new(), [(); 4].map(|()| Home::new()));
    let args = ["--limit", "sends=off", "--limit", "mailbox-sender=off", "--limit", "accept-rate=off"];
    let mut server = Process::start(&home.data(), &args);
    let (addr, kills) = (server.addr(), kills());
    let shared = Arc::new(Shared::default());
    let (dave, shown) = join("dave", homes[2].path(), addr, Receive::Kept);
    let (carol, told) = join("carol", homes[3].path(), addr, Receive::Kept);
    let mut people = People::sit_down(&homes, addr, u16::try_from(2 * kills + 40).unwrap());
    let receiver = thread::spawn({
        let shared = shared.clone();
        move || receive(&shared, &dave, shown)
    });
    let sender = thread::spawn({
        let (shared, carol) = (shared.clone(), carol.clone());
        move || send(&shared, &carol, told, "dave")
    });

    for kill in 0..kills {
        people.says_one_more();
        // Moments from right after the Enter to the middle of everybody's coming back; every third time the line has
        // come first.
        thread::sleep(Duration::from_micros(
            u64::from(kill * 7_919 % 60) * u64::from(kill % 2 * 10_000 + 300),
        ));
        if kill % 3 == 0 {
            people.bob.shows(&People::line(people.said));
        }
        server.kill();
        people.says_one_more();
        server = Process::start_on(addr, &home.data(), &args);
        people.come_back();
    }
    shared.stop.store(true, Ordering::Relaxed);
    let ended = sender.join().unwrap();
    people.look();
    receiver.join().unwrap();
    drop(carol);
    let history = shared.history.lock().unwrap();
    assert_eq!(history.verdict(), Verdict::default(), "{} messages, {kills} kills", history.kept());
    assert!(ended.values().all(|state| *state == Delivery::Delivered), "{ended:?}");
    assert!(history.kept() > kills as usize, "{} messages, {kills} kills", history.kept());
    println!("{kills} kills: {} messages of programs, {} of people", history.kept(), people.said);
}
