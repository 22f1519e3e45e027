//! MQTT 3.1.1: a topic for each receiver; at most once, or at least once with answers to both sides.

use std::io;

use super::{Heard, Proto, Role, State, Target, name, refused};
use crate::net::Link;

const CONNECT: u8 = 0x10;
const CONNECTED: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBLISHED: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBSCRIBED: u8 = 0x90;
const DISCONNECT: u8 = 0xe0;

/// MQTT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mqtt {
    /// 0: at most once, 1: at least once.
    pub(crate) quality: u8,
    /// What comes for somebody who is away is kept.
    pub(crate) keeps: bool,
}

fn put_len(mut len: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(len & 127).unwrap();
        len >>= 7;
        out.push(if len > 0 { low | 128 } else { low });
        if len == 0 {
            return;
        }
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    put_len(body.len(), &mut packet);
    packet.extend_from_slice(body);
    packet
}

/// The kind of the packet that the bytes begin with, and where its body is; `None` while it is incomplete.
fn parse(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (mut len, mut at) = (0, 1);
    loop {
        let byte = *bytes.get(at)?;
        len |= usize::from(byte & 127) << (7 * (at - 1));
        at += 1;
        if byte & 128 == 0 {
            break;
        }
    }
    (bytes.len() >= at + len).then_some((bytes[0], at, at + len))
}

fn ask(link: &mut Link, kind: u8, body: &[u8], wanted: u8) -> io::Result<()> {
    link.say(&packet(kind, body))?;
    let answer = link.hear(|bytes| parse(bytes).map(|(.., end)| end))?;
    let is_good = answer[0] == wanted && answer.last().is_some_and(|code| *code < 3);
    if is_good { Ok(()) } else { Err(io::Error::other(format!("the server said: {answer:02x?}"))) }
}

impl Proto for Mqtt {
    fn answers(&self) -> bool {
        self.quality > 0
    }

    fn login(&self, link: &mut Link, state: &mut State, role: Role) -> io::Result<()> {
        let name = name(state.party);
        let stays = self.keeps && role != Role::Sender;
        let mut connect = b"\0\x04MQTT\x04".to_vec();
        connect.extend_from_slice(&[if stays { 0 } else { 2 }, 0, 0]);
        put_text(&name, &mut connect);
        ask(link, CONNECT, &connect, CONNECTED)?;
        if matches!(role, Role::Receiver | Role::Absent) {
            let mut subscribe = vec![0, 1];
            put_text(&name, &mut subscribe);
            subscribe.push(self.quality);
            ask(link, SUBSCRIBE, &subscribe, SUBSCRIBED)?;
        }
        if role == Role::Absent { link.say(&packet(DISCONNECT, b"")) } else { Ok(()) }
    }

    fn target(&self, _: u32, to: u32, size: usize) -> Target {
        let name = name(to);
        let mut before = vec![PUBLISH | self.quality << 1];
        put_len(2 + name.len() + if self.quality > 0 { 2 } else { 0 } + size, &mut before);
        put_text(&name, &mut before);
        Target { before, after: Vec::new() }
    }

    fn encode(&self, state: &mut State, target: &Target, text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&target.before);
        if self.quality > 0 {
            // 1 to 65,535, again and again.
            state.counter = state.counter % 65_535 + 1;
            out.extend_from_slice(&u16::try_from(state.counter).unwrap().to_be_bytes());
        }
        out.extend_from_slice(text);
    }

    fn decode(
        &self,
        _: &mut State,
        input: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Heard,
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some((kind, start, end)) = parse(&input[at..]) {
            let body = &input[at + start..at + end];
            match kind & 0xf0 {
                PUBLISH => {
                    let mut text =
                        2 + usize::from(u16::from_be_bytes(*body.first_chunk().ok_or("no topic")?));
                    if kind & 6 != 0 {
                        let id = body.get(text..text + 2).ok_or("no id")?;
                        out.extend_from_slice(&[PUBLISHED, 2, id[0], id[1]]);
                        text += 2;
                    }
                    heard.message(&body[text..])?;
                }
                PUBLISHED => heard.answers += 1,
                0xd0 => {}
                _ => return Err(refused(&input[at..at + end])),
            }
            at += end;
        }
        Ok(at)
    }
}
