//! What the connection tells: who came, what was said, how it ended. It writes lines, and decides nothing about what is
//! typed.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::{Timestamp, Zoned};

use super::{Asks, FOLLOWED_MAX, Followed, NEWEST, Out, Over, Plain, Talk, WATCH_MAX, is_open};
use crate::delivery::Delivery;
use crate::event::{
    Answer, Around, Chat, Event, Message, Page, StateChange, Stop, StopKind, Trouble, TroubleKind,
};
use crate::peer::Peer;
use crate::text::shown;
use crate::tui::bare::indented;
use crate::tui::model::{Effect, Now};
use crate::tui::notify::summary;
use crate::tui::written;

impl Plain {
    pub(in crate::plain) fn event(&mut self, now: Now, event: Event) {
        self.now = Some(now);
        match event {
            Event::Online(_) => self.came_online(),
            Event::Offline(trouble, until) => self.offline(&trouble, until),
            Event::Stopped(stop) => self.stopped(stop),
            Event::Secured(secured) => {
                let news = secured.news();
                news.iter().for_each(|news| self.say(news));
            }
            Event::Untrusted(untrusted) => self.say(&untrusted.to_string()),
            Event::Waiting(waiting) => self.getting = waiting > 0,
            Event::Held(count) => self.held(count),
            Event::CaughtUp => self.caught_up(),
            Event::Message(message) => self.message(&message),
            Event::Outgoing { tag, message } => self.outgoing(tag, &message),
            Event::NotKept { tag, to, reason, text } => {
                self.sending.remove(&tag);
                self.refused = true;
                self.say(&format!("not sent to {}: {reason}: {text}", to.name));
            }
            Event::State(change) => self.changed(&change),
            Event::Answer(answer) => self.answered(answer),
            Event::Notice(text) => self.say(&format!("the server says: {text}")),
            Event::NewDevice => self.say("the id of this device was in use elsewhere; it has a new one"),
            Event::Chats(chats) => self.listed(chats),
            Event::Page(page) => self.page(page),
            Event::Problem(text) => self.say(&format!("error: {text}")),
            Event::Watching(known) => {
                self.people =
                    known.into_iter().map(|(name, online)| (Peer::new(&name).key, online)).collect();
            }
            Event::Presence { name, online } => self.came_or_went(&Peer::new(&name), online),
            _ => {}
        }
        self.watch();
        self.end_when_done();
    }

    /// Somebody came or went; it is said of whom one is talking to.
    fn came_or_went(&mut self, peer: &Peer, online: bool) {
        self.people.insert(peer.key.clone(), online);
        if self.open.as_ref().is_some_and(|open| open.key == peer.key) {
            self.say(&format!("{} is {}", peer.name, if online { "online" } else { "offline" }));
        }
    }

    /// Asks after whoever there is a conversation with, where that has changed.
    pub(in crate::plain) fn watch(&mut self) {
        let names = self.talks.values().map(|talk| &talk.peer).chain(&self.open);
        let names: BTreeSet<&String> = names.filter_map(|peer| peer.address.as_ref()).collect();
        let names: Vec<String> = names.into_iter().take(WATCH_MAX).cloned().collect();
        if self.online && names != self.watched {
            self.watched.clone_from(&names);
            self.act(Effect::Watch(names));
        }
    }

    /// Nothing is known of anybody without a connection.
    pub(in crate::plain) fn know_nobody(&mut self) {
        self.people.clear();
        self.watched.clear();
    }

    fn came_online(&mut self) {
        (self.begins, self.online) = (false, true);
        let who = self.login.as_ref().map(|login| format!("{} at {}", login.user, login.server));
        self.say(&format!("online as {}", who.unwrap_or_default()));
    }

