//! What the library tells.

use std::time::{Duration, Instant};

use bellhop_protocol::text::Outcome;
use bellhop_protocol::{Code, OpCode};

use crate::delivery::Delivery;
use crate::event::{
    Answer, Around, Event, Message, Page, Secured, StateChange, Steps, Stop, StopKind, Trouble, TroubleKind,
};
use crate::peer::Peer;
use crate::raw::Verdict;
use crate::text::shown;
use crate::text::wrap::width;
use crate::tui::composer::Composer;
use crate::tui::form::Slot;
use crate::tui::model::{CHATS_MAX, Effect, Entry, Link, Model, Overlay, SERVER};
use crate::tui::typed;
use crate::tui::window::{Loading, Scroll, Window};

/// Round trips that are shown.
const ROUND_TRIPS: usize = 6;

impl Model {
    pub(super) fn event(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Connecting => self.link = Link::Connecting,
            Event::Secured(secured) => self.secured(secured),
            Event::Untrusted(untrusted) => {
                self.put_overlay_aside();
                self.overlay =
                    Some(Overlay::Trust { untrusted: Box::new(untrusted), typed: Composer::default() });
            }
            Event::Online(_) => self.online(),
            Event::Offline(trouble, until) => self.offline(trouble, until, effects),
            Event::Stopped(stop) => self.stopped(stop, effects),
            Event::RoundTrip(time) => self.round_tripped(time),
            Event::Waiting(waiting) => self.getting = (waiting > 0).then_some((0, waiting)),
            Event::Held(count) => self.held(count, effects),
            Event::CaughtUp => {
                self.getting = None;
                self.notice_waited(effects);
            }
            Event::Message(message) => {
                if let Some((got, waiting)) = &mut self.getting {
                    *got = (*got + 1).min(*waiting);
                }
                self.arrived(message, effects);
            }
            Event::Outgoing { tag, message } => {
                self.unsent.insert(message.n, message.peer.key.clone());
                self.by_hand.entry(tag).and_modify(|n| *n = Some(message.n));
                self.arrived(message, effects);
            }
            Event::NotKept { tag, to, reason, text } => {
                self.by_hand.remove(&tag);
                self.not_kept(&to, &reason, &text);
            }
            Event::State(change) => self.state(&change, effects),
            Event::Answer(answer) => self.answered(answer),
            Event::Notice(text) => self.complain(format!("the server says: {text}")),
            Event::NewDevice => self.say("the id of this device was in use elsewhere; it has a new one"),
            Event::Chats(chats) => self.listed(chats.into_iter().map(Entry::from).collect(), effects),
            Event::Page(page) => self.page(page, effects),
            Event::Found(found) => self.found(found, effects),
            Event::Steps(steps) => self.steps(steps),
            Event::Unsettled(unsettled) => {
                self.unsent.extend(unsettled.iter().map(|old| (old.n, Peer::new(&old.to).key)));
            }
            Event::Problem(text) => self.complain(text),
            Event::Watching(known) => self.people.tell(known),
            Event::Presence { name, online } => self.people.change(&name, online, self.now.wall_ms),
            Event::Typing(name) => self.people.types(&name, self.now.at),
            Event::TokenKept | Event::Synced(_) => {}
        }
    }

    fn secured(&mut self, secured: Secured) {
        if let Some(news) = secured.news() {
            self.say(news);
        }
        self.guard = Some(secured.guard);
    }

    fn online(&mut self) {
        self.link = Link::Online;
        // A form that is being filled in is for somebody else.
        self.form.take_if(|form| form.busy.is_some());
        self.toast.take_if(|toast| toast.loss);
    }

    fn round_tripped(&mut self, time: Duration) {
        self.round_trip = Some(time);
        self.round_trips.push_back(time);
        if self.round_trips.len() > ROUND_TRIPS {
            self.round_trips.pop_front();
        }
    }

    fn offline(&mut self, trouble: Trouble, until: Instant, effects: &mut Vec<Effect>) {
        let was_online = self.link == Link::Online;
        self.link = Link::Offline { until };
        self.people.forget();
        self.getting = None;
        self.held(0, effects);
        self.notice_waited(effects);
        if let Some(form) = &mut self.form
            && form.busy.is_some()
        {
            // Whoever waits before a form wants to know, not to wait longer.
            form.failed(Slot::Server, trouble.sentence);
            self.link = Link::Idle;
            effects.push(Effect::Disconnect);
        } else if was_online && trouble.kind != TroubleKind::Asked {
            self.complain(format!("Lost the server: {}", trouble.sentence));
            self.toast.iter_mut().for_each(|toast| toast.loss = true);
        } else if trouble.kind == TroubleKind::Asked {
            self.note(trouble.sentence);
        } else {
            let text = shown(&format!("{} {}", self.prefs.glyphs.cross, trouble.sentence)).into_owned();
            // One attempt after the other fails in the same way.
            if self.notes.items.back().is_none_or(|last| last.text != text) {
                self.note(text);
            }
        }
    }

    fn stopped(&mut self, stop: Stop, effects: &mut Vec<Effect>) {
        self.link = Link::Stopped;
        self.people.forget();
        self.getting = None;
        if stop.kind == StopKind::Untrusted {
            return self.untrusted(effects);
        }
        let slot = match stop.kind {
            StopKind::Refused(Code::NAME_TAKEN | Code::NO_SUCH_USER | Code::BAD_NAME) => Slot::Name,
            _ => Slot::Password,
        };
        if let Some(form) = &mut self.form {
            // Whoever is filling it in stays where they are, which may be a field that hides what they type.
            let slot = if form.busy.is_some() { slot } else { form.slot() };
            form.failed(slot, stop.sentence);
            effects.push(Effect::Disconnect);
            return;
        }
        match stop.kind {
            StopKind::Refused(_)
            | StopKind::NeedPassword
            | StopKind::AnotherKey
            | StopKind::LoggedOut
            | StopKind::AccountDeleted => {
                self.keep_draft(effects);
                self.ask_login(None, Some(stop.sentence));
                effects.push(Effect::Disconnect);
            }
            StopKind::Replaced
            | StopKind::Untrusted
            | StopKind::Version
            | StopKind::Disk
            | StopKind::RoleTaken => {
                self.complain(stop.sentence);
            }
        }
    }

    /// The conversations, from whoever was just connected. One that was opened before stays open, and begins anew:
    /// nobody may have been there to ask for its messages.
    fn listed(&mut self, chats: Vec<Entry>, effects: &mut Vec<Effect>) {
        let here = self.entry().cloned();
        self.people.watch_anew();
        self.chats = chats;
        match here {
            Some(entry) => {
                let key = entry.peer.key.clone();
                if self.entry().is_none() {
                    self.chats.insert(0, entry);
                }
                self.window = Window::opening();
                effects.push(Effect::Page { key, around: Around::Newest });
            }
            None if self.open.is_none() && self.composer.is_empty() => {
                let latest = self.chats.first().map(|entry| entry.peer.key.clone());
                self.open(latest, effects);
            }
            None => {}
        }
    }

    /// A message, theirs or ours, has its place.
    fn arrived(&mut self, message: Message, effects: &mut Vec<Effect>) {
        self.people.wrote(&message.peer.key, message.mine);
        let open = self.open.as_deref() == Some(message.peer.key.as_str());
        let known = self.chats.iter().position(|entry| entry.peer.key == message.peer.key);
        let at = known.unwrap_or_else(|| {
            self.chats.push(Entry::new(message.peer.clone()));
            self.chats.len() - 1
        });
        let newest = message.n > self.chats[at].last;
        self.notice_message(&message, newest, effects);
        let entry = &mut self.chats[at];
        entry.peer = message.peer.clone();
        if !message.mine && newest && message.n > entry.read_to {
            entry.unread += 1;
        }
        entry.last = entry.last.max(message.n);
        self.unordered |= newest && at > 0;
        self.let_go_of_oldest();
        if open {
            self.arrived_here(message);
        }
    }

    /// The list stays bounded: whoever was not spoken to for longest goes.
    fn let_go_of_oldest(&mut self) {
        if self.chats.len() <= CHATS_MAX {
            return;
        }
        let kept = [self.open.as_deref(), self.chosen_row()];
        let others = self.chats.iter().enumerate();
        let others = others.filter(|(_, entry)| !kept.contains(&Some(entry.peer.key.as_str())));
        if let Some((at, _)) = others.max_by_key(|(_, entry)| entry.rank()) {
            self.chats.remove(at);
        }
    }

    /// A message for the open conversation. One that waited at the server was not seen to come: it is divided from
    /// what was read, and where it does not fit, the eye stays there.
    fn arrived_here(&mut self, message: Message) {
        if self.getting.is_none() || message.mine {
            return self.window.add(message);
        }
        // Whoever has gone to the end meanwhile stays at the end.
        let fitted = self.at_divider().is_some_and(|scroll| scroll == Scroll::Follow);
        let first = self.window.new_from.is_none() || self.entry().is_some_and(|entry| entry.unread == 1);
        self.window.add(message);
        if first {
            self.window.new_from = self.first_unread();
        }
        if (first || fitted) && self.window.new_from.is_some() && self.window.scroll == Scroll::Follow {
            self.go_to_divider();
        }
    }

    fn not_kept(&mut self, to: &Peer, reason: &str, text: &str) {
        let here = self.open.as_ref() == Some(&to.key);
        match here {
            true => self.complain(format!("not sent: {reason}")),
            false => self.complain(format!("not sent to {}: {reason}", to.name)),
        }
        // It was a message, and must not come back as an op.
        let text = Composer::with(&typed::written(text, true));
        // In another conversation it would go to somebody else with the next Enter.
        if here && self.composer.is_empty() {
            self.composer = text;
            self.plan_draft();
        } else {
            self.remember_typed(&text);
        }
    }

    fn state(&mut self, change: &StateChange, effects: &mut Vec<Effect>) {
        // Without a reason more will be known; with one, this is all that ever will.
        let unclear = change.reason.as_deref().filter(|_| change.state == Delivery::Unknown);
        let settled = change.state >= Delivery::Failed || unclear.is_some();
        let key = self.unsent.get(&change.n).cloned();
        let key = key.or_else(|| self.window.at(change.n).map(|message| message.peer.key.clone()));
        if settled {
            self.unsent.remove(&change.n);
        } else {
            self.unsent.insert(change.n, key.clone().unwrap_or_default());
        }
        self.window.change(change);
        self.settled(change.n);
        self.answered_by_hand(change);
        if let Some(reason) = unclear {
            self.complain(format!("a message may have arrived: {reason}"));
        }
        if change.state == Delivery::Failed {
            let reason = change.reason.as_deref().unwrap_or("no reason given");
            self.complain(format!("a message was not sent: {reason}"));
            self.notice_failure(change.n, effects);
            // Its conversation is named until somebody looks after it.
            if let Some(entry) = key.and_then(|key| self.entry_mut(&key)) {
                entry.failed.insert(change.n);
            }
        }
        if change.state == Delivery::Returned {
            let reason = change.reason.as_deref().unwrap_or("no reason given");
            self.complain(format!("a message came back: {reason}"));
        }
    }

    /// A message of ours is not refused any more, or no more there.
    pub(super) fn settled(&mut self, n: i64) {
        self.chats.iter_mut().for_each(|entry| {
            entry.failed.remove(&n);
        });
    }

    fn steps(&mut self, known: Steps) {
        if let Some(Overlay::About { message, steps }) = &mut self.overlay
            && message.n == known.n
        {
            *steps = Some(known);
        }
    }

    /// The answer to a SEND by hand, in the words of SEND.
    fn answered_by_hand(&mut self, change: &StateChange) {
        let outcome = match change.state {
            Delivery::Outbox | Delivery::Sending | Delivery::Unknown => return,
            Delivery::Sent | Delivery::Delivered | Delivery::Read => Some(Outcome::Delivered),
            Delivery::Queued => Some(Outcome::Queued),
            // That is said for every message.
            Delivery::Failed | Delivery::Returned => None,
        };
        let tag = self.by_hand.iter().find(|(_, n)| **n == Some(change.n)).map(|(tag, _)| *tag);
        let Some(tag) = tag else { return };
        self.by_hand.remove(&tag);
        if let Some(outcome) = outcome {
            let id = change.id.map(|id| format!("|{}", id.0)).unwrap_or_default();
            let (from, op) = (self.prefs.glyphs.came_from, OpCode::Send.byte());
            self.note(format!("{from} {op} ok|{}{id}", outcome.word()));
        }
    }

    fn answered(&mut self, answer: Answer) {
        let Some(asked) = self.asked.remove(&answer.tag) else { return };
        if answer.op == OpCode::Password.byte() {
            return match answer.fields {
                Ok(_) if answer.verdict == Verdict::Done => self.say("the password was changed"),
                Ok(fields) => self.complain(format!(
                    "the password was not changed: {}",
                    fields.last().map_or("", String::as_str)
                )),
                Err(reason) => self.complain(format!("the password: {reason}")),
            };
        }
        let text = match answer.fields {
            Ok(fields) => format!("{} {} {}", self.prefs.glyphs.came_from, answer.op, fields.join("|")),
            Err(reason) => format!("{} {asked}: {reason}", self.prefs.glyphs.cross),
        };
        self.note(text.clone());
        // The title row has room for so much, and for so long.
        let cut = self.open.is_some() && width(&text) > usize::from(self.size.0) / 2;
        self.hint(if cut { format!("all of it in {SERVER}: {text}") } else { text });
    }

    fn page(&mut self, page: Page, effects: &mut Vec<Effect>) {
        if self.open.as_deref() != Some(page.key.as_str()) {
            return;
        }
        let asked = self.window.loading;
        self.window.load(page);
        match asked {
            Loading::Opening => self.place_divider(effects),
            Loading::From(_) if self.window.loading == Loading::Nothing => match self.window.wanted.take() {
                Some(wanted) => self.show_wanted(wanted),
                None => self.find_divider(effects),
            },
            _ => {}
        }
        self.jump_now(effects);
        self.load_more(effects);
    }
}
