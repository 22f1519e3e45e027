//! Redis's streams as a queue for each user: XADD stores, XRANGE brings, XTRIM removes what was brought.

use std::io;

use super::redis::{ask, command, string, value};
use super::{Heard, Proto, Role, State, Target, name, number, refused};
use crate::net::Link;

/// Redis's streams; how many messages are fetched at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    pub(crate) batch: usize,
}

impl Proto for Streams {
    fn answers(&self) -> bool {
        true
    }

    fn login(&self, link: &mut Link, state: &mut State, role: Role) -> io::Result<()> {
        match role {
            Role::Absent => ask(link, &["DEL", &name(state.party)]),
            _ => ask(link, &["PING"]),
        }
    }

    fn target(&self, _: u32, to: u32, size: usize) -> Target {
        let name = name(to);
        let before =
            format!("*5\r\n$4\r\nXADD\r\n${}\r\n{name}\r\n$1\r\n*\r\n$1\r\nm\r\n${size}\r\n", name.len());
        Target { before: before.into_bytes(), after: b"\r\n".to_vec() }
    }

    fn fetch(&self, state: &mut State, out: &mut Vec<u8>) {
        let count = self.batch.min(state.wanted);
        if count > 0 {
            let words = ["XRANGE", &name(state.party), "-", "+", "COUNT", &count.to_string()];
            out.extend_from_slice(&command(&words));
        }
    }

    fn decode(
        &self,
        state: &mut State,
        input: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some(len) = value(&input[at..]) {
            let bytes = &input[at..at + len];
            match bytes[0] {
                b'$' => heard.answers += 1,
                b'*' => self.entries(bytes, state, out, heard)?,
                b'-' => return Err(refused(bytes)),
                _ => {}
            }
            at += len;
        }
        Ok(at)
    }
}

impl Streams {
    /// Each is an id and its fields, of which there is one: `*2 $id *2 $m $text`.
    fn entries(
        &self,
        bytes: &[u8],
        state: &mut State,
        out: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<(), String> {
        let (count, digits) = number(&bytes[1..]);
        let (mut at, mut last) = (3 + digits, &b""[..]);
        for _ in 0..count {
            let (id, len) = string(&bytes[at + 4..]);
            last = id;
            at += 4 + len + 4;
            at += string(&bytes[at..]).1;
            let (text, len) = string(&bytes[at..]);
            heard.message(text)?;
            at += len;
        }
        state.wanted = state.wanted.saturating_sub(count);
        let last = String::from_utf8_lossy(last);
        if let Some((time, number)) = last.split_once('-') {
            let next = number.parse::<u64>().map_err(|error| error.to_string())? + 1;
            let words = ["XTRIM", &name(state.party), "MINID", &format!("{time}-{next}")];
            out.extend_from_slice(&command(&words));
            self.fetch(state, out);
        }
        Ok(())
    }
}
