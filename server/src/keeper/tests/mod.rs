//! The writing thread, a turn at a time, on a store in memory that fails and survives as a test wants. Nothing here
//! waits: time is moved.

mod bench;
mod commits;
mod credentials;
mod damage;
mod devices;
mod memory;
mod races;
mod simulation;
mod upkeep;
