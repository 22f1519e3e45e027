//! NATS core: a subject for each receiver, at most once, nothing said to the sender.

use std::io;

use super::{Heard, Proto, Role, State, Target, line, name, number, refused, up_to};
use crate::net::Link;

/// NATS core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nats;

/// A line of the protocol, with what belongs to it.
pub(crate) enum Line<'a> {
    /// Where an answer goes, and the payload.
    Message(&'a [u8], &'a [u8]),
    /// Are you there?
    Ping,
    /// Anything else.
    Other,
}

/// Connects, and says something more.
pub(crate) fn enter(link: &mut Link, more: &str) -> io::Result<()> {
    link.hear(up_to(b"\r\n"))?;
    let options = r#"{"verbose":false,"pedantic":false,"lang":"bench","version":"0"}"#;
    link.say(format!("CONNECT {options}\r\n{more}PING\r\n").as_bytes())?;
    link.hear(up_to(b"PONG\r\n")).map(drop)
}

/// The line that the bytes begin with, and its length; `None` while it is incomplete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Line<'_>, usize)>, String> {
    let Some(end) = line(bytes) else { return Ok(None) };
    let words = &bytes[..end - 2];
    let body = |len: usize| (bytes.len() >= end + len + 2).then_some(end + len + 2);
    if let Some(words) = words.strip_prefix(b"MSG ") {
        let mut words = words.split(|byte| *byte == b' ').skip(2);
        let third = words.next().ok_or_else(|| refused(bytes))?;
        let (reply, len) = words.next().map_or((&b""[..], third), |len| (third, len));
        let len = number(len).0;
        return Ok(body(len).map(|all| (Line::Message(reply, &bytes[end..end + len]), all)));
    }
    if words.starts_with(b"HMSG ") {
        let len = words.rsplit(|byte| *byte == b' ').next().map_or(0, |len| number(len).0);
        return Ok(body(len).map(|all| (Line::Other, all)));
    }
    match words {
        b"PING" => Ok(Some((Line::Ping, end))),
        _ if words.starts_with(b"-ERR") => Err(refused(words)),
        _ => Ok(Some((Line::Other, end))),
    }
}

impl Proto for Nats {
    fn answers(&self) -> bool {
        false
    }

    fn login(&self, link: &mut Link, state: &mut State, role: Role) -> io::Result<()> {
        let hears = role == Role::Receiver;
        enter(link, &if hears { format!("SUB {} 1\r\n", name(state.party)) } else { String::new() })
    }

    fn target(&self, _: u32, to: u32, size: usize) -> Target {
        Target { before: format!("PUB {} {size}\r\n", name(to)).into_bytes(), after: b"\r\n".to_vec() }
    }

    fn decode(
        &self,
        _: &mut State,
        input: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some((line, len)) = parse(&input[at..])? {
            match line {
                Line::Message(_, text) => heard.message(text)?,
                Line::Ping => out.extend_from_slice(b"PONG\r\n"),
                Line::Other => {}
            }
            at += len;
        }
        Ok(at)
    }
}
