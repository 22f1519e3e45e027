//! Writes the names of emoji as text: a tenth of what they take as values, each with pointers that a start must adjust.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut lines: Vec<_> = emojis::iter()
        .filter(|emoji| emoji.shortcode().is_some())
        .map(|emoji| {
            let names: Vec<_> = emoji.shortcodes().collect();
            (plain(emoji.as_str()), format!("{} {}\n", emoji.as_str(), names.join(" ")))
        })
        .collect();
    lines.sort_unstable();
    let table: String = lines.into_iter().map(|(_, line)| line).collect();
    let folder = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    std::fs::write(folder.join("emoji.txt"), table)
}

/// The order of the lines: without the selectors, which some terminals and people leave out.
fn plain(emoji: &str) -> String {
    emoji.chars().filter(|character| *character != '\u{fe0f}').collect()
}
