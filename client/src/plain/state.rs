//! What is said, and what is done, when something happens: pure, with time as an argument.

mod events;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use crate::config::Server;
use crate::delivery::Delivery;
use crate::event::StopKind;
use crate::peer::Peer;
use crate::secret::Secret;
use crate::settings::Ui;
use crate::text::{Kind, clean, shown};
use crate::tui::bare::indented;
use crate::tui::model::{Effect, Login, Now};

/// Messages that are written to the history at once, before the next line is read.
const SENDING_MAX: usize = 64;
/// Messages whose state is told; of older ones it stands in the history.
const FOLLOWED_MAX: usize = 1_000;
/// Conversations of which the server tells who is online.
const WATCH_MAX: usize = 256;
/// Messages that are shown where nothing is unread.
const NEWEST: usize = 10;
/// What is to happen.
#[derive(Debug, PartialEq)]
pub(super) enum Out {
    Say(String),
    Do(Effect),
    /// Ask what must not be seen.
    Ask(Asks),
    End(Over),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Somebody quit, nobody reads any more, or all that was typed is done.
    Done,
    /// Nothing more is typed, and messages are still here.
    Left,
    /// Nothing more is typed, and a message was not sent.
    Refused,
    /// Nobody is logged in, and nobody can be asked.
    Nobody,
    /// The client has given up, and nothing that is read could change it.
    Stopped(StopKind),
    /// A signal, with its exit code.
    Signal(u8),
}

/// What secrets are asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Asks {
    LogIn(Login),
    Delete,
    Passwords,
}

/// What the next line is for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Takes {
    #[default]
    Anything,
    /// The name of the account, so that it is deleted.
    Name,
    /// A message of several lines, until a line with a single dot.
    Lines(Vec<String>),
    /// The rest of one that is too long, until the same.
    Rest,
}

/// A conversation.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) peer: Peer,
    pub(super) unread: u64,
    pub(super) read_to: i64,
    pub(super) last: i64,
}

/// A message of ours that is on its way.
#[derive(Debug)]
struct Followed {
    to: String,
    state: Delivery,
}

/// Everything.
pub(super) struct Plain {
    zone: TimeZone,
    pub(super) now: Option<Now>,
    pub(super) server: Server,
    pub(super) login: Option<Login>,
    /// Somebody can be asked for what must not be seen.
    pub(super) can_ask: bool,
    /// How times are written, and whether `5|bob|hello` is an op.
    pub(super) ui: Ui,
    /// The login was typed here.
    pub(super) chosen: bool,
    /// Nobody knows yet whether the first login is accepted; nothing is read before.
    pub(super) begins: bool,
    pub(super) online: bool,
    pub(super) talks: BTreeMap<String, Talk>,
    pub(super) open: Option<Peer>,
    /// Who is online and who is not, as far as the server has told, by the key of their conversation.
    pub(super) people: BTreeMap<String, bool>,
    /// The names that were asked after.
    watched: Vec<String>,
    pub(super) takes: Takes,
    /// Conversations whose unread messages were asked for.
    pub(super) reading: BTreeSet<String>,
    getting: bool,
    /// Messages that wait until somebody fetches them.
    pub(super) held: u64,
    waited: BTreeMap<String, u64>,
    pub(super) tags: u64,
    /// What was sent and is not in the history yet.
    pub(super) sending: BTreeSet<u64>,
    followed: BTreeMap<i64, Followed>,
    /// Questions without an answer, by their tag: how they were written.
    pub(super) asked: BTreeMap<u64, String>,
    /// Something that was typed here was not sent.
    pub(super) refused: bool,
    /// Nothing more is typed; the wait for the rest ends then.
    ends: Option<Instant>,
    outs: VecDeque<Out>,
}

impl Plain {
    pub(super) fn new(zone: TimeZone, server: Server, login: Option<Login>, can_ask: bool, ui: Ui) -> Plain {
        Plain {
            zone,
            now: None,
            server,
            login,
            can_ask,
            ui,
            chosen: false,
            begins: false,
            online: false,
            talks: BTreeMap::new(),
            open: None,
            people: BTreeMap::new(),
            watched: Vec::new(),
            takes: Takes::Anything,
            reading: BTreeSet::new(),
            getting: false,
            held: 0,
            waited: BTreeMap::new(),
            tags: 0,
            sending: BTreeSet::new(),
            followed: BTreeMap::new(),
            asked: BTreeMap::new(),
            refused: false,
            ends: None,
            outs: VecDeque::new(),
        }
    }

