//! Lines and events in, lines and effects out, in virtual time.

use std::time::{Duration, Instant};

use bellhop_protocol::Username;
use jiff::tz::TimeZone;

use super::state::{Asks, Out, Over, Plain};
use crate::config::Server;
use crate::delivery::Delivery;
use crate::event::{
    Around, Chat, Event, Message, Online, Page, StateChange, Stop, StopKind, Trouble, TroubleKind,
};
use crate::peer::Peer;
use crate::secret::Secret;
use crate::settings::Ui;
use crate::tui::model::{Effect, Login, Now};

/// Friday, 20 November 2026, 09:10 UTC.
const NOW_MS: i64 = 1_795_165_800_000;

struct Desk {
    plain: Plain,
    now: Now,
    effects: Vec<Effect>,
    asks: Vec<Asks>,
    ended: Option<Over>,
}

#[expect(clippy::disallowed_methods, reason = "the clock of a test begins somewhere")]
fn begin() -> Now {
    Now { at: Instant::now(), wall_ms: NOW_MS }
}

fn login() -> Login {
    let server = Server::parse("chat.example").expect("an address");
    let user = Username::parse("alice").expect("a name");
    Login { server, user, password: None, create: false, remember: false }
}

impl Desk {
    fn new(can_ask: bool) -> Desk {
        let server = Server::parse("chat.example").expect("an address");
        let plain = Plain::new(TimeZone::UTC, server, Some(login()), can_ask, Ui::default());
        let mut desk = Desk { plain, now: begin(), effects: Vec::new(), asks: Vec::new(), ended: None };
        desk.plain.start();
        desk
    }

    fn online() -> Desk {
        let mut desk = Desk::new(false);
        desk.event(Event::Online(Online {
            agent: String::new(),
            node: String::new(),
            round_trip: Duration::ZERO,
            created: false,
            presence: true,
        }));
        desk.effects.clear();
        desk
    }

    /// What was said.
    fn said(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(out) = self.plain.poll() {
            match out {
                Out::Say(line) => said.push(line),
                Out::Do(effect) => self.effects.push(effect),
                Out::Ask(asks) => self.asks.push(asks),
                Out::End(over) => self.ended = Some(over),
            }
        }
        said
    }

    fn line(&mut self, line: &str) -> Vec<String> {
        self.plain.line(self.now, line);
        self.said()
    }

    fn event(&mut self, event: Event) -> Vec<String> {
        self.plain.event(self.now, event);
        self.said()
    }

    /// What was to be done, but for asking after people.
    fn done(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        effects.retain(|effect| !matches!(effect, Effect::Watch(_)));
        effects
    }

    /// Who was asked after.
    fn watched(&mut self) -> Vec<Vec<String>> {
        let effects = std::mem::take(&mut self.effects).into_iter();
        effects
            .filter_map(|effect| if let Effect::Watch(names) = effect { Some(names) } else { None })
            .collect()
    }

    fn comes(&mut self, n: i64, from: &str, text: &str) -> Vec<String> {
        self.event(Event::Message(message(n, false, from, text)))
    }

    fn becomes(&mut self, n: i64, state: Delivery, reason: Option<&str>) -> Vec<String> {
        let reason = reason.map(str::to_owned);
        self.event(Event::State(StateChange { n, id: None, state, time_ms: 0, code: None, reason }))
    }
}

fn message(n: i64, mine: bool, peer: &str, text: &str) -> Message {
    Message {
        n,
        peer: Peer::new(peer),
        mine,
        id: None,
        text: text.into(),
        time_ms: NOW_MS - 4 * 60_000,
        state: Delivery::Outbox,
        reason: None,
    }
}

fn send(tag: u64, to: &str, text: &str) -> Effect {
    Effect::Send { tag, to: Peer::new(to), text: text.into() }
}

#[test]
fn who_wants_no_ops_by_hand_writes_messages() {
    let mut desk = Desk::online();
    desk.plain.ui.raw_ops = false;
    desk.line("/open bob");
    desk.effects.clear();
    assert_eq!(desk.line("5|carol|hello"), [""; 0]);
    let texts = desk.effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, text, .. } => Some((to.key.as_str(), text.as_str())),
        _ => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), [("bob", "5|carol|hello")]);
}

