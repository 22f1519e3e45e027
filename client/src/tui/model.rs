//! What the screen shows, as data. It reads no clock and no file: time comes in with each message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::bindings::Bindings;
use super::composer::Composer;
pub(crate) use super::effect::{Effect, Login};
use super::focus::{Completion, Focus};
use super::form::Form;
use super::glyphs::Glyphs;
use super::layout::{Areas, Panes};
use super::pane::{Forms, Line, Look, Pane};
use super::passwords::Passwords;
use super::people::People;
use super::theme::Theme;
use super::window::Window;
use crate::config::{Server, Trust};
use crate::delivery::Delivery;
use crate::event::{Chat, Guard, Message, Steps, Untrusted};
use crate::history::Chosen;
use crate::peer::Peer;
use crate::settings::{Emoji, Notify, Ui};
use crate::text::shown;

/// Lines kept of what the server said and of ops by hand.
pub(crate) const NOTES_MAX: usize = 200;
/// Lines kept of what was sent, to be called back.
pub(crate) const SENT_MAX: usize = 100;
/// Conversations in the list; older ones are found by their name.
pub(crate) const CHATS_MAX: usize = 1_000;
/// How long a remark stays.
pub(crate) const TOAST: Duration = Duration::from_secs(4);
/// How the first conversation is called.
pub(crate) const SERVER: &str = "*server*";

/// A moment, for deadlines and for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    pub(crate) wall_ms: i64,
}

/// How the screen is drawn, and what else a person has chosen.
#[derive(Clone, Debug)]
pub(crate) struct Prefs {
    pub(crate) glyphs: &'static Glyphs,
    pub(crate) theme: Theme,
    pub(crate) panes: Panes,
    pub(crate) bindings: Bindings,
    /// Never [`Emoji::Auto`]: that was decided.
    pub(crate) emoji: Emoji,
    pub(crate) ui: Ui,
    /// What waits at the server comes when somebody fetches it, from the next connection on.
    pub(crate) asks: bool,
    pub(crate) notify: Notify,
}

/// Who is logged in, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) server: String,
    /// Nothing leaves this machine, so that nothing has to be encrypted.
    pub(crate) local: bool,
}

/// The connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nobody has asked for one.
    Idle,
    Connecting,
    Online,
    Offline {
        until: Instant,
    },
    Stopped,
    /// It has ended with whoever would write messages down.
    Ended,
}

/// A conversation in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) peer: Peer,
    pub(crate) unread: u64,
    pub(crate) read_to: i64,
    pub(crate) last: i64,
    pub(crate) draft: String,
    pub(crate) chosen: Chosen,
    /// Messages of ours that were refused, and that nobody has looked after.
    pub(crate) failed: BTreeSet<i64>,
    /// Opened here, and nothing was said yet: it stands where it was opened.
    pub(crate) fresh: bool,
}

/// Something over the rest of the screen.
pub(crate) enum Overlay {
    Help {
        filter: Composer,
        chosen: usize,
    },
    Jump {
        query: Composer,
        found: Vec<Found>,
        chosen: usize,
    },
    /// A paste of many lines waits for a decision.
    Paste {
        text: String,
    },
    /// The account is about to be deleted.
    Delete {
        name: Composer,
        password: Composer,
        on_password: bool,
        by_hand: Option<crate::Secret>,
    },
    /// Another password is asked for.
    Passwd(Box<Passwords>),
    /// The server is not trusted: a person may say that it is the right one, or can only be told.
    Trust {
        untrusted: Box<Untrusted>,
        typed: Composer,
    },
    /// What can be done with a message.
    Menu {
        n: i64,
        chosen: usize,
    },
    /// A link is about to be opened.
    Link {
        links: Vec<crate::text::links::Link>,
        chosen: usize,
    },
    /// All that is known of a message.
    About {
        message: Box<Message>,
        steps: Option<Steps>,
    },
    /// Messages wait at the server, and somebody wants to be asked.
    Waiting,
    /// Some messages were not sent.
    Quit,
}

