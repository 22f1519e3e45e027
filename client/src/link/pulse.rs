//! Is the server still there? Deadlines over silence, as data.
//!
//! While something is unanswered, silence is suspicious: a PING after [`PROBE_AFTER`], the end after [`LOST_AFTER`].
//! While nothing is, the server's own PINGs are the sign of life: after three heartbeats without one it is asked. A
//! server that talks and leaves a POST unanswered has lost it: that ends after [`ANSWER_MAX`].

use std::time::{Duration, Instant};

/// Silence after which an unanswered request is helped by a PING.
pub(crate) const PROBE_AFTER: Duration = Duration::from_secs(4);
/// Silence after which an unanswered request means that the server is gone.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(9);
/// How long a POST may be the oldest one without an answer. A repeat on the next connection is harmless.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Heartbeats that a server may name; others are taken as the nearest of these.
const HEARTBEAT_S: std::ops::RangeInclusive<u16> = 5..=600;

/// What a silence calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Nothing yet.
    Wait,
    /// Ask whether the server is there.
    Probe,
    /// The server is gone.
    Lost,
}

/// When the server was heard, and since when it owes an answer.
#[derive(Debug)]
pub(crate) struct Pulse {
    heard: Instant,
    owes_since: Option<Instant>,
    /// The counter of the oldest POST without an answer, and since when it is that.
    post: Option<(u64, Instant)>,
    probed: bool,
    heartbeat: Duration,
}

impl Pulse {
    /// A connection made now to a server with this heartbeat.
    pub(crate) fn new(now: Instant, heartbeat_s: u16) -> Pulse {
        let seconds = heartbeat_s.clamp(*HEARTBEAT_S.start(), *HEARTBEAT_S.end());
        let heartbeat = Duration::from_secs(seconds.into());
        Pulse { heard: now, owes_since: None, post: None, probed: false, heartbeat }
    }

    /// Something came: the server is there.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probed = false;
    }

    /// The server took bytes at last that it had left waiting, and may have no whole POST yet.
    pub(crate) fn took(&mut self, now: Instant) {
        self.heard(now);
        self.post = self.post.map(|(counter, _)| (counter, now));
    }

    /// Tells whether an answer is outstanding now.
    pub(crate) fn owes(&mut self, now: Instant, owes: bool) {
        match (owes, self.owes_since) {
            (true, None) => self.owes_since = Some(now),
            (false, Some(_)) => self.owes_since = None,
            _ => {}
        }
    }

    /// Tells which POST is the oldest without an answer.
    pub(crate) fn awaits(&mut self, now: Instant, counter: Option<u64>) {
        if self.post.map(|(counter, _)| counter) != counter {
            self.post = counter.map(|counter| (counter, now));
        }
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Instant {
        let silence = match self.quiet_since() {
            Some(since) if self.probed => since + LOST_AFTER,
            Some(since) => since + PROBE_AFTER,
            None => self.heard + self.heartbeat * 3,
        };
        self.answer_by().map_or(silence, |by| by.min(silence))
    }

    /// What the silence up to now calls for. A probe is called for once.
    pub(crate) fn look(&mut self, now: Instant) -> Call {
        match self.quiet_since() {
            _ if self.answer_by().is_some_and(|by| now >= by) => Call::Lost,
            Some(since) if now >= since + LOST_AFTER => Call::Lost,
            Some(since) if now >= since + PROBE_AFTER && !self.probed => {
                self.probed = true;
                Call::Probe
            }
            None if now >= self.heard + self.heartbeat * 3 => {
                self.probed = true;
                Call::Probe
            }
            _ => Call::Wait,
        }
    }

    fn answer_by(&self) -> Option<Instant> {
        self.post.map(|(_, since)| since + ANSWER_MAX)
    }

    fn quiet_since(&self) -> Option<Instant> {
        self.owes_since.map(|since| since.max(self.heard))
    }
}
