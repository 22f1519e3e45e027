//! Values that are one of a few words.

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $meaning:literal])+ $variant:ident = $word:literal,)+ })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub(crate) enum $name {
                $($(#[doc = $meaning])+ $variant,)+
            }

            impl $name {
                /// The words, in the order in which they are listed.
                pub(crate) const WORDS: &'static [&'static str] = &[$($word),+];

                /// The value of a word.
                pub(crate) fn of(word: &str) -> Option<$name> {
                    match word {
                        $($word => Some($name::$variant),)+
                        _ => None,
                    }
                }
            }
        )+
    };
}

words! {
    /// Which characters the screen is drawn with.
    GlyphSet {
        /// What terminal and locale can show.
        Auto = "auto",
        /// A current font.
        Unicode = "unicode",
        /// The fonts of older Windows.
        Wgl4 = "wgl4",
        /// Anything.
        Ascii = "ascii",
    }
    /// How emoji are shown.
    Emoji {
        /// As they are, but by their names where the console has none.
        Auto = "auto",
        /// As they are.
        AsIs = "as-is",
        /// As `:rocket:`.
        Names = "names",
        /// As `:)` where there is such a form, else as `:rocket:`.
        Text = "text",
    }
    /// Something that can be found out, or said.
    Tristate {
        /// Found out.
        Auto = "auto",
        /// Yes.
        On = "on",
        /// No.
        Off = "off",
    }
    /// When messages count as read, and who is told.
    MarkRead {
        /// When they were looked at; whoever wrote them is told.
        Seen = "seen",
        /// When something was sent in the conversation.
        Sent = "sent",
        /// Only here; nobody is told.
        Never = "never",
    }
    /// Which keys do what.
    Profile {
        /// Those of the help.
        Default = "default",
        /// Ctrl+P, Ctrl+N and Ctrl+K edit.
        Emacs = "emacs",
        /// Two modes.
        Vim = "vim",
    }
    /// How a person is told of messages.
    Via {
        /// What the terminal can do.
        Auto = "auto",
        /// The bell.
        Bell = "bell",
        /// A message to the terminal.
        Osc9 = "osc9",
        /// Not at all.
        None = "none",
    }
    /// What is told of a message.
    Preview {
        /// Who wrote it, and what.
        Full = "full",
        /// Who wrote it.
        Name = "name",
        /// That there is one.
        None = "none",
    }
    /// When what waits at the server comes to the screen.
    Deliver {
        /// At once.
        Auto = "auto",
        /// When somebody says so.
        Ask = "ask",
    }
    /// How a server has to prove who it is.
    Tls {
        /// TLS to other machines: by the key that is known, else by an authority, else a person is asked.
        Auto = "auto",
        /// The same to this machine as well.
        On = "on",
        /// TLS by the key that is known; what authorities say does not count.
        Pin = "pin",
        /// TLS by an authority; nobody is asked.
        Ca = "ca",
        /// None, to this machine.
        Off = "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_value() {
        assert!(GlyphSet::WORDS.iter().all(|word| GlyphSet::of(word).is_some()));
        assert_eq!((Emoji::of("as-is"), Emoji::of("AS-IS"), Tls::of("")), (Some(Emoji::AsIs), None, None));
    }
}
