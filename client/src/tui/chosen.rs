//! What a person has chosen, while the screen runs: read again, one value of it changed. It carries between files and
//! the model, and refuses what the next start would refuse.

use std::io;

use super::looks::{self, Surroundings};
use super::model::Prefs;
use super::update::Msg;
use crate::settings::choice::Choice;
use crate::settings::resolve::{Origin, Resolved};
use crate::settings::value::Value;

/// The config of a screen.
pub(super) struct Chosen {
    pub(super) choice: Choice,
    around: Surroundings,
}

impl Chosen {
    pub(super) fn new(choice: Choice) -> Chosen {
        Chosen { choice, around: Surroundings::of_process() }
    }

    /// What the screen begins with.
    pub(super) fn begin(&self) -> io::Result<Prefs> {
        let wrong = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        self.prefs(&self.choice).map(|(prefs, ..)| prefs).map_err(wrong)
    }

    /// What files, variables and flags make of it, with what of them is ignored; or the first thing to be mended.
    fn prefs(&self, choice: &Choice) -> Result<(Prefs, Vec<String>, Resolved), String> {
        let resolved = choice.resolve().map_err(|error| error.to_string())?;
        let looks = looks::load(&resolved, &choice.places);
        if let Some(problem) = looks.problems.first() {
            return Err(problem.clone());
        }
        let mut warnings = choice.warnings();
        warnings.extend(looks.warnings.iter().cloned());
        Ok((looks.prefs(resolved.settings(), self.around), warnings, resolved))
    }

    /// Reads the files again. Where they are wrong, everything stays as it was.
    pub(super) fn reload(&mut self) -> Msg {
        let read = self.choice.again().map_err(|error| error.to_string());
        match read.and_then(|choice| self.prefs(&choice).map(|found| (choice, found))) {
            Ok((choice, (prefs, warnings, _))) => {
                self.choice = choice;
                let told = match warnings.first() {
                    Some(first) => format!("the config was read again; {first}"),
                    None => "the config was read again".to_owned(),
                };
                Msg::Chosen(Some(Box::new(prefs)), Ok(told))
            }
            Err(problem) => Msg::Chosen(None, Err(problem)),
        }
    }

    /// Changes one value of the config file, or tells the one that counts.
    pub(super) fn set(&mut self, name: &str, value: Option<&Value>) -> Msg {
        let done = match value {
            Some(value) => self.try_set(name, value),
            None => self.tell(name),
        };
        done.unwrap_or_else(|problem| Msg::Chosen(None, Err(problem)))
    }

    fn try_set(&mut self, name: &str, value: &Value) -> Result<Msg, String> {
        let changed = self.choice.with(name, Some(value)).map_err(|error| error.to_string())?;
        let (prefs, _, resolved) = self.prefs(&changed)?;
        changed.places.set(name, Some(value)).map_err(|error| error.to_string())?;
        self.choice = changed;
        let row = resolved.rows.iter().find(|row| row.key.name == name);
        let told = match row.map(|row| &row.origin) {
            Some(origin @ (Origin::Flag(_) | Origin::Variable(_))) => {
                format!("{name} = {value} is kept, but {origin} says otherwise and counts")
            }
            _ => format!("{name} = {value}"),
        };
        Ok(Msg::Chosen(Some(Box::new(prefs)), Ok(told)))
    }

