//! `bellhop completions`: scripts for shells, from the same definitions as the command line.
//!
//! Names come from `bellhop complete-names`, which reads what is kept here and asks no server. Whoever made up a name did
//! not choose what a shell does with it: each name is one word to the shell, and names with anything but letters, digits
//! and a few signs are left out.

use clap::{Command, CommandFactory};
use clap_complete::Shell as Known;
use clap_complete::generate;
use clap_complete_nushell::Nushell;

use super::args::Arguments;
use super::commands::Shell;
use super::exit::Failure;
use super::output::{End, Output};
use crate::history::History;
use crate::home::Home;

/// Where a name is wanted: the command, and what the generators call the argument.
const TAKES_NAME: &[(&str, &str)] = &[("send", "to"), ("login", "user"), ("delete", "user")];

pub(crate) async fn run(output: &Output, shell: Shell) -> Result<(), End> {
    output.page(script(shell)?).await
}

/// Prints the names that are known here; nothing, and no file is made, where there are none.
pub(crate) async fn names(output: &Output) -> Result<(), End> {
    let home = Home::of_user().map_err(Failure::local)?;
    if !home.path().join("history.sqlite").exists() {
        return Ok(());
    }
    let history = History::open(&home.history().map_err(Failure::local)?).map_err(Failure::local)?;
    let names = history.names().map_err(Failure::local)?;
    let lines = names.iter().filter(|name| is_tame(name)).map(|name| format!("{name}\n"));
    output.page(lines.collect()).await
}

/// True for a name that means nothing to any shell.
fn is_tame(name: &str) -> bool {
    let tame = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    !name.starts_with('-') && name.chars().all(tame)
}

fn script(shell: Shell) -> Result<String, Failure> {
    let mut command = Arguments::command();
    let script = match shell {
        Shell::Bash => generated(Known::Bash, &mut command)? + BASH,
        Shell::Zsh => zsh(&generated(Known::Zsh, &mut command)?),
        Shell::Fish => generated(Known::Fish, &mut command)? + &fish(),
        Shell::Power => powershell(&generated(Known::PowerShell, &mut command)?),
        Shell::Nu => nushell(&generated(Nushell, &mut command)?),
    };
    Ok(script)
}

fn generated(shell: impl clap_complete::Generator, command: &mut Command) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    generate(shell, command, "bellhop", &mut bytes);
    String::from_utf8(bytes).map_err(Failure::local)
}

/// What the generated function does not know is asked for behind it. `compgen -W` would run what a word says.
const BASH: &str = r#"
_bellhop_names() {
    local name
    while IFS= read -r name; do
        [[ $name == "$1"* ]] && COMPREPLY+=("$name")
    done < <(bellhop complete-names 2>/dev/null)
}

_bellhop_with_names() {
    _bellhop "$@"
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    case $previous in
        send|login|delete) [[ $current == -* ]] || { COMPREPLY=(); _bellhop_names "$current"; } ;;
        --user|--from) COMPREPLY=(); _bellhop_names "$current" ;;
    esac
}

complete -F _bellhop_with_names -o bashdefault -o default bellhop
"#;

/// The generated script has a place for what completes an argument.
fn zsh(script: &str) -> String {
    let mut script = script.to_owned();
    for argument in ["to -- The recipient", "user -- The account"] {
        script = script.replace(&format!("':{argument}"), &format!("':{argument}\u{0}"));
        script = script.replace(&format!("'::{argument}"), &format!("'::{argument}\u{0}"));
    }
    let lines = script.lines().map(|line| {
        let named = line.contains('\u{0}') || line.contains("'--user=[") || line.contains("'--from=[");
        let line = line.replace('\u{0}', "");
        if named { line.replace(":_default'", ":_bellhop_names'") } else { line }
    });
    let mut script: String = lines.map(|line| line + "\n").collect();
    let names = "\n(( $+functions[_bellhop_names] )) ||\n_bellhop_names() {\n    local -a names\n    \
                 names=(\"${(@f)$(bellhop complete-names 2>/dev/null)}\")\n    compadd -- $names\n}\n";
    // Before the end, where the script calls itself.
    let at = script.rfind("\nif [ \"$funcstack").unwrap_or(script.len());
    script.insert_str(at, names);
    script
}

fn fish() -> String {
    let commands: Vec<&str> = TAKES_NAME.iter().map(|(command, _)| *command).collect();
    let commands = commands.join(" ");
    format!(
        "\ncomplete -c bellhop -n \"__fish_seen_subcommand_from {commands}\" -f -a \"(bellhop complete-names)\"\n\
         complete -c bellhop -l user -x -a \"(bellhop complete-names)\"\n\
         complete -c bellhop -n \"__fish_seen_subcommand_from deliver listen\" -l from -x \
         -a \"(bellhop complete-names)\"\n"
    )
}

/// Names stand beside the options of their command.
fn powershell(script: &str) -> String {
    let names = "            bellhop complete-names | ForEach-Object { [CompletionResult]::new($_, $_, \
                 [CompletionResultType]::ParameterValue, $_) }\n";
    let mut script = script.to_owned();
    for (command, _) in TAKES_NAME {
        let start = format!("'bellhop;{command}' {{\n");
        script = script.replace(&start, &format!("{start}{names}"));
    }
    script
}

/// An argument's type carries what completes it.
fn nushell(script: &str) -> String {
    let completer = "bellhop names";
    let mut inside = "";
    let lines = script.lines().map(|line| {
        if let Some(command) = line.trim().strip_prefix("export extern \"bellhop ") {
            inside = command.split('"').next().unwrap_or_default();
        }
        let takes = TAKES_NAME.iter().any(|(command, argument)| {
            let line = line.trim_start();
            *command == inside
                && (line.starts_with(&format!("{argument}: string"))
                    || line.starts_with(&format!("{argument}?: string")))
        });
        let option =
            ["--user: string", "--from: string"].iter().any(|option| line.trim_start().starts_with(option));
        if takes || option {
            line.replacen(": string", &format!(": string@\"{completer}\""), 1)
        } else {
            line.to_owned()
        }
    });
    let script: String = lines.map(|line| line + "\n").collect();
    let names = format!("  def \"{completer}\" [] {{\n    ^bellhop complete-names | lines\n  }}\n\n");
    match script.split_once("module completions {\n") {
        Some((before, after)) => format!("{before}module completions {{\n\n{names}{after}"),
        None => names + &script,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hostile server may call people what it likes.
    #[test]
    fn names_that_mean_something_to_a_shell_are_left_out() {
        for name in ["bob", "王小明", "bob@n-02", "a.b_c-d", "Ünal"] {
            assert!(is_tame(name), "{name}");
        }
        for name in ["$(reboot)", "`x`", "a;b", "-rf", "a'b", "a\"b", "a&b", "a b", "a\nb", "~", "!x"] {
            assert!(!is_tame(name), "{name}");
        }
    }

    #[test]
    fn every_script_asks_for_names() {
        for (shell, names) in
            [(Shell::Bash, 2), (Shell::Zsh, 6), (Shell::Fish, 3), (Shell::Power, 3), (Shell::Nu, 5)]
        {
            let script = script(shell).expect("a script");
            let asks = script.matches("complete-names").count()
                + script.matches("_bellhop_names'").count()
                + script.matches("@\"bellhop names\"").count();
            assert!(asks >= names, "{shell:?} asks {asks} times:\n{script}");
        }
    }
}
