//! Keys as this client knows them, apart from the library that reads them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with what was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) code: Code,
    pub(crate) ctrl: bool,
    pub(crate) alt: bool,
    pub(crate) shift: bool,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Insert,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

impl Key {
    pub(crate) const fn plain(code: Code) -> Key {
        Key { code, ctrl: false, alt: false, shift: false }
    }

    pub(crate) const fn ctrl(code: Code) -> Key {
        Key { code, ctrl: true, alt: false, shift: false }
    }

    pub(crate) const fn alt(code: Code) -> Key {
        Key { code, ctrl: false, alt: true, shift: false }
    }

    pub(crate) const fn shift(code: Code) -> Key {
        Key { code, ctrl: false, alt: false, shift: true }
    }

    /// The character that the key types, if any.
    pub(crate) fn typed(self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }

    /// A key as it is written in the config: `ctrl+g`, `alt+down`, `F5`; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Key> {
        let mut key = Key::plain(Code::Esc);
        let mut rest = text;
        // The last sign may be a plus itself.
        while let Some((held, behind)) =
            rest.split_once('+').filter(|(held, behind)| !held.is_empty() && !behind.is_empty())
        {
            let held = match held.to_ascii_lowercase().as_str() {
                "ctrl" => &mut key.ctrl,
                "alt" => &mut key.alt,
                "shift" => &mut key.shift,
                _ => return None,
            };
            if std::mem::replace(held, true) {
                return None;
            }
            rest = behind;
        }
        let mut letters = rest.chars();
        key.code = match (letters.next()?, letters.next()) {
            // Capitals are written for both: a letter with shift is typed, and nothing is bound to it.
            (c, None) if !c.is_control() => Code::Char(c.to_ascii_lowercase()),
            _ => Code::of_name(rest)?,
        };
        Some(key.normal())
    }

    /// The key of an event; `None` for keys that nothing is bound to.
    pub(crate) fn from_event(event: KeyEvent) -> Option<Key> {
        let code = match event.code {
            KeyCode::Char(c) => Code::Char(c),
            KeyCode::Enter => Code::Enter,
            KeyCode::Esc => Code::Esc,
            KeyCode::Tab | KeyCode::BackTab => Code::Tab,
            KeyCode::Backspace => Code::Backspace,
            KeyCode::Delete => Code::Delete,
            KeyCode::Insert => Code::Insert,
            KeyCode::Up => Code::Up,
            KeyCode::Down => Code::Down,
            KeyCode::Left => Code::Left,
            KeyCode::Right => Code::Right,
            KeyCode::Home => Code::Home,
            KeyCode::End => Code::End,
            KeyCode::PageUp => Code::PageUp,
            KeyCode::PageDown => Code::PageDown,
            KeyCode::F(number) => Code::F(number),
            _ => return None,
        };
        let held = |modifier| event.modifiers.contains(modifier);
        let (ctrl, alt) = (held(KeyModifiers::CONTROL), held(KeyModifiers::ALT));
        let shift = held(KeyModifiers::SHIFT) || event.code == KeyCode::BackTab;
        Some(Key { code, ctrl, alt, shift }.normal())
    }

    /// One form for what terminals report in several: AltGr types text, shift is in the character already, and a
    /// letter under Ctrl is small.
    fn normal(self) -> Key {
        let Code::Char(c) = self.code else { return self };
        if self.ctrl && self.alt {
            return Key::plain(Code::Char(c));
        }
        match (self.ctrl, c) {
            // One key for most terminals, so one for those that can tell them apart.
            (true, 'i' | 'I') => Key { ctrl: false, code: Code::Tab, ..self },
            (true, 'm' | 'M') => Key { ctrl: false, code: Code::Enter, ..self },
            (true, '[') => Key { ctrl: false, code: Code::Esc, ..self },
            // Ctrl+/ and Ctrl+7 arrive as Ctrl+_ from most terminals.
            (true, '/' | '7') => Key::ctrl(Code::Char('_')),
            (true, c) => Key::ctrl(Code::Char(c.to_ascii_lowercase())),
            (false, _) => Key { shift: false, ..self },
        }
    }
}

impl Code {
    /// The key with this name.
    fn of_name(name: &str) -> Option<Code> {
        let name = name.to_ascii_lowercase();
        if let Some(number) = name.strip_prefix('f') {
            return number.parse().ok().filter(|number| (1..=24).contains(number)).map(Code::F);
        }
        Some(match name.as_str() {
            "enter" | "return" => Code::Enter,
            "esc" | "escape" => Code::Esc,
            "tab" => Code::Tab,
            "space" => Code::Char(' '),
            "backspace" => Code::Backspace,
            "delete" | "del" => Code::Delete,
            "insert" | "ins" => Code::Insert,
            "up" => Code::Up,
            "down" => Code::Down,
            "left" => Code::Left,
            "right" => Code::Right,
            "home" => Code::Home,
            "end" => Code::End,
            "pgup" | "pageup" => Code::PageUp,
            "pgdn" | "pagedown" => Code::PageDown,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (held, name) in [(self.ctrl, "Ctrl+"), (self.alt, "Alt+"), (self.shift, "Shift+")] {
            if held {
                f.write_str(name)?;
            }
        }
        match self.code {
            Code::Char(' ') => f.write_str("Space"),
            Code::Char(c) => write!(f, "{}", c.to_ascii_uppercase()),
            Code::F(number) => write!(f, "F{number}"),
            Code::PageUp => f.write_str("PgUp"),
            Code::PageDown => f.write_str("PgDn"),
            code => write!(f, "{code:?}"),
        }
    }
}