    fn tell(&self, name: &str) -> Result<Msg, String> {
        let resolved = self.choice.resolve().map_err(|error| error.to_string())?;
        let row = resolved.rows.iter().find(|row| row.key.name == name);
        let told = match row.and_then(|row| Some((row.value.as_ref()?, &row.origin))) {
            Some((value, origin)) => format!("{name} = {value} ({origin})"),
            None => format!("{name} is not set"),
        };
        Ok(Msg::Chosen(None, Ok(told)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::places::Places;
    use crate::settings::resolve::Given;
    use crate::settings::table::find_full;

    struct Desk {
        chosen: Chosen,
        folder: tempfile::TempDir,
    }

    fn desk(text: &str) -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config.toml");
        std::fs::write(&config, text).expect("ours");
        let places = Places { config, named: false, machine: None };
        let choice = Choice::read(places, Given::default()).expect("it can be read");
        let around = Surroundings::of(false, |name| (name == "TERM").then(|| "xterm".to_owned()));
        Desk { chosen: Chosen { choice, around }, folder }
    }

    impl Desk {
        fn text(&self) -> String {
            std::fs::read_to_string(self.folder.path().join("config.toml")).expect("it is there")
        }

        fn write(&self, text: &str) {
            std::fs::write(self.folder.path().join("config.toml"), text).expect("ours");
        }

        fn set(&mut self, name: &str, typed: &str) -> (bool, Result<String, String>) {
            let kind = find_full(name).map_or(crate::settings::value::Kind::Keys, |(key, _)| key.kind);
            let home = self.folder.path().display().to_string();
            let Msg::Chosen(prefs, told) = self.chosen.set(name, kind.typed(typed).as_ref()) else {
                panic!("told")
            };
            (prefs.is_some(), told.map_err(|told| told.replace(&home, "HOME")))
        }
    }

    #[test]
    fn one_value_is_changed_and_counts_at_once() {
        let mut desk = desk("# mine\n[ui]\nmouse = false # never\n");
        assert_eq!(desk.set("ui.mouse", "true"), (true, Ok("ui.mouse = true".into())));
        assert_eq!(desk.text(), "# mine\n[ui]\nmouse = true # never\n");
        assert_eq!(desk.set("ui.theme", "dark"), (true, Ok("ui.theme = \"dark\"".into())));
    }

    /// A key that did two things was written, and the next start refused the file.
    #[test]
    fn what_the_next_start_would_refuse_is_not_written() {
        let mut desk = desk("[ui]\nmouse = false\n");
        let (changed, told) = desk.set("keys.quit", "ctrl+n");
        assert!(!changed && told.expect_err("it is next").contains("Ctrl+N cannot be quit"));
        let (changed, told) = desk.set("ui.theme", "nowhere");
        assert!(!changed && told.expect_err("no such theme").contains("there is no theme \"nowhere\""));
        assert_eq!(desk.text(), "[ui]\nmouse = false\n");
    }

    #[test]
    fn a_file_that_is_wrong_changes_nothing() {
        let mut desk = desk("[ui]\nmouse = true\n");
        desk.write("[ui]\nmouse = 1\n");
        let Msg::Chosen(None, Err(told)) = desk.chosen.reload() else { panic!("it is wrong") };
        assert!(told.contains("config.toml:2:9: ui.mouse is 1"), "{told}");
        desk.write("[ui]\nmouse = false\nmose = 1\n");
        let Msg::Chosen(Some(prefs), Ok(told)) = desk.chosen.reload() else { panic!("it is right") };
        assert!(!prefs.ui.mouse && told.contains("did you mean ui.mouse?"), "{told}");
    }

    #[test]
    fn a_theme_of_ones_own_is_a_file_beside_the_config() {
        let mut desk = desk("");
        let themes = desk.folder.path().join("themes");
        std::fs::create_dir(&themes).expect("ours");
        std::fs::write(themes.join("mine.toml"), "base = 'dark'\nself = { fg = 'red' }\n").expect("ours");
        let Msg::Chosen(Some(prefs), Ok(_)) = desk.chosen.set("ui.theme", Some(&Value::Text("mine".into())))
        else {
            panic!("it is there")
        };
        assert_eq!(prefs.theme.own().fg, Some(ratatui::style::Color::Red));
        std::fs::write(themes.join("mine.toml"), "self = { fg = 'rot' }\n").expect("ours");
        let Msg::Chosen(None, Err(told)) = desk.chosen.reload() else { panic!("it is wrong") };
        assert!(told.contains("mine.toml:1:15: self.fg is no colour"), "{told}");
    }
}
