//! Writes cells, so that a terminal that measures a letter otherwise still shows everything else in its place.
//!
//! The library below takes it that a letter ends where it says. Behind one that is drawn wider the rest of the row came
//! too far right, and its end stood on the next row; so behind each of those the place is said anew. What lies under
//! their second half is written before them: behind them it would wipe out half of the letter.

use std::io::{self, Write};

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

use crate::text::wrap::width;

/// A terminal that is written to with care.
pub(super) struct Pen<W: Write>(CrosstermBackend<W>);

impl<W: Write> Pen<W> {
    pub(super) fn new(paper: W) -> Pen<W> {
        Pen(CrosstermBackend::new(paper))
    }

    fn write(&mut self, cells: &[(u16, u16, &Cell)]) -> io::Result<()> {
        if cells.is_empty() { Ok(()) } else { self.0.draw(cells.iter().copied()) }
    }
}

/// Columns that the pieces of a letter take where a terminal does not put them together.
pub(super) fn in_pieces(letter: &str) -> usize {
    letter.chars().map(|c| width(c.encode_utf8(&mut [0; 4]))).sum()
}

/// True for a letter of several pieces whose width terminals do not agree about.
fn is_doubtful(letter: &str) -> bool {
    letter.chars().nth(1).is_some() && (width(letter) > 1 || in_pieces(letter) != width(letter))
}

impl<W: Write> Backend for Pen<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let cells: Vec<(u16, u16, &Cell)> = content.collect();
        let mut rest = &cells[..];
        while let Some(at) = rest.iter().position(|(_, _, cell)| is_doubtful(cell.symbol())) {
            let (before, from) = rest.split_at(at);
            let Some(((x, y, letter), behind)) = from.split_first() else { break };
            let end = usize::from(*x) + width(letter.symbol());
            let under = behind.iter().take_while(|(column, row, _)| row == y && usize::from(*column) < end);
            let (under, behind) = behind.split_at(under.count());
            self.write(before)?;
            self.write(under)?;
            self.write(&[(*x, *y, letter)])?;
            rest = behind;
        }
        self.write(rest)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.0.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.0.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.0.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use ratatui::layout::Rect;
    use ratatui::style::Style;
    use ratatui::{Terminal, TerminalOptions, Viewport};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const SIZE: (u16, u16) = (20, 4);

    /// What a terminal shows after these frames of rows, each drawn over the one before.
    fn shown(frames: &[[&str; 4]]) -> Vec<String> {
        let paper = Paper::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1));
        let pen = Pen::new(paper.clone());
        let mut terminal = Terminal::with_options(pen, TerminalOptions { viewport }).expect("a terminal");
        for rows in frames {
            let draw = |frame: &mut ratatui::Frame<'_>| {
                let theme = crate::tui::theme::Theme::mono();
                let mut painter = crate::tui::view::Painter::new(frame.buffer_mut(), &theme);
                for (row, text) in (0..).zip(rows) {
                    painter.put(Rect::new(0, row, SIZE.0, 1), 0, &format!("{text:<20}"), Style::new());
                }
            };
            terminal.draw(draw).expect("memory does not fail");
        }
        let count = |number: u16| std::num::NonZeroU16::new(number).expect("some");
        let mut screen = vt100::Parser::new(count(SIZE.1), count(SIZE.0), 0);
        screen.process(&paper.0.borrow());
        screen.screen().rows(0, SIZE.0).map(|row| row.trim_end().to_owned()).collect()
    }

    /// The end of a row stood on the next one, where nothing drew over it.
    #[test]
    fn letters_that_are_measured_otherwise_move_nothing_else() {
        for letter in ["👩\u{200d}🚀", "👍🏽", "1\u{fe0f}\u{20e3}", "❤\u{fe0f}", "🇩🇪", "✅", "e\u{301}", "한"]
        {
            let before = ["first", "second", "third", "▌fourth"];
            let (row, other) = (format!("a {letter} b"), format!("{letter}xyz"));
            let after = ["first", &row, &other, "▌fourth"];
            let fresh = shown(&[after]);
            assert_eq!(shown(&[before, after]), fresh, "{letter}");
            assert_eq!(shown(&[after, before, after]), fresh, "{letter}");
            assert_eq!(shown(&[["", "ab b", "qqxyz", "▌fourth"], after]), fresh, "{letter}");
            assert_eq!((fresh[0].as_str(), fresh[3].as_str()), ("first", "▌fourth"), "{letter}");
            assert!(fresh[1].starts_with("a ") && fresh[1].ends_with(" b"), "{letter}: {fresh:?}");
            assert!(fresh[2].ends_with("xyz"), "{letter}: {fresh:?}");
            assert_eq!(shown(&[before, after, before]), before, "{letter}");
        }
    }
}
