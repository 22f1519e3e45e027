//! Every bound that an operator can set, in one table: its name, its default, and why it is there.

use std::str::FromStr;

use bellhop_protocol::item::Message;

use crate::core::{FETCHED, INBOXES, TAILS};
use crate::keeper::queue::WORDS_MAX;
use crate::mailbox::Bounds;
use crate::mailbox::items::Load;
use crate::net::conn::inbox;
use crate::outbox;
use crate::presence;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A number of something.
    Count,
    /// A number a second.
    PerSecond,
    /// A number a minute.
    PerMinute,
    /// A number an hour.
    PerHour,
    /// Seconds.
    Seconds,
    /// Days.
    Days,
}

impl Unit {
    /// The unit, for a person; nothing where it is a plain number.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Bytes => "bytes",
            Unit::Count => "",
            Unit::PerSecond => "a second",
            Unit::PerMinute => "a minute",
            Unit::PerHour => "an hour",
            Unit::Seconds => "s",
            Unit::Days => "days",
        }
    }
}

/// Why `NAME=VALUE` was not a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is no `=`.
    #[error("a limit is given as NAME=VALUE")]
    Shape,
    /// No limit has this name.
    #[error("there is no limit '{0}'; there are: {1}")]
    Name(String, String),
    /// All of them at once cannot be anything else than off.
    #[error("'{0}' is no value for 'all': it can only be off")]
    All(String),
    /// The value is not one that the limit can have.
    #[error("'{value}' is no value for the limit '{name}': a number from {least} to {most}{off}")]
    Value {
        /// The limit.
        name: &'static str,
        /// What was given.
        value: String,
        /// The lowest value.
        least: u64,
        /// The highest value.
        most: u64,
        /// `, or off`, where the limit can be switched off.
        off: &'static str,
    },
    /// A message that may be sent could not be brought.
    #[error(
        "the limits text={text} and frame={frame} do not fit: a message takes up to {} bytes beside its text, so that frame is at least {}",
        Message::OVERHEAD_MAX, text + Message::OVERHEAD_MAX as u64
    )]
    Frame {
        /// The limit on texts.
        text: u64,
        /// The limit on frames.
        frame: u64,
    },
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal, $default:expr, $least:literal..=$most:expr, $unit:ident, $off:ident;)+) => {
        /// The limits in force. `u64::MAX` is off.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($field: $default,)+ }
            }
        }

        impl Limits {
            /// Name, value and unit of every limit.
            pub fn list(&self) -> Vec<(&'static str, u64, Unit)> {
                vec![$(($name, self.$field, Unit::$unit)),+]
            }

            fn set(&mut self, name: &str, value: &str) -> Result<(), LimitError> {
                match name {
                    $($name => {
                        self.$field = parse($name, value, $least, $most, limits!(@off $off))?;
                        Ok(())
                    })+
                    _ => {
                        let names: Vec<&str> = vec!["all", $($name),+];
                        Err(LimitError::Name(name.to_owned(), names.join(", ")))
                    }
                }
            }

            fn all_off(&mut self) {
                $(if limits!(@off $off) { self.$field = u64::MAX; })+
            }
        }
    };
    (@off off) => { true };
    (@off fixed) => { false };
}

