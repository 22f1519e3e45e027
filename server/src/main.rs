//! The Bellhop server.
fn main() {}