    pub(super) fn start(&mut self) {
        match self.login.clone() {
            Some(login) => {
                self.begins = true;
                self.act(Effect::Connect(login));
            }
            None if self.can_ask => self.say("nobody is logged in: /login NAME, or /create NAME"),
            None => {
                self.say("nobody is logged in: bellhop login NAME, or --user NAME");
                self.outs.push_back(Out::End(Over::Nobody));
            }
        }
    }

    pub(super) fn poll(&mut self) -> Option<Out> {
        self.outs.pop_front()
    }

    pub(super) fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// True where another line can be taken: none is before the login, and no more than can be written down.
    pub(super) fn wants_line(&self) -> bool {
        self.ends.is_none() && !self.begins && self.sending.len() < SENDING_MAX
    }

    pub(super) fn prompt(&self) -> String {
        match (&self.takes, &self.open) {
            (Takes::Name, _) => "name of the account> ".into(),
            (Takes::Lines(_), _) => "line, or a dot> ".into(),
            (Takes::Rest, _) => "dropped, until a dot> ".into(),
            (Takes::Anything, Some(peer)) => format!("to {}> ", peer.name),
            (Takes::Anything, None) => "> ".into(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ends
    }

    /// Nothing more is typed: what was sent gets `wait` to reach the server.
    pub(super) fn end_of_input(&mut self, now: Now, wait: Duration) {
        self.ends = Some(now.at + wait);
        if matches!(std::mem::take(&mut self.takes), Takes::Lines(_)) {
            self.refused = true;
            self.say("not sent: the input has ended before the dot that ends the message");
        }
        self.end_when_done();
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if self.ends.is_some_and(|ends| now >= ends) {
            self.quit();
        }
    }

    /// Ends; what is still here is said.
    pub(super) fn quit(&mut self) {
        let left =
            self.followed.values().filter(|message| is_open(message.state)).count() + self.sending.len();
        if left > 0 {
            let plural = if left == 1 { " is" } else { "s are" };
            self.say(&format!("{left} message{plural} still here, and sent the next time"));
        }
        let over = match (self.ends.is_some(), left, self.refused) {
            (false, ..) | (true, 0, false) => Over::Done,
            (true, 0, true) => Over::Refused,
            (true, ..) => Over::Left,
        };
        self.outs.push_back(Out::End(over));
    }

    fn end_when_done(&mut self) {
        let open = self.followed.values().any(|message| is_open(message.state));
        let busy = open || !self.sending.is_empty() || !self.asked.is_empty() || !self.reading.is_empty();
        if self.ends.is_some() && !busy {
            self.quit();
        }
    }

    /// Says something that is no message. What was typed, or piped, may be a part of it.
    pub(super) fn say(&mut self, text: &str) {
        let text = clean(text, Kind::Body);
        self.outs.push_back(Out::Say(format!("-- {}", indented(&shown(&text)))));
    }

    pub(super) fn act(&mut self, effect: Effect) {
        self.outs.push_back(Out::Do(effect));
    }

    pub(super) fn asks(&mut self, asks: Asks) {
        self.outs.push_back(Out::Ask(asks));
    }

    pub(super) fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    /// What was asked for was typed.
    pub(super) fn secrets(&mut self, asks: Asks, answers: Vec<Option<Secret>>) {
        let mut answers = answers.into_iter();
        let mut next = || answers.next().flatten();
        match asks {
            Asks::LogIn(login) => {
                let password = next();
                if login.create && password.is_some() && next() != password {
                    return self.say("the two passwords differ");
                }
                self.log_in(Login { password, ..login });
            }
            Asks::Delete => {
                let password = next();
                self.delete_now(password);
            }
            Asks::Passwords => match (next(), next(), next()) {
                (old, Some(new), again) if Some(&new) == again.as_ref() => self.change_password(old, new),
                (_, None, _) => self.say("the new password is empty"),
                _ => self.say("the two passwords differ"),
            },
        }
    }
}

/// Nobody knows yet whether it can still fail or has to be sent again.
fn is_open(state: Delivery) -> bool {
    state <= Delivery::Unknown
}
