//! Sockets: they carry bytes, and decide nothing but who may connect.

pub mod admission;
pub mod conn;
pub mod door;
pub mod listener;
pub mod stream;
mod tls;
