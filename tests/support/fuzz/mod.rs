//! What fuzzing runs: a function a target, which panics where a property does not hold. The fuzzer in `tests/fuzz` and
//! the test that replays the corpora call the same functions.

mod files;
mod session;
mod wire;
mod words;

pub use words::is_harmless;

/// What is given inputs.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also of its corpus and its binary.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($(#[doc = $doc:literal])+ $module:ident::$name:ident;)+) => {
        $($(#[doc = $doc])+ pub fn $name(input: &[u8]) {
            $module::$name(input);
        })+

        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name }),+];
    };
}

targets! {
    /// A stream of bytes, cut into frames.
    wire::frames;
    /// A frame from a client: an op-code and its data.
    wire::requests;
    /// A frame from a server, as a client reads it.
    wire::replies;
    /// Names, addresses, and what they are compared by.
    words::names;
    /// Text from others, for a terminal.
    words::clean;
    /// A line that a person types.
    words::typed;
    /// One `NAME=VALUE`.
    words::limits;
    /// A config file.
    words::config;
    /// A line that comes through the operator's door.
    files::door;
    /// The file of known servers, below a server's address as it is typed.
    files::known;
    /// A person's config file.
    files::settings;
    /// The file of a theme.
    files::themes;
    /// A key as it is written in a config file.
    files::keys;
    /// All that a connection may say to a server.
    session::session;
}

/// The inputs of a corpus: a line of hex digits each.
///
/// # Panics
///
/// Where a line is something else.
pub fn corpus(text: &str) -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}