    fn offline(&mut self, trouble: &Trouble, until: Instant) {
        let was_online = std::mem::replace(&mut self.online, false);
        let first = std::mem::replace(&mut self.begins, false);
        self.know_nobody();
        self.held = 0;
        self.caught_up();
        if was_online || first {
            let now = self.now.map_or(until, |now| now.at);
            let seconds = until.saturating_duration_since(now).as_secs_f64().ceil();
            let again = if trouble.kind == TroubleKind::Asked {
                String::new()
            } else {
                format!("; again in {seconds} s")
            };
            self.say(&format!("offline: {}{again}", trouble.sentence));
        }
    }

    fn stopped(&mut self, stop: Stop) {
        // Where a line is being read, who reads it would take a part of what is typed unseen.
        let reads = !std::mem::replace(&mut self.begins, false);
        self.online = false;
        self.say(&stop.sentence);
        self.act(Effect::Disconnect);
        let wants_password = matches!(stop.kind, StopKind::NeedPassword | StopKind::Refused(_));
        match self.login.clone() {
            Some(login)
                if wants_password && self.can_ask && !reads && login.password.is_none() && !login.create =>
            {
                self.begins = true;
                self.asks(Asks::LogIn(login));
            }
            _ if !self.can_ask => self.outs.push_back(Out::End(Over::Stopped(stop.kind))),
            _ => self.say("/login NAME logs in again"),
        }
    }

    /// What connected has ended.
    pub(in crate::plain) fn ended(&mut self) {
        self.online = false;
        self.sending.clear();
    }

    fn listed(&mut self, chats: Vec<Chat>) {
        self.talks.clear();
        for Chat { peer, unread, read_to, last, .. } in chats {
            self.talks.insert(peer.key.clone(), Talk { peer, unread, read_to, last });
        }
        let with_unread: Vec<&Talk> = self.talks.values().filter(|talk| talk.unread > 0).collect();
        if !with_unread.is_empty() {
            let names = with_unread.iter().map(|talk| format!("{} {}", talk.peer.name, talk.unread));
            let names: Vec<String> = names.collect();
            self.say(&format!("unread: {} (/read NAME shows them)", names.join(", ")));
        }
    }

    fn talk(&mut self, peer: &Peer) -> &mut Talk {
        let new = || Talk { peer: peer.clone(), unread: 0, read_to: 0, last: 0 };
        self.talks.entry(peer.key.clone()).or_insert_with(new)
    }

    fn message(&mut self, message: &Message) {
        let talk = self.talk(&message.peer);
        if message.n > talk.last && message.n > talk.read_to {
            talk.unread += 1;
        }
        talk.last = talk.last.max(message.n);
        if self.getting {
            *self.waited.entry(message.peer.name.clone()).or_default() += 1;
        } else {
            self.show(message);
        }
    }

    /// So many wait. It is said once, and after each time that some were fetched.
    fn held(&mut self, count: u64) {
        let before = std::mem::replace(&mut self.held, count);
        if self.getting {
            self.caught_up();
        } else if before > 0 {
            return;
        }
        if count > 0 {
            self.say(&format!(
                "{count} waiting at the server: /deliver fetches all, /deliver 50 the next 50"
            ));
        }
    }

    /// Fetches all that waits, or the next so many.
    pub(in crate::plain) fn fetch(&mut self, typed: &str) {
        let count = if typed.is_empty() { Some(u64::MAX) } else { typed.parse().ok() };
        match count.filter(|count| *count > 0) {
            Some(count) => {
                self.getting = true;
                self.act(Effect::Take(count));
            }
            None => self.say(&format!("/deliver N fetches the next N of {}", self.held)),
        }
    }

    /// What waited is told of in one line: nobody listens to four hundred.
    fn caught_up(&mut self) {
        self.getting = false;
        let waited = std::mem::take(&mut self.waited);
        if !waited.is_empty() {
            let names: Vec<String> = waited.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let summary = summary(waited.values().sum(), waited.len());
            self.say(&format!("{summary}: {} (/read NAME shows them)", names.join(", ")));
        }
    }

