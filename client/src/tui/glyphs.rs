//! Which characters the screen is drawn with: three sets, for what terminals and fonts can show.

use super::people::Presence;
use crate::delivery::Delivery;
use crate::settings::GlyphSet;

/// A set of glyphs. Each takes the columns that its name says, in every set: one, but for ticks (up to two).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Glyphs {
    pub(crate) marker: &'static str,
    pub(crate) bar: &'static str,
    pub(crate) rule: &'static str,
    /// Corners: top left, top right, bottom left, bottom right.
    pub(crate) corners: [&'static str; 4],
    pub(crate) online: &'static str,
    pub(crate) offline: &'static str,
    pub(crate) presence_unknown: &'static str,
    pub(crate) draft: &'static str,
    pub(crate) ellipsis: &'static str,
    pub(crate) mask: &'static str,
    pub(crate) cross: &'static str,
    pub(crate) sent_to: &'static str,
    pub(crate) came_from: &'static str,
    waiting: &'static str,
    sending: &'static str,
    tick: &'static str,
    kept: &'static str,
    two_ticks: &'static str,
    read: &'static str,
}

/// For terminals with a current font.
pub(crate) const UNICODE: Glyphs = Glyphs {
    marker: "▌",
    bar: "│",
    rule: "─",
    corners: ["┌", "┐", "└", "┘"],
    online: "●",
    offline: "○",
    presence_unknown: "·",
    draft: "✎",
    ellipsis: "…",
    mask: "•",
    cross: "✗",
    sent_to: "→",
    came_from: "←",
    waiting: "○",
    sending: "…",
    tick: "✓",
    kept: "✓○",
    two_ticks: "✓✓",
    read: "✓✓",
};

/// For the console of older Windows, whose fonts hold WGL4.
pub(crate) const WGL4: Glyphs =
    Glyphs {
        draft: "~", cross: "×", tick: "√", kept: "√○", two_ticks: "√√", read: "√√", ..UNICODE
    };

/// For everything else.
pub(crate) const ASCII: Glyphs = Glyphs {
    marker: ">",
    bar: "|",
    rule: "-",
    corners: ["+", "+", "+", "+"],
    online: "*",
    offline: "o",
    presence_unknown: ".",
    draft: "~",
    ellipsis: "~",
    mask: "*",
    cross: "!",
    sent_to: ">",
    came_from: "<",
    waiting: "o",
    sending: ".",
    tick: "+",
    kept: "+o",
    two_ticks: "++",
    read: "##",
};

impl Glyphs {
    /// The tick of a state.
    pub(crate) fn tick(&self, state: Delivery) -> &'static str {
        match state {
            Delivery::Outbox => self.waiting,
            Delivery::Sending => self.sending,
            Delivery::Unknown => "?",
            Delivery::Sent => self.tick,
            Delivery::Queued => self.kept,
            Delivery::Delivered => self.two_ticks,
            Delivery::Read => self.read,
            Delivery::Failed | Delivery::Returned => self.cross,
        }
    }

    /// The sign of somebody.
    pub(crate) fn presence(&self, presence: Presence) -> &'static str {
        match presence {
            Presence::Unknown => self.presence_unknown,
            Presence::Online => self.online,
            Presence::Offline { .. } => self.offline,
        }
    }

    /// The set for an environment: the one asked for, else what its terminal and locale can show.
    pub(crate) fn choose(
        set: GlyphSet,
        windows: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> &'static Glyphs {
        match set {
            GlyphSet::Unicode => return &UNICODE,
            GlyphSet::Wgl4 => return &WGL4,
            GlyphSet::Ascii => return &ASCII,
            GlyphSet::Auto => {}
        }
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if windows {
            let modern = set("WT_SESSION").is_some() || set("TERM_PROGRAM").is_some();
            return if modern { &UNICODE } else { &WGL4 };
        }
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let utf8 = locale.to_ascii_lowercase().replace('-', "").contains("utf8");
        let plain = matches!(set("TERM").as_deref(), None | Some("linux" | "dumb"));
        if utf8 && !plain { &UNICODE } else { &ASCII }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::wrap::width;

    #[test]
    fn sets_take_the_same_columns() {
        for set in [&UNICODE, &WGL4, &ASCII] {
            let single = [
                set.marker,
                set.bar,
                set.rule,
                set.online,
                set.offline,
                set.presence_unknown,
                set.draft,
                set.ellipsis,
                set.mask,
                set.cross,
                set.sent_to,
                set.came_from,
            ];
            assert!(single.iter().chain(&set.corners).all(|glyph| width(glyph) == 1));
            for state in Delivery::ALL {
                assert_eq!(width(set.tick(*state)), width(UNICODE.tick(*state)), "{state:?}");
            }
        }
    }

    #[test]
    fn which_set_for_which_terminal() {
        let check = |windows: bool, variables: &[(&str, &str)], expected: &Glyphs| {
            let find = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Glyphs::choose(GlyphSet::Auto, windows, find), expected, "{variables:?}");
        };
        check(false, &[("LANG", "en_US.UTF-8"), ("TERM", "xterm-256color")], &UNICODE);
        check(false, &[("LANG", "en_US.UTF-8"), ("LC_ALL", "C"), ("TERM", "xterm")], &ASCII);
        check(false, &[("LC_ALL", "C.utf8"), ("TERM", "tmux")], &UNICODE);
        check(false, &[("LANG", "en_US.UTF-8"), ("TERM", "linux")], &ASCII);
        check(false, &[("LANG", "en_US.UTF-8"), ("TERM", "dumb")], &ASCII);
        check(false, &[("TERM", "xterm")], &ASCII);
        check(true, &[], &WGL4);
        check(true, &[("WT_SESSION", "1")], &UNICODE);
        for (set, glyphs) in
            [(GlyphSet::Unicode, &UNICODE), (GlyphSet::Wgl4, &WGL4), (GlyphSet::Ascii, &ASCII)]
        {
            assert_eq!(Glyphs::choose(set, true, |_| None), glyphs);
        }
    }
}