#[test]
fn what_is_typed_means_what_it_means_on_the_screen() {
    let mut desk = Desk::online();
    assert_eq!(desk.line("hello"), ["-- nobody reads here: /open NAME opens a conversation"]);
    assert_eq!(desk.plain.prompt(), "> ");
    assert_eq!(desk.line("/open bob"), ["-- what is typed goes to bob"]);
    assert_eq!(desk.plain.prompt(), "to bob> ");
    for line in ["hello", "//shrug", "\\5|bob|x", "/send carol hi there", "5|dave|by hand", " /quit"] {
        assert_eq!(desk.line(line), [""; 0], "{line}");
    }
    let expected = [
        send(1, "bob", "hello"),
        send(2, "bob", "/shrug"),
        send(3, "bob", "5|bob|x"),
        send(4, "carol", "hi there"),
        send(5, "dave", "by hand"),
        send(6, "bob", " /quit"),
    ];
    assert_eq!(desk.done(), expected);
    assert_eq!(desk.line("99|x"), ["-- unknown op; \\99|x sends it"]);
    assert_eq!(desk.line("/nonsense"), ["-- no command /nonsense; /help lists them, //nonsense sends it"]);
    assert_eq!(desk.line("/list al*"), [""; 0]);
    let asked = Effect::Ask { tag: 7, op: 0, data: Secret::new("al*".into()) };
    assert_eq!(desk.done(), [asked]);
    assert!(desk.line("/mouse")[0].starts_with("-- /mouse is for the screen"));
    assert!(
        desk.line("/help")
            .iter()
            .any(|line| line == "-- /read [NAME]: read what is unread; the newest messages where nothing is")
    );
    assert_eq!(desk.line(""), [""; 0]);
}

#[test]
fn messages_are_lines_that_none_of_them_can_forge() {
    let mut desk = Desk::online();
    assert_eq!(desk.comes(1, "bob", "lunch?"), ["09:06 bob: lunch?"]);
    let forged = desk.comes(2, "bob", "hi\n09:07 alice: I owe you\n-- offline");
    assert_eq!(forged, ["09:06 bob: hi\n      09:07 alice: I owe you\n      -- offline"]);
    let old = Message { time_ms: NOW_MS - 86_400_000, ..message(3, false, "bob", "from yesterday") };
    assert_eq!(desk.event(Event::Message(old)), ["Thu 19 Nov 2026 09:10 bob: from yesterday"]);
}

/// What was piped into it reached the terminal as it was.
#[test]
fn what_is_said_of_a_line_is_harmless() {
    let mut desk = Desk::online();
    let not_kept = Event::NotKept {
        tag: 1,
        to: Peer::new("bob"),
        reason: "disk full".into(),
        text: "\x1b]52;c;AAAA\x07".into(),
    };
    for said in [desk.line("/no\x1b[2Jsense"), desk.line("/open \x1b[2J"), desk.event(not_kept)] {
        assert!(!said.is_empty() && !said.concat().contains(['\x1b', '\x07']), "{said:?}");
    }
}

#[test]
fn what_was_sent_is_followed_in_words() {
    let mut desk = Desk::online();
    desk.line("/open bob");
    desk.line("lunch?");
    let echoed = desk.event(Event::Outgoing { tag: 1, message: message(12, true, "bob", "lunch?") });
    assert_eq!(echoed, ["09:06 alice to bob: lunch? (message 12, waiting here (offline))"]);
    assert_eq!(desk.becomes(12, Delivery::Sending, None), [""; 0]);
    assert_eq!(desk.becomes(12, Delivery::Queued, None), ["-- message 12 to bob: kept for them"]);
    assert_eq!(desk.becomes(12, Delivery::Failed, None), [""; 0], "it never gets worse");
    assert_eq!(desk.becomes(12, Delivery::Delivered, None), ["-- message 12 to bob: they have it"]);
    desk.event(Event::Outgoing { tag: 2, message: message(13, true, "bob", "x") });
    let failed = desk.becomes(13, Delivery::Failed, Some("no such user"));
    assert_eq!(failed, ["-- message 13 to bob: not sent: no such user"]);
    desk.done();
    desk.line("/retry");
    assert_eq!(desk.done(), [Effect::Retry(13)]);
    desk.line("/drop");
    assert_eq!(desk.done(), [Effect::Withdraw(13)]);
    assert_eq!(desk.line("/drop"), ["-- nothing has failed"]);
}

