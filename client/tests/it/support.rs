//! What the tests share: a home, a deadline, and waiting for a state instead of for a time.

use std::time::{Duration, Instant};

use bellhop::client::Client;
use bellhop::{Config, Event, Home, Receive, Role, Server as Address, Trust, connect};
use bellhop_protocol::Username;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use crate::server::Server;

/// Nothing a test waits for takes longer, even on a machine with other work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `check` holds.
#[track_caller]
pub(crate) fn until(what: &str, check: impl FnMut() -> bool) {
    assert!(waited(check), "waited in vain until {what}");
}

/// Waits until `check` holds; false where it does not for too long.
#[expect(clippy::disallowed_methods, reason = "a test gives up after a while")]
pub(crate) fn waited(mut check: impl FnMut() -> bool) -> bool {
    let give_up = Instant::now() + PATIENCE;
    while !check() {
        if Instant::now() >= give_up {
            return false;
        }
        // Between two looks.
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

pub(crate) struct Seat {
    pub(crate) client: Client,
    events: Receiver<Event>,
    runtime: tokio::runtime::Runtime,
}

pub(crate) fn home() -> (TempDir, Home) {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::at(folder.path().join("home"));
    (folder, home)
}

pub(crate) fn config(server: &Server, home: &Home, user: &str) -> Config {
    Config {
        home: home.clone(),
        server: Address::parse(&server.address.to_string()).expect("an address"),
        trust: Trust::default(),
        user: Username::parse(user).expect("a name"),
        password: None,
        create: false,
        remember: false,
        role: Role::Tui,
        receive: Receive::Kept,
        patient: true,
        hidden: false,
    }
}

pub(crate) fn sit(config: Config) -> Seat {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (client, events) = connect(config);
    Seat { client, events, runtime }
}

impl Seat {
    /// The next event; `None` at the end of the channel.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Event> {
        let events = &mut self.events;
        let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, events.recv()).await });
        next.expect("an event in time")
    }

    /// Passes over events until `wanted` finds one.
    #[track_caller]
    pub(crate) fn find<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("the channel ended before {what}"));
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    #[track_caller]
    pub(crate) fn online(&mut self) {
        self.find("online", |event| matches!(event, Event::Online(_)).then_some(()));
    }

    /// Drops the handle and waits until the thread has ended.
    pub(crate) fn leave(self) {
        let Seat { client, mut events, runtime } = self;
        drop(client);
        runtime.block_on(async {
            let end = async { while events.recv().await.is_some() {} };
            tokio::time::timeout(PATIENCE, end).await.expect("the connection ends");
        });
    }
}
