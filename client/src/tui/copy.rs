//! Puts text where other programs paste from. Which ways there are is decided from the environment, and tested; the ways
//! themselves are programs of the system, on a thread of their own, and a sequence that the terminal understands.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clock;

/// How long a program may take: one that waits for a display that does not answer waits for ever.
const PROGRAM_MAX: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Bytes that terminals take in one sequence; some drop longer ones without a word.
const SEQUENCE_MAX: usize = 74_000;

/// A system, as far as its clipboard goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Windows,
    MacOs,
    Other,
}

impl System {
    /// This one.
    pub(crate) fn here() -> System {
        match (cfg!(windows), cfg!(target_os = "macos")) {
            (true, _) => System::Windows,
            (false, true) => System::MacOs,
            (false, false) => System::Other,
        }
    }
}

/// A way to the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A program that reads the text from its stdin.
    Program(&'static str, &'static [&'static str]),
    /// The terminal, by OSC 52.
    Terminal,
}

impl Way {
    /// How the way is called, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Program(name, _) => name,
            Way::Terminal => "OSC 52",
        }
    }
}

/// The ways from here to the clipboard that the person pastes from, the best first.
pub(crate) fn ways(system: System, variable: impl Fn(&str) -> Option<String>) -> Vec<Way> {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let mut ways = Vec::new();
    if set("TMUX") {
        // It hands on what it is told to, where it would drop the sequence of a program inside.
        ways.push(Way::Program("tmux", &["load-buffer", "-w", "-"]));
    }
    // Over SSH the clipboard of this machine is not the one of whoever sits there. A shell that was started by another
    // user has the connection and not always the terminal.
    if !(set("SSH_CONNECTION") || set("SSH_TTY")) {
        match system {
            System::Windows => ways.push(Way::Program("clip", &[])),
            System::MacOs => ways.push(Way::Program("pbcopy", &[])),
            System::Other if set("WAYLAND_DISPLAY") => ways.push(Way::Program("wl-copy", &[])),
            System::Other => {}
        }
        if system == System::Other && set("DISPLAY") {
            ways.push(Way::Program("xclip", &["-selection", "clipboard", "-in"]));
        }
    }
    // The console of Linux knows no such sequence, and shows a part of it.
    if !matches!(variable("TERM").as_deref(), Some("linux" | "dumb")) {
        ways.push(Way::Terminal);
    }
    ways
}

/// Tries the programs among the ways in their order. Returns the way that took the text, or is left to take it.
pub(crate) fn through_programs(ways: &[Way], text: &str) -> Result<Way, String> {
    let mut reasons = Vec::new();
    for way in ways {
        match *way {
            Way::Terminal if text.len().div_ceil(3) * 4 > SEQUENCE_MAX => {
                reasons.push("too long for the terminal (OSC 52)".to_owned());
            }
            Way::Terminal => return Ok(Way::Terminal),
            Way::Program(program, arguments) => match run(program, arguments, text) {
                Ok(()) => return Ok(*way),
                Err(error) => reasons.push(format!("{program}: {error}")),
            },
        }
    }
    if reasons.is_empty() {
        reasons.push("nothing here takes it; wl-copy and xclip would, within a desktop".into());
    }
    Err(reasons.join("; "))
}

fn run(program: &str, arguments: &[&str], text: &str) -> io::Result<()> {
    let bytes = if program == "clip" { utf16(text) } else { text.as_bytes().to_vec() };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let until = clock::now() + PROGRAM_MAX;
    if let Some(mut stdin) = child.stdin.take() {
        // On a thread: one that does not read holds its writer up. Its end closes the pipe, and with that the thread.
        std::thread::spawn(move || stdin.write_all(&bytes));
    }
    match ended(&mut child, until)? {
        true => Ok(()),
        false => {
            let _ = child.kill();
            let _ = child.wait();
            Err(io::Error::other("it took too long"))
        }
    }
}

