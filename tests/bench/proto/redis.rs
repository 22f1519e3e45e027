//! Redis, published and subscribed to: a channel for each receiver; the answer to PUBLISH is the answer to the sender.

use std::io;

use super::{Heard, Proto, Role, State, Target, line, name, number, refused};
use crate::net::Link;

/// Redis's channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redis;

/// The length of the value that the bytes begin with; `None` while it is incomplete.
pub(crate) fn value(bytes: &[u8]) -> Option<usize> {
    let end = line(bytes)?;
    let (count, _) = number(&bytes[1..]);
    match bytes[0] {
        b'$' if bytes[1] != b'-' => (bytes.len() >= end + count + 2).then_some(end + count + 2),
        b'*' if bytes[1] != b'-' => {
            let mut at = end;
            for _ in 0..count {
                at += value(bytes.get(at..)?)?;
            }
            Some(at)
        }
        _ => Some(end),
    }
}

/// The string that the bytes begin with, and its length with what frames it.
pub(crate) fn string(bytes: &[u8]) -> (&[u8], usize) {
    let (len, digits) = number(&bytes[1..]);
    let start = 3 + digits;
    (&bytes[start..start + len], start + len + 2)
}

/// A command.
pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let strings = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), strings.collect::<String>()).into_bytes()
}

/// Says a command and waits for what it says to that.
pub(crate) fn ask(link: &mut Link, words: &[&str]) -> io::Result<()> {
    link.say(&command(words))?;
    let answer = link.hear(value)?;
    if answer.starts_with(b"-") { Err(io::Error::other(refused(&answer))) } else { Ok(()) }
}

impl Proto for Redis {
    fn answers(&self) -> bool {
        true
    }

    fn login(&self, link: &mut Link, state: &mut State, role: Role) -> io::Result<()> {
        match role {
            Role::Receiver => ask(link, &["SUBSCRIBE", &name(state.party)]),
            _ => ask(link, &["PING"]),
        }
    }

    fn target(&self, _: u32, to: u32, size: usize) -> Target {
        let name = name(to);
        let before = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{name}\r\n${size}\r\n", name.len()).into_bytes();
        Target { before, after: b"\r\n".to_vec() }
    }

    fn decode(
        &self,
        _: &mut State,
        input: &[u8],
        _: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some(len) = value(&input[at..]) {
            let bytes = &input[at..at + len];
            match bytes[0] {
                b':' => heard.answers += 1,
                b'*' => {
                    // *3, the word, the channel, the text
                    let mut word = 4;
                    word += string(&bytes[word..]).1;
                    word += string(&bytes[word..]).1;
                    heard.message(string(&bytes[word..]).0)?;
                }
                b'-' => return Err(refused(bytes)),
                _ => {}
            }
            at += len;
        }
        Ok(at)
    }
}
