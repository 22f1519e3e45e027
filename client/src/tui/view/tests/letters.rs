//! Letters on cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::tui::theme::Theme;
use crate::tui::view::Painter;

#[test]
fn plain_letters_stand_where_the_library_puts_them() {
    let style = Style::new().add_modifier(Modifier::BOLD);
    let area = Rect::new(2, 1, 6, 1);
    for text in ["", "a", "six ch", "seven c", "~ is the last one", "構 b"] {
        for at in 0..8 {
            let (mut known, theme) = (Buffer::empty(Rect::new(0, 0, 10, 3)), Theme::mono());
            let mut found = known.clone();
            let mut end = at;
            if at < area.width {
                let room = usize::from(area.width - at);
                end = known.set_stringn(area.x + at, area.y, text, room, style).0 - area.x;
            }
            let painted = Painter { buffer: &mut found, theme: &theme }.put(area, at, text, style);
            assert_eq!((painted, &found), (end, &known), "{text:?} at {at}");
        }
    }
}
