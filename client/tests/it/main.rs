//! The client against a server in this process: the library, and the binary as a script sees it.

mod again;
mod cli;
mod config;
mod desk;
mod greedy;
mod guide;
#[cfg(unix)]
mod hostile;
mod library;
mod passwd;
mod reading;
mod script;
#[cfg(target_os = "linux")]
mod secrets;
mod server;
#[cfg(unix)]
mod signals;
mod support;
#[cfg(unix)]
mod system;
mod tls;
mod trust;
