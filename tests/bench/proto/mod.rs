//! What the load has to know of a protocol: how one logs in, what a message is made of, and what comes back.

use std::io;

use crate::net::Link;
use crate::stamp::Stamp;

pub(crate) mod bellhop;
pub(crate) mod irc;
pub(crate) mod jetstream;
pub(crate) mod mqtt;
pub(crate) mod nats;
pub(crate) mod redis;
pub(crate) mod relay;
pub(crate) mod streams;

/// Why somebody logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// To send.
    Sender,
    /// To be brought messages while they come.
    Receiver,
    /// To be known, so that messages wait for them; they go at once.
    Absent,
    /// To take what waits.
    Fetcher,
}

/// What is kept of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Who it is, as all protocols number people.
    pub(crate) party: u32,
    /// How many messages are to be fetched, where they have to be asked for.
    pub(crate) wanted: usize,
    /// How many of those that were asked for are still to come.
    pub(crate) underway: usize,
    /// The number that the last thing sent has, in protocols that number them.
    pub(crate) counter: u64,
    /// The number that the last thing heard had.
    pub(crate) last: u64,
    /// The sum of the ids of the messages that were answered, and how many.
    pub(crate) answered: (u128, u64),
    /// The sum of the ids of the messages that came back as receipts, and how many.
    pub(crate) receipts: (u128, u64),
}

/// A message to somebody, all but its text and what numbers it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// What comes before the text.
    pub(crate) before: Vec<u8>,
    /// What comes after it.
    pub(crate) after: Vec<u8>,
}

/// What was heard in one read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Messages, in their order.
    pub(crate) messages: Vec<Stamp>,
    /// Answers to messages that this connection sent, in their order.
    pub(crate) answers: u64,
}

impl Heard {
    /// Adds a message with this text.
    pub(crate) fn message(&mut self, text: &[u8]) -> Result<(), String> {
        self.messages.push(Stamp::read(text).ok_or("a message without a stamp")?);
        Ok(())
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.answers = 0;
    }
}

/// A protocol, towards one server.
pub(crate) trait Proto: Send + Sync {
    /// True if and only if each message is answered to its sender.
    fn answers(&self) -> bool;

    /// People who log in from now on meet nobody whom they knew.
    fn begin(&self) {}

    /// Logs somebody in.
    fn login(&self, link: &mut Link, state: &mut State, role: Role) -> io::Result<()>;

    /// A message to somebody, with a text of so many bytes.
    fn target(&self, from: u32, to: u32, size: usize) -> Target;

    /// Sends a message with this text.
    fn encode(&self, _state: &mut State, target: &Target, text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&target.before);
        out.extend_from_slice(text);
        out.extend_from_slice(&target.after);
    }

    /// Asks for what waits.
    fn fetch(&self, _state: &mut State, _out: &mut Vec<u8>) {}

    /// Asks whether all that was said before is done with; [`Heard::answers`] counts the answer.
    fn settle(&self, _state: &mut State, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// Uses what came: how many bytes of it, and what was heard. What has to be said to it goes to `out`.
    fn decode(
        &self,
        state: &mut State,
        input: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String>;
}

/// The name of somebody.
pub(crate) fn name(party: u32) -> String {
    format!("u{party}")
}

/// For [`Link::hear`]: everything up to and with `end`.
pub(crate) fn up_to(end: &'static [u8]) -> impl Fn(&[u8]) -> Option<usize> {
    move |bytes| bytes.windows(end.len()).position(|window| window == end).map(|at| at + end.len())
}

/// The end of the line that begins the bytes, behind its line feed.
pub(crate) fn line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}

/// The decimal number that the bytes begin with, and how many bytes it has.
pub(crate) fn number(bytes: &[u8]) -> (usize, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold((0, 0), |(value, len), digit| (value * 10 + usize::from(digit - b'0'), len + 1))
}

/// What a server said, as an error.
pub(crate) fn refused(what: &[u8]) -> String {
    let text = String::from_utf8_lossy(what);
    format!("the server said: {}", text.trim_end().chars().take(200).collect::<String>())
}
