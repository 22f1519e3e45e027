//! What the terminal reports, and when it came.
//!
//! What follows without a wait came together, and has one time: how long the reports take to be worked on, on a busy
//! machine, says nothing of how far apart they were. A line end right behind a paste would be taken for the Enter key.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use crossterm::event::{Event, EventStream};
use futures_util::{Stream, StreamExt};

use crate::clock;
use crate::tui::terminal;

/// Reads the terminal, or leaves it to somebody else.
#[derive(Default)]
pub(super) struct Keys {
    /// `None` while they are not ours to read.
    stream: Option<EventStream>,
    run: Run,
}

impl Keys {
    /// Reads from now on.
    pub(super) fn take(&mut self) {
        self.stream.get_or_insert_with(EventStream::new);
    }

    /// Whoever has the terminal now reads them.
    pub(super) fn leave(&mut self) {
        *self = Keys::default();
    }

    /// The next report, and when it came. Never, where the terminal has gone: whoever reads there does not come back.
    pub(super) async fn next(&mut self) -> Option<(Instant, io::Result<Event>)> {
        let Some(stream) = &mut self.stream else { return std::future::pending().await };
        poll_fn(|context| match terminal::has_gone_by_now() {
            true => Poll::Pending,
            false => self.run.poll(stream, clock::now, context),
        })
        .await
    }
}

/// Reports without a wait between them.
#[derive(Debug, Default)]
struct Run {
    since: Option<Instant>,
}

impl Run {
    fn poll<S: Stream + Unpin>(
        &mut self,
        stream: &mut S,
        now: impl Fn() -> Instant,
        context: &mut Context<'_>,
    ) -> Poll<Option<(Instant, S::Item)>> {
        let polled = stream.poll_next_unpin(context);
        match &polled {
            Poll::Pending => self.since = None,
            Poll::Ready(_) => {
                self.since.get_or_insert_with(now);
            }
        }
        polled.map(|item| self.since.zip(item))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::Waker;
    use std::time::Duration;

    use futures_util::stream;

    use super::*;

    #[test]
    fn what_comes_without_a_wait_has_one_time() {
        let start = clock::now();
        let late = Cell::new(0);
        let now = || start + Duration::from_millis(late.get());
        let mut waits = [false, false, false, true, false, false].into_iter();
        let mut reports = stream::poll_fn(move |_| match waits.next() {
            Some(true) => Poll::Pending,
            report => Poll::Ready(report),
        });
        let (mut run, mut context) = (Run::default(), Context::from_waker(Waker::noop()));
        let mut came = Vec::new();
        for number in 0..7 {
            late.set(number * 20);
            match run.poll(&mut reports, now, &mut context) {
                Poll::Ready(Some((at, _))) => came.push(Some((at - start).as_millis())),
                Poll::Ready(None) => assert_eq!(number, 6),
                Poll::Pending => came.push(None),
            }
        }
        assert_eq!(came, [Some(0), Some(0), Some(0), None, Some(80), Some(80)]);
    }
}
