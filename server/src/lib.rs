//! The Bellhop server: keeps accounts and mailboxes in an SQLite file, and moves messages between people.
//!
//! In reading order, from the socket inwards and back:
//!
//! * [`config`], [`limits`]: what was typed, and every bound with its reason. [`server`]: builds and owns all parts;
//!   [`engine`]: those of them that are no sockets; [`folder`]: one server a data folder;
//!   [`disk`]: how much of its disk stays free.
//! * [`net`]: sockets; carries bytes, decides nothing. [`identity`]: the server's key and its fingerprint. [`session`]:
//!   what a connection may ask now (pure).
//! * [`service`]: what requests mean. [`auth`]: passwords and tokens; [`throttle`]: how fast they may be guessed.
//!   [`ids`], [`window`]: ids and counters of POSTs.
//! * [`mailbox`]: one account's items, devices and sessions; who is given what (pure). [`rate`]: token buckets;
//!   [`budget`]: memory that many share.
//! * [`presence`]: who is told who is online and who is typing.
//! * [`keeper`]: the thread that writes: stage, commit, release. [`store`]: what it writes to, and its contract.
//! * [`core`], [`hub`], [`outbox`], [`counters`]: what all share; who is in memory; bytes on their way out; what happened.
//! * [`ops`]: the operator's commands, and the door they come through.
//! * [`manager`]: what a service manager and the server tell each other. [`process`]: what the system lets it have.
//! * [`log`]: lines on standard error.
//! * [`clock`]: the only reader of clocks and randomness.

pub mod auth;
pub mod budget;
pub mod clock;
pub mod config;
pub mod core;
pub mod counters;
pub mod disk;
pub mod engine;
pub mod folder;
pub mod hub;
pub mod identity;
pub mod ids;
pub mod keeper;
pub mod limits;
pub mod log;
pub mod mailbox;
pub mod manager;
pub mod net;
pub mod ops;
pub mod outbox;
pub mod presence;
pub mod process;
pub mod rate;
pub mod server;
pub mod service;
pub mod session;
pub mod store;
pub mod sync;
pub mod throttle;
pub mod window;
