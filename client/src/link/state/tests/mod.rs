//! The rules in virtual time, against a scripted server and a real history that lives in memory.

mod delivery;
mod disk;
mod doorstep;
mod doubt;
mod hostile;
mod inbox;
mod later;
mod order;
mod pair;
mod password;
mod presence;
mod sign_in;
mod sim;
mod time;
