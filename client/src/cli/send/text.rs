//! The text of a message: the arguments, or stdin to its end.

use std::io::{IsTerminal, Read};

use bellhop_protocol::frame::LIMIT_MAX;

use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::tui::MESSAGE_MAX;

/// The longest text that a frame holds beside its recipient and counter.
pub(super) const TEXT_MAX: usize = LIMIT_MAX as usize - 1_024;

/// The text of the command.
pub(super) async fn read(words: &[String], output: &Output) -> Result<String, Failure> {
    let text = if words.is_empty() || words == ["-"] { from_stdin(output).await? } else { words.join(" ") };
    if text.len() > TEXT_MAX {
        return Err(too_long());
    }
    Ok(text)
}

pub(super) fn too_long() -> Failure {
    Failure::usage(format!("longer than any server takes; usually a message has at most {MESSAGE_MAX} bytes"))
}

/// Says that a person is expected to type.
pub(super) async fn invite(output: &Output, what: &str) {
    if std::io::stdin().is_terminal() {
        output.remark(&format!("reading {what} from the terminal; Ctrl+D ends it")).await;
    }
}

async fn from_stdin(output: &Output) -> Result<String, Failure> {
    invite(output, "the message").await;
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(TEXT_MAX as u64 + 2).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.await.map_err(Failure::local)?.map_err(Failure::local)?;
    if bytes.len() > TEXT_MAX + 1 {
        // Perhaps cut within a character.
        return Err(too_long());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| Failure::usage("the text on stdin is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.is_empty() {
        // What was to write it has failed, more often than not.
        return Err(Failure::usage("nothing came on stdin; the text '' sends an empty message"));
    }
    Ok(text)
}