/// True where it ended well, false where it did not end in time.
fn ended(child: &mut Child, until: Instant) -> io::Result<bool> {
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(true),
            Some(status) => return Err(io::Error::other(status.to_string())),
            None if clock::now() >= until => return Ok(false),
            None => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// The text as `clip` reads it without guessing: UTF-16 behind its mark.
fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// The sequence that puts text on the clipboard of the terminal.
pub(crate) fn sequence(text: &str) -> Vec<u8> {
    let mut bytes = b"\x1b]52;c;".to_vec();
    base64(text.as_bytes(), &mut bytes);
    bytes.push(0x07);
    bytes
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place) & 0x3F) as usize;
            out.push(if place <= chunk.len() { DIGITS[digit] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_ways_lead_from_where() {
        let check = |system: System, variables: &[&str], expected: &[&str]| {
            let find = |name: &str| {
                let found = variables.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                found.map(str::to_owned)
            };
            let names: Vec<&str> = ways(system, find).into_iter().map(Way::name).collect();
            assert_eq!(names, expected, "{system:?} {variables:?}");
        };
        check(System::Other, &["TERM=xterm"], &["OSC 52"]);
        check(System::Other, &["DISPLAY=:0", "TERM=xterm"], &["xclip", "OSC 52"]);
        let both = ["DISPLAY=:0", "WAYLAND_DISPLAY=wayland-0", "TERM=foot"];
        check(System::Other, &both, &["wl-copy", "xclip", "OSC 52"]);
        check(System::MacOs, &[], &["pbcopy", "OSC 52"]);
        check(System::Windows, &[], &["clip", "OSC 52"]);
        for ssh in ["SSH_CONNECTION=192.0.2.1 50000 192.0.2.2 22", "SSH_TTY=/dev/pts/0"] {
            check(System::Other, &["DISPLAY=localhost:10.0", ssh], &["OSC 52"]);
            check(System::MacOs, &[ssh], &["OSC 52"]);
            check(System::Other, &["TMUX=/tmp/tmux-0/default,1,0", ssh], &["tmux", "OSC 52"]);
        }
        check(System::Other, &["SSH_CONNECTION=", "DISPLAY=:0"], &["xclip", "OSC 52"]);
        check(System::Other, &["TMUX=/tmp/x,1,0", "DISPLAY=:0"], &["tmux", "xclip", "OSC 52"]);
        check(System::Other, &["TERM=linux"], &[]);
    }

    #[test]
    fn the_sequence_is_base64_whatever_the_text_is() {
        let check = |text: &str, expected: &str| {
            let sequence = String::from_utf8(sequence(text)).expect("ASCII");
            assert_eq!(sequence, format!("\x1b]52;c;{expected}\x07"));
        };
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foobar", "Zm9vYmFy");
        check("\u{1b}]0;x\u{7}", "G10wO3gH");
        check("ÿ~", "w79+");
    }

    #[test]
    fn a_program_that_is_missing_or_fails_leaves_it_to_the_next_way() {
        let missing = Way::Program("bellhop-has-no-such-program", &[]);
        assert_eq!(through_programs(&[missing, Way::Terminal], "x"), Ok(Way::Terminal));
        let error = through_programs(&[missing], "x").expect_err("nothing took it");
        assert!(error.starts_with("bellhop-has-no-such-program: "), "{error}");
        assert!(through_programs(&[], "x").expect_err("no way").contains("xclip"));
        let long = "x".repeat(SEQUENCE_MAX);
        assert!(through_programs(&[Way::Terminal], &long).expect_err("too long").contains("too long"));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_takes_the_text_or_is_given_up() {
        let takes = Way::Program("sh", &["-c", "test \"$(cat)\" = 'the text'"]);
        assert_eq!(through_programs(&[takes], "the text"), Ok(takes));
        assert!(through_programs(&[takes], "another").is_err());
        // More than a pipe holds, and nobody reads it.
        let hangs = Way::Program("sleep", &["600"]);
        let before = clock::now();
        let error = through_programs(&[hangs], &"x".repeat(1_000_000)).expect_err("it hangs");
        assert!(error.contains("too long"), "{error}");
        assert!(clock::now() - before < Duration::from_secs(60));
    }

    #[test]
    fn what_clip_reads_begins_with_its_mark() {
        assert_eq!(utf16("é!"), [0xFF, 0xFE, 0xE9, 0, b'!', 0]);
    }
}
