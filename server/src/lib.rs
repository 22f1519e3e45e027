//! The Bellhop server.

pub mod auth;
pub mod clock;
pub mod config;
pub mod core;
pub mod hub;
pub mod ids;
pub mod keeper;
pub mod limits;
pub mod mailbox;
pub mod net;
pub mod outbox;
pub mod rate;
pub mod server;
pub mod service;
pub mod session;
pub mod store;
pub mod window;
