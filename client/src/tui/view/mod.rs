//! Draws the model. It reads and never writes: what is on the screen is a function of what is known.

mod bottom;
mod details;
mod list;
mod login;
mod menus;
mod messages;
mod overlays;
mod status;
#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use unicode_segmentation::UnicodeSegmentation;

use super::layout::Areas;
use super::model::Model;
use super::pen::in_pieces;
use super::theme::Theme;
use crate::text::clusters::is_plain;
use crate::text::wrap::width;

pub(crate) use list::row_at as row_of_list;

/// What is in the cell behind a wide cluster of several characters: looks like a blank, and is another.
const SECOND_HALF: &str = "\u{A0}";

/// Where the caret is; a screen without one hides it.
pub(crate) type Caret = Option<Position>;

/// Draws everything.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let caret = screen(model, frame.buffer_mut());
    if let Some(caret) = caret {
        frame.set_cursor_position(caret);
    }
}

fn screen(model: &Model, buffer: &mut Buffer) -> Caret {
    // The model's size may lag behind the terminal's by one event; nothing is drawn outside of either.
    let size = (model.size.0.min(buffer.area.width), model.size.1.min(buffer.area.height));
    let painter = &mut Painter::new(buffer, &model.prefs.theme);
    painter.ground();
    let fits = size == model.size;
    let Some(areas) = model.areas().filter(|_| fits) else {
        painter.put(Rect::new(0, 0, size.0, size.1.min(1)), 0, "window too small", Style::new());
        return None;
    };
    let below = match &model.form {
        Some(form) => login::draw(model, form, &areas, painter),
        None => conversation(model, &areas, painter),
    };
    match &model.overlay {
        Some(overlay) => overlays::draw(model, overlay, painter),
        None => below,
    }
}

fn conversation(model: &Model, areas: &Areas, painter: &mut Painter<'_>) -> Caret {
    status::title(model, areas, painter);
    let mut caret = None;
    if let Some(area) = areas.list {
        caret = list::draw(model, area, areas.pane.height > 0, painter);
    }
    if let Some(area) = areas.details {
        details::draw(model, area, painter);
    }
    caret = status::draw(model, areas.status, painter).or(caret);
    if areas.pane.height == 0 {
        return caret;
    }
    caret = messages::draw(model, areas, painter).or(caret);
    caret = bottom::rule(model, areas, painter).or(caret);
    let in_box = bottom::composer(model, areas, painter);
    bottom::completion(model, areas, painter);
    if model.focus.is_box() { in_box } else { caret }
}

/// Puts text on cells, never outside of a rectangle.
pub(crate) struct Painter<'a> {
    buffer: &'a mut Buffer,
    pub(crate) theme: &'a Theme,
}

impl<'a> Painter<'a> {
    pub(crate) fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Painter<'a> {
        Painter { buffer, theme }
    }
}

