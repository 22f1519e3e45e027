//! Support for tests of the whole: servers to test against, a peer that says exactly what a test wants, and a checker
//! of histories.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test that uses this")]

pub mod checker;
pub mod mutant;
pub mod peer;
pub mod process;
pub mod server;
pub mod tools;
pub mod wait;
