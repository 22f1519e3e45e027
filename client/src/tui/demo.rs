//! Made-up people, for screenshots and for tests that need no server: what a server and a history would answer.

use std::collections::VecDeque;
use std::time::Duration;

use bellhop_protocol::{MessageId, Username};
use uuid::Uuid;

use super::model::{Effect, Login};
use crate::config::Server;
use crate::delivery::Delivery;
use crate::event::{
    Around, Chat, Event, Found, Guard, Hit, Message, Online, Page, Secured, StateChange, Steps, Unsettled,
};
use crate::fingerprint::Fingerprint;
use crate::history::Query;
use crate::peer::Peer;
use crate::text::seek::Seek;

/// Friday, 20 November 2026, 09:10 UTC.
pub(crate) const NOW_MS: i64 = 1_795_165_800_000;
/// Messages looked through at once.
const PIECE: usize = 100;
const MINUTE_MS: i64 = 60_000;

/// Answers effects with events.
pub(crate) struct Demo {
    messages: Vec<Message>,
    chats: Vec<Chat>,
    pub(crate) events: VecDeque<Event>,
}

/// Who the demo logs in as.
pub(crate) fn login() -> Option<Login> {
    Some(Login {
        server: Server::parse("chat.example").ok()?,
        user: Username::parse("alice").ok()?,
        password: None,
        create: false,
        remember: false,
    })
}

impl Demo {
    /// A talk with bob, some others, and as many old messages as are wanted.
    pub(crate) fn new(old: i64) -> Demo {
        let mut demo = Demo { messages: Vec::new(), chats: Vec::new(), events: VecDeque::new() };
        for at in 0..old {
            let text = format!(
                "Old message {at}, long enough to need more than one line on most screens there are."
            );
            demo.say(at % 3 == 0, -20_000 - (old - at), &text, Delivery::Read);
        }
        demo.talk();
        let last = demo.messages.len() as i64;
        demo.chat("bob", 1, last - 5, last, "");
        for (name, unread, draft) in [
            ("carol", 3, ""),
            ("dave", 12, ""),
            ("erin-long-name-here", 0, "half a thought"),
            ("frank", 0, ""),
            ("王小明", 1, ""),
        ] {
            demo.chat(name, unread, 0, 1, draft);
        }
        let online = Online {
            agent: "bellhop-server/0.1.0".into(),
            node: "n-01".into(),
            round_trip: Duration::from_millis(12),
            created: false,
            presence: true,
        };
        let unsettled = Unsettled { n: last, to: "bob".into(), text: String::new() };
        demo.events.push_back(Event::Unsettled(vec![unsettled]));
        demo.events.push_back(Event::Chats(demo.chats.clone()));
        let guard =
            Guard::Key { key: Fingerprint::of_key(b"the key of nobody"), since: Some("2026-11-03".into()) };
        demo.events.push_back(Event::Secured(Secured { guard, moved_from: None }));
        demo.events.push_back(Event::RoundTrip(Duration::from_millis(12)));
        demo.events.push_back(Event::Online(online));
        demo
    }

    fn talk(&mut self) {
        let yesterday = -(24 * 60);
        self.say(false, yesterday + 522, "Did the release build finish?", Delivery::Delivered);
        self.say(
            true,
            yesterday + 523,
            "Yes. All three platforms are green.\n構建完成 ✅",
            Delivery::Delivered,
        );
        self.say(
            false,
            yesterday + 525,
            "Great, I'll try it on the Windows box tonight.",
            Delivery::Delivered,
        );
        self.say(true, -8, "Morning! Any trouble with the old console?", Delivery::Read);
        let trouble = "One thing: pasting several lines sent each line as its own message. In Windows Terminal it asked \
             me first, which is what I want.\nLog is at https://ci.example/run/4417";
        self.say(false, -4, trouble, Delivery::Delivered);
        let fix = "Thanks, that is a real bug. Fix is on its way:\n1. join a fast burst of keys into one paste\n2. ask \
             before sending more than 3 lines";
        self.say(true, -2, fix, Delivery::Queued);
        self.say(true, -1, "Can you retest after lunch?", Delivery::Sent);
        self.say(true, -1, "(sent from the train)", Delivery::Outbox);
    }