limits! {
    /// Data of a frame after login: what one frame may make the server hold.
    frame = "frame", 65_536, 1_024..=16_777_215, Bytes, fixed;
    /// Text of a message: a message is not a file.
    text = "text", 16_384, 1..=16_000_000, Bytes, fixed;
    /// Bytes that wait for a slow reader; the rest stays in the store.
    outbox = "outbox", 262_144, 65_536..=1_073_741_824, Bytes, fixed;
    /// Bytes that wait for slow readers, in all.
    outbox_all = "outbox-all", 67_108_864, 65_536..=1_099_511_627_776, Bytes, fixed;
    /// Bytes that the system holds for a connection, each way; off leaves them to the system.
    kernel_buffers = "kernel-buffers", 65_536, 4_096..=67_108_864, Bytes, off;
    /// Jobs that wait for the writing thread; beyond that sockets are read no further.
    pending_writes = "pending-writes", 4_096, 1..=1_048_576, Count, fixed;
    /// Connections: each costs a descriptor and memory. Held below the process's own limit of files.
    connections = "connections", 10_000, 1..=10_000_000, Count, off;
    /// Connections of an address (/32 or /64): one machine must not take them all.
    connections_addr = "connections-addr", 64, 1..=10_000_000, Count, off;
    /// New connections of an address a second, with a burst of ten times as many.
    accept_rate = "accept-rate", 10, 1..=1_000_000, PerSecond, off;
    /// Connections that are not logged in: nobody has answered for them yet.
    unauth = "unauth", 128, 1..=10_000_000, Count, off;
    /// Connections of an address that are not logged in.
    unauth_addr = "unauth-addr", 8, 1..=10_000_000, Count, off;
    /// From accept to the end of a TLS handshake.
    tls_time = "tls-time", 5, 1..=3_600, Seconds, off;
    /// From accept to login: a connection must come to its point.
    login_time = "login-time", 10, 1..=3_600, Seconds, off;
    /// From a frame's first byte to its last.
    frame_time = "frame-time", 10, 1..=3_600, Seconds, off;
    /// Silence after which the other side is asked whether it is there; three of them end the connection.
    heartbeat = "heartbeat", 30, 1..=3_600, Seconds, fixed;
    /// Password hashes at a time, 19 MiB each; 0 stands for as many as there are processors but one, which is left to
    /// those who are logged in, and at least one.
    hashes = "hashes", 0, 0..=1_024, Count, fixed;
    /// Wrong passwords and tokens of an address a minute; further tries with a password wait. Accounts are never locked.
    login_fail = "login-fail", 10, 1..=1_000_000, PerMinute, off;
    /// Accounts that an address makes an hour, but for those made on an open listener.
    register_rate = "register-rate", 3, 1..=1_000_000, PerHour, off;
    /// Days for which the name of a deleted account is nobody's, but on an open listener.
    name_hold = "name-hold", 30, 1..=3_650, Days, off;
    /// Answers that nobody has a name, for an account a second; further ones wait.
    unknown_rate = "unknown-rate", 5, 1..=1_000_000, PerSecond, off;
    /// Sessions of an account.
    sessions = "sessions", 8, 1..=1_000_000, Count, off;
    /// Sends of an account a second, with a burst of ten times as many; beyond that its connections are read more
    /// slowly.
    sends = "sends", 100, 1..=1_000_000_000, PerSecond, off;
    /// LISTs of a connection a second; further ones wait.
    list_rate = "list-rate", 5, 1..=1_000_000, PerSecond, off;
    /// Names that a session watches: each change of one of them is told.
    watch = "watch", 256, 1..=65_535, Count, fixed;
    /// Names that all sessions watch, beside four of each: a session has a sixteenth of what others leave.
    watch_all = "watch-all", 50_000, 1..=100_000_000, Count, fixed;
    /// WATCHes of a connection a second; further ones wait.
    watch_rate = "watch-rate", 2, 1..=1_000_000, PerSecond, off;
    /// TYPINGs of a connection a second; further ones are dropped.
    typing_rate = "typing-rate", 2, 1..=1_000_000, PerSecond, off;
    /// For so long who goes is shown as online: they may come back on another connection.
    presence_grace = "presence-grace", 10, 1..=3_600, Seconds, fixed;
    /// Messages in a mailbox that no device has. Off, nothing is refused for want of room, the bytes neither.
    mailbox = "mailbox", 10_000, 1..=1_000_000_000, Count, off;
    /// Bytes of such messages.
    mailbox_bytes = "mailbox-bytes", 16_777_216, 1_024..=1_000_000_000_000, Bytes, off;
    /// Of such messages, from one sender: one must not fill the mailbox for all.
    mailbox_sender = "mailbox-sender", 2_000, 1..=1_000_000_000, Count, off;
    /// Days after which a message that nobody took expires.
    expiry = "expiry", 30, 1..=3_650, Days, off;
    /// Bytes that stay free on the disk, or a twentieth of it where that is less: below, sends are refused.
    disk_free = "disk-free", 268_435_456, 1..=1_099_511_627_776, Bytes, off;
    /// Lines of the log a second for each cause; what is beyond is counted.
    log_rate = "log-rate", 100, 1..=1_000_000, PerSecond, off;
}

/// What a connection costs without what is underway: its task, its TLS session, who is logged in; half of it is what an
/// allocator loses between them.
const CONNECTION: u64 = 20 * 1024;
/// What hashing a password takes.
const HASH: u64 = 19 * 1024 * 1024;
/// The pages that the writer's and two readers' connections keep of the database.
const DATABASE: u64 = (16 + 2 * 4) * 1024 * 1024;
/// What a thread that runs connections reads into, decrypts from, and collects in a turn.
const WORKER: u64 = 160 * 1024;
/// Whoever guessed a password or connected of late, with every table full; the lines of the log that wait.
const TABLES: u64 = 12 * 1024 * 1024;

