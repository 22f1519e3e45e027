//! The operator's commands, and the door in the data folder through which they reach a running server.
//!
//! * [`command`]: what was typed is done. [`caller`]: by a server that runs, or by one opened for it; [`database`]: or
//!   on the database itself. `identity`: or on its key. [`secret`]: where passwords come from. [`show`], [`words`]: what is said, and how.
//! * [`wire`]: what passes through the door. [`transport`]: the door itself. [`door`]: serving it.
//! * [`desk`]: what requests mean. [`status`], [`why`]: what is told.

pub mod caller;
pub mod command;
pub mod database;
pub mod desk;
pub mod door;
pub mod drain;
mod identity;
pub mod secret;
pub mod show;
pub mod status;
pub mod transport;
pub mod why;
pub mod wire;
pub mod words;