/// A line of the jump list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Server,
    Chat {
        name: String,
        key: String,
        unread: u64,
    },
    /// Somebody new.
    Stranger(Peer),
    Command(&'static super::typed::Command),
}

/// Where in what was sent Up has come to, and what was being written before.
pub(crate) struct Recall {
    pub(crate) at: usize,
    pub(crate) writing: Composer,
}

/// A remark on the title row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    /// An error stays until a key.
    pub(crate) until: Option<Instant>,
    /// It says that the connection was lost, which is over when there is one.
    pub(crate) loss: bool,
}

/// Everything.
pub(crate) struct Model {
    pub(crate) now: Now,
    pub(crate) zone: TimeZone,
    pub(crate) size: (u16, u16),
    pub(crate) prefs: Prefs,
    pub(crate) identity: Option<Identity>,
    pub(crate) link: Link,
    /// How the connection is guarded, or the last one was.
    pub(crate) guard: Option<Guard>,
    /// The server that was named at the start, and how it has to prove who it is.
    pub(crate) meant: Option<(Server, Trust)>,
    pub(crate) round_trip: Option<Duration>,
    /// Recent round trips, the latest last.
    pub(crate) round_trips: VecDeque<Duration>,
    /// Messages that came of those that waited, where they have not all come.
    pub(crate) getting: Option<(u64, u64)>,
    /// Messages that wait until somebody fetches them.
    pub(crate) held: u64,
    /// The login, in place of everything else.
    pub(crate) form: Option<Form>,
    pub(crate) chats: Vec<Entry>,
    /// Who is online and who is typing.
    pub(crate) people: People,
    /// The key of the open conversation; `None` for the server's.
    pub(crate) open: Option<String>,
    pub(crate) window: Window,
    pub(crate) notes: Window,
    pub(crate) notes_made: i64,
    /// What was typed in the server's conversation and not sent.
    pub(crate) notes_draft: String,
    pub(crate) composer: Composer,
    /// What takes the keys.
    pub(crate) focus: Focus,
    /// What the word in the box may become.
    pub(crate) completion: Option<Completion>,
    /// The list is out of order, and is put in order when nobody is in it.
    pub(crate) unordered: bool,
    /// Somebody has marked the open conversation as unread: it stays so until they leave.
    pub(crate) held_unread: bool,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) toast: Option<Toast>,
    /// Whether the window has the focus, where the terminal tells.
    pub(crate) focused: Option<bool>,
    /// When what is on the screen counts as read.
    pub(crate) read_due: Option<Instant>,
    /// When the draft is written down.
    pub(crate) draft_due: Option<Instant>,
    /// A second Ctrl+C before this quits.
    pub(crate) cancelled: Option<Instant>,
    /// What was sent, to be called back.
    pub(crate) sent: Vec<String>,
    pub(crate) recall: Option<Recall>,
    /// Messages of ours that the server does not have, with the keys of their conversations.
    pub(crate) unsent: BTreeMap<i64, String>,
    /// Questions without an answer: how they were written, and whether the answer is a toast.
    pub(crate) asked: BTreeMap<u64, String>,
    /// SENDs by hand that were not answered yet, by tag: the message's number, once it has one.
    pub(crate) by_hand: BTreeMap<u64, Option<i64>>,
    pub(crate) tags: u64,
    /// Messages that waited at the server and have come since the login, by conversation.
    pub(crate) waited: BTreeMap<String, u64>,
    /// When whoever looks elsewhere was told of something the last time.
    pub(crate) notified: Option<Instant>,
    /// Something that is on the screen has changed.
    pub(crate) changed: bool,
    pub(crate) quit: Option<u8>,
}