/// What only waits for further devices is bounded by these even where `mailbox` is off: it refuses nothing.
const HAD: Load = Load { count: 10_000, bytes: 16_777_216 };

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Connections as such, with what each has for itself, and the threads that run them.
    Connections,
    /// Who watches whom.
    Watches,
    /// What waits for slow readers.
    Outboxes,
    /// What came and is not handled yet.
    Inboxes,
    /// The newest messages of mailboxes, and what is read from the store for others.
    Mailboxes,
    /// Hashes of passwords.
    Passwords,
    /// The database's pages, the writing thread's words, and tables of addresses and names.
    Fixed,
}

impl Limits {
    /// Sets one limit, or all that can be, from `NAME=VALUE`.
    ///
    /// # Errors
    ///
    /// [`LimitError`], which names the limit and what it takes.
    pub fn apply(&mut self, setting: &str) -> Result<(), LimitError> {
        let (name, value) = setting.split_once('=').ok_or(LimitError::Shape)?;
        match (name, value) {
            ("all", "off") => self.all_off(),
            ("all", _) => return Err(LimitError::All(value.to_owned())),
            _ => self.set(name, value)?,
        }
        Ok(())
    }

    /// Checks that the limits fit each other.
    ///
    /// # Errors
    ///
    /// [`LimitError::Frame`].
    pub fn check(&self) -> Result<(), LimitError> {
        let Limits { text, frame, .. } = *self;
        match text + Message::OVERHEAD_MAX as u64 <= frame {
            true => Ok(()),
            false => Err(LimitError::Frame { text, frame }),
        }
    }

    /// The memory that this many connections can make the server hold, on a machine with so many processors: the sum
    /// of all bounds on what is on its way in or out. `tests/memory` compares each part of it with what a crowd takes.
    ///
    /// It leaves out what grows with what is kept and not with who comes: 24 bytes for each message that waits, and as
    /// many for each session without the extension that was written it and has not taken it; where messages are not
    /// durable, the messages.
    pub fn memory_max(&self, connections: u64, processors: u64) -> u64 {
        self.memory(connections, processors).iter().map(|(_, bytes)| bytes).sum()
    }

    /// The parts of [`memory_max`](Limits::memory_max).
    pub fn memory(&self, connections: u64, processors: u64) -> [(Part, u64); 7] {
        let wide = |bytes: usize| bytes as u64;
        // Buffers double as they grow.
        let connection = CONNECTION + 2 * wide(outbox::OWN) + 2 * wide(inbox::OWN);
        // The words of messages that wait, and of the batch that is being written.
        let words = 2 * 2 * wide(WORDS_MAX);
        let own = connections.saturating_mul(wide(presence::OWN_NAMES));
        let names = self.watch_all.saturating_add(own).min(connections.saturating_mul(self.watch));
        // One row is fetched whatever its length.
        let fetched = FETCHED.max(self.text);
        [
            (Part::Connections, connections * connection + processors * WORKER),
            (Part::Watches, names * presence::COST),
            (Part::Outboxes, self.outbox_all),
            (Part::Inboxes, INBOXES),
            (Part::Mailboxes, TAILS + fetched),
            (Part::Passwords, self.hashes_at_once(processors) * HASH),
            (Part::Fixed, words + DATABASE + TABLES),
        ]
    }

    /// How many passwords are hashed at once on a machine with so many processors. Where all of them hash, whoever has
    /// something to write waits for the end of a time slice.
    pub fn hashes_at_once(&self, processors: u64) -> u64 {
        if self.hashes == 0 { processors.saturating_sub(1).max(1) } else { self.hashes }
    }

    /// The bounds of a mailbox.
    pub fn bounds(&self) -> Bounds {
        let bytes = if self.mailbox == u64::MAX { u64::MAX } else { self.mailbox_bytes };
        Bounds {
            waiting: Load { count: self.mailbox, bytes },
            of_sender: self.mailbox_sender,
            had: if self.mailbox == u64::MAX {
                HAD
            } else {
                Load { count: self.mailbox, bytes: bytes.min(HAD.bytes) }
            },
        }
    }
}

