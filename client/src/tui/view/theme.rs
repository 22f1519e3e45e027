//! Roles and how they look. The default theme uses the terminal's own colours and sets no background; no meaning is
//! carried by colour alone.

use ratatui::style::{Color, Modifier, Style};

/// Nicks are told apart by these.
const HUES: [Color; 6] = [Color::Cyan, Color::Green, Color::Yellow, Color::Blue, Color::Magenta, Color::Red];

/// How roles look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    /// False where only attributes may be used.
    pub(crate) colour: bool,
}

impl Theme {
    fn fg(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub(crate) fn text(self) -> Style {
        Style::new()
    }

    /// Title, status, the chosen row.
    pub(crate) fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(crate) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(crate) fn border(self) -> Style {
        self.dim()
    }

    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(crate) fn new_mark(self) -> Style {
        self.fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(crate) fn good(self) -> Style {
        self.fg(Color::Green)
    }

    pub(crate) fn error(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A nick: always the same hue for the same name.
    pub(crate) fn nick(self, name: &str) -> Style {
        // FNV-1a: small, and the same on every machine.
        let hash = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        self.fg(HUES[(hash % 6) as usize])
    }
}