impl Model {
    /// A screen that shows nothing yet.
    pub(crate) fn new(now: Now, zone: TimeZone, size: (u16, u16), prefs: Prefs) -> Model {
        Model {
            now,
            zone,
            size,
            prefs,
            identity: None,
            link: Link::Idle,
            guard: None,
            meant: None,
            round_trip: None,
            round_trips: VecDeque::new(),
            getting: None,
            held: 0,
            form: None,
            chats: Vec::new(),
            people: People::default(),
            open: None,
            window: Window::empty(),
            notes: Window::empty(),
            notes_made: 0,
            notes_draft: String::new(),
            composer: Composer::default(),
            focus: Focus::default(),
            completion: None,
            unordered: false,
            held_unread: false,
            overlay: None,
            toast: None,
            focused: None,
            read_due: None,
            draft_due: None,
            cancelled: None,
            sent: Vec::new(),
            recall: None,
            unsent: BTreeMap::new(),
            asked: BTreeMap::new(),
            by_hand: BTreeMap::new(),
            tags: 0,
            waited: BTreeMap::new(),
            notified: None,
            changed: true,
            quit: None,
        }
    }

    /// How a server has to prove who it is: a key that was given is that of the server it was given for, TLS is for any.
    pub(crate) fn trust_of(&self, server: &Server) -> Trust {
        let (meant, trust) =
            self.meant.as_ref().map_or((None, Trust::default()), |(meant, trust)| (Some(meant), *trust));
        Trust { fingerprint: trust.fingerprint.filter(|_| meant == Some(server)), ..trust }
    }

    /// The parts of the screen; `None` where it is too small.
    pub(crate) fn areas(&self) -> Option<Areas> {
        // The box is as wide with one row as with six.
        let panes = self.panes();
        let columns = Areas::new(self.size, panes, 1)?.box_columns();
        let rows = self.composer.shown().rows(columns).rows.len();
        Areas::new(self.size, panes, rows)
    }

    /// What is to be seen: whoever is in the list sees it.
    fn panes(&self) -> Panes {
        let in_list = self.focus.list().is_some();
        Panes { list: self.prefs.panes.list || in_list, list_first: in_list, ..self.prefs.panes }
    }

