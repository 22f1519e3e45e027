//! The Bellhop server.
