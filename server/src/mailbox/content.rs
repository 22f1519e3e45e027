//! What an item says, wherever it lies, and how it is written to a session.

use bellhop_protocol::item::{Message, Receipt, ReceiptState};
use bellhop_protocol::{MessageId, frame, text};

use super::Effects;
use super::stream::Outlet;
use crate::store::Author;

/// The fields of an item, borrowed from wherever it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// The message's id; for a receipt, of the message it is about.
    pub id: MessageId,
    /// When it was kept, in ms since 1970.
    pub time_ms: u64,
    /// The sender's name; for a receipt, who took, read or lost the message.
    pub name: &'a str,
    /// What it is.
    pub body: Body<'a>,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A message, and who sent it.
    Message(Author, &'a str),
    /// How a message ended.
    Receipt(ReceiptState),
}

/// An item that was fetched from the store.
#[derive(Debug)]
pub struct Fetched {
    /// Its number in the mailbox.
    pub seq: u64,
    /// Its fields, as a frame would need them.
    pub content: OwnedContent,
}

/// The fields of an item, owned.
#[derive(Debug)]
pub struct OwnedContent {
    /// As in [`Content`].
    pub id: MessageId,
    /// As in [`Content`].
    pub time_ms: u64,
    /// As in [`Content`].
    pub name: String,
    /// As in [`Content`].
    pub body: OwnedBody,
}

/// What an item is, owned.
#[derive(Debug)]
pub enum OwnedBody {
    /// A message.
    Message(Author, String),
    /// A receipt.
    Receipt(ReceiptState),
}

impl OwnedContent {
    /// The fields, borrowed.
    pub fn as_content(&self) -> Content<'_> {
        let body = match &self.body {
            OwnedBody::Message(author, text) => Body::Message(*author, text),
            OwnedBody::Receipt(state) => Body::Receipt(*state),
        };
        Content { id: self.id, time_ms: self.time_ms, name: &self.name, body }
    }
}

/// Writes an item as the frame of a session with the extension; returns the bytes ever appended to the outlet.
pub(super) fn push_item<O: Outlet>(
    outlet: &O,
    seq: u64,
    content: &Content<'_>,
    effects: &mut Effects,
) -> Option<u64> {
    let Content { id, time_ms, name, body } = *content;
    match body {
        Body::Message(_, text) => {
            let message = Message { seq, id, time_ms, from: name, text };
            outlet.push(message.wire_len(), effects, |out| message.put(out))
        }
        Body::Receipt(state) => {
            let receipt = Receipt { seq, id, state, time_ms, peer: name };
            outlet.push(receipt.wire_len(), effects, |out| receipt.put(out))
        }
    }
}

/// Writes a message as the frame of a text session.
pub(super) fn push_delivery<O: Outlet>(
    outlet: &O,
    content: &Content<'_>,
    effects: &mut Effects,
) -> Option<u64> {
    let Body::Message(_, text) = content.body else { return None };
    let len = frame::HEADER + content.name.len() + 1 + text.len();
    outlet.push(len, effects, |out| text::put_delivery(out, content.name, text))
}
