//! Tests over real sockets, a module for each subject:
//!
//! * `accounts`: CREATE, LOGIN, LOGOUT, DELETE, LIST, passwords and tokens. `passwords`: changing them.
//! * `guesses`: how fast passwords, accounts and names may be tried. `owners`: what belongs to an account.
//! * `mail`: SEND and DELIVER, the seven operations' delivery.
//! * `presence`: who is told who is online and who is typing.
//! * `extension`: POST, MESSAGE, ACK, receipts, resumption, several devices.
//! * `wire`: pieces of frames, hostile lengths, wrong ops in every state.
//! * `fuzz`: what fuzzing found, again.
//! * `harmless`: what others write, at each place where a terminal or a program meets it.
//! * `tls`: sessions inside TLS, certificates, other protocols, other machines.
//! * `hostile`: a hundred thousand things that a hostile peer may say.
//! * `matrix`: every op-code in every state.
//! * `operator`: the operator's commands, on servers that run and on folders where none does.
//! * `limits`: bounds, and servers that cannot keep anything now.
//! * `damaged`: rows that are damaged while the server runs.
//! * `restart`: orderly ends, starts on what was left, kill -9 under load.
//! * `skew`: recorded sessions of every release, and other versions.
//! * `start`: starts that are cut off, on damage, without threads; service managers; ends under load.
//! * `clients`: screens and programs on the client's library while the server is killed.
//! * `outside`: what has the screen's terminal for a while; floods while somebody types. `lines`: without a screen.
//! * `chosen`: themes, settings and accounts on pseudo terminals.
//! * `screen`: the terminal client on pseudo terminals. `typing`: while servers and screens are killed.
//! * `tui`: what a person does at the screen and sees there, by the rows of `tests/screens.md`.
//! * `identity`: clients that know a server by its key.
//! * `script`: the command line in scripts: kills, long pipes, every example of the help.
//! * `cost`: what is counted rather than timed: fsyncs, wake-ups, address space.
//! * `faults`: system calls that fail or take long, under load.
//! * `powerloss`: folders as a power loss leaves them.
//! * `flood`: crowds that are up to something.
//! * `links`: networks that cut, slice, reset and swallow.
//! * `rows`: what shows what; no row of the table is missing, and everything named is there.
//! * `screens`: the same of the screen.
//! * `readme`: its picture, its keys and commands.
//! * `book`: PROTOCOL.md's client, and rules of the repository that can be a test.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod accounts;
mod book;
#[cfg(unix)]
mod chosen;
#[cfg(unix)]
mod clients;
#[cfg(target_os = "linux")]
mod cost;
mod damaged;
mod extension;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod flood;
mod fuzz;
mod guesses;
#[cfg(unix)]
mod harmless;
mod hostile;
#[cfg(unix)]
mod identity;
mod limits;
#[cfg(unix)]
mod lines;
#[cfg(target_os = "linux")]
mod links;
mod mail;
mod matrix;
mod operator;
#[cfg(unix)]
mod outside;
mod owners;
mod passwords;
#[cfg(target_os = "linux")]
mod powerloss;
mod presence;
#[cfg(unix)]
mod readme;
mod restart;
mod rows;
#[cfg(unix)]
mod screen;
mod screens;
#[cfg(unix)]
mod script;
mod skew;
#[cfg(target_os = "linux")]
mod start;
mod tls;
#[cfg(target_os = "linux")]
mod tui;
#[cfg(unix)]
mod typing;
mod wire;
