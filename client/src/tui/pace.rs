//! How often the screen is drawn: at once for a person, and seldom while what waited comes in. Pure; time comes in.

use std::time::{Duration, Instant};

use super::update::Msg;
use crate::event::Event;

/// Frames are at least this far apart.
const FRAME: Duration = Duration::from_millis(16);
/// The same while nothing but what waited at the server has changed.
const CATCHING_UP: Duration = Duration::from_millis(250);

/// When the next frame is due.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    drawn: Option<Instant>,
    /// Something has changed since then that somebody waits to see.
    hurried: bool,
}

impl Pace {
    /// Something is about to happen to a model which is `catching_up` on what waited, or not.
    pub(crate) fn sees(&mut self, msg: &Msg, catching_up: bool) {
        let waited = matches!(msg, Msg::Event(Event::Message(_) | Event::State(_) | Event::Presence { .. }));
        self.hurried |= !(waited && catching_up);
    }

    /// Everything is to be drawn anew.
    pub(crate) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// When a change may be drawn; `None` for at once.
    pub(crate) fn due(&self) -> Option<Instant> {
        let apart = if self.hurried { FRAME } else { CATCHING_UP };
        self.drawn.map(|drawn| drawn + apart)
    }

    /// A frame was begun.
    pub(crate) fn drew(&mut self, now: Instant) {
        (self.drawn, self.hurried) = (Some(now), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Delivery;
    use crate::event::StateChange;

    fn change() -> Msg {
        let state = Delivery::Sent;
        Msg::Event(Event::State(StateChange { n: 1, id: None, state, time_ms: 0, code: None, reason: None }))
    }

    /// Draws whenever a change may be drawn, for so many milliseconds; what happens is told with each.
    fn frames(ms: u64, happens: impl Fn(u64) -> Option<(Msg, bool)>) -> Vec<u64> {
        #[expect(clippy::disallowed_methods, reason = "the clock of a test begins somewhere")]
        let start = Instant::now();
        let (mut pace, mut changed, mut frames) = (Pace::default(), false, Vec::new());
        for ms in 0..ms {
            let now = start + Duration::from_millis(ms);
            if let Some((msg, catching_up)) = happens(ms) {
                pace.sees(&msg, catching_up);
                changed = true;
            }
            if changed && pace.due().is_none_or(|due| now >= due) {
                pace.drew(now);
                changed = false;
                frames.push(ms);
            }
        }
        frames
    }

    #[test]
    fn what_waited_is_drawn_four_times_a_second() {
        assert_eq!(frames(1_000, |_| Some((change(), true))), [0, 250, 500, 750]);
        // All of it is there.
        assert_eq!(frames(400, |ms| Some((change(), ms < 300)))[..5], [0, 250, 300, 316, 332]);
    }

    #[test]
    fn nobody_who_types_waits_for_what_waited() {
        let typed = |ms| ms == 60 || ms == 65;
        let happens = |ms| Some(if typed(ms) { (Msg::Told(String::new()), true) } else { (change(), true) });
        assert_eq!(frames(400, happens), [0, 60, 76, 326]);
    }

    #[test]
    fn what_comes_by_the_way_is_drawn_at_once() {
        assert_eq!(frames(100, |ms| (ms % 50 == 3).then(|| (change(), false))), [3, 53]);
        assert_eq!(frames(64, |_| Some((change(), false))), [0, 16, 32, 48]);
    }
}
