//! The lines that wait to be written, and the thread that writes them.
//!
//! Whoever tells something never waits: where a full pipe is not read, what is beyond the bound is lost and counted. A
//! write that fails is forgotten; there is nobody to be told.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// So many lines wait.
const LINES_MAX: usize = 1024;

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<String>,
    lost: u64,
    writing: bool,
    closed: bool,
    ended: bool,
}

/// The lines that wait.
#[derive(Debug, Default)]
pub(super) struct Writer {
    inner: Mutex<Inner>,
    ready: Condvar,
    quiet: Condvar,
}

impl Writer {
    /// Adds a line, which ends with its line end.
    pub(super) fn write(&self, line: String) {
        let mut inner = self.inner.lock();
        if inner.lines.len() >= LINES_MAX {
            inner.lost += 1;
            return;
        }
        inner.lines.push_back(line);
        drop(inner);
        self.ready.notify_one();
    }

    /// Writes what is added, until [`end`](Writer::end).
    pub(super) fn run(&self, out: &mut dyn io::Write) {
        let mut inner = self.inner.lock();
        loop {
            if inner.lines.is_empty() {
                inner.writing = false;
                self.quiet.notify_all();
                if inner.closed {
                    inner.ended = true;
                    return;
                }
                self.ready.wait(&mut inner);
                continue;
            }
            inner.writing = true;
            let mut text: String = inner.lines.drain(..).collect();
            let lost = std::mem::take(&mut inner.lost);
            drop(inner);
            if lost > 0 {
                text +=
                    &format!("bellhop-server: {lost} lines of the log were lost: nobody read them in time\n");
            }
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            inner = self.inner.lock();
        }
    }

    /// Waits until everything is written, for so long at the most.
    pub(super) fn flush(&self, most: Duration) {
        let mut inner = self.inner.lock();
        self.quiet.wait_while_for(&mut inner, |inner| inner.writing || !inner.lines.is_empty(), most);
    }

    /// Ends [`run`](Writer::run) when everything is written; false where that takes longer than it may.
    pub(super) fn end(&self, most: Duration) -> bool {
        let mut inner = self.inner.lock();
        inner.closed = true;
        self.ready.notify_one();
        !self.quiet.wait_while_for(&mut inner, |inner| !inner.ended, most).timed_out()
    }

    /// What waits.
    #[cfg(test)]
    pub(super) fn take(&self) -> Vec<String> {
        self.inner.lock().lines.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// Says when it was asked to write, and writes when it is told to.
    struct Slow {
        asked: mpsc::SyncSender<()>,
        go: mpsc::Receiver<()>,
        text: Arc<Mutex<String>>,
    }

    impl io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.send(()).unwrap();
            if self.go.recv().is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            *self.text.lock() += std::str::from_utf8(bytes).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A full pipe that nobody read stopped the thread that told something, and with it deliveries.
    #[test]
    fn a_log_that_nobody_reads_holds_nobody_up_and_loses_by_number() {
        let writer = Arc::new(Writer::default());
        let ((asked, was_asked), (go, gone)) = (mpsc::sync_channel(9), mpsc::sync_channel(9));
        let text = Arc::new(Mutex::new(String::new()));
        let thread = std::thread::spawn({
            let (writer, mut slow) = (writer.clone(), Slow { asked, go: gone, text: text.clone() });
            move || writer.run(&mut slow)
        });
        writer.write("first\n".to_owned());
        was_asked.recv().unwrap();
        (0..LINES_MAX + 7).for_each(|number| writer.write(format!("{number}\n")));
        writer.flush(Duration::from_millis(1));
        assert!(!writer.end(Duration::from_millis(1)), "it is not waited for longer than it may take");
        go.send(()).unwrap();
        go.send(()).unwrap();
        thread.join().unwrap();
        let text = text.lock();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + LINES_MAX + 1);
        assert_eq!(lines[LINES_MAX], "1023");
        assert!(lines[LINES_MAX + 1].contains(" 7 lines of the log were lost"), "{}", lines[LINES_MAX + 1]);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_forgotten() {
        let writer = Arc::new(Writer::default());
        let ((asked, was_asked), (go, gone)) = (mpsc::sync_channel(9), mpsc::sync_channel::<()>(9));
        let thread = std::thread::spawn({
            let (writer, mut slow) = (writer.clone(), Slow { asked, go: gone, text: Arc::default() });
            move || writer.run(&mut slow)
        });
        drop(go);
        for _ in 0..3 {
            writer.write("lost\n".to_owned());
            was_asked.recv().unwrap();
        }
        assert!(writer.end(Duration::from_secs(20)));
        thread.join().unwrap();
    }
}
