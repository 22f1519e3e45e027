//! Who answers the screen: nobody, the library, or made-up people; and one connection after the other.

use tokio::sync::mpsc::Receiver;

use super::demo::Demo;
use super::model::Effect;
use super::window::PAGE;
use crate::client::{Client, connect};
use crate::config::Config;
use crate::event::{Answer, Event};
use crate::raw::Verdict;

/// Events taken before the next look at the keys.
const EVENTS_MAX: usize = 256;

/// Who answers effects.
#[derive(Default)]
pub(crate) enum Backend {
    /// Nobody is connected.
    #[default]
    Nobody,
    Live {
        client: Client,
        events: Receiver<Event>,
        config: Box<Config>,
    },
    /// What was connected has ended by itself; how it was is kept to connect again.
    Ended(Box<Config>),
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
    pub(crate) fn connect(&mut self, config: Config) {
        self.disconnect();
        match self {
            Backend::Leaving { next, .. } => *next = Some(Box::new(config)),
            Backend::Nobody | Backend::Ended(_) => {
                let (client, events) = connect(config.clone());
                // A queue that was just made has room.
                let _ = client.chats();
                *self = Backend::Live { client, events, config: Box::new(config) };
            }
            Backend::Live { .. } | Backend::Demo(_) => {}
        }
    }

    /// Ends what is connected, or is to be.
    pub(crate) fn disconnect(&mut self) {
        *self = match std::mem::take(self) {
            // Without a handle the connection ends.
            Backend::Live { client: _, events, .. } | Backend::Leaving { events, .. } => {
                Backend::Leaving { events, next: None }
            }
            other => other,
        };
    }

    /// The channel of events has ended. True where nobody wanted it to.
    pub(crate) fn ended(&mut self) -> bool {
        match std::mem::take(self) {
            Backend::Leaving { next, .. } => {
                if let Some(config) = next {
                    self.connect(*config);
                }
                false
            }
            Backend::Live { config, .. } => {
                *self = Backend::Ended(config);
                true
            }
            Backend::Nobody | Backend::Ended(_) | Backend::Demo(_) => true,
        }
    }

    /// Does what is to be done. Gives back an event where nobody does it.
    pub(crate) fn take(&mut self, effect: Effect) -> Option<Event> {
        match std::mem::take(self) {
            Backend::Ended(config) if effect == Effect::Reconnect => {
                self.connect(*config);
                None
            }
            before => {
                *self = before;
                match self {
                    Backend::Live { client, .. } => ask(client, effect),
                    _ => refused(effect, "nobody is connected: /reconnect"),
                }
            }
        }
    }

