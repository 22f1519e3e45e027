//! Is the server still there? Deadlines over silence, as data.
//!
//! While something is unanswered, silence is suspicious: a PING after [`PROBE_AFTER`], the end after [`LOST_AFTER`].
//! While nothing is, the server's own PINGs are the sign of life: three heartbeats without one are the end.

use std::time::{Duration, Instant};

/// Silence after which an unanswered request is helped by a PING.
pub(crate) const PROBE_AFTER: Duration = Duration::from_secs(4);
/// Silence after which an unanswered request means that the server is gone.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(9);
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
    probed: bool,
    heartbeat: Duration,
}

impl Pulse {
    /// A connection made now to a server with this heartbeat.
    pub(crate) fn new(now: Instant, heartbeat_s: u16) -> Pulse {
        let seconds = heartbeat_s.clamp(*HEARTBEAT_S.start(), *HEARTBEAT_S.end());
        Pulse { heard: now, owes_since: None, probed: false, heartbeat: Duration::from_secs(seconds.into()) }
    }

    /// Something came, or was taken at last: the server is there.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probed = false;
    }

    /// Tells whether an answer is outstanding now.
    pub(crate) fn owes(&mut self, now: Instant, owes: bool) {
        match (owes, self.owes_since) {
            (true, None) => self.owes_since = Some(now),
            (false, Some(_)) => self.owes_since = None,
            _ => {}
        }
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Instant {
        match self.quiet_since() {
            Some(since) if self.probed => since + LOST_AFTER,
            Some(since) => since + PROBE_AFTER,
            None => self.heard + self.heartbeat * 3,
        }
    }

    /// What the silence up to now calls for. A probe is called for once.
    pub(crate) fn look(&mut self, now: Instant) -> Call {
        match self.quiet_since() {
            Some(since) if now >= since + LOST_AFTER => Call::Lost,
            Some(since) if now >= since + PROBE_AFTER && !self.probed => {
                self.probed = true;
                Call::Probe
            }
            None if now >= self.heard + self.heartbeat * 3 => Call::Lost,
            _ => Call::Wait,
        }
    }

    fn quiet_since(&self) -> Option<Instant> {
        self.owes_since.map(|since| since.max(self.heard))
    }
}
