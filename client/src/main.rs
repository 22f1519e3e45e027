//! The Bellhop client.
fn main() {}
