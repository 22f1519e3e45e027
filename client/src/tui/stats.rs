//! What the loop does, counted: for whoever asks why a machine is warm. Pure; the loop tells it.

use std::time::{Duration, Instant};

/// Counts since the start.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    began: Instant,
    first_frame: Option<Duration>,
    worst_frame: Duration,
    pub(crate) counts: Counts,
    /// The most events of the connection between two looks at the keys.
    pub(crate) batch_max: u64,
    /// What the counts were when somebody asked for a digest, and when.
    asked: Option<(Instant, Counts)>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Times that the loop woke.
    pub(crate) loops: u64,
    pub(crate) frames: u64,
    /// Keys, pastes and everything else that the terminal reports.
    pub(crate) inputs: u64,
    /// What the connection told.
    pub(crate) events: u64,
    /// To the terminal.
    pub(crate) bytes: u64,
}

/// How long a digest counts.
const DIGEST: Duration = Duration::from_secs(5);

impl Stats {
    pub(crate) fn new(began: Instant) -> Stats {
        Stats {
            began,
            first_frame: None,
            worst_frame: Duration::ZERO,
            counts: Counts::default(),
            batch_max: 0,
            asked: None,
        }
    }

    /// A frame was drawn.
    pub(crate) fn frame(&mut self, from: Instant, to: Instant, bytes: usize) {
        self.first_frame.get_or_insert(to.duration_since(self.began));
        self.worst_frame = self.worst_frame.max(to.duration_since(from));
        self.counts.frames += 1;
        self.counts.bytes += bytes as u64;
    }

    /// The connection told so much in one go.
    pub(crate) fn events(&mut self, count: usize) {
        self.counts.events += count as u64;
        self.batch_max = self.batch_max.max(count as u64);
    }

    /// Somebody wants to know what goes on.
    pub(crate) fn ask(&mut self, now: Instant) {
        self.asked = Some((now, self.counts));
    }

    /// When there is something to tell.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.asked.map(|(at, _)| at + DIGEST)
    }

    /// What went on, where it is time to tell.
    pub(crate) fn digest(&mut self, now: Instant) -> Option<String> {
        let (at, before) = self.asked.filter(|(at, _)| now >= *at + DIGEST)?;
        self.asked = None;
        let Counts { loops, frames, inputs, events, bytes } = self.counts;
        Some(format!(
            "in {} s: {} wake-ups, {} frames, {} bytes; {} keys and the like, {} events",
            now.duration_since(at).as_secs(),
            loops - before.loops,
            frames - before.frames,
            bytes - before.bytes,
            inputs - before.inputs,
            events - before.events,
        ))
    }

    /// All of it, a line a number.
    pub(crate) fn report(&self) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let Counts { loops, frames, inputs, events, bytes } = self.counts;
        format!(
            "first_frame_ms {:.1}\nframes {frames}\nworst_frame_ms {:.2}\nwake_ups {loops}\ninputs {inputs}\n\
             events {events}\nmost_events_at_once {}\nbytes {bytes}\n",
            self.first_frame.map_or(0.0, ms),
            ms(self.worst_frame),
            self.batch_max,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the clock of a test begins somewhere")]
    fn begin() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_digest_tells_of_its_five_seconds_alone() {
        let start = begin();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut stats = Stats::new(start);
        stats.frame(at(3), at(5), 4_000);
        stats.events(7);
        assert_eq!((stats.deadline(), stats.digest(at(9_000))), (None, None));
        (stats.counts.loops, stats.counts.inputs) = (9, 9);
        stats.ask(at(10_000));
        assert_eq!(stats.deadline(), Some(at(15_000)));
        stats.counts.loops += 2;
        stats.counts.inputs += 1;
        stats.events(256);
        stats.frame(at(11_000), at(11_001), 60);
        assert_eq!(stats.digest(at(14_999)), None);
        let digest = "in 5 s: 2 wake-ups, 1 frames, 60 bytes; 1 keys and the like, 256 events";
        assert_eq!(stats.digest(at(15_000)).as_deref(), Some(digest));
        assert_eq!((stats.deadline(), stats.digest(at(30_000))), (None, None));
        let report = "first_frame_ms 5.0\nframes 2\nworst_frame_ms 2.00\nwake_ups 11\ninputs 10\nevents 263\n\
                      most_events_at_once 256\nbytes 4060\n";
        assert_eq!(stats.report(), report);
    }
}
