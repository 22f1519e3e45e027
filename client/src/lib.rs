//! The Bellhop client.
