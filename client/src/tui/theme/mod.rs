//! Roles and how they look. A theme is a table of roles in a file; five are built in, and are files of the same kind.
//!
//! No meaning is carried by colour alone: beside each colour stands a glyph or a word, and `mono` has none at all.

mod read;
#[cfg(test)]
mod tests;

use ratatui::style::{Color, Style};

pub(crate) use read::parse;

macro_rules! roles {
    ($($(#[doc = $doc:literal])+ $role:ident = $name:literal,)+) => {
        /// What something on the screen is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Role {
            $($(#[doc = $doc])+ $role,)+
        }

        /// Every role with its name in a file.
        pub(crate) const ROLES: &[(Role, &str)] = &[$((Role::$role, $name),)+];
    };
}

roles! {
    /// Everything else; its background is the screen's.
    Text = "text",
    /// Times, old ticks, hints.
    Dim = "dim",
    /// Headings, and what is to be seen first.
    Accent = "accent",
    /// A conversation with something unread.
    Unread = "unread",
    /// The line above what is new.
    New = "new",
    /// What went well.
    Ok = "ok",
    /// What may go wrong.
    Warn = "warn",
    /// What went wrong.
    Error = "error",
    /// Who we are.
    Own = "self",
    /// Who others are, by their names.
    Nick0 = "nick.0",
    /// The next.
    Nick1 = "nick.1",
    /// The next.
    Nick2 = "nick.2",
    /// The next.
    Nick3 = "nick.3",
    /// The next.
    Nick4 = "nick.4",
    /// The last.
    Nick5 = "nick.5",
    /// Title and status.
    Bar = "bar",
    /// What is chosen.
    Select = "select",
    /// Lines between the parts.
    Border = "border",
}

const NICKS: [Role; 6] = [Role::Nick0, Role::Nick1, Role::Nick2, Role::Nick3, Role::Nick4, Role::Nick5];

/// How roles look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    styles: [Style; ROLES.len()],
}

/// The themes that are built in, and their files.
pub(crate) const BUILT_IN: &[(&str, &str)] = &[
    ("terminal", include_str!("builtin/terminal.toml")),
    ("dark", include_str!("builtin/dark.toml")),
    ("light", include_str!("builtin/light.toml")),
    ("high-contrast", include_str!("builtin/high-contrast.toml")),
    ("mono", include_str!("builtin/mono.toml")),
];

impl Theme {
    /// A theme that is built in; `None` where there is none of this name.
    pub(crate) fn built_in(name: &str) -> Option<Theme> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Some(parse(text).theme)
    }

    /// The theme of a terminal that may show no colours.
    pub(crate) fn mono() -> Theme {
        Theme::built_in("mono").expect("it is built in")
    }

    /// The look of a role.
    pub(crate) fn of(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    pub(crate) fn text(&self) -> Style {
        self.of(Role::Text)
    }

    pub(crate) fn bar(&self) -> Style {
        self.of(Role::Bar)
    }

    pub(crate) fn select(&self) -> Style {
        self.of(Role::Select)
    }

    pub(crate) fn dim(&self) -> Style {
        self.of(Role::Dim)
    }

    pub(crate) fn border(&self) -> Style {
        self.of(Role::Border)
    }

    pub(crate) fn accent(&self) -> Style {
        self.of(Role::Accent)
    }

    /// A conversation with something unread, and whatever else is to stand out.
    pub(crate) fn strong(&self) -> Style {
        self.of(Role::Unread)
    }

    pub(crate) fn new_mark(&self) -> Style {
        self.of(Role::New)
    }

    pub(crate) fn good(&self) -> Style {
        self.of(Role::Ok)
    }

    pub(crate) fn warn(&self) -> Style {
        self.of(Role::Warn)
    }

    pub(crate) fn error(&self) -> Style {
        self.of(Role::Error)
    }

    pub(crate) fn own(&self) -> Style {
        self.of(Role::Own)
    }

    /// A nick: always the same hue for the same name.
    pub(crate) fn nick(&self, name: &str) -> Style {
        // FNV-1a: small, and the same on every machine.
        let hash = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        self.of(NICKS[(hash % 6) as usize])
    }

    /// The same for a terminal of 256 colours: each of more becomes the nearest of those.
    pub(crate) fn in_256_colours(mut self) -> Theme {
        let reduced = |colour: Option<Color>| match colour {
            Some(Color::Rgb(red, green, blue)) => Some(Color::Indexed(nearest(red, green, blue))),
            colour => colour,
        };
        for style in &mut self.styles {
            (style.fg, style.bg) = (reduced(style.fg), reduced(style.bg));
        }
        self
    }
}

/// Levels of red, green and blue in the cube of 256 colours.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Red, green and blue of a colour of the 256 whose look is fixed: those from 16 on.
pub(crate) fn rgb(index: u8) -> Option<(u8, u8, u8)> {
    match index {
        0..=15 => None,
        16..=231 => {
            let at = usize::from(index - 16);
            Some((LEVELS[at / 36], LEVELS[at / 6 % 6], LEVELS[at % 6]))
        }
        grey => {
            let level = 8 + 10 * (grey - 232);
            Some((level, level, level))
        }
    }
}

fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    let far = |index: &u8| {
        let (r, g, b) = rgb(*index).unwrap_or_default();
        [(r, red), (g, green), (b, blue)].map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).iter().sum::<u32>()
    };
    (16..=255).min_by_key(far).unwrap_or(16)
}