fn parse(
    name: &'static str,
    value: &str,
    least: u64,
    most: u64,
    can_be_off: bool,
) -> Result<u64, LimitError> {
    if can_be_off && value == "off" {
        return Ok(u64::MAX);
    }
    match u64::from_str(value) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => {
            let off = if can_be_off { ", or off" } else { "" };
            Err(LimitError::Value { name, value: value.to_owned(), least, most, off })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let check = |setting: &str, expected: Result<(&str, u64), &str>| {
            let mut limits = Limits::default();
            let got = limits.apply(setting).map_err(|error| error.to_string());
            match (got, expected) {
                (Ok(()), Ok((name, value))) => {
                    let found = limits.list().into_iter().find(|(known, ..)| *known == name);
                    assert_eq!(found.map(|(_, value, _)| value), Some(value), "{setting}");
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{setting}: {error}"),
                (got, _) => panic!("{setting}: {got:?}"),
            }
        };
        check("sends=off", Ok(("sends", u64::MAX)));
        check("sends=1", Ok(("sends", 1)));
        check("mailbox-sender=17", Ok(("mailbox-sender", 17)));
        check("frame=off", Err("a number from 1024 to 16777215"));
        check("frame=1023", Err("'1023' is no value for the limit 'frame'"));
        check("frame=16777216", Err("16777216"));
        check("sends=0", Err("or off"));
        check("sends=-1", Err("'-1'"));
        check("sends=", Err("''"));
        check("sends", Err("NAME=VALUE"));
        check("speed=9", Err("there are: all, frame, text"));
    }

    /// A message could be longer than the frames that the server had announced.
    #[test]
    fn a_frame_holds_a_message_with_the_longest_text() {
        let check = |settings: &[&str], fits: bool| {
            let mut limits = Limits::default();
            settings.iter().for_each(|setting| limits.apply(setting).expect("a setting"));
            assert_eq!(limits.check().is_ok(), fits, "{settings:?}");
        };
        check(&[], true);
        check(&["text=65471"], true);
        check(&["text=65472"], false);
        check(&["text=1000000"], false);
        check(&["text=1000000", "frame=1000065"], true);
        check(&["frame=1024"], false);
        check(&["frame=1024", "text=959"], true);
        let error = LimitError::Frame { text: 65_472, frame: 65_536 }.to_string();
        assert!(error.contains("text=65472 and frame=65536") && error.ends_with("65537"), "{error}");
    }

    /// Where a process may open 4,096 files, it takes 3,840 connections.
    #[test]
    fn all_that_is_bounded_fits_350_mb() {
        let limits = Limits::default();
        let sum = limits.memory_max(3_840, 2);
        assert!((250_000_000..=350_000_000).contains(&sum), "{sum}");
        let more = Limits { outbox_all: limits.outbox_all + 1, hashes: 3, ..limits.clone() };
        assert_eq!(more.memory_max(3_840, 2), sum + 1 + 2 * HASH);
        let longer = Limits { text: 2 * FETCHED, ..limits };
        assert_eq!(longer.memory_max(3_840, 2), sum + FETCHED);
    }

    #[test]
    fn one_processor_is_left_to_those_who_are_logged_in() {
        let (usual, more) = (Limits::default(), Limits { hashes: 8, ..Limits::default() });
        let at_once = |limits: &Limits| [1, 2, 3, 64].map(|processors| limits.hashes_at_once(processors));
        assert_eq!((at_once(&usual), at_once(&more)), ([1, 1, 2, 63], [8; 4]));
    }

    #[test]
    fn all_off_spares_what_protects_memory() {
        let mut limits = Limits::default();
        limits.apply("all=off").expect("a setting");
        let defaults = Limits::default();
        let spared = [
            "frame",
            "text",
            "outbox",
            "outbox-all",
            "pending-writes",
            "heartbeat",
            "hashes",
            "watch",
            "watch-all",
            "presence-grace",
        ];
        for ((name, value, _), (_, default, _)) in limits.list().into_iter().zip(defaults.list()) {
            let expected = if spared.contains(&name) { default } else { u64::MAX };
            assert_eq!(value, expected, "{name}");
        }
    }

    #[test]
    fn without_a_bound_on_mailboxes_nothing_is_refused_and_stale_copies_still_go() {
        let mut limits = Limits::default();
        limits.apply("mailbox=off").expect("a setting");
        let bounds = limits.bounds();
        assert_eq!((bounds.waiting, bounds.had), (Load { count: u64::MAX, bytes: u64::MAX }, HAD));
    }
}