#[test]
fn what_waited_is_one_line_and_read_when_somebody_reads_it() {
    let mut desk = Desk::online();
    desk.event(Event::Waiting(3));
    for (n, from) in [(1, "bob"), (2, "carol"), (3, "bob")] {
        assert_eq!(desk.comes(n, from, "while you were away"), [""; 0]);
    }
    let told = desk.event(Event::CaughtUp);
    assert_eq!(told, ["-- 3 new in 2 conversations: bob 2, carol 1 (/read NAME shows them)"]);
    assert_eq!(desk.line("/who"), ["-- bob, 2 unread", "-- carol, 1 unread"]);
    desk.line("/read bob");
    let around = Around::After(0);
    assert_eq!(desk.done(), [Effect::Page { key: "bob".into(), around }]);
    let messages = vec![message(1, false, "bob", "one"), message(3, false, "bob", "two")];
    let page = Page { key: "bob".into(), around, messages, more: false };
    assert_eq!(desk.event(Event::Page(page)), ["09:06 bob: one", "09:06 bob: two"]);
    assert_eq!(desk.done(), [Effect::MarkRead { key: "bob".into(), n: 3 }]);
    assert_eq!(desk.line("/who"), ["-- bob", "-- carol, 1 unread"]);
    desk.line("/read bob");
    assert_eq!(desk.done(), [Effect::Page { key: "bob".into(), around: Around::Newest }]);
    assert_eq!(desk.line("/read zoe"), ["-- nothing was said with zoe yet"]);
    assert_eq!(desk.line("/read"), ["-- /read NAME; /who says what is unread"]);
    let chat = Chat {
        peer: Peer::new("bob"),
        unread: 4,
        read_to: 3,
        last: 9,
        draft: String::new(),
        pinned: false,
        muted: false,
        failed: Vec::new(),
    };
    assert_eq!(desk.event(Event::Chats(vec![chat])), ["-- unread: bob 4 (/read NAME shows them)"]);
}

#[test]
fn several_lines_are_one_message() {
    let mut desk = Desk::online();
    desk.line("/open bob");
    desk.line("/lines");
    assert_eq!(desk.plain.prompt(), "line, or a dot> ");
    for line in ["one", "/quit", "..", "5|bob|x", "."] {
        desk.line(line);
    }
    assert_eq!(desk.done(), [send(1, "bob", "one\n/quit\n.\n5|bob|x")]);
}

/// The rest of it was taken line by line: as messages, as commands, as ops.
#[test]
fn what_follows_a_line_too_many_belongs_to_it() {
    let mut desk = Desk::online();
    desk.line("/open bob");
    desk.line("/lines");
    desk.done();
    let told = desk.line(&"x".repeat(20_000));
    assert!(told[0].contains("not sent, and dropped to its dot"), "{told:?}");
    assert_eq!(desk.plain.prompt(), "dropped, until a dot> ");
    for line in ["the rest", "/logout", "5|carol|x", ".."] {
        assert_eq!(desk.line(line), [""; 0], "{line}");
    }
    assert_eq!(desk.done(), []);
    desk.line(".");
    assert_eq!(desk.plain.prompt(), "to bob> ");
    assert_eq!(desk.done(), [], "nothing of it is sent");
}

/// What could not be read was sent with signs in its place that nobody had written.
#[test]
fn a_line_that_is_no_text_is_not_sent() {
    let mut desk = Desk::online();
    desk.line("/open bob");
    desk.done();
    desk.plain.not_text(desk.now);
    assert_eq!(desk.said(), ["-- not taken: the line is not UTF-8"]);
    for line in ["/lines", "one"] {
        desk.line(line);
    }
    desk.plain.not_text(desk.now);
    assert_eq!(desk.said(), ["-- not sent, and dropped to its dot: a line is not UTF-8"]);
    assert_eq!(desk.line("two"), [""; 0]);
    desk.line(".");
    assert_eq!(desk.done(), []);
    desk.plain.end_of_input(desk.now, Duration::from_secs(10));
    desk.said();
    assert_eq!(desk.ended, Some(Over::Refused));
}

/// The message was gone, and the exit code said that all was well.
#[test]
fn a_message_that_ends_without_its_dot_is_told_of() {
    let mut desk = Desk::online();
    desk.line("/open bob");
    for line in ["/lines", "one", "two"] {
        desk.line(line);
    }
    desk.done();
    desk.plain.end_of_input(desk.now, Duration::from_secs(10));
    assert_eq!(desk.said(), ["-- not sent: the input has ended before the dot that ends the message"]);
    assert_eq!((desk.done(), desk.ended), (Vec::new(), Some(Over::Refused)));
}

