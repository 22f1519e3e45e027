//! NATS JetStream, stored in files: what is published is answered, each user has a durable consumer and acknowledges
//! each message, which goes then.

use std::io;

use super::nats::{Line, enter, parse};
use super::{Heard, Proto, Role, State, Target, name, refused};
use crate::net::Link;

const STREAM: &str = "BENCH";

/// JetStream; how many messages are fetched at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JetStream {
    pub(crate) batch: usize,
}

/// A request to the server, and its answer, which comes to nobody else.
fn request(link: &mut Link, name: &str, subject: &str, body: &str) -> io::Result<String> {
    link.say(format!("PUB {subject} _INBOX.{name} {}\r\n{body}\r\n", body.len()).as_bytes())?;
    let answer = link.hear(|bytes| {
        let mut at = 0;
        while let Ok(Some((line, len))) = parse(&bytes[at..]) {
            at += len;
            if let Line::Message(..) = line {
                return Some(at);
            }
        }
        None
    })?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn prepare(link: &mut Link, name: &str) -> io::Result<()> {
    let stream = format!(
        r#"{{"name":"{STREAM}","subjects":["bench.>"],"retention":"workqueue","storage":"file","discard":"new","num_replicas":1,"max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"duplicate_window":0}}"#
    );
    let consumer = format!(
        r#"{{"stream_name":"{STREAM}","config":{{"durable_name":"{name}","ack_policy":"explicit","deliver_policy":"all","filter_subject":"bench.{name}","max_ack_pending":-1,"ack_wait":300000000000,"replay_policy":"instant"}}}}"#
    );
    for (what, body, known) in [
        (format!("$JS.API.STREAM.CREATE.{STREAM}"), stream, "already in use"),
        (format!("$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{name}"), consumer, "already exists"),
    ] {
        let answer = request(link, name, &what, &body)?;
        if answer.contains("\"error\"") && !answer.contains(known) {
            return Err(io::Error::other(refused(answer.as_bytes())));
        }
    }
    Ok(())
}

impl Proto for JetStream {
    fn answers(&self) -> bool {
        true
    }

    fn login(&self, link: &mut Link, state: &mut State, role: Role) -> io::Result<()> {
        let name = name(state.party);
        enter(link, &format!("SUB _INBOX.{name} 1\r\n"))?;
        if role == Role::Absent { prepare(link, &name) } else { Ok(()) }
    }

    fn target(&self, from: u32, to: u32, size: usize) -> Target {
        let before = format!("PUB bench.{} _INBOX.{} {size}\r\n", name(to), name(from)).into_bytes();
        Target { before, after: b"\r\n".to_vec() }
    }

    fn fetch(&self, state: &mut State, out: &mut Vec<u8>) {
        state.underway = self.batch.min(state.wanted);
        if state.underway > 0 {
            let (name, batch) = (name(state.party), state.underway);
            let body = format!(r#"{{"batch":{batch},"expires":60000000000}}"#);
            let ask = format!("PUB $JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name} _INBOX.{name} {}", body.len());
            out.extend_from_slice(format!("{ask}\r\n{body}\r\n").as_bytes());
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
        while let Some((line, len)) = parse(&input[at..])? {
            match line {
                Line::Message(reply, text) if reply.starts_with(b"$JS.ACK.") => {
                    heard.message(text)?;
                    out.extend_from_slice(&[b"PUB ", reply, b" 4\r\n+ACK\r\n"].concat());
                    state.wanted = state.wanted.saturating_sub(1);
                    state.underway = state.underway.saturating_sub(1);
                    if state.underway == 0 {
                        self.fetch(state, out);
                    }
                }
                Line::Message(_, answer) if answer.starts_with(br#"{"stream""#) => heard.answers += 1,
                Line::Message(_, answer) => return Err(refused(answer)),
                Line::Ping => out.extend_from_slice(b"PONG\r\n"),
                Line::Other => {}
            }
            at += len;
        }
        Ok(at)
    }
}
