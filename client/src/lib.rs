//! The Bellhop client: a library that connects and stays connected, a terminal screen, and a command line.
//!
//! [`connect`] gives a [`Client`] to command and a channel of [`Event`]s to show. Behind them a thread keeps the
//! connection and the history. In reading order:
//!
//! * [`config`]: what a connection is made with. [`client`]: the handle. [`event`]: what it tells.
//! * `link`: the rules of a connection (pure), and the socket that follows them; `trust` decides who a server is.
//! * [`known`]: the servers that are known, and by what. `fingerprint`: how a key is compared.
//! * `history`: what was seen and sent, in an SQLite file. [`home`]: where that file is. `seat`: who is which device.
//! * [`text`]: what others write, made harmless. [`peer`]: whom a conversation is with. [`delivery`]: ticks.
//!   [`raw`]: `5|bob|hi`.
//! * `settings`: what a person has chosen, in files, variables and flags.
//! * `tui`: the screen. `plain`: the same without one, in lines. [`cli`]: the command line. All three use the library
//!   like anybody else.

pub mod cli;
pub mod client;
mod clock;
pub mod config;
pub mod delivery;
pub mod event;
mod fingerprint;
mod history;
pub mod home;
pub mod known;
mod link;
mod log;
pub mod peer;
mod plain;
#[doc(hidden)]
pub mod probe;
pub mod raw;
mod seat;
pub mod secret;
mod settings;
mod signals;
pub mod text;
mod tui;
mod whole;

pub use client::{Busy, Client, connect};
pub use config::{Config, Proof, Receive, Role, Server, Trust};
pub use delivery::Delivery;
pub use event::Event;
pub use fingerprint::{Fingerprint, FingerprintError};
pub use history::{Chosen, Query};
pub use home::Home;
pub use peer::Peer;
pub use secret::Secret;