    /// The open conversation in the list; `None` for the server's.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.entry_of(self.open.as_deref()?)
    }

    pub(crate) fn entry_of(&self, key: &str) -> Option<&Entry> {
        self.chats.iter().find(|entry| entry.peer.key == key)
    }

    pub(crate) fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.chats.iter_mut().find(|entry| entry.peer.key == key)
    }

    /// What the pane shows.
    pub(crate) fn shown(&self) -> &Window {
        if self.open.is_some() { &self.window } else { &self.notes }
    }

    pub(crate) fn shown_mut(&mut self) -> &mut Window {
        if self.open.is_some() { &mut self.window } else { &mut self.notes }
    }

    /// How messages are laid out in these areas.
    pub(crate) fn look(&self, areas: &Areas) -> Look {
        let me = self.identity.as_ref().map_or("", |identity| identity.user.as_str());
        let margin = if areas.narrow { 1 } else { 2 };
        Look {
            columns: usize::from(areas.pane.width).saturating_sub(margin),
            narrow: areas.narrow,
            me: me.to_owned(),
            nick: self.entry().map_or(0, |entry| Look::nick_columns(me, &entry.peer.name)),
            zone: self.zone.clone(),
            wall_ms: self.now.wall_ms,
            forms: Forms::new(&self.prefs.ui.time, &self.prefs.ui.date, self.prefs.emoji),
        }
    }

    /// Works on the pane as it is laid out now; `None` where there is none.
    pub(crate) fn with_pane<T>(&self, work: impl FnOnce(&Pane<'_>, usize) -> T) -> Option<T> {
        let areas = self.areas()?;
        let look = self.look(&areas);
        let rows = usize::from(areas.pane.height);
        (rows > 0).then(|| work(&Pane { window: self.shown(), look: &look }, rows))
    }

    /// Unread messages of all conversations.
    pub(crate) fn unread(&self) -> u64 {
        self.chats.iter().map(|entry| entry.unread).sum()
    }

    /// A line in the server's conversation.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes_made += 1;
        let message = Message {
            n: self.notes_made,
            peer: Peer { key: String::new(), name: SERVER.into(), address: None },
            mine: false,
            id: None,
            text: shown(&text.into()).into_owned(),
            time_ms: self.now.wall_ms,
            state: Delivery::Delivered,
            reason: None,
        };
        self.notes.add(message);
        while self.notes.items.len() > NOTES_MAX {
            self.notes.items.pop_front();
        }
    }

    /// A remark that goes by itself, and stays to be read in the server's conversation.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.note(text.clone());
        self.toast = Some(Toast { text, until: Some(self.now.at + TOAST), loss: false });
    }

    /// A remark that stays until a key.
    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        let text = format!("{} {}", self.prefs.glyphs.cross, text.into());
        self.note(text.clone());
        self.toast = Some(Toast { text, until: None, loss: false });
    }

    /// A remark about what was typed: nothing that anybody wants to read later.
    pub(crate) fn hint(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), until: Some(self.now.at + TOAST), loss: false });
    }

    pub(crate) fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    /// When the day that is named on the screen is another; nothing where none is.
    fn midnight(&self) -> Option<Instant> {
        let shows_day =
            |pane: &Pane<'_>, rows| pane.visible(rows).iter().any(|line| matches!(line, Line::Day(_)));
        if self.form.is_some() || !self.with_pane(shows_day)? {
            return None;
        }
        let now = self.local();
        let left = now.tomorrow().and_then(|tomorrow| tomorrow.start_of_day()).ok()?.duration_since(&now);
        Some(self.now.at + Duration::try_from(left).ok()?)
    }

    /// Now, where this machine is.
    pub(crate) fn local(&self) -> Zoned {
        self.local_of(self.now.wall_ms)
    }

    /// A moment, where this machine is.
    pub(crate) fn local_of(&self, time_ms: i64) -> Zoned {
        Timestamp::from_millisecond(time_ms).unwrap_or_default().to_zoned(self.zone.clone())
    }

    /// When the screen changes by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let countdown = match self.link {
            Link::Offline { until } => {
                let left = until.saturating_duration_since(self.now.at);
                // The next moment at which a smaller number of seconds is left.
                let part = Duration::from_nanos(u64::from(left.subsec_nanos()));
                let step = if part.is_zero() { Duration::from_secs(1) } else { part };
                (!left.is_zero()).then(|| self.now.at + step)
            }
            _ => None,
        };
        let toast = self.toast.as_ref().and_then(|toast| toast.until);
        let typing = self.open.as_ref().and_then(|key| self.people.deadline(key));
        [countdown, toast, typing, self.read_due, self.draft_due, self.midnight()].into_iter().flatten().min()
    }
}

impl From<Chat> for Entry {
    fn from(chat: Chat) -> Entry {
        let Chat { peer, unread, read_to, last, draft, pinned, muted, failed } = chat;
        let (chosen, failed) = (Chosen { pinned, muted }, failed.into_iter().collect());
        Entry { peer, unread, read_to, last, draft, chosen, failed, fresh: false }
    }
}

impl Entry {
    /// A conversation in which nothing was said yet.
    pub(crate) fn new(peer: Peer) -> Entry {
        let (draft, failed) = (String::new(), BTreeSet::new());
        let chosen = Chosen::default();
        Entry { peer, unread: 0, read_to: 0, last: 0, draft, chosen, failed, fresh: true }
    }

    /// Its place in the list, from the top: pinned ones, then by the latest message.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        std::cmp::Reverse((self.chosen.pinned, self.fresh && self.last == 0, self.last))
    }
}