/// A message of an earlier day came back, and a run that had sent everything was said to have failed.
#[test]
fn a_run_is_judged_by_its_own_messages() {
    let mut desk = Desk::online();
    desk.becomes(3, Delivery::Returned, Some("expired"));
    desk.plain.end_of_input(desk.now, Duration::from_secs(10));
    desk.said();
    assert_eq!(desk.ended, Some(Over::Done));
}

/// A line was being read when the login had ended: a part of the password that was typed next was taken for it, and
/// would have been sent to whomever was being talked to.
#[test]
fn no_secret_is_asked_for_while_a_line_is_read() {
    let mut desk = Desk::online();
    desk.plain.can_ask = true;
    assert!(desk.plain.wants_line());
    let stop = Stop { kind: StopKind::NeedPassword, sentence: "a password is needed".into() };
    assert_eq!(desk.event(Event::Stopped(stop)), ["-- a password is needed", "-- /login NAME logs in again"]);
    assert!(desk.asks.is_empty());
    desk.line("/login");
    assert_eq!(desk.asks, [Asks::LogIn(Login { remember: true, ..login() })]);
}

#[test]
fn deleting_the_account_wants_its_name() {
    let mut desk = Desk::online();
    for command in ["/delete-account", "4|open sesame"] {
        assert!(desk.line(command)[0].contains("deletes the account alice"));
        assert_eq!(desk.line("bob"), ["-- that is not the name of this account; nothing is deleted"]);
        assert_eq!(desk.done(), []);
    }
    desk.line("/delete-account");
    desk.line("alice");
    assert_eq!(desk.done(), [Effect::Ask { tag: 1, op: 4, data: Secret::new(String::new()) }]);
}

#[test]
fn passwords_are_asked_where_somebody_can_be_asked() {
    let stopped =
        || Event::Stopped(Stop { kind: StopKind::NeedPassword, sentence: "a password is needed".into() });
    let mut desk = Desk::new(true);
    assert!(!desk.plain.wants_line(), "not before the login is decided");
    assert_eq!(desk.event(stopped()), ["-- a password is needed"]);
    let asks = desk.asks.pop().expect("it asks");
    assert_eq!(asks, Asks::LogIn(login()));
    desk.done();
    desk.plain.secrets(asks, vec![Some(Secret::new("open sesame".into()))]);
    desk.said();
    let again = Login { password: Some(Secret::new("open sesame".into())), ..login() };
    assert_eq!(desk.done(), [Effect::Connect(again)]);
    assert_eq!(desk.event(stopped()), ["-- a password is needed", "-- /login NAME logs in again"]);
    assert!(desk.plain.wants_line());
    let mut desk = Desk::new(false);
    desk.event(stopped());
    assert_eq!(desk.ended, Some(Over::Stopped(StopKind::NeedPassword)), "nobody can be asked");
    let mut desk = Desk::online();
    assert_eq!(desk.line("/passwd"), ["-- nobody can be asked here: bellhop passwd"]);
}

#[test]
fn the_end_waits_for_the_server_as_long_as_it_may() {
    let mut desk = Desk::online();
    desk.line("/send bob hi");
    desk.plain.end_of_input(desk.now, Duration::from_secs(10));
    assert_eq!((desk.said(), desk.ended), (Vec::new(), None));
    desk.event(Event::Outgoing { tag: 1, message: message(1, true, "bob", "hi") });
    assert_eq!(desk.ended, None);
    desk.becomes(1, Delivery::Queued, None);
    assert_eq!(desk.ended, Some(Over::Done));
    let mut desk = Desk::online();
    desk.line("/send bob hi");
    desk.event(Event::Outgoing { tag: 1, message: message(1, true, "bob", "hi") });
    desk.plain.end_of_input(desk.now, Duration::from_secs(10));
    let later = desk.plain.deadline().expect("it waits");
    desk.plain.expire(later);
    assert_eq!(desk.said(), ["-- 1 message is still here, and sent the next time"]);
    assert_eq!(desk.ended, Some(Over::Left));
    let mut desk = Desk::online();
    desk.line("/send nobody hi");
    desk.event(Event::Outgoing { tag: 1, message: message(1, true, "nobody", "hi") });
    desk.becomes(1, Delivery::Failed, Some("no such user"));
    desk.plain.end_of_input(desk.now, Duration::from_secs(10));
    desk.said();
    assert_eq!(desk.ended, Some(Over::Refused));
    let mut desk = Desk::online();
    desk.line("/quit");
    assert_eq!(desk.ended, Some(Over::Done));
}

