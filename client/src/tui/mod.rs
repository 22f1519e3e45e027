//! The screen.
//!
//! ```text
//!   terminal ──► input ──Msg──► update(&mut Model) ──Effect──► run ──► library
//!   library ─────────────Msg──►        │
//!                                   dirty ──► view(&Model) ──► terminal, one write a frame
//! ```
//!
//! `model` is what is known; `update` changes it and is pure; `view` draws it and is pure; `run` is the one loop that
//! waits. The rest are parts of these: `input` makes keys and pastes of reports, `keymap` and `typed` say what they
//! mean, `composer` is the box, `window` and `pane` the messages, `layout` where everything is, `form` the login.

mod about;
mod aside;
mod backend;
pub(crate) mod bare;
pub(crate) mod bindings;
mod chosen;
mod composer;
mod copy;
mod demo;
mod editor;
mod effect;
mod focus;
mod form;
mod glyphs;
mod help;
mod input;
pub(crate) mod key;
mod keymap;
mod layout;
#[cfg(unix)]
mod leaps;
mod looks;
pub(crate) mod model;
pub(crate) mod notify;
mod opener;
mod pace;
mod palette;
mod pane;
mod passwords;
mod pen;
mod people;
mod run;
mod signals;
#[cfg(test)]
mod stage;
mod stats;
mod terminal;
pub(crate) mod theme;
mod trusting;
pub(crate) mod typed;
pub(crate) mod update;
mod view;
mod window;

/// The names of the actions that keys can be bound to.
pub(crate) fn action_names() -> impl Iterator<Item = &'static str> {
    keymap::TABLE.iter().map(|row| row.name)
}

pub(crate) use about::{action_name, key_name, keys_text};
pub(crate) use backend::Backend;
pub(crate) use bindings::Bindings;
pub(crate) use looks::load as load_looks;
pub(crate) use pane::written;
pub(crate) use run::{Start, run, run_demo};
pub(crate) use update::MESSAGE_MAX;
