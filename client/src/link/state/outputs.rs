//! How things are said: to the user of the library, and to the server.

use std::time::Instant;

use bellhop_protocol::Request;

use super::{PINGS_MAX, Ping, SYNCS_MAX, State};
use crate::event::{Answer, Event};
use crate::link::{Bytes, Output};
use crate::raw::Verdict;

impl State {
    pub(super) fn answer(&mut self, tag: u64, op: u8, fields: Result<Vec<String>, String>) {
        self.outputs.push_back(Output::Event(Event::Answer(Answer {
            tag,
            op,
            fields,
            verdict: Verdict::Done,
        })));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Writes a request behind what is to be written already.
    pub(super) fn put(&mut self, request: &Request<'_>) {
        request.put(self.wire());
    }

    /// Writes bytes that are a frame of text.
    pub(super) fn put_raw(&mut self, op: u8, data: &[u8]) {
        bellhop_protocol::frame::put(self.wire(), op, data);
    }

    pub(super) fn wire(&mut self) -> &mut Vec<u8> {
        if !matches!(self.outputs.back(), Some(Output::Write(_))) {
            self.outputs.push_back(Output::Write(Bytes(Vec::new())));
        }
        match self.outputs.back_mut() {
            Some(Output::Write(bytes)) => &mut bytes.0,
            _ => unreachable!("the last output was made a write above"),
        }
    }

    pub(super) fn ping(&mut self, now: Instant, sync: Option<u64>) {
        match sync {
            None if self.pings.len() >= PINGS_MAX => return,
            // Whoever waits for this one learns at least that the connection has ended.
            Some(_) if self.pings.len() >= SYNCS_MAX => return self.silent(now),
            _ => {}
        }
        self.pings_sent += 1;
        let bytes = self.pings_sent.to_be_bytes();
        self.pings.push_back(Ping { bytes, at: now, sync });
        self.put(&Request::Ping(bytes));
    }
}
