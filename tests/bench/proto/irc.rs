//! IRC: PRIVMSG to a nick, nothing said to the sender. A line has 512 bytes at most, with who sent it.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Heard, Proto, Role, State, Target, line, refused, up_to};
use crate::net::Link;

/// IRC; the number keeps nicks of one run apart from those of another, which may still be there.
#[derive(Debug, Default)]
pub(crate) struct Irc {
    run: AtomicU32,
}

impl Irc {
    fn nick(&self, party: u32) -> String {
        format!("n{}x{party}", self.run.load(Ordering::Relaxed))
    }
}

impl Proto for Irc {
    fn answers(&self) -> bool {
        false
    }

    fn begin(&self) {
        self.run.fetch_add(1, Ordering::Relaxed);
    }

    fn login(&self, link: &mut Link, state: &mut State, _: Role) -> io::Result<()> {
        let nick = self.nick(state.party);
        link.say(format!("NICK {nick}\r\nUSER bench 0 * :bench\r\n").as_bytes())?;
        loop {
            let line = link.hear(up_to(b"\n"))?;
            if let Some(word) = line.strip_prefix(b"PING ") {
                link.say(&[b"PONG ", word].concat())?;
            }
            match line.split(|byte| *byte == b' ').nth(1) {
                // The message of the day has ended, or there is none.
                Some(b"376" | b"422") => return Ok(()),
                Some(b"432" | b"433" | b"436") => return Err(io::Error::other(refused(&line))),
                _ if line.starts_with(b"ERROR") => return Err(io::Error::other(refused(&line))),
                _ => {}
            }
        }
    }

    fn target(&self, _: u32, to: u32, _: usize) -> Target {
        Target { before: format!("PRIVMSG {} :", self.nick(to)).into_bytes(), after: b"\r\n".to_vec() }
    }

    fn decode(
        &self,
        _: &mut State,
        input: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some(end) = line(&input[at..]) {
            let words = input[at..at + end - 1].trim_ascii_end();
            if let Some(word) = words.strip_prefix(b"PING ") {
                out.extend_from_slice(&[b"PONG ", word, b"\r\n"].concat());
            } else if words.starts_with(b"ERROR") {
                return Err(refused(words));
            } else if let Some(space) = words.iter().position(|byte| *byte == b' ') {
                let command = &words[space + 1..];
                if command.starts_with(b"PRIVMSG ") {
                    let colon = command.iter().position(|byte| *byte == b':').ok_or("no text")?;
                    heard.message(&command[colon + 1..])?;
                } else if command.starts_with(b"401 ") {
                    return Err(refused(words));
                }
            }
            at += end;
        }
        Ok(at)
    }
}