    fn say(&mut self, mine: bool, minutes: i64, text: &str, state: Delivery) {
        let n = self.messages.len() as i64 + 1;
        self.messages.push(Message {
            n,
            peer: Peer::new("bob"),
            mine,
            id: None,
            text: text.to_owned(),
            time_ms: NOW_MS + minutes * MINUTE_MS,
            state,
            reason: None,
        });
    }

    fn chat(&mut self, name: &str, unread: u64, read_to: i64, last: i64, draft: &str) {
        let peer = Peer::new(name);
        self.chats.push(Chat {
            peer,
            unread,
            read_to,
            last,
            draft: draft.to_owned(),
            pinned: false,
            muted: name == "frank",
            failed: Vec::new(),
        });
    }

    /// Answers an effect.
    pub(crate) fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Page { key, around } => self.page(&key, around),
            Effect::Watch(names) => self.events.push_back(Event::Watching(self.known(names))),
            Effect::Search(query) => self.search(&query),
            Effect::Steps(n) => {
                let steps = [Delivery::Outbox, Delivery::Sending, Delivery::Sent];
                let steps = steps.into_iter().map(|state| (state, NOW_MS)).collect();
                self.events.push_back(Event::Steps(Steps { n, steps }));
            }
            Effect::Send { tag, to, text } => {
                let n = self.messages.len() as i64 + 1;
                let message = Message {
                    n,
                    peer: to,
                    mine: true,
                    id: None,
                    text,
                    time_ms: NOW_MS,
                    state: Delivery::Sending,
                    reason: None,
                };
                self.messages.push(message.clone());
                self.events.push_back(Event::Outgoing { tag, message });
                let id = Some(MessageId(Uuid::from_u128(n.cast_unsigned().into())));
                self.events.push_back(Event::State(StateChange {
                    n,
                    id,
                    state: Delivery::Sent,
                    time_ms: NOW_MS,
                    code: None,
                    reason: None,
                }));
            }
            Effect::Ask { tag, op, .. } => {
                let fields = Ok(["ok", "alice", "bob", "carol"].map(str::to_owned).to_vec());
                let verdict = crate::raw::Verdict::Done;
                self.events.push_back(Event::Answer(crate::event::Answer { tag, op, fields, verdict }));
            }
            _ => {}
        }
    }

    /// Of frank nobody tells.
    fn known(&self, names: Vec<String>) -> Vec<(String, bool)> {
        let told = names.into_iter().filter(|name| name != "frank");
        let here = ["bob", "carol", "王小明"];
        told.map(|name| (here.contains(&name.as_str()), name)).map(|(here, name)| (name, here)).collect()
    }

    /// A piece of what was said, as the history gives it.
    fn search(&mut self, query: &Query) {
        let here = |message: &&Message| query.key.as_ref().is_none_or(|key| message.peer.key == *key);
        let mut before = self.messages.iter().rev().filter(here).filter(|message| message.n < query.before);
        let piece: Vec<&Message> = before.by_ref().take(PIECE).collect();
        let next = before.next().and_then(|_| piece.last()).map(|last| last.n);
        let seek = Seek::new(&query.text);
        let holds =
            |message: &&&Message| seek.as_ref().is_some_and(|seek| seek.first(&message.text).is_some());
        let hits = piece.iter().filter(holds).map(|message| Hit { n: message.n, peer: message.peer.clone() });
        let hits = hits.collect();
        self.events.push_back(Event::Found(Found { tag: query.tag, hits, next }));
    }

    fn page(&mut self, key: &str, around: Around) {
        let with_peer = self.messages.iter().filter(|message| message.peer.key == key);
        let limit = super::window::PAGE;
        let (messages, more): (Vec<Message>, bool) = match around {
            Around::After(n) => {
                let after: Vec<Message> = with_peer.filter(|message| message.n > n).cloned().collect();
                let more = after.len() > limit;
                (after.into_iter().take(limit).collect(), more)
            }
            Around::Newest | Around::Before(_) => {
                let end = if let Around::Before(n) = around { n } else { i64::MAX };
                let before: Vec<Message> = with_peer.filter(|message| message.n < end).cloned().collect();
                let skip = before.len().saturating_sub(limit);
                (before.into_iter().skip(skip).collect(), skip > 0)
            }
        };
        self.events.push_back(Event::Page(Page { key: key.to_owned(), around, messages, more }));
    }
}