#[test]
fn no_more_is_read_than_can_be_written_down() {
    let mut desk = Desk::online();
    for n in 0..64 {
        assert!(desk.plain.wants_line(), "{n}");
        desk.line("/send bob hi");
    }
    assert!(!desk.plain.wants_line());
    desk.event(Event::Outgoing { tag: 5, message: message(1, true, "bob", "hi") });
    assert!(desk.plain.wants_line());
}

#[test]
fn an_outage_is_two_lines() {
    let mut desk = Desk::online();
    let offline = |desk: &Desk, seconds| {
        let trouble = Trouble { kind: TroubleKind::Closed, sentence: "the server closed".into() };
        Event::Offline(trouble, desk.now.at + Duration::from_secs(seconds))
    };
    let first = offline(&desk, 1);
    assert_eq!(desk.event(first), ["-- offline: the server closed; again in 1 s"]);
    for seconds in [2, 4, 8] {
        let next = offline(&desk, seconds);
        assert_eq!(desk.event(next), [""; 0], "one attempt after the other fails in the same way");
    }
    let online = Online {
        agent: String::new(),
        node: String::new(),
        round_trip: Duration::ZERO,
        created: false,
        presence: true,
    };
    assert_eq!(desk.event(Event::Online(online)), ["-- online as alice at chat.example:2050"]);
}

#[test]
fn who_is_online_is_what_the_server_has_told() {
    let mut desk = Desk::online();
    desk.comes(1, "bob", "hi");
    assert_eq!(desk.watched(), [["bob"]]);
    desk.comes(2, "bob", "again");
    assert!(desk.watched().is_empty(), "asked once");
    assert_eq!(desk.line("/who"), ["-- bob, 2 unread"], "nothing is guessed");
    desk.event(Event::Watching(vec![("bob".into(), false)]));
    assert_eq!(desk.line("/who"), ["-- bob, offline, 2 unread"]);
    let comes = |online| Event::Presence { name: "bob".into(), online };
    assert_eq!(desk.event(comes(true)), [""; 0]);
    assert_eq!(desk.line("/who"), ["-- bob, online, 2 unread"]);
    desk.line("/open bob");
    assert_eq!(desk.event(comes(false)), ["-- bob is offline"]);
    desk.line("/open carol");
    assert_eq!(desk.watched(), [["bob", "carol"]]);
    let trouble = Trouble { kind: TroubleKind::Closed, sentence: "the server closed".into() };
    desk.event(Event::Offline(trouble, desk.now.at));
    assert_eq!(desk.line("/who"), ["-- bob, 2 unread"], "nobody knows without a connection");
}

#[test]
fn what_waits_is_told_of_once_and_fetched_by_a_command() {
    let mut desk = Desk::online();
    let offer = |count: u64| {
        format!("-- {count} waiting at the server: /deliver fetches all, /deliver 50 the next 50")
    };
    assert_eq!(desk.event(Event::Held(430)), [offer(430)]);
    assert_eq!(desk.event(Event::Held(431)), [""; 0]);
    assert_eq!(desk.line("/deliver none"), ["-- /deliver N fetches the next N of 431"]);
    desk.line("/deliver 2");
    assert_eq!(desk.done(), [Effect::Take(2)]);
    desk.comes(1, "bob", "one");
    desk.comes(2, "bob", "two");
    let summary = "-- 2 new in 1 conversation: bob 2 (/read NAME shows them)".to_owned();
    assert_eq!(desk.event(Event::Held(429)), [summary, offer(429)]);
    desk.line("/deliver");
    assert_eq!(desk.done(), [Effect::Take(u64::MAX)]);
}

#[test]
fn times_and_days_are_written_as_on_the_screen() {
    let mut desk = Desk::online();
    (desk.plain.ui.time, desk.plain.ui.date) = ("%-I.%M %p".into(), "%d/%m/%y".into());
    assert_eq!(desk.comes(1, "bob", "now"), ["9.06 AM bob: now"]);
    let old = Message { time_ms: NOW_MS - 86_400_000, ..message(2, false, "bob", "then") };
    assert_eq!(desk.event(Event::Message(old)), ["19/11/26 9.10 AM bob: then"]);
    desk.plain.ui.time = String::new();
    assert_eq!(desk.comes(3, "bob", "no times"), ["bob: no times"]);
}
