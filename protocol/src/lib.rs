//! The Bellhop wire protocol: bytes to types and back.
//!
//! This crate does no I/O, reads no clock, draws no random numbers and writes no log. It is what a server, a client
//! and a test share; `PROTOCOL.md` says in prose what it does in code. In reading order:
//!
//! * [`op`]: the table of op-codes, one row each.
//! * [`frame`]: five bytes of header, then data; what is incomplete, what is too long.
//! * [`codec`]: the same as a tokio-util `Decoder` and `Encoder`.
//! * [`request`]: what a client may say, as one enum.
//! * [`reply`]: what a server may say, as one enum.
//! * [`text`]: the fields of the seven operations, separated by bars.
//! * [`session`], [`post`], [`item`], [`presence`]: the frames of the session extension.
//! * [`name`]: user names and addresses, parsed once.
//! * [`code`]: why something was refused, as a number and as a word.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

pub mod code;
pub mod codec;
mod fields;
pub mod frame;
pub mod item;
pub mod name;
pub mod op;
pub mod post;
pub mod presence;
pub mod reply;
pub mod request;
pub mod session;
pub mod text;

pub use code::Code;
pub use frame::{Frame, RawFrame};
pub use name::{Address, Name, NameKey, Username};
pub use op::OpCode;
pub use reply::Reply;
pub use request::Request;
pub use session::{DeviceId, MessageId};

/// The version of the session extension that this crate speaks (PROTOCOL.md, HELLO).
pub const VERSION: u16 = 1;
/// The port a server listens on unless told otherwise.
pub const PORT: u16 = 2050;
/// How far apart a device's unanswered counters may lie, and how many outcomes a server remembers (PROTOCOL.md, POST).
pub const COUNTER_WINDOW: u64 = 1024;
/// Sequence numbers, counters and times stay below this, so that they fit a signed column anywhere.
pub const NUMBER_LIMIT: u64 = 1 << 63;