    /// What the library has to tell; 0 where its channel has ended. Never, where there is none.
    pub(crate) async fn events(&mut self, arrived: &mut Vec<Event>) -> usize {
        match self {
            Backend::Nobody | Backend::Ended(_) => std::future::pending().await,
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

/// Asks the library. Gives back an event where it cannot take more.
fn ask(client: &Client, effect: Effect) -> Option<Event> {
    let asked = match effect {
        Effect::Send { tag, to, text } => {
            let sent = client.send(tag, to.clone(), text.clone(), true);
            return sent.err().and_then(|busy| refused(Effect::Send { tag, to, text }, &busy.to_string()));
        }
        Effect::Ask { tag, op, data } => {
            let asked = client.ask(tag, op, data.clone());
            return asked.err().and_then(|busy| refused(Effect::Ask { tag, op, data }, &busy.to_string()));
        }
        Effect::Password { tag, old, new } => {
            let asked = client.change_password(tag, old.clone(), new.clone());
            let effect = Effect::Password { tag, old, new };
            return asked.err().and_then(|busy| refused(effect, &busy.to_string()));
        }
        Effect::Retry(n) => client.retry(n),
        Effect::Withdraw(n) => client.withdraw(n),
        Effect::Page { key, around } => client.page(key, around, PAGE),
        Effect::MarkRead { key, n } => client.mark_read(key, n),
        Effect::MarkUnread { key, n } => client.mark_unread(key, n),
        Effect::Choose { peer, chosen } => client.choose(peer, chosen),
        Effect::Search(query) => client.search(query),
        Effect::Steps(n) => client.steps(n),
        Effect::Draft { peer, text } => client.keep_draft(peer, text),
        Effect::Reconnect => client.reconnect(),
        Effect::Take(count) => client.take(count),
        Effect::Watch(names) => client.watch(names),
        // It goes by itself, and so may be left out.
        Effect::Typing(to) => {
            let _ = client.typing(to);
            Ok(())
        }
        // The loop's own.
        Effect::Connect(_) | Effect::Disconnect | Effect::Trust(_) | Effect::Redraw | Effect::Suspend => {
            Ok(())
        }
        Effect::OpenLink(_) | Effect::Copy(_) | Effect::Edit { .. } | Effect::Plain(_) | Effect::Mouse(_) => {
            Ok(())
        }
        Effect::Notify(_) | Effect::Digest => Ok(()),
        Effect::Set { .. } | Effect::Reload | Effect::Account(_) => Ok(()),
    };
    asked.err().map(|busy| Event::Problem(busy.to_string()))
}

/// What says that something was not done; nothing for what goes on by itself and is asked for again.
fn refused(effect: Effect, reason: &str) -> Option<Event> {
    let reason = reason.to_owned();
    match effect {
        Effect::Send { tag, to, text } => Some(Event::NotKept { tag, to, reason, text }),
        Effect::Ask { tag, op, .. } => {
            Some(Event::Answer(Answer { tag, op, fields: Err(reason), verdict: Verdict::Done }))
        }
        Effect::Password { tag, .. } => {
            let op = bellhop_protocol::OpCode::Password.byte();
            Some(Event::Answer(Answer { tag, op, fields: Err(reason), verdict: Verdict::Done }))
        }
        Effect::Retry(_)
        | Effect::Withdraw(_)
        | Effect::MarkUnread { .. }
        | Effect::Choose { .. }
        | Effect::Search(_)
        | Effect::Take(_)
        | Effect::Reconnect => Some(Event::Problem(reason)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bellhop_protocol::Username;

    use super::*;
    use crate::config::{Receive, Role, Server, Trust};
    use crate::history::History;
    use crate::home::Home;
    use crate::peer::Peer;

    fn config(folder: &tempfile::TempDir) -> Config {
        Config {
            home: Home::at(folder.path()),
            server: Server::parse("127.0.0.1:1").expect("an address"),
            trust: Trust::default(),
            user: Username::parse("alice").expect("a name"),
            password: None,
            create: false,
            remember: false,
            role: Role::Named("tui".into()),
            receive: Receive::Kept,
            patient: true,
            hidden: false,
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// Everything that comes until the channel of events ends.
    fn all_of(runtime: &tokio::runtime::Runtime, backend: &mut Backend) -> Vec<Event> {
        let mut arrived = Vec::new();
        while runtime.block_on(backend.events(&mut arrived)) > 0 {}
        arrived
    }

    fn send(tag: u64) -> Effect {
        Effect::Send { tag, to: Peer::new("bob"), text: "precious".into() }
    }

    /// Where another window had the device, messages went nowhere without a word, and so did /reconnect.
    #[test]
    fn what_is_sent_while_nobody_is_there_is_handed_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, runtime) = (config(&folder), runtime());
        let handed_back = |event: &Event| matches!(event, Event::NotKept { text, .. } if text == "precious");
        let holder = crate::seat::take(&config).expect("a place");
        let mut backend = Backend::Nobody;
        backend.connect(config);
        let at_once = backend.take(send(1));
        let mut arrived = all_of(&runtime, &mut backend);
        arrived.extend(at_once);
        assert_eq!(arrived.iter().filter(|event| handed_back(event)).count(), 1, "{arrived:?}");
        assert!(backend.ended());
        assert!(backend.take(send(2)).is_some_and(|event| handed_back(&event)));
        let data = crate::Secret::new("al*".into());
        let answer = backend.take(Effect::Ask { tag: 3, op: 0, data });
        assert!(matches!(answer, Some(Event::Answer(Answer { tag: 3, fields: Err(_), .. }))), "{answer:?}");
        assert!(matches!(backend.take(Effect::Retry(1)), Some(Event::Problem(_))));
        drop(holder);
        assert_eq!(backend.take(Effect::Reconnect), None);
        assert_eq!(backend.take(send(4)), None);
        let mut arrived = Vec::new();
        while !arrived.iter().any(|event| matches!(event, Event::Outgoing { tag: 4, .. })) {
            assert!(runtime.block_on(backend.events(&mut arrived)) > 0, "{arrived:?}");
        }
    }

    /// The next connection found the device of the one before still taken, and made itself another.
    #[test]
    fn a_new_login_takes_the_device_of_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(&folder);
        let (home, user) = (config.home.clone(), config.user.clone());
        let runtime = runtime();
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
