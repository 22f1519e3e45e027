//! Who answers the screen: nobody, the library, or made-up people; and one connection after the other.

use tokio::sync::mpsc::Receiver;

use super::demo::Demo;
use crate::client::{Client, connect};
use crate::config::Config;
use crate::event::Event;

/// Events taken before the next look at the keys.
const EVENTS_MAX: usize = 256;

/// Who answers effects.
#[derive(Default)]
pub(super) enum Backend {
    /// Nobody is connected.
    #[default]
    Nobody,
    Live {
        client: Client,
        events: Receiver<Event>,
    },
    /// What was connected writes down what is left and gives its device back; then it is the next one's turn. Two
    /// connections of one account at once would be two devices.
    Leaving {
        events: Receiver<Event>,
        next: Option<Box<Config>>,
    },
    Demo(Demo),
}

impl Backend {
    /// Connects as soon as nobody is connected any more.
    pub(super) fn connect(&mut self, config: Config) {
        self.disconnect();
        match self {
            Backend::Leaving { next, .. } => *next = Some(Box::new(config)),
            Backend::Nobody => {
                let (client, events) = connect(config);
                // A queue that was just made has room.
                let _ = client.chats();
                *self = Backend::Live { client, events };
            }
            Backend::Live { .. } | Backend::Demo(_) => {}
        }
    }

    /// Ends what is connected, or is to be.
    pub(super) fn disconnect(&mut self) {
        *self = match std::mem::take(self) {
            // Without a handle the connection ends.
            Backend::Live { client: _, events } | Backend::Leaving { events, .. } => {
                Backend::Leaving { events, next: None }
            }
            other => other,
        };
    }

    /// The channel of events has ended. True where nobody wanted it to.
    pub(super) fn ended(&mut self) -> bool {
        match std::mem::take(self) {
            Backend::Leaving { next, .. } => {
                if let Some(config) = next {
                    self.connect(*config);
                }
                false
            }
            Backend::Nobody | Backend::Live { .. } | Backend::Demo(_) => true,
        }
    }

    /// What the library has to tell; 0 where its channel has ended. Never, where there is none.
    pub(super) async fn events(&mut self, arrived: &mut Vec<Event>) -> usize {
        match self {
            Backend::Nobody => std::future::pending().await,
            Backend::Live { events, .. } => events.recv_many(arrived, EVENTS_MAX).await,
            Backend::Leaving { events, .. } => {
                while events.recv().await.is_some() {}
                0
            }
            Backend::Demo(demo) if demo.events.is_empty() => std::future::pending().await,
            Backend::Demo(demo) => {
                arrived.extend(demo.events.drain(..));
                arrived.len()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellhop_protocol::Username;

    use super::*;
    use crate::config::{Receive, Role, Server};
    use crate::history::History;
    use crate::home::Home;

    /// The next connection found the device of the one before still taken, and made itself another.
    #[test]
    fn a_new_login_takes_the_device_of_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let user = Username::parse("alice").expect("a name");
        let config = Config {
            home: home.clone(),
            server: Server::parse("127.0.0.1:1").expect("an address"),
            user: user.clone(),
            password: None,
            create: false,
            remember: false,
            role: Role::Tui,
            receive: Receive::Kept,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut backend = Backend::Nobody;
        for _ in 0..3 {
            backend.connect(config.clone());
            let mut arrived = Vec::new();
            while arrived.is_empty() {
                if runtime.block_on(backend.events(&mut arrived)) == 0 {
                    assert!(!backend.ended());
                }
            }
        }
        let history = History::open(&home.history().expect("a file")).expect("a history");
        let account = history.find_account("127.0.0.1:1", &user).expect("read").expect("known");
        let roles = history.roles(account.id).expect("read");
        assert_eq!(roles.iter().map(|(role, ..)| role.as_str()).collect::<Vec<_>>(), ["tui"]);
    }
}
