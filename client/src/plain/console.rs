//! Lines from stdin and to stdout, on threads of their own: whoever types, or reads, may take all the time in the world.

use std::io::{self, BufRead, Read, Write};

use tokio::sync::mpsc::{self, Receiver, Sender};

/// Pieces of text on their way to stdout.
const WRITES_MAX: usize = 16;
/// A line is not longer; what is, is refused as a whole.
const LINE_MAX: u64 = 256 * 1_024;

/// What has happened.
pub(super) enum Turn {
    /// What was to be written is on its way.
    Written,
    /// Nobody reads any more.
    Gone,
    /// A line was typed; `None` at the end.
    Line(Option<Line>),
}

/// A line without its end, or why it is none.
pub(super) type Line = Result<String, NotText>;

/// A line is not UTF-8: what it was meant to say nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotText;

/// Both ends.
pub(super) struct Console {
    /// A person talks: they are prompted.
    talks: bool,
    /// What is to be written next.
    text: String,
    /// The prompt that stands at the end of the last line.
    prompted: Option<String>,
    writer: Option<Sender<String>>,
    /// Ends when everything was written, or cannot be.
    flushed: Receiver<()>,
    /// Tells the reader that a line is wanted.
    wanted: std::sync::mpsc::SyncSender<()>,
    lines: Receiver<Option<Line>>,
    /// A line was asked for and has not come.
    waits: bool,
}

impl Console {
    pub(super) fn new(talks: bool) -> Console {
        let (writer, texts) = mpsc::channel(WRITES_MAX);
        let (flush, flushed) = mpsc::channel(1);
        let (wanted, wishes) = std::sync::mpsc::sync_channel(1);
        let (told, lines) = mpsc::channel(1);
        std::thread::spawn(move || write(texts, flush));
        std::thread::spawn(move || read(&wishes, &told));
        Console {
            talks,
            text: String::new(),
            prompted: None,
            writer: Some(writer),
            flushed,
            wanted,
            lines,
            waits: false,
        }
    }

    /// Says a line. A prompt that stands there is left behind, with what was typed behind it.
    pub(super) fn say(&mut self, line: &str) {
        if self.prompted.take().is_some() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Prompts whoever talks, where the same prompt does not stand there.
    pub(super) fn prompt(&mut self, prompt: Option<String>) {
        let Some(prompt) = prompt.filter(|_| self.talks) else { return };
        if self.prompted.as_ref() != Some(&prompt) {
            if self.prompted.is_some() {
                self.text.push('\n');
            }
            self.text.push_str(&prompt);
            self.prompted = Some(prompt);
        }
    }

    pub(super) fn has_to_write(&self) -> bool {
        !self.text.is_empty()
    }

    /// What happens next: what is to be written goes first; a line is only read where one is wanted.
    pub(super) async fn next(&mut self, wants_line: bool) -> Turn {
        if self.has_to_write() {
            return if self.written().await { Turn::Gone } else { Turn::Written };
        }
        if wants_line { Turn::Line(self.line().await) } else { std::future::pending().await }
    }

    /// Hands what is to be written to whoever writes, when there is room. True where nobody reads any more.
    async fn written(&mut self) -> bool {
        let Some(writer) = &self.writer else { return true };
        match writer.reserve().await {
            Ok(place) => {
                place.send(std::mem::take(&mut self.text));
                false
            }
            Err(_) => true,
        }
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Line> {
        if !self.waits {
            // One at a time is asked for, so there is room; a reader that has ended says so below.
            let _ = self.wanted.try_send(());
            self.waits = true;
        }
        let line = self.lines.recv().await.flatten();
        (self.waits, self.prompted) = (false, None);
        line
    }

    /// Waits until everything was written, or cannot be.
    pub(super) async fn finish(&mut self) {
        if self.prompted.take().is_some() {
            self.text.push('\n');
        }
        if self.has_to_write() && self.written().await {
            return;
        }
        self.writer = None;
        let _ = self.flushed.recv().await;
    }
}

fn write(mut texts: Receiver<String>, flush: Sender<()>) {
    while let Some(text) = texts.blocking_recv() {
        let mut stdout = io::stdout().lock();
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            // Nobody reads; the closed channel says so.
            break;
        }
    }
    drop(flush);
}

fn read(wishes: &std::sync::mpsc::Receiver<()>, told: &Sender<Option<Line>>) {
    while wishes.recv().is_ok() {
        let line = line(&mut io::stdin().lock());
        let ends = line.is_none();
        if told.blocking_send(line).is_err() || ends {
            return;
        }
    }
}

/// The next line without its end; `None` where there is none, or it cannot be read. Of one that is too long, its start:
/// longer than anything that is taken.
fn line(from: &mut impl BufRead) -> Option<Line> {
    let mut bytes = Vec::new();
    let read = from.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes).ok()?;
    if read == 0 {
        return None;
    }
    let cut = bytes.last() != Some(&b'\n') && read as u64 == LINE_MAX;
    if cut {
        skip_line(from);
        // Perhaps within a character.
        bytes.truncate(bytes.len() - bytes.utf8_chunks().last().map_or(0, |end| end.invalid().len()));
    }
    let text = String::from_utf8(bytes).map_err(|_| NotText);
    Some(text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn skip_line(from: &mut impl BufRead) {
    loop {
        let Ok(buffer) = from.fill_buf() else { return };
        let (used, ends) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        from.consume(used);
        if ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_they_come() {
        let endless = "x".repeat(LINE_MAX as usize * 2);
        let text = format!("one\r\n\nlast \u{e9}\n{endless}\nafter\nno end");
        let mut from = text.as_bytes();
        let mut next = || line(&mut from).map(|line| line.expect("text"));
        assert_eq!(next().as_deref(), Some("one"));
        assert_eq!(next().as_deref(), Some(""));
        assert_eq!(next().as_deref(), Some("last \u{e9}"));
        assert_eq!(next().map(|line| line.len()), Some(LINE_MAX as usize));
        assert_eq!(next().as_deref(), Some("after"));
        assert_eq!(next().as_deref(), Some("no end"));
        assert_eq!(next(), None);
        assert_eq!(line(&mut &b"\xff\n"[..]), Some(Err(NotText)));
        let cut = format!("x{}\n", "\u{e9}".repeat(LINE_MAX as usize));
        let length = line(&mut cut.as_bytes()).map(|line| line.map(|line| line.len()));
        assert_eq!(length, Some(Ok(LINE_MAX as usize - 1)), "it is cut between two characters");
    }
}
