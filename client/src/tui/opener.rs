//! Shows a link in whatever this machine shows links with. No shell reads it, and nobody waits for it.

use std::process::{Command, Stdio};
use std::thread;

/// Begins to show `url`. What is no link is not passed on, whoever asks.
pub(crate) fn open(url: &str, variable: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let lower = url.to_ascii_lowercase();
    if !(lower.starts_with("http://") || lower.starts_with("https://")) || url.contains(char::is_control) {
        return Err("only http:// and https:// are opened".into());
    }
    let [program, arguments @ ..] = program(variable)? else { return Err("no browser".into()) };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}; y copies the link"))?;
    // Somebody has to take its exit code.
    let waits = thread::Builder::new().name("bellhop-opener".into()).spawn(move || child.wait());
    waits.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

/// What shows links here.
fn program(variable: impl Fn(&str) -> Option<String>) -> Result<&'static [&'static str], String> {
    if cfg!(windows) {
        return Ok(&["rundll32", "url.dll,FileProtocolHandler"]);
    }
    if cfg!(target_os = "macos") {
        return Ok(&["open"]);
    }
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    match set("DISPLAY") || set("WAYLAND_DISPLAY") {
        true => Ok(&["xdg-open"]),
        false => Err("no screen for a browser here; y copies the link".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_are_opened_and_only_where_there_is_a_screen() {
        for other in ["file:///etc/passwd", "javascript:1", "-x", "", "ssh://a", "https://a\nb"] {
            assert!(open(other, |_| None).is_err_and(|error| error.contains("only http")), "{other:?}");
        }
        if cfg!(all(unix, not(target_os = "macos"))) {
            assert!(open("https://a.b", |_| None).is_err_and(|error| error.contains("y copies")));
            assert!(program(|name| (name == "DISPLAY").then(|| ":0".into())).is_ok());
        }
    }
}