impl Painter<'_> {
    /// Puts a line at column `at` of the first row of `area`. Returns the column behind it.
    pub(crate) fn put(&mut self, area: Rect, at: u16, text: &str, style: Style) -> u16 {
        let area = area.intersection(self.buffer.area);
        if area.height == 0 || at >= area.width {
            return at;
        }
        let (start, room) = (area.x + at, usize::from(area.width - at));
        if is_plain(text) {
            return at + self.put_plain(start, area.y, &text[..text.len().min(room)], style);
        }
        let (end, _) = self.buffer.set_stringn(start, area.y, text, room, style);
        self.mark_second_halves(start, end, area.y);
        end - area.x
    }

    /// Puts letters that take a cell each. Returns how many.
    fn put_plain(&mut self, start: u16, y: u16, text: &str, style: Style) -> u16 {
        let mut x = start;
        for letter in text.split_inclusive(|_| true) {
            self.buffer[(x, y)].set_symbol(letter).set_style(style);
            x += 1;
        }
        x - start
    }

    /// A terminal that draws a cluster of several characters in pieces, as tmux does with a flag, keeps the second one
    /// when a letter comes in place of the first. The cell behind such a cluster is never drawn itself; since it holds
    /// no plain blank, the blank that comes in its place later is.
    fn mark_second_halves(&mut self, start: u16, end: u16, y: u16) {
        for x in start..end.saturating_sub(1) {
            let symbol = self.buffer[(x, y)].symbol();
            // Behind a cluster with a variation selector the library draws what is there.
            let wide = width(symbol);
            let spilt = in_pieces(symbol).saturating_sub(wide);
            let pieces = symbol.chars().nth(1).is_some() && !symbol.contains('\u{FE0F}');
            if pieces && wide > 1 {
                self.buffer[(x + 1, y)].set_symbol(SECOND_HALF);
            }
            self.write_always(x, y, wide..wide + spilt);
        }
    }

    /// These columns behind `x` may lie under pieces of what stands there, whenever that is drawn.
    fn write_always(&mut self, x: u16, y: u16, columns: std::ops::Range<usize>) {
        for column in columns {
            let at = u16::try_from(column).unwrap_or(u16::MAX).saturating_add(x);
            if let Some(cell) = self.buffer.cell_mut((at, y)) {
                cell.set_diff_option(CellDiffOption::AlwaysUpdate);
            }
        }
    }

    /// Puts a line so that it ends at the right edge of `area`; nothing where it does not fit.
    pub(crate) fn put_right(&mut self, area: Rect, text: &str, style: Style) {
        let columns = u16::try_from(width(text)).unwrap_or(u16::MAX);
        if columns <= area.width {
            self.put(area, area.width - columns, text, style);
        }
    }

    /// The theme's own ground, where it has one.
    fn ground(&mut self) {
        let (area, text) = (self.buffer.area, self.theme.text());
        if text != Style::new() {
            self.buffer.set_style(area, text);
        }
    }

    /// Fills a rectangle with blanks of this style.
    pub(crate) fn fill(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        let ground = self.theme.text();
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                // What was there may have been dim or bold, which a style alone leaves.
                cell.reset();
                cell.set_style(ground.patch(style));
            }
        }
    }

    /// Turns a rectangle's colours round.
    pub(crate) fn reverse(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, Style::new().add_modifier(Modifier::REVERSED));
    }

    /// What stands on a row, and where in it each cell's text begins, with the cell's column.
    pub(crate) fn text_of(&self, row: Rect) -> (String, Vec<(usize, u16)>) {
        let row = row.intersection(self.buffer.area);
        let (mut text, mut columns) = (String::new(), Vec::new());
        let mut x = row.left();
        while row.height > 0 && x < row.right() {
            let symbol = self.buffer[(x, row.y)].symbol();
            columns.push((text.len(), x));
            text.push_str(symbol);
            x += u16::try_from(width(symbol)).unwrap_or(1).max(1);
        }
        (text, columns)
    }

    /// Makes a cell stand out.
    pub(crate) fn mark(&mut self, at: Position, most: bool) {
        let modifier =
            if most { Modifier::REVERSED | Modifier::BOLD } else { Modifier::UNDERLINED | Modifier::BOLD };
        if let Some(cell) = self.buffer.cell_mut(at) {
            cell.modifier.insert(modifier);
        }
    }

    /// Blanks wide characters that reach into a rectangle from its left: half of one cannot be shown.
    pub(crate) fn cut(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        let Some(left) = area.x.checked_sub(1) else { return };
        for y in area.top()..area.bottom() {
            let cell = &mut self.buffer[(left, y)];
            if width(cell.symbol()) > 1 {
                cell.set_symbol(" ");
            }
        }
    }

    /// A line of one glyph from column `at` to the right edge.
    pub(crate) fn line(&mut self, area: Rect, at: u16, glyph: &str, style: Style) {
        let text = glyph.repeat(usize::from(area.width.saturating_sub(at)));
        self.put(area, at, &text, style);
    }

    /// The row of `area` with this number, counted from its top; empty beyond its end.
    pub(crate) fn row(area: Rect, row: usize) -> Rect {
        match u16::try_from(row) {
            Ok(row) if row < area.height => Rect { y: area.y + row, height: 1, ..area },
            _ => Rect { height: 0, ..area },
        }
    }
}

/// A caret in a field of one line that is `columns` wide: what of the text is shown, and the caret's column.
pub(crate) fn field_view(field: &super::composer::Composer, columns: usize) -> (String, usize) {
    let (before, behind) = field.split();
    let (mut start, mut used) = (before.len(), 0);
    for (at, cluster) in before.grapheme_indices(true).rev() {
        let wide = width(cluster);
        if used + wide >= columns.max(1) {
            break;
        }
        (start, used) = (at, used + wide);
    }
    (format!("{}{behind}", &before[start..]), used)
}
