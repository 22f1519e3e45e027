//! The operator's commands, and the door in the data folder through which they reach a running server.

pub mod command;
mod identity;
