//! From settings to what the screen is drawn with. It reads a theme's file, and decides nothing else that a test could
//! not be given as values.

use super::bindings::Bindings;
use super::glyphs::{ASCII, Glyphs};
use super::layout::Panes;
use super::model::Prefs;
use super::theme::{self, BUILT_IN, Theme};
use crate::settings::places::Places;
use crate::settings::resolve::{Origin, Resolved};
use crate::settings::{Deliver, Emoji, GlyphSet, Settings};

/// A terminal, as its environment tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// No colours are wanted, or there are none.
    plain: bool,
    /// It shows 16 million colours.
    true_colour: bool,
    /// Its fonts have no emoji.
    no_emoji: bool,
    glyphs: &'static Glyphs,
}

impl Surroundings {
    /// The terminal of an environment.
    pub(crate) fn of(windows: bool, variable: impl Fn(&str) -> Option<String>) -> Surroundings {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let conhost = windows && set("WT_SESSION").is_none() && set("TERM_PROGRAM").is_none();
        Surroundings {
            plain: set("NO_COLOR").is_some() || term == "dumb",
            true_colour: windows || matches!(set("COLORTERM").as_deref(), Some("truecolor" | "24bit")),
            no_emoji: conhost || term == "linux",
            glyphs: Glyphs::choose(GlyphSet::Auto, windows, variable),
        }
    }

    /// The terminal of this process.
    pub(crate) fn of_process() -> Surroundings {
        Surroundings::of(cfg!(windows), |name| std::env::var(name).ok())
    }
}

/// What the screen is drawn with, and what was wrong on the way.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(crate) theme: Theme,
    pub(crate) bindings: Bindings,
    pub(crate) warnings: Vec<String>,
    pub(crate) problems: Vec<String>,
}

/// Reads the theme and the keys of these settings.
pub(crate) fn load(resolved: &Resolved, places: &Places) -> Looks {
    let settings = resolved.settings();
    let (bindings, findings) = Bindings::new(settings.ui.keys, &settings.bindings);
    let mut looks =
        Looks { theme: Theme::mono(), bindings, warnings: findings.warnings, problems: findings.problems };
    looks.load_theme(resolved, &settings.ui.theme, places);
    looks
}

impl Looks {
    fn load_theme(&mut self, resolved: &Resolved, name: &str, places: &Places) {
        if let Some(theme) = Theme::built_in(name) {
            self.theme = theme;
            return;
        }
        match places.theme(name) {
            Ok(Some((path, text))) => {
                let read = theme::parse(&text);
                let told = |remark: crate::settings::file::Remark| {
                    format!("{}:{}: {}", path.display(), remark.place, remark.sentence)
                };
                self.warnings.extend(read.warnings.into_iter().map(told));
                self.problems.extend(read.problems.into_iter().map(told));
                self.theme = read.theme;
            }
            Ok(None) => {
                let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                let place = match &resolved.row("ui.theme").origin {
                    Origin::Default => String::new(),
                    origin => format!("{origin}: "),
                };
                let file = places.config.with_file_name("themes").join(format!("{name}.toml"));
                self.problems.push(format!(
                    "{place}there is no theme {name:?}: it is none of {}, and {} is not there",
                    known.join(", "),
                    file.display()
                ));
            }
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    /// What the model gets.
    pub(crate) fn prefs(self, settings: Settings, around: Surroundings) -> Prefs {
        let Settings { ui, notify, deliver, .. } = settings;
        let glyphs = match ui.glyphs {
            // What is two columns wide would push everything behind it.
            _ if ui.ambiguous == 2 => &ASCII,
            GlyphSet::Auto => around.glyphs,
            set => Glyphs::choose(set, false, |_| None),
        };
        let theme = match (around.plain, around.true_colour) {
            (true, _) => Theme::mono(),
            (false, true) => self.theme,
            (false, false) => self.theme.in_256_colours(),
        };
        let emoji = match ui.emoji {
            Emoji::Auto if around.no_emoji => Emoji::Names,
            Emoji::Auto => Emoji::AsIs,
            emoji => emoji,
        };
        let panes = Panes { list: true, list_first: false, details: true, list_width: ui.list_width };
        Prefs {
            glyphs,
            theme,
            bindings: self.bindings,
            emoji,
            panes,
            ui,
            asks: deliver == Deliver::Ask,
            notify,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::resolve::{Given, resolve};
    use crate::tui::glyphs::{UNICODE, WGL4};

    fn prefs(windows: bool, variables: &[(&str, &str)], change: impl FnOnce(&mut Settings)) -> Prefs {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let mut settings = resolve(&[], &Given::default()).expect("defaults").settings();
        change(&mut settings);
        let theme = Theme::built_in(&settings.ui.theme).expect("it is built in");
        let (warnings, problems) = (Vec::new(), Vec::new());
        let looks = Looks { theme, bindings: Bindings::default(), warnings, problems };
        looks.prefs(settings, Surroundings::of(windows, find))
    }

    const UTF8: (&str, &str) = ("LANG", "C.UTF-8");

    #[test]
    fn colours_are_left_out_where_they_are_not_wanted() {
        let xterm = ("TERM", "xterm-256color");
        let mono = Theme::mono();
        let dark = |settings: &mut Settings| settings.ui.theme = "dark".into();
        assert_ne!(prefs(false, &[UTF8, xterm], dark).theme, mono);
        assert_eq!(prefs(false, &[UTF8, xterm, ("NO_COLOR", "1")], dark).theme, mono);
        assert_ne!(prefs(false, &[UTF8, xterm, ("NO_COLOR", "")], dark).theme, mono);
        assert_eq!(prefs(false, &[UTF8, ("TERM", "dumb")], dark).theme, mono);
    }

    #[test]
    fn glyphs_and_emoji_for_what_the_font_can_show() {
        let xterm = ("TERM", "xterm");
        let look = |windows, variables: &[(&str, &str)], change: fn(&mut Settings)| {
            let prefs = prefs(windows, variables, change);
            (prefs.glyphs, prefs.emoji)
        };
        assert_eq!(look(false, &[UTF8, xterm], |_| {}), (&UNICODE, Emoji::AsIs));
        assert_eq!(look(true, &[], |_| {}), (&WGL4, Emoji::Names));
        assert_eq!(look(true, &[("WT_SESSION", "1")], |_| {}), (&UNICODE, Emoji::AsIs));
        assert_eq!(look(false, &[UTF8, ("TERM", "linux")], |_| {}), (&ASCII, Emoji::Names));
        assert_eq!(look(false, &[UTF8, xterm], |settings| settings.ui.ambiguous = 2), (&ASCII, Emoji::AsIs));
        assert_eq!(look(false, &[], |settings| settings.ui.glyphs = GlyphSet::Wgl4), (&WGL4, Emoji::AsIs));
        assert_eq!(look(true, &[], |settings| settings.ui.emoji = Emoji::AsIs), (&WGL4, Emoji::AsIs));
    }
}
