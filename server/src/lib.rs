//! The Bellhop server.

pub mod mailbox;
pub mod store;
pub mod window;
