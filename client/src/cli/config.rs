//! `bellhop config`: where the config is, what counts and why, one value changed, and whether it is right.

use clap::{Args, Subcommand};

use super::args::Common;
use super::choice;
use super::exit::{Exit, Failure};
use super::output::{End, Line, Output};
use super::setup::open;
use crate::home::Home;
use crate::settings::choice::Choice;
use crate::settings::file::Remark;
use crate::settings::resolve::{Row, Source};
use crate::settings::table::{self, TABLE};
use crate::settings::value::Kind;
use crate::tui::{action_names, load_looks};

/// What is asked of the config.
#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

/// What is done with the config.
#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print where the config file is, or would be
    Path,
    /// Print every setting as it counts here and now
    Show {
        /// And where each comes from
        #[arg(long)]
        origin: bool,
    },
    /// Change one setting in the config file, and leave the rest of it as it is
    Set {
        /// Its name, as in ui.mouse, account.work.server or keys.quit
        key: String,
        /// Its value, without the quotes of the file; a list with commas
        value: String,
    },
    /// Take one setting out of the config file, so that its default counts
    Unset {
        /// Its name
        key: String,
    },
    /// Say what is wrong with the config files
    Check,
}

pub(crate) async fn run(common: &Common, output: &Output, arguments: ConfigArguments) -> Result<(), End> {
    match arguments.command {
        ConfigCommand::Path => {
            let places = crate::settings::places::Places::of_process().map_err(Failure::local)?;
            output.result(&Line::Path { path: &places.config.to_string_lossy() }).await
        }
        ConfigCommand::Show { origin } => show(common, output, origin).await,
        ConfigCommand::Set { key, value } => set(common, output, &key, Some(&value)).await,
        ConfigCommand::Unset { key } => set(common, output, &key, None).await,
        ConfigCommand::Check => check(common, output).await,
    }
}

async fn show(common: &Common, output: &Output, with_origin: bool) -> Result<(), End> {
    let mut choice = choice::read(common)?;
    choice::remember(&mut choice, &open(&Home::of_user().map_err(Failure::local)?)?)?;
    let resolved = choice.resolve().map_err(|error| Failure::usage(error.to_string()))?;
    warn(&choice, output).await;
    for Row { key, value, origin } in &resolved.rows {
        let value = value.as_ref().map(ToString::to_string);
        let origin = with_origin.then(|| origin.to_string());
        let (key, value, origin) = (key.name, value.as_deref(), origin.as_deref());
        output.result(&Line::Setting { key, value, origin }).await?;
    }
    for bound in &resolved.bindings {
        let key = format!("keys.{}", bound.binding.action);
        let value = crate::settings::value::Value::List(bound.binding.keys.clone()).to_string();
        let origin = format!("{}:{}", bound.path.display(), bound.binding.at.line);
        let origin = with_origin.then_some(origin.as_str());
        output.result(&Line::Setting { key: &key, value: Some(&value), origin }).await?;
    }
    Ok(())
}

async fn set(common: &Common, output: &Output, name: &str, typed: Option<&str>) -> Result<(), End> {
    let kind = kind_of(name)?;
    let value = match typed {
        Some(text) => {
            let wrong = || {
                Failure::usage(format!("{name} is {text:?}: {}{}", kind.allowed(), table::hint(name, text)))
            };
            Some(kind.typed(text).ok_or_else(wrong)?)
        }
        None => None,
    };
    let choice = choice::read(common)?;
    let failed =
        |error: crate::settings::places::FileError| Failure::new(Exit::Other, "config", error.to_string());
    // What would be refused at the next start is not written; whoever mends one thing after the other may.
    let changed = choice.with(name, value.as_ref()).map_err(failed)?;
    let wrong = problems(&changed).0;
    if let Some(first) = wrong.first().filter(|_| wrong.len() >= problems(&choice).0.len()) {
        return Err(Failure::usage(format!("nothing is changed: {first}")).into());
    }
    choice.places.set(name, value.as_ref()).map_err(failed)?;
    let (value, path) = (value.as_ref().map(ToString::to_string), choice.places.config.display().to_string());
    output.result(&Line::Setting { key: name, value: value.as_deref(), origin: Some(&path) }).await?;
    // What is wrong or ignored for all that is told at once.
    warn(&changed, output).await;
    let (left, warnings) = problems(&changed);
    for remark in left.iter().chain(&warnings) {
        output.remark(remark).await;
    }
    Ok(())
}

fn kind_of(name: &str) -> Result<Kind, Failure> {
    if let Some((key, _)) = table::find_full(name) {
        return Ok(key.kind);
    }
    if let Some(action) = name.strip_prefix("keys.") {
        if action_names().any(|known| known == action) {
            return Ok(Kind::Keys);
        }
        let hint = table::nearest(action, action_names()).map(|near| format!("; did you mean keys.{near}?"));
        return Err(Failure::usage(format!("there is no action {action:?}{}", hint.unwrap_or_default())));
    }
    let hint = table::nearest(name, TABLE.iter().map(|key| key.name));
    let hint =
        hint.map_or("; bellhop help config lists them".to_owned(), |near| format!("; did you mean {near}?"));
    Err(Failure::usage(format!("there is no key {name:?}{hint}")))
}

async fn check(common: &Common, output: &Output) -> Result<(), End> {
    let choice = choice::read(common)?;
    warn(&choice, output).await;
    let (mut problems, warnings) = problems(&choice);
    for warning in &warnings {
        output.remark(warning).await;
    }
    let Some(last) = problems.pop() else { return Ok(()) };
    for problem in problems {
        output.error(&Failure::usage(problem));
    }
    Err(Failure::usage(last).into())
}

/// What has to be mended before anything runs, and what of theme and keys is ignored.
fn problems(choice: &Choice) -> (Vec<String>, Vec<String>) {
    let told = |source: &Source, Remark { place, sentence }: &Remark| {
        format!("{}:{place}: {sentence}", source.path.display())
    };
    let of = |source: &Source| -> Vec<String> {
        source.layer.problems.iter().map(|problem| told(source, problem)).collect()
    };
    let problems: Vec<String> = choice.sources.iter().flat_map(of).collect();
    if !problems.is_empty() {
        return (problems, Vec::new());
    }
    match choice.resolve() {
        Ok(resolved) => {
            let looks = load_looks(&resolved, &choice.places);
            (looks.problems, looks.warnings)
        }
        Err(error) => (vec![error.to_string()], Vec::new()),
    }
}

async fn warn(choice: &Choice, output: &Output) {
    for warning in choice.warnings() {
        output.remark(&warning).await;
    }
}