    /// `09:06 bob: text`; with its day where that is another one.
    fn show(&mut self, message: &Message) {
        let at = self.local(message.time_ms);
        let today = self.now.is_none_or(|now| self.local(now.wall_ms).date() == at.date());
        let time = written(&self.ui.time, &at);
        let time = if today { time } else { format!("{} {time}", written(&self.ui.date, &at)) };
        let (them, text) = (&message.peer.name, indented(&shown(&message.text)));
        let me = self.login.as_ref().map_or(String::new(), |login| login.user.to_string());
        let (n, state) = (message.n, message.state.words());
        let line = match message.mine {
            true => format!("{time} {me} to {them}: {text} (message {n}, {state})"),
            false => format!("{time} {them}: {text}"),
        };
        self.outs.push_back(Out::Say(line.trim_start().to_owned()));
    }

    fn local(&self, time_ms: i64) -> Zoned {
        Timestamp::from_millisecond(time_ms).unwrap_or_default().to_zoned(self.zone.clone())
    }

    fn outgoing(&mut self, tag: u64, message: &Message) {
        self.sending.remove(&tag);
        let talk = self.talk(&message.peer);
        talk.last = talk.last.max(message.n);
        if self.followed.len() >= FOLLOWED_MAX
            && let Some(oldest) = self.followed.iter().find(|(_, old)| !is_open(old.state)).map(|(n, _)| *n)
        {
            self.followed.remove(&oldest);
        }
        let to = message.peer.name.clone();
        self.followed.insert(message.n, Followed { to, state: message.state });
        self.show(message);
    }

    fn changed(&mut self, change: &StateChange) {
        let Some(followed) = self.followed.get_mut(&change.n) else { return };
        self.refused |= matches!(change.state, Delivery::Failed | Delivery::Returned);
        let again = change.state == Delivery::Outbox;
        let state = if again { change.state } else { followed.state.advance(change.state) };
        if std::mem::replace(&mut followed.state, state) == state && change.reason.is_none() {
            return;
        }
        // That it is being written is over before anybody has heard of it.
        if state == Delivery::Sending {
            return;
        }
        let reason = change.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let line = format!("message {} to {}: {}{reason}", change.n, followed.to, state.words());
        self.say(&line);
    }

    /// The messages of ours that were refused, which may be tried again.
    pub(in crate::plain) fn failed(&self) -> Vec<i64> {
        let failed = self.followed.iter().filter(|(_, message)| message.state == Delivery::Failed);
        failed.map(|(n, _)| *n).collect()
    }

    pub(in crate::plain) fn forget(&mut self, n: i64) {
        self.followed.remove(&n);
    }

    fn answered(&mut self, answer: Answer) {
        let Some(asked) = self.asked.remove(&answer.tag) else { return };
        let text = match answer.fields {
            Ok(fields) => format!("{} {}", answer.op, fields.join("|")),
            Err(reason) => format!("error: {asked}: {reason}"),
        };
        self.say(&text);
    }

    fn page(&mut self, page: Page) {
        if !self.reading.remove(&page.key) {
            return;
        }
        if page.messages.is_empty() {
            return self.say("nothing is unread");
        }
        // What was read already is a reminder of where the talk is.
        let reminder = if page.around == Around::Newest { NEWEST } else { usize::MAX };
        let skip = page.messages.len().saturating_sub(reminder);
        page.messages.iter().skip(skip).for_each(|message| self.show(message));
        let last = page.messages.last().map_or(0, |message| message.n);
        if page.around != Around::Newest && page.more {
            self.say("there is more: /read goes on");
        }
        let shown = page.messages.iter().filter(|message| !message.mine).count() as u64;
        if let Some(talk) = self.talks.get_mut(&page.key) {
            talk.unread = if page.more { talk.unread.saturating_sub(shown) } else { 0 };
            talk.read_to = talk.read_to.max(last);
            self.act(Effect::MarkRead { key: page.key, n: last });
        }
    }
}
