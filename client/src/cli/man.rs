//! `bellhop man`: manual pages, from the same definitions as the command line and its help.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::Arguments;
use super::exit::Failure;
use super::help::{EXIT_CODES, VARIABLES};
use super::output::{End, Output};

/// What the examples of a command stand behind, in its help.
const EXAMPLES: &str = "Examples:\n";

pub(crate) async fn run(output: &Output, folder: Option<PathBuf>) -> Result<(), End> {
    let pages = pages().map_err(Failure::local)?;
    match folder {
        None => {
            let main = pages.into_iter().next().map(|(_, text)| text).unwrap_or_default();
            output.page(main).await
        }
        Some(folder) => Ok(write(&folder, &pages)?),
    }
}

fn write(folder: &Path, pages: &[(String, String)]) -> Result<(), Failure> {
    let failed =
        |path: &Path, error: io::Error| Failure::local(format!("cannot write {}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, text) in pages {
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// All pages with their names, that of the program first.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut root = Arguments::command();
    root.build();
    let mut pages = Vec::new();
    collect(&root, "bellhop", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> io::Result<()> {
    pages.push((name.to_owned(), page(command, name)?));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        collect(inner, &format!("{name}-{}", inner.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> io::Result<String> {
    let (prose, examples) = parts(command);
    let is_root = name == "bellhop";
    let shown = command.clone().display_name(name.to_owned());
    let man =
        Man::new(shown).title(name).source(concat!("bellhop ", env!("CARGO_PKG_VERSION"))).manual("Bellhop");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    paragraphs(&prose).to_writer(&mut text)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut text)?;
    }
    if command.get_subcommands().any(|inner| !inner.is_hide_set()) {
        subcommands(command, name).to_writer(&mut text)?;
    }
    if is_root {
        table("ENVIRONMENT", VARIABLES.iter().map(|(name, about)| (*name, (*about).to_owned())))
            .to_writer(&mut text)?;
        let codes = EXIT_CODES.iter().map(|(code, means, _)| (*code, (*means).to_owned()));
        table("EXIT STATUS", codes).to_writer(&mut text)?;
    }
    if !examples.is_empty() {
        shell(&examples).to_writer(&mut text)?;
    }
    if !is_root {
        see_also().to_writer(&mut text)?;
    }
    text.flush()?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// What stands behind the options of a command's help: prose, and examples.
fn parts(command: &Command) -> (String, Vec<String>) {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let Some((before, rest)) = after.split_once(EXAMPLES) else { return (after, Vec::new()) };
    let is_example = |line: &&str| line.starts_with("  ");
    let examples = rest.lines().take_while(is_example).map(|line| line.trim().to_owned()).collect();
    let behind: Vec<&str> = rest.lines().skip_while(is_example).collect();
    (format!("{before}{}", behind.join("\n")), examples)
}

fn paragraphs(prose: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in prose.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        roff.control("PP", []);
        roff.text([roman(paragraph.replace('\n', " "))]);
    }
    roff
}

fn subcommands(command: &Command, name: &str) -> Roff {
    let inner = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    let rows: Vec<(String, String)> = inner
        .map(|inner| {
            let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
            (format!("{name}-{}(1)", inner.get_name()), about)
        })
        .collect();
    table("COMMANDS", rows.iter().map(|(name, about)| (name.as_str(), about.clone())))
}

fn table<'a>(title: &str, rows: impl Iterator<Item = (&'a str, String)>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, about) in rows {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(about)]);
    }
    roff
}

/// Lines that stand as they are typed.
fn shell(examples: &[String]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in examples {
        roff.text([roman(line.as_str())]);
    }
    roff.control("fi", []);
    roff
}

fn see_also() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("bellhop"), roman("(1)")]);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let pages = pages().expect("pages");
        let find = |name: &str| pages.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        for name in ["bellhop", "bellhop-send", "bellhop-trust-add", "bellhop-completions"] {
            assert!(find(name).is_some_and(|text| text.starts_with(".ie")), "{name}");
        }
        assert!(find("bellhop-complete-names").is_none());
        let send = find("bellhop-send").expect("a page");
        assert!(send.contains(".SH EXAMPLES\n.nf\n") && send.contains("uptime | bellhop send bob"), "{send}");
        let main = find("bellhop").expect("a page");
        assert!(main.contains("BELLHOP_SERVER") && main.contains("EXIT STATUS"), "{main}");
    }

    #[test]
    fn help_is_cut_into_prose_and_examples() {
        let command = Command::new("x").after_help("One.\n\nExamples:\n  a | b\n  c\n\nMore.");
        let (prose, examples) = parts(&command);
        assert_eq!((prose.as_str(), examples), ("One.\n\n\nMore.", vec!["a | b".to_owned(), "c".to_owned()]));
        let (prose, examples) = parts(&Command::new("x").after_help("One."));
        assert_eq!((prose.as_str(), examples.len()), ("One.", 0));
    }
}
